#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vcpuhpctl on domains of a real libvirtd, beside virsh."""

import atexit
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import libvirtd
import tap
from libvirtd import Domain, Libvirtd, LibvirtDaemon
from scene import done, drift_of, result
from tap import case, equal, matches
from vm import wait_for

LV = None


def prepare():
    global LV
    why = libvirtd.why_not()
    if not why:
        LV = Libvirtd()
        atexit.register(LV.close)
    return why


class Scene:
    """A domain at @count vCPUs and a daemon."""

    def __init__(self, count=1, lv=None, sections="", daemon=None, **domain):
        self.dom = Domain(lv or LV, **domain)
        try:
            self.dom.start()
            self.d = LibvirtDaemon(self.dom, lv or LV, sections, daemon)
            self.d.wait_listed()
            self.d.wait_idle_online(1)
            if count > 1:
                done(self.d.setvcpus(count), present=count, online=count)
        except BaseException:
            self.dom.close()
            raise

    def __enter__(self):
        return self.dom, self.dom.guest, self.d

    def __exit__(self, kind, value, trace):
        try:
            self.d.close()
            if kind is None and self.dom.guest:
                self.dom.guest.check()
        finally:
            self.dom.close()


def all_agree(dom, d, slots):
    """virsh, QEMU, the guest and info say the same."""
    n = len(slots)
    wait_for(lambda: d.counts() == (n, n, 0), 10, d.brief)
    equal(dom.vcpucount(), n, "virsh vcpucount")
    equal(dom.xml_present(), slots, "the live XML")
    equal(dom.qemu_present(), slots, "QEMU")
    equal((dom.guest.present_slots(), len(dom.guest.online())), (slots, n), "the guest")
    equal([v["vcpu"] for v in d.info()["vcpus"] if v["pending"]], [], "pending vCPUs")


@case()
def up_to_four_and_down_to_one():
    with Scene() as (dom, guest, d):
        equal(d.listed()[dom.name]["hypervisor"], "libvirt")
        all_agree(dom, d, [0])
        done(d.setvcpus(4), present=4, online=4)
        all_agree(dom, d, [0, 1, 2, 3])
        done(d.setvcpus(1), present=1, online=1)
        all_agree(dom, d, [0])


if __name__ == "__main__":
    tap.main(before=prepare)
