/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/step.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/value.h"
#include "daemon/json-in.h"
#include "proto/cpulist.h"
#include "proto/ladder.h"
#include <errno.h>
#include <string.h>

/* @key as an int; @otherwise where it is missing, no integer or beyond an int. */
static int small(json_object *o, const char *key, int otherwise)
{
	int64_t n = otherwise;

	json_in_int(o, key, INT32_MIN, INT32_MAX, &n);
	return (int)n;
}

/* 1 "enter", 0 "exit", -EINVAL */
static int parse_phase(json_object *o)
{
	const char *phase = value_string(o, "phase", "");

	if (strcmp(phase, "enter") == 0)
		return 1;
	return strcmp(phase, "exit") == 0 ? 0 : -EINVAL;
}

static void parse_kernel(json_object *kernel, struct step *s)
{
	int phase = parse_phase(kernel);

	if (!kernel)
		return;
	s->kernel = true;
	s->kstep = small(kernel, "step", -1);
	output_clean(value_string(kernel, "name", ""), s->kname, sizeof(s->kname));
	s->kenter = phase < 0 ? s->enter : phase > 0;
	s->krc = small(kernel, "rc", 0);
}

int step_parse(json_object *o, struct step *ret)
{
	struct step s = { 0 };
	int64_t vcpu, state;
	int phase = parse_phase(o);

	if (json_in_int(o, "vcpu", 0, CPULIST_MAX - 1, &vcpu) < 0 ||
	    json_in_int(o, "state", 0, CPUHP_STATES - 1, &state) < 0 || phase < 0)
		return -EINVAL;
	s.vcpu = (int)vcpu;
	s.state = (int)state;
	s.enter = phase > 0;
	s.cpu = small(o, "cpu", -1);
	s.rc = small(o, "rc", 0);
	s.ran_on = small(o, "ran_on", -1);
	s.t_ms = value_number(o, "t_ms", 0);
	s.startup = value_bool(o, "startup", true);
	s.rollback = value_bool(o, "rollback", false);
	s.late = value_bool(o, "late", false);
	output_clean(value_string(o, "name", ladder_name(s.state)), s.name, sizeof(s.name));
	output_clean(value_string(o, "text", ""), s.text, sizeof(s.text));
	parse_kernel(value_object(o, "kernel"), &s);
	*ret = s;
	return 0;
}

const char *step_format_ms(double ms, char *buf, size_t size)
{
	if (!(ms >= 0)) /* a clock that ran back, or no number */
		ms = 0;
	if (ms < 9999.95)
		snprintf(buf, size, "%.1f ms", ms);
	else if (ms < 60000)
		snprintf(buf, size, "%.1f s", ms / 1000);
	else if (ms < 86400000.0 * 100)
		snprintf(buf, size, "%lldm%02lds", (long long)(ms / 60000), (long)(ms / 1000) % 60);
	else
		snprintf(buf, size, "long");
	return buf;
}

const char *step_format_rc(int rc, char *buf, size_t size)
{
	const char *name = rc < 0 && rc >= -4095 ? strerrordesc_np(-rc) : NULL;

	if (name)
		snprintf(buf, size, "%s (%d)", name, rc);
	else if (rc > 128 && rc < 128 + 65)
		snprintf(buf, size, "signal %d", rc - 128);
	else if (rc > 0)
		snprintf(buf, size, "exit status %d", rc);
	else
		snprintf(buf, size, "error %d", rc);
	return buf;
}

const char *step_skip_vcpu(const char *sentence)
{
	size_t n = strncmp(sentence, "vcpu ", 5) ? 0 : 5 + strspn(sentence + 5, "0123456789");

	return n && strncmp(sentence + n, ": ", 2) == 0 ? sentence + n + 2 : sentence;
}
