/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * What the guest's agent says, turned into what the domain knows. Everything here comes from an
 * untrusted peer: link.c has bounded and checked the form; here every number is checked against
 * the table that QEMU gave before it is used as an index. A word that contradicts QEMU (a CPU in a
 * slot that is empty) is shown to nobody; QEMU is looked at for it, as often as a guest may have that.
 *
 * It may also say as much as it likes: link.c bounds the frames, and hundreds of records fit one.
 * So a record costs its own vCPU alone; what has to look at all of them is done from the loop, once
 * for all that came, and listeners and the journal have budgets of their own.
 *
 * A new session voids what was known. The agent is asked for its whole table; only its end
 * (RECORD_END) makes the agent "up", so that nothing is planned on half a table.
 */
#include "daemon/domain-guest.h"
#include "daemon/drift.h"
#include "daemon/hostwalk.h"
#include "daemon/log.h"
#include "daemon/op-run.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct vcpu *find_vcpu(const struct domain *d, unsigned int slot)
{
	return slot < d->n_vcpus ? &d->vcpus[slot] : NULL;
}

static void publish(struct domain *d, enum event_type type, int vcpu, const char *text)
{
	event_publish(d->manager->bus, &(struct event){
					       .type = type,
					       .t_us = now_us(),
					       .domain = d,
					       .op = d->running,
					       .vcpu = vcpu,
					       .cpu = -1,
					       .state = -1,
					       .ran_on = -1,
					       .kstep = -1,
					       .name = "",
					       .text = text,
				       });
}

static void forget(struct domain *d)
{
	d->agent_up = false;
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		struct vcpu *v = &d->vcpus[i];

		v->guest_present = v->guest_online = v->heard = v->guest_walking = false;
		v->guest_state = CPUHP_OFFLINE;
		v->guest_text[0] = '\0';
		vcpu_settle(v);
	}
}

void domain_guest_ask(struct domain *d)
{
	forget(d);
	memset(d->dyn_names, 0, sizeof(d->dyn_names));
	d->table_due = true;
	d->frame_missed = false;
	link_query(d->link);
}

void domain_guest_doubt(struct domain *d)
{
	/* An answer that is still due may have come in part: what it has named it need not name again. */
	for (unsigned int i = 0; !d->table_due && i < d->n_vcpus; i++)
		d->vcpus[i].heard = false;
	d->table_due = true;
	link_query(d->link);
}

static void on_missed(void *ctx)
{
	struct domain *d = ctx;

	d->frame_missed = true;
	domain_guest_doubt(d);
}

static void on_up(void *ctx, const struct msg_hello *hello)
{
	struct domain *d = ctx;

	d->hello = *hello;
	d->hello_known = true;
	d->hello_doubted = false;
	d->session_kick = link_last_kick(d->link);
	d->counters.agent_connects++;
	domain_guest_ask(d);
	load_forget(d);
	load_ask(d);
}

static void on_down(void *ctx, const char *why)
{
	struct domain *d = ctx;
	bool was_up = d->agent_up;

	forget(d);
	load_forget(d);
	d->hello_known &= !d->hello_doubted;
	domain_armed(d, -ENOTCONN);
	if (was_up) {
		if (domain_guest_may_log(d))
			log_outcome(JOURNAL_AGENT_GONE, d->config->name, NULL,
				    "the agent is gone: %s", why);
		publish(d, EVENT_AGENT, -1, why);
	}
	/* An operation may have waited for its word, which will not come. */
	op_run_poke(d);
}

static void on_kicked(void *ctx, const struct msg_kicked *m)
{
	struct domain *d = ctx;
	struct vcpu *v = find_vcpu(d, m->slot);

	if (v)
		hostwalk_on_kicked(v, m);
}

static void on_armed(void *ctx, const struct msg_armed *m)
{
	struct domain *d = ctx;

	/* One that came too late does not answer for the next. */
	if (m->slot == d->arming.slot && m->state == d->arming.state)
		domain_armed(d, m->rc);
}

/*
 * One CPU cannot be in two slots. Found without a look at all of them: a guest can say hundreds of
 * rows in a frame, and have thousands of slots.
 */
static bool is_taken(const struct domain *d, const struct vcpu *v, int cpu)
{
	unsigned int slot = cpu < CPULIST_MAX ? d->claimed[cpu] : 0;
	const struct vcpu *other = slot ? find_vcpu(d, slot - 1) : NULL;

	return other && other != v && other->guest_present && other->cpu == cpu;
}

/*
 * The flag stays as long as it is so, also of a CPU that has gone; news is only its coming, and what
 * is found first is no news.
 */
