/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The QMP client in dialogues (qmp-rig.h). */
#include "tests/unit/qmp-rig.h"

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
		cmocka_unit_test(a_closed_connection_is_silent),
		cmocka_unit_test(it_may_be_closed_in_any_callback),
		cmocka_unit_test(nothing_is_sent_before_it_is_ready),
		cmocka_unit_test(the_peer_is_known),
		cmocka_unit_test(errors_have_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
