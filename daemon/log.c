/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#define SD_JOURNAL_SUPPRESS_LOCATION /* that of the caller is given */
#include <systemd/sd-journal.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048, OWN_FIELDS = 8 };

/* "DEVICE:INODE" of standard error. */
static void name_stream(char buf[64])
{
	struct stat st;

	buf[0] = '\0';
	if (fstat(STDERR_FILENO, &st) == 0)
		snprintf(buf, 64, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
}

/* The name may have been inherited by one whose standard error goes elsewhere. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[64];

	if (!stream)
		return false;
	name_stream(ours);
	return strcmp(stream, ours) == 0;
}

static void take(struct iovec *iov, int *n, const char *field)
{
	iov[(*n)++] =
		(struct iovec){ .iov_base = (char *)(uintptr_t)field, .iov_len = strlen(field) };
}

/* Return: 0 or -errno. */
static int send_entry(const struct log_head *head, const char *sentence)
{
	struct iovec iov[OWN_FIELDS + JOURNAL_FIELDS_MAX];
	struct journal_fields own;
	int n = 0;

	journal_fields_init(&own);
	journal_field(&own, "MESSAGE", "%s", sentence);
	journal_field(&own, "PRIORITY", "%d", head->priority);
	journal_field(&own, "CODE_FILE", "%s", head->file);
	journal_field(&own, "CODE_LINE", "%d", head->line);
	journal_field(&own, "CODE_FUNC", "%s", head->function);
	if (head->message)
		journal_field(&own, "MESSAGE_ID", "%s", journal_message_def(head->message)->id);
	if (head->domain)
		journal_field(&own, "VCPUHP_DOMAIN", "%s", head->domain);
	for (unsigned int i = 0; i < own.n; i++)
		take(iov, &n, journal_field_at(&own, i));
	for (unsigned int i = 0; head->fields && i < head->fields->n; i++)
		take(iov, &n, journal_field_at(head->fields, i));
	return sd_journal_sendv(iov, n);
}

static void write_line(int priority, bool journal, const char *sentence)
{
	char line[LINE_MAX_BYTES + 8];
	int n;

	if (journal)
		n = snprintf(line, sizeof(line), "<%d>%s\n", priority, sentence);
	else
		n = snprintf(line, sizeof(line), "%s\n", sentence);
	if (n > 0)
		(void)!write(STDERR_FILENO, line, (size_t)n);
}

void log_write(const struct log_head *head, const char *fmt, ...)
{
	char sentence[LINE_MAX_BYTES] = "";
	bool journal;
	int at = 0;
	va_list ap;

	if (head->priority == LOG_DEBUG && !getenv("VCPUHP_DEBUG"))
		return;
	if (head->domain)
		at = snprintf(sentence, sizeof(sentence), "%.128s: ", head->domain);
	va_start(ap, fmt);
	(void)vsnprintf(sentence + at, sizeof(sentence) - (size_t)at, fmt, ap);
	va_end(ap);
	journal_clean(sentence);
	journal = is_journal();
	if (!journal || head->last || send_entry(head, sentence) < 0)
		write_line(head->priority, journal, sentence);
}

bool log_to_journal(void)
{
	char stream[64];
	bool sent;
	int fd;

	if (getenv("JOURNAL_STREAM"))
		return false;
	fd = sd_journal_stream_fd("vcpuhpd", LOG_INFO, 1);
	if (fd < 0)
		return false;
	sent = dup2(fd, STDERR_FILENO) >= 0;
	close(fd);
	name_stream(stream);
	if (sent)
		setenv("JOURNAL_STREAM", stream, 1);
	return sent;
}
