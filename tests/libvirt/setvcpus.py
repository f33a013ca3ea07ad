#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vcpuhpctl on domains of a real libvirtd: counts, refusals, late guests, domains that come and go."""

import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from libvirtd import Domain
from lvscene import Scene, all_agree, prepare, shared
from scene import done, result
from tap import case, equal, matches
from vm import wait_for

SHORT = {"EjectSec": 1, "EjectMaxSec": 3}
LIBVIRT_WAITS_S = 5  # its fixed time for an unplug, refused or not


@case()
def up_to_four_and_down_to_one():
    with Scene() as (dom, guest, d):
        equal(d.listed()[dom.name]["hypervisor"], "libvirt")
        all_agree(dom, d, [0])
        done(d.setvcpus(4), present=4, online=4)
        all_agree(dom, d, [0, 1, 2, 3])
        done(d.setvcpus(1), present=1, online=1)
        all_agree(dom, d, [0])


@case()
def a_name_an_id_and_a_uuid_are_one_domain():
    with Scene() as (dom, guest, d):
        for n, word in ((2, dom.id()), (3, dom.uuid()), (4, dom.uuid().upper()), (3, dom.name)):
            done(d.ctl("setvcpus", word, n), present=n, online=n)
        for word in ("0", "99", "00000000-0000-0000-0000-000000000001", "kq2"):
            equal(d.ctl("info", word).exit, 10, word)


@case()
def a_refusal_is_told_while_libvirt_s_own_call_still_waits():
    with Scene(4) as (dom, guest, d):
        guest.mode = "refuse"
        a = result(d.setvcpus(3), 4, "refused")
        assert a.ms < 500, "it took %.0f ms" % a.ms
        equal(a.result["refused_by"], "guest")
        matches("refused", a.vcpu(3)["error"])
        equal((dom.listed_present(), guest.online()), ([0, 1, 2, 3], [0, 1, 2, 3]), "back in service")
        equal(d.states()[3], "online")
        # The next change waits for libvirt's call, and so it does not run into its lock.
        guest.mode = "accept"
        a = done(d.setvcpus(5), present=5, online=5)
        assert a.ms > 3000, "libvirt's call cannot have ended after %.0f ms" % a.ms
        all_agree(dom, d, [0, 1, 2, 3, 4])


@case()
def the_first_refusal_stops_the_removal_of_the_others():
    with Scene(5) as (dom, guest, d):
        guest.mode = "refuse"
        a = result(d.setvcpus(2), 4, "refused")
        assert a.ms < 500, "it took %.0f ms" % a.ms
        guest.mode = "accept"
        done(d.setvcpus(2), present=2, online=2)
        all_agree(dom, d, [0, 1])


@case()
def a_late_eject_within_the_deadline_is_a_success():
    with Scene(4) as (dom, guest, d):
        guest.mode = "late"
        asking = d.begin("setvcpus", dom.name, "3")
        wait_for(lambda: guest.in_progress == {3}, 5, "the request at the guest")
        guest.eject(3)
        a = done(asking.wait(20), present=3, online=3)
        assert a.ms < 2000, "it took %.0f ms" % a.ms
        all_agree(dom, d, [0, 1, 2])


@case()
def a_late_eject_is_folded_in_after_libvirt_has_given_up():
    with Scene(4, daemon=SHORT) as (dom, guest, d):
        guest.mode = "late"
        a = result(d.setvcpus(3), 5, "pending")
        equal((a.vcpu(3)["result"], a.result["present"]), ("pending", 4), "counted as present")
        equal(d.info()["vcpus"][3]["pending"], "unplug")
        wait_for(lambda: "timed out" in dom.lv.text(), LIBVIRT_WAITS_S + 5, "libvirt's own timeout")
        guest.eject(3)
        wait_for(lambda: d.counts() == (3, 3, 0), 5, d.brief)
        guest.mode = "accept"
        all_agree(dom, d, [0, 1, 2])
        done(d.setvcpus(4), present=4, online=4)
        all_agree(dom, d, [0, 1, 2, 3])


@case()
def two_phases_of_one_operation_with_standby():
    with Scene() as (dom, guest, d):
        done(d.setvcpus(2, "--standby", 2), present=4, online=2, standby=2)
        equal((dom.vcpucount(), guest.online()), (4, [0, 1]))
        done(d.setvcpus(4), present=4, online=4)
        done(d.setvcpu("2,3", "--disable"), present=2, online=2)
        all_agree(dom, d, [0, 1])


@case()
def what_was_there_at_boot_stays():
    with Scene(3, current=2) as (dom, guest, d):
        a = result(d.setvcpus(1), 4, "refused")
        matches("boot", "%s" % a)
        done(d.setvcpus(2), present=2, online=2)
        all_agree(dom, d, [0, 1])


@case()
def a_paused_domain_is_refused():
    with Scene() as (dom, guest, d):
        dom.lv.virsh("suspend", dom.name)
        a = result(d.setvcpus(2), 4, "refused")
        matches("paused", "%s" % a)
        equal(d.info()["status"], "paused")
        dom.lv.virsh("resume", dom.name)
        done(d.setvcpus(2), present=2, online=2)


@case()
def a_section_carries_the_policy():
    with Scene(sections="[Domain kq]\nMaxVcpus=3\nPlace=0\n") as (dom, guest, d):
        result(d.setvcpus(4), 4, "refused")
        done(d.setvcpus(3), present=3, online=3)
        equal(pins(dom), {0: None, 1: "0", 2: "0"})
        done(d.setvcpus(1), present=1, online=1)
        all_agree(dom, d, [0])


def pins(dom):
    """vCPU -> its host CPUs in the live XML, None where it has no pinning of its own."""
    found = {int(p.get("vcpu")): p.get("cpuset") for p in dom.xml().iter("vcpupin")}
    return {v: found.get(v) for v in dom.xml_present()}


@case()
def domains_come_and_go_while_the_daemon_runs():
    with Scene(2) as (dom, guest, d), Domain(shared(), name="kq2") as other, \
            Domain(shared(), name="bare", channel=False) as bare:  # fmt: skip
        equal(set(d.listed()), {"kq"})
        other.start(holds=[d])
        bare.start(agent=False)
        wait_for(lambda: set(d.listed()) == {"kq", "kq2"}, 10, "kq2 in list")
        wait_for(lambda: d.ctl("setvcpus", "kq2", 2).exit == 0, 10, "an agent in kq2")
        equal(other.xml_present(), [0, 1])
        first = other.id()
        other.destroy()
        wait_for(lambda: set(d.listed()) == {"kq"}, 5, "kq2 gone from list")
        equal(d.ctl("setvcpus", "kq2", 3).exit, 10)
        other.start(holds=[d])
        wait_for(lambda: set(d.listed()) == {"kq", "kq2"}, 10, "kq2 in list again")
        assert other.id() != first
        equal(d.ctl("info", first).exit, 10, "its old id")
        done(d.setvcpus(3), present=3, online=3)


@case()
def a_domain_destroyed_in_an_operation_is_vm_gone():
    with Scene(3) as (dom, guest, d):
        guest.mode = "ignore"
        asking = d.begin("setvcpus", dom.name, "2")
        wait_for(lambda: d.info()["vcpus"][2]["pending"] == "unplug", 5, d.brief)
        dom.destroy()
        a = asking.wait(10)
        equal((a.exit, a.result["result"]), (11, "vm-gone"), "%s" % a)
        d.wait_listed(there=False)


if __name__ == "__main__":
    tap.main(before=prepare)
