#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Thousands of cycles on real QEMU with KVM: none is unaccounted, and nothing grows.

Eight domains of one daemon, each with a client of its own that asks for one cycle after another: a
guest may say only so much, and a cycle of one vCPU is some ten frames. Every cycle's results are
looked at, QEMU and guest at each hundredth, and at the end what was sent to QEMU: one device_add and
one device_del a cycle. VCPUHP_SOAK=N runs N cycles instead.
"""

import contextlib
import os
import sys
import threading
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from bench_rig import Varlink
from daemon import Daemon
from qtestvm import QtestVM, why_not
from tap import case, equal
from vm import wait_for

DOMAINS = 8
LOOK_EACH = 100
RSS_GROWTH_KIB = 512


class Half:
    """What daemon and agents weigh: descriptors, threads, RSS in KiB; descriptors of each agent."""

    def __init__(self, d, vms):
        self.daemon = (d.descriptors(), d.status_field("Threads"))
        self.rss = d.status_field("VmRSS")
        self.agents = [len(os.listdir("/proc/%d/fd" % vm.guest.agent.pid)) for vm in vms]

    def __repr__(self):
        return "daemon %s, %d KiB, agents %s" % (self.daemon, self.rss, self.agents)


def at_rest(d, vms):
    """Half, once nothing changes: an agent makes ready for what is next a moment after the last result."""
    weights = [Half(d, vms)]

    def steady():
        time.sleep(0.05)
        weights.append(Half(d, vms))
        a, b = weights[-2:]
        return (a.daemon, a.agents) == (b.daemon, b.agents)

    wait_for(steady, 5, "rest")
    return weights[-1]


def asked(link, method, vm, present, online, **parameters):
    """One operation's result is a success with these counts, all else at standby."""
    r = link.call(method, domain=vm.name, **parameters)[-1][0]["result"]
    got = [r[key] for key in ("result", "present", "online", "standby")]
    equal(got, ["done", present, online, present - online], "%s" % r)


def add_and_remove(link, vm):
    asked(link, "SetVcpus", vm, 2, 2, count=2)
    asked(link, "SetVcpus", vm, 1, 1, count=1)


def park_and_back(link, vm):
    asked(link, "SetTarget", vm, 2, 1, vcpus="1", target="standby")
    asked(link, "SetTarget", vm, 2, 2, vcpus="1", target="online")


def soak(vms, d, cycle, cycles, rests):
    """@cycles of @cycle on each of @vms, all at once; each rests with @rests vCPUs online."""
    failed, finished = [], []

    def run(vm):
        n = 0
        try:
            with contextlib.closing(Varlink(d.socket)) as link:
                for n in range(1, cycles + 1):
                    if failed:
                        return
                    cycle(link, vm)
                    if n % LOOK_EACH == 0 or n == cycles:
                        slots = list(range(rests))
                        equal((vm.qemu_present(), vm.guest.present_slots(), vm.guest.online()), (slots, slots, slots))
            finished.append(n)
        except Exception as e:
            failed.append("%s, cycle %d: %s: %s" % (vm.name, n, type(e).__name__, e))

    begun = time.monotonic()
    threads = [threading.Thread(target=run, args=(vm,)) for vm in vms]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed[0]
    equal(finished, [cycles] * len(vms), "cycles of each")
    return len(vms) * cycles / (time.monotonic() - begun)


def nothing_grows(cycle, wanted, rests, sent_each):
    """@sent_each: device_add and device_del that a cycle sends."""
    wanted = int(os.environ.get("VCPUHP_SOAK", wanted))
    warm, half = 64, max(1, wanted // DOMAINS // 2)
    with contextlib.ExitStack() as stack:
        vms = [stack.enter_context(QtestVM("web%d" % (i + 1), maxcpus=2)) for i in range(DOMAINS)]
        d = stack.enter_context(Daemon(vms[0], others=vms[1:]))
        for vm in vms:
            wait_for(lambda name=vm.name: d.ctl("info", name).result["online"] == 1, 30, vm.name)
            if rests == 2:
                equal(d.ctl("setvcpus", vm.name, 2).exit, 0)
        begun = [[len(vm.sent(c)) for c in ("device_add", "device_del")] for vm in vms]
        soak(vms, d, cycle, warm, rests)  # the kept operations are full then
        weights, rates = [at_rest(d, vms)], []
        for _ in range(2):
            rates.append(soak(vms, d, cycle, half, rests))
            weights.append(at_rest(d, vms))
        print("# %d cycles on %d domains: %s cycles a second; %s" % (
            DOMAINS * (warm + 2 * half), DOMAINS, " and ".join("%.1f" % r for r in rates),
            "; ".join(map(str, weights))), flush=True)  # fmt: skip
        n = (warm + 2 * half) * sent_each
        for vm, before in zip(vms, begun):
            equal([len(vm.sent(c)) for c in ("device_add", "device_del")], [b + n for b in before], vm.name + " sent")
            vm.guest.check()
        for w in weights[1:]:
            equal((w.daemon, w.agents), (weights[0].daemon, weights[0].agents), "descriptors and threads")
        assert weights[2].rss <= weights[1].rss + RSS_GROWTH_KIB, "the daemon grew: %s" % weights


@case(deadline=3000, long=True)
def cycles_10000_of_add_and_remove_are_all_accounted_for():
    nothing_grows(add_and_remove, 10000, rests=1, sent_each=1)


@case(deadline=1200, long=True)
def cycles_1000_of_standby_are_all_accounted_for():
    nothing_grows(park_and_back, 1000, rests=2, sent_each=0)


if __name__ == "__main__":
    tap.main(before=why_not)
