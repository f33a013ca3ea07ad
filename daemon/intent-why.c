/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is wrong with an intent's file, in words. */
#include "daemon/intent-file.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *intent_why_unread(int r)
{
	if (r == -ESTALE)
		return "another version has written it, and nothing was under way";
	return r == -EBADMSG ? "it is damaged" : strerror(-r);
}

static const char *advice(int r)
{
	switch (r) {
	case -ENOSPC:
	case -EDQUOT:
		return "make room there";
	case -EROFS:
		return "make it writable";
	case -ENOENT:
		return "make the folder again";
	default:
		return "see what is wrong with that file system";
	}
}

void intent_why_unwritten(const char *folder, const char *name, int r, char ret[OP_TEXT_MAX])
{
	if (r == -EPROTONOSUPPORT)
		snprintf(ret, OP_TEXT_MAX,
			 "%.100s/%.60s is of another version of vcpuhpd and kept for that one; "
			 "start it, or remove the file to have it forgotten",
			 folder, name);
	else
		snprintf(ret, OP_TEXT_MAX,
			 "what is to be done cannot be written to %.100s/%.60s, where the next "
			 "vcpuhpd would find it: %s; %s",
			 folder, name, strerror(-r), advice(r));
}
