/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What is written and when. An operation is written four times at most while all goes well: when it
 * is accepted, when its vCPUs are about to move, when it has been decided what is removed or undone
 * (if anything is), and when it has ended, before anybody is told so. A failure, a cancel and a
 * deadline are written when they happen. None is written for a step: where a vCPU has come to is
 * QEMU's and the guest's to say. But one for each device_del, which neither of them tells and from
 * which nothing leads back up (R9).
 *
 * A killed daemon leaves one of four: an operation of which nothing has been done ends "failed:
 * daemon restarted"; one whose vCPUs were moving is taken up again under its id with what is left of
 * its time (op-resume.c); one that has ended keeps its result; and of the slots what is wished of
 * them, who plugged them where QEMU's id does not say so, and what an ended operation had left
 * pending.
 *
 * Until QEMU is there d->found is all that is known of the slots, and goes back into the file as it
 * came. Whether it is about the VM that is found then its marks say (struct intent_run); if not, its
 * operations end vm-gone and the rest is forgotten.
 *
 * A store that fails refuses new operations and stops none. Nothing outlives a reboot, and nothing
 * has to: QEMU does not, and what is to be wished of the next VM is the configuration's.
 */
#include "daemon/intent-domain.h"
#include "daemon/drift.h"
#include "daemon/hostwalk.h"
#include "daemon/log.h"
#include "daemon/op-run.h"
#include "daemon/vcpu.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENDED_MOVES_MAX = 256 }; /* of all ended operations but the last */

static int keep_op(struct intent *i, const struct op *o)
{
	int r = op_keep_intent(o, &i->ops[i->n_ops]);

	i->n_ops += r == 0;
	return r;
}

/* The last that have ended, oldest first; large ones are forgotten sooner. */
static int keep_ended(const struct domain *d, struct intent *i)
{
	unsigned int first = d->n_kept, moves = 0;
	int r = 0;

	while (first > 0 && d->n_kept - first < INTENT_ENDED_MAX) {
		moves += d->kept[first - 1]->n_vcpus;
		if (moves > ENDED_MOVES_MAX && first < d->n_kept)
			break;
		first--;
	}
	for (unsigned int k = first; k > 0 && d->kept[k - 1]->record; k--)
		op_forget_ended(d->kept[k - 1]);
	for (; r == 0 && first < d->n_kept; first++) {
		r = op_keep_ended(d->kept[first]);
		if (r == 0)
			i->ended[i->n_ended++] = d->kept[first]->record;
	}
	return r;
}

static int keep_ops(const struct domain *d, struct intent *i)
{
	int r;

	/* Each is some KiB, and there are few of them mostly. */
	i->ops = calloc(1 + (size_t)d->n_queued, sizeof(*i->ops));
	if (!i->ops)
		return -ENOMEM;
	r = keep_ended(d, i);
	if (r == 0 && d->running && !d->running->ended)
		r = keep_op(i, d->running);
	for (unsigned int k = 0; r == 0 && k < d->n_queued; k++)
		r = keep_op(i, d->queue[k]);
	return r;
}

static struct intent_vcpu keep_vcpu(const struct vcpu *v)
{
	struct intent_vcpu i = { .wish = v->wish,
				 .owned = v->owned,
				 .leaving = v->leaving,
				 .returning = v->returning,
				 .back = v->back };

	hostwalk_pending(v, &i.leaving, &i.returning, &i.back);
	return i;
}

static int keep_vcpus(const struct domain *d, struct intent *i)
{
	const struct intent_vcpu *found = d->found ? d->found->vcpus : NULL;

	i->n_vcpus = d->found ? d->found->n_vcpus : d->n_vcpus;
	i->vcpus = calloc(i->n_vcpus ? i->n_vcpus : 1, sizeof(*i->vcpus));
	if (!i->vcpus)
		return -ENOMEM;
	for (unsigned int k = 0; k < i->n_vcpus; k++)
		i->vcpus[k] = found ? found[k] : keep_vcpu(&d->vcpus[k]);
	return 0;
}

static int collect(const struct domain *d, struct intent *i)
{
	int r;

	i->run = d->found ? d->found->run : d->run;
	memcpy(i->guest_boot, d->found ? d->found->guest_boot : d->boot_id, sizeof(i->guest_boot));
	r = keep_vcpus(d, i);
	return r < 0 ? r : keep_ops(d, i);
}

static void tell_refusing(const struct domain *d)
{
	log_outcome(JOURNAL_STORE_FAILED, d->config->name, NULL,
		    "%s; until then new operations are refused", d->store_why);
}

typedef int (*write_fn)(struct intent_file *f, struct intent *i, char why[OP_TEXT_MAX]);

static int write_with(struct domain *d, write_fn write)
{
	bool failed = *d->store_why;
	struct intent i = { 0 };
	int r = collect(d, &i);

	if (r < 0)
		snprintf(
			d->store_why, sizeof(d->store_why), "%s",
			r == -ENOMEM
				? "out of memory"
				: "what has ended cannot be written: a number of it is out of range");
	else
		r = write(d->intent, &i, d->store_why);
	intent_done(&i);
	d->unsaved = r < 0;
	if (r == 0)
		d->store_why[0] = '\0';
	if (r < 0 && !failed)
		tell_refusing(d);
	else if (r == 0 && failed)
		log_outcome(JOURNAL_STORE_WORKS, d->config->name, NULL,
			    "what is to be done can be written again");
	return r;
}

