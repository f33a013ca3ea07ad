/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Three files of the kernel's, read whole into buffers of fixed size: the two small ones at once, of
 * /proc/stat, which can be long, only the lines of the CPUs, piece by piece. A file is open from the
 * first look until nobody asks any more; one that is missing is looked for again at the next.
 *
 * The parsers take a line of the form they know or nothing at all, and what they did not take is
 * unknown: half of a line is no measure, and 0 would be one. Numbers have at most 18 digits, so that
 * no sum of them overflows.
 */
#include "guest-agent/load-file.h"
#include "proto/cpulist.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define UNKNOWN                                                                             \
	{                                                                                   \
		.avg10 = LOAD_NO_SHARE, .avg60 = LOAD_NO_SHARE, .total_us = LOAD_NO_TIME,   \
		.load1 = LOAD_NO_NUMBER, .load5 = LOAD_NO_NUMBER, .load15 = LOAD_NO_NUMBER, \
		.runnable = LOAD_NO_NUMBER                                                  \
	}

enum { SMALL_SIZE = 512, PIECE_SIZE = 4096, NUMBER_MAX_DIGITS = 18 };

void load_files_init(struct load_files *f)
{
	*f = (struct load_files){ -1, -1, -1 };
}

static void close_one(int fd)
{
	if (fd >= 0)
		close(fd);
}

void load_files_close(struct load_files *f)
{
	close_one(f->pressure);
	close_one(f->average);
	close_one(f->stat);
	load_files_init(f);
}

/* A decimal number and nothing before it; 18 digits are more than any kernel counts to. */
static const char *take_number(const char *p, uint64_t *ret)
{
	uint64_t n = 0;
	size_t digits = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (++digits > NUMBER_MAX_DIGITS)
			return NULL;
		n = n * 10 + (uint64_t)(*p - '0');
	}
	*ret = n;
	return digits ? p : NULL;
}

/* "12.34", in hundredths, below @limit. */
static const char *take_hundredths(const char *p, uint64_t limit, uint64_t *ret)
{
	uint64_t whole, part;
	const char *end;

	p = take_number(p, &whole);
	if (!p || *p != '.')
		return NULL;
	end = take_number(p + 1, &part);
	if (!end || end != p + 3 || whole >= limit)
		return NULL;
	*ret = whole * 100 + part;
	return *ret < limit ? end : NULL;
}

static const char *take_word(const char *p, const char *word)
{
	size_t len = strlen(word);

	return p && strncmp(p, word, len) == 0 ? p + len : NULL;
}

static const char *take_pressure(const char *p, const char *key, uint64_t *ret)
{
	p = take_word(p, key);
	return p ? take_hundredths(p, LOAD_PRESSURE_MAX + 1, ret) : NULL;
}

bool load_parse_pressure(const char *text, struct record_load *ret)
{
	uint64_t avg10, avg60, avg300, total;
	const char *p = take_word(text, "some");

	p = take_pressure(p, " avg10=", &avg10);
	p = take_pressure(p, " avg60=", &avg60);
	p = take_pressure(p, " avg300=", &avg300);
	p = take_word(p, " total=");
	p = p ? take_number(p, &total) : NULL;
	if (!p || (*p && *p != '\n'))
		return false;
	ret->avg10 = (uint16_t)avg10;
	ret->avg60 = (uint16_t)avg60;
	ret->total_us = total;
	return true;
}

/* "0.20 0.18 0.12 3/80 11206": of the third to last those that run, who reads this one of them. */
bool load_parse_average(const char *text, struct record_load *ret)
{
	uint64_t load[3], runnable = 0;
	const char *p = text;

	for (size_t i = 0; p && i < 3; i++) {
		p = take_hundredths(p, LOAD_NO_NUMBER, &load[i]);
		p = take_word(p, " ");
	}
	p = p ? take_number(p, &runnable) : NULL;
	if (!p || *p != '/' || runnable > LOAD_NO_NUMBER)
		return false;
	ret->load1 = (uint32_t)load[0];
	ret->load5 = (uint32_t)load[1];
	ret->load15 = (uint32_t)load[2];
	ret->runnable = (uint32_t)(runnable ? runnable - 1 : 0);
	return true;
}

