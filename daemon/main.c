/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/api.h"
#include "daemon/discovery.h"
#include "daemon/domain.h"
#include "daemon/hooks.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/metrics-server.h"
#include "daemon/options.h"
#include "daemon/socket.h"
#include "daemon/vcpu.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/*
 * Theory of operation
 *
 * The order of a start: command line, configuration, the log, folders and their lock, domains, and the
 * socket last, so that its name means "the configuration was good and requests are answered". A
 * stop goes the other way: the socket's name first, then the clients, then the domains; operations
 * under way are left as they stand in QEMU and in the guest, and the next daemon goes on with them:
 * a stop is no other end than a kill. SIGHUP has the configuration read again, at whatever time; what
 * follows from that is manager-reload.c's. Everything runs on one event loop in one thread; the daemon forks for
 * hooks alone.
 *
 * The folders are made 0700 when they are missing. Packages make them beforehand, with a runtime
 * folder that the group may pass through; a socket in a folder closed to its group is reported.
 */

#define GROUP "vcpuhp"

enum { EXIT_BAD_USAGE = 2, RELOAD_GATHER_US = 10000 };

/**
 * struct program - everything that lives as long as the daemon
 * @lock: of the runtime folder, -1 none
 */
struct program {
	const struct options *options;
	sd_event *event;
	struct config *config; /* until the manager has it */
	struct manager *manager;
	struct discovery *discovery;
	struct hooks *hooks;
	struct api *api;
	struct varlink_server *server;
	struct control_socket socket;
	struct metrics_server *metrics;
	sd_event_source *reload; /* one is due, NULL not */
	int lock;
};

static int report_usage(const char *why, const char *word)
{
	fprintf(stderr, "vcpuhpd: %s: %s\nTry vcpuhpd --help.\n", word, why);
	return EXIT_BAD_USAGE;
}

/* Whoever starts it from a terminal sees there what is wrong; else it logs where it is to log. */
static int load_config(const struct options *o, struct config **ret)
{
	bool journal = !o->foreground && !o->check_config;
	char *error = NULL;
	int r = config_load(o->config, ret, &error);

	if (r < 0)
		log_last("%s", error ? error : strerror(-r));
	if (journal && log_to_journal() && r < 0)
		log_last("%s", error ? error : strerror(-r));
	free(error);
	return r;
}

/* Each domain takes two sockets; the soft limit is for programs that use select(). */
static void raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* In another user's folder its daemon could not go on with what ours leaves there. */
static int make_runtime_folder(const char *path)
{
	uid_t owner;
	int r = folder_make(path, &owner);

	if (r < 0) {
		log_last("cannot make %s: %s", path, strerror(-r));
		return r;
	}
	if (owner == geteuid())
		return 0;
	log_last(
		"%s belongs to uid %u, whose daemon could not go on with what this one left there: start it "
		"as that user (systemctl start vcpuhpd), or give another --runtime-dir",
		path, owner);
	return -EPERM;
}

static int prepare_folders(struct program *p)
{
	const struct options *o = p->options;
	int r = make_runtime_folder(o->runtime_dir);

	if (r < 0)
		return r;
	p->lock = folder_lock(o->runtime_dir);
	if (p->lock == -EBUSY)
		log_last("%s: another vcpuhpd is already running", o->runtime_dir);
	else if (p->lock < 0)
		log_last("cannot lock %s: %s", o->runtime_dir, strerror(-p->lock));
	if (p->lock < 0)
		return p->lock;
	r = folder_make(o->state_dir, NULL);
	if (r < 0)
		log_line(LOG_WARNING, "cannot make %s: %s; nothing outlives a reboot", o->state_dir,
			 strerror(-r));
	return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *si, void *ctx)
{
	log_outcome(JOURNAL_STOPPING, NULL, NULL, "stopping: %s", strsignal((int)si->ssi_signo));
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

/*
 * Reading it again either succeeds whole or changes nothing. systemd waits for the two words, also
 * where it was no success: the daemon is what it was.
 */
static void reload(struct program *p)
{
	struct config *c = NULL;
	char *error = NULL;
	int r;

	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_us());
	r = config_load(p->options->config, &c, &error);
	if (r == 0)
		r = api_reload(p->api, c);
	if (r < 0) {
		log_outcome(JOURNAL_CONFIGURATION_REFUSED, NULL, NULL,
			    "the configuration was not taken, the one before stays in force: %s; "
			    "vcpuhpd --check-config tells when it is good, then reload again",
			    error ? error : strerror(-r));
		config_free(c);
	} else {
		hooks_reload(p->hooks);
		log_outcome(JOURNAL_CONFIGURATION_TAKEN, NULL, NULL,
			    "the configuration was read again");
		metrics_server_follow(p->metrics);
	}
	free(error);
	sd_notify(0, "READY=1");
}

static int on_reload(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct program *p = ctx;

	p->reload = sd_event_source_disable_unref(p->reload);
	reload(p);
	return 0;
}

/* Many at once are one: all that come until it is read are answered by that. */
static int on_hup(sd_event_source *s, const struct signalfd_siginfo *si, void *ctx)
{
	struct program *p = ctx;

	if (!p->reload && sd_event_add_time(p->event, &p->reload, CLOCK_MONOTONIC,
					    now_us() + RELOAD_GATHER_US, 1000, on_reload, p) < 0)
		log_outcome(JOURNAL_CONFIGURATION_REFUSED, NULL, NULL,
			    "the configuration was not read again: out of memory");
	return 0;
}

