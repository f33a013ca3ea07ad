/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A cell is one fault in one phase: of an add of two vCPUs, or of the removal of two. Each of its
 * runs has a seed of its own, which says at which of the two vCPUs the fault strikes, how long
 * after the moment, how long it lasts, what time everything takes, what the domain is like (KVM or not,
 * one or two vCPUs at boot, OneByOne=, Foreign=) and the operation's policy. A run fails by a breach
 * (checker.c), and its cell by an outcome that is not among those that the fault may have
 * (expectations, below) or that the committed table does not have.
 *
 * The cells are shared out to processes, which write one report a cell.
 */
#include "tests/sim/matrix.h"
#include "tests/sim/world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum outcome {
	DONE,
	PARTIAL,
	ROLLED_BACK,
	REFUSED,
	CANCELLED,
	PENDING,
	NO_AGENT,
	GONE,
	STUCK,
	LOST,
	OUTCOMES
};

static const char *const outcome_names[OUTCOMES] = {
	[DONE] = "done",         [PARTIAL] = "partial",     [ROLLED_BACK] = "rolled back",
	[REFUSED] = "refused",   [CANCELLED] = "cancelled", [PENDING] = "pending",
	[NO_AGENT] = "no-agent", [GONE] = "vm-gone",        [STUCK] = "stuck",
	[LOST] = "unheard-of",
};

static const enum phase columns[2][9] = {
	{ PHASE_SUBMIT, PHASE_ADMITTED, PHASE_ADD_SENT, PHASE_ADD_REPLIED, PHASE_PRESENT,
	  PHASE_KERNEL_ONLINE, PHASE_CALLBACK_1, PHASE_CALLBACK_N, PHASE_ONLINE },
	{ PHASE_DOWN_SUBMIT, PHASE_DOWN_ADMITTED, PHASE_DOWN_ACTIVE, PHASE_DOWN_CALLBACK_N,
	  PHASE_DOWN_CALLBACK_1, PHASE_KERNEL_OFFLINE, PHASE_STANDBY, PHASE_DEL_SENT,
	  PHASE_EJECT_AWAITED },
};

enum { COLUMNS = 9, FAULTS_MAX = 80, TEXT_MAX = 160 };

/* @struck: runs in which the fault had its moment; @all_done: that were done with policy "all" */
struct cell {
	unsigned int counts[OUTCOMES];
	unsigned int breaches;
	unsigned int struck, all_done;
};

/* What one process tells of a cell. */
struct report {
	unsigned int d, f, c;
	struct cell cell;
};

struct matrix {
	struct cell cells[2][FAULTS_MAX][COLUMNS];
	unsigned int seeds;
};

/* Making one run */

static enum op_policy policy_of(uint64_t seed)
{
	static const enum op_policy policies[] = { OP_POLICY_ALL, OP_POLICY_ALL, OP_POLICY_ALL,
						   OP_POLICY_BEST_EFFORT, OP_POLICY_AT_LEAST };

	return policies[seed % 5];
}

static struct item operation(unsigned int number, unsigned int count, enum op_policy policy)
{
	return (struct item){ .kind = ITEM_OPERATION,
			      .number = number,
			      .gap_us = 300000,
			      .request = { .goal = OP_GOAL_COUNT,
					   .count = count,
					   .standby = -1,
					   .policy = policy,
					   .at_least = policy == OP_POLICY_AT_LEAST } };
}

static struct item strike(struct rng *r, unsigned int fault, enum phase p, unsigned int number)
{
	const struct fault_kind *k = &fault_kinds[fault];
	bool submit = p == PHASE_SUBMIT || p == PHASE_DOWN_SUBMIT;
	bool once = submit || p == PHASE_ADMITTED || p == PHASE_DOWN_ADMITTED;

	return (struct item){ .kind = ITEM_FAULT,
			      .number = number,
			      .fault = fault,
			      .phase = p,
			      .nth = once ? 0 : rng_below(r, 2),
			      .delay_us = submit || rng_chance(r, 50) ? 0 : rng_below(r, 20000),
			      .span_us = rng_range(r, k->min_ms, k->max_ms) * UINT64_C(1000),
			      .arg = (unsigned int)rng_next(r) & 0xffff };
}

static struct script *make_script(bool down, unsigned int fault, enum phase p, uint64_t seed)
{
	struct script *s = script_new(seed, 1);
	struct rng r = rng_of(seed, fault * 100 + p);
	unsigned int boot;
	struct item i;

