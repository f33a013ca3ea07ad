/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Dialogue scripts: the test plays QEMU on the other end of a socket pair, in the client's own
 * event loop. A line of a script is
 *   < TEXT   QEMU sends TEXT and a newline      - TEXT   QEMU sends TEXT alone
 *   g        QEMU greets
 *   > TEXT   the client must have sent TEXT     ! close  QEMU leaves
 *   ? NAME   the client sends a command         ! fail   the client ends it: "enough"
 *   = TEXT   what the handlers and callbacks were called with since the last such line
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/qmp-internal.h"
#include "daemon/qmp-msg.h"
#include "daemon/qmp.h"

enum { TURNS = 1000, TURN_US = 5000 };

struct rig {
	sd_event *event;
	struct qmp *qmp;
	int peer;
	char sent[65536]; /* by the client, not looked at yet */
	size_t n_sent;
	char trace[4096];
	bool close_in_callback;
	bool in_call;
	bool counts; /* events, which may be more than the trace has room for */
	unsigned int events, caught_up;
};

__attribute__((format(printf, 2, 3))) static void note(struct rig *rig, const char *format, ...)
{
	size_t at = strlen(rig->trace);
	va_list ap;

	assert_false(rig->in_call);
	if (at)
		at += (size_t)snprintf(rig->trace + at, sizeof(rig->trace) - at, "; ");
	va_start(ap, format);
	vsnprintf(rig->trace + at, sizeof(rig->trace) - at, format, ap);
	va_end(ap);
}

static void on_ready(void *ctx, const char *version)
{
	note(ctx, "ready %s", version);
}

static void on_event(void *ctx, const char *name, json_object *data)
{
	struct rig *rig = ctx;

	rig->events++;
	if (rig->counts)
		return;
	note(rig, "event %s %s", name,
	     json_object_to_json_string_ext(data, JSON_C_TO_STRING_PLAIN));
	if (rig->close_in_callback)
		rig->qmp = qmp_close(rig->qmp);
}

static void on_caught_up(void *ctx)
{
	struct rig *rig = ctx;

	rig->caught_up++;
	note(rig, "caught up");
}

static void on_closed(void *ctx, int rc, const char *why)
{
	struct rig *rig = ctx;

	note(rig, "closed %d %s", rc, why);
	rig->qmp = qmp_close(rig->qmp);
}

static const struct qmp_handlers handlers = { on_ready, on_event, on_caught_up, on_closed };

static void on_reply(void *arg, int rc, json_object *value, const char *text)
{
	struct rig *rig = arg;

	note(rig, "reply %d %s", rc,
	     rc ? text : json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
	if (rig->close_in_callback)
		rig->qmp = qmp_close(rig->qmp);
}

static void rig_init(struct rig *rig, unsigned int reply_ms)
{
	int fds[2];

	*rig = (struct rig){ .peer = -1 };
	assert_return_code(sd_event_new(&rig->event), 0);
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			   0);
	rig->peer = fds[1];
	assert_int_equal(qmp_new_fd(&rig->qmp, rig->event, fds[0], reply_ms, &handlers, rig), 0);
}

static void rig_done(struct rig *rig)
{
	qmp_close(rig->qmp);
	if (rig->peer >= 0)
		close(rig->peer);
	sd_event_unref(rig->event);
}

static void turn(struct rig *rig)
{
	ssize_t n;

	assert_return_code(sd_event_run(rig->event, TURN_US), 0);
	if (rig->peer < 0)
		return;
	n = recv(rig->peer, rig->sent + rig->n_sent, sizeof(rig->sent) - rig->n_sent - 1,
		 MSG_DONTWAIT);
	if (n > 0)
		rig->n_sent += (size_t)n;
	rig->sent[rig->n_sent] = '\0';
}

static void expect_sent(struct rig *rig, const char *text)
{
	char *end = NULL;

	for (int i = 0; i < TURNS && !end; i++) {
		turn(rig);
		end = strchr(rig->sent, '\n');
	}
	if (!end)
		fail_msg("the client sent nothing instead of %s", text);
	*end = '\0';
	assert_string_equal(rig->sent, text);
	rig->n_sent -= (size_t)(end + 1 - rig->sent);
	memmove(rig->sent, end + 1, rig->n_sent + 1);
}

static void expect_trace(struct rig *rig, const char *text)
{
	for (int i = 0; i < TURNS && strlen(rig->trace) < strlen(text); i++)
		turn(rig);
	/* One more turn, for what should not come. */
	turn(rig);
	assert_string_equal(rig->trace, text);
	rig->trace[0] = '\0';
}