static void note_taken(struct vcpu *v, bool taken)
{
	struct domain *d = v->domain;

	if (taken && !v->guest_taken && d->table_known && vcpu_may_talk(v))
		publish(d, EVENT_DRIFT, (int)v->vcpu, "the CPU was taken away without asking");
	v->guest_taken = taken;
}

/*
 * QEMU has no event of its own for a device_add, and the guest's word of it may be all that there is: its
 * _OST can be lost, and a guest that boots with the vCPU sends none.
 */
static void look_for_news(const struct vcpu *v, bool was_present)
{
	const struct domain *d = v->domain;

	if (!v->present && v->guest_present && !was_present && !v->hw && d->attached)
		d->hv->ops->look(d->hv, true);
}

static void on_cpu(struct domain *d, const struct record_cpu *r)
{
	struct vcpu *v = find_vcpu(d, r->slot);
	bool was_walking, was_present;

	/* Present, and yet in one of the host's states: nonsense. */
	if (!v || r->state > CPUHP_ONLINE ||
	    ((r->flags & RECORD_CPU_PRESENT) &&
	     (r->state < CPUHP_STANDBY || is_taken(d, v, r->cpu))))
		return;
	was_walking = v->guest_walking;
	v->told_us = now_us();
	was_present = v->guest_present;
	v->heard = true;
	v->cpu = r->cpu == MSG_NO_CPU ? -1 : r->cpu;
	v->guest_present = r->flags & RECORD_CPU_PRESENT;
	if (v->guest_present && v->cpu >= 0 && v->cpu < CPULIST_MAX)
		d->claimed[v->cpu] = (uint16_t)(v->vcpu + 1);
	v->guest_online = r->flags & RECORD_CPU_ONLINE;
	v->guest_walking = r->flags & RECORD_CPU_WALKING;
	v->guest_parked = r->flags & RECORD_CPU_PARKED;
	v->guest_state = r->state;
	v->ran_on = r->ran_on == MSG_NO_CPU ? -1 : r->ran_on;
	snprintf(v->guest_text, sizeof(v->guest_text), "%s", r->text);
	note_taken(v, r->flags & RECORD_CPU_TAKEN);
	look_for_news(v, was_present);
	hostwalk_on_guest(v);
	vcpu_settle(v);
	if (d->agent_up)
		drift_look(d);
	/* What the agent was at is over: a request may have waited for that. OneByOne=: where no _OST came, the guest's own word lets the next device_add go. */
	if (domain_is_one_by_one(d) ||
	    (was_walking && !v->guest_walking && (d->running || d->admissions)))
		op_run_poke(d);
}

static void on_state(struct domain *d, const struct record_state *r)
{
	if (r->state < CPUHP_AP_DYN || r->state > CPUHP_AP_DYN_END)
		return;
	snprintf(d->dyn_names[r->state - CPUHP_AP_DYN], sizeof(d->dyn_names[0]), "%s", r->name);
}

/* Guest time on the host's clock; while the clocks are not related yet, the time it arrived. */
static void place_in_time(const struct domain *d, uint64_t guest_ns, struct step_note *n)
{
	uint64_t now = now_us();

	if (!link_guest_to_host(d->link, guest_ns, &n->t_us, &n->error_us) || n->t_us > now)
		n->t_us = now;
}

static void on_step(struct domain *d, const struct record_step *r)
{
	struct vcpu *v = find_vcpu(d, r->slot);
	struct step_note n = {
		.state = r->state,
		.enter = !(r->flags & RECORD_STEP_EXIT),
		.startup = r->flags & RECORD_STEP_STARTUP,
		.rollback = r->flags & RECORD_STEP_ROLLBACK,
		.late = r->flags & RECORD_STEP_LATE,
		.rc = r->rc,
		.ran_on = r->ran_on == MSG_NO_CPU ? -1 : r->ran_on,
		.kstep = -1,
		.text = r->text,
		.told = true,
	};

	if (!v || r->state <= CPUHP_STANDBY || r->state >= CPUHP_STATES)
		return;
	n.op = hostwalk_op_of(v, r->kick);
	place_in_time(d, r->time_ns, &n);
	vcpu_note_step(v, &n);
	hostwalk_on_step(v, r);
}

static void on_kstep(struct domain *d, const struct record_kstep *r)
{
	struct vcpu *v = find_vcpu(d, r->slot);
	struct step_note n = {
		.state = CPUHP_AP_ONLINE,
		.enter = !(r->flags & RECORD_STEP_EXIT),
		.startup = r->flags & RECORD_STEP_STARTUP,
		.rc = r->rc,
		.ran_on = -1,
		.kstep = r->step,
		.kname = r->name,
		.told = true,
	};

	if (!v)
		return;
	n.op = hostwalk_op_of(v, r->kick);
	n.op_tag = r->kick && r->kick == v->kick ? v->kick_tag : 0;
	place_in_time(d, r->time_ns, &n);
	vcpu_note_step(v, &n);
	/* We would have to wake up once more for that, and the guest too. */
	if (!d->running)
		link_send_rest(d->link);
}

