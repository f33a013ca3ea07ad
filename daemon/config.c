/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * Theory of operation
 *
 * One table names every key with its type, default and help text; reading a value is finding its
 * row and calling the row's parser on the row's field.
 *
 * libinih splits lines into keys and values. It gets each line from read_line(), which counts them
 * for the error sentences, strips leading blanks (libinih would take such a line for more of the
 * value above it) and reads section headers itself (libinih cuts their names off at 49 bytes).
 *
 * The first error ends it all: a daemon that runs by half of its configuration is worse than one
 * that says what is wrong. Everything unknown is an error. A later value of a key replaces the
 * earlier one, so a drop-in can change a domain of the main file; in one file a domain stands
 * once.
 */
#include "daemon/config-key.h"
#include "daemon/config-value.h"
#include <assert.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum section { SECTION_NONE, SECTION_DAEMON, SECTION_LIBVIRT, SECTION_DOMAIN };

struct row {
	struct config_key key;
	int (*parse)(const char *text, void *field);
	size_t offset; /* of the field in struct config or struct domain_config */
};

#define DAEMON(field) offsetof(struct config, field)
#define DOMAIN(field) offsetof(struct domain_config, field)
#define PATH "an absolute path of at most 107 bytes"
#define LISTEN "an absolute path of at most 103 bytes, 127.0.0.1:PORT or [::1]:PORT"
#define FOLDER "an absolute path of at most 255 bytes, or nothing"

static const struct row rows[] = {
	{ { "Daemon", "AllowFaultInjection", "boolean", "no",
	    "Let root and the daemon's user arm one-shot failures of steps." },
	  config_value_bool,
	  DAEMON(allow_fault_injection) },
	{ { "Daemon", "Operators", "groups", "",
	    "Groups whose members may change domains; an @ may stand before a name." },
	  config_value_names,
	  DAEMON(operators) },
	{ { "Daemon", "MetricsListen", LISTEN, "",
	    "Where the metrics are served over HTTP (empty: nowhere)." },
	  config_value_listen,
	  DAEMON(metrics_listen) },
	{ { "Daemon", "QmpReplySec", "seconds", "5", "Deadline of one reply of QEMU's." },
	  config_value_seconds,
	  DAEMON(deadlines.qmp_reply_ms) },
	{ { "Daemon", "GuestPresentSec", "seconds", "10",
	    "Deadline for the guest to report a plugged vCPU present." },
	  config_value_seconds,
	  DAEMON(deadlines.guest_present_ms) },
	{ { "Daemon", "EjectSec", "seconds", "5",
	    "How long an unplug may take before the guest is asked for it once more." },
	  config_value_seconds,
	  DAEMON(deadlines.eject_soft_ms) },
	{ { "Daemon", "EjectMaxSec", "seconds", "30",
	    "How long an unplug may take before it is reported as pending; not below EjectSec=." },
	  config_value_seconds,
	  DAEMON(deadlines.eject_hard_ms) },
	{ { "Daemon", "AgentPingSec", "seconds", "1", "Deadline of the agent's answer to a ping." },
	  config_value_seconds,
	  DAEMON(deadlines.agent_ping_ms) },
	{ { "Daemon", "AgentWaitSec", "seconds", "10",
	    "How long an operation waits for an agent to appear; the same under TCG." },
	  config_value_seconds,
	  DAEMON(deadlines.agent_wait_ms) },
	{ { "Daemon", "OperationSec", "seconds", "120",
	    "Deadline of an operation that names none of its own." },
	  config_value_seconds,
	  DAEMON(deadlines.operation_ms) },
	{ { "Daemon", "LoadIntervalSec", "seconds, 1 or more, or 0", "0",
	    "How often the agents tell their guest's load; 0: only while a client watches it." },
	  config_value_interval,
	  DAEMON(load_interval) },
	{ { "Daemon", "HookDirectory", FOLDER, "/etc/vcpuhp/hooks.d",
	    "Folder of the programs that may refuse operations and are told of what happens." },
	  config_value_folder,
	  DAEMON(hook_dir) },
	{ { "Daemon", "HookTimeout", "seconds", "10",
	    "How long one of them may run before it is ended." },
	  config_value_seconds,
	  DAEMON(hook_timeout_ms) },
	{ { "Libvirt", "URI", "URI", "qemu:///system",
	    "The libvirtd whose running domains with the channel org.vcpuhp.agent.0 are managed." },
	  config_value_uri,
	  DAEMON(libvirt_uri) },
	{ { "Domain", "QMP", PATH, "",
	    "QMP socket of the domain, not used by anything else; none for a domain of libvirt's." },
	  config_value_path,
	  DOMAIN(qmp) },
	{ { "Domain", "Agent", PATH, "",
	    "Socket of the domain's virtio-serial port org.vcpuhp.agent.0." },
	  config_value_path,
	  DOMAIN(agent) },
	{ { "Domain", "MaxVcpus", "1 to 65535", "",
	    "Policy ceiling on present vCPUs, below QEMU's maximum." },
	  config_value_count,
	  DOMAIN(max_vcpus) },
	{ { "Domain", "Place", "none or a CPU list", "none",
	    "Host CPUs that the threads of plugged vCPUs are pinned to." },
	  config_value_place,
	  0 },
	{ { "Domain", "Foreign", "online or leave", "leave, on libvirt online",
	    "What happens to vCPUs that others plugged and the guest has offline." },
	  config_value_foreign,
	  DOMAIN(foreign) },
	{ { "Domain", "OneByOne", "auto, yes or no", "auto",
	    "Plug the next vCPU only after the guest has confirmed the last." },
	  config_value_one_by_one,
	  DOMAIN(one_by_one) },
	{ { "Domain", "LoadIntervalSec", "seconds, 1 or more, or 0", "as in [Daemon]",
	    "The same for this domain." },
	  config_value_interval,
	  DOMAIN(load_interval) },
	{ { "Domain", "Allow", "users and @groups", "",
	    "Which of the operators may change this domain (empty: all)." },
	  config_value_names,
	  DOMAIN(allow) },
};

