/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * One file of fixed size: a header (magic, version, size, boot id), the highest kick number, the
 * table of callback names, one row and one subject for each CPU. Every change is one pwrite(2) of one row into the
 * page cache: a kill of the agent leaves the row as it was or as it is, never between. Nothing is
 * synced, since a reboot makes the whole record void anyway.
 *
 * The file is only ever made whole: written beside and renamed. So a file whose size or header is
 * wrong was not made by this version of the agent in this boot, and is replaced. Rows, names and
 * the kick number carry a check of their own, as damage there must not pass for knowledge: what
 * does not check reads as "unknown", from which the agent starts with care.
 */
#include "guest-agent/bootrec.h"
#include "guest-agent/cleanup.h"
#include "guest-agent/sysfs.h"
#include "proto/frame.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAGIC = 0x52504856, VERSION = 2, NAME_SIZE = 64 };

struct header {
	uint32_t magic;
	uint32_t version;
	uint32_t size;
	uint8_t boot_id[16];
};

/* Checks are complemented, so that a stretch of zeros (never written) is told from a zero value. */
struct kick_cell {
	uint32_t kick;
	uint32_t check;
};

struct name_cell {
	char name[NAME_SIZE];
	uint32_t check;
};

static_assert(sizeof(struct bootrec_row) == 32, "no padding");

struct row_cell {
	struct bootrec_row row;
	uint32_t check;
};

struct subject_cell {
	struct bootrec_subject subject;
	uint32_t check;
	uint32_t zero;
};

struct file {
	struct header header;
	struct kick_cell kick;
	struct name_cell names[BOOTREC_DYN];
	struct row_cell rows[BOOTREC_CPUS];
	struct subject_cell subjects[BOOTREC_CPUS];
};

static uint32_t check_of(const void *data, size_t len)
{
	return ~crc32c(0, data, len);
}

