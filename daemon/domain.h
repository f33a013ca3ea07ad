/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_DOMAIN_H
#define DAEMON_DOMAIN_H

#include "daemon/advice.h"
#include "daemon/bucket.h"
#include "daemon/config.h"
#include "daemon/counters.h"
#include "daemon/event.h"
#include "daemon/hv.h"
#include "daemon/intent.h"
#include "daemon/kvm.h"
#include "daemon/link.h"
#include "daemon/load.h"
#include "daemon/log-budget.h"
#include "daemon/op.h"
#include "daemon/vet.h"
#include "proto/ladder.h"
#include "proto/walk.h"
#include <sys/queue.h>
#include <systemd/sd-event.h>

enum vcpu_pending { VCPU_PENDING_NONE, VCPU_PENDING_PLUG, VCPU_PENDING_UNPLUG };

/**
 * struct vcpu - one slot of a domain and what is known of it
 *
 * QEMU's part and the guest's part are observations; @state is what they add up to and is changed
 * by vcpu_set_state() only; @wish is what was asked for last and is never moved by an observation.
 *
 * @vcpu: slot number
 * @present, @boot, @removable, @id, @apic_id: QEMU's word; @boot: plugged without a device id
 * @owned: this daemon's kind plugged it: its device id says so, or the intent where libvirt names
 *              the devices
 * @claimed: where libvirt names the devices: a daemon before this one has asked for it, in the
 *           operation that runs, so should it come it is ours
 * @arrived: others plugged it while it was at rest, and nobody has asked for anything since
 * @props: compact JSON of QEMU's props, owned; NULL unknown
 * @cpu: the guest's number of it, -1 unknown
 * @guest_present, @guest_online, @guest_taken, @guest_parked, @guest_state, @guest_text: the
 *              guest's word
 * @state: -1 unknown (no agent heard yet)
 * @wish: CPUHP_OFFLINE, CPUHP_STANDBY, ... or -1 none
 * @leaving, @returning, @back: what an operation of an earlier daemon has left pending, as in
 *              struct intent_vcpu; a walk takes it over
 * @unacked: a kick whose failure the agent keeps until it has been written down, 0 none
 * @ran_on: CPU its worker last proved itself on, -1 none
 * @drift: a sentence, "" none
 * @drift_told: the listeners were told a drift last; @drift_untold, @state_untold: what it is now
 *              is still to be told, when @talk has a token again
 * @park_again: the guest was rebooted while it was to rest at standby; taken there once
 * @told_us: CLOCK_MONOTONIC of the guest's last word on it
 * @since_us: since when it is in @state: where the guest's word is shown again, as that is all that is
 *              known after a walk without an answer, since that word; @shown_us: when that was shown
 * @entered_us: when the step it is in was entered (host clock), 0 between steps
 * @armed: host state armed to fail once (R18), 0 none
 * @kick, @kick_tag: its last kick and the operation's tag, for the kernel's steps that come after it
 * @hw: the host's walk of it (hostwalk.c), NULL at rest
 * @load: what it did, as the guest told last
 */
struct vcpu {
	unsigned int vcpu;
	struct domain *domain;
	bool present, boot, removable, owned, claimed, arrived;
	char id[64];
	char *props;
	uint32_t apic_id;
	int cpu;
	bool guest_present, guest_online, guest_walking, guest_taken, guest_parked;
	bool heard; /* named in the agent's table of this session */
	int guest_state;
	char guest_text[OP_TEXT_MAX];
	int state;
	int wish;
	bool leaving, returning;
	int back;
	uint32_t unacked;
	int ran_on;
	enum vcpu_pending pending;
	char drift[OP_TEXT_MAX];
	bool drift_told, drift_untold, state_untold;
	struct bucket talk;
	bool park_again;
	uint64_t told_us;
	uint64_t since_us, shown_us;
	uint64_t entered_us;
	int armed;
	uint32_t kick, kick_tag;
	struct hostwalk *hw;
	struct load_row load;
};

