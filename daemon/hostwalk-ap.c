/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The agent's part of a hostwalk: the kick that hands the ladder over, and the kick's one result
 * (R4 to R7). A kick goes through two answers, KICKED (taken, or refused at once) and DONE (how it
 * ended). Either can be lost with a session or a frame, so in a new session of the same boot, and
 * where a frame was missed, the same number is sent once more: an agent that has it answers as if it came for the first time, and one that
 * was restarted meanwhile refuses the old number, which is the sign to send a fresh one.
 *
 * What comes back is an untrusted guest's word. Its numbers are used for the state shown and for
 * nothing that QEMU is asked; a result that does not fit the kick is a protocol error (R6).
 */
#include "daemon/domain-guest.h"
#include "daemon/hostwalk-ops.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { REKICKS_MAX = 3, RESEND_US = 1000000 };

static uint8_t kick_flags(const struct hostwalk *h)
{
	bool rollback = h->rollback || h->call.rollback;
	bool watched = h->op && h->op->ladder_watched;

	return (uint8_t)((rollback ? MSG_KICK_ROLLBACK : 0) |
			 (watched ? 0 : MSG_KICK_LADDER_LATER) |
			 (h->wait == WAIT_KICKED ? 0 : MSG_KICK_TAKEN_LATER));
}

/* What cannot be sent, since the connection has just broken, is as good as lost with it: the next
 * session gets it (hostwalk_on_session()). */
static int send_kick(struct hostwalk *h)
{
	struct msg_kick m = {
		.kick = h->kick,
		.slot = (uint16_t)h->v->vcpu,
		.cpu = (uint16_t)h->v->cpu,
		.target = (uint8_t)h->kick_target,
		.flags = kick_flags(h),
		.slow = (uint8_t)domain_slow_factor(h->v->domain),
	};

	/* What an earlier kick left behind must not answer for this one. */
	h->handed_over = h->ap_done = h->doubted = h->missed = false;
	h->ap = (struct record_done){ 0 };
	h->v->kick = h->kick;
	h->v->kick_tag = h->op ? h->op->tag : 0;
	snprintf(m.op, sizeof(m.op), "%s", h->op ? h->op->id : "");
	return link_kick(h->v->domain->link, &m);
}

int host_kick(struct hostwalk *h)
{
	h->resent = false;
	h->strayed = 0;
	h->kick = link_next_kick(h->v->domain->link);
	return send_kick(h);
}

void hostwalk_recall(struct hostwalk *h)
{
	const struct deadlines *t = &h->v->domain->settings->deadlines;

	link_cancel(h->v->domain->link, h->kick);
	/* The agent may still be inside one kernel write and one callback. */
	hostwalk_arm(h, (2 * t->guest_present_ms + t->agent_ping_ms) *
				domain_slow_factor(h->v->domain));
}

/*
 * The operation's deadline does not call an undoing kick back, so it has one of its own: as long as
 * an operation's for the work, and the hand-over's before that.
 */
static void bound_undoing(struct hostwalk *h)
{
	const struct deadlines *t = &h->v->domain->settings->deadlines;

	if (h->rollback)
		hostwalk_arm(h, (h->handed_over ? t->operation_ms : t->guest_present_ms) *
					domain_slow_factor(h->v->domain));
}

void hostwalk_kick_first(struct hostwalk *h)
{
	const struct deadlines *t = &h->v->domain->settings->deadlines;
	int rc = host_kick(h);

	bound_undoing(h);
	if (rc == 0 || !h->rollback)
		return;
	/* A way back has nowhere else to go, and nobody else to end it. */
	hostwalk_say(h, "the agent is not connected");
	h->kick_unsent = true;
	hostwalk_arm(h, t->agent_wait_ms);
}

void hostwalk_no_session(struct hostwalk *h)
{
	h->kick_unsent = false;
	hostwalk_finish(h, -ENOTCONN, CPUHP_AP_KICK, false);
}

struct op *hostwalk_op_of(const struct vcpu *v, uint32_t kick)
{
	return v->hw && kick && v->hw->kick == kick ? v->hw->op : NULL;
}

/* The agent has the kick; a fresh add's step 5 is over by that. */
static void handed_over(struct hostwalk *h)
{
	bool was_step = h->wait == WAIT_KICKED;

	h->handed_over = true;
	if (was_step) {
		h->wait = WAIT_NOTHING;
		sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
		hostwalk_note(h, false, 0);
		walk_result(&h->w, 0);
	}
	bound_undoing(h);
	/* Asked to stop meanwhile: the hand-over stands, and its result will be the cancel's. */
	if (h->cancel_rc && !h->w.rc && !h->ap_done)
		hostwalk_recall(h);
	if (was_step)
		hostwalk_run(h);
}

/* It has begun anew too often; nothing of the kick is under way any more. */
static void kick_lost(struct hostwalk *h, const char *why)
{
	hostwalk_say(h, "%s", why);
	if (h->wait == WAIT_KICKED)
		hostwalk_complete(h, -ECONNRESET);
	else
		hostwalk_finish(h, -ECONNRESET, CPUHP_AP_KICK, false);
}

