/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/handlers.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/trace-svg.h"
#include "daemon/ctl/trace.h"
#include "daemon/ctl/value.h"
#include "daemon/json-in.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What is written: a whole document, and the end of its last line. */
struct document {
	char *text;
	size_t len;
};

/* mkostemp() makes files that only their owner reads; a result has the mode that others have. */
static mode_t usual_mode(void)
{
	mode_t mask = umask(077);

	umask(mask);
	return 0666 & ~mask;
}

static int fill(int fd, const struct document *d)
{
	int r = write_all(fd, d->text, d->len);

	if (r == 0 && (fchmod(fd, usual_mode()) < 0 || fsync(fd) < 0))
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

/* Whole or not at all: into a file beside it, then renamed. */
static int write_file(const char *path, const struct document *d)
{
	char *temporary;
	int fd, r;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	fd = mkostemp(temporary, O_CLOEXEC);
	r = fd < 0 ? -errno : fill(fd, d);
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		unlink(temporary);
	free(temporary);
	return r;
}

/* A device or pipe (/dev/stdout) is written, not replaced by a file. */
static int write_to(const char *path, const struct document *d)
{
	struct stat st;
	int fd;

	if (strcmp(path, "-") == 0)
		return write_all(STDOUT_FILENO, d->text, d->len);
	if (stat(path, &st) < 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return write_file(path, d);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	return write_all(fd, d->text, d->len) | close(fd);
}

static int compose(const struct ctl *c, json_object *trace, struct document *ret)
{
	if (command_has(c->command, OPT_SVG))
		return trace_svg(trace, c->command->domain, &ret->text, &ret->len);
	ret->text = NULL;
	if (asprintf(&ret->text, "%s\n",
		     json_object_to_json_string_ext(
			     trace, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)) < 0)
		return -ENOMEM;
	ret->len = strlen(ret->text);
	return 0;
}

static void report(const struct ctl *c, size_t n)
{
	_cleanup_json_ json_object *line = NULL;

	if (strcmp(c->command->file, "-") == 0)
		return;
	if (!c->command->json) {
		if (!c->command->quiet)
			fprintf(stderr, "%zu steps written to %s\n", n, c->command->file);
		return;
	}
	line = ctl_parameters("file", c->command->file);
	ctl_add_int(line, "steps", (int64_t)n);
	output_json(stdout, line);
}

int run_trace(struct ctl *c)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	_cleanup_json_ json_object *trace = NULL, *parameters = NULL;
	struct document document = { 0 };
	json_object *steps;
	size_t n;
	int r;

	parameters = ctl_parameters("domain", c->command->domain);
	ctl_add_string(parameters, "op", c->command->op);
	r = ctl_ask(c, "GetTrace", json_object_get(parameters), &reply);
	if (r)
		return r;
	steps = value_array(reply.parameters, "steps");
	if (!steps)
		return ctl_bad_reply(c, "no steps");
	r = trace_build(steps, &trace, &n);
	if (r == 0)
		r = compose(c, trace, &document);
	if (r == 0)
		r = write_to(c->command->file, &document);
	free(document.text);
	if (r < 0)
		return ctl_fail(c, EXIT_FAILED, request_error_name(ERR_INTERNAL),
				"cannot write %s: %s", c->command->file, strerror(-r));
	report(c, n);
	return 0;
}
