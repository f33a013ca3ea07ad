#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each row of the table (virshrows.py), by virsh on one domain and by vcpuhpctl on another just like it."""

import re
import sys
from contextlib import contextmanager

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
import virshrows
from fakeguest import cpulist
from libvirtd import Domain, LibvirtDaemon
from lvscene import own, prepare, shared
from scene import done
from tap import case, equal, matches
from vm import wait_for

VCPU_MAX = "99999"


def vcpus(xml):
    """A domain's XML as the table says it: "0-2", and with another maximum than 8 "0-2 of 16"."""
    current, maximum = re.search(r"<vcpu [^>]*?(?:current='(\d+)')?>(\d+)</vcpu>", xml).groups()
    listed = re.findall(r"<vcpu id='(\d+)' enabled='yes'", xml)
    present = cpulist(map(int, listed or range(int(current or maximum))))
    return present if maximum == "8" else "%s of %s" % (present, maximum)


def views(*doms):
    """What each has of {"live": "0-2", "config": "0"}. One run of virsh, for speed."""
    commands = ["dumpxml %s; dumpxml %s --inactive" % (d.name, d.name) for d in doms]
    out = doms[0].lv.virsh("; ".join(commands + ["list --all --persistent --name"])).out
    *texts, persistent = re.split(r"(?<=</domain>)\s*", out)
    found = []
    for dom, now, inactive in zip(doms, texts[::2], texts[1::2]):
        runs = re.match(r"<domain [^>]*\bid='", now)
        found.append({"live": vcpus(now) if runs else None,
                      "config": vcpus(inactive) if dom.name in persistent.split() else None})  # fmt: skip
    return found


def matching(pattern, dom):
    """@pattern, or words, of the table, about @dom."""
    for key, value in (("VCPU_MAX", lambda: VCPU_MAX), ("UUID", dom.uuid), ("ID", dom.id), ("DOM", lambda: dom.name)):
        if re.search(r"\b%s\b" % key, pattern):
            pattern = re.sub(r"\b%s\b" % key, value(), pattern)
    return pattern


class Pair:
    """A scene: two domains alike, of which virsh changes @other, and vcpuhpctl @dom by asking @d."""

    def __init__(self, dom, other, d, ask=None):
        self.dom, self.other, self.d = dom, other, d
        self.ask = ask or (lambda *words: d.ctl("-q", *words, json_output=False))
        self.start, beside = views(dom, other)
        equal(beside, self.start, "the scene's two domains")
        self.counts = d.counts() if dom.name in d.listed() else None
        self.present = len(other.xml_present())
        self.saved = {x: x.lv.virsh("dumpxml", x.name, "--inactive").out for x in (dom, other)}

    def run_both(self, row):
        """Each one's exit code and all that it printed."""
        lv = self.other.lv
        asking = lv.begin(*matching(row.virsh.words, self.other).split())
        a = self.ask(*matching(row.ours.words, self.dom).split())
        v = lv.end(asking)
        print("# %-46s | virsh %-46s %d | vcpuhpctl %-46s %d" % (
            row.what, row.virsh.words, v.exit, row.ours.words, a.exit))  # fmt: skip
        return (v.exit, "\n".join(filter(None, (v.out, v.err)))), (a.exit, (a.out + a.err).strip())

    def check(self, row):
        theirs, mine = self.run_both(row)
        for program, dom, side, (status, text) in (
                ("virsh", self.other, row.virsh, theirs), ("vcpuhpctl", self.dom, row.ours, mine)):  # fmt: skip
            what = "%s: %s %s" % (row.what, program, side.words)
            equal(status, side.exit, "%s, which said %r" % (what, text))
            matches(matching(side.text, dom) or "^$", text, what)
        otherwise = (theirs[0] == 0, row.virsh.effect) != (mine[0] == 0, row.ours.effect)
        equal(bool(row.why), otherwise, "%s: does it end otherwise than virsh?" % row.what)

    def wanted(self, effect):
        """The scene's view, but for what @effect says."""
        return {**self.start, **dict(re.findall(r"(live|config) (\d[\d,-]*(?: of \d+)?)", effect))}

    def look(self, row):
        """What there is afterwards; libvirt is a moment behind QEMU. The guest has what is live."""
        wanted, found = [self.wanted(row.ours.effect), self.wanted(row.virsh.effect)], []

        def agree():
            found[:] = views(self.dom, self.other)
            return found == wanted

        wait_for(agree, 5, lambda: "%s: vcpuhpctl's domain and virsh's are %s, wanted %s" % (row.what, found, wanted))
        if self.counts and self.dom.guest:
            equal(cpulist(self.dom.guest.present_slots()), found[0]["live"], "%s: in the guest" % row.what)
        return found

    def restore(self, found):
        """The next row is to find what this one did."""
        for dom, view in zip((self.dom, self.other), found):
            if view["config"] != self.start["config"]:
                with open(dom.path("saved.xml"), "w", encoding="utf-8") as f:
                    f.write(self.saved[dom])
                dom.lv.virsh("define", dom.path("saved.xml"))
        if self.counts and self.d.counts() != self.counts:
            present, online, standby = self.counts
            done(self.d.setvcpus(online, "--standby", standby), present=present)
        if found[1]["live"] != self.start["live"]:
            self.other.lv.virsh("setvcpus", self.other.name, self.present, check=False)

    def run(self, rows, libvirtd=True):
        """All of @rows; what fails is told of all of them. @libvirtd: there is one to look with."""
        failures = []
        for row in rows:
            try:
                self.check(row)
                found = self.look(row) if libvirtd else None
            except AssertionError as e:
                failures.append(str(e))
                found = views(self.dom, self.other) if libvirtd else None
            if found:
                self.restore(found)
        assert not failures, "%d of %d rows:\n  %s" % (len(failures), len(rows), "\n  ".join(failures))


