/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CTL_OUTPUT_H
#define DAEMON_CTL_OUTPUT_H

#include <json-c/json.h>
#include <stdio.h>

enum { CELL_MAX = 512, TABLE_COLUMNS_MAX = 16 };

/**
 * output_clean() - text of others, made safe for a terminal
 * @buf: returned; control characters and what is no UTF-8 become '?'; cut to @size
 *
 * Return: @buf.
 */
const char *output_clean(const char *text, char *buf, size_t size);

/* One compact object a line, flushed. */
void output_json(FILE *f, json_object *value);

/* A value as table text: "-" for null and what is missing, yes and no, clean text, numbers. */
const char *output_cell(json_object *value, char *buf, size_t size);

/* Columns as wide as their widest cell; the last column is not padded. */
struct table;

/* @headers: @n_columns of them, borrowed, must outlive the table. Return: NULL out of memory. */
struct table *table_new(unsigned int n_columns, const char *const *headers);
struct table *table_free(struct table *t);
/* The next cell, row by row; copied. */
void table_add(struct table *t, const char *text);
void table_add_value(struct table *t, json_object *o, const char *key);
/* Return: 0 or -ENOMEM if a cell was lost. */
int table_print(struct table *t, FILE *f);

static inline void table_freep(struct table **t)
{
	table_free(*t);
}
#define _cleanup_table_ __attribute__((cleanup(table_freep)))

#endif
