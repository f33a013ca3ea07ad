/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The JSON that users see, key by key and byte by byte. */
#include "daemon/ctl/client.h"
#include "daemon/json-in.h"
#include "daemon/report.h"
#include "fake-domain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct op *new_op(struct fake *f)
{
	const struct op_request r = { .id = "op-1", .goal = OP_GOAL_COUNT, .count = 2 };
	enum request_error error;
	struct op *o;
	char *text;

	assert_int_equal(domain_submit(&f->domain, &r, &o, &error, &text), 0);
	op_unref(o);
	return o;
}

static void init_entry(struct op_vcpu *v)
{
	*v = (struct op_vcpu){
		.vcpu = 1,
		.cpu = -1,
		.to = CPUHP_ONLINE,
		.state = CPUHP_OFFLINE,
		.ran_on = -1,
		.failed_at = -1,
		.rollback_failed_at = -1,
	};
}

/* @o is put. */
static void assert_json(json_object *o, const char *expected)
{
	assert_string_equal(json_object_to_json_string_ext(
				    o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
			    expected);
	json_object_put(o);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fake));
	assert_non_null(*state);
	fake_init(*state, NULL);
	return 0;
}

static int teardown(void **state)
{
	fake_done(*state);
	free(*state);
	return 0;
}

/* 41.2 ms after @o was accepted. */
static struct event failed_step(struct op *o)
{
	return (struct event){
		.type = EVENT_STEP,
		.t_us = o->accepted_us + 41200,
		.domain = o->domain,
		.op = o,
		.vcpu = 5,
		.cpu = 6,
		.state = CPUHP_AP_VERIFY,
		.name = "ap:verify",
		.startup = true,
		.rc = -EIO,
		.ran_on = 6,
		.kstep = -1,
		.text = "why",
	};
}

static void progress_of_a_step(void **state)
{
	const struct event e = failed_step(new_op(*state));

	assert_json(report_progress(&e),
		    "{\"op\":\"op-1\",\"vcpu\":5,\"cpu\":6,\"state\":9,\"name\":\"ap:verify\","
		    "\"phase\":\"exit\",\"rc\":-5,\"ran_on\":6,\"t_ms\":41.2,\"startup\":true,"
		    "\"rollback\":false,\"late\":false,\"text\":\"why\"}");
}

static void a_step_takes_the_place_of_the_one_before(void **state)
{
	struct fake *f = *state;
	struct op *o = new_op(f);
	struct event full = failed_step(o);
	const struct event bare = {
		.type = EVENT_STEP,
		.t_us = o->accepted_us,
		.op = o,
		.vcpu = 4,
		.cpu = -1,
		.state = CPUHP_QEMU_DEVICE,
		.enter = true,
		.ran_on = -1,
		.kstep = -1,
	};
	const struct event *const turns[] = { &full, &bare, &full, &bare };
	json_object *kept = json_object_new_object();

	full.rollback = full.late = true;
	for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
		json_object *fresh = report_progress(turns[i]);

		report_step(kept, turns[i]);
		assert_string_equal(json_object_to_json_string(kept),
				    json_object_to_json_string(fresh));
		json_object_put(fresh);
	}
	json_object_put(kept);
}

static void progress_of_the_kernel(void **state)
{
	struct fake *f = *state;
	struct op *o = new_op(f);
	const struct event e = {
		.type = EVENT_KSTEP,
		.t_us = o->accepted_us - 500, /* a guest's clock is only nearly ours */
		.domain = &f->domain,
		.op = o,
		.vcpu = 5,
		.cpu = -1,
		.state = CPUHP_AP_ONLINE,
		.enter = true,
		.startup = true,
		.rc = 7,
		.ran_on = -1,
		.kstep = 156,
		.kname = "smpboot/threads:online",
	};

	assert_json(report_progress(&e),
		    "{\"op\":\"op-1\",\"vcpu\":5,\"cpu\":null,\"state\":7,\"name\":\"ap:online\","
		    "\"kernel\":{\"step\":156,\"name\":\"smpboot/threads:online\","
		    "\"phase\":\"enter\",\"rc\":0},"
		    "\"phase\":\"enter\",\"rc\":0,\"ran_on\":null,\"t_ms\":-0.5,\"startup\":true,"
		    "\"rollback\":false,\"late\":false,\"text\":null}");
}

