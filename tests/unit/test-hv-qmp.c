/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The QMP backend against a QEMU that the test plays, on a real socket in the same event loop:
 * what no real QEMU does (lie, stall, change its slots, flood) and what needs exact order.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/hv.h"
#include "daemon/json-in.h"

enum { SLOTS = 4, TURNS = 2000, TURN_US = 5000 };

struct rig {
	sd_event *event;
	struct hv *hv;
	char dir[32], path[64];
	int listener, fd;
	char in[65536];
	size_t n_in;
	/* QEMU's part */
	char id[SLOTS][32]; /* "" empty, else the id of the device there */
	const char *slot_type;
	const char *status;
	const char *migration;
	const char *table; /* instead of the true one */
	const char *ospm;
	const char *on_add; /* instead of {} */
	char stall[32];     /* this command is not answered */
	int stalled_id;
	int commands, table_reads;
	/* what was heard */
	char trace[4096];
	struct hv_facts facts;
	int tables, osts, last_ost;
	bool quiet; /* nothing is noted */
	bool present[SLOTS];
	pid_t thread[SLOTS];
	const char *free_in; /* word of the trace at which the object is freed */
	bool in_call;
};

__attribute__((format(printf, 2, 3))) static void note(struct rig *rig, const char *format, ...)
{
	size_t at = strlen(rig->trace);
	char text[256];
	va_list ap;

	assert_false(rig->in_call);
	if (rig->quiet)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (at < sizeof(rig->trace) - 1)
		snprintf(rig->trace + at, sizeof(rig->trace) - at, "%s%s", at ? "; " : "", text);
	if (rig->free_in && strncmp(text, rig->free_in, strlen(rig->free_in)) == 0)
		rig->hv = hv_free(rig->hv);
}

static void on_status(void *ctx, enum hv_status status)
{
	note(ctx, "%s", hv_status_name(status));
}

static void on_attached(void *ctx, const struct hv_facts *facts)
{
	((struct rig *)ctx)->facts = *facts;
	note(ctx, "attached %u", facts->maximum);
}

static void on_table(void *ctx, const struct hv_table *table)
{
	struct rig *rig = ctx;
	char text[SLOTS + 1] = "";

	for (unsigned int i = 0; i < table->n && i < SLOTS; i++) {
		rig->present[i] = table->slots[i].present;
		rig->thread[i] = table->slots[i].thread_id;
		text[i] = !rig->present[i] ? '.' : table->slots[i].removable ? 'r' : 'b';
	}
	rig->tables++;
	note(rig, "table %s%s", text, table->supported ? "" : table->why);
}

static void on_ost(void *ctx, unsigned int slot, int source, int status)
{
	((struct rig *)ctx)->osts++;
	((struct rig *)ctx)->last_ost = status;
	note(ctx, "ost %u %d %d", slot, source, status);
}

static void on_unplug_error(void *ctx, unsigned int slot)
{
	note(ctx, "unplug error %u", slot);
}

static void on_reset(void *ctx)
{
	note(ctx, "reset");
}

static void on_gone(void *ctx, const char *why)
{
	note(ctx, "gone %s", why);
}

static const struct hv_events events = { on_status,       on_attached, on_table, on_ost,
					 on_unplug_error, on_reset,    on_gone };

static void on_done(void *arg, int rc, const char *text)
{
	note(arg, "done %d%s%s", rc, *text ? " " : "", text);
}

__attribute__((format(printf, 2, 3))) static void say(struct rig *rig, const char *format, ...)
{
	char text[4096];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text) - 1, format, ap);
	va_end(ap);
	text[n++] = '\n';
	if (rig->fd >= 0)
		assert_int_equal(send(rig->fd, text, (size_t)n, MSG_NOSIGNAL), n);
}

static void say_table(struct rig *rig, char *text, size_t size)
{
	size_t at = (size_t)snprintf(text, size, "[");

	for (int i = SLOTS - 1; i >= 0; i--) {
		at += (size_t)snprintf(
			text + at, size - at,
			"{\"props\":{\"core-id\":%d},\"vcpus-count\":1,\"type\":\"%s\"", i,
			rig->slot_type);
		if (rig->id[i][0])
			at += (size_t)snprintf(text + at, size - at,
					       ",\"qom-path\":\"/machine/%s\"", rig->id[i]);
		at += (size_t)snprintf(text + at, size - at, "}%s", i ? "," : "]");
	}
}

