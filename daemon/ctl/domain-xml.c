/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/handlers.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/value.h"
#include "daemon/json-in.h"

enum { SENTENCE_MAX = 512 };

static void print_sentences(const struct ctl *c, FILE *f, json_object *sentences, const char *what)
{
	char name[CELL_MAX], text[SENTENCE_MAX];

	for (size_t i = 0; i < value_count(sentences); i++) {
		const char *sentence = json_object_get_string(value_at(sentences, i));

		fprintf(f, "%s: %s: %s\n", output_clean(c->command->domain, name, sizeof(name)),
			what, output_clean(sentence ? sentence : "?", text, sizeof(text)));
	}
}

/* What was found goes where the result does not: after --apply it is the result. */
static void print_found(const struct ctl *c, json_object *reply, bool applied)
{
	FILE *f = applied ? stdout : stderr;
	json_object *changes = value_array(reply, "changes");
	json_object *obstacles = value_array(reply, "obstacles");

	if (c->command->quiet && !applied)
		return;
	print_sentences(c, f, changes, applied ? "from the next start" : "needs");
	print_sentences(c, f, obstacles, "in the way");
	if (value_count(changes) == 0 && value_count(obstacles) == 0)
		fprintf(f, "%s: nothing is missing\n", c->command->domain);
}

int run_domain_xml(struct ctl *c)
{
	_cleanup_client_reply_ struct client_reply reply = { 0 };
	bool apply = command_has(c->command, OPT_APPLY);
	json_object *o = ctl_parameters("domain", c->command->domain);
	const char *xml;
	int r;

	if (command_has(c->command, OPT_MAXVCPUS))
		ctl_add_int(o, "maximum", c->command->maximum);
	r = ctl_ask(c, apply ? "DefineDomainXml" : "GetDomainXml", o, &reply);
	if (r)
		return r;
	if (c->command->json) {
		output_json(stdout, reply.parameters);
		return 0;
	}
	xml = value_string(reply.parameters, "xml", NULL);
	if (!apply && !xml)
		return ctl_bad_reply(c, "no XML");
	print_found(c, reply.parameters, apply);
	if (!apply)
		fputs(xml, stdout);
	return 0;
}
