/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/report.h"

#include "daemon/json-out.h"

/* A percentage in thousandths is written as milliseconds are: exactly, with one to three decimals. */
static void add_percent(json_object *o, const char *key, int64_t thousandths)
{
	json_out_ms(o, key, thousandths);
}

static void add_share(json_object *o, const char *key, uint16_t share)
{
	if (share == LOAD_NO_SHARE)
		json_out_null(o, key);
	else
		add_percent(o, key, (int64_t)share * 100);
}

static void add_pressure(json_object *o, const char *key, uint16_t hundredths)
{
	if (hundredths == LOAD_NO_SHARE)
		json_out_null(o, key);
	else
		add_percent(o, key, (int64_t)hundredths * 10);
}

static json_object *report_pressure(const struct record_load *r)
{
	json_object *o;

	if (r->avg10 == LOAD_NO_SHARE && r->avg60 == LOAD_NO_SHARE && r->total_us == LOAD_NO_TIME)
		return NULL;
	o = json_object_new_object();
	add_pressure(o, "avg10", r->avg10);
	add_pressure(o, "avg60", r->avg60);
	json_out_known(o, "total_us", r->total_us == LOAD_NO_TIME ? -1 : (int64_t)r->total_us);
	return o;
}

static json_object *report_average(const struct record_load *r)
{
	const uint32_t averages[] = { r->load1, r->load5, r->load15 };
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < sizeof(averages) / sizeof(*averages); i++) {
		if (averages[i] == LOAD_NO_NUMBER) {
			json_object_put(array);
			return NULL;
		}
		json_object_array_add(array, json_out_ms_new((int64_t)averages[i] * 10));
	}
	return array;
}

static json_object *report_cpus(const struct domain *d)
{
	json_object *array = json_object_new_array();

	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		const struct load_row *row = domain_load_row(d, i);
		json_object *o;

		if (!row)
			continue;
		o = json_object_new_object();
		json_out_int(o, "vcpu", i);
		json_out_int(o, "cpu", d->vcpus[i].cpu);
		add_share(o, "busy", row->busy);
		add_share(o, "steal", row->steal);
		json_object_array_add(array, o);
	}
	return array;
}

json_object *report_load(const struct domain *d, bool cpus, uint64_t now_us)
{
	const struct load *l = domain_load(d);
	struct load_row mean;
	json_object *o;

	if (!l)
		return NULL;
	mean = domain_load_mean(d);
	o = json_object_new_object();
	json_out_int(o, "age_ms", now_us > l->t_us ? (int64_t)((now_us - l->t_us) / 1000) : 0);
	json_out_int(o, "span_ms", l->guest.span_ms);
	json_object_object_add(o, "pressure", report_pressure(&l->guest));
	json_object_object_add(o, "average", report_average(&l->guest));
	json_out_known(o, "runnable",
		       l->guest.runnable == LOAD_NO_NUMBER ? -1 : (int64_t)l->guest.runnable);
	add_share(o, "busy", mean.busy);
	add_share(o, "steal", mean.steal);
	if (cpus)
		json_object_object_add(o, "cpus", report_cpus(d));
	return o;
}
