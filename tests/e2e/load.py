#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The load of a real guest: what it tells is what goes on in it, and the examples scale on it."""

import os
import signal
import subprocess
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import VCPUHPCTL
from guest import ROOT
from scene import all_agree, done, running
from tap import case, equal
from vm import die_with_parent, wait_for

EXAMPLES = os.path.join(ROOT, "tests", "examples")


def burn(vm, tasks):
    """Tasks in the guest that want a CPU each."""
    vm.guest("for i in $(seq %d); do sh -c 'while :; do :; done' >/dev/null 2>&1 & done; "
             "jobs -p > /run/burning" % tasks)  # fmt: skip


def douse(vm):
    vm.guest("kill $(cat /run/burning)")


def loads(d, count, *options):
    """The reports of the load that events tells."""
    a = d.ctl("events", "web1", "--load", "--interval", "1", "--count", count, *options, seconds=100)
    equal(a.exit, 0, a)
    return [e["load"] for e in a.lines if e["type"] == "load"]


@case(deadline=200)
def what_a_guest_tells_is_what_goes_on_in_it():
    with running(smp=2) as (vm, d):
        first, *later = loads(d, 4)
        equal((first["span_ms"], first["busy"]), (0, None))
        assert first["pressure"]["avg10"] is not None, first
        assert all(load["busy"] < 60 and load["span_ms"] >= 900 for load in later), later
        equal([(c["vcpu"], c["cpu"]) for c in later[-1]["cpus"]], [(0, 0), (1, 1)])
        idle_runnable = min(load["runnable"] for load in later)
        burn(vm, 4)
        busy = loads(d, 14)[-1]
        print("# under load: %s" % busy, flush=True)
        assert busy["busy"] + busy["steal"] > 90, busy
        assert busy["pressure"]["avg10"] > 25, busy
        assert busy["runnable"] >= idle_runnable + 4, busy
        assert busy["average"][0] > 0.2, busy
        douse(vm)
        # Nobody asks any more: the agent sleeps.
        wait_for(lambda: wakeups(vm) == 0, 20, "an agent that is not woken for 3 s")


def wakeups(vm):
    """How often the agent was woken in 3 s."""
    look = "cat /proc/%d/status" % vm.agent_pid()
    texts = vm.guest("%s; sleep 3; %s" % (look, look))
    counts = [int(line.split()[1]) for line in texts.splitlines() if line.startswith("voluntary_ctxt_switches")]
    print("# woken %d times in 3 s" % (counts[1] - counts[0]), flush=True)
    return counts[1] - counts[0]


@case(deadline=100)
def a_kernel_without_psi_tells_the_rest():
    with running(append="psi=0") as (vm, d):
        load = loads(d, 2)[-1]
        equal(load["pressure"], None)
        assert load["busy"] is not None and load["average"], load
        line = d.ctl("-q", "top", "web1", "--interval", "1", "--count", "1", json_output=False).out.split()
        equal((line[0], line[9], line[10]), ("web1", "-", "-"), line)


class Example:
    """An example, and what it has started: all of a process group, as a service manager ends it."""

    def __init__(self, args, log, env):
        self.log = log
        with open(log, "wb") as out:
            self.popen = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                                          start_new_session=True, preexec_fn=die_with_parent)  # fmt: skip

    def text(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.killpg(self.popen.pid, signal.SIGTERM)
        self.popen.wait(5)


def environment(d, **more):
    path = os.path.dirname(VCPUHPCTL) + ":" + os.environ["PATH"]
    return dict(os.environ, VCPUHP_SOCKET=d.socket, PATH=path, **more)


def scales(args, most):
    """@args, an example, takes a guest under load up to @most vCPUs, and down to one after it."""
    with running() as (vm, d):
        burn(vm, 5)
        with Example(args, vm.path("example.log"), environment(d)) as example:
            wait_for(lambda: d.info()["online"] == most, 120, lambda: "%d vCPUs: %s" % (most, example.text()), pause=0.5)
            print("# up: %s" % d.info()["load"], flush=True)
            douse(vm)
            wait_for(lambda: d.info()["online"] == 1, 120, lambda: "one vCPU: %s" % example.text(), pause=0.5)
            equal(example.popen.poll(), None, example.text())
        all_agree(vm, d, most, 1, standby=most - 1)
        equal(vm.sent("device_del"), [])
        print("# " + example.text().strip().replace("\n", "\n# "), flush=True)
        # The interest goes with who had it.
        wait_for(lambda: d.info()["load"] is None, 5, "the end of the reports")


@case(deadline=280)
def the_python_example_scales_up_under_load_and_down_after_it():
    scales([sys.executable, os.path.join(EXAMPLES, "autoscale.py"), "web1", "1", "3", "1"], 3)


@case(deadline=280)
def the_shell_example_scales_up_under_load_and_down_after_it():
    scales(["sh", os.path.join(EXAMPLES, "autoscale.sh"), "web1", "1", "2", "--interval", "1"], 2)


@case()
def the_shell_example_fails_where_top_does():
    with running() as (_vm, d):
        run = subprocess.run(["sh", os.path.join(EXAMPLES, "autoscale.sh"), "web9", "1", "3", "--count", "1"],
                             env=environment(d), capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
        equal((run.returncode, run.stdout), (d.ctl("top", "web9", "--count", "1").exit, ""), run.stderr)
        assert run.returncode > 0


def is_quiet(d):
    """The first report of a watch has nothing to compare with."""
    told = [load for load in loads(d, 3) if load["busy"] is not None]
    return told and told[-1]["pressure"]["avg10"] < 5 and told[-1]["busy"] < 15


@case(deadline=400)
def the_shell_example_takes_one_step_a_run_for_cron():
    with running() as (vm, d):
        done(d.setvcpus(3))
        for left in (2, 1, 1):
            wait_for(lambda: is_quiet(d), 90, "a quiet guest")
            run = subprocess.run(["sh", os.path.join(EXAMPLES, "autoscale.sh"), "web1", "1", "3", "--count", "1"],
                                 env=environment(d, CALM="1"), capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
            equal((run.returncode, d.info()["online"]), (0, left), run.stdout + run.stderr)
        all_agree(vm, d, 3, 1, standby=2)


@case()
def vcpus_that_were_there_at_boot_are_parked_and_taken_back():
    """As of a guest whose count of vCPUs another program owns: QEMU's stays as it is."""
    with running(smp=4) as (vm, d):
        done(d.setvcpus(1, "--standby", 3), present=4, online=1, standby=3)
        all_agree(vm, d, 4, 1, standby=3)
        done(d.setvcpus(3), present=4, online=3, standby=1)
        all_agree(vm, d, 4, 3, standby=1)
        equal((vm.sent("device_add"), vm.sent("device_del")), ([], []))


if __name__ == "__main__":
    tap.main()
