/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server over a real socket: cutting of messages, strictness, limits, and clients that leave,
 * lag, or send what they should not.
 */
#include "varlink-bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the handlers of the test's interface leave behind. */
struct service {
	struct varlink_call *held; /* by Later and Stream */
	unsigned int gone, echoes;
	bool closed; /* admit() says no */
};

static struct service service;

static void echo(void *ctx, struct varlink_call *call)
{
	json_object *o = json_object_new_object();

	service.echoes++;
	json_object_object_add(o, "text",
			       json_object_new_string(varlink_call_str(call, "text", "none")));
	json_object_object_add(o, "n", json_object_new_int64(varlink_call_int(call, "n", -1)));
	json_object_object_add(o, "flag",
			       json_object_new_boolean(varlink_call_bool(call, "flag", true)));
	varlink_reply(call, o);
}

static void on_gone(void *ctx)
{
	service.gone++;
	service.held = NULL;
}

static void hold(void *ctx, struct varlink_call *call)
{
	service.held = call;
	varlink_call_on_gone(call, on_gone, NULL);
}

/* An answer of a megabyte would not fit any queue limit. */
static void big(void *ctx, struct varlink_call *call)
{
	char *text = malloc(700001);
	json_object *o = json_object_new_object();

	assert_non_null(text);
	memset(text, 'x', 700000);
	text[700000] = '\0';
	json_object_object_add(o, "text", json_object_new_string(text));
	free(text);
	varlink_reply(call, o);
}

static bool admit(void *ctx, struct varlink_call *call)
{
	if (service.closed)
		varlink_fail(call, "test.bench.Closed", NULL);
	return !service.closed;
}

static const struct varlink_param echo_params[] = {
	{ .name = "text", .type = VARLINK_STRING, .max = 60000 },
	{ .name = "n", .type = VARLINK_INT, .optional = true, .min = 1, .max = 10 },
	{ .name = "flag", .type = VARLINK_BOOL, .optional = true },
	{ 0 },
};

static const struct varlink_method methods[] = {
	{ .name = "Echo", .params = echo_params, .handler = echo },
	{ .name = "Later", .handler = hold },
	{ .name = "Stream", .needs_more = true, .handler = hold },
	{ .name = "Big", .handler = big },
	{ 0 },
};

static const struct varlink_interface interface = {
	.name = "test.bench",
	.description = "interface test.bench\n",
	.methods = methods,
	.range_error = "test.bench.OutOfRange",
	.admit = admit,
};

static int setup(void **state)
{
	struct varlink_bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	service = (struct service){ 0 };
	varlink_bench_init(b, &interface);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	varlink_bench_done(*state);
	free(*state);
	return 0;
}

#define INVALID(p)                                                                               \
	"{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"" p \
	"\"}}"
#define ECHO(text) "{\"parameters\":{\"text\":\"" text "\",\"n\":-1,\"flag\":true}}"
#define CALL_ECHO(text) "{\"method\":\"test.bench.Echo\",\"parameters\":{\"text\":\"" text "\"}}"
#define CALL(method) "{\"method\":\"test.bench." method "\"}"

