/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file that intents are kept in. */
#include "daemon/failpoint.h"
#include "tests/unit/intent-samples.h"
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

/* The point that fails, NULL none; and whether nothing can be opened to be written to. */
static const char *failing;
static bool read_only;

int failpoint(const char *point)
{
	return failing && strcmp(failing, point) == 0 ? -EIO : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

struct place {
	char folder[64], path[128];
	struct intent_store *store;
	struct intent_file *f;
	char why[OP_TEXT_MAX];
};

static int make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	read_only = false;
	snprintf(p->folder, sizeof(p->folder), "/tmp/vhp-intent-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->path, sizeof(p->path), "%s/intent/qmp-web1", p->folder);
	assert_int_equal(intent_store_open(&p->store, p->folder), 0);
	assert_int_equal(intent_file_new(&p->f, p->store, "web1", ""), 0);
	*state = p;
	return 0;
}

static int drop_place(void **state)
{
	struct place *p = *state;

	intent_file_free(p->f);
	intent_store_free(p->store);
	remove_tree(p->folder);
	free(p);
	return 0;
}

static void reopen(struct place *p)
{
	intent_file_free(p->f);
	assert_int_equal(intent_file_new(&p->f, p->store, "web1", ""), 0);
}

static void store(struct place *p, unsigned int vcpus, unsigned int moves)
{
	struct intent i = make_intent(vcpus, moves);

	if (intent_file_store(p->f, &i, p->why) < 0)
		fail_msg("%s", p->why);
	intent_done(&i);
}

static void loads(struct place *p, unsigned int moves, unsigned int seq)
{
	struct intent i = { 0 };

	reopen(p);
	assert_int_equal(intent_file_load(p->f, &i, p->why), 1);
	assert_int_equal(i.ops[0].n_moves, moves);
	assert_int_equal(i.seq, seq);
	intent_done(&i);
}

static void what_was_stored_last_is_loaded(void **state)
{
	struct place *p = *state;
	struct intent i;
	struct stat st;

	assert_int_equal(intent_file_load(p->f, &i, p->why), 0);
	for (unsigned int n = 1; n < 10; n++) {
		store(p, 8, n);
		loads(p, n, n);
	}
	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 2 * SLOT);
	assert_true(st.st_blocks * 512 >= st.st_size);
}

static void a_domain_that_outgrows_its_slots_gets_larger_ones(void **state)
{
	struct place *p = *state;
	struct stat st;

	store(p, 8, 1);
	store(p, 1024, 1000);
	loads(p, 1000, 2);
	assert_int_equal(stat(p->path, &st), 0);
	assert_true(st.st_size > 2L * SLOT);
	store(p, 8, 2);
	loads(p, 2, 3);
}

/* What was written before is kept, and what is written next is found. */
static void a_new_file_that_cannot_be_written_leaves_the_old_one(void **state)
{
	static const char *const points[] = { "intent.make", "intent.write", "intent.rename" };
	struct place *p = *state;

	for (unsigned int k = 0; k < 3; k++) {
		struct intent large = make_intent(1024, 1000);

		store(p, 8, 1);
		failing = points[k];
		assert_int_equal(intent_file_store(p->f, &large, p->why), -EIO);
		failing = NULL;
		store(p, 8, 2 + k);
		loads(p, 2 + k, 2 + k * 2);
		intent_done(&large);
	}
}

static size_t read_file(const char *path, uint8_t data[2 * SLOT])
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, data, 2L * SLOT) : -1;

	close(fd);
	assert_true(n >= 0);
	return (size_t)n;
}

static void store_fails(struct place *p, unsigned int moves)
{
	struct intent i = make_intent(8, moves);

	assert_int_equal(intent_file_store(p->f, &i, p->why), -EPROTONOSUPPORT);
	assert_non_null(strstr(p->why, "qmp-web1 is of another version of vcpuhpd and kept"));
	assert_non_null(strstr(p->why, "remove the file"));
	assert_int_equal(intent_file_check(p->f, &i, p->why), -EPROTONOSUPPORT);
	intent_done(&i);
}

