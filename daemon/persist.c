/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/op.h"
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const result_names[PERSIST_RESULTS] = {
	[PERSIST_SKIPPED] = "skipped",
	[PERSIST_DONE] = "done",
	[PERSIST_FAILED] = "failed",
	[PERSIST_UNKNOWN] = "unknown",
};

const char *persist_result_name(enum persist_result r)
{
	assert(r < PERSIST_RESULTS);
	return result_names[r];
}

__attribute__((format(printf, 4, 5))) static bool deny(struct persist_denial *ret,
						       enum request_error error, const char *by,
						       const char *format, ...)
{
	va_list ap;

	ret->error = error;
	ret->by = by;
	va_start(ap, format);
	vsnprintf(ret->text, sizeof(ret->text), format, ap);
	va_end(ap);
	return true;
}

void op_request_persist(const struct op_request *r, struct persist_change *ret)
{
	*ret = (struct persist_change){ .count = r->count, .list = r->list };
	if (r->goal == OP_GOAL_COUNT)
		ret->kind = PERSIST_COUNT;
	else
		ret->kind = r->target == CPUHP_ONLINE ? PERSIST_ENABLE : PERSIST_DISABLE;
}

unsigned int persist_after(const struct persist_domain *d, const struct persist_change *c)
{
	bool enable = c->kind == PERSIST_ENABLE;
	unsigned int n = d->present;

	if (c->kind == PERSIST_COUNT)
		return c->count;
	if (c->kind == PERSIST_NOTHING)
		return n;
	for (int i = cpulist_next(&c->list, 0); i >= 0;
	     i = cpulist_next(&c->list, (unsigned int)i + 1)) {
		if (cpulist_has(&d->enabled, (unsigned int)i) == enable)
			continue;
		n = enable ? n + 1 : n - 1;
	}
	return n;
}

/* What only a list of vCPUs can be wrong in. */
static bool is_list_denied(const struct persist_domain *d, const struct persist_change *c,
			   struct persist_denial *ret)
{
	int beyond = cpulist_next(&c->list, d->maximum);

	if (c->kind != PERSIST_ENABLE && c->kind != PERSIST_DISABLE)
		return false;
	if (beyond >= 0)
		return deny(ret, ERR_NO_SUCH_VCPU, NULL,
			    "%s has no vcpu %d in its persistent configuration: the maximum there "
			    "is %u",
			    d->name, beyond, d->maximum);
	if (cpulist_has(&c->list, 0))
		return deny(ret, ERR_REFUSED, "policy",
			    "vcpu 0 is the boot vCPU: every configuration has it enabled");
	return false;
}

bool persist_is_denied(const struct persist_domain *d, const struct persist_change *c,
		       unsigned int ceiling, struct persist_denial *ret)
{
	unsigned int after;

	if (!d->persistent)
		return deny(ret, ERR_REFUSED, "policy",
			    "%s is a transient domain: it has no persistent configuration",
			    d->name);
	if (c->kind == PERSIST_COUNT && c->count > d->maximum)
		return deny(ret, ERR_REFUSED, "limit",
			    "%u vCPUs asked, the maximum in the persistent configuration of %s is "
			    "%u",
			    c->count, d->name, d->maximum);
	if (is_list_denied(d, c, ret))
		return true;
	after = persist_after(d, c);
	if (ceiling && after > ceiling && after > d->present)
		return deny(ret, ERR_REFUSED, "policy",
			    "%u vCPUs would be in the persistent configuration, MaxVcpus= is %u",
			    after, ceiling);
	return false;
}

void persist_explain(const struct persist_answer *a, const char *word, bool changing,
		     struct persist_denial *ret)
{
	const char *colon = *a->text ? ": " : "";

	switch (a->rc) {
	case -ENOENT:
		deny(ret, ERR_NO_SUCH_DOMAIN, NULL, "there is no domain %s", word);
		break;
	case -ENOTCONN:
		deny(ret, ERR_INTERNAL, NULL,
		     "libvirtd cannot be reached%s%s; the persistent configuration was not changed",
		     colon, a->text);
		break;
	case -ECONNRESET:
		deny(ret, ERR_INTERNAL, NULL, "libvirtd was lost%s%s; %s", colon, a->text,
		     changing ? "whether the persistent configuration was changed is not known"
			      : "the persistent configuration was not changed");
		break;
	case -ESTALE:
		deny(ret, ERR_INTERNAL, NULL,
		     "the persistent configuration was changed, but cannot be read again%s%s",
		     colon, a->text);
		break;
	case -EBUSY:
		deny(ret, ERR_BUSY, NULL, "libvirt is busy with %s%s%s", word, colon, a->text);
		break;
	case -EPERM:
		deny(ret, ERR_PERMISSION, NULL, "libvirt does not permit it%s%s", colon, a->text);
		break;
	case -ENOMEM:
		deny(ret, ERR_INTERNAL, NULL, "out of memory");
		break;
	default:
		deny(ret, ERR_REFUSED, "policy", "libvirt refuses%s%s", colon, a->text);
		break;
	}
}