	/* It costs as much as all the rest. */
	s->drill = seed % 2;
	s->first_kind = (unsigned int)(seed / 2 % 60);
	boot = script_boot_cpus(s->first_kind);
	i = operation(0, boot + 2, down ? OP_POLICY_ALL : policy_of(seed));
	script_add(s, &i);
	if (down) {
		i = operation(1, boot, policy_of(seed));
		script_add(s, &i);
	}
	i = strike(&r, fault, p, down);
	script_add(s, &i);
	return s;
}

static enum outcome outcome_of(const struct track *t)
{
	if (t->end != TRACK_ENDED)
		return LOST;
	switch (t->result) {
	case OP_DONE:
		return DONE;
	case OP_PARTIAL:
		return PARTIAL;
	case OP_FAILED:
		return ROLLED_BACK;
	case OP_REFUSED:
		return REFUSED;
	case OP_CANCELLED:
		return CANCELLED;
	case OP_PENDING:
		return PENDING;
	case OP_NO_AGENT:
		return NO_AGENT;
	case OP_VM_GONE:
		return GONE;
	case OP_STUCK:
		return STUCK;
	default:
		return LOST;
	}
}

static void count_end(struct cell *c, const struct track *t)
{
	enum outcome o = outcome_of(t);

	c->counts[o]++;
	c->all_done += o == DONE && t->request.policy == OP_POLICY_ALL;
}

static void run_once(struct cell *c, bool down, unsigned int fault, enum phase p, uint64_t seed)
{
	struct script *s = make_script(down, fault, p, seed);
	struct run_result r;
	struct world w;

	world_run(&w, s, &r, NULL);
	c->struck += r.faults > 0;
	if (r.breach[0]) {
		c->breaches++;
		fprintf(stderr, "%s in \"%s\", seed %llu: %s\n", fault_kinds[fault].name,
			phase_name(p), (unsigned long long)seed, r.breach);
	} else {
		assert(w.drivers[0].n_tracks > (unsigned int)down);
		count_end(c, &w.drivers[0].tracks[down]);
	}
	world_done(&w);
	script_free(s);
}

int matrix_show(const char *fault, const char *phase, uint64_t seed)
{
	int f = fault_find(fault);
	struct run_result r;
	struct script *s;
	struct world w;
	int p = PHASES;

	while (p-- > 0)
		if (strcmp(phase_name(p), phase) == 0)
			break;
	if (f < 0 || p < 0)
		return -1;
	s = make_script(p > PHASE_ONLINE, (unsigned int)f, p, seed);
	script_print(s, stdout);
	world_run(&w, s, &r, stdout);
	world_done(&w);
	script_free(s);
	return r.breach[0] ? 1 : 0;
}

static bool is_cell(bool down, unsigned int fault)
{
	return fault_kinds[fault].flags & (down ? FAULT_DOWN : FAULT_UP);
}

/* Sharing out */

static void work(const struct matrix *m, unsigned int job, unsigned int jobs, FILE *out)
{
	unsigned int n = 0;

	for (unsigned int d = 0; d < 2; d++)
		for (unsigned int f = 0; f < n_fault_kinds; f++)
			for (unsigned int c = 0; c < COLUMNS; c++) {
				struct report r = { .d = d, .f = f, .c = c };

				if (!is_cell(d, f) || n++ % jobs != job)
					continue;
				for (unsigned int i = 1; i <= m->seeds; i++)
					run_once(&r.cell, d, f, columns[d][c], i);
				(void)fwrite(&r, sizeof(r), 1, out);
			}
}

static void gather(struct matrix *m, FILE *in)
{
	struct report r;

	rewind(in);
	while (fread(&r, sizeof(r), 1, in) == 1)
		m->cells[r.d][r.f][r.c] = r.cell;
}

