/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * Theory of operation
 *
 * The intent of a domain as bytes. One description of the layout serves both ways: each field is
 * passed through a codec that either writes it or replaces it by what it reads, so the two cannot
 * come to differ.
 *
 * A slot: magic, version, length of the payload, CRC32C over header (its own field as 0) and
 * payload, sequence number; then the payload. Little-endian, no padding. Two slots are written in
 * turn, each in one call, so whatever a kill or a full disk tears is the slot being written: its
 * CRC fails and the other one, which is the intent before that write, counts. Since the act that a
 * write announces is only done after it, the older intent is then the true one.
 *
 * The header is the same in all versions: each knows what is another's, and whether something was
 * under way by it, which only that version can take to its end.
 *
 * Sent to nobody and read by the same program, it is checked as if a stranger had made it: every
 * number has a range, and one outside it makes the slot worthless.
 */
#include "daemon/intent.h"
#include "proto/frame.h"
#include "proto/wire.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAGIC = 0x49504856, /* "VHPI" */
	AT_VERSION = 4,
	AT_CRC = 8,
	AT_LENGTH = 12,
	AT_SEQ = 16,
	AT_UNDER_WAY = 24,
	SLOTS = 4096, /* no machine has more vCPUs */
	MOVE_BYTES = 64 + 2 * OP_TEXT_MAX + 2 + CPUHP_STATES * 6,
	OP_BYTES = 6144,
	VCPU_BYTES = 5,
};

/* @bad: it did not fit, or what was read is no such field. */
struct codec {
	uint8_t *at, *end;
	bool decode, bad;
};

static uint64_t number(struct codec *c, uint64_t v, unsigned int bytes)
{
	uint64_t read = 0;

	if (c->bad || (size_t)(c->end - c->at) < bytes) {
		c->bad = true;
		return 0;
	}
	for (unsigned int i = 0; !c->decode && i < bytes; i++)
		c->at[i] = (uint8_t)(v >> (8 * i));
	for (unsigned int i = 0; i < bytes; i++)
		read |= (uint64_t)c->at[i] << (8 * i);
	c->at += bytes;
	return read;
}

static uint64_t u64(struct codec *c, uint64_t v)
{
	return number(c, v, 8);
}

static uint32_t u32(struct codec *c, uint32_t v)
{
	return (uint32_t)number(c, v, 4);
}

static int i32(struct codec *c, int v)
{
	return (int32_t)u32(c, (uint32_t)v);
}

/* A number of low..high, in two bytes. */
static int within(struct codec *c, int v, int low, int high)
{
	int read = (int16_t)number(c, (uint16_t)v, 2);

	if (read < low || read > high)
		c->bad = true;
	return c->bad ? low : read;
}

static bool flag(struct codec *c, bool v)
{
	return number(c, v, 1) & 1;
}

static int state(struct codec *c, int v)
{
	return within(c, v, -1, CPUHP_ONLINE);
}

static void bytes(struct codec *c, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)number(c, p[i], 1);
}

/* Text of up to @size - 1 bytes, none of them NUL. */
static void text(struct codec *c, char *p, size_t size)
{
	size_t n = number(c, c->decode ? 0 : strlen(p), 2);

	if (c->bad || n >= size || n > (size_t)(c->end - c->at)) {
		c->bad = true;
		return;
	}
	if (c->decode) {
		memcpy(p, c->at, n);
		p[n] = '\0';
		c->bad = strlen(p) != n;
	} else {
		memcpy(c->at, p, n);
	}
	c->at += n;
}

static const char *const refusers[] = { NULL, "guest", "limit", "policy", "hook" };

static const char *refuser(struct codec *c, const char *v)
{
	int n = sizeof(refusers) / sizeof(*refusers), at = 0;

	for (int i = 1; v && i < n; i++)
		if (strcmp(refusers[i], v) == 0)
			at = i;
	return refusers[within(c, at, 0, n - 1)];
}

static void request(struct codec *c, struct op_request *r)
{
	text(c, r->id, sizeof(r->id));
	r->goal = (enum op_goal)within(c, r->goal, OP_GOAL_COUNT, OP_GOAL_TARGET);
	r->count = u32(c, r->count);
	r->standby = i32(c, r->standby);
	for (size_t i = 0; r->goal == OP_GOAL_TARGET && i < CPULIST_MAX / 64; i++)
		r->list.bits[i] = u64(c, r->list.bits[i]);
	r->target = state(c, r->target);
	text(c, r->callback, sizeof(r->callback));
	r->policy = (enum op_policy)within(c, r->policy, OP_POLICY_ALL, OP_POLICY_BEST_EFFORT);
	r->at_least = u32(c, r->at_least);
	r->timeout_ms = u32(c, r->timeout_ms);
	r->foreign = flag(c, r->foreign);
	r->persist = flag(c, r->persist);
	r->uid = u32(c, r->uid);
	r->own = flag(c, r->own);
}

