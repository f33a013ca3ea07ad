/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text: what is accepted survives format and parse unchanged. */
#include <stdlib.h>
#include <string.h>

#include "proto/cpulist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct cpulist *l)
{
	char text[6 * CPULIST_MAX];
	struct cpulist again;
	int len = cpulist_format(l, text, sizeof(text));

	if (len < 0 || (size_t)len != strlen(text))
		abort();
	if (cpulist_parse_kernel(text, &again) != 0 || memcmp(l, &again, sizeof(again)) != 0)
		abort();
	if (cpulist_format(l, text, (size_t)len + 1) != len ||
	    cpulist_format(l, text, (size_t)len) >= 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct cpulist l, k;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (cpulist_parse_kernel(text, &k) == 0)
		check(&k);
	if (cpulist_parse(text, &l) == 0) {
		if (cpulist_count(&l) == 0 || memcmp(&l, &k, sizeof(l)) != 0)
			abort();
	}
	free(text);
	return 0;
}
