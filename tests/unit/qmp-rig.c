/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/qmp-rig.h"

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

void on_reply(void *arg, int rc, json_object *value, const char *text)
{
	struct rig *rig = arg;

	note(rig, "reply %d %s", rc,
	     rc ? text : json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
	if (rig->close_in_callback)
		rig->qmp = qmp_close(rig->qmp);
}

void rig_init(struct rig *rig, unsigned int reply_ms)
{
	int fds[2];

	*rig = (struct rig){ .peer = -1 };
	assert_return_code(sd_event_new(&rig->event), 0);
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			   0);
	rig->peer = fds[1];
	assert_int_equal(qmp_new_fd(&rig->qmp, rig->event, fds[0], reply_ms, &handlers, rig), 0);
}

void rig_done(struct rig *rig)
{
	qmp_close(rig->qmp);
	if (rig->peer >= 0)
		close(rig->peer);
	sd_event_unref(rig->event);
}

void turn(struct rig *rig)
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

void expect_sent(struct rig *rig, const char *text)
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

void expect_trace(struct rig *rig, const char *text)
{
	for (int i = 0; i < TURNS && strlen(rig->trace) < strlen(text); i++)
		turn(rig);
	/* One more turn, for what should not come. */
	turn(rig);
	assert_string_equal(rig->trace, text);
	rig->trace[0] = '\0';
}

void say(struct rig *rig, const char *data, size_t len)
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

void ask(struct rig *rig, const char *name)
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

void play(struct rig *rig, const char *const *lines)
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
