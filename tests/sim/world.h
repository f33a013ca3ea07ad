/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "tests/sim/faults.h"

/* An event is followed by a look at QEMU's table: these are limited to 20 a second. */
enum { HEARD_US = 200000 };

/* What the daemon has read of a flood the guest pays for, in frames a second, before it is heard. */
enum { PAID_US = 5000000 };

/* As configured (world.c). */
enum { OPERATION_US = 120000000 };

/* The last operations of all have numbers from here on. */
enum { FIRST_DRILL = 1000000 };

/* How the daemon stands to an operation that it has accepted. Lost: its record could not be read. */
enum track_end { TRACK_OPEN, TRACK_ENDED, TRACK_LOST };

/**
 * struct track - an operation, as its client knows it
 * @op: the client's reference, NULL when it has gone
 * @ends: how often its end was told
 * @sent: device_adds, device_dels and kicks that the daemon has sent for it. @busy: slots, as bits, that
 *	an earlier one had left in a walk when it began
 * @failed: slots, as bits, of which the daemon was told that a step failed; @gone_us: when its VM was
 *	ended; @recalled: a vCPU had a way to go when it was cancelled, and nothing has happened since;
 *	@killed: a daemon was, meanwhile (disturbed.c)
 * @why: the end's sentence
 * @moved: slots, as bits, that others changed while it ran
 * @begun: it was taken from the queue, at @begun_us; @begun_written: how often its domain's record had
 *	been written by then
 * @cancelled: a client wanted that
 * @undisturbed: nothing was broken since it began (undisturbed.c); @refusal: the plan's then, "" none
 * @unwritten: its end could not be written by then; @written: how often its domain's record had been
 * @again: that daemon was killed before it could, so the next one has to end it once more; @twice: it
 *	has
 */
struct track {
	unsigned int number;
	char id[MSG_OP_MAX + 1];
	struct op_request request;
	struct op *op;
	enum track_end end;
	unsigned int ends;
	enum op_result result;
	uint64_t accepted_us, begun_us, ended_us, gone_us;
	unsigned int hits[PHASES];
	bool begun, cancelled, recalled, killed, undisturbed, unwritten, again, twice;
	char refusal[OP_TEXT_MAX], why[OP_TEXT_MAX];
	unsigned int written, begun_written;
	uint32_t moved, busy, failed;
	unsigned int sent;
};

/**
 * struct driver - the clients of one domain: they ask for one operation after another, @current
 *
 * @room: tracks that there is memory for
 * @n_others: what others have asked for meanwhile (clients.c)
 */
struct driver {
	struct clock_timer next;
	size_t at; /* item to be looked at next */
	struct track *tracks;
	unsigned int n_tracks, room, n_others;
	struct track *current;
	size_t current_at;
	unsigned int current_number;
	bool done;
};

/**
 * struct watch - what the checker remembers of one domain
 * @was, @since_us: where each slot really stands, and since when
 * @last_us: when it stood last where it stands no more, by state; 0 never. @there_us: the same of a
 *	device in an empty slot
 * @present, @online, @standby: how many slots do now
 * @deaf_us: when the daemon could last not know it; @flood_us: when a flood was last under way; @lied_us:
 *	when the guest last lied, 0 never
 * @voice_us, @port_us, @qemu_us: when the agent could last say anything or be read, when its port could last be
 *	reached, and when QEMU's socket could
 * @sent_us: when the daemon has sent anything for a slot last, also that it is to go back
 * @adder: which operation has sent a slot's last device_add
 */
struct watch {
	int was[SIM_SLOTS];
	uint64_t since_us[SIM_SLOTS], last_us[SIM_SLOTS][CPUHP_STATES], there_us[SIM_SLOTS],
		deaf_us;
	uint64_t voice_us, port_us, qemu_us, flood_us, lied_us;
	unsigned int present, online, standby;
	uint64_t truth, calm_us, sent_us[SIM_SLOTS];
	char running[MSG_OP_MAX + 1], adder[SIM_SLOTS][MSG_OP_MAX + 1];
};

/* The fewest allocations and the most descriptors of a quarter of a run, 0 nothing yet (growth.c). */
struct growth {
	size_t live, descriptors;
};

struct world {
	sd_event *event;
	const struct script *script;
	char folder[64]; /* the daemon's, which outlives it */
	struct manager *manager;
	struct event_listener *listener;
	struct sim_domain *domains;
	struct driver *drivers;
	struct watch *watches;
	unsigned int n;
	unsigned int kills_due; /* of the daemon, right after it has started */
	struct clock_timer start, again, sample;
	bool over, healed;
	bool other_config; /* the daemon has been given another than world_config() */
	unsigned int drill;
	uint64_t settle_us, rest_us;
	unsigned int turns;
	struct growth quarters[2]; /* the last two */
	struct run_result *result;
	FILE *log;
};

