#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The founding rules, each shown on a real guest."""

import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import Daemon
from scene import (FOLDER, all_agree, callback, callbacks, calls, done, drift_of, fails, forget_calls,
                   no_agent, nothing_unplugged, replace_agent, result, running, wait_kernel_ladder)  # fmt: skip
from tap import case, equal, matches
from vm import VM, wait_for

WORKERS = ("ap:verify", "ap:active")


def order(vm, cpu):
    return [(c.name, c.what) for c in calls(vm, cpu)]


def rescan(vm):
    vm.guest("kill -HUP $(cat /run/agent.pid)")


def wait_log(vm, pattern, seconds=10):
    wait_for(lambda: __import__("re").search(pattern, vm.agent_log()), seconds,
             lambda: "%s in the agent's log:\n%s" % (pattern, vm.agent_log()))  # fmt: skip


@case()
def R1_callbacks_run_on_the_hotplugged_vcpu_both_ways():
    with running(files=callbacks(_10_one="", _20_two="")) as (vm, d):
        up = done(d.setvcpus(4))
        down = done(d.setvcpus(1))
        for a in (up, down):
            reports = [p for p in a.steps(phase="exit")
                       if p["name"].startswith("ap:dyn.") or p["name"] in WORKERS]  # fmt: skip
            assert len(reports) >= 3 * 3, "%d reports of the worker's states" % len(reports)
            for p in reports:
                equal(p["ran_on"], p["cpu"], "the CPU that ran %s of CPU %s" % (p["name"], p["cpu"]))
        seen = calls(vm)
        equal(len(seen), 2 + 3 * 4, "calls: adoption of CPU 0, up and down on three")
        equal([c for c in seen if c.ran_on != c.cpu], [], "calls on another CPU")


@case()
def R2_R3_each_side_stops_at_standby():
    with running() as (vm, d):
        a = done(d.setvcpus(1, "--standby", 1))
        entered = [p["state"] for p in a.steps(1, "enter")]
        assert max(entered) <= 6, "to standby, but entered %s" % entered
        a = done(d.setvcpu(1, "--enable"))
        entered = [p["state"] for p in a.steps(1, "enter")]
        assert min(entered) >= 5, "from standby, but entered %s" % entered
        a = done(d.setvcpu(1, "--standby"))
        entered = [p["state"] for p in a.steps(1, "enter")]
        assert min(entered) >= 5, "down to standby, but entered %s" % entered


@case()
def R4_a_kick_that_fails_was_rolled_back_by_the_agent_and_the_host_undoes_nothing():
    with running(files=callbacks(_10_log="", _20_deny=fails("startup", 1, 5))) as (vm, d):
        done(d.setvcpus(1, "--standby", 1))
        a = result(d.setvcpu(1, "--enable"), 1, "failed")
        equal((a.vcpu(1)["rc"], a.vcpu(1)["failed_at"]), (5, "ap:dyn.20-deny"))
        equal(d.states()[1], "standby", "back where it was")
        nothing_unplugged(vm)
        host = [p["name"] for p in a.steps(1) if p["state"] < 5]
        equal(host, [], "host steps walked")
        forget_calls(vm)
        done(d.setvcpu(1, "--standby"))
        equal(calls(vm), [], "a kick to the state it is in does nothing")


@case()
def R8_a_startup_that_fails_tears_down_in_reverse():
    files = callbacks(_10_a="", _20_b="", _30_c=fails("startup", 1, 9), _40_d="")
    with running(files=files) as (vm, d):
        a = result(d.setvcpus(2), 1, "failed")
        equal((a.vcpu(1)["rc"], a.vcpu(1)["failed_at"]), (9, "ap:dyn.30-c"), "the step's error is the result")
        equal(order(vm, 1), [("10-a", "startup"), ("20-b", "startup"), ("30-c", "startup"),
                             ("20-b", "teardown"), ("10-a", "teardown")])  # fmt: skip
        all_agree(vm, d, 1, 1)


@case()
def R9_a_teardown_that_fails_starts_up_again_and_the_cpu_stays():
    files = callbacks(_10_a="", _20_b=fails("teardown", 1, 6), _30_c="", _40_d="")
    with running(files=files) as (vm, d):
        done(d.setvcpus(2))
        forget_calls(vm)
        a = result(d.setvcpus(1), 4, "refused")
        equal((a.vcpu(1)["rc"], a.vcpu(1)["failed_at"]), (6, "ap:dyn.20-b"))
        equal(order(vm, 1), [("40-d", "teardown"), ("30-c", "teardown"), ("20-b", "teardown"),
                             ("30-c", "startup"), ("40-d", "startup")])  # fmt: skip
        nothing_unplugged(vm)
        all_agree(vm, d, 2, 2)


