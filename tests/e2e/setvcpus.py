#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""setvcpus on a real guest: when it says 0, and what it leaves behind when it does not."""

import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from scene import (all_agree, callbacks, calls, done, fails, nothing_unplugged, result, running)  # fmt: skip
from tap import case, equal, matches

WORKER_STATES = ("ap:threads", "ap:verify", "ap:active")


@case()
def exit_0_when_each_of_four_vcpus_ran_its_callbacks_itself():
    with running(files=callbacks(_10_log="")) as (vm, d):
        a = done(d.setvcpus(4), asked=4, present=4, online=4, standby=0)
        all_agree(vm, d, 4, 4)
        equal(sorted((c.name, c.what, c.cpu, c.ran_on) for c in calls(vm)),
              [("10-log", "startup", n, n) for n in range(4)], "callbacks that ran")  # fmt: skip
        for n in (1, 2, 3):
            v = a.vcpu(n)
            equal((v["result"], v["state"], v["name"], v["ran_on"]), ("ok", 44, "online", v["cpu"]))
            left = {p["name"]: p for p in a.steps(n, "exit")}
            for name in WORKER_STATES + ("ap:dyn.10-log",):
                equal((left[name]["rc"], left[name]["ran_on"]), (0, v["cpu"]), "report of " + name)


@case()
def a_callback_that_exits_3_on_the_third_vcpu_undoes_all():
    with running(files=callbacks(_10_deny=fails("startup", 3, 3))) as (vm, d):
        a = result(d.setvcpus(4, "--policy", "all"), 1, "failed")
        v = a.vcpu(3)
        equal((v["rc"], v["failed_at"]), (3, "ap:dyn.10-deny"), "where it failed")
        matches(r"10-deny.*\b3\b", v["error"], "the vCPU's sentence")
        equal([a.vcpu(n)["result"] for n in (1, 2)], ["rolled-back"] * 2, "the others")
        all_agree(vm, d, 1, 1)


@case()
def the_sentence_names_callback_vcpu_and_code():
    with running(files=callbacks(_10_deny=fails("startup", 3, 3))) as (vm, d):
        a = d.ctl("setvcpus", "web1", "4", json_output=False)
        equal(a.exit, 1, "%s" % a)
        for wanted in (r"10-deny", r"vcpu 3\b", r"(status|code|with) 3\b"):
            matches(wanted, a.err, "stderr")


@case()
def best_effort_keeps_what_succeeded_and_exits_3():
    with running(files=callbacks(_10_deny=fails("startup", 3, 3))) as (vm, d):
        a = result(d.setvcpus(4, "--policy", "best-effort"), 3, "partial")
        equal([a.vcpu(n)["result"] for n in (1, 2)], ["ok"] * 2)
        equal(a.vcpu(3)["rc"], 3)
        all_agree(vm, d, 3, 3)


@case()
def at_least_2_of_3_is_success():
    with running(files=callbacks(_10_deny=fails("startup", 3, 3))) as (vm, d):
        a = d.setvcpus(4, "--policy", "at-least=2")
        equal(a.exit, 0, "%s" % a)
        all_agree(vm, d, 3, 3)


@case()
def at_least_3_of_3_undoes_all():
    with running(files=callbacks(_10_deny=fails("startup", 3, 3))) as (vm, d):
        result(d.setvcpus(4, "--policy", "at-least=3"), 1, "failed")
        all_agree(vm, d, 1, 1)


@case()
def a_guest_that_cannot_offline_refuses_within_a_second():
    with running() as (vm, d):
        done(d.setvcpus(4))
        vm.guest("dlhog 4 90 > /run/dlhog & while ! grep -q ready /run/dlhog; do usleep 10000; done")
        a = result(d.setvcpus(1), 4, "refused")
        assert a.ms < 1000, "it took %.0f ms" % a.ms
        equal(a.result["refused_by"], "guest")
        matches(r"busy|EBUSY", a.err + str(a.result), "the reason")
        nothing_unplugged(vm)
        all_agree(vm, d, 4, 4)


@case()
def a_refusal_of_the_second_brings_the_first_back():
    with running(files=callbacks(_10_veto=fails("teardown", 2, 7))) as (vm, d):
        done(d.setvcpus(4))
        a = result(d.setvcpus(1), 4, "refused")
        nothing_unplugged(vm)
        all_agree(vm, d, 4, 4)
        equal((a.vcpu(2)["result"], a.vcpu(2)["rc"]), ("refused", 7))
        equal(a.vcpu(3)["result"], "rolled-back", "the vCPU that could go")


@case()
def a_callbacks_veto_refuses_within_a_second():
    with running(files=callbacks(_10_veto=fails("teardown", 3, 7))) as (vm, d):
        done(d.setvcpus(4))
        a = result(d.setvcpus(2), 4, "refused")
        assert a.ms < 1000, "it took %.0f ms" % a.ms
        matches(r"10-veto.*\b7\b", a.vcpu(3)["error"], "the reason")
        equal((a.vcpu(3)["rc"], a.vcpu(3)["failed_at"]), (7, "ap:dyn.10-veto"))
        nothing_unplugged(vm)
        all_agree(vm, d, 4, 4)


@case()
def going_down_tears_down_on_each_vcpu_and_empties_the_slots():
    with running(files=callbacks(_10_log="")) as (vm, d):
        done(d.setvcpus(4))
        done(d.setvcpus(1), present=1, online=1)
        all_agree(vm, d, 1, 1)
        down = [(c.cpu, c.ran_on) for c in calls(vm) if c.what == "teardown"]
        equal(sorted(down), [(n, n) for n in (1, 2, 3)], "teardowns and where they ran")
        equal([c[1]["id"][:6] for c in vm.sent("device_del")], ["vhp-3-", "vhp-2-", "vhp-1-"],
              "device_del, the highest first")  # fmt: skip


@case()
def the_count_it_has_already_is_a_success_that_does_nothing():
    with running() as (vm, d):
        done(d.setvcpus(1), present=1, online=1)
        equal(vm.sent("device_add") + vm.sent("device_del"), [])


@case()
def the_same_operation_id_answers_from_memory():
    with running() as (vm, d):
        first = done(d.setvcpus(2, "--op-id", "job-1"))
        again = done(d.setvcpus(2, "--op-id", "job-1"))
        equal(again.result["vcpus"], first.result["vcpus"], "the first one's result")
        equal(d.setvcpus(3, "--op-id", "job-1").exit, 8, "other arguments conflict")
        equal(len(vm.sent("device_add")), 1)


if __name__ == "__main__":
    tap.main()