static void result_of_a_success(void **state)
{
	struct fake *f = *state;
	struct op *o = new_op(f);

	o->vcpus = calloc(1, sizeof(*o->vcpus));
	o->n_vcpus = 1;
	init_entry(&o->vcpus[0]);
	o->vcpus[0].cpu = 1;
	o->vcpus[0].state = CPUHP_ONLINE;
	o->vcpus[0].ran_on = 1;
	op_vcpu_keep_step(&o->vcpus[0], CPUHP_QEMU_DEVICE, 3100);
	op_vcpu_keep_step(&o->vcpus[0], CPUHP_AP_DYN + 1, 0);
	op_vcpu_keep_step(&o->vcpus[0], CPUHP_AP_ONLINE, 76000);
	o->ended = true;
	o->result = OP_DONE;
	o->counts.present = o->counts.online = 2;
	assert_json(report_result(o),
		    "{\"op\":\"op-1\",\"domain\":\"web1\",\"result\":\"done\",\"asked\":2,"
		    "\"present\":2,\"online\":2,\"standby\":0,\"refused_by\":null,\"error\":null,"
		    "\"vcpus\":[{\"vcpu\":1,\"cpu\":1,\"state\":44,\"name\":\"online\","
		    "\"result\":\"ok\",\"ran_on\":1,\"error\":null,\"failed_at\":null,\"rc\":0,"
		    "\"rollback\":null,\"ms\":{\"qemu:device\":3.1,\"ap:online\":76.0,"
		    "\"ap:dyn.20-log\":0.0}}]}");
}

static void a_callback_has_the_name_it_had(void **state)
{
	struct fake *f = *state;
	struct op *o = new_op(f);
	struct op_vcpu *v = o->vcpus = calloc(1, sizeof(*o->vcpus));
	json_object *result, *vcpu, *ms, *name;

	o->n_vcpus = 1;
	init_entry(v);
	v->state = CPUHP_AP_DYN + 1;
	op_vcpu_keep_step(v, CPUHP_AP_DYN + 1, 7000);
	assert_int_equal(op_keep_callback(o, CPUHP_AP_DYN + 1, "10-was"), 0);
	o->ended = true;
	/* The domain's own is 20-log by now; then the domain is detached. */
	for (int i = 0; i < 2; i++) {
		result = report_result(o);
		vcpu = json_object_array_get_idx(json_object_object_get(result, "vcpus"), 0);
		ms = json_object_object_get(vcpu, "ms");
		name = json_object_object_get(vcpu, "name");
		assert_non_null(json_object_object_get(ms, "ap:dyn.10-was"));
		assert_string_equal(json_object_get_string(name), "ap:dyn.10-was");
		json_object_put(result);
		o->domain = NULL;
	}
}

static void warnings_are_there_where_there_are_any(void **state)
{
	struct fake *f = *state;
	struct op *o = new_op(f);

	o->ended = true;
	o->result = OP_DONE;
	text_set(&o->warning, "many");
	assert_json(report_result(o),
		    "{\"op\":\"op-1\",\"domain\":\"web1\",\"result\":\"done\",\"asked\":2,"
		    "\"present\":0,\"online\":0,\"standby\":0,\"refused_by\":null,\"error\":null,"
		    "\"vcpus\":[],\"warnings\":[\"many\"]}");
}

