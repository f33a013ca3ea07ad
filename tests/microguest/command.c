/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The console's commands. Each is answered by lines and then "ok", or by "no".
 *
 *	fail STATE up|down CPU RC    that step fails; CPU * is any; RC 0 ends it
 *	hang STATE up|down CPU       that step does not end; STATE 0 lets it go on
 *	eject accept|ignore|forge|STATUS     answer to removal requests; STATUS: refused with that _OST
 *	insert accept|ignore
 *	drop SLOT                    let a CPU go that nobody asked for
 *	lie none|online|done|ran-on|proof|state|present|stale
 *	table                        a line for each CPU: what truly is
 *	calls                        a line for each call of a callback since the last time
 *	speed                        picoseconds that an instruction takes here
 */
#include "tests/microguest/console.h"
#include "tests/microguest/guest.h"
#include "tests/microguest/machine.h"
#include <errno.h>
#include <string.h>

enum { WORDS = 5, SPEED_TURNS = 20000 };

static const char *const lies[] = {
	[LIE_NONE] = "none",       [LIE_ONLINE] = "online", [LIE_DONE] = "done",
	[LIE_RAN_ON] = "ran-on",   [LIE_PROOF] = "proof",   [LIE_STATE] = "state",
	[LIE_PRESENT] = "present", [LIE_STALE] = "stale",
};

static bool is(const char *word, const char *name)
{
	return word && strcmp(word, name) == 0;
}

static int number(const char *word)
{
	int n = 0;

	if (!word || !*word)
		return -EINVAL;
	for (; *word; word++) {
		if (*word < '0' || *word > '9' || n > 1000000)
			return -EINVAL;
		n = n * 10 + (*word - '0');
	}
	return n;
}

static void split(char *line, char *words[WORDS])
{
	for (int i = 0; i < WORDS; i++) {
		words[i] = *line ? line : NULL;
		while (*line && *line != ' ')
			line++;
		if (*line)
			*line++ = '\0';
	}
}

static int set_moment(volatile struct moment *m, char *const words[WORDS])
{
	int state = number(words[1]), cpu = is(words[3], "*") ? NOBODY : number(words[3]);
	int rc = words[4] ? number(words[4]) : 0;

	if (state != 0 && (state < 0 || cpu < 0 || rc < 0 || !words[2]))
		return -EINVAL;
	m->state = 0;
	m->startup = is(words[2], "up");
	m->cpu = (uint16_t)cpu;
	m->rc = rc;
	barrier();
	m->state = (uint8_t)state;
	return 0;
}

static int set_hang(struct guest *g, char *const words[WORDS])
{
	int r = set_moment(&g->behaviour.hang, words);

	for_each_cpu (g, c)
		if (c->worker.alive)
			machine_wake(c->apic);
	return r;
}

static int set_eject(struct behaviour *b, const char *word)
{
	int status = number(word);

	if (status < 0 && !is(word, "accept") && !is(word, "ignore") && !is(word, "forge"))
		return -EINVAL;
	b->eject = is(word, "accept")   ? EJECT
		   : is(word, "ignore") ? EJECT_IGNORE
		   : is(word, "forge")  ? EJECT_FORGE
					: EJECT_REFUSE;
	b->status = (uint32_t)status;
	return 0;
}

static int set_lie(struct guest *g, const char *word)
{
	for (unsigned int i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		if (!is(word, lies[i]))
			continue;
		g->behaviour.lie = (enum lie)i;
		lie_about_rows(g);
		return 0;
	}
	return -EINVAL;
}

static int drop(struct guest *g, const char *word)
{
	int slot = number(word);

	if (slot <= 0 || slot >= (int)g->slots || !g->cpus[slot].present)
		return -EINVAL;
	slots_drop(g, &g->cpus[slot]);
	return 0;
}

static void put_field(const char *name, uint64_t n)
{
	console_put(name);
	console_put_number(n);
}

static int show_table(struct guest *g)
{
	for_each_cpu (g, c) {
		if (!c->present && !c->starts)
			continue;
		put_field("slot=", c->slot);
		put_field(" cpu=", c->number);
		put_field(" apic=", c->apic);
		put_field(" present=", c->present);
		put_field(" runs=", c->slot == 0 || c->worker.alive);
		put_field(" starts=", c->starts);
		put_field(" counted=", c->worker.counted);
		put_field(" state=", c->state);
		put_field(" kept=", c->done_kept);
		console_put("\n");
	}
	return 0;
}

static int show_calls(void)
{
	struct call call;

	while (worker_take_call(&call)) {
		console_put(call.name);
		console_put(call.startup ? " startup " : " teardown ");
		console_put_number(call.cpu);
		put_field(" ", call.ran_on);
		console_put("\n");
	}
	return 0;
}

static int show_speed(void)
{
	uint64_t began = now_ns();
	uint32_t turns = SPEED_TURNS;

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(turns));
	console_say_number((now_ns() - began) * 1000 / 2 / SPEED_TURNS);
	return 0;
}

static int run(struct guest *g, char *const words[WORDS])
{
	if (is(words[0], "fail"))
		return set_moment(&g->behaviour.fail, words);
	if (is(words[0], "hang"))
		return set_hang(g, words);
	if (is(words[0], "eject"))
		return set_eject(&g->behaviour, words[1]);
	if (is(words[0], "lie"))
		return set_lie(g, words[1]);
	if (is(words[0], "drop"))
		return drop(g, words[1]);
	if (is(words[0], "table"))
		return show_table(g);
	if (is(words[0], "calls"))
		return show_calls();
	if (is(words[0], "speed"))
		return show_speed();
	if (!is(words[0], "insert"))
		return -EINVAL;
	g->behaviour.blind = is(words[1], "ignore");
	return 0;
}

void command_turn(struct guest *g)
{
	char line[80], *words[WORDS];

	if (!console_read_line(line, sizeof(line)))
		return;
	split(line, words);
	console_say(run(g, words) == 0 ? "ok" : "no");
	g->busy_until_ns = now_ns() + BUSY_NS;
}
