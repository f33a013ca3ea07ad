/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SIM_SERVE_H
#define TESTS_SIM_SERVE_H

#include <stdint.h>

/**
 * serve_domains() - simulated domains for a daemon of its own process, in real time
 * @folder: gets their sockets, NAME.qmp and NAME.agent
 *
 * Orders come from stdin, one a line, and each is answered by a line of JSON: see serve.c.
 *
 * Return: the exit status; when stdin ends.
 */
int serve_domains(const char *folder, unsigned int domains, uint64_t seed);

#endif
