/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

void log_line(int priority, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	int at = 0, n;
	va_list ap;

	if (priority == LOG_DEBUG && !getenv("VCPUHP_DEBUG"))
		return;
	if (getenv("JOURNAL_STREAM"))
		at = snprintf(line, sizeof(line), "<%d>", priority);
	va_start(ap, fmt);
	n = vsnprintf(line + at, sizeof(line) - 1 - (size_t)at, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	n = (int)strlen(line);
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[n] = '\n';
	(void)!write(STDERR_FILENO, line, (size_t)n + 1);
}

bool log_to_journal(void)
{
	char stream[64];
	struct stat st;
	bool sent;
	int fd;

	if (getenv("JOURNAL_STREAM"))
		return false;
	fd = sd_journal_stream_fd("vcpuhpd", LOG_INFO, 1);
	if (fd < 0)
		return false;
	sent = dup2(fd, STDERR_FILENO) >= 0;
	if (sent && fstat(STDERR_FILENO, &st) == 0) {
		snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
			 (uintmax_t)st.st_ino);
		setenv("JOURNAL_STREAM", stream, 1);
	}
	close(fd);
	return sent;
}
