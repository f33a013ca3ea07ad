/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/value.h"
#include "daemon/json-in.h"

json_object *value_get(json_object *o, const char *key)
{
	json_object *v = NULL;

	if (json_object_is_type(o, json_type_object))
		json_object_object_get_ex(o, key, &v);
	return v;
}

const char *value_string(json_object *o, const char *key, const char *otherwise)
{
	const char *s = otherwise;

	json_in_str(o, key, SIZE_MAX, &s);
	return s;
}

int64_t value_int(json_object *o, const char *key, int64_t otherwise)
{
	int64_t n = otherwise;

	json_in_int(o, key, INT64_MIN, INT64_MAX, &n);
	return n;
}

bool value_bool(json_object *o, const char *key, bool otherwise)
{
	bool b = otherwise;

	json_in_bool(o, key, &b);
	return b;
}

double value_number(json_object *o, const char *key, double otherwise)
{
	json_object *v = value_get(o, key);

	if (json_object_is_type(v, json_type_double) || json_object_is_type(v, json_type_int))
		return json_object_get_double(v);
	return otherwise;
}

json_object *value_object(json_object *o, const char *key)
{
	json_object *v = value_get(o, key);

	return json_object_is_type(v, json_type_object) ? v : NULL;
}

json_object *value_array(json_object *o, const char *key)
{
	json_object *v = value_get(o, key);

	return json_object_is_type(v, json_type_array) ? v : NULL;
}

size_t value_count(json_object *array)
{
	return array ? json_object_array_length(array) : 0;
}

json_object *value_at(json_object *array, size_t i)
{
	return json_object_array_get_idx(array, i);
}