/* One remembered step, for `trace`; 40 bytes. */
struct trace_record {
	uint64_t t_us;
	uint32_t op_tag;
	int32_t rc;
	uint16_t vcpu;
	uint16_t cpu;
	uint16_t kstep; /* 0xffff: a step of our ladder */
	uint16_t ran_on;
	uint8_t state;
	uint8_t flags; /* TRACE_* */
	uint32_t error_us;
};

enum {
	TRACE_ENTER = 1,
	TRACE_STARTUP = 2,
	TRACE_ROLLBACK = 4,
	TRACE_LATE = 8,
};

/* The last TRACE_RECORDS_MAX steps of a domain, oldest first from @head. */
enum { TRACE_RECORDS_MAX = 2048, KSTEP_NAMES = 256, KSTEP_NAME_MAX = 40 };

struct trace_ring {
	struct trace_record *records; /* allocated with the first */
	unsigned int head, n;
	char (*knames)[KSTEP_NAME_MAX]; /* the kernel's names by step number, as last heard */
};

/* A configuration read again has it no more, or on other sockets: it goes when it is idle. */
enum domain_leaving { DOMAIN_STAYS, DOMAIN_LEAVES, DOMAIN_IS_REPLACED };

/**
 * struct domain - one guest
 * @agent_up: an agent session is established and its tables have been read once
 * @dyn_names: callback names by dynamic state, "" none
 * @admissions: requests that wait (admission.h)
 */
struct domain {
	struct manager *manager;
	struct domain_config *config;
	bool configured; /* from the configuration or libvirt, else by Attach */
	enum domain_leaving leaving;
	struct config *settings; /* that hold for what runs; a reference */
	struct hv *hv;
	struct hv_facts facts;
	bool attached;
	enum hv_status status;
	struct link *link;
	bool agent_up;
	bool port_asked;        /* whether the agent is there still */
	struct msg_hello hello; /* of the last agent heard of this VM */
	bool hello_known;
	bool hello_doubted; /* it may be of a VM that is gone: its port has not been closed yet */
	/* The highest kick when its session began: those above were given in it. */
	uint32_t session_kick;
	bool table_due;    /* it was asked for its table and has not ended it yet */
	bool frame_missed; /* one of its frames was lost, perhaps of its table */
	struct load load;
	struct log_budget guest_lines, hv_lines;
	struct bucket guest_events; /* of the agent's log */
	struct bucket guest_steps;  /* events of steps that the agent tells */
	struct bucket own_ops;      /* operations of our own accord */
	char dyn_names[CPUHP_AP_DYN_END - CPUHP_AP_DYN + 1][MSG_NAME_MAX + 1];
	unsigned int n_vcpus;
	struct vcpu *vcpus;
	uint16_t claimed[CPULIST_MAX]; /* by the guest's number of a CPU: 1 + the slot said last */
	bool supported;
	char unsupported_why[128];
	bool table_known;    /* the wishes have been taken over from what was found */
	uint8_t boot_id[16]; /* of the guest the wishes belong to */
	struct admission *admissions;
	unsigned int status_asked,
		status_told; /* how often an admission asked for @status, and was told */
	struct op *running;
	struct op *queue[OP_QUEUE_MAX];
	unsigned int n_queued;
	struct op *kept[OP_KEPT_MAX]; /* ended ones, oldest first */
	unsigned int n_kept;
	struct trace_ring trace;
	struct domain_counters counters;
	hv_done_fn arm_done; /* the client who waits for ARMED, one at a time */
	void *arm_arg;
	struct msg_arm arming;
	sd_event_source *arm_timer;
	sd_event_source *lost; /* QMP is gone: when it runs out, the VM is */
	bool out_of_reach;     /* it has run out, and the VM's process is there all the same */
	sd_event_source *next; /* takes the next operation from the queue */
	sd_event_source *look; /* looks for drift, once for all that came in before */
	char lost_why[OP_TEXT_MAX];
	char why[OP_TEXT_MAX];      /* it is not attached, as last heard; "" while it is */
	struct intent_file *intent; /* where its intent is kept, NULL nowhere */
	struct intent *found;       /* what an earlier daemon has left, until QEMU is there */
	struct intent_run run;      /* of the VM that is there, or was last */
	bool unsaved;               /* what is in the file is not all; written with the next look */
	char store_why[OP_TEXT_MAX]; /* why it could not be written last, "" it could */
};

