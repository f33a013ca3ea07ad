#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real KVM vCPUs that run a guest of our own: the whole path from the daemon over QMP and KVM to a
callback on the vCPU that was added, back by the guest protocol, and the eject.

One case for each scene of microscenes.py, each on a VM of its own.
"""

import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import microscenes
import tap
from microguest import why_not
from microscenes import Life


def as_case(scene, k):
    def run():
        with Life() as life:
            scene(life, k)
            life.over()

    run.__name__ = scene.__name__
    return tap.case(deadline=60)(run)


for number, each in enumerate(microscenes.GOOD + microscenes.BAD):
    as_case(each, k=1 + number % 7)

if __name__ == "__main__":
    tap.main(before=why_not)
