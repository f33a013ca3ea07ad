/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/sim/wire.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/sim/rng.h"
#include "tests/sim/shortage.h"

enum { WIRES_MAX = 1024, FDS_MAX = 8192, READ_SIZE = 64 * 1024 };

/* Found by the daemon's system calls, which have no pointer of ours. */
static struct {
	struct wire *wires[WIRES_MAX];
	unsigned int n;
	bool are_files;
	pid_t peers[FDS_MAX]; /* by the daemon's descriptor */
	struct rng rng;
} the_wires;

int __real_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags);

void wire_init(struct wire *w, sd_event *event, const char *path, const struct wire_ops *ops,
	       void *ctx)
{
	*w = (struct wire){
		.ops = ops, .ctx = ctx, .event = event, .fd = -1, .door = -1, .reads = true
	};
	snprintf(w->path, sizeof(w->path), "%s", path);
	assert(the_wires.n < WIRES_MAX);
	the_wires.wires[the_wires.n++] = w;
}

static void update(struct wire *w)
{
	uint32_t events = (w->reads ? EPOLLIN : 0) | (w->full ? EPOLLOUT : 0);

	if (!w->io)
		return;
	if (events)
		(void)sd_event_source_set_io_events(w->io, events);
	(void)sd_event_source_set_enabled(w->io, events ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void flush(struct wire *w)
{
	size_t sent = 0;

	while (sent < w->out_len) {
		ssize_t n =
			send(w->fd, w->out + sent, w->out_len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			break;
		sent += (size_t)n;
	}
	w->out_len -= sent;
	memmove(w->out, w->out + sent, w->out_len);
	if (w->full == (w->out_len > 0))
		return;
	w->full = w->out_len > 0;
	update(w);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata);

static void serve(struct wire *w, int fd)
{
	int r;

	w->fd = fd;
	w->full = false;
	r = sd_event_add_io(w->event, &w->io, fd, EPOLLIN, on_io, w);
	assert(r >= 0);
	update(w);
	w->ops->on_open(w->ctx);
}

static void serve_next(struct wire *w)
{
	int fd;

	if (!w->listens || w->fd >= 0 || w->n_waiting == 0)
		return;
	fd = w->waiting[0];
	memmove(w->waiting, w->waiting + 1, --w->n_waiting * sizeof(int));
	serve(w, fd);
}

static void drop(struct wire *w)
{
	w->io = sd_event_source_disable_unref(w->io);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->out_len = 0;
	w->full = false;
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	static uint8_t buf[READ_SIZE];
	struct wire *w = userdata;
	ssize_t n;
	AS_SIMULATION;

	if (revents & EPOLLOUT)
		flush(w);
	if (!(revents & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return 0;
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n > 0) {
		w->ops->on_bytes(w->ctx, buf, (size_t)n);
		return 0;
	}
	if (n < 0 && errno == EAGAIN)
		return 0;
	drop(w);
	w->ops->on_close(w->ctx);
	serve_next(w);
	return 0;
}

void wire_hang_up(struct wire *w)
{
	drop(w);
	serve_next(w);
}

static int on_client(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct wire *w = userdata;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (client < 0)
		return 0;
	if (w->n_waiting == WIRE_WAITING_MAX) {
		close(client);
		return 0;
	}
	w->waiting[w->n_waiting++] = client;
	serve_next(w);
	return 0;
}

static void open_door(struct wire *w)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int r;

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", strrchr(w->path, '/') + 1);
	unlink(un.sun_path);
	w->door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = bind(w->door, (const struct sockaddr *)&un, sizeof(un));
	assert(w->door >= 0 && r == 0);
	r = listen(w->door, WIRE_WAITING_MAX);
	assert(r == 0);
	r = sd_event_add_io(w->event, &w->door_io, w->door, EPOLLIN, on_client, w);
	assert(r >= 0);
}

static void close_door(struct wire *w)
{
	w->door_io = sd_event_source_disable_unref(w->door_io);
	if (w->door >= 0)
		close(w->door);
	w->door = -1;
}

void wire_serve_files(void)
{
	the_wires.are_files = true;
}

void wire_listen(struct wire *w, bool listens)
{
	w->listens = listens;
	if (listens && the_wires.are_files && w->door < 0)
		open_door(w);
	if (listens)
		return;
	close_door(w);
	while (w->n_waiting)
		close(w->waiting[--w->n_waiting]);
	drop(w);
}

void wire_read(struct wire *w, bool reads)
{
	w->reads = reads;
	update(w);
}

void wire_done(struct wire *w)
{
	unsigned int at = 0;

	wire_listen(w, false);
	free(w->out);
	while (the_wires.wires[at] != w)
		at++;
	the_wires.wires[at] = the_wires.wires[--the_wires.n];
}

void wire_send(struct wire *w, const void *bytes, size_t n)
{
	if (w->fd < 0 || n == 0)
		return;
	if (w->out_len + n > w->out_room) {
		w->out_room = 2 * (w->out_len + n);
		w->out = realloc(w->out, w->out_room);
		assert(w->out);
	}
	memcpy(w->out + w->out_len, bytes, n);
	w->out_len += n;
	if (!w->full)
		flush(w);
}

size_t wire_unread(const struct wire *w)
{
	int n = 0;

	if (w->fd >= 0 && ioctl(w->fd, TIOCOUTQ, &n) < 0)
		abort();
	return w->out_len + (size_t)n;
}

void wire_seed(uint64_t seed)
{
	the_wires.rng = rng_of(seed, 0);
}

/* What the daemon calls */

static struct wire *find(const char *path)
{
	for (unsigned int i = 0; i < the_wires.n; i++)
		if (strcmp(the_wires.wires[i]->path, path) == 0)
			return the_wires.wires[i];
	return NULL;
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	const struct sockaddr_un *un = (const void *)addr;
	struct wire *w = find(un->sun_path);
	bool fails = shortage_refuses(CALL_CONNECT);
	AS_SIMULATION;
	int pair[2], flags = fails ? 0 : fcntl(fd, F_GETFL);

	assert(fd < FDS_MAX);
	if (fails)
		return -1;
	if (!w)
		return refuse(ENOENT);
	if (!w->listens)
		return refuse(ECONNREFUSED);
	if (w->n_waiting == WIRE_WAITING_MAX)
		return refuse(EAGAIN);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ||
	    dup3(pair[0], fd, O_CLOEXEC) < 0 || fcntl(fd, F_SETFL, flags) < 0)
		return -1;
	close(pair[0]);
	the_wires.peers[fd] = w->pid;
	w->waiting[w->n_waiting++] = pair[1];
	serve_next(w);
	return 0;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (shortage_refuses(CALL_GETSOCKOPT))
		return -1;
	if (level != SOL_SOCKET || name != SO_PEERCRED)
		return __real_getsockopt(fd, level, name, value, len);
	*(struct ucred *)value = (struct ucred){ .pid = the_wires.peers[fd] };
	return 0;
}

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags)
{
	uint64_t n;

	if (shortage_refuses(CALL_GETRANDOM))
		return -1;
	for (size_t at = 0; at < len; at += sizeof(n)) {
		n = rng_next(&the_wires.rng);
		memcpy((uint8_t *)buf + at, &n, len - at < sizeof(n) ? len - at : sizeof(n));
	}
	return (ssize_t)len;
}
