#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The one ladder over host and guest, the kernel's own beneath it: progress, events, trace file."""

import json
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import perfetto
import tap
from scene import callbacks, done, running, wait_kernel_ladder
from tap import case, equal
from vm import wait_for

KERNEL_STEPS_MIN = 25
CLOCK_SLACK_MS = 3
UP = ["host:admit", "qemu:device", "guest:present", "ap:kick", "ap:online", "ap:threads", "ap:verify",
      "ap:dyn.10-log", "ap:active"]  # fmt: skip


def in_order(wanted, got):
    """@wanted stands in @got in that order."""
    rest = iter(got)
    return all(w in rest for w in wanted)


def kernel_names(progress):
    return [p["kernel"]["name"] for p in progress if p.get("kernel")]


@case()
def json_progress_shows_every_step_in_order():
    with running(files=callbacks(_10_log="")) as (vm, d):
        a = done(d.setvcpus(3))
        for n in (1, 2):
            entered = [p["name"] for p in a.steps(n, "enter")]
            assert in_order(UP, entered), "vCPU %d: %s" % (n, entered)
            equal([p["name"] for p in a.steps(n, "exit") if p["rc"]], [], "steps that failed")
            equal(sorted(entered), sorted(p["name"] for p in a.steps(n, "exit")), "each is left")
            times = [p["t_ms"] for p in a.steps(n, "enter")]
            assert all(x <= y + CLOCK_SLACK_MS for x, y in zip(times, times[1:])), times
            for name in ("qemu:device", "guest:present", "ap:online"):
                assert a.vcpu(n)["ms"][name] > 0, name
        down = done(d.setvcpus(1))
        left = [p["name"] for p in down.steps(1, "enter")]
        assert in_order(["ap:active", "ap:dyn.10-log", "ap:threads", "ap:online", "qemu:device"], left), left


@case()
def the_kernels_ladder_is_shown_beneath_ap_online():
    with running() as (vm, d):
        wait_kernel_ladder(vm)
        up = done(d.setvcpus(2))
        steps = up.steps(1, "enter", kernel=True)
        assert len(steps) >= KERNEL_STEPS_MIN, "%d kernel steps" % len(steps)
        equal({(p["state"], p["name"]) for p in steps}, {(7, "ap:online")})
        assert "smpboot/threads:online" in kernel_names(up.progress), kernel_names(up.progress)
        numbers = [p["kernel"]["step"] for p in steps]
        equal(numbers, sorted(numbers), "going up")
        down = done(d.setvcpus(1))
        assert "smpboot/threads:online" in kernel_names(down.progress), "on the way down too"


@case()
def events_tell_of_steps_kernel_steps_and_the_operation():
    with running() as (vm, d):
        wait_kernel_ladder(vm)
        listener = d.begin("events", "web1", "--timeout", "3")
        done(d.setvcpus(2))
        a = listener.wait(20)
        text = a.out
        for word in ("qemu:device", "ap:verify", "smpboot/threads:online"):
            assert word in text, "no %s in %s" % (word, text[-2000:])
        kinds = {o.get("type") or o.get("event", {}).get("type") for o in a.lines}
        assert {"step", "kstep", "operation", "state"} <= kinds, kinds


def chrome_events(path):
    with open(path, encoding="utf-8") as f:
        trace = json.load(f)
    return trace["traceEvents"] if isinstance(trace, dict) else trace


@case()
def the_trace_file_is_chromes_with_host_and_guest_on_one_axis():
    with running() as (vm, d):
        wait_kernel_ladder(vm)
        a = done(d.setvcpus(3))
        path = vm.path("trace.json")
        equal(d.ctl("trace", "web1", "--op", a.result["op"], "-O", path).exit, 0)
        events = chrome_events(path)
        for e in events:
            assert {"name", "ph", "pid"} <= set(e) and e["ph"] in "XBEiMIC", e
            assert e["ph"] == "M" or isinstance(e["ts"], (int, float)), e
        first = {}
        for e in (e for e in events if e["ph"] in "XB"):
            first[e["name"]] = min(first.get(e["name"], e["ts"]), e["ts"])
        names = ["qemu:device", "ap:online", "ap:threads", "ap:verify"]
        times = [first[n] for n in names]
        equal(times, sorted(times), "host and guest steps on one axis: %s" % names)
        assert any("smpboot/threads:online" in n for n in first), "no kernel steps in the trace"
        begun = sum(e["ph"] == "B" for e in events)
        equal(begun, sum(e["ph"] == "E" for e in events), "what begins ends")
        # All that is remembered of the domain, and what Perfetto draws of it.
        equal(d.ctl("trace", "web1", "-O", path).exit, 0)
        with open(path, encoding="utf-8") as f:
            spans = perfetto.check(json.load(f))
        # What the boot vCPU did before the agent was met is not known; all else is.
        marks = [e for e in spans if e["args"]["op"] and {"unfinished", "truncated"} & set(e["args"])]
        equal((marks, {e["pid"] for e in spans}), ([], {1, 2, 3}))


@case()
def the_trace_has_the_kernels_steps_that_nobody_watched():
    with running() as (vm, d):
        wait_kernel_ladder(vm)
        answer = d.ctl("setvcpus", "web1", "2", "--op-id", "unwatched", json_output=False)
        equal(answer.exit, 0)
        assert "smpboot" not in answer.err, answer
        path = vm.path("trace.json")

        def kernel_steps():
            equal(d.ctl("trace", "web1", "--op", "unwatched", "-O", path).exit, 0)
            return any("smpboot/threads:online" in e["name"] for e in chrome_events(path))

        wait_for(kernel_steps, 5, "the kernel's steps in the operation's trace")


@case()
def rcu_is_expedited_while_cpus_move_and_put_back():
    look = "cat /sys/kernel/rcu_expedited >> /run/expedited"
    with running(files=callbacks(_10_look=look)) as (vm, d):
        vm.guest("rm /run/expedited")
        done(d.setvcpus(2))
        done(d.setvcpus(1))
        equal(vm.guest("cat /run/expedited").split(), ["1", "1"], "on the way up and down")
        wait_for(lambda: vm.guest("cat /sys/kernel/rcu_expedited").strip() == "0", 5, "it to be put back")


@case()
def states_lists_the_ladder_and_the_callbacks():
    with running(files=callbacks(_10_log="", _20_more="")) as (vm, d):
        a = d.ctl("states", "web1")
        equal(a.exit, 0, "%s" % a)
        by_state = {s["state"]: s["name"] for s in a.lines}
        equal((by_state[0], by_state[6], by_state[44]), ("offline", "standby", "online"))
        equal((by_state[12], by_state[13]), ("ap:dyn.10-log", "ap:dyn.20-more"))


if __name__ == "__main__":
    tap.main()