/* "cpuN user nice system idle iowait irq softirq steal ...": what a guest's guests use is in user. */
bool load_parse_cpu(const char *line, int *ret_cpu, struct load_times *ret)
{
	enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, TIMES };
	uint64_t t[TIMES], cpu;
	const char *p = take_word(line, "cpu");

	p = p ? take_number(p, &cpu) : NULL;
	for (size_t i = 0; p && i < TIMES; i++) {
		p = take_word(p, " ");
		p = p ? take_number(p, &t[i]) : NULL;
	}
	if (!p || (*p && *p != ' ') || cpu >= CPULIST_MAX)
		return false;
	*ret_cpu = (int)cpu;
	ret->busy = t[USER] + t[NICE] + t[SYSTEM] + t[IRQ] + t[SOFTIRQ];
	ret->steal = t[STEAL];
	ret->total = ret->busy + ret->steal + t[IDLE] + t[IOWAIT];
	return true;
}

void load_shares(const struct load_times *before, const struct load_times *now,
		 struct record_load_cpu *ret)
{
	uint64_t total = now->total - before->total;

	ret->busy = ret->steal = LOAD_NO_SHARE;
	if (now->total <= before->total || total > UINT64_MAX / LOAD_SHARE_MAX ||
	    now->busy < before->busy || now->steal < before->steal ||
	    now->busy - before->busy > total || now->steal - before->steal > total)
		return;
	ret->busy = (uint16_t)((now->busy - before->busy) * LOAD_SHARE_MAX / total);
	ret->steal = (uint16_t)((now->steal - before->steal) * LOAD_SHARE_MAX / total);
}

/* Return: a descriptor that stays open, or less than 0. */
static int keep_open(int *fd, int root, const char *path)
{
	if (*fd < 0)
		*fd = openat(root, path, O_RDONLY | O_CLOEXEC);
	return *fd;
}

static ssize_t read_at(int fd, char *buf, size_t size, off_t at)
{
	ssize_t n;

	do
		n = pread(fd, buf, size, at);
	while (n < 0 && errno == EINTR);
	return n;
}

static bool read_small(int *fd, int root, const char *path, char buf[SMALL_SIZE])
{
	ssize_t n = -1;

	if (keep_open(fd, root, path) >= 0)
		n = read_at(*fd, buf, SMALL_SIZE - 1, 0);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

void load_files_read(struct load_files *f, int root, struct record_load *ret)
{
	char text[SMALL_SIZE];

	*ret = (struct record_load)UNKNOWN;
	if (read_small(&f->pressure, root, "proc/pressure/cpu", text))
		(void)load_parse_pressure(text, ret);
	if (read_small(&f->average, root, "proc/loadavg", text))
		(void)load_parse_average(text, ret);
}

/* Return: whether the next line may still be about a CPU; they stand first. */
static bool take_line(const char *line, void (*cb)(void *ctx, int cpu, const struct load_times *t),
		      void *ctx)
{
	struct load_times t;
	int cpu;

	if (load_parse_cpu(line, &cpu, &t))
		cb(ctx, cpu, &t);
	return strncmp(line, "cpu", 3) == 0;
}

void load_files_read_cpus(struct load_files *f, int root,
			  void (*cb)(void *ctx, int cpu, const struct load_times *t), void *ctx)
{
	char buf[PIECE_SIZE];
	size_t used = 0;
	off_t at = 0;

	if (keep_open(&f->stat, root, "proc/stat") < 0)
		return;
	for (;;) {
		ssize_t n = read_at(f->stat, buf + used, sizeof(buf) - used, at);
		char *line = buf, *end;

		if (n <= 0)
			return;
		at += n;
		used += (size_t)n;
		while ((end = memchr(line, '\n', used))) {
			*end = '\0';
			if (!take_line(line, cb, ctx))
				return;
			used -= (size_t)(end + 1 - line);
			line = end + 1;
		}
		/* A line as long as this is none of a CPU's. */
		if (used == sizeof(buf))
			return;
		memmove(buf, line, used);
	}
}
