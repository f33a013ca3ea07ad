/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/output.h"
#include "daemon/ctl/value.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 sequence at @p, 0 if it is none or a control character. */
static size_t sequence(const unsigned char *p)
{
	size_t n;

	if (*p < 0x80)
		return *p >= 0x20 && *p != 0x7f;
	n = *p >= 0xf0 && *p <= 0xf4  ? 4
	    : *p >= 0xe0 && *p < 0xf0 ? 3
	    : *p >= 0xc2 && *p < 0xe0 ? 2
				      : 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* U+0080 to U+009F are control characters too. */
	return n == 2 && p[0] == 0xc2 && p[1] < 0xa0 ? 0 : n;
}

const char *output_clean(const char *text, char *buf, size_t size)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = 0;

	while (*p) {
		size_t n = sequence(p);

		if (len + (n ? n : 1) >= size)
			break;
		if (n)
			memcpy(buf + len, p, n);
		else
			buf[len] = '?';
		len += n ? n : 1;
		p += n ? n : 1;
	}
	buf[len] = '\0';
	return buf;
}

void output_json(FILE *f, json_object *value)
{
	fprintf(f, "%s\n",
		json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE));
	fflush(f);
}

const char *output_cell(json_object *value, char *buf, size_t size)
{
	switch (json_object_get_type(value)) {
	case json_type_null:
		return output_clean("-", buf, size);
	case json_type_boolean:
		return output_clean(json_object_get_boolean(value) ? "yes" : "no", buf, size);
	case json_type_string:
		return output_clean(json_object_get_string(value), buf, size);
	case json_type_int:
	case json_type_double:
	case json_type_array:
	case json_type_object:
		break;
	}
	return output_clean(json_object_to_json_string_ext(
				    value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
			    buf, size);
}

struct table {
	unsigned int n_columns;
	const char *const *headers;
	char **cells;
	size_t n_cells;
	int rc;
};

struct table *table_new(unsigned int n_columns, const char *const *headers)
{
	struct table *t = calloc(1, sizeof(*t));

	assert(n_columns > 0 && n_columns <= TABLE_COLUMNS_MAX);
	if (t) {
		t->n_columns = n_columns;
		t->headers = headers;
	}
	return t;
}

struct table *table_free(struct table *t)
{
	if (!t)
		return NULL;
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
	return NULL;
}

void table_add(struct table *t, const char *text)
{
	char buf[CELL_MAX];
	char **p;

	if (!t || t->rc < 0)
		return;
	p = reallocarray(t->cells, t->n_cells + 1, sizeof(*p));
	if (p)
		t->cells = p;
	if (!p || !(p[t->n_cells] = strdup(output_clean(text, buf, sizeof(buf))))) {
		t->rc = -ENOMEM;
		return;
	}
	t->n_cells++;
}

void table_add_value(struct table *t, json_object *o, const char *key)
{
	char buf[CELL_MAX];

	table_add(t, output_cell(value_get(o, key), buf, sizeof(buf)));
}

/* Columns of a terminal: one for each character, which is enough for names and numbers. */
static int columns(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static int column_width(const struct table *t, unsigned int column)
{
	int width = columns(t->headers[column]);

	for (size_t i = column; i < t->n_cells; i += t->n_columns)
		if (columns(t->cells[i]) > width)
			width = columns(t->cells[i]);
	return width;
}

static void print_cell(FILE *f, const char *text, int width, bool last)
{
	if (last)
		fprintf(f, "%s\n", text);
	else
		fprintf(f, "%s%*s", text, width - columns(text) + 2, "");
}

int table_print(struct table *t, FILE *f)
{
	int widths[TABLE_COLUMNS_MAX];

	if (!t || t->rc < 0)
		return -ENOMEM;
	assert(t->n_columns > 0);
	for (unsigned int i = 0; i < t->n_columns; i++)
		widths[i] = column_width(t, i);
	for (unsigned int i = 0; i < t->n_columns; i++)
		print_cell(f, t->headers[i], widths[i], i + 1 == t->n_columns);
	for (size_t i = 0; i < t->n_cells; i++) {
		unsigned int column = (unsigned int)(i % t->n_columns);

		print_cell(f, t->cells[i], widths[column], column + 1 == t->n_columns);
	}
	return 0;
}