/* Row: a request, its answer, and whether the connection lives on. */
static const struct {
	const char *sentence, *request, *answer;
	bool closes;
} dialogues[] = {
	{ "a call is answered", CALL_ECHO("a"), ECHO("a"), false },
	{ "all parameters",
	  "{\"method\":\"test.bench.Echo\",\"parameters\":{\"text\":\"\",\"n\":10,\"flag\":false}}",
	  "{\"parameters\":{\"text\":\"\",\"n\":10,\"flag\":false}}", false },
	{ "null is missing",
	  "{\"method\":\"test.bench.Echo\",\"parameters\":{\"text\":\"a\",\"n\":null}}", ECHO("a"),
	  false },
	{ "more where nothing streams is answered once",
	  "{\"method\":\"test.bench.Echo\",\"parameters\":{\"text\":\"a\"},\"more\":true}",
	  ECHO("a"), false },
	{ "a required parameter is missing", "{\"method\":\"test.bench.Echo\",\"parameters\":{}}",
	  INVALID("text"), false },
	{ "no parameters at all", CALL("Echo"), INVALID("text"), false },
	{ "an unknown parameter",
	  "{\"method\":\"test.bench.Echo\",\"parameters\":{\"text\":\"a\",\"txet\":1}}",
	  INVALID("txet"), false },
	{ "a parameter for a method without any",
	  "{\"method\":\"test.bench.Big\",\"parameters\":{\"a\":1}}", INVALID("a"), false },
	{ "a number for a text", "{\"method\":\"test.bench.Echo\",\"parameters\":{\"text\":1}}",
	  INVALID("text"), false },
	{ "a text for a number",
	  "{\"method\":\"test.bench.Echo\",\"parameters\":{\"text\":\"a\",\"n\":\"1\"}}",
	  INVALID("n"), false },
	{ "a fraction for a number",
	  "{\"method\":\"test.bench.Echo\",\"parameters\":{\"text\":\"a\",\"n\":1.0}}",
	  INVALID("n"), false },
	{ "a number for a flag",
	  "{\"method\":\"test.bench.Echo\",\"parameters\":{\"text\":\"a\",\"flag\":1}}",
	  INVALID("flag"), false },
	{ "a number below its range",
	  "{\"method\":\"test.bench.Echo\",\"parameters\":{\"text\":\"a\",\"n\":0}}",
	  "{\"error\":\"test.bench.OutOfRange\",\"parameters\":{\"text\":\"n must be 1 to 10\","
	  "\"parameter\":\"n\"}}",
	  false },
	{ "a number above its range",
	  "{\"method\":\"test.bench.Echo\",\"parameters\":{\"text\":\"a\",\"n\":11}}",
	  "{\"error\":\"test.bench.OutOfRange\",\"parameters\":{\"text\":\"n must be 1 to 10\","
	  "\"parameter\":\"n\"}}",
	  false },
	{ "parameters that are no object", "{\"method\":\"test.bench.Echo\",\"parameters\":[]}",
	  INVALID("parameters"), false },
	{ "an unknown method", CALL("Echoes"),
	  "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":"
	  "\"test.bench.Echoes\"}}",
	  false },
	{ "a method in other letters", CALL("echo"),
	  "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":"
	  "\"test.bench.echo\"}}",
	  false },
	{ "an unknown interface", "{\"method\":\"test.benc.Echo\"}",
	  "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":"
	  "\"test.benc\"}}",
	  false },
	{ "no interface", "{\"method\":\"Echo\"}", INVALID("method"), false },
	{ "no method", "{\"parameters\":{}}", INVALID("method"), false },
	{ "a method that is no text", "{\"method\":7}", INVALID("method"), false },
	{ "an unknown key beside the method", "{\"method\":\"test.bench.Big\",\"mroe\":true}",
	  INVALID("mroe"), false },
	{ "upgrade is refused", "{\"method\":\"test.bench.Big\",\"upgrade\":true}",
	  INVALID("upgrade"), false },
	{ "oneway is refused, and what follows is not trusted",
	  "{\"method\":\"test.bench.Big\",\"oneway\":true}", INVALID("oneway"), true },
	{ "a stream without more", CALL("Stream"),
	  "{\"error\":\"org.varlink.service.ExpectedMore\"}", false },
	{ "no JSON", "hello", INVALID("(not JSON)"), true },
	{ "nothing at all", "", INVALID("(not JSON)"), true },
	{ "an array", "[]", INVALID("(not JSON)"), true },
	{ "half an object", "{\"method\":", INVALID("(not JSON)"), true },
	{ "an object and a tail", CALL("Big") "x", INVALID("(not JSON)"), true },
	{ "the same key twice", "{\"method\":\"test.bench.Big\",\"method\":\"test.bench.Big\"}",
	  INVALID("(not JSON)"), true },
};