@contextmanager
def domains(lv=None, start=True, agent=True, channel=True, **more):
    """The two of a scene. virsh's has no channel, so vcpuhpd does not touch it."""
    lv = lv or shared()
    with Domain(lv, name="web1", channel=channel, **more) as dom, \
            Domain(lv, name="web2", channel=False, **more) as other:  # fmt: skip
        if start:
            dom.start(agent=agent)
            other.start(agent=False)
        yield dom, other


@contextmanager
def pair(count=None, daemon=None, **more):
    """@count: so many vCPUs, those above what is there at boot plugged."""
    with domains(**more) as (dom, other), LibvirtDaemon(dom, dom.lv, daemon=daemon) as d:
        if count:
            d.wait_listed()
            d.wait_idle_online(dom.current)
        if count and count > dom.current:
            done(d.setvcpus(count), present=count, online=count)
            other.lv.virsh("setvcpus", other.name, count)
        yield dom, other, d


@case()
def shut_off():
    with pair(start=False) as scene:
        Pair(*scene).run(virshrows.SHUT_OFF)


@case()
def running():
    with pair(2) as scene:
        Pair(*scene).run(virshrows.RUNNING)


@case()
def with_vcpus_that_were_there_at_boot():
    with pair(3, current=3) as scene:
        Pair(*scene).run(virshrows.AT_BOOT)


@case()
def paused():
    with pair(1) as (dom, other, d):
        for each in (dom, other):
            each.lv.virsh("suspend", each.name)
        wait_for(lambda: d.info()["status"] == "paused", 5, d.brief)
        Pair(dom, other, d).run(virshrows.PAUSED)


@case()
def without_acpi():
    with pair(1, acpi=False) as scene:
        Pair(*scene).run(virshrows.NO_ACPI)


@case()
def with_a_kernel_that_has_no_acpi():
    with domains(agent=False) as (dom, other):
        dom.guest.root.lose_acpi()
        dom.guest.start_agent()
        with LibvirtDaemon(dom, dom.lv) as d:
            d.wait_listed()
            d.wait_idle_online(1)
            Pair(dom, other, d).run(virshrows.NO_ACPI)


@case()
def without_an_agent():
    with pair(agent=False, daemon={"AgentWaitSec": 1}) as (dom, other, d):
        d.wait_listed()
        Pair(dom, other, d).run(virshrows.NO_AGENT)


@case()
def without_the_channel():
    with pair(channel=False, agent=False) as scene:
        Pair(*scene).run(virshrows.NO_CHANNEL)


@case()
def transient():
    with pair(1) as (dom, other, d):
        for each in (dom, other):
            each.lv.virsh("undefine", each.name)
        Pair(dom, other, d).run(virshrows.TRANSIENT)


@case()
def with_a_guest_that_refuses():
    with pair(2) as (dom, other, d):
        dom.guest.mode = other.guest.mode = "refuse"
        Pair(dom, other, d).run(virshrows.REFUSING)


class Reader:
    """A libvirtd as it is to who may only read it."""

    def __init__(self, lv):
        self.uri = lv.uri + "-ro"


@case()
def on_libvirt_s_socket_for_readers():
    with domains(start=False) as (dom, other), LibvirtDaemon(dom, Reader(dom.lv)) as d:
        Pair(dom, other, d).run(virshrows.READ_ONLY)
        dom.start()
        other.start(agent=False)
        wait_for(lambda: "read only access" in d.text(), 10, d.text)
        Pair(dom, other, d).run(virshrows.READ_ONLY_RUNNING)


@case()
def as_a_user_who_may_only_look():
    with pair(2) as (dom, other, d):
        Pair(dom, other, d, d.ctl_as_nobody).run(virshrows.MAY_LOOK)


@case(deadline=90)
def with_libvirtd_restarted():
    with own() as lv, pair(2, lv=lv) as (dom, other, d):
        scene = Pair(dom, other, d)
        lv.kill()
        wait_for(lambda: d.info()["status"] == "attaching", 5, d.brief)
        scene.run(virshrows.LIBVIRTD_AWAY, libvirtd=False)
        lv.start()
        scene.run(virshrows.LIBVIRTD_RESTARTED)


if __name__ == "__main__":
    tap.main(before=prepare)
