/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "daemon/hook.h"
#include <stdio.h>
#include <string.h>

const char *hook_event_name(enum hook_event e)
{
	static const char *const names[HOOK_EVENTS] = {
		[HOOK_PREPARE] = "prepare", [HOOK_PROGRESS] = "progress", [HOOK_DONE] = "done",
		[HOOK_FAILED] = "failed",   [HOOK_DRIFT] = "drift",       [HOOK_LOAD] = "load",
	};

	return names[e];
}

bool hook_is_name(const char *name)
{
	size_t len =
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	return len >= 1 && len <= HOOK_NAME_MAX && !name[len];
}

static bool is_blank(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
			return false;
	return true;
}

void hook_first_line(const char *output, size_t len, char ret[HOOK_REASON_MAX + 1])
{
	size_t n = 0;

	while (len > 0) {
		const char *end = memchr(output, '\n', len);
		size_t line = end ? (size_t)(end - output) : len;

		if (!is_blank(output, line)) {
			for (; n < line && n < HOOK_REASON_MAX; n++)
				ret[n] = output[n] >= ' ' && output[n] < 0x7f ? output[n] : '?';
			break;
		}
		line += end != NULL;
		output += line;
		len -= line;
	}
	ret[n] = '\0';
}

static const char *signal_name(int number)
{
	const char *name = sigabbrev_np(number);

	return name ? name : "?";
}

void hook_explain(const char *name, bool asked, const struct hook_outcome *o,
		  char ret[HOOK_SENTENCE_MAX])
{
	const char *rest = asked ? "; it is taken to object, and nothing was changed" : "";
	const char *colon = *o->reason ? ": " : "";

	switch (o->how) {
	case HOOK_EXITED:
		if (asked && *o->reason)
			snprintf(ret, HOOK_SENTENCE_MAX, "hook %s: %s", name, o->reason);
		else if (asked)
			snprintf(ret, HOOK_SENTENCE_MAX,
				 "hook %s objects and does not say why (exit status %d)", name,
				 o->code);
		else
			snprintf(ret, HOOK_SENTENCE_MAX, "hook %s: exit status %d%s%s", name,
				 o->code, colon, o->reason);
		break;
	case HOOK_KILLED:
		snprintf(ret, HOOK_SENTENCE_MAX, "hook %s was killed by signal %d (%s)%s", name,
			 o->code, signal_name(o->code), rest);
		break;
	case HOOK_LATE:
		snprintf(ret, HOOK_SENTENCE_MAX,
			 "hook %s had not ended after %g s (HookTimeout=) and was killed%s", name,
			 o->code / 1000.0, rest);
		break;
	case HOOK_UNSTARTED:
		snprintf(ret, HOOK_SENTENCE_MAX, "hook %s cannot be run: %s%s", name,
			 strerrordesc_np(-o->code), rest);
		break;
	case HOOK_LOST:
		snprintf(ret, HOOK_SENTENCE_MAX,
			 "hook %s went with its unit (journalctl -u 'vcpuhp-hook@*' may say why)%s",
			 name, rest);
		break;
	}
}
