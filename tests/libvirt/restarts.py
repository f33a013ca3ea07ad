#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtd dies, comes back, or is not there at all: the daemon and the VMs do not mind."""

import os
import signal
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from libvirtd import Domain, LibvirtDaemon
from lvscene import Scene, all_agree, own, prepare
from scene import done, result
from tap import case, equal, matches
from vm import wait_for


def status(d):
    return d.info()["status"]


@case()
def a_libvirtd_restarted_while_idle_costs_nothing():
    with own() as lv, Scene(3, lv=lv) as (dom, guest, d):
        lv.kill()
        wait_for(lambda: status(d) == "attaching", 5, d.brief)
        equal(d.counts(), (3, 3, 0), "the VM is still there")
        lv.start()
        wait_for(lambda: status(d) == "running", 10, d.brief)
        all_agree(dom, d, [0, 1, 2])
        equal([v["owned"] for v in d.info()["vcpus"][:4]], [False, True, True, False])
        done(d.setvcpus(4), present=4, online=4)
        done(d.setvcpus(2), present=2, online=2)
        all_agree(dom, d, [0, 1])


@case(deadline=90)
def a_libvirtd_killed_in_an_add_leaves_one_truth():
    with own() as lv, Scene(lv=lv) as (dom, guest, d):
        for n in range(3):
            asking = d.begin("setvcpus", dom.name, "5")
            wait_for(lambda n=n: len(guest.present_slots()) > 1 + n, 5, "the first at the guest")
            lv.kill()
            lv.start()
            a = asking.wait(40)
            assert (a.exit, a.result["result"]) in ((0, "done"), (1, "failed")), "%s" % a
            wait_for(lambda: status(d) == "running", 10, d.brief)
            count = d.counts()[1]
            equal(count, 5 if a.exit == 0 else 1, "%s" % a)
            all_agree(dom, d, list(range(count)))
            done(d.setvcpus(1), present=1, online=1)
            all_agree(dom, d, [0])


@case(deadline=90)
def a_libvirtd_killed_in_a_removal_leaves_one_truth():
    with own() as lv, Scene(4, lv=lv) as (dom, guest, d):
        guest.mode = "late"
        asking = d.begin("setvcpus", dom.name, "3")
        wait_for(lambda: guest.in_progress == {3}, 5, "the request at the guest")
        lv.kill()
        guest.eject(3)
        guest.mode = "accept"
        lv.start()
        done(asking.wait(40), present=3, online=3)
        all_agree(dom, d, [0, 1, 2])


@case()
def a_libvirtd_that_is_not_there_stops_nothing():
    with own() as lv, Domain(lv) as dom:
        dom.start()
        lv.kill()
        with LibvirtDaemon(dom, lv) as d:
            equal(d.listed(), {})
            equal(d.ctl("info", dom.name).exit, 10)
            matches("not connected", d.text())
            lv.start()
            d.wait_listed()
            d.wait_idle_online(1)
            done(d.setvcpus(2), present=2, online=2)
            all_agree(dom, d, [0, 1])


@case()
def a_domain_that_ended_while_libvirtd_was_away_is_gone():
    with own() as lv, Scene(2, lv=lv) as (dom, guest, d):
        lv.kill()
        wait_for(lambda: status(d) == "attaching", 5, d.brief)
        asking = d.begin("setvcpus", dom.name, "3")
        guest.ended.set()
        lv.end_qemus()
        lv.start()
        a = asking.wait(20)
        # libvirtd shows it for a moment yet; nobody answers in there.
        assert (a.exit, a.result["result"]) in ((11, "vm-gone"), (6, "no-agent")), "%s" % a
        d.wait_listed(there=False)
        dom.guest = None
        guest.close()


@case()
def a_libvirtd_that_hangs_blocks_nobody():
    with own() as lv, Scene(2, lv=lv) as (dom, guest, d):
        lv.process.kill(signal.SIGSTOP)
        try:
            a = result(d.setvcpus(3, "--timeout", 2), 5, "pending")
            equal(a.vcpu(2)["failed_at"], "qemu:device")
            for _ in range(5):
                a = d.ctl("list")
                assert a.exit == 0 and a.ms < 500, "%s" % a
        finally:
            lv.process.kill(signal.SIGCONT)
        # What was asked for comes, late, and is taken back.
        wait_for(lambda: not d.info()["vcpus"][2]["pending"], 10, d.brief)
        all_agree(dom, d, [0, 1])
        done(d.setvcpus(3), present=3, online=3)


