/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A hostwalk takes one vCPU from where it is to a target, on the host's side of the ladder.
 *
 * Below standby the host runs the steps itself, in the order the walker gives (R2, R8, R9). Above
 * standby it runs nothing: it sends a kick and waits for the kick's one result; the agent walks
 * there and back (R3, R4). Two shapes follow from where the vCPU stands:
 *
 *   below standby   walk up to min(target, standby); the last step hands the ladder over; then
 *                   wait for the agent's result. If that is an error the agent is back at standby,
 *                   and this walk ends there with the error: whoever started it decides when the
 *                   host's own steps are undone (the engine, highest slot first).
 *   at or above     kick first, with max(target, standby). An error ends the walk: the agent has
 *                   rolled back, nothing of ours is undone. Success above standby, or at standby
 *                   as asked, is the end (R5). Standby with a lower target: walk down (R6).
 *                   Anything else is a protocol error.
 *
 * At any time at most one host step and at most one kick are out. A step that cannot be recalled
 * (a QMP command, an eject, a kick the agent does not give back) never has a rollback run beside
 * it: when its last deadline passes the operation is told "pending", and the walk stays, hears the
 * step's end whenever it comes, and goes on by itself: an add back to where the vCPU came from, a
 * removal to its end. Once device_del is out nothing but the guest's refusal with the slot still
 * filled leads back up, so a cancel never turns a removal round.
 *
 * The agent's part (kicks, R4 to R7) is hostwalk-ap.c, the host's own callbacks hostwalk-ops.c.
 *
 * A walk takes its first step at once, so that walks started in an order ask QEMU in that order.
 * The outcome is delivered from the event loop by a deferred source, so nobody is called back
 * from inside a call of his own; only "pending" may be told from inside hostwalk_cancel().
 */
#include "daemon/deferred.h"
#include "daemon/hostwalk-ops.h"
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hostwalk_say(struct hostwalk *h, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(h->text, sizeof(h->text), format, ap);
	va_end(ap);
}

static void hostwalk_free(struct hostwalk *h)
{
	sd_event_source_disable_unref(h->timer);
	sd_event_source_disable_unref(h->finish);
	op_unref(h->op);
	free(h);
}

void hostwalk_note(struct hostwalk *h, bool enter, int rc)
{
	vcpu_note_step(h->v, &(struct step_note){
				     .op = h->op,
				     .state = h->call.state,
				     .enter = enter,
				     .startup = h->call.startup,
				     .rollback = h->call.rollback || h->rollback,
				     .rc = rc,
				     .ran_on = -1,
				     .kstep = -1,
				     .t_us = now_us(),
				     .text = rc ? h->text : "",
			     });
}

static int on_finish(sd_event_source *s, void *userdata)
{
	struct hostwalk *h = userdata;
	struct vcpu *v = h->v;
	bool nobody_waits = h->told_pending;

	v->hw = NULL;
	v->pending = VCPU_PENDING_NONE;
	if (nobody_waits)
		domain_on_settled(v, hostwalk_back(h));
	else
		h->done(h->ctx, v, &h->outcome);
	hostwalk_free(h);
	return 0;
}

static void finish(struct hostwalk *h)
{
	h->wait = WAIT_NOTHING;
	h->kick = 0;
	sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	deferred_call(h->finish);
}

void hostwalk_finish(struct hostwalk *h, int rc, int failed_at, bool teardown)
{
	h->outcome = (struct hostwalk_outcome){
		.rc = rc,
		.failed_at = failed_at,
		.teardown = teardown,
		.rollback_failed_at = -1,
	};
	snprintf(h->outcome.text, sizeof(h->outcome.text), "%s", rc ? h->text : "");
	finish(h);
}

void hostwalk_finish_walk(struct hostwalk *h)
{
	const struct walk *w = &h->w;

	if (w->rc) {
		if (hostwalk_awaits_standby(h))
			return;
		hostwalk_finish(h, w->rc, w->failed_at >= 0 ? w->failed_at : h->call.state,
				w->target < w->from);
		snprintf(h->outcome.text, sizeof(h->outcome.text), "%s", h->why);
		h->outcome.unasked = h->unasked;
		h->outcome.rollback_rc = w->rollback_rc;
		h->outcome.rollback_failed_at = w->rollback_failed_at;
		return;
	}
	if (w->target > w->from && w->state == CPUHP_STANDBY && h->kick) {
		if (h->ap_done)
			hostwalk_take_result(h);
		return;
	}
	if (h->v->state == CPUHP_OFFLINE && (!h->v->present || h->left))
		domain_on_removed(h->v, h->op);
	hostwalk_finish(h, 0, -1, false);
}

static bool has_step(void *ctx, int state, bool startup)
{
	const struct hostwalk *h = ctx;

	if (state > CPUHP_STANDBY)
		return false;
	if (state == CPUHP_HOST_PLACE && !h->v->domain->config->has_place)
		return false;
	return startup ? host_steps[state].startup : host_steps[state].teardown;
}

