/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of an intent, and the file they are kept in. */
#include "daemon/failpoint.h"
#include "daemon/intent-file.h"
#include "proto/frame.h"
#include "proto/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SLOT = 8192, ROOM = 1 << 20 };

static struct intent_move make_move(unsigned int vcpu)
{
	struct intent_move m = { .vcpu = vcpu,
				 .to = CPUHP_ONLINE,
				 .goal = CPUHP_ONLINE,
				 .at = -1,
				 .started = true,
				 .undoing = vcpu & 1,
				 .cpu = -1,
				 .state = CPUHP_AP_KICK,
				 .ran_on = -1,
				 .failed_at = CPUHP_AP_DYN,
				 .rc = -EIO,
				 .rollback_failed_at = -1,
				 .result = VCPU_ROLLED_BACK };

	snprintf(m.failed_name, sizeof(m.failed_name), "ap:dyn.10-log");
	snprintf(m.error, sizeof(m.error), "vcpu %u: it did not work", vcpu);
	memset(m.step_us, 0xff, sizeof(m.step_us));
	/* All of them, none, and one that took longer than can be kept. */
	for (int s = 0; s < CPUHP_STATES; s++)
		m.step_us[s] = vcpu % 3 == 0 ? 1000U * vcpu + (unsigned int)s : UINT64_MAX;
	if (vcpu % 3 == 2)
		m.step_us[CPUHP_AP_ONLINE] = 1ULL << 40;
	return m;
}

/* The point that fails, NULL none; and whether nothing can be opened to be written to. */
static const char *failing;
static bool read_only;

int failpoint(const char *point)
{
	return failing && strcmp(failing, point) == 0 ? -EIO : 0;
}

static struct intent make_intent(unsigned int vcpus, unsigned int moves)
{
	struct intent i = { .seq = 7,
			    .run = { .known = true,
				     .maximum = vcpus,
				     .libvirt_id = 3,
				     .pid = 77,
				     .pid_started = 1ULL << 40 },
			    .guest_boot = { 1, 2, 3 },
			    .n_vcpus = vcpus,
			    .n_ops = 3 };

	snprintf(i.run.uuid, sizeof(i.run.uuid), "c7a5fdbd-cdaf-9455-926a-d65c16db1809");
	i.vcpus = calloc(vcpus, sizeof(*i.vcpus));
	assert_non_null(i.vcpus);
	for (unsigned int k = 0; k < vcpus; k++)
		i.vcpus[k] = (struct intent_vcpu){ .wish = (int)k % 45 - 1,
						   .owned = k % 2,
						   .leaving = k % 3 == 0,
						   .returning = k % 5 == 0,
						   .back = k % 4 };
	i.ops = calloc(INTENT_OPS_MAX + 1, sizeof(*i.ops));
	assert_non_null(i.ops);
	i.ops[0] = (struct intent_op){
		.stage = INTENT_SETTLING,
		.request = { .count = 4, .standby = -1, .target = -1, .uid = 5 },
		.accepted_us = 1,
		.deadline_us = UINT64_MAX,
		.stop_rc = -ETIMEDOUT,
		.denied = true,
		.denial = ERR_NO_SUCH_VCPU,
		.kick_base = 4000000000U,
		.result = OP_ACCEPTED,
		.refused_by = "policy",
		.persist = { .present = -1, .maximum = 9 },
		.counts = { 8, 7, -1, 0 },
		.n_moves = moves
	};
	snprintf(i.ops[0].id, sizeof(i.ops[0].id), "job-1");
	snprintf(i.ops[0].dyn_names[1], sizeof(i.ops[0].dyn_names[1]), "20-net");
	snprintf(i.ops[0].dyn_names[INTENT_DYNS - 1], sizeof(i.ops[0].dyn_names[0]), "99-last");
	i.ops[0].moves = calloc(moves, sizeof(*i.ops[0].moves));
	assert_non_null(i.ops[0].moves);
	for (unsigned int k = 0; k < moves; k++)
		i.ops[0].moves[k] = make_move(k);
	for (unsigned int k = 1; k < 3; k++) {
		i.ops[k].request.goal = OP_GOAL_TARGET;
		i.ops[k].request.target = CPUHP_STANDBY;
		i.ops[k].request.own = true;
		cpulist_set(&i.ops[k].request.list, 4095 - k);
		snprintf(i.ops[k].id, sizeof(i.ops[k].id), "waits-%u", k);
	}
	return i;
}

