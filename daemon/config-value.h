/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_CONFIG_VALUE_H
#define DAEMON_CONFIG_VALUE_H

#include "daemon/config.h"

/*
 * One parser for each type of configuration value. All take the text and the field: 0, -ENOMEM, or
 * -EINVAL with the field untouched. What is on the heap and replaced is freed.
 */

int config_value_bool(const char *text, void *field);       /* bool */
int config_value_seconds(const char *text, void *field);    /* unsigned int, in ms */
int config_value_interval(const char *text, void *field);   /* struct load_interval */
int config_value_count(const char *text, void *field);      /* unsigned int, 1 to 65535 */
int config_value_path(const char *text, void *field);       /* char *, fits a socket's address */
int config_value_listen(const char *text, void *field);     /* char *, NULL for none */
int config_value_folder(const char *text, void *field);     /* char *, NULL for "" */
int config_value_names(const char *text, void *field);      /* char **, each maybe with an @ */
int config_value_place(const char *text, void *field);      /* struct domain_config */
int config_value_uri(const char *text, void *field);        /* char *, replaced */
int config_value_foreign(const char *text, void *field);    /* enum foreign_mode */
int config_value_one_by_one(const char *text, void *field); /* enum one_by_one */

/* The port of "127.0.0.1:PORT" or "[::1]:PORT" and which of them; 0 it is neither. */
unsigned int config_loopback_port(const char *text, bool *ret_v6);

char **config_names_free(char **names);
/* NULL for NULL and when out of memory. */
char **config_names_copy(char *const *names);

#endif
