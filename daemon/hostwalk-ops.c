/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's callbacks of the ladder, states 1 to 5: what each does and what it waits for.
 * Order and rollback are the walker's; deadlines that pass are hostwalk.c's.
 */
#include "daemon/hostwalk-ops.h"
#include "daemon/failpoint.h"
#include "daemon/intent-domain.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

void host_say_filled(struct hostwalk *h)
{
	hostwalk_say(h, "the slot was filled by another meanwhile");
}

static int admit_startup(struct hostwalk *h)
{
	const struct domain *d = h->v->domain;

	if (d->status != HV_RUNNING) {
		hostwalk_say(h, "the domain is %s", domain_status_name(d));
		return -EBUSY;
	}
	if (!link_is_up(d->link)) {
		hostwalk_say(h, "no agent is connected");
		return -ENOTCONN;
	}
	if (h->v->present) {
		host_say_filled(h);
		return -EEXIST;
	}
	h->v->pending = VCPU_PENDING_PLUG;
	return 0;
}

static int admit_teardown(struct hostwalk *h)
{
	h->v->pending = VCPU_PENDING_NONE;
	return 0;
}

/* Whoever was asked, by its own word for it. */
static void say_refused(struct hostwalk *h, const char *command, int rc, const char *text)
{
	bool libvirt = h->v->domain->hv->ops->names_devices;

	hostwalk_say(h, "%s refused %s: %s", libvirt ? "libvirt" : "QEMU",
		     libvirt ? "setvcpu" : command, *text ? text : strerror(-rc));
}

void host_say_unanswered(struct hostwalk *h)
{
	bool libvirt = h->v->domain->hv->ops->names_devices;

	if (h->unanswered == -EEXIST)
		hostwalk_say(h, "QEMU refused device_add: the slot was filled");
	else if (h->unanswered == -ETIMEDOUT)
		hostwalk_say(h, "%s did not answer in time", libvirt ? "libvirt" : "QEMU");
	else
		hostwalk_say(h, "the connection to %s was lost during %s",
			     libvirt ? "libvirtd" : "QEMU", libvirt ? "setvcpu" : "device_add");
}

/* A lost answer says nothing of the device: the next table does. */
static void plug_unanswered(struct hostwalk *h, int rc)
{
	h->unanswered = rc;
	host_say_unanswered(h);
	if (rc == -ETIMEDOUT)
		hostwalk_tell_pending(h);
}

/*
 * The slot is filled, which the last table did not show: by whom does the next one, and what is told of
 * the domain then is no older than that. One that was stopped meanwhile does not wait for it. Return:
 * whether it does.
 */
static bool ask_who_fills_it(struct hostwalk *h, int rc)
{
	struct hv *hv = h->v->domain->hv;
	bool unseen = rc == -EEXIST && !h->v->present && !hv->ops->names_devices;

	if (!unseen || hv->ops->query(hv, hv_ignore, NULL) < 0 || h->cancel_rc)
		return false;
	h->unanswered = rc;
	return true;
}

static void on_plugged(void *arg, int rc, const char *text)
{
	struct vcpu *v = arg;
	struct hostwalk *h = v->hw;

	failpoint("hypervisor.answer");
	if (!h || h->wait != WAIT_PLUG_REPLY)
		return;
	if (rc == -ETIMEDOUT || rc == -ECONNRESET) {
		plug_unanswered(h, rc);
		return;
	}
	/* libvirt has carried out the call of the daemon before this one. */
	if (rc && v->claimed && v->present)
		rc = 0;
	if (rc) {
		say_refused(h, "device_add", rc, text);
		if (!ask_who_fills_it(h, rc))
			hostwalk_complete(h, rc);
		return;
	}
	v->present = v->removable = v->owned = true;
	vcpu_format_id(v->id, v->vcpu, h->op ? h->op->tag : 0);
	hostwalk_complete(h, 0);
}

static int device_startup(struct hostwalk *h)
{
	const struct domain *d = h->v->domain;
	char id[64];
	int rc;

	vcpu_format_id(id, h->v->vcpu, h->op ? h->op->tag : 0);
	failpoint("hypervisor.plug");
	rc = d->hv->ops->plug(d->hv, h->v->vcpu, id, d->config->has_place, on_plugged, h->v);
	if (rc < 0) {
		hostwalk_say(h, "device_add could not be sent: %s", strerror(-rc));
		return rc;
	}
	h->wait = WAIT_PLUG_REPLY;
	return HOST_STEP_ASYNC;
}

/* May the device be on its way out although the answer is an error? */
static bool is_unplug_in_doubt(int rc)
{
	return rc == -ETIMEDOUT || rc == -ECONNRESET || rc == -ENODEV || rc == -EALREADY;
}

static void on_unplug_sent(void *arg, int rc, const char *text)
{
	struct vcpu *v = arg;
	struct hostwalk *h = v->hw;
	struct hv *hv = v->domain->hv;

	failpoint("hypervisor.answer");
	if (!h || h->wait != WAIT_UNPLUG_REPLY)
		return;
	if (!v->present) {
		hostwalk_complete(h, 0);
		return;
	}
	if (rc && !is_unplug_in_doubt(rc)) {
		say_refused(h, "device_del", rc, text);
		hostwalk_complete(h, rc);
		return;
	}
	h->wait = WAIT_EJECT;
	h->unsent = rc == -ECONNRESET;
	/* The guest was faster than QEMU's reply, or QEMU than its table: ask for a fresh one. */
	if (h->refused || rc == -ENODEV)
		hv->ops->query(hv, hv_ignore, NULL);
}