static void answers_to_the_letter(void **state)
{
	struct varlink_bench *b = *state;

	for (size_t i = 0; i < sizeof(dialogues) / sizeof(dialogues[0]); i++) {
		int fd = varlink_bench_connect(b);

		print_message("# %s\n", dialogues[i].sentence);
		varlink_bench_send(b, fd, dialogues[i].request);
		assert_string_equal(varlink_bench_receive(b, fd), dialogues[i].answer);
		if (dialogues[i].closes) {
			assert_null(varlink_bench_receive(b, fd));
		} else {
			varlink_bench_send(b, fd, CALL_ECHO("still here"));
			assert_string_equal(varlink_bench_receive(b, fd), ECHO("still here"));
		}
		close(fd);
		varlink_bench_pump(b);
		assert_int_equal(varlink_server_connections(b->server), 0);
	}
}

static void describes_itself(void **state)
{
	struct varlink_bench *b = *state;
	int fd = varlink_bench_connect(b);

	varlink_bench_send(b, fd, "{\"method\":\"org.varlink.service.GetInfo\"}");
	assert_string_equal(
		varlink_bench_receive(b, fd),
		"{\"parameters\":{\"vendor\":\"v\",\"product\":\"p\",\"version\":\"1\","
		"\"url\":\"u\",\"interfaces\":[\"org.varlink.service\",\"test.bench\"]}}");
	varlink_bench_send(b, fd,
			   "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
			   "\"parameters\":{\"interface\":\"test.bench\"}}");
	assert_string_equal(varlink_bench_receive(b, fd),
			    "{\"parameters\":{\"description\":\"interface test.bench\\n\"}}");
	varlink_bench_send(b, fd,
			   "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
			   "\"parameters\":{\"interface\":\"test\"}}");
	assert_string_equal(varlink_bench_receive(b, fd),
			    "{\"error\":\"org.varlink.service.InterfaceNotFound\","
			    "\"parameters\":{\"interface\":\"test\"}}");
	close(fd);
}

/* However a request is cut, it is one request; and before its NUL it is none. */
static void takes_requests_in_pieces(void **state)
{
	static const char request[] = CALL_ECHO("piece");
	struct varlink_bench *b = *state;
	int fd = varlink_bench_connect(b);

	for (size_t cut = 1; cut < sizeof(request); cut++) {
		assert_int_equal(send(fd, request, cut, 0), cut);
		varlink_bench_pump(b);
		assert_string_equal(varlink_bench_receive(b, fd), "");
		assert_int_equal(send(fd, request + cut, sizeof(request) - cut, 0),
				 sizeof(request) - cut);
		assert_string_equal(varlink_bench_receive(b, fd), ECHO("piece"));
	}
	close(fd);
}

static void answers_pipelined_calls_in_order(void **state)
{
	static const char calls[] = CALL_ECHO("1") "\0" CALL("Later") "\0" CALL_ECHO("2") "\0" //
		CALL("Nothing") "\0" CALL_ECHO("3");
	struct varlink_bench *b = *state;
	int fd = varlink_bench_connect(b);

	assert_int_equal(send(fd, calls, sizeof(calls), 0), sizeof(calls));
	assert_string_equal(varlink_bench_receive(b, fd), ECHO("1"));
	assert_string_equal(varlink_bench_receive(b, fd), "");
	assert_int_equal(service.echoes, 1);
	varlink_reply(service.held, NULL);
	assert_string_equal(varlink_bench_receive(b, fd), "{\"parameters\":{}}");
	assert_string_equal(varlink_bench_receive(b, fd), ECHO("2"));
	assert_non_null(strstr(varlink_bench_receive(b, fd), "MethodNotFound"));
	assert_string_equal(varlink_bench_receive(b, fd), ECHO("3"));
	close(fd);
}

