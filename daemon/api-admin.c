/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *invalid_path(struct varlink_call *call, const char *const *keys)
{
	for (; *keys; keys++)
		if (varlink_call_str(call, *keys, "")[0] != '/')
			return *keys;
	return NULL;
}

static int new_config(struct varlink_call *call, struct domain_config **ret)
{
	struct domain_config *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	snprintf(c->name, sizeof(c->name), "%s", varlink_call_str(call, "name", ""));
	c->qmp = strdup(varlink_call_str(call, "qmp", ""));
	c->agent = strdup(varlink_call_str(call, "agent", ""));
	if (!c->qmp || !c->agent) {
		domain_config_free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

void api_attach(void *ctx, struct varlink_call *call)
{
	static const char *const paths[] = { "qmp", "agent", NULL };
	struct api *a = ctx;
	const char *name = varlink_call_str(call, "name", "");
	const char *bad = invalid_path(call, paths);
	struct domain_config *config = NULL;
	struct domain *d;
	int r;

	if (!config_is_name(name)) {
		api_fail_parameter(call, "name", "a name is 1 to 64 of A-Z a-z 0-9 . _ + -");
		return;
	}
	if (bad) {
		api_fail_parameter(call, bad, "%s must be an absolute path", bad);
		return;
	}
	r = new_config(call, &config);
	if (r == 0)
		r = manager_attach(a->manager, config, &d);
	if (r == -EADDRINUSE)
		d = manager_find_socket(a->manager, config);
	domain_config_free(config);
	if (r == -EEXIST)
		api_fail(call, ERR_CONFLICT, "there is a domain %s already", name);
	else if (r == -EADDRINUSE)
		api_fail(call, ERR_CONFLICT, "cannot attach %s: domain %s has one of its sockets",
			 name, d->config->name);
	else if (r < 0)
		api_fail(call, ERR_INTERNAL, "cannot attach %s: %s", name, strerror(-r));
	else
		varlink_reply(call, NULL);
}

static void fail_busy(struct varlink_call *call, const struct domain *d)
{
	const struct op *first = d->running ? d->running : d->queue[0];
	unsigned int others = d->running ? d->n_queued : d->n_queued - 1;
	char queued[64] = "";

	if (others > 0)
		snprintf(queued, sizeof(queued), " (%u queued behind it)", others);
	api_fail(call, ERR_BUSY,
		 "operation %s is under way in %s%s: wait for it (vcpuhpctl wait %s) or cancel it "
		 "(vcpuhpctl cancel %s) first",
		 first->id, d->config->name, queued, first->id, first->id);
}

void api_detach(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;
	const char *name = varlink_call_str(call, "name", "");
	struct domain *d = config_is_name(name) ? manager_find(a->manager, name) : NULL;
	int r;

	if (!d) {
		api_fail(call, ERR_NO_SUCH_DOMAIN, "there is no domain %s", name);
		return;
	}
	r = manager_detach(a->manager, d);
	if (r == -EPERM)
		api_refuse(call, "policy",
			   d->config->qmp ? "the domain stands in the configuration"
					  : "the domain is libvirt's: it comes and goes there");
	else if (r == -EBUSY)
		fail_busy(call, d);
	else if (r < 0)
		api_fail(call, ERR_INTERNAL, "cannot detach %s: %s", name, strerror(-r));
	else
		varlink_reply(call, NULL);
}