enum { N_ROWS = sizeof(rows) / sizeof(*rows) };

/* Where a domain was declared, or a key set last; @unit tells the files apart, in their order. */
struct origin {
	const char *file; /* as config_parse() was given it; NULL nowhere */
	unsigned int line;
	size_t unit;
};

/**
 * struct reading - the state of reading one configuration
 * @file, @text, @len, @at, @line, @unit: the file under way
 * @error: the first one, NULL none
 * @rc: of that error
 */
struct reading {
	const char *file;
	const char *text;
	size_t len;
	size_t at;
	unsigned int line;
	size_t unit;
	enum section section;
	struct domain_config *domain;
	struct config *config;
	struct origin *origins; /* parallel to config->domains */
	struct origin set[N_ROWS];
	char *error;
	int rc;
};

const struct config_key *config_key_at(size_t i)
{
	return i < N_ROWS ? &rows[i].key : NULL;
}

bool config_is_name(const char *s)
{
	size_t len =
		strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-");

	return len >= 1 && len <= CONFIG_NAME_MAX && !s[len];
}

struct domain_config *domain_config_free(struct domain_config *d)
{
	if (!d)
		return NULL;
	free(d->qmp);
	free(d->agent);
	config_names_free(d->allow);
	free(d);
	return NULL;
}

struct domain_config *domain_config_copy(const struct domain_config *d)
{
	struct domain_config *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	*c = *d;
	c->qmp = d->qmp ? strdup(d->qmp) : NULL;
	c->agent = d->agent ? strdup(d->agent) : NULL;
	c->allow = config_names_copy(d->allow);
	if (!c->qmp != !d->qmp || !c->agent != !d->agent || !c->allow != !d->allow)
		return domain_config_free(c);
	return c;
}

static bool is_same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

bool domain_config_share_socket(const struct domain_config *a, const struct domain_config *b)
{
	return is_same(a->qmp, b->qmp) || is_same(a->agent, b->agent) ||
	       is_same(a->qmp, b->agent) || is_same(a->agent, b->qmp);
}

struct config *config_free(struct config *c)
{
	if (!c || c->refs-- > 0)
		return NULL;
	for (size_t i = 0; i < c->n_domains; i++)
		domain_config_free(c->domains[i]);
	free(c->domains);
	config_names_free(c->operators);
	free(c->metrics_listen);
	free(c->libvirt_uri);
	free(c->hook_dir);
	free(c);
	return NULL;
}

/* Keep the first error. 0 for @line: the file as a whole. */
__attribute__((format(printf, 5, 6))) static void fail(struct reading *r, int rc, const char *file,
						       unsigned int line, const char *format, ...)
{
	char text[512], where[16] = "";
	va_list ap;

	if (r->rc < 0)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (line > 0)
		snprintf(where, sizeof(where), "%u:", line);
	r->rc = rc;
	if (asprintf(&r->error, "%s:%s %s", file, where, text) < 0)
		r->error = NULL;
}

#define fail_here(r, ...) fail((r), -EINVAL, (r)->file, (r)->line, __VA_ARGS__)

static void out_of_memory(struct reading *r)
{
	fail(r, -ENOMEM, r->file, 0, "out of memory");
}

