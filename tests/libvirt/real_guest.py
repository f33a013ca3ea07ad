#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real guest on a libvirt domain: virsh, vcpuhpctl and libvirt's own guest agent move its vCPUs.

Under TCG all plugs come first (see vm.py), and libvirt never learns of an unplug: QEMU's event that
it waits for does not come, so virsh ends with a timeout and its table is old until libvirtd asks
QEMU anew, at its next start. What the guest and QEMU say is right all the time, and so is info.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from lvguest import RealDomain, why_no_guest, why_no_qemu_ga
from lvscene import Scene, all_agree, ends_told, own, prepare
from scene import callbacks, calls, done, drift_of, result
from tap import Skip, case, equal, matches
from vm import wait_for

LOG = callbacks(_10_log="")
NOTICED = 5
TOP = 8  # the highest vCPU of the mixed operations


def settles(d, present, online, standby=0, seconds=20):
    wait_for(lambda: d.counts() == (present, online, standby), seconds, d.brief, pause=0.05)


def states_told(events, vcpu):
    return [e["name"] for e in events if e.get("type") == "state" and e["vcpu"] == vcpu]


def there(dom, d, slots):
    """QEMU, the guest and info; libvirt as well once it has been started again."""
    equal((dom.qemu_present(), dom.guest.present_slots()), (slots, slots), "QEMU, the guest")
    equal([v["vcpu"] for v in d.info()["vcpus"] if v["state"]], slots, "info")


@case(deadline=120)
def what_virsh_moves_goes_through_the_ladder_and_is_foreign():
    with own() as lv, Scene(kind=RealDomain, lv=lv, files=LOG) as (dom, guest, d), ThreadPoolExecutor() as pool:
        events = pool.submit(d.begin("events", dom.name).wait, 120)
        try:
            moved_by_virsh(lv, dom, guest, d)
        finally:
            d.stop()
        told = events.result().lines
        for vcpu in (3, 4):
            assert "online" in states_told(told, vcpu), "vCPU %d: %s" % (vcpu, states_told(told, vcpu))
        assert states_told(told, 4)[-1] == "offline", "%s" % states_told(told, 4)
        drifts = [e["text"] for e in told if e.get("type") == "drift" and e["vcpu"] == 4]
        assert "it left QEMU without being asked" in drifts, "%s" % drifts


def moved_by_virsh(lv, dom, guest, d):
    done(d.setvcpus(3), present=3, online=3)
    all_agree(dom, d, [0, 1, 2])
    # No udev rule in there: who onlines them is the agent, when it is asked.
    lv.virsh("setvcpus", dom.name, 5, "--live")
    settles(d, 5, 5)
    all_agree(dom, d, [0, 1, 2, 3, 4])
    v = d.info()["vcpus"]
    equal([x["owned"] for x in v[:5]], [False, True, True, False, False])
    equal([x["ran_on"] for x in v[1:5]], [x["cpu"] for x in v[1:5]])
    equal([(c.what, c.ran_on, c.late) for n in (3, 4) for c in calls(guest, v[n]["cpu"])],
          [("startup", v[n]["cpu"], False) for n in (3, 4)])  # fmt: skip

    gone = v[4]["cpu"]
    lv.virsh("setvcpus", dom.name, 4, "--live", check=dom.kvm)
    settles(d, 4, 4)
    matches("left QEMU without being asked", drift_of(d, 4))
    there(dom, d, [0, 1, 2, 3])
    equal([(c.what, c.late) for c in calls(guest, gone)], [("startup", False), ("teardown", True)])

    # What virsh plugged is removed as our own, and a libvirtd that asks QEMU anew knows it all.
    done(d.setvcpus(3), present=3, online=3)
    there(dom, d, [0, 1, 2])
    lv.kill()
    lv.start()
    wait_for(lambda: d.info()["status"] == "running", 10, d.brief)
    all_agree(dom, d, [0, 1, 2])


@case(deadline=120)
def what_libvirt_s_own_guest_agent_moves_is_drift():
    if why_no_qemu_ga():
        raise Skip(why_no_qemu_ga())
    with Scene(3, kind=RealDomain, files=LOG, qemu_ga=True) as (dom, guest, d):
        dom.lv.virsh("setvcpus", dom.name, 2, "--guest")
        settles(d, 3, 2, 1, seconds=NOTICED)
        taken = next(v for v in d.info()["vcpus"][:3] if v["name"] == "standby")
        wait_for(lambda: drift_of(d, taken["vcpu"]), NOTICED, d.brief)
        matches("took it down without being asked", drift_of(d, taken["vcpu"]))
        equal([(c.what, c.late) for c in calls(guest, taken["cpu"])], [("startup", False), ("teardown", True)])
        # libvirt counts what is plugged; only its agent counts what is online.
        equal((dom.vcpucount(), len(guest.online())), (3, 2))
        dom.lv.virsh("setvcpus", dom.name, 3, "--guest")
        settles(d, 3, 3, seconds=NOTICED)
        equal(calls(guest, taken["cpu"])[-1].what, "startup", "adopted")
        wait_for(lambda: not drift_of(d, taken["vcpu"]), NOTICED, d.brief)
        all_agree(dom, d, [0, 1, 2])


