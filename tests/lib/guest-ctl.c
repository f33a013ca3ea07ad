/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest-ctl PORTNAME: the tests' hands inside the guest. It reads commands from a virtio-serial
 * port and runs them one after another:
 *
 *	host:  SEQ LENGTH\n COMMAND            (LENGTH bytes, given to /bin/sh -c)
 *	guest: SEQ STATUS LENGTH\n OUTPUT      (stdout and stderr; 128+N for a signal)
 *
 * Output goes through a file, so that a command may leave processes behind in the background.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMMAND_MAX = 1 << 16, OUTPUT_MAX = 1 << 20 };

static const char ports[] = "/sys/class/virtio-ports";

static bool is_named(const char *entry, const char *name)
{
	char path[320], found[128] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/name", ports, entry);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(found, sizeof(found), f))
		found[0] = '\0';
	fclose(f);
	found[strcspn(found, "\n")] = '\0';
	return strcmp(found, name) == 0;
}

/* A descriptor of the port with that name, or -errno. */
static int open_port(const char *name)
{
	DIR *dir = opendir(ports);
	struct dirent *e;
	int fd = -ENOENT;

	if (!dir)
		return -errno;
	while (fd == -ENOENT && (e = readdir(dir))) {
		char path[320];

		if (e->d_name[0] == '.' || !is_named(e->d_name, name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	closedir(dir);
	return fd;
}

/* Reads @len bytes. A port without a host answers with end of file: it is asked again. */
static void read_all(int fd, char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = read(fd, buf, len);

		if (n <= 0) {
			usleep(10000);
			continue;
		}
		buf += n;
		len -= (size_t)n;
	}
}

static void write_all(int fd, const char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, buf, len);

		if (n <= 0) {
			usleep(10000);
			continue;
		}
		buf += n;
		len -= (size_t)n;
	}
}

static void read_line(int fd, char *line, size_t size)
{
	size_t n = 0;

	for (;;) {
		char c;

		read_all(fd, &c, 1);
		if (c == '\n')
			break;
		if (n < size - 1)
			line[n++] = c;
	}
	line[n] = '\0';
}

static int run(char *command, int out)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return 126;
	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		setsid();
		if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
			_exit(126);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) != pid)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void answer(int port, unsigned long seq, int status, int out)
{
	static char output[OUTPUT_MAX];
	char head[64];
	ssize_t n = pread(out, output, sizeof(output), 0);
	int len;

	if (n < 0)
		n = 0;
	len = snprintf(head, sizeof(head), "%lu %d %zd\n", seq, status, n);
	write_all(port, head, (size_t)len);
	write_all(port, output, (size_t)n);
}

static void serve(int port)
{
	static char command[COMMAND_MAX + 1];

	for (;;) {
		unsigned long seq, len;
		char line[64], *end;
		int out;

		read_line(port, line, sizeof(line));
		seq = strtoul(line, &end, 10);
		len = strtoul(end, NULL, 10);
		if (len == 0 || len > COMMAND_MAX)
			continue;
		read_all(port, command, len);
		command[len] = '\0';
		out = memfd_create("output", MFD_CLOEXEC);
		if (out < 0)
			continue;
		answer(port, seq, run(command, out), out);
		close(out);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	for (;;) {
		int port = open_port(argv[1]);

		if (port >= 0)
			serve(port);
		usleep(20000);
	}
}