static void fill_entry(struct op_vcpu *v, unsigned int vcpu)
{
	char name[MSG_NAME_MAX + 16] = "", error[TEXT_SIZE] = "";

	init_entry(v);
	v->vcpu = vcpu;
	v->cpu = v->ran_on = (int)vcpu;
	v->state = CPUHP_AP_DYN;
	v->rollback_failed_at = CPUHP_AP_DYN;
	v->rc = v->rollback_rc = INT32_MIN;
	v->result = VCPU_ROLLED_BACK;
	memset(name, 'x', sizeof(name) - 1);
	op_vcpu_keep_failed(v, CPUHP_AP_DYN, name);
	memset(error, 1, sizeof(error) - 1); /* written as \u0001 */
	text_set(&v->error, "%s", error);
	for (int i = 0; i < CPUHP_STATES; i++)
		op_vcpu_keep_step(v, i, UINT32_MAX);
}

/* As many vCPUs as can be, everything of each as long as it can be: vcpuhpctl takes it. */
static void the_longest_result_fits_what_the_client_takes(void **state)
{
	static const struct json_in_limits limits = { CLIENT_REPLY_MAX, JSON_IN_DEPTH,
						      CLIENT_STRUCTURAL_MAX };
	struct fake *f = *state;
	struct op *o = new_op(f);
	json_object *result, *parsed = NULL;
	const char *why = "";
	char *text;
	size_t len;

	for (int i = 0; i <= CPUHP_AP_DYN_END - CPUHP_AP_DYN; i++) {
		memset(f->domain.dyn_names[i], 'x', MSG_NAME_MAX);
		f->domain.dyn_names[i][MSG_NAME_MAX - 1] = (char)('A' + i);
	}
	o->n_vcpus = CPULIST_MAX;
	o->vcpus = calloc(o->n_vcpus, sizeof(*o->vcpus));
	for (unsigned int i = 0; i < o->n_vcpus; i++)
		fill_entry(&o->vcpus[i], i);
	o->ended = true;
	result = report_result(o);
	text = strdup(json_object_to_json_string_length(result, JSON_C_TO_STRING_PLAIN, &len));
	json_object_put(result);
	if (json_in_parse(text, len, &limits, &parsed, &why) < 0)
		fail_msg("%zu bytes: %s", len, why);
	assert_true(len > CLIENT_REPLY_MAX / 2); /* the limit is no wish */
	json_object_put(parsed);
	free(text);
}

static void R17_result_of_a_rollback_that_failed(void **state)
{
	struct fake *f = *state;
	struct op *o = new_op(f);
	struct op_vcpu *v = o->vcpus = calloc(1, sizeof(*o->vcpus));

	o->n_vcpus = 1;
	init_entry(v);
	v->state = -1;
	op_vcpu_keep_failed(v, CPUHP_AP_DYN + 1, "ap:dyn.20-log");
	v->rc = 137;
	v->rollback_failed_at = CPUHP_AP_ONLINE;
	v->rollback_rc = -EBUSY;
	v->result = VCPU_FAILED;
	text_set(&v->error, "killed");
	text_set(&o->error, "stopped");
	o->ended = true;
	o->result = OP_STUCK;
	o->refused_by = "guest";
	o->domain = NULL; /* detached meanwhile */
	assert_json(report_result(o),
		    "{\"op\":\"op-1\",\"domain\":\"web1\",\"result\":\"stuck\",\"asked\":2,"
		    "\"present\":0,\"online\":0,\"standby\":0,\"refused_by\":\"guest\","
		    "\"error\":\"stopped\","
		    "\"vcpus\":[{\"vcpu\":1,\"cpu\":null,\"state\":null,\"name\":null,"
		    "\"result\":\"failed\",\"ran_on\":null,\"error\":\"killed\","
		    "\"failed_at\":\"ap:dyn.20-log\",\"rc\":137,"
		    "\"rollback\":{\"failed_at\":\"ap:online\",\"rc\":-16},\"ms\":{}}]}");
}