int host_unplug(struct hostwalk *h)
{
	struct hv *hv = h->v->domain->hv;
	int rc;

	failpoint("hypervisor.unplug");
	rc = hv->ops->unplug(hv, h->v->vcpu, on_unplug_sent, h->v);

	if (rc < 0 && rc != -ENOTCONN && rc != -EBUSY && rc != -ENODEV)
		return rc;
	h->unsent = rc < 0;
	h->wait = h->unsent ? WAIT_EJECT : WAIT_UNPLUG_REPLY;
	return 0;
}

void host_unplug_again(struct hostwalk *h)
{
	struct hv *hv = h->v->domain->hv;

	/* One that cannot be sent now has its turn at the next deadline. */
	if (hv->ops->unplug(hv, h->v->vcpu, hv_ignore, NULL) == 0)
		h->unsent = false;
}

/*
 * One that an earlier daemon has asked for is asked for at once where somebody waits and that holds
 * nobody up: QEMU's table has shown it since, and whether the request came there is not known.
 */
static int ask_to_leave(struct hostwalk *h)
{
	if (!h->asked_before)
		return host_unplug(h);
	h->wait = WAIT_EJECT;
	if (!h->told_pending && !h->v->domain->hv->ops->one_unplug)
		host_unplug_again(h);
	return 0;
}

static int device_teardown(struct hostwalk *h)
{
	struct domain *d = h->v->domain;
	int rc;

	/* The guest may have ejected it by itself meanwhile, and another have plugged one of his. */
	if (!h->v->present || h->left)
		return 0;
	/* The next daemon must not take it up again either (R9). What cannot be written stops nothing. */
	h->wait = WAIT_UNPLUG_REPLY;
	(void)domain_remember(d);
	rc = ask_to_leave(h);
	if (rc < 0) {
		/* Else it is QEMU's, or the machine's, to let go of nothing. */
		h->unasked = rc != -EPERM && rc != -EOPNOTSUPP && rc != -EINVAL;
		hostwalk_say(h, "device_del could not be sent: %s", strerror(-rc));
		return rc;
	}
	h->v->pending = VCPU_PENDING_UNPLUG;
	hostwalk_arm(h, d->settings->deadlines.eject_soft_ms * domain_slow_factor(h->v->domain));
	return HOST_STEP_ASYNC;
}

static void say_not_placed(struct hostwalk *h, int rc, const char *text)
{
	/* The host's own failure: neither the guest nor QEMU has refused to let go. */
	h->unasked = !h->call.startup;
	if (rc == -ENODATA && !*text)
		hostwalk_say(h, "cannot pin the vCPU's thread: QEMU has not told which it is");
	else if (rc == -EPERM && !*text)
		hostwalk_say(h, "pinning needs QEMU's user or CAP_SYS_NICE");
	else
		hostwalk_say(h, "cannot pin the vCPU's thread: %s", *text ? text : strerror(-rc));
}

static void on_placed(void *arg, int rc, const char *text)
{
	struct vcpu *v = arg;
	struct hostwalk *h = v->hw;

	if (!h || h->wait != WAIT_PLACE)
		return;
	if (rc)
		say_not_placed(h, rc, text);
	hostwalk_complete(h, rc);
}

static int place(struct hostwalk *h, const struct cpulist *cpus)
{
	struct hv *hv = h->v->domain->hv;
	int rc = hv->ops->place(hv, h->v->vcpu, cpus, on_placed, h->v);

	if (rc == HV_DONE)
		return 0;
	if (rc < 0) {
		say_not_placed(h, rc, "");
		return rc;
	}
	h->wait = WAIT_PLACE;
	return HOST_STEP_ASYNC;
}

static int place_startup(struct hostwalk *h)
{
	return place(h, &h->v->domain->config->place);
}

static int place_teardown(struct hostwalk *h)
{
	return place(h, NULL);
}

static int present_startup(struct hostwalk *h)
{
	if (h->v->guest_present && h->v->cpu >= 0)
		return 0;
	h->wait = WAIT_PRESENT;
	hostwalk_arm(h, h->v->domain->settings->deadlines.guest_present_ms *
				domain_slow_factor(h->v->domain));
	return HOST_STEP_ASYNC;
}

static int kick_startup(struct hostwalk *h)
{
	const struct deadlines *t = &h->v->domain->settings->deadlines;

	h->kick_target = h->call.rollback || h->target < CPUHP_STANDBY ? CPUHP_STANDBY : h->target;
	h->wait = WAIT_KICKED;
	host_kick(h);
	hostwalk_arm(h, t->guest_present_ms * domain_slow_factor(h->v->domain));
	return HOST_STEP_ASYNC;
}

const struct host_step_ops host_steps[CPUHP_STANDBY + 1] = {
	[CPUHP_HOST_ADMIT] = { admit_startup, admit_teardown },
	[CPUHP_QEMU_DEVICE] = { device_startup, device_teardown },
	[CPUHP_HOST_PLACE] = { place_startup, place_teardown },
	[CPUHP_GUEST_PRESENT] = { present_startup, NULL },
	[CPUHP_AP_KICK] = { kick_startup, NULL },
};
