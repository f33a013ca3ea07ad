#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent by itself: its test build on a folder for "/", spoken to in real frames.

	agent_dialogue.py [--agent PATH] [CASE...]
"""

import fcntl
import os
import pty
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))

import tap
import wire
from agentbed import (AP_ACTIVE, AP_CPUSET, AP_DYN, AP_IRQ, AP_ONLINE, AP_THREADS, AP_VERIFY, CPUS,
                      ONLINE, OPENAT, RECVFROM, RESTING, STANDBY, Bed, dying_slowly, sleeps_in)  # fmt: skip
from tap import case, equal, matches

EAGAIN, EBUSY, ENODEV, EXDEV, EINVAL, EIO = 11, 16, 19, 18, 22, 5
EPERM, ENXIO, ETIMEDOUT, ECANCELED, EPROTO = 1, 6, 110, 125, 71

ROOT = os.path.dirname(os.path.dirname(HERE))
AGENT = os.path.join(os.environ.get("VCPUHP_BUILD") or os.path.join(ROOT, "build"),
                     "guest-agent", "vcpuhp-agent-test")  # fmt: skip

UP = ["+7", "+8", "+9", "+10", "+11", "+43"]
DOWN = ["-43", "-11", "-10", "-8", "-7"]


def bed(**kwargs):
    return Bed(AGENT, **kwargs)


def arm(b, slot, state, rc=-EAGAIN):
    b.send(wire.ARM, slot=slot, state=state, rc=rc)
    return b.wait(lambda: b.answers(wire.ARMED, state=state), what="ARMED")[-1]["rc"]


# The way up and down


@case()
def a_cpu_goes_up_and_down_step_by_step():
    with bed() as b:
        done = b.kick(2, ONLINE, op="op-1")
        equal((done["rc"], done["state"], done["ran_on"]), (0, ONLINE, 2))
        equal(b.steps(done["kick"]), UP)
        assert b.is_online(2)
        down = b.kick(2, STANDBY)
        equal((down["rc"], down["state"]), (0, STANDBY))
        equal(b.steps(down["kick"]), DOWN)
        assert not b.is_online(2)


@case()
def every_step_is_left_as_it_was_entered_with_guest_times_in_order():
    with bed() as b:
        kick = b.kick(1, ONLINE)["kick"]
        steps = b.of(wire.STEP, kick=kick)
        for entered, left in zip(steps[::2], steps[1::2]):
            equal(left["flags"], entered["flags"] | wire.EXIT)
            equal((left["state"], left["cpu"], left["slot"]), (entered["state"], 1, 1))
        times = [s["time_ns"] for s in steps]
        equal(times, sorted(times))


@case()
def the_table_names_present_cpus_slots_callbacks_and_its_end():
    b = bed(cpus=2)
    b.callback("20-web")
    b.make_cpu(5, slot=0xA)
    with b:
        cpus, states = b.table()
        equal(sorted(cpus), [0, 1, 5])
        equal(cpus[5]["slot"], 10)
        equal(cpus[1]["state"], STANDBY)
        assert not cpus[1]["flags"] & wire.ONLINE
        equal(states, {AP_DYN: "20-web"})


@case()
def a_slot_that_the_firmware_does_not_name_is_no_slot():
    b = bed(cpus=2)
    b.write(CPUS + "/cpu1/firmware_node/path", "\\_SB_.PCI0.CPU1\n")
    with b:
        equal(b.table()[0][1]["slot"], wire.NO_SLOT)


@case()
def a_hot_added_cpu_is_reported_and_gone_again():
    with bed(cpus=1) as b:
        b.add(3, slot=7)
        row = b.wait(lambda: b.of(wire.CPU, cpu=3, slot=7), what="the row")[-1]
        equal((row["flags"], row["state"]), (wire.PRESENT, STANDBY))
        b.take_away(3)
        row = b.wait(lambda: b.of(wire.CPU, cpu=3, state=0), what="its end")[-1]
        equal(row["flags"], 0)


@case()
def an_event_is_a_hint_and_takes_no_cpu_away_that_is_there():
    b = bed(cpus=2)
    b.callback("10-a")
    with b:
        b.kick(1, ONLINE)
        b.forget_calls()
        for action in ("remove", "offline", "add"):
            b.uevent(action, 1)
        b.hear_all()
        row = b.table()[0][1]
        equal((row["state"], row["flags"]), (ONLINE, wire.PRESENT | wire.ONLINE))
        equal(b.calls(), [])
        equal(b.kick(1, STANDBY)["rc"], 0)


@case()
def a_cpu_is_gone_when_its_folder_is_however_long_after_the_event():
    with bed(cpus=2) as b:
        b.uevent("remove", 1)
        b.hear_all()
        b.remove_cpu(1)
        b.wait(lambda: b.of(wire.CPU, cpu=1, state=0), what="its end")
        equal(b.kick(1, ONLINE)["rc"], -ENODEV)


@case()
def a_cpu_that_was_asked_to_rest_is_called_parked_also_by_the_next_agent():
    with bed(cpus=2) as b:
        equal(b.rests(1, STANDBY)["flags"], wire.PRESENT)
        b.kick(1, STANDBY)
        equal(b.rests(1, STANDBY)["flags"], wire.PRESENT | wire.PARKED)
        b.restart()
        equal(b.rests(1, STANDBY)["flags"], wire.PRESENT | wire.PARKED)
        equal(b.kick(1, ONLINE)["rc"], 0)
        equal(b.rests(1, ONLINE)["flags"], wire.PRESENT | wire.ONLINE)


@case()
def another_cpu_of_the_same_number_is_noticed_when_the_events_were_lost():
    with bed(cpus=2) as b:
        b.kick(1, STANDBY)
        b.replace_cpu(1, slot=7)
        b.uevent("bind", 1)
        row = b.wait(lambda: b.of(wire.CPU, cpu=1, slot=7), what="the row")[-1]
        equal((row["state"], row["flags"]), (STANDBY, wire.PRESENT))
        equal(b.kick(1, ONLINE, slot=1)["rc"], -ENODEV)
        # That the one before was to rest says nothing of this one.
        b.switch(1, True)
        b.rests(1, ONLINE)


@case()
def ping_is_answered_and_hello_names_kernel_boot_and_features():
    with bed(args=["--allow-fault-injection"]) as b:
        b.send(wire.PING, host_ns=77)
        pong = b.wait(lambda: b.answers(wire.PONG), what="PONG")[0]
        equal(pong["host_ns"], 77)
        h = b.peer.hello
        equal(h["boot_id"].hex(), "6c1d9e0a2f3b4c559d7e8a90b1c2d3e4")
        equal(h["features"], wire.FEATURE_HOTPLUG | wire.FEATURE_FAULTS | wire.FEATURE_OTHERS | wire.FEATURE_LOAD)
        equal((h["possible"], h["kernel"]), (16, os.uname().release))


@case()
def hello_tells_of_a_udev_rule_that_onlines_cpus_and_of_irqbalance():
    b = bed()
    b.write("usr/lib/udev/rules.d/40-redhat.rules", 'SUBSYSTEM=="cpu", ACTION=="add", ATTR{online}="1"\n')
    b.write("proc/417/comm", "irqbalance\n")
    with b:
        equal(b.peer.hello["features"] & ~(wire.FEATURE_HOTPLUG | wire.FEATURE_LOAD),
              wire.FEATURE_OTHERS | wire.FEATURE_UDEV_ONLINES | wire.FEATURE_IRQBALANCE)  # fmt: skip


@case()
def without_acpi_tables_the_agent_does_not_claim_hotplug():
    b = bed()
    os.unlink(b.path("sys/firmware/acpi/tables/DSDT"))
    os.rmdir(b.path("sys/firmware/acpi/tables"))
    with b:
        equal(b.peer.hello["features"] & wire.FEATURE_HOTPLUG, 0)


# R1 to R11: the ladder's rules within the agent


@case()
def R1_a_worker_that_runs_elsewhere_fails_ap_threads():
    with bed(env={"VCPUHP_TEST_RAN_ON": "3", "VCPUHP_TEST_ONLY": "1"}) as b:
        done = b.kick(1, ONLINE)
        equal((done["rc"], done["failed_at"], done["state"]), (-EXDEV, AP_THREADS, STANDBY))
        matches("bound to cpu 1 but runs on cpu 3", done["text"])
        assert not b.is_online(1)
        equal(b.kick(2, ONLINE)["rc"], 0)


@case()
def R1_a_callback_program_that_ran_elsewhere_has_failed():
    b = bed(env={"VCPUHP_TEST_PROGRAM_RAN_ON": "3", "VCPUHP_TEST_ONLY": "1"})
    b.callback("10-a")
    with b:
        done = b.kick(1, ONLINE)
        equal((done["rc"], done["failed_at"], done["state"]), (-EXDEV, AP_DYN, STANDBY))
        step = [s for s in b.of(wire.STEP, cpu=1, state=AP_DYN) if s["flags"] & wire.EXIT][0]
        equal((step["ran_on"], step["rc"]), (3, -EXDEV))


@case()
def R1_every_worker_step_reports_the_cpu_it_ran_on():
    b = bed()
    b.callback("10-a")
    with b:
        kick = b.kick(2, ONLINE)["kick"]
        left = [s for s in b.of(wire.STEP, kick=kick) if s["flags"] & wire.EXIT]
        equal({s["state"]: s["ran_on"] for s in left if s["state"] >= AP_THREADS},
              {8: 2, 9: 2, 10: 2, 11: 2, 12: 2, 43: 2})  # fmt: skip


@case()
def R1_a_cpu_taken_away_is_torn_down_late_and_marked_so():
    b = bed(cpus=2)
    b.callback("10-a")
    b.callback("20-b")
    with b:
        b.kick(1, ONLINE)
        b.forget_calls()
        b.take_away(1)
        b.wait(lambda: b.of(wire.CPU, cpu=1, state=0), what="the row")
        equal(b.calls(4, cpu=1), ["20-b teardown 1 1", "10-a teardown 1 1"])
        late = [s for s in b.of(wire.STEP, cpu=1, kick=0) if not s["flags"] & wire.STARTUP]
        equal([s["state"] for s in late if s["flags"] & wire.EXIT], [43, 13, 12, 11, 10])
        assert all(s["flags"] & wire.LATE for s in late)
        assert b.of(wire.CPU, cpu=1)[-1]["flags"] & wire.TAKEN


@case()
def R1_late_teardown_goes_on_past_a_failure():
    b = bed(cpus=2)
    b.callback("10-a")
    b.callback("20-b", teardown="exit 9")
    with b:
        b.kick(1, ONLINE)
        b.forget_calls()
        b.switch(1, False)
        row = b.rests(1, STANDBY)
        equal(b.calls(cpu=1), ["20-b teardown 1", "10-a teardown 1"])
        assert row["flags"] & wire.TAKEN
        equal(b.kick(1, ONLINE)["rc"], 0)


@case()
def a_cpu_is_called_taken_until_it_is_back_in_service():
    b = bed(cpus=2)
    b.callback("10-a", startup="test -e %s && exit 3; :" % b.path("bad"))
    with b:
        b.kick(1, ONLINE)
        b.switch(1, False)
        assert b.rests(1, STANDBY)["flags"] & wire.TAKEN
        # By a kick
        b.kick(1, ONLINE)
        equal(b.table()[0][1]["flags"], wire.PRESENT | wire.ONLINE)
        b.switch(1, False)
        assert b.rests(1, STANDBY)["flags"] & wire.TAKEN
        # By an adoption; one that fails is none.
        b.write("bad", "")
        b.switch(1, True)
        assert b.rests(1, AP_THREADS)["flags"] & wire.TAKEN
        os.unlink(b.path("bad"))
        b.switch(1, False)
        b.rests(1, STANDBY)
        b.switch(1, True)
        equal(b.rests(1, ONLINE)["flags"], wire.PRESENT | wire.ONLINE | wire.FOREIGN)


@case()
def R3_the_agent_refuses_to_walk_below_standby():
    with bed() as b:
        for target in range(STANDBY):
            equal(b.kick(1, target)["rc"], -EINVAL)
        equal(b.table()[0][1]["state"], STANDBY)


@case()
def R3_the_worker_hands_back_at_ap_threads_and_control_parks_it():
    with bed() as b:
        b.kick(1, ONLINE)
        done = b.kick(1, AP_THREADS)
        equal((done["rc"], done["state"]), (0, AP_THREADS))
        equal(b.steps(done["kick"]), ["-43", "-11", "-10"])
        assert b.is_online(1)
        equal(b.steps(b.kick(1, STANDBY)["kick"]), ["-8", "-7"])


@case()
def R4_a_kick_to_the_state_it_is_in_succeeds_and_does_nothing():
    b = bed()
    b.callback("10-a")
    with b:
        for target in (STANDBY, ONLINE, ONLINE):
            done = b.kick(1, target)
            equal((done["rc"], done["state"]), (0, target))
        equal(b.steps(b.kicks), [])
        equal(b.calls(cpu=1), ["10-a startup 1"])


@case()
def R4_a_state_that_is_over_is_not_the_state_it_is_in():
    """The kick comes before the event."""
    b = bed(cpus=2)
    b.callback("10-a")
    with b:
        b.kick(1, ONLINE)
        b.forget_calls()
        b.set_file(1, False)
        done = b.kick(1, ONLINE)
        equal((done["rc"], done["state"], b.is_online(1)), (0, ONLINE, True))
        equal(b.calls(4), ["10-a teardown 1 1", "10-a startup 1 0"])
        equal(b.steps(done["kick"])[0], "+7")


@case()
def R7_each_result_belongs_to_one_kick_and_clears_the_one_before():
    b = bed()
    b.callback("10-a", startup="test -e %s && exit 3; :" % b.path("bad"))
    with b:
        b.write("bad", "")
        bad = b.kick(1, ONLINE)
        os.unlink(b.path("bad"))
        good = b.kick(1, ONLINE)
        equal((bad["rc"], bad["failed_at"]), (3, AP_DYN))
        equal((good["rc"], good["failed_at"], good["text"]), (0, wire.NONE, ""))
        equal(len(b.of(wire.DONE, kick=bad["kick"])), 1)


@case()
def R8_agent_rolls_back_a_failed_startup_in_reverse():
    b = bed()
    b.callback("10-a")
    b.callback("20-b")
    b.callback("30-c", startup="echo no licence; exit 3")
    with b:
        done = b.kick(1, ONLINE)
        equal((done["rc"], done["failed_at"], done["state"]), (3, AP_DYN + 2, STANDBY))
        equal((done["rollback_rc"], done["rollback_failed_at"]), (0, wire.NONE))
        matches("ap:dyn.30-c: no licence", done["text"])
        equal(b.steps(done["kick"]),
              ["+7", "+8", "+9", "+10", "+11", "+12", "+13", "+14",
               "-13r", "-12r", "-11r", "-10r", "-8r", "-7r"])  # fmt: skip
        equal(b.calls(cpu=1), ["10-a startup 1", "20-b startup 1", "30-c startup 1",
                          "20-b teardown 1", "10-a teardown 1"])  # fmt: skip
        assert not b.is_online(1)


@case()
def R8_a_walk_that_began_above_standby_is_rolled_back_to_there():
    b = bed()
    b.callback("10-a", startup="exit 1")
    with b:
        equal(b.kick(1, AP_IRQ)["rc"], 0)
        done = b.kick(1, ONLINE)
        equal((done["rc"], done["state"]), (1, AP_IRQ))
        equal(b.steps(done["kick"]), ["+12"])


@case()
def R8_the_kernels_refusal_to_online_is_the_result():
    b = bed(cpus=2)
    os.unlink(b.path(b.online_file(1)))
    os.mkdir(b.path(b.online_file(1)))
    with b:
        # A folder in the file's place: the write fails with EISDIR.
        done = b.kick(1, ONLINE)
        equal((done["rc"], done["failed_at"], done["state"]), (-21, AP_ONLINE, STANDBY))
        matches("EISDIR", done["text"])


@case()
def R9_agent_restores_a_cpu_whose_teardown_is_vetoed():
    b = bed()
    b.callback("10-a", teardown="echo pinned work; exit 4")
    b.callback("20-b")
    with b:
        b.kick(1, ONLINE)
        b.forget_calls()
        done = b.kick(1, STANDBY)
        equal((done["rc"], done["failed_at"], done["state"]), (4, AP_DYN, ONLINE))
        equal(b.steps(done["kick"]), ["-43", "-13", "-12", "+13r"])
        equal(b.calls(cpu=1), ["20-b teardown 1", "10-a teardown 1", "20-b startup 1"])
        assert b.is_online(1)
        equal(b.cpus_json()["active"], [0, 1])


@case()
def R9_a_refused_kernel_offline_brings_worker_and_callbacks_back():
    b = bed()
    b.callback("10-a")
    with b:
        b.kick(1, ONLINE)
        b.forget_calls()
        os.unlink(b.path(b.online_file(1)))
        os.mkdir(b.path(b.online_file(1)))
        done = b.kick(1, STANDBY)
        equal((done["rc"], done["failed_at"], done["state"]), (-21, AP_ONLINE, ONLINE))
        equal(b.steps(done["kick"]), ["-43", "-12", "-11", "-10", "-8", "-7",
                                      "+8r", "+9r", "+10r", "+11r", "+12r"])  # fmt: skip
        # By what is in that place the CPU is offline: it may be torn down late by now.
        equal(b.calls(cpu=1)[:2], ["10-a teardown 1", "10-a startup 1"])
        equal(done["ran_on"], 1)


@case()
def R9_the_boot_cpu_cannot_be_taken_offline():
    with bed(cpus=1) as b:
        b.rests(0, ONLINE)
        done = b.kick(0, STANDBY)
        equal((done["rc"], done["failed_at"], done["state"]), (-EPERM, AP_ONLINE, ONLINE))


@case()
def R10_a_rollback_passes_ap_active_and_targets_are_the_tables():
    b = bed()
    b.callback("10-a")
    with b:
        equal(b.kick(1, AP_ONLINE)["rc"], -EINVAL)
        equal(b.kick(1, AP_DYN + 1)["rc"], -EINVAL)
        equal(b.kick(1, 45)["rc"], -EINVAL)
        for target in (AP_DYN, AP_THREADS, AP_VERIFY, AP_CPUSET, AP_IRQ, AP_ACTIVE):
            done = b.kick(1, target)
            equal((done["rc"], done["state"]), (0, target))
        done = b.kick(1, STANDBY, flags=wire.KICK_ROLLBACK)
        assert "-43" not in b.steps(done["kick"])
        equal(b.cpus_json()["active"], [0])


@case()
def R11_the_worker_is_gone_before_the_offline_write():
    b = bed()
    with b:
        b.kick(1, ONLINE)
        path = b.path(b.online_file(1))
        os.unlink(path)
        os.mkfifo(path)
        b.wait(lambda: len(b.workers()) == RESTING, what="the children")
        kick = b.kick(1, STANDBY, wait=False)
        b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_ONLINE), what="the kernel write")
        # The writer waits in open() of the FIFO, and no worker is forked ahead meanwhile.
        b.wait(lambda: len(b.workers()) == RESTING - 1, what="the worker's end")
        release_write(b, 1, online=False)
        equal(b.done(kick)["rc"], 0)


@case()
def a_worker_that_is_done_leaves_when_nothing_moves():
    """Its way out takes time of what does; but a large batch leaves no crowd behind it."""
    b = bed(cpus=12)
    b.callback("10-hold", startup='test "$2" != 11 || while ! test -e %s; do sleep 0.01; done' % b.path("go"))
    with b:
        b.wait(lambda: len(b.workers()) == RESTING, what="the children")
        held = b.kick(11, ONLINE, wait=False)
        b.wait(lambda: b.of(wire.STEP, kick=held, state=AP_DYN), what="the callback")
        equal(b.kick(1, ONLINE)["rc"], 0)
        b.pump(0.2)
        equal(len(b.workers()), RESTING, "children, a spare one of which is done")
        for cpu in range(2, 10):
            equal(b.kick(cpu, ONLINE)["rc"], 0)
        b.wait(lambda: len(b.workers()) <= 3, what="the end of nine workers")
        equal(b.of(wire.DONE, kick=held), [])
        b.write("go", "")
        equal(b.done(held)["rc"], 0)
        # The writer, one for each of the 5 CPUs of 16 that are not online, and one for what is torn down.
        b.wait(lambda: len(b.workers()) == 7, what="the workers' end")


@case()
def R11_a_worker_that_does_not_leave_holds_up_the_offline_write():
    b = bed()
    b.callback("10-a", teardown="while ! test -e %s; do :; done" % b.path("go"))
    with b:
        b.kick(1, ONLINE)
        kick = b.kick(1, STANDBY, wait=False)
        b.wait(lambda: "10-a teardown 1" in b.calls(), what="the callback")
        worker = b.worker_in_callback()
        # The agent sleeps while the worker ends its walk; then the worker sleeps.
        b.process.send_signal(signal.SIGSTOP)
        b.write("go", "")
        until(lambda: not children_of(worker) and waits_for_orders(worker))
        os.kill(worker, signal.SIGSTOP)
        b.process.send_signal(signal.SIGCONT)
        b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_THREADS), what="the parking")
        b.send(wire.PING, host_ns=1)
        b.wait(lambda: b.answers(wire.PONG), what="PONG")
        equal(b.of(wire.STEP, kick=kick, state=AP_ONLINE), [])
        assert b.is_online(1)
        os.kill(worker, signal.SIGCONT)
        equal((b.done(kick)["rc"], b.is_online(1)), (0, False))


def state_of(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


def waits_for_orders(worker):
    """So its last word is out."""
    return sleeps_in(worker, RECVFROM)


def children_of(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
        return f.read().split()


def until(condition, seconds=5.0):
    """For what only /proc shows."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited %.1f s" % seconds
        os.sched_yield()


