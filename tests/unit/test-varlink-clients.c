/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server over a real socket: clients that leave, lag, crowd in, or send what they should not.
 */
#include "varlink-echo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void a_client_that_leaves_is_forgotten(void **state)
{
	struct varlink_bench *b = *state;
	int fd = varlink_bench_connect(b);

	varlink_bench_send(b, fd, CALL("Later"));
	assert_non_null(service.held);
	close(fd);
	varlink_bench_pump(b);
	assert_int_equal(service.gone, 1);
	assert_int_equal(varlink_server_connections(b->server), 0);
}

/* A request is carried out although its sender has not waited, and so is what it sent behind. */
static void sending_and_leaving_counts(void **state)
{
	static const char calls[] = CALL_ECHO("1") "\0" CALL("Later") "\0" CALL_ECHO("2");
	struct varlink_bench *b = *state;
	int fd = varlink_bench_connect(b);

	assert_int_equal(send(fd, calls, sizeof(calls), 0), sizeof(calls));
	close(fd);
	varlink_bench_pump(b);
	assert_int_equal(service.echoes, 2);
	assert_int_equal(service.gone, 1);
	assert_int_equal(varlink_server_connections(b->server), 0);
}

static void a_half_closed_client_gets_its_answer(void **state)
{
	struct varlink_bench *b = *state;
	int fd = varlink_bench_connect(b);

	assert_true(send(fd, CALL("Later"), sizeof(CALL("Later")), 0) > 0);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	varlink_bench_pump(b);
	assert_int_equal(service.gone, 0);
	varlink_reply(service.held, NULL);
	assert_string_equal(varlink_bench_receive(b, fd), "{\"parameters\":{}}");
	assert_null(varlink_bench_receive(b, fd));
	assert_int_equal(varlink_server_connections(b->server), 0);
	close(fd);
}

static void idle_and_half_sent_clients_are_left_alone(void **state)
{
	struct varlink_bench *b = *state;
	int idle = varlink_bench_connect(b), half = varlink_bench_connect(b);

	assert_int_equal(send(half, "{\"meth", 6, 0), 6);
	varlink_bench_pump(b);
	assert_int_equal(varlink_server_connections(b->server), 2);
	close(idle);
	close(half);
	varlink_bench_pump(b);
	assert_int_equal(varlink_server_connections(b->server), 0);
}

static void stops_with_calls_under_way(void **state)
{
	struct varlink_bench *b = *state;
	int fd = varlink_bench_connect(b);

	varlink_bench_send(b, fd, CALL("Later"));
	b->server = varlink_server_free(b->server);
	assert_int_equal(service.gone, 1);
	assert_null(varlink_bench_receive(b, fd));
	close(fd);
}

static json_object *long_text(void)
{
	char text[4001];
	json_object *o = json_object_new_object();

	memset(text, 'y', 4000);
	text[4000] = '\0';
	json_object_object_add(o, "t", json_object_new_string(text));
	return o;
}

/* A reader that keeps up may be sent any amount; one that does not is dropped at the limit. */
static void drops_a_slow_reader(void **state)
{
	struct varlink_bench *b = *state;
	int fd = varlink_bench_connect(b);
	size_t sent = 0;

	varlink_bench_send(b, fd, "{\"method\":\"test.bench.Stream\",\"more\":true}");
	for (int i = 0; i < 1000; i++) {
		varlink_notify(service.held, long_text());
		assert_non_null(strstr(varlink_bench_receive(b, fd), "\"continues\":true"));
	}
	assert_int_equal(service.gone, 0);
	while (service.held && sent < (size_t)16 * VARLINK_QUEUE_MAX) {
		assert_true(varlink_call_queued(service.held) <= VARLINK_QUEUE_MAX);
		varlink_notify(service.held, long_text());
		sent += 4000;
		varlink_bench_pump(b);
	}
	assert_int_equal(service.gone, 1);
	assert_in_range(sent, VARLINK_QUEUE_MAX, 8 * VARLINK_QUEUE_MAX);
	assert_int_equal(varlink_server_connections(b->server), 0);
	close(fd);
}