/* Few of them are ever run: each with its number, and so that 71 minutes are the longest. */
static void steps(struct codec *c, uint64_t step_us[CPUHP_STATES])
{
	int n = 0, at = -1;

	for (int s = 0; s < CPUHP_STATES; s++)
		n += step_us[s] != UINT64_MAX;
	n = within(c, c->decode ? 0 : n, 0, CPUHP_STATES);
	if (c->decode)
		memset(step_us, 0xff, CPUHP_STATES * sizeof(*step_us));
	for (; n > 0 && !c->bad; n--) {
		uint64_t us = UINT32_MAX;

		at++;
		while (!c->decode && step_us[at] == UINT64_MAX)
			at++;
		at = within(c, at, 0, CPUHP_STATES - 1);
		if (!c->decode && step_us[at] < us)
			us = step_us[at];
		us = u32(c, (uint32_t)us);
		if (!c->bad && c->decode)
			step_us[at] = us;
	}
}

/* Of the callbacks, by their states. */
static void names(struct codec *c, char names[INTENT_DYNS][MSG_NAME_MAX + 1])
{
	int n = 0, at = -1;

	for (int i = 0; i < INTENT_DYNS; i++)
		n += names[i][0] != '\0';
	n = within(c, c->decode ? 0 : n, 0, INTENT_DYNS);
	for (; n > 0 && !c->bad; n--) {
		at++;
		while (!c->decode && !names[at][0])
			at++;
		at = within(c, at, 0, INTENT_DYNS - 1);
		text(c, names[at], MSG_NAME_MAX + 1);
	}
}

static void move(struct codec *c, struct intent_move *m)
{
	m->vcpu = (unsigned int)within(c, (int)m->vcpu, 0, SLOTS - 1);
	m->from = within(c, m->from, 0, CPUHP_ONLINE);
	m->to = within(c, m->to, 0, CPUHP_ONLINE);
	m->goal = within(c, m->goal, 0, CPUHP_ONLINE);
	m->at = state(c, m->at);
	m->started = flag(c, m->started);
	m->undoing = flag(c, m->undoing);
	m->failed = flag(c, m->failed);
	m->refused = flag(c, m->refused);
	m->called_back = flag(c, m->called_back);
	m->pending = flag(c, m->pending);
	m->stuck = flag(c, m->stuck);
	m->gone = flag(c, m->gone);
	m->owned = flag(c, m->owned);
	m->asked = flag(c, m->asked);
	m->cpu = within(c, m->cpu, -1, SLOTS - 1);
	m->state = state(c, m->state);
	m->ran_on = within(c, m->ran_on, -1, SLOTS - 1);
	m->result = (enum vcpu_result)within(c, (int)m->result, 0, VCPU_RESULTS - 1);
	m->failed_at = state(c, m->failed_at);
	m->rc = i32(c, m->rc);
	m->rollback_failed_at = state(c, m->rollback_failed_at);
	m->rollback_rc = i32(c, m->rollback_rc);
	text(c, m->failed_name, sizeof(m->failed_name));
	text(c, m->error, sizeof(m->error));
	steps(c, m->step_us);
}

static void vcpu(struct codec *c, struct intent_vcpu *v)
{
	unsigned int flags =
		v->owned | (unsigned int)v->leaving << 1 | (unsigned int)v->returning << 2;

	v->wish = state(c, v->wish);
	v->back = state(c, v->back);
	flags = (unsigned int)number(c, flags, 1);
	v->owned = flags & 1;
	v->leaving = flags & 2;
	v->returning = flags & 4;
}

static void persist(struct codec *c, struct persist_outcome *p)
{
	p->result = (enum persist_result)within(c, (int)p->result, 0, PERSIST_RESULTS - 1);
	p->present = i32(c, p->present);
	p->maximum = i32(c, p->maximum);
	text(c, p->error, sizeof(p->error));
}

/* Room for @n things of @size where it is being read. False: there is none, or that many cannot be. */
static bool make_room(struct codec *c, void **array, unsigned int n, size_t size)
{
	if (!c->decode || c->bad)
		return !c->bad;
	*array = n ? calloc(n, size) : NULL;
	c->bad = n && !*array;
	return !c->bad;
}

static void moves(struct codec *c, struct intent_op *o)
{
	void *room = o->moves;
	unsigned int n = (unsigned int)within(c, (int)o->n_moves, 0, SLOTS);

	if (!make_room(c, &room, n, sizeof(*o->moves)))
		return;
	o->moves = room;
	o->n_moves = n;
	for (unsigned int i = 0; i < n; i++)
		move(c, &o->moves[i]);
}

