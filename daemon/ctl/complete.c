/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What the shells' completions ask (completion/ has one a shell, each of which only knows how its shell
 * is told). The words before the cursor are read by the parser itself, so what it would not take has no
 * completion; which word is next, and what it is, stands in the tables of commands and options.
 *
 * Candidates that name something real come from the daemon. It is asked once at most, and only what
 * reads; it may be started by that, where systemd listens for it. There is a second for all of it, by
 * alarm(2), since connecting may block as well: a shell that hangs at a tab is worse than one that knows
 * nothing.
 *
 * Names that come from a guest (its callbacks) are offered only where they are made of the letters that
 * such a word may have, for shells read them as their own input.
 */
#include "daemon/ctl/complete.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/value.h"
#include "daemon/ctl/words.h"
#include "proto/ladder.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ASK_MS = 700, WHOLE_S = 1, ABOUT_MAX = 128 };

/**
 * struct completion - one word being typed
 * @word: so far
 * @lead: so many bytes of it stay in front of each candidate
 */
struct completion {
	struct ctl ctl;
	struct command command;
	const char *word;
	size_t lead;
};

static void offer(const struct completion *c, const char *candidate, const char *about)
{
	const char *typed = c->word + c->lead;
	char clean[ABOUT_MAX];

	/* An operation may be called ":file". */
	if (strncmp(candidate, typed, strlen(typed)) != 0 || (c->lead == 0 && candidate[0] == ':'))
		return;
	printf("%.*s%s", (int)c->lead, c->word, candidate);
	if (about && *about)
		printf("\t%s", output_clean(about, clean, sizeof(clean)));
	putchar('\n');
}

/* Return: whether there is an answer. */
static bool ask(struct completion *c, const char *method, const char *domain,
		struct client_reply *ret)
{
	return ctl_connect(&c->ctl) == 0 &&
	       ctl_ask_quietly(&c->ctl, method, ctl_parameters("domain", domain), ASK_MS, ret) == 0;
}

static void offer_verbs(const struct completion *c)
{
	for (unsigned int i = 0; verb_at(i); i++)
		offer(c, verb_at(i)->name, verb_at(i)->help);
}

static void offer_domains(struct completion *c)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	json_object *domains;

	if (!ask(c, "ListDomains", NULL, &reply))
		return;
	domains = value_array(reply.parameters, "domains");
	for (size_t i = 0; i < value_count(domains); i++) {
		json_object *d = value_at(domains, i);
		const char *name = value_string(d, "domain", "");

		if (words_is_domain(name))
			offer(c, name, value_string(d, "status", NULL));
	}
}

/* What the daemon knows of the domain on the line; borrowed from @reply, NULL nothing. */
static json_object *domain_info(struct completion *c, struct client_reply *reply)
{
	if (!c->command.domain || !ask(c, "GetDomain", c->command.domain, reply))
		return NULL;
	return value_object(reply->parameters, "info");
}

static void offer_counts(struct completion *c)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	json_object *info = domain_info(c, &reply);
	int64_t maximum = value_int(info, "maximum", 0), online = value_int(info, "online", 0);
	char count[16];

	for (int n = 1; n <= maximum && n <= CPULIST_MAX; n++) {
		snprintf(count, sizeof(count), "%d", n);
		offer(c, count, n == online ? "as it is" : NULL);
	}
}

/* Whether what the options on the line say leaves anything to do with it; a vCPU of the boot cannot go. */
static bool is_of_use(const struct command *command, json_object *vcpu)
{
	int64_t state = value_int(vcpu, "state", -1);
	bool boot = value_bool(vcpu, "boot", false);

	if (command_has(command, OPT_ENABLE))
		return state != CPUHP_ONLINE;
	if (command_has(command, OPT_DISABLE))
		return state != CPUHP_OFFLINE && !boot;
	if (command_has(command, OPT_TO_STANDBY))
		return state != CPUHP_STANDBY && !boot;
	return !boot;
}

static void offer_vcpus(struct completion *c, bool list)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	struct list_end end = { .above = -1 };
	json_object *vcpus;
	char number[16];

	if (list && words_list_end(c->word, &end) < 0)
		return;
	c->lead = end.lead;
	vcpus = value_array(domain_info(c, &reply), "vcpus");
	for (size_t i = 0; i < value_count(vcpus); i++) {
		json_object *vcpu = value_at(vcpus, i);
		int64_t n = value_int(vcpu, "vcpu", -1);

		if (n < 0 || n >= CPULIST_MAX || !list_end_takes(&end, (unsigned int)n) ||
		    (list && !is_of_use(&c->command, vcpu)))
			continue;
		snprintf(number, sizeof(number), "%d", (int)n);
		offer(c, number, value_string(vcpu, "name", NULL));
	}
}

/* Without a daemon the ladder is as everywhere, but for the callbacks. */
static void offer_ladder(const struct completion *c, bool targets)
{
	for (int s = CPUHP_OFFLINE; s < CPUHP_STATES; s++)
		if (!ladder_is_dyn(s) && (!targets || ladder_is_target(s, false)))
			offer(c, ladder_name(s), ladder_step(s)->meaning);
}

static void offer_states(struct completion *c, bool targets)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	json_object *states;

	if (!ask(c, "ListStates", c->command.domain, &reply)) {
		offer_ladder(c, targets);
		return;
	}
	states = value_array(reply.parameters, "states");
	for (size_t i = 0; i < value_count(states); i++) {
		json_object *s = value_at(states, i);
		const char *name = value_string(s, "name", "");

		if (words_is_state(name) && (!targets || value_bool(s, "target", false)))
			offer(c, name, value_string(s, "meaning", NULL));
	}
}

