/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/doctor.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/handlers.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/value.h"
#include "daemon/json-in.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int print_json(json_object *findings)
{
	for (size_t i = 0; i < value_count(findings); i++)
		output_json(stdout, value_at(findings, i));
	return 0;
}

/* What is to be done stands below what it is about. */
static int print_findings(const struct ctl *c, json_object *findings)
{
	static const char *const headers[] = { "CHECK", "SEVERITY", "FINDING" };
	_cleanup_table_ struct table *t = NULL;

	if (c->command->json)
		return print_json(findings);
	t = table_new(3, headers);
	for (size_t i = 0; i < value_count(findings); i++) {
		json_object *o = value_at(findings, i);
		const char *advice = value_string(o, "advice", NULL);

		table_add_value(t, o, "check");
		table_add_value(t, o, "severity");
		table_add_value(t, o, "text");
		if (!advice)
			continue;
		table_add(t, "");
		table_add(t, "to do:");
		table_add(t, advice);
	}
	if (table_print(t, stdout) < 0)
		return ctl_fail(c, EXIT_FAILED, request_error_name(ERR_INTERNAL), "out of memory");
	return 0;
}

static bool is_in_the_way(json_object *findings)
{
	for (size_t i = 0; i < value_count(findings); i++)
		if (strcmp(value_string(value_at(findings, i), "severity", ""),
			   severity_name(SEVERITY_ERROR)) == 0)
			return true;
	return false;
}

static json_object *findings_json(const struct findings *f)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < f->n; i++) {
		json_object *o = json_object_new_object();

		ctl_add_string(o, "check", f->v[i].check);
		ctl_add_string(o, "severity", severity_name(f->v[i].severity));
		ctl_add_string(o, "text", f->v[i].text);
		json_object_object_add(o, "advice",
				       *f->v[i].advice ? json_object_new_string(f->v[i].advice)
						       : NULL);
		json_object_array_add(array, o);
	}
	return array;
}

/* That there is no daemon is what the doctor was asked for; the usual failure follows. */
static void print_unreached(const struct ctl *c, int rc)
{
	struct reach r = { .path = c->command->socket, .rc = rc, .uid = geteuid() };
	_cleanup_json_ json_object *array = NULL;
	struct findings f = { 0 };
	const struct passwd *user;
	const struct group *group;

	path_look(r.path, &r.look);
	user = getpwuid(r.look.uid);
	group = getgrgid(r.look.gid);
	snprintf(r.user, sizeof(r.user), "%s", user ? user->pw_name : "");
	snprintf(r.group, sizeof(r.group), "%s", group ? group->gr_name : "");
	reach_explain(&r, &f);
	array = findings_json(&f);
	print_findings(c, array);
	findings_done(&f);
}

int run_doctor(struct ctl *c)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	json_object *findings;
	int r = ctl_connect(c);

	if (r < 0) {
		print_unreached(c, r);
		return ctl_connect_failed(c, r);
	}
	r = ctl_ask(c, "Diagnose", ctl_parameters("domain", c->command->domain), &reply);
	if (r)
		return r;
	findings = value_array(reply.parameters, "findings");
	if (!findings)
		return ctl_bad_reply(c, "no findings");
	r = print_findings(c, findings);
	if (r)
		return r;
	return is_in_the_way(findings) ? EXIT_REFUSED : 0;
}
