/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The scripted QEMU and guest alone, without a daemon: recordings of the real ones are held against
 * what is printed here (scripted_qemu.py).
 */
#include "tests/sim/play.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer than any wait of the guest's in a dialogue. */
enum { QUIET_US = 60000000 };

static void on_line(struct sim_domain *d, const char *line)
{
	printf("< %.*s\n", (int)strcspn(line, "\r"), line);
}

static void nothing(void *arg)
{
}

static void run_until_quiet(void)
{
	struct clock_timer end;
	uint64_t until = clock_us() + QUIET_US;

	clock_init(&end, nothing, NULL);
	clock_arm(&end, QUIET_US);
	while (clock_us() < until && clock_jump())
		;
	clock_disarm(&end);
}

static bool order_guest(struct sim_domain *d, const char *word, unsigned int slot)
{
	static const struct {
		const char *word;
		enum removal removal;
	} ways[] = {
		{ "accept", REMOVAL_ACCEPT },
		{ "refuse", REMOVAL_REFUSE },
		{ "ignore", REMOVAL_IGNORE },
		{ "late", REMOVAL_LATE },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		if (strcmp(ways[i].word, word) == 0) {
			d->g.removal = ways[i].removal;
			guest_gpe(d);
			return true;
		}
	if (strcmp(word, "eject") != 0 || slot >= SIM_SLOTS)
		return false;
	guest_eject(d, slot);
	return true;
}

static bool play_line(struct sim_domain *d, char *line)
{
	char *word, *slot;

	if (strncmp(line, "> ", 2) == 0) {
		printf("%s", line);
		qmp_script_take(d, line + 2, strlen(line + 2));
	} else if (strncmp(line, "guest ", 6) == 0) {
		printf("%s", line);
		word = strtok_r(line + 6, " \n", &slot);
		if (!word ||
		    !order_guest(d, word, *slot ? (unsigned int)strtoul(slot, NULL, 10) : 0))
			return false;
	} else {
		return true;
	}
	run_until_quiet();
	return true;
}

static void begin(struct sim_domain *d)
{
	*d = (struct sim_domain){ .rng = rng_of(1, 1), .name = "played" };
	assert(sd_event_new(&d->event) >= 0);
	clock_begin();
	machine_init(d, 1, true);
	guest_init(d);
	agent_init(d);
	machine_start(d);
	guest_boot(d, 0);
	run_until_quiet();
	d->g.refusal = 130;
	d->m.on_line = on_line;
}

static void end(struct sim_domain *d)
{
	sim_forget_laters(d);
	agent_done(d);
	guest_done(d);
	machine_done(d);
	sd_event_unref(d->event);
}

int play_file(const char *path)
{
	struct sim_domain d;
	FILE *in = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;
	bool well = in;

	if (!in)
		return 1;
	begin(&d);
	while (well && getline(&line, &size, in) > 0)
		well = play_line(&d, line);
	free(line);
	fclose(in);
	end(&d);
	return well ? 0 : 1;
}
