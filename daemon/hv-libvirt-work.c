/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Two lanes of threads take jobs from two queues; what they have done comes back through one list
 * and an eventfd to the loop. That lock is the only one in the daemon, and it is held for a few
 * pointers only: a job belongs to whoever has it, the loop before work_submit(), one thread while
 * it runs, the loop again from done() on. What several jobs need is counted by the loop alone.
 *
 * Threads are made when there is work and none is idle, up to the lane's size, and stay. They
 * block every signal: the loop's signalfd is where signals go.
 *
 * Events that a guest can cause without end are bounded: beyond WORK_EVENTS_MAX that wait,
 * work_post() refuses, and the poster asks for a fresh reading instead.
 */
#include "daemon/hv-libvirt-work.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 1 + WORK_CHANGES_MAX };

struct lane {
	struct work *work;
	struct job_list todo;
	pthread_cond_t wake;
	unsigned int size, threads, idle, waiting;
};

struct work {
	pthread_mutex_t lock;
	struct lane lanes[LANES];
	struct job_list done;
	unsigned int n_events;
	bool ending;
	pthread_t threads[THREADS_MAX];
	unsigned int n_threads;
	int fd;
	sd_event_source *source;
};

static void post_locked(struct work *w, struct job *job)
{
	const uint64_t one = 1;

	STAILQ_INSERT_TAIL(&w->done, job, link);
	/* It can only fail by being full, and then the loop is awake already. */
	if (write(w->fd, &one, sizeof(one)) < 0)
		return;
}

static void *lane_main(void *arg)
{
	struct lane *l = arg;
	struct work *w = l->work;
	struct job *job;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!(job = STAILQ_FIRST(&l->todo)) && !w->ending) {
			l->idle++;
			pthread_cond_wait(&l->wake, &w->lock);
			l->idle--;
		}
		if (!job)
			break;
		STAILQ_REMOVE_HEAD(&l->todo, link);
		l->waiting--;
		job->ending = w->ending;
		pthread_mutex_unlock(&w->lock);
		job->run(job);
		pthread_mutex_lock(&w->lock);
		post_locked(w, job);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static int start_thread(struct work *w, struct lane *l)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&w->threads[w->n_threads], NULL, lane_main, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r)
		return -EAGAIN;
	w->n_threads++;
	l->threads++;
	return 0;
}

int work_submit(struct work *w, enum work_lane lane, struct job *job)
{
	struct lane *l = &w->lanes[lane];
	int r = 0;

	pthread_mutex_lock(&w->lock);
	if (l->waiting >= l->idle && l->threads < l->size)
		r = start_thread(w, l);
	/* Those that are there will come to it. */
	if (l->threads > 0)
		r = 0;
	if (r == 0) {
		STAILQ_INSERT_TAIL(&l->todo, job, link);
		l->waiting++;
		pthread_cond_signal(&l->wake);
	}
	pthread_mutex_unlock(&w->lock);
	return r;
}

bool work_post(struct work *w, struct job *job)
{
	bool taken;

	pthread_mutex_lock(&w->lock);
	taken = !job->event || w->n_events < WORK_EVENTS_MAX;
	if (taken) {
		w->n_events += job->event;
		post_locked(w, job);
	}
	pthread_mutex_unlock(&w->lock);
	return taken;
}

static struct job *take_done(struct work *w)
{
	struct job *job;

	pthread_mutex_lock(&w->lock);
	job = STAILQ_FIRST(&w->done);
	if (job) {
		STAILQ_REMOVE_HEAD(&w->done, link);
		w->n_events -= job->event;
	}
	pthread_mutex_unlock(&w->lock);
	return job;
}

/* So many at a time: clients are to be served as well while a guest makes events. */
enum { TURN_MAX = 64 };

static int on_done(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	struct work *w = userdata;
	uint64_t n = 0;
	struct job *job = NULL;

	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return -errno;
	for (int i = 0; i < TURN_MAX && (job = take_done(w)); i++)
		job->done(job);
	n = 1;
	if (job && write(fd, &n, sizeof(n)) < 0)
		return -errno;
	return 0;
}

static void work_done(struct work *w)
{
	sd_event_source_disable_unref(w->source);
	if (w->fd >= 0)
		close(w->fd);
	for (int i = 0; i < LANES; i++)
		pthread_cond_destroy(&w->lanes[i].wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int work_new(struct work **ret, sd_event *event)
{
	struct work *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	STAILQ_INIT(&w->done);
	for (int i = 0; i < LANES; i++) {
		w->lanes[i] =
			(struct lane){ .work = w, .size = i == LANE_READ ? 1 : WORK_CHANGES_MAX };
		STAILQ_INIT(&w->lanes[i].todo);
		pthread_cond_init(&w->lanes[i].wake, NULL);
	}
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = w->fd < 0 ? -errno : sd_event_add_io(event, &w->source, w->fd, EPOLLIN, on_done, w);
	if (r < 0) {
		work_done(w);
		return r;
	}
	*ret = w;
	return 0;
}

static struct timespec in_ms(unsigned int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

bool work_stop(struct work *w, unsigned int wait_ms)
{
	struct timespec until = in_ms(wait_ms);

	pthread_mutex_lock(&w->lock);
	w->ending = true;
	for (int i = 0; i < LANES; i++)
		pthread_cond_broadcast(&w->lanes[i].wake);
	pthread_mutex_unlock(&w->lock);
	for (; w->n_threads > 0; w->n_threads--)
		if (pthread_timedjoin_np(w->threads[w->n_threads - 1], NULL, &until) != 0)
			return false;
	return true;
}

void work_free(struct work *w)
{
	struct job *job;

	if (!w)
		return;
	while ((job = take_done(w)))
		job->done(job);
	work_done(w);
}
