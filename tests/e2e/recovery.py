#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whoever is killed when: nothing is lost, half plugged or unaccounted."""

import signal
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from scene import all_agree, callbacks, calls, done, replace_agent, result, running
from tap import case, equal, matches
from vm import wait_for

# The callback of CPU 2 says that it runs and waits until it may go on.
GATE = '[ "$1 $2" != "startup 2" ] || { touch /run/inside; while [ ! -e /run/go ]; do usleep 20000; done; }'


def wait_inside(vm):
    wait_for(lambda: vm.guest("test -e /run/inside", check=False)[0] == 0, 20, "the callback on CPU 2")


def settled(vm, d, seconds=30):
    """QEMU, guest and info agree, nothing is pending or in transition. Return (present, online)."""

    def agree():
        i = d.info()
        qemu, present, online = vm.counts()
        resting = all(v["state"] in (None, 0, 6, 44) and not v["pending"] for v in i["vcpus"])
        if i["present"] == qemu == present and i["online"] == online and resting and not busy(d):
            return (qemu, online)
        return None

    return wait_for(agree, seconds, lambda: "agreement: %s, info %s" % (
        vm.counts(), [v for v in d.info()["vcpus"] if v["state"]]), pause=0.1)  # fmt: skip


def busy(d):
    return any(o["result"] == "accepted" for o in d.ctl("ops").lines)


@case(deadline=90)
def an_agent_killed_in_the_middle_loses_no_vcpu():
    with running(files=callbacks(_10_gate=GATE)) as (vm, d):
        asking = d.begin("setvcpus", "web1", "3")
        wait_inside(vm)
        killed = vm.agent_pid()
        vm.guest("kill -9 %d; touch /run/go" % killed)
        wait_for(lambda: vm.agent_pid() != killed, 10, "another agent")
        a = asking.wait(60)
        assert a.exit in (0, 1), "%s" % a
        count = 3 if a.exit == 0 else 1
        equal(settled(vm, d), (count, count), "after %s" % a)


@case(deadline=90)
def an_agent_killed_while_the_kernel_onlines_a_cpu_is_made_up_for():
    """The kernel's write goes on without it; the next agent is kicked again."""
    with running() as (vm, d):
        killed = vm.agent_pid()
        asking = d.begin("setvcpus", "web1", "5")
        asking.until('"name":"ap:online","phase":"enter"')
        vm.guest("kill -9 %d" % killed)
        wait_for(lambda: vm.agent_pid() != killed, 10, "another agent")
        done(asking.wait(60), present=5)
        all_agree(vm, d, 5, 5)


@case(deadline=90)
def a_guest_reset_in_the_middle_of_an_add_has_it_undone():
    """The new kernel brings all of them online; the vCPUs of the operation leave nevertheless."""
    with running(files=callbacks(_10_gate=GATE)) as (vm, d):
        asking = d.begin("setvcpus", "web1", "3")
        wait_inside(vm)
        before = d.info()["agent"]["boot_id"]
        vm.qmp("system_reset")
        a = result(asking.wait(60), 1, "failed")
        matches("the guest was reset", a.vcpu(2)["error"])
        equal([v["result"] for v in a.result["vcpus"]], ["rolled-back", "failed"], "%s" % a)
        assert d.info()["agent"]["boot_id"] not in (before, None), "the new kernel's agent"
        all_agree(vm, d, 1, 1)


@case()
def a_vm_that_dies_in_the_middle_of_a_removal_is_11():
    gate = '[ "$1 $2" != "teardown 2" ] || { touch /run/inside; while [ ! -e /run/go ]; do usleep 20000; done; }'
    with running(files=callbacks(_10_gate=gate)) as (vm, d):
        done(d.setvcpus(3))
        asking = d.begin("setvcpus", "web1", "1")
        wait_inside(vm)
        vm.process.stop(signal.SIGKILL)
        a = asking.wait(10)
        equal((a.exit, a.result["result"], a.vcpu(2)["result"]), (11, "vm-gone", "gone"), "%s" % a)
        equal([a.result[k] for k in ("present", "online", "standby")], [None] * 3)
        equal(d.counts(), (None, None, None))


@case()
def an_agent_killed_while_idle_runs_nothing_twice():
    with running(files=callbacks(_10_log="")) as (vm, d):
        done(d.setvcpus(3))
        before = calls(vm)
        replace_agent(vm)
        d.wait_idle_online(3)
        all_agree(vm, d, 3, 3)
        equal("%s" % calls(vm), "%s" % before, "callbacks that ran")
        done(d.setvcpus(1))
        all_agree(vm, d, 1, 1)


@case()
def interrupting_the_client_leaves_the_operation_running():
    with running(files=callbacks(_10_gate=GATE)) as (vm, d):
        asking = d.begin("setvcpus", "web1", "3", "--op-id", "job-7")
        wait_inside(vm)
        asking.interrupt()
        a = asking.wait(10)
        equal(a.exit, 130, "%s" % a)
        assert "job-7" in a.err + a.out, a
        vm.guest("touch /run/go")
        done(d.ctl("wait", "job-7", "--timeout", "30"), present=3, online=3)
        all_agree(vm, d, 3, 3)