static void op(struct codec *c, struct intent_op *o)
{
	text(c, o->id, sizeof(o->id));
	o->stage = (enum intent_stage)within(c, (int)o->stage, INTENT_QUEUED, INTENT_ENDED);
	request(c, &o->request);
	o->accepted_us = u64(c, o->accepted_us);
	o->accepted_realtime_us = u64(c, o->accepted_realtime_us);
	o->deadline_us = u64(c, o->deadline_us);
	if (o->stage == INTENT_QUEUED)
		return;
	o->ended_us = u64(c, o->ended_us);
	o->stretched = flag(c, o->stretched);
	o->planned_anew = flag(c, o->planned_anew);
	o->stop_rc = i32(c, o->stop_rc);
	o->kick_base = u32(c, o->kick_base);
	o->result = (enum op_result)within(c, (int)o->result, 0, OP_RESULTS - 1);
	o->refused_by = refuser(c, o->refused_by);
	o->denied = flag(c, o->denied);
	o->denial = (enum request_error)within(c, (int)o->denial, 0, REQUEST_ERRORS - 1);
	text(c, o->error, sizeof(o->error));
	text(c, o->warning, sizeof(o->warning));
	persist(c, &o->persist);
	o->counts.maximum = i32(c, o->counts.maximum);
	o->counts.present = i32(c, o->counts.present);
	o->counts.online = i32(c, o->counts.online);
	o->counts.standby = i32(c, o->counts.standby);
	names(c, o->dyn_names);
	moves(c, o);
}

static void run(struct codec *c, struct intent_run *r)
{
	bytes(c, r->host_boot, sizeof(r->host_boot));
	r->known = flag(c, r->known);
	text(c, r->uuid, sizeof(r->uuid));
	r->maximum = u32(c, r->maximum);
	r->libvirt_id = i32(c, r->libvirt_id);
	r->pid = i32(c, r->pid);
	r->pid_started = u64(c, r->pid_started);
}

static void vcpus(struct codec *c, struct intent *i)
{
	void *room = i->vcpus;
	unsigned int n = (unsigned int)within(c, (int)i->n_vcpus, 0, SLOTS);

	if (!make_room(c, &room, n, sizeof(*i->vcpus)))
		return;
	i->vcpus = room;
	i->n_vcpus = n;
	for (unsigned int k = 0; k < n; k++)
		vcpu(c, &i->vcpus[k]);
}

static void as_it_stands(struct codec *c, const struct intent_bytes *b)
{
	if (c->bad || (size_t)(c->end - c->at) < b->n) {
		c->bad = true;
		return;
	}
	memcpy(c->at, b->data, b->n);
	c->at += b->n;
}

static void ops(struct codec *c, struct intent *i)
{
	void *room = i->ops;
	unsigned int n = (unsigned int)within(c, (int)(i->n_ended + i->n_ops), 0, INTENT_OPS_MAX);

	if (!make_room(c, &room, n, sizeof(*i->ops)))
		return;
	i->ops = room;
	i->n_ops = c->decode ? n : i->n_ops;
	for (unsigned int k = 0; k < i->n_ended; k++)
		as_it_stands(c, i->ended[k]);
	for (unsigned int k = 0; !c->bad && k < i->n_ops; k++)
		op(c, &i->ops[k]);
}

static void payload(struct codec *c, struct intent *i)
{
	run(c, &i->run);
	bytes(c, i->guest_boot, sizeof(i->guest_boot));
	vcpus(c, i);
	ops(c, i);
}

void intent_done(struct intent *i)
{
	for (unsigned int k = 0; k < i->n_ops; k++)
		free(i->ops[k].moves);
	free(i->ops);
	free(i->vcpus);
	*i = (struct intent){ 0 };
}

static size_t op_size(const struct intent_op *o)
{
	return OP_BYTES + MOVE_BYTES * (size_t)o->n_moves;
}

size_t intent_size(const struct intent *i)
{
	size_t n = INTENT_HEADER + OP_BYTES + VCPU_BYTES * (size_t)i->n_vcpus;

	for (unsigned int k = 0; k < i->n_ended; k++)
		n += i->ended[k]->n;
	for (unsigned int k = 0; k < i->n_ops; k++)
		n += op_size(&i->ops[k]);
	return n;
}