static void say_threads(struct rig *rig, char *text, size_t size)
{
	size_t at = (size_t)snprintf(text, size, "[");

	for (int i = 0; i < SLOTS; i++)
		if (rig->id[i][0])
			at += (size_t)snprintf(
				text + at, size - at,
				"%s{\"qom-path\":\"/machine/%s\",\"thread-id\":%d,\"cpu-index\":%d}",
				at > 1 ? "," : "", rig->id[i], 100 + i, i);
	snprintf(text + at, size - at, "]");
}

static void add_device(struct rig *rig, json_object *args)
{
	const char *id;
	int64_t core;

	assert_int_equal(json_in_int(args, "core-id", 0, SLOTS - 1, &core), 0);
	assert_int_equal(json_in_str(args, "id", 20, &id), 0);
	if (!rig->on_add)
		snprintf(rig->id[core], sizeof(rig->id[core]), "peripheral/%s", id);
}

/* What this QEMU answers; "" is an error. */
static const char *answer(struct rig *rig, const char *name, json_object *args, char *text,
			  size_t size)
{
	const char *property = "";

	json_in_str(args, "property", 20, &property);
	snprintf(text, size, "{}");
	if (strcmp(name, "query-kvm") == 0)
		return "{\"enabled\":true,\"present\":true}";
	if (strcmp(name, "query-uuid") == 0)
		return "{\"UUID\":\"01234567-89ab-cdef-0123-456789abcdef\"}";
	if (strcmp(name, "qom-get") == 0)
		return strcmp(property, "type") == 0  ? "\"pc-test-machine\""
		       : strcmp(property, "smm") == 0 ? "\"off\""
						      : "\"\"";
	if (strcmp(name, "query-status") == 0)
		snprintf(text, size, "{\"status\":\"%s\",\"running\":true}", rig->status);
	else if (strcmp(name, "query-migrate") == 0)
		return rig->migration;
	else if (strcmp(name, "query-acpi-ospm-status") == 0)
		return rig->ospm;
	else if (strcmp(name, "query-cpus-fast") == 0)
		say_threads(rig, text, size);
	else if (strcmp(name, "query-hotpluggable-cpus") == 0) {
		rig->table_reads++;
		if (rig->table)
			return rig->table;
		say_table(rig, text, size);
	} else if (strcmp(name, "device_add") == 0) {
		add_device(rig, args);
		if (rig->on_add)
			return rig->on_add;
	}
	return text;
}

static void serve(struct rig *rig, const char *line, size_t len)
{
	static const struct json_in_limits limits = { 65536, 8, 1000 };
	_cleanup_json_ json_object *root = NULL;
	char text[4096];
	const char *name, *reply;
	json_object *args = NULL;
	int64_t id;

	assert_int_equal(json_in_parse(line, len, &limits, &root, NULL), 0);
	assert_int_equal(json_in_str(root, "execute", 64, &name), 0);
	assert_int_equal(json_in_int(root, "id", 1, INT64_MAX, &id), 0);
	json_in_obj(root, "arguments", &args);
	rig->commands++;
	if (strcmp(rig->stall, name) == 0) {
		rig->stalled_id = (int)id;
		strcpy(rig->stall, "*");
	}
	if (strcmp(rig->stall, "*") == 0)
		return;
	reply = answer(rig, name, args, text, sizeof(text));
	if (*reply)
		say(rig, "{\"return\":%s,\"id\":%d}", reply, (int)id);
	else
		say(rig,
		    "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no %s here\"},\"id\":%d}",
		    name, (int)id);
}

static void hang_up(struct rig *rig)
{
	close(rig->fd);
	rig->fd = -1;
}

static void serve_all(struct rig *rig)
{
	char *end;
	ssize_t n = rig->fd < 0 ? 0
				: recv(rig->fd, rig->in + rig->n_in, sizeof(rig->in) - rig->n_in,
				       MSG_DONTWAIT);

	if (n > 0)
		rig->n_in += (size_t)n;
	if (rig->fd >= 0 && n == 0)
		hang_up(rig);
	while ((end = memchr(rig->in, '\n', rig->n_in))) {
		serve(rig, rig->in, (size_t)(end - rig->in));
		rig->n_in -= (size_t)(end + 1 - rig->in);
		memmove(rig->in, end + 1, rig->n_in);
	}
}