/* Run a script from the beginning to its end; @w may be asked until world_done(). */
void world_run(struct world *w, const struct script *s, struct run_result *ret, FILE *log);
void world_done(struct world *w);

/* The daemon dies without a word; another starts after @after_us. */
void world_kill(struct world *w, uint64_t after_us);
struct domain *world_domain(const struct sim_domain *d);
/* A client asks for an operation. Return: valid until the next one; NULL it was denied. */
struct track *world_ask(struct sim_domain *d, const struct op_request *request,
			unsigned int number);
/* What the daemon is to have; config_free(). */
struct config *world_config(const struct world *w);
void world_cancel(struct sim_domain *d);
void world_client_goes(struct sim_domain *d);
/* Others change what is in this slot. */
void world_moved(struct sim_domain *d, unsigned int slot);
/* The daemon sends something that moves this slot; @op: of this operation, NULL of that which runs. */
void world_sent(struct sim_domain *d, unsigned int slot, const char *op);
/*
 * Which operation has sent the device_add of this device, by its id: a QEMU that stands still reads it when
 * another runs. Return: "" none that clients have asked for.
 */
const char *world_asker(const struct sim_domain *d, const char *device);
/* The end of an operation was told. */
void world_ended(struct sim_domain *d, struct track *t, const struct op *op);
/* The daemon that had accepted it is gone, and the next one knows nothing of it. */
void world_lost(struct sim_domain *d, struct track *t);

/* clients.c: what clients hear is as it should be. */
void client_on_denied(struct sim_domain *d, enum request_error error, const char *text);
void client_on_accepted(struct sim_domain *d);
/* The next daemon is there: what does it know of @t, which had not ended? */
void client_on_restart(struct sim_domain *d, struct track *t);

/* reload.c: the daemon reads its configuration again, the same or another. */
void reload_strikes(struct sim_domain *d, const struct item *i);
/* It is again what it should be. */
void reload_heal(struct world *w);

/* checker.c */
/* What has really changed since the last time; whoever is about to change it otherwise calls this. */
void checker_watch(struct sim_domain *d);
void checker_on_event(struct world *w, const struct event *e);
/* After every turn of the loop. */
void checker_turn(struct world *w);
/* Each second of the simulation's. */
void checker_sample(struct world *w);
/* What is under way in this domain still, or NULL. */
const char *checker_unrest(const struct sim_domain *d);
/* Everything is as it should be at the end. */
void checker_final(struct world *w);
void checker_count(struct world *w);

/* undisturbed.c: of an operation that begins, and of one that ends. */
void undisturbed_begin(struct sim_domain *d, struct track *t, const struct op *op);
void undisturbed_end(struct sim_domain *d, const struct track *t, const struct op *op);
/* Something is broken in this domain now. */
void undisturbed_over(struct sim_domain *d);

/* disturbed.c: of what cannot be done any more, when it ends. */
void disturbed_end(struct sim_domain *d, const struct track *t, const struct op *op);
/* QEMU reads a device_add for this slot; on whose behalf its answer will be. */
void disturbed_add(struct sim_domain *d, unsigned int slot, const char *op);
/* The daemon is told that a step of it for this slot has failed; @op: NULL the one that runs. */
void disturbed_step(struct sim_domain *d, unsigned int slot, const char *op, const char *what);
/* QEMU ends, or its guest shuts down. */
void disturbed_vm(struct sim_domain *d);
/* It is about to be cancelled; @alone: and nothing else has happened. */
void disturbed_cancel(struct sim_domain *d, struct track *t, const struct op *op, bool alone);
/* Another thing happens, or the daemon is killed. */
void disturbed_again(struct sim_domain *d, bool killed);

/* claims.c: an operation has ended: what its result says is so, and is what was asked for. */
void claims_check(struct sim_domain *d, const struct track *t, const struct op *op);
/* At the end, and when all is at rest after it: exactly what the drill has asked for. */
void claims_drill(struct sim_domain *d, unsigned int drill);

/* growth.c: each second, and at the end. */
void growth_look(struct world *w);
void growth_judge(struct world *w);

/* Where a slot really stands: the ladder's state, by QEMU and the guest. */
int truth_of(const struct sim_domain *d, unsigned int slot);

#endif