/* Return: whether all of them came to their end. */
static bool share_out(struct matrix *m, unsigned int jobs)
{
	FILE *files[16];
	bool well = true;
	int status;

	assert(jobs > 0 && jobs <= 16);
	fflush(stdout);
	for (unsigned int j = 0; j < jobs; j++) {
		files[j] = tmpfile();
		assert(files[j]);
		if (fork() == 0) {
			work(m, j, jobs, files[j]);
			fflush(files[j]);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		well &= status == 0;
	for (unsigned int j = 0; j < jobs; j++) {
		gather(m, files[j]);
		fclose(files[j]);
	}
	return well;
}

/* The table */

static void format_cell(const struct cell *c, unsigned int seeds, char text[TEXT_MAX])
{
	size_t at = 0;

	text[0] = '\0';
	for (unsigned int o = 0; o < OUTCOMES; o++) {
		if (!c->counts[o])
			continue;
		at += (size_t)snprintf(text + at, TEXT_MAX - at, "%s%s", at ? ", " : "",
				       outcome_names[o]);
		if (c->counts[o] < seeds)
			at += (size_t)snprintf(text + at, TEXT_MAX - at, " %u", c->counts[o]);
	}
}

static void print_table(const struct matrix *m, unsigned int d, FILE *out)
{
	char text[TEXT_MAX];

	fprintf(out, "\n## %s\n\n| fault |", d ? "Removing two vCPUs" : "Adding two vCPUs");
	for (unsigned int c = 0; c < COLUMNS; c++) {
		snprintf(text, sizeof(text), "%s", phase_name(columns[d][c]));
		text[strcspn(text, "(") - (strchr(text, '(') ? 1 : 0)] = '\0';
		fprintf(out, " %s |", text);
	}
	fprintf(out, "\n|---|---|---|---|---|---|---|---|---|---|\n");
	for (unsigned int f = 0; f < n_fault_kinds; f++) {
		if (!is_cell(d, f))
			continue;
		fprintf(out, "| %s |", fault_kinds[f].name);
		for (unsigned int c = 0; c < COLUMNS; c++) {
			format_cell(&m->cells[d][f][c], m->seeds, text);
			fprintf(out, " %s |", text);
		}
		fprintf(out, "\n");
	}
}

static char *print(const struct matrix *m)
{
	size_t len;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	assert(out);
	fprintf(out,
		"<!-- Made by vcpuhp-sim --matrix --write; do not edit. -->\n"
		"# Fault by phase: how an operation ends\n\n"
		"Each cell is %u runs of the simulation (tests/sim): the real daemon between a scripted\n"
		"QEMU and a scripted guest, one fault at a moment of one operation. It says how the\n"
		"operation ended, and in how many runs where there are several ends. Three of five runs have\n"
		"policy \"all\", one has best-effort and one at-least=1; three of four have KVM. In every run the\n"
		"daemon reported what QEMU and the guest had, nothing was left behind, and when the\n"
		"fault was over the domain did as it was told.\n\n"
		"*rolled back*: failed, with everything as it was before. *pending*: a step could not be\n"
		"recalled when the deadline came; it was followed to its end. *stuck*: the way back failed\n"
		"too, and it says where. *partial*, *no-agent*, *vm-gone*: as in vcpuhpctl(1).\n"
		"*unheard-of*: the store failed when the daemon was killed, and the next one could not\n"
		"read of it.\n",
		m->seeds);
	print_table(m, 0, out);
	print_table(m, 1, out);
	fclose(out);
	return text;
}

/* Checking */

static unsigned int complain(unsigned int d, unsigned int f, unsigned int c, const char *what,
			     const char *which)
{
	fprintf(stderr, "%s in \"%s\": %s%s\n", fault_kinds[f].name, phase_name(columns[d][c]),
		what, which);
	return 1;
}

/*
 * With another policy than "all" one vCPU may have been enough. No agent, or a guest that stands still, is no
 * end of what has begun.
 */
static bool may_end(unsigned int f, bool down, enum phase p, enum outcome o)
{
	const char *may = fault_may_end(f, down);
	bool fails = strstr(may, outcome_names[ROLLED_BACK]) || strstr(may, outcome_names[REFUSED]);
	bool begun = p != PHASE_SUBMIT && p != PHASE_DOWN_SUBMIT;
	unsigned int flags = fault_kinds[f].flags;

	if (o == NO_AGENT)
		return !begun && flags & FAULT_SILENCES;
	if (o == REFUSED && !begun && flags & FAULT_STOPS)
		return true;
	return strstr(may, outcome_names[o]) || (o == PARTIAL && fails);
}

static unsigned int check_cell(const struct matrix *m, unsigned int d, unsigned int f,
			       unsigned int c)
{
	const struct cell *cell = &m->cells[d][f][c];
	unsigned int wrong = cell->breaches > 0, runs = cell->breaches;

	for (unsigned int o = 0; o < OUTCOMES; o++) {
		runs += cell->counts[o];
		if (cell->counts[o] && !may_end(f, d, columns[d][c], o))
			wrong += complain(d, f, c, "may not end as ", outcome_names[o]);
	}
	if (cell->all_done && fault_is_sure(f, d, columns[d][c]))
		wrong += complain(d, f, c, "may not be done before what it breaks", "");
	if (runs != m->seeds)
		wrong += complain(d, f, c, "not all of its seeds were run", "");
	/* At the last phases the operation may be over before the second vCPU comes to them. */
	if (2 * cell->struck < m->seeds)
		wrong += complain(d, f, c, "the fault has hardly ever its moment", "");
	return wrong;
}

static bool is_row(const char *line, const char *name)
{
	size_t n = strlen(name);

	return strncmp(line, "| ", 2) == 0 && strncmp(line + 2, name, n) == 0 &&
	       strncmp(line + 2 + n, " |", 2) == 0;
}

/* The committed cell, or NULL. */
static char *find_committed(const char *table, unsigned int d, unsigned int f, unsigned int c)
{
	const char *at = strstr(table, d ? "## Removing" : "## Adding"), *end;

	while (at && !is_row(at, fault_kinds[f].name)) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	/* The name's column is before the cells'. */
	for (unsigned int i = 0; at && i < c + 2; i++) {
		at = strchr(at, '|');
		at = at ? at + 1 : NULL;
	}
	end = at ? strchr(at, '|') : NULL;
	return end ? strndup(at, (size_t)(end - at)) : NULL;
}

static bool has_other_ends(const struct cell *cell, const char *committed)
{
	for (unsigned int o = 0; o < OUTCOMES; o++)
		if (!committed || !cell->counts[o] != !strstr(committed, outcome_names[o]))
			return true;
	return false;
}

static unsigned int compare_cell(const struct matrix *m, const char *table, unsigned int d,
				 unsigned int f, unsigned int c)
{
	char *committed = find_committed(table, d, f, c);
	unsigned int wrong = 0;

	if (!committed)
		return complain(d, f, c, "not in the table", "");
	for (unsigned int o = 0; o < OUTCOMES; o++)
		if (m->cells[d][f][c].counts[o] && !strstr(committed, outcome_names[o]))
			wrong += complain(d, f, c, "the table does not have ", outcome_names[o]);
	free(committed);
	return wrong;
}

static char *read_all(const char *path)
{
	FILE *in = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (in && getdelim(&text, &size, '\0', in) < 0) {
		free(text);
		text = NULL;
	}
	if (in)
		fclose(in);
	return text;
}

static unsigned int compare(const struct matrix *m, const char *path, const char *made)
{
	char *table = read_all(path);
	unsigned int wrong = 0;

	if (!table) {
		fprintf(stderr, "%s cannot be read\n", path);
		return 1;
	}
	for (unsigned int d = 0; d < 2; d++)
		for (unsigned int f = 0; f < n_fault_kinds; f++)
			for (unsigned int c = 0; is_cell(d, f) && c < COLUMNS; c++)
				wrong += compare_cell(m, table, d, f, c);
	if (m->seeds == MATRIX_SEEDS && strcmp(table, made) != 0) {
		fprintf(stderr, "%s is not what this run makes: --matrix --write\n", path);
		wrong++;
	}
	free(table);
	return wrong;
}

/* What another than the committed table would say, in words: a reader of the change sees what it is. */
static void tell_changes(const struct matrix *m, const char *path)
{
	char *table = read_all(path), *committed, text[TEXT_MAX];

	for (unsigned int d = 0; d < 2; d++)
		for (unsigned int f = 0; f < n_fault_kinds; f++)
			for (unsigned int c = 0; is_cell(d, f) && c < COLUMNS; c++) {
				committed = table ? find_committed(table, d, f, c) : NULL;
				format_cell(&m->cells[d][f][c], m->seeds, text);
				if (has_other_ends(&m->cells[d][f][c], committed))
					printf("%s in \"%s\":%s-> %s\n", fault_kinds[f].name,
					       phase_name(columns[d][c]),
					       committed ? committed : " new ", text);
				free(committed);
			}
	free(table);
}

static void store(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	assert(out);
	fputs(text, out);
	fclose(out);
}

unsigned int matrix_run(unsigned int seeds, unsigned int jobs, const char *path, bool write)
{
	struct matrix *m = calloc(1, sizeof(*m));
	unsigned int wrong = 0;
	char *made;

	assert(m && n_fault_kinds <= FAULTS_MAX);
	m->seeds = seeds;
	wrong += !share_out(m, jobs);
	made = print(m);
	for (unsigned int d = 0; d < 2; d++)
		for (unsigned int f = 0; f < n_fault_kinds; f++)
			for (unsigned int c = 0; is_cell(d, f) && c < COLUMNS; c++)
				wrong += check_cell(m, d, f, c);
	if (write)
		tell_changes(m, path);
	if (write)
		store(path, made);
	else
		wrong += compare(m, path, made);
	free(made);
	free(m);
	return wrong;
}
