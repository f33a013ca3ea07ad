/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_UNIT_DIAGNOSE_BENCH_H
#define TESTS_UNIT_DIAGNOSE_BENCH_H

#include "daemon/diagnose.h"

/*
 * Theory of operation
 *
 * Two domains with which all is well, one on QMP and one of libvirt's; each row spoils one thing in
 * one of them and names what is found then: the check, how bad it is, words of the sentence and of
 * the advice. Where a row has "" as the sentence, the check is not to be there at all.
 */

struct facts {
	struct diagnose_host host;
	struct diagnose_domain domain;
	struct msg_hello hello;
	struct persist_domain persist;
	struct advice advice;
	struct sight sight;
};

/**
 * struct row - what is found once @spoil has been at it
 * @libvirt: in the domain of libvirt's
 */
struct row {
	const char *what;
	bool libvirt;
	void (*spoil)(struct facts *f);
	const char *check;
	enum severity severity;
	const char *text, *advice;
};

void make_well(struct facts *f, bool libvirt);
/* Leaves it as it is. */
void nothing(struct facts *f);

/* The finding of that check, or NULL. */
const struct finding *find(const struct findings *f, const char *check);
void assert_part(const char *text, const char *part);
/* Each row comes true; and whatever else is found, an error has an advice and is said once. */
void assert_rows(const struct row *rows, size_t n);

#endif
