/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-root.h"

#include "daemon/config-key.h"

enum { MIB = 1024 * 1024 };

/* The path of FILE in the folder, in a buffer of the caller. */
static const char *file_of(const struct fake_root *f, char *buf, size_t size)
{
	snprintf(buf, size, "%s/f", f->path);
	return buf;
}

/* A descriptor left open by what is tested would take the place of this one. */
static int next_fd(const struct fake_root *f)
{
	int fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);

	close(fd);
	return fd;
}

static struct config *load_good(const struct fake_root *f)
{
	struct config *c = NULL;
	char path[128], *error = NULL;
	int fd = next_fd(f);

	if (config_load(file_of(f, path, sizeof(path)), &c, &error) < 0)
		fail_msg("%s", error);
	assert_int_equal(next_fd(f), fd);
	return c;
}

/* FILE must be refused with @rc and "WHERE: cannot be read: ", @where standing in the folder. */
static void load_bad(const struct fake_root *f, const char *what, const char *where, int rc)
{
	struct config untouched, *c = &untouched;
	char path[128], want[512], *error = NULL;
	int fd = next_fd(f);
	int r = config_load(file_of(f, path, sizeof(path)), &c, &error);

	assert_int_equal(next_fd(f), fd);
	if (r != rc)
		fail_msg("%s: %d", what, r);
	snprintf(want, sizeof(want), "%s/%s: cannot be read: %s", f->path, where, strerror(-rc));
	assert_string_equal(error, want);
	assert_ptr_equal(c, &untouched);
	free(error);
}

static void files_are_read_in_the_order_of_their_names(void **state)
{
	const struct fake_root *f = *state;
	struct config *c;

	fake_put(f, "f", "[Daemon]\nOperators=main\nQmpReplySec=1\n");
	fake_put(f, "f.d/10.conf", "[Daemon]\nOperators=ten\nQmpReplySec=2\nEjectSec=2\n");
	fake_put(f, "f.d/9.conf", "[Daemon]\nOperators=nine\nQmpReplySec=3\n");
	c = load_good(f);
	assert_string_equal(c->operators[0], "nine");
	assert_int_equal(c->deadlines.qmp_reply_ms, 3000);
	assert_int_equal(c->deadlines.eject_soft_ms, 2000);
	config_free(c);
}

static void other_names_are_passed_over(void **state)
{
	static const char *const names[] = { "20.txt", ".30.conf", ".conf",
					     "conf",   "40.conf~", "50.CONF" };
	const struct fake_root *f = *state;

	fake_put(f, "f", "");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char path[64];

		snprintf(path, sizeof(path), "f.d/%s", names[i]);
		fake_put(f, path, "not read");
	}
	config_free(load_good(f));
}

static void the_default_file_may_be_missing(void **state)
{
	struct config *c = NULL;
	char *error = NULL;

	if (access("/etc/vcpuhp", F_OK) == 0)
		skip();
	assert_int_equal(config_load(NULL, &c, &error), 0);
	assert_null(error);
	assert_int_equal(c->n_domains, 0);
	config_free(c);
}

enum thing { NOTHING, TEXT, SECRET, BIG, FOLDER, SECRET_FOLDER, PIPE, LOST_LINK, LOOP };

static void put_big(const struct fake_root *f, const char *path, off_t size)
{
	int fd;

	fake_put(f, path, "");
	fd = openat(f->fd, path, O_WRONLY | O_CLOEXEC);
	assert_return_code(ftruncate(fd, size), errno);
	close(fd);
}

static void put(const struct fake_root *f, const char *path, enum thing thing)
{
	switch (thing) {
	case NOTHING:
		break;
	case TEXT:
		fake_put(f, path, "[Daemon]\n");
		break;
	case SECRET:
		fake_put(f, path, "[Daemon]\n");
		assert_return_code(fchmodat(f->fd, path, 0, 0), errno);
		break;
	case BIG:
		put_big(f, path, MIB + 1);
		break;
	case FOLDER:
	case SECRET_FOLDER:
		assert_return_code(mkdirat(f->fd, path, thing == FOLDER ? 0700 : 0), errno);
		break;
	case PIPE:
		assert_return_code(mkfifoat(f->fd, path, 0600), errno);
		break;
	case LOST_LINK:
		assert_return_code(symlinkat("gone", f->fd, path), errno);
		break;
	case LOOP:
		assert_return_code(
			symlinkat(strrchr(path, '/') ? strrchr(path, '/') + 1 : path, f->fd, path),
			errno);
		break;
	}
}

