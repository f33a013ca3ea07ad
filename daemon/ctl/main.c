/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/complete.h"
#include "daemon/ctl/ctl.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What could not be written was not done: a full disk must not look like success. */
static int flush_output(int exit_code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return exit_code;
	fprintf(stderr, "vcpuhpctl: cannot write the output: %s\n", strerror(errno));
	return exit_code ? exit_code : EXIT_FAILED;
}

/* A command line may fail before it was read up to its -o json. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "-ojson") == 0 || strcmp(argv[i], "--output=json") == 0)
			return true;
		if ((strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0) &&
		    strcmp(next, "json") == 0)
			return true;
	}
	return false;
}

static int usage(struct ctl *c, struct command *command, int argc, char **argv)
{
	command->json = wants_json(argc, argv);
	ctl_fail(c, EXIT_USAGE, request_error_name(ERR_INVALID_ARGUMENT), "%s", command->error);
	fprintf(stderr, "Try 'vcpuhpctl %s%s--help'.\n", command->verb ? command->verb->name : "",
		command->verb ? " " : "");
	return EXIT_USAGE;
}

static int run(int argc, char **argv)
{
	struct command command;
	struct ctl c = { .command = &command };
	int r = command_parse(argc, argv, &command);

	if (r < 0)
		return usage(&c, &command, argc, argv);
	if (command_has(&command, OPT_VERSION)) {
		puts("vcpuhpctl " VCPUHP_VERSION);
		return 0;
	}
	if (command_has(&command, OPT_HELP) || !command.verb->run) {
		help_print(stdout, command_has(&command, OPT_HELP) ? command.verb : command.topic);
		return 0;
	}
	if (command.out_of_range)
		return ctl_fail(&c, EXIT_NOT_FOUND, request_error_name(ERR_NO_SUCH_VCPU), "%s",
				command.error);
	r = command.verb->run(&c);
	client_free(c.client);
	return r;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--complete") == 0)
		return complete(argv + 2);
	return flush_output(run(argc, argv));
}
