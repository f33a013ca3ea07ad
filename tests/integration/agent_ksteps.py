#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which steps of the kernel's own ladder the agent reports, for which kick: its trace is a FIFO here."""

import errno
import os
import resource
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True

import wire  # noqa: E402
from agentbed import AP_ONLINE, ONLINE, OPENAT, STANDBY, Bed, sleeps_in  # noqa: E402
from tap import case, equal, main  # noqa: E402

AGENT = os.path.join(os.environ["VCPUHP_BUILD"], "guest-agent", "vcpuhp-agent-test")
INSTANCE = "sys/kernel/tracing/instances/vcpuhp"


class TracedBed(Bed):
    """A Bed whose kernel can be traced."""

    def __init__(self, **kwargs):
        super().__init__(AGENT, **kwargs)
        for name in ("tracing_on", "trace_clock", "buffer_size_kb", "buffer_percent", "events/cpuhp/enable"):
            self.write(INSTANCE + "/" + name, "")
        os.mkfifo(self.path(INSTANCE, "trace_pipe"))
        self.trace = os.open(self.path(INSTANCE, "trace_pipe"), os.O_RDWR | os.O_NONBLOCK)

    def __enter__(self):
        super().__enter__()
        self.wait(lambda: self.peer.hello["features"] & wire.FEATURE_KTRACE, what="the kernel's ladder")
        return self

    def close(self):
        os.close(self.trace)
        super().close()

    def step(self, cpu, step, ago=0.0):
        """The kernel takes @cpu through @step."""
        now = time.monotonic() - ago
        for text in ("cpuhp_enter: cpu: %04d target: 236 step: %3d (f)" % (cpu, step),
                     "cpuhp_exit:  cpu: %04d  state: %3d step: %3d ret: 0" % (cpu, step, step)):  # fmt: skip
            os.write(self.trace, b"     cpuhp-1 [000] d..1. %.6f: %s\n" % (now, text.encode()))

    def hang(self, cpu):
        """The kernel's online of @cpu takes until release()."""
        os.unlink(self.path(self.online_file(cpu)))
        os.mkfifo(self.path(self.online_file(cpu)))

    def release(self, cpu):
        path = self.path(self.online_file(cpu))
        self.reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

        def written():
            try:
                return os.read(self.reading, 16)
            except BlockingIOError:
                return b""

        self.wait(written, what="the write")
        writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        # Before it can return, since what comes next reads it, too.
        self.set_file(cpu, True)
        os.write(writing, b"1\n")
        os.close(writing)

    def entered(self, kick):
        """(CPU, step) of the kernel's steps reported for @kick."""
        return [(r["cpu"], r["step"]) for r in self.of(wire.KSTEP, kick=kick) if not r["flags"] & wire.EXIT]

    def order(self, kick):
        """The records about @kick: those of the kernel's steps, and the last."""
        return [r["record"] for r in self.records if r.get("kick") == kick]


class SlowBed(TracedBed):
    """Its kernel takes until go_on() to enable the events."""

    def __init__(self):
        super().__init__()
        self.enable = self.path(INSTANCE, "events/cpuhp/enable")
        os.unlink(self.enable)
        os.mkfifo(self.enable)

    def __enter__(self):
        return Bed.__enter__(self)

    def go_on(self):
        with open(self.enable, "rb") as f:
            equal(f.read(), b"1")


def begin(b, cpu, flags=0):
    b.hang(cpu)
    kick = b.kick(cpu, ONLINE, wait=False, flags=flags)
    b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_ONLINE), what="the kernel's online")
    b.wait(lambda: any(sleeps_in(pid, OPENAT) for pid in b.workers()), what="the write")
    return kick


@case()
def the_steps_of_a_way_up_are_reported_before_its_end():
    with TracedBed() as b:
        b.step(1, 3, ago=1.0)
        kick = begin(b, 1)
        b.step(1, 5)
        b.step(2, 7)  # somebody else's
        # Live: whoever is stuck is seen there.
        b.wait(lambda: b.entered(kick) == [(1, 5)], what="the first step")
        b.step(1, 156)
        b.release(1)
        equal(b.done(kick)["rc"], 0)
        equal(b.entered(kick), [(1, 5), (1, 156)])
        equal(b.order(kick)[-1], wire.DONE)
        equal(b.of(wire.KSTEP, cpu=2), [])


