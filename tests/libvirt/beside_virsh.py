#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virsh and vcpuhpctl on one domain: what either does is not lost on the other."""

import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from lvscene import Scene, all_agree, prepare
from scene import done, drift_of, result
from tap import case, equal, matches
from vm import wait_for


def settled(dom, d):
    """Until what virsh plugged last has been noticed and is online."""

    def quiet():
        before = (dom.vcpucount(), d.counts())
        n = before[0]
        return before == (n, (n, n, 0)) and not d.info()["operation"] and before[0] == dom.vcpucount()

    wait_for(quiet, 10, d.brief, pause=0.3)


@case()
def what_virsh_plugs_is_brought_online_by_the_agent():
    with Scene() as (dom, guest, d):
        dom.lv.virsh("setvcpus", dom.name, 3, "--live")
        wait_for(lambda: d.counts() == (3, 3, 0), 10, d.brief)
        all_agree(dom, d, [0, 1, 2])
        v = d.info()["vcpus"]
        equal([(x["owned"], x["name"], x["ran_on"]) for x in v[1:3]],
              [(False, "online", x["cpu"]) for x in v[1:3]])  # fmt: skip
        # They need no --foreign here: virsh asks nobody either.
        done(d.setvcpus(1), present=1, online=1)
        all_agree(dom, d, [0])


@case()
def what_virsh_plugs_is_left_where_that_is_configured():
    with Scene(sections="[Domain kq]\nForeign=leave\n") as (dom, guest, d):
        dom.lv.virsh("setvcpus", dom.name, 2, "--live")
        wait_for(lambda: "another" in (drift_of(d, 1) or ""), 10, d.brief)
        equal(d.counts(), (2, 1, 1))


@case()
def what_virsh_takes_away_is_reported_as_drift():
    with Scene(3) as (dom, guest, d):
        dom.lv.virsh("setvcpus", dom.name, 2, "--live")
        wait_for(lambda: d.counts() == (2, 2, 0), 5, d.brief)
        matches("without being asked", drift_of(d, 2))
        all_agree(dom, d, [0, 1])
        done(d.setvcpus(3), present=3, online=3)


@case(deadline=90)
def a_virsh_that_holds_the_domain_is_waited_for():
    with Scene(3) as (dom, guest, d):
        guest.mode = "ignore"
        other = dom.lv.begin("setvcpus", dom.name, 2, "--live")
        wait_for(lambda: guest.registers.flags(2) & 4, 5, "virsh's request at the guest")
        guest.mode = "refuse"
        a = done(d.setvcpus(4), present=4, online=4)
        assert a.ms > 2000, "virsh cannot have given up after %.0f ms" % a.ms
        other.communicate()
        equal(other.returncode, 1, "virsh's timeout")
        guest.mode = "accept"
        all_agree(dom, d, [0, 1, 2, 3])


@case(deadline=120)
def both_at_once_end_in_one_view():
    with Scene() as (dom, guest, d):
        for n in range(10):
            ours = d.begin("setvcpus", dom.name, 2 + n % 4)
            theirs = dom.lv.begin("setvcpus", dom.name, 2 + (n + 2) % 4, "--live")
            theirs.communicate()
            a = ours.wait(30)
            # 12: virsh took a vCPU away that was being brought back.
            assert a.exit in (0, 1, 3, 4, 12), "%s" % a
        settled(dom, d)
        done(d.setvcpus(2), present=2, online=2)
        all_agree(dom, d, [0, 1])


@case()
def nothing_is_changed_in_the_persistent_configuration():
    with Scene() as (dom, guest, d):
        before = dom.lv.virsh("dumpxml", dom.name, "--inactive").out
        done(d.setvcpus(4), present=4, online=4)
        result(d.setvcpus(9), 4, "refused")
        done(d.setvcpus(2), present=2, online=2)
        equal(dom.lv.virsh("dumpxml", dom.name, "--inactive").out, before)


if __name__ == "__main__":
    tap.main(before=prepare)
