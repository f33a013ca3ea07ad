/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/pages.h"
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* musl has no names for them yet (linux/mman.h). */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static void advise(const void *p, size_t size, int advice)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)p & ~(page - 1);

	(void)madvise((void *)start, (uintptr_t)p + size - start, advice);
}

void pages_map_text(void)
{
	extern const char __executable_start, etext;

	advise(&__executable_start, (size_t)(&etext - &__executable_start), MADV_POPULATE_READ);
}

void pages_own(void *p, size_t size)
{
	advise(p, size, MADV_POPULATE_WRITE);
}

__attribute__((noinline)) void pages_own_stack(size_t size)
{
	volatile char *below = __builtin_alloca(size);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	/* It grows as it is used, which madvise() is not. */
	for (size_t i = size; i >= page; i -= page)
		below[i - page] = 0;
}