static int add_domain(struct reading *r, const char *name)
{
	struct config *c = r->config;
	struct domain_config **domains;
	struct origin *origins;

	domains = realloc(c->domains, (c->n_domains + 2) * sizeof(struct domain_config *));
	if (!domains)
		return -ENOMEM;
	c->domains = domains;
	domains[c->n_domains] = NULL;
	origins = realloc(r->origins, (c->n_domains + 1) * sizeof(*origins));
	if (!origins)
		return -ENOMEM;
	r->origins = origins;
	origins[c->n_domains] = (struct origin){ r->file, r->line, r->unit };
	r->domain = calloc(1, sizeof(*r->domain));
	if (!r->domain)
		return -ENOMEM;
	snprintf(r->domain->name, sizeof(r->domain->name), "%s", name);
	domains[c->n_domains++] = r->domain;
	domains[c->n_domains] = NULL;
	return 0;
}

static void enter_domain(struct reading *r, const char *name)
{
	struct config *c = r->config;

	r->section = SECTION_DOMAIN;
	if (!config_is_name(name)) {
		fail_here(r, "not a domain name: %s", name);
		return;
	}
	for (size_t i = 0; i < c->n_domains; i++) {
		if (strcmp(c->domains[i]->name, name) != 0)
			continue;
		if (r->origins[i].unit == r->unit)
			fail_here(r, "domain %s stands twice, first in line %u", name,
				  r->origins[i].line);
		r->origins[i].unit = r->unit;
		r->domain = c->domains[i];
		return;
	}
	if (add_domain(r, name) < 0)
		out_of_memory(r);
}

static void enter_libvirt(struct reading *r)
{
	r->section = SECTION_LIBVIRT;
	r->config->libvirt = true;
}

static void enter_section(struct reading *r, char *header)
{
	char *end = strchr(header, ']');

	if (!end || end[1 + strspn(end + 1, " \t\r")]) {
		fail_here(r, "a section header ends with ]");
		return;
	}
	*end = '\0';
	header++;
	if (strcmp(header, "Daemon") == 0)
		r->section = SECTION_DAEMON;
	else if (strcmp(header, "Libvirt") == 0)
		enter_libvirt(r);
	else if (strncmp(header, "Domain ", 7) == 0)
		enter_domain(r, header + 7 + strspn(header + 7, " \t"));
	else
		fail_here(r, "unknown section [%s]", header);
}

static bool is_clean(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((line[i] >= 0 && line[i] < 0x20 && line[i] != '\t' && line[i] != '\r') ||
		    line[i] == 0x7f)
			return false;
	return true;
}

static bool take_line(struct reading *r, const char **ret, size_t *ret_len)
{
	const char *line = r->text + r->at, *end;

	if (r->at >= r->len)
		return false;
	end = memchr(line, '\n', r->len - r->at);
	*ret_len = end ? (size_t)(end - line) : r->len - r->at;
	r->at += *ret_len + (end != NULL);
	r->line++;
	while (*ret_len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		(*ret_len)--;
	}
	*ret = line;
	return true;
}

/* libinih's fgets(): a line with its newline, empty where there is nothing for it. */
static char *read_line(char *buf, int size, void *stream)
{
	struct reading *r = stream;
	const char *line;
	size_t len;

	if (size < 2 || r->rc < 0 || !take_line(r, &line, &len))
		return NULL;
	if (!is_clean(line, len)) {
		fail_here(r, "a control byte");
		len = 0;
	} else if (len + 2 > (size_t)size) {
		fail_here(r, "a line above %d bytes", size - 2);
		len = 0;
	}
	memcpy(buf, line, len);
	buf[len] = '\0';
	if (buf[0] == '[') {
		enter_section(r, buf);
		len = 0;
	}
	buf[len] = '\n';
	buf[len + 1] = '\0';
	return buf;
}

static const char *section_name(enum section s)
{
	static const char *const names[] = { "", "Daemon", "Libvirt", "Domain" };

	return names[s];
}

static const struct row *find_row(const char *section, const char *name)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (strcmp(rows[i].key.section, section) == 0 &&
		    strcmp(rows[i].key.name, name) == 0)
			return &rows[i];
	return NULL;
}

static void set_value(struct reading *r, const struct row *row, const char *value)
{
	char *base = r->section == SECTION_DOMAIN ? (char *)r->domain : (char *)r->config;
	int rc;

	rc = row->parse(value, base + row->offset);
	if (rc == -ENOMEM)
		out_of_memory(r);
	else if (rc < 0)
		fail_here(r, "%s= takes %s, not \"%s\"", row->key.name, row->key.type, value);
	else
		r->set[row - rows] = (struct origin){ r->file, r->line, r->unit };
}