@case()
def a_daemon_interrupted_in_the_middle_finds_the_truth_when_it_is_back():
    with running(files=callbacks(_10_gate=GATE)) as (vm, d):
        asking = d.begin("setvcpus", "web1", "3", "--op-id", "job-5")
        wait_inside(vm)
        equal(d.stop(signal.SIGINT), 0, "exit status of the daemon after Ctrl-C")
        assert asking.wait(10).exit in (9, 11, 1), "the client was told"
        d.start()
        vm.guest("touch /run/go")
        done(d.ctl("wait", "job-5", "--timeout", "60"), present=3, online=3)
        equal(settled(vm, d), (3, 3))
        equal([(c.name, c.what) for c in calls(vm, 2)], [("10-gate", "startup")], "run once")


@case()
def a_daemon_killed_in_the_middle_finds_the_truth_when_it_is_back():
    with running(files=callbacks(_10_gate=GATE)) as (vm, d):
        asking = d.begin("setvcpus", "web1", "3", "--op-id", "job-6")
        wait_inside(vm)
        waiting = d.begin("setvcpus", "web1", "4", "--op-id", "job-7")
        wait_for(lambda: len(d.ctl("ops").lines) == 2, 5, "both operations")
        d.stop(signal.SIGKILL)
        a = asking.wait(10)
        equal(a.exit, 9, "%s" % a)
        assert "vcpuhpctl wait job-6" in a.err, a
        equal(waiting.wait(10).exit, 9)
        # The callback ends while no daemon is there.
        vm.guest("touch /run/go")
        d.start()
        done(d.ctl("wait", "job-6", "--timeout", "60"), present=3, online=3)
        a = result(d.ctl("wait", "job-7"), 1, "failed")
        equal(a.result["error"], "daemon restarted")
        equal(settled(vm, d), (3, 3))
        done(d.setvcpus(1), present=1, online=1)
        all_agree(vm, d, 1, 1)


@case()
def a_callback_that_fails_while_no_daemon_is_there_fails_the_operation():
    deny = GATE + '; [ "$1 $2" != "startup 2" ] || exit 3'
    with running(files=callbacks(_10_gate=deny)) as (vm, d):
        asking = d.begin("setvcpus", "web1", "3", "--op-id", "job-9")
        wait_inside(vm)
        d.stop(signal.SIGKILL)
        asking.wait(10)
        vm.guest("touch /run/go")
        d.start()
        a = result(d.ctl("wait", "job-9", "--timeout", "60"), 1, "failed")
        v = a.vcpu(2)
        equal((v["result"], v["failed_at"], v["rc"]), ("failed", "ap:dyn.10-gate", 3), "%s" % a)
        equal(a.vcpu(1)["result"], "rolled-back")
        all_agree(vm, d, 1, 1)
        equal([c.what for c in calls(vm, 2)], ["startup"], "run once")


@case()
def an_operation_of_the_daemon_before_can_be_cancelled():
    with running(files=callbacks(_10_gate=GATE)) as (vm, d):
        asking = d.begin("setvcpus", "web1", "3", "--op-id", "job-10")
        wait_inside(vm)
        d.restart(signal.SIGKILL)
        asking.wait(10)
        d.wait_agent()
        d.ctl("cancel", "job-10")
        result(d.ctl("wait", "job-10", "--timeout", "60"), 1, "cancelled")
        all_agree(vm, d, 1, 1)


@case()
def a_second_operation_waits_for_the_first():
    with running(files=callbacks(_10_gate=GATE)) as (vm, d):
        first = d.begin("setvcpus", "web1", "3")
        wait_inside(vm)
        second = d.begin("setvcpus", "web1", "4")
        wait_for(lambda: len(d.ctl("ops").lines) == 2, 5, "both operations")
        vm.guest("touch /run/go")
        done(first.wait(30), online=3)
        done(second.wait(30), online=4)
        all_agree(vm, d, 4, 4)


@case()
def an_operation_can_be_cancelled():
    with running(files=callbacks(_10_gate=GATE)) as (vm, d):
        asking = d.begin("setvcpus", "web1", "3", "--op-id", "job-8")
        wait_inside(vm)
        d.ctl("cancel", "job-8")
        a = asking.wait(40)
        equal((a.exit, a.result["result"]), (1, "cancelled"), "%s" % a)
        all_agree(vm, d, 1, 1)


@case()
def an_add_past_its_deadline_is_rolled_back():
    with running(files=callbacks(_10_gate=GATE)) as (vm, d):
        a = result(d.setvcpus(3, "--timeout", 3), 1, "failed")
        v = a.vcpu(2)
        equal((v["result"], v["failed_at"], v["rc"]), ("rolled-back", "ap:dyn.10-gate", -110), "%s" % a)
        equal(a.vcpu(1)["result"], "rolled-back")
        all_agree(vm, d, 1, 1)


@case()
def a_vm_that_dies_in_the_middle_is_11():
    with running(files=callbacks(_10_gate=GATE)) as (vm, d):
        asking = d.begin("setvcpus", "web1", "3")
        wait_inside(vm)
        vm.process.stop(signal.SIGKILL)
        a = asking.wait(10)
        equal((a.exit, a.result["result"]), (11, "vm-gone"), "%s" % a)


if __name__ == "__main__":
    tap.main()
