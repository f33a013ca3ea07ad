/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Two connections. On one the events stream, which is what makes the daemon ask the agents for
 * their load, for as long as it stands; on the other the domains are asked for, each interval. The
 * agents tell their load once an interval as well, so the looks come a little later than it does:
 * LAG_US behind, or a quarter of the interval.
 *
 * On a terminal the lines are redrawn in place, at once at the start, and soon after each event.
 * Elsewhere there is a line (with -o json an object) a domain each interval, the first after one
 * interval: before it the guest cannot say what its CPUs did.
 */
#include "daemon/ctl/block.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/handlers.h"
#include "daemon/ctl/load.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/value.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { LAG_US = 500000, SOON_US = 200000, LINE_SIZE = 256, NUMBER_SIZE = 32 };

/**
 * struct top - one run
 * @ask: the second connection
 * @due_us: of the next refresh; @every_us: from one to the next
 * @early_us: of a drawing between two, UINT64_MAX none is wanted
 */
struct top {
	struct ctl *c;
	struct ctl ask;
	bool live;
	struct block block;
	uint64_t every_us;
	uint64_t due_us;
	uint64_t early_us;
	unsigned int seen;
	bool headed;
};

/* 77 columns with numbers of the usual size: on a terminal the operation has a line of its own. */
#define FORMAT "%-12s %-8s %3s %4s %3s %4s %3s %5s %5s %5s %5s %5s %3s"

static const char *header(char *buf, size_t size)
{
	snprintf(buf, size, FORMAT, "DOMAIN", "STATUS", "MAX", "PRES", "ONL", "STBY", "OTH", "BUSY",
		 "STEAL", "PSI10", "PSI60", "LOAD", "RUN");
	return buf;
}

/* Those that are neither online nor at standby: on their way, or stuck on it. */
static const char *format_other(json_object *domain, char *buf, size_t size)
{
	int64_t present = value_int(domain, "present", -1),
		online = value_int(domain, "online", -1);
	int64_t standby = value_int(domain, "standby", -1);

	if (present < 0 || online < 0 || standby < 0)
		return output_clean("-", buf, size);
	snprintf(buf, size, "%" PRId64, present - online - standby);
	return buf;
}

static const char *row(json_object *domain, char *buf, size_t size)
{
	json_object *load = value_object(domain, "load");
	char n[11][NUMBER_SIZE], name[CELL_MAX], status[CELL_MAX];

	snprintf(buf, size, FORMAT, output_cell(value_get(domain, "domain"), name, sizeof(name)),
		 output_cell(value_get(domain, "status"), status, sizeof(status)),
		 load_number(domain, NULL, "maximum", n[0], sizeof(n[0])),
		 load_number(domain, NULL, "present", n[1], sizeof(n[1])),
		 load_number(domain, NULL, "online", n[2], sizeof(n[2])),
		 load_number(domain, NULL, "standby", n[3], sizeof(n[3])),
		 format_other(domain, n[4], sizeof(n[4])),
		 load_number(load, NULL, "busy", n[5], sizeof(n[5])),
		 load_number(load, NULL, "steal", n[6], sizeof(n[6])),
		 load_number(load, "pressure", "avg10", n[7], sizeof(n[7])),
		 load_number(load, "pressure", "avg60", n[8], sizeof(n[8])),
		 load_average(load, n[9], sizeof(n[9])),
		 load_number(load, NULL, "runnable", n[10], sizeof(n[10])));
	return buf;
}

/* The share of vCPU @vcpu in the load. */
static json_object *find_share(json_object *load, int64_t vcpu)
{
	json_object *cpus = value_array(load, "cpus");

	for (size_t i = 0; i < value_count(cpus); i++)
		if (value_int(value_at(cpus, i), "vcpu", -1) == vcpu)
			return value_at(cpus, i);
	return NULL;
}

static const char *vcpu_row(json_object *domain, json_object *vcpu, char *buf, size_t size)
{
	int64_t number = value_int(vcpu, "vcpu", -1);
	json_object *share = find_share(value_object(domain, "load"), number);
	char cpu[NUMBER_SIZE], busy[NUMBER_SIZE], steal[NUMBER_SIZE], name[CELL_MAX],
		drift[CELL_MAX];
	const char *text = value_string(vcpu, "drift", "");

	snprintf(buf, size, "  vcpu %-3" PRId64 " cpu %-3s %-12s busy %5s steal %5s%s%s", number,
		 load_number(vcpu, NULL, "cpu", cpu, sizeof(cpu)),
		 output_cell(value_get(vcpu, "name"), name, sizeof(name)),
		 load_number(share, NULL, "busy", busy, sizeof(busy)),
		 load_number(share, NULL, "steal", steal, sizeof(steal)), *text ? "  " : "",
		 output_clean(text, drift, sizeof(drift)));
	return buf;
}

/* Whether so many lines fit, and where @more are to come one that says that they do not. */
static bool fits(const struct block *b, unsigned int lines, size_t more)
{
	return b->n_drawn + lines + (more > 0) <= block_room(b);
}

static void draw_more(struct block *b, size_t more)
{
	char text[LINE_SIZE];

	snprintf(text, sizeof(text), "... %zu more", more);
	block_line(b, text);
}

static bool is_there(json_object *vcpu)
{
	return value_get(vcpu, "cpu") || value_int(vcpu, "state", 0) != 0;
}

