/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HOOKS_INTERNAL_H
#define DAEMON_HOOKS_INTERNAL_H

#include "daemon/bucket.h"
#include "daemon/hook-folder.h"
#include "daemon/hook-json.h"
#include "daemon/hook-queue.h"
#include "daemon/hook-run.h"
#include "daemon/hooks.h"
#include "daemon/log-budget.h"

/* Private to the hooks*.c files. */

enum {
	HOOKS_TELLING_MAX = 16, /* programs that are told, of all domains */
	HOOKS_VETTING_MAX = 64, /* programs that are asked, of all domains */
	HOOKS_VETTING_OF_ONE =
		4, /* of these, of one domain: the rest are those that could not be killed */
	HOOKS_SAID_MAX = 32,
	HOOKS_LOOK_US = 1000000, /* between looks at the folder for what is frequent */
	HOOKS_CALLS_RATE = 1,    /* a second and domain, of what guests can bring about */
	HOOKS_CALLS_BURST = 10,
};

/**
 * struct hook_job - a program under way
 * @lane, @vetting: whose it is; both NULL: nobody waits for it any more
 */
struct hook_job {
	TAILQ_ENTRY(hook_job) entry;
	struct hooks *hooks;
	struct hook_run *run;
	struct hook_lane *lane;
	struct vetting *vetting;
	bool vets;
	char domain[CONFIG_NAME_MAX + 1];
};

/**
 * struct hook_lane - what one domain's hooks are told, one call after another
 * @domain: its name: the lane outlives it
 * @news: what is being told, NULL nothing; @list, @at: to whom, and who is next
 * @calls: what is left for all but results; it stays until that is as for a new one
 */
struct hook_lane {
	TAILQ_ENTRY(hook_lane) entry;
	struct hooks *hooks;
	char domain[CONFIG_NAME_MAX + 1];
	char uuid[HOOK_UUID_SIZE];
	struct hook_queue queue;
	struct bucket calls;
	struct hook_news *news;
	char *text;
	struct hook_list list;
	unsigned int at;
	struct hook_job *job;
};

/**
 * struct vetting - an operation that is being judged
 * @list, @at: who is asked, and who is next; @job: who is deciding now
 * @go: takes the next step, from the loop
 */
struct vetting {
	TAILQ_ENTRY(vetting) entry;
	struct hooks *hooks;
	char op[MSG_OP_MAX + 1];
	char domain[CONFIG_NAME_MAX + 1];
	char *text;
	struct hook_list list;
	unsigned int at;
	struct hook_job *job;
	sd_event_source *go;
	vet_done_fn done;
	void *arg;
};

/**
 * struct hooks - see hooks.h
 * @any: the folder had hooks when it was looked at last, @looked_us
 * @said: what was said of hooks that are not run
 * @go: lets lanes begin, from the loop; @later: the same, on when a lane waits for a call to be left
 * @jobs: all programs; @n_telling, @n_vetting of them
 */
struct hooks {
	struct manager *manager;
	struct event_listener *listener;
	bool any;
	uint64_t looked_us;
	char *said[HOOKS_SAID_MAX];
	unsigned int n_said;
	struct log_budget lines;
	sd_event_source *go, *later;
	TAILQ_HEAD(, hook_lane) lanes;
	TAILQ_HEAD(, vetting) vettings;
	TAILQ_HEAD(, hook_job) jobs;
	unsigned int n_telling, n_vetting;
};

/* hooks.c: who there is now. Return: 0 or -errno, which has been said. */
int hooks_look(struct hooks *h, struct hook_list *ret);
/* A program; @job is of either kind. Return: 0 or -errno. */
int hooks_start(struct hooks *h, const struct hook_call *call, struct hook_lane *lane,
		struct vetting *vetting, struct hook_job **ret);
/* Nobody waits for it any more, and it is ended. */
void hooks_leave(struct hook_job *job);

/* hooks-lane.c */
void hooks_put(struct hooks *h, const struct domain *d, const char *domain, enum hook_event event,
	       const char *op, int vcpu, char *text);
int hooks_on_go(sd_event_source *s, void *userdata);
int hooks_on_later(sd_event_source *s, uint64_t usec, void *userdata);
void hooks_on_told(struct hook_lane *l, const struct hook_outcome *o);
/* Its program is gone. */
void hooks_on_told_gone(struct hook_lane *l);
void hooks_drop_lanes(struct hooks *h);

/* hooks-vet.c */
extern const struct vet_ops hooks_vet_ops;
void hooks_on_judged(struct vetting *v, const struct hook_outcome *o);
/* There is room for one more. */
void hooks_vet_next(struct hooks *h);

#endif