@case()
def R11_the_worker_starts_after_online_is_confirmed():
    with hanging_start(bed(), 1) as b:
        b.wait(lambda: len(b.workers()) == RESTING, what="the children")
        kick = b.kick(1, ONLINE, wait=False)
        b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_ONLINE), what="the kernel write")
        assert b.of(wire.STEP, kick=kick, state=AP_THREADS) == []
        release_write(b, 1, online=True)
        done = b.done(kick)
        equal((done["rc"], done["state"]), (0, ONLINE))


def hanging_start(b, cpu):
    """An `online` file that hangs must not be there at the first look: it comes after the start."""
    os.unlink(b.path(b.online_file(cpu)))
    b.set_file(cpu, False)
    b.start()
    b.rests(cpu, STANDBY)
    os.unlink(b.path(b.online_file(cpu)))
    os.mkfifo(b.path(b.online_file(cpu)))
    return Started(b)


class Started:
    def __init__(self, b):
        self.bed = b

    def __enter__(self):
        return self.bed

    def __exit__(self, *args):
        self.bed.__exit__(*args)


def release_write(b, cpu, online):
    """The kernel write that hangs in the FIFO returns; what is read back then says @online."""
    path = b.path(b.online_file(cpu))
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    b.wait(lambda: read_now(reading), what="the write")
    writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    # Before it can return, since what comes next reads it, too.
    b.set_file(cpu, online)
    os.write(writing, b"%d\n" % online)
    os.close(writing)
    # The reading end stays open until the case ends: closed now it could take the answer along.


def read_now(fd):
    try:
        return os.read(fd, 16)
    except BlockingIOError:
        return b""


# Kernel writes that take long


@case()
def a_hanging_kernel_write_holds_neither_the_port_nor_the_other_reports():
    with hanging_start(bed(), 1) as b:
        first = b.kick(1, ONLINE, wait=False)
        second = b.kick(2, ONLINE, wait=False)
        b.wait(lambda: b.of(wire.STEP, kick=first, state=AP_ONLINE), what="the kernel write")
        b.send(wire.PING, host_ns=1)
        b.wait(lambda: b.answers(wire.PONG), what="PONG")
        # One write at a time, in the order of the kicks.
        equal(b.steps(second), [])
        release_write(b, 1, online=True)
        equal((b.done(first)["rc"], b.done(second)["rc"]), (0, 0))


@case()
def a_write_past_its_deadline_is_reported_and_undone_only_when_it_returns():
    with hanging_start(bed(), 1) as b:
        kick = b.kick(1, ONLINE, wait=False, deadline_ms=150)
        late = b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_ONLINE, rc=-ETIMEDOUT),
                      what="the step's deadline")  # fmt: skip
        matches("still under way", late[0]["text"])
        b.send(wire.PING, host_ns=1)
        b.wait(lambda: b.answers(wire.PONG), what="PONG")
        equal(b.of(wire.DONE), [])
        release_write(b, 1, online=True)
        done = b.done(kick)
        equal((done["rc"], done["failed_at"], done["state"]), (-ETIMEDOUT, AP_ONLINE, STANDBY))
        equal(b.steps(kick), ["+7", "-7r"])
        assert not b.is_online(1)


@case()
def that_a_kick_is_taken_may_come_with_what_follows_but_not_late():
    with hanging_start(bed(), 1) as b:
        # What the agent tells of its own start would take it along.
        b.rests(0, ONLINE)
        b.pump(0.05)
        began = time.monotonic()
        kick = b.kick(1, ONLINE, wait=False, flags=wire.KICK_TAKEN_LATER)
        b.wait(lambda: b.answers(wire.KICKED, kick=kick, rc=0), 0.5, "KICKED of a write that hangs")
        took = time.monotonic() - began
        assert took >= 0.015, took  # what is gathered goes after 20 ms
        b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_ONLINE), what="the kernel write")
        equal(b.kick(1, ONLINE, kick=kick + 1, flags=wire.KICK_TAKEN_LATER)["rc"], -EBUSY)
        release_write(b, 1, online=True)
        equal(b.done(kick)["rc"], 0)


@case()
def a_hanging_writer_does_not_keep_a_killed_agent_from_being_replaced():
    with hanging_start(bed(), 1) as b:
        b.kick(1, ONLINE, wait=False)
        b.wait(lambda: b.of(wire.STEP, state=AP_ONLINE), what="the kernel write")
        b.stop(signal.SIGKILL)
        b.set_file(1, False)
        b.start()
        equal(b.kick(2, ONLINE)["rc"], 0)


def writer_of(b):
    """The one child of an agent at work that is no worker: it has not the record of this boot."""

    def is_writer(pid):
        folder = "/proc/%d/fd" % pid
        try:
            files = [os.readlink(os.path.join(folder, n)) for n in os.listdir(folder)]
        except FileNotFoundError:
            return False  # it is at its beginning or its end
        return files and not any(name.endswith("/record") for name in files)

    until(lambda: any(is_writer(pid) for pid in b.workers()))
    return next(pid for pid in b.workers() if is_writer(pid))


@case()
def a_write_whose_process_died_is_judged_by_what_came_of_it():
    with hanging_start(bed(), 1) as b:
        kick = b.kick(1, ONLINE, wait=False)
        b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_ONLINE), what="the kernel write")
        writer = writer_of(b)
        until(lambda: sleeps_in(writer, OPENAT))
        # The CPU is online when it dies, and it has not told.
        b.set_file(1, True)
        os.kill(writer, signal.SIGKILL)
        done = b.done(kick)
        equal((done["rc"], done["state"], done["text"]), (0, ONLINE, ""))
        equal(b.table()[0][1]["flags"], wire.PRESENT | wire.ONLINE)


@case()
def a_write_whose_process_died_before_it_fails_alone():
    with hanging_start(bed(), 1) as b:
        first = b.kick(1, ONLINE, wait=False)
        second = b.kick(2, ONLINE, wait=False)
        b.wait(lambda: b.answers(wire.KICKED, kick=second), what="KICKED")
        writer = writer_of(b)
        until(lambda: sleeps_in(writer, OPENAT))
        b.set_file(1, False)
        os.kill(writer, signal.SIGKILL)
        done = b.done(first)
        equal((done["rc"], done["failed_at"], done["state"]), (-EIO, AP_ONLINE, STANDBY))
        matches("the process that did the kernel write died", done["text"])
        equal(b.done(second)["rc"], 0)


@case()
def a_write_is_not_failed_by_the_death_of_the_process_that_did_the_one_before():
    for signal_first in (False, True):
        with hanging_start(bed(), 1) as b:
            first = b.kick(1, ONLINE, wait=False)
            second = b.kick(2, ONLINE, wait=False)
            b.wait(lambda n=second: b.answers(wire.KICKED, kick=n), what="KICKED")
            b.wait(lambda n=first: b.of(wire.STEP, kick=n, state=AP_ONLINE), what="the kernel write")
            b.process.send_signal(signal.SIGSTOP)
            writer = writer_of(b)
            if signal_first:
                b.rescan()
            release_write(b, 1, online=True)
            until(lambda pid=writer: waits_for_orders(pid))
            os.kill(writer, signal.SIGKILL)
            until(lambda pid=writer: state_of(pid) == "Z")
            b.process.send_signal(signal.SIGCONT)
            equal((b.done(first)["rc"], b.done(second)["rc"]), (0, 0))


def switched_before_the_reply_is_heard(b, target):
    """CPU 1's write is done, and undone by another, when the agent hears of both: the latter first."""
    online = target != STANDBY
    kick = b.kick(1, target, wait=False)
    b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_ONLINE), what="the kernel write")
    writer = writer_of(b)
    until(lambda: sleeps_in(writer, OPENAT))
    b.process.send_signal(signal.SIGSTOP)
    b.uevent("bind", 2)
    release_write(b, 1, online)
    until(lambda: sleeps_in(writer, RECVFROM))
    b.switch(1, not online)
    b.process.send_signal(signal.SIGCONT)
    return b.done(kick)