@case(deadline=120)
def both_add_at_once_and_then_both_remove_at_once():
    with own() as lv, Scene(kind=RealDomain, lv=lv) as (dom, guest, d), ThreadPoolExecutor() as pool:
        events = pool.submit(d.begin("events", dom.name).wait, 120)
        try:
            ours = both_at_once(lv, dom, d, pool)
        finally:
            d.stop()
        ends = ends_told(events.result().lines)
        for a in ours:
            equal(ends.get(a.result["op"]), [a.result["result"]], "the ends told of %s" % a)


def both_at_once(lv, dom, d, pool):
    """First only adds, the lowest slot first, then only removals from the highest: there is never a hole."""

    def setvcpu(vcpus, way):
        return d.setvcpu(vcpus, way, "--policy", "best-effort", seconds=100)

    def virsh(way, vcpus):
        return [lv.virsh("setvcpu", dom.name, v, way, "--live", check=False).exit for v in vcpus]

    def lowest_free():
        for _ in range(TOP):
            if dom.vcpucount() <= TOP:
                yield dom.vcpucount()

    theirs = pool.submit(virsh, "--enable", lowest_free())
    ours = [setvcpu("1-%d" % n, "--enable") for n in (2, 4, 6, TOP)]
    print("# up: virsh %s, vcpuhpctl %s" % (theirs.result(), [a.result["result"] for a in ours]), flush=True)
    settles(d, TOP + 1, TOP + 1)
    all_agree(dom, d, list(range(TOP + 1)))
    theirs = pool.submit(virsh, "--disable", (TOP,))
    down = [setvcpu("%d-%d" % (TOP - 1, TOP), "--disable")]
    print("# down: virsh %s, vcpuhpctl %s" % (theirs.result(), [a.result["result"] for a in down]), flush=True)
    settles(d, TOP - 1, TOP - 1)
    there(dom, d, list(range(TOP - 1)))
    lv.kill()
    lv.start()
    wait_for(lambda: d.info()["status"] == "running", 10, d.brief)
    all_agree(dom, d, list(range(TOP - 1)))
    return ours + down


@case(deadline=120)
def what_was_saved_is_found_again_when_it_is_restored():
    with Scene(2, kind=RealDomain, files=LOG) as (dom, guest, d):
        done(d.setvcpus(2, "--standby", 1), present=3, online=2, standby=1)
        before = d.info()["agent"]["boot_id"]
        dom.save_and_restore(lambda: d.wait_listed(there=False))
        d.wait_listed()
        settles(d, 3, 2, 1)
        equal((d.info()["agent"]["boot_id"], d.info()["status"]), (before, "running"))
        equal(len(calls(dom.guest)), 2, "nothing has run twice")
        done(d.setvcpus(4), present=4, online=4)
        all_agree(dom, d, [0, 1, 2, 3])
        dom.lv.virsh("suspend", dom.name)
        result(d.setvcpus(5), 4, "refused")
        dom.lv.virsh("resume", dom.name)
        done(d.setvcpus(5), present=5, online=5)
        all_agree(dom, d, [0, 1, 2, 3, 4])


WAITS = callbacks(_10_log="while [ $2 != 0 ] && [ ! -e /run/go ]; do usleep 20000; done")


@case(deadline=120)
def an_operation_whose_domain_is_saved_is_vm_gone_and_what_it_began_is_finished():
    with Scene(kind=RealDomain, files=WAITS) as (dom, guest, d):
        asking = d.begin("setvcpus", dom.name, 2)
        wait_for(lambda: len(calls(guest, 1)) == 1, 20, d.brief)
        dom.save_and_restore(lambda: result(asking.wait(10), 11, "vm-gone"))
        d.wait_listed()
        dom.guest.guest("touch /run/go")
        settles(d, 2, 2)
        all_agree(dom, d, [0, 1])
        equal([(c.what, c.ran_on) for c in calls(dom.guest, 1)], [("startup", 1)])
        done(d.setvcpus(3), present=3, online=3)
        all_agree(dom, d, [0, 1, 2])


if __name__ == "__main__":
    tap.main(before=lambda: why_no_guest() or prepare())