/* Row: what stands where instead of a good text, and what its being read comes to; 0: is read. */
static const struct {
	const char *what;
	enum thing file, folder, drop_in;
	const char *where;
	int rc;
} hindrances[] = {
	{ "a file and no folder", TEXT, NOTHING, NOTHING, "", 0 },
	{ "a folder without drop-ins", TEXT, FOLDER, NOTHING, "", 0 },
	{ "a good drop-in", TEXT, FOLDER, TEXT, "", 0 },
	{ "a link of the folder to nothing", TEXT, LOST_LINK, NOTHING, "", 0 },
	{ "no file", NOTHING, NOTHING, NOTHING, "f", -ENOENT },
	{ "no file, but a drop-in", NOTHING, FOLDER, TEXT, "f", -ENOENT },
	{ "a link to nothing", LOST_LINK, NOTHING, NOTHING, "f", -ENOENT },
	{ "a link to itself", LOOP, NOTHING, NOTHING, "f", -ELOOP },
	{ "a file of others", SECRET, NOTHING, NOTHING, "f", -EACCES },
	{ "a folder for a file", FOLDER, NOTHING, NOTHING, "f", -EINVAL },
	{ "a pipe that nobody fills", PIPE, NOTHING, NOTHING, "f", -EINVAL },
	{ "a file above 1 MiB", BIG, NOTHING, NOTHING, "f", -EFBIG },
	{ "a file for the folder", TEXT, TEXT, NOTHING, "f.d", -ENOTDIR },
	{ "a folder of others", TEXT, SECRET_FOLDER, NOTHING, "f.d", -EACCES },
	{ "a folder that is a link to itself", TEXT, LOOP, NOTHING, "f.d", -ELOOP },
	{ "a drop-in that is gone", TEXT, FOLDER, LOST_LINK, "f.d/10.conf", -ENOENT },
	{ "a drop-in that links to itself", TEXT, FOLDER, LOOP, "f.d/10.conf", -ELOOP },
	{ "a drop-in of others", TEXT, FOLDER, SECRET, "f.d/10.conf", -EACCES },
	{ "a folder for a drop-in", TEXT, FOLDER, FOLDER, "f.d/10.conf", -EINVAL },
	{ "a pipe for a drop-in", TEXT, FOLDER, PIPE, "f.d/10.conf", -EINVAL },
	{ "a drop-in above 1 MiB", TEXT, FOLDER, BIG, "f.d/10.conf", -EFBIG },
};

/* In a folder of its own. A second drop-in shows that nothing behind the first hindrance is read. */
static void one_hindrance(const struct fake_root *root, size_t i)
{
	struct fake_root f;
	char name[8];

	snprintf(name, sizeof(name), "%zu", i);
	fake_mkdir(root, name);
	snprintf(f.path, sizeof(f.path), "%s/%s", root->path, name);
	f.fd = openat(root->fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_return_code(f.fd, errno);
	put(&f, "f", hindrances[i].file);
	put(&f, "f.d", hindrances[i].folder);
	if (hindrances[i].drop_in != NOTHING) {
		put(&f, "f.d/10.conf", hindrances[i].drop_in);
		put(&f, "f.d/20.conf", hindrances[i].rc == 0 ? TEXT : LOOP);
	}
	if (hindrances[i].rc == 0)
		config_free(load_good(&f));
	else
		load_bad(&f, hindrances[i].what, hindrances[i].where, hindrances[i].rc);
	close(f.fd);
}

static void what_cannot_be_read_is_named(void **state)
{
	for (size_t i = 0; i < sizeof(hindrances) / sizeof(*hindrances); i++)
		one_hindrance(*state, i);
}

static void a_file_may_have_a_mebibyte(void **state)
{
	const struct fake_root *f = *state;
	char *text = malloc(MIB + 1);
	struct config *c;

	assert_non_null(text);
	memset(text, '\n', MIB);
	memcpy(text + MIB - 23, "[Daemon]\nQmpReplySec=7\n", 24);
	fake_put(f, "f", text);
	free(text);
	c = load_good(f);
	assert_int_equal(c->deadlines.qmp_reply_ms, 7000);
	config_free(c);
}

enum { TURNS_MAX = 4, END = 1 << 30 };

/* What the next calls of read() do: -errno, the most bytes they give, or END; 0: as usual. */
static int turns[TURNS_MAX + 1];
static size_t turn;

ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);

ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	int now = turns[turn];

	if (now == 0)
		return __real_read(fd, buf, size);
	turn++;
	if (now < 0) {
		errno = -now;
		return -1;
	}
	if (now == END)
		return 0;
	return __real_read(fd, buf, size < (size_t)now ? size : (size_t)now);
}

/* Row: how the file comes; the value read from it then, or the error. */
static const struct {
	const char *what;
	int turns[TURNS_MAX];
	unsigned int qmp_reply_ms;
	int rc;
} readings[] = {
	{ "as usual", { 0 }, 7000, 0 },
	{ "in pieces", { 9, 1, 5 }, 7000, 0 },
	{ "with signals between", { -EINTR, 12, -EINTR, -EINTR }, 7000, 0 },
	{ "a file that became shorter meanwhile", { 9, END }, 5000, 0 },
	{ "a disk that fails", { -EIO }, 0, -EIO },
	{ "a disk that fails in the middle", { 9, -EINTR, -EIO }, 0, -EIO },
};

static void a_file_is_read_as_it_comes(void **state)
{
	const struct fake_root *f = *state;

	fake_put(f, "f", "[Daemon]\nQmpReplySec=7\n");
	for (size_t i = 0; i < sizeof(readings) / sizeof(*readings); i++) {
		struct config *c;

		memcpy(turns, readings[i].turns, sizeof(readings[i].turns));
		turn = 0;
		if (readings[i].rc < 0) {
			load_bad(f, readings[i].what, "f", readings[i].rc);
			continue;
		}
		c = load_good(f);
		if (c->deadlines.qmp_reply_ms != readings[i].qmp_reply_ms || turns[turn] != 0)
			fail_msg("%s", readings[i].what);
		config_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(files_are_read_in_the_order_of_their_names),
		fake_root_test(other_names_are_passed_over),
		cmocka_unit_test(the_default_file_may_be_missing),
		fake_root_test(what_cannot_be_read_is_named),
		fake_root_test(a_file_may_have_a_mebibyte),
		fake_root_test(a_file_is_read_as_it_comes),
	};

	return cmocka_run_group_tests_name("config-file", tests, fake_root_unprivileged,
					   fake_root_privileged);
}
