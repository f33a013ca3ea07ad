# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests/run does once the packages are there: tier after tier, one line a test, the sum last."""

import argparse
import contextlib
import os
import shutil
import sys
import time

import mutants
from testrun import BUILDS, LOGS, ROOT, Run, SkipTier, run_ninja, scripts
from tiers import TIERS, begin_tidy


def run_tier(run, name):
    print("\n== %s: %s" % (name, TIERS[name].__doc__), flush=True)
    start = time.monotonic()
    try:
        TIERS[name](run)
    except SkipTier as e:
        run.point(name, "THE TIER IS SKIPPED", "skip", str(e))
        run.skipped.append("%s: THE TIER IS SKIPPED: %s" % (name, e))
    run.times.append((name, time.monotonic() - start))


def run_tiers(run, names):
    # What counts a core's time does so with nothing beside it, idle or not: caches are shared.
    before_tidy = "integration" if "integration" in names else "build"
    for name in names:
        shutil.rmtree(os.path.join(LOGS, name), ignore_errors=True)
    try:
        for name in names:
            run_tier(run, name)
            if name == before_tidy and "tidy" in names:
                with contextlib.suppress(SkipTier):  # said at its turn
                    run.tidy = begin_tidy(run)
    finally:
        for left in run.tidy:
            left.cancel()


def list_all():
    for name, function in TIERS.items():
        print("%-12s %s" % (name, function.__doc__))
    for folder in ("sim", "integration", "libvirt", "dist", "systemd", "e2e"):
        for script in scripts(folder):
            print("%s: %s" % (folder, os.path.relpath(script, ROOT)))
    for patch in mutants.patches(ROOT):
        print("mutant: %s" % os.path.relpath(patch, ROOT))


def parse_options():
    p = argparse.ArgumentParser(prog="tests/run", add_help=False)
    p.add_argument("--tier", action="append", choices=list(TIERS))
    for flag in ("--long", "--mutants", "--list"):
        p.add_argument(flag, action="store_true")
    p.add_argument("--ninja", choices=list(BUILDS), help=argparse.SUPPRESS)
    return p.parse_args()


def main():
    options = parse_options()
    if options.ninja:
        run_ninja(options.ninja)
    if options.list:
        return list_all()
    if options.long:
        os.environ["VCPUHP_LONG"] = "1"
    run = Run(options)
    start = time.monotonic()
    if options.mutants:
        mutants.run_all(run, ROOT, LOGS)
    else:
        run_tiers(run, options.tier or list(TIERS))
        print("\ntimes: " + ", ".join("%s %.0f s" % t for t in run.times) +
              "; all %.0f s" % (time.monotonic() - start))  # fmt: skip
    for line in run.skipped:
        print("SKIPPED: " + line)
    for line in run.tried_again:
        print("failed once: " + line)
    for line in run.failed:
        print("failed: " + line)
    print("%(ok)d passed, %(fail)d failed, %(skip)d skipped" % run.counts, flush=True)
    sys.exit(1 if run.counts["fail"] else 0)


if __name__ == "__main__":
    main()