static int invoke(struct hostwalk *h)
{
	const struct host_step_ops *ops = &host_steps[h->call.state];

	/* To give a reservation up cannot fail: there is no way back up from there. */
	if (h->v->armed == h->call.state &&
	    (h->call.startup || h->call.state != CPUHP_HOST_ADMIT)) {
		h->v->armed = 0;
		hostwalk_say(h, "a failure was armed here");
		return -EAGAIN;
	}
	return h->call.startup ? ops->startup(h) : ops->teardown(h);
}

/* The first failure's reason is the walk's, whatever goes wrong on the way back. */
static void keep_why(struct hostwalk *h)
{
	snprintf(h->why, sizeof(h->why), "%s", h->text);
}

static void answer(struct hostwalk *h, int rc)
{
	bool was_well = !h->w.rc;

	/* A hand-over that failed leaves no kick that could be answered later. */
	if (rc && h->wait == WAIT_KICKED)
		h->kick = 0;
	h->wait = WAIT_NOTHING;
	sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	hostwalk_note(h, false, rc);
	walk_result(&h->w, rc);
	if (!rc)
		hostwalk_reach(h, h->w.state);
	if (h->cancel_rc && !h->w.rc && h->w.target > h->w.from)
		walk_abort(&h->w, h->cancel_rc);
	if (was_well && h->w.rc)
		keep_why(h);
}

void hostwalk_run(struct hostwalk *h)
{
	int rc;

	while (walk_next(&h->w, has_step, h, &h->call)) {
		hostwalk_note(h, true, 0);
		rc = invoke(h);
		if (rc == HOST_STEP_ASYNC)
			return;
		answer(h, rc);
	}
	hostwalk_reach(h, h->w.state);
	hostwalk_finish_walk(h);
}

void hostwalk_complete(struct hostwalk *h, int rc)
{
	if (h->wait == WAIT_EJECT || h->wait == WAIT_UNPLUG_REPLY)
		h->v->pending = VCPU_PENDING_NONE;
	answer(h, rc);
	hostwalk_run(h);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct hostwalk *h = userdata;

	switch (h->wait) {
	case WAIT_PRESENT:
		hostwalk_say(h, "the guest did not report the CPU present");
		hostwalk_complete(h, -ETIMEDOUT);
		break;
	case WAIT_KICKED:
		hostwalk_say(h, "the agent did not take the ladder over");
		/* Should it wake up and find the kick, it finds this behind it. */
		link_cancel(h->v->domain->link, h->kick);
		hostwalk_complete(h, -ETIMEDOUT);
		break;
	case WAIT_EJECT:
	case WAIT_UNPLUG_REPLY:
		hostwalk_eject_late(h);
		break;
	case WAIT_PLUG_REPLY:
	case WAIT_PLACE:
	case WAIT_NOTHING:
		if (h->kick_unsent) {
			hostwalk_no_session(h);
			break;
		}
		if (h->ap_done) {
			hostwalk_take_result(h);
			break;
		}
		if (!*h->text)
			hostwalk_say(h, "the agent has not given the vCPU back");
		hostwalk_tell_pending(h);
		break;
	}
	return 0;
}

