/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/hv-libvirt-work.h"

/* Jobs write their letters into one text, in the order in which done() is called. */
struct bench {
	sd_event *event;
	struct work *work;
	char said[256];
	size_t n;
};

struct letter {
	struct job job;
	struct bench *b;
	char c;
	int fd;    /* read before it is done, -1 none */
	int begun; /* written to when it runs, -1 none */
	bool was_ending;
};

static void run(struct job *job)
{
	struct letter *l = (struct letter *)(void *)job;
	char c;

	l->was_ending = job->ending;
	if (l->begun >= 0)
		assert_int_equal(write(l->begun, "", 1), 1);
	if (l->fd >= 0 && !job->ending)
		assert_int_equal(read(l->fd, &c, 1), 1);
}

static void done(struct job *job)
{
	struct letter *l = (struct letter *)(void *)job;

	if (l->b->n < sizeof(l->b->said) - 1)
		l->b->said[l->b->n++] = l->was_ending ? '!' : l->c;
	free(l);
}

static struct letter *new_letter(struct bench *b, char c, int fd)
{
	struct letter *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	*l = (struct letter){
		.job = { .run = run, .done = done }, .b = b, .c = c, .fd = fd, .begun = -1
	};
	return l;
}

static void submit(struct bench *b, enum work_lane lane, char c, int fd)
{
	assert_int_equal(work_submit(b->work, lane, &new_letter(b, c, fd)->job), 0);
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	assert_true(sd_event_new(&b->event) >= 0);
	assert_int_equal(work_new(&b->work, b->event), 0);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	if (b->work) {
		assert_true(work_stop(b->work, 5000));
		work_free(b->work);
	}
	sd_event_unref(b->event);
	free(b);
	return 0;
}

/* Turn the loop until so many are done. */
static void wait_said(struct bench *b, size_t n)
{
	while (b->n < n)
		assert_true(sd_event_run(b->event, 5000000) > 0);
}

static void readings_come_back_in_their_order(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 26; i++)
		submit(b, LANE_READ, (char)('a' + i), -1);
	wait_said(b, 26);
	assert_string_equal(b->said, "abcdefghijklmnopqrstuvwxyz");
}

static void changes_that_block_hold_up_neither_others_nor_readings(void **state)
{
	struct bench *b = *state;
	int blocked[2];

	assert_int_equal(pipe(blocked), 0);
	for (int i = 0; i < WORK_CHANGES_MAX - 1; i++)
		submit(b, LANE_CHANGE, 'x', blocked[0]);
	submit(b, LANE_CHANGE, 'c', -1);
	wait_said(b, 1);
	submit(b, LANE_READ, 'r', -1);
	wait_said(b, 2);
	assert_string_equal(b->said, "cr");
	for (int i = 0; i < WORK_CHANGES_MAX - 1; i++)
		assert_int_equal(write(blocked[1], "", 1), 1);
	wait_said(b, 2 + WORK_CHANGES_MAX - 1);
	close(blocked[0]);
	close(blocked[1]);
}

static void events_beyond_a_number_are_refused(void **state)
{
	struct bench *b = *state;
	struct letter *l;

	for (int i = 0; i < WORK_EVENTS_MAX; i++) {
		l = new_letter(b, '.', -1);
		l->job.event = true;
		assert_true(work_post(b->work, &l->job));
	}
	l = new_letter(b, '.', -1);
	l->job.event = true;
	assert_false(work_post(b->work, &l->job));
	/* What is none is never left out. */
	l->job.event = false;
	assert_true(work_post(b->work, &l->job));
}

static void what_waits_at_the_end_is_only_given_back(void **state)
{
	struct bench *b = *state;
	int blocked[2], begun[2];
	struct letter *a;
	char c;

	assert_int_equal(pipe(blocked), 0);
	assert_int_equal(pipe(begun), 0);
	a = new_letter(b, 'a', blocked[0]);
	a->begun = begun[1];
	assert_int_equal(work_submit(b->work, LANE_READ, &a->job), 0);
	submit(b, LANE_READ, 'b', -1);
	assert_int_equal(read(begun[0], &c, 1), 1);
	assert_false(work_stop(b->work, 50));
	assert_int_equal(write(blocked[1], "", 1), 1);
	assert_true(work_stop(b->work, 5000));
	work_free(b->work);
	b->work = NULL;
	assert_string_equal(b->said, "a!");
	close(begun[0]);
	close(begun[1]);
	close(blocked[0]);
	close(blocked[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(readings_come_back_in_their_order, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			changes_that_block_hold_up_neither_others_nor_readings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_waits_at_the_end_is_only_given_back, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(events_beyond_a_number_are_refused, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
