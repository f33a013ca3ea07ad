/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Whoever can write a callback program, or a folder on the way to it, runs code as root on every
 * plug. So the way is walked folder by folder, each opened without following links and checked on
 * the opened descriptor: it belongs to root (or to us, where the agent is not root) and nobody else
 * may write it. The program itself is checked the same way and later executed by that descriptor
 * (callback-run.c), so that nothing can be exchanged between the check and the use.
 *
 * Links are refused rather than followed: a link's target has parents of its own.
 */
#include "guest-agent/callback.h"
#include "guest-agent/callback-file.h"
#include "guest-agent/cleanup.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct warner {
	void (*warn)(void *ctx, const char *sentence);
	void *ctx;
};

__attribute__((format(printf, 2, 3))) static void warn(const struct warner *w, const char *format,
						       ...)
{
	char sentence[512];
	va_list args;

	if (!w->warn)
		return;
	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	w->warn(w->ctx, sentence);
}

/* NULL, or what is wrong with who may write the file. */
static const char *owner_flaw(const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "does not belong to root";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "is writable by others";
	return NULL;
}

static const char *program_flaw(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (!(st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
		return "is not executable";
	return owner_flaw(st);
}

/* Return: a descriptor of the folder @part below @parent, checked, or -errno. */
static int open_part(int parent, const char *part, const char **ret_flaw)
{
	int fd = openat(parent, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0) {
		/* Of a link O_DIRECTORY says ENOTDIR. */
		r = errno == ENOTDIR || errno == ELOOP ? -EPERM : -errno;
		*ret_flaw = r == -EPERM ? "is not a folder" : NULL;
		return r;
	}
	r = fstat(fd, &st) < 0 ? -errno : 0;
	*ret_flaw = r == 0 ? owner_flaw(&st) : NULL;
	if (r < 0 || *ret_flaw) {
		close(fd);
		return r < 0 ? r : -EPERM;
	}
	return fd;
}

/* Take the next part of *@rest into @part. Return: 1, 0 at the end, -EINVAL. */
static int next_part(const char **rest, char part[256])
{
	size_t len;

	*rest += strspn(*rest, "/");
	len = strcspn(*rest, "/");
	if (len == 0)
		return 0;
	if (len > 255)
		return -ENAMETOOLONG;
	memcpy(part, *rest, len);
	part[len] = '\0';
	*rest += len;
	return !strcmp(part, ".") || !strcmp(part, "..") ? -EINVAL : 1;
}

static int open_folder(int root, const char *dir, const struct warner *w)
{
	char part[256] = ".";
	const char *rest = dir;
	AUTO_CLOSE int at = -1;
	int fd, r;

	do {
		const char *flaw = NULL;

		fd = open_part(at < 0 ? root : at, part, &flaw);
		if (fd < 0) {
			if (flaw)
				warn(w, "callback folder %s: %s %s", dir, part, flaw);
			return fd;
		}
		if (at >= 0)
			close(at);
		at = fd;
		r = next_part(&rest, part);
	} while (r > 0);
	return r < 0 ? r : take_fd(&at);
}

int callback_open_folder(int root, const char *dir)
{
	const struct warner silent = { 0 };

	return open_folder(root, dir, &silent);
}

static int open_program(int folder, const char *name, const char **ret_flaw)
{
	/* O_NONBLOCK: a FIFO of that name would otherwise hold us here. */
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int r;

	*ret_flaw = NULL;
	if (fd < 0) {
		if (errno != ELOOP)
			return -errno;
		*ret_flaw = "is a link";
		return -EPERM;
	}
	r = fstat(fd, &st) < 0 ? -errno : 0;
	*ret_flaw = r == 0 ? program_flaw(&st) : NULL;
	if (r < 0 || *ret_flaw) {
		close(fd);
		return r < 0 ? r : -EPERM;
	}
	return fd;
}

int callback_open_program(int folder, const char *name)
{
	const char *flaw;

	return callback_is_name(name) ? open_program(folder, name, &flaw) : -EINVAL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool callback_is_name(const char *name)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    "._+-";
	size_t len = strlen(name);

	return len >= 4 && len <= CALLBACK_NAME_MAX && is_digit(name[0]) && is_digit(name[1]) &&
	       name[2] == '-' && strspn(name + 3, plain) == len - 3;
}

static void clean(const char *name, char out[CALLBACK_NAME_MAX + 1])
{
	size_t i;

	for (i = 0; name[i] && i < CALLBACK_NAME_MAX; i++)
		out[i] = name[i] > ' ' && name[i] < 0x7f ? name[i] : '?';
	out[i] = '\0';
}

/* Insert in order; what sorts behind a full list is left out. */
static void add_name(struct callback_list *l, const char *name, const struct warner *w)
{
	enum { ROOM = sizeof(l->names) / sizeof(l->names[0]) };
	size_t at = l->n;

	while (at > 0 && strcmp(l->names[at - 1], name) > 0)
		at--;
	if (l->n == ROOM)
		warn(w, "callback %s left out: more than %d",
		     at == ROOM ? name : l->names[ROOM - 1], (int)ROOM);
	else
		l->n++;
	if (at == ROOM)
		return;
	memmove(l->names[at + 1], l->names[at], (l->n - 1 - at) * sizeof(l->names[0]));
	snprintf(l->names[at], sizeof(l->names[at]), "%s", name);
}

static void take_entry(struct callback_list *l, int folder, const char *name,
		       const struct warner *w)
{
	char shown[CALLBACK_NAME_MAX + 1];
	const char *flaw = NULL;
	AUTO_CLOSE int fd = -1;

	if (name[0] == '.' || name[strlen(name) - 1] == '~')
		return;
	clean(name, shown);
	if (!callback_is_name(name)) {
		warn(w, "callback %s: the name is not of the form NN-name", shown);
		return;
	}
	fd = open_program(folder, name, &flaw);
	if (fd >= 0)
		add_name(l, name, w);
	else
		warn(w, "callback %s: %s", shown, flaw ? flaw : strerror(-fd));
}

static int scan_folder(struct callback_list *l, int folder, const struct warner *w)
{
	/* The checked descriptor is O_PATH and cannot be read; this one is the same folder. */
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSEDIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		int r = -errno;

		if (fd >= 0)
			close(fd);
		return r;
	}
	errno = 0;
	while ((e = readdir(d))) {
		take_entry(l, folder, e->d_name, w);
		errno = 0;
	}
	return -errno;
}

int callback_scan(int root, const char *dir, struct callback_list *ret,
		  void (*warn_fn)(void *ctx, const char *sentence), void *ctx)
{
	const struct warner w = { .warn = warn_fn, .ctx = ctx };
	AUTO_CLOSE int folder = open_folder(root, dir, &w);
	struct callback_list l = { 0 };
	int r;

	if (folder < 0 && folder != -ENOENT)
		return folder;
	r = folder < 0 ? 0 : scan_folder(&l, folder, &w);
	if (r == 0)
		*ret = l;
	return r;
}
