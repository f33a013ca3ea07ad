/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/watch.h"
#include "daemon/ctl/progress.h"
#include "daemon/ctl/result.h"
#include "daemon/ctl/value.h"
#include "daemon/json-in.h"
#include <errno.h>
#include <signal.h>

struct watch {
	struct ctl *c;
	struct progress *progress;
	const char *op;
};

/* @goes_on: "goes on", or what is to be said where the daemon cannot be asked */
static int left_early(const struct watch *w, const char *goes_on, int exit_code)
{
	const struct command *command = w->c->command;

	fflush(stdout);
	if (command_has(command, OPT_DRY_RUN))
		return exit_code;
	if (command_has(command, OPT_CONFIG) && !command_has(command, OPT_LIVE)) {
		fputs("the persistent configuration may still be changed\n", stderr);
		return exit_code;
	}
	if (command_has(command, OPT_CURRENT))
		fputs("if the domain does not run, its persistent configuration may still be changed; "
		      "else ",
		      stderr);
	fprintf(stderr,
		"operation %s %s; see: vcpuhpctl op %s, vcpuhpctl wait %s, vcpuhpctl cancel %s\n",
		w->op, goes_on, w->op, w->op, w->op);
	return exit_code;
}

static bool is_final(const struct client_reply *reply)
{
	return value_get(reply->parameters, "result") || value_get(reply->parameters, "plan") ||
	       value_get(reply->parameters, "refusals");
}

static int print_final(struct watch *w, json_object *reply)
{
	const struct command *command = w->c->command;
	json_object *result = value_object(reply, "result");
	int exit_code;

	progress_end(w->progress, result, client_now_us());
	if (command_has(command, OPT_DRY_RUN))
		return result_print_plan(w->c, reply);
	if (!result)
		return ctl_bad_reply(w->c, "no result");
	exit_code = result_exit(w->c, result);
	if (exit_code == EXIT_NO_DAEMON)
		return exit_code;
	/* Where only a configuration was changed there is no operation. */
	if (command_has(command, OPT_NO_WAIT) && exit_code == EXIT_AS_ASKED && !command->json &&
	    value_get(result, "op"))
		puts(w->op);
	else
		result_print(w->c, result);
	return exit_code;
}

/* Return: 1 when there is nothing more to wait for, and *@ret_exit is set. */
static int on_reply(struct watch *w, const struct client_reply *reply, int *ret_exit)
{
	json_object *progress = value_object(reply->parameters, "progress");
	const char *waiting = value_string(reply->parameters, "waiting", NULL);

	if (waiting)
		progress_say(w->progress, waiting);
	if (progress)
		progress_take(w->progress, progress, client_now_us());
	if (is_final(reply)) {
		*ret_exit = print_final(w, reply->parameters);
		return 1;
	}
	if (reply->continues)
		return 0;
	*ret_exit = ctl_bad_reply(w->c, "no result");
	return 1;
}

/* The same for what ctl_next() returned. */
static int on_next(struct watch *w, int next, const struct client_reply *reply, int signal,
		   int *exit_code)
{
	if (next == CLIENT_REPLY)
		return on_reply(w, reply, exit_code);
	if (next < 0) {
		progress_end(w->progress, NULL, client_now_us());
		if (*exit_code == EXIT_NO_DAEMON)
			left_early(w, "goes on with the next daemon, if it was accepted",
				   *exit_code);
		return 1;
	}
	if (next == CLIENT_SIGNAL && signal != SIGWINCH) {
		progress_end(w->progress, NULL, client_now_us());
		*exit_code = left_early(w, "goes on", ctl_signal_exit(signal));
		return 1;
	}
	progress_redraw(w->progress, client_now_us());
	return 0;
}

int watch_operation(struct ctl *c, const char *method, json_object *parameters, const char *op)
{
	_cleanup_progress_ struct progress *progress = NULL;
	bool at_once = command_has(c->command, OPT_NO_WAIT) || command_has(c->command, OPT_DRY_RUN);
	enum progress_mode mode = progress_choose(c->command->json, c->command->quiet || at_once);
	struct watch w = { .c = c, .op = op };
	int exit_code, signal = 0, done = 0;

	w.progress = progress = progress_new(mode);
	if (!progress) {
		json_object_put(parameters);
		return ctl_fail(c, EXIT_FAILED, "Internal", "out of memory");
	}
	/* Lines show the step that failed. There are some 75 more for each vCPU. */
	if (mode == PROGRESS_PLAIN)
		ctl_add_bool(parameters, "kernel_steps", false);
	exit_code = ctl_send(c, method, parameters, mode != PROGRESS_NONE);
	if (exit_code)
		return exit_code;
	while (!done) {
		_cleanup_client_reply_ struct client_reply reply = { 0 };
		int next = ctl_next(c, progress_due_us(progress, client_now_us()), &reply, &signal,
				    &exit_code);

		done = on_next(&w, next, &reply, signal, &exit_code);
	}
	return exit_code;
}
