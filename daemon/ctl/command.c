/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The command line is read once from left to right against two tables: the verbs and the options.
 * The first word that is no option names the verb; from then on that verb's options are known
 * besides the global ones, and words and options may be mixed. "--" ends the options. --help and
 * --version end the reading, so that help can be asked for in the middle of a half-typed line.
 *
 * An option may be shortened as long as it stays the only one; a verb may not, since scripts
 * outlive the day on which a prefix was unique.
 *
 * Every word is checked here, before anything is sent: what the handlers find in struct command
 * is well-formed. What only the daemon can know (does the domain exist, is the state a target)
 * stays with the daemon. A slot number that is beyond every domain's is not a malformed word but
 * an unknown vCPU; it is marked and answered without asking.
 */
#include "daemon/ctl/command.h"
#include "daemon/ctl/words.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/**
 * struct reader
 * @next: the word after the one being read
 * @rest: what the end of the words has left open
 */
struct reader {
	struct command *c;
	char **next;
	struct command_rest rest;
};

int command_error(struct command *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(c->error, sizeof(c->error), format, ap);
	va_end(ap);
	return -EINVAL;
}

bool command_knows(const struct command *c, enum option o)
{
	return (GLOBAL_OPTIONS | (c->verb ? c->verb->options : 0)) >> o & 1;
}

/* An exact name wins over longer ones. */
int command_find_option(struct command *c, const char *name, size_t len)
{
	const char *hint;
	int found = -1;

	for (int o = 0; o < OPTIONS; o++) {
		const char *full = option_def((enum option)o)->name;

		if (!full || !command_knows(c, (enum option)o) || strncmp(full, name, len) != 0)
			continue;
		if (full[len] == '\0')
			return o;
		if (found >= 0)
			return command_error(c, "option --%.*s is ambiguous: --%s or --%s",
					     (int)len, name, option_def((enum option)found)->name,
					     full);
		found = o;
	}
	if (found >= 0 && len > 0)
		return found;
	if (!c->verb)
		return command_error(c, "unknown option --%.*s before the command", (int)len, name);
	hint = virsh_word_hint(c->verb->name, name, len);
	return command_error(c, "unknown option --%.*s%s%s", (int)len, name, hint ? ": " : "",
			     hint ? hint : "");
}

static int find_letter(struct command *c, char letter)
{
	for (int o = 0; o < OPTIONS; o++)
		if (option_def((enum option)o)->letter == letter &&
		    command_knows(c, (enum option)o))
			return o;
	return command_error(
		c, c->verb ? "unknown option -%c" : "unknown option -%c before the command",
		letter);
}

static int read_long(struct reader *r, const char *word)
{
	const char *equal = strchr(word, '=');
	size_t len = equal ? (size_t)(equal - word) : strlen(word);
	int o = command_find_option(r->c, word, len);
	const struct option_def *d;

	if (o < 0)
		return o;
	d = option_def((enum option)o);
	if (!d->value && equal)
		return command_error(r->c, "option --%s takes no value", d->name);
	if (!d->value)
		return option_take(r->c, (enum option)o, NULL);
	if (equal)
		return option_take(r->c, (enum option)o, equal + 1);
	if (!*r->next) {
		r->rest.value_of = o;
		return command_error(r->c, "option --%s needs a value: %s", d->name, d->value);
	}
	return option_take(r->c, (enum option)o, *r->next++);
}

static int read_letters(struct reader *r, const char *word)
{
	for (; *word; word++) {
		int o = find_letter(r->c, *word), rc;
		const struct option_def *d;

		if (o < 0)
			return o;
		d = option_def((enum option)o);
		if (d->value && word[1])
			return option_take(r->c, (enum option)o, word + 1);
		if (d->value && !*r->next) {
			r->rest.value_of = o;
			return command_error(r->c, "option -%c needs a value: %s", d->letter,
					     d->value);
		}
		rc = option_take(r->c, (enum option)o, d->value ? *r->next++ : NULL);
		if (rc < 0 || d->value)
			return rc;
	}
	return 0;
}

/* A slot beyond every domain's maximum: well-formed, but there is no such vCPU. */
static int mark_out_of_range(struct command *c, const char *word)
{
	command_error(c, "no such vCPU: %s", word);
	c->out_of_range = true;
	return 0;
}

static int take_vcpus(struct command *c, enum word kind, const char *word)
{
	int r = kind == WORD_VCPU ? words_number(word, 0, CPULIST_MAX - 1, &c->vcpu)
				  : words_list(word, &c->list);

	if (r == -ERANGE)
		return mark_out_of_range(c, word);
	if (r < 0 && kind == WORD_VCPU)
		return command_error(c, "'%s' is no vCPU number", word);
	if (r < 0)
		return command_error(c, "'%s' is no list of vCPUs such as 2,4-7,^5", word);
	return 0;
}

