/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/command.h"
#include "daemon/outcome.h"

static void print_option(FILE *f, enum option o)
{
	const struct option_def *d = option_def(o);
	char left[48];
	int n = 0;

	if (d->letter)
		n = snprintf(left, sizeof(left), "-%c%s", d->letter, d->name ? ", " : "");
	if (d->name)
		n += snprintf(left + n, sizeof(left) - (size_t)n, "--%s", d->name);
	if (d->value)
		snprintf(left + n, sizeof(left) - (size_t)n, " %s", d->value);
	fprintf(f, "  %-26s %s\n", left, d->help);
}

static void print_options(FILE *f, const char *title, uint64_t mask)
{
	if (mask)
		fprintf(f, "\n%s:\n", title);
	for (int o = 0; o < OPTIONS; o++)
		if (mask >> o & 1)
			print_option(f, (enum option)o);
}

static void print_exit_codes(FILE *f)
{
	fputs("\nExit codes:\n", f);
	for (int code = 0; code <= EXIT_INTERRUPTED; code++) {
		const char *meaning = exit_code_meaning((enum exit_code)code);

		if (meaning)
			fprintf(f, "  %-4d %s\n", code, meaning);
	}
}

static void print_program(FILE *f)
{
	const struct verb *v;

	fputs("vcpuhpctl: ask vcpuhpd to add, remove and show vCPUs of running guests\n"
	      "\nUsage: vcpuhpctl [-S SOCKET] [-o table|json] [-q] COMMAND\n"
	      "\nCommands:\n",
	      f);
	for (unsigned int i = 0; (v = verb_at(i)); i++)
		fprintf(f, "  %-9s %-17s %s\n", v->name, v->args, v->help);
	print_options(f, "Options, before or after the command", GLOBAL_OPTIONS);
	print_exit_codes(f);
	fputs("\nvcpuhpctl COMMAND --help tells more; so does vcpuhpctl(1).\n", f);
}

void help_print(FILE *f, const struct verb *v)
{
	if (!v) {
		print_program(f);
		return;
	}
	fprintf(f, "Usage: vcpuhpctl %s%s%s%s\n\n%s\n", v->name, *v->args ? " " : "", v->args,
		v->options ? " [OPTIONS]" : "", v->help);
	if (v->about)
		fprintf(f, "\n%s\n", v->about);
	print_options(f, "Options", v->options);
	print_options(f, "Global options", GLOBAL_OPTIONS);
}
