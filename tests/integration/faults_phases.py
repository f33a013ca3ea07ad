#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every fault in every phase of an add and of a removal, on real QEMU with KVM.

A case is a fault: tests/lib/faults.py has them with what is right for each, faultbed.py the phases.
Each cell asserts one terminal result of the right word and exit status, QEMU, guest and info of one
mind, nothing pending, nothing left behind, that the next operations are plain successes, and that
tests/matrix-kvm.md, where it has that cell, has its end.

--matrix [FAULT...]: each of their cells ROUNDS times, and what was seen becomes their lines of that table.
"""

import os
import sys
import threading

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import matrix
import tap
from faults import ADDING, FAULTS, REMOVING, chunks, walk
from qtestvm import why_not

TABLE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "matrix-kvm.md")
MAKING = "--matrix" in sys.argv[1:]
ROUNDS = 2 if MAKING else 1
FAILED = "FAILED"
ROWS = TABLE + ".rows"
HEAD = """\
<!-- Made by tests/integration/faults_phases.py --matrix; do not edit. -->
# Fault by phase on real QEMU: how an operation ends

Each cell is %d runs with the real daemon, real QEMU on KVM, and the real agent in a guest that is played.
It says how the operation ended, and in how many runs where there are several ends; "-": there is no such
fault in that phase, or nothing of its own to be seen by it. Where a command or an event is cut off in the
middle, either end may be right. In every run there was one result, it was what is right for that fault,
QEMU, guest and daemon agreed afterwards, nothing was pending or left behind, and the next operations were
plain successes. The simulation's table, with 100 runs of each cell and more faults, is [matrix.md](matrix.md).

*failed*, *cancelled*, *refused*: with everything as it was before. *pending*: a step could not be recalled when
the deadline came; it was followed to its end. *stuck*: the way back failed too, and it says where.
*no-agent*, *vm-gone*: as in vcpuhpctl(1).
""" % ROUNDS


def both_ways(fault, known):
    failed, rows, struck = [], [], {ADDING: [], REMOVING: []}

    def note(cell, word, error, seconds):
        said = word or "%s, %s" % (cell.answer and cell.answer.result.get("result"), error)
        print("# %s %s: %s (%.2f s)" % ("FAILED" if error else "ok", cell.name, said, seconds), flush=True)
        rows.append((cell.kind.name, fault.name, cell.phase.__name__, word or FAILED))
        if cell.struck is not None:
            struck[cell.kind].append(cell.struck)
        # Of ends that are a matter of chance the table has those that were seen when it was made.
        chance = len(fault.expected(cell.kind, cell.phase)) > 1
        if error:
            failed.append("%s: %s" % (cell.name, error))
        elif known and not chance and matrix.unknown(known, *rows[-1]):
            failed.append("%s: %s is not what %s has" % (cell.name, word, os.path.basename(TABLE)))

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
    matrix.keep(ROWS if MAKING else None, rows)
    assert not failed, "\n".join(failed)


def make_case(fault):
    def one():
        known = None if MAKING else matrix.read(TABLE)
        assert known or MAKING, "there is no %s: --matrix makes it" % TABLE
        for _ in range(ROUNDS):
            both_ways(fault, known)

    one.__name__ = fault.name
    tap.case(deadline=120 * ROUNDS)(one)


for each in FAULTS:
    make_case(each)


def the_table_has_no_cells_but_these():
    cells = [(kind.name, fault.name, phase.__name__) for fault in FAULTS for kind in (ADDING, REMOVING)
             for phase in kind.phases if fault.expected(kind, phase)]  # fmt: skip
    tap.equal(matrix.stale(matrix.read(TABLE), cells), [], TABLE)


if not MAKING:
    tap.case()(the_table_has_no_cells_but_these)


def main():
    if not MAKING:
        tap.main(before=why_not)
    sys.argv.remove("--matrix")
    if os.path.exists(ROWS):
        os.unlink(ROWS)
    try:
        tap.main(before=why_not)
    except SystemExit as end:
        # Of cells that failed there is no table.
        if not end.code:
            phases = {k.name: [p.__name__ for p in k.phases] for k in (ADDING, REMOVING)}
            matrix.write(TABLE, HEAD, ROWS, phases, [fault.name for fault in FAULTS])
        os.unlink(ROWS)
        raise


if __name__ == "__main__":
    main()
