/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * Theory of operation
 *
 * Text in, one struct out. The syntax is the part of systemd's that a small agent needs: comments
 * by '#' and ';', one section, Key=Value with blanks around both cut off. No quoting, no
 * continuation lines. A later line of a key wins; Cpuset= adds to its list, and empty forgets it.
 * So the main file and its drop-ins are parsed one after the other into the same struct.
 *
 * The text is trusted no further than its bytes: it need not end in NUL or a newline, and control
 * characters are errors. Whatever cannot be understood is an error with its line, since a typing
 * mistake that is passed over would only show at the next plug. All is parsed into a copy: of a
 * file with an error nothing is taken.
 */
#include "guest-agent/agent-config.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

/* A stretch of the file's text, not NUL-terminated. */
struct span {
	const char *s;
	size_t len;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span x)
{
	while (x.len > 0 && is_blank(x.s[0])) {
		x.s++;
		x.len--;
	}
	while (x.len > 0 && is_blank(x.s[x.len - 1]))
		x.len--;
	return x;
}

static bool span_is(struct span x, const char *word)
{
	return x.len == strlen(word) && memcmp(x.s, word, x.len) == 0;
}

static bool has_control(struct span x)
{
	for (size_t i = 0; i < x.len; i++) {
		unsigned char c = (unsigned char)x.s[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

/* True when every part between slashes is there and is neither "." nor "..". */
static bool parts_are_plain(struct span x)
{
	size_t start = 0;

	for (size_t i = 0; i <= x.len; i++) {
		struct span part = { x.s + start, i - start };

		if (i < x.len && x.s[i] != '/')
			continue;
		if (part.len == 0 || span_is(part, ".") || span_is(part, ".."))
			return false;
		start = i + 1;
	}
	return true;
}

static bool is_absolute(struct span x)
{
	return x.len > 1 && x.s[0] == '/' && parts_are_plain((struct span){ x.s + 1, x.len - 1 });
}

static bool is_port_name(struct span x)
{
	static const char extra[] = "._-";

	for (size_t i = 0; i < x.len; i++) {
		char c = x.s[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      memchr(extra, c, sizeof(extra) - 1)))
			return false;
	}
	/* A name becomes part of a path in sysfs: ".." is none. */
	return parts_are_plain(x);
}

static void copy_path(char to[CONFIG_PATH_MAX], struct span x)
{
	memcpy(to, x.s, x.len);
	to[x.len] = '\0';
}

/* Each setter returns NULL, or what is wrong with the value. */
static const char *set_port(struct agent_config *c, struct span v)
{
	if (v.len >= CONFIG_PATH_MAX)
		return "Port= is too long";
	if (!is_absolute(v) && !is_port_name(v))
		return "Port= is neither an absolute path nor a virtio port name";
	copy_path(c->port, v);
	return NULL;
}

static const char *set_callbacks(struct agent_config *c, struct span v)
{
	if (v.len >= CONFIG_PATH_MAX)
		return "Callbacks= is too long";
	if (!is_absolute(v))
		return "Callbacks= is not an absolute path without \".\" and \"..\"";
	copy_path(c->callbacks, v);
	return NULL;
}

static const char *set_expedite(struct agent_config *c, struct span v)
{
	if (span_is(v, "auto"))
		c->expedite = EXPEDITE_AUTO;
	else if (span_is(v, "yes"))
		c->expedite = EXPEDITE_YES;
	else if (span_is(v, "no"))
		c->expedite = EXPEDITE_NO;
	else
		return "Expedite= is none of auto, yes, no";
	return NULL;
}

static const char *set_irq(struct agent_config *c, struct span v)
{
	if (span_is(v, "off"))
		c->irq = IRQ_OFF;
	else if (span_is(v, "spread"))
		c->irq = IRQ_SPREAD;
	else
		return "Irq= is neither off nor spread";
	return NULL;
}

static const char *set_cpuset(struct agent_config *c, struct span v)
{
	/* As in systemd's lists an empty value forgets what earlier files gave. */
	if (v.len == 0) {
		c->n_cpusets = 0;
		return NULL;
	}
	if (v.len >= CONFIG_PATH_MAX)
		return "Cpuset= is too long";
	if (!parts_are_plain(v))
		return "Cpuset= is not a group path like system.slice (relative, no \"..\")";
	for (size_t i = 0; i < c->n_cpusets; i++) {
		if (span_is(v, c->cpusets[i]))
			return NULL;
	}
	if (c->n_cpusets == CONFIG_CPUSETS_MAX)
		return "too many Cpuset= lines, at most 16";
	copy_path(c->cpusets[c->n_cpusets++], v);
	return NULL;
}

static const struct {
	struct agent_config_key key;
	const char *(*set)(struct agent_config *c, struct span value);
} keys[] = {
	{ { "Port", "org.vcpuhp.agent.0" }, set_port },
	{ { "Callbacks", "/etc/vcpuhp/cpuhp.d" }, set_callbacks },
	{ { "Expedite", "auto" }, set_expedite },
	{ { "Irq", "off" }, set_irq },
	{ { "Cpuset", "" }, set_cpuset },
};

enum { N_KEYS = sizeof(keys) / sizeof(keys[0]) };

const struct agent_config_key *agent_config_key_at(size_t i)
{
	return i < N_KEYS ? &keys[i].key : NULL;
}

static const char *parse_pair(struct agent_config *c, struct span line)
{
	const char *eq = memchr(line.s, '=', line.len);
	struct span key, value;

	if (!eq)
		return "neither a [section] nor Key=Value";
	key = trim((struct span){ line.s, (size_t)(eq - line.s) });
	value = trim((struct span){ eq + 1, line.len - (size_t)(eq - line.s) - 1 });
	for (size_t i = 0; i < N_KEYS; i++) {
		if (span_is(key, keys[i].key.name))
			return keys[i].set(c, value);
	}
	return "unknown key";
}

static const char *parse_line(struct agent_config *c, struct span line, bool *in_section)
{
	line = trim(line);
	if (has_control(line))
		return "a control character in the line";
	if (line.len == 0 || line.s[0] == '#' || line.s[0] == ';')
		return NULL;
	if (line.s[0] == '[') {
		if (!span_is(line, "[Agent]"))
			return "unknown section, only [Agent] exists";
		*in_section = true;
		return NULL;
	}
	if (!*in_section)
		return "a line before [Agent]";
	return parse_pair(c, line);
}

void agent_config_defaults(struct agent_config *c)
{
	*c = (struct agent_config){ 0 };
	for (size_t i = 0; i < N_KEYS; i++) {
		const char *text = keys[i].key.fallback;
		const char *why = keys[i].set(c, (struct span){ text, strlen(text) });

		assert(!why);
		(void)why;
	}
}

int agent_config_parse(struct agent_config *c, const char *text, size_t len, unsigned int *ret_line,
		       const char **ret_why)
{
	struct agent_config next = *c;
	bool in_section = false;
	unsigned int number = 0;

	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		struct span line = { text, end ? (size_t)(end - text) : len };
		size_t taken = end ? line.len + 1 : len;
		const char *why = parse_line(&next, line, &in_section);

		number++;
		if (why) {
			*ret_line = number;
			*ret_why = why;
			return -EINVAL;
		}
		text += taken;
		len -= taken;
	}
	*c = next;
	return 0;
}
