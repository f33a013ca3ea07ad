/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake-root.h"
#include "guest-agent/bootrec.h"

#define RECORD "run/vcpuhp-agent/record"

static const uint8_t boot_a[16] = { 1, 2, 3 };
static const uint8_t boot_b[16] = { 1, 2, 4 };

static const struct bootrec_row some_row = {
	.group = { .start = 0xfffffffffffffffe, .id = 4194303, .session = 7 },
	.state = 43,
	.under_way = 12,
	.under_way_startup = 1,
	.standby_wish = 1,
	.dyn_done = 0x7fffffff,
	.kick = 0xfffffffe,
};

static const struct bootrec_subject some_subject = { .device = 493, .period = UINT64_MAX - 1 };

/* Open, and tell whether the record was fresh. */
static bool open_record(const struct fake_root *f, struct bootrec *r, const uint8_t boot_id[16])
{
	bool fresh = false;

	assert_int_equal(bootrec_open(r, f->fd, boot_id, &fresh), 0);
	return fresh;
}

static void store_some(const struct fake_root *f)
{
	struct bootrec r;

	open_record(f, &r, boot_a);
	assert_int_equal(bootrec_store(&r, 7, &some_row), 0);
	assert_int_equal(bootrec_store(&r, BOOTREC_CPUS - 1, &some_row), 0);
	assert_int_equal(bootrec_store_subject(&r, 7, &some_subject), 0);
	assert_int_equal(bootrec_store_subject(&r, BOOTREC_CPUS - 1, &some_subject), 0);
	assert_int_equal(bootrec_store_name(&r, 0, "10-log"), 0);
	assert_int_equal(bootrec_store_name(&r, BOOTREC_DYN - 1, "99-last"), 0);
	assert_int_equal(bootrec_store_kick(&r, 12345), 0);
	bootrec_close(&r);
}

static void assert_nothing_known(const struct bootrec *r)
{
	const struct bootrec_row zero = { 0 };
	struct bootrec_subject subject;
	struct bootrec_row row;
	char name[64];

	for (int cpu = 0; cpu < BOOTREC_CPUS; cpu++) {
		assert_int_equal(bootrec_load(r, cpu, &row), 0);
		assert_memory_equal(&row, &zero, sizeof(row));
		assert_int_equal(bootrec_load_subject(r, cpu, &subject), 0);
		assert_true(!subject.device && !subject.period);
	}
	for (int i = 0; i < BOOTREC_DYN; i++) {
		assert_int_equal(bootrec_load_name(r, i, name), 0);
		assert_string_equal(name, "");
	}
	assert_int_equal(bootrec_kick(r), 0);
}

