/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every allocation made to fail in its turn
 *
 * Each function below does one job of the daemon's from beginning to end. It is run with its first
 * allocation failing, then with its second, and so on until it comes through without having met a
 * failure; and all of that once more with what follows failing too. It returns 0 or the first error; the error must be -ENOMEM if and only if an allocation
 * failed, outputs must be as the headers say, and a job that succeeds must have done all of its
 * work. That nothing leaks shows under ASan.
 */
#include "fake-root.h"

#include "daemon/config-key.h"
#include "daemon/json-in.h"
#include "daemon/qmp-msg.h"
#include "daemon/slots.h"
#include "daemon/varlink-request.h"
#include "shortage.h"

enum { ENDLESS = 10000 };

/* What was made before, with memory for all of it. */
static struct {
	void *root; /* not the group's state: it would take the place of the job */
	char config[128];
	json_object *slots, *threads;
} supplies;

static int load_a_configuration(void)
{
	struct config untouched, *c = &untouched;
	char *error = NULL;
	int r = config_load(supplies.config, &c, &error);

	if (r < 0) {
		assert_ptr_equal(c, &untouched);
		assert_true(!error || strstr(error, "emory"));
		free(error);
		return r;
	}
	assert_null(error);
	assert_int_equal(c->n_domains, 3);
	assert_string_equal(c->operators[1], "vcpuhp");
	assert_string_equal(c->metrics_listen, "/m");
	assert_string_equal(c->domains[0]->allow[0], "carol");
	assert_string_equal(c->domains[2]->agent, "/run/w3.agent");
	config_free(c);
	return 0;
}

static int copy_a_domain(void)
{
	const struct domain_config d = {
		.name = "web1",
		.qmp = (char[]){ "/run/w1.qmp" },
		.agent = (char[]){ "/run/w1.agent" },
		.allow = (char *[]){ (char[]){ "alice" }, (char[]){ "@web" }, NULL },
	};
	struct domain_config *copy = domain_config_copy(&d);

	if (!copy)
		return -ENOMEM;
	assert_string_equal(copy->agent, d.agent);
	assert_string_equal(copy->allow[1], d.allow[1]);
	assert_null(copy->allow[2]);
	domain_config_free(copy);
	return 0;
}

/* The first error stays. */
static void keep(int *first, int r)
{
	if (*first == 0)
		*first = r;
}

/* Lines longer and shorter than what is kept; a piece without memory comes again when there is. */
static int take_lines_in_pieces(void)
{
	static const size_t lengths[] = { 10, 0, 5000, 69986, 3, 40000, 1 };
	enum { N = sizeof(lengths) / sizeof(*lengths), TOTAL = 115000 + N, PIECE = 3000 };
	static char text[TOTAL];
	struct qmp_lines l = { 0 };
	size_t n = 0, at = 0;
	int first = 0;

	for (size_t i = 0; i < N; i++, at++) {
		memset(text + at, 'a' + (int)i, lengths[i]);
		at += lengths[i];
		text[at] = '\n';
	}
	assert_int_equal(at, TOTAL);
	for (at = 0; at < TOTAL; at += PIECE) {
		size_t len = TOTAL - at < PIECE ? TOTAL - at : PIECE;
		const char *line;
		int r = qmp_lines_push(&l, text + at, len);

		keep(&first, r);
		if (r < 0) {
			shortage_stop();
			assert_int_equal(qmp_lines_push(&l, text + at, len), 0);
		}
		for (; qmp_lines_pop(&l, &line, &len); n++) {
			assert_int_equal(len, lengths[n]);
			assert_true(len == 0 || line[len - 1] == 'a' + (char)n);
		}
	}
	assert_int_equal(n, N);
	qmp_lines_done(&l);
	return first;
}

static int read_qmp_messages(void)
{
	static const char *const lines[] = {
		"{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":22}}}}",
		"{\"return\":[{\"a\":\"b\"},[18446744073709551615,-1,0.5,true,false,null]],\"id\":1}",
		"{\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"},\"id\":2}",
		"{\"event\":\"STOP\",\"data\":{}}",
	};
	int first = 0;

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct qmp_msg m = { .id = 99, .rc = 99 };
		const char *why = NULL;
		int r = qmp_msg_parse(lines[i], strlen(lines[i]), &m, &why);

		keep(&first, r);
		if (r == 0) {
			assert_int_equal(m.kind, i);
			assert_null(why);
			qmp_msg_done(&m);
			continue;
		}
		assert_string_equal(why, "out of memory");
		assert_true(m.id == 99 && m.rc == 99 && !m.root);
	}
	return first;
}

