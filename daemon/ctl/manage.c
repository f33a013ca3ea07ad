/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/handlers.h"
#include "daemon/ctl/output.h"
#include "daemon/json-in.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Commands that are done when the daemon says so: nothing is printed but, as JSON, what was done. */
static int finish(struct ctl *c, const char *method, json_object *parameters, const char *done)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	_cleanup_json_ json_object *line = json_object_get(parameters);
	int r = ctl_ask(c, method, parameters, &reply);

	if (r == 0 && c->command->json) {
		ctl_add_string(line, "result", done);
		output_json(stdout, line);
	}
	return r;
}

int run_fail(struct ctl *c)
{
	json_object *o = ctl_parameters("domain", c->command->domain);

	ctl_add_int(o, "vcpu", c->command->vcpu);
	ctl_add_string(o, "state", c->command->state);
	return finish(c, "ArmFailure", o, "armed");
}

/* The daemon has another working folder. Return: 0 or an exit code. */
static int add_path(const struct ctl *c, json_object *o, const char *key, const char *path)
{
	char *cwd, *whole;

	if (path[0] == '/') {
		ctl_add_string(o, key, path);
		return 0;
	}
	cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&whole, "%s/%s", cwd, path) < 0) {
		free(cwd);
		return ctl_fail(c, EXIT_FAILED, request_error_name(ERR_INTERNAL),
				"cannot tell where %s is", path);
	}
	ctl_add_string(o, key, whole);
	free(whole);
	free(cwd);
	return 0;
}

int run_attach(struct ctl *c)
{
	json_object *o = ctl_parameters("name", c->command->domain);
	int r = add_path(c, o, "qmp", c->command->qmp);

	if (r == 0)
		r = add_path(c, o, "agent", c->command->agent);
	if (r) {
		json_object_put(o);
		return r;
	}
	return finish(c, "Attach", o, "attached");
}

int run_detach(struct ctl *c)
{
	return finish(c, "Detach", ctl_parameters("name", c->command->domain), "detached");
}