/**
 * struct manager - everything the daemon has
 * @new_libvirt_hv, @libvirt_persist, @libvirt_advise: as in libvirt-module.h; discovery.c puts
 *                                    itself there, and without [Libvirt] all are NULL
 * @load_watches: who wants to know the guests' load
 * @ask_loads: has agents asked whose asking was put off, NULL none was (load.c)
 * @vet, @vet_ctx: who is asked before an operation begins; hooks.c puts itself there. NULL nobody
 * @changes: of persistent configurations, sent or waiting (persist-gate.c)
 * @libvirt_up: the connection by which libvirt's domains are found is there; else @libvirt_rc and
 *              @libvirt_why say why not, as on_connection() told; 0 and "" it was not tried yet
 */
struct manager {
	sd_event *event;
	int (*new_libvirt_hv)(void *discovery, struct hv **ret, const char *uuid,
			      const struct hv_events *events, void *ctx);
	int (*libvirt_persist)(void *discovery, const char *word,
			       const struct persist_change *change, persist_done_fn done,
			       void *arg);
	int (*libvirt_advise)(void *discovery, const char *word, unsigned int maximum, bool define,
			      advise_done_fn done, void *arg);
	void *discovery;
	const struct vet_ops *vet;
	void *vet_ctx;
	TAILQ_HEAD(, persist_gate) changes;
	LIST_HEAD(, load_watch) load_watches;
	sd_event_source *ask_loads;
	bool libvirt_up;
	int libvirt_rc;
	char libvirt_why[OP_TEXT_MAX];
	struct config *config; /* owned */
	struct kvm_limits kvm;
	struct event_bus *bus;
	struct domain **domains;
	unsigned int n_domains;
	struct intent_store *store; /* NULL: nothing is kept */
	uint8_t host_boot[16];
	bool unsettled;          /* a domain is not yet as the configuration has it */
	sd_event_source *follow; /* has that looked at */
	sd_event_source *tick;   /* the one timer of all domains, within 5 s: QEMU's table, drift */
	uint64_t started_us;
};

/* manager.c */
int manager_new(struct manager **ret, sd_event *event, struct config *config);
struct manager *manager_free(struct manager *m);
/* Free the domains, as before libvirt's module is closed; the rest takes the answers that it gives then. */
void manager_drop_domains(struct manager *m);
/*
 * Find exactly: by the name of a QMP domain; then, as virsh does, by libvirt's id, by UUID, by
 * name. NULL unknown.
 */
struct domain *manager_find(struct manager *m, const char *word);
/* The domain that has one of @config's sockets, or NULL. */
struct domain *manager_find_socket(struct manager *m, const struct domain_config *config);
/* A domain that the manager did not have; -EEXIST for a name in use. @ret may be NULL. */
int manager_add(struct manager *m, const struct domain_config *config, bool configured,
		struct domain **ret);
/* Forget a domain whose VM is gone for it; what runs and waits there ends vm-gone. */
void manager_remove(struct manager *m, struct domain *d, const char *why);
/* Attach: a domain that is not configured. -EEXIST for a name in use, -EADDRINUSE for a socket. */
int manager_attach(struct manager *m, const struct domain_config *config, struct domain **ret);
/* Detach: the VM is left as it is. -EPERM for a configured one that is not leaving anyway; -EBUSY while
 * an operation runs or waits there: it would end in the middle, with nobody to take back what it has
 * begun. What one has left pending stays as it is, and was said to be. */
