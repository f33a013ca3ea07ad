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

bool words_is_policy(const char *text)
{
	static const char at_least[] = "at-least=";
	unsigned int k;

	if (strncmp(text, at_least, strlen(at_least)) == 0)
		return words_number(text + strlen(at_least), 1, WORDS_COUNT_MAX, &k) == 0;
	return strcmp(text, "all") == 0 || strcmp(text, "best-effort") == 0;
}