static void accept_client(struct rig *rig)
{
	int fd = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	rig->fd = fd;
	rig->n_in = 0;
	say(rig, "{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":22},"
		 "\"package\":\"\"},\"capabilities\":[]}}");
}

static void turn(struct rig *rig)
{
	assert_return_code(sd_event_run(rig->event, TURN_US), 0);
	if (rig->fd < 0)
		accept_client(rig);
	serve_all(rig);
}

/* Turn until the trace has all of @text, then nothing more may come. */
static void expect(struct rig *rig, const char *text)
{
	for (int i = 0; i < TURNS && strlen(rig->trace) < strlen(text); i++)
		turn(rig);
	turn(rig);
	assert_string_equal(rig->trace, text);
	rig->trace[0] = '\0';
}

static int set_up(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	rig->fd = -1;
	strcpy(rig->dir, "/tmp/test-hv-qmp-XXXXXX");
	if (!mkdtemp(rig->dir) || sd_event_new(&rig->event) < 0)
		return -1;
	snprintf(rig->path, sizeof(rig->path), "%s/qmp", rig->dir);
	strcpy(addr.sun_path, rig->path);
	rig->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(rig->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(rig->listener, 1) < 0)
		return -1;
	strcpy(rig->id[0], "unattached/device[0]");
	rig->slot_type = "t-x86_64-cpu";
	rig->status = "running";
	rig->migration = "{}";
	rig->ospm = "[]";
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	rig->free_in = NULL;
	hv_free(rig->hv);
	sd_event_unref(rig->event);
	close(rig->listener);
	if (rig->fd >= 0)
		close(rig->fd);
	unlink(rig->path);
	rmdir(rig->dir);
	free(rig);
	return 0;
}

static void connect_rig(struct rig *rig, unsigned int reply_ms)
{
	assert_int_equal(hv_qmp_new(&rig->hv, rig->event, rig->path, reply_ms, &events, rig), 0);
	assert_string_equal(rig->trace, "");
}

static void attach(struct rig *rig)
{
	connect_rig(rig, 5000);
	expect(rig, "attached 4; table b...; running");
}

static void plug(struct rig *rig, unsigned int slot, const char *id)
{
	rig->in_call = true;
	assert_int_equal(rig->hv->ops->plug(rig->hv, slot, id, on_done, rig), 0);
	rig->in_call = false;
}

static void query(struct rig *rig)
{
	rig->in_call = true;
	assert_int_equal(rig->hv->ops->query(rig->hv, on_done, rig), 0);
	rig->in_call = false;
}

static void an_attach_reads_everything(void **state)
{
	struct rig *rig = *state;

	attach(rig);
	assert_string_equal(rig->facts.uuid, "01234567-89ab-cdef-0123-456789abcdef");
	assert_string_equal(rig->facts.accel, "kvm");
	assert_string_equal(rig->facts.version, "7.2.22");
	assert_string_equal(rig->facts.machine, "pc-test");
	assert_false(rig->facts.smm);
	assert_false(rig->facts.pflash);
	assert_int_equal(rig->thread[0], 100);
}

static void a_machine_without_slots_is_attached_as_it_is(void **state)
{
	struct rig *rig = *state;

	rig->table = "";
	rig->ospm = "";
	connect_rig(rig, 5000);
	expect(rig, "attached 0; table no query-hotpluggable-cpus here; running");
	assert_int_equal(rig->hv->ops->plug(rig->hv, 0, "x", on_done, rig), -EOPNOTSUPP);
	assert_int_equal(rig->hv->ops->unplug(rig->hv, 0, on_done, rig), -EOPNOTSUPP);
}

static void a_plug_tells_the_table_first(void **state)
{
	struct rig *rig = *state;

	attach(rig);
	plug(rig, 1, "v1");
	expect(rig, "table br..; done 0");
	assert_int_equal(rig->thread[1], 101);
	/* QEMU's own word follows once things have settled. */
	expect(rig, "table br..");
}

static void a_refused_plug_tells_why(void **state)
{
	struct rig *rig = *state;

	attach(rig);
	rig->on_add = "";
	plug(rig, 1, "v1");
	expect(rig, "done -121 no device_add here");
	assert_false(rig->present[1]);
}