static void an_operation_under_way_claims_nothing(void **state)
{
	struct fake *f = *state;
	struct op *o = new_op(f);

	o->vcpus = calloc(1, sizeof(*o->vcpus));
	o->n_vcpus = 1;
	init_entry(&o->vcpus[0]);
	o->running = true;
	o->result = OP_DONE; /* not final yet */
	assert_json(report_result(o),
		    "{\"op\":\"op-1\",\"domain\":\"web1\",\"result\":\"accepted\",\"asked\":2,"
		    "\"present\":2,\"online\":1,\"standby\":1,\"refused_by\":null,\"error\":null,"
		    "\"vcpus\":[{\"vcpu\":1,\"cpu\":null,\"state\":0,\"name\":\"offline\","
		    "\"result\":\"pending\",\"ran_on\":null,\"error\":null,\"failed_at\":null,"
		    "\"rc\":0,\"rollback\":null,\"ms\":{}}]}");
}

static void an_operation_shows_what_is_known_of_the_counts(void **state)
{
	struct fake *f = *state;
	struct op *o = new_op(f);

	f->vcpus[0].state = -1;
	assert_json(report_result(o),
		    "{\"op\":\"op-1\",\"domain\":\"web1\",\"result\":\"accepted\",\"asked\":2,"
		    "\"present\":2,\"online\":null,\"standby\":null,\"refused_by\":null,"
		    "\"error\":null,\"vcpus\":[]}");
	o->ended = true;
	o->result = OP_VM_GONE;
	o->counts = VCPU_COUNTS_UNKNOWN;
	assert_json(report_result(o),
		    "{\"op\":\"op-1\",\"domain\":\"web1\",\"result\":\"vm-gone\",\"asked\":2,"
		    "\"present\":null,\"online\":null,\"standby\":null,\"refused_by\":null,"
		    "\"error\":null,\"vcpus\":[]}");
}

static void info_of_a_running_domain(void **state)
{
	struct fake *f = *state;
	struct domain *d = &f->domain;

	d->n_vcpus = 2;
	strcpy(d->facts.uuid, "b4a0c8a2-7a62-4d4e-9d9e-000000000001");
	strcpy(d->facts.accel, "kvm");
	d->agent_up = d->hello_known = true;
	strcpy(d->hello.version, "0.1.0");
	strcpy(d->hello.kernel, "6.1.0");
	for (int i = 0; i < 16; i++)
		d->hello.boot_id[i] = (uint8_t)(i * 17);
	f->vcpus[1].props = (char[]){ "{\"socket-id\":0,\"core-id\":1,\"thread-id\":0}" };
	f->vcpus[1].pending = VCPU_PENDING_UNPLUG;
	strcpy(f->vcpus[1].drift, "offlined by root");
	assert_json(report_info(d, 3500000),
		    "{\"domain\":\"web1\",\"uuid\":\"b4a0c8a2-7a62-4d4e-9d9e-000000000001\","
		    "\"hypervisor\":\"qemu\",\"status\":\"running\",\"why\":null,"
		    "\"leaving\":null,\"accel\":\"kvm\","
		    "\"agent\":{\"connected\":true,\"version\":\"0.1.0\",\"kernel\":\"6.1.0\","
		    "\"boot_id\":\"00112233-4455-6677-8899-aabbccddeeff\",\"why\":null},"
		    "\"maximum\":2,\"present\":2,\"online\":1,\"standby\":1,"
		    "\"operation\":null,\"unsupported\":null,"
		    "\"load\":null,\"load_why\":\"nobody has asked\","
		    "\"vcpus\":[{\"vcpu\":0,\"cpu\":0,\"slot\":null,\"boot\":true,\"owned\":false,"
		    "\"state\":44,\"name\":\"online\",\"ran_on\":0,\"pending\":null,"
		    "\"drift\":null,\"since_ms\":2500},"
		    "{\"vcpu\":1,\"cpu\":1,\"slot\":{\"socket-id\":0,\"core-id\":1,"
		    "\"thread-id\":0},\"boot\":false,\"owned\":true,\"state\":6,"
		    "\"name\":\"standby\",\"ran_on\":null,\"pending\":\"unplug\","
		    "\"drift\":\"offlined by root\",\"since_ms\":2500}]}");
}

