/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static int set_address(struct sockaddr_un *sa, const char *path, const char *suffix)
{
	int n;

	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(sa->sun_path, sizeof(sa->sun_path), "%s%s", path, suffix);
	return n < 0 || (size_t)n >= sizeof(sa->sun_path) ? -ENAMETOOLONG : 0;
}

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* 0: the name is free or a dead daemon's. */
static int check_name(const char *path)
{
	struct sockaddr_un sa;
	struct stat st;
	int fd, r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	r = set_address(&sa, path, "");
	if (r < 0)
		return r;
	fd = new_socket();
	if (fd < 0)
		return fd;
	r = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
	close(fd);
	if (r == -ECONNREFUSED || r == -ENOENT)
		return 0;
	/* A daemon with a full backlog answers EAGAIN; one that belongs to others EACCES. */
	return r == 0 || r == -EAGAIN ? -EADDRINUSE : r;
}

/* As a service it is the group's from the beginning, and may give nothing to anybody. */
static bool give_to_group(const char *path, gid_t gid)
{
	struct stat st;

	return (lstat(path, &st) == 0 && st.st_gid == gid) || lchown(path, (uid_t)-1, gid) == 0;
}

/* To the group where that can be, else to the owner alone. */
static bool open_to_group(const char *path, const char *name)
{
	const struct group *g = getgrnam(name);

	return g && give_to_group(path, g->gr_gid) && chmod(path, 0660) == 0;
}

/* Under another name first, so that nobody finds it half made. */
static int bind_and_rename(int fd, const char *path, const char *group, struct control_socket *s)
{
	struct sockaddr_un sa;
	struct stat st;
	mode_t mask;
	int r;

	r = set_address(&sa, path, ".new");
	if (r < 0)
		return r;
	if (unlink(sa.sun_path) < 0 && errno != ENOENT)
		return -errno;
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0)
		return r;
	s->group_set = open_to_group(sa.sun_path, group);
	if (listen(fd, SOMAXCONN) < 0 || lstat(sa.sun_path, &st) < 0 ||
	    rename(sa.sun_path, path) < 0) {
		r = -errno;
		unlink(sa.sun_path);
		return r;
	}
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

int control_socket_open(const char *path, const char *group, struct control_socket *ret)
{
	struct control_socket s = { .fd = -1 };
	int r;

	r = check_name(path);
	if (r < 0)
		return r;
	s.fd = new_socket();
	if (s.fd < 0)
		return s.fd;
	r = bind_and_rename(s.fd, path, group, &s);
	if (r < 0) {
		close(s.fd);
		return r;
	}
	snprintf(s.path, sizeof(s.path), "%s", path);
	*ret = s;
	return 0;
}

int control_socket_inherit(struct control_socket *ret)
{
	int n = sd_listen_fds(1), flags;

	if (n <= 0)
		return n;
	if (n > 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) <= 0)
		return -EINVAL;
	flags = fcntl(SD_LISTEN_FDS_START, F_GETFL);
	if (flags < 0 || fcntl(SD_LISTEN_FDS_START, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	*ret = (struct control_socket){ .fd = SD_LISTEN_FDS_START, .group_set = true };
	return 1;
}

void control_socket_done(struct control_socket *s)
{
	struct stat st;

	if (s->path[0] && lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path);
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct control_socket){ .fd = -1 };
}

int folder_make(const char *path, uid_t *ret_owner)
{
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (stat(path, &st) < 0)
		return -errno;
	if (ret_owner)
		*ret_owner = st.st_uid;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int folder_lock(const char *path)
{
	char name[4096];
	int fd, n;

	n = snprintf(name, sizeof(name), "%s/lock", path);
	if (n < 0 || (size_t)n >= sizeof(name))
		return -ENAMETOOLONG;
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* What is there can be locked also where nothing can be written. */
	if (fd < 0 && errno == EROFS)
		fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int r = errno == EWOULDBLOCK ? -EBUSY : -errno;

		close(fd);
		return r;
	}
	return fd;
}
