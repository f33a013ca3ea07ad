#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real QEMU says what was recorded of it (tests/lib/dialogues.py).

real_qemu.py --record writes the recordings anew.
"""

import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from dialogues import compare, dialogues, real_transcript, record
from qtestvm import why_not
from tap import case


@case()
def the_real_qemu_says_what_was_recorded():
    for path in dialogues():
        compare(real_transcript(path), path)


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        record()
    else:
        tap.main(before=why_not)