static void say(struct rig *rig, const char *data, size_t len)
{
	for (int i = 0; i < TURNS && len > 0; i++) {
		ssize_t n = send(rig->peer, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
		/* The client may have gone; what it heard tells. */
		if (n < 0 && errno != EAGAIN)
			return;
		if (len > 0)
			turn(rig);
	}
}

static enum qmp_command command_of(const char *name)
{
	for (int c = 0; c < QMP_COMMANDS; c++)
		if (strcmp(qmp_command_name(c), name) == 0)
			return c;
	fail_msg("no command %s", name);
	return QMP_COMMANDS;
}

static void ask(struct rig *rig, const char *name)
{
	enum qmp_command c = command_of(name);
	json_object *args = NULL;

	if (c == QMP_DEVICE_DEL) {
		args = json_object_new_object();
		json_object_object_add(args, "id", json_object_new_string("v1"));
	}
	rig->in_call = true;
	assert_int_equal(qmp_send(rig->qmp, c, args, on_reply, rig), 0);
	rig->in_call = false;
}

static void fault(struct rig *rig, const char *what)
{
	if (strcmp(what, "close") == 0) {
		close(rig->peer);
		rig->peer = -1;
	} else {
		rig->in_call = true;
		qmp_fail(rig->qmp, "enough");
		rig->in_call = false;
	}
}

static void greet(struct rig *rig)
{
	static const char greeting[] =
		"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
		"\"package\": \"Debian\"}, \"capabilities\": [\"oob\"]}}\r\n";

	say(rig, greeting, strlen(greeting));
}

static void play(struct rig *rig, const char *const *lines)
{
	for (; *lines; lines++) {
		const char *text = *lines + 2;

		switch (**lines) {
		case 'g':
			greet(rig);
			break;
		case '<':
			say(rig, text, strlen(text));
			say(rig, "\r\n", 2);
			break;
		case '-':
			say(rig, text, strlen(text));
			break;
		case '>':
			expect_sent(rig, text);
			break;
		case '?':
			ask(rig, text);
			break;
		case '!':
			fault(rig, text);
			break;
		case '=':
			expect_trace(rig, text);
			break;
		default:
			fail_msg("not a line of a script: %s", *lines);
		}
	}
}

/* Negotiated. */
#define UP                                                                                      \
	"g ", "> {\"execute\":\"qmp_capabilities\",\"id\":1}", "< {\"return\": {}, \"id\": 1}", \
		"= ready 7.2.22"

static const struct script {
	const char *name;
	unsigned int reply_ms;
	const char *lines[24];
} scripts[] = {
	{ "a command and its reply",
	  5000,
	  { UP, "? query-status", "> {\"execute\":\"query-status\",\"id\":2}",
	    "< {\"return\": {\"status\": \"running\"}, \"id\": 2}",
	    "= reply 0 {\"status\":\"running\"}" } },
	{ "arguments are sent",
	  5000,
	  { UP, "? device_del",
	    "> {\"execute\":\"device_del\",\"arguments\":{\"id\":\"v1\"},\"id\":2}",
	    "< {\"return\": {}, \"id\": 2}", "= reply 0 {}" } },
	{ "replies in pieces and several at once",
	  5000,
	  { UP, "? query-kvm", "? query-uuid", "- {\"return\": 1, \"i", "= ",
	    "- d\": 2}\n{\"return\": \"x\", \"id\": 3}\n{\"ev", "= reply 0 1; reply 0 \"x\"",
	    "- ent\": \"STOP\"}\n", "= event STOP null" } },
	{ "events come in order with the replies",
	  5000,
	  { UP, "? device_del",
	    "< {\"event\": \"A\", \"data\": {\"a\": 1}, \"timestamp\": {\"seconds\": 1, \"microseconds\": 2}}",
	    "< {\"return\": {}, \"id\": 2}", "< {\"event\": \"B\", \"data\": {}}",
	    "= event A {\"a\":1}; reply 0 {}; event B {}" } },
	{ "QEMU's errors are told and named",
	  5000,
	  { UP, "? device_del", "? device_del", "? device_del",
	    "< {\"id\": 2, \"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'v1' not found\"}}",
	    "= reply -19 Device 'v1' not found",
	    "< {\"id\": 3, \"error\": {\"class\": \"CommandNotFound\", \"desc\": \"\"}}",
	    "= reply -95 ",
	    "< {\"id\": 4, \"error\": {\"class\": \"GenericError\", \"desc\": \"a\\u001b[31m\xc3\xa4\\nb\"}}",
	    "= reply -121 a?[31m???b" } },
	{ "a lost connection answers all",
	  5000,
	  { UP, "? query-kvm", "? query-uuid", "! close",
	    "= reply -104 ; reply -104 ; closed -104 QEMU closed the QMP connection" } },
	{ "a connection lost before the greeting",
	  5000,
	  { "! close", "= closed -104 QEMU closed the QMP connection" } },
	{ "a connection that is ended for a reason",
	  5000,
	  { UP, "? query-kvm", "! fail", "< {\"return\": {}, \"id\": 2}",
	    "= reply -104 ; closed -71 enough" } },
	{ "a reply that is late is answered once",
	  20,
	  { UP, "? query-kvm", "? query-uuid", "= reply -110 ; reply -110 ",
	    "< {\"return\": {}, \"id\": 2}", "= ", "< {\"return\": {}, \"id\": 3}", "= caught up",
	    "? query-status", "< {\"return\": {}, \"id\": 4}", "= ",
	    "< {\"return\": {}, \"id\": 5}", "= reply 0 {}" } },
	{ "a reply that is lost is missed at the answer to a question behind it",
	  20,
	  { UP, "? query-kvm", "> {\"execute\":\"query-kvm\",\"id\":2}", "= reply -110 ",
	    "> {\"execute\":\"query-status\",\"id\":3}", "< {\"return\": {}, \"id\": 3}",
	    "= closed -71 a reply to no command" } },
	{ "no answer to qmp_capabilities",
	  20,
	  { "g ", "= closed -110 QEMU does not answer qmp_capabilities" } },
	{ "qmp_capabilities is refused",
	  5000,
	  { "g ", "< {\"id\": 1, \"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\"}}",
	    "= closed -71 QEMU refuses qmp_capabilities" } },
	{ "events before the negotiation are none",
	  5000,
	  { "< {\"event\": \"X\"}", "g ", "< {\"event\": \"Y\"}", "< {\"return\": {}, \"id\": 1}",
	    "= ready 7.2.22" } },
	{ "a reply with another number",
	  5000,
	  { UP, "? query-kvm", "< {\"return\": {}, \"id\": 3}",
	    "= reply -104 ; closed -71 a reply to no command" } },
	{ "a reply out of order",
	  5000,
	  { UP, "? query-kvm", "? query-uuid", "< {\"return\": {}, \"id\": 3}",
	    "= reply -104 ; reply -104 ; closed -71 a reply to no command" } },
	{ "a reply without a number",
	  5000,
	  { UP, "? query-kvm",
	    "< {\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}",
	    "= reply -104 ; closed -71 a reply to no command" } },
	{ "a reply to nothing",
	  5000,
	  { UP, "< {\"return\": {}, \"id\": 2}", "= closed -71 a reply to no command" } },
	{ "a second reply",
	  5000,
	  { UP, "< {\"return\": {}, \"id\": 1}", "= closed -71 a reply to no command" } },
	{ "a second greeting", 5000, { UP, "g ", "= closed -71 a second greeting" } },
	{ "a broken line",
	  5000,
	  { UP, "? query-kvm", "< {\"return\": {}, \"id\": 2",
	    "= reply -104 ; closed -22 a comma or bracket is missing" } },
	{ "an empty line", 5000, { UP, "< ", "= closed -22 not an object" } },
	{ "a message of no kind", 5000, { UP, "< {\"id\": 2}", "= closed -71 not a QMP message" } },
	{ "a message of two kinds",
	  5000,
	  { UP, "< {\"return\": {}, \"event\": \"A\", \"id\": 2}",
	    "= closed -71 not a QMP message" } },
	{ "an id that is no number",
	  5000,
	  { UP, "< {\"return\": {}, \"id\": \"2\"}", "= closed -71 not a QMP message" } },
	{ "an event whose data are none",
	  5000,
	  { UP, "< {\"event\": \"A\", \"data\": 5}", "= closed -71 not a QMP message" } },
	{ "a greeting of another protocol",
	  5000,
	  { "< {\"QMP\": {\"version\": {}}}", "= closed -71 not a QMP message" } },
	{ "a text too deep",
	  5000,
	  { UP, "< {\"event\": \"A\", \"data\": {\"a\": [[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}}",
	    "= closed -7 too deep" } },
};

static void dialogues(void **state)
{
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		struct rig rig;

		print_message("# %s\n", scripts[i].name);
		rig_init(&rig, scripts[i].reply_ms);
		play(&rig, scripts[i].lines);
		rig_done(&rig);
	}
}

