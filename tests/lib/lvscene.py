# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the libvirt cases share: one libvirtd a script, a domain with a daemon, looking at all four views."""

import atexit
import os
import shutil

import guest
import libvirtd
from libvirtd import Domain, Libvirtd, LibvirtDaemon
from scene import done
from tap import equal
from vm import bury_orphans, wait_for

_shared = []


def _cache():
    """Where the capabilities of this QEMU for this libvirtd are kept."""
    made = [os.stat(shutil.which(name)).st_ctime_ns for name in ("libvirtd", "qemu-system-x86_64")]
    return os.path.join(guest.BUILD, "guest", "libvirt-cache-%x-%x" % tuple(made))


def prepare():
    """For tap.main(before=): the script's libvirtd, or why there is none."""
    why = libvirtd.why_not()
    if not why:
        bury_orphans("qemu-system")
        _shared.append(Libvirtd(_cache()))
        atexit.register(_shared[0].close)
        _shared[0].keep_cache(_cache())
    return why


def shared():
    """The libvirtd of all cases; one that is to be killed is to be own()."""
    return _shared[0]


def own():
    return Libvirtd(shared().path("var/cache/libvirt"))


class Scene:
    """A domain at @count vCPUs and a daemon. @lv: not the shared libvirtd, but this one. @kind: of domain."""

    def __init__(self, count=1, lv=None, sections="", daemon=None, kind=Domain, **domain):
        lv = lv or shared()
        self.dom = kind(lv, **domain)
        try:
            self.dom.start()
            self.d = LibvirtDaemon(self.dom, lv, sections, daemon)
            self.d.wait_listed()
            self.d.wait_idle_online(domain.get("current", 1))
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
    """virsh, the live XML, QEMU, the guest and info say the same; libvirt is a moment behind QEMU."""
    n = len(slots)
    wanted = (n, slots, slots, slots, n, (n, n, 0))
    views = [()]

    def agree():
        views[0] = (dom.vcpucount(), dom.xml_present(), dom.qemu_present(),
                    dom.guest.present_slots(), len(dom.guest.online()), d.counts())  # fmt: skip
        return views[0] == wanted

    wait_for(agree, 10, lambda: "virsh, XML, QEMU, guest present, guest online, info are %s, wanted %s"
             % (views[0], wanted), pause=0.1)  # fmt: skip
    equal([v["vcpu"] for v in d.info()["vcpus"] if v["pending"]], [], "pending vCPUs")


def ends_told(events):
    """Operation -> the results that were told of it."""
    ends = {}
    for e in events:
        if e.get("type") == "operation" and e["result"] != "accepted":
            ends.setdefault(e["op"], []).append(e["result"])
    return ends
