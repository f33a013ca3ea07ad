/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "proto/cpulist.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void cpulist_zero(struct cpulist *l)
{
	memset(l, 0, sizeof(*l));
}

void cpulist_set(struct cpulist *l, unsigned int n)
{
	assert(n < CPULIST_MAX);
	l->bits[n / 64] |= UINT64_C(1) << (n % 64);
}

void cpulist_clear(struct cpulist *l, unsigned int n)
{
	assert(n < CPULIST_MAX);
	l->bits[n / 64] &= ~(UINT64_C(1) << (n % 64));
}

bool cpulist_has(const struct cpulist *l, unsigned int n)
{
	return n < CPULIST_MAX && (l->bits[n / 64] >> (n % 64) & 1);
}

unsigned int cpulist_count(const struct cpulist *l)
{
	unsigned int count = 0;

	for (size_t i = 0; i < CPULIST_MAX / 64; i++)
		count += (unsigned int)__builtin_popcountll(l->bits[i]);
	return count;
}

int cpulist_next(const struct cpulist *l, unsigned int n)
{
	while (n < CPULIST_MAX) {
		uint64_t rest = l->bits[n / 64] >> (n % 64);

		if (rest)
			return (int)n + __builtin_ctzll(rest);
		n = (n / 64 + 1) * 64;
	}
	return -1;
}

static int parse_number(const char **text, unsigned int *ret)
{
	const char *p = *text;
	unsigned int n = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (unsigned int)(*p - '0');
		if (n >= CPULIST_MAX)
			return -ERANGE;
	}
	*text = p;
	*ret = n;
	return 0;
}

static int parse_item(const char **text, struct cpulist *l)
{
	unsigned int first, last;
	bool take_out = **text == '^';
	int r;

	if (take_out)
		(*text)++;
	r = parse_number(text, &first);
	if (r < 0)
		return r;
	if (take_out) {
		cpulist_clear(l, first);
		return 0;
	}
	last = first;
	if (**text == '-') {
		(*text)++;
		r = parse_number(text, &last);
		if (r < 0)
			return r;
	}
	if (last < first)
		return -EINVAL;
	for (unsigned int n = first; n <= last; n++)
		cpulist_set(l, n);
	return 0;
}

int cpulist_parse(const char *text, struct cpulist *ret)
{
	struct cpulist l = { 0 };

	for (;;) {
		int r = parse_item(&text, &l);

		if (r < 0)
			return r;
		if (*text != ',')
			break;
		text++;
	}
	if (*text == '\n')
		text++;
	if (*text != '\0' || cpulist_next(&l, 0) < 0)
		return -EINVAL;
	*ret = l;
	return 0;
}

int cpulist_parse_kernel(const char *text, struct cpulist *ret)
{
	if (strcmp(text, "") != 0 && strcmp(text, "\n") != 0)
		return cpulist_parse(text, ret);
	cpulist_zero(ret);
	return 0;
}

struct text {
	char *buf;
	size_t size; /* with room for the NUL */
	size_t len;  /* goes on beyond what fits */
};

static void put_char(struct text *t, char c)
{
	if (t->len + 1 < t->size)
		t->buf[t->len] = c;
	t->len++;
}

static void put_number(struct text *t, unsigned int n)
{
	if (n >= 10)
		put_number(t, n / 10);
	put_char(t, (char)('0' + n % 10));
}

int cpulist_format(const struct cpulist *l, char *buf, size_t size)
{
	struct text t = { buf, size, 0 };

	if (size == 0)
		return -ENOBUFS;
	for (int first = cpulist_next(l, 0); first >= 0;) {
		unsigned int last = (unsigned int)first;

		while (cpulist_has(l, last + 1))
			last++;
		if (t.len > 0)
			put_char(&t, ',');
		put_number(&t, (unsigned int)first);
		if (last > (unsigned int)first) {
			put_char(&t, '-');
			put_number(&t, last);
		}
		first = cpulist_next(l, last + 1);
	}
	buf[t.len < size ? t.len : 0] = '\0';
	return t.len < size ? (int)t.len : -ENOBUFS;
}
