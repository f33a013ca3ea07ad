#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What others do to the same CPUs: root in the guest, an administrator at QEMU, a reboot."""

import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import Daemon
from scene import (FOLDER, all_agree, callback, callbacks, calls, done, drift_of, forget_calls, result,
                   running)  # fmt: skip
from tap import case, equal
from vm import VM, wait_for

NOTICED = 5


def wait_drift(d, vcpu, seconds=NOTICED):
    return wait_for(lambda: drift_of(d, vcpu), seconds,
                    lambda: "drift of vCPU %d: %s" % (vcpu, d.brief()), pause=0.05)  # fmt: skip


@case()
def cpus_online_at_boot_are_adopted():
    with running(smp=3, files=callbacks(_10_log="")) as (vm, d):
        equal(d.states(), {0: "online", 1: "online", 2: "online"})
        equal(sorted((c.what, c.cpu, c.ran_on) for c in calls(vm)), [("startup", n, n) for n in range(3)])
        equal({v["vcpu"]: v["boot"] for v in d.info()["vcpus"][:3]}, {0: True, 1: True, 2: True})
        equal([drift_of(d, n) for n in range(3)], [None] * 3, "drift")
        a = done(d.setvcpus(4), present=4, online=4)
        equal([v["vcpu"] for v in a.result["vcpus"]], [3])


@case()
def a_standby_cpu_onlined_by_root_is_parked_once_then_shown_as_drift():
    with running() as (vm, d):
        done(d.setvcpus(1, "--standby", 1))
        vm.onliner(1)
        wait_for(lambda: vm.guest_online() == [0], NOTICED, "CPU 1 parked again")
        vm.onliner(1)
        wait_drift(d, 1)
        equal(vm.guest_online(), [0, 1], "the second time it is left")


@case()
def a_foreign_plug_is_shown_and_left_alone():
    with running() as (vm, d):
        vm.plug(1)
        v = wait_for(lambda: next((v for v in d.info()["vcpus"] if v["vcpu"] == 1 and v["cpu"]), None),
                     NOTICED, "the foreign vCPU in info")  # fmt: skip
        equal(v["owned"], False)
        equal(vm.guest_online(), [0])
        wait_drift(d, 1)


@case()
def a_foreign_cpu_onlined_by_root_is_adopted_and_shown():
    with running(files=callbacks(_10_log="")) as (vm, d):
        vm.plug(1)
        wait_for(lambda: vm.guest_present() == [0, 1], 5, "present in the guest")
        vm.onliner(1)
        wait_for(lambda: d.states().get(1) == "online", NOTICED, d.brief, pause=0.05)
        equal([(c.what, c.ran_on) for c in calls(vm, 1)], [("startup", 1)], "adoption's callbacks")
        all_agree(vm, d, 2, 2)
        result(d.setvcpus(1), 4, "refused")
        equal(vm.sent("device_del"), [], "a foreign vCPU is not removed")
        done(d.setvcpus(1, "--foreign"), present=1, online=1)
        all_agree(vm, d, 1, 1)


@case()
def a_foreign_plug_is_brought_online_where_so_configured():
    with running(domain={"Foreign": "online"}) as (vm, d):
        vm.plug(1)
        wait_for(lambda: d.states().get(1) == "online", 2 * NOTICED, d.brief,
                 pause=0.05)  # fmt: skip
        all_agree(vm, d, 2, 2)


@case()
def a_cpu_taken_offline_by_root_is_drift_within_5_s():
    with running(files=callbacks(_10_log="")) as (vm, d):
        done(d.setvcpus(3))
        forget_calls(vm)
        vm.onliner(2, False)
        wait_drift(d, 2)
        late = [c for c in calls(vm, 2) if c.what == "teardown"]
        equal([c.late for c in late], [True], "its teardown runs late and says so")
        equal(d.counts()[1], 2, "online in info")
        done(d.setvcpus(3), present=3, online=3)
        all_agree(vm, d, 3, 3)


# Enough for any buffer: the agent's is of 8 MiB, and an event costs more than 700 bytes of it.
FLOOD = "i=0; while [ $i -lt 20000 ]; do echo change > /sys/devices/system/cpu/cpu0/uevent; i=$((i+1)); done"


@case(deadline=120)
def events_that_were_made_up_or_lost_leave_the_truth():
    with running(files=callbacks(_10_log="")) as (vm, d):
        done(d.setvcpus(3))
        forget_calls(vm)
        agent = vm.agent_pid()
        vm.guest("kill -STOP %d; echo remove > /sys/devices/system/cpu/cpu1/uevent; %s" % (agent, FLOOD),
                 seconds=90)  # fmt: skip
        vm.onliner(2, False)
        vm.guest("kill -CONT %d" % agent)
        wait_for(lambda: d.states() == {0: "online", 1: "online", 2: "standby"}, 20, d.brief, pause=0.1)
        wait_for(lambda: "uevents were lost" in vm.agent_log(), 5, vm.agent_log)
        equal([(c.what, c.cpu, c.late) for c in calls(vm)], [("teardown", 2, True)])
        wait_drift(d, 2)
        # The next event is heard.
        vm.onliner(2)
        wait_for(lambda: d.states().get(2) == "online", NOTICED, d.brief, pause=0.05)
        all_agree(vm, d, 3, 3)


@case()
def a_cpu_that_is_back_in_service_is_told_as_taken_away_no_more():
    with running() as (vm, d):
        done(d.setvcpus(2))
        listener = d.begin("events", "web1", "--timeout", "8")
        vm.onliner(1, False)
        wait_drift(d, 1)
        done(d.setvcpus(2), present=2, online=2)
        # Each makes the agent tell its rows anew.
        for command in ("install", "rm"):
            if command == "install":
                vm.write(FOLDER + "50-new", callback()[1], 0o755)
            else:
                vm.guest("rm %s50-new" % FOLDER)
            before = vm.agent_log()
            vm.guest("kill -HUP $(cat /run/agent.pid)")
            wait_for(lambda before=before: "50-new: " in vm.agent_log()[len(before):], 5, vm.agent_log)
        told = [o for o in listener.wait(20).lines if o.get("type") == "drift" and "taken away" in (o["text"] or "")]
        equal([o["vcpu"] for o in told], [1])


def reboot(vm, d):
    """Until the agent of the new kernel is heard."""
    before = d.info()["agent"]["boot_id"]
    vm.qmp("system_reset")
    wait_for(lambda: d.info()["agent"]["boot_id"] not in (before, None), 60, "the new kernel's agent")


@case()
def a_guest_that_reboots_is_adopted_again_and_standby_is_parked_again():
    with running(files=callbacks(_10_log="")) as (vm, d):
        done(d.setvcpus(2, "--standby", 1))
        reboot(vm, d)
        wait_for(lambda: d.states() == {0: "online", 1: "online", 2: "standby"}, 30,
                 lambda: "after the reboot: " + d.brief(), pause=0.1)  # fmt: skip
        all_agree(vm, d, 3, 2, standby=1)


@case()
def an_agent_that_is_started_late_finds_what_is_there():
    with VM(smp=2, agent=False) as vm, Daemon(vm) as d:
        vm.guest("vcpuhp-agent >> /run/agent.log 2>&1 & echo $! > /run/agent.pid")
        d.wait_idle_online(2)
        all_agree(vm, d, 2, 2)


if __name__ == "__main__":
    tap.main()