@case(deadline=120)
def a_qemu_that_hangs_is_not_gone_and_keeps_no_other_waiting():
    with own() as lv, Scene(2, lv=lv) as (dom, guest, d), Domain(lv, name="other") as other:
        other.start(holds=[d])
        wait_for(lambda: d.listed().get("other", {}).get("status") == "running", 15, "the other domain")
        os.kill(dom.pid(), signal.SIGSTOP)
        try:
            # Once more while libvirt's call waits for QEMU: nothing that breaks there means an end.
            for _ in range(2):
                lv.kill()
                wait_for(lambda: d.listed()["other"]["status"] == "attaching", 5, "the loss noticed")
                lv.start()
                wait_for(lambda: d.listed()["other"]["status"] == "running", 15, "the other domain again")
                equal(status(d), "attaching")
        finally:
            os.kill(dom.pid(), signal.SIGCONT)
        wait_for(lambda: status(d) == "running", 20, d.brief)
        assert "%s: left" % dom.name not in d.text(), d.text()
        done(d.setvcpus(3), present=3, online=3)
        all_agree(dom, d, [0, 1, 2])


@case()
def the_daemon_ends_at_once_while_a_call_waits():
    with own() as lv, Scene(3, lv=lv) as (dom, guest, d):
        guest.mode = "ignore"
        asking = d.begin("setvcpus", dom.name, "2")
        wait_for(lambda: guest.registers.flags(2) & 4, 5, "the request at the guest")
        equal(d.stop(), 0)
        asking.wait(5)
        guest.mode = "accept"
        wait_for(lambda: dom.xml_present() == [0, 1], 10, "libvirt's own end of it")
        d.start()
        d.wait_listed()
        d.wait_idle_online(2)
        all_agree(dom, d, [0, 1])
        done(d.setvcpus(3), present=3, online=3)
        result(d.setvcpus(9), 4, "refused")


def restarted(d):
    """Killed, and the next one has found the domain."""
    d.restart(signal.SIGKILL)
    d.wait_listed()


def ended(d, op):
    """The operation's answer; libvirt names the domain only after a moment."""
    wait_for(lambda: d.ctl("op", op).exit != 10, 10, "the operation")
    return d.ctl("wait", op, "--timeout", "30")


@case()
def a_daemon_killed_while_idle_knows_its_own_vcpus_again():
    with own() as lv, Scene(3, lv=lv) as (dom, guest, d):
        lv.virsh("setvcpus", dom.name, "4", "--live")
        d.wait_idle_online(4)
        for _ in range(2):
            restarted(d)
            d.wait_idle_online(4)
            equal([v["owned"] for v in d.info()["vcpus"][:5]], [False, True, True, False, False])
        done(d.setvcpus(2), present=2, online=2)
        done(d.setvcpus(3), present=3, online=3)
        equal([v["owned"] for v in d.info()["vcpus"][:4]], [False, True, True, False])


@case()
def what_is_kept_of_a_domain_that_ended_without_a_daemon_is_dropped():
    with own() as lv, Scene(2, lv=lv) as (dom, guest, d):
        done(d.setvcpus(3), present=3, online=3)
        name = "libvirt-" + lv.virsh("domuuid", dom.name).out.strip()
        folder = dom.path("run/intent")
        assert name in os.listdir(folder), os.listdir(folder)
        restarted(d)
        d.wait_idle_online(3)
        assert name in os.listdir(folder), "it runs"
        d.stop(signal.SIGKILL)
        guest.ended.set()
        lv.virsh("destroy", dom.name)
        assert name in os.listdir(folder), "nobody knows yet"
        d.start()
        wait_for(lambda: name not in os.listdir(folder), 10, "the file dropped")


@case(deadline=90)
def a_daemon_killed_in_an_add_goes_on_with_it():
    with own() as lv, Scene(lv=lv) as (dom, guest, d):
        for n in range(4):
            asking = d.begin("setvcpus", dom.name, "5", "--op-id", "add-%d" % n)
            wait_for(lambda n=n: len(guest.present_slots()) > 1 + n, 5, "the first at the guest", pause=0.001)
            restarted(d)
            asking.wait(10)
            done(ended(d, "add-%d" % n), present=5, online=5)
            all_agree(dom, d, [0, 1, 2, 3, 4])
            equal([v["owned"] for v in d.info()["vcpus"][:5]], [False] + [True] * 4)
            done(d.setvcpus(1), present=1, online=1)


@case(deadline=90)
def a_daemon_killed_in_a_removal_goes_on_with_it():
    with own() as lv, Scene(4, lv=lv) as (dom, guest, d):
        guest.mode = "late"
        asking = d.begin("setvcpus", dom.name, "3", "--op-id", "cut")
        wait_for(lambda: guest.in_progress == {3}, 5, "the request at the guest")
        restarted(d)
        asking.wait(10)
        guest.eject(3)
        guest.mode = "accept"
        done(ended(d, "cut"), present=3, online=3)
        all_agree(dom, d, [0, 1, 2])


if __name__ == "__main__":
    tap.main(before=prepare)