static int plug_a_vcpu(struct slots *s)
{
	static const char want[] = "{\"driver\":\"qemu64-x86_64-cpu\",\"id\":\"vhp-9\","
				   "\"socket-id\":1,\"die-id\":0,\"core-id\":0,\"thread-id\":1}";
	json_object *args = slots_device_add(s, 9, "vhp-9");
	int r;

	if (!args)
		return -ENOMEM;
	assert_string_equal(json_object_to_json_string_ext(args, JSON_C_TO_STRING_PLAIN), want);
	json_object_put(args);
	r = slots_set_plugged(s, 9, "vhp-9");
	assert_int_equal(s->table.slots[9].present, r == 0);
	assert_int_equal(slots_find_id(s, "vhp-9"), r == 0 ? 9 : -ENOENT);
	return r;
}

static int read_the_slots_of_a_q35(void)
{
	struct slots untouched, *s = &untouched;
	const char *why = NULL;
	int r = slots_parse(supplies.slots, &s, &why);

	if (r < 0) {
		assert_ptr_equal(s, &untouched);
		assert_string_equal(why, "out of memory");
		return r;
	}
	assert_int_equal(s->table.n, 16);
	r = slots_set_threads(s, supplies.threads);
	assert_int_equal(s->table.slots[2].thread_id, r == 0 ? 7078 : 0);
	if (r == 0)
		r = plug_a_vcpu(s);
	slots_free(s);
	return r;
}

static int make_a_table_without_slots(void)
{
	struct slots *s = slots_new_unsupported("none");

	if (!s)
		return -ENOMEM;
	assert_false(s->table.supported);
	slots_free(s);
	return 0;
}

static const struct varlink_param params[] = {
	{ "n", VARLINK_INT, true, 1, 9 },
	{ "word", VARLINK_STRING, true, 0, 3 },
	{ NULL },
};
static const struct varlink_method methods[] = {
	{ .name = "Do", .params = params },
	{ .name = "Watch", .needs_more = true },
	{ NULL },
};
static const struct varlink_interface strict = { "t.x", "", methods, "t.x.Range", NULL, NULL };
static const struct varlink_interface plain = { "t.y", "", methods, NULL, NULL, NULL };
static const struct varlink_interface *const interfaces[] = { &strict, &plain, NULL };

#define SERVICE_ERROR(name, params) "{\"error\":\"org.varlink.service." name "\"" params "}"
#define PARAMS(key, value) ",\"parameters\":{\"" key "\":\"" value "\"}"

/* Row: a request; how it ends, and the error that answers it. */
static const struct {
	const char *text;
	int rc;
	const char *reply;
} requests[] = {
	{ "{\"method\":\"t.x.Do\",\"parameters\":{\"n\":9,\"word\":\"abc\"}}", 0, NULL },
	{ "{", -EBADMSG, SERVICE_ERROR("InvalidParameter", PARAMS("parameter", "(not JSON)")) },
	{ "{\"method\":1}", -EINVAL,
	  SERVICE_ERROR("InvalidParameter", PARAMS("parameter", "method")) },
	{ "{\"method\":\"t.z.Do\"}", -ENOENT,
	  SERVICE_ERROR("InterfaceNotFound", PARAMS("interface", "t.z")) },
	{ "{\"method\":\"t.x.Dont\"}", -ENOENT,
	  SERVICE_ERROR("MethodNotFound", PARAMS("method", "t.x.Dont")) },
	{ "{\"method\":\"t.x.Watch\"}", -EINVAL, SERVICE_ERROR("ExpectedMore", "") },
	{ "{\"method\":\"t.x.Do\",\"parameters\":{\"n\":10}}", -ERANGE,
	  "{\"error\":\"t.x.Range\",\"parameters\":{\"text\":\"n must be 1 to 9\","
	  "\"parameter\":\"n\"}}" },
	{ "{\"method\":\"t.x.Do\",\"parameters\":{\"word\":\"abcd\"}}", -ERANGE,
	  "{\"error\":\"t.x.Range\",\"parameters\":{\"text\":\"word is longer than 3 bytes\","
	  "\"parameter\":\"word\"}}" },
	{ "{\"method\":\"t.y.Do\",\"parameters\":{\"n\":10}}", -EINVAL,
	  SERVICE_ERROR("InvalidParameter", PARAMS("parameter", "n")) },
};

