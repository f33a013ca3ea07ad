/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The functions here have the C library's names, and since they are the program's they stand before
 * it for everybody: the daemon's code, json-c, libsystemd, and the C library itself where it
 * allocates (strdup(), asprintf(), open_memstream()). All of them do what they are asked, but for
 * the one allocation or call that is to fail. With AddressSanitizer its functions are handed on to.
 *
 * connect(), getsockopt() and getrandom() are the simulation's own (wire.c); these ask.
 */
#include "tests/sim/shortage.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BELOW_ASAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(BELOW_ASAN)
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif

/* Called by the daemon without a pointer of ours: this cannot be passed in. */
static struct {
	struct shortage *s;
	bool open, daemon;
	long live;
} the_shortage;

static const struct {
	const char *name;
	int errors[5];
} call_rows[CALLS] = {
	[CALL_ACCESS] = { "access", { EIO, ENOMEM } },
	[CALL_CLOSE] = { "close", { EINTR, EIO } },
	[CALL_CONNECT] = { "connect", { EINTR, EAGAIN, ENOMEM, ECONNREFUSED } },
	[CALL_EPOLL_CTL] = { "epoll_ctl", { ENOMEM, ENOSPC } },
	[CALL_EPOLL_WAIT] = { "epoll_wait", { EINTR } },
	[CALL_FALLOCATE] = { "posix_fallocate", { EINTR, EIO, ENOSPC } },
	[CALL_FCNTL] = { "fcntl", { EINVAL, ENOMEM } },
	[CALL_FSTAT] = { "fstat", { EIO, ENOMEM } },
	[CALL_FSTATAT] = { "fstatat", { EIO, ENOMEM } },
	[CALL_GETAFFINITY] = { "sched_getaffinity", { ESRCH, ENOMEM } },
	[CALL_GETRANDOM] = { "getrandom", { EINTR, EAGAIN, ENOSYS } },
	[CALL_GETSOCKOPT] = { "getsockopt", { ENOBUFS } },
	[CALL_MKDIR] = { "mkdir", { EIO, ENOMEM, ENOSPC } },
	[CALL_OPEN] = { "open", { EINTR, EIO, EMFILE, ENOMEM } },
	[CALL_OPENAT] = { "openat", { EINTR, EIO, EMFILE, ENOSPC } },
	[CALL_PREAD] = { "pread", { EINTR, EIO } },
	[CALL_PWRITE] = { "pwrite", { EINTR, EIO, ENOSPC } },
	[CALL_READ] = { "read", { EINTR, EIO } },
	[CALL_READLINK] = { "readlink", { EIO, ENOMEM } },
	[CALL_RECV] = { "recv", { EINTR, EAGAIN, ENOMEM, ECONNRESET } },
	[CALL_RENAMEAT] = { "renameat", { EIO, ENOSPC } },
	[CALL_SEND] = { "send", { EINTR, EAGAIN, ENOBUFS, EPIPE } },
	[CALL_SETAFFINITY] = { "sched_setaffinity", { ENOMEM, EPERM, ESRCH } },
	[CALL_SOCKET] = { "socket", { EMFILE, ENFILE, ENOMEM } },
	[CALL_UNLINKAT] = { "unlinkat", { EIO, ENOMEM } },
	[CALL_WRITE] = { "write", { EINTR, EIO, ENOSPC } },
};

const char *shortage_call_name(enum shortage_call call)
{
	return call_rows[call].name;
}

const int *shortage_call_errors(enum shortage_call call)
{
	return call_rows[call].errors;
}

void shortage_begin(struct shortage *s)
{
	the_shortage.s = s;
	the_shortage.open = false;
}

void shortage_open(void)
{
	the_shortage.open = the_shortage.s;
}

void shortage_close(void)
{
	the_shortage.open = false;
}

bool shortage_hit(void)
{
	return the_shortage.s && the_shortage.s->hit;
}

bool shortage_side(bool daemon)
{
	bool before = the_shortage.daemon;

	the_shortage.daemon = daemon;
	return before;
}

long shortage_live(void)
{
	return the_shortage.live;
}

static bool counts(void)
{
	return the_shortage.open && the_shortage.daemon;
}

static bool refuse(int error)
{
	struct shortage *s = the_shortage.s;
	AS_SIMULATION;

	s->hit = true;
	s->depth = backtrace(s->stack, SHORTAGE_STACK_MAX);
	errno = error;
	return true;
}

static bool is_refused(void)
{
	struct shortage *s = the_shortage.s;

	return counts() && ++s->allocations == s->allocation && refuse(ENOMEM);
}

bool shortage_refuses(enum shortage_call call)
{
	struct shortage *s = the_shortage.s;

	if (!counts())
		return false;
	if (s->n_calls < SHORTAGE_CALLS_MAX)
		s->calls[s->n_calls] = (uint8_t)call;
	return ++s->n_calls == s->call && refuse(s->error);
}

/* Memory */

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t n, size_t size);
void *REAL(realloc)(void *old, size_t size);
void *REAL(memalign)(size_t align, size_t size);
void REAL(free)(void *p);