static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	const struct row *row;

	if (r->rc < 0)
		return 0;
	row = find_row(section_name(r->section), name);
	if (r->section == SECTION_NONE)
		fail_here(r, "%s= stands before any section", name);
	else if (!row)
		fail_here(r, "unknown key %s= in [%s]", name, section_name(r->section));
	else
		set_value(r, row, value);
	return r->rc == 0;
}

static void parse_text(struct reading *r, const char *name, const char *text, size_t len)
{
	static const char bom[] = "\xef\xbb\xbf";
	int bad;

	r->file = name;
	r->text = text;
	r->len = len;
	r->at = len >= 3 && memcmp(text, bom, 3) == 0 ? 3 : 0;
	r->line = 0;
	r->unit++;
	r->section = SECTION_NONE;
	r->domain = NULL;
	bad = ini_parse_stream(read_line, r, on_key, r);
	/* libinih goes on behind such a line, so a later line may have been complained of first. */
	if (r->rc == -EINVAL && bad > 0 && (unsigned int)bad < r->line) {
		free(r->error);
		r->rc = 0;
	}
	if (bad > 0 && r->rc == 0)
		fail(r, -EINVAL, name, (unsigned int)bad, "not a KEY=VALUE line");
	if (bad < 0) /* libinih takes memory of its own, for a line */
		out_of_memory(r);
}

static void check_domain(struct reading *r, size_t i)
{
	const struct domain_config *d = r->config->domains[i];
	const struct origin *o = &r->origins[i];

	if (!d->qmp && !d->agent && r->config->libvirt)
		return;
	if (!d->qmp)
		fail(r, -EINVAL, o->file, o->line, "domain %s needs QMP=", d->name);
	if (!d->agent)
		fail(r, -EINVAL, o->file, o->line, "domain %s needs Agent=", d->name);
	for (size_t k = 0; r->rc == 0 && k < i; k++)
		if (domain_config_share_socket(r->config->domains[k], d))
			fail(r, -EINVAL, o->file, o->line, "domain %s has a socket of domain %s",
			     d->name, r->config->domains[k]->name);
}

static bool is_later(const struct origin *a, const struct origin *b)
{
	return a->unit != b->unit ? a->unit > b->unit : a->line > b->line;
}

/* To be told where the later of the two stands, which made them contradict each other. */
static void check_eject(struct reading *r)
{
	const struct row *soft = find_row("Daemon", "EjectSec"), *last = soft;
	const struct row *other = find_row("Daemon", "EjectMaxSec");
	const struct origin *at, *before;
	static const char what[] = "EjectMaxSec= is below EjectSec=";

	if (r->config->deadlines.eject_hard_ms >= r->config->deadlines.eject_soft_ms)
		return;
	if (is_later(&r->set[other - rows], &r->set[soft - rows])) {
		last = other;
		other = soft;
	}
	at = &r->set[last - rows];
	before = &r->set[other - rows];
	if (before->file)
		fail(r, -EINVAL, at->file, at->line, "%s; %s= stands in %s:%u", what,
		     other->key.name, before->file, before->line);
	else
		fail(r, -EINVAL, at->file, at->line, "%s; %s= is %s by default", what,
		     other->key.name, other->key.fallback);
}

static void check(struct reading *r)
{
	check_eject(r);
	for (size_t i = 0; r->rc == 0 && i < r->config->n_domains; i++)
		check_domain(r, i);
}

static int begin(struct reading *r)
{
	struct config *c = calloc(1, sizeof(*c));
	int rc = c ? 0 : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < N_ROWS; i++)
		if (strcmp(rows[i].key.section, "Domain") != 0)
			rc = rows[i].parse(rows[i].key.fallback, (char *)c + rows[i].offset);
	if (rc < 0 && rc != -ENOMEM)
		abort();
	assert(rc < 0 || c->n_domains == 0);
	if (rc < 0) {
		config_free(c);
		return rc;
	}
	*r = (struct reading){ .config = c };
	return 0;
}

static int end(struct reading *r, struct config **ret, char **ret_error)
{
	if (r->rc == 0)
		check(r);
	free(r->origins);
	if (r->rc < 0) {
		config_free(r->config);
		*ret_error = r->error;
		return r->rc;
	}
	*ret = r->config;
	return 0;
}

int config_parse(const char *const *names, const char *const *texts, const size_t *lens, size_t n,
		 struct config **ret, char **ret_error)
{
	struct reading r;

	if (begin(&r) < 0) {
		*ret_error = NULL;
		return -ENOMEM;
	}
	for (size_t i = 0; r.rc == 0 && i < n; i++)
		parse_text(&r, names[i], texts[i], lens[i]);
	return end(&r, ret, ret_error);
}
