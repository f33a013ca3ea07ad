/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The seams are cut where the daemon has them: the hypervisor behind struct hv_ops and the agent
 * behind link.h are host-bench-sides.c's. Everything else is the daemon's own code, from the
 * manager down.
 *
 * Time is real but short: the deadlines in the configuration are tens of milliseconds, and the
 * loop is run until something has come true. Nothing sleeps.
 */
#include "daemon/link.h"
#include "daemon/log.h"
#include "daemon/vcpu.h"
#include "tests/unit/host-bench-sides.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WAIT_MS = 5000, TURN_US = 20000 };

/* Whoever is called by the daemon without a pointer of the bench's. */
struct bench *the_bench;

static void keep_log(const struct log_head *head, const char *sentence)
{
	struct bench *b = the_bench;

	snprintf(b->last_log, sizeof(b->last_log), "%s%s%s", head->domain ? head->domain : "",
		 head->domain ? ": " : "", sentence);
	b->n_logs++;
	b->last_message = head->message;
	b->last_fields = head->fields ? *head->fields : (struct journal_fields){ 0 };
}

void log_write(const struct log_head *head, const char *format, ...)
{
	char sentence[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(sentence, sizeof(sentence), format, ap);
	va_end(ap);
	if (the_bench && head->priority < LOG_DEBUG)
		keep_log(head, sentence);
	if (the_bench && head->priority == LOG_WARNING) {
		the_bench->n_warnings++;
		memcpy(the_bench->last_warning, the_bench->last_log,
		       sizeof(the_bench->last_warning));
	}
}

/* What manager.c and domain.c need of the parts that are not built in. */

void kvm_limits_read(struct kvm_limits *ret)
{
	*ret = (struct kvm_limits){ .available = true, .max_vcpus = 1024, .max_vcpu_id = 4096 };
}

struct config *config_free(struct config *c)
{
	return NULL;
}

struct domain_config *domain_config_copy(const struct domain_config *d)
{
	struct domain_config *copy = malloc(sizeof(*copy));

	if (copy)
		*copy = *d;
	return copy;
}

bool domain_config_share_socket(const struct domain_config *a, const struct domain_config *b)
{
	return strcmp(a->qmp, b->qmp) == 0 || strcmp(a->agent, b->agent) == 0;
}

struct domain_config *domain_config_free(struct domain_config *d)
{
	free(d);
	return NULL;
}

/* The loop */

void bench_turn(struct bench *b)
{
	do {
		while (sd_event_run(b->event, 0) > 0)
			;
	} while (bench_play_sides(b));
}

void bench_wait(struct bench *b, bool (*done)(struct bench *b, void *arg), void *arg)
{
	uint64_t end = now_us() + (uint64_t)WAIT_MS * 1000;

	for (;;) {
		bench_turn(b);
		if (done(b, arg))
			return;
		if (now_us() > end)
			fail_msg("it did not come true in %d ms", WAIT_MS);
		sd_event_run(b->event, TURN_US);
	}
}

static bool has_ended(struct bench *b, void *arg)
{
	struct op *o = arg;

	return o->ended;
}

void bench_wait_ended(struct bench *b, struct op *o)
{
	bench_wait(b, has_ended, o);
}

void bench_said(struct bench *b, const char *word)
{
	bench_turn(b);
	if (b->n_read == b->n_words)
		fail_msg("nothing was said where \"%s\" was due", word);
	assert_string_equal(b->words[b->n_read], word);
	b->n_read++;
}

void bench_silent(struct bench *b)
{
	bench_turn(b);
	if (b->n_read < b->n_words)
		fail_msg("\"%s\" was said where nothing was due", b->words[b->n_read]);
}

unsigned int bench_count(const struct bench *b, const char *start)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < b->n_words; i++)
		n += strncmp(b->words[i], start, strlen(start)) == 0;
	return n;
}

/* Life */