static int read_a_request(const char *text, struct varlink_request *request, json_object **reply)
{
	struct varlink_target untouched = { 0 }, target = untouched;
	int r = varlink_request_parse(text, strlen(text), request, reply);

	if (r == 0)
		r = varlink_request_resolve(request, interfaces, &target, reply);
	assert_ptr_equal(target.method, r == 0 ? &methods[0] : NULL);
	return r;
}

static int answer_requests(void)
{
	int first = 0;

	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		struct varlink_request request = { 0 };
		_cleanup_json_ json_object *reply = NULL;
		int r = read_a_request(requests[i].text, &request, &reply);

		varlink_request_done(&request);
		if (r == -ENOMEM) {
			assert_null(reply);
			keep(&first, r);
			continue;
		}
		assert_int_equal(r, requests[i].rc);
		if (!requests[i].reply)
			assert_null(reply);
		else
			assert_string_equal(
				json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN),
				requests[i].reply);
	}
	return first;
}

/**
 * struct job - a row of the table
 * @least: the fewest allocations it can be done with
 */
static struct job {
	const char *what;
	int (*run)(void);
	unsigned int least;
} jobs[] = {
	{ "load a configuration with drop-ins and several domains", load_a_configuration, 50 },
	{ "copy a domain", copy_a_domain, 6 },
	{ "take lines in pieces", take_lines_in_pieces, 7 },
	{ "read QMP messages", read_qmp_messages, 30 },
	{ "read the slots of a q35 and plug one", read_the_slots_of_a_q35, 30 },
	{ "make a table without slots", make_a_table_without_slots, 1 },
	{ "answer requests, good ones and bad", answer_requests, 50 },
};

enum { JOBS = sizeof(jobs) / sizeof(*jobs) };

static void try_each_allocation(const struct job *job, bool lasting)
{
	unsigned int nth = 0;
	bool failed;

	do {
		int r;

		shortage_start(++nth, lasting);
		r = job->run();
		failed = shortage_stop();
		if (r != (failed ? -ENOMEM : 0))
			fail_msg("%d without allocation %u", r, nth);
	} while (failed && nth < ENDLESS);
	if (nth <= job->least || nth == ENDLESS)
		fail_msg("%u allocations", nth - 1);
}

static void each_allocation_may_fail(void **state)
{
	try_each_allocation(*state, false);
	try_each_allocation(*state, true);
}

static json_object *read_recording(const char *name)
{
	static const struct json_in_limits limits = { 65536, JSON_IN_DEPTH, JSON_IN_STRUCTURAL };
	_cleanup_json_ json_object *root = NULL;
	char path[4096], text[65536];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/tests/unit/data/%s.json", getenv("SOURCE_ROOT"), name);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	assert_int_equal(json_in_parse(text, n, &limits, &root, NULL), 0);
	return json_object_get(json_object_object_get(root, "return"));
}

#define DOMAIN(n) "[Domain web" n "]\nQMP=/run/w" n ".qmp\nAgent=/run/w" n ".agent\n"

static int make_supplies(void **state)
{
	const struct fake_root *f;

	if (fake_root_setup(&supplies.root) < 0)
		return -1;
	f = supplies.root;
	fake_put(f, "f",
		 "[Daemon]\nOperators=wheel\nMetricsListen=/m\n" DOMAIN("1") "Allow=alice @web\n");
	fake_put(f, "f.d/10.conf", "[Daemon]\nOperators=wheel vcpuhp\n" DOMAIN("2"));
	fake_put(f, "f.d/20.conf", DOMAIN("3") "Place=1\n[Domain web1]\nAllow=carol\n");
	snprintf(supplies.config, sizeof(supplies.config), "%s/f", f->path);
	supplies.slots = read_recording("q35-topo.hotpluggable");
	supplies.threads = read_recording("q35-topo.cpus-fast");
	return 0;
}

static int drop_supplies(void **state)
{
	json_object_put(supplies.slots);
	json_object_put(supplies.threads);
	return fake_root_teardown(&supplies.root);
}

int main(void)
{
	struct CMUnitTest tests[JOBS];

	for (size_t i = 0; i < JOBS; i++)
		tests[i] = (struct CMUnitTest){ .name = jobs[i].what,
						.test_func = each_allocation_may_fail,
						.initial_state = &jobs[i] };
	return cmocka_run_group_tests_name("alloc", tests, make_supplies, drop_supplies);
}