@case()
def a_cpu_that_is_offline_when_its_online_write_is_heard_of_did_not_come_online():
    with hanging_start(bed(), 1) as b:
        done = switched_before_the_reply_is_heard(b, ONLINE)
        equal((done["rc"], done["failed_at"], done["state"]), (-EIO, AP_ONLINE, STANDBY))
        matches("online of cpu 1 succeeded, but it is offline", done["text"])
        assert not b.rests(1, STANDBY)["flags"] & wire.ONLINE


@case()
def a_cpu_that_went_offline_after_it_was_seen_on_its_way_did_not_come_online():
    """What was seen while the kernel was at work counts no more when an event says that it is over."""
    for goes in (True, False):
        with hanging_start(bed(), 1) as b:
            kick = b.kick(1, ONLINE, wait=False)
            b.wait(lambda b=b, n=kick: b.of(wire.STEP, kick=n, state=AP_ONLINE), what="the kernel write")
            writer = writer_of(b)
            until(lambda pid=writer: sleeps_in(pid, OPENAT))
            b.new_period(1)
            # In the turn of this answer the folder is seen.
            b.send(wire.PING, host_ns=1)
            b.wait(lambda b=b: b.answers(wire.PONG), what="PONG")
            if goes:
                os.rmdir(b.path("sys/devices/system/cpu/cpu1/topology"))
                b.uevent("offline", 1)
                b.send(wire.PING, host_ns=2)
                b.wait(lambda b=b: len(b.answers(wire.PONG)) == 2, what="PONG")
            release_write(b, 1, online=not goes)
            done = b.done(kick)
            if goes:
                equal((done["rc"], done["failed_at"], done["state"]), (-EIO, AP_ONLINE, STANDBY))
            else:
                equal((done["rc"], done["state"]), (0, ONLINE))


@case()
def a_cpu_brought_online_before_its_offline_write_was_heard_of_is_parked_again():
    with bed() as b:
        b.kick(1, ONLINE)
        os.unlink(b.path(b.online_file(1)))
        os.mkfifo(b.path(b.online_file(1)))
        done = switched_before_the_reply_is_heard(b, STANDBY)
        equal((done["rc"], done["state"]), (0, STANDBY))
        b.wait(lambda: not b.is_online(1), what="the parking")
        b.wait(lambda: "parked again" in b.said(), what="the log")


@case()
def a_cpu_that_is_gone_when_it_is_to_go_offline_is_not_brought_back():
    b = bed()
    b.callback("10-a")
    with b:
        b.kick(1, ONLINE)
        writer = writer_of(b)
        os.kill(writer, signal.SIGSTOP)
        kick = b.kick(1, STANDBY, wait=False)
        b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_ONLINE), what="the kernel write")
        b.remove_cpu(1)
        os.kill(writer, signal.SIGCONT)
        done = b.done(kick)
        equal((done["rc"], done["failed_at"], done["state"]), (-ENODEV, AP_ONLINE, 0))
        equal((done["rollback_rc"], done["rollback_failed_at"]), (0, wire.NONE))
        equal(b.calls(cpu=1), ["10-a startup 1", "10-a teardown 1"])


@case()
def a_cpu_that_is_online_already_counts_as_done():
    with bed() as b:
        b.set_file(1, True)
        done = b.kick(1, ONLINE)
        equal((done["rc"], done["state"]), (0, ONLINE))


@case()
def a_batch_is_written_one_by_one_in_the_order_of_the_kicks():
    b = bed(cpus=8)
    with b:
        kicks = [b.kick(cpu, ONLINE, wait=False) for cpu in (5, 1, 7, 3)]
        for kick in kicks:
            equal(b.done(kick)["rc"], 0)
        entered = [r["kick"] for r in b.of(wire.STEP, state=AP_ONLINE)
                   if not r["flags"] & wire.EXIT]  # fmt: skip
        equal(entered, kicks)


# R12, R13: registration


@case()
def R12_a_new_callback_runs_on_every_cpu_at_or_above_it():
    with bed(boot=(1,)) as b:
        b.kick(2, AP_IRQ)
        b.rests(1, ONLINE)
        b.callback("50-late")
        b.rescan()
        b.wait(lambda: b.of(wire.STATE, state=AP_DYN, name="50-late"), what="the registration")
        equal(sorted(b.calls()), ["50-late startup 0", "50-late startup 1"])
        on = {s["ran_on"] for s in b.of(wire.STEP, state=AP_DYN) if s["flags"] & wire.EXIT}
        equal(on, {0, 1})
        b.kick(2, ONLINE)
        assert "50-late startup 2" in b.calls()


@case()
def R12_a_registration_that_fails_on_one_cpu_is_taken_back_on_the_others():
    with bed(boot=(1, 2)) as b:
        b.rests(2, ONLINE)
        b.rests(1, ONLINE)
        b.callback("50-late", startup='test "$2" = 2 && exit 7; :')
        b.rescan()
        b.wait(lambda: [r for r in b.of(wire.LOG) if "not registered" in r["text"]], what="the log")
        b.wait(lambda: "50-late teardown 1" in b.calls() and "50-late teardown 0" in b.calls(),
               what="the way back")  # fmt: skip
        assert "50-late teardown 2" not in b.calls()
        equal(b.of(wire.STATE, name="50-late"), [])
        equal(b.rests(2, ONLINE)["state"], ONLINE)
        equal(b.table()[1], {})


@case()
def R12_an_unregistered_callback_is_torn_down_even_when_its_file_is_gone():
    b = bed(boot=(1,))
    b.callback("10-a")
    b.callback("20-b", teardown="exit 5")
    with b:
        b.rests(1, ONLINE)
        b.forget_calls()
        os.unlink(b.path("etc/vcpuhp/cpuhp.d/10-a"))
        os.unlink(b.path("etc/vcpuhp/cpuhp.d/20-b"))
        b.rescan()
        for state in (AP_DYN, AP_DYN + 1):
            b.wait(lambda s=state: b.of(wire.STATE, state=s, name=""), what="its end")
        equal(sorted(b.calls()), ["10-a teardown 0", "10-a teardown 1",
                                  "20-b teardown 0", "20-b teardown 1"])  # fmt: skip
        assert [r for r in b.of(wire.LOG) if "20-b" in r["text"] and "5" in r["text"]]
        equal(b.table()[1], {})


@case()
def R12_the_first_free_state_is_taken_and_a_32nd_is_enospc():
    b = bed(cpus=1)
    for i in range(31):
        b.callback("%02d-x" % (i + 10))
    with b:
        b.rests(0, ONLINE)
        equal(len(b.table()[1]), 31)
        b.callback("05-more")
        b.rescan()
        b.wait(lambda: [r for r in b.of(wire.LOG) if "ENOSPC" in r["text"]], what="the log")
        os.unlink(b.path("etc/vcpuhp/cpuhp.d/17-x"))
        b.rescan()
        b.wait(lambda: b.of(wire.STATE, state=AP_DYN + 7, name="05-more"), what="the free state")


@case()
def R12_a_kick_waits_for_the_registration_and_a_registration_for_walks():
    b = bed(boot=(1,))
    with b:
        b.rests(1, ONLINE)
        b.callback("50-slow", startup="while ! test -e %s; do :; done" % b.path("go"))
        b.rescan()
        b.wait(lambda: b.calls(), what="the registration")
        kick = b.kick(2, ONLINE, wait=False)
        equal(b.wait(lambda: b.answers(wire.KICKED, kick=kick), what="KICKED")[0]["rc"], 0)
        b.send(wire.PING, host_ns=1)
        b.wait(lambda: b.answers(wire.PONG), what="PONG")
        equal(b.steps(kick), [])
        b.write("go", "")
        equal(b.done(kick)["rc"], 0)
        assert "50-slow startup 2" in b.calls()
        # Now the other way round.
        os.unlink(b.path("go"))
        kick = b.kick(3, ONLINE, wait=False)
        b.wait(lambda: "50-slow startup 3" in b.calls(), what="the walk")
        b.callback("60-next")
        b.rescan()
        b.send(wire.PING, host_ns=2)
        b.wait(lambda: b.answers(wire.PONG, host_ns=2), what="PONG")
        b.write("go", "")
        done = b.done(kick)
        equal(done["rc"], 0)
        b.wait(lambda: b.of(wire.STATE, name="60-next"), what="the registration")
        first = b.of(wire.STEP, kick=0, state=AP_DYN + 1)[0]
        last = b.of(wire.STEP, kick=kick)[-1]
        assert b.records.index(first) > b.records.index(last)


@case()
def R12_an_adoption_waits_for_a_registration():
    with bed(cpus=3, boot=(1,)) as b:
        b.rests(1, ONLINE)
        b.callback("50-slow", startup='test "$2" = 1 || exit 0; '
                   "while ! test -e %s; do :; done; exit 7" % b.path("go"))  # fmt: skip
        b.rescan()
        b.wait(lambda: "50-slow startup 1" in b.calls(), what="the callback")
        b.records = []
        b.switch(2, True)
        b.make_cpu(3, online=True)
        b.uevent("add", 3)
        b.uevent("online", 3)
        for cpu in (2, 3):
            row = b.wait(lambda c=cpu: [r for r in b.of(wire.CPU, cpu=c) if r["flags"] & wire.ONLINE],
                         what="its row")[-1]  # fmt: skip
            equal((row["state"], row["flags"] & ~wire.FOREIGN),
                  (STANDBY, wire.PRESENT | wire.ONLINE | wire.WALKING))  # fmt: skip
            matches("waits for the end of a registration", row["text"])
        equal(b.cpus_json()["standby"], [])
        b.switch(2, False)
        b.wait(lambda: b.of(wire.CPU, cpu=2, flags=wire.PRESENT, text=""), what="it to go again")
        b.switch(2, True)
        b.write("go", "")
        for cpu in (2, 3):
            equal((b.rests(cpu, ONLINE)["text"], b.calls(cpu=cpu)), ("", []))
        equal(sorted(b.calls(cpu=0)), ["50-slow startup 0", "50-slow teardown 0"])
        matches("callback 50-slow: taken back", b.said())


@case()
def a_cpu_that_went_while_it_waited_for_a_registration_is_not_adopted():
    with bed(cpus=2) as b:
        b.rests(0, ONLINE)
        b.callback("50-slow", startup="while ! test -e %s; do :; done" % b.path("go"))
        b.rescan()
        b.wait(lambda: "50-slow startup 0" in b.calls(), what="the callback")
        b.switch(1, True)
        waiting = wire.PRESENT | wire.ONLINE | wire.WALKING
        b.wait(lambda: b.of(wire.CPU, cpu=1, flags=waiting | wire.FOREIGN)
               or b.of(wire.CPU, cpu=1, flags=waiting), what="its row")  # fmt: skip
        # Of this nobody has told yet.
        b.set_file(1, False)
        b.write("go", "")
        b.wait(lambda: "50-slow: registered" in b.said(), what="the registration")
        equal(b.rests(1, STANDBY)["flags"], wire.PRESENT)
        equal(b.calls(cpu=1), [])
        assert "cpu1: ap:online" not in b.said()


@case()
def R12_a_registration_that_waits_for_an_overdue_write_holds_up_no_other_cpu():
    with hanging_start(bed(), 1) as b:
        b.kick(3, AP_IRQ)
        stuck = b.kick(1, ONLINE, wait=False, deadline_ms=150)
        b.wait(lambda: b.of(wire.STEP, kick=stuck, state=AP_ONLINE), what="the kernel write")
        b.callback("50-late")
        b.rescan()
        b.send(wire.PING, host_ns=1)
        b.wait(lambda: b.answers(wire.PONG, host_ns=1), what="PONG")
        # Until the write is overdue the registration is expected soon.
        kick = b.kick(3, ONLINE, wait=False)
        equal((b.done(kick)["rc"], b.calls()), (0, []))
        late = b.of(wire.STEP, kick=stuck, state=AP_ONLINE, rc=-ETIMEDOUT)
        assert b.records.index(late[0]) < b.records.index(b.of(wire.STEP, kick=kick)[0])
        # And one that comes after.
        equal(b.kick(3, AP_IRQ)["rc"], 0)
        release_write(b, 1, online=True)
        equal(b.done(stuck)["rc"], -ETIMEDOUT)
        b.wait(lambda: b.of(wire.STATE, state=AP_DYN, name="50-late"), what="the registration")


@case()
def R12_nor_does_one_that_waits_for_a_worker_that_cannot_die():
    with waiting_bed() as b:
        kick, worker = in_callback(b)
        with dying_slowly(worker):
            b.speak_for_worker(worker, b"nonsense")
            b.wait(lambda: "killed" in b.said(), what="the kill")
            b.rescan()
            equal(b.kick(2, AP_IRQ)["rc"], 0)
            equal(b.of(wire.DONE, kick=kick), [])
        equal(b.done(kick)["rc"], -EIO)


@case()
def R12_a_registration_whose_worker_cannot_die_holds_up_no_other_cpu():
    with bed(cpus=4, boot=(1,)) as b:
        b.rests(1, ONLINE)
        b.callback("50-slow", startup='test "$2" = 1 || exit 0; while ! test -e %s; do :; done' % b.path("go"))
        b.rescan()
        b.wait(lambda: len(b.calls()) == 2, what="the callback")
        until(lambda: len([w for w in b.workers() if children_of(w)]) == 1)
        with dying_slowly(b.worker_in_callback()):
            b.speak_for_worker(b.worker_in_callback(), b"nonsense")
            b.wait(lambda: "killed" in b.said(), what="the kill")
            b.switch(2, True)
            equal(b.kick(3, ONLINE)["rc"], 0)
            b.rests(2, ONLINE)
        # It has failed, and is taken back on those that came in between as well.
        b.wait(lambda: "callback 50-slow: taken back" in b.said(), what="the end")
        for cpu in (0, 2, 3):
            equal(b.calls(cpu=cpu), ["50-slow startup %d" % cpu, "50-slow teardown %d" % cpu])


@case()
def a_cpu_that_goes_while_it_is_on_its_way_up_is_not_announced_as_resting():
    with bed() as b:
        hold = "while ! test -e %s; do :; done" % b.path("go")
        b.callback("10-a", startup='test "$2" = 0 || ' + hold, teardown=hold)
        b.rescan()
        b.wait(lambda: b.of(wire.STATE, name="10-a"), what="the registration")
        b.kick(1, ONLINE, wait=False)
        b.wait(lambda: "10-a startup 1" in b.calls(), what="the callback")
        assert 1 in b.cpus_json()["standby"]
        b.take_away(1)
        b.wait(lambda: "10-a teardown 1" in b.calls(), what="the late teardown")
        b.wait(lambda: 1 not in b.cpus_json()["standby"], what="its announcement")
        b.write("go", "")


