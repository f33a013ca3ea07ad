/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Three ways in which the store of one domain fails. It is full as file systems are that write each
 * block to a new place: also a file that has its room takes only half of what is written to it. It
 * is read-only: nothing can be opened to be written to, not even what is there. It fails (EIO): half
 * of what is written arrives and nobody knows which; and where a daemon starts meanwhile its record
 * may be unreadable as well.
 *
 * Whose file it is says its name, "qmp-webN" or, of one that is being made, "qmp-webN~"; calls about
 * all else go through. So other domains' records, in the same folder, are never concerned.
 */
#include "tests/sim/store.h"
#include "tests/sim/strikes.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STORES_MAX = 512, FDS_MAX = 8192 };

/**
 * struct store - the record of one domain
 * @error: 0 well; @blind: it cannot be read either
 * @fresh: what is written to is not in its place yet
 */
struct store {
	int error;
	bool blind, fresh, behind, unreadable;
	unsigned int written;
};

/* Found by the daemon's system calls, which have no pointer of ours. @owners: by descriptor. */
static struct {
	struct store stores[STORES_MAX];
	struct store *owners[FDS_MAX];
} the_stores;

int __real_openat64(int dir, const char *name, int flags, ...);
int __real_posix_fallocate64(int fd, off_t at, off_t n);
ssize_t __real_pread64(int fd, void *data, size_t n, off_t at);
ssize_t __real_pwrite64(int fd, const void *data, size_t n, off_t at);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_openat64(int dir, const char *name, int flags, ...);
int __wrap_posix_fallocate64(int fd, off_t at, off_t n);
ssize_t __wrap_pread64(int fd, void *data, size_t n, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t n, off_t at);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_unlinkat(int dir, const char *name, int flags);

static struct store *store_of(const struct sim_domain *d)
{
	assert(d->number < STORES_MAX);
	return &the_stores.stores[d->number];
}

void store_begin(void)
{
	memset(&the_stores, 0, sizeof(the_stores));
}

int store_error(const struct sim_domain *d)
{
	return store_of(d)->error;
}

unsigned int store_written(const struct sim_domain *d)
{
	return store_of(d)->written;
}

bool store_is_behind(const struct sim_domain *d)
{
	return store_of(d)->behind;
}

bool store_was_unreadable(const struct sim_domain *d)
{
	return store_of(d)->unreadable;
}

void store_await_daemon(const struct sim_domain *d)
{
	store_of(d)->unreadable = store_of(d)->behind = false;
}

/* Faults */

static void fail(struct sim_domain *d, int error, const struct item *i)
{
	store_of(d)->error = error;
	sim_later(d, i->span_us, store_heal, 0);
}

void store_heal(struct sim_domain *d, uint64_t arg)
{
	store_of(d)->error = 0;
	store_of(d)->blind = false;
}

void store_is_full(struct sim_domain *d, const struct item *i)
{
	fail(d, ENOSPC, i);
}

void store_is_read_only(struct sim_domain *d, const struct item *i)
{
	fail(d, EROFS, i);
}

void store_fails(struct sim_domain *d, const struct item *i)
{
	fail(d, EIO, i);
}

static void kill_daemon(struct sim_domain *d, uint64_t restart_us)
{
	if (!d->world->healed)
		world_kill(d->world, restart_us);
}

/* At once or later, and the next daemon finds a store that fails still or is well again. */
void store_fails_and_kill(struct sim_domain *d, const struct item *i)
{
	static const int errors[] = { ENOSPC, EROFS, EIO };
	int error = errors[i->arg % 3];

	fail(d, error, i);
	store_of(d)->blind = error == EIO && (i->arg & 32);
	sim_later(d, i->arg & 64 ? i->span_us / 2 : 0, kill_daemon,
		  i->arg & 128 ? i->span_us : i->span_us / 4);
}

/* What the daemon calls */

/* NULL: it is no record. */
static struct store *find(const char *name)
{
	static const char prefix[] = "qmp-web";
	unsigned long number;

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return NULL;
	number = strtoul(name + sizeof(prefix) - 1, NULL, 10);
	return number < STORES_MAX ? &the_stores.stores[number] : NULL;
}

static struct store *owner(int fd)
{
	assert(fd >= 0 && fd < FDS_MAX);
	return the_stores.owners[fd];
}

static int refuse(struct store *s)
{
	s->behind = true;
	errno = s->error;
	return -1;
}

static void note_written(struct store *s)
{
	s->behind = s->fresh = false;
	s->written++;
}

static bool may_open(const struct store *s, int flags)
{
	if (s->error == EROFS)
		return (flags & O_ACCMODE) == O_RDONLY;
	return !s->error || !(flags & O_CREAT);
}

int __wrap_openat64(int dir, const char *name, int flags, ...)
{
	struct store *s = find(name);
	mode_t mode = 0;
	va_list ap;
	int fd;

	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (s && !may_open(s, flags)) {
		errno = s->error;
		s->behind |= (flags & O_CREAT) != 0;
		return -1;
	}
	fd = __real_openat64(dir, name, flags, mode);
	if (fd < 0)
		return fd;
	assert(fd < FDS_MAX);
	the_stores.owners[fd] = s;
	if (s)
		s->fresh = (flags & O_CREAT) != 0;
	return fd;
}

int __wrap_posix_fallocate64(int fd, off_t at, off_t n)
{
	struct store *s = owner(fd);

	if (!s || !s->error)
		return __real_posix_fallocate64(fd, at, n);
	s->behind = true;
	return s->error;
}

ssize_t __wrap_pread64(int fd, void *data, size_t n, off_t at)
{
	struct store *s = owner(fd);

	if (!s || !s->blind)
		return __real_pread64(fd, data, n, at);
	s->unreadable = true;
	errno = s->error;
	return -1;
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t n, off_t at)
{
	struct store *s = owner(fd);
	ssize_t sent;

	if (s && s->error == EROFS)
		return refuse(s);
	sent = __real_pwrite64(fd, data, s && s->error ? n / 2 : n, at);
	if (s && s->error == EIO)
		return refuse(s);
	if (s && s->error)
		s->behind = true;
	else if (s && !s->fresh && sent == (ssize_t)n)
		note_written(s);
	return sent;
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	struct store *s = find(to);
	int r;

	if (s && s->error)
		return refuse(s);
	r = __real_renameat(from_dir, from, to_dir, to);
	if (s && r == 0)
		note_written(s);
	return r;
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
	struct store *s = find(name);

	if (s && (s->error == EROFS || s->error == EIO)) {
		errno = s->error;
		return -1;
	}
	return __real_unlinkat(dir, name, flags);
}
