/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The scripted QEMU's monitor: lines in, lines out, one command after another in the order they
 * came, each with the time it takes. Queries are answered as soon as it is their turn; device_add
 * takes some milliseconds, as it starts a thread.
 *
 * Whatever was sent twice without a look between is a breach, and is seen here.
 */
#include "tests/sim/world.h"

#include <assert.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPU_TYPE "qemu64-x86_64-cpu"

static void append(struct sim_domain *d, const void *bytes, size_t n)
{
	struct machine *m = &d->m;

	if (m->out_len + n > m->out_room) {
		m->out_room = 2 * (m->out_len + n);
		m->out = realloc(m->out, m->out_room);
		assert(m->out);
	}
	memcpy(m->out + m->out_len, bytes, n);
	m->out_len += n;
}

static void flush(struct sim_domain *d)
{
	wire_send(&d->m.wire, d->m.out, d->m.out_len);
	d->m.out_len = 0;
}

static void forget_client(struct sim_domain *d)
{
	d->m.greeted = d->m.lost = d->m.slowed = false;
	d->m.n_queue = 0;
	d->m.in_len = d->m.out_len = 0;
	clock_disarm(&d->m.turn);
	clock_disarm(&d->m.greeting);
}

void qmp_hang_up(struct sim_domain *d)
{
	flush(d);
	forget_client(d);
	wire_hang_up(&d->m.wire);
}

bool qmp_say(struct sim_domain *d, bool event, const char *format, ...)
{
	char *line;
	bool whole;
	va_list ap;
	int n;

	if (!wire_is_open(&d->m.wire) && !d->m.on_line)
		return false;
	va_start(ap, format);
	n = vasprintf(&line, format, ap);
	va_end(ap);
	assert(n >= 0);
	if (d->m.on_line)
		d->m.on_line(d, line);
	line[n] = '\n';
	d->m.lost |= !event && d->m.replies.left;
	whole = tamper(d, event ? &d->m.events : &d->m.replies, line, (size_t)n + 1, append,
		       qmp_hang_up);
	free(line);
	return whole;
}

void machine_event(struct sim_domain *d, const char *name, const char *data)
{
	uint64_t us = clock_us();

	/* Before the negotiation there are no events for this client. */
	if (!d->m.greeted && !d->m.on_line)
		return;
	qmp_say(d, true,
		"{\"timestamp\": {\"seconds\": %llu, \"microseconds\": %llu}, \"event\": "
		"\"%s\"%s%s}\r",
		(unsigned long long)us / 1000000, (unsigned long long)us % 1000000, name,
		data ? ", \"data\": " : "", data ? data : "");
	if (!d->m.stopped)
		flush(d);
}

/* Replies */

static bool say_return(struct sim_domain *d, const struct qmp_command *c, const char *value)
{
	return qmp_say(d, false, "{\"return\": %s, \"id\": %lld}\r", value, c->id);
}

static bool say_error(struct sim_domain *d, const struct qmp_command *c, const char *class,
		      const char *format, ...) __attribute__((format(printf, 4, 5)));

static bool say_error(struct sim_domain *d, const struct qmp_command *c, const char *class,
		      const char *format, ...)
{
	char desc[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(desc, sizeof(desc), format, ap);
	va_end(ap);
	return qmp_say(d, false,
		       "{\"id\": %lld, \"error\": {\"class\": \"%s\", \"desc\": \"%s\"}}\r", c->id,
		       class, desc);
}

static void qom_path(const struct sim_domain *d, unsigned int slot, char path[96])
{
	const struct slot *s = &d->m.slots[slot];

	if (*s->id)
		snprintf(path, 96, "/machine/peripheral/%s", s->id);
	else
		snprintf(path, 96, "/machine/unattached/device[%u]", slot);
}

#define PROPS "\"props\": {\"core-id\": %u, \"thread-id\": 0, \"socket-id\": 0}"

static const char *table(struct sim_domain *d)
{
	size_t len;
	FILE *f;

	if (d->m.table)
		return d->m.table;
	f = open_memstream(&d->m.table, &len);
	assert(f);
	for (unsigned int i = SIM_SLOTS; i-- > 0;) {
		char path[96];

		fprintf(f, "%s{" PROPS ", \"vcpus-count\": 1, ", i == SIM_SLOTS - 1 ? "[" : ", ",
			i);
		qom_path(d, i, path);
		if (d->m.slots[i].present)
			fprintf(f, "\"qom-path\": \"%s\", ", path);
		fprintf(f, "\"type\": \"" CPU_TYPE "\"}");
	}
	fputs("]", f);
	fclose(f);
	return d->m.table;
}

static const char *cpus_fast(struct sim_domain *d)
{
	const char *comma = "";
	size_t len;
	FILE *f;

	if (d->m.cpus)
		return d->m.cpus;
	f = open_memstream(&d->m.cpus, &len);
	assert(f);
	fputs("[", f);
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		char path[96];

		if (!d->m.slots[i].present)
			continue;
		qom_path(d, i, path);
		fprintf(f,
			"%s{\"thread-id\": %d, " PROPS ", \"qom-path\": \"%s\", \"cpu-index\": %u, "
			"\"target\": \"x86_64\"}",
			comma, d->m.slots[i].thread, i, path, i);
		comma = ", ";
	}
	fputs("]", f);
	fclose(f);
	return d->m.cpus;
}

