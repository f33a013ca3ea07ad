/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench-onliner PORTNAME: what somebody would write to bring vCPUs up by hand, as tight as it can
 * be; the benchmark's yardstick. One command a line from a virtio-serial port:
 *
 *	hand N              wait for N CPUs to be added and take each online as it comes
 *	watch N             the same, but others take them online
 *	online FIRST LAST   take these online, ascending
 *	offline FIRST LAST  take these offline, descending
 *	ping                answer
 *	arm ON              get ready for duties, or over them
 *	duties FIRST LAST EXPEDITED
 *	                    online, and all that an agent owes for each (bench-duties.h)
 *	owed N EXPEDITED    the same for N CPUs to be added
 *
 * Answers, each a line: "ready" when it listens (hand, watch, owed, ping, arm); "ran CPU NS" from a thread
 * bound to each CPU that came online, NS being the time of the kernel's online alone (0: not known);
 * "did CPU ..." after duties; "off CPU NS"; "error CPU ERRNO". The next CPU's online begins while the
 * thread or process of the last one works.
 */
#include "bench-duties.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/**
 * struct proof - what the thread bound to a CPU needs to answer
 * @online_ns: time the kernel took
 */
struct proof {
	int port;
	int cpu;
	long long online_ns;
};

long long bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static bool is_named(const char *entry, const char *name)
{
	char path[320], found[128] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(found, sizeof(found), f))
		found[0] = '\0';
	fclose(f);
	found[strcspn(found, "\n")] = '\0';
	return strcmp(found, name) == 0;
}

/* A descriptor of the port with that name, or -1. */
static int open_port(const char *name)
{
	DIR *dir = opendir("/sys/class/virtio-ports");
	struct dirent *e;
	int fd = -1;

	while (dir && fd < 0 && (e = readdir(dir))) {
		char path[320];

		if (e->d_name[0] == '.' || !is_named(e->d_name, name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (dir)
		closedir(dir);
	return fd;
}

static int open_uevents(void)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	int size = 1 << 20;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -1 : fd;
}

static void say(int port, const char *word, int cpu, long long number)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s %d %lld\n", word, cpu, number);

	if (write(port, line, (size_t)n) != n)
		exit(1);
}

static void *prove(void *arg)
{
	struct proof *p = arg;
	int here = sched_getcpu();

	if (here != p->cpu)
		say(p->port, "error", p->cpu, EXDEV);
	else
		say(p->port, "ran", p->cpu, p->online_ns);
	free(p);
	return NULL;
}

static int start_thread(int port, int cpu, long long online_ns)
{
	struct proof *p = malloc(sizeof(*p));
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t set;
	int r;

	if (!p)
		return ENOMEM;
	*p = (struct proof){ port, cpu, online_ns };
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 64 << 10);
	pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	r = pthread_create(&thread, &attr, prove, p);
	pthread_attr_destroy(&attr);
	return r;
}

int bench_write_online(int cpu, const char *value, long long *ret_ns)
{
	long long start = bench_now_ns();
	char path[64];
	int fd, r = 0;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (write(fd, value, 1) != 1)
		r = errno;
	close(fd);
	*ret_ns = bench_now_ns() - start;
	return r;
}

static void take_online(int port, int cpu)
{
	long long ns = 0;
	int r = bench_write_online(cpu, "1", &ns);

	if (r == 0)
		r = start_thread(port, cpu, ns);
	if (r != 0)
		say(port, "error", cpu, r);
}

static void take_offline(int port, int cpu)
{
	long long ns = 0;
	int r = bench_write_online(cpu, "0", &ns);

	say(port, r ? "error" : "off", cpu, r ? r : ns);
}

/* The CPU of the next event where it is "@action", -1 another. */
static int cpu_of_event(int uevents, const char *action)
{
	char event[8192], head[64];
	ssize_t len = recv(uevents, event, sizeof(event) - 1, 0);
	char *end;
	long cpu;

	if (len <= 0)
		return -1;
	event[len] = '\0';
	snprintf(head, sizeof(head), "%s@/devices/system/cpu/cpu", action);
	if (strncmp(event, head, strlen(head)) != 0)
		return -1;
	cpu = strtol(event + strlen(head), &end, 10);
	return *end == '\0' ? (int)cpu : -1;
}