static void check_same(const struct intent *a, const struct intent *b)
{
	const struct intent_op *x = &a->ops[0], *y = &b->ops[0];

	assert_int_equal(a->seq, b->seq);
	assert_memory_equal(&a->run, &b->run, sizeof(a->run));
	assert_memory_equal(a->guest_boot, b->guest_boot, sizeof(a->guest_boot));
	assert_int_equal(a->n_vcpus, b->n_vcpus);
	for (unsigned int k = 0; k < a->n_vcpus; k++) {
		assert_int_equal(a->vcpus[k].wish, b->vcpus[k].wish);
		assert_int_equal(a->vcpus[k].back, b->vcpus[k].back);
		assert_int_equal(
			a->vcpus[k].owned | a->vcpus[k].leaving << 1 | a->vcpus[k].returning << 2,
			b->vcpus[k].owned | b->vcpus[k].leaving << 1 | b->vcpus[k].returning << 2);
	}
	assert_int_equal(a->n_ops, b->n_ops);
	assert_string_equal(x->id, y->id);
	assert_int_equal(x->deadline_us, y->deadline_us);
	assert_int_equal(x->stop_rc, y->stop_rc);
	assert_int_equal(x->kick_base, y->kick_base);
	assert_int_equal(x->denied, y->denied);
	assert_int_equal(x->denial, y->denial);
	assert_string_equal(x->refused_by, y->refused_by);
	assert_memory_equal(&x->counts, &y->counts, sizeof(x->counts));
	assert_memory_equal(x->dyn_names, y->dyn_names, sizeof(x->dyn_names));
	assert_int_equal(x->n_moves, y->n_moves);
	for (unsigned int k = 0; k < x->n_moves; k++) {
		assert_int_equal(x->moves[k].undoing, y->moves[k].undoing);
		assert_int_equal(x->moves[k].at, y->moves[k].at);
		assert_int_equal(x->moves[k].rc, y->moves[k].rc);
		assert_string_equal(x->moves[k].error, y->moves[k].error);
		if (k % 3 == 2)
			assert_int_equal(y->moves[k].step_us[CPUHP_AP_ONLINE], UINT32_MAX);
		else
			assert_memory_equal(x->moves[k].step_us, y->moves[k].step_us,
					    sizeof(x->moves[k].step_us));
	}
	for (unsigned int k = 1; k < a->n_ops; k++) {
		assert_string_equal(a->ops[k].id, b->ops[k].id);
		assert_memory_equal(&a->ops[k].request, &b->ops[k].request,
				    sizeof(a->ops[k].request));
	}
}

static void what_is_written_is_read(void **state)
{
	struct intent i = make_intent(8, 3), back = { 0 };
	uint8_t data[SLOT];
	int n = intent_encode(&i, data, sizeof(data));

	assert_in_range(n, 1, SLOT);
	assert_int_equal(intent_decode(data, sizeof(data), &back), 0);
	check_same(&i, &back);
	intent_done(&i);
	intent_done(&back);
}

