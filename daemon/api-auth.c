/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include "daemon/log.h"
#include "daemon/vcpu.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Who may call what: Operators= and Allow= of the configuration, and their names. */

/* Allow= of the domain that a call is about, or NULL. */
static const struct auth_names *allow_of_call(struct api *a, struct varlink_call *call)
{
	const struct config *c = a->manager->config;
	const char *word = varlink_call_str(call, "domain", NULL);
	const struct domain *d = word ? manager_find(a->manager, word) : NULL;

	if (!d && !word) {
		const char *id = varlink_call_str(call, "op", NULL);
		const struct op *o = id ? manager_find_op(a->manager, id) : NULL;

		d = o ? o->domain : NULL;
	}
	for (size_t i = 0; d && i < c->n_domains; i++)
		if (strcmp(c->domains[i]->name, d->config->name) == 0)
			return c->domains[i]->allow ? &a->allow[i] : NULL;
	return NULL;
}

void api_fail_permission(struct api *a, struct varlink_call *call)
{
	const struct varlink_method *method = varlink_call_method(call);
	uid_t uid = varlink_call_peer(call)->uid;

	if (log_may(&a->refusals[uid % API_REFUSALS], now_us(), "control socket", "refusals"))
		log_line(LOG_NOTICE, "%s refused to uid %u", method->name, uid);
	api_fail(
		call, ERR_PERMISSION,
		method->class == AUTH_ADMIN
			? "%s needs the daemon's user or root"
			: "%s needs a group of Operators=, and the domain's Allow= where it has one",
		method->name);
}

bool api_admit(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;
	const struct varlink_method *method = varlink_call_method(call);
	const struct auth_peer *peer = varlink_call_peer(call);

	if (method->class == AUTH_READ ||
	    auth_allows(method->class, peer, a->daemon_uid, &a->operators, allow_of_call(a, call)))
		return true;
	api_fail_permission(a, call);
	return false;
}

/* The section of a domain of libvirt's: the daemon may know it by its UUID alone. */
static const struct domain_config *find_section(const struct config *c, const char *name,
						size_t *ret_index)
{
	for (size_t i = 0; i < c->n_domains; i++) {
		*ret_index = i;
		if (!c->domains[i]->qmp && strcmp(c->domains[i]->name, name) == 0)
			return c->domains[i];
	}
	return NULL;
}

bool api_permits(struct api *a, struct varlink_call *call, const char *name, const char *uuid)
{
	const char *const names[] = { name, uuid };
	const struct config *c = a->manager->config;
	enum auth_class class = varlink_call_method(call)->class;
	size_t i;

	for (size_t n = 0; n < 2; n++) {
		const struct domain_config *section = find_section(c, names[n], &i);

		if (section && section->allow &&
		    !auth_allows(class, varlink_call_peer(call), a->daemon_uid, &a->operators,
				 &a->allow[i]))
			return false;
	}
	return true;
}

const struct auth_names *api_allow(struct api *a, const struct domain *d, const char *name,
				   const char *uuid)
{
	const struct config *c = a->manager->config;

	for (size_t i = 0; i < c->n_domains; i++) {
		const struct domain_config *section = c->domains[i];

		if (section->allow && (d || !section->qmp) &&
		    (strcmp(section->name, name) == 0 || (!d && strcmp(section->name, uuid) == 0)))
			return &a->allow[i];
	}
	return NULL;
}

unsigned int api_ceiling(struct api *a, const char *name, const char *uuid)
{
	const struct config *c = a->manager->config;
	const struct domain_config *section;
	size_t i;

	section = find_section(c, name, &i);
	if (!section)
		section = find_section(c, uuid, &i);
	return section ? section->max_vcpus : 0;
}

static void on_unknown_name(void *ctx, const char *name)
{
	log_line(LOG_WARNING, "%s%s: no such user or group; it permits nobody", (const char *)ctx,
		 name);
}

int api_resolve_names(struct api *a)
{
	static char operators[] = "Operators=", allow[] = "Allow=";
	const struct config *c = a->manager->config;
	int r;

	r = auth_names_resolve(c->operators, true, &a->operators, on_unknown_name, operators);
	a->allow = calloc(c->n_domains + 1, sizeof(*a->allow));
	if (!a->allow)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < c->n_domains; i++)
		r = auth_names_resolve(c->domains[i]->allow, false, &a->allow[i], on_unknown_name,
				       allow);
	return r;
}
