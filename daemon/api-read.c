/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api-internal.h"
#include "daemon/metrics.h"
#include "daemon/report.h"
#include "daemon/vcpu.h"
#include <stdlib.h>
#include <string.h>

/* Methods that only look: all from memory, nothing is asked of QEMU or the guest. */

void api_get_host(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;

	api_reply(call, "host", report_host(a->manager, now_us()));
}

void api_list_domains(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;
	json_object *domains = json_object_new_array();

	for (unsigned int i = 0; i < a->manager->n_domains; i++)
		json_object_array_add(domains, report_summary(a->manager->domains[i], now_us()));
	api_reply(call, "domains", domains);
}

void api_get_domain(void *ctx, struct varlink_call *call)
{
	const struct domain *d = api_domain(ctx, call);

	if (d)
		api_reply(call, "info", report_info(d, now_us()));
}

void api_list_states(void *ctx, struct varlink_call *call)
{
	const struct domain *d = NULL;

	if (varlink_call_str(call, "domain", NULL)) {
		d = api_domain(ctx, call);
		if (!d)
			return;
	}
	api_reply(call, "states", report_states(d));
}

void api_get_trace(void *ctx, struct varlink_call *call)
{
	const struct domain *d = api_domain(ctx, call);
	const struct op *o = NULL;

	if (!d)
		return;
	if (varlink_call_str(call, "op", NULL)) {
		o = api_op(ctx, call);
		if (!o)
			return;
	}
	if (o && o->domain != d)
		api_fail(call, ERR_NO_SUCH_OPERATION, "operation %s is not of %s", o->id,
			 d->config->name);
	else
		api_reply(call, "steps", report_trace(d, o));
}

void api_metrics(void *ctx, struct varlink_call *call)
{
	struct api *a = ctx;
	const char *word = varlink_call_str(call, "format", "openmetrics");
	enum metrics_format format =
		strcmp(word, "prometheus") == 0 ? METRICS_PROMETHEUS : METRICS_OPENMETRICS;
	char *text;

	if (format == METRICS_OPENMETRICS && strcmp(word, "openmetrics") != 0) {
		api_fail_parameter(call, "format", "a format is openmetrics or prometheus, not %s",
				   word);
		return;
	}
	text = metrics_format(a->manager, format, NULL);
	if (text)
		api_reply(call, "text", json_object_new_string(text));
	else
		api_fail(call, ERR_INTERNAL, "out of memory");
	free(text);
}
