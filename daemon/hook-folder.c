/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Whoever can write a hook, or a folder on the way to it, decides what the daemon's user runs and which
 * operations are allowed. So the way is walked folder by folder, each opened without following links and
 * checked on the opened descriptor: it belongs to root or to the daemon's user, and nobody else may write it.
 * The program is checked in the same way. It is executed by its name afterwards, which is the same program
 * then: nobody but those two can exchange anything on that way.
 *
 * Links are refused rather than followed: a link's target has parents of its own.
 */
#include "daemon/hook-folder.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct warner {
	void (*warn)(void *ctx, const char *sentence);
	void *ctx;
	const char *dir;
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

/* NULL, or what is wrong with who may write it. */
static const char *owner_flaw(const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "belongs neither to root nor to the daemon's user";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "is writable by others";
	return NULL;
}

/* Who may execute it is seen then: whoever may not is taken to object. In a unit that is another user. */
static const char *program_flaw(const struct stat *st)
{
	if (S_ISLNK(st->st_mode))
		return "is a link";
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (!(st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
		return "is not executable";
	return owner_flaw(st);
}

/* Return: a descriptor of the folder @part below @parent, checked, or -errno; -EPERM with a flaw. */
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

/* Take the next part of *@rest into @part. Return: 1, 0 at the end, -errno. */
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
	return strcmp(part, ".") == 0 || strcmp(part, "..") == 0 ? -EINVAL : 1;
}

static int open_folder(int root, const struct warner *w)
{
	char part[256];
	const char *rest = w->dir;
	int at = -1, r;

	snprintf(part, sizeof(part), "%s", root == AT_FDCWD ? "/" : ".");
	do {
		const char *flaw = NULL;
		int fd = open_part(at < 0 ? root : at, part, &flaw);

		if (at >= 0)
			close(at);
		if (fd < 0 && flaw)
			warn(w, "no hooks are run: on the way to %s, %s %s", w->dir,
			     strcmp(part, ".") == 0 ? "/" : part, flaw);
		if (fd < 0)
			return fd;
		at = fd;
		r = next_part(&rest, part);
	} while (r > 0);
	if (r == 0)
		return at;
	close(at);
	return r;
}

static void clean(const char *name, char out[HOOK_NAME_MAX + 1])
{
	size_t i;

	for (i = 0; name[i] && i < HOOK_NAME_MAX; i++)
		out[i] = name[i] > ' ' && name[i] < 0x7f ? name[i] : '?';
	out[i] = '\0';
}

/* Insert in order; what sorts behind a full list is left out. */
static void add_name(struct hook_list *l, const char *name, const struct warner *w)
{
	size_t at = l->n;

	while (at > 0 && strcmp(l->names[at - 1], name) > 0)
		at--;
	if (l->n == HOOKS_MAX)
		warn(w, "hook %s is not run: there are more than %d",
		     at == HOOKS_MAX ? name : l->names[HOOKS_MAX - 1], HOOKS_MAX);
	else
		l->n++;
	if (at == HOOKS_MAX)
		return;
	memmove(l->names[at + 1], l->names[at], (l->n - 1 - at) * sizeof(l->names[0]));
	snprintf(l->names[at], sizeof(l->names[at]), "%s", name);
}

/* What an editor or a package manager leaves there is no hook, and nothing to complain of. */
static bool is_left_over(const char *name)
{
	return strchr(name, '.') || name[strlen(name) - 1] == '~';
}

static int take_entry(struct hook_list *l, int folder, const char *name, const struct warner *w)
{
	char shown[HOOK_NAME_MAX + 1];
	const char *flaw;
	struct stat st;
	int fd;

	if (is_left_over(name))
		return 0;
	clean(name, shown);
	if (!hook_is_name(name)) {
		warn(w, "hook %s is not run: its name is not made of 1 to %d of A-Z a-z 0-9 _ -",
		     shown, HOOK_NAME_MAX);
		return 0;
	}
	fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	flaw = fstat(fd, &st) < 0 ? "cannot be looked at" : program_flaw(&st);
	close(fd);
	if (flaw)
		warn(w, "hook %s is not run: %s/%s %s", shown, w->dir, shown, flaw);
	else
		add_name(l, name, w);
	return 0;
}

static int scan_folder(struct hook_list *l, int folder, const struct warner *w)
{
	/* The checked descriptor is O_PATH and cannot be read; this one is the same folder. */
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!d) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0) {
		errno = 0;
		e = readdir(d);
		if (!e) {
			r = -errno;
			break;
		}
		r = take_entry(l, folder, e->d_name, w);
	}
	closedir(d);
	return r;
}

int hook_folder_scan(int root, const char *dir, struct hook_list *ret,
		     void (*warn_fn)(void *ctx, const char *sentence), void *ctx)
{
	const struct warner w = { .warn = warn_fn, .ctx = ctx, .dir = dir };
	int folder = open_folder(root, &w), r;

	*ret = (struct hook_list){ 0 };
	snprintf(ret->dir, sizeof(ret->dir), "%s", dir);
	if (folder == -ENOENT || folder == -EPERM)
		return 0;
	if (folder < 0)
		return folder;
	r = scan_folder(ret, folder, &w);
	close(folder);
	if (r < 0)
		ret->n = 0;
	return r;
}