int hostwalk_arm(struct hostwalk *h, unsigned int ms)
{
	int rc = sd_event_source_set_time(h->timer, now_us() + (uint64_t)ms * 1000);

	return rc < 0 ? rc : sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

struct hostwalk *hostwalk_make(struct vcpu *v, struct op *op, int from, int target)
{
	const struct op_vcpu *entry = op_find_vcpu(op, v->vcpu);
	sd_event *event = v->domain->manager->event;
	struct hostwalk *h = calloc(1, sizeof(*h));

	assert(!v->hw);
	if (!h)
		return NULL;
	*h = (struct hostwalk){
		.v = v,
		.op = op ? op_ref(op) : NULL,
		.from = from,
		.target = target,
		.back = entry && entry->from < from ? entry->from : from,
	};
	walk_init(&h->w, from < CPUHP_STANDBY ? from : CPUHP_STANDBY,
		  target < CPUHP_STANDBY ? target : CPUHP_STANDBY);
	if (sd_event_add_time(event, &h->timer, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_timer, h) <
		    0 ||
	    sd_event_source_set_enabled(h->timer, SD_EVENT_OFF) < 0 ||
	    deferred_new(&h->finish, event, on_finish, h) < 0 ||
	    sd_event_source_set_priority(h->finish, SD_EVENT_PRIORITY_IMPORTANT) < 0) {
		hostwalk_free(h);
		return NULL;
	}
	v->hw = h;
	return h;
}

int hostwalk_start(struct vcpu *v, struct op *op, int target, bool rollback, hostwalk_done_fn done,
		   void *ctx)
{
	struct hostwalk *h;

	assert(v->state >= 0);
	h = hostwalk_make(v, op, v->state, target);
	if (!h)
		return -ENOMEM;
	h->rollback = rollback;
	h->from_ap = v->state >= CPUHP_STANDBY;
	h->done = done;
	h->ctx = ctx;
	h->kick_target = target > CPUHP_STANDBY ? target : CPUHP_STANDBY;
	if (h->from_ap)
		hostwalk_kick_first(h);
	else
		hostwalk_run(h);
	return 0;
}

void hostwalk_drop(struct vcpu *v)
{
	if (v->hw)
		hostwalk_free(v->hw);
	v->hw = NULL;
	v->pending = VCPU_PENDING_NONE;
}

/*
 * QEMU's answers have a deadline of their own (qmp.c), but not its table where the answer was lost;
 * libvirt's have none: whoever holds the domain, or its lock, decides.
 */
static bool is_answer_unbounded(const struct hostwalk *h)
{
	return (h->wait == WAIT_PLUG_REPLY || h->wait == WAIT_PLACE) &&
	       (h->v->domain->hv->ops->lost_ms == 0 || (h->unanswered && h->unanswered != -EEXIST));
}

void hostwalk_cancel(struct vcpu *v, int rc)
{
	struct hostwalk *h = v->hw;

	if (!h || h->told_pending || h->outcome.rc)
		return;
	if (rc == -ETIMEDOUT && hostwalk_is_leaving(v)) {
		hostwalk_say(h, "the operation's deadline passed before the guest let go of it");
		hostwalk_tell_pending(h);
		return;
	}
	if (rc == -ETIMEDOUT && is_answer_unbounded(h)) {
		hostwalk_say(h, "the operation's deadline passed before %s answered",
			     v->domain->hv->ops->names_devices ? "libvirt" : "QEMU");
		hostwalk_tell_pending(h);
		return;
	}
	if (h->cancel_rc || h->w.rc || h->rollback)
		return;
	h->cancel_rc = rc;
	hostwalk_say(h, rc == -ETIMEDOUT ? "the operation's deadline passed" : "cancelled");
	if (h->wait == WAIT_PRESENT) {
		hostwalk_complete(h, rc);
	} else if (h->wait == WAIT_PLUG_REPLY && h->unanswered == -EEXIST) {
		/* It has been refused: only who has the slot is still asked. */
		host_say_unanswered(h);
		hostwalk_complete(h, -EEXIST);
	} else if (h->kick && h->wait != WAIT_KICKED) {
		hostwalk_recall(h);
	}
}

/* What came of device_add is what the table has there. A cancel may have spoken meanwhile. */
static void plug_shown(struct hostwalk *h)
{
	if (vcpu_is_anothers(h->v)) {
		host_say_filled(h);
		hostwalk_complete(h, -EEXIST);
	} else if (h->v->present) {
		hostwalk_complete(h, 0);
	} else {
		host_say_unanswered(h);
		hostwalk_complete(h, h->unanswered);
	}
}

void hostwalk_on_table(struct vcpu *v)
{
	struct hostwalk *h = v->hw;

	if (!h)
		return;
	h->left |= !v->present && (v->state < 0 || v->state >= CPUHP_QEMU_DEVICE) &&
		   h->wait != WAIT_PLUG_REPLY && !v->domain->hv->ops->names_devices;
	if (hostwalk_is_leaving(v) && !v->present) {
		hostwalk_complete(h, 0);
	} else if (h->wait == WAIT_EJECT && h->refused) {
		hostwalk_say(h, "the guest refused to let go of it");
		hostwalk_complete(h, -EBUSY);
	} else if (h->wait == WAIT_EJECT && h->unsent) {
		host_unplug(h);
	} else if (h->wait == WAIT_PLUG_REPLY && h->unanswered) {
		plug_shown(h);
	}
}

/* ACPI: status 0x84 (in progress) and 0 are no refusal; anything else is, and QEMU's table decides. */
void hostwalk_on_ost(struct vcpu *v, int source, int status)
{
	struct hostwalk *h = v->hw;

	if (!h)
		return;
	if (source == HV_OST_ADD)
		h->firmware_answered = true;
	if (source != HV_OST_REMOVE || status == 0 || status == 132)
		return;
	if (!hostwalk_is_leaving(v))
		return;
	h->refused = true;
	v->domain->hv->ops->query(v->domain->hv, hv_ignore, NULL);
}

void hostwalk_on_guest(struct vcpu *v)
{
	struct hostwalk *h = v->hw;

	if (h && h->wait == WAIT_PRESENT && v->guest_present && v->cpu >= 0)
		hostwalk_complete(h, 0);
}

bool hostwalk_is_settled_in_firmware(const struct vcpu *v)
{
	return !v->hw || v->hw->firmware_answered || v->hw->w.rc ||
	       v->hw->w.state >= CPUHP_GUEST_PRESENT;
}
