/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The event bus: order, and listeners that leave or come while they are called. */
#include "daemon/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { LISTENERS = 4 };

/**
 * struct bench - a bus and the letters of those who were called, in order
 */
struct bench {
	struct event_bus *bus;
	char log[64];
	struct listener {
		struct bench *bench;
		char letter;
		struct event_listener *handle;
		int removes; /* index of a listener it removes when called, -1 none */
		bool adds;   /* a fifth listener, "+" */
		bool publishes;
	} listeners[LISTENERS];
};

static void append(struct bench *b, char letter)
{
	size_t len = strlen(b->log);

	b->log[len] = letter;
	b->log[len + 1] = '\0';
}

static void on_added(void *ctx, const struct event *e)
{
	append(ctx, '+');
}

static void on_event(void *ctx, const struct event *e)
{
	struct listener *l = ctx;
	struct bench *b = l->bench;

	append(b, l->letter);
	if (l->removes >= 0)
		b->listeners[l->removes].handle = event_unlisten(b->listeners[l->removes].handle);
	l->removes = -1;
	if (l->adds)
		assert_non_null(event_listen(b->bus, on_added, b));
	l->adds = false;
	if (l->publishes) {
		l->publishes = false;
		event_publish(b->bus, e);
	}
}

static void bench_init(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	b->bus = event_bus_new();
	assert_non_null(b->bus);
	for (int i = 0; i < LISTENERS; i++) {
		struct listener *l = &b->listeners[i];

		*l = (struct listener){ .bench = b, .letter = (char)('a' + i), .removes = -1 };
		l->handle = event_listen(b->bus, on_event, l);
		assert_non_null(l->handle);
	}
}

static const char *publish(struct bench *b)
{
	const struct event e = { .type = EVENT_STATE };

	b->log[0] = '\0';
	event_publish(b->bus, &e);
	return b->log;
}

/* Row: who removes whom while called; what that event reaches; what the next one reaches. */
static const struct {
	const char *sentence;
	int remover, removed;
	const char *first, *second;
} removals[] = {
	{ "a listener removes itself", 1, 1, "abcd", "acd" },
	{ "the first removes itself", 0, 0, "abcd", "bcd" },
	{ "the last removes itself", 3, 3, "abcd", "abc" },
	{ "one that has been called is removed", 2, 0, "abcd", "bcd" },
	{ "one that would be next is not called any more", 1, 2, "abd", "abd" },
	{ "the last is removed before its turn", 0, 3, "abc", "abc" },
};

static void leaves_while_called(void **state)
{
	for (size_t i = 0; i < sizeof(removals) / sizeof(removals[0]); i++) {
		struct bench b;

		bench_init(&b);
		b.listeners[removals[i].remover].removes = removals[i].removed;
		print_message("# %s\n", removals[i].sentence);
		assert_string_equal(publish(&b), removals[i].first);
		assert_string_equal(publish(&b), removals[i].second);
		event_bus_free(b.bus);
	}
}

static void newcomer_hears_the_next_event(void **state)
{
	struct bench b;

	bench_init(&b);
	b.listeners[1].adds = true;
	assert_string_equal(publish(&b), "abcd");
	assert_string_equal(publish(&b), "abcd+");
	event_bus_free(b.bus);
}

static void nested_publish_frees_nothing_too_early(void **state)
{
	struct bench b;

	bench_init(&b);
	b.listeners[0].publishes = true;
	b.listeners[1].removes = 2;
	assert_string_equal(publish(&b), "aabdbd");
	assert_string_equal(publish(&b), "abd");
	event_bus_free(b.bus);
}

static void empty_bus_is_silent(void **state)
{
	struct event_bus *b = event_bus_new();
	const struct event e = { .type = EVENT_LOG };

	event_publish(b, &e);
	assert_null(event_unlisten(NULL));
	assert_null(event_bus_free(b));
	assert_null(event_bus_free(NULL));
}

static void every_type_has_its_own_name(void **state)
{
	for (int i = 0; i < EVENT_TYPES; i++) {
		assert_string_not_equal(event_type_name((enum event_type)i), "unknown");
		for (int j = 0; j < i; j++)
			assert_string_not_equal(event_type_name((enum event_type)i),
						event_type_name((enum event_type)j));
	}
	assert_string_equal(event_type_name(EVENT_TYPES), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_while_called),
		cmocka_unit_test(newcomer_hears_the_next_event),
		cmocka_unit_test(nested_publish_frees_nothing_too_early),
		cmocka_unit_test(empty_bus_is_silent),
		cmocka_unit_test(every_type_has_its_own_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
