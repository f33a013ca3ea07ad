/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The programs' own tables, for the test that compares the manual with them: one row a line, its
 * columns between tabs, the first one says what it is.
 */
#include "daemon/config-key.h"
#include "daemon/event.h"
#include "daemon/finding.h"
#include "daemon/outcome.h"
#include "guest-agent/agent-config.h"
#include "proto/ladder.h"
#include "proto/layout.h"
#include "proto/msg.h"
#include <stdio.h>

static void print_keys(void)
{
	const struct agent_config_key *a;
	const struct config_key *d;

	for (size_t i = 0; (d = config_key_at(i)); i++)
		printf("daemon-key\t%s\t%s\t%s\n", d->section, d->name, d->fallback);
	for (size_t i = 0; (a = agent_config_key_at(i)); i++)
		printf("agent-key\tAgent\t%s\t%s\n", a->name, a->fallback);
}

static void print_outcomes(void)
{
	for (int i = 0; i < OP_RESULTS; i++)
		printf("result\t%s\t%d\n", op_result_name(i), (int)op_result_exit(i));
	for (int i = 0; i < VCPU_RESULTS; i++)
		printf("vcpu-result\t%s\n", vcpu_result_name(i));
	for (int i = 0; i < REQUEST_ERRORS; i++)
		printf("error\t%s\t%d\n", request_error_name(i), (int)request_error_exit(i));
	for (int i = 0; i < 256; i++)
		if (exit_code_meaning(i))
			printf("exit\t%d\n", i);
}

static const char *side_word(int state)
{
	static const char *const words[] = {
		[CPUHP_SIDE_REST] = "-",
		[CPUHP_SIDE_HOST] = "host",
		[CPUHP_SIDE_CONTROL] = "control",
		[CPUHP_SIDE_WORKER] = "worker",
	};

	return words[ladder_side(state)];
}

static void print_ladder(void)
{
	for (int i = 0; i < CPUHP_STATES; i++) {
		const struct cpuhp_step *s = ladder_step(i);

		printf("state\t%d\t%s\t%s\t%u\t%u\t%s\n", i, s->name, side_word(i),
		       s->startup_ms / 1000, s->teardown_ms / 1000, s->meaning);
	}
}

static void print_layout(const char *kind, int type, const struct layout *l)
{
	static const char *const words[] = {
		[U8] = "u8", [U16] = "u16", [U32] = "u32", [U64] = "u64", [ID16] = "id16",
	};

	printf("layout\t%s\t%d\t", kind, type);
	for (size_t i = 0; i < l->n; i++) {
		const struct layout_field *f = &l->fields[i];

		fputs(i > 0 ? " " : "", stdout);
		if (f->kind == STRING)
			printf("text %d", (int)f->max);
		else
			fputs(words[f->kind], stdout);
	}
	putchar('\n');
}

static void print_layouts(void)
{
	for (int i = 0; i < 256; i++) {
		if (i == MSG_REPORT)
			printf("layout\tmessage\t%d\trecords\n", i);
		else if (message_layout(i))
			print_layout("message", i, message_layout(i));
	}
	for (int i = 0; i < 256; i++)
		if (record_layout(i))
			print_layout("record", i, record_layout(i));
}

int main(void)
{
	print_keys();
	print_outcomes();
	print_ladder();
	print_layouts();
	for (int i = 0; i < EVENT_TYPES; i++)
		printf("event\t%s\n", event_type_name(i));
	for (int i = 0; i < SEVERITIES; i++)
		printf("severity\t%s\n", severity_name(i));
	return 0;
}
