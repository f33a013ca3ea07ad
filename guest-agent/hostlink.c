/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The port is watched edge-triggered: with no host connected it polls readable and hung up all the
 * time while a read returns 0, which is no end of file but something to wait out. The kernel wakes
 * the port's queue for data, for room, and for a host that comes or goes, so nothing is missed and
 * nothing spins.
 *
 * Three kinds of output. Answers to requests: a request is only read while there is room for its
 * answer, so a host that floods and does not read stops itself. Progress: the kernel's steps and log
 * lines are dropped and counted when the queue is long, our own steps only when it is full. It is
 * gathered for GATHER_MS, with answers that nobody waits for, unless something else goes. What must
 * arrive, each CPU's row, each dynamic state's and each kick's result: not queued but marked as due
 * with the CPU or the registry, and taken from there when there is room. A result stays until it is
 * acknowledged and is due again in every new session.
 *
 * Frames are void when the peer's session changes. A row is always sent as it is now.
 */
#include "guest-agent/hostlink-internal.h"
#include "guest-agent/kick.h"
#include "guest-agent/kladder.h"
#include "guest-agent/others.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { FRAMES_A_TURN = 64, GATHER_MS = 20, GATHER_MAX = OUTBOX_PROGRESS / 4 };

static uint64_t random_number(void)
{
	uint64_t n = 0;

	while (n == 0) {
		if (getrandom(&n, sizeof(n), GRND_NONBLOCK) != sizeof(n))
			n = now_ns() ^ (uint64_t)getpid() << 48;
	}
	return n;
}

void hostlink_init(struct agent *a)
{
	struct link *l = &a->link;

	l->fd = -1;
	l->query_at = -1;
	session_init(&l->session, random_number());
	outbox_init(&l->out);
}

static uint32_t features(const struct agent *a)
{
	return (a->hotplug ? MSG_FEATURE_HOTPLUG : 0) |
	       (a->kladder.ready ? MSG_FEATURE_KTRACE : 0) | MSG_FEATURE_OTHERS | MSG_FEATURE_LOAD |
	       (a->udev_onlines ? MSG_FEATURE_UDEV_ONLINES : 0) |
	       (others_irqbalance_runs(a->root) ? MSG_FEATURE_IRQBALANCE : 0) |
	       (a->allow_faults ? MSG_FEATURE_FAULTS : 0);
}

static void say_hello(struct agent *a)
{
	struct link *l = &a->link;
	struct msg_hello h = {
		.version_min = FRAME_VERSION,
		.version_max = FRAME_VERSION,
		.features = features(a),
		.session = l->session.mine,
		.peer = l->session.peer,
		.kick = bootrec_kick(&a->record),
		.time_ns = now_ns(),
		.possible = (uint16_t)a->possible,
		.version = VCPUHP_VERSION,
	};
	struct utsname u;

	memcpy(h.boot_id, a->boot_id, sizeof(h.boot_id));
	if (uname(&u) == 0)
		snprintf(h.kernel, sizeof(h.kernel), "%s", u.release);
	(void)outbox_message(&l->out, MSG_HELLO, &h);
	l->urgent = true;
}

void hostlink_begin_session(struct agent *a)
{
	struct link *l = &a->link;

	session_init(&l->session, random_number());
	outbox_void(&l->out);
	l->query_at = -1;
	(void)outbox_pad(&l->out, FRAME_PAD);
	say_hello(a);
}

void hostlink_hello_again(struct agent *a)
{
	if (a->link.fd >= 0 && a->link.session.peer)
		say_hello(a);
}

static int watch_port(struct agent *a, bool out)
{
	struct epoll_event e = {
		.events = EPOLLIN | EPOLLET | (out ? EPOLLOUT : 0),
		.data.u64 = (uint64_t)SOURCE_PORT << 32,
	};
	struct link *l = &a->link;

	if (epoll_ctl(a->epoll, EPOLL_CTL_MOD, l->fd, &e) < 0)
		return -errno;
	l->wants_out = out;
	return 0;
}

void hostlink_on_port(struct agent *a)
{
	a->link.readable = true;
}

/* Without a version that both understand there is no session. */
static bool is_understood(struct agent *a, const struct msg_hello *h)
{
	struct link *l = &a->link;
	bool understood = h->version_min <= FRAME_VERSION && FRAME_VERSION <= h->version_max;

	if (!understood && !l->objected)
		agent_log(a,
			  "no session: the host speaks versions %u to %u of the protocol, not %d",
			  h->version_min, h->version_max, FRAME_VERSION);
	l->objected = !understood;
	return understood;
}

static void on_hello(struct agent *a, const struct msg_hello *h)
{
	struct link *l = &a->link;
	struct session_verdict v = session_on_hello(&l->session, h->session, h->peer);

	if (v.changed) {
		outbox_void(&l->out);
		l->query_at = -1;
		load_stop(&a->load);
	}
	/* Our range is in ours, so the host can say why, too. */
	if (v.reply)
		say_hello(a);
	if (!is_understood(a, h)) {
		l->session.established = false;
		return;
	}
	if (!v.up)
		return;
	agent_log(a, "session with the host established");
	l->out.session = session_key(&l->session);
	for_each_cpu (a, c)
		c->done_due = c->done_kept;
	kladder_on_session(a);
}

static void on_ping(struct agent *a, const struct msg_ping *p)
{
	const struct msg_pong pong = { .host_ns = p->host_ns, .guest_ns = now_ns() };

	hostlink_answer(a, MSG_PONG, &pong);
}

static void on_prepare(struct agent *a, const struct msg_prepare *p)
{
	expedite_prepare(&a->expedite, p->kicks, p->within_ms, now_ms());
}

