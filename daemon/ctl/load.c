/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/load.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/value.h"
#include <stdio.h>

enum { NUMBER_MAX = 32 };

static const char *format_number(json_object *value, char *buf, size_t size)
{
	bool number = json_object_is_type(value, json_type_int) ||
		      json_object_is_type(value, json_type_double);

	return output_cell(number ? value : NULL, buf, size);
}

const char *load_number(json_object *o, const char *within, const char *key, char *buf, size_t size)
{
	return format_number(value_get(within ? value_object(o, within) : o, key), buf, size);
}

const char *load_average(json_object *load, char *buf, size_t size)
{
	json_object *averages = value_array(load, "average");

	return format_number(value_count(averages) ? value_at(averages, 0) : NULL, buf, size);
}

const char *load_words(json_object *load, char *buf, size_t size)
{
	char avg10[NUMBER_MAX], avg60[NUMBER_MAX], busy[NUMBER_MAX], steal[NUMBER_MAX],
		average[NUMBER_MAX], runnable[NUMBER_MAX];

	snprintf(buf, size, "pressure %s %s busy %s steal %s load %s runnable %s",
		 load_number(load, "pressure", "avg10", avg10, sizeof(avg10)),
		 load_number(load, "pressure", "avg60", avg60, sizeof(avg60)),
		 load_number(load, NULL, "busy", busy, sizeof(busy)),
		 load_number(load, NULL, "steal", steal, sizeof(steal)),
		 load_average(load, average, sizeof(average)),
		 load_number(load, NULL, "runnable", runnable, sizeof(runnable)));
	return buf;
}