static const char *const up[] = { UP, NULL };

static void send_events(struct rig *rig, unsigned int n)
{
	static const char line[] = "{\"timestamp\": {}, \"event\": \"STOP\"}\r\n";

	for (unsigned int i = 0; i < n; i++)
		say(rig, line, strlen(line));
}

/* Tokens that were saved up since it was read last do not hide that there were too few. */
static void what_was_passed_over_is_always_told(void **state)
{
	struct rig rig;

	rig_init(&rig, 5000);
	play(&rig, up);
	rig.counts = true;
	send_events(&rig, 999);
	for (int i = 0; i < TURNS && rig.events < 999; i++)
		turn(&rig);
	assert_int_equal(rig.events, 999);
	/* Nothing comes for a while. */
	assert_return_code(sd_event_run(rig.event, 100UL * 1000), 0);
	send_events(&rig, 200);
	for (int i = 0; i < 20; i++)
		turn(&rig);
	assert_true(rig.events == 999 + 200 || rig.caught_up > 0);
	rig_done(&rig);
}

static unsigned int count(const char *text, const char *word)
{
	unsigned int n = 0;

	for (; (text = strstr(text, word)); text++)
		n++;
	return n;
}

/* A pause of the reading and a wait that is in no hurry have one timer: neither is left without an end. */
static void a_pause_is_not_ended_without_reading_again(void **state)
{
	static const char answers[] =
		"{\"return\": {}, \"id\": 2}\r\n{\"return\": {}, \"id\": 3}\r\n";
	struct rig rig;
	int reads = SD_EVENT_ON;

	rig_init(&rig, 5000);
	play(&rig, up);
	rig.counts = true;
	for (int i = 0; i < 5000 && reads != SD_EVENT_OFF; i++) {
		send_events(&rig, 1);
		assert_return_code(sd_event_run(rig.event, 0), 0);
		assert_return_code(sd_event_source_get_enabled(rig.qmp->io, &reads), 0);
	}
	assert_int_equal(reads, SD_EVENT_OFF);
	ask(&rig, "query-status");
	qmp_linger(rig.qmp);
	ask(&rig, "query-status");
	say(&rig, answers, strlen(answers));
	for (int i = 0; i < TURNS && count(rig.trace, "reply") < 2; i++)
		turn(&rig);
	assert_int_equal(count(rig.trace, "reply 0 {}"), 2);
	rig_done(&rig);
}

