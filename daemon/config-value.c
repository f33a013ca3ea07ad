/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
/*
 * Theory of operation
 *
 * A parser takes the whole value, already without blanks around it, and either sets its field or
 * leaves it as it was. Nothing is rounded, clipped or guessed: what the manual page does not
 * show is refused.
 */
#include "daemon/config-value.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SOCKET_PATH_MAX = 107, URI_MAX = 1023, USER_NAME_MAX = 32, MS_MAX = 86400 * 1000 };

struct choice {
	const char *word;
	int value;
};

static int choose(const struct choice *choices, const char *text, int *ret)
{
	for (; choices->word; choices++)
		if (strcmp(choices->word, text) == 0) {
			*ret = choices->value;
			return 0;
		}
	return -EINVAL;
}

int config_value_bool(const char *text, void *field)
{
	static const struct choice choices[] = {
		{ "yes", 1 },   { "true", 1 }, { "on", 1 }, { "1", 1 }, { "no", 0 },
		{ "false", 0 }, { "off", 0 },  { "0", 0 },  { NULL },
	};
	int v, r = choose(choices, text, &v);

	if (r == 0)
		*(bool *)field = v != 0;
	return r;
}

/* Digits, then at most three more behind a point: exact, and not asking the locale. */
int config_value_seconds(const char *text, void *field)
{
	const char *p = text;
	uint64_t ms = 0;
	unsigned int unit = 1000;

	for (; *p >= '0' && *p <= '9' && ms <= MS_MAX; p++)
		ms = ms * 10 + (uint64_t)(*p - '0') * 1000;
	if (p == text)
		return -EINVAL;
	if (*p == '.') {
		if (p[1] < '0' || p[1] > '9')
			return -EINVAL;
		for (p++; *p >= '0' && *p <= '9' && unit > 1; p++) {
			unit /= 10;
			ms += (uint64_t)(*p - '0') * unit;
		}
	}
	if (*p || ms < 1 || ms > MS_MAX)
		return -EINVAL;
	*(unsigned int *)field = (unsigned int)ms;
	return 0;
}

/* Never, or no more often than each second. */
int config_value_interval(const char *text, void *field)
{
	struct load_interval *interval = field;
	unsigned int ms = 0;

	if (strcmp(text, "0") != 0 && (config_value_seconds(text, &ms) < 0 || ms < 1000))
		return -EINVAL;
	*interval = (struct load_interval){ .set = true, .ms = ms };
	return 0;
}

int config_value_count(const char *text, void *field)
{
	size_t len = strspn(text, "0123456789");
	unsigned long v;

	if (len == 0 || len > 5 || text[len])
		return -EINVAL;
	v = strtoul(text, NULL, 10);
	if (v < 1 || v > 65535)
		return -EINVAL;
	*(unsigned int *)field = (unsigned int)v;
	return 0;
}

static int replace(const char *text, char **field)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

int config_value_path(const char *text, void *field)
{
	if (text[0] != '/' || strlen(text) > SOCKET_PATH_MAX)
		return -EINVAL;
	return replace(text, field);
}

static unsigned int read_port(const char *text)
{
	unsigned int port;

	return config_value_count(text, &port) == 0 ? port : 0;
}

unsigned int config_loopback_port(const char *text, bool *ret_v6)
{
	static const char v4[] = "127.0.0.1:", v6[] = "[::1]:";

	*ret_v6 = strncmp(text, v6, strlen(v6)) == 0;
	if (*ret_v6)
		return read_port(text + strlen(v6));
	return strncmp(text, v4, strlen(v4)) == 0 ? read_port(text + strlen(v4)) : 0;
}

/* Whoever listens has a name with four bytes more for a moment. */
int config_value_listen(const char *text, void *field)
{
	char **ret = field;
	bool v6, path = text[0] == '/' && strlen(text) <= SOCKET_PATH_MAX - 4;

	if (*text && !path && config_loopback_port(text, &v6) == 0)
		return -EINVAL;
	if (*text)
		return replace(text, ret);
	free(*ret);
	*ret = NULL;
	return 0;
}

/* A part that leads elsewhere than it is written. */
static bool has_dots(const char *path)
{
	while (*(path += strspn(path, "/"))) {
		size_t len = strcspn(path, "/");

		if (len <= 2 && strspn(path, ".") >= len)
			return true;
		path += len;
	}
	return false;
}

int config_value_folder(const char *text, void *field)
{
	char **folder = field;

	if (!*text) {
		free(*folder);
		*folder = NULL;
		return 0;
	}
	if (text[0] != '/' || strlen(text) > CONFIG_FOLDER_MAX || has_dots(text))
		return -EINVAL;
	return replace(text, folder);
}

/* SCHEME:REST without blanks; what it means is libvirt's to say. */
int config_value_uri(const char *text, void *field)
{
	size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+");

	if (scheme == 0 || text[scheme] != ':' || strpbrk(text, " \t") || strlen(text) > URI_MAX)
		return -EINVAL;
	return replace(text, field);
}

char **config_names_free(char **names)
{
	for (char **p = names; p && *p; p++)
		free(*p);
	free(names);
	return NULL;
}

static size_t count_names(char *const *names)
{
	size_t n = 0;

	while (names && names[n])
		n++;
	return n;
}

char **config_names_copy(char *const *names)
{
	size_t n = count_names(names);
	char **copy = names ? calloc(n + 1, sizeof(*copy)) : NULL;

	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(names[i]);
		if (!copy[i])
			copy = config_names_free(copy);
	}
	return copy;
}

static bool is_user_name(const char *s, size_t len)
{
	if (len < 1 || len > USER_NAME_MAX || *s == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-",
			    s[i]))
			return false;
	return true;
}

static int append(char ***names, const char *word, size_t len)
{
	size_t n = count_names(*names);
	char **more = realloc(*names, (n + 2) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	*names = more;
	more[n] = strndup(word, len);
	more[n + 1] = NULL;
	return more[n] ? 0 : -ENOMEM;
}

/* Words between blanks; an @ may stand before one. */
int config_value_names(const char *text, void *field)
{
	char ***ret = field, **names = NULL;
	int r = 0;

	while (r == 0 && *(text += strspn(text, " \t"))) {
		size_t len = strcspn(text, " \t");
		size_t skip = *text == '@';

		if (is_user_name(text + skip, len - skip))
			r = append(&names, text, len);
		else
			r = -EINVAL;
		text += len;
	}
	if (r < 0) {
		config_names_free(names);
		return r;
	}
	config_names_free(*ret);
	*ret = names;
	return 0;
}

int config_value_place(const char *text, void *field)
{
	struct domain_config *d = field;
	bool none = strcmp(text, "none") == 0;

	if (!none && cpulist_parse(text, &d->place) < 0)
		return -EINVAL;
	d->has_place = !none;
	return 0;
}

int config_value_foreign(const char *text, void *field)
{
	static const struct choice choices[] = {
		{ "online", FOREIGN_ONLINE },
		{ "leave", FOREIGN_LEAVE },
		{ NULL },
	};
	int v, r = choose(choices, text, &v);

	if (r == 0)
		*(enum foreign_mode *)field = v;
	return r;
}

int config_value_one_by_one(const char *text, void *field)
{
	static const struct choice choices[] = {
		{ "auto", ONE_BY_ONE_AUTO },
		{ "yes", ONE_BY_ONE_YES },
		{ "no", ONE_BY_ONE_NO },
		{ NULL },
	};
	int v, r = choose(choices, text, &v);

	if (r == 0)
		*(enum one_by_one *)field = v;
	return r;
}