/* 64 KiB is taken, one byte more is not; a client that never ends a request is cut off. */
static void caps_a_request(void **state)
{
	static const char head[] = "{\"method\":\"test.bench.Later\"", tail[] = "}";
	struct varlink_bench *b = *state;

	for (size_t over = 0; over < 2; over++) {
		size_t len = VARLINK_REQUEST_MAX + over;
		char *text = malloc(len + 1);
		int fd = varlink_bench_connect(b);

		assert_non_null(text);
		memset(text, ' ', len + 1);
		memcpy(text, head, sizeof(head) - 1);
		memcpy(text + len - 1, tail, sizeof(tail));
		assert_int_equal(send(fd, text, len + 1, 0), len + 1);
		varlink_bench_pump(b);
		if (over) {
			assert_string_equal(varlink_bench_receive(b, fd), INVALID("(too large)"));
			assert_null(varlink_bench_receive(b, fd));
		} else {
			assert_non_null(service.held);
			varlink_reply(service.held, NULL);
			assert_string_equal(varlink_bench_receive(b, fd), "{\"parameters\":{}}");
		}
		free(text);
		close(fd);
	}
}

/* Row: how deep, how wide; is it JSON to us? */
static const struct {
	unsigned int depth, width;
	bool taken;
} shapes[] = {
	{ VARLINK_REQUEST_DEPTH - 1, 1, true },
	{ VARLINK_REQUEST_DEPTH, 1, false },
	{ 4000, 1, false },
	{ 1, VARLINK_REQUEST_STRUCTURAL - 8, true },
	{ 1, VARLINK_REQUEST_STRUCTURAL, false },
	{ 1, 30000, false },
};

static void caps_depth_and_width(void **state)
{
	struct varlink_bench *b = *state;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		int fd = varlink_bench_connect(b);
		char text[VARLINK_REQUEST_MAX + 64] = "{\"method\":\"test.bench.Big\",\"x\":";

		memset(text + strlen(text), '[', shapes[i].depth);
		strcat(text, "1");
		for (unsigned int n = 1; n < shapes[i].width; n++)
			memcpy(text + strlen(text), ",1", 3);
		memset(text + strlen(text), ']', shapes[i].depth);
		strcat(text, "}");
		varlink_bench_send(b, fd, text);
		assert_string_equal(varlink_bench_receive(b, fd),
				    shapes[i].taken ? INVALID("x") : INVALID("(too large)"));
		close(fd);
	}
}

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
	while (service.held && sent < 16 * VARLINK_QUEUE_MAX) {
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

static void asks_before_it_serves(void **state)
{
	struct varlink_bench *b = *state;
	int fd = varlink_bench_connect(b);

	service.closed = true;
	varlink_bench_send(b, fd, CALL_ECHO("a"));
	assert_string_equal(varlink_bench_receive(b, fd), "{\"error\":\"test.bench.Closed\"}");
	assert_int_equal(service.echoes, 0);
	close(fd);
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

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(answers_to_the_letter),
		CASE(describes_itself),
		CASE(takes_requests_in_pieces),
		CASE(answers_pipelined_calls_in_order),
		CASE(caps_a_request),
		CASE(caps_depth_and_width),
		CASE(a_client_that_leaves_is_forgotten),
		CASE(sending_and_leaving_counts),
		CASE(a_half_closed_client_gets_its_answer),
		CASE(idle_and_half_sent_clients_are_left_alone),
		CASE(stops_with_calls_under_way),
		CASE(drops_a_slow_reader),
		CASE(answers_a_dropped_reader_safely),
		CASE(one_large_answer_passes),
		CASE(keeps_no_descriptor_sent_along),
		CASE(limits_connections),
		CASE(keeps_places_for_root),
		CASE(asks_before_it_serves),
		CASE(serves_all_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