static void on_table(struct sim_domain *d, const struct qmp_command *c)
{
	if (!say_return(d, c, table(d)))
		return;
	for (unsigned int i = 0; i < SIM_SLOTS; i++)
		d->m.slots[i].added = d->m.slots[i].deleted = false;
}

static void on_cpus_fast(struct sim_domain *d, const struct qmp_command *c)
{
	say_return(d, c, cpus_fast(d));
}

static void on_status(struct sim_domain *d, const struct qmp_command *c)
{
	static const char *const names[] = {
		[MACHINE_RUNNING] = "running",
		[MACHINE_PAUSED] = "paused",
		[MACHINE_SHUTDOWN] = "shutdown",
		[MACHINE_PANICKED] = "guest-panicked",
	};
	char text[100];

	snprintf(text, sizeof(text), "{\"status\": \"%s\", \"singlestep\": false, \"running\": %s}",
		 names[d->m.state], d->m.state == MACHINE_RUNNING ? "true" : "false");
	say_return(d, c, text);
}

static void on_ospm(struct sim_domain *d, const struct qmp_command *c)
{
	char text[2048];
	size_t at = 0;

	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		const struct slot *s = &d->m.slots[i];
		char device[96] = "";

		if (s->present && *s->id)
			snprintf(device, sizeof(device), "\"device\": \"%s\", ", s->id);
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "%s{%s\"source\": %d, \"status\": %d, \"slot\": \"%u\", "
				       "\"slot-type\": \"CPU\"}",
				       i ? ", " : "[", device, s->ost_source, s->ost_status, i);
	}
	snprintf(text + at, sizeof(text) - at, "]");
	say_return(d, c, text);
}

static void on_qom_get(struct sim_domain *d, const struct qmp_command *c)
{
	if (strcmp(c->property, "type") == 0)
		say_return(d, c, "\"pc-q35-7.2-machine\"");
	else if (strcmp(c->property, "smm") == 0)
		say_return(d, c, "\"off\"");
	else
		say_return(d, c, "\"\"");
}

static void on_kvm(struct sim_domain *d, const struct qmp_command *c)
{
	say_return(d, c,
		   d->m.kvm ? "{\"enabled\": true, \"present\": true}"
			    : "{\"enabled\": false, \"present\": true}");
}

static void on_uuid(struct sim_domain *d, const struct qmp_command *c)
{
	char text[80];

	snprintf(text, sizeof(text), "{\"UUID\": \"6c1d9e0a-2f3b-4c55-9d7e-%012x\"}", d->number);
	say_return(d, c, text);
}

static void on_nothing(struct sim_domain *d, const struct qmp_command *c)
{
	say_return(d, c, "{}");
}

static void on_capabilities(struct sim_domain *d, const struct qmp_command *c)
{
	say_return(d, c, "{}");
	d->m.greeted = true;
}