def way_up_unwatched(b, cpu, step):
    """One way up whose kernel steps nobody watches; its kick."""
    kick = begin(b, cpu, wire.KICK_LADDER_LATER)
    b.step(cpu, step)
    b.release(cpu)
    return kick


@case()
def steps_that_nobody_watches_come_after_the_result():
    with TracedBed() as b:
        kick = way_up_unwatched(b, 1, 5)
        equal(b.done(kick)["rc"], 0)
        b.wait(lambda: b.entered(kick), what="the step")
        order = b.order(kick)
        assert order.index(wire.DONE) < order.index(wire.KSTEP), order
        equal(b.entered(kick), [(1, 5)])
        # What is done with that CPU from now on is others' doing.
        b.step(1, 7)
        equal(b.entered(b.kick(2, ONLINE)["kick"]), [])
        equal(b.entered(kick), [(1, 5)])


@case()
def steps_that_nobody_watches_are_read_late_while_the_kernel_is_at_work():
    with TracedBed() as b:
        kick = begin(b, 1, wire.KICK_LADDER_LATER)
        b.step(1, 5)
        b.pump(0.5)
        equal(b.entered(kick), [])
        # Who asks later where it is stuck sees it there.
        b.wait(lambda: b.entered(kick) == [(1, 5)], what="the first step")
        b.release(1)
        equal(b.done(kick)["rc"], 0)


@case()
def the_steps_of_a_write_that_failed_come_before_the_result():
    with TracedBed() as b:
        kick = begin(b, 1, wire.KICK_LADDER_LATER)
        b.step(1, 5)
        b.set_file(1, False)
        for pid in b.workers():
            os.kill(pid, 9)
        assert b.done(kick)["rc"] < 0
        order = b.order(kick)
        assert wire.KSTEP in order[: order.index(wire.DONE)], order


@case()
def steps_that_nobody_watches_do_not_wait_for_anothers_callback():
    b = TracedBed()
    b.callback("10-slow", startup='test "$2" = 0 || while ! test -e %s; do :; done' % b.path("go"))
    with b:
        kick = way_up_unwatched(b, 1, 5)
        b.wait(lambda: b.entered(kick), what="the step")
        equal(b.of(wire.DONE, kick=kick), [])
        b.write("go", "")
        equal(b.done(kick)["rc"], 0)


@case()
def steps_that_nobody_watches_are_read_before_the_kernel_forgets_them():
    with TracedBed() as b:
        b.hang(3)
        kick = way_up_unwatched(b, 1, 5)
        other = b.kick(3, ONLINE, wait=False)
        b.done(kick)
        b.wait(lambda: b.entered(kick), what="the first CPU's step while another moves")
        equal(b.of(wire.DONE, kick=other), [])
        b.release(3)
        equal(b.done(other)["rc"], 0)


def ways_up_unwatched(b, cpus, act):
    """@cpus go online together, and @act(cpu) is called while the kernel is at work on each. Their kicks."""
    for cpu in cpus:
        b.hang(cpu)
    kicks = [b.kick(cpu, ONLINE, wait=False, flags=wire.KICK_LADDER_LATER) for cpu in cpus]
    for cpu, kick in zip(cpus, kicks):
        b.wait(lambda k=kick: b.of(wire.STEP, kick=k, state=AP_ONLINE), what="the kernel's online")
        act(cpu)
        b.release(cpu)
    equal([b.done(kick)["rc"] for kick in kicks], [0] * len(cpus))
    return kicks


@case()
def the_steps_of_eight_are_read_at_once():
    steps = list(range(1, 36))
    b = TracedBed(cpus=10)
    b.write("sys/devices/system/cpu/hotplug/states", "".join("%3d: workqueue:online-%d\n" % (n, n) for n in steps))
    with b:
        kicks = ways_up_unwatched(b, range(1, 9), lambda cpu: [b.step(cpu, step) for step in steps])
        b.wait(lambda: len(b.entered(kicks[-1])) == len(steps), what="the last CPU's steps")
        equal([b.entered(kick) for kick in kicks], [[(cpu, step) for step in steps] for cpu in range(1, 9)])
        equal([r for r in b.of(wire.LOG) if "dropped" in r["text"]], [])