static int take_operations(void *ctx, json_object *parameters)
{
	json_object *all = ctx, *part = value_array(parameters, "operations");

	for (size_t i = 0; i < value_count(part); i++)
		json_object_array_add(all, json_object_get(value_at(part, i)));
	return 0;
}

static void offer_operation(const struct completion *c, json_object *o, bool under_way)
{
	const char *id = value_string(o, "op", ""), *result = value_string(o, "result", "");
	char about[ABOUT_MAX];

	if (!words_is_op(id) || (under_way && strcmp(result, op_result_name(OP_ACCEPTED)) != 0))
		return;
	snprintf(about, sizeof(about), "%s: %s", value_string(o, "domain", "?"), result);
	offer(c, id, about);
}

/* The newest first. */
static void offer_operations(struct completion *c, bool under_way)
{
	json_object *all = json_object_new_array();

	if (ctl_connect(&c->ctl) == 0 &&
	    ctl_ask_parts_quietly(&c->ctl, "ListOperations",
				  ctl_parameters("domain", c->command.domain), ASK_MS,
				  take_operations, all) == 0)
		for (size_t i = value_count(all); i-- > 0;)
			offer_operation(c, value_at(all, i), under_way);
	json_object_put(all);
}

/* "table|json" */
static void offer_choices(const struct completion *c, const char *choices)
{
	char choice[32];

	while (choices && *choices) {
		size_t n = strcspn(choices, "|");

		snprintf(choice, sizeof(choice), "%.*s", (int)n, choices);
		offer(c, choice, NULL);
		choices += n + (choices[n] == '|');
	}
}

/* @choices: of a WORD_CHOICE */
static void offer_word(struct completion *c, enum word kind, const char *choices)
{
	switch (kind) {
	case WORD_DOMAIN:
		offer_domains(c);
		return;
	case WORD_COUNT:
		offer_counts(c);
		return;
	case WORD_LIST:
	case WORD_VCPU:
		offer_vcpus(c, kind == WORD_LIST);
		return;
	case WORD_STATE:
	case WORD_TARGET:
		offer_states(c, kind == WORD_TARGET);
		return;
	case WORD_OP:
	case WORD_OP_UNDER_WAY:
		offer_operations(c, kind == WORD_OP_UNDER_WAY);
		return;
	case WORD_VERB:
		offer_verbs(c);
		return;
	case WORD_CHOICE:
		offer_choices(c, choices);
		return;
	case WORD_POLICY:
		for (unsigned int i = 0; words_policy(i); i++)
			offer(c, words_policy(i), NULL);
		return;
	case WORD_FILE:
		puts(":file");
		return;
	case WORD_NONE:
	case WORD_NAME:
		return;
	}
}

/* Those that can stand beside what is on the line. */
static uint64_t options_left(const struct command *c)
{
	const struct verb *v = c->verb;
	uint64_t left = (GLOBAL_OPTIONS | (v ? v->options : 0)) & ~c->given;

	if (v && c->given & v->one_of)
		left &= ~v->one_of;
	for (int i = 0; v && i < VERB_CLASHES_MAX; i++) {
		if (c->given & v->clashes[i].these)
			left &= ~v->clashes[i].with;
		if (c->given & v->clashes[i].with)
			left &= ~v->clashes[i].these;
	}
	return left;
}

static void offer_options(const struct completion *c, uint64_t mask)
{
	char word[64];

	for (int o = 0; o < OPTIONS; o++) {
		const struct option_def *d = option_def((enum option)o);

		if (!(mask >> o & 1))
			continue;
		if (d->name)
			snprintf(word, sizeof(word), "--%s", d->name);
		else
			snprintf(word, sizeof(word), "-%c", d->letter);
		offer(c, word, d->help);
	}
}

/* "--name=value" */
static void offer_value(struct completion *c, const char *equal)
{
	int o = command_find_option(&c->command, c->word + 2, (size_t)(equal - c->word) - 2);

	c->lead = (size_t)(equal - c->word) + 1;
	if (o >= 0)
		offer_word(c, option_def((enum option)o)->word, option_def((enum option)o)->value);
}

static void offer_all(struct completion *c, const struct command_rest *rest)
{
	const struct command *command = &c->command;
	enum word next = command->verb ? command->verb->words[command->n_words] : WORD_VERB;
	const char *equal = strchr(c->word, '=');

	if (rest->value_of >= 0) {
		const struct option_def *d = option_def((enum option)rest->value_of);

		offer_word(c, d->word, d->value);
	} else if (rest->options && strncmp(c->word, "--", 2) == 0 && equal) {
		offer_value(c, equal);
	} else if (rest->options && (c->word[0] == '-' || next == WORD_NONE)) {
		uint64_t left = options_left(command);

		offer_options(c, left & ~GLOBAL_OPTIONS);
		offer_options(c, left & GLOBAL_OPTIONS);
	} else {
		offer_word(c, next, NULL);
	}
}

static void on_alarm(int number)
{
	_exit(0);
}

int complete(char **words)
{
	struct completion c = { .word = "" };
	struct command_rest rest;
	size_t n = 0;

	signal(SIGALRM, on_alarm);
	alarm(WHOLE_S);
	while (words[n])
		n++;
	if (n > 0) {
		c.word = words[n - 1];
		words[n - 1] = NULL;
	}
	c.ctl.command = &c.command;
	if (command_read(words, &c.command, &rest) == 0 &&
	    !(c.command.given & (OPT(HELP) | OPT(VERSION))))
		offer_all(&c, &rest);
	client_free(c.ctl.client);
	fflush(stdout);
	return 0;
}
