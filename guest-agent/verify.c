/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/steps.h"
#include "guest-agent/sysfs.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CLOCKSOURCE "sys/devices/system/clocksource/clocksource0/current_clocksource"
#define NOTED "run/vcpuhp-agent/clocksource"

enum {
	TIMER_NS = 100 * 1000,
	TIMER_LIMIT_MS = 1000,
	SPIN_NS = 20 * 1000, /* CPU time that must be seen to grow */
	SPIN_LIMIT_MS = 1000,
};

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int fail(struct step_env *env, int rc, const char *what)
{
	/* Not behind a warning. */
	env->text[0] = '\0';
	step_note(env, "cpu %d: %s: %s", env->cpu, what, strerror(-rc));
	return rc;
}

static void make_timer(struct verify_kit *kit)
{
	if (kit->timer < 0)
		kit->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static void open_clocksource(int root, struct verify_kit *kit)
{
	if (kit->clocksource < 0)
		kit->clocksource = openat(root, CLOCKSOURCE, O_RDONLY | O_CLOEXEC);
}

/* Return: whether the first that was verified in this boot has noted it. */
static bool read_noted(int root, struct verify_kit *kit)
{
	if (kit->noted[0])
		return true;
	/* What is no text it leaves in there. */
	if (sysfs_read(root, NOTED, kit->noted, sizeof(kit->noted)) <= 0)
		kit->noted[0] = '\0';
	return kit->noted[0];
}

void step_verify_prepare(int root, struct verify_kit *ret)
{
	*ret = (struct verify_kit){ .timer = -1, .clocksource = -1 };
	make_timer(ret);
	open_clocksource(root, ret);
	(void)read_noted(root, ret);
}

/*
 * A timer is queued on the CPU that arms it while that CPU is busy, as ours is in the call: the
 * new CPU's own clock event device has to fire for it.
 */
static int arm_timer(struct step_env *env)
{
	const struct itimerspec when = { .it_value = { .tv_nsec = TIMER_NS } };

	make_timer(env->verify);
	if (env->verify->timer < 0 || timerfd_settime(env->verify->timer, 0, &when, NULL) < 0)
		return fail(env, -errno, "cannot arm a timer");
	return 0;
}

static int check_timer(struct step_env *env)
{
	struct pollfd p = { .fd = env->verify->timer, .events = POLLIN };
	int r;

	do
		r = poll(&p, 1, TIMER_LIMIT_MS);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return fail(env, -errno, "cannot wait for a timer");
	return r > 0 ? 0 : fail(env, -ETIME, "a timer armed there did not fire within 1 s");
}

static int check_cpu_time(struct step_env *env)
{
	int64_t used = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int64_t limit = clock_ns(CLOCK_MONOTONIC) + SPIN_LIMIT_MS * INT64_C(1000000);

	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) - used < SPIN_NS) {
		if (clock_ns(CLOCK_MONOTONIC) > limit)
			return fail(env, -ETIME, "the thread's CPU time does not grow there");
	}
	return 0;
}

/* A CPU whose clock disagrees makes the kernel drop the clocksource for a slower one. */
static void check_clocksource(struct step_env *env)
{
	struct verify_kit *kit = env->verify;
	char now[sizeof(kit->noted)];

	open_clocksource(env->root, kit);
	if (sysfs_reread(kit->clocksource, now, sizeof(now)) <= 0)
		return;
	if (!read_noted(env->root, kit)) {
		if (sysfs_replace(env->root, NOTED, now, strlen(now)) < 0)
			step_note(env, "cannot note the clocksource");
	} else if (strcmp(now, kit->noted) != 0) {
		step_note(env, "the clocksource changed from %s to %s since boot", kit->noted, now);
	}
}

int step_verify(struct step_env *env)
{
	int r;

	env->text[0] = '\0';
	r = arm_timer(env);
	if (r < 0)
		return r;
	/* On a CPU whose clocks are what is in doubt nothing ends by itself. */
	step_waits(env);
	/* The timer runs meanwhile. */
	check_clocksource(env);
	r = check_cpu_time(env);
	return r < 0 ? r : check_timer(env);
}