/* What is on its way does not change with it, and it outlives the client. */
static void a_notice_can_be_changed_and_sent_again(void **state)
{
	struct varlink_bench *b = *state;
	int fd = varlink_bench_connect(b);
	json_object *n = json_object_new_object(), *notice = varlink_notice_new(n);
	char want[80];

	assert_non_null(notice);
	varlink_bench_send(b, fd, "{\"method\":\"test.bench.Stream\",\"more\":true}");
	for (int i = 1; i <= 3; i++) {
		json_object_object_add(n, "n", i == 2 ? NULL : json_object_new_int(i));
		varlink_notify_again(service.held, notice);
	}
	for (int i = 1; i <= 3; i++) {
		snprintf(want, sizeof(want), "{\"continues\":true,\"parameters\":{\"n\":%s}}",
			 i == 1   ? "1"
			 : i == 2 ? "null"
				  : "3");
		assert_string_equal(varlink_bench_receive(b, fd), want);
	}
	close(fd);
	varlink_notify_again(service.held, notice);
	varlink_bench_pump(b);
	assert_int_equal(service.gone, 1);
	json_object_put(notice);
}

struct parts {
	unsigned int told, left;
};

static json_object *part_of(size_t len)
{
	json_object *o = json_object_new_object();
	char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'x', len);
	text[len] = '\0';
	json_object_object_add(o, "text", json_object_new_string(text));
	free(text);
	return o;
}

/* Parts that are each more than a client may leave unread. */
static void on_room(void *ctx)
{
	struct parts *p = ctx;

	p->told++;
	if (--p->left == 0) {
		varlink_reply(service.held, part_of(1000));
		return;
	}
	varlink_notify(service.held, part_of((size_t)2 * VARLINK_QUEUE_MAX));
	varlink_call_on_room(service.held, on_room, p);
}

static void a_long_answer_goes_in_parts_as_it_is_read(void **state)
{
	struct varlink_bench *b = *state;
	struct parts p = { .left = 4 };
	int fd = varlink_bench_connect(b);

	varlink_bench_send(b, fd, "{\"method\":\"test.bench.Stream\",\"more\":true}");
	assert_non_null(service.held);
	assert_int_equal(p.told, 0);
	varlink_call_on_room(service.held, on_room, &p);
	/* Never from inside the call; and then the first part waits to be read. */
	assert_int_equal(p.told, 0);
	varlink_bench_pump(b);
	assert_int_equal(p.told, 1);
	for (unsigned int i = 1; i <= 3; i++) {
		assert_int_equal(p.told, i);
		assert_non_null(strstr(varlink_bench_receive(b, fd), "\"continues\":true"));
		varlink_bench_pump(b);
	}
	assert_int_equal(strncmp(varlink_bench_receive(b, fd), "{\"parameters\"", 13), 0);
	/* The connection is as good as before. */
	varlink_bench_send(b, fd, CALL_ECHO("1"));
	assert_string_equal(varlink_bench_receive(b, fd), ECHO("1"));
	close(fd);
}

static void who_leaves_in_the_middle_is_told_no_more(void **state)
{
	struct varlink_bench *b = *state;
	struct parts p = { .left = 4 };
	int fd = varlink_bench_connect(b);

	varlink_bench_send(b, fd, "{\"method\":\"test.bench.Stream\",\"more\":true}");
	varlink_call_on_room(service.held, on_room, &p);
	varlink_bench_pump(b);
	close(fd);
	varlink_bench_pump(b);
	assert_int_equal(p.told, 1);
	assert_int_equal(service.gone, 1);
	assert_int_equal(varlink_server_connections(b->server), 0);
}

/* Answering a client that has just become too slow must not touch what is freed. */
static void answers_a_dropped_reader_safely(void **state)
{
	struct varlink_bench *b = *state;
	int fd = varlink_bench_connect(b);

	varlink_bench_send(b, fd, "{\"method\":\"test.bench.Stream\",\"more\":true}");
	for (int i = 0; i < 1000; i++)
		varlink_notify(service.held, long_text());
	varlink_reply(service.held, NULL);
	varlink_bench_pump(b);
	assert_int_equal(service.gone, 0);
	assert_int_equal(varlink_server_connections(b->server), 0);
	close(fd);
}

static void one_large_answer_passes(void **state)
{
	struct varlink_bench *b = *state;
	int fd = varlink_bench_connect(b);

	varlink_bench_send(b, fd, CALL("Big"));
	assert_int_equal(varlink_server_connections(b->server), 1);
	assert_true(strlen(varlink_bench_receive(b, fd)) > 700000);
	close(fd);
}

static unsigned int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void send_with_descriptor(int fd, const char *text, size_t len, int passed)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)text, .iov_len = len };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &passed, sizeof(int));
	assert_int_equal(sendmsg(fd, &mh, 0), len);
}

