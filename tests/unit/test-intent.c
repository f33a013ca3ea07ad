/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of an intent. */
#include "tests/unit/intent-samples.h"

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

static void what_has_ended_is_the_same_bytes_as_if_it_were_written_anew(void **state)
{
	struct intent i = make_intent(8, 3);
	struct intent rest = i;
	struct intent_bytes *first = NULL, *second = NULL;
	uint8_t whole[SLOT], parts[SLOT];
	int n = intent_encode(&i, whole, sizeof(whole));

	assert_int_equal(intent_encode_op(&i.ops[0], &first), 0);
	assert_int_equal(intent_encode_op(&i.ops[1], &second), 0);
	rest.n_ended = 2;
	rest.ended[0] = first;
	rest.ended[1] = second;
	rest.n_ops = 1;
	rest.ops = &i.ops[2];
	assert_true(intent_size(&rest) <= intent_size(&i));
	assert_int_equal(intent_encode(&rest, parts, sizeof(parts)), n);
	assert_memory_equal(whole, parts, (size_t)n);
	/* Where they end is not beyond the room there is. */
	assert_int_equal(intent_encode(&rest, parts, (size_t)n - 1), -ENOBUFS);
	rest.n_ops = 0;
	n = intent_encode(&rest, parts, sizeof(parts));
	assert_true(n > 0);
	assert_int_equal(intent_encode(&rest, parts, (size_t)n - 1), -ENOBUFS);
	free(first);
	free(second);
	intent_done(&i);
}

static void a_number_out_of_range_is_refused(void **state)
{
	struct intent i = make_intent(8, 3);
	struct intent_bytes *bytes = NULL;
	uint8_t data[SLOT];

	i.ops[0].moves[1].from = CPUHP_ONLINE + 1;
	assert_int_equal(intent_encode_op(&i.ops[0], &bytes), -ENOBUFS);
	assert_null(bytes);
	i.ops[0].moves[1].from = CPUHP_ONLINE + 1;
	assert_int_equal(intent_encode(&i, data, sizeof(data)), -ENOBUFS);
	i.ops[0].moves[1].from = 0;
	i.n_ops = INTENT_OPS_MAX + 1;
	assert_int_equal(intent_encode(&i, data, sizeof(data)), -ENOBUFS);
	i.n_ops = 3;
	intent_done(&i);
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

/* Where nothing was under way by the other version nothing is lost with it. */
static void anothers_that_is_at_rest_counts_where_it_is_the_newest(void **state)
{
	struct intent i = make_intent(0, 0), back = { 0 };
	uint8_t data[2 * SLOT] = { 0 };
	int n;

	for (unsigned int k = 0; k < i.n_ops; k++)
		i.ops[k].stage = INTENT_ENDED;
	i.seq = 7;
	n = intent_encode(&i, data, SLOT);
	make_anothers(data, n, INTENT_VERSION + 1);
	assert_int_equal(intent_newest(data, SLOT, &back), -ESTALE);
	i.seq = 6;
	assert_true(intent_encode(&i, data + SLOT, SLOT) > 0);
	assert_int_equal(intent_newest(data, SLOT, &back), -ESTALE);
	/* Another's older one does not count, whatever was under way. */
	i.ops[0].stage = INTENT_CLIMBING;
	n = intent_encode(&i, data + SLOT, SLOT);
	make_anothers(data + SLOT, n, INTENT_VERSION + 1);
	assert_int_equal(intent_newest(data, SLOT, &back), -ESTALE);
	i.ops[0].stage = INTENT_ENDED;
	i.seq = 8;
	assert_true(intent_encode(&i, data + SLOT, SLOT) > 0);
	assert_int_equal(intent_newest(data, SLOT, &back), 1);
	assert_int_equal(back.seq, 8);
	intent_done(&back);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(every_flipped_bit_is_noticed),
		cmocka_unit_test(whatever_a_write_tears_the_other_slot_counts),
		cmocka_unit_test(what_has_ended_is_the_same_bytes_as_if_it_were_written_anew),
		cmocka_unit_test(a_number_out_of_range_is_refused),
		cmocka_unit_test(anothers_is_told_and_leaves_nothing_that_counts),
		cmocka_unit_test(anothers_that_is_at_rest_counts_where_it_is_the_newest),
		cmocka_unit_test(the_largest_machine_has_room),
		cmocka_unit_test(another_run_is_told_by_any_of_its_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
