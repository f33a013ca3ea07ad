/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What vcpuhpd and the program in a hook's unit say to one another, over a real socket. */
#include "daemon/hook-unit.h"
#include "fake-root.h"
#include <sys/socket.h>
#include <sys/un.h>

struct ends {
	int listener, near, far;
	char path[128];
};

static void begin(const struct fake_root *f, struct ends *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(e->path, sizeof(e->path), "%s/s", f->path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", e->path);
	e->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(e->listener, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(e->listener, 1), 0);
}

static void end(struct ends *e)
{
	close(e->listener);
	close(e->near);
	close(e->far);
	unlink(e->path);
}

static void the_order_and_the_answer_arrive_as_they_were_given(void **state)
{
	const struct hook_call call = { "/x", "10-x", "web 1", "op-1", "{}", HOOK_DRIFT, 1000 };
	static const struct hook_outcome outcomes[] = {
		{ HOOK_EXITED, 3, "" },
		{ HOOK_KILLED, 11, "" },
		{ HOOK_UNSTARTED, -EPERM, "" },
	};
	struct hook_order order;
	struct hook_outcome o;
	struct stat a, b;
	int input = open("/dev/null", O_RDONLY | O_CLOEXEC),
	    output = open("/dev/zero", O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(outcomes) / sizeof(*outcomes); i++) {
		struct ends e;

		begin(*state, &e);
		e.near = hook_unit_send(e.path, &call, input, output);
		assert_true(e.near >= 0);
		e.far = accept(e.listener, NULL, NULL);
		assert_int_equal(hook_unit_accept(e.far, &order), 0);
		assert_string_equal(order.name, "10-x");
		assert_string_equal(order.domain, "web 1");
		assert_string_equal(order.op, "op-1");
		assert_int_equal(order.event, HOOK_DRIFT);
		assert_int_equal(fstat(order.input, &a), 0);
		assert_int_equal(fstat(input, &b), 0);
		assert_int_equal(a.st_rdev, b.st_rdev);
		assert_int_equal(fstat(order.output, &a), 0);
		assert_int_equal(fstat(output, &b), 0);
		assert_int_equal(a.st_rdev, b.st_rdev);
		assert_int_equal(fcntl(order.output, F_GETFD), FD_CLOEXEC);
		close(order.input);
		close(order.output);
		assert_int_equal(hook_unit_reply(e.far, &outcomes[i]), 0);
		hook_unit_receive(e.near, &o);
		assert_int_equal(o.how, outcomes[i].how);
		assert_int_equal(o.code, outcomes[i].code);
		/* What comes without a word is lost. */
		shutdown(e.far, SHUT_WR);
		hook_unit_receive(e.near, &o);
		assert_int_equal(o.how, HOOK_LOST);
		end(&e);
	}
	close(input);
	close(output);
}

static void nobody_who_listens_is_told_apart(void **state)
{
	const struct hook_call call = { "/x", "10-x", "web1", "", "{}", HOOK_DONE, 1000 };
	struct ends e;

	begin(*state, &e);
	close(e.listener);
	assert_int_equal(hook_unit_send(e.path, &call, 0, 1), -ECONNREFUSED);
	unlink(e.path);
	assert_int_equal(hook_unit_send(e.path, &call, 0, 1), -ENOENT);
}

/* The program may have more rights than whoever writes to it. */
static void an_order_that_is_none_is_not_taken(void **ctx)
{
#define WORDS(text) text, sizeof(text)
	static const struct {
		const char *words;
		size_t len;
		int n_fds, r;
	} cases[] = {
		{ WORDS("10-x\0web1\0done\0op"), 2, 0 },
		{ WORDS("10-x\0web1\0done\0"), 2, 0 },
		{ WORDS("10-x\0web1\0done\0op"), 0, -EBADMSG },
		{ WORDS("10-x\0web1\0done\0op"), 1, -EBADMSG },
		{ "10-x\0web1\0done\0op", 17, 2, -EINVAL },
		{ WORDS("10-x\0web1\0done"), 2, -EINVAL },
		{ WORDS("10-x\0web1\0done\0op\0more"), 2, -EINVAL },
		{ WORDS("../x\0web1\0done\0op"), 2, -EINVAL },
		{ WORDS("\0web1\0done\0op"), 2, -EINVAL },
		{ WORDS("10-x\0web1\0nothing\0op"), 2, -EINVAL },
		{ WORDS("10-x\0web1\0done-and-longer-than-any\0op"), 2, -EINVAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		union {
			struct cmsghdr head;
			char bytes[CMSG_SPACE(2 * sizeof(int))];
		} control = { 0 };
		struct iovec part = { (char *)(uintptr_t)cases[i].words, cases[i].len };
		struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
		size_t size = (size_t)cases[i].n_fds * sizeof(int);
		int pair[2], fds[2] = { 0, 1 };
		struct hook_order order = { .input = -1, .output = -1 };

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		if (size) {
			m.msg_control = control.bytes;
			m.msg_controllen = CMSG_SPACE(size);
			CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
			CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
			CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(size);
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, size);
		}
		assert_true(sendmsg(pair[0], &m, 0) >= 0);
		if (hook_unit_accept(pair[1], &order) != cases[i].r)
			fail_msg("case %zu", i);
		close(order.input);
		close(order.output);
		close(pair[0]);
		close(pair[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fake_root_test(the_order_and_the_answer_arrive_as_they_were_given),
		fake_root_test(nobody_who_listens_is_told_apart),
		cmocka_unit_test(an_order_that_is_none_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