@case()
def steps_are_read_sooner_once_some_were_lost():
    def lose(cpu):
        os.write(b.trace, b"CPU:0 [LOST 66 EVENTS]\n")

    with TracedBed() as b:
        # Of one alone, or where somebody watches, that would not help.
        ways_up_unwatched(b, (1,), lose)
        equal(b.kick(1, STANDBY)["rc"], 0)
        for at_once in (4, 2, 1):
            ways_up_unwatched(b, (1, 2), lose)
            b.wait(lambda n=at_once: "read after %d CPUs now" % n in b.said(), what="the loss")
            equal([b.kick(cpu, STANDBY)["rc"] for cpu in (1, 2)], [0, 0])
        for kick in ways_up_unwatched(b, (1, 2), lambda cpu: [lose(cpu), b.step(cpu, 5)]):
            order = b.order(kick)
            assert order.index(wire.KSTEP) < order.index(wire.DONE), order
        equal(b.said().count("steps were lost"), 3)


@case()
def steps_of_others_after_those_that_nobody_watched_are_nobodys():
    with TracedBed() as b:
        kicks = [b.kick(cpu, ONLINE, wait=False, flags=wire.KICK_LADDER_LATER) for cpu in (1, 2, 3)]
        equal([b.done(kick)["rc"] for kick in kicks], [0, 0, 0])
        # They may not have been read yet.
        b.step(1, 7)
        equal(b.entered(b.kick(3, STANDBY)["kick"]), [])
        equal(b.of(wire.KSTEP), [])


@case()
def the_way_back_of_one_that_nobody_watches_has_its_steps():
    with TracedBed() as b:
        kick = begin(b, 1, wire.KICK_LADDER_LATER)
        b.step(1, 5)
        b.send(wire.CANCEL, kick=kick)
        # Else the agent reads the file itself.
        b.new_period(1)
        path = b.path(b.online_file(1))
        os.rename(path, path + ".up")
        os.mkfifo(path)
        up = os.open(path + ".up", os.O_RDONLY | os.O_NONBLOCK)
        b.wait(lambda: len(b.of(wire.STEP, kick=kick, state=AP_ONLINE)) == 3, what="the kernel's offline")
        b.step(1, 99)
        b.wait(lambda: b.entered(kick) == [(1, 5), (1, 99)], what="the steps of both ways")
        os.rename(path, path + ".down")
        b.set_file(1, False)
        down = os.open(path + ".down", os.O_RDONLY | os.O_NONBLOCK)
        equal(b.done(kick)["rc"], -errno.ECANCELED)
        os.close(up)
        os.close(down)


@case()
def two_ways_up_at_once_have_their_own_steps():
    with TracedBed() as b:
        first = begin(b, 1)
        second = b.kick(2, ONLINE, wait=False)
        b.step(1, 5)
        b.release(1)
        b.done(first)
        b.done(second)
        equal((b.entered(first), b.entered(second)), ([(1, 5)], []))


@case()
def steps_that_others_cause_are_nobodys():
    with TracedBed() as b:
        kick = b.kick(1, ONLINE)["kick"]
        b.step(1, 200)
        b.step(2, 5)
        b.switch(2, True)
        b.rests(2, ONLINE)
        equal((b.entered(kick), b.of(wire.KSTEP)), ([], []))
        # Nor are they those of what comes next.
        equal(b.entered(b.kick(1, STANDBY)["kick"]), [])


@case()
def steps_after_a_write_that_could_not_be_made_are_nobodys():
    with TracedBed() as b:
        hard = resource.prlimit(b.process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(b.process.pid, resource.RLIMIT_NOFILE, (3, hard))
        for pid in b.workers():
            os.kill(pid, 9)
        b.wait(lambda: not b.workers(), what="their end")
        done = b.kick(1, ONLINE)
        equal((done["rc"], done["state"]), (-errno.EMFILE, STANDBY))
        resource.prlimit(b.process.pid, resource.RLIMIT_NOFILE, (256, hard))
        b.step(1, 99)
        b.switch(1, True)
        b.rests(1, ONLINE)
        equal(b.of(wire.KSTEP), [])


@case()
def the_kernels_writes_wait_until_its_ladder_can_be_seen():
    with SlowBed() as b:
        b.hang(1)
        kick = b.kick(1, ONLINE, wait=False)
        b.wait(lambda: b.answers(wire.KICKED, kick=kick, rc=0), what="KICKED")
        assert b.table()[0][1]["flags"] & wire.WALKING
        equal(b.of(wire.STEP, kick=kick, state=AP_ONLINE), [])
        b.go_on()
        b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_ONLINE), what="the kernel's online")
        b.step(1, 5)
        b.release(1)
        equal(b.done(kick)["rc"], 0)
        equal(b.entered(kick), [(1, 5)])


