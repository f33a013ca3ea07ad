/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/pages.h"
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* musl has no name for it yet (linux/mman.h). */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

static uintptr_t page_size(void)
{
	return (uintptr_t)sysconf(_SC_PAGESIZE);
}

void *pages_alloc(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void pages_free(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}

void pages_withhold(void *p, size_t size)
{
	uintptr_t page = page_size();
	uintptr_t start = ((uintptr_t)p + page - 1) & ~(page - 1);
	uintptr_t end = ((uintptr_t)p + size + page - 1) & ~(page - 1);

	(void)madvise((void *)start, end - start, MADV_DONTFORK);
}

__attribute__((noinline)) void pages_own_stack(size_t size)
{
	volatile char *below = __builtin_alloca(size);
	size_t page = page_size();

	/* From the top down: it grows as it is used. */
	for (size_t i = size; i > page; i -= page)
		below[i - page] = 0;
	below[0] = 0;
}

void pages_map_text(void)
{
	extern const char __executable_start, etext;
	uintptr_t start = (uintptr_t)&__executable_start & ~(page_size() - 1);

	(void)madvise((void *)start, (uintptr_t)&etext - start, MADV_POPULATE_READ);
}