/* A result that no operation has taken over yet is not in the file either. */
static bool is_taken_over(const struct vcpu *v)
{
	const struct op *o = v->domain->running;

	return !v->hw && !(o && o->run && o->run->phase == RUN_RESUME);
}

/* What the agent keeps until then is in the file now, or of no more use. */
static void acknowledge(struct domain *d)
{
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		struct vcpu *v = &d->vcpus[i];

		if (!v->unacked || !is_taken_over(v))
			continue;
		link_ack(d->link, v->unacked);
		v->unacked = 0;
	}
}

int domain_remember(struct domain *d)
{
	int r = d->intent ? write_with(d, intent_file_store) : 0;

	if (r == 0)
		acknowledge(d);
	return r;
}

void domain_remember_later(struct domain *d)
{
	d->unsaved = d->intent;
	drift_look(d);
}

int domain_may_accept(struct domain *d, char why[OP_TEXT_MAX])
{
	int r = d->intent ? write_with(d, intent_file_check) : 0;

	if (r < 0)
		snprintf(why, OP_TEXT_MAX, "%s", d->store_why);
	return r;
}

static int take_up(struct domain *d, struct intent *i)
{
	int r = 0;

	for (unsigned int k = 0; r == 0 && k < i->n_ops; k++)
		r = op_resume(d, i, &i->ops[k]);
	if (r < 0)
		return r;
	d->found = malloc(sizeof(*d->found));
	if (!d->found)
		return -ENOMEM;
	*d->found = *i;
	*i = (struct intent){ 0 };
	return 0;
}

/* As with a store that fails: nothing is done that the next daemon would not find. */
static void note_anothers(struct domain *d, const char *why)
{
	snprintf(d->store_why, sizeof(d->store_why), "%s", why);
	tell_refusing(d);
}

static void tell_forgotten(const struct domain *d, const char *what, const char *why)
{
	log_outcome(JOURNAL_INTENT_FORGOTTEN, d->config->name, NULL, "what was to be done %s: %s",
		    what, why);
}

int intent_domain_init(struct domain *d)
{
	char why[OP_TEXT_MAX] = "";
	struct intent i = { 0 };
	int r;

	if (!d->manager->store)
		return 0;
	r = intent_file_new(&d->intent, d->manager->store, d->config->name, d->config->uuid);
	if (r < 0)
		return r;
	/* What is accepted before QEMU is there belongs to this run of the host as well. */
	memcpy(d->run.host_boot, d->manager->host_boot, sizeof(d->run.host_boot));
	r = intent_file_load(d->intent, &i, why);
	if (r == 1 && memcmp(i.run.host_boot, d->manager->host_boot, 16) == 0)
		r = take_up(d, &i);
	else if (r == 1)
		tell_forgotten(d, "is forgotten", "the host was rebooted");
	else if (r == -EPROTONOSUPPORT)
		note_anothers(d, why);
	else if (r < 0 && r != -ENOMEM)
		tell_forgotten(d, "is not known any more", why);
	intent_done(&i);
	return r == -ENOMEM ? r : 0;
}

static void forget_found(struct domain *d)
{
	if (d->found)
		intent_done(d->found);
	free(d->found);
	d->found = NULL;
}

void intent_domain_done(struct domain *d)
{
	forget_found(d);
	d->intent = intent_file_free(d->intent);
}

void intent_domain_remove(struct domain *d)
{
	if (d->intent)
		intent_file_remove(d->intent);
}

void intent_domain_on_attached(struct domain *d)
{
	const struct hv_facts *f = &d->facts;

	d->run = (struct intent_run){ .known = true,
				      .maximum = f->maximum,
				      .libvirt_id = f->libvirt_id,
				      .pid = f->peer,
				      .pid_started = intent_process_started(f->peer) };
	snprintf(d->run.uuid, sizeof(d->run.uuid), "%s", f->uuid);
	memcpy(d->run.host_boot, d->manager->host_boot, sizeof(d->run.host_boot));
	if (!d->found || intent_is_same_run(&d->found->run, &d->run))
		return;
	if (d->found->run.known)
		tell_forgotten(d, "is forgotten", "this is another VM");
	forget_found(d);
	op_resume_void(d, "the VM is gone; another one answers on its socket");
}

/* Was it ours, and is it another's by now? Then ours has left, and the other one is left alone. */
static bool is_replaced(const struct vcpu *v, const struct intent_vcpu *i)
{
	bool was_ours = i->owned || (i->returning && i->back < CPUHP_QEMU_DEVICE);

	return was_ours && vcpu_is_anothers(v);
}

static void take_vcpu(struct vcpu *v, const struct intent_vcpu *i)
{
	v->wish = i->wish;
	/* Where the id says nothing; else the table has said it already. */
	v->owned |= v->domain->hv->ops->names_devices && v->present && i->owned;
	v->arrived &= v->wish <= CPUHP_OFFLINE;
	v->leaving = i->leaving && !is_replaced(v, i);
	v->returning = i->returning && !is_replaced(v, i);
	v->back = i->back;
}

void intent_domain_on_table(struct domain *d)
{
	const struct intent *i = d->found;

	if (!i || !d->vcpus)
		return;
	for (unsigned int k = 0; k < i->n_vcpus && k < d->n_vcpus; k++)
		take_vcpu(&d->vcpus[k], &i->vcpus[k]);
	/* No wishes are known where the guest had never been heard. */
	memcpy(d->boot_id, i->guest_boot, sizeof(d->boot_id));
	for (size_t k = 0; k < sizeof(d->boot_id); k++)
		d->table_known |= d->boot_id[k] != 0;
	forget_found(d);
	op_run_poke(d);
}
