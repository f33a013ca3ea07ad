/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef DAEMON_HV_LIBVIRT_WORK_H
#define DAEMON_HV_LIBVIRT_WORK_H

#include <stdbool.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

/*
 * Threads for calls that block, and the way back to the loop. It knows nothing of libvirt.
 */

enum work_lane {
	LANE_READ,   /* one thread, in order: connecting, reading */
	LANE_CHANGE, /* up to WORK_CHANGES_MAX at once */
	LANES
};

enum { WORK_CHANGES_MAX = 8, WORK_EVENTS_MAX = 4096 };

/**
 * struct job - one thing to be done, the head of a larger struct
 * @run: on a thread; NULL: there is nothing to run
 * @done: on the loop, in the order in which jobs were done; the job is its own then
 * @ending: set before @run where nothing is to be begun any more, only given back
 * @event: counted against WORK_EVENTS_MAX
 */
struct job {
	STAILQ_ENTRY(job) link;
	void (*run)(struct job *job);
	void (*done)(struct job *job);
	bool ending;
	bool event;
};

STAILQ_HEAD(job_list, job);

struct work;

int work_new(struct work **ret, sd_event *event);

/* Loop only. Return: 0, or -EAGAIN: no thread can be had, and the job is still the caller's. */
int work_submit(struct work *w, enum work_lane lane, struct job *job);

/**
 * work_post() - let @job->done be called on the loop
 *
 * Context: any thread.
 * Return: false where @job->event is set and too many wait already: the job is the caller's.
 */
bool work_post(struct work *w, struct job *job);

/**
 * work_stop() - end the threads
 * @wait_ms: for calls under way
 *
 * The jobs that wait are run with @ending.
 *
 * Return: false where a thread did not come back: @w can never be freed.
 */
bool work_stop(struct work *w, unsigned int wait_ms);

/* Stopped, and nobody posts any more: the last done() are called here. NULL is fine. */
void work_free(struct work *w);

#endif
