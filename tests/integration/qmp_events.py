#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Events of a real QEMU on KVM in each form, lost and doubled: QEMU's table decides all the same."""

import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import Daemon
from qmp import QmpError
from qmpfilter import filtered
from qtestvm import QtestVM, why_not
from scene import done, result
from tap import case, equal, matches
from vm import wait_for

OF_A_CPU = ("DEVICE_DELETED", "ACPI_DEVICE_OST", "DEVICE_UNPLUG_GUEST_ERROR")


def form(event):
    """Of a DEVICE_DELETED: by the CPU's own name, by its path, or by a part's path."""
    data = event.get("data", {})
    if "device" in data:
        return "name"
    return "path" if data.get("path", "").count("/") <= 3 else "part"


def only_deleted(wanted):
    return lambda e: e["event"] != "DEVICE_DELETED" or form(e) == wanted


def none_of(*names):
    return lambda e: e["event"] not in names


def twice(event):
    return 2 if event["event"] in OF_A_CPU else 1


class Scene:
    def __init__(self, edit, **daemon):
        self.vm = QtestVM()
        try:
            self.filter, path = filtered(self.vm, edit)
            self.d = Daemon(self.vm, domain={"QMP": path}, daemon=daemon)
            self.d.wait_idle_online(1)
        except BaseException:
            self.vm.close()
            raise

    def __enter__(self):
        return self.vm, self.vm.guest, self.d, self.filter

    def __exit__(self, kind, value, trace):
        try:
            self.d.close()
            if kind is None:
                self.vm.guest.check()
        finally:
            self.filter.close()
            self.vm.close()


def up_and_down(edit, lost):
    """Four vCPUs come and go. @lost: an event that has to have been kept back."""
    with Scene(edit) as (vm, guest, d, events):
        for _ in range(2):
            done(d.setvcpus(4), present=4, online=4)
            done(d.setvcpus(2), present=2, online=2)
            equal((vm.qemu_present(), guest.present_slots()), ([0, 1], [0, 1]))
            done(d.setvcpus(1), present=1, online=1)
            equal((vm.qemu_present(), guest.present_slots()), ([0], [0]))
        if lost:
            assert (lost, False) in events.seen, "none was lost: %s" % events.seen


@case()
def a_deletion_told_by_the_cpus_name_alone():
    up_and_down(only_deleted("name"), "DEVICE_DELETED")


@case()
def a_deletion_told_by_a_path_alone():
    up_and_down(only_deleted("path"), "DEVICE_DELETED")


@case()
def a_deletion_told_by_the_path_of_a_part_alone():
    up_and_down(only_deleted("part"), "DEVICE_DELETED")


@case()
def a_deletion_not_told_at_all():
    up_and_down(none_of("DEVICE_DELETED"), "DEVICE_DELETED")


@case(deadline=120)
def no_event_of_a_cpu_at_all():
    up_and_down(none_of(*OF_A_CPU), "ACPI_DEVICE_OST")


@case()
def every_event_of_a_cpu_twice():
    up_and_down(twice, None)


@case()
def a_refusal_whose_event_is_lost_is_read_from_what_qemu_remembers():
    with Scene(none_of("ACPI_DEVICE_OST"), EjectSec=1, EjectMaxSec=10) as (vm, guest, d, _):
        done(d.setvcpus(3), present=3, online=3)
        guest.mode = "refuse"
        a = result(d.setvcpus(2), 4, "refused")
        equal((a.result["refused_by"], a.vcpu(2)["name"], a.vcpu(2)["ran_on"]), ("guest", "online", 2))
        equal((vm.qemu_present(), d.counts()), ([0, 1, 2], (3, 3, 0)))
        guest.mode = "accept"
        done(d.setvcpus(2), present=2, online=2)


@case()
def a_refusal_told_twice_is_one():
    with Scene(twice) as (vm, guest, d, _):
        done(d.setvcpus(3), present=3, online=3)
        guest.mode = "refuse"
        equal(result(d.setvcpus(2), 4, "refused").result["refused_by"], "guest")
        guest.mode = "accept"
        done(d.setvcpus(2), present=2, online=2)


@case()
def an_eject_nobody_asked_for_is_noticed_without_its_event():
    with Scene(none_of(*OF_A_CPU)) as (vm, guest, d, _):
        done(d.setvcpus(3), present=3, online=3)
        guest.eject(2)
        wait_for(lambda: d.counts()[0] == 2, 5.5, d.brief, pause=0.05)


@case()
def qemu_refuses_device_del_before_the_first_boot_alone_and_never_in_a_reboot():
    """So where an agent has been heard a refusal of QEMU's is one, and nothing to be tried again."""
    with QtestVM(agent=False) as vm:
        vm.plug(1)
        for _ in range(3):
            vm.qmp("system_reset")
            vm.unplug(1)
            equal(vm.qemu_present(), [0, 1], "nobody has ejected it")
        # The new one has no guest in it, that is, nobody who has left the legacy interface yet.
        vm.restart_qemu()
        vm.plug(1)
        for _ in range(2):
            try:
                vm.unplug(1)
            except QmpError as e:
                matches("unplug request for not supported device type", str(e))
            else:
                raise AssertionError("QEMU took it")
            vm.qmp("system_reset")


if __name__ == "__main__":
    tap.main(before=why_not)
