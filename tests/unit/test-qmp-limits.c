/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the QMP client does with too much, of QEMU's and of its own. */
#include "daemon/qmp-internal.h"
#include "tests/unit/qmp-rig.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_passed_over_is_always_told),
		cmocka_unit_test(a_pause_is_not_ended_without_reading_again),
		cmocka_unit_test(a_line_above_the_limit_ends_it),
		cmocka_unit_test(a_long_line_is_read),
		cmocka_unit_test(what_is_unanswered_is_bounded),
		cmocka_unit_test(what_is_unsent_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