@case()
def R10_a_state_that_is_no_target_is_refused():
    with running() as (vm, d):
        for state in ("1", "2", "3", "4", "5", "7", "13"):
            equal(d.ctl("target", "web1", "1", state).exit, 4, "target " + state)
        equal(vm.sent("device_add"), [])


def _edge(answer, vcpu, state, phase):
    found = [p["t_ms"] for p in answer.steps(vcpu, phase) if p["state"] == state]
    equal(len(found), 1, "state %d, %s, of %s" % (state, phase, answer.steps(vcpu)))
    return found[0]


@case()
def R11_the_worker_is_parked_before_the_offline_and_unparked_after_the_online():
    with running() as (vm, d):
        wait_kernel_ladder(vm)
        before = int(vm.guest("pidof vcpuhp-agent | wc -w"))
        up = done(d.setvcpus(2))
        assert _edge(up, 1, 7, "exit") <= _edge(up, 1, 8, "enter"), "unparked before the online"
        down = done(d.setvcpu(1, "--standby"))
        assert _edge(down, 1, 8, "exit") <= _edge(down, 1, 7, "enter"), "offline before the parking"
        kernel = [p["t_ms"] for p in down.steps(1, "enter", kernel=True)]
        assert kernel and _edge(down, 1, 8, "exit") <= min(kernel) + 1, "the kernel went first"
        wait_for(lambda: int(vm.guest("pidof vcpuhp-agent | wc -w")) <= before + 1, 5, "no worker is left")


@case()
def R12_a_new_callback_runs_on_every_cpu_at_once():
    with running() as (vm, d):
        done(d.setvcpus(3))
        vm.write(FOLDER + "50-new", callback()[1], 0o755)
        rescan(vm)
        wait_for(lambda: len(calls(vm)) == 3, 10, lambda: "three startups: %s" % calls(vm))
        equal(sorted((c.what, c.cpu, c.ran_on) for c in calls(vm)), [("startup", n, n) for n in range(3)])
        wait_for(lambda: any(s["name"] == "ap:dyn.50-new" for s in d.ctl("states", "web1").lines), 5,
                 "50-new in states")  # fmt: skip
        forget_calls(vm)
        vm.guest("rm %s50-new" % FOLDER)
        rescan(vm)
        wait_for(lambda: len(calls(vm)) == 3, 10, lambda: "three teardowns: %s" % calls(vm))
        equal(sorted((c.what, c.cpu, c.ran_on) for c in calls(vm)), [("teardown", n, n) for n in range(3)])


@case()
def R12_a_callback_that_fails_on_one_cpu_is_not_registered():
    with running() as (vm, d):
        done(d.setvcpus(3))
        vm.write(FOLDER + "50-new", callback(fails("startup", 2, 4))[1], 0o755)
        rescan(vm)

        def undone():
            seen = calls(vm)
            ups = {c.cpu for c in seen if c.what == "startup"} - {2}
            return 2 in {c.cpu for c in seen} and ups == {c.cpu for c in seen if c.what == "teardown"}

        wait_for(undone, 10, lambda: "those done are torn down: %s" % calls(vm))
        equal([s["name"] for s in d.ctl("states", "web1").lines if s["name"] == "ap:dyn.50-new"], [])
        all_agree(vm, d, 3, 3)


@case()
def R14_removed_is_said_once_the_slot_is_empty():
    with running() as (vm, d):
        done(d.setvcpus(2))
        listener = d.begin("events", "web1", "--timeout", "3")
        wait_for(lambda: listener.popen.poll() is None, 1, "the listener")
        done(d.setvcpus(1))
        equal(vm.qemu_present(), [0])
        removed = [o for o in listener.wait(20).lines if o.get("type") == "removed"]
        equal([o["vcpu"] for o in removed], [1])


@case()
def R17_a_rollback_that_fails_too_stops_there_and_says_both():
    files = callbacks(_10_a=fails("teardown", 1, 7), _20_b=fails("startup", 1, 8))
    with running(files=files) as (vm, d):
        a = result(d.setvcpus(2), 12, "stuck")
        v = a.vcpu(1)
        equal((v["failed_at"], v["rc"]), ("ap:dyn.20-b", 8), "the first error")
        equal((v["rollback"]["failed_at"], v["rollback"]["rc"]), ("ap:dyn.10-a", 7), "the second")
        equal((v["state"], v["name"]), (12, "ap:dyn.10-a"), "where it stopped")
        equal(d.states()[1], "ap:dyn.10-a")
        equal(order(vm, 1), [("10-a", "startup"), ("20-b", "startup"), ("10-a", "teardown")], "nothing loops")
        nothing_unplugged(vm)