static void an_unplug_is_known_by_the_table_alone(void **state)
{
	struct rig *rig = *state;

	strcpy(rig->id[1], "peripheral/v1");
	connect_rig(rig, 5000);
	expect(rig, "attached 4; table br..; running");
	assert_int_equal(rig->hv->ops->unplug(rig->hv, 1, on_done, rig), 0);
	expect(rig, "done 0");
	/* Events that say it is gone are no proof: here it is not. */
	say(rig,
	    "{\"event\":\"DEVICE_DELETED\",\"data\":{\"device\":\"v1\",\"path\":\"/machine/peripheral/v1\"}}");
	expect(rig, "table br..");
	rig->id[1][0] = '\0';
	say(rig,
	    "{\"event\":\"DEVICE_DELETED\",\"data\":{\"path\":\"/machine/peripheral/v1/lapic\"}}");
	expect(rig, "table b...");
}

static void an_ost_is_told_and_the_table_read_when_it_may_have_changed(void **state)
{
	struct rig *rig = *state;
	int reads;

	attach(rig);
	reads = rig->table_reads;
#define OST(slot, source, status)                                             \
	"{\"event\":\"ACPI_DEVICE_OST\",\"data\":{\"info\":{\"slot\":\"" slot \
	"\",\"slot-type\":\"CPU\",\"source\":" source ",\"status\":" status "}}}"
	say(rig, OST("1", "1", "0"));
	say(rig, OST("1", "3", "132"));
	expect(rig, "ost 1 1 0; ost 1 3 132");
	assert_int_equal(rig->table_reads, reads);
	say(rig, OST("1", "3", "0"));
	expect(rig, "ost 1 3 0; table b...");
	/* Forged or broken ones have no effect. */
	say(rig, OST("4", "3", "0"));
	say(rig, OST("x", "3", "0"));
	say(rig, "{\"event\":\"ACPI_DEVICE_OST\"}");
	say(rig, "{\"event\":\"RESET\",\"data\":{}}");
	expect(rig, "reset; table b...");
}

static void an_old_ost_is_not_told_again(void **state)
{
	struct rig *rig = *state;

	rig->ospm = "[{\"slot\":\"1\",\"slot-type\":\"CPU\",\"source\":3,\"status\":130},"
		    "{\"slot\":\"2\",\"slot-type\":\"CPU\",\"source\":0,\"status\":0}]";
	connect_rig(rig, 5000);
	expect(rig, "attached 4; table b...; running; ost 1 3 130");
	query(rig);
	expect(rig, "table b...; done 0");
	say(rig, OST("1", "3", "130"));
	expect(rig, "ost 1 3 130; table b...");
	rig->ospm = "[{\"slot\":\"1\",\"slot-type\":\"CPU\",\"source\":3,\"status\":0}]";
	query(rig);
	expect(rig, "table b...; ost 1 3 0; done 0");
}

static void queries_share_a_reading(void **state)
{
	struct rig *rig = *state;
	int reads;

	attach(rig);
	reads = rig->table_reads;
	for (int i = 0; i < 5; i++)
		query(rig);
	/* The first has its own; those that came after it was sent need a later one, one for all. */
	expect(rig, "table b...; done 0; table b...; done 0; done 0; done 0; done 0");
	assert_int_equal(rig->table_reads, reads + 2);
}

static void the_status_is_read_not_believed(void **state)
{
	struct rig *rig = *state;

	attach(rig);
	say(rig, "{\"event\":\"STOP\"}");
	query(rig);
	expect(rig, "table b...; done 0");
	rig->status = "paused";
	say(rig, "{\"event\":\"STOP\"}");
	expect(rig, "paused");
	rig->status = "running";
	rig->migration = "{\"status\":\"active\"}";
	say(rig, "{\"event\":\"RESUME\"}");
	expect(rig, "migrating");
	rig->migration = "{\"status\":\"completed\"}";
	rig->status = "some-later-state";
	say(rig, "{\"event\":\"MIGRATION\",\"data\":{\"status\":\"active\"}}");
	expect(rig, "paused");
	rig->status = "shutdown";
	say(rig, "{\"event\":\"SHUTDOWN\",\"data\":{}}");
	expect(rig, "shutdown");
}

