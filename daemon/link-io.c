/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The connection beneath a link: connecting, the output queue, reading and the throttle.
 *
 * A guest pays for what it sends out of a bucket of tokens (50 frames a second, bursts of
 * 500): one for a frame, and one for so much junk between frames. With the bucket empty the socket
 * is not read any more, so the guest is stopped by its own full port, and the daemon sleeps until
 * a few tokens have come; a guest that hung up meanwhile is found then.
 *
 * What is to be written waits in one buffer of fixed size. A guest that does not read it away
 * loses its connection; nothing blocks, and nothing grows. What nobody waits for stays there until
 * something else is sent, the guest has shown that it has time, or a timer has run out: every message
 * takes CPU time of the guest when it comes, which other vCPUs on their way up may need. A failure is
 * only noted where it is met, deep inside a callback perhaps, and acted upon from the loop.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/failpoint.h"
#include "daemon/link-internal.h"
#include "daemon/wake.h"

enum {
	FRAMES_PER_SECOND = 50,
	FRAMES_BURST = 500,
	THAW_TOKENS = 5, /* waking up for each single token would be 50 wake-ups a second */
	JUNK_PER_TOKEN = 64,
};

static uint64_t now_us(const struct link *l)
{
	uint64_t us = 0;

	(void)sd_event_now(l->event, CLOCK_MONOTONIC, &us);
	return us;
}

