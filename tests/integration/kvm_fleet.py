#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many VMs on real KVM, each of whose vCPUs is added and removed once, with guests of every kind."""

import os
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from microfleet import SCENES, Fleet
from microguest import why_not
from tap import case, equal

SEED = int(os.environ.get("VCPUHP_SEED", "1"))


def fleet(vms, jobs):
    f = Fleet(SEED)
    f.run(vms, jobs)
    equal((sum(f.lives.values()), f.adds), (vms, 7 * vms), "VMs and vCPUs added in them")
    print("# seed %d: %d VMs, %d vCPUs added and removed, %d of %d scenes" % (
        SEED, vms, f.adds, len(f.lives), len(SCENES)))  # fmt: skip


@case(deadline=120)
def vms_5_of_7_adds_and_7_removes_are_told_as_they_are():
    fleet(5, jobs=2)


@case(deadline=900, long=True)
def vms_100_of_7_adds_and_7_removes_are_told_as_they_are():
    fleet(100, jobs=3)


if __name__ == "__main__":
    tap.main(before=why_not)