static void an_unplug_error_names_its_slot(void **state)
{
	struct rig *rig = *state;

	strcpy(rig->id[2], "peripheral/v2");
	connect_rig(rig, 5000);
	expect(rig, "attached 4; table b.r.; running");
	say(rig, "{\"event\":\"DEVICE_UNPLUG_GUEST_ERROR\",\"data\":{\"device\":\"v2\","
		 "\"path\":\"/machine/peripheral/v2\"}}");
	expect(rig, "unplug error 2; table b.r.");
	say(rig,
	    "{\"event\":\"DEVICE_UNPLUG_GUEST_ERROR\",\"data\":{\"path\":\"/machine/peripheral/v2\"}}");
	expect(rig, "unplug error 2; table b.r.");
	say(rig,
	    "{\"event\":\"DEVICE_UNPLUG_GUEST_ERROR\",\"data\":{\"path\":\"/machine/peripheral/disk\"}}");
	query(rig);
	expect(rig, "table b.r.; done 0");
}

/* What was fixed at the attach cannot be changed under the daemon. */
static void other_slots_than_before_end_the_connection(void **state)
{
	struct rig *rig = *state;

	attach(rig);
	rig->slot_type = "u-x86_64-cpu";
	query(rig);
	expect(rig, "done -71; attaching; gone QEMU tells other slots than before; "
		    "attached 4; table b...; running");
}

static const struct {
	const char *table;
	const char *ospm;
	const char *migration;
	const char *why;
} lies[] = {
	{ "5", "[]", "{}", "no list of slots" },
	{ "[]", "[]", "{}", "an empty list of slots" },
	{ NULL, "5", "{}", "a broken reply to query-acpi-ospm-status" },
	{ NULL, "[{\"slot\":\"9\",\"slot-type\":\"CPU\",\"source\":1,\"status\":0}]", "{}",
	  "a broken reply to query-acpi-ospm-status" },
	{ NULL, "[]", "[]", "a broken reply to query-migrate" },
	{ NULL, "[]", "{\"status\":5}", "a broken reply to query-migrate" },
};

static void a_lie_at_the_attach_ends_the_connection(void **state)
{
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct rig *rig;
		char want[128];

		assert_int_equal(set_up((void **)&rig), 0);
		rig->table = lies[i].table;
		rig->ospm = lies[i].ospm;
		rig->migration = lies[i].migration;
		snprintf(want, sizeof(want), "gone %s", lies[i].why);
		connect_rig(rig, 5000);
		expect(rig, want);
		tear_down((void **)&rig);
	}
}

static void a_loss_answers_everything_once(void **state)
{
	struct rig *rig = *state;

	attach(rig);
	strcpy(rig->stall, "device_add");
	plug(rig, 1, "v1");
	plug(rig, 2, "v2");
	query(rig);
	query(rig);
	for (int i = 0; i < TURNS && rig->stalled_id == 0; i++)
		turn(rig);
	hang_up(rig);
	rig->stall[0] = '\0';
	expect(rig, "done -104; done -104; done -104; done -104; attaching; "
		    "gone QEMU closed the QMP connection; attached 4; table b...; running");
	assert_int_equal(rig->hv->ops->plug(rig->hv, 9, "x", on_done, rig), -EINVAL);
}

static void a_stall_is_told_and_caught_up_with(void **state)
{
	struct rig *rig = *state;
	int stalled;

	connect_rig(rig, 40);
	expect(rig, "attached 4; table b...; running");
	strcpy(rig->stall, "device_add");
	plug(rig, 1, "v1");
	expect(rig, "done -110");
	stalled = rig->stalled_id;
	assert_int_equal(rig->hv->ops->query(rig->hv, on_done, rig), -EBUSY);
	assert_int_equal(rig->hv->ops->unplug(rig->hv, 0, on_done, rig), -EPERM);
	assert_int_equal(rig->hv->ops->plug(rig->hv, 2, "v2", on_done, rig), -EBUSY);
	/* The device comes after all, and so does the news of it. */
	strcpy(rig->id[1], "peripheral/v1");
	rig->stall[0] = '\0';
	say(rig, "{\"return\":{},\"id\":%d}", stalled);
	say(rig, "{\"return\":[],\"id\":%d}", stalled + 1);
	expect(rig, "table br..");
	query(rig);
	expect(rig, "table br..; done 0");
}

static void a_daemon_that_came_first_finds_its_qemu(void **state)
{
	struct rig *rig = *state;
	char moved[80];

	snprintf(moved, sizeof(moved), "%s.later", rig->path);
	assert_int_equal(rename(rig->path, moved), 0);
	connect_rig(rig, 5000);
	for (int i = 0; i < TURNS && !rig->trace[0]; i++)
		turn(rig);
	assert_non_null(strstr(rig->trace, ": No such file or directory"));
	rig->trace[0] = '\0';
	/* It is said once, however often it is tried. */
	for (int i = 0; i < 100; i++)
		turn(rig);
	assert_int_equal(rename(moved, rig->path), 0);
	expect(rig, "attached 4; table b...; running");
}

