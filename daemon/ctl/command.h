/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_COMMAND_H
#define DAEMON_CTL_COMMAND_H

#include "proto/cpulist.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct ctl;

#define DEFAULT_SOCKET "/run/vcpuhp/control"

enum option {
	OPT_SOCKET,
	OPT_OUTPUT,
	OPT_QUIET,
	OPT_HELP,
	OPT_VERSION,
	OPT_MAXIMUM,
	OPT_PRESENT,
	OPT_ONLINE,
	OPT_AT_STANDBY,
	OPT_ENABLE,
	OPT_DISABLE,
	OPT_TO_STANDBY,
	OPT_STANDBY,
	OPT_POLICY,
	OPT_TIMEOUT,
	OPT_WAIT_TIMEOUT,
	OPT_NO_WAIT,
	OPT_DRY_RUN,
	OPT_FOREIGN,
	OPT_OP_ID,
	OPT_COUNT,
	OPT_OP,
	OPT_FILE,
	OPT_SVG,
	OPT_QMP,
	OPT_AGENT,
	OPT_LIVE,
	OPT_CONFIG,
	OPT_CURRENT,
	OPT_MAXVCPUS,
	OPT_APPLY,
	OPT_FORMAT,
	OPT_LOAD,
	OPT_INTERVAL,
	OPT_REFRESHES,
	OPTIONS
};

#define OPT(x) (UINT64_C(1) << OPT_##x)
#define GLOBAL_OPTIONS (OPT(SOCKET) | OPT(OUTPUT) | OPT(QUIET) | OPT(HELP) | OPT(VERSION))

/* What a positional argument must be, or an option's value is; the last four are options' alone. */
enum word {
	WORD_NONE,
	WORD_DOMAIN,
	WORD_NAME, /* of a domain that is none yet */
	WORD_COUNT,
	WORD_LIST,
	WORD_VCPU,
	WORD_STATE,
	WORD_TARGET, /* a state that may be one */
	WORD_OP,
	WORD_OP_UNDER_WAY,
	WORD_VERB,
	WORD_CHOICE, /* one of those that its help lists: "table|json" */
	WORD_POLICY,
	WORD_FILE,
};

/**
 * struct option_def - one row of the table of options
 * @name: after "--", or NULL
 * @letter: after "-", or 0
 * @value: what help calls its value; NULL for a flag
 * @help: one line
 * @word: by what a shell completes its value; WORD_NONE by nothing
 */
struct option_def {
	const char *name;
	char letter;
	const char *value;
	const char *help;
	enum word word;
};

enum { VERB_WORDS_MAX = 3, VERB_CLASHES_MAX = 2 };

/**
 * struct verb - one row of the table of commands
 * @args: its arguments as help shows them
 * @help: one sentence
 * @about: the paragraphs of its own help, or NULL
 * @words: what its arguments are, in order; WORD_NONE ends them
 * @min_words: how many of them are needed
 * @options: a mask of OPT()
 * @needed: those that may not be missing
 * @one_of: at most one of these may be given
 * @one_needed: and one must be
 * @clashes: none of @with can stand beside one of @these
 * @needs: one of @these makes no sense without @with
 * @run: asks the daemon and prints; returns the exit code. NULL for "help".
 */
struct verb {
	const char *name;
	const char *args;
	const char *help;
	const char *about;
	enum word words[VERB_WORDS_MAX + 1];
	unsigned int min_words;
	uint64_t options;
	uint64_t needed;
	uint64_t one_of;
	bool one_needed;
	struct {
		uint64_t these, with;
	} clashes[VERB_CLASHES_MAX];
	struct {
		uint64_t these, with;
	} needs;
	int (*run)(struct ctl *c);
};

/**
 * struct command - the command line, read
 * @given: mask of the options that were given
 * @out_of_range: a LIST or VCPU was well-formed, but no domain has such a vCPU; @error says so
 * @inside: the operation in whose hook it is called (VCPUHP_OP), so that nothing is waited for; NULL none
 * @error: a sentence, where command_parse() failed
 * Strings are borrowed from argv and the environment; NULL where not given.
 */
struct command {
	const struct verb *verb;
	uint64_t given;
	bool json;
	bool quiet;
	bool out_of_range;
	const char *socket;
	const char *domain;
	unsigned int count;
	struct cpulist list;
	unsigned int vcpu;
	const char *state;
	const char *op;
	const char *inside;
	const struct verb *topic;
	unsigned int standby;
	unsigned int maximum;
	const char *policy;
	unsigned int timeout_ms;
	unsigned int events;
	unsigned int interval_ms;
	const char *file;
	const char *qmp;
	const char *agent;
	const char *format;
	unsigned int n_words;
	char error[256];
};

static inline bool command_has(const struct command *c, enum option o)
{
	return c->given >> o & 1;
}

/**
 * command_parse() - read a command line
 * @ret: filled in as far as it was read, also on error
 *
 * Nothing is missing and every word is well-formed on success, except that --help and --version
 * end the reading at once.
 *
 * Return: 0; -EINVAL with @ret->error.
 */
int command_parse(int argc, char **argv, struct command *ret);

/**
 * struct command_rest - what may follow a command line that goes on
 * @value_of: the option (enum option) whose value is next, or -1
 * @options: it may be an option
 */
struct command_rest {
	int value_of;
	bool options;
};

/**
 * command_read() - read the words before the cursor, as command_parse() does
 * @words: ended by NULL
 *
 * Return: 0; -EINVAL where no word could make a good line of it.
 */
int command_read(char **words, struct command *ret, struct command_rest *ret_rest);

/* The option that "--@name" of @len bytes means there, or -EINVAL with c->error. */
int command_find_option(struct command *c, const char *name, size_t len);

/* Whether @o is one of the command's, or of all. */
bool command_knows(const struct command *c, enum option o);

/* The row of @o; never NULL. */
const struct option_def *option_def(enum option o);

/* Takes in a value (NULL for a flag). Return: 0; -EINVAL with c->error. */
int option_take(struct command *c, enum option o, const char *value);

/* Format @c->error. Return: -EINVAL, to be returned on. */
int command_error(struct command *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The command of that name, or NULL. */
const struct verb *verb_find(const char *name);
/* The table in the order of help: row @i, or NULL past its end. */
const struct verb *verb_at(unsigned int i);

/**
 * virsh_word_hint() - what a word of virsh's is called here
 * @verb: the command
 * @option: an option of it that is not there, after "--", and its length; NULL: there is no such
 *          command
 *
 * Return: a clause, or NULL.
 */
const char *virsh_word_hint(const char *verb, const char *option, size_t len);

/* Help of one command, or of the program where @v is NULL. */
void help_print(FILE *f, const struct verb *v);

#endif
