#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent's end of the port, on a real virtio-serial device, and what wakes it up."""

import sys
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import Daemon
from scene import all_agree, done, no_agent, wait_kernel_ladder
from tap import case, equal
from vm import VM, wait_for

QUIET = 3


def until_at_rest(vm, online):
    """The agent has all in service that it found, and what nobody waits for is done."""
    wait_kernel_ladder(vm)
    wait_for(lambda: vm.agent_log().count("ap:active -> online") == online, 20, vm.agent_log)
    time.sleep(1)


def work(vm, pid):
    """How often the agent went to sleep so far, and its ticks: one that spins does not sleep at all."""
    return vm.guest("grep ^voluntary /proc/%d/status; cut -d' ' -f14,15 /proc/%d/stat" % (pid, pid))


def stays_asleep(vm, what):
    pid = vm.agent_pid()
    before = work(vm, pid)
    time.sleep(QUIET)
    equal(work(vm, pid), before, "sleeps and ticks within %d s, %s" % (QUIET, what))


@case()
def no_wakeups_while_no_host_is_connected():
    with VM(smp=2) as vm:
        until_at_rest(vm, 2)
        stays_asleep(vm, "no host so far")
        with Daemon(vm) as d:
            d.wait_idle_online(2)
        time.sleep(1)
        stays_asleep(vm, "after one has gone")
        with Daemon(vm) as d:
            d.wait_idle_online(2)
            done(d.setvcpus(3))


@case()
def uevents_of_virtual_and_system_devices_do_not_wake_it():
    with VM(smp=2) as vm:
        until_at_rest(vm, 2)
        pid = vm.agent_pid()
        before = work(vm, pid)
        for device in ("virtual/mem/null", "system/clocksource/clocksource0"):
            vm.guest("for i in 1 2 3; do echo change > /sys/devices/%s/uevent; done" % device)
        time.sleep(0.5)
        equal(work(vm, pid), before)
        # One of a CPU does.
        vm.guest("echo change > /sys/devices/system/cpu/cpu1/uevent")
        wait_for(lambda: work(vm, pid) != before, 10, "the agent to be woken up")


@case()
def without_its_class_in_sysfs_the_port_is_found_by_udevs_link():
    with VM() as vm, Daemon(vm) as d:
        d.wait_idle_online(1)
        with no_agent(vm):
            vm.guest("grep -l org.vcpuhp.agent.0 /sys/class/virtio-ports/*/name | cut -d/ -f5 > /run/port;"
                     "mkdir -p /dev/virtio-ports; ln -s ../$(cat /run/port) /dev/virtio-ports/org.vcpuhp.agent.0;"
                     "mount -t tmpfs none /sys/class/virtio-ports")  # fmt: skip
        wait_for(lambda: vm.agent_log().count("port org.vcpuhp.agent.0 opened") == 2, 10, vm.agent_log)
        d.wait_idle_online(1)
        done(d.setvcpus(2))
        all_agree(vm, d, 2, 2)


if __name__ == "__main__":
    tap.main()