@case()
def the_deadline_of_a_kick_counts_while_it_waits():
    with bed(boot=(1,)) as b:
        b.rests(1, ONLINE)
        b.callback("50-slow", startup="while ! test -e %s; do :; done" % b.path("go"))
        b.rescan()
        b.wait(lambda: b.calls(), what="the registration")
        done = b.done(b.kick(2, ONLINE, wait=False, deadline_ms=150))
        equal((done["rc"], done["failed_at"], done["state"]), (-ETIMEDOUT, wire.NONE, STANDBY))
        # What has been waited is not there for the walk.
        kick = b.kick(2, ONLINE, wait=False, deadline_ms=800)
        begun = time.monotonic()
        b.wait(lambda: time.monotonic() > begun + 0.5)
        b.callback("50-slow", startup="while test $2 = 2; do :; done")
        b.write("go", "")
        done = b.done(kick)
        equal((done["rc"], done["failed_at"]), (-ETIMEDOUT, AP_DYN))
        first, last = b.of(wire.STEP, kick=kick, state=AP_DYN)
        assert last["time_ns"] - first["time_ns"] < 500e6


@case()
def R13_a_callback_alone_runs_through_the_worker_and_reports_where():
    with bed(boot=(1,), env={"VCPUHP_TEST_RAN_ON": "0", "VCPUHP_TEST_ONLY": "9"}) as b:
        b.rests(1, ONLINE)
        b.callback("50-late")
        mark = len(b.records)
        b.rescan()
        b.wait(lambda: b.of(wire.STATE, name="50-late"), what="the registration")
        alone = [r for r in b.records[mark:] if r["record"] == wire.STEP and r["cpu"] == 1]
        # Nothing else of the ladder ran for it.
        equal([(s["state"], s["kick"], s["ran_on"]) for s in alone], [(AP_DYN, 0, 1)] * 2)


@case()
def R13_where_no_worker_can_be_had_the_call_is_refused():
    with bed(boot=(1,)) as b:
        b.rests(0, ONLINE)
        b.rests(1, ONLINE)
        b.settings(BIND_ERRNO=EINVAL, ONLY=1)
        b.callback("50-late")
        b.rescan()
        log = b.wait(lambda: [r for r in b.of(wire.LOG) if "not registered" in r["text"]],
                     what="the log")[0]  # fmt: skip
        matches("failed with -%d" % EINVAL, log["text"])
        b.wait(lambda: "50-late teardown 0" in b.calls(), what="the way back")
        equal(b.calls(cpu=1), [])
        equal(b.rests(1, ONLINE)["state"], ONLINE)


@case()
def a_cpuset_that_leaves_the_cpu_out_is_named():
    b = bed()
    b.write("proc/self/cgroup", "0::/system.slice/vcpuhp-agent.service\n")
    with b:
        b.settings(BIND_ERRNO=EINVAL, ONLY=1)
        done = b.kick(1, ONLINE)
        equal((done["rc"], done["failed_at"], done["state"]), (-EINVAL, AP_THREADS, STANDBY))
        matches("own cpuset /system.slice/vcpuhp-agent.service leaves it out", done["text"])


@case()
def a_worker_that_hangs_in_ap_verify_is_seen_there():
    b = bed()
    clocksource = b.path("sys/devices/system/clocksource/clocksource0/current_clocksource")
    os.makedirs(os.path.dirname(clocksource), exist_ok=True)
    with b:
        b.rests(0, ONLINE)
        # A worker that is forked now opens the file at its beginning.
        b.wait(lambda: len(b.workers()) == RESTING, what="the children")
        os.mkfifo(clocksource)
        kick = b.kick(1, ONLINE, wait=False)
        b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_VERIFY), what="the step")
        equal(b.steps(kick), ["+7", "+8", "+9"])
        with open(clocksource, "wb") as f:
            f.write(b"tsc\n")
        equal(b.done(kick)["rc"], 0)


@case()
def a_step_that_waits_is_seen_to():
    """A worker holds its reports back only as long as its steps take no time."""
    b = bed()
    b.write("etc/vcpuhp/vcpuhp-agent.conf", "[Agent]\nCpuset=app.slice\n")
    b.write("sys/fs/cgroup/app.slice/cpuset.cpus", "0\n")
    b.write("run/vcpuhp-agent/mask.lock", "")
    with b, open(b.path("run/vcpuhp-agent/mask.lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kick = b.kick(1, ONLINE, wait=False)
        b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_CPUSET), what="the step")
        equal(b.steps(kick), ["+7", "+8", "+9", "+10"])
        fcntl.flock(lock, fcntl.LOCK_UN)
        equal(b.done(kick)["rc"], 0)
        equal(b.steps(kick), ["+7", "+8", "+9", "+10", "+11", "+43"])


@case()
def R9_a_teardown_whose_worker_cannot_be_had_leaves_the_cpu_in_service():
    with bed() as b:
        b.kick(1, ONLINE)
        b.settings(RAN_ON=3, ONLY=1)
        done = b.kick(1, STANDBY)
        equal((done["rc"], done["failed_at"], done["state"]), (-EXDEV, AP_ACTIVE, ONLINE))
        b.settings()
        equal(b.kick(1, STANDBY)["rc"], 0)


# R16: what does not fit


@case()
def R16_kicks_that_do_not_fit_are_refused_with_a_sentence():
    b = bed()
    b.callback("10-a", startup="while ! test -e %s; do :; done" % b.path("go"))
    b.write("go", "")
    with b:
        for cpu, target, rc, values in (
            (9, ONLINE, -ENODEV, {}),
            (4000, ONLINE, -ENODEV, {}),
            (wire.NO_CPU, ONLINE, -ENODEV, {}),
            (1, ONLINE, -ENODEV, {"slot": 2}),
            (1, 44 + 1, -EINVAL, {}),
            (1, 255, -EINVAL, {}),
            (1, AP_DYN + 30, -EINVAL, {}),
            (1, ONLINE, -EPROTO, {"kick": 0}),
        ):
            answer = b.kick(cpu, target, **values)
            equal(answer["rc"], rc, "cpu %d to %d" % (cpu, target))
            assert answer["text"]
        b.forget_calls()
        os.unlink(b.path("go"))
        first = b.kick(1, ONLINE, wait=False)
        b.wait(lambda: b.calls(), what="the walk")
        equal(b.kick(1, STANDBY)["rc"], -EBUSY)
        b.write("go", "")
        equal(b.done(first)["rc"], 0)
        equal(b.kick(1, ONLINE, kick=first - 1)["rc"], -EPROTO)


@case()
def R16_a_repeated_kick_is_not_run_twice_but_answered_again():
    b = bed()
    b.callback("10-a")
    with b:
        done = b.kick(1, ONLINE)
        again = b.kick(1, ONLINE, kick=done["kick"])
        equal({k: again[k] for k in ("kick", "rc", "state")},
              {"kick": done["kick"], "rc": 0, "state": ONLINE})  # fmt: skip
        equal(b.calls(cpu=1), ["10-a startup 1"])
        b.send(wire.ACK, kick=done["kick"])
        b.send(wire.PING, host_ns=3)
        b.wait(lambda: b.answers(wire.PONG), what="PONG")
        b.messages.clear()
        equal(b.kick(1, ONLINE, kick=done["kick"])["rc"], -EPROTO)


@case()
def R16_frames_of_no_session_damaged_or_unknown_are_dropped():
    with bed() as b:
        kick = wire.encode(wire.KICK, kick=90, slot=1, cpu=1, target=ONLINE, slow=1)
        b.send_raw(b.peer.bytes_for(wire.KICK, kick, session=12345))
        b.send_raw(b.peer.bytes_for(wire.KICK, kick[:-1]))
        b.send_raw(b.peer.bytes_for(99, b"x" * 40))
        broken = bytearray(b.peer.bytes_for(wire.KICK, kick))
        broken[30] ^= 1
        b.send_raw(bytes(broken) + os.urandom(3000) + bytes(wire.FRAME_MAX))
        b.send(wire.PING, host_ns=5)
        b.wait(lambda: b.answers(wire.PONG, host_ns=5), what="PONG")
        equal(b.answers(wire.KICKED), [])
        equal(b.table()[0][1]["state"], STANDBY)


# R17, R18


@case()
def R17_a_rollback_that_fails_too_stops_where_it_stands():
    b = bed()
    b.callback("10-a")
    b.callback("20-b", teardown="exit 6")
    b.callback("30-c", startup="exit 3")
    with b:
        done = b.kick(1, ONLINE)
        equal((done["rc"], done["failed_at"]), (3, AP_DYN + 2))
        equal((done["rollback_rc"], done["rollback_failed_at"]), (6, AP_DYN + 1))
        equal(done["state"], AP_DYN + 1)
        equal(b.steps(done["kick"])[-2:], ["+14", "-13r"])
        row = b.rests(1, AP_DYN + 1)
        assert row["flags"] & wire.ONLINE
        b.callback("20-b")
        equal(b.kick(1, STANDBY)["rc"], 0)


@case()
def R17_a_restart_of_the_walk_up_that_fails_in_a_rollback_stops_too():
    b = bed()
    b.callback("10-a", teardown="exit 4")
    b.callback("20-b", startup='test -e %s && exit 8; :' % b.path("bad"))
    with b:
        b.kick(1, ONLINE)
        b.write("bad", "")
        done = b.kick(1, STANDBY)
        equal((done["rc"], done["failed_at"]), (4, AP_DYN))
        equal((done["rollback_rc"], done["rollback_failed_at"]), (8, AP_DYN + 1))
        equal(done["state"], AP_DYN)


@case()
def R18_an_armed_failure_fires_once_at_every_state_with_a_callback():
    b = bed(args=["--allow-fault-injection"])
    b.callback("10-a")
    with b:
        for state in (AP_ONLINE, AP_THREADS, AP_VERIFY, AP_CPUSET, AP_IRQ, AP_DYN, AP_ACTIVE):
            b.messages.clear()
            equal(arm(b, 1, state), 0)
            done = b.kick(1, ONLINE)
            equal((done["rc"], done["failed_at"], done["state"]), (-EAGAIN, state, STANDBY))
            equal(b.kick(1, ONLINE)["rc"], 0)
            equal(b.kick(1, STANDBY)["rc"], 0)
        assert b.calls().count("10-a startup 1") == 8  # not where it failed or below that


@case()
def R18_a_teardown_can_be_made_to_fail_and_arming_is_checked():
    b = bed(args=["--allow-fault-injection"])
    with b:
        b.kick(1, ONLINE)
        equal(arm(b, 1, AP_CPUSET, -EBUSY), 0)
        done = b.kick(1, STANDBY)
        equal((done["rc"], done["failed_at"], done["state"]), (-EBUSY, AP_CPUSET, ONLINE))
        for state in (STANDBY, AP_DYN, ONLINE, 3, 77):
            equal(arm(b, 1, state), -EINVAL)
        equal(arm(b, 14, AP_VERIFY), -ENODEV)
        equal(arm(b, 1, AP_IRQ), 0)
        equal(arm(b, 1, AP_IRQ, 0), 0)
        equal(b.kick(1, STANDBY)["rc"], 0)


@case()
def R18_without_the_option_arming_is_refused():
    with bed() as b:
        equal(arm(b, 1, AP_VERIFY), -EPERM)
        equal(b.kick(1, ONLINE)["rc"], 0)


# R19: adoption


@case()
def R19_cpus_found_online_are_adopted_without_cpuset_and_irq():
    b = bed(boot=(1,))
    b.callback("10-a")
    with b:
        row = b.rests(1, ONLINE)
        equal(row["ran_on"], 1)
        b.rests(0, ONLINE)
        equal(sorted(b.calls()), ["10-a startup 0", "10-a startup 1"])
        b.wait(lambda: b.cpus_json()["active"] == [0, 1], what="the announcement")
        matches("cpu1: ap:online -> ap:threads", b.said())
        assert "cpu1: ap:verify -> ap:cpuset" not in b.said()


@case()
def R19_a_restarted_agent_does_nothing_twice():
    b = bed()
    b.callback("10-a")
    with b:
        b.rests(0, ONLINE)
        b.kick(1, ONLINE)
        b.kick(2, AP_DYN)
        b.forget_calls()
        b.callback("20-b")
        b.restart()
        equal(b.rests(1, ONLINE)["ran_on"], 1)
        b.rests(2, ONLINE)
        b.rests(0, ONLINE)
        equal(sorted(b.calls()), ["20-b startup 0", "20-b startup 1", "20-b startup 2"])
        equal(b.table()[1], {AP_DYN: "10-a", AP_DYN + 1: "20-b"})
        assert b.peer.hello["kick"] >= 2
        equal(b.kick(1, STANDBY)["rc"], 0)
        assert "10-a teardown 1" in b.calls()


@case()
def R19_what_was_under_way_in_a_killed_agent_is_torn_down_first():
    b = bed()
    b.callback("10-a")
    b.callback("20-b", startup="while ! test -e %s; do :; done" % b.path("go"))
    b.write("go", "")
    with b:
        b.rests(0, ONLINE)
        b.forget_calls()
        os.unlink(b.path("go"))
        b.kick(1, ONLINE, wait=False)
        b.wait(lambda: "20-b startup 1" in b.calls(), what="the callback")
        b.stop(signal.SIGKILL)
        b.write("go", "")
        b.forget_calls()
        b.start()
        b.rests(1, ONLINE)
        equal(b.calls(), ["20-b teardown 1", "20-b startup 1"])


@case()
def R19_a_cpu_taken_away_while_no_agent_ran_is_torn_down_late_and_adopted_anew():
    b = bed(cpus=2)
    b.callback("10-a")
    b.callback("20-b")
    with b:
        b.kick(1, ONLINE)
        b.stop(signal.SIGKILL)
        b.set_file(1, False)
        b.forget_calls()
        b.start()
        row = b.rests(1, STANDBY)
        equal(row["flags"], wire.PRESENT | wire.TAKEN)
        equal(b.calls(4, cpu=1), ["20-b teardown 1 1", "10-a teardown 1 1"])
        equal(b.cpus_json()["active"], [0])
        b.forget_calls()
        b.switch(1, True)
        row = b.rests(1, ONLINE)
        assert row["flags"] & wire.FOREIGN
        equal((row["ran_on"], b.calls(4)), (1, ["10-a startup 1 0", "20-b startup 1 0"]))


