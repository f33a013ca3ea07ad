/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The program of vcpuhp-hook@.service: one hook, for the connection that the unit was started for.
 *
 * It may be set to run hooks with more rights than vcpuhpd has, so it takes from there only which hook, and about
 * what: the folder is the configuration's, and what is in it is checked here again, with its own eyes. When vcpuhpd
 * leaves the connection the hook gets SIGTERM and, a second later, SIGKILL; this one is there until it is gone, so
 * vcpuhpd knows. What is left then is the service manager's to kill.
 */
#include "daemon/config.h"
#include "daemon/hook-child.h"
#include "daemon/hook-folder.h"
#include "daemon/hook-unit.h"
#include "daemon/log.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { CONNECTION = SD_LISTEN_FDS_START, TERM_MS = 1000, NOT_RUN = 127 };

static void warn(void *ctx, const char *sentence)
{
	log_line(LOG_WARNING, "%s", sentence);
}

static bool is_listed(const struct hook_list *l, const char *name)
{
	for (unsigned int i = 0; i < l->n; i++)
		if (strcmp(l->names[i], name) == 0)
			return true;
	return false;
}

/* Where the program would have spoken: the first line is the reason that everybody is shown. */
static void say(int output, const char *sentence)
{
	dprintf(output, "not run by its unit: %s\n", sentence);
	log_line(LOG_ERR, "the hook was not run: %s", sentence);
}

static int find_in(const char *dir, const char *name, int output, struct hook_list *ret)
{
	char sentence[CONFIG_FOLDER_MAX + 128];
	int r = hook_folder_scan(AT_FDCWD, dir, ret, warn, NULL);

	if (r == 0 && is_listed(ret, name))
		return 0;
	if (r < 0)
		snprintf(sentence, sizeof(sentence), "%s cannot be read: %s", dir, strerror(-r));
	else
		snprintf(sentence, sizeof(sentence),
			 "it has no such hook in %s (HookDirectory= read now; reload)", dir);
	say(output, sentence);
	return r < 0 ? r : -EPERM;
}

/* Return: 0 where it may be run; -errno, and @output was told why. */
static int find(const char *config_path, const char *name, int output, struct hook_list *ret)
{
	struct config *c = NULL;
	char *error = NULL;
	int r = config_load(config_path, &c, &error);

	if (r < 0) {
		say(output, error ? error : strerror(-r));
		free(error);
		return r;
	}
	r = -EPERM;
	if (c->hook_dir)
		r = find_in(c->hook_dir, name, output, ret);
	else
		say(output, "HookDirectory= is empty now; reload vcpuhpd");
	config_free(c);
	return r;
}

/* vcpuhpd may have gone on meanwhile: then nobody is to run. */
static bool has_left(void)
{
	char c;

	return recv(CONNECTION, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Return: its leader's id. */
static pid_t start(const struct hook_order *o, const char *dir)
{
	const struct hook_call call = {
		.dir = dir, .name = o->name, .domain = o->domain, .op = o->op, .event = o->event
	};
	struct hook_child c = { .input = o->input, .output = o->output, .daemon = getpid() };
	struct hook_words w;
	pid_t pid;

	hook_words_make(&w, &c, &call);
	pid = fork();
	if (pid == 0)
		hook_child_be(&c);
	return pid < 0 ? -errno : pid;
}

/* Return: whether the program has ended; else vcpuhpd has left, and so have @ms. */
static bool wait_end(int pidfd, int connection, int ms)
{
	struct pollfd p[] = {
		{ .fd = pidfd, .events = POLLIN },
		{ .fd = connection, .events = POLLIN },
	};

	while (poll(p, 2, ms) < 0)
		if (errno != EINTR)
			return false;
	return p[0].revents;
}

static int watch(pid_t pid, struct hook_outcome *ret)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	siginfo_t si = { 0 };

	if (pidfd < 0)
		return -errno;
	if (!wait_end(pidfd, CONNECTION, -1)) {
		kill(-pid, SIGTERM);
		if (!wait_end(pidfd, -1, TERM_MS))
			kill(-pid, SIGKILL);
		(void)wait_end(pidfd, -1, -1);
		return -ECONNRESET;
	}
	kill(-pid, SIGKILL);
	if (waitid(P_PID, (id_t)pid, &si, WEXITED) < 0)
		return -errno;
	ret->how = si.si_code == CLD_EXITED ? HOOK_EXITED : HOOK_KILLED;
	ret->code = si.si_status;
	return 0;
}

static int run(const char *config_path)
{
	struct hook_outcome o = { .how = HOOK_EXITED, .code = NOT_RUN };
	struct hook_order order;
	struct hook_list list;
	pid_t pid;
	int r = hook_unit_accept(CONNECTION, &order);

	if (r < 0)
		return r;
	r = find(config_path, order.name, order.output, &list);
	if (has_left())
		return 0;
	if (r < 0)
		return hook_unit_reply(CONNECTION, &o);
	pid = start(&order, list.dir);
	close(order.output);
	r = pid < 0 ? (int)pid : watch(pid, &o);
	if (r == -ECONNRESET)
		return 0;
	if (r < 0)
		o = (struct hook_outcome){ .how = HOOK_UNSTARTED, .code = r };
	return hook_unit_reply(CONNECTION, &o);
}

int main(int argc, char **argv)
{
	const char *config_path = NULL;
	int r;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("vcpuhp-run-hook " VCPUHP_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc == 3 && strcmp(argv[1], "--config") == 0)
		config_path = argv[2];
	else if (argc != 1) {
		fputs("usage: vcpuhp-run-hook [--config FILE]\n", stderr);
		return 2;
	}
	if (sd_listen_fds(1) != 1) {
		fputs("vcpuhp-run-hook: it is vcpuhp-hook@.service's; see vcpuhp-hooks(7)\n",
		      stderr);
		return EXIT_FAILURE;
	}
	r = run(config_path);
	if (r < 0)
		log_line(LOG_ERR, "the hook was not run: %s", strerror(-r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