int intent_encode_op(struct intent_op *o, struct intent_bytes **ret)
{
	size_t size = op_size(o), n;
	uint8_t *room = malloc(size);
	struct intent_bytes *b;
	struct codec c = { .at = room, .end = room + size };

	if (!room)
		return -ENOMEM;
	op(&c, o);
	n = (size_t)(c.at - room);
	/* Not cut from the room, which is more than ten times as large: what the last one left is of its size. */
	b = c.bad ? NULL : malloc(sizeof(*b) + n);
	if (b) {
		b->n = n;
		memcpy(b->data, room, n);
		*ret = b;
	}
	free(room);
	if (c.bad)
		return -ENOBUFS;
	return b ? 0 : -ENOMEM;
}

static uint32_t checksum(const uint8_t *slot, size_t length)
{
	static const uint8_t none[4];
	uint32_t crc = crc32c(0, slot, AT_CRC);

	crc = crc32c(crc, none, sizeof(none));
	return crc32c(crc, slot + AT_LENGTH, INTENT_HEADER - AT_LENGTH + length);
}

static bool is_under_way(const struct intent *i)
{
	for (unsigned int k = 0; k < i->n_ops; k++)
		if (i->ops[k].stage != INTENT_ENDED)
			return true;
	for (unsigned int k = 0; k < i->n_vcpus; k++)
		if (i->vcpus[k].leaving || i->vcpus[k].returning)
			return true;
	return false;
}

int intent_encode(struct intent *i, uint8_t *out, size_t size)
{
	struct codec c = { .at = out + INTENT_HEADER, .end = out + size };
	size_t length;

	if (size < INTENT_HEADER)
		return -ENOBUFS;
	payload(&c, i);
	if (c.bad)
		return -ENOBUFS;
	length = (size_t)(c.at - out) - INTENT_HEADER;
	memset(out, 0, INTENT_HEADER);
	put_le32(out, MAGIC);
	put_le32(out + AT_VERSION, INTENT_VERSION);
	put_le32(out + AT_LENGTH, (uint32_t)length);
	put_le64(out + AT_SEQ, i->seq);
	out[AT_UNDER_WAY] = is_under_way(i);
	put_le32(out + AT_CRC, checksum(out, length));
	return (int)(INTENT_HEADER + length);
}

static bool is_blank(const uint8_t *data)
{
	for (size_t i = 0; i < INTENT_HEADER; i++)
		if (data[i])
			return false;
	return true;
}

int intent_decode(const uint8_t *data, size_t size, struct intent *ret)
{
	struct intent i = { 0 };
	struct codec c = { .decode = true };
	uint32_t length;

	if (size < INTENT_HEADER)
		return -EBADMSG;
	if (is_blank(data))
		return -ENODATA;
	length = get_le32(data + AT_LENGTH);
	if (get_le32(data) != MAGIC || length > size - INTENT_HEADER ||
	    get_le32(data + AT_CRC) != checksum(data, length))
		return -EBADMSG;
	if (get_le32(data + AT_VERSION) != INTENT_VERSION)
		return data[AT_UNDER_WAY] ? -EPROTONOSUPPORT : -ESTALE;
	i.seq = get_le64(data + AT_SEQ);
	/* Only read, where @decode is set. */
	c.at = (uint8_t *)(uintptr_t)data + INTENT_HEADER;
	c.end = c.at + length;
	payload(&c, &i);
	if (c.bad || c.at != c.end) {
		intent_done(&i);
		return -EBADMSG;
	}
	*ret = i;
	return 0;
}

static bool is_anothers(int rc)
{
	return rc == -EPROTONOSUPPORT || rc == -ESTALE;
}

/*
 * Does slot @i, of another version, count? Beside one of that kind the newer does. Beside one of ours
 * what was under way does anyhow: only its version knows what has become of that.
 */
static bool counts(const uint8_t *data, size_t slot_size, const int rc[2], int i)
{
	bool newer = get_le64(data + (size_t)i * slot_size + AT_SEQ) >
		     get_le64(data + (size_t)!i * slot_size + AT_SEQ);

	if (is_anothers(rc[!i]))
		return newer;
	return newer || rc[!i] < 0 || rc[i] == -EPROTONOSUPPORT;
}

int intent_newest(const uint8_t *data, size_t slot_size, struct intent *ret)
{
	struct intent slots[2] = { 0 };
	int rc[2], best;

	for (int i = 0; i < 2; i++)
		rc[i] = intent_decode(data + (size_t)i * slot_size, slot_size, &slots[i]);
	for (int i = 0; i < 2; i++)
		if (is_anothers(rc[i]) && counts(data, slot_size, rc, i)) {
			intent_done(&slots[!i]);
			return rc[i];
		}
	if (rc[0] < 0 && rc[1] < 0)
		return rc[0] == -ENODATA ? rc[1] : rc[0];
	best = rc[0] < 0 || (rc[1] == 0 && slots[1].seq > slots[0].seq);
	intent_done(&slots[!best]);
	*ret = slots[best];
	return best;
}