static void on_event(void *ctx, const struct event *e)
{
	struct bench *b = ctx;

	b->n_events++;
	if (e->type == EVENT_REMOVED)
		b->removed[e->vcpu]++;
	if (e->type == EVENT_DRIFT && *e->text)
		b->drifts++;
	if (e->type == EVENT_STEP && e->enter)
		(e->rollback ? b->rolled_back : b->entered)[e->state]++;
}

static void fill_slots(struct bench *b, unsigned int n, unsigned int online)
{
	static char props[BENCH_SLOTS_MAX][32];

	for (unsigned int i = 0; i < n; i++) {
		snprintf(props[i], sizeof(props[i]), "{\"core-id\":%u}", i);
		b->slots[i] = (struct hv_slot){ .present = i < online, .props = props[i] };
		b->guest_present[i] = i < online;
		b->guest_state[i] = i < online ? CPUHP_ONLINE : CPUHP_OFFLINE;
	}
}

static const struct deadlines short_deadlines = {
	.qmp_reply_ms = 50,
	.guest_present_ms = 40,
	.eject_soft_ms = 40,
	.eject_hard_ms = 80,
	.agent_ping_ms = 20,
	.agent_wait_ms = 60,
	.operation_ms = 400,
};

static struct domain_config *make_config(const struct bench_options *o)
{
	static char path[] = "/nowhere";
	struct domain_config *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	*c = (struct domain_config){
		.name = "web1",
		.qmp = path,
		.agent = path,
		.max_vcpus = o->max_vcpus,
		.has_place = o->has_place,
		.foreign = o->foreign,
		.one_by_one = o->one_by_one,
	};
	return c;
}

static void start_daemon(struct bench *b)
{
	assert_int_equal(manager_new(&b->manager, b->event, &b->config), 0);
	assert_int_equal(manager_attach(b->manager, b->domain_config, &b->d), 0);
	b->listener = event_listen(b->manager->bus, on_event, b);
	b->d->facts = b->facts;
}

void bench_hold_tick(struct bench *b)
{
	assert_return_code(sd_event_source_set_enabled(b->manager->tick, SD_EVENT_OFF), 0);
}

static void end_daemon(struct bench *b)
{
	event_unlisten(b->listener);
	manager_free(b->manager);
}

/* Nothing is written by a daemon that ends: a kill is no other end for the next one. */
void bench_restart(struct bench *b)
{
	bench_turn(b);
	b->up = false;
	end_daemon(b);
	b->n_requests = b->n_pings = 0;
	memset(b->kick_due, 0, sizeof(b->kick_due));
	start_daemon(b);
}

void bench_ost(struct bench *b, unsigned int slot, int source, int status)
{
	b->hv_events->on_ost(b->hv_ctx, slot, source, status);
}

void bench_status(struct bench *b, enum hv_status status)
{
	b->hv_events->on_status(b->hv_ctx, status);
}

struct bench *bench_start(const struct bench_options *options)
{
	struct bench_options o = options ? *options : (struct bench_options){ 0 };
	struct bench *b = calloc(1, sizeof(*b));
	struct domain_config *c = make_config(&o);

	assert_non_null(b);
	the_bench = b;
	o.slots = o.slots ? o.slots : 8;
	o.online = o.online ? o.online : 1;
	b->auto_qemu = b->auto_agent = true;
	b->config.deadlines = short_deadlines;
	b->config.runtime_dir = o.runtime_dir;
	b->domain_config = c;
	b->facts = (struct hv_facts){ .kvm = !o.tcg, .maximum = o.slots };
	snprintf(b->facts.accel, sizeof(b->facts.accel), "%s", o.tcg ? "tcg" : "kvm");
	assert_true(sd_event_new(&b->event) >= 0);
	start_daemon(b);
	fill_slots(b, o.slots, o.online);
	if (!o.no_attach)
		bench_attach(b);
	if (!o.no_agent)
		bench_agent_up(b, 1);
	bench_turn(b);
	return b;
}

