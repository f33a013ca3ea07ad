/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's agent that means harm, in place of QEMU's end of the port: listens on a socket, greets
 * whoever connects as a sound agent does, and from then on sends what its mode says, as fast as it
 * is taken. It never sleeps: one core is its own, also where the daemon lets it wait.
 *
 *	hostile-agent MODE SOCKET
 *
 * On SIGTERM it tells what it has done: connections, sessions, bytes written, frames read.
 */
#include "proto/frame.h"
#include "proto/ladder.h"
#include "proto/msg.h"
#include "proto/session.h"
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	BLAST = 256 * 1024,
	FULL = BLAST - 16 * 1024, /* the rest is for answers */
	OLD = 64 * 1024,          /* bytes kept of earlier sessions */
	SOUND_CPUS = 2,           /* of the table it tells when asked */
	STORM_FRAMES = 2,         /* a storm closes when it was heard that often */
	SMALLEST_RECORD = 32,     /* what ends the filling of a frame */
};

struct guest {
	const struct mode *mode;
	int listener, fd;
	struct frame_decoder in;
	struct session session;
	uint32_t seq;
	uint64_t random;
	uint8_t blast[BLAST];
	size_t blast_len, blast_at;
	uint8_t old[OLD];
	size_t old_len;
	unsigned long connections, sessions, heard, written;
	unsigned int heard_here;
};

/*
 * struct mode - what a guest does
 * @fill: makes the next blast; NULL nothing is sent but answers
 * @record: makes record @n of a report
 * @deaf: it reads nothing once greeted
 * @storm: it hangs up as soon as it was heard
 */
struct mode {
	const char *name;
	void (*fill)(struct guest *g);
	void (*record)(struct guest *g, struct record *r, unsigned int n);
	bool deaf, storm;
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	ended = 1;
}

static uint64_t next_random(struct guest *g)
{
	g->random ^= g->random << 13;
	g->random ^= g->random >> 7;
	g->random ^= g->random << 17;
	return g->random;
}

static void append(struct guest *g, const void *bytes, size_t n)
{
	if (g->blast_len + n > sizeof(g->blast))
		return;
	memcpy(g->blast + g->blast_len, bytes, n);
	g->blast_len += n;
}

static size_t make_frame(struct guest *g, int type, uint64_t session, uint8_t out[FRAME_MAX],
			 size_t payload)
{
	struct frame f = { .type = (uint8_t)type, .session = session, .seq = g->seq++ };
	int n;

	f.payload = out + FRAME_HEADER;
	f.length = (uint16_t)payload;
	n = frame_encode(&f, out, FRAME_MAX);
	return n < 0 ? 0 : (size_t)n;
}

/* '~' in a text becomes what no encoder would let through: escapes and bytes that are no UTF-8. */
static void spoil(uint8_t *bytes, size_t n)
{
	static const uint8_t bad[] = { 0x1b, 0xff, '\n', 0x07, 0xc0, '\r', 0x9b, 0x00 };

	for (size_t i = 0, k = 0; i < n; i++)
		if (bytes[i] == '~')
			bytes[i] = bad[k++ % sizeof(bad)];
}

static void report_frame(struct guest *g)
{
	uint8_t out[FRAME_MAX];
	size_t at = 0;
	struct record r;

	for (unsigned int n = 0; at + SMALLEST_RECORD < FRAME_PAYLOAD_MAX; n++) {
		memset(&r, 0, sizeof(r));
		g->mode->record(g, &r, n);
		if (record_encode(&r, out + FRAME_HEADER, FRAME_PAYLOAD_MAX, &at) < 0)
			break;
	}
	spoil(out + FRAME_HEADER, at);
	append(g, out, make_frame(g, MSG_REPORT, session_key(&g->session), out, at));
}

static void fill_reports(struct guest *g)
{
	while (g->blast_len + FRAME_MAX <= FULL)
		report_frame(g);
}

static void log_record(struct guest *g, struct record *r, unsigned int n)
{
	r->type = RECORD_LOG;
	r->log.level = (uint8_t)(n % 8);
	snprintf(r->log.text, sizeof(r->log.text), "~]0;owned~~<0>%%n%%s %u ~[2J~~\"}{", n);
}

static void cpu_record(struct guest *g, struct record *r, unsigned int n)
{
	uint64_t x = next_random(g);

	r->type = RECORD_CPU;
	r->cpu = (struct record_cpu){
		.cpu = (uint16_t)(x % 9),
		.slot = (uint16_t)(x >> 8) % 9,
		.flags = (uint8_t)(x >> 16),
		.state = (uint8_t)(CPUHP_STANDBY + (x >> 24) % (CPUHP_ONLINE - CPUHP_STANDBY + 1)),
		.ran_on = (uint16_t)(x >> 32) % 9,
	};
	snprintf(r->cpu.text, sizeof(r->cpu.text), "~[31m%%s%u", n);
}