@case()
def R19_a_cpu_that_was_offline_for_a_moment_is_adopted_anew():
    """Whether an agent ran meanwhile or not: what was done before says nothing of now."""
    # A guest that was suspended says that they are online again, and not that they were offline.
    for told in ("offline", "online", None):
        b = bed(cpus=2)
        b.callback("10-a")
        with b:
            b.new_period(1)
            b.kick(1, ONLINE)
            b.rests(0, ONLINE)
            b.forget_calls()
            if not told:
                b.stop(signal.SIGKILL)
            b.new_period(1)
            if told:
                b.uevent(told, 1)
            else:
                b.start()
            b.wait(lambda b=b: len(b.calls()) == 2, what="the calls")
            row = b.rests(1, ONLINE)
            equal(b.calls(4), ["10-a teardown 1 1", "10-a startup 1 0"])
            equal((row["flags"], row["ran_on"]), (wire.PRESENT | wire.ONLINE | wire.FOREIGN, 1))


@case()
def R19_a_cpu_removed_while_no_agent_ran_is_torn_down_late():
    b = bed(cpus=2)
    b.callback("10-a")
    with b:
        b.kick(1, ONLINE)
        b.stop(signal.SIGKILL)
        b.remove_cpu(1)
        b.forget_calls()
        b.start()
        row = b.wait(lambda: b.of(wire.CPU, cpu=1, state=0), what="its end")[-1]
        equal((row["flags"], b.calls(4)), (wire.TAKEN, ["10-a teardown 1 1"]))
        b.wait(lambda: b.cpus_json()["active"] == [0], what="the announcement")
        b.add(1)
        b.switch(1, True)
        b.rests(1, ONLINE)
        equal(b.calls(4)[1:], ["10-a startup 1 0"])


@case()
def R19_what_was_under_way_is_torn_down_late_on_a_cpu_that_has_gone():
    b = bed(cpus=2)
    b.callback("10-a")
    b.callback("20-b", startup='test "$2" = 0 || while ! test -e %s; do :; done' % b.path("go"))
    with b:
        b.kick(1, ONLINE, wait=False)
        b.wait(lambda: "20-b startup 1" in b.calls(), what="the callback")
        b.stop(signal.SIGKILL)
        b.write("go", "")
        b.set_file(1, False)
        b.forget_calls()
        b.start()
        b.rests(1, STANDBY)
        equal(b.calls(4), ["20-b teardown 1 1", "10-a teardown 1 1"])


@case()
def R19_a_callback_in_the_place_of_one_that_has_gone_is_not_taken_for_done():
    b = bed()
    b.callback("10-a")
    with b:
        b.rests(0, ONLINE)
        b.kick(1, ONLINE)
        b.stop(signal.SIGKILL)
        os.unlink(b.path("etc/vcpuhp/cpuhp.d/10-a"))
        b.callback("20-b")
        b.forget_calls()
        b.start()
        b.rests(0, ONLINE)
        b.rests(1, ONLINE)
        equal(b.table()[1], {AP_DYN: "20-b"})
        equal(sorted(b.calls()), ["20-b startup 0", "20-b startup 1"])


@case()
def R19_a_failed_adoption_rests_at_ap_threads_and_stays_online():
    b = bed(boot=(1,))
    b.callback("10-a")
    b.callback("20-b", startup='test "$2" = 1 && { echo no; exit 2; }; :')
    with b:
        row = b.rests(1, AP_THREADS)
        assert row["flags"] & wire.ONLINE
        matches("20-b: no", row["text"])
        assert b.is_online(1)
        assert "10-a teardown 1" in b.calls()
        b.callback("20-b")
        equal(b.kick(1, ONLINE)["rc"], 0)
        equal(b.table()[0][1]["text"], "")


@case()
def R19_a_cpu_onlined_by_another_is_adopted_and_called_foreign():
    b = bed()
    b.callback("10-a")
    with b:
        b.rests(1, STANDBY)
        b.switch(1, True)
        row = b.rests(1, ONLINE)
        assert row["flags"] & wire.FOREIGN
        assert "10-a startup 1" in b.calls()


@case()
def R19_a_cpu_taken_away_in_its_adoption_leaves_no_sentence():
    b = bed(cpus=2)
    b.callback("10-a", startup='test "$2" = 0 || while ! test -e %s; do :; done' % b.path("go"))
    with b:
        b.switch(1, True)
        b.wait(lambda: "10-a startup 1" in b.calls(), what="the adoption")
        b.switch(1, False)
        row = b.rests(1, STANDBY)
        equal((row["flags"], row["text"]), (wire.PRESENT | wire.TAKEN, ""))
        equal(b.calls(4)[-1], "10-a teardown 1 1")


@case()
def R19_a_kick_that_meets_an_adoption_waits_for_it():
    b = bed()
    b.callback("10-a", startup="while ! test -e %s; do :; done" % b.path("go"))
    b.write("go", "")
    with b:
        b.rests(0, ONLINE)
        os.unlink(b.path("go"))
        b.forget_calls()
        b.switch(1, True)
        b.wait(lambda: b.calls(), what="the adoption")
        kick = b.kick(1, ONLINE, wait=False)
        equal(b.wait(lambda: b.answers(wire.KICKED), what="KICKED")[0]["rc"], 0)
        b.write("go", "")
        equal(b.done(kick)["rc"], 0)
        equal(b.calls(), ["10-a startup 1"])


@case()
def standby_is_a_wish_that_is_carried_out_once_more():
    with bed() as b:
        equal(b.kick(1, STANDBY)["rc"], 0)
        b.switch(1, True)
        b.wait(lambda: not b.is_online(1), what="the parking")
        b.rests(1, STANDBY)
        b.switch(1, True)
        row = b.rests(1, AP_ONLINE)
        assert row["flags"] & wire.FOREIGN
        matches("put to standby", row["text"])
        assert b.is_online(1)
        # The sentence goes with what it explains.
        b.switch(1, False)
        equal(b.rests(1, STANDBY)["text"], "")
        equal(b.kick(1, ONLINE)["rc"], 0)


@case()
def the_wish_for_standby_goes_with_its_cpu_while_no_agent_runs():
    with bed(cpus=2) as b:
        b.kick(1, STANDBY)
        b.stop(signal.SIGKILL)
        b.remove_cpu(1)
        b.start()
        b.rests(0, ONLINE)
        b.add(1, slot=4)
        b.switch(1, True)
        b.rests(1, ONLINE)
        # Another in its place when the next agent comes.
        b.kick(1, STANDBY, slot=4)
        b.stop(signal.SIGKILL)
        b.replace_cpu(1, slot=4)
        b.start()
        b.rests(1, STANDBY)
        b.switch(1, True)
        b.rests(1, ONLINE)
        assert "parked" not in b.said()


@case()
def a_number_that_goes_to_a_cpu_of_another_slot_tells_of_both():
    """The kick of the one that was there ends as that one's."""
    with waiting_bed() as b:
        kick, _ = in_callback(b)
        b.set_file(1, False)
        b.replace_cpu(1, slot=9)
        b.uevent("add", 1)
        b.write("go", "")
        done = b.done(kick)
        equal((done["slot"], done["cpu"], done["state"]), (1, 1, 0))
        assert done["rc"], done
        b.wait(lambda: b.of(wire.CPU, cpu=1, slot=9), what="the row of the other")
        rows = [(r["slot"], r["flags"] & wire.PRESENT) for r in b.of(wire.CPU, cpu=1)]
        at = rows.index((9, wire.PRESENT))
        equal(rows[at - 1], (1, 0), "the row before it, of %s" % rows)
        equal({r["slot"] for r in b.of(wire.STEP, kick=kick)}, {1}, "slots of the steps")
        b.rests(1, STANDBY)
        equal(b.kick(1, STANDBY, slot=9)["slot"], 9)


@case()
def the_wish_for_standby_ends_with_the_way_up_whoever_finishes_it():
    with waiting_bed() as b:
        b.kick(1, STANDBY)
        in_callback(b)
        b.stop(signal.SIGKILL)
        b.write("go", "")
        b.start()
        b.rests(1, ONLINE)
        b.switch(1, False)
        b.rests(1, STANDBY)
        b.switch(1, True)
        b.rests(1, ONLINE)
        assert "parked" not in b.said()


@case()
def the_wish_for_standby_stays_where_the_way_up_failed_and_was_undone():
    b = bed(cpus=2)
    b.callback("10-a", teardown="test -e %s && exit 6; :" % b.path("stuck"))
    b.callback("20-b", startup='test "$2" = 0 || exit 3')
    with b:
        b.kick(1, STANDBY)
        equal(b.kick(1, ONLINE)["rc"], 3)
        b.switch(1, True)
        b.wait(lambda: not b.is_online(1), what="the parking")
        b.rests(1, STANDBY)
        # Not where it is stuck above standby: its target is where it stands.
        b.write("stuck", "")
        equal(b.kick(1, ONLINE)["rollback_rc"], 6)
        os.unlink(b.path("stuck"))
        b.callback("20-b")
        b.switch(1, False)
        b.rests(1, STANDBY)
        b.switch(1, True)
        b.rests(1, ONLINE)


@case()
def a_cpu_taken_away_in_the_middle_of_a_walk_ends_it():
    b = bed(cpus=2)
    b.callback("10-a")
    b.callback("20-b", startup="while ! test -e %s; do :; done" % b.path("go"))
    b.write("go", "")
    with b:
        b.rests(0, ONLINE)
        os.unlink(b.path("go"))
        b.forget_calls()
        kick = b.kick(1, ONLINE, wait=False)
        b.wait(lambda: "20-b startup 1" in b.calls(), what="the callback")
        b.take_away(1)
        done = b.done(kick)
        equal(done["rc"], -ENODEV)
        b.wait(lambda: b.of(wire.CPU, cpu=1, state=0), what="its end")
        equal(b.calls(4)[-2:], ["20-b teardown 1 1", "10-a teardown 1 1"])


# Callbacks and workers that misbehave


@case()
def a_callbacks_exit_status_signal_and_last_words_are_the_result():
    b = bed()
    with b:
        for script, rc, text in (
            ("echo first; echo last words >&2; exit 3", 3, "last words"),
            ("kill -9 $$", 128 + 9, "killed by signal 9"),
            ("echo so far; kill -9 $$", 128 + 9, "so far"),
            ("exit 3", 3, "exit status 3"),
            ("exit 200", 200, "exit status 200"),
            ("echo no licence; exit 255", 255, "no licence"),
        ):
            b.callback("10-a", startup='test "$2" = 1 || exit 0; ' + script)
            b.rescan()
            b.wait(lambda: b.table()[1], what="the callback")
            done = b.kick(1, ONLINE)
            equal((done["rc"], done["failed_at"]), (rc, AP_DYN))
            equal(done["text"], "ap:dyn.10-a: " + text)


@case()
def a_callback_past_the_deadline_is_killed():
    b = bed()
    b.callback("10-a", startup='test "$2" = 0 || while :; do :; done')
    with b:
        b.rests(0, ONLINE)
        done = b.kick(1, ONLINE, deadline_ms=300)
        equal((done["rc"], done["failed_at"], done["state"]), (-ETIMEDOUT, AP_DYN, STANDBY))


@case()
def a_callback_that_others_may_write_is_not_registered_and_not_run():
    b = bed()
    b.callback("10-a")
    b.callback("20-b")
    os.chmod(b.path("etc/vcpuhp/cpuhp.d/10-a"), 0o777)
    with b:
        equal(b.table()[1], {AP_DYN: "20-b"})
        matches("writable by others", b.said())
        # One that changes hands later is refused when it is its turn.
        os.chmod(b.path("etc/vcpuhp/cpuhp.d/20-b"), 0o777)
        done = b.kick(1, ONLINE)
        equal((done["rc"], done["failed_at"]), (-EPERM, AP_DYN))
        if os.geteuid() == 0:
            os.chmod(b.path("etc/vcpuhp/cpuhp.d/20-b"), 0o755)
            os.chown(b.path("etc/vcpuhp/cpuhp.d/20-b"), 12345, 12345)
            equal(b.kick(1, ONLINE)["rc"], -EPERM)


def in_callback(b):
    """A kick whose worker is in a callback that waits; returns (kick, worker)."""
    b.rests(0, ONLINE)
    kick = b.kick(1, ONLINE, wait=False)
    b.wait(lambda: "20-b startup 1" in b.calls(), what="the callback")
    return kick, b.worker_in_callback()


def waiting_bed(first=""):
    """CPU 1's startup of 20-b waits; @first: shell it does before."""
    b = bed()
    b.callback("10-a")
    b.callback("20-b", startup='%s; test "$2" = 0 || while ! test -e %s; do :; done' % (
        first or ":", b.path("go")))  # fmt: skip
    return b


@case()
def a_killed_worker_is_a_failed_step_and_what_it_did_is_torn_down_by_another():
    with waiting_bed() as b:
        kick, worker = in_callback(b)
        b.forget_calls()
        os.kill(worker, signal.SIGKILL)
        done = b.done(kick)
        equal((done["rc"], done["failed_at"], done["state"]), (128 + 9, AP_DYN + 1, STANDBY))
        equal(b.calls(), ["20-b teardown 1", "10-a teardown 1"])
        equal(b.steps(kick)[-6:], ["-13r", "-12r", "-11r", "-10r", "-8r", "-7r"])


def ends_while_the_agent_sleeps(b):
    """The worker in a callback ends it and says so, unheard yet; returns the worker."""
    worker = b.worker_in_callback()
    b.process.send_signal(signal.SIGSTOP)
    b.write("go", "")
    until(lambda: not children_of(worker) and waits_for_orders(worker))
    return worker


def dies_after_its_last_word(b, others=()):
    """So does this one and dies, @others too; the agent hears of the deaths first."""
    b.process.send_signal(signal.SIGSTOP)
    # Signals are looked at before the worker's words, since this one comes before them.
    b.process.send_signal(signal.SIGCHLD)
    worker = ends_while_the_agent_sleeps(b)
    for pid in (worker, *others):
        os.kill(pid, signal.SIGKILL)
        until(lambda x=pid: state_of(x) == "Z")
    b.process.send_signal(signal.SIGCONT)


@case()
def a_worker_that_dies_after_its_last_word_keeps_the_next_registration_waiting_for_nothing():
    with bed(cpus=3, boot=(1,)) as b:
        b.rests(1, ONLINE)
        wait = 'test "$2" = 0 || while ! test -e %s; do :; done' % b.path("go")
        b.callback("50-slow", startup=wait)
        b.callback("60-next")
        b.rescan()
        b.wait(lambda: "50-slow startup 1" in b.calls(), what="the callback")
        b.wait(lambda: "50-slow startup 0" in b.calls(), what="the other callback")
        b.rests(0, ONLINE)
        dies_after_its_last_word(b)
        for name in ("50-slow", "60-next"):
            b.wait(lambda n=name: b.of(wire.STATE, name=n), what="the registration of " + name)
        equal(b.kick(2, ONLINE)["rc"], 0)
        equal(b.rests(1, ONLINE)["state"], ONLINE)


