# SPDX-License-Identifier: LGPL-2.1-or-later
"""The section of tests/bench about what people have today: `virsh setvcpus --live`, and udev in the guest
with a rule that brings online what comes. Beside it `vcpuhpctl setvcpus` on the same domain, with the
agent; a private libvirtd and a freshly booted guest each.

The time is from the start of the command until the last new CPU has run a thread bound to it. virsh
ends when QEMU has the vCPUs: how much later the guest has them is a row of its own.
"""

import collections
from concurrent.futures import ThreadPoolExecutor

import lvscene
import sysguest
from bench_moves import ADDED, allowed, in_turn
from bench_rig import (AGENT_CONFIG, ONLINER, ONLINER_PORT, Onliner, loops_per_jiffy, now_ms,
                       private_kib_of, settle)  # fmt: skip
from bench_stats import paired, single
from libvirtd import CHANNEL
from lvguest import RealDomain
from scene import wait_kernel_ladder

RULE = """\
SUBSYSTEM=="cpu", ACTION=="add", TEST=="online", ATTR{online}=="0", ATTR{online}="1"
"""
UDEV = "mkdir -p /run/udev && /lib/systemd/systemd-udevd --daemon && udevadm settle"

# .ms until the last new CPU ran, .told_ms until the command had ended with 0, .daemon_kib private of vcpuhpd.
Moved = collections.namedtuple("Moved", "ms told_ms daemon_kib")


class BenchDomain(RealDomain):
    """As bench_rig.BenchVM. @more: files; @agent=False leaves the guest to udev."""

    def __init__(self, lv, agent=True, more=None):
        self.append = "" if agent else " noagent"
        with open(ONLINER, "rb") as f:
            files = {"/bin/bench-onliner": (0o755, f.read())}
        super().__init__(lv, files={**files, **(more or {})}, maximum=8)

    def make_xml(self):
        port = CHANNEL % (self.path("bench"), ONLINER_PORT)
        xml = super().make_xml().replace("</devices>", port + "</devices>")
        return xml.replace(" panic=-1", " panic=-1 lpj=" + loops_per_jiffy() + self.append)


def _move(dom, count, command, daemon_pid=None):
    """@command, and what it does to the guest, seen from there: Moved."""
    watcher = Onliner(dom.guest, dom.path("bench"), dom.process.alive)
    watcher.watch(count - 1)
    settle()
    with ThreadPoolExecutor() as pool:
        start = now_ms()
        answer = pool.submit(command)
        end, _ = watcher.until_ran(count - 1)
        answer = answer.result()
    assert answer.exit == 0, "%r" % answer
    return Moved(end - start, answer.ms, private_kib_of(daemon_pid) if daemon_pid else None)


def by_virsh(count):
    lv = lvscene.shared()
    files = {**sysguest.udev_files(), "/lib/udev/rules.d/40-cpu.rules": RULE}
    with BenchDomain(lv, agent=False, more=files) as dom:
        dom.start()
        dom.guest.guest(UDEV)
        return _move(dom, count, lambda: lv.virsh("setvcpus", dom.name, count, "--live"))


def by_vcpuhpctl(count, expedite):
    files = {AGENT_CONFIG: "[Agent]\nExpedite=%s\n" % expedite}
    with lvscene.Scene(kind=BenchDomain, more=files) as (dom, guest, d):
        wait_kernel_ladder(guest)
        return _move(dom, count, lambda: d.setvcpus(count), d.process.pid)


ARMS = {
    "virsh": by_virsh,
    "stock": lambda count: by_vcpuhpctl(count, "no"),
    "expedited": lambda count: by_vcpuhpctl(count, "auto"),
}


def virsh(options, say):
    why = lvscene.prepare() or sysguest.why_not()
    if why:
        say("nothing beside virsh: " + why)
        return [], {}
    rows = []
    for count in options.counts:
        ways = {arm: lambda way=way, n=count: way(n) for arm, way in ARMS.items()}
        took = in_turn(options.cold_pairs, ways, "1->%d %%s, libvirt" % count, say)
        rows += _rows(count, took)
    return rows, {}


def _rows(count, took):
    n, base = count - 1, [t.ms for t in took["virsh"]]
    rows = [
        paired("1->%d %s, libvirt: added to virsh and a udev rule" % (count, kind),
               [t.ms for t in took[kind]], base, allowed, n, ADDED)
        for kind in ("stock", "expedited")
    ]  # fmt: skip
    for arm, name in (("virsh", "virsh"), ("stock", "vcpuhpctl")):
        rows.append(single("1->%d, libvirt: %s said done, and the last new CPU ran" % (count, name),
                           "ms later", [t.ms - t.told_ms for t in took[arm]]))  # fmt: skip
    rows.append(single("1->%d, libvirt: daemon's private memory" % count, "MiB",
                       [t.daemon_kib / 1024 for t in took["stock"] + took["expedited"]], 24))  # fmt: skip
    return rows