static void what_another_version_has_left_is_kept_as_it_is(void **state)
{
	struct place *p = *state;
	struct intent i = make_intent(8, 3);
	uint8_t data[2 * SLOT] = { 0 }, back[2 * SLOT];
	int fd, n = intent_encode(&i, data + SLOT, SLOT);

	intent_done(&i);
	make_anothers(data + SLOT, n, INTENT_VERSION + 1);
	fd = open(p->path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
	close(fd);
	assert_int_equal(intent_file_load(p->f, &i, p->why), -EPROTONOSUPPORT);
	store_fails(p, 1);
	intent_file_remove(p->f);
	assert_int_equal(read_file(p->path, back), sizeof(back));
	assert_memory_equal(data, back, sizeof(data));
	assert_int_equal(unlink(p->path), 0);
	store(p, 8, 2);
	loads(p, 2, 1);
}

static void expect_discarded(struct place *p, const char *why)
{
	struct intent i;

	reopen(p);
	assert_true(intent_file_load(p->f, &i, p->why) < 0);
	assert_non_null(strstr(p->why, p->path));
	if (!strstr(p->why, why))
		fail_msg("\"%s\" does not say \"%s\"", p->why, why);
	assert_int_not_equal(access(p->path, F_OK), 0);
	store(p, 8, 3);
	loads(p, 3, 1);
}

static void what_cannot_be_ours_is_discarded_with_a_sentence(void **state)
{
	struct place *p = *state;
	char other[128];
	int fd;

	store(p, 8, 1);
	assert_int_equal(truncate(p->path, 2L * SLOT + 1), 0);
	expect_discarded(p, "size");
	assert_int_equal(truncate(p->path, 1LL << 33), 0);
	expect_discarded(p, "size");
	assert_int_equal(chmod(p->path, 0644), 0);
	expect_discarded(p, "others may open it");
	snprintf(other, sizeof(other), "%s/other", p->folder);
	assert_int_equal(link(p->path, other), 0);
	expect_discarded(p, "other names");
	assert_int_equal(unlink(p->path), 0);
	assert_int_equal(symlink(other, p->path), 0);
	expect_discarded(p, "link");
	assert_int_equal(access(other, F_OK), 0);
	assert_int_equal(unlink(p->path), 0);
	assert_int_equal(mkfifo(p->path, 0600), 0);
	expect_discarded(p, "no plain file");
	fd = open(p->path, O_RDWR);
	assert_int_equal(pwrite(fd, "rubbish", 7, 0), 7);
	assert_int_equal(pwrite(fd, "rubbish", 7, SLOT), 7);
	close(fd);
	expect_discarded(p, "damaged");
	if (geteuid() == 0) {
		assert_int_equal(chown(p->path, 65534, 65534), 0);
		expect_discarded(p, "another user");
	}
}

int __real_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, mode_t mode);

int __wrap_openat64(int dir, const char *name, int flags, mode_t mode)
{
	if (!read_only || (flags & O_ACCMODE) == O_RDONLY)
		return __real_openat64(dir, name, flags, mode);
	errno = EROFS;
	return -1;
}

static void on_a_read_only_file_system_it_is_read_all_the_same(void **state)
{
	struct place *p = *state;
	struct intent i = make_intent(8, 2);

	store(p, 8, 1);
	read_only = true;
	loads(p, 1, 1);
	assert_int_equal(intent_file_store(p->f, &i, p->why), -EROFS);
	assert_non_null(strstr(p->why, "make it writable"));
	loads(p, 1, 1);
	read_only = false;
	assert_int_equal(intent_file_store(p->f, &i, p->why), 0);
	loads(p, 2, 2);
	intent_done(&i);
}

static void what_cannot_be_read_now_is_left_for_the_next(void **state)
{
	struct place *p = *state;
	struct intent i;

	store(p, 8, 1);
	reopen(p);
	failing = "intent.read";
	assert_int_equal(intent_file_load(p->f, &i, p->why), -EIO);
	failing = NULL;
	loads(p, 1, 1);
}

