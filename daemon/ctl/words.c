/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/ctl/words.h"
#include "proto/ladder.h"
#include <errno.h>
#include <string.h>

#define DIGITS "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* Not empty, at most @max bytes, each of @alphabet. */
static bool is_made_of(const char *text, const char *alphabet, size_t max)
{
	size_t n = strspn(text, alphabet);

	return n > 0 && n <= max && text[n] == '\0';
}

int words_number(const char *text, unsigned int min, unsigned int max, unsigned int *ret)
{
	unsigned long long n = 0;

	if (!is_made_of(text, DIGITS, strlen(text)))
		return -EINVAL;
	for (; *text; text++) {
		n = n * 10 + (unsigned int)(*text - '0');
		if (n > max)
			return -ERANGE;
	}
	if (n < min)
		return -ERANGE;
	*ret = (unsigned int)n;
	return 0;
}

/* The digits after the point as milliseconds; @ret_rest tells whether any of them is not 0. */
static unsigned int fraction_ms(const char *digits, bool *ret_rest)
{
	unsigned int ms = 0, scale = 100;

	*ret_rest = false;
	for (; *digits; digits++, scale /= 10) {
		ms += (unsigned int)(*digits - '0') * scale;
		*ret_rest = *ret_rest || *digits != '0';
	}
	return ms;
}

int words_seconds(const char *text, unsigned int *ret_ms)
{
	unsigned int seconds = 0, ms = 0;
	size_t whole = strspn(text, DIGITS);
	bool rest = false;

	if (whole == 0 || (text[whole] != '\0' && text[whole] != '.'))
		return -EINVAL;
	if (text[whole] == '.') {
		if (!is_made_of(text + whole + 1, DIGITS, strlen(text)))
			return -EINVAL;
		ms = fraction_ms(text + whole + 1, &rest);
	}
	for (size_t i = 0; i < whole; i++) {
		seconds = seconds * 10 + (unsigned int)(text[i] - '0');
		if (seconds > WORDS_SECONDS_MAX)
			return -ERANGE;
	}
	if (seconds < 1 || (seconds == WORDS_SECONDS_MAX && rest))
		return -ERANGE;
	*ret_ms = seconds * 1000 + ms;
	return 0;
}

int words_list(const char *text, struct cpulist *ret)
{
	/* cpulist_parse() takes the newline that ends a kernel file; a word has none. */
	if (!is_made_of(text, DIGITS "-,^", strlen(text)))
		return -EINVAL;
	return cpulist_parse(text, ret);
}

bool words_is_domain(const char *text)
{
	return is_made_of(text, LETTERS DIGITS "._+-", WORDS_DOMAIN_MAX);
}

bool words_is_op(const char *text)
{
	return is_made_of(text, LETTERS DIGITS "._:-", WORDS_OP_MAX);
}

bool words_is_state(const char *text)
{
	static const char dyn[] = "ap:dyn.";

	if (strncmp(text, dyn, strlen(dyn)) == 0)
		return is_made_of(text + strlen(dyn), LETTERS DIGITS "._+-", 63);
	return *text && ladder_find(text) >= 0;
}

static const char *const policies[] = { "all", "best-effort", "at-least=" };

const char *words_policy(unsigned int i)
{
	return i < sizeof(policies) / sizeof(policies[0]) ? policies[i] : NULL;
}

/* After one that ends with "=" there is a count. */
static bool is_policy(const char *policy, const char *text)
{
	size_t n = strlen(policy);
	unsigned int k;

	if (policy[n - 1] != '=')
		return strcmp(text, policy) == 0;
	return strncmp(text, policy, n) == 0 && words_number(text + n, 1, WORDS_COUNT_MAX, &k) == 0;
}

bool words_is_policy(const char *text)
{
	for (unsigned int i = 0; words_policy(i); i++)
		if (is_policy(words_policy(i), text))
			return true;
	return false;
}

/* The "4" that ends "2,4". */
static int read_tail(const char *text, size_t len, int *ret)
{
	size_t start = len;

	while (start > 0 && strchr(DIGITS, text[start - 1]))
		start--;
	if (start > 0 && text[start - 1] == '-')
		return -EINVAL;
	for (*ret = 0; start < len; start++)
		*ret = *ret * 10 + (text[start] - '0');
	return 0;
}

/* The numbers of "2,4-7" where @len bytes of @text are that. */
static int parse_head(const char *text, size_t len, struct cpulist *ret)
{
	char head[1024];

	if (len >= sizeof(head))
		return -EINVAL;
	memcpy(head, text, len);
	head[len] = '\0';
	return words_list(head, ret) < 0 ? -EINVAL : 0;
}

int words_list_end(const char *text, struct list_end *ret)
{
	size_t lead = strlen(text);
	char before;

	*ret = (struct list_end){ .above = -1 };
	while (lead > 0 && strchr(DIGITS, text[lead - 1]))
		lead--;
	ret->lead = lead;
	if (lead == 0)
		return 0;
	before = text[lead - 1];
	if (before == ',')
		return parse_head(text, lead - 1, &ret->named);
	ret->out = before == '^';
	if (ret->out)
		return lead < 2 || text[lead - 2] != ',' ? -EINVAL
							 : parse_head(text, lead - 2, &ret->named);
	if (before != '-' || parse_head(text, lead - 1, &ret->named) < 0)
		return -EINVAL;
	return read_tail(text, lead - 1, &ret->above);
}

bool list_end_takes(const struct list_end *e, unsigned int n)
{
	if (e->above >= 0)
		return n > (unsigned int)e->above;
	return n < CPULIST_MAX && cpulist_has(&e->named, n) == e->out;
}