void bench_stop(struct bench *b)
{
	end_daemon(b);
	free(b->domain_config);
	sd_event_unref(b->event);
	the_bench = NULL;
	free(b);
}

void bench_put(struct bench *b, unsigned int slot, int state)
{
	struct hv_slot *s = &b->slots[slot];

	s->present = s->removable = true;
	vcpu_format_id(s->id, slot, 0x1234);
	bench_table(b);
	bench_row(b, slot, state);
	b->d->vcpus[slot].wish = state;
	b->d->vcpus[slot].drift[0] = '\0';
	bench_turn(b);
	b->drifts = 0;
	b->d->counters.drift = 0;
}

void bench_plug_foreign(struct bench *b, unsigned int slot)
{
	struct hv_slot *s = &b->slots[slot];

	s->present = s->removable = true;
	snprintf(s->id, sizeof(s->id), "vcpu%u", slot);
	bench_table(b);
}

struct op *bench_submit(struct bench *b, const struct op_request *r)
{
	enum request_error error = REQUEST_ERRORS;
	char *text = NULL;
	struct op *o = NULL;

	if (domain_submit(b->d, r, &o, &error, &text) < 0)
		fail_msg("refused: %s", text);
	return o;
}

struct op *bench_count_op(struct bench *b, unsigned int count, enum op_policy policy,
			  unsigned int at_least)
{
	const struct op_request r = { .goal = OP_GOAL_COUNT,
				      .count = count,
				      .standby = -1,
				      .policy = policy,
				      .at_least = at_least };

	return bench_submit(b, &r);
}

struct op *bench_target_op(struct bench *b, unsigned int first, unsigned int last, int target,
			   enum op_policy policy)
{
	struct op_request r = {
		.goal = OP_GOAL_TARGET, .standby = -1, .target = target, .policy = policy
	};

	for (unsigned int i = first; i <= last; i++)
		cpulist_set(&r.list, i);
	return bench_submit(b, &r);
}

void bench_check(struct bench *b, struct op *o, enum op_result result)
{
	bench_wait_ended(b, o);
	if (o->result != result)
		fail_msg("ended %s, not %s: %s", op_result_name(o->result), op_result_name(result),
			 text_of(&o->error));
}

static void on_walk(void *ctx, struct vcpu *v, const struct hostwalk_outcome *o)
{
	struct bench_walk *w = ctx;

	w->outcome = *o;
	w->pending = o->pending;
	w->n_done++;
}

void bench_walk(struct bench *b, struct bench_walk *w, unsigned int slot, int target, bool rollback)
{
	*w = (struct bench_walk){ 0 };
	assert_int_equal(hostwalk_start(&b->d->vcpus[slot], NULL, target, rollback, on_walk, w), 0);
	assert_int_equal(w->n_done, 0);
}

const struct bench_plant bench_broken_verify = { .rc = -EIO,
						 .failed_at = CPUHP_AP_VERIFY,
						 .rests_at = -1 };
const struct bench_plant bench_busy_offline = {
	.rc = -EBUSY, .failed_at = CPUHP_AP_ONLINE, .rests_at = -1, .teardown = true
};

void bench_vcpus(const struct op *o, const char *vcpus)
{
	char said[256] = "";
	size_t at = 0;

	for (unsigned int i = 0; i < o->n_vcpus; i++)
		at += (size_t)snprintf(said + at, sizeof(said) - at, "%s%u:%s", i ? " " : "",
				       o->vcpus[i].vcpu, vcpu_result_name(o->vcpus[i].result));
	assert_string_equal(said, vcpus);
}

void bench_ends(struct bench *b, struct op *o, enum op_result result, const char *vcpus)
{
	bench_check(b, o, result);
	bench_vcpus(o, vcpus);
	assert_ptr_not_equal(b->d->running, o);
	op_unref(o);
}

void bench_states(const struct bench *b, unsigned int first, unsigned int last, int state)
{
	for (unsigned int i = first; i <= last; i++)
		assert_int_equal(bench_state(b, i), state);
}