static void *count(void *p)
{
	the_shortage.live += p != NULL;
	return p;
}

void *malloc(size_t size)
{
	return is_refused() ? NULL : count(REAL(malloc)(size));
}

void *calloc(size_t n, size_t size)
{
	return is_refused() ? NULL : count(REAL(calloc)(n, size));
}

void *realloc(void *old, size_t size)
{
	void *p;

	if (is_refused())
		return NULL;
	p = REAL(realloc)(old, size);
	/* With a size of 0 it is free(). */
	the_shortage.live += (p && !old) - (!p && old && size == 0);
	return p;
}

void *memalign(size_t align, size_t size)
{
	return is_refused() ? NULL : count(REAL(memalign)(align, size));
}

void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

int posix_memalign(void **ret, size_t align, size_t size)
{
	void *p = memalign(align, size);

	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}

void free(void *p)
{
	the_shortage.live -= p != NULL;
	REAL(free)(p);
}

/* Calls */

static void *find(const char *name)
{
	AS_SIMULATION;

	return dlsym(RTLD_NEXT, name);
}

#define CALL(number, type, name, params, args)                \
	type name params                                      \
	{                                                     \
		static type(*real) params;                    \
                                                              \
		if (shortage_refuses(number))                 \
			return -1;                            \
		if (!real)                                    \
			real = (__typeof__(real))find(#name); \
		return real args;                             \
	}

CALL(CALL_ACCESS, int, access, (const char *path, int mode), (path, mode))
CALL(CALL_EPOLL_CTL, int, epoll_ctl, (int ep, int op, int fd, struct epoll_event *event),
     (ep, op, fd, event))
CALL(CALL_EPOLL_WAIT, int, epoll_wait, (int ep, struct epoll_event *events, int n, int timeout),
     (ep, events, n, timeout))
CALL(CALL_FSTAT, int, fstat, (int fd, struct stat *ret), (fd, ret))
CALL(CALL_FSTATAT, int, fstatat, (int dir, const char *path, struct stat *ret, int flags),
     (dir, path, ret, flags))
CALL(CALL_MKDIR, int, mkdir, (const char *path, mode_t mode), (path, mode))
CALL(CALL_PREAD, ssize_t, pread, (int fd, void *buf, size_t n, off_t at), (fd, buf, n, at))
CALL(CALL_PWRITE, ssize_t, pwrite, (int fd, const void *buf, size_t n, off_t at), (fd, buf, n, at))
CALL(CALL_READ, ssize_t, read, (int fd, void *buf, size_t n), (fd, buf, n))
CALL(CALL_READLINK, ssize_t, readlink, (const char *path, char *buf, size_t n), (path, buf, n))
CALL(CALL_RECV, ssize_t, recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags))
CALL(CALL_RENAMEAT, int, renameat, (int from, const char *old, int to, const char *path),
     (from, old, to, path))
CALL(CALL_SEND, ssize_t, send, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags))
CALL(CALL_GETAFFINITY, int, sched_getaffinity, (pid_t tid, size_t n, cpu_set_t *ret), (tid, n, ret))
CALL(CALL_SETAFFINITY, int, sched_setaffinity, (pid_t tid, size_t n, const cpu_set_t *cpus),
     (tid, n, cpus))
CALL(CALL_SOCKET, int, socket, (int family, int type, int protocol), (family, type, protocol))
CALL(CALL_UNLINKAT, int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
CALL(CALL_WRITE, ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n))

int close(int fd)
{
	static int (*real)(int);
	bool fails = shortage_refuses(CALL_CLOSE);
	int error = errno, r;

	if (!real)
		real = (__typeof__(real))find("close");
	/* Whatever it says, the descriptor is gone. */
	r = real(fd);
	if (fails)
		errno = error;
	return fails ? -1 : r;
}

int posix_fallocate(int fd, off_t at, off_t n)
{
	static int (*real)(int, off_t, off_t);

	if (shortage_refuses(CALL_FALLOCATE))
		return errno;
	if (!real)
		real = (__typeof__(real))find("posix_fallocate");
	return real(fd, at, n);
}

/* The last one that may or may not be given; one that is not is not looked at. */
static unsigned long last_of(va_list ap)
{
	return va_arg(ap, unsigned long);
}

#define CALL_VARIADIC(number, name, params, last, args)       \
	int name params                                       \
	{                                                     \
		static int(*real) params;                     \
		unsigned long more;                           \
		va_list ap;                                   \
                                                              \
		if (shortage_refuses(number))                 \
			return -1;                            \
		if (!real)                                    \
			real = (__typeof__(real))find(#name); \
		va_start(ap, last);                           \
		more = last_of(ap);                           \
		va_end(ap);                                   \
		return real args;                             \
	}

CALL_VARIADIC(CALL_FCNTL, fcntl, (int fd, int command, ...), command, (fd, command, more))
CALL_VARIADIC(CALL_OPEN, open, (const char *path, int flags, ...), flags, (path, flags, more))
CALL_VARIADIC(CALL_OPENAT, openat, (int dir, const char *path, int flags, ...), flags,
	      (dir, path, flags, more))