static void step_record(struct guest *g, struct record *r, unsigned int n)
{
	uint64_t x = next_random(g);

	r->type = RECORD_STEP;
	r->step = (struct record_step){
		.kick = (uint32_t)(x % 3 ? 0 : x >> 40),
		.slot = (uint16_t)(n % 3),
		.cpu = (uint16_t)(n % 3),
		.state = (uint8_t)(CPUHP_STANDBY + 1 + (x >> 8) % 30),
		.flags = (uint8_t)(x >> 16),
		.rc = (int32_t)(x >> 32),
		.ran_on = (uint16_t)(x >> 48) % 5,
		.time_ns = x,
	};
	snprintf(r->step.text, sizeof(r->step.text), "~%%n");
}

static void done_record(struct guest *g, struct record *r, unsigned int n)
{
	r->type = RECORD_DONE;
	r->done = (struct record_done){
		.kick = (uint32_t)next_random(g),
		.slot = (uint16_t)(n % 9),
		.cpu = (uint16_t)(n % 9),
		.state = CPUHP_ONLINE,
		.failed_at = 0xff,
		.rollback_failed_at = 0xff,
		.ran_on = (uint16_t)(n % 9),
	};
}

static void end_record(struct guest *g, struct record *r, unsigned int n)
{
	r->type = RECORD_END;
}

static void state_record(struct guest *g, struct record *r, unsigned int n)
{
	r->type = RECORD_STATE;
	r->state.state = (uint8_t)(12 + n % 31);
	snprintf(r->state.name, sizeof(r->state.name), "%02u-~[2J\"%%s%u", n % 100, n);
}

static void fill_garbage(struct guest *g)
{
	while (g->blast_len + sizeof(uint64_t) <= FULL) {
		uint64_t x = next_random(g);

		append(g, &x, sizeof(x));
	}
}

/* Each frame is begun and none ended: the next one's magic stands in its payload. */
static void fill_halves(struct guest *g)
{
	uint8_t out[FRAME_MAX];
	size_t n;

	while (g->blast_len + FRAME_MAX <= FULL) {
		memset(out + FRAME_HEADER, 'h', FRAME_PAYLOAD_MAX);
		n = make_frame(g, MSG_REPORT, session_key(&g->session), out, FRAME_PAYLOAD_MAX);
		append(g, out, FRAME_HEADER + next_random(g) % (n - FRAME_HEADER));
	}
}

static void fill_damaged(struct guest *g)
{
	size_t start = g->blast_len;

	fill_reports(g);
	for (size_t at = start + 40; at < g->blast_len; at += 97)
		g->blast[at] ^= 0x40;
}

/* Heads of frames alone, one beside the other: each is looked at and none comes to an end. */
static void fill_heads(struct guest *g)
{
	uint8_t out[FRAME_MAX] = { 0 };

	make_frame(g, MSG_REPORT, session_key(&g->session), out, FRAME_PAYLOAD_MAX);
	while (g->blast_len + FRAME_HEADER <= FULL)
		append(g, out, FRAME_HEADER);
}

static void fill_empty(struct guest *g)
{
	uint8_t out[FRAME_MAX];

	while (g->blast_len + FRAME_HEADER <= FULL)
		append(g, out, make_frame(g, MSG_REPORT, session_key(&g->session), out, 0));
}

static void fill_byte(struct guest *g)
{
	append(g, "V", 1);
}

static void append_hello(struct guest *g, uint64_t mine)
{
	struct msg_hello h = {
		.version_min = FRAME_VERSION,
		.version_max = FRAME_VERSION,
		.features = MSG_FEATURE_HOTPLUG,
		.session = mine,
		.peer = g->session.peer,
		.possible = 8,
		.version = "hostile",
		.kernel = "~[2J%n",
	};
	uint8_t out[FRAME_MAX];
	int n = msg_encode(MSG_HELLO, &h, out + FRAME_HEADER, FRAME_PAYLOAD_MAX);

	/* The kernel's name comes last. */
	spoil(out + FRAME_HEADER + n - strlen(h.kernel), strlen(h.kernel));
	append(g, out, make_frame(g, MSG_HELLO, 0, out, (size_t)n));
}

static void fill_sessions(struct guest *g)
{
	for (int i = 0; i < 64; i++)
		append_hello(g, next_random(g) | 1);
}

/* All that earlier sessions have said, again and again. */
static void fill_old(struct guest *g)
{
	if (g->old_len == 0)
		fill_reports(g);
	if (g->old_len == 0) {
		g->old_len = g->blast_len < OLD ? g->blast_len : OLD;
		memcpy(g->old, g->blast, g->old_len);
		session_init(&g->session, next_random(g) | 1);
		g->blast_len = 0;
		append_hello(g, g->session.mine);
	}
	append(g, g->old, g->old_len);
}

static const struct mode modes[] = {
	{ .name = "spin" },
	{ .name = "logs", .fill = fill_reports, .record = log_record },
	{ .name = "cpus", .fill = fill_reports, .record = cpu_record },
	{ .name = "steps", .fill = fill_reports, .record = step_record },
	{ .name = "dones", .fill = fill_reports, .record = done_record },
	{ .name = "deaf", .fill = fill_reports, .record = done_record, .deaf = true },
	{ .name = "ends", .fill = fill_reports, .record = end_record },
	{ .name = "names", .fill = fill_reports, .record = state_record },
	{ .name = "empty", .fill = fill_empty },
	{ .name = "garbage", .fill = fill_garbage },
	{ .name = "halves", .fill = fill_halves },
	{ .name = "heads", .fill = fill_heads },
	{ .name = "damaged", .fill = fill_damaged, .record = cpu_record },
	{ .name = "bytes", .fill = fill_byte },
	{ .name = "sessions", .fill = fill_sessions },
	{ .name = "replay", .fill = fill_old, .record = cpu_record },
	{ .name = "storm", .storm = true },
};