static void on_device_add(struct sim_domain *d, const struct qmp_command *c)
{
	unsigned int slot = (unsigned int)c->core;

	if (c->core < 0 || c->core >= SIM_SLOTS) {
		say_error(d, c, "GenericError", "Invalid CPU core-id: %d must be in range 0:%d",
			  c->core, SIM_SLOTS - 1);
		return;
	}
	for (unsigned int i = 0; i < SIM_SLOTS; i++)
		if (d->m.slots[i].present && strcmp(d->m.slots[i].id, c->device) == 0) {
			say_error(d, c, "GenericError", "Duplicate device ID '%s'", c->device);
			return;
		}
	if (d->m.slots[slot].present) {
		d->m.slots[slot].added &= !say_error(d, c, "GenericError",
						     "CPU[%u] with APIC ID %u exists", slot, slot);
	} else if (d->m.refuse_add > 0) {
		d->m.refuse_add--;
		/* An answer that leaves nothing open. */
		d->m.slots[slot].added &= !say_error(d, c, "GenericError",
						     "kvm_init_vcpu: kvm_get_vcpu failed (%u): %s",
						     slot, "Cannot allocate memory");
		if (!d->m.slots[slot].added && d->watch)
			disturbed_step(d, slot, d->watch->adder[slot], "device_add");
	} else {
		machine_plug(d, slot, c->device, strncmp(c->device, "vhp-", 4) != 0);
		say_return(d, c, "{}");
		sim_phase(d, PHASE_ADD_REPLIED, slot);
	}
}

static unsigned int find_device(const struct sim_domain *d, const char *id)
{
	for (unsigned int i = 0; i < SIM_SLOTS; i++)
		if (d->m.slots[i].present && *id && strcmp(d->m.slots[i].id, id) == 0)
			return i;
	return SIM_NO_SLOT;
}

static void on_device_del(struct sim_domain *d, const struct qmp_command *c)
{
	unsigned int slot = find_device(d, c->device);

	if (slot == SIM_NO_SLOT) {
		say_error(d, c, "DeviceNotFound", "Device '%s' not found", c->device);
	} else if (d->m.legacy) {
		d->m.slots[slot].deleted &= !say_error(
			d, c, "GenericError",
			"acpi: device unplug request for not supported device type: %s", CPU_TYPE);
	} else if (d->m.refuse_del > 0) {
		d->m.refuse_del--;
		d->m.slots[slot].deleted &= !say_error(
			d, c, "GenericError", "Bus '%s' does not support hotplugging", "none");
	} else {
		machine_unplug(d, slot);
		say_return(d, c, "{}");
	}
}

static const struct row {
	const char *name;
	unsigned int min_us, max_us;
	void (*fn)(struct sim_domain *d, const struct qmp_command *c);
} rows[] = {
	{ "qmp_capabilities", 0, 0, on_capabilities },
	{ "query-hotpluggable-cpus", 0, 0, on_table },
	{ "query-cpus-fast", 0, 0, on_cpus_fast },
	{ "query-status", 0, 0, on_status },
	{ "query-migrate", 0, 0, on_nothing },
	{ "query-acpi-ospm-status", 0, 0, on_ospm },
	{ "query-kvm", 0, 0, on_kvm },
	{ "query-uuid", 0, 0, on_uuid },
	{ "qom-get", 0, 0, on_qom_get },
	{ "device_add", 2000, 5000, on_device_add },
	{ "device_del", 200, 2000, on_device_del },
};

