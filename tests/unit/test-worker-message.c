/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/worker.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct ends {
	int worker;
	int control;
};

static struct ends open_ends(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	return (struct ends){ .worker = pair[0], .control = pair[1] };
}

static void close_ends(const struct ends *e)
{
	close(e->worker);
	close(e->control);
}

static void fill(struct worker_message m[WORKER_PACK_MAX])
{
	for (int i = 0; i < WORKER_PACK_MAX; i++) {
		m[i] = (struct worker_message){ .type = WORKER_EXIT, .number = 7, .rc = -i };
		m[i].h.cpu = 99;
		memset(m[i].text, 'x', sizeof(m[i].text));
	}
}

static void a_pack_arrives_whole_and_in_order(void **state)
{
	struct worker_message sent[WORKER_PACK_MAX], got[WORKER_PACK_MAX];
	struct ends e = open_ends();

	fill(sent);
	for (size_t n = 1; n <= WORKER_PACK_MAX; n++) {
		memset(got, 0, sizeof(got));
		assert_int_equal(worker_send_pack(e.worker, sent, n), 0);
		assert_int_equal(worker_recv_pack(e.control, got), (int)n);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(got[i].number, 7);
			assert_int_equal(got[i].rc, -(int)i);
			/* The hand-over stays at home, and a text has its end. */
			assert_int_equal(got[i].h.cpu, 0);
			assert_int_equal(strlen(got[i].text), sizeof(got[i].text) - 1);
		}
		assert_int_equal(worker_recv_pack(e.control, got), -EAGAIN);
	}
	close_ends(&e);
}

static void two_packs_are_two(void **state)
{
	struct worker_message m[WORKER_PACK_MAX];
	struct ends e = open_ends();

	fill(m);
	assert_int_equal(worker_send_pack(e.worker, m, 3), 0);
	assert_int_equal(worker_send_pack(e.worker, m, 1), 0);
	assert_int_equal(worker_recv_pack(e.control, m), 3);
	assert_int_equal(worker_recv_pack(e.control, m), 1);
	close_ends(&e);
}

static void what_is_no_pack_is_refused(void **state)
{
	const size_t one = offsetof(struct worker_message, h);
	static char junk[sizeof(struct worker_message) * (WORKER_PACK_MAX + 1)];
	const size_t sizes[] = { 1,
				 one - 1,
				 one + 1,
				 sizeof(struct worker_message),
				 one * WORKER_PACK_MAX + 1,
				 one * (WORKER_PACK_MAX + 1) };
	struct worker_message m[WORKER_PACK_MAX];
	struct ends e = open_ends();

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(send(e.worker, junk, sizes[i], 0), (ssize_t)sizes[i]);
		assert_int_equal(worker_recv_pack(e.control, m), -EBADMSG);
	}
	close_ends(&e);
}

static void the_end_of_the_socket_is_told_from_silence(void **state)
{
	struct worker_message m[WORKER_PACK_MAX];
	struct ends e = open_ends();

	fill(m);
	assert_int_equal(worker_recv_pack(e.control, m), -EAGAIN);
	assert_int_equal(worker_send_pack(e.worker, m, 2), 0);
	close(e.worker);
	/* What was said before counts. */
	assert_int_equal(worker_recv_pack(e.control, m), 2);
	assert_int_equal(worker_recv_pack(e.control, m), 0);
	close(e.control);
}

static void nobody_hears_a_pack(void **state)
{
	struct worker_message m[WORKER_PACK_MAX];
	struct ends e = open_ends();

	fill(m);
	close(e.control);
	assert_int_equal(worker_send_pack(e.worker, m, 1), -EPIPE);
	close(e.worker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pack_arrives_whole_and_in_order),
		cmocka_unit_test(two_packs_are_two),
		cmocka_unit_test(what_is_no_pack_is_refused),
		cmocka_unit_test(the_end_of_the_socket_is_told_from_silence),
		cmocka_unit_test(nobody_hears_a_pack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
