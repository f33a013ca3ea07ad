/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-agent/callback-launch.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The kernel tells a script's interpreter to read /dev/fd/N or /dev/fd/N/NAME, a path in the name
 * space of the process: whether it leads anywhere does not depend on --root.
 */
static bool has_dev_fd(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	return access(path, R_OK) == 0;
}

static void reset_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_streams(const struct launch *l)
{
	int null = openat(l->root, "dev/null", O_RDONLY | O_CLOEXEC);
	int ends[2];

	/* A root without devices: the reading end of a pipe nobody writes is as empty. */
	if (null < 0) {
		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		close(ends[1]);
		null = ends[0];
	}
	if (dup2(null, 0) < 0 || dup2(l->output, 1) < 0 || dup2(l->output, 2) < 0)
		return -errno;
	return 0;
}

/*
 * By its name, which $0 then ends in. The folder was checked: nobody but its owner can exchange an
 * entry there. In a guest without /dev/fd the folder has to be the working folder instead.
 */
static int exec_in_folder(struct launch *l)
{
	if (has_dev_fd(l->folder) && fcntl(l->folder, F_SETFD, 0) == 0)
		syscall(SYS_execveat, l->folder, l->name, l->argv, l->envp, 0);
	else if (fchdir(l->folder) == 0)
		execve(l->name, l->argv, l->envp);
	return -errno;
}

static int exec_program(struct launch *l)
{
	int r = l->is_script ? exec_in_folder(l) : -ENOENT;

	if (r != -ENOENT)
		return r;
	if (l->is_script && fcntl(l->program, F_SETFD, 0) < 0)
		return -errno;
	fexecve(l->program, l->argv, l->envp);
	return -errno;
}

void launch_exec(struct launch *l)
{
	int r;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != l->parent)
		_exit(127);
	if (l->call->on_start)
		l->call->on_start(l->call->ctx);
	reset_signals();
	umask(022);
	r = set_streams(l);
	/* The port and the other workers' pipes must not live on in a hook that never ends. */
	if (r == 0)
		syscall(SYS_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
	if (r == 0 && fchdir(l->root) < 0)
		r = -errno;
	if (r == 0)
		r = exec_program(l);
	if (write(l->failure, &r, sizeof(r)) < 0)
		_exit(126);
	_exit(127);
}

static bool is_script(int fd)
{
	char mark[2];

	return pread(fd, mark, sizeof(mark), 0) == sizeof(mark) && mark[0] == '#' && mark[1] == '!';
}

static void fill_words(struct launch *l, const struct callback_call *call)
{
	char **env = l->envp;

	snprintf(l->name, sizeof(l->name), "%s", call->name);
	snprintf(l->way, sizeof(l->way), "%s", call->startup ? "startup" : "teardown");
	snprintf(l->cpu, sizeof(l->cpu), "%d", call->cpu);
	l->argv[0] = l->name;
	l->argv[1] = l->way;
	l->argv[2] = l->cpu;
	snprintf(l->path, sizeof(l->path), "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	snprintf(l->state, sizeof(l->state), "VCPUHP_STATE=%d", call->state);
	snprintf(l->op, sizeof(l->op), "VCPUHP_OP=%s", call->op ? call->op : "");
	snprintf(l->late, sizeof(l->late), "VCPUHP_LATE=1");
	*env++ = l->path;
	*env++ = l->state;
	*env++ = l->op;
	if (call->late)
		*env++ = l->late;
}

void launch_init(struct launch *l, const struct callback_call *call, int folder, int program)
{
	*l = (struct launch){
		.program = program,
		.folder = folder,
		.root = call->root,
		.output = -1,
		.failure = -1,
		.call = call,
		.is_script = is_script(program),
	};
	fill_words(l, call);
}