static int take_word(struct command *c, enum word kind, const char *word)
{
	switch (kind) {
	case WORD_DOMAIN:
	case WORD_NAME:
		c->domain = word;
		if (words_is_domain(word))
			return 0;
		return command_error(c, "'%s' is no name, UUID or id of a domain", word);
	case WORD_COUNT:
		if (words_number(word, 1, WORDS_COUNT_MAX, &c->count) == 0)
			return 0;
		return command_error(c, "'%s' is no count from 1 to %d", word, WORDS_COUNT_MAX);
	case WORD_LIST:
	case WORD_VCPU:
		return take_vcpus(c, kind, word);
	case WORD_STATE:
	case WORD_TARGET:
		c->state = word;
		if (words_is_state(word))
			return 0;
		return command_error(c, "'%s' is no state; see: vcpuhpctl states", word);
	case WORD_OP:
	case WORD_OP_UNDER_WAY:
		return option_take(c, OPT_OP, word);
	case WORD_VERB:
		c->topic = verb_find(word);
		return c->topic ? 0 : command_error(c, "unknown command '%s'", word);
	case WORD_NONE:
	case WORD_CHOICE:
	case WORD_POLICY:
	case WORD_FILE:
		break;
	}
	return command_error(c, "'%s' is one argument too many", word);
}

static int read_word(struct command *c, const char *word)
{
	const char *hint;

	if (c->verb)
		return take_word(c, c->verb->words[c->n_words++], word);
	c->verb = verb_find(word);
	if (c->verb)
		return 0;
	hint = virsh_word_hint(word, NULL, 0);
	return command_error(c, "unknown command '%s'%s%s", word, hint ? ": " : "",
			     hint ? hint : "");
}

/* "--enable, --disable or --standby" */
static void name_options(uint64_t mask, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (int o = 0; o < OPTIONS && len < size; o++) {
		const struct option_def *d = option_def((enum option)o);
		bool last;

		if (!(mask >> o & 1))
			continue;
		last = mask >> o == 1;
		len += (size_t)snprintf(buf + len, size - len, "%s%s%.*s%s",
					len ? (last ? " or " : ", ") : "", d->name ? "--" : "-",
					d->name ? 0 : 1, &d->letter, d->name ? d->name : "");
	}
}

static int check_clashes(struct command *c)
{
	char one[64], other[64];

	for (int i = 0; i < VERB_CLASHES_MAX; i++) {
		uint64_t these = c->given & c->verb->clashes[i].these;
		uint64_t with = c->given & c->verb->clashes[i].with;

		if (!these || !with)
			continue;
		name_options(these & -these, one, sizeof(one));
		name_options(with & -with, other, sizeof(other));
		return command_error(c, "%s and %s exclude each other", one, other);
	}
	return 0;
}

static int check_needs(struct command *c)
{
	uint64_t these = c->given & c->verb->needs.these;
	char one[64], other[64];

	if (!these || (c->given & c->verb->needs.with))
		return 0;
	name_options(these & -these, one, sizeof(one));
	name_options(c->verb->needs.with, other, sizeof(other));
	return command_error(c, "%s needs %s", one, other);
}

static int check_options(struct command *c)
{
	const struct verb *v = c->verb;
	uint64_t one = c->given & v->one_of, missing = v->needed & ~c->given;
	char names[128];

	name_options(v->one_of, names, sizeof(names));
	if (one & (one - 1))
		return command_error(c, "only one of %s can be given", names);
	if (v->one_needed && !one)
		return command_error(c, "one of %s is needed", names);
	name_options(missing & -missing, names, sizeof(names));
	if (missing)
		return command_error(c, "option %s is needed", names);
	return check_clashes(c) < 0 ? -EINVAL : check_needs(c);
}

static int check_whole(struct command *c)
{
	if (!c->verb)
		return command_error(c, "a command is missing");
	if (c->n_words < c->verb->min_words)
		return command_error(c, "an argument is missing: %s %s", c->verb->name,
				     c->verb->args);
	if (strlen(c->socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return command_error(c, "the path of the socket is too long");
	return check_options(c);
}

/*
 * A hook is waited for, or at least ended at its deadline: it must not wait in turn for what may come
 * after it.
 */
static void note_hook(struct command *c)
{
	const char *env = getenv("VCPUHP_OP");

	if (!env || !*env)
		return;
	c->inside = env;
	if (c->verb->options & OPT(NO_WAIT) && !command_has(c, OPT_DRY_RUN))
		c->given |= OPT(NO_WAIT);
}

/* No option is a digit, so "-1" is a number, and told to be none that is taken. */
static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0' && !(word[1] >= '0' && word[1] <= '9');
}

static int read_words(struct reader *r)
{
	const char *env = getenv("VCPUHP_SOCKET");
	int rc = 0;

	*r->c = (struct command){ .socket = env && *env ? env : DEFAULT_SOCKET };
	while (rc == 0 && *r->next && !(r->c->given & (OPT(HELP) | OPT(VERSION)))) {
		const char *word = *r->next++;

		if (!r->rest.options || !is_option(word))
			rc = read_word(r->c, word);
		else if (strcmp(word, "--") == 0)
			r->rest.options = false;
		else if (word[1] == '-')
			rc = read_long(r, word + 2);
		else
			rc = read_letters(r, word + 1);
	}
	return rc;
}

int command_read(char **words, struct command *ret, struct command_rest *ret_rest)
{
	struct reader r = { .c = ret, .next = words, .rest = { -1, true } };
	int rc = read_words(&r);

	*ret_rest = r.rest;
	return r.rest.value_of >= 0 ? 0 : rc;
}

int command_parse(int argc, char **argv, struct command *ret)
{
	struct reader r = { .c = ret, .next = argv + (argc > 0), .rest = { -1, true } };
	int rc = read_words(&r);

	if (rc < 0 || ret->given & (OPT(HELP) | OPT(VERSION)))
		return rc;
	rc = check_whole(ret);
	if (rc == 0)
		note_hook(ret);
	return rc;
}
