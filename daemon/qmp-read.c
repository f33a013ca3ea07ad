/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What comes from QEMU: bytes, lines, and the price of the events among them (qmp.c tells). */
#include "daemon/qmp-internal.h"
#include "daemon/qmp-msg.h"
#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

enum { READ_SIZE = 32 * 1024, FLOOD_SIZE = 8 * READ_SIZE, PAUSE_US = 10000, LINGER_US = 100000 };

uint64_t qmp_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int read_line(struct qmp *q, const char *line, size_t len, const char **ret_why)
{
	struct qmp_msg m;
	int r = qmp_msg_parse(line, len, &m, ret_why);

	if (r < 0)
		return r;
	r = qmp_received(q, &m, len, ret_why);
	qmp_msg_done(&m);
	return r;
}

int qmp_read_lines(struct qmp *q, const char **ret_why)
{
	const char *line;
	size_t len;
	int r = 0;

	q->waiting = false;
	while (r == 0 && q->state != CLOSED && qmp_lines_pop(&q->in, &line, &len)) {
		switch (qmp_budget_judge(&q->budget, line, len)) {
		case QMP_READ:
			r = read_line(q, line, len, ret_why);
			break;
		case QMP_PASS_OVER:
			break;
		case QMP_WAIT:
			qmp_lines_unpop(&q->in, line);
			q->waiting = true;
			return 0;
		}
	}
	return r;
}

/* Return: how many bytes came, 0 none now, -errno. */
static ssize_t receive_some(struct qmp *q, const char **ret_why)
{
	char buf[READ_SIZE];
	ssize_t n = recv(q->fd, buf, sizeof(buf), MSG_DONTWAIT);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		*ret_why = n == 0 ? "QEMU closed the QMP connection" : "the QMP connection broke";
		return n == 0 ? -ECONNRESET : -errno;
	}
	q->heard = true;
	r = qmp_lines_push(&q->in, buf, (size_t)n);
	if (r < 0) {
		*ret_why = r == -EMSGSIZE ? "a QMP line above 1 MiB" : "out of memory";
		return r;
	}
	r = qmp_read_lines(q, ret_why);
	return r < 0 ? r : n;
}

void qmp_pause_reading(struct qmp *q)
{
	uint64_t at = qmp_now_us() + PAUSE_US;

	if (q->waiting && qmp_budget_when(&q->budget) > at)
		at = qmp_budget_when(&q->budget);
	q->lingering = false;
	(void)qmp_listen(q);
	sd_event_source_set_enabled(q->io, SD_EVENT_OFF);
	sd_event_source_set_time(q->thaw, at);
	sd_event_source_set_enabled(q->thaw, SD_EVENT_ONESHOT);
}

int qmp_listen(struct qmp *q)
{
	int r = sd_event_source_set_io_events(q->io, (q->lingering ? 0 : EPOLLIN) |
							     (q->out_len ? EPOLLOUT : 0));

	return r < 0 ? r : 0;
}

/* The loop's own time is one for all that are called in the same turn of it, and so is the moment. */
void qmp_linger(struct qmp *q)
{
	uint64_t now;
	int busy = SD_EVENT_OFF;

	/* A pause has the one timer already, and what ends a lingering does not end it. */
	if (q->state != READY || sd_event_source_get_enabled(q->thaw, &busy) < 0 ||
	    busy != SD_EVENT_OFF || sd_event_now(q->event, CLOCK_MONOTONIC, &now) < 0 ||
	    sd_event_source_set_time(q->thaw, now + LINGER_US) < 0 ||
	    sd_event_source_set_enabled(q->thaw, SD_EVENT_ONESHOT) < 0)
		return;
	q->lingering = true;
	(void)qmp_listen(q);
}

void qmp_hurry(struct qmp *q)
{
	if (!q->lingering)
		return;
	q->lingering = false;
	sd_event_source_set_enabled(q->thaw, SD_EVENT_OFF);
	(void)qmp_listen(q);
}

int qmp_receive(struct qmp *q, const char **ret_why)
{
	size_t taken = 0;
	bool spent;
	ssize_t n;

	/* What was saved up since then counts for what comes now. */
	qmp_budget_is_spent(&q->budget, qmp_now_us());
	do {
		n = receive_some(q, ret_why);
		if (n < 0)
			return (int)n;
		taken += (size_t)n;
		spent = q->state != CLOSED && qmp_budget_is_spent(&q->budget, qmp_now_us());
	} while (spent && n > 0 && !q->waiting && taken < FLOOD_SIZE);
	/* What was passed over is asked for after the pause, also where there are tokens again. */
	if (spent || (q->state != CLOSED && q->budget.missed))
		qmp_pause_reading(q);
	return 0;
}
