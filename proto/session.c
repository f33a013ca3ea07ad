/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PURE: no I/O, no clock, no globals */
#include "proto/session.h"

#include <assert.h>

void session_init(struct session *s, uint64_t mine)
{
	assert(mine != 0);
	*s = (struct session){ .mine = mine };
}

struct session_verdict session_on_hello(struct session *s, uint64_t session, uint64_t peer)
{
	struct session_verdict v = { 0 };
	bool was = s->established;

	if (session == 0)
		return v;
	v.changed = session != s->peer;
	s->peer = session;
	s->established = peer == s->mine;
	v.reply = v.changed || !s->established;
	v.up = s->established && (v.changed || !was);
	return v;
}

uint64_t session_key(const struct session *s)
{
	return s->mine ^ s->peer;
}