/* The agent was restarted: the kick is unknown to it, and its number too old. */
static void kick_anew(struct hostwalk *h)
{
	if (h->cancel_rc && h->wait != WAIT_KICKED)
		hostwalk_finish(h, h->cancel_rc, CPUHP_AP_KICK, h->target < h->from);
	else if (h->rekicks++ < REKICKS_MAX)
		host_kick(h);
	else
		kick_lost(h, "the agent restarted again and again");
}

void hostwalk_on_kicked(struct vcpu *v, const struct msg_kicked *m)
{
	struct hostwalk *h = v->hw;

	if (!h || !h->kick || m->kick != h->kick || h->handed_over)
		return;
	if (m->rc == 0) {
		handed_over(h);
		return;
	}
	if (m->rc == -EPROTO && h->resent) {
		kick_anew(h);
		return;
	}
	hostwalk_say(h, "the agent refused: %s", *m->text ? m->text : "it gave no reason");
	if (h->wait == WAIT_KICKED)
		hostwalk_complete(h, m->rc);
	else
		hostwalk_finish(h, m->rc, CPUHP_AP_KICK, h->target < h->from);
}

/* R1: where each of the worker's own steps ran. A late teardown runs anywhere, and says so. */
static void note_where(struct hostwalk *h, const struct record_step *r)
{
	int ran_on = r->ran_on == MSG_NO_CPU ? -1 : r->ran_on;

	if (h->strayed || ran_on == h->v->cpu || ladder_side(r->state) != CPUHP_SIDE_WORKER ||
	    (r->flags & RECORD_STEP_LATE))
		return;
	h->strayed = r->state;
	h->strayed_to = ran_on;
}

void hostwalk_on_step(struct vcpu *v, const struct record_step *r)
{
	struct hostwalk *h = v->hw;
	bool startup = r->flags & RECORD_STEP_STARTUP;

	if (!h || !h->kick || r->kick != h->kick || !(r->flags & RECORD_STEP_EXIT) || r->rc)
		return;
	note_where(h, r);
	hostwalk_reach(h, startup ? r->state : r->state - 1);
}

/* The rows of its table come before the result, and say otherwise. */
static bool is_contradicted(const struct hostwalk *h)
{
	return h->v->present && h->ap.rc == 0 && h->ap.state >= CPUHP_AP_ONLINE &&
	       !h->v->guest_online;
}

/* A row may have been lost: its whole table decides, or that there is none. */
static bool is_to_be_told(struct hostwalk *h)
{
	struct domain *d = h->v->domain;

	if (h->doubted || !is_contradicted(h))
		return false;
	h->doubted = true;
	hostwalk_arm(h, d->settings->deadlines.agent_ping_ms * domain_slow_factor(d));
	domain_guest_doubt(d);
	return true;
}

/* R5, R6: where a kick that succeeded leaves the vCPU, and what is left for the host. */
static void ap_succeeded(struct hostwalk *h)
{
	struct vcpu *v = h->v;
	int reached = h->ap.state;
	bool stopped = h->cancel_rc && !h->told_pending;

	if ((!v->present || h->left) && h->target >= CPUHP_STANDBY) {
		hostwalk_say(h, "QEMU does not have it any more, whatever the agent says");
		hostwalk_finish(h, -ENODEV, CPUHP_AP_KICK, false);
	} else if (reached != h->kick_target) {
		hostwalk_say(h, "protocol error: the agent says done at %s", ladder_name(reached));
		hostwalk_finish(h, -EPROTO, CPUHP_AP_KICK, false);
	} else if (reached >= CPUHP_AP_THREADS && h->ap.ran_on != v->cpu) {
		hostwalk_say(h, "the agent's proof ran on CPU %d, not on CPU %d",
			     h->ap.ran_on == MSG_NO_CPU ? -1 : h->ap.ran_on, v->cpu);
		hostwalk_finish(h, -EXDEV, CPUHP_AP_THREADS, false);
	} else if (h->strayed) {
		hostwalk_say(h, "the agent reports that it ran on CPU %d, not on CPU %d",
			     h->strayed_to, v->cpu);
		hostwalk_finish(h, -EXDEV, h->strayed, h->target < h->from);
	} else if (is_contradicted(h)) {
		hostwalk_say(
			h, "protocol error: the agent says done at %s, and that the CPU is offline",
			ladder_name(reached));
		hostwalk_finish(h, -EPROTO, CPUHP_AP_KICK, false);
	} else if (stopped) {
		hostwalk_finish(h, h->cancel_rc, CPUHP_AP_KICK, h->target < h->from);
	} else if (h->target < CPUHP_STANDBY) {
		h->kick = 0;
		hostwalk_run(h);
	} else {
		hostwalk_finish(h, 0, -1, false);
	}
}

