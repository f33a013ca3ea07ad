#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many cycles on real QEMU with KVM: nothing grows, no state is wrong.

A daemon takes 50 frames a second from a guest; a cycle is some 35. So the plain run spreads its
cycles over several domains of one daemon, which may all be busy at once.
"""

import contextlib
import os
import sys
import threading

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import Daemon
from qtestvm import QtestVM, why_not
from scene import done
from tap import case, equal
from vm import wait_for

SANITIZED = "ASAN_OPTIONS" in os.environ
RSS_GROWTH_KIB = 512


def cycle(vm, d, n):
    up = done(d.ctl("setvcpus", vm.name, 4, seconds=120), present=4, online=4)
    equal([v["ran_on"] == v["cpu"] for v in up.result["vcpus"]], [True] * 3, "ran on itself")
    equal((vm.qemu_present(), vm.guest.online()), ([0, 1, 2, 3], [0, 1, 2, 3]), "up, cycle %d" % n)
    done(d.ctl("setvcpus", vm.name, 1, seconds=120), present=1, online=1)
    equal((vm.qemu_present(), vm.guest.present_slots(), vm.guest.online()), ([0], [0], [0]),
          "down, cycle %d" % n)  # fmt: skip


def all_cycle(vms, d, cycles):
    """@cycles on each of @vms, all at once."""
    failed, finished = [], []

    def run(vm):
        try:
            for n in range(cycles):
                if not failed:
                    cycle(vm, d, n)
                    finished.append(n)
        except Exception as e:
            failed.append("%s: %r" % (vm.name, e))

    threads = [threading.Thread(target=run, args=(vm,)) for vm in vms]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed[0]
    equal(len(finished), len(vms) * cycles, "cycles")


def weight(d):
    return (d.descriptors(), d.status_field("Threads"), d.status_field("VmRSS"))


def nothing_grows(domains, warm_up, cycles):
    with contextlib.ExitStack() as stack:
        vms = [stack.enter_context(QtestVM("web%d" % (i + 1))) for i in range(domains)]
        d = stack.enter_context(Daemon(vms[0], others=vms[1:]))
        for vm in vms:
            wait_for(lambda name=vm.name: d.ctl("info", name).result["online"] == 1, 20, vm.name)
        all_cycle(vms, d, warm_up)
        before = weight(d)
        all_cycle(vms, d, cycles - warm_up)
        after = weight(d)
        print("# descriptors, threads, RSS in KiB after %d cycles on each of %d: %s; after %d: %s" % (
            warm_up, domains, before, cycles, after))  # fmt: skip
        equal(after[:2], before[:2], "descriptors and threads")
        if not SANITIZED:
            assert after[2] <= before[2] + RSS_GROWTH_KIB, "RSS grew: %s, %s KiB" % (before[2], after[2])
        for vm in vms:
            vm.guest.check()


@case(deadline=400)
def cycles_500_of_3_vcpus_leave_the_daemon_as_it_was():
    """The kept operations (64 a domain, two a cycle) are full after the warm-up."""
    if SANITIZED:
        nothing_grows(domains=2, warm_up=5, cycles=20)
    else:
        nothing_grows(domains=5, warm_up=40, cycles=140)


@case(deadline=3600, long=True)
def cycles_3000_on_one_domain_leave_the_daemon_as_it_was():
    nothing_grows(domains=1, warm_up=100, cycles=3000)


if __name__ == "__main__":
    tap.main(before=why_not)