/* The answer to QUERY that a sound agent of two CPUs would give. */
static void append_table(struct guest *g)
{
	uint8_t out[FRAME_MAX];
	struct record r = { .type = RECORD_CPU };
	size_t at = 0;

	for (unsigned int i = 0; i < SOUND_CPUS; i++) {
		r.cpu = (struct record_cpu){
			.cpu = (uint16_t)i, .slot = (uint16_t)i, .state = CPUHP_ONLINE, .ran_on = i
		};
		r.cpu.flags = RECORD_CPU_PRESENT | RECORD_CPU_ONLINE;
		record_encode(&r, out + FRAME_HEADER, FRAME_PAYLOAD_MAX, &at);
	}
	r = (struct record){ .type = RECORD_END };
	record_encode(&r, out + FRAME_HEADER, FRAME_PAYLOAD_MAX, &at);
	append(g, out, make_frame(g, MSG_REPORT, session_key(&g->session), out, at));
}

static void append_pong(struct guest *g, const struct msg_ping *m)
{
	struct msg_pong pong = { .host_ns = m->host_ns, .guest_ns = next_random(g) };
	uint8_t out[FRAME_MAX];
	int n = msg_encode(MSG_PONG, &pong, out + FRAME_HEADER, FRAME_PAYLOAD_MAX);

	append(g, out, make_frame(g, MSG_PONG, session_key(&g->session), out, (size_t)n));
}

static void take(struct guest *g, const struct frame *f)
{
	struct session_verdict v;
	struct msg_hello hello;
	struct msg_ping ping;

	g->heard++;
	g->heard_here++;
	if (f->type == MSG_HELLO && msg_decode(MSG_HELLO, f->payload, f->length, &hello) == 0) {
		v = session_on_hello(&g->session, hello.session, hello.peer);
		g->sessions += v.up;
		if (v.reply)
			append_hello(g, g->session.mine);
	} else if (f->type == MSG_QUERY) {
		append_table(g);
	} else if (f->type == MSG_PING && msg_decode(MSG_PING, f->payload, f->length, &ping) == 0) {
		append_pong(g, &ping);
	}
}

static void hang_up(struct guest *g)
{
	close(g->fd);
	g->fd = -1;
}

static void meet(struct guest *g)
{
	static const uint8_t pad[FRAME_PAD];

	g->fd = accept4(g->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (g->fd < 0)
		return;
	g->connections++;
	g->heard_here = 0;
	frame_decoder_init(&g->in);
	session_init(&g->session, next_random(g) | 1);
	g->blast_len = g->blast_at = 0;
	append(g, pad, sizeof(pad));
	append_hello(g, g->session.mine);
}

static void hear(struct guest *g)
{
	struct frame f;
	size_t size;
	uint8_t *space = frame_space(&g->in, &size);
	ssize_t n = recv(g->fd, space, size, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		hang_up(g);
	if (n <= 0)
		return;
	frame_fed(&g->in, (size_t)n);
	while (frame_next(&g->in, &f))
		take(g, &f);
}

static void say(struct guest *g)
{
	ssize_t n;

	if (g->blast_at == g->blast_len) {
		g->blast_at = g->blast_len = 0;
		if (g->session.established && g->mode->fill)
			g->mode->fill(g);
	}
	if (g->blast_at == g->blast_len)
		return;
	n = send(g->fd, g->blast + g->blast_at, g->blast_len - g->blast_at, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		hang_up(g);
	if (n <= 0)
		return;
	g->blast_at += (size_t)n;
	g->written += (size_t)n;
}

static void turn(struct guest *g)
{
	if (g->fd < 0) {
		meet(g);
		return;
	}
	if (!(g->mode->deaf && g->session.established))
		hear(g);
	if (g->fd >= 0)
		say(g);
	if (g->fd >= 0 && g->mode->storm && g->session.established &&
	    g->heard_here >= STORM_FRAMES && g->blast_at == g->blast_len)
		hang_up(g);
}

static int listen_on(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 4) < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	static struct guest g = { .fd = -1, .random = 0x9e3779b97f4a7c15 };

	for (size_t i = 0; argc == 3 && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(argv[1], modes[i].name) == 0)
			g.mode = &modes[i];
	if (!g.mode) {
		fprintf(stderr, "usage: hostile-agent MODE SOCKET\n");
		return 2;
	}
	signal(SIGTERM, on_signal);
	g.listener = listen_on(argv[2]);
	while (!ended)
		turn(&g);
	printf("connections %lu sessions %lu written %lu heard %lu\n", g.connections, g.sessions,
	       g.written, g.heard);
	return 0;
}
