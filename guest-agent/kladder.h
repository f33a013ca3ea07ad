/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef AGENT_KLADDER_H
#define AGENT_KLADDER_H

#include "guest-agent/agent.h"

/*
 * The kernel's own ladder beneath ap:online, as records for the host. Set up by a child process
 * (it takes half a second where time is slow, and some seconds under load). The kernel makes its text
 * of the steps only when they are read, which may take longer than the steps did. So that is done when
 * the worker has its orders already, and where nobody watches (LADDER_LATER) when nothing moves any more, after the result.
 */

void kladder_init(struct agent *a);
void kladder_done(struct agent *a);

/* A session is up: the first host there is hears it where there is no kernel ladder to see. */
void kladder_on_session(struct agent *a);

/* The setup process has ended; kladder_on_time() in the same turn ends the wait for it. */
void kladder_on_setup(struct agent *a, int status);

/*
 * Until the setup has ended, or took too long, kernel writes wait: the steps of the first are seen,
 * too, and the kernel does not patch itself for the tracing while CPUs come (QEMU 7.2's TCG has a
 * CPU run what stood there before for ever). Return: when that ends at the latest, 0 they do not wait.
 */
uint64_t kladder_wait_deadline(const struct agent *a);
void kladder_on_time(struct agent *a, uint64_t now);

/* The writer begins the kernel write for @c: what was traced before is not its. */
void kladder_begin(struct agent *a, struct cpu *c);

/* Report what has come of the CPUs whose writes have begun; the rest is dropped. */
void kladder_read(struct agent *a);

/* When it is to be read next, 0 no more. */
uint64_t kladder_deadline(const struct agent *a);

/* The last of it: the write has returned @rc. Where nobody watches, and it was 0, it is read later. */
void kladder_end(struct agent *a, struct cpu *c, int rc);

/* Nothing moves: report what was left for later. Return: whether there was any. */
bool kladder_rest(struct agent *a);

#endif