int manager_detach(struct manager *m, struct domain *d);
/* The same, and what is known of it stays for whoever attaches it again. */
void manager_release(struct manager *m, struct domain *d, const char *why);
/**
 * manager_reload() - follow another configuration from now on (manager-reload.c)
 * @config: taken, but on an error
 *
 * What runs goes on as it began. Context: from the loop, in no callback of a domain's.
 *
 * Return: 0 or -ENOMEM: nothing has changed.
 */
int manager_reload(struct manager *m, struct config *config);
/* Something is over that may have kept a domain from being as the configuration has it. */
void manager_follow_later(struct manager *m);
/* Nothing runs there: let it have its settings. */
void domain_follow(struct domain *d);
/* Find an operation by id in all domains; running, queued or kept. NULL unknown. */
struct op *manager_find_op(struct manager *m, const char *id);

/* domain.c */
int domain_new(struct domain **ret, struct manager *m, const struct domain_config *config,
	       bool configured);
struct domain *domain_free(struct domain *d);
struct vcpu_counts domain_counts(const struct domain *d);
/* Why it is not attached, and why no agent is there; NULL where it is. Borrowed, until the next
 * turn of the loop. */
const char *domain_why_detached(const struct domain *d);
const char *domain_why_no_agent(const struct domain *d);
/* Why it takes no new operations and will be let go, and when; NULL it stays. Static. */
const char *domain_why_leaving(const struct domain *d);
/**
 * struct domain_port - how far the agent's port is reached, and when anything came from it last
 * @connected: something listens on its socket and has taken the connection
 * @heard_us: CLOCK_MONOTONIC of the agent's last word, 0 none in this session
 * @silent: it has not answered since it was asked last
 */
struct domain_port {
	bool connected;
	uint64_t heard_us;
	bool silent;
};
void domain_port(const struct domain *d, struct domain_port *ret);

/* "attaching", "running", "paused", "migrating", "shutdown" */
const char *domain_status_name(const struct domain *d);
/* The name of @state as users see it, with the callback's: "ap:dyn.10-log". Static or in @d; borrowed. */
const char *domain_state_name(const struct domain *d, int state, char *buf, size_t size);
/* Whether a callback stands at @state, or it is no dynamic state. */
bool domain_is_target(const struct domain *d, int state);
/* The state where the callback of that name stands, as the agent told last. -ENOENT. */
int domain_find_callback(const struct domain *d, const char *name);

/**
 * domain_submit() - accept, answer from memory, or refuse an operation
 * @request: copied
 * @ret: the operation, running, queued or an ended one with the same id and arguments; a
 *       reference for the caller
 * @ret_error: on error which
 * @ret_text: on error a malloc'ed sentence
 *
 * Refusals that need the plan end the operation as OP_REFUSED; an error here means that no
 * operation exists (ERR_BUSY, ERR_CONFLICT, and what admission_check() finds). What that finds only
 * later ends the operation as denied.
 * The operation starts from the event loop, not inside this call.
 *
 * Return: 0 or -errno.
 */
int domain_submit(struct domain *d, const struct op_request *request, struct op **ret,
		  enum request_error *ret_error, char **ret_text);

/* PURE over what is known now. What the guest has not told yet is taken for online: then only the
 * refusals count, and the moves are nobody's. Return: 0 or -ENOMEM. */
int domain_plan(const struct domain *d, const struct op_request *request, struct plan *ret);

/* The factor of every deadline that the guest's speed decides: 6 without KVM. */
unsigned int domain_slow_factor(const struct domain *d);

/* OneByOne= in force: one device_add waits for the last one's answer from the firmware. */
bool domain_is_one_by_one(const struct domain *d);

/* Ask an operation to end as cancelled. -EALREADY when it has ended. */
int domain_cancel(struct op *o);

/* Arm a one-shot failure at a state (R18): host states here, guest states by the agent.
 * @cb is called once with 0 or -errno. Return 0 or -errno (-EINVAL: no callback there). */
int domain_arm_failure(struct domain *d, unsigned int vcpu, int state, hv_done_fn cb, void *arg);

/* The agent has answered, or will not: tell whoever waits for it, if anybody. */
void domain_armed(struct domain *d, int rc);

#endif