static const struct row *find_row(const char *name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

/* Commands */

static void work(struct sim_domain *d);

static void on_turn(void *arg)
{
	struct sim_domain *d = arg;
	struct machine *m = &d->m;
	struct qmp_command c = m->queue[0];
	const struct row *row = find_row(c.name);

	if (m->stopped || m->n_queue == 0)
		return;
	m->slowed = false;
	memmove(m->queue, m->queue + 1, --m->n_queue * sizeof(c));
	if (row)
		row->fn(d, &c);
	else
		say_error(d, &c, "CommandNotFound", "The command %s has not been found", c.name);
	work(d);
}

/* What takes no time is answered at once, in one write with what came before it. */
static void work(struct sim_domain *d)
{
	struct machine *m = &d->m;
	const struct row *row;
	uint64_t us;

	if (m->stopped || m->turn.at)
		return;
	if (m->n_queue == 0) {
		flush(d);
		return;
	}
	row = find_row(m->queue[0].name);
	us = row && row->max_us ? rng_range(&d->rng, row->min_us, row->max_us) : 0;
	us += m->slow_us + (m->think_us ? rng_below(&d->rng, m->think_us) : 0);
	m->slowed = m->slow_us;
	m->slow_us = 0;
	if (us == 0) {
		on_turn(d);
		return;
	}
	flush(d);
	clock_arm(&m->turn, us);
}

void qmp_resume(struct sim_domain *d)
{
	flush(d);
	work(d);
}

static void note_sent(struct sim_domain *d, const struct qmp_command *c)
{
	unsigned int slot = (unsigned int)c->core;

	if (strcmp(c->name, "device_add") == 0 && slot < SIM_SLOTS) {
		sim_log(d, "device_add %s", c->device);
		if (d->m.slots[slot].added)
			sim_breach(d, "device_add of slot %u twice without a query", slot);
		d->m.slots[slot].added = true;
		disturbed_add(d, slot, world_asker(d, c->device));
		world_sent(d, slot, world_asker(d, c->device));
		sim_phase(d, PHASE_ADD_SENT, slot);
	} else if (strcmp(c->name, "device_del") == 0) {
		slot = find_device(d, c->device);
		sim_log(d, "device_del %s", c->device);
		if (slot == SIM_NO_SLOT)
			return;
		if (d->m.slots[slot].deleted)
			sim_breach(d, "device_del of slot %u twice without a query", slot);
		d->m.slots[slot].deleted = true;
		world_sent(d, slot, NULL);
		sim_phase(d, PHASE_DEL_SENT, slot);
	}
}

static void copy_text(json_object *o, const char *key, char *ret, size_t size)
{
	json_object *v;

	if (json_object_object_get_ex(o, key, &v))
		snprintf(ret, size, "%s", json_object_get_string(v));
}

static void on_command(struct sim_domain *d, const char *line, size_t len)
{
	struct json_tokener *t = json_tokener_new();
	json_object *o = json_tokener_parse_ex(t, line, (int)len), *v;
	struct qmp_command c = { .core = -1 };

	json_tokener_free(t);
	if (!o) {
		qmp_say(d, false,
			"{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error, "
			"expecting value\"}}\r");
		return;
	}
	copy_text(o, "execute", c.name, sizeof(c.name));
	if (json_object_object_get_ex(o, "id", &v))
		c.id = json_object_get_int64(v);
	if (json_object_object_get_ex(o, "arguments", &v)) {
		json_object *core;

		copy_text(v, "id", c.device, sizeof(c.device));
		copy_text(v, "driver", c.driver, sizeof(c.driver));
		copy_text(v, "property", c.property, sizeof(c.property));
		if (json_object_object_get_ex(v, "core-id", &core))
			c.core = json_object_get_int(core);
	}
	json_object_put(o);
	assert(d->m.n_queue < COMMANDS_MAX);
	d->m.queue[d->m.n_queue++] = c;
	note_sent(d, &c);
}

void qmp_script_take(struct sim_domain *d, const char *bytes, size_t n)
{
	struct machine *m = &d->m;
	char *line = m->in, *end;

	assert(m->in_len + n <= sizeof(m->in));
	memcpy(m->in + m->in_len, bytes, n);
	m->in_len += n;
	/* A fault may end the connection while a line is looked at. */
	while (m->in_len && (end = memchr(line, '\n', m->in_len - (size_t)(line - m->in)))) {
		on_command(d, line, (size_t)(end - line));
		line = end + 1;
	}
	if (m->in_len) {
		m->in_len -= (size_t)(line - m->in);
		memmove(m->in, line, m->in_len);
	}
	work(d);
}

static void on_bytes(void *ctx, const uint8_t *bytes, size_t n)
{
	qmp_script_take(ctx, (const char *)bytes, n);
}

static void on_greeting(void *arg)
{
	struct sim_domain *d = arg;

	qmp_say(d, false,
		"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
		"\"package\": \"Debian 1:7.2+dfsg-7+deb12u18\"}, \"capabilities\": [\"oob\"]}}\r");
	if (!d->m.stopped)
		flush(d);
}

static void on_open(void *ctx)
{
	struct sim_domain *d = ctx;

	forget_client(d);
	clock_arm(&d->m.greeting, 100);
}

static void on_close(void *ctx)
{
	forget_client(ctx);
}

void qmp_script_init(struct sim_domain *d)
{
	static const struct wire_ops ops = { on_open, on_bytes, on_close };
	char path[48];

	snprintf(path, sizeof(path), "/sim/%s.qmp", d->name);
	clock_init(&d->m.turn, on_turn, d);
	clock_init(&d->m.greeting, on_greeting, d);
	wire_init(&d->m.wire, d->event, path, &ops, d);
}

void qmp_script_done(struct sim_domain *d)
{
	clock_disarm(&d->m.turn);
	clock_disarm(&d->m.greeting);
	wire_done(&d->m.wire);
	free(d->m.out);
	tamper_done(&d->m.replies);
	tamper_done(&d->m.events);
}