/* Listen for what can be handled now. Without any interest the source is off: HUP has no mask. */
static void link_update_io(struct link *l)
{
	uint32_t events = (l->throttled ? 0 : EPOLLIN) | (l->out_end > l->out_start ? EPOLLOUT : 0);

	if (!l->io)
		return;
	if (events)
		(void)sd_event_source_set_io_events(l->io, events);
	(void)sd_event_source_set_enabled(l->io, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void link_break(struct link *l, const char *why)
{
	if (l->broken)
		return;
	l->broken = true;
	l->why = why;
	(void)sd_event_source_set_enabled(l->hangup, SD_EVENT_ONESHOT);
}

static void link_close(struct link *l)
{
	l->io = sd_event_source_disable_unref(l->io);
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->stats.bytes_dropped += l->in.dropped;
	frame_decoder_init(&l->in);
	l->out_start = l->out_end = 0;
	l->throttled = false;
	l->broken = false;
	l->session.established = false;
	(void)sd_event_source_set_enabled(l->thaw, SD_EVENT_OFF);
	(void)sd_event_source_set_enabled(l->hangup, SD_EVENT_OFF);
	(void)sd_event_source_set_enabled(l->rest, SD_EVENT_OFF);
}

static void link_retry(struct link *l)
{
	uint64_t at = now_us(l) + l->backoff_us;

	if (l->backoff_us == LINK_BACKOFF_MAX_US)
		at = wake_round(at, LINK_BACKOFF_MAX_US);
	(void)sd_event_source_set_time(l->connect, at);
	(void)sd_event_source_set_enabled(l->connect, SD_EVENT_ONESHOT);
	l->backoff_us =
		l->backoff_us * 2 < LINK_BACKOFF_MAX_US ? l->backoff_us * 2 : LINK_BACKOFF_MAX_US;
}

static void link_hang_up(struct link *l, const char *why)
{
	link_close(l);
	link_lost(l, why);
	link_retry(l);
}

static void link_flush(struct link *l)
{
	while (l->out_end > l->out_start) {
		ssize_t n;

		failpoint("agent.send");
		n = send(l->fd, l->out + l->out_start, l->out_end - l->out_start,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		failpoint("agent.sent");
		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				link_break(l, "the connection broke while writing");
			break;
		}
		l->out_start += (size_t)n;
	}
	if (l->out_start == l->out_end)
		l->out_start = l->out_end = 0;
	(void)sd_event_source_set_enabled(l->rest, SD_EVENT_OFF);
	link_update_io(l);
}

/* What waits already has the earlier time. */
static void link_send_rest_later(struct link *l)
{
	int enabled = SD_EVENT_OFF;

	(void)sd_event_source_get_enabled(l->rest, &enabled);
	if (enabled != SD_EVENT_OFF)
		return;
	(void)sd_event_source_set_time(l->rest, now_us(l) + LINK_REST_US);
	(void)sd_event_source_set_enabled(l->rest, SD_EVENT_ONESHOT);
}

void link_queue(struct link *l, const uint8_t *bytes, size_t n, bool urgent)
{
	/* It may be what could wait that fills it, and nobody has tried to send that yet. */
	if (sizeof(l->out) - l->out_end < n)
		link_flush(l);
	if (sizeof(l->out) - l->out_end < n) {
		l->out_end -= l->out_start;
		memmove(l->out, l->out + l->out_start, l->out_end);
		l->out_start = 0;
	}
	if (sizeof(l->out) - l->out_end < n) {
		link_break(l, "the agent does not read");
		return;
	}
	memcpy(l->out + l->out_end, bytes, n);
	l->out_end += n;
	if (urgent)
		link_flush(l);
	else
		link_send_rest_later(l);
}

void link_send_rest(struct link *l)
{
	l->rest_goes = true;
}

static void link_throttle(struct link *l)
{
	uint64_t when = bucket_when(&l->bucket, THAW_TOKENS);

	l->stats.throttled++;
	l->throttled = true;
	(void)sd_event_source_set_time(l->thaw, when);
	(void)sd_event_source_set_enabled(l->thaw, SD_EVENT_ONESHOT);
	link_update_io(l);
}

/* Frames out of the buffer while there are tokens. */
static void link_work(struct link *l)
{
	uint64_t junk = l->in.dropped;
	bool paid = false;
	struct frame f;

	while (!l->broken && bucket_has(&l->bucket) && frame_next(&l->in, &f)) {
		bucket_take(&l->bucket, 1);
		paid = true;
		failpoint("agent.frame");
		link_take_frame(l, &f);
	}
	junk = l->in.dropped - junk;
	bucket_take(&l->bucket, (uint32_t)(junk / JUNK_PER_TOKEN) + !paid);
	if (l->rest_goes && !l->broken && l->out_end > l->out_start)
		link_flush(l);
	l->rest_goes = false;
	if (!l->broken && !bucket_has(&l->bucket))
		link_throttle(l);
}

static void link_read(struct link *l)
{
	size_t size;
	uint8_t *space = frame_space(&l->in, &size);
	ssize_t n = recv(l->fd, space, size, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		link_break(l, n == 0 ? "the connection was closed" : "the connection broke");
		return;
	}
	frame_fed(&l->in, (size_t)n);
	bucket_refill(&l->bucket, now_us(l));
	link_work(l);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct link *l = userdata;

	if (revents & EPOLLOUT)
		link_flush(l);
	if (!l->broken && (revents & EPOLLIN))
		link_read(l);
	else if (!l->broken && (revents & (EPOLLHUP | EPOLLERR)))
		link_break(l, "the connection was closed");
	if (l->broken)
		link_hang_up(l, l->why);
	return 0;
}

/* Nobody is there any more. What a flood left in the socket would take minutes to be read. */
static bool is_hung_up(const struct link *l)
{
	struct pollfd p = { .fd = l->fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

static int on_thaw(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct link *l = userdata;

	l->throttled = false;
	bucket_refill(&l->bucket, now_us(l));
	link_work(l);
	if (l->throttled && !l->broken && is_hung_up(l))
		link_break(l, "the connection was closed");
	link_update_io(l);
	if (l->broken)
		link_hang_up(l, l->why);
	return 0;
}

void link_reset(struct link *l)
{
	if (l->up)
		link_break(l, "the guest was reset");
}

void link_abandon(struct link *l)
{
	if (l->up)
		link_break(l, "the agent has gone");
}

static int on_hangup(sd_event_source *s, void *userdata)
{
	struct link *l = userdata;

	link_hang_up(l, l->why);
	return 0;
}

static int on_rest(sd_event_source *s, uint64_t usec, void *userdata)
{
	link_flush(userdata);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static uint64_t random_number(void)
{
	uint64_t n = 0;

	/* getrandom() of 8 bytes is never short once the pool is ready; until then it waits. */
	while (n == 0)
		if (getrandom(&n, sizeof(n), 0) != sizeof(n))
			n = 0;
	return n;
}

static const char *why_not_connected(int r)
{
	switch (r) {
	case -ENOENT:
		return "the agent's socket is not there";
	case -ECONNREFUSED:
		return "nobody listens on the agent's socket";
	case -EACCES:
	case -EPERM:
		return "no permission for the agent's socket";
	case -EAGAIN:
		return "the agent's socket is busy";
	default:
		return "cannot connect to the agent's socket";
	}
}

static int on_connect(sd_event_source *s, uint64_t usec, void *userdata)
{
	static const uint8_t pad[FRAME_PAD];
	struct link *l = userdata;
	int fd = connect_to(l->path);
	int r;

	if (fd < 0) {
		l->why = why_not_connected(fd);
		link_retry(l);
		return 0;
	}
	r = sd_event_add_io(l->event, &l->io, fd, EPOLLIN, on_io, l);
	if (r < 0) {
		close(fd);
		l->why = "out of memory";
		link_retry(l);
		return 0;
	}
	l->fd = fd;
	l->why = "no agent has answered";
	session_init(&l->session, random_number());
	link_queue(l, pad, sizeof(pad), true);
	link_send_hello(l);
	return 0;
}

int link_io_init(struct link *l)
{
	int r;

	l->backoff_us = LINK_BACKOFF_MIN_US;
	frame_decoder_init(&l->in);
	bucket_init(&l->bucket, FRAMES_PER_SECOND, FRAMES_BURST, now_us(l));
	r = sd_event_add_time(l->event, &l->connect, CLOCK_MONOTONIC, 0, 1000, on_connect, l);

	if (r < 0)
		return r;
	r = sd_event_add_time(l->event, &l->thaw, CLOCK_MONOTONIC, 0, 1000, on_thaw, l);
	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(l->thaw, SD_EVENT_OFF);
	r = sd_event_add_defer(l->event, &l->hangup, on_hangup, l);
	if (r < 0)
		return r;
	(void)sd_event_source_set_enabled(l->hangup, SD_EVENT_OFF);
	r = sd_event_add_time(l->event, &l->rest, CLOCK_MONOTONIC, 0, LINK_REST_US / 4, on_rest, l);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(l->rest, SD_EVENT_OFF);
}

void link_io_done(struct link *l)
{
	link_close(l);
	sd_event_source_disable_unref(l->connect);
	sd_event_source_disable_unref(l->thaw);
	sd_event_source_disable_unref(l->hangup);
	sd_event_source_disable_unref(l->rest);
}
