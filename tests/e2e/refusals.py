#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is refused before QEMU is asked, and guests that are not ready (yet)."""

import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import Daemon
from scene import all_agree, done, nothing_plugged, nothing_unplugged, result, running
from tap import case, equal, matches
from vm import VM


@case()
def no_agent_is_6_and_nothing_is_plugged():
    with VM(agent=False) as vm, Daemon(vm, daemon={"AgentWaitSec": 2}) as d:
        a = result(d.setvcpus(4), 6, "no-agent")
        matches("agent", a.err + str(a.result))
        nothing_plugged(vm)


@case()
def a_paused_domain_is_refused():
    with running() as (vm, d):
        vm.qmp("stop")
        a = d.setvcpus(4)
        equal(a.exit, 4, "%s" % a)
        matches("paused", (a.err + a.out).lower())
        nothing_plugged(vm)
        vm.qmp("cont")
        done(d.setvcpus(2))


@case()
def a_guest_without_acpi_is_refused_and_nothing_is_plugged():
    with VM(append="acpi=off") as vm, Daemon(vm) as d:
        d.wait_agent()
        a = d.setvcpus(4)
        equal(a.exit, 4, "%s" % a)
        nothing_plugged(vm)
        a = d.ctl("doctor", vm.name)
        equal(a.exit, 4, "%s" % a)
        equal([f["check"] for f in a.lines if f["severity"] == "error"], ["guest-kernel"])


@case()
def a_guest_that_is_still_booting_is_waited_for():
    with VM(wait=False) as vm, Daemon(vm) as d:
        a = done(d.setvcpus(4), present=4, online=4)
        equal([v["ran_on"] == v["cpu"] for v in a.result["vcpus"]], [True] * 3)
        all_agree(vm, d, 4, 4)


@case()
def requests_that_cannot_be_are_answered_without_asking_qemu():
    asked = [
        (4, ["setvcpus", "web1", "33"]),
        (10, ["setvcpu", "web1", "40", "--enable"]),
        (4, ["setvcpu", "web1", "0", "--disable"]),
        (4, ["setvcpu", "web1", "0", "--standby"]),
        (10, ["setvcpus", "web2", "2"]),
        (10, ["info", "web2"]),
        (2, ["setvcpus", "web1", "0"]),
        (2, ["setvcpus", "web1", "65536"]),
        (2, ["setvcpus", "web1", "two"]),
        (2, ["setvcpu", "web1", "", "--enable"]),
        (2, ["target", "web1", "1", "no:such"]),
        (4, ["target", "web1", "1", "host:admit"]),
        (10, ["op", "no-such-operation"]),
        (10, ["cancel", "no-such-operation"]),
    ]
    with running() as (vm, d):
        for status, words in asked:
            a = d.ctl(*words)
            equal(a.exit, status, "vcpuhpctl %s: %s" % (" ".join(words), a))
            table = d.ctl(*words, json_output=False)
            equal(table.exit, status, "without -o json: %s" % table)
            assert table.err.strip(), "vcpuhpctl %s says nothing" % " ".join(words)
        nothing_plugged(vm)


@case()
def the_policy_ceiling_refuses():
    with running(domain={"MaxVcpus": 3}) as (vm, d):
        a = d.setvcpus(4)
        equal(a.exit, 4, "%s" % a)
        equal(a.result.get("refused_by"), "policy", "%s" % a)
        nothing_plugged(vm)
        done(d.setvcpus(3), present=3, online=3)


@case()
def a_hole_in_the_slots_is_refused_without_kvm():
    with running() as (vm, d):
        if d.info()["accel"] == "kvm":
            raise tap.Skip("holes are harmless with KVM")
        done(d.setvcpus(3))
        for words in (["setvcpu", "web1", "1", "--disable"], ["setvcpu", "web1", "4", "--enable"],
                      ["target", "web1", "5", "standby"]):  # fmt: skip
            a = result(d.ctl(*words), 4, "refused")
            equal(a.result["refused_by"], "policy")
            matches("makes the guest lose wakeups", a.result["error"])
            dry = d.ctl(*words, "--dry-run")
            equal((dry.exit, dry.result), (4, {"plan": [], "refusals": [a.result["error"]]}))
        equal(vm.qemu_present(), [0, 1, 2])
        nothing_unplugged(vm)
        done(d.setvcpu("1-2", "--disable"), present=1, online=1)
        all_agree(vm, d, 1, 1)


@case()
def a_dry_run_shows_the_plan_and_sends_nothing():
    with running() as (vm, d):
        a = d.setvcpus(3, "--dry-run")
        equal(a.exit, 0, "%s" % a)
        equal([(m["vcpu"], m["to"]) for m in a.result["plan"]], [(1, "online"), (2, "online")])
        equal(a.result["refusals"], [])
        a = d.setvcpus(40, "--dry-run")
        equal(a.exit, 4, "%s" % a)
        nothing_plugged(vm)


@case()
def a_wrong_configuration_is_named_with_file_and_line():
    with VM(agent=False, wait=False) as vm:
        d = Daemon(vm, domain={"Colour": "red"}, start=False)
        d.log += ".check"
        import subprocess

        from daemon import VCPUHPD

        p = subprocess.run([VCPUHPD, "--check-config", "--config", d.config], check=False,
                           capture_output=True, text=True)  # fmt: skip
        assert p.returncode != 0
        matches(r"vcpuhpd\.conf:\d+.*Colour", p.stderr)


if __name__ == "__main__":
    tap.main()
