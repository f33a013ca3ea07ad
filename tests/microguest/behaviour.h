/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MICROGUEST_BEHAVIOUR_H
#define MICROGUEST_BEHAVIOUR_H

#include <stdbool.h>
#include <stdint.h>

/* What this guest does wrong. All zero: nothing. */

enum lie {
	LIE_NONE,
	LIE_ONLINE,  /* kicks are reported as done, steps and all, and nothing was started */
	LIE_DONE,    /* kicks are reported as done, and no step was */
	LIE_RAN_ON,  /* the worker's steps ran elsewhere, it says */
	LIE_PROOF,   /* the result names another CPU */
	LIE_STATE,   /* the result names another state than was asked for */
	LIE_PRESENT, /* CPUs that are in no slot are present and online */
	LIE_STALE,   /* the last result once more, before and after each kick is taken */
};

enum answer {
	EJECT,        /* a removal request is done */
	EJECT_REFUSE, /* _OST says @status and nothing is done */
	EJECT_IGNORE, /* nothing is done: a guest that sleeps */
	EJECT_FORGE,  /* _OST says it was done */
};

/**
 * struct moment - a step of a CPU: @state 0 none
 * @rc: what it fails with
 */
struct moment {
	uint8_t state;
	bool startup;
	uint16_t cpu;
	int rc;
};

struct behaviour {
	struct moment fail;
	volatile struct moment hang;
	enum answer eject;
	uint32_t status;
	bool blind; /* insertions are not looked at */
	enum lie lie;
};

#endif
