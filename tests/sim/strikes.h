/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SIM_STRIKES_H
#define TESTS_SIM_STRIKES_H

#include "tests/sim/faults.h"

/* What faults.c's table lists and other files do, and what heals it. */

/* faults-lies.c */
void lies_done(struct sim_domain *d, const struct item *i);
void lies_ran_on(struct sim_domain *d, const struct item *i);
void lies_old(struct sim_domain *d, const struct item *i);
void lies_rows(struct sim_domain *d, const struct item *i);
void lies_state(struct sim_domain *d, const struct item *i);
void floods(struct sim_domain *d, const struct item *i);
/* The agent is replaced by an honest one, where it lies. */
void lies_end(struct sim_domain *d, uint64_t arg);

/* faults-frames.c: the next few are spoilt; of the agent's, @frames, and of the host's, @heard */
void fault_spoil(struct tampering *t, enum tamper how, const struct item *i);
void frames_drop(struct sim_domain *d, const struct item *i);
void frames_twice(struct sim_domain *d, const struct item *i);
void frames_late(struct sim_domain *d, const struct item *i);
void frames_swap(struct sim_domain *d, const struct item *i);
void frames_tear(struct sim_domain *d, const struct item *i);
void frames_noise(struct sim_domain *d, const struct item *i);
void heard_drop(struct sim_domain *d, const struct item *i);
void heard_twice(struct sim_domain *d, const struct item *i);
void heard_late(struct sim_domain *d, const struct item *i);
void heard_swap(struct sim_domain *d, const struct item *i);
void heard_tear(struct sim_domain *d, const struct item *i);
void heard_noise(struct sim_domain *d, const struct item *i);

/* store.c: the daemon's store */
void store_is_full(struct sim_domain *d, const struct item *i);
void store_is_read_only(struct sim_domain *d, const struct item *i);
void store_fails(struct sim_domain *d, const struct item *i);
void store_fails_and_kill(struct sim_domain *d, const struct item *i);
void store_heal(struct sim_domain *d, uint64_t arg);

/* clients.c: others, beside the one whose operation it is */
void others_ask(struct sim_domain *d, const struct item *i);
void others_ask_and_kill(struct sim_domain *d, const struct item *i);
void queue_fills(struct sim_domain *d, const struct item *i);
void queued_too_long(struct sim_domain *d, const struct item *i);
void queued_is_cancelled(struct sim_domain *d, const struct item *i);
void queued_client_goes(struct sim_domain *d, const struct item *i);
void id_is_repeated(struct sim_domain *d, const struct item *i);
void id_is_taken(struct sim_domain *d, const struct item *i);

#endif
