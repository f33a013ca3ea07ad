#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many cycles on real QEMU with KVM: nothing grows, no state is wrong."""

import os
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import Daemon
from qtestvm import QtestVM, why_not
from scene import done
from tap import case, equal

CYCLES = 500
WARM_UP = 50
RSS_GROWTH_KIB = 512
SANITIZED = "ASAN_OPTIONS" in os.environ


def cycle(vm, d, n):
    done(d.setvcpus(4), present=4, online=4)
    equal((vm.qemu_present(), vm.guest.online()), ([0, 1, 2, 3], [0, 1, 2, 3]), "up, cycle %d" % n)
    done(d.setvcpus(1), present=1, online=1)
    equal((vm.qemu_present(), vm.guest.present_slots(), vm.guest.online()), ([0], [0], [0]),
          "down, cycle %d" % n)  # fmt: skip


def run_cycles(vm, d, cycles):
    seen = None
    for n in range(cycles):
        cycle(vm, d, n)
        if n == min(WARM_UP, cycles // 2):
            seen = (d.descriptors(), d.status_field("Threads"), d.status_field("VmRSS"))
    now = (d.descriptors(), d.status_field("Threads"), d.status_field("VmRSS"))
    print("# descriptors, threads, RSS in KiB: %s, after %d cycles %s" % (seen, cycles, now))
    equal(now[:2], seen[:2], "descriptors and threads")
    if not SANITIZED:
        assert now[2] <= seen[2] + RSS_GROWTH_KIB, "RSS grew from %d to %d KiB" % (seen[2], now[2])
    equal(sorted(d.states().items()), [(0, "online")])
    vm.guest.check()


@case(deadline=600)
def cycles_500_of_3_vcpus_leave_the_daemon_as_it_was():
    with QtestVM() as vm, Daemon(vm) as d:
        d.wait_idle_online(1)
        run_cycles(vm, d, 60 if SANITIZED else CYCLES)


@case(deadline=3600, long=True)
def cycles_5000_of_3_vcpus_leave_the_daemon_as_it_was():
    with QtestVM() as vm, Daemon(vm) as d:
        d.wait_idle_online(1)
        run_cycles(vm, d, 5000)


if __name__ == "__main__":
    tap.main(before=why_not)
