/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_LINES_H
#define DAEMON_CTL_LINES_H

#include "daemon/ctl/step.h"

/* What a vCPU of an operation is doing. */
enum mark {
	MARK_UP,      /* a startup runs */
	MARK_DOWN,    /* a teardown runs */
	MARK_UNDO,    /* the same within a rollback */
	MARK_BETWEEN, /* the last step was left, the next is not entered yet */
	MARK_FAILED,  /* the last step failed */
	MARK_ENDED    /* there is a result */
};

/**
 * struct line - one vCPU as progress shows it
 * @name: of its state
 * @since_ms: when the step was entered; @entered tells whether that is known
 * @first_ms, @last_ms: of all that was heard of it
 * @kernel: the kernel's step under ap:online, "" none
 * @result: its word, "" until there is one
 * @error: why it failed, "" none; stays through the rollback
 */
struct line {
	int vcpu;
	int cpu;
	int state;
	char name[STEP_NAME_MAX];
	enum mark mark;
	bool entered;
	double since_ms;
	double first_ms;
	double last_ms;
	int ran_on;
	char kernel[STEP_NAME_MAX + 16];
	char result[16];
	char error[STEP_NAME_MAX + STEP_TEXT_MAX + 64];
};

/* Ascending by vcpu. */
struct lines {
	struct line *v;
	size_t n;
};

void lines_done(struct lines *l);

/**
 * lines_on_step() - take a step in
 * @ret_ms: how long the step took that was left now; -1 if that is not known
 *
 * Return: its line, valid until the next call; NULL when out of memory.
 */
const struct line *lines_on_step(struct lines *l, const struct step *s, double *ret_ms);

/* Take the entries of a result's "vcpus" in. */
void lines_on_result(struct lines *l, json_object *vcpus);

/**
 * lines_format() - one vCPU in one line of ASCII
 * @now_ms: on the clock of t_ms
 *
 * Return: @buf.
 */
const char *lines_format(const struct line *line, double now_ms, char *buf, size_t size);

/* The line of a step that was left, for where nothing can be redrawn. Return: @buf. */
const char *lines_format_plain(const struct step *s, double ms, char *buf, size_t size);

#endif
