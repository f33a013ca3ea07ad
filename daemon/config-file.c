/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * FILE and then FILE.d/NAME.conf in the byte order of their names are read whole into memory and
 * handed to config_parse() together. A FILE that was named must be there; the default one and the
 * folder may be missing. Only regular files up to FILE_SIZE_MAX are read: a pipe or a device
 * standing there must not block the start. Hidden names and other endings are passed over.
 */
#include "daemon/config-key.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_SIZE_MAX = 1024 * 1024 };

static const char default_path[] = "/etc/vcpuhp/vcpuhpd.conf";

/* What config_parse() takes, growing; three parallel arrays. */
struct files {
	size_t n;
	char **names;
	char **texts;
	size_t *lens;
};

static void files_done(struct files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->names[i]);
		free(f->texts[i]);
	}
	free(f->names);
	free(f->texts);
	free(f->lens);
}

static int read_all(int fd, char *buf, size_t size, size_t *ret)
{
	size_t at = 0;

	while (at < size) {
		ssize_t n = read(fd, buf + at, size - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		at += (size_t)n;
	}
	*ret = at;
	return 0;
}

static int read_fd(int fd, char **ret, size_t *ret_len)
{
	struct stat st;
	char *text;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > FILE_SIZE_MAX)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	r = read_all(fd, text, (size_t)st.st_size, ret_len);
	if (r < 0) {
		free(text);
		return r;
	}
	*ret = text;
	return 0;
}

static int read_file(const char *path, char **ret, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0)
		return -errno;
	r = read_fd(fd, ret, ret_len);
	close(fd);
	return r;
}

static int grow(struct files *f)
{
	size_t size = (f->n + 1) * sizeof(void *);
	char **names = realloc(f->names, size);
	char **texts;
	size_t *lens;

	if (!names)
		return -ENOMEM;
	f->names = names;
	texts = realloc(f->texts, size);
	if (!texts)
		return -ENOMEM;
	f->texts = texts;
	lens = realloc(f->lens, (f->n + 1) * sizeof(*lens));
	if (!lens)
		return -ENOMEM;
	f->lens = lens;
	texts[f->n] = NULL;
	return 0;
}

static int add_file(struct files *f, const char *path)
{
	int r = grow(f);

	if (r < 0)
		return r;
	r = read_file(path, &f->texts[f->n], &f->lens[f->n]);
	if (r < 0)
		return r;
	f->names[f->n] = strdup(path);
	if (!f->names[f->n]) {
		free(f->texts[f->n]);
		return -ENOMEM;
	}
	f->n++;
	return 0;
}

static int is_drop_in(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return e->d_name[0] != '.' && len > 5 && strcmp(e->d_name + len - 5, ".conf") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int complain(int rc, const char *path, char **ret_error)
{
	if (asprintf(ret_error, "%s: cannot be read: %s", path, strerror(-rc)) < 0)
		*ret_error = NULL;
	return rc;
}

static int add_drop_in(struct files *f, const char *folder, const char *name, char **ret_error)
{
	char *path;
	int r;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return complain(-ENOMEM, folder, ret_error);
	r = add_file(f, path);
	if (r < 0)
		complain(r, path, ret_error);
	free(path);
	return r;
}

static int add_drop_ins(struct files *f, const char *file, char **ret_error)
{
	struct dirent **entries;
	char *folder;
	int n, r = 0;

	if (asprintf(&folder, "%s.d", file) < 0)
		return complain(-ENOMEM, file, ret_error);
	n = scandir(folder, &entries, is_drop_in, by_name);
	if (n < 0)
		r = errno == ENOENT ? 0 : complain(-errno, folder, ret_error);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = add_drop_in(f, folder, entries[i]->d_name, ret_error);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	free(folder);
	return r;
}

static int add_all(struct files *f, const char *path, char **ret_error)
{
	const char *file = path ? path : default_path;
	int r = add_file(f, file);

	if (r < 0 && (path || r != -ENOENT))
		return complain(r, file, ret_error);
	return add_drop_ins(f, file, ret_error);
}

int config_load(const char *path, struct config **ret, char **ret_error)
{
	struct files f = { 0 };
	int r = add_all(&f, path, ret_error);

	if (r == 0)
		r = config_parse((const char *const *)f.names, (const char *const *)f.texts, f.lens,
				 f.n, ret, ret_error);
	files_done(&f);
	return r;
}