static void test_fresh(void **state)
{
	struct bootrec r;
	struct stat st;

	assert_true(open_record(*state, &r, boot_a));
	assert_nothing_known(&r);
	assert_int_equal(fstat(r.fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(fcntl(r.fd, F_GETFD) & FD_CLOEXEC);
	bootrec_close(&r);
	bootrec_close(&r);
}

static void test_known_after_a_restart(void **state)
{
	struct bootrec_subject subject;
	struct bootrec_row row;
	struct bootrec r;
	char name[64];

	store_some(*state);
	assert_false(open_record(*state, &r, boot_a));
	assert_int_equal(bootrec_load(&r, 7, &row), 0);
	assert_memory_equal(&row, &some_row, sizeof(row));
	assert_int_equal(bootrec_load(&r, BOOTREC_CPUS - 1, &row), 0);
	assert_memory_equal(&row, &some_row, sizeof(row));
	assert_int_equal(bootrec_load_subject(&r, 7, &subject), 0);
	assert_memory_equal(&subject, &some_subject, sizeof(subject));
	assert_int_equal(bootrec_load_subject(&r, BOOTREC_CPUS - 1, &subject), 0);
	assert_memory_equal(&subject, &some_subject, sizeof(subject));
	assert_int_equal(bootrec_load(&r, 8, &row), 0);
	assert_int_equal(row.state, 0);
	assert_int_equal(bootrec_load_name(&r, 0, name), 0);
	assert_string_equal(name, "10-log");
	assert_int_equal(bootrec_load_name(&r, BOOTREC_DYN - 1, name), 0);
	assert_string_equal(name, "99-last");
	assert_int_equal(bootrec_kick(&r), 12345);
	bootrec_close(&r);
}

static void test_another_boot_knows_nothing(void **state)
{
	struct bootrec r;

	store_some(*state);
	assert_true(open_record(*state, &r, boot_b));
	assert_nothing_known(&r);
	bootrec_close(&r);
	assert_false(open_record(*state, &r, boot_b));
	bootrec_close(&r);
}

static void truncate_to_half(const struct fake_root *f)
{
	int fd = openat(f->fd, RECORD, O_RDWR | O_CLOEXEC);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(fd, st.st_size / 2), 0);
	close(fd);
}

static void one_byte_longer(const struct fake_root *f)
{
	int fd = openat(f->fd, RECORD, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static void make_empty(const struct fake_root *f)
{
	fake_put(f, RECORD, "");
}

static void make_text(const struct fake_root *f)
{
	fake_put(f, RECORD, "not a record at all\n");
}

static void readable_by_others(const struct fake_root *f)
{
	assert_int_equal(fchmodat(f->fd, RECORD, 0644, 0), 0);
}

static void link_to_elsewhere(const struct fake_root *f)
{
	assert_int_equal(renameat(f->fd, RECORD, f->fd, "elsewhere"), 0);
	assert_int_equal(symlinkat("../../elsewhere", f->fd, RECORD), 0);
}

static void fifo(const struct fake_root *f)
{
	assert_int_equal(unlinkat(f->fd, RECORD, 0), 0);
	assert_int_equal(mkfifoat(f->fd, RECORD, 0600), 0);
}

static const struct {
	const char *what;
	void (*damage)(const struct fake_root *f);
} damages[] = {
	{ "cut in half", truncate_to_half },
	{ "one byte longer", one_byte_longer },
	{ "empty", make_empty },
	{ "some text", make_text },
	{ "readable by others", readable_by_others },
	{ "a link", link_to_elsewhere },
	{ "a FIFO", fifo },
};

static void test_a_damaged_record_starts_anew(void **state)
{
	const struct fake_root *f = *state;

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct bootrec r;
		struct stat st;

		print_message("# %s\n", damages[i].what);
		store_some(f);
		damages[i].damage(f);
		assert_true(open_record(f, &r, boot_a));
		assert_nothing_known(&r);
		bootrec_close(&r);
		assert_int_equal(fstatat(f->fd, RECORD, &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_true(S_ISREG(st.st_mode));
		assert_false(open_record(f, &r, boot_a));
		bootrec_close(&r);
	}
}

/* Whatever byte is damaged: what is read is what was stored, or nothing; never something else. */
static void test_a_flipped_byte_is_never_taken_for_knowledge(void **state)
{
	const struct fake_root *f = *state;
	struct bootrec r, again;
	struct stat st;

	store_some(f);
	assert_false(open_record(f, &r, boot_a));
	assert_int_equal(fstat(r.fd, &st), 0);
	for (off_t at = 28; at < st.st_size; at++) {
		struct bootrec_row row;
		char name[64];
		uint8_t byte, flipped;
		struct bootrec_subject subject;

		assert_int_equal(pread(r.fd, &byte, 1, at), 1);
		flipped = byte ^ 0x5a;
		assert_int_equal(pwrite(r.fd, &flipped, 1, at), 1);
		assert_int_equal(bootrec_load(&r, 7, &row), 0);
		assert_true(row.state == 0 || !memcmp(&row, &some_row, sizeof(row)));
		assert_int_equal(bootrec_load(&r, 6, &row), 0);
		assert_int_equal(row.state, 0);
		assert_int_equal(bootrec_load_subject(&r, 7, &subject), 0);
		assert_true(subject.device == 0 ||
			    !memcmp(&subject, &some_subject, sizeof(subject)));
		assert_int_equal(bootrec_load_name(&r, 0, name), 0);
		assert_true(!strcmp(name, "") || !strcmp(name, "10-log"));
		/* Read once, when it is opened. */
		assert_false(open_record(f, &again, boot_a));
		assert_true(bootrec_kick(&again) == 0 || bootrec_kick(&again) == 12345);
		bootrec_close(&again);
		assert_int_equal(pwrite(r.fd, &byte, 1, at), 1);
	}
	bootrec_close(&r);
}

static void test_limits(void **state)
{
	struct bootrec_row row = some_row;
	struct bootrec_subject subject;
	struct bootrec r;
	char name[65];

	open_record(*state, &r, boot_a);
	assert_int_equal(bootrec_load(&r, -1, &row), -ERANGE);
	assert_int_equal(bootrec_load(&r, BOOTREC_CPUS, &row), -ERANGE);
	assert_memory_equal(&row, &some_row, sizeof(row));
	assert_int_equal(bootrec_store(&r, BOOTREC_CPUS, &row), -ERANGE);
	assert_int_equal(bootrec_store_subject(&r, BOOTREC_CPUS, &some_subject), -ERANGE);
	assert_int_equal(bootrec_load_subject(&r, BOOTREC_CPUS, &subject), -ERANGE);
	assert_int_equal(bootrec_store_name(&r, BOOTREC_DYN, "x"), -ERANGE);
	assert_int_equal(bootrec_load_name(&r, -1, name), -ERANGE);
	memset(name, 'n', 64);
	name[64] = '\0';
	assert_int_equal(bootrec_store_name(&r, 0, name), -ENAMETOOLONG);
	assert_int_equal(bootrec_store_name(&r, 0, name + 1), 0);
	assert_int_equal(bootrec_load_name(&r, 0, name), 0);
	assert_int_equal(strlen(name), 63);
	bootrec_close(&r);
}

static void test_a_folder_in_the_way_is_an_error(void **state)
{
	struct bootrec r = { .fd = -7 };
	bool fresh = false;

	fake_put(*state, RECORD "/x", "");
	assert_true(bootrec_open(&r, ((struct fake_root *)*state)->fd, boot_a, &fresh) < 0);
	assert_int_equal(r.fd, -7);
	assert_false(fresh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(test_fresh),
		fake_root_test(test_known_after_a_restart),
		fake_root_test(test_another_boot_knows_nothing),
		fake_root_test(test_a_damaged_record_starts_anew),
		fake_root_test(test_a_flipped_byte_is_never_taken_for_knowledge),
		fake_root_test(test_limits),
		fake_root_test(test_a_folder_in_the_way_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