static void on_request(struct agent *a, const struct frame *f)
{
	union {
		struct msg_ping ping;
		struct msg_kick kick;
		struct msg_cancel cancel;
		struct msg_ack ack;
		struct msg_arm arm;
		struct msg_prepare prepare;
		struct msg_load load;
	} m;

	switch (f->type) {
	case MSG_PING:
	case MSG_KICK:
	case MSG_CANCEL:
	case MSG_ACK:
	case MSG_ARM:
	case MSG_PREPARE:
	case MSG_LOAD:
	case MSG_QUERY:
		break;
	default:
		return; /* a newer peer's */
	}
	if (msg_decode(f->type, f->payload, f->length, &m) < 0)
		return;
	if (f->type == MSG_PING)
		on_ping(a, &m.ping);
	else if (f->type == MSG_KICK)
		kick_on_kick(a, &m.kick);
	else if (f->type == MSG_CANCEL)
		kick_on_cancel(a, &m.cancel);
	else if (f->type == MSG_ACK)
		kick_on_ack(a, &m.ack);
	else if (f->type == MSG_ARM)
		kick_on_arm(a, &m.arm);
	else if (f->type == MSG_PREPARE)
		on_prepare(a, &m.prepare);
	else if (f->type == MSG_LOAD)
		load_on_request(a, &m.load);
	else
		a->link.query_at = 0;
}

static void on_frame(struct agent *a, const struct frame *f)
{
	struct link *l = &a->link;
	struct msg_hello h;

	if (f->type == MSG_HELLO) {
		if (msg_decode(MSG_HELLO, f->payload, f->length, &h) == 0)
			on_hello(a, &h);
	} else if (l->session.established && f->session == session_key(&l->session)) {
		on_request(a, f);
	}
}

/* Return: whether bytes were read. */
static bool read_some(struct agent *a)
{
	struct link *l = &a->link;
	size_t space;
	uint8_t *to = frame_space(&l->in, &space);
	ssize_t n = read(l->fd, to, space);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		hostlink_close(a, strerror(errno));
		return false;
	}
	if (n == 0) {
		l->readable = false;
		l->host_gone = true;
		l->session.established = false;
		frame_decoder_init(&l->in);
		return false;
	}
	if (l->host_gone) {
		l->host_gone = false;
		hostlink_begin_session(a);
	}
	if (n > 0)
		frame_fed(&l->in, (size_t)n);
	else
		l->readable = false;
	return n > 0;
}

static void take_frames(struct agent *a)
{
	struct link *l = &a->link;
	struct frame f;
	int n = 0;

	while (l->fd >= 0 && n < FRAMES_A_TURN && outbox_has_room(&l->out)) {
		if (frame_next(&l->in, &f)) {
			on_frame(a, &f);
			n++;
		} else if (!l->readable || !read_some(a)) {
			return;
		}
	}
	/* There may be more in the decoder, of which the port will not tell. */
	l->readable = true;
}

void hostlink_answer_later(struct agent *a, int type, const void *msg)
{
	if (a->link.session.established)
		(void)outbox_message(&a->link.out, type, msg);
}

void hostlink_answer(struct agent *a, int type, const void *msg)
{
	hostlink_answer_later(a, type, msg);
	a->link.urgent |= a->link.session.established;
}

void hostlink_progress(struct agent *a, const struct record *r)
{
	if (a->link.session.established)
		(void)outbox_record(&a->link.out, r, true);
}

void hostlink_report(struct agent *a, const struct record *r)
{
	if (a->link.session.established && outbox_record(&a->link.out, r, false) < 0)
		a->link.out.dropped++;
}

bool hostlink_is_behind(const struct agent *a)
{
	size_t queued;

	outbox_bytes(&a->link.out, &queued);
	return queued >= OUTBOX_PROGRESS;
}

void hostlink_flush(struct agent *a)
{
	a->link.urgent = true;
}

static void write_out(struct agent *a)
{
	struct link *l = &a->link;

	for (;;) {
		size_t len;
		const uint8_t *bytes = outbox_bytes(&l->out, &len);
		ssize_t n = len ? write(l->fd, bytes, len) : 0;

		if (n > 0) {
			outbox_written(&l->out, (size_t)n);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			hostlink_close(a, strerror(errno));
			return;
		}
		if (l->wants_out != (len > 0) && watch_port(a, len > 0) < 0)
			hostlink_close(a, "cannot be watched");
		return;
	}
}

/*
 * Progress of one burst goes in one write: each costs the host and, where vCPUs are threads that
 * share the host's CPUs, the CPU that is on its way up. Many vCPUs' fill what is gathered before.
 */
static bool is_gathering(struct link *l)
{
	uint64_t now = now_ms();
	size_t queued;

	outbox_bytes(&l->out, &queued);
	if (l->urgent || l->wants_out || queued > GATHER_MAX || (!queued && !l->out.batched) ||
	    (l->gather_ms && now >= l->gather_ms))
		l->gather_ms = 0;
	else if (!l->gather_ms)
		l->gather_ms = now + GATHER_MS;
	return l->gather_ms;
}

void hostlink_take(struct agent *a)
{
	if (a->link.fd >= 0)
		take_frames(a);
}

bool hostlink_put(struct agent *a)
{
	struct link *l = &a->link;
	bool left = false;

	if (l->fd < 0)
		return false;
	if (l->session.established)
		left = !hostlink_put_due(a);
	if (!is_gathering(l)) {
		outbox_close_batch(&l->out);
		l->urgent = false;
		write_out(a);
		left |= l->out.batched > 0;
	}
	/* What found no room may have it now that all was written, and no event tells of that. */
	return l->fd >= 0 && (l->readable || left) && outbox_has_room(&l->out);
}