static void keeps_no_descriptor_sent_along(void **state)
{
	static const char request[] = CALL_ECHO("fd");
	struct varlink_bench *b = *state;
	int fd = varlink_bench_connect(b), ends[2];
	unsigned int before;
	char byte;

	varlink_bench_pump(b);
	assert_int_equal(pipe(ends), 0);
	before = open_descriptors();
	send_with_descriptor(fd, request, sizeof(request), ends[1]);
	assert_string_equal(varlink_bench_receive(b, fd), ECHO("fd"));
	assert_int_equal(open_descriptors(), before);
	close(ends[1]);
	/* Nobody holds the other end any more. */
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	close(fd);
}

static void limits_connections(void **state)
{
	struct varlink_bench *b = *state;
	unsigned int limit = getuid() == 0 ? VARLINK_CONNECTIONS_MAX : VARLINK_PER_UID_MAX;
	int fds[VARLINK_CONNECTIONS_MAX], extra;

	for (unsigned int i = 0; i < limit; i++)
		fds[i] = varlink_bench_connect(b);
	varlink_bench_pump(b);
	assert_int_equal(varlink_server_connections(b->server), limit);
	extra = varlink_bench_connect(b);
	assert_string_equal(varlink_bench_receive(b, extra),
			    "{\"error\":\"test.bench.Busy\",\"parameters\":{\"text\":"
			    "\"too many connections to the daemon\"}}");
	assert_null(varlink_bench_receive(b, extra));
	close(extra);
	close(fds[0]);
	varlink_bench_pump(b);
	fds[0] = varlink_bench_connect(b);
	varlink_bench_send(b, fds[0], CALL_ECHO("room again"));
	assert_string_equal(varlink_bench_receive(b, fds[0]), ECHO("room again"));
	for (unsigned int i = 0; i < limit; i++)
		close(fds[i]);
}

/* Ten users crowd in; each gets its share, together they leave root's places free. */
static void keeps_places_for_root(void **state)
{
	struct varlink_bench *b = *state;
	int fds[10][VARLINK_PER_UID_MAX + 1], fd;

	if (getuid() != 0)
		skip();
	for (unsigned int i = 0; i < 10; i++) {
		for (int n = 0; n <= VARLINK_PER_UID_MAX; n++)
			fds[i][n] = varlink_bench_connect_as(b, 60000 + i, 60000);
		varlink_bench_pump(b);
		assert_int_equal(varlink_server_connections(b->server),
				 i < 7 ? (i + 1) * VARLINK_PER_UID_MAX
				       : VARLINK_CONNECTIONS_MAX - VARLINK_ROOT_RESERVE);
	}
	fd = varlink_bench_connect(b);
	varlink_bench_send(b, fd, CALL_ECHO("root"));
	assert_string_equal(varlink_bench_receive(b, fd), ECHO("root"));
	close(fd);
	for (int i = 0; i < 10; i++)
		for (int n = 0; n <= VARLINK_PER_UID_MAX; n++)
			close(fds[i][n]);
}

/* A thousand calls in one packet do not keep a neighbour waiting. */
static void serves_all_alike(void **state)
{
	struct varlink_bench *b = *state;
	int greedy = varlink_bench_connect(b), other = varlink_bench_connect(b);

	varlink_bench_pump(b);
	for (int i = 0; i < 200; i++)
		assert_true(send(greedy, CALL_ECHO("g"), sizeof(CALL_ECHO("g")), 0) > 0);
	assert_true(send(other, CALL_ECHO("o"), sizeof(CALL_ECHO("o")), 0) > 0);
	for (int i = 0; i < 12; i++)
		assert_true(sd_event_run(b->event, 0) >= 0);
	assert_in_range(service.echoes, 2, 12);
	assert_true(recv(other, (char[256]){ 0 }, 256, 0) > 0);
	close(greedy);
	close(other);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, varlink_echo_setup, varlink_echo_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_client_that_leaves_is_forgotten),
		CASE(sending_and_leaving_counts),
		CASE(a_half_closed_client_gets_its_answer),
		CASE(idle_and_half_sent_clients_are_left_alone),
		CASE(stops_with_calls_under_way),
		CASE(drops_a_slow_reader),
		CASE(a_notice_can_be_changed_and_sent_again),
		CASE(a_long_answer_goes_in_parts_as_it_is_read),
		CASE(who_leaves_in_the_middle_is_told_no_more),
		CASE(answers_a_dropped_reader_safely),
		CASE(one_large_answer_passes),
		CASE(keeps_no_descriptor_sent_along),
		CASE(limits_connections),
		CASE(keeps_places_for_root),
		CASE(serves_all_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
