/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_LOG_H
#define AGENT_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum { LOG_SIZE = 16 << 10 };

/**
 * struct log - what was said and is not on standard error yet
 * @fd: where it goes; a description of our own where one can be had
 * @is_socket: it is one, so that send(2) is what does not wait
 * @used: bytes that wait in @buf
 * @lost: lines left out since @buf was full
 */
struct log {
	int fd;
	bool is_socket;
	size_t used;
	unsigned int lost;
	char buf[LOG_SIZE];
};

/*
 * Lines for standard error, of which nobody knows what stands there: a pipe that is not read, a
 * serial line whose other end said stop. They are gathered, written as far as they are taken, and
 * left out and counted when there is no room. None of these functions waits.
 */
void log_init(struct log *l);

/* Add @len bytes, a line with its newline. */
void log_add(struct log *l, const char *line, size_t len);

/* Write what standard error takes now; the rest stays for the next time. */
void log_flush(struct log *l);

#endif
