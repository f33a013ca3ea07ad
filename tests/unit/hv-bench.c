/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/hv-bench.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/json-in.h"

enum { TURN_US = 5000 };

__attribute__((format(printf, 2, 3))) static void note(struct hv_bench *rig, const char *format,
						       ...)
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
	if (rig->freed)
		fail_msg("called after hv_free(): %s", text);
	if (rig->free_in && strncmp(text, rig->free_in, strlen(rig->free_in)) == 0) {
		rig->hv = hv_free(rig->hv);
		rig->freed = true;
	}
}

static void on_status(void *ctx, enum hv_status status)
{
	note(ctx, "%s", hv_status_name(status));
}

static void on_attached(void *ctx, const struct hv_facts *facts)
{
	((struct hv_bench *)ctx)->facts = *facts;
	note(ctx, "attached %u", facts->maximum);
}

static void on_table(void *ctx, const struct hv_table *table)
{
	struct hv_bench *rig = ctx;
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
	((struct hv_bench *)ctx)->osts++;
	((struct hv_bench *)ctx)->last_ost = status;
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

static void on_port_closed(void *ctx)
{
	note(ctx, "port closed");
}

static const struct hv_events events = { on_status,       on_attached, on_table, on_ost,
					 on_unplug_error, on_reset,    on_gone,  on_port_closed };

void hv_bench_done(void *arg, int rc, const char *text)
{
	note(arg, "done %d%s%s", rc, *text ? " " : "", text);
}

void hv_bench_say(struct hv_bench *rig, const char *format, ...)
{
	char text[4096];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text) - 1, format, ap);
	va_end(ap);
	text[n++] = '\n';
	/* It takes no more for now of one who talks too much. */
	while (rig->fd >= 0 && send(rig->fd, text, (size_t)n, MSG_NOSIGNAL) < 0) {
		assert_int_equal(errno, EAGAIN);
		hv_bench_turn(rig);
	}
}

static void say_table(struct hv_bench *rig, char *text, size_t size)
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

static void say_threads(struct hv_bench *rig, char *text, size_t size)
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

static void add_device(struct hv_bench *rig, json_object *args)
{
	const char *id;
	int64_t core;

	assert_int_equal(json_in_int(args, "core-id", 0, SLOTS - 1, &core), 0);
	assert_int_equal(json_in_str(args, "id", 20, &id), 0);
	if (!rig->on_add)
		snprintf(rig->id[core], sizeof(rig->id[core]), "peripheral/%s", id);
}

/* What this QEMU answers; "" is an error. */
static const char *answer(struct hv_bench *rig, const char *name, json_object *args, char *text,
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
		       : strcmp(property, "smm") == 0 ? rig->smm
						      : rig->pflash;
	if (strcmp(name, "query-status") == 0)
		snprintf(text, size, "{\"status\":\"%s\",\"running\":true}", rig->status);
	else if (strcmp(name, "query-migrate") == 0)
		return rig->migration;
	else if (strcmp(name, "query-acpi-ospm-status") == 0)
		return rig->ospm;
	else if (strcmp(name, "query-cpus-fast") == 0) {
		if (rig->threads)
			return rig->threads;
		say_threads(rig, text, size);
	} else if (strcmp(name, "query-hotpluggable-cpus") == 0) {
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

static void serve(struct hv_bench *rig, const char *line, size_t len)
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
	if (strcmp(rig->stall, "*") == 0) {
		rig->stalled_last = (int)id;
		return;
	}
	reply = answer(rig, name, args, text, sizeof(text));
	if (*reply)
		hv_bench_say(rig, "{\"return\":%s,\"id\":%d}", reply, (int)id);
	else
		hv_bench_say(
			rig,
			"{\"error\":{\"class\":\"GenericError\",\"desc\":\"no %s here\"},\"id\":%d}",
			name, (int)id);
}

void hv_bench_hang_up(struct hv_bench *rig)
{
	close(rig->fd);
	rig->fd = -1;
}

static void serve_all(struct hv_bench *rig)
{
	char *end;
	ssize_t n = rig->fd < 0 ? 0
				: recv(rig->fd, rig->in + rig->n_in, sizeof(rig->in) - rig->n_in,
				       MSG_DONTWAIT);

	if (n > 0)
		rig->n_in += (size_t)n;
	if (rig->fd >= 0 && n == 0)
		hv_bench_hang_up(rig);
	while ((end = memchr(rig->in, '\n', rig->n_in))) {
		serve(rig, rig->in, (size_t)(end - rig->in));
		rig->n_in -= (size_t)(end + 1 - rig->in);
		memmove(rig->in, end + 1, rig->n_in);
	}
}

static void accept_client(struct hv_bench *rig)
{
	int fd = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	rig->fd = fd;
	rig->n_in = 0;
	hv_bench_say(rig, "{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":22},"
			  "\"package\":\"\"},\"capabilities\":[]}}");
}

void hv_bench_turn(struct hv_bench *rig)
{
	assert_return_code(sd_event_run(rig->event, TURN_US), 0);
	if (rig->fd < 0)
		accept_client(rig);
	serve_all(rig);
}

void hv_bench_expect(struct hv_bench *rig, const char *text)
{
	for (int i = 0; i < TURNS && strlen(rig->trace) < strlen(text); i++)
		hv_bench_turn(rig);
	hv_bench_turn(rig);
	assert_string_equal(rig->trace, text);
	rig->trace[0] = '\0';
}

int hv_bench_set_up(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct hv_bench *rig = calloc(1, sizeof(*rig));

	*state = rig;
	rig->fd = -1;
	strcpy(rig->dir, "/tmp/test-hv-qmp-XXXXXX");
	if (!mkdtemp(rig->dir) || sd_event_new(&rig->event) < 0)
		return -1;
	snprintf(rig->path, sizeof(rig->path), "%s/qmp", rig->dir);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", rig->path);
	rig->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(rig->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(rig->listener, 1) < 0)
		return -1;
	strcpy(rig->id[0], "unattached/device[0]");
	rig->slot_type = "t-x86_64-cpu";
	rig->status = "running";
	rig->migration = "{}";
	rig->ospm = "[]";
	rig->smm = "\"off\"";
	rig->pflash = "\"\"";
	return 0;
}

int hv_bench_tear_down(void **state)
{
	struct hv_bench *rig = *state;

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

void hv_bench_connect(struct hv_bench *rig, unsigned int reply_ms)
{
	assert_int_equal(hv_qmp_new(&rig->hv, rig->event, rig->path, reply_ms, &events, rig), 0);
	assert_string_equal(rig->trace, "");
}

void hv_bench_attach(struct hv_bench *rig)
{
	hv_bench_connect(rig, 5000);
	hv_bench_expect(rig, "attached 4; table b...; running");
}

void hv_bench_plug(struct hv_bench *rig, unsigned int slot, const char *id)
{
	rig->in_call = true;
	assert_int_equal(rig->hv->ops->plug(rig->hv, slot, id, true, hv_bench_done, rig), 0);
	rig->in_call = false;
}

void hv_bench_query(struct hv_bench *rig)
{
	rig->in_call = true;
	assert_int_equal(rig->hv->ops->query(rig->hv, hv_bench_done, rig), 0);
	rig->in_call = false;
}