def waits_for_an_adoption(spare_dies):
    b = bed(cpus=3)
    b.callback("10-a", startup='test "$2" = 0 || while ! test -e %s; do :; done' % b.path("go"))
    with b:
        b.rests(0, ONLINE)
        b.wait(lambda: len(b.workers()) == RESTING, what="the children")
        b.switch(1, True)
        b.wait(lambda: "10-a startup 1" in b.calls(), what="the adoption")
        kick = b.kick(1, AP_THREADS, wait=False)
        b.wait(lambda: b.answers(wire.KICKED, kick=kick), what="KICKED")
        spare = [p for p in b.workers() if p not in (b.worker_in_callback(), writer_of(b))]
        dies_after_its_last_word(b, spare if spare_dies else ())
        done = b.done(kick)
        equal((done["rc"], done["state"], done["text"]), (0, AP_THREADS, ""))


@case()
def a_kick_that_waited_for_a_walk_runs_although_that_ones_worker_died_after_its_last_word():
    waits_for_an_adoption(spare_dies=False)


@case()
def a_worker_forked_ahead_that_died_is_not_hired():
    waits_for_an_adoption(spare_dies=True)


@case()
def a_worker_that_does_not_leave_is_killed_for_the_next_walk():
    b = bed(cpus=2)
    b.callback("10-a", startup='test "$2" = 0 || while ! test -e %s; do :; done' % b.path("go"))
    with b:
        b.rests(0, ONLINE)
        kick = b.kick(1, ONLINE, wait=False)
        b.wait(lambda: "10-a startup 1" in b.calls(), what="the callback")
        os.kill(ends_while_the_agent_sleeps(b), signal.SIGSTOP)
        b.process.send_signal(signal.SIGCONT)
        equal(b.done(kick)["rc"], 0)
        # It gets the grace beyond the walk's deadline.
        done = b.done(b.kick(1, AP_THREADS, wait=False, deadline_ms=100))
        equal((done["rc"], done["state"]), (-ETIMEDOUT, ONLINE))
        equal(done["text"], "the deadline passed")
        equal(b.kick(1, AP_THREADS)["rc"], 0)


def leave(b):
    """Shell: start a program that does not end with this one, and wait; the first time only."""
    return "test -e {0} || {{ sleep 1000 & echo $! > {0}; wait; }}".format(b.path("left"))


def look(b):
    """Shell: note whether that program is alive beside this one."""
    return "grep -qs 'State:.[^ZX]' /proc/$(cat %s)/status && echo > %s; :" % (
        b.path("left"), b.path("beside"))  # fmt: skip


def has_left(b):
    b.wait(lambda: os.path.exists(b.path("left")) and b.read("left").strip(), what="the program")
    return int(b.read("left"))


def is_alive(pid):
    try:
        return state_of(pid) not in "ZX"
    except FileNotFoundError:
        return False


def bed_with_a_program_left():
    b = bed()
    b.callback("10-a", startup='test "$2" = 0 || ' + leave(b), teardown=look(b))
    return b


@case()
def R19_what_a_killed_agents_callback_has_started_is_ended_before_its_teardown():
    with bed_with_a_program_left() as b:
        b.rests(0, ONLINE)
        b.kick(1, ONLINE, wait=False)
        program = has_left(b)
        b.stop(signal.SIGKILL)
        b.forget_calls()
        b.start()
        b.rests(1, ONLINE)
        equal(b.calls(cpu=1), ["10-a teardown 1", "10-a startup 1"])
        equal((is_alive(program), os.path.exists(b.path("beside"))), (False, False))


@case()
def what_the_callback_of_a_killed_worker_has_started_is_ended_before_its_teardown():
    with bed_with_a_program_left() as b:
        b.rests(0, ONLINE)
        kick = b.kick(1, ONLINE, wait=False)
        program = has_left(b)
        os.kill(b.worker_in_callback(), signal.SIGKILL)
        done = b.done(kick)
        equal((done["rc"], done["failed_at"], done["state"]), (128 + 9, AP_DYN, STANDBY))
        equal(b.calls(cpu=1), ["10-a startup 1", "10-a teardown 1"])
        equal((is_alive(program), os.path.exists(b.path("beside"))), (False, False))


@case()
def what_the_callback_of_a_killed_worker_has_started_is_ended_where_nothing_follows():
    b = bed()
    b.callback("10-a", teardown=leave(b))
    b.callback("20-b", startup='test "$2" = 0 || exit 3')
    with b:
        b.rests(0, ONLINE)
        kick = b.kick(1, ONLINE, wait=False)
        program = has_left(b)
        os.kill(b.worker_in_callback(), signal.SIGKILL)
        done = b.done(kick)
        equal((done["rc"], done["rollback_rc"], done["state"]), (3, 128 + 9, AP_DYN))
        until(lambda: not is_alive(program))


# struct worker_message of guest-agent/worker.h, without its hand-over.
def worker_message(kind, number, state=0, startup=True, rc=0, ran_on=1):
    return struct.pack("=iIi??2xiiQ?3xii256s4x", kind, number, state, startup, False, rc, ran_on, 0,
                       False, 0, 0, b"")  # fmt: skip


WORKER_READY, WORKER_ENTER, WORKER_EXIT, WORKER_ASK, WORKER_ABORTED, WORKER_DONE = 2, 3, 4, 5, 8, 10


def believes_nothing_of(message):
    with waiting_bed() as b:
        kick, worker = in_callback(b)
        b.forget_calls()
        b.speak_for_worker(worker, message)
        done = b.done(kick)
        equal((done["rc"], done["failed_at"], done["state"]), (-EIO, AP_DYN + 1, STANDBY))
        equal(b.calls(), ["20-b teardown 1", "10-a teardown 1"])
        equal(b.kick(2, AP_IRQ)["rc"], 0)


@case()
def R7_a_completion_of_another_hand_over_is_not_believed():
    # CPU 0's adoption was the first hand-over, this walk is the second.
    believes_nothing_of(worker_message(WORKER_DONE, number=1))
    believes_nothing_of(worker_message(WORKER_EXIT, number=1, state=AP_DYN + 1))


@case()
def the_forged_words_of_these_cases_have_the_right_shape():
    """One that does fit is believed, so the others are refused for what they say."""
    with waiting_bed() as b:
        kick, worker = in_callback(b)
        b.speak_for_worker(worker, worker_message(WORKER_EXIT, 2, AP_DYN + 1))
        left = b.wait(lambda: [s for s in b.of(wire.STEP, kick=kick, state=AP_DYN + 1)
                               if s["flags"] & wire.EXIT], what="the step's end")  # fmt: skip
        equal(left[0]["rc"], 0)
        b.write("go", "")
        equal(b.done(kick)["rc"], -EIO)


@case()
def R16_a_worker_whose_words_do_not_fit_its_walk_is_killed():
    for message in (
        worker_message(WORKER_DONE, 2),
        worker_message(WORKER_ENTER, 2, AP_ACTIVE),
        worker_message(WORKER_EXIT, 2, AP_DYN),
        worker_message(WORKER_EXIT, 2, AP_DYN + 1, startup=False),
        worker_message(WORKER_EXIT, 2, AP_DYN + 1, ran_on=3),
        worker_message(WORKER_ASK, 2),
        worker_message(WORKER_READY, 2),
        worker_message(WORKER_ABORTED, 2, rc=-ECANCELED),
        worker_message(77, 2),
        b"nonsense",
    ):
        believes_nothing_of(message)


@case()
def a_killed_worker_that_takes_long_to_die_does_not_keep_the_loop_busy():
    with waiting_bed() as b:
        kick, worker = in_callback(b)
        b.process.send_signal(signal.SIGSTOP)
        # Killed for the first of these, it leaves the others unread.
        for _ in range(3):
            b.speak_for_worker(worker, b"nonsense")
        with dying_slowly(worker):
            b.process.send_signal(signal.SIGCONT)
            b.wait(lambda: "killed" in b.said(), what="its end")
            b.pump(0.1)
            before = cpu_time(b.process.pid)
            b.pump(0.4)
            assert cpu_time(b.process.pid) - before < 0.1
        equal(b.done(kick)["rc"], -EIO)