static void a_folder_that_was_taken_away_is_noticed_and_made_again(void **state)
{
	struct place *p = *state;
	struct intent i = make_intent(8, 4);
	char folder[128];

	snprintf(folder, sizeof(folder), "%s/intent", p->folder);
	store(p, 8, 1);
	remove_tree(folder);
	assert_int_equal(intent_file_check(p->f, &i, p->why), 0);
	loads(p, 4, 2);
	/* The runtime folder itself is not ours to make. */
	remove_tree(p->folder);
	assert_int_equal(intent_file_check(p->f, &i, p->why), -ENOENT);
	assert_non_null(strstr(p->why, p->path));
	assert_int_equal(mkdir(p->folder, 0700), 0);
	assert_int_equal(intent_file_check(p->f, &i, p->why), 0);
	intent_done(&i);
}

static void a_name_is_never_a_path(void **state)
{
	struct place *p = *state;
	struct intent i = make_intent(8, 1);
	char path[160];

	for (const char *const *name = (const char *const[]){ ".", "..", "a.b", NULL }; *name;
	     name++) {
		struct intent_file *f;

		assert_int_equal(intent_file_new(&f, p->store, *name, ""), 0);
		assert_int_equal(intent_file_store(f, &i, p->why), 0);
		snprintf(path, sizeof(path), "%s/intent/qmp-%s", p->folder, *name);
		assert_int_equal(access(path, F_OK), 0);
		intent_file_remove(f);
		assert_int_not_equal(access(path, F_OK), 0);
		intent_file_free(f);
	}
	intent_done(&i);
}

/* Row: a file, and whether it stays where only the first of the two UUIDs runs. */
static const struct {
	const char *name;
	bool stays;
} swept[] = {
	{ "libvirt-c7a5fdbd-cdaf-9455-926a-d65c16db1809", true },
	{ "libvirt-c7a5fdbd-cdaf-9455-926a-d65c16db1809~", true },
	{ "libvirt-00000000-cdaf-9455-926a-d65c16db1809", false },
	{ "libvirt-00000000-cdaf-9455-926a-d65c16db1809~", false },
	{ "libvirt-00000000-cdaf-9455-926a-d65c16db1809.mine", true },
	{ "libvirt-short", true },
	{ "qmp-00000000-cdaf-9455-926a-d65c16db1809", true },
	{ "qmp-web1", true },
};

static void what_is_kept_of_libvirts_domains_that_have_ended_is_dropped(void **state)
{
	static const char running[1][PERSIST_UUID_SIZE] = {
		"c7a5fdbd-cdaf-9455-926a-d65c16db1809"
	};
	struct place *p = *state;
	size_t n = sizeof(swept) / sizeof(swept[0]);
	char path[160];

	store(p, 8, 1);
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/intent/%s", p->folder, swept[i].name);
		close(open(path, O_WRONLY | O_CREAT, 0600));
	}
	for (size_t count = 2; count-- > 0;) {
		intent_store_sweep(p->store, running, count);
		for (size_t i = 0; i < n; i++) {
			/* And where none runs, no file of libvirt's stays. */
			bool stays = swept[i].stays && (count || i > 1);

			snprintf(path, sizeof(path), "%s/intent/%s", p->folder, swept[i].name);
			if ((access(path, F_OK) == 0) != stays)
				fail_msg("%s %s", swept[i].name, stays ? "has gone" : "is there");
		}
	}
}

static void this_process_has_a_start(void **state)
{
	uint8_t boot[16], none[16] = { 0 };

	intent_host_boot(boot);
	assert_memory_not_equal(boot, none, 16);
	assert_true(intent_process_started(getpid()) > 0);
	assert_int_equal(intent_process_started(0), 0);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, drop_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PLACE(what_was_stored_last_is_loaded),
		IN_PLACE(a_domain_that_outgrows_its_slots_gets_larger_ones),
		IN_PLACE(a_new_file_that_cannot_be_written_leaves_the_old_one),
		IN_PLACE(what_another_version_has_left_is_kept_as_it_is),
		IN_PLACE(what_cannot_be_ours_is_discarded_with_a_sentence),
		IN_PLACE(on_a_read_only_file_system_it_is_read_all_the_same),
		IN_PLACE(what_cannot_be_read_now_is_left_for_the_next),
		IN_PLACE(a_folder_that_was_taken_away_is_noticed_and_made_again),
		IN_PLACE(a_name_is_never_a_path),
		IN_PLACE(what_is_kept_of_libvirts_domains_that_have_ended_is_dropped),
		cmocka_unit_test(this_process_has_a_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