int bench_added_cpu(int uevents)
{
	return cpu_of_event(uevents, "add");
}

static void say_ready(int port)
{
	if (write(port, "ready\n", 6) != 6)
		exit(1);
}

static void arm(int port, struct duties *d, bool on)
{
	int r = duties_arm(d, on);

	if (r)
		say(port, "error", 0, r);
	else
		say_ready(port);
}

static void do_duties(struct duties *d, const struct duty_batch *b)
{
	int r = duties_run(d, b);

	if (r)
		say(b->port, "error", b->first, r);
}

static void forget_uevents(int uevents)
{
	char event[8192];

	while (recv(uevents, event, sizeof(event), MSG_DONTWAIT) > 0)
		;
}

static void wait_and_online(int port, int uevents, int n)
{
	while (n > 0) {
		int cpu = bench_added_cpu(uevents);

		if (cpu < 0)
			continue;
		take_online(port, cpu);
		n--;
	}
}

/* Others bring them online. */
static void wait_and_prove(int port, int uevents, int n)
{
	while (n > 0) {
		int cpu = cpu_of_event(uevents, "online"), r;

		if (cpu < 0)
			continue;
		r = start_thread(port, cpu, 0);
		if (r != 0)
			say(port, "error", cpu, r);
		n--;
	}
}

/* Whether @line is @word and @n numbers. */
static bool is_command(const char *line, const char *word, int *numbers, int n)
{
	const char *at = line + strlen(word);

	if (strncmp(line, word, strlen(word)) != 0)
		return false;
	for (int i = 0; i < n; i++) {
		char *end;

		numbers[i] = (int)strtol(at, &end, 10);
		if (end == at)
			return false;
		at = end;
	}
	return true;
}

static void obey(int port, int uevents, struct duties *d, const char *line)
{
	int n[3] = { 0 };

	if (is_command(line, "hand ", n, 1)) {
		forget_uevents(uevents);
		say_ready(port);
		wait_and_online(port, uevents, n[0]);
	} else if (is_command(line, "watch ", n, 1)) {
		forget_uevents(uevents);
		say_ready(port);
		wait_and_prove(port, uevents, n[0]);
	} else if (is_command(line, "owed ", n, 2)) {
		forget_uevents(uevents);
		say_ready(port);
		do_duties(d, &(struct duty_batch){ port, uevents, 0, n[0], n[1] });
	} else if (is_command(line, "online ", n, 2)) {
		for (int cpu = n[0]; cpu <= n[1]; cpu++)
			take_online(port, cpu);
	} else if (is_command(line, "duties ", n, 3)) {
		do_duties(d, &(struct duty_batch){ port, -1, n[0], n[1] - n[0] + 1, n[2] });
	} else if (is_command(line, "arm ", n, 1)) {
		arm(port, d, n[0]);
	} else if (strcmp(line, "ping\n") == 0) {
		say_ready(port);
	} else if (is_command(line, "offline ", n, 2)) {
		for (int cpu = n[1]; cpu >= n[0]; cpu--)
			take_offline(port, cpu);
	}
}

static void read_line(int port, char *line, size_t size)
{
	size_t n = 0;
	char c = '\0';

	while (c != '\n') {
		/* A port without a host answers with end of file. */
		if (read(port, &c, 1) != 1)
			usleep(10000);
		else if (n < size - 1)
			line[n++] = c;
	}
	line[n] = '\0';
}

int main(int argc, char **argv)
{
	int port = argc == 2 ? open_port(argv[1]) : -1;
	int uevents = open_uevents();
	struct duties d;
	char line[128];

	duties_init(&d);
	if (port < 0 || uevents < 0) {
		fputs("Usage: bench-onliner PORTNAME (as root)\n", stderr);
		return 2;
	}
	for (;;) {
		read_line(port, line, sizeof(line));
		obey(port, uevents, &d, line);
	}
}