def cpu_time(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        user, system = f.read().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@case()
def a_worker_that_hangs_is_killed_at_the_walks_deadline():
    with waiting_bed() as b:
        b.rests(0, ONLINE)
        kick = b.kick(1, ONLINE, wait=False, deadline_ms=500)
        b.wait(lambda: "20-b startup 1" in b.calls(), what="the callback")
        os.kill(b.worker_in_callback(), signal.SIGSTOP)
        done = b.done(kick)
        equal((done["rc"], done["failed_at"], done["state"]), (-ETIMEDOUT, AP_DYN + 1, STANDBY))


@case()
def a_cancelled_kick_ends_the_callback_under_way():
    with waiting_bed() as b:
        kick, _ = in_callback(b)
        b.send(wire.CANCEL, kick=kick)
        done = b.done(kick)
        equal((done["rc"], done["failed_at"], done["state"]), (-ECANCELED, AP_DYN + 1, STANDBY))
        equal([c for c in b.calls() if "teardown" in c], ["10-a teardown 1"])


@case()
def a_cancelled_kick_is_rolled_back_between_two_steps():
    with waiting_bed("trap 'exit 0' TERM") as b:
        kick, _ = in_callback(b)
        b.send(wire.CANCEL, kick=kick)
        done = b.done(kick)
        equal((done["rc"], done["failed_at"], done["state"]), (-ECANCELED, wire.NONE, STANDBY))
        matches("cancelled", done["text"])
        equal([c for c in b.calls() if "teardown" in c], ["20-b teardown 1", "10-a teardown 1"])


def cancelled_and_late(b):
    """A kick that was cancelled and whose deadline passed while its worker was stopped."""
    b.rests(0, ONLINE)
    kick = b.kick(1, ONLINE, wait=False, deadline_ms=1000)
    end = time.monotonic() + 1.1
    b.wait(lambda: "20-b startup 1" in b.calls(), what="the callback")
    worker = b.worker_in_callback()
    os.kill(worker, signal.SIGSTOP)
    b.send(wire.CANCEL, kick=kick)
    b.wait(lambda: time.monotonic() > end)
    return kick, worker


@case()
def a_cancelled_kick_keeps_its_reason_when_its_deadline_passes_too():
    with waiting_bed("trap 'exit 0' TERM") as b:
        kick, worker = cancelled_and_late(b)
        os.kill(worker, signal.SIGCONT)
        done = b.done(kick)
        equal((done["rc"], done["failed_at"], done["text"]), (-ECANCELED, wire.NONE, "cancelled"))


@case()
def a_cancel_does_not_turn_a_late_teardown_round():
    b = bed()
    b.callback("10-a", teardown="while ! test -e %s; do :; done" % b.path("let-go"))
    b.callback("20-b", startup='test "$2" = 0 || while ! test -e %s; do :; done' % b.path("go"))
    with b:
        kick, _ = in_callback(b)
        b.forget_calls()
        b.switch(1, False)
        b.wait(lambda: "10-a teardown 1" in b.calls(), what="the late teardown")
        b.send(wire.CANCEL, kick=kick)
        b.send(wire.PING, host_ns=1)
        b.wait(lambda: b.answers(wire.PONG), what="PONG")
        b.write("let-go", "")
        done = b.done(kick)
        equal((done["rc"], done["state"]), (-ENODEV, STANDBY))
        equal(b.calls(cpu=1), ["20-b teardown 1", "10-a teardown 1"])
        equal(b.of(wire.STEP, kick=kick, rc=-ECANCELED), [])


@case()
def a_worker_that_answers_a_cancel_is_believed_when_the_deadline_passes_meanwhile():
    with waiting_bed() as b:
        kick, worker = cancelled_and_late(b)
        b.speak_for_worker(worker, worker_message(WORKER_EXIT, 2, AP_DYN + 1))
        b.speak_for_worker(worker, worker_message(WORKER_ABORTED, 2, rc=-ECANCELED))
        b.wait(lambda: "ap:dyn.10-a -> ap:dyn.20-b" in b.said(), what="its words")
        b.send(wire.PING, host_ns=1)
        b.wait(lambda: b.answers(wire.PONG), what="PONG")
        os.kill(worker, signal.SIGKILL)
        done = b.done(kick)
        equal((done["rc"], done["failed_at"], done["text"]), (-ECANCELED, wire.NONE, "cancelled"))
        assert "does not fit" not in b.said()


@case()
def a_kick_cancelled_before_its_write_began_does_nothing():
    with hanging_start(bed(), 1) as b:
        first = b.kick(1, ONLINE, wait=False)
        second = b.kick(2, ONLINE, wait=False)
        b.wait(lambda: b.answers(wire.KICKED, kick=second), what="KICKED")
        b.send(wire.CANCEL, kick=second)
        done = b.done(second)
        equal((done["rc"], done["state"]), (-ECANCELED, STANDBY))
        equal(b.steps(second), [])
        release_write(b, 1, online=True)
        equal(b.done(first)["rc"], 0)


# The link


@case()
def a_result_is_sent_in_every_session_until_it_is_acknowledged():
    with bed() as b:
        kick = b.kick(1, ONLINE)["kick"]
        for _ in range(2):
            b.connect()
            equal(b.done(kick)["rc"], 0)
        b.send(wire.ACK, kick=kick)
        b.table()
        b.connect()
        b.table()
        equal(b.of(wire.DONE), [])


@case()
def a_result_that_comes_while_no_host_listens_is_not_lost():
    with waiting_bed() as b:
        kick, _ = in_callback(b)
        b.reset_link()
        b.write("go", "")
        b.connect()
        equal(b.done(kick)["rc"], 0)


@case()
def with_a_host_that_speaks_no_version_of_ours_there_is_no_session_and_it_is_said_once():
    with bed() as b:
        for versions in ((2, 3), (0, 0), (2, 255), (9, 1)):
            b.reset_link()
            b.peer.versions = versions
            b.send_raw(b.peer.opening())
            # The agent answers with its own range, and that is all.
            b.wait(lambda: b.peer.established, what="HELLO")
            b.send(wire.PING, host_ns=1)
            b.send(wire.KICK, kick=90, slot=1, cpu=1, target=ONLINE, slow=1)
        equal(b.said().count("no session"), 1)
        matches("the host speaks versions 2 to 3 of the protocol, not 1", b.said())
        b.peer.versions = 1, 3
        b.send_raw(b.peer.greeting())
        b.send(wire.PING, host_ns=2)
        b.wait(lambda: b.answers(wire.PONG, host_ns=2), what="PONG")
        equal((b.answers(wire.PONG, host_ns=1), b.answers(wire.KICKED)), ([], []))
        equal(b.kick(1, ONLINE)["rc"], 0)


@case()
def a_port_whose_node_is_made_after_its_uevent_is_opened_all_the_same():
    with Started(bed(args=["--port", "org.vcpuhp.test.0"]).start(greet=False)) as b:
        b.wait(lambda: "No such file or directory; waiting" in b.said(), what="its words")
        # Nothing names the port: only a uevent is waited for.
        b.wait(lambda: len(b.workers()) == RESTING, what="the start's end")
        before = work(b.process.pid)
        b.pump(1.2)
        equal(work(b.process.pid), before)
        b.write("sys/class/virtio-ports/vport7p1/name", "org.vcpuhp.test.0\n")
        b.port_uevent("vport7p1")
        b.wait(lambda: "no device node yet; waiting" in b.said(), what="its words")
        os.symlink(os.ttyname(b.slave), b.path("dev/vport7p1"))
        b.connect()
        equal(b.kick(1, ONLINE)["rc"], 0)
        equal(b.said().count("waiting"), 2)


@case()
def a_missing_kernel_ladder_is_said_once_and_to_the_first_host_alone():
    text = "kernel ladder unavailable"
    for known_first in (True, False):
        b = bed(cpus=1)
        b.start(greet=not known_first)
        if known_first:
            until(lambda b=b: text in b.said())
            b.connect()
        with Started(b):
            b.wait(lambda b=b: [r for r in b.of(wire.LOG) if text in r["text"]], what="the word")
            for _ in range(2):
                b.connect()
                b.settle()
                equal([r for r in b.of(wire.LOG) if text in r["text"]], [])
                equal(b.peer.hello["features"] & wire.FEATURE_KTRACE, 0)
            equal(b.said().count(text), 1)


@case()
def a_flood_of_requests_is_answered_and_a_host_that_does_not_read_stops_itself():
    with bed() as b:
        data = b"".join(b.peer.bytes_for(wire.PING, wire.encode(wire.PING, host_ns=i))
                        for i in range(20000))  # fmt: skip
        sent = 0
        try:
            while sent < len(data):
                sent += os.write(b.master, data[sent : sent + 2048])
        except BlockingIOError:
            pass
        equal(b.process.poll(), None)
        while sent < len(data):
            b.pump()
            try:
                sent += os.write(b.master, data[sent : sent + 2048])
            except BlockingIOError:
                pass
        b.wait(lambda: len(b.answers(wire.PONG)) == 20000, what="all answers")
        equal(b.kick(1, ONLINE)["rc"], 0)


def a_pipe():
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    return reading, writing


def a_terminal():
    reading, writing = pty.openpty()
    tty.setraw(writing)
    return reading, writing


def a_socket():
    return tuple(s.detach() for s in socket.socketpair())


def fill(fd):
    os.set_blocking(fd, False)
    for size in (4096, 1):
        try:
            while True:
                os.write(fd, b"." * size)
        except BlockingIOError:
            pass
    os.set_blocking(fd, True)


def read_all(fd):
    os.set_blocking(fd, False)
    data = b""
    while select.select([fd], [], [], 0)[0]:
        data += os.read(fd, 65536)
    return data.decode()


@case()
def a_standard_error_that_takes_no_more_holds_nothing_up_and_is_told_what_it_missed():
    for make in (a_pipe, a_terminal, a_socket):
        reading, writing = make()
        fill(writing)
        b = bed()
        b.start(stderr=writing)
        with Started(b):
            # More words than are kept for it.
            for _ in range(32):
                equal(b.kick(1, ONLINE)["rc"], 0, make.__name__)
                equal(b.kick(1, STANDBY)["rc"], 0, make.__name__)
            # Those who share the description see nothing of it.
            equal(os.get_blocking(writing), True, make.__name__)
            said = read_all(reading)
            while "are missing here" not in said:
                equal(b.kick(1, 255)["rc"], -EINVAL)
                said += read_all(reading)
            equal(b.kick(1, 255)["rc"], -EINVAL)
            b.settle()
            said = (said + read_all(reading)).lstrip(".").splitlines()
            equal([line for line in said if not line.startswith("vcpuhp-agent: ")], [], make.__name__)
            gaps = [n for n, line in enumerate(said) if "are missing here" in line]
            equal(len(gaps), 1, make.__name__)
            matches(r": [1-9]\d* lines", said[gaps[0]])
            matches("refused: 255", said[-1])
        os.close(reading)
        os.close(writing)


@case()
def registrations_arrive_when_a_host_reads_late_and_lost_steps_are_counted():
    with bed(boot=(1, 2, 3)) as b:
        for cpu in range(4):
            b.rests(cpu, ONLINE)
        # Until the agent reads no more requests, since it has no room for their answers.
        ping = b.peer.bytes_for(wire.PING, wire.encode(wire.PING, host_ns=1)) * 50
        while select.select([], [b.master], [], 0.3)[1]:
            ping = ping[os.write(b.master, ping) :] or ping
        for i in range(31):
            b.callback("%d-a" % (10 + i), startup="printf %0250d 7")
        b.rescan()
        until(lambda: "40-a: registered" in b.said(), 10)
        os.unlink(b.path("etc/vcpuhp/cpuhp.d/11-a"))
        b.rescan()
        until(lambda: "11-a: unregistered" in b.said())
        b.wait(lambda: [r for r in b.of(wire.LOG) if "dropped" in r["text"]], what="the number")
        log = b.of(wire.LOG)[-1]["text"]
        matches(r"^\d+ records of steps and log lines dropped$", log)
        equal({r["state"]: r["name"] for r in b.of(wire.STATE)},
              {AP_DYN + i: "" if i == 1 else "%d-a" % (10 + i) for i in range(31)})  # fmt: skip
        lost = 4 * 2 * 32 - len(b.of(wire.STEP, kick=0))
        assert 0 < lost <= int(log.split()[0]), (lost, log)


@case()
def no_wakeups_when_nothing_happens():
    with bed(boot=(1, 2)) as b:
        for cpu in (0, 1, 2):
            b.rests(cpu, ONLINE)
        b.wait(lambda: len(b.workers()) == RESTING, what="the workers' end")
        b.pump(0.2)
        before = work(b.process.pid)
        b.pump(0.5)
        equal(work(b.process.pid), before)


@case()
def no_wakeups_without_a_session():
    """Nobody answers at the port, or there is no port of that name."""
    for args in ((), ("--port", "org.vcpuhp.none.0")):
        b = bed(cpus=2, boot=(1,), args=args)
        b.start(greet=False)
        with Started(b):
            until(lambda b=b: b.said().count("ap:active -> online") == 2 and len(b.workers()) == RESTING)
            until(lambda b=b: state_of(b.process.pid) == "S")
            select.select([], [], [], 0.2)
            before = work(b.process.pid)
            select.select([], [], [], 0.5)
            equal(work(b.process.pid), before)


def work(pid):
    """How often it went to sleep so far, and its ticks: one that spins does not sleep at all."""
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        sleeps = sum(int(line.split()[1]) for line in f if line.startswith("voluntary"))
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        return [sleeps] + f.read().rsplit(")", 1)[1].split()[11:13]


@case()
def no_descriptor_is_left_behind():
    with bed(cpus=3) as b:

        def descriptors():
            b.wait(lambda: len(b.workers()) == RESTING, what="the workers' end")
            return b.steady(lambda: len(os.listdir("/proc/%d/fd" % b.process.pid)), "descriptors")

        def once():
            for target in (ONLINE, STANDBY):
                equal(b.kick(1, target)["rc"], 0)
            b.callback("50-late")
            b.rescan()
            b.wait(lambda: b.table()[1], what="the registration")
            os.unlink(b.path("etc/vcpuhp/cpuhp.d/50-late"))
            b.rescan()
            b.wait(lambda: not b.table()[1], what="the callback's end")
            b.connect()

        b.rests(0, ONLINE)
        once()
        before = descriptors()
        for _ in range(3):
            once()
        equal(descriptors(), before)


class Storm:
    """Kicks, cancels, scans of the callbacks and killed children, all at random, on four CPUs."""

    def __init__(self, b, seed):
        self.bed, self.random = b, random.Random(seed)
        self.kicks = []
        self.extra = False

    def outstanding(self):
        """The kicks without a DONE or a refusal."""
        b = self.bed
        ended = {r["kick"] for r in b.of(wire.DONE)}
        ended |= {m["kick"] for m in b.answers(wire.KICKED) if m["rc"]}
        return [k for k in self.kicks if k[0] not in ended]

    def kick(self):
        # A CPU whose last kick goes on refuses another, or forgets the result of that one for it.
        free = {1, 2, 3, 4} - {cpu for _, cpu in self.outstanding()}
        if not free:
            return
        cpu = self.random.choice(sorted(free))
        target = self.random.choice([STANDBY, STANDBY, AP_THREADS, AP_IRQ, AP_DYN, AP_DYN + 1,
                                     AP_ACTIVE, ONLINE, ONLINE, ONLINE])  # fmt: skip
        number = self.bed.kick(
            cpu, target, wait=False, flags=self.random.choice([0, 0, 0, 1]),
            deadline_ms=self.random.choice([0, 0, 1, 3, 5, 10, 20, 50]))  # fmt: skip
        self.kicks.append((number, cpu))

    def cancel(self):
        if self.kicks:
            self.bed.send(wire.CANCEL, kick=self.random.choice(self.kicks[-4:])[0])

    def rescan(self):
        self.extra = not self.extra
        if self.extra:
            self.bed.callback("50-x", startup="test $(( $$ % 5 )) = 0 && exit 3; :")
        else:
            os.unlink(self.bed.path("etc/vcpuhp/cpuhp.d/50-x"))
        self.bed.rescan()

    def kill(self):
        try:
            os.kill(self.random.choice(self.bed.workers()), signal.SIGKILL)
        except (IndexError, ProcessLookupError):
            pass

    def kill_unheard(self):
        """So that the agent finds words and death of a child at once."""
        self.bed.process.send_signal(signal.SIGSTOP)
        if self.random.random() < 0.5:
            self.rescan()
        self.wait()
        self.kill()
        self.wait()
        self.bed.process.send_signal(signal.SIGCONT)

    def switch(self):
        self.bed.switch(self.random.randrange(1, 5), self.random.random() < 0.5)

    def wait(self):
        self.bed.pump(self.random.random() * 0.03)

    def blow(self, seconds):
        actions = ([self.kick] * 8 + [self.cancel] * 3 + [self.rescan, self.kill, self.switch]
                   + [self.kill_unheard] * 4 + [self.wait] * 4)  # fmt: skip
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.random.choice(actions)()
            while self.bed.pump():
                pass
        if self.extra:
            self.rescan()


def without_children(b):
    """Descriptors of the agent but those of its children, of which some may have been killed."""
    return len(os.listdir("/proc/%d/fd" % b.process.pid)) - len(b.workers())


def rests_without_a_trace(b, descriptors):
    b.wait(lambda: not any(r["flags"] & wire.WALKING for r in b.table()[0].values()), 15, "rest")
    for cpu, row in b.table()[0].items():
        online = cpu == 0 or b.is_online(cpu)
        equal((row["state"] > STANDBY, bool(row["flags"] & wire.ONLINE)), (online, online))
    b.wait(lambda: len(b.workers()) <= RESTING, what="the workers' end")
    b.wait(lambda: without_children(b) == descriptors, what="%d descriptors" % descriptors)


@case(deadline=120)
def whatever_happens_each_kick_has_one_result_and_every_cpu_comes_to_rest():
    for seed in range(4):
        b = bed(cpus=5)
        b.callback("10-a")
        b.callback("20-b", startup="test $(( $$ % 7 )) = 0 && exit 3; :")
        b.callback("30-c", teardown="test $(( $$ % 9 )) = 0 && exit 4; :")
        try:
            with b:
                # What is opened once, for the first kick.
                b.kick(1, ONLINE)
                b.wait(lambda x=b: len(x.workers()) == RESTING, what="the workers' end")
                descriptors = b.steady(lambda x=b: without_children(x), "descriptors")
                storm = Storm(b, seed)
                storm.blow(1.5)
                b.wait(lambda s=storm: not s.outstanding(), 15, "the results")
                rests_without_a_trace(b, descriptors)
                results = [r["kick"] for r in b.of(wire.DONE)]
                equal(len(results), len(set(results)), "results")
        except AssertionError as e:
            raise AssertionError("seed %d: %s" % (seed, e)) from e


@case()
def the_agent_stays_small():
    with open(AGENT, "rb") as f:
        if b"__asan_init" in f.read():
            raise tap.Skip("a sanitizer's memory is not the agent's")
    b = bed(cpus=16, boot=tuple(range(1, 16)))
    with b:
        for cpu in range(16):
            b.rests(cpu, ONLINE)
        with open("/proc/%d/smaps_rollup" % b.process.pid, encoding="ascii") as f:
            kib = {line.split(":")[0]: int(line.split()[1]) for line in f if " kB" in line}
        assert kib["Rss"] <= 3072, kib


def expedited(b):
    return b.read("sys/kernel/rcu_expedited").strip() == "1"


def say_ahead(b, kicks, within_ms=60000):
    b.send(wire.PREPARE, kicks=kicks, within_ms=within_ms)
    b.wait(lambda: expedited(b), what="rcu_expedited")


@case()
def a_word_ahead_expedites_before_the_kick():
    with bed() as b:
        b.rests(0, ONLINE)
        say_ahead(b, 2, 5000)
        equal(b.kick(1, ONLINE)["rc"], 0)
        b.pump(0.1)
        assert expedited(b), "the second kick is still to come"
        equal(b.kick(2, ONLINE)["rc"], 0)
        b.wait(lambda: not expedited(b), what="the end of it")


@case()
def a_word_ahead_that_nothing_follows_is_forgotten():
    with bed() as b:
        b.rests(0, ONLINE)
        say_ahead(b, 2, 100)
        b.wait(lambda: not expedited(b), what="the end of it")
        say_ahead(b, 2)
        b.send(wire.PREPARE, kicks=0, within_ms=0)
        b.wait(lambda: not expedited(b), what="the end of it")


@case()
def sigterm_leaves_the_cpus_and_puts_rcu_expedited_back():
    with waiting_bed() as b:
        kick, _ = in_callback(b)
        equal(b.read("sys/kernel/rcu_expedited").strip(), "1")
        equal(b.stop(), 0)
        equal(b.read("sys/kernel/rcu_expedited").strip(), "0")
        assert b.is_online(1) and kick
        b.start()
        b.write("go", "")
        b.rests(1, ONLINE)


@case()
def a_second_agent_waits_for_the_first_ones_end_and_takes_over():
    with bed() as b:
        b.kick(1, ONLINE)
        first = b.process
        b.start(greet=False)
        b.wait(lambda: "another agent is at work" in b.said(), what="its words")
        equal(b.said().count("again"), 0)
        first.terminate()
        first.wait(5)
        b.connect()
        equal(b.rests(1, ONLINE)["ran_on"], 1)


@case()
def cpus_json_can_be_read_by_all_whatever_the_umask_and_without_a_run_folder():
    b = bed(cpus=1)
    os.rmdir(b.path("run"))
    old = os.umask(0o077)
    try:
        b.start()
    finally:
        os.umask(old)
    with Started(b):
        b.rests(0, ONLINE)
        for name, mode in (
            ("run", 0o755),
            ("run/vcpuhp-agent", 0o755),
            ("run/vcpuhp-agent/cpus.json", 0o644),
            ("run/vcpuhp-agent/record", 0o600),
        ):
            equal(oct(os.stat(b.path(name)).st_mode & 0o7777), oct(mode), name)


@case()
def an_agent_that_cannot_see_the_cpus_says_so_and_ends():
    b = bed()
    os.rename(b.path("sys/devices"), b.path("elsewhere"))
    b.start(greet=False)
    equal(b.process.wait(5), 1)
    matches(r"cannot open the folder of CPUs /sys/devices/system/cpu \(is /sys mounted\?\): No such file", b.said())
    b.close()


# Where control and the writer's helper run


def settled(b, pid=0):
    """What control, or another, was let run on, each time that it was settled."""
    try:
        lines = [line.split() for line in b.read("kept").splitlines()]
    except FileNotFoundError:
        return []
    return [cpus for who, cpus in lines if who == str(pid)]


def kick_and_settle(b, cpu, target):
    """Return what control runs on then."""
    n = len(settled(b))
    equal(b.kick(cpu, target)["rc"], 0)
    until(lambda: len(settled(b)) > n)
    # It reads what came of it before it answers anything.
    b.send(wire.PING, host_ns=n + 1)
    b.wait(lambda: b.answers(wire.PONG, host_ns=n + 1), what="PONG")
    return settled(b)[-1]


def allow(b, cpus):
    """By another: the kernel says so then."""
    b.write("proc/self/status", "Name:\tvcpuhp-agent\nCpus_allowed:\tff\nCpus_allowed_list:\t%s\nSeccomp:\t0\n" % cpus)


def placed_bed(allowed):
    b = bed()
    b.env.update(VCPUHP_TEST_KEPT_ON=b.path("kept"), VCPUHP_TEST_STATUS=b.path("proc/self/status"))
    allow(b, allowed)
    return b


@case()
def control_and_the_helper_run_on_cpus_in_service_alone():
    with placed_bed("0-15") as b:
        until(lambda: settled(b) == ["0"])
        equal(kick_and_settle(b, 2, ONLINE), "0,2")
        equal(kick_and_settle(b, 1, AP_VERIFY), "0,2")
        equal(kick_and_settle(b, 3, ONLINE), "0,2-3")
        equal(kick_and_settle(b, 2, STANDBY), "0,3")
        equal(settled(b, writer_of(b)), settled(b))


@case()
def control_keeps_off_while_another_cpu_hangs_for_ever():
    with hanging_start(placed_bed("0-15"), 1) as b:
        until(lambda: settled(b) == ["0"])
        equal(kick_and_settle(b, 2, ONLINE), "0,2")
        kick = b.kick(1, ONLINE, wait=False, deadline_ms=150)
        b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_ONLINE, rc=-ETIMEDOUT), what="the step's deadline")
        equal(kick_and_settle(b, 2, AP_VERIFY), "0")
        release_write(b, 1, online=True)
        b.done(kick)