static int prepare_event(struct program *p)
{
	sigset_t set;
	int r;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	/* The end of a hook is an event of the loop. */
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	r = sd_event_default(&p->event);
	if (r < 0)
		return r;
	r = sd_event_add_signal(p->event, NULL, SIGTERM, on_stop, p);
	if (r < 0)
		return r;
	r = sd_event_add_signal(p->event, NULL, SIGINT, on_stop, p);
	if (r < 0)
		return r;
	r = sd_event_add_signal(p->event, NULL, SIGHUP, on_hup, p);
	if (r < 0)
		return r;
	r = sd_event_set_watchdog(p->event, true);
	return r < 0 ? r : 0;
}

static int prepare_manager(struct program *p)
{
	const struct varlink_interface *interfaces[2] = { NULL };
	int r;

	p->config->runtime_dir = p->options->runtime_dir;
	r = manager_new(&p->manager, p->event, p->config);
	if (r < 0)
		return r;
	p->config = NULL;
	r = hooks_new(&p->hooks, p->manager);
	if (r < 0)
		return r;
	r = discovery_new(&p->discovery, p->manager);
	if (r < 0)
		return r;
	r = api_new(&p->api, p->manager, geteuid());
	if (r < 0)
		return r;
	r = metrics_server_new(&p->metrics, p->manager, GROUP);
	if (r < 0)
		return r;
	interfaces[0] = api_interface(p->api);
	return varlink_server_new(&p->server, p->event, api_vendor(), interfaces);
}

static void warn_closed(const char *path)
{
	char folder[4096];
	char *slash;
	struct stat st;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
	if (slash && folder[0] && stat(folder, &st) == 0 && !(st.st_mode & 0011))
		log_line(LOG_NOTICE, "%s: the socket is open to group " GROUP ", its folder is not",
			 folder);
}

static int open_socket(struct program *p)
{
	char path[4096];
	int r;

	r = control_socket_inherit(&p->socket);
	if (r < 0)
		log_last("systemd passed something else than one listening socket");
	if (r != 0)
		return r;
	if (p->options->socket)
		snprintf(path, sizeof(path), "%s", p->options->socket);
	else
		snprintf(path, sizeof(path), "%s/control", p->options->runtime_dir);
	r = control_socket_open(path, GROUP, &p->socket);
	if (r == -EADDRINUSE)
		log_last("%s: a daemon is already running there", path);
	else if (r < 0)
		log_last("cannot listen on %s: %s", path, strerror(-r));
	else if (!p->socket.group_set)
		log_line(LOG_WARNING,
			 "%s: open to its owner only: there is no group " GROUP
			 ", or it is not ours to give",
			 path);
	else
		warn_closed(path);
	return r;
}

static int serve(struct program *p)
{
	int r;

	r = open_socket(p);
	if (r < 0)
		return r;
	r = varlink_server_listen(p->server, p->socket.fd);
	if (r < 0)
		return r;
	p->socket.fd = -1;
	metrics_server_follow(p->metrics);
	log_outcome(JOURNAL_STARTED, NULL, NULL,
		    "vcpuhpd " VCPUHP_VERSION " has started, with %zu domains configured%s",
		    p->manager->config->n_domains,
		    p->manager->config->libvirt ? " and libvirt" : "");
	sd_notify(0, "READY=1");
	do
		r = loop_turn(p->event, UINT64_MAX);
	while (r >= 0 && sd_event_get_state(p->event) != SD_EVENT_FINISHED);
	sd_notify(0, "STOPPING=1");
	return r;
}

static void program_done(struct program *p)
{
	control_socket_done(&p->socket);
	metrics_server_free(p->metrics);
	varlink_server_free(p->server);
	/* libvirt's last answers go to requests that know the manager and the API. */
	if (p->manager)
		manager_drop_domains(p->manager);
	hooks_free(p->hooks);
	discovery_free(p->discovery);
	api_free(p->api);
	manager_free(p->manager);
	config_free(p->config);
	sd_event_source_disable_unref(p->reload);
	sd_event_unref(p->event);
	if (p->lock >= 0)
		close(p->lock);
}

static int run(struct program *p)
{
	int r;

	raise_limits();
	umask(0077);
	r = prepare_folders(p);
	if (r < 0)
		return r;
	r = prepare_event(p);
	if (r == 0)
		r = prepare_manager(p);
	if (r < 0) {
		log_last("cannot start: %s", strerror(-r));
		return r;
	}
	return serve(p);
}

/* A reload that is asked for while it starts is kept until it can be done, and ends nothing. */
static void hold_hup(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* Whoever started it may have had it ignored (nohup); then it would not even be kept. */
	signal(SIGHUP, SIG_DFL);
}

int main(int argc, char **argv)
{
	struct program p = { .socket = { .fd = -1 }, .lock = -1 };
	struct options o;
	const char *why = NULL, *word = NULL;
	int r;

	if (options_parse(argc, argv, &o, &why, &word) < 0)
		return report_usage(why, word);
	if (o.help) {
		options_print_help(stdout);
		return EXIT_SUCCESS;
	}
	if (o.version) {
		puts("vcpuhpd " VCPUHP_VERSION);
		return EXIT_SUCCESS;
	}
	hold_hup();
	p.options = &o;
	r = load_config(&o, &p.config);
	if (r >= 0 && !o.check_config)
		r = run(&p);
	program_done(&p);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
