/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as vcpuhpd.conf, and cut in two as a file with a drop-in. */
#include <stdlib.h>
#include <string.h>

#include "daemon/config-key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sockets(const struct domain_config *d, const struct domain_config *copy)
{
	if (!d->qmp || !d->agent || d->qmp[0] != '/' || d->agent[0] != '/' ||
	    strcmp(copy->qmp, d->qmp) != 0)
		abort();
}

static void check_domain(const struct domain_config *d, bool libvirt)
{
	struct domain_config *copy = domain_config_copy(d);

	if (!copy || !config_is_name(d->name) || d->max_vcpus > 65535 ||
	    (d->has_place && cpulist_count(&d->place) == 0))
		abort();
	/* Neither: a domain of libvirt's. */
	if (!libvirt || d->qmp || d->agent)
		check_sockets(d, copy);
	domain_config_free(copy);
}

static void check_config(const struct config *c)
{
	if (c->deadlines.qmp_reply_ms < 1 || c->deadlines.operation_ms > 86400 * 1000 ||
	    c->deadlines.eject_hard_ms < c->deadlines.eject_soft_ms || !c->libvirt_uri)
		abort();
	for (size_t i = 0; i < c->n_domains; i++)
		check_domain(c->domains[i], c->libvirt);
}

static void parse(const char *const *texts, const size_t *lens, size_t n)
{
	static const char *const names[] = { "FILE", "FILE.d/x.conf" };
	struct config *c = NULL;
	char *error = NULL;
	int r = config_parse(names, texts, lens, n, &c, &error);

	if (r == 0)
		check_config(c);
	else if (c || !error || strncmp(error, "FILE", 4) != 0)
		abort();
	config_free(c);
	free(error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	size_t half = size / 2;

	parse((const char *const[]){ text }, (const size_t[]){ size }, 1);
	parse((const char *const[]){ text, text + half }, (const size_t[]){ half, size - half }, 2);
	return 0;
}
