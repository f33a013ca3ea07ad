/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may do what. */
#include "daemon/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { DAEMON = 990, ANN = 1000, BOB = 1001, OPS = 50, WEB = 60, USERS = 100 };
enum { UNKNOWN_SIZE = 128 };

static gid_t in_ops[] = { USERS, OPS };
static gid_t in_web[] = { WEB };

#define PEER(u, g, ...)                             \
	{                                           \
		.uid = (u), .gid = (g), __VA_ARGS__ \
	}
#define GROUPS(a) .groups = a, .n_groups = sizeof(a) / sizeof(a[0])

static gid_t operator_groups[] = { 49, OPS };
static uid_t allowed_users[] = { BOB };
static gid_t allowed_groups[] = { WEB };
static const struct auth_names operators = { .gids = operator_groups, .n_gids = 2 };
static const struct auth_names allow = {
	.uids = allowed_users,
	.n_uids = 1,
	.gids = allowed_groups,
	.n_gids = 1,
};

/* Row: who; may it read, change, administer; with Operators= and Allow= or without. */
static const struct {
	const char *sentence;
	struct auth_peer peer;
	bool operators, allow;
	bool read, change, admin;
} rows[] = {
	{ "root may all", PEER(0, 0), false, false, true, true, true },
	{ "the daemon's own user may all", PEER(DAEMON, 990), false, false, true, true, true },
	{ "anybody may read", PEER(ANN, USERS), true, true, true, false, false },
	{ "an operator by a supplementary group", PEER(ANN, USERS, GROUPS(in_ops)), true, false,
	  true, true, false },
	{ "an operator by the primary group", PEER(ANN, OPS), true, false, true, true, false },
	{ "no Operators=: the group is nothing", PEER(ANN, OPS), false, false, true, false, false },
	{ "no Operators=: Allow= gives nothing", PEER(BOB, OPS), false, true, true, false, false },
	{ "an operator not named in Allow=", PEER(ANN, OPS), true, true, true, false, false },
	{ "an operator named in Allow=", PEER(BOB, OPS), true, true, true, true, false },
	{ "an operator by a group named in Allow=", PEER(ANN, OPS, GROUPS(in_web)), true, true,
	  true, true, false },
	{ "named in Allow=, but no operator", PEER(BOB, USERS), true, true, true, false, false },
	{ "group 0 is no uid 0", PEER(ANN, 0), true, true, true, false, false },
	{ "a uid with the number of a group", PEER(OPS, USERS), true, true, true, false, false },
};

static void decides(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct auth_names *o = rows[i].operators ? &operators : NULL;
		const struct auth_names *a = rows[i].allow ? &allow : NULL;

		print_message("# %s\n", rows[i].sentence);
		assert_int_equal(auth_allows(AUTH_READ, &rows[i].peer, DAEMON, o, a), rows[i].read);
		assert_int_equal(auth_allows(AUTH_CHANGE, &rows[i].peer, DAEMON, o, a),
				 rows[i].change);
		assert_int_equal(auth_allows(AUTH_ADMIN, &rows[i].peer, DAEMON, o, a),
				 rows[i].admin);
	}
}

/* Over all small numbers: a class permits whatever a higher one does, and nobody who is named
 * in but one of the two gets above reading. */
static void classes_are_nested(void **state)
{
	for (uid_t uid = 0; uid < 128; uid++)
		for (gid_t gid = 0; gid < 128; gid++) {
			const struct auth_peer peer = { .uid = uid, .gid = gid };
			bool change = auth_allows(AUTH_CHANGE, &peer, 7, &operators, &allow);
			bool admin = auth_allows(AUTH_ADMIN, &peer, 7, &operators, &allow);

			assert_true(auth_allows(AUTH_READ, &peer, 7, &operators, &allow));
			assert_int_equal(admin, uid == 0 || uid == 7);
			/* Nobody here is in a group of both kinds, and BOB's number is not reached. */
			assert_int_equal(change, admin);
		}
}

static void collect(void *ctx, const char *name)
{
	char *text = ctx;
	size_t len = strlen(text);

	snprintf(text + len, UNKNOWN_SIZE - len, "%s ", name);
}

static void resolves_names_once(void **state)
{
	char *names[] = { (char[]){ "root" }, (char[]){ "@root" }, (char[]){ "no-such-user" },
			  (char[]){ "@no-such-group" }, NULL };
	char *groups[] = { (char[]){ "root" }, (char[]){ "@root" }, NULL };
	struct auth_names n = { 0 };
	char unknown[UNKNOWN_SIZE] = "";

	assert_int_equal(auth_names_resolve(names, false, &n, collect, unknown), 0);
	assert_int_equal(n.n_uids, 1);
	assert_int_equal(n.uids[0], 0);
	assert_int_equal(n.n_gids, 1);
	assert_int_equal(n.gids[0], 0);
	assert_string_equal(unknown, "no-such-user @no-such-group ");
	auth_names_done(&n);
	assert_int_equal(auth_names_resolve(groups, true, &n, NULL, NULL), 0);
	assert_int_equal(n.n_uids, 0);
	assert_int_equal(n.n_gids, 2);
	auth_names_done(&n);
	assert_int_equal(auth_names_resolve(NULL, true, &n, NULL, NULL), 0);
	assert_int_equal(n.n_uids + n.n_gids, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decides),
		cmocka_unit_test(classes_are_nested),
		cmocka_unit_test(resolves_names_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
