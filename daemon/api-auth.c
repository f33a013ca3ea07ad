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
	static const struct auth_names nobody;
	const struct config *c = a->manager->config;
	const char *word = varlink_call_str(call, "domain", NULL);
	const struct domain *d = word ? manager_find(a->manager, word) : NULL;

	if (!d && !word) {
		const char *id = varlink_call_str(call, "op", NULL);
		const struct op *o = id ? manager_find_op(a->manager, id) : NULL;

		d = o ? o->domain : NULL;
	}
	/* Its section is gone, and who was named there with it. */
	if (d && d->leaving == DOMAIN_LEAVES && d->config->allow)
		return &nobody;
	for (size_t i = 0; d && i < c->n_domains; i++)
		if (strcmp(c->domains[i]->name, d->config->name) == 0)
			return c->domains[i]->allow ? &a->names.allow[i] : NULL;
	return NULL;
}

void api_fail_permission(struct api *a, struct varlink_call *call)
{
	const struct varlink_method *method = varlink_call_method(call);
	uid_t uid = varlink_call_peer(call)->uid;

	if (log_may(&a->refusals[uid % API_REFUSALS], now_us(), NULL, "refusals")) {
		struct journal_fields f;

		journal_fields_init(&f);
		journal_field(&f, "VCPUHP_UID", "%u", uid);
		journal_field(&f, "VCPUHP_METHOD", "%s", method->name);
		log_outcome(JOURNAL_PERMISSION_DENIED, NULL, &f, "%s refused to uid %u",
			    method->name, uid);
	}
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

	if (method->class == AUTH_READ || auth_allows(method->class, peer, a->daemon_uid,
						      &a->names.operators, allow_of_call(a, call)))
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
		    !auth_allows(class, varlink_call_peer(call), a->daemon_uid, &a->names.operators,
				 &a->names.allow[i]))
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
			return &a->names.allow[i];
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

int api_names_resolve(const struct config *c, struct api_names *ret)
{
	static char operators[] = "Operators=", allow[] = "Allow=";
	struct api_names names = { .allow = calloc(c->n_domains + 1, sizeof(*names.allow)) };
	int r = names.allow ? 0 : -ENOMEM;

	if (r == 0)
		r = auth_names_resolve(c->operators, true, &names.operators, on_unknown_name,
				       operators);
	for (; r == 0 && names.n < c->n_domains; names.n += r == 0)
		r = auth_names_resolve(c->domains[names.n]->allow, false, &names.allow[names.n],
				       on_unknown_name, allow);
	if (r < 0)
		api_names_done(&names);
	else
		*ret = names;
	return r;
}

void api_names_done(struct api_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		auth_names_done(&names->allow[i]);
	free(names->allow);
	auth_names_done(&names->operators);
	*names = (struct api_names){ 0 };
}

int api_reload(struct api *a, struct config *config)
{
	struct api_names names;
	int r = api_names_resolve(config, &names);

	if (r < 0)
		return r;
	r = manager_reload(a->manager, config);
	if (r < 0) {
		api_names_done(&names);
		return r;
	}
	api_names_done(&a->names);
	a->names = names;
	return 0;
}
