#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The simulation's QEMU says what was recorded of the real one (tests/lib/dialogues.py)."""

import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from dialogues import compare, dialogues, scripted_transcript
from tap import case


@case()
def the_scripted_qemu_says_what_was_recorded():
    assert len(dialogues()) >= 5, "the recordings are not there"
    for path in dialogues():
        compare(scripted_transcript(path), path)


if __name__ == "__main__":
    tap.main()