@case()
def control_stays_within_what_it_is_given():
    with placed_bed("2-3") as b:
        equal(kick_and_settle(b, 2, ONLINE), "2")
        equal(kick_and_settle(b, 3, ONLINE), "2-3")
        equal(kick_and_settle(b, 1, ONLINE), "2-3")
        # Somebody gives it another: the helper follows, though control is there already.
        allow(b, "1,3")
        equal(kick_and_settle(b, 2, STANDBY), "1,3")
        equal(settled(b, writer_of(b))[-1], "1,3")
        equal(kick_and_settle(b, 3, STANDBY), "1")


@case()
def control_runs_on_what_is_online_where_nothing_is_in_service():
    with placed_bed("2-3") as b:
        equal(kick_and_settle(b, 3, AP_VERIFY), "3")
        equal(kick_and_settle(b, 2, ONLINE), "2")


@case()
def the_kernel_that_moves_control_has_given_it_nothing():
    with placed_bed("2-3") as b:
        equal(kick_and_settle(b, 2, ONLINE), "2")
        # Its CPU goes, and another comes.
        b.kick(2, STANDBY)
        allow(b, "0-15")
        equal(kick_and_settle(b, 3, ONLINE), "3")
        # And where it is back before anybody has looked.
        b.kick(3, STANDBY)
        allow(b, "0-15")
        b.new_period(3)
        equal(kick_and_settle(b, 3, ONLINE), "3")
        equal(kick_and_settle(b, 2, ONLINE), "2-3")


@case()
def nor_has_the_kernel_whose_offline_hangs():
    with placed_bed("2-3") as b:
        equal(kick_and_settle(b, 3, AP_VERIFY), "3")
        equal(kick_and_settle(b, 2, ONLINE), "2")
        os.unlink(b.path(b.online_file(2)))
        os.mkfifo(b.path(b.online_file(2)))
        kick = b.kick(2, STANDBY, wait=False, deadline_ms=150)
        b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_ONLINE, rc=-ETIMEDOUT), what="the step's deadline")
        allow(b, "0-15")
        equal(kick_and_settle(b, 3, AP_CPUSET), "3")
        release_write(b, 2, online=False)
        b.done(kick)


@case()
def control_runs_anywhere_where_the_kernel_tells_nothing():
    for told in ("", "0-", "x", "0-4096"):
        with placed_bed(told) as b:
            equal(b.kick(2, ONLINE)["rc"], 0)
            equal(b.kick(2, STANDBY)["rc"], 0)
            b.pump(0.05)
            equal(settled(b), [])


@case()
def that_control_cannot_be_kept_is_said_once():
    b = placed_bed("0-15")
    b.settings(KEEP_ERRNO=EPERM)
    with b:
        until(lambda: settled(b) == ["0"])
        for state, cpus in ((ONLINE, "0,2"), (STANDBY, "0"), (ONLINE, "0,2")):
            equal(kick_and_settle(b, 2, state), cpus)
        equal(b.said().count("cannot keep to the CPUs in service: Operation not permitted; goes on where it may"), 1)


@case()
def a_run_folder_that_cannot_be_made_is_named():
    b = bed(cpus=1)
    os.rmdir(b.path("run"))
    b.write("run", "a file in its place")
    b.start(greet=False)
    equal(b.process.wait(5), 1)
    equal(b.said(), "vcpuhp-agent: cannot take the lock /run/vcpuhp-agent/lock: Not a directory\n")
    b.close()


@case()
def cpus_json_is_right_at_each_change():
    with bed() as b:
        b.rests(0, ONLINE)
        b.wait(lambda: b.cpus_json()["standby"] == [1, 2, 3], what="the first")
        b.kick(1, ONLINE)
        first = b.cpus_json()
        equal((first["active"], first["standby"], first["active_list"]), ([0, 1], [2, 3], "0-1"))
        b.kick(1, STANDBY)
        second = b.cpus_json()
        equal((second["active"], second["standby"]), ([0], [1, 2, 3]))
        assert second["serial"] > first["serial"]
        b.restart()
        b.rests(0, ONLINE)
        b.kick(1, ONLINE)
        assert b.cpus_json()["serial"] > second["serial"]


def without_cpu3(b):
    """The announcement of a guest that can still get its CPU 3."""
    b.rests(0, ONLINE)
    b.wait(lambda: b.cpus_json()["standby"] == [1, 2, 3], what="the first")
    b.take_away(3)
    b.wait(lambda: b.cpus_json()["standby"] == [1, 2], what="its end")
    return b.cpus_json()


def cpu3_comes_to_be_kicked(b, within_ms):
    say_ahead(b, 1, within_ms)
    b.add(3)
    b.rests(3, STANDBY)


def reports_of(b, *cpus):
    """The numbers in each of the agent's messages that tells of some of @cpus."""
    told = [[r["cpu"] for r in values["records"] if r["record"] == wire.CPU and r["cpu"] in cpus]
            for kind, values in b.messages if kind == wire.REPORT]  # fmt: skip
    return [numbers for numbers in told if numbers]


def three_come_at_once(b):
    """CPUs 4 to 6, their events waiting before the agent hears of the first."""
    b.process.send_signal(signal.SIGSTOP)
    for cpu in (4, 5, 6):
        b.add(cpu)
    b.messages.clear()
    b.process.send_signal(signal.SIGCONT)
    b.wait(lambda: sum(reports_of(b, 4, 5, 6), []) == [4, 5, 6], what="all of them")
    return reports_of(b, 4, 5, 6)


@case()
def a_cpu_waits_for_the_next_of_its_batch_to_be_told_together():
    with bed() as b:
        b.rests(0, ONLINE)
        say_ahead(b, 4)
        equal(three_come_at_once(b), [[4, 5, 6]])
        b.send(wire.PREPARE, kicks=0, within_ms=0)
        b.wait(lambda: not expedited(b), what="the end of that batch")
        say_ahead(b, 2)
        b.make_cpu(7)
        begun = time.monotonic()
        b.uevent("add", 7)
        b.uevent("bind", 7)
        b.wait(lambda: reports_of(b, 7), what="a CPU that no other follows")
        assert time.monotonic() - begun >= 0.003, "it did not wait for another"


@case()
def the_first_online_waits_until_the_kernel_is_done_with_those_that_come():
    with bed() as b:
        b.rests(0, ONLINE)
        say_ahead(b, 2)
        b.add(4)
        b.wait(lambda: b.of(wire.CPU, cpu=4), what="the CPU")
        begun = time.monotonic()
        kick = b.kick(4, ONLINE, wait=False)
        b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_ONLINE), what="its online")
        assert time.monotonic() - begun >= 0.009, "the other that is to be kicked was not waited for"
        equal(b.done(kick)["rc"], 0)


@case()
def cpus_that_no_kick_is_to_come_for_are_told_together():
    with bed() as b:
        b.rests(0, ONLINE)
        equal(three_come_at_once(b), [[4, 5, 6]])


@case()
def cpus_that_come_while_one_moves_are_told_together():
    with hanging_start(bed(), 1) as b:
        say_ahead(b, 4)
        kick = b.kick(1, ONLINE, wait=False)
        b.wait(lambda: b.of(wire.STEP, kick=kick, state=AP_ONLINE), what="the kernel write")
        equal(three_come_at_once(b), [[4, 5, 6]])
        release_write(b, 1, online=True)
        equal(b.done(kick)["rc"], 0)


@case()
def a_slot_that_is_there_when_the_driver_is_bound_is_told_then():
    with bed() as b:
        b.rests(0, ONLINE)
        b.make_cpu(4)
        os.rename(b.path(CPUS, "cpu4", "firmware_node"), b.path("later"))
        b.uevent("add", 4)
        b.wait(lambda: b.of(wire.CPU, cpu=4, slot=wire.NO_SLOT), what="the CPU")
        os.rename(b.path("later"), b.path(CPUS, "cpu4", "firmware_node"))
        b.uevent("bind", 4)
        b.wait(lambda: b.of(wire.CPU, cpu=4, slot=4), what="its slot")


@case()
def a_bind_of_a_cpu_whose_slot_is_known_is_not_looked_at():
    with bed() as b:
        b.rests(0, ONLINE)
        b.write(CPUS + "/cpu1/firmware_node/path", "\\_SB_.CPUS.C009\n")
        b.uevent("bind", 1)
        b.hear_all()
        equal(b.of(wire.CPU, cpu=1, slot=9), [])


@case()
def a_cpu_that_is_about_to_be_kicked_is_announced_once():
    with bed() as b:
        before = without_cpu3(b)
        cpu3_comes_to_be_kicked(b, 60000)
        b.pump(0.1)
        equal(b.cpus_json(), before)
        b.kick(3, ONLINE)
        after = b.cpus_json()
        equal((after["active"], after["standby"]), ([0, 3], [1, 2]))
        equal(after["serial"], before["serial"] + 1)


@case()
def a_cpu_that_a_kick_leaves_at_standby_is_announced_before_its_result():
    with bed() as b:
        without_cpu3(b)
        cpu3_comes_to_be_kicked(b, 60000)
        b.kick(3, STANDBY)
        equal(b.cpus_json()["standby"], [1, 2, 3])


@case()
def a_cpu_that_is_not_kicked_after_all_is_announced_in_the_end():
    with bed() as b:
        before = without_cpu3(b)
        cpu3_comes_to_be_kicked(b, 400)
        equal(b.cpus_json(), before)
        b.wait(lambda: b.cpus_json()["standby"] == [1, 2, 3], what="its announcement")
        equal(b.cpus_json()["serial"], before["serial"] + 1)


@case()
def the_release_build_has_no_seam():
    release = AGENT[: -len("-test")]
    with open(release, "rb") as f:
        assert b"VCPUHP_TEST" not in f.read()
    with open(AGENT, "rb") as f:
        assert b"VCPUHP_TEST" in f.read()


@case()
def options_are_answered_or_refused():
    for args, status, text in (
        (["--help"], 0, "--allow-fault-injection"),
        (["--version"], 0, r"^vcpuhp-agent \d"),
        (["--nonsense"], 2, "unknown option"),
        (["--port"], 2, "needs a value"),
        (["--config", "/nonexistent.conf"], 1, "No such file"),
    ):
        r = subprocess.run([AGENT] + args, capture_output=True, text=True, timeout=5, check=False)
        equal(r.returncode, status, " ".join(args))
        matches(text, r.stdout if status == 0 else r.stderr)


@case()
def a_configuration_error_names_file_and_line():
    b = bed()
    b.write("etc/vcpuhp/vcpuhp-agent.conf", "[Agent]\nColour=red\n")
    b.start(greet=False)
    equal(b.process.wait(5), 1)
    matches(r"vcpuhp-agent.conf:2: unknown key", b.said())
    b.close()


@case()
def a_reload_while_it_starts_ends_nothing():
    """Its configuration is a pipe, so that it is still at the start when the signal comes."""
    with tempfile.TemporaryDirectory() as root:
        os.mkfifo(os.path.join(root, "conf"))
        with subprocess.Popen([AGENT, "--root", root, "--config", "/conf"], stderr=subprocess.PIPE, text=True) as p:
            writing = None
            while writing is None:
                try:
                    writing = os.open(os.path.join(root, "conf"), os.O_WRONLY | os.O_NONBLOCK)
                except OSError as e:
                    equal(e.errno, ENXIO, "not opened for reading yet")
                    equal(p.poll(), None)
            p.send_signal(signal.SIGHUP)
            os.write(writing, b"[Agent]\nColour=red\n")
            os.close(writing)
            matches("/conf:2: unknown key", p.communicate(timeout=5)[1])
            equal(p.returncode, 1)


def main():
    global AGENT
    args = sys.argv[1:]
    if "--agent" in args:
        at = args.index("--agent")
        AGENT = os.path.abspath(args[at + 1])
        del args[at : at + 2]
    sys.argv[1:] = args
    tap.main()


if __name__ == "__main__":
    main()
