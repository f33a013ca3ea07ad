#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests that come before QEMU is attached or the agent is there, on real QEMU with KVM.

They wait, and end as if all had been there; a dry run ends as the operation would.
"""

import os
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import Daemon
from qtestvm import QtestVM, why_not
from scene import callbacks, done, result
from tap import case, equal, matches
from vm import wait_for


def files():
    found = callbacks(_10_log="")
    return {p: (m, t.replace("/run/callbacks", "/dev/null")) for p, (m, t) in found.items()}


class Early:
    """A daemon that finds neither QEMU (until attach()) nor an agent (until guest.start_agent())."""

    def __init__(self, attached=False, **daemon):
        self.vm = QtestVM(agent=False, files=files())
        try:
            self.later = self.vm.path("later")
            self.d = Daemon(self.vm, domain={"QMP": self.later}, daemon=daemon)
            if attached:
                self.attach()
        except BaseException:
            self.vm.close()
            raise

    def attach(self):
        os.symlink(self.vm.qmp_path, self.later)

    def waiting(self, *lines):
        """vcpuhpctl started for each of @lines, and none of them has an answer yet."""
        asked = [self.d.begin(*line.split()) for line in lines]
        known = sum(line.split()[0] in ("setvcpu", "setvcpus", "target") and "--dry-run" not in line
                    for line in lines)  # fmt: skip
        wait_for(lambda: len(self.d.ctl("ops").lines) >= known, 5, "the operations")
        equal([a.popen.poll() for a in asked], [None] * len(asked), "answers so far")
        return asked

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        try:
            self.d.close()
        finally:
            self.vm.close()


def error(answer, exit_status, code):
    equal((answer.exit, answer.result.get("error", {}).get("code")), (exit_status, code), "%s" % answer)
    return answer.result["error"]["text"]


@case()
def a_vcpu_beyond_the_maximum_is_10_as_soon_as_qemu_tells():
    with Early() as e:
        asked = e.waiting("setvcpu web1 99 --enable", "target web1 8 online", "fail web1 8 qemu:device",
                          "fail web1 8 ap:verify", "setvcpu web1 99 --enable --dry-run")  # fmt: skip
        done_at_once = e.d.ctl("setvcpu", "web1", "9", "--disable", "--no-wait", "--op-id", "late")
        equal((done_at_once.exit, done_at_once.result["result"]), (0, "accepted"))
        e.attach()
        for answer in (a.wait(20) for a in asked):
            matches(r"has no vcpu \d+", error(answer, 10, "NoSuchVcpu"))
        error(e.d.ctl("wait", "late"), 10, "NoSuchVcpu")
        error(e.d.ctl("setvcpu", "web1", "9", "--disable", "--op-id", "late"), 10, "NoSuchVcpu")
        remembered = e.d.ctl("op", "late")
        equal((remembered.exit, remembered.result["result"]), (0, "refused"))
        table = e.d.ctl("wait", "late", json_output=False)
        equal((table.exit, table.out), (10, ""))
        matches("^vcpuhpctl: web1 has no vcpu 9", table.err)


@case()
def a_request_before_qemu_is_carried_out_when_it_is_there():
    with Early() as e:
        asked = e.waiting("setvcpus web1 3", "fail web1 3 qemu:device", "setvcpus web1 4 --dry-run")
        e.attach()
        equal(asked[1].wait(20).exit, 0, "a state of the host's needs no agent")
        e.vm.guest.start_agent()
        done(asked[0].wait(20), present=3, online=3)
        plan = asked[2].wait(20)
        equal(plan.exit, 0, "%s" % plan)
        result(e.d.setvcpus(4), 1, "failed")


@case()
def what_only_the_agent_can_tell_waits_for_it():
    with Early(attached=True) as e:
        asked = e.waiting("target web1 1 ap:dyn.10-log", "target web1 1 ap:dyn.99-none",
                          "target web1 1 13", "target web1 2 12", "target web1 2 ap:dyn.99-none --dry-run",
                          "fail web1 1 ap:dyn.99-none")  # fmt: skip
        e.vm.guest.start_agent()
        answers = [a.wait(30) for a in asked]
        done(answers[0])
        equal(answers[0].vcpu(1)["name"], "ap:dyn.10-log")
        for n in (1, 4, 5):
            matches("no state ap:dyn.99-none", error(answers[n], 2, "InvalidArgument"))
        matches("no callback stands there", error(answers[2], 4, "Refused"))
        done(answers[3])
        # Which of the two went first is open.
        equal(sorted(answers[n].result["present"] for n in (0, 3)), [2, 3], "present after each")
        # Known now: answered at once, the same way.
        error(e.d.ctl("target", "web1", "1", "ap:dyn.99-none"), 2, "InvalidArgument")
        error(e.d.ctl("target", "web1", "1", "13"), 4, "Refused")


@case()
def without_an_agent_it_is_6_whatever_is_asked():
    with Early(attached=True, AgentWaitSec=1) as e:
        for line in ("target web1 1 12", "target web1 1 ap:dyn.10-log", "target web1 1 online"):
            result(e.d.ctl(*line.split()), 6, "no-agent")
        for line in ("setvcpus web1 3 --dry-run", "target web1 1 12 --dry-run", "fail web1 1 ap:verify"):
            error(e.d.ctl(*line.split()), 6, "NoAgent")
        equal(e.d.setvcpus(9, "--dry-run").exit, 4, "what no agent can mend")
        equal(e.vm.sent("device_add"), [])


@case()
def a_dry_run_is_refused_as_the_operation_would_be():
    with Early(attached=True) as e:
        e.vm.guest.start_agent()
        done(e.d.setvcpus(2), present=2, online=2)
        e.vm.qmp("stop")
        # Only QEMU is stopped: the scripted guest goes on, so nothing but the event tells of it.
        wait_for(lambda: e.d.info()["status"] == "paused", 5, e.d.brief)
        for line in ("setvcpus web1 3", "setvcpu web1 1 --disable", "target web1 1 12"):
            refused = result(e.d.ctl(*line.split()), 4, "refused")
            dry = e.d.ctl(*line.split(), "--dry-run")
            why = "the domain is paused, so its guest can take no part; resume it first"
            equal((dry.exit, dry.result), (4, {"plan": [], "refusals": [why]}))
            equal((refused.result["refused_by"], refused.result["error"]), ("policy", why))
        e.vm.qmp("cont")
        equal(e.d.setvcpus(3, "--dry-run").result["plan"], [{"vcpu": 2, "from": "offline", "to": "online"}])


if __name__ == "__main__":
    tap.main(before=why_not)
