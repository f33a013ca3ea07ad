# SPDX-License-Identifier: LGPL-2.1-or-later
"""tests/run --mutants: the code broken on purpose, one patch at a time, must be noticed.

Each tests/mutants/NAME.patch says in its head what it breaks and which test has to fail:

	# rule: R8
	# test: unit:walk
	# test: script:tests/integration/agent_dialogue.py R8_startup_failure

"unit:" names a test of meson's; "script:" a program with the cases to run. Where a rule is given,
one of the failing cases must carry its name (R8_...). The tree is copied once; each patch is
applied, built, tested and taken back.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import time

import tapread


def patches(root):
    return sorted(glob.glob(os.path.join(root, "tests", "mutants", "*.patch")))


def header(path):
    """{"rule": text or None, "tests": [text, ...]} of a patch."""
    found = {"rule": None, "tests": []}
    with open(path, encoding="utf-8") as f:
        for line in f:
            m = re.match(r"#\s*(rule|test):\s*(.*\S)", line)
            if line.startswith(("--- ", "diff ")):
                break
            if m and m.group(1) == "rule":
                found["rule"] = m.group(2)
            elif m:
                found["tests"].append(m.group(2))
    return found


def _copy(root, scratch):
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(root, scratch, symlinks=True,
                    ignore=lambda folder, names: [n for n in names if n in (".git", "__pycache__")
                                                  or folder == root and n.startswith("build")])  # fmt: skip


def _sh(args, cwd, log):
    with open(log, "a", encoding="utf-8") as out:
        return subprocess.run(args, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                              check=False).returncode == 0  # fmt: skip


def _command(test, scratch):
    kind, _, rest = test.partition(":")
    if kind == "script":
        return [sys.executable] + rest.split()
    for t in tapread.meson_tests(os.path.join(scratch, "build")):
        if t["name"] == rest:
            return t["cmd"]
    raise LookupError("no test named %s" % test)


def _failures(test, root, scratch, log):
    """Names of the points of @test that fail in the mutated tree."""
    failed = []
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", PYTHONDONTWRITEBYTECODE="1",
               VCPUHP_BUILD=os.path.join(scratch, "build"),
               VCPUHP_GUEST_DIR=os.path.join(root, "build", "guest"),
               PYTHONPATH=os.path.join(scratch, "tests", "lib"))  # fmt: skip
    tapread.run(_command(test, scratch), log, lambda p: failed.append(p) if p.verdict == "fail" else 0,
                300, env, scratch)  # fmt: skip
    return [p.name for p in failed]


def _judge(path, root, scratch, log):
    """(verdict, what was seen) of one patch in the prepared tree."""
    head = header(path)
    if not head["tests"]:
        return "fail", "its head names no test"
    if not _sh(["patch", "-p1", "--forward", "-i", path], scratch, log):
        return "fail", "the patch does not apply"
    try:
        if not _sh(["ninja", "-C", "build"], scratch, log):
            return "fail", "does not build"
        for test in head["tests"]:
            failed = _failures(test, root, scratch, log + ".tap")
            if not failed:
                return "fail", "NOT NOTICED by %s" % test
            rule = head["rule"]
            if rule and not any(name.startswith(rule + "_") for name in failed):
                return "fail", "%s fails, but not in a %s_ case: %s" % (test, rule, ", ".join(failed))
        return "ok", "noticed by %s" % failed[0]
    except LookupError as e:
        return "fail", str(e)
    finally:
        _sh(["patch", "-p1", "-R", "-i", path], scratch, log)


def run_all(run, root, logs):
    scratch = os.path.join(root, "build", "mutants")
    log = os.path.join(logs, "mutants.log")
    os.makedirs(logs, exist_ok=True)
    open(log, "w", encoding="utf-8").close()
    _copy(root, scratch)
    if not (_sh(["meson", "setup", "build"], scratch, log) and _sh(["ninja", "-C", "build"], scratch, log)):
        run.point("mutants", "the unchanged tree", "fail", "does not build, see " + log)
        return
    table = []
    for path in patches(root):
        start = time.monotonic()
        name = os.path.basename(path)[:-6]
        verdict, seen = _judge(path, root, scratch, log)
        run.point("mutants", name, verdict, seen, time.monotonic() - start)
        table.append((header(path)["rule"] or "-", name, seen))
    print()
    for row in sorted(table):
        print("%-5s %-32s %s" % row)
