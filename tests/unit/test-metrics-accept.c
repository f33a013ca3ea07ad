/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/metrics-accept.h"

static const struct {
	const char *who, *accept;
	enum metrics_format format;
} clients[] = {
	{ "says nothing", NULL, METRICS_OPENMETRICS },
	{ "says nothing in it", "", METRICS_OPENMETRICS },
	{ "curl", "*/*", METRICS_OPENMETRICS },
	{ "Prometheus 2.42",
	  "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
	  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
	  METRICS_OPENMETRICS },
	{ "Prometheus 2.49",
	  "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
	  "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
	  METRICS_OPENMETRICS },
	{ "Prometheus 1", "text/plain;version=0.0.4;q=1,*/*;q=0.1", METRICS_PROMETHEUS },
	{ "Telegraf",
	  "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,"
	  "text/plain;version=0.0.4;q=0.3",
	  METRICS_PROMETHEUS },
	{ "a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
	  METRICS_OPENMETRICS },
	{ "any text", "text/*", METRICS_PROMETHEUS },
	{ "no OpenMetrics", "application/openmetrics-text;q=0, */*", METRICS_PROMETHEUS },
	{ "text rather", " Text/Plain ; Q=0.9 , Application/OpenMetrics-Text ; q=0.85",
	  METRICS_PROMETHEUS },
	{ "both alike", "text/plain;q=0.5,application/openmetrics-text;q=0.5",
	  METRICS_OPENMETRICS },
	{ "a weight without a number", "text/plain;q=x,application/openmetrics-text;q=0.9",
	  METRICS_PROMETHEUS },
	{ "too much weight", "text/plain;q=1.9,application/openmetrics-text", METRICS_OPENMETRICS },
	{ "many digits", "text/plain;q=0.00000000000009,application/openmetrics-text;q=0.001",
	  METRICS_OPENMETRICS },
	{ "another type with the same beginning", "text/plainer,text/pla", METRICS_OPENMETRICS },
	{ "separators", ",;,;;q=,;q,,/,*,*/,q=1;q=1", METRICS_OPENMETRICS },
};

static void a_client_gets_what_it_prefers(void **state)
{
	for (size_t i = 0; i < sizeof(clients) / sizeof(*clients); i++)
		if (metrics_accept(clients[i].accept) != clients[i].format)
			fail_msg("who %s gets the other format", clients[i].who);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_gets_what_it_prefers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
