/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Many scripted QEMUs, guests and agents for a real vcpuhpd: their sockets are files, and the
 * simulation's clock is moved along with the real one. What moves them is the same as in a run of
 * virtual time.
 *
 * Orders, each answered by one line:
 *
 *	truth            {"breach": "...", "domains": [{"name", "present": [...], "online": [...]}, ...]}
 *	mute N stop      the Nth domain's QEMU is stopped: it accepts and never says a word
 *	mute N greet     it greets, and says nothing more, in the connection that comes
 *	mute N agent     its agent neither reads nor says a word
 *	heal N           it does as others do again
 *
 * Anything but truth is answered by {}.
 */
#include "tests/sim/serve.h"
#include "tests/sim/script.h"
#include "tests/sim/sim.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
	ORDER_MAX = 64,
	BOOT_CPUS = 1,
	THINK_US = 4000, /* as real QEMUs do for each answer where there is other work too */
};

/* Longer than any test: whoever waits for it gives up before. */
#define NEVER_US UINT64_C(3600000000)

struct server {
	sd_event *event;
	struct world world; /* for its result alone */
	struct run_result result;
	struct sim_domain *domains;
	unsigned int n;
	char in[ORDER_MAX];
	size_t in_len;
	bool over;
};

int __real_clock_gettime(clockid_t clock, struct timespec *ret);

static uint64_t real_us(void)
{
	struct timespec t;

	__real_clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Orders */

static void print_cpus(const char *key, const struct sim_domain *d, bool online)
{
	const char *comma = "";

	printf(", \"%s\": [", key);
	for (unsigned int i = 0; i < SIM_SLOTS; i++) {
		if (online ? !d->g.cpus[i].online : !d->m.slots[i].present)
			continue;
		printf("%s%u", comma, i);
		comma = ", ";
	}
	printf("]");
}

static void tell_truth(const struct server *s)
{
	printf("{\"breach\": \"%s\", \"domains\": [", s->result.breach);
	for (unsigned int i = 0; i < s->n; i++) {
		printf("%s{\"name\": \"%s\"", i ? ", " : "", s->domains[i].name);
		print_cpus("present", &s->domains[i], false);
		print_cpus("online", &s->domains[i], true);
		printf("}");
	}
	printf("]}\n");
}

static void heal(struct sim_domain *d)
{
	machine_stop(d, false);
	agent_mute(d, false);
	d->m.slow_us = 0;
	/* The command that is never answered. */
	if (d->m.turn.at)
		qmp_hang_up(d);
}

static bool order_domain(struct sim_domain *d, const char *word, const char *how)
{
	bool mute = strcmp(word, "mute") == 0, known = true;

	if (strcmp(word, "heal") == 0)
		heal(d);
	else if (mute && strcmp(how, "stop") == 0)
		machine_stop(d, true);
	else if (mute && strcmp(how, "greet") == 0)
		d->m.slow_us = NEVER_US;
	else if (mute && strcmp(how, "agent") == 0)
		agent_mute(d, true);
	else
		known = false;
	return known;
}

/* "WORD NUMBER [HOW]". */
static bool order(struct server *s, char *line)
{
	char *rest, *end, *word = strtok_r(line, " ", &rest);
	char *number = strtok_r(NULL, " ", &rest), *how = strtok_r(NULL, " ", &rest);
	unsigned long n = number ? strtoul(number, &end, 10) : s->n;

	return word && n < s->n && !*end && order_domain(&s->domains[n], word, how ? how : "");
}

static void take_order(struct server *s, char *line)
{
	if (strcmp(line, "truth") == 0)
		tell_truth(s);
	else if (order(s, line))
		printf("{}\n");
	else
		printf("{\"error\": \"no such order\"}\n");
	fflush(stdout);
}

static int on_order(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct server *s = userdata;
	ssize_t n = read(fd, s->in + s->in_len, sizeof(s->in) - s->in_len);
	char *end;

	if (n <= 0) {
		s->over = true;
		return 0;
	}
	s->in_len += (size_t)n;
	while ((end = memchr(s->in, '\n', s->in_len))) {
		*end = '\0';
		take_order(s, s->in);
		s->in_len -= (size_t)(end + 1 - s->in);
		memmove(s->in, end + 1, s->in_len);
	}
	s->over |= s->in_len == sizeof(s->in);
	return 0;
}

/* The whole */

static void begin_domain(struct server *s, unsigned int i, uint64_t seed)
{
	struct sim_domain *d = &s->domains[i];

	*d = (struct sim_domain){
		.world = &s->world, .event = s->event, .number = i, .rng = rng_of(seed, i + 1)
	};
	snprintf(d->name, sizeof(d->name), "web%u", i);
	machine_init(d, BOOT_CPUS, true);
	d->m.think_us = THINK_US;
	guest_init(d);
	agent_init(d);
	machine_start(d);
	guest_boot(d, 0);
}

static void end_domain(struct sim_domain *d)
{
	sim_forget_laters(d);
	agent_done(d);
	guest_done(d);
	machine_done(d);
}

static void run(struct server *s)
{
	uint64_t begin = real_us() - clock_us();
	int r = 0;

	while (!s->over && r >= 0) {
		uint64_t now = real_us() - begin, next;

		clock_advance(now);
		next = clock_next_us();
		r = sd_event_prepare(s->event);
		if (r == 0)
			r = sd_event_wait(s->event, next == UINT64_MAX ? next : next - now);
		/* Whoever is called now finds the time it is. */
		clock_advance(real_us() - begin);
		if (r > 0)
			r = sd_event_dispatch(s->event);
	}
}

int serve_domains(const char *folder, unsigned int domains, uint64_t seed)
{
	struct server s = { .n = domains };
	int r;

	s.world.result = &s.result;
	if (chdir(folder) < 0) {
		perror(folder);
		return 1;
	}
	wire_serve_files();
	clock_begin();
	s.domains = calloc(domains, sizeof(*s.domains));
	r = sd_event_new(&s.event);
	assert(s.domains && r >= 0);
	r = sd_event_add_io(s.event, NULL, STDIN_FILENO, EPOLLIN, on_order, &s);
	assert(r >= 0);
	for (unsigned int i = 0; i < domains; i++)
		begin_domain(&s, i, seed);
	printf("{}\n");
	fflush(stdout);
	run(&s);
	for (unsigned int i = 0; i < domains; i++)
		end_domain(&s.domains[i]);
	clock_end();
	free(s.domains);
	sd_event_unref(s.event);
	return 0;
}