static void unknown_is_null(void **state)
{
	struct fake *f = *state;
	struct domain *d = &f->domain;

	d->attached = false;
	d->leaving = DOMAIN_LEAVES;
	strcpy(d->why, "cannot connect to /q: Connection refused");
	d->n_vcpus = 0;
	assert_json(report_summary(d, 0),
		    "{\"domain\":\"web1\",\"uuid\":null,\"hypervisor\":\"qemu\","
		    "\"status\":\"attaching\","
		    "\"why\":\"cannot connect to /q: Connection refused\","
		    "\"leaving\":\"it leaves\",\"accel\":null,"
		    "\"agent\":{\"connected\":false,\"version\":null,\"kernel\":null,"
		    "\"boot_id\":null,\"why\":\"nobody answers\"},\"maximum\":null,"
		    "\"present\":null,\"online\":null,\"standby\":null,\"operation\":null,"
		    "\"load\":null,\"load_why\":\"nobody has asked\"}");
	/* QEMU is known, the guest never spoke: what it has online is not known. */
	d->attached = true;
	d->leaving = DOMAIN_STAYS;
	d->n_vcpus = 4;
	f->vcpus[1].state = -1;
	assert_json(report_summary(d, 0),
		    "{\"domain\":\"web1\",\"uuid\":null,\"hypervisor\":\"qemu\","
		    "\"status\":\"running\",\"why\":null,\"leaving\":null,\"accel\":null,"
		    "\"agent\":{\"connected\":false,\"version\":null,\"kernel\":null,"
		    "\"boot_id\":null,\"why\":\"nobody answers\"},\"maximum\":4,"
		    "\"present\":2,\"online\":null,\"standby\":null,\"operation\":null,"
		    "\"load\":null,\"load_why\":\"nobody has asked\"}");
}

/* Row: an event and what it is told as. */
static const struct {
	struct event event;
	const char *json;
} events[] = {
	{ { .type = EVENT_STATE, .vcpu = 1, .cpu = 1, .state = 6, .name = "standby", .ran_on = -1 },
	  "{\"type\":\"state\",\"domain\":\"web1\",\"vcpu\":1,\"cpu\":1,\"state\":6,"
	  "\"name\":\"standby\",\"ran_on\":null,\"op\":null,\"t_us\":7,\"error_us\":0,"
	  "\"text\":null}" },
	{ { .type = EVENT_STATE, .vcpu = 1, .cpu = -1, .state = -1, .name = "", .ran_on = -1 },
	  "{\"type\":\"state\",\"domain\":\"web1\",\"vcpu\":1,\"cpu\":null,\"state\":null,"
	  "\"name\":null,\"ran_on\":null,\"op\":null,\"t_us\":7,\"error_us\":0,\"text\":null}" },
	{ { .type = EVENT_REMOVED, .vcpu = 3, .cpu = -1, .state = 0, .ran_on = -1 },
	  "{\"type\":\"removed\",\"domain\":\"web1\",\"vcpu\":3,\"op\":null,\"t_us\":7,"
	  "\"error_us\":0,\"text\":null}" },
	{ { .type = EVENT_DRIFT,
	    .vcpu = 1,
	    .cpu = 1,
	    .state = 6,
	    .name = "standby",
	    .text = "offlined by root" },
	  "{\"type\":\"drift\",\"domain\":\"web1\",\"vcpu\":1,\"cpu\":1,\"state\":6,"
	  "\"name\":\"standby\",\"op\":null,\"t_us\":7,\"error_us\":0,"
	  "\"text\":\"offlined by root\"}" },
	{ { .type = EVENT_AGENT, .vcpu = -1, .text = "gone" },
	  "{\"type\":\"agent\",\"domain\":\"web1\",\"connected\":false,\"op\":null,\"t_us\":7,"
	  "\"error_us\":0,\"text\":\"gone\"}" },
	{ { .type = EVENT_DOMAIN, .vcpu = -1, .text = "" },
	  "{\"type\":\"domain\",\"domain\":\"web1\",\"status\":\"running\",\"op\":null,\"t_us\":7,"
	  "\"error_us\":0,\"text\":null}" },
	{ { .type = EVENT_CONFIG, .vcpu = -1, .text = "the persistent configuration has 3" },
	  "{\"type\":\"config\",\"domain\":\"web1\",\"op\":null,\"t_us\":7,\"error_us\":0,"
	  "\"text\":\"the persistent configuration has 3\"}" },
	{ { .type = EVENT_LOG, .vcpu = -1, .text = "hello" },
	  "{\"type\":\"log\",\"domain\":\"web1\",\"op\":null,\"t_us\":7,\"error_us\":0,"
	  "\"text\":\"hello\"}" },
	{ { .type = EVENT_STEP,
	    .error_us = 3,
	    .vcpu = 2,
	    .cpu = 2,
	    .state = 8,
	    .name = "ap:threads",
	    .enter = true,
	    .rollback = true,
	    .late = true,
	    .ran_on = -1,
	    .kstep = -1 },
	  "{\"type\":\"step\",\"domain\":\"web1\",\"op\":null,\"vcpu\":2,\"cpu\":2,\"state\":8,"
	  "\"name\":\"ap:threads\",\"phase\":\"enter\",\"rc\":0,\"ran_on\":null,\"t_ms\":null,"
	  "\"startup\":false,\"rollback\":true,\"late\":true,\"t_us\":7,\"error_us\":3,"
	  "\"text\":null}" },
};

