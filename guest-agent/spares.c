/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/spares.h"
#include "guest-agent/child.h"
#include "guest-agent/pages.h"
#include "guest-agent/worker.h"
#include "guest-agent/writer.h"
#include <sys/socket.h>

__attribute__((noreturn)) static void be_worker(struct agent *a, int fd)
{
	const struct worker_place place = {
		.fd = fd,
		.root = a->root,
		.config = &a->config,
		.seam = a->seam,
		.record = a->record,
		.names = (const char(*)[64])a->registry.names,
		.program_fds = a->registry.fds,
	};

	worker_main(&place);
}

static int fork_worker(struct agent *a, struct worker *ret)
{
	int keep[CHILD_KEEP_MAX] = { a->root, a->record.fd }, fd = -1;
	size_t n = 2;
	pid_t pid;

	for (int i = 0; i < CALLBACKS_MAX; i++)
		if (a->registry.fds[i] > 0)
			keep[n++] = a->registry.fds[i];
	pid = child_fork(keep, n, &fd);
	if (pid < 0)
		return pid;
	if (pid == 0)
		be_worker(a, fd);
	*ret = (struct worker){ .pid = pid, .fd = fd };
	return 0;
}

static void forget_spare(struct worker *w)
{
	child_hang_up(&w->fd);
	*w = (struct worker){ .fd = -1 };
}

void spares_init(struct agent *a)
{
	for (int i = 0; i < SPARES; i++)
		a->spares[i].fd = -1;
	a->spares_due = true;
}

/* CPUs that may come to need one. */
static int count_below_threads(struct agent *a)
{
	int n = 0;

	for_each_cpu (a, c)
		n += c->state < CPUHP_AP_THREADS;
	return n;
}

static int count_spares(const struct agent *a, int *ret_missing)
{
	int have = 0;

	for (int i = 0; i < SPARES; i++) {
		have += a->spares[i].pid > 0;
		if (a->spares[i].pid == 0)
			*ret_missing = i;
	}
	return have;
}

/* What a message to the host takes. */
enum { STACK_SIZE = 24 << 10 };

bool spares_prepare(struct agent *a)
{
	int missing = 0, have;

	if (!a->spares_due)
		return false;
	have = count_spares(a, &missing);
	/* It is in the way of whatever moves, but for a write whose CPU will need the only one. */
	if (a->jobs > 0 && (have > 0 || !writer_is_at_startup(a)))
		return false;
	/* One more for what is torn down, of which there is always something to be. */
	a->spares_due = have < SPARES && have <= count_below_threads(a);
	if (!a->spares_due)
		pages_own_stack(STACK_SIZE);
	/* Without one ahead the next is forked when it is needed. */
	return a->spares_due && fork_worker(a, &a->spares[missing]) == 0;
}

void spares_forget(struct agent *a)
{
	for (int i = 0; i < SPARES; i++)
		forget_spare(&a->spares[i]);
	a->spares_due = true;
}

bool spares_on_exit(struct agent *a, pid_t pid)
{
	for (int i = 0; i < SPARES; i++) {
		if (a->spares[i].pid != pid)
			continue;
		forget_spare(&a->spares[i]);
		return true;
	}
	return false;
}

/* It has died, of which nobody may have heard yet. */
static bool has_ended(const struct worker *w)
{
	char byte;

	return recv(w->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) == 0;
}

int spares_take(struct agent *a, struct worker *ret)
{
	a->spares_due = true;
	for (int i = 0; i < SPARES; i++) {
		struct worker *w = &a->spares[i];

		if (w->pid && has_ended(w))
			forget_spare(w);
		if (w->pid == 0)
			continue;
		*ret = *w;
		*w = (struct worker){ .fd = -1 };
		return 0;
	}
	return fork_worker(a, ret);
}
