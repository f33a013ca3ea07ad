/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_UNIT_HV_BENCH_H
#define TESTS_UNIT_HV_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "daemon/hv.h"

/*
 * A QEMU that the test plays, on a real socket in the event loop of the backend under test. What
 * the backend calls is noted in a trace: "attached 4; table br..; running" (b: a boot vCPU, r:
 * one that can be removed, a point: an empty slot).
 */

enum { SLOTS = 4, TURNS = 2000 };

struct hv_bench {
	sd_event *event;
	struct hv *hv;
	char dir[32], path[64];
	int listener, fd;
	char in[65536];
	size_t n_in;
	/* QEMU's part */
	char id[SLOTS][32]; /* "" empty, else the id of the device there */
	const char *slot_type;
	const char *status;
	const char *migration;
	const char *table;   /* instead of the true one */
	const char *threads; /* instead of the true ones */
	const char *ospm;
	const char *smm, *pflash;     /* the machine's properties, as JSON */
	const char *on_add;           /* instead of {} */
	char stall[32];               /* this command is not answered */
	int stalled_id, stalled_last; /* the numbers of it, and of the last one behind it */
	int commands, table_reads;
	/* what was heard */
	char trace[4096];
	struct hv_facts facts;
	int tables, osts, last_ost;
	bool quiet; /* nothing is noted */
	bool present[SLOTS];
	pid_t thread[SLOTS];
	const char *free_in; /* word of the trace at which the object is freed */
	bool freed;
	bool in_call;
};

/* cmocka's fixtures; *state is the struct hv_bench. */
int hv_bench_set_up(void **state);
int hv_bench_tear_down(void **state);

void hv_bench_connect(struct hv_bench *rig, unsigned int reply_ms);
void hv_bench_attach(struct hv_bench *rig);
/* QEMU sends a line. */
__attribute__((format(printf, 2, 3))) void hv_bench_say(struct hv_bench *rig, const char *format,
							...);
/* QEMU leaves. */
void hv_bench_hang_up(struct hv_bench *rig);
/* The loop runs once, then QEMU answers what came. */
void hv_bench_turn(struct hv_bench *rig);
/* Turn until the trace has all of @text; nothing more may come. */
void hv_bench_expect(struct hv_bench *rig, const char *text);
void hv_bench_plug(struct hv_bench *rig, unsigned int slot, const char *id);
void hv_bench_query(struct hv_bench *rig);
void hv_bench_done(void *arg, int rc, const char *text);

#endif