static void a_line_above_the_limit_ends_it(void **state)
{
	size_t len = QMP_LINE_MAX + 128 * 1024;
	char *text = malloc(len);
	struct rig rig;

	rig_init(&rig, 5000);
	play(&rig, up);
	assert_non_null(text);
	memset(text, ' ', len);
	say(&rig, text, len);
	expect_trace(&rig, "closed -90 a QMP line above 1 MiB");
	free(text);
	rig_done(&rig);
}

/* A line of nearly 1 MiB is read, and its memory is not kept. */
static void a_long_line_is_read(void **state)
{
	size_t len = QMP_LINE_MAX - 1;
	char *text = malloc(len + 1);
	struct rig rig;

	rig_init(&rig, 5000);
	play(&rig, up);
	assert_non_null(text);
	memset(text, ' ', len);
	snprintf(text, 14, "{\"event\":\"A\"}");
	text[13] = ' ';
	text[len] = '\n';
	say(&rig, text, len + 1);
	expect_trace(&rig, "event A null");
	free(text);
	rig_done(&rig);
}

static void a_closed_connection_is_silent(void **state)
{
	struct rig rig;

	rig_init(&rig, 5000);
	play(&rig, up);
	ask(&rig, "query-kvm");
	rig.qmp = qmp_close(rig.qmp);
	play(&rig, (const char *const[]){ "< {\"return\": {}, \"id\": 2}", "= ", NULL });
	rig_done(&rig);
}