static void events_of_every_kind(void **state)
{
	struct fake *f = *state;

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		struct event e = events[i].event;

		e.domain = &f->domain;
		e.t_us = 7;
		assert_json(report_event(&e), events[i].json);
	}
}

static void event_of_an_operation(void **state)
{
	struct fake *f = *state;
	struct event e = { .type = EVENT_OPERATION, .domain = &f->domain, .op = new_op(f) };

	e.op->running = true;
	assert_json(report_event(&e), "{\"type\":\"operation\",\"domain\":\"web1\","
				      "\"result\":\"accepted\",\"running\":true,\"op\":\"op-1\","
				      "\"t_us\":0,\"error_us\":0,\"text\":null}");
	e.op->ended = true;
	e.op->result = OP_NO_AGENT;
	assert_json(report_event(&e), "{\"type\":\"operation\",\"domain\":\"web1\","
				      "\"result\":\"no-agent\",\"running\":false,\"op\":\"op-1\","
				      "\"t_us\":0,\"error_us\":0,\"text\":null}");
}

/* A trace that has gone round: oldest first, by operation where asked. */
static void trace_keeps_the_order(void **state)
{
	struct fake *f = *state;
	struct op *o = new_op(f);
	struct trace_record *r = calloc(TRACE_RECORDS_MAX, sizeof(*r));
	json_object *steps;

	assert_non_null(r);
	f->domain.trace = (struct trace_ring){ .records = r, .head = 3, .n = TRACE_RECORDS_MAX };
	f->domain.kept[f->domain.n_kept++] = o;
	for (unsigned int i = 0; i < TRACE_RECORDS_MAX; i++)
		r[(3 + i) % TRACE_RECORDS_MAX] = (struct trace_record){
			.t_us = o->accepted_us + i * UINT64_C(1000),
			.op_tag = i % 1024 == 1 ? o->tag : 0,
			.vcpu = 1,
			.cpu = MSG_NO_CPU,
			.kstep = i % 2 ? 156 : UINT16_MAX,
			.ran_on = MSG_NO_CPU,
			.state = CPUHP_AP_ONLINE,
			.flags = TRACE_ENTER | TRACE_STARTUP,
			.error_us = 9,
		};
	assert_json(report_trace(&f->domain, o),
		    "[{\"op\":\"op-1\",\"vcpu\":1,\"cpu\":null,\"state\":7,\"name\":\"ap:online\","
		    "\"kernel\":{\"step\":156,\"name\":\"smpboot/threads:online\","
		    "\"phase\":\"enter\",\"rc\":0},\"phase\":\"enter\",\"rc\":0,\"ran_on\":null,"
		    "\"t_us\":5001000,\"error_us\":9,\"startup\":true,\"rollback\":false,"
		    "\"late\":false},"
		    "{\"op\":\"op-1\",\"vcpu\":1,\"cpu\":null,\"state\":7,\"name\":\"ap:online\","
		    "\"kernel\":{\"step\":156,\"name\":\"smpboot/threads:online\","
		    "\"phase\":\"enter\",\"rc\":0},\"phase\":\"enter\",\"rc\":0,\"ran_on\":null,"
		    "\"t_us\":6025000,\"error_us\":9,\"startup\":true,\"rollback\":false,"
		    "\"late\":false}]");
	steps = report_trace(&f->domain, NULL);
	assert_int_equal(json_object_array_length(steps), TRACE_RECORDS_MAX);
	json_object_put(steps);
	steps = report_op_trace(o);
	assert_int_equal(json_object_array_length(steps), 2);
	assert_string_equal(
		json_object_to_json_string_ext(
			json_object_object_get(json_object_array_get_idx(steps, 1), "t_ms"),
			JSON_C_TO_STRING_PLAIN),
		"1025.0");
	json_object_put(steps);
	free(r);
}