/*
 * A failure is kept by the agent until it has been written down, or a daemon that is killed before
 * that would have the step run once more to hear of it. Before QEMU is there nothing can be.
 */
static bool is_to_be_kept(struct domain *d, const struct vcpu *v, const struct record_done *r)
{
	return r->rc && d->intent && d->running &&
	       ((v && hostwalk_op_of(v, r->kick)) || op_resume_on_done(d, r));
}

static void on_done(struct domain *d, const struct record_done *r)
{
	struct vcpu *v = find_vcpu(d, r->slot);

	if (!is_to_be_kept(d, v, r))
		link_ack(d->link, r->kick);
	else if (v)
		v->unacked = r->kick;
	if (v)
		hostwalk_on_done(v, r);
}

bool domain_guest_may_log(struct domain *d)
{
	return log_may(&d->guest_lines, now_us(), d->config->name, "the guest");
}

/* Hundreds of lines fit one frame: a guest must not fill the journal, nor wake all who watch. */
static void on_log(struct domain *d, const struct record_log *r)
{
	if (domain_guest_may_log(d))
		log_domain(LOG_INFO, d->config->name, "agent: %s", r->text);
	bucket_refill(&d->guest_events, now_us());
	if (!bucket_has(&d->guest_events))
		return;
	bucket_take(&d->guest_events, 1);
	publish(d, EVENT_LOG, -1, r->text);
}

/*
 * This table may lack what was in the lost frame, and end an answer of before: it says nothing of
 * what it does not name, and is asked for again. So is what came of the kicks that are out.
 */
static void on_torn_end(struct domain *d)
{
	d->frame_missed = d->table_due = false;
	for (unsigned int i = 0; d->agent_up && i < d->n_vcpus; i++)
		hostwalk_on_missed(&d->vcpus[i]);
	domain_guest_doubt(d);
}

static void tell_connected(struct domain *d)
{
	if (domain_guest_may_log(d))
		log_outcome(JOURNAL_AGENT_CONNECTED, d->config->name, NULL,
			    "agent %s is connected, on kernel %s", d->hello.version,
			    d->hello.kernel);
	publish(d, EVENT_AGENT, -1, "connected");
}

/* The whole table has been told: what was not named is not there. */
static void on_end(struct domain *d)
{
	bool same_boot = memcmp(d->boot_id, d->hello.boot_id, sizeof(d->boot_id)) == 0;
	bool first = !d->agent_up;

	/* Before QEMU is heard its rows have no place to go; they are asked for again then. An end
	 * that was not asked for is none, or a frame full of them would be work. */
	if (!d->vcpus || !d->table_due)
		return;
	if (d->frame_missed) {
		on_torn_end(d);
		return;
	}
	d->table_due = false;
	d->agent_up = true;
	for (unsigned int i = 0; i < d->n_vcpus; i++) {
		struct vcpu *v = &d->vcpus[i];

		if (!v->heard) {
			v->guest_present = v->guest_online = v->guest_walking = false;
			v->guest_taken = v->guest_parked = false;
			v->cpu = -1;
		}
		vcpu_settle(v);
		if (first)
			hostwalk_on_session(v, same_boot || !d->table_known);
		hostwalk_on_told(v);
	}
	if (first)
		tell_connected(d);
	drift_on_session(d, same_boot);
	op_run_poke(d);
}

static void on_record(void *ctx, const struct record *r)
{
	struct domain *d = ctx;

	switch ((enum msg_record_type)r->type) {
	case RECORD_CPU:
		on_cpu(d, &r->cpu);
		break;
	case RECORD_STATE:
		on_state(d, &r->state);
		break;
	case RECORD_STEP:
		on_step(d, &r->step);
		break;
	case RECORD_KSTEP:
		on_kstep(d, &r->kstep);
		break;
	case RECORD_DONE:
		on_done(d, &r->done);
		break;
	case RECORD_LOG:
		on_log(d, &r->log);
		break;
	case RECORD_END:
		on_end(d);
		break;
	case RECORD_LOAD_CPU:
		load_on_cpu(d, &r->load_cpu);
		break;
	case RECORD_LOAD:
		load_on_report(d, &r->load);
		break;
	}
}

const struct link_ops domain_guest_ops = {
	.on_up = on_up,
	.on_down = on_down,
	.on_kicked = on_kicked,
	.on_record = on_record,
	.on_armed = on_armed,
	.on_missed = on_missed,
};