void hostwalk_read_result(const struct record_done *r, bool teardown, struct hostwalk_outcome *ret)
{
	*ret = (struct hostwalk_outcome){
		.rc = r->rc,
		.teardown = teardown,
		.failed_at = r->failed_at < CPUHP_STATES ? r->failed_at : CPUHP_AP_KICK,
		.rollback_rc = r->rollback_rc,
		.rollback_failed_at = -1,
	};
	snprintf(ret->text, sizeof(ret->text), "%s", r->text);
	if (r->rollback_rc)
		ret->rollback_failed_at = r->rollback_failed_at < CPUHP_STATES
						  ? r->rollback_failed_at
						  : ret->failed_at;
}

static void ap_failed(struct hostwalk *h)
{
	const struct record_done *r = &h->ap;
	int rc = r->rc == -ECANCELED && h->cancel_rc ? h->cancel_rc : r->rc;
	struct hostwalk_outcome o;

	hostwalk_read_result(r, h->target < h->from, &o);
	if (r->rc != -ECANCELED)
		hostwalk_say(h, "%s", r->text);
	hostwalk_finish(h, rc, o.failed_at, o.teardown);
	h->outcome.rollback_rc = o.rollback_rc;
	h->outcome.rollback_failed_at = o.rollback_failed_at;
}

/* What is known of the guest is what its result says. */
static void believe(struct hostwalk *h)
{
	struct vcpu *v = h->v;
	const struct record_done *r = &h->ap;

	/* Below standby there is nothing of the agent's: the guest does not have the CPU any more. Nor
	 * can it have one that QEMU has not: the result may be older than its going. */
	v->guest_present = v->present && r->state >= CPUHP_STANDBY;
	v->guest_state = r->state;
	v->told_us = now_us();
	if (r->ran_on != MSG_NO_CPU)
		v->ran_on = r->ran_on;
	hostwalk_reach(h, v->guest_present ? r->state
			  : v->present     ? CPUHP_HOST_PLACE
					   : CPUHP_OFFLINE);
}

void hostwalk_take_result(struct hostwalk *h)
{
	const struct record_done *r = &h->ap;

	if (is_to_be_told(h))
		return;
	sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	if (!is_contradicted(h))
		believe(h);
	/* Refused, a removal has failed already, and has only come back to standby by this. */
	if (h->w.rc)
		hostwalk_finish_walk(h);
	else if (r->rc)
		ap_failed(h);
	else
		ap_succeeded(h);
}

bool hostwalk_awaits_standby(struct hostwalk *h)
{
	const struct vcpu *v = h->v;

	if (!h->kick || h->ap_done || h->w.state != CPUHP_STANDBY || !v->guest_present ||
	    v->guest_state <= CPUHP_STANDBY)
		return false;
	hostwalk_arm(h,
		     v->domain->settings->deadlines.operation_ms * domain_slow_factor(v->domain));
	return true;
}

void hostwalk_on_done(struct vcpu *v, const struct record_done *r)
{
	struct hostwalk *h = v->hw;

	if (!h || !h->kick || r->kick != h->kick)
		return;
	h->ap = *r;
	h->ap_done = true;
	/* A result proves the hand-over, also where KICKED was lost. */
	if (h->wait == WAIT_KICKED)
		handed_over(h);
	else
		hostwalk_take_result(h);
}

/* Under its old number. */
static void resend(struct hostwalk *h)
{
	h->resent = true;
	send_kick(h);
	if (h->cancel_rc && h->wait != WAIT_KICKED)
		link_cancel(h->v->domain->link, h->kick);
}

/* A guest can lose as many as it likes. */
void hostwalk_on_missed(struct vcpu *v)
{
	struct hostwalk *h = v->hw;
	uint64_t now = now_us();

	if (!h || !h->kick || h->ap_done || h->kick_unsent)
		return;
	h->missed = h->resent_us && now < h->resent_us + RESEND_US;
	if (h->missed)
		return;
	h->resent_us = now;
	resend(h);
}

void hostwalk_on_tick(struct vcpu *v)
{
	if (v->hw && v->hw->missed)
		hostwalk_on_missed(v);
}

void hostwalk_on_told(struct vcpu *v)
{
	struct hostwalk *h = v->hw;

	if (h && h->kick && h->ap_done && h->doubted)
		hostwalk_take_result(h);
}

void hostwalk_on_session(struct vcpu *v, bool same_boot)
{
	struct hostwalk *h = v->hw;

	/* Each boot may sweep the request away; but a guest may only say that it has booted. */
	if (h && h->wait == WAIT_EJECT && !same_boot && h->rekicks++ < REKICKS_MAX)
		hostwalk_eject_anew(h);
	/* A row of its table may have been what the walk waited for: that kick was not lost. */
	if (!h || !h->kick || (same_boot && h->ap_done) || h->kick > v->domain->session_kick)
		return;
	if (h->kick_unsent) {
		h->kick_unsent = false;
		host_kick(h);
		bound_undoing(h);
		return;
	}
	if (same_boot) {
		resend(h);
		return;
	}
	/* A new boot has all CPUs online, and nobody else will take this one back. */
	if ((h->rollback || h->call.rollback) && v->guest_present && h->rekicks++ < REKICKS_MAX) {
		host_kick(h);
		return;
	}
	kick_lost(h, "the guest was reset");
}