static void ladder_as_it_stands(void **state)
{
	struct fake *f = *state;
	json_object *all = report_states(NULL), *of_domain = report_states(&f->domain);

	assert_int_equal(json_object_array_length(all), CPUHP_STATES);
	/* 45 but the 31 dynamic ones, and the one callback that stands. */
	assert_int_equal(json_object_array_length(of_domain), CPUHP_STATES - 31 + 1);
	assert_json(
		json_object_get(json_object_array_get_idx(of_domain, 12)),
		"{\"state\":13,\"name\":\"ap:dyn.20-log\",\"meaning\":\"a registered callback\","
		"\"side\":\"worker\",\"target\":true,\"skip_rollback\":false,"
		"\"startup_ms\":10000,\"teardown_ms\":10000}");
	assert_json(json_object_get(json_object_array_get_idx(all, 43)),
		    "{\"state\":43,\"name\":\"ap:active\","
		    "\"meaning\":\"the CPU is announced to the guest's programs\","
		    "\"side\":\"worker\",\"target\":true,\"skip_rollback\":true,"
		    "\"startup_ms\":5000,\"teardown_ms\":5000}");
	assert_json(json_object_get(json_object_array_get_idx(all, 0)),
		    "{\"state\":0,\"name\":\"offline\",\"meaning\":\"no vCPU in QEMU\","
		    "\"side\":\"-\",\"target\":true,\"skip_rollback\":false,\"startup_ms\":0,"
		    "\"teardown_ms\":0}");
	json_object_put(all);
	json_object_put(of_domain);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(progress_of_a_step),
		CASE(a_step_takes_the_place_of_the_one_before),
		CASE(progress_of_the_kernel),
		CASE(result_of_a_success),
		CASE(a_callback_has_the_name_it_had),
		CASE(warnings_are_there_where_there_are_any),
		CASE(the_longest_result_fits_what_the_client_takes),
		CASE(R17_result_of_a_rollback_that_failed),
		CASE(an_operation_under_way_claims_nothing),
		CASE(an_operation_shows_what_is_known_of_the_counts),
		CASE(info_of_a_running_domain),
		CASE(unknown_is_null),
		CASE(events_of_every_kind),
		CASE(event_of_an_operation),
		CASE(trace_keeps_the_order),
		CASE(ladder_as_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