@case()
def R18_an_armed_failure_fires_once():
    with running(agent_args="--allow-fault-injection") as (vm, d):
        done(d.setvcpus(1, "--standby", 1))
        for state in ("ap:verify", "ap:online"):
            equal(d.ctl("fail", "web1", "1", state).exit, 0, "arming " + state)
            a = result(d.setvcpu(1, "--enable"), 1, "failed")
            equal((a.vcpu(1)["rc"], a.vcpu(1)["failed_at"]), (-11, state))
            equal(d.states()[1], "standby")
        done(d.setvcpu(1, "--enable"))
        equal(d.ctl("fail", "web1", "1", "standby").exit, 4, "a state without a callback")
        a = d.ctl("fail", "web1", "2", "ap:verify")
        equal((a.exit, a.result["error"]["code"]), (4, "Refused"), "a vCPU that the guest does not have")
        matches("take it to standby first", a.result["error"]["text"])


@case()
def R18_without_leave_nothing_can_be_armed():
    with running(daemon={"AllowFaultInjection": "no"}) as (vm, d):
        assert d.ctl("fail", "web1", "1", "qemu:device").exit in (4, 7)
        done(d.setvcpus(2))


@case()
def R19_what_the_record_of_this_boot_says_was_done_is_not_done_again():
    with running(files=callbacks(_10_log="")) as (vm, d):
        done(d.setvcpus(3))
        forget_calls(vm)
        replace_agent(vm)
        d.wait_idle_online(3)
        vm.plug(3)
        wait_for(lambda: 3 in vm.guest_present(), 5, "a foreign CPU")
        vm.onliner(3)
        wait_for(lambda: d.states().get(3) == "online", 10, d.brief, pause=0.05)
        equal([(c.what, c.cpu, c.ran_on) for c in calls(vm)], [("startup", 3, 3)], "adopted: only the new one")


@case()
def R19_a_cpu_taken_away_while_no_agent_ran_is_no_success():
    with running(files=callbacks(_10_log="")) as (vm, d):
        done(d.setvcpus(3))
        forget_calls(vm)
        with no_agent(vm):
            vm.onliner(2, False)
        wait_for(lambda: d.states().get(2) == "standby" and drift_of(d, 2), 10, d.brief, pause=0.05)
        equal([(c.what, c.cpu, c.late) for c in calls(vm)], [("teardown", 2, True)], "what was done there")
        forget_calls(vm)
        vm.onliner(2)
        wait_for(lambda: d.states().get(2) == "online", 10, d.brief, pause=0.05)
        equal([(c.what, c.cpu, c.ran_on) for c in calls(vm)], [("startup", 2, 2)], "adopted anew")
        all_agree(vm, d, 3, 3)


@case()
def R19_a_cpu_that_was_offline_for_a_moment_is_adopted_anew():
    with running(files=callbacks(_10_log="")) as (vm, d):
        done(d.setvcpus(3))
        again = [("teardown", 2, True), ("startup", 2, False)]
        forget_calls(vm)
        agent = vm.agent_pid()
        vm.guest("kill -STOP %d" % agent)
        vm.onliner(2, False)
        vm.onliner(2)
        vm.guest("kill -CONT %d" % agent)
        wait_for(lambda: [(c.what, c.cpu, c.late) for c in calls(vm)] == again, 10, lambda: calls(vm))
        wait_for(lambda: d.states().get(2) == "online", 10, d.brief, pause=0.05)
        forget_calls(vm)
        with no_agent(vm):
            vm.onliner(2, False)
            vm.onliner(2)
        wait_for(lambda: [(c.what, c.cpu, c.late) for c in calls(vm)] == again, 10, lambda: calls(vm))
        wait_for(lambda: d.states().get(2) == "online", 10, d.brief, pause=0.05)
        all_agree(vm, d, 3, 3)


@case()
def R19_an_adoption_that_fails_is_drift_and_takes_nothing_offline():
    with VM(smp=2, files=callbacks(_10_deny=fails("startup", 1, 2))) as vm, Daemon(vm) as d:
        wait_for(lambda: d.states() == {0: "online", 1: "ap:threads"} and drift_of(d, 1), 20, d.brief,
                 pause=0.05)  # fmt: skip
        matches("10-deny", drift_of(d, 1))
        equal(vm.guest_online(), [0, 1])


if __name__ == "__main__":
    tap.main()