static void every_flipped_bit_is_noticed(void **state)
{
	struct intent i = make_intent(8, 3), back = { 0 };
	uint8_t data[SLOT];
	int n = intent_encode(&i, data, sizeof(data));

	for (int bit = 0; bit < n * 8; bit++) {
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(intent_decode(data, sizeof(data), &back) < 0);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	intent_done(&i);
}

/* A write that ends anywhere leaves what was there behind it. */
static void whatever_a_write_tears_the_other_slot_counts(void **state)
{
	struct intent old = make_intent(8, 3), new = make_intent(8, 2), back = { 0 };
	uint8_t data[2 * SLOT] = { 0 }, fresh[SLOT];
	int n;

	assert_true(intent_encode(&old, data, SLOT) > 0);
	new.seq = old.seq + 1;
	n = intent_encode(&new, fresh, SLOT);
	for (int torn = 0; torn <= n; torn++) {
		uint8_t before[SLOT];
		bool whole;

		/* What the slot held two writes ago. */
		old.seq -= 1;
		assert_true(intent_encode(&old, before, SLOT) > 0);
		old.seq += 1;
		memcpy(data + SLOT, before, SLOT);
		memcpy(data + SLOT, fresh, (size_t)torn);
		/* What was there may happen to be the rest of it. */
		whole = memcmp(data + SLOT, fresh, (size_t)n) == 0;
		assert_true(whole || torn < n);
		assert_int_equal(intent_newest(data, SLOT, &back), whole);
		check_same(whole ? &new : &old, &back);
		intent_done(&back);
	}
	intent_done(&old);
	intent_done(&new);
}

static void a_number_out_of_range_is_refused(void **state)
{
	struct intent i = make_intent(8, 3);
	uint8_t data[SLOT];

	i.ops[0].moves[1].from = CPUHP_ONLINE + 1;
	assert_int_equal(intent_encode(&i, data, sizeof(data)), -ENOBUFS);
	i.ops[0].moves[1].from = 0;
	i.n_ops = INTENT_OPS_MAX + 1;
	assert_int_equal(intent_encode(&i, data, sizeof(data)), -ENOBUFS);
	i.n_ops = 3;
	intent_done(&i);
}

/* As another version would write it: whole, and with a header that is the same. */
static void make_anothers(uint8_t *slot, int length, uint32_t version)
{
	static const uint8_t none[4];

	put_le32(slot + 4, version);
	put_le32(slot + 8, 0);
	put_le32(slot + 8,
		 crc32c(crc32c(crc32c(0, slot, 8), none, 4), slot + 12, (size_t)length - 12));
}

static void anothers_is_told_and_leaves_nothing_that_counts(void **state)
{
	static const uint32_t versions[] = { 0, INTENT_VERSION + 1, UINT32_MAX };
	struct intent i = make_intent(8, 3), back = { 0 };

	for (unsigned int v = 0; v < 3; v++)
		for (unsigned int slot = 0; slot < 2; slot++)
			/* Written before this version's, in its place, or after it. */
			for (uint64_t seq = 6; seq <= 8; seq++) {
				uint8_t data[2 * SLOT] = { 0 };
				int n;

				i.seq = seq;
				n = intent_encode(&i, data + (size_t)slot * SLOT, SLOT);
				make_anothers(data + (size_t)slot * SLOT, n, versions[v]);
				assert_int_equal(intent_newest(data, SLOT, &back),
						 -EPROTONOSUPPORT);
				i.seq = 7;
				assert_true(intent_encode(&i, data + (size_t)!slot * SLOT, SLOT) >
					    0);
				assert_int_equal(intent_newest(data, SLOT, &back),
						 -EPROTONOSUPPORT);
				assert_null(back.ops);
			}
	intent_done(&i);
}

static void the_largest_machine_has_room(void **state)
{
	struct intent i = make_intent(4096, 4096), back = { 0 };
	uint8_t *data = malloc(INTENT_BYTES_MAX);
	int n;

	assert_non_null(data);
	assert_true(intent_size(&i) <= INTENT_BYTES_MAX);
	n = intent_encode(&i, data, INTENT_BYTES_MAX);
	assert_in_range(n, 1, INTENT_BYTES_MAX);
	assert_int_equal(intent_decode(data, INTENT_BYTES_MAX, &back), 0);
	check_same(&i, &back);
	intent_done(&i);
	intent_done(&back);
	free(data);
}

static void another_run_is_told_by_any_of_its_marks(void **state)
{
	const struct intent_run a = {
		.known = true, .uuid = "u", .maximum = 8, .pid = 5, .pid_started = 9
	};
	struct intent_run b = a;

	assert_true(intent_is_same_run(&a, &b));
	b.pid_started = 0; /* unknown */
	assert_true(intent_is_same_run(&a, &b));
	b.pid_started = 10; /* its number was used again */
	assert_false(intent_is_same_run(&a, &b));
	b = a;
	b.pid = 6;
	assert_false(intent_is_same_run(&a, &b));
	b = a;
	b.maximum = 9;
	assert_false(intent_is_same_run(&a, &b));
	b = a;
	b.libvirt_id = 1;
	assert_false(intent_is_same_run(&a, &b));
	b = a;
	b.uuid[0] = 'v';
	assert_false(intent_is_same_run(&a, &b));
	b = a;
	b.host_boot[15] = 1;
	assert_false(intent_is_same_run(&a, &b));
	b = a;
	b.known = false;
	assert_false(intent_is_same_run(&a, &b));
}

/* The file */

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
	ssize_t n = fd >= 0 ? read(fd, data, 2 * SLOT) : -1;

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
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(every_flipped_bit_is_noticed),
		cmocka_unit_test(whatever_a_write_tears_the_other_slot_counts),
		cmocka_unit_test(a_number_out_of_range_is_refused),
		cmocka_unit_test(anothers_is_told_and_leaves_nothing_that_counts),
		cmocka_unit_test(the_largest_machine_has_room),
		cmocka_unit_test(another_run_is_told_by_any_of_its_marks),
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