def says(b, text):
    b.wait(lambda: text in b.said(), what=text)


@case()
def a_ladder_that_is_late_holds_them_up_for_five_seconds_only():
    began = time.monotonic()
    with SlowBed() as b:
        kick = b.kick(1, ONLINE, wait=False)
        equal(b.done(kick)["rc"], 0)
        took = time.monotonic() - began
        assert took >= 5, took
        says(b, "trace is not there after 5000 ms; going on without")
        b.go_on()
        b.wait(lambda: b.peer.hello["features"] & wire.FEATURE_KTRACE, what="the kernel's ladder")


def held_up(b, **values):
    """A kick of CPU 1 whose kernel write waits for the trace."""
    kick = b.kick(1, ONLINE, wait=False, **values)
    b.wait(lambda: b.answers(wire.KICKED, kick=kick, rc=0), what="KICKED")
    equal(b.of(wire.STEP, kick=kick, state=AP_ONLINE), [])
    return kick


def goes_on_without(b, kick):
    equal(b.done(kick, seconds=3)["rc"], 0)
    says(b, "kernel ladder unavailable")
    equal(b.peer.hello["features"] & wire.FEATURE_KTRACE, 0)


@case()
def a_ladder_whose_setup_dies_holds_nothing_up():
    with SlowBed() as b:
        kick = held_up(b)
        # The first that it forks.
        os.kill(b.workers()[0], signal.SIGKILL)
        goes_on_without(b, kick)


@case()
def a_ladder_whose_setup_fails_holds_nothing_up():
    with SlowBed() as b:
        kick = held_up(b)
        # The setting behind the one that waits is none any more.
        os.unlink(b.path(INSTANCE, "tracing_on"))
        os.mkdir(b.path(INSTANCE, "tracing_on"))
        b.go_on()
        goes_on_without(b, kick)


def was_never_written(b, done, rc):
    equal((done["rc"], done["state"], b.is_online(1)), (rc, STANDBY, False))
    equal(b.of(wire.STEP, kick=done["kick"], state=AP_ONLINE), [])


@case()
def who_waits_for_the_ladder_can_be_cancelled_and_has_a_deadline():
    with SlowBed() as b:
        kick = held_up(b)
        b.send(wire.CANCEL, kick=kick)
        was_never_written(b, b.done(kick, seconds=3), -errno.ECANCELED)
        was_never_written(b, b.done(held_up(b, deadline_ms=200), seconds=3), -errno.ETIMEDOUT)
        b.go_on()
        equal(b.kick(1, ONLINE)["rc"], 0)


@case()
def what_is_due_with_the_end_of_the_wait_is_not_begun():
    with SlowBed() as b:
        # Both have passed when the agent looks.
        kick = held_up(b, deadline_ms=4900)
        os.kill(b.process.pid, signal.SIGSTOP)
        time.sleep(5.2)
        os.kill(b.process.pid, signal.SIGCONT)
        was_never_written(b, b.done(kick), -errno.ETIMEDOUT)


def empty_instance(b):
    """As the kernel has it: the folder can be removed though files are in it."""
    shutil.rmtree(b.path(INSTANCE))
    os.mkdir(b.path(INSTANCE))


@case()
def the_trace_is_removed_at_the_end():
    with TracedBed() as b:
        empty_instance(b)
        b.stop()
        assert not os.path.exists(b.path(INSTANCE))


@case()
def the_trace_is_left_where_the_kernel_is_at_work_on_a_cpu():
    with TracedBed() as b:
        begin(b, 1)
        empty_instance(b)
        b.stop()
        assert os.path.exists(b.path(INSTANCE))


if __name__ == "__main__":
    sys.exit(main())
