/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Where the intents are kept: RUNTIME-DIR/intent/qmp-NAME or libvirt-UUID, one small file a domain.
 *
 * A file is two slots of one size, a power of two. They are written in turn with one pwrite() each
 * and no fsync(): what is in the page cache survives this process, and after a power failure QEMU
 * is gone as well. All of it is allocated when it is made, so a full disk is met then and not in
 * the middle of an operation; it is made under another name and renamed, so nobody finds half of
 * one. A domain that outgrows its slots gets a new file in the same way. After a write that failed
 * the same slot is written again the next time, for the other one is the good one.
 *
 * The folder is held open and each name is opened in it without following links. What is there and
 * cannot be ours (a link, a pipe, another owner's, a size no file of ours has) is taken away, with
 * a sentence: to have no intent is safe, for QEMU and the guest are asked in any case, and to
 * believe a stranger's is not. Nothing of it is read beyond its size. What only cannot be read now is
 * left for the next daemon, and on a file system that has become read-only it is still read.
 *
 * What another version of vcpuhpd has written may be an operation that only that one can take to its
 * end. It is left alone, and until it is gone nothing is written, as with a store that fails.
 *
 * A file or folder that somebody has removed would be written to in vain, so before an operation is
 * accepted intent_file_check() looks whether the name is still that file, and makes what is missing.
 */
#include "daemon/intent-file.h"
#include "daemon/failpoint.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOT_MIN = 8192 };

static const char libvirt_prefix[] = "libvirt-";

struct intent_store {
	char *path;
	int dir;
};

/**
 * struct intent_file - see above
 * @fresh: the name under which a new one is made
 * @fd: -1 not opened; @read_only: to be read alone, so what is written next needs a new one
 * @slot: bytes of one; @turn: the one to be written next
 * @buf: @size bytes, to make a slot in
 */
struct intent_file {
	struct intent_store *store;
	char name[80], fresh[88];
	int fd;
	bool read_only;
	size_t slot;
	int turn;
	uint64_t seq;
	bool anothers; /* what is there is of another version */
	uint8_t *buf;
	size_t size;
};

static int open_folder(struct intent_store *s)
{
	int fd;

	if (mkdir(s->path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(s->path, O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (s->dir >= 0)
		close(s->dir);
	s->dir = fd;
	return 0;
}

int intent_store_open(struct intent_store **ret, const char *runtime_dir)
{
	struct intent_store *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->dir = -1;
	if (asprintf(&s->path, "%s/intent", runtime_dir) < 0) {
		free(s);
		return -ENOMEM;
	}
	(void)open_folder(s);
	*ret = s;
	return 0;
}

struct intent_store *intent_store_free(struct intent_store *s)
{
	if (!s)
		return NULL;
	if (s->dir >= 0)
		close(s->dir);
	free(s->path);
	free(s);
	return NULL;
}

/* Of one of libvirt's domains that is not in the list; also one that was being made. */
static bool is_left_over(const char *name, const char (*running)[PERSIST_UUID_SIZE], size_t n)
{
	enum { UUID_LENGTH = PERSIST_UUID_SIZE - 1 };
	const char *uuid = name + strlen(libvirt_prefix);

	if (strncmp(name, libvirt_prefix, strlen(libvirt_prefix)) != 0 ||
	    strnlen(uuid, UUID_LENGTH) < UUID_LENGTH ||
	    (uuid[UUID_LENGTH] && strcmp(uuid + UUID_LENGTH, "~") != 0))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strncmp(uuid, running[i], UUID_LENGTH) == 0)
			return false;
	return true;
}

void intent_store_sweep(struct intent_store *s, const char (*running)[PERSIST_UUID_SIZE], size_t n)
{
	int fd = s->dir < 0 ? -1 : openat(s->dir, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (is_left_over(e->d_name, running, n))
			unlinkat(s->dir, e->d_name, 0);
	closedir(d);
}

int intent_file_new(struct intent_file **ret, struct intent_store *store, const char *name,
		    const char *uuid)
{
	struct intent_file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->store = store;
	f->fd = -1;
	/* A name is no path: [A-Za-z0-9._+-], and what is before it keeps "." and ".." away. */
	if (*uuid)
		snprintf(f->name, sizeof(f->name), "%s%s", libvirt_prefix, uuid);
	else
		snprintf(f->name, sizeof(f->name), "qmp-%s", name);
	snprintf(f->fresh, sizeof(f->fresh), "%s~", f->name);
	*ret = f;
	return 0;
}

static void close_file(struct intent_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->slot = 0;
}

struct intent_file *intent_file_free(struct intent_file *f)
{
	if (!f)
		return NULL;
	close_file(f);
	free(f->buf);
	free(f);
	return NULL;
}

/* NULL it may be one of ours. */
static const char *objection(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is no plain file";
	if (st->st_uid != geteuid())
		return "it belongs to another user";
	if (st->st_nlink != 1)
		return "it has other names";
	if (st->st_mode & 0077)
		return "others may open it";
	if (st->st_size < 2L * SLOT_MIN || st->st_size > 2L * INTENT_BYTES_MAX ||
	    (st->st_size & (st->st_size - 1)))
		return "no intent has that size";
	return NULL;
}

static int open_at(struct intent_file *f, const char **ret_why)
{
	const int flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	struct stat st;

	f->fd = openat(f->store->dir, f->name, O_RDWR | flags);
	f->read_only = f->fd < 0 && errno == EROFS;
	if (f->read_only)
		f->fd = openat(f->store->dir, f->name, O_RDONLY | flags);
	if (f->fd < 0) {
		*ret_why = errno == ELOOP ? "it is a link" : strerror(errno);
		return -errno;
	}
	if (fstat(f->fd, &st) < 0) {
		*ret_why = strerror(errno);
		return -errno;
	}
	*ret_why = objection(&st);
	if (*ret_why)
		return -EPERM;
	f->slot = (size_t)st.st_size / 2;
	return 0;
}

static int read_all(int fd, uint8_t *data, size_t size)
{
	size_t at = 0;

	while (at < size) {
		ssize_t n = pread(fd, data + at, size - at, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (size_t)n;
	}
	return 0;
}

static int read_slots(struct intent_file *f, struct intent *ret)
{
	uint8_t *data = malloc(2 * f->slot);
	int r;

	if (!data)
		return -ENOMEM;
	r = read_all(f->fd, data, 2 * f->slot);
	if (r == 0)
		r = intent_newest(data, f->slot, ret);
	free(data);
	if (r < 0)
		return r;
	f->turn = !r;
	f->seq = ret->seq;
	return 0;
}

static int explain(const struct intent_file *f, int r, char why[OP_TEXT_MAX])
{
	if (r < 0)
		intent_why_unwritten(f->store->path, f->name, r, why);
	return r;
}

/* Else nothing is wrong with the file itself. */
static bool is_worthless(int r)
{
	return r != -ENOMEM && r != -EIO && r != -EMFILE && r != -ENFILE;
}

int intent_file_load(struct intent_file *f, struct intent *ret, char ret_why[OP_TEXT_MAX])
{
	const char *why = NULL;
	int r = f->store->dir < 0 ? -ENOENT : failpoint("intent.read");

	if (r == 0)
		r = open_at(f, &why);
	if (r == -ENOENT)
		return 0;
	if (r == 0) {
		r = read_slots(f, ret);
		why = intent_why_unread(r);
	}
	if (r < 0 || f->read_only)
		close_file(f);
	if (r == 0)
		return 1;
	if (r == -ENODATA)
		return 0;
	if (r == -EPROTONOSUPPORT) {
		f->anothers = true;
		return explain(f, r, ret_why);
	}
	snprintf(ret_why, OP_TEXT_MAX, "%.120s/%s: %s", f->store->path, f->name,
		 why ? why : strerror(-r));
	if (is_worthless(r))
		unlinkat(f->store->dir, f->name, 0);
	return r;
}

static int make_file(struct intent_file *f, size_t slot)
{
	int fd, r;

	unlinkat(f->store->dir, f->fresh, 0);
	fd = openat(f->store->dir, f->fresh, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -errno;
	r = -posix_fallocate(fd, 0, (off_t)(2 * slot));
	if (r == 0)
		r = failpoint("intent.make");
	if (r < 0) {
		close(fd);
		unlinkat(f->store->dir, f->fresh, 0);
		return r;
	}
	close_file(f);
	f->fd = fd;
	f->slot = slot;
	f->turn = 0;
	return 0;
}

static int put_in_place(struct intent_file *f)
{
	int r = failpoint("intent.rename");

	if (r == 0 && renameat(f->store->dir, f->fresh, f->store->dir, f->name) < 0)
		r = -errno;
	return r;
}

static int write_slot(struct intent_file *f, size_t length)
{
	off_t at = (off_t)((size_t)f->turn * f->slot);
	ssize_t n;
	int r = failpoint("intent.write");

	if (r < 0)
		return r;
	do {
		n = pwrite(f->fd, f->buf, length, at);
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)length)
		return n < 0 ? -errno : -ENOSPC;
	f->turn = !f->turn;
	failpoint("intent.written");
	return 0;
}

/* Into f->buf. Return: the length, or -errno. */
static int encode(struct intent_file *f, struct intent *i)
{
	size_t need = intent_size(i);
	uint8_t *more = need > f->size ? realloc(f->buf, need) : f->buf;

	if (!more)
		return -ENOMEM;
	f->buf = more;
	f->size = need > f->size ? need : f->size;
	i->seq = f->seq + 1;
	return intent_encode(i, f->buf, f->size);
}

static size_t slot_for(size_t length)
{
	size_t slot = SLOT_MIN;

	while (slot < length)
		slot *= 2;
	return slot;
}

/* One that does not come to its name is none: nothing more may be written to it. */
static int write_fresh(struct intent_file *f, size_t length)
{
	int r = make_file(f, slot_for(length));

	if (r < 0)
		return r;
	r = write_slot(f, length);
	if (r == 0)
		r = put_in_place(f);
	if (r < 0) {
		close_file(f);
		unlinkat(f->store->dir, f->fresh, 0);
	}
	return r;
}

static bool is_anothers(struct intent_file *f)
{
	f->anothers = f->anothers && faccessat(f->store->dir, f->name, F_OK, 0) == 0;
	return f->anothers;
}

static int store(struct intent_file *f, struct intent *i)
{
	int length, r = 0;

	if (f->store->dir < 0)
		r = open_folder(f->store);
	if (r < 0)
		return r;
	if (is_anothers(f))
		return -EPROTONOSUPPORT;
	length = encode(f, i);
	if (length < 0)
		return length;
	if (length > INTENT_BYTES_MAX)
		return -EFBIG;
	r = f->fd < 0 || (size_t)length > f->slot ? write_fresh(f, (size_t)length)
						  : write_slot(f, (size_t)length);
	if (r == 0)
		f->seq = i->seq;
	return r;
}

int intent_file_store(struct intent_file *f, struct intent *i, char ret_why[OP_TEXT_MAX])
{
	int r = store(f, i);

	/* There is room in it for much more than most have to tell, in every domain. */
	free(f->buf);
	f->buf = NULL;
	f->size = 0;
	return explain(f, r, ret_why);
}

/* Whether the folder, and in it the name, is still the one that is open. */
static bool is_in_place(const struct intent_file *f)
{
	struct stat folder, held, named;

	if (f->store->dir < 0 || stat(f->store->path, &folder) < 0 ||
	    fstat(f->store->dir, &held) < 0 || folder.st_ino != held.st_ino ||
	    folder.st_dev != held.st_dev)
		return false;
	return f->fd < 0 || (fstat(f->fd, &held) == 0 &&
			     fstatat(f->store->dir, f->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
			     held.st_ino == named.st_ino && held.st_dev == named.st_dev);
}

int intent_file_check(struct intent_file *f, struct intent *i, char ret_why[OP_TEXT_MAX])
{
	int r = 0;

	if (!is_in_place(f)) {
		close_file(f);
		r = open_folder(f->store);
	}
	return explain(f, r < 0 ? r : store(f, i), ret_why);
}

void intent_file_remove(struct intent_file *f)
{
	close_file(f);
	if (f->store->dir >= 0 && !is_anothers(f))
		unlinkat(f->store->dir, f->name, 0);
}
