/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/handlers.h"
#include "daemon/ctl/load.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/step.h"
#include "daemon/ctl/value.h"
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

/* Wall time of now, as a reader of a log wants it. */
static void print_time(void)
{
	struct timespec ts;
	struct tm tm;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	strftime(text, sizeof(text), "%H:%M:%S", &tm);
	printf("%s.%03ld", text, ts.tv_nsec / 1000000);
}

static void print_string(json_object *event, const char *key, const char *before)
{
	const char *text = value_string(event, key, "");
	char clean[CELL_MAX];

	if (*text)
		printf("%s%s", before, output_clean(text, clean, sizeof(clean)));
}

static void print_int(json_object *event, const char *key, const char *before, const char *after)
{
	int64_t n = value_int(event, key, -1);

	if (n >= 0)
		printf("%s%" PRId64 "%s", before, n, after);
}

static void print_bool(json_object *event, const char *key, const char *yes, const char *no)
{
	if (json_object_is_type(value_get(event, key), json_type_boolean))
		fputs(value_bool(event, key, false) ? yes : no, stdout);
}

static void print_load(json_object *event)
{
	char words[256];

	if (strcmp(value_string(event, "type", ""), "load") == 0)
		printf(" %s", load_words(value_object(event, "load"), words, sizeof(words)));
}

/* Events of all kinds have the same keys, each those that fit; what is there is printed. */
static void print_event(json_object *event)
{
	json_object *kernel = value_object(event, "kernel");
	int64_t rc = value_int(event, "rc", 0);
	char code[64] = "";

	print_time();
	print_string(event, "domain", " ");
	print_string(event, "type", " ");
	print_string(event, "op", " op ");
	print_int(event, "vcpu", " vcpu ", "");
	print_int(event, "cpu", " (cpu", ")");
	print_string(event, "name", " ");
	print_int(kernel, "step", " kernel ", "");
	print_string(kernel, "name", " ");
	print_string(event, "phase", " ");
	print_bool(event, "connected", " connected", " gone");
	if (value_bool(event, "rollback", false))
		fputs(" (rollback)", stdout);
	if (rc && rc >= INT32_MIN && rc <= INT32_MAX)
		printf(" failed: %s", step_format_rc((int)rc, code, sizeof(code)));
	print_string(event, "status", " ");
	print_string(event, "result", " ");
	print_load(event);
	if (!outcome_repeats_code(value_string(event, "text", ""), code))
		print_string(event, "text", ": ");
	putchar('\n');
	fflush(stdout);
}

static json_object *parameters_of(const struct command *command)
{
	json_object *o = ctl_parameters("domain", command->domain);

	if (command_has(command, OPT_LOAD))
		ctl_add_int(o, "load_ms",
			    command_has(command, OPT_INTERVAL) ? command->interval_ms
							       : LOAD_INTERVAL_MS);
	return o;
}

static void show(const struct ctl *c, json_object *event)
{
	if (c->command->json)
		output_json(stdout, event);
	else
		print_event(event);
}

int run_events(struct ctl *c)
{
	const struct command *command = c->command;
	uint64_t until_us = UINT64_MAX;
	unsigned int seen = 0;
	int exit_code = ctl_send(c, "Events", parameters_of(command), true);

	if (exit_code)
		return exit_code;
	if (command_has(command, OPT_WAIT_TIMEOUT))
		until_us = client_now_us() + (uint64_t)command->timeout_ms * 1000;
	while (!command_has(command, OPT_COUNT) || seen < command->events) {
		_cleanup_client_reply_ struct client_reply reply = { 0 };
		int signal = 0, next = ctl_next(c, until_us, &reply, &signal, &exit_code);
		json_object *event = value_object(reply.parameters, "event");

		if (next < 0)
			return exit_code;
		if (next == CLIENT_TIMEOUT)
			break;
		if (next == CLIENT_SIGNAL && signal != SIGWINCH)
			return ctl_signal_exit(signal);
		if (event)
			show(c, event);
		seen += event != NULL;
		if (next == CLIENT_REPLY && !reply.continues)
			return ctl_fail(c, EXIT_NO_DAEMON, "NoDaemon",
					"the daemon ended the events");
	}
	return 0;
}
