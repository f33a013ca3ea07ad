#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every fault in every phase of an add and of a removal, on real QEMU with KVM.

A case is a fault: tests/lib/faults.py has them with what is right for each, faultbed.py the phases.
Each cell asserts one terminal result of the right word and exit status, QEMU, guest and info of one
mind, nothing pending, nothing left behind, and that the next operations are plain successes.

--matrix FILE: also write what was seen as a table, fault by phase.
"""

import os
import sys
import threading

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import matrix
import tap
from faults import ADDING, FAULTS, REMOVING, chunks, walk
from qtestvm import why_not

MATRIX = "VCPUHP_FAULTS_ROWS"


def both_ways(fault):
    failed, rows, struck = [], [], {ADDING: [], REMOVING: []}

    def note(cell, word, error, seconds):
        said = word or "%s, %s" % (cell.answer and cell.answer.result.get("result"), error)
        print("# %s %s: %s (%.2f s)" % ("FAILED" if error else "ok", cell.name, said, seconds), flush=True)
        rows.append((cell.kind.name, fault.name, cell.phase.__name__, word or "FAILED"))
        if cell.struck is not None:
            struck[cell.kind].append(cell.struck)
        if error:
            failed.append("%s: %s" % (cell.name, error))

    def run(kind, phases):
        try:
            walk(fault, kind, phases, note)
        except BaseException as e:
            failed.append("%s, %s: %s: %s" % (fault.name, kind.name, type(e).__name__, e))

    threads = [threading.Thread(target=run, args=(kind, phases), daemon=True)
               for kind in (ADDING, REMOVING) for phases in chunks(fault, kind)]  # fmt: skip
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    failed += ["%s, %s: it was never had" % (fault.name, k.name) for k, n in struck.items() if n and not any(n)]
    matrix.keep(os.environ.get(MATRIX), rows)
    assert not failed, "\n".join(failed)


def make_case(fault):
    def one():
        both_ways(fault)

    one.__name__ = fault.name
    tap.case(deadline=120)(one)


for each in FAULTS:
    make_case(each)


def main():
    out = None
    if "--matrix" in sys.argv:
        at = sys.argv.index("--matrix")
        out = os.path.abspath(sys.argv[at + 1])
        del sys.argv[at : at + 2]
        os.environ[MATRIX] = out + ".rows"
    try:
        tap.main(before=why_not)
    finally:
        if out:
            phases = {k.name: [p.__name__ for p in k.phases] for k in (ADDING, REMOVING)}
            matrix.write(out, os.environ[MATRIX], phases)


if __name__ == "__main__":
    main()