static int read_at(int fd, void *data, size_t len, size_t at)
{
	ssize_t n = pread(fd, data, len, (off_t)at);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static int write_at(int fd, const void *data, size_t len, size_t at)
{
	ssize_t n = pwrite(fd, data, len, (off_t)at);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static struct header header_of(const uint8_t boot_id[16])
{
	struct header h = { .magic = MAGIC, .version = VERSION, .size = sizeof(struct file) };

	memcpy(h.boot_id, boot_id, sizeof(h.boot_id));
	return h;
}

/* Return: a descriptor, or -ESTALE for a record that is not of this boot and version. */
static int open_known(int root, const uint8_t boot_id[16])
{
	struct header want = header_of(boot_id), have;
	struct stat st;
	int fd;

	fd = openat(root, BOOTREC_PATH, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -ESTALE;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 077) || st.st_size != (off_t)sizeof(struct file) ||
	    read_at(fd, &have, sizeof(have), 0) < 0 || memcmp(&want, &have, sizeof(want)) != 0) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

static int fill(int fd, const uint8_t boot_id[16])
{
	struct header h = header_of(boot_id);

	if (fchmod(fd, 0600) < 0 || ftruncate(fd, sizeof(struct file)) < 0)
		return -errno;
	return write_at(fd, &h, sizeof(h), 0);
}

static int open_fresh(int root, const uint8_t boot_id[16])
{
	int fd, r;

	r = sysfs_replace(root, BOOTREC_PATH "~", "", 0);
	if (r < 0)
		return r;
	fd = openat(root, BOOTREC_PATH "~", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fill(fd, boot_id);
	if (r == 0 && renameat(root, BOOTREC_PATH "~", root, BOOTREC_PATH) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(root, BOOTREC_PATH "~", 0);
		close(fd);
		return r;
	}
	return fd;
}

static uint32_t load_kick(int fd)
{
	struct kick_cell cell;

	if (read_at(fd, &cell, sizeof(cell), offsetof(struct file, kick)) < 0)
		return 0;
	return cell.check == check_of(&cell.kick, sizeof(cell.kick)) ? cell.kick : 0;
}

int bootrec_open(struct bootrec *r, int root, const uint8_t boot_id[16], bool *ret_fresh)
{
	int fd = open_known(root, boot_id);
	bool fresh = fd < 0;

	if (fresh)
		fd = open_fresh(root, boot_id);
	if (fd < 0)
		return fd;
	r->fd = fd;
	r->kick = load_kick(fd);
	*ret_fresh = fresh;
	return 0;
}

void bootrec_close(struct bootrec *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

static size_t row_at(int cpu)
{
	return offsetof(struct file, rows) + (size_t)cpu * sizeof(struct row_cell);
}

int bootrec_load(const struct bootrec *r, int cpu, struct bootrec_row *ret)
{
	struct row_cell cell;
	int rc;

	if (cpu < 0 || cpu >= BOOTREC_CPUS)
		return -ERANGE;
	rc = read_at(r->fd, &cell, sizeof(cell), row_at(cpu));
	if (rc < 0)
		return rc;
	if (cell.check != check_of(&cell.row, sizeof(cell.row)))
		memset(&cell.row, 0, sizeof(cell.row));
	*ret = cell.row;
	return 0;
}

int bootrec_store(const struct bootrec *r, int cpu, const struct bootrec_row *row)
{
	struct row_cell cell = { .row = *row, .check = check_of(row, sizeof(*row)) };

	if (cpu < 0 || cpu >= BOOTREC_CPUS)
		return -ERANGE;
	return write_at(r->fd, &cell, sizeof(cell), row_at(cpu));
}

static size_t subject_at(int cpu)
{
	return offsetof(struct file, subjects) + (size_t)cpu * sizeof(struct subject_cell);
}

int bootrec_load_subject(const struct bootrec *r, int cpu, struct bootrec_subject *ret)
{
	struct subject_cell cell;
	int rc;

	if (cpu < 0 || cpu >= BOOTREC_CPUS)
		return -ERANGE;
	rc = read_at(r->fd, &cell, sizeof(cell), subject_at(cpu));
	if (rc < 0)
		return rc;
	if (cell.check != check_of(&cell.subject, sizeof(cell.subject)))
		cell.subject = (struct bootrec_subject){ 0 };
	*ret = cell.subject;
	return 0;
}

int bootrec_store_subject(const struct bootrec *r, int cpu, const struct bootrec_subject *s)
{
	struct subject_cell cell = { .subject = *s, .check = check_of(s, sizeof(*s)) };

	if (cpu < 0 || cpu >= BOOTREC_CPUS)
		return -ERANGE;
	return write_at(r->fd, &cell, sizeof(cell), subject_at(cpu));
}

static size_t name_at(int i)
{
	return offsetof(struct file, names) + (size_t)i * sizeof(struct name_cell);
}

int bootrec_load_name(const struct bootrec *r, int i, char name[64])
{
	struct name_cell cell;
	int rc;

	if (i < 0 || i >= BOOTREC_DYN)
		return -ERANGE;
	rc = read_at(r->fd, &cell, sizeof(cell), name_at(i));
	if (rc < 0)
		return rc;
	if (cell.check != check_of(cell.name, NAME_SIZE) || cell.name[NAME_SIZE - 1])
		memset(cell.name, 0, NAME_SIZE);
	memcpy(name, cell.name, NAME_SIZE);
	return 0;
}

int bootrec_store_name(const struct bootrec *r, int i, const char *name)
{
	struct name_cell cell = { 0 };
	size_t len = strlen(name);

	if (i < 0 || i >= BOOTREC_DYN)
		return -ERANGE;
	if (len >= NAME_SIZE)
		return -ENAMETOOLONG;
	memcpy(cell.name, name, len);
	cell.check = check_of(cell.name, NAME_SIZE);
	return write_at(r->fd, &cell, sizeof(cell), name_at(i));
}

uint32_t bootrec_kick(const struct bootrec *r)
{
	return r->kick;
}

int bootrec_store_kick(struct bootrec *r, uint32_t kick)
{
	struct kick_cell cell = { .kick = kick, .check = check_of(&kick, sizeof(kick)) };

	/* What cannot be written still was taken. */
	r->kick = kick;
	return write_at(r->fd, &cell, sizeof(cell), offsetof(struct file, kick));
}
