/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The seam of vcpuhp-agent-test, which is never installed. The machine that runs the tests has
 * neither the CPUs nor their uevents:
 *
 * - binding always succeeds, and the CPU one runs on is the one bound to, unless
 *   VCPUHP_TEST_RAN_ON=N says otherwise (VCPUHP_TEST_PROGRAM_RAN_ON=N for callback programs;
 *   with VCPUHP_TEST_ONLY=CPU both speak for that CPU alone);
 * - VCPUHP_TEST_BIND_ERRNO=N makes binding fail;
 * - VCPUHP_TEST_SETTINGS=FILE names a file with such lines, which count from when they are written;
 * - VCPUHP_TEST_KEPT_ON=FILE gets a line with the process and the CPUs that it is to run on,
 *   VCPUHP_TEST_STATUS=FILE is what the kernel would tell of control then, and
 *   VCPUHP_TEST_KEEP_ERRNO=N makes that fail;
 * - uevents come as datagrams to the Unix socket ROOT/run/uevents.
 */
#include "guest-agent/seam.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The tests write the settings: what is no number is a mistake of theirs. */
static int number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	assert(end != text && (*end == '\n' || *end == '\0'));
	return (int)n;
}

/* The value of @name in the file of settings, else in the environment. Return: whether it has one. */
static bool find(const char *name, int *ret)
{
	const char *file = getenv("VCPUHP_TEST_SETTINGS"), *value = getenv(name);
	FILE *f = file ? fopen(file, "re") : NULL;
	size_t len = strlen(name);
	bool found = false;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, len) != 0 || line[len] != '=')
			continue;
		*ret = number(line + len + 1);
		found = true;
	}
	if (f)
		fclose(f);
	if (!found && value)
		*ret = number(value);
	return found || value;
}

static int setting(const char *name, int cpu, int otherwise)
{
	int value, only;

	if (!find(name, &value) || (find("VCPUHP_TEST_ONLY", &only) && only != cpu))
		return otherwise;
	return value;
}

static int bind_to(pid_t pid, int cpu)
{
	return -setting("VCPUHP_TEST_BIND_ERRNO", cpu, 0);
}

static void write_line(const char *path, const char *mode, const char *before, const char *list)
{
	FILE *f = fopen(path, mode);

	assert(f);
	fprintf(f, "%s%s\n", before, list);
	fclose(f);
}

static int keep_on(pid_t pid, const struct cpulist *cpus)
{
	const char *status = getenv("VCPUHP_TEST_STATUS"), *kept = getenv("VCPUHP_TEST_KEPT_ON");
	char text[CPULIST_TEXT_MAX], who[16];
	int r = -setting("VCPUHP_TEST_KEEP_ERRNO", -1, 0);

	assert(cpulist_format(cpus, text, sizeof(text)) > 0);
	snprintf(who, sizeof(who), "%d ", (int)pid);
	if (status && pid == 0 && r == 0)
		write_line(status, "we", "Name:\tvcpuhp-agent\nCpus_allowed_list:\t", text);
	if (kept)
		write_line(kept, "ae", who, text);
	return r;
}

static int current_cpu(int cpu)
{
	return setting("VCPUHP_TEST_RAN_ON", cpu, cpu);
}

static int program_cpu(int cpu, int ran_on)
{
	return setting("VCPUHP_TEST_PROGRAM_RAN_ON", cpu, ran_on < 0 ? ran_on : cpu);
}

/* Socket addresses are short; the way by the descriptor is, however deep the root is. */
static int open_uevents(int root)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	unlinkat(root, "run/uevents", 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/run/uevents", root);
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

const struct seam *seam_get(void)
{
	static const struct seam seam = {
		.bind = bind_to,
		.keep_on = keep_on,
		.current_cpu = current_cpu,
		.program_cpu = program_cpu,
		.open_uevents = open_uevents,
	};

	return &seam;
}
