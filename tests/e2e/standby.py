#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vCPUs that rest: plugged, present in the guest, parked."""

import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from scene import all_agree, callbacks, calls, done, forget_calls, running
from tap import case, equal
from vm import wait_for


@case()
def standby_vcpus_rest_plugged_and_are_taken_first():
    with running(files=callbacks(_10_log="")) as (vm, d):
        done(d.setvcpus(2, "--standby", 2), present=4, online=2, standby=2)
        all_agree(vm, d, 4, 2, standby=2)
        equal({c.cpu for c in calls(vm)}, {0, 1}, "CPUs whose callbacks ran")
        plugs = len(vm.sent("device_add"))
        done(d.setvcpus(4), present=4, online=4, standby=0)
        equal(len(vm.sent("device_add")), plugs, "device_adds after going up from standby")
        all_agree(vm, d, 4, 4)


@case()
def going_down_with_standby_keeps_the_vcpus_plugged():
    with running(files=callbacks(_10_log="")) as (vm, d):
        done(d.setvcpus(4))
        forget_calls(vm)
        done(d.setvcpus(2, "--standby", 2), present=4, online=2, standby=2)
        all_agree(vm, d, 4, 2, standby=2)
        equal(sorted((c.what, c.cpu) for c in calls(vm)), [("teardown", 2), ("teardown", 3)])
        equal(vm.sent("device_del"), [])
        done(d.setvcpus(2, "--standby", 0), present=2, online=2, standby=0)
        all_agree(vm, d, 2, 2)


@case()
def the_highest_leave_and_the_lowest_rest():
    with running() as (vm, d):
        done(d.setvcpus(4, "--standby", 1), present=5, online=4, standby=1)
        equal(d.states()[4], "standby")
        done(d.setvcpus(2, "--standby", 2), present=4, online=2, standby=2)
        equal(d.states(), {0: "online", 1: "online", 2: "standby", 3: "standby"})
        all_agree(vm, d, 4, 2, standby=2)


HELPER = """for p in $(cat /proc/%d/task/%d/children); do
	set -- $(cut -d ')' -f 2 /proc/$p/stat); [ "${17}" != -10 ] || echo $p
done"""


def kept_on(vm):
    """What the kernel lets run on: the agent's own process, and the helper that does its kernel writes."""
    pid = vm.agent_pid()
    pids = [pid] + vm.guest(HELPER % (pid, pid)).split()
    return [vm.guest("grep Cpus_allowed_list: /proc/%s/status" % p).split()[1] for p in pids]


def wait_kept_on(vm, cpus):
    wait_for(lambda: kept_on(vm) == [cpus, cpus], 5, lambda: kept_on(vm))


@case()
def the_agent_runs_on_cpus_in_service_alone():
    with running() as (vm, d):
        done(d.setvcpus(2, "--standby", 1))
        wait_kept_on(vm, "0-1")
        done(d.setvcpus(1, "--standby", 2))
        wait_kept_on(vm, "0")
        done(d.setvcpus(3))
        wait_kept_on(vm, "0-2")
        # Not on 1, says somebody, while that one is there.
        vm.guest("taskset -p 5 %d" % vm.agent_pid())
        done(d.setvcpus(2, "--standby", 1))
        wait_kept_on(vm, "0")
        done(d.setvcpus(4))
        wait_kept_on(vm, "0,2")
        done(d.setvcpus(1))
        wait_kept_on(vm, "0")
        all_agree(vm, d, 1, 1)


@case()
def single_vcpus_are_parked_enabled_and_removed():
    with running() as (vm, d):
        done(d.setvcpu("1-2", "--standby"), present=3, online=1, standby=2)
        equal(d.states(), {0: "online", 1: "standby", 2: "standby"})
        done(d.setvcpu("1", "--enable"), present=3, online=2, standby=1)
        done(d.setvcpu("1", "--standby"), present=3, online=1, standby=2)
        done(d.setvcpu("1-2", "--enable"), present=3, online=3, standby=0)
        done(d.setvcpu("2", "--disable"), present=2, online=2, standby=0)
        done(d.setvcpu("1", "--disable"), present=1, online=1, standby=0)
        all_agree(vm, d, 1, 1)


@case()
def a_vcpu_can_be_taken_to_a_state_between():
    with running(files=callbacks(_10_log="", _20_more="")) as (vm, d):
        for state, name in (("ap:threads", "ap:threads"), ("12", "ap:dyn.10-log"), ("online", "online"),
                            ("ap:dyn.20-more", "ap:dyn.20-more"), ("standby", "standby"),
                            ("ap:verify", "ap:verify"), ("offline", None)):  # fmt: skip
            a = done(d.ctl("target", "web1", "1", state))
            equal(d.states().get(1), name, "after target %s: %s" % (state, a))
        equal([(c.name, c.what) for c in calls(vm, 1)], [
            ("10-log", "startup"), ("20-more", "startup"),
            ("20-more", "teardown"), ("10-log", "teardown")], "what ran on CPU 1")  # fmt: skip


@case()
def counts_are_told_apart():
    with running() as (vm, d):
        done(d.setvcpus(2, "--standby", 1))
        for option, wanted in (("--maximum", 32), ("--present", 3), ("--online", 2), ("--standby", 1)):
            a = d.ctl("vcpucount", "web1", option, json_output=False)
            equal((a.exit, a.out.strip()), (0, str(wanted)), option)


if __name__ == "__main__":
    tap.main()
