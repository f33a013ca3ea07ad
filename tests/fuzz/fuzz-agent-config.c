/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes: what is accepted is a valid configuration, what is refused changes nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest-agent/agent-config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A path that ends within its field and cannot lead upwards. */
static void check_path(const char path[CONFIG_PATH_MAX])
{
	if (!memchr(path, '\0', CONFIG_PATH_MAX) || path[0] == '\0')
		abort();
	for (const char *part = path; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (!strcmp(part, "..") || !strncmp(part, "../", 3))
			abort();
	}
}

static void check(const struct agent_config *c)
{
	check_path(c->port);
	check_path(c->callbacks);
	if (c->callbacks[0] != '/' || c->n_cpusets > CONFIG_CPUSETS_MAX)
		abort();
	if (c->expedite < EXPEDITE_AUTO || c->expedite > EXPEDITE_NO || c->irq < IRQ_OFF ||
	    c->irq > IRQ_SPREAD)
		abort();
	for (size_t i = 0; i < c->n_cpusets; i++) {
		check_path(c->cpusets[i]);
		if (c->cpusets[i][0] == '/')
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct agent_config before, c;
	unsigned int line = 0;
	const char *why = NULL;

	memset(&before, 0, sizeof(before));
	agent_config_defaults(&before);
	memcpy(&c, &before, sizeof(c));
	if (agent_config_parse(&c, (const char *)data, size, &line, &why) == 0)
		check(&c);
	else if (line == 0 || line > size + 1 || !why || memcmp(&c, &before, sizeof(c)) != 0)
		abort();
	return 0;
}