/* Whatever is called may close the connection under the one who calls. */
static void it_may_be_closed_in_any_callback(void **state)
{
	static const char *const in_event[] = { "< {\"event\": \"A\"}\n{\"event\": \"B\"}",
						"= event A null", NULL };
	static const char *const in_reply[] = {
		"? query-kvm", "? query-kvm",
		"< {\"return\": 1, \"id\": 2}\n{\"return\": 2, \"id\": 3}", "= reply 0 1", NULL
	};
	static const char *const in_loss[] = { "? query-kvm", "? query-kvm", "! close",
					       "= reply -104 ", NULL };
	static const char *const in_timeout[] = { "? query-kvm", "? query-kvm", "= reply -110 ",
						  NULL };
	static const char *const *const all[] = { in_event, in_reply, in_loss, in_timeout };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct rig rig;

		rig_init(&rig, i == 3 ? 20 : 5000);
		play(&rig, up);
		rig.close_in_callback = true;
		play(&rig, all[i]);
		assert_null(rig.qmp);
		rig_done(&rig);
	}
}

static void nothing_is_sent_before_it_is_ready(void **state)
{
	struct rig rig;

	rig_init(&rig, 5000);
	assert_int_equal(qmp_send(rig.qmp, QMP_QUERY_KVM, NULL, on_reply, &rig), -ENOTCONN);
	play(&rig, (const char *const[]){ "g ", NULL });
	expect_sent(&rig, "{\"execute\":\"qmp_capabilities\",\"id\":1}");
	assert_int_equal(qmp_send(rig.qmp, QMP_QUERY_KVM, NULL, on_reply, &rig), -ENOTCONN);
	rig_done(&rig);
}

/* Each command that was taken is answered once, also when QEMU reads none of them. */
static void what_is_unanswered_is_bounded(void **state)
{
	struct rig rig;
	int n = 0, r;

	rig_init(&rig, 5000);
	play(&rig, up);
	do {
		r = qmp_send(rig.qmp, QMP_QUERY_KVM, NULL, on_reply, &rig);
		n += r == 0;
	} while (r == 0);
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(n, QMP_COMMANDS_MAX);
	assert_string_equal(rig.trace, "");
	rig_done(&rig);
}

static void what_is_unsent_is_bounded(void **state)
{
	struct rig rig;
	char *long_text = malloc(QMP_OUT_MAX / 4 + 1);
	int n = 0, r;

	assert_non_null(long_text);
	memset(long_text, 'x', QMP_OUT_MAX / 4);
	long_text[QMP_OUT_MAX / 4] = '\0';
	rig_init(&rig, 5000);
	play(&rig, up);
	do {
		json_object *args = json_object_new_object();

		json_object_object_add(args, "path", json_object_new_string(long_text));
		r = qmp_send(rig.qmp, QMP_QOM_GET, args, on_reply, &rig);
		n += r == 0;
	} while (r == 0);
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(n, 3);
	free(long_text);
	rig_done(&rig);
}

static void the_peer_is_known(void **state)
{
	struct rig rig;

	rig_init(&rig, 5000);
	assert_int_equal(qmp_peer(rig.qmp).pid, getpid());
	rig_done(&rig);
}

static const struct {
	const char *class;
	const char *desc;
	int rc;
} error_cases[] = {
	{ "DeviceNotFound", "Device 'v1' not found", -ENODEV },
	{ "DeviceNotFound", "Device v1 is already in the process of unplug", -EALREADY },
	{ "GenericError", "Duplicate device ID 'v1'", -EEXIST },
	{ "GenericError", "CPU[2] with APIC ID 2 exists", -EEXIST },
	{ "GenericError",
	  "acpi: device unplug request for not supported device type: qemu64-x86_64-cpu", -EAGAIN },
	{ "GenericError", "Boot CPU is unpluggable", -EREMOTEIO },
	{ "KVMMissingCap", "", -EREMOTEIO },
};

static void errors_have_numbers(void **state)
{
	for (size_t i = 0; i < sizeof(error_cases) / sizeof(*error_cases); i++)
		if (qmp_error_rc(error_cases[i].class, error_cases[i].desc) != error_cases[i].rc)
			fail_msg("%s", error_cases[i].desc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialogues),
		cmocka_unit_test(what_was_passed_over_is_always_told),
		cmocka_unit_test(a_pause_is_not_ended_without_reading_again),
		cmocka_unit_test(a_line_above_the_limit_ends_it),
		cmocka_unit_test(a_long_line_is_read),
		cmocka_unit_test(a_closed_connection_is_silent),
		cmocka_unit_test(it_may_be_closed_in_any_callback),
		cmocka_unit_test(nothing_is_sent_before_it_is_ready),
		cmocka_unit_test(what_is_unanswered_is_bounded),
		cmocka_unit_test(what_is_unsent_is_bounded),
		cmocka_unit_test(the_peer_is_known),
		cmocka_unit_test(errors_have_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
