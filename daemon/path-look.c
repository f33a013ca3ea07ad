/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/path-look.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

bool path_permits(mode_t mode, uid_t uid, gid_t gid, int want, const struct auth_peer *who)
{
	bool in_group = who->gid == gid;
	unsigned int shift;

	if (who->uid == 0)
		return true;
	for (size_t i = 0; i < who->n_groups; i++)
		in_group |= who->groups[i] == gid;
	shift = who->uid == uid ? 6 : in_group ? 3 : 0;
	return ((mode >> shift) & (mode_t)want) == (mode_t)want;
}

static bool we_are_permitted(const struct stat *st, int want)
{
	struct auth_peer self = { .uid = geteuid(), .gid = getegid() };
	int n = getgroups(0, NULL);
	gid_t *groups = n > 0 ? calloc((size_t)n, sizeof(*groups)) : NULL;
	bool permitted;

	n = groups ? getgroups(n, groups) : 0;
	self.groups = groups;
	self.n_groups = n > 0 ? (size_t)n : 0;
	permitted = path_permits(st->st_mode, st->st_uid, st->st_gid, want, &self);
	free(groups);
	return permitted;
}

/* Return: whether it may be passed; else @ret says why not. */
static bool look_at(const char *path, int want, bool is_socket, struct path_look *ret)
{
	struct stat st;
	int r = stat(path, &st) < 0 ? -errno : 0;

	*ret = (struct path_look){ .hidden = r == -EACCES };
	if (r == 0) {
		ret->mode = st.st_mode & 07777;
		ret->uid = st.st_uid;
		ret->gid = st.st_gid;
		if (faccessat(AT_FDCWD, path, want, AT_EACCESS) < 0)
			r = -errno;
		ret->permits = r == -EACCES && we_are_permitted(&st, want);
		if (is_socket && !S_ISSOCK(st.st_mode))
			r = -ENOTSOCK;
	}
	ret->rc = r;
	snprintf(ret->at, sizeof(ret->at), "%s", r ? path : "");
	return r == 0;
}

void path_look(const char *path, struct path_look *ret)
{
	char part[PATH_LOOK_MAX];
	const char *slash = path;
	ssize_t n;

	*ret = (struct path_look){ 0 };
	while (*path == '/' && (slash = strchr(slash + 1, '/'))) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (!look_at(part, X_OK, false, ret))
			return;
	}
	if (!look_at(path, W_OK, true, ret) && ret->rc != -EACCES)
		return;
	n = getxattr(path, "security.selinux", ret->label, sizeof(ret->label) - 1);
	ret->label[n > 0 ? n : 0] = '\0';
}

static void read_line(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

void mac_look(struct mac_look *ret)
{
	char text[8];

	*ret = (struct mac_look){ 0 };
	read_line("/sys/fs/selinux/enforce", text, sizeof(text));
	ret->selinux = *text;
	ret->enforcing = *text == '1';
	read_line("/sys/module/apparmor/parameters/enabled", text, sizeof(text));
	ret->apparmor = *text == 'Y';
	read_line("/proc/self/attr/current", ret->own, sizeof(ret->own));
}
