#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Line coverage of whatever reads bytes that others wrote.

	coverage.py BUILD [--missed]

BUILD is a meson build with -Db_coverage=true in which tests have run. Each decoder's lines are
counted over all programs it was compiled into; below LEAST percent in any of them the exit status
is 1. --missed names the lines.

Where only a part of a file decodes, its functions are named: what else is in it belongs to tests
with a kernel under them.
"""

import argparse
import collections
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LEAST = 95
WHOLE = None

DECODERS = {
    "proto/cpulist.c": WHOLE,
    "proto/crc32c.c": WHOLE,
    "proto/frame.c": WHOLE,
    "proto/layout.c": WHOLE,
    "proto/msg.c": WHOLE,
    "proto/session.c": WHOLE,
    "daemon/config.c": WHOLE,
    "daemon/config-file.c": WHOLE,
    "daemon/config-value.c": WHOLE,
    "daemon/json-build.c": WHOLE,
    "daemon/json-in.c": WHOLE,
    "daemon/options.c": WHOLE,
    "daemon/qmp-msg.c": WHOLE,
    "daemon/slots.c": WHOLE,
    "daemon/varlink-request.c": WHOLE,
    "daemon/ctl/words.c": WHOLE,
    "guest-agent/agent-config.c": WHOLE,
    "guest-agent/ktrace.c": ("after_last", "number", "field", "parse_time", "parse_enter", "parse_exit",
                             "ktrace_parse", "take_lines", "ktrace_read", "take_name",
                             "kstep_names_load", "kstep_name"),
    "guest-agent/uevent.c": WHOLE,
}  # fmt: skip


def notes(build):
    """What the runs of the tests have left, of the decoders."""
    names = tuple(path.replace("/", "_") for path in DECODERS) + tuple(os.path.basename(p) for p in DECODERS)
    for folder, _, files in os.walk(build):
        for name in files:
            if name.endswith(".c.gcda") and name[: -len(".gcda")].endswith(names):
                yield os.path.join(folder, name)


def read(build):
    """path -> line -> times run, of the wanted functions."""
    found = collections.defaultdict(collections.Counter)
    for note in sorted(notes(build)):
        out = subprocess.run(["gcov", "--json-format", "--stdout", note], check=True, cwd=build,
                             capture_output=True).stdout  # fmt: skip
        for text in out.splitlines():
            for file in json.loads(text)["files"]:
                _add(found, os.path.normpath(os.path.join(build, file["file"])), file["lines"])
    return found


def _add(found, source, lines):
    path = os.path.relpath(os.path.realpath(source), ROOT)
    if path not in DECODERS:
        return
    for line in lines:
        if DECODERS[path] is WHOLE or line.get("function_name") in DECODERS[path]:
            found[path][line["line_number"]] += line["count"]


def percent(lines):
    return 100.0 * sum(count > 0 for count in lines.values()) / len(lines) if lines else 0.0


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("build")
    p.add_argument("--missed", action="store_true")
    options = p.parse_args()
    found = read(os.path.realpath(options.build))
    low = []
    for path in DECODERS:
        lines = found.get(path, {})
        covered = percent(lines)
        low += [path] * (covered < LEAST)
        print("%5.1f %% of %3d lines  %s%s" % (covered, len(lines), path, "  BELOW %d %%" % LEAST * (covered < LEAST)))
        if options.missed:
            print("".join("          %s:%d\n" % (path, n) for n in sorted(lines) if not lines[n]), end="")
    total = {(path, n): count for path, lines in found.items() for n, count in lines.items()}
    print("%5.1f %% of %d lines in all" % (percent(total), len(total)))
    if low:
        sys.exit("coverage: below %d %%: %s" % (LEAST, ", ".join(low)))


if __name__ == "__main__":
    main()
