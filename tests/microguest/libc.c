/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What proto/ needs of a libc. String instructions, since each instruction may cost a microsecond. */
#include "tests/microguest/console.h"
#include "tests/microguest/machine.h"
#include <assert.h>
#include <stddef.h>
#include <string.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n)::"memory");
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	const char *last = (const char *)from + n - 1;
	char *at = (char *)to + n - 1;

	if (n == 0 || (char *)to <= (const char *)from)
		return memcpy(to, from, n);
	__asm__ volatile("std; rep movsb; cld" : "+D"(at), "+S"(last), "+c"(n)::"memory");
	return to;
}

void *memset(void *to, int c, size_t n)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(c) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (; n > 0; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	bool found;

	if (n == 0)
		return NULL;
	__asm__ volatile("repne scasb" : "+D"(s), "+c"(n), "=@ccz"(found) : "a"(c) : "memory");
	return found ? (char *)(uintptr_t)s - 1 : NULL;
}

size_t strnlen(const char *s, size_t max)
{
	const char *end = memchr(s, '\0', max);

	return end ? (size_t)(end - s) : max;
}

size_t strlen(const char *s)
{
	return strnlen(s, SIZE_MAX);
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (unsigned char)*a - (unsigned char)*b;
}

void __assert_fail(const char *what, const char *file, unsigned int line, const char *function)
{
	console_say(file);
	console_say_number(line);
	console_say(what);
	machine_park();
}