/* In whatever callback the domain lets go of it, nothing is called any more. */
static void it_may_be_freed_in_any_callback(void **state)
{
	static const struct {
		const char *word;
		const char *event;
	} cases[] = {
		{ "attached", NULL },
		{ "table", NULL },
		{ "running", NULL },
		{ "ost", OST("1", "3", "0") },
		{ "reset", "{\"event\":\"RESET\"}" },
		{ "unplug error",
		  "{\"event\":\"DEVICE_UNPLUG_GUEST_ERROR\",\"data\":{\"device\":\"v1\"}}" },
		{ "done", NULL },
		{ "gone", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct rig *rig;

		assert_int_equal(set_up((void **)&rig), 0);
		strcpy(rig->id[1], "peripheral/v1");
		rig->free_in = i < 3 ? cases[i].word : NULL;
		connect_rig(rig, 5000);
		for (int t = 0; t < TURNS && rig->hv && !strstr(rig->trace, "running"); t++)
			turn(rig);
		rig->free_in = cases[i].word;
		if (rig->hv) {
			query(rig);
			query(rig);
			plug(rig, 2, "v2");
		}
		if (cases[i].event)
			say(rig, "%s", cases[i].event);
		if (strcmp(cases[i].word, "gone") == 0)
			hang_up(rig);
		for (int t = 0; t < TURNS && rig->hv; t++)
			turn(rig);
		assert_null(rig->hv);
		rig->trace[0] = '\0';
		turn(rig);
		turn(rig);
		assert_string_equal(rig->trace, "");
		tear_down((void **)&rig);
	}
}

static void it_may_be_freed_in_the_callback_of_a_plug(void **state)
{
	struct rig *rig = *state;

	attach(rig);
	rig->free_in = "table";
	plug(rig, 1, "v1");
	expect(rig, "table br..");
	assert_null(rig->hv);
}

/* A guest's storm is told in part, read in few readings, and its last word is not lost. */
static void a_storm_is_bounded(void **state)
{
	struct rig *rig = *state;
	int tables, reads;

	attach(rig);
	rig->quiet = true;
	tables = rig->tables;
	reads = rig->table_reads;
	for (int i = 0; i < 3000; i++) {
		say(rig,
		    "{\"event\":\"ACPI_DEVICE_OST\",\"data\":{\"info\":{\"slot\":\"%d\","
		    "\"slot-type\":\"CPU\",\"source\":3,\"status\":%d}}}",
		    i % SLOTS, i % 100 + 200);
		if (i % 50 == 0)
			turn(rig);
	}
	rig->ospm = "[{\"slot\":\"1\",\"slot-type\":\"CPU\",\"source\":3,\"status\":99}]";
	for (int i = 0; i < TURNS && rig->last_ost != 99; i++)
		turn(rig);
	assert_int_equal(rig->last_ost, 99);
	assert_in_range(rig->osts, 400, 2500);
	assert_in_range(rig->tables - tables, 1, 60);
	assert_in_range(rig->table_reads - reads, 1, 60);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_attach_reads_everything),
		TEST(a_machine_without_slots_is_attached_as_it_is),
		TEST(a_plug_tells_the_table_first),
		TEST(a_refused_plug_tells_why),
		TEST(an_unplug_is_known_by_the_table_alone),
		TEST(an_ost_is_told_and_the_table_read_when_it_may_have_changed),
		TEST(an_old_ost_is_not_told_again),
		TEST(queries_share_a_reading),
		TEST(the_status_is_read_not_believed),
		TEST(an_unplug_error_names_its_slot),
		TEST(other_slots_than_before_end_the_connection),
		TEST(a_loss_answers_everything_once),
		TEST(a_stall_is_told_and_caught_up_with),
		TEST(a_daemon_that_came_first_finds_its_qemu),
		TEST(it_may_be_freed_in_the_callback_of_a_plug),
		TEST(a_storm_is_bounded),
		cmocka_unit_test(a_lie_at_the_attach_ends_the_connection),
		cmocka_unit_test(it_may_be_freed_in_any_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
