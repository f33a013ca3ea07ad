/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server over a real socket: cutting of messages, their order, strictness, and what is too
 * much of a message.
 */
#include "varlink-echo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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
		memcpy(text + strlen(text), "1", 2);
		for (unsigned int n = 1; n < shapes[i].width; n++)
			memcpy(text + strlen(text), ",1", 3);
		memset(text + strlen(text), ']', shapes[i].depth);
		memcpy(text + strlen(text), "}", 2);
		varlink_bench_send(b, fd, text);
		assert_string_equal(varlink_bench_receive(b, fd),
				    shapes[i].taken ? INVALID("x") : INVALID("(too large)"));
		close(fd);
	}
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

#define CASE(f) cmocka_unit_test_setup_teardown(f, varlink_echo_setup, varlink_echo_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(answers_to_the_letter),    CASE(describes_itself),
		CASE(takes_requests_in_pieces), CASE(answers_pipelined_calls_in_order),
		CASE(caps_a_request),           CASE(caps_depth_and_width),
		CASE(asks_before_it_serves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