static void draw_vcpus(struct block *b, json_object *domain)
{
	json_object *vcpus = value_array(domain, "vcpus");
	char text[LINE_SIZE];
	size_t left = 0;

	for (size_t i = 0; i < value_count(vcpus); i++)
		left += is_there(value_at(vcpus, i));
	for (size_t i = 0; i < value_count(vcpus); i++) {
		if (!is_there(value_at(vcpus, i)))
			continue;
		if (!fits(b, 1, left - 1)) {
			draw_more(b, left);
			return;
		}
		block_line(b, vcpu_row(domain, value_at(vcpus, i), text, sizeof(text)));
		left--;
	}
}

static void draw_domain(struct block *b, json_object *domain)
{
	const char *op = value_string(domain, "operation", NULL);
	char text[LINE_SIZE], clean[CELL_MAX];

	block_line(b, row(domain, text, sizeof(text)));
	if (op) {
		snprintf(text, sizeof(text), "  operation %s runs",
			 output_clean(op, clean, sizeof(clean)));
		block_line(b, text);
	}
	draw_vcpus(b, domain);
}

static void draw_domains(struct block *b, json_object *domains)
{
	size_t n = value_count(domains);

	for (size_t i = 0; i < n; i++) {
		json_object *domain = value_at(domains, i);

		if (!fits(b, value_string(domain, "operation", NULL) ? 2 : 1, n - i - 1)) {
			draw_more(b, n - i);
			return;
		}
		draw_domain(b, domain);
	}
}

/* @domains: an array, or one domain's info with its vCPUs. */
static void draw(void *ctx, struct block *b)
{
	json_object *domains = ctx;
	char text[LINE_SIZE];

	block_line(b, header(text, sizeof(text)));
	if (json_object_is_type(domains, json_type_object))
		draw_domain(b, domains);
	else
		draw_domains(b, domains);
}

static void print_one(struct top *t, json_object *domain)
{
	char text[LINE_SIZE], op[CELL_MAX];

	if (t->c->command->json) {
		output_json(stdout, domain);
		return;
	}
	if (!t->headed && !t->c->command->quiet)
		printf("%s OPERATION\n", header(text, sizeof(text)));
	t->headed = true;
	printf("%s %s\n", row(domain, text, sizeof(text)),
	       output_cell(value_get(domain, "operation"), op, sizeof(op)));
	fflush(stdout);
}

static void show(struct top *t, json_object *domains)
{
	if (t->live) {
		block_redraw(&t->block, draw, domains);
	} else if (json_object_is_type(domains, json_type_object)) {
		print_one(t, domains);
	} else {
		for (size_t i = 0; i < value_count(domains); i++)
			print_one(t, value_at(domains, i));
	}
}

/* Return: an exit code. */
static int refresh(struct top *t)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	const char *domain = t->c->command->domain;
	json_object *domains;
	int r = ctl_ask(&t->ask, domain ? "GetDomain" : "ListDomains",
			ctl_parameters("domain", domain), &reply);

	if (r)
		return r;
	domains = domain ? value_object(reply.parameters, "info")
			 : value_array(reply.parameters, "domains");
	if (!domains)
		return ctl_bad_reply(t->c, "no domains");
	show(t, domains);
	return 0;
}

static void schedule(struct top *t)
{
	t->seen++;
	t->due_us += t->every_us;
	/* What was slept through is not made up for. */
	if (t->due_us < client_now_us())
		t->due_us = client_now_us() + t->every_us;
	t->early_us = UINT64_MAX;
}

/* Something came, or it is time. Return: an exit code; not 0 ends it. */
static int on_next(struct top *t, int next, const struct client_reply *reply, int signal)
{
	uint64_t now = client_now_us();
	int r = 0;

	if (next == CLIENT_SIGNAL && signal != SIGWINCH)
		return ctl_signal_exit(signal);
	if (next == CLIENT_REPLY && !reply->continues)
		return ctl_fail(t->c, EXIT_NO_DAEMON, "NoDaemon", "the daemon ended the events");
	if (next != CLIENT_TIMEOUT && t->live && t->early_us == UINT64_MAX)
		t->early_us = now + SOON_US;
	if (now >= t->due_us) {
		r = refresh(t);
		schedule(t);
	} else if (now >= t->early_us) {
		r = refresh(t);
		t->early_us = UINT64_MAX;
	}
	return r;
}

static int follow(struct top *t)
{
	const struct command *command = t->c->command;
	int exit_code = t->live ? refresh(t) : 0;

	while (!exit_code && (!command_has(command, OPT_REFRESHES) || t->seen < command->events)) {
		_cleanup_client_reply_ struct client_reply reply = { 0 };
		uint64_t until_us = t->due_us < t->early_us ? t->due_us : t->early_us;
		int signal = 0, next = ctl_next(t->c, until_us, &reply, &signal, &exit_code);

		if (next >= 0)
			exit_code = on_next(t, next, &reply, signal);
	}
	return exit_code;
}

int run_top(struct ctl *c)
{
	unsigned int ms =
		command_has(c->command, OPT_INTERVAL) ? c->command->interval_ms : LOAD_INTERVAL_MS;
	struct top t = {
		.c = c,
		.ask = { .command = c->command },
		.live = !c->command->json && block_can(stdout),
		.block = { .to = stdout },
		.every_us = (uint64_t)ms * 1000,
		.early_us = UINT64_MAX,
	};
	json_object *parameters = ctl_parameters("domain", c->command->domain);
	int exit_code;

	ctl_add_int(parameters, "load_ms", ms);
	exit_code = ctl_send(c, "Events", parameters, true);
	if (exit_code)
		return exit_code;
	t.due_us =
		client_now_us() + t.every_us + (t.every_us / 4 < LAG_US ? t.every_us / 4 : LAG_US);
	exit_code = follow(&t);
	client_free(t.ask.client);
	return exit_code;
}