void bench_put_online(struct bench *b, unsigned int first, unsigned int last)
{
	for (unsigned int i = first; i <= last; i++)
		bench_put(b, i, CPUHP_ONLINE);
	b->n_read = b->n_words;
}

static bool has_word(struct bench *b, void *arg)
{
	return bench_count(b, arg) > 0;
}

void bench_wait_word(struct bench *b, const char *start)
{
	char copy[64];

	snprintf(copy, sizeof(copy), "%s", start);
	bench_wait(b, has_word, copy);
}

unsigned int bench_place(const struct bench *b, const char *word)
{
	for (unsigned int i = 0; i < b->n_words; i++)
		if (strcmp(b->words[i], word) == 0)
			return i;
	fail_msg("\"%s\" was not said", word);
	return 0;
}

struct op *bench_submit_with(struct bench *b, unsigned int count, enum op_policy policy,
			     unsigned int timeout_ms)
{
	return bench_submit(b, &(struct op_request){ .goal = OP_GOAL_COUNT,
						     .count = count,
						     .standby = -1,
						     .policy = policy,
						     .timeout_ms = timeout_ms });
}

struct bench *bench_by_hand(const struct bench_options *o)
{
	struct bench *b = bench_start(o);

	b->auto_qemu = b->auto_agent = false;
	return b;
}

bool bench_is_over(struct bench *b, void *arg)
{
	struct bench_walk *w = arg;

	return w->n_done > 0;
}

bool bench_is_at_rest(struct bench *b, void *arg)
{
	struct vcpu *v = arg;

	return !v->hw;
}

void bench_walk_ends(struct bench *b, struct bench_walk *w, int rc, int failed_at)
{
	bench_wait(b, bench_is_over, w);
	assert_int_equal(w->n_done, 1);
	assert_int_equal(w->outcome.rc, rc);
	assert_int_equal(w->outcome.failed_at, failed_at);
	assert_false(w->pending);
	assert_int_equal(w->outcome.rollback_failed_at, -1);
	bench_silent(b);
}

/* Up to the moment when the agent has just been kicked. */
void bench_climb_to_kick(struct bench *b, struct bench_walk *w, unsigned int slot, int target)
{
	bench_walk(b, w, slot, target, false);
	bench_said(b, slot == 3 ? "plug 3" : "plug 4");
	bench_silent(b);
	bench_answer_plug(b, slot, 0, "");
	bench_silent(b);
	assert_int_equal(b->d->vcpus[slot].hw != NULL, 1);
	bench_row(b, slot, CPUHP_STANDBY);
}

/* At standby with the agent's consent, and device_del just sent. */
struct bench *bench_start_removal(struct bench_walk *w)
{
	struct bench *b = bench_by_hand(NULL);

	bench_put(b, 3, CPUHP_STANDBY);
	bench_walk(b, w, 3, CPUHP_OFFLINE, false);
	bench_said(b, "kick 3 6");
	bench_kicked(b, 3, 0);
	bench_done(b, 3, CPUHP_STANDBY, 0, 0xff);
	bench_said(b, "unplug 3");
	return b;
}

void bench_check_drift(struct bench *b, unsigned int slot, const char *text, unsigned int told)
{
	bench_turn(b);
	assert_string_equal(b->d->vcpus[slot].drift, text);
	assert_int_equal(b->drifts, told);
	assert_int_equal(b->d->counters.drift, told);
}

/* The rest of the link (host-bench-sides.c): nothing is decided by it here. */

bool link_guest_to_host(const struct link *l, uint64_t guest_ns, uint64_t *ret_host_us,
			uint64_t *ret_error_us)
{
	return false;
}

void link_reset(struct link *l)
{
}

bool link_is_silent(const struct link *l)
{
	return l->b->silent;
}

void link_abandon(struct link *l)
{
	l->b->abandoned++;
}

void link_measure_clock(struct link *l)
{
}
