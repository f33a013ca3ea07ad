# SPDX-License-Identifier: LGPL-2.1-or-later
"""tests/run --mutants: the code broken on purpose, one patch at a time, must be noticed.

Each tests/mutants/NAME.patch says in its head what the bug would mean for a user, whose rule it
breaks and which tests have to fail:

	A sentence or two.
	# rule: R8
	# test: unit:walk
	# test: script:tests/integration/agent_dialogue.py R8_agent_rolls_back_a_failed_startup_in_reverse

"unit:" names a test of meson's; "script:" a program with the cases to run. Every test named has to
fail, and where a rule is given, in a case that carries its name (R8_...): a program that crashes or
hangs has not noticed anything.

A patch is applied by what it says, not by where: the lines a hunk takes away, with those around
them, have to be there exactly once. So edits elsewhere do not make it stale.

The tree is copied and built once (only what the tests need), the copy copied again for the second
builder. On the unchanged tree every test named has to pass.
"""

import glob
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time

import tapread

RULES = ["R%d" % n for n in range(1, 20)]
BUILDERS = 2
SECONDS = 90  # for one test of one mutant
PAGE = os.path.join("tests", "mutants.md")

# What a script's test needs built; other scripts need everything.
SCRIPT_TARGETS = {
    "tests/integration/agent_dialogue.py": ["guest-agent/vcpuhp-agent-test"],
}


class Broken(Exception):
    """A patch or a tree that cannot be judged; says why."""


class Patch:
    """.name, .rule (or None), .tests (as in the head), .files: path -> [(old, new), ...]."""

    def __init__(self, path):
        self.name = os.path.basename(path)[:-6]
        self.rule, self.tests, self.files = None, [], {}
        self.hunk, self.lines, self.meaning = None, None, ""
        with open(path, encoding="utf-8") as f:
            for line in f:
                self._take(line)

    def _take(self, line):
        head = re.match(r"#\s*(rule|test):\s*(.*\S)", line)
        if line.startswith("--- "):
            self.hunk = None
        elif line.startswith("+++ "):
            name = line[4:].split("\t")[0].strip()
            self.lines = self.files.setdefault(name.split("/", 1)[1], [])
        elif line.startswith("@@") and self.lines is not None:
            self.hunk = ["", ""]
            self.lines.append(self.hunk)
        elif self.hunk and line[0] in " +-\n":
            line = " \n" if line == "\n" else line
            self.hunk[0] += line[1:] if line[0] in " -" else ""
            self.hunk[1] += line[1:] if line[0] in " +" else ""
        elif head and head.group(1) == "rule":
            self.rule = head.group(2)
        elif head:
            self.tests.append(head.group(2))
        elif self.lines is None:
            self.meaning += line

    def changed(self, tree):
        """(before, after) of the files it changes in @tree, name -> text each; Broken if it does not apply."""
        if not self.meaning.strip() or not self.tests or not any(self.files.values()):
            raise Broken("does not say what it means, names no test or changes nothing")
        before, after = {}, {}
        for name, hunks in self.files.items():
            try:
                with open(os.path.join(tree, name), encoding="utf-8") as f:
                    before[name] = after[name] = f.read()
            except FileNotFoundError as e:
                raise Broken("there is no " + name) from e
            for old, new in hunks:
                n = ("\n" + after[name]).count("\n" + old)
                if n != 1:
                    raise Broken("does not apply: %d places in %s look like it" % (n, name))
                after[name] = ("\n" + after[name]).replace("\n" + old, "\n" + new)[1:]
        return before, after

    def apply(self, tree):
        """Change the files in @tree; return what undoes it."""
        before, after = self.changed(tree)
        write_files(tree, after)
        return before


def write_files(tree, files):
    for name, text in files.items():
        with open(os.path.join(tree, name), "w", encoding="utf-8") as f:
            f.write(text)


def patches(root):
    return sorted(glob.glob(os.path.join(root, "tests", "mutants", "*.patch")))


def _sh(args, cwd, log):
    with open(log, "a", encoding="utf-8") as out:
        return subprocess.run(args, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                              check=False).returncode == 0  # fmt: skip


def copy_tree(root, tree):
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(root, tree, symlinks=True,
                    ignore=lambda folder, names: [n for n in names if n in (".git", "__pycache__")
                                                  or folder == root and n.startswith("build")])  # fmt: skip


class Builder:
    """A tree with its own build folder, in which mutants are judged one after the other."""

    def __init__(self, root, tree, log):
        self.root, self.tree, self.log = root, tree, log
        self.known = {}

    def setup(self):
        copy_tree(self.root, self.tree)
        if not _sh(["meson", "setup", "build"], self.tree, self.log):
            raise Broken("cannot be configured, see " + self.log)
        self._learn()

    def _learn(self):
        found = tapread.meson_tests(os.path.join(self.tree, "build"))
        # By its place within the tree, so that the same list serves a copy of it.
        self.known = json.loads(json.dumps({t["name"]: t for t in found}).replace(self.tree + "/", "{tree}/"))

    def another(self, tree, log):
        """A copy of this tree and what is built in it: ninja goes by times and relative names."""
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(self.tree, tree, symlinks=True)
        other = Builder(self.root, tree, log)
        other.known = self.known
        return other

    def _unit(self, name):
        if name not in self.known:
            raise Broken("no test is named " + name)
        t = self.known[name]
        return [word.replace("{tree}", self.tree) for word in t["cmd"]], dict(t["env"])

    def targets(self, tests):
        """What ninja has to make for @tests; none means everything."""
        found = set()
        for test in tests:
            kind, _, rest = test.partition(":")
            if kind == "unit":
                found.add(os.path.relpath(self._unit(rest)[0][0], os.path.join(self.tree, "build")))
            elif rest.split()[0] in SCRIPT_TARGETS:
                found.update(SCRIPT_TARGETS[rest.split()[0]])
            else:
                return []
        return sorted(found)

    def build(self, tests):
        return _sh(["ninja", "-C", "build"] + self.targets(tests), self.tree, self.log)

    def failures(self, test):
        """The points of @test that fail in this tree."""
        kind, _, rest = test.partition(":")
        args, env = self._unit(rest) if kind == "unit" else ([sys.executable] + rest.split(), {})
        env = {key: value.replace("{tree}", self.tree) for key, value in env.items()}
        env = dict(os.environ, **env, PYTHONDONTWRITEBYTECODE="1",
                   VCPUHP_BUILD=os.path.join(self.tree, "build"),
                   VCPUHP_GUEST_DIR=os.path.join(self.root, "build", "guest"),
                   PYTHONPATH=os.path.join(self.tree, "tests", "lib"))  # fmt: skip
        failed = []
        tapread.run(args, self.log + ".tap", lambda p: failed.append(p) if p.verdict == "fail" else 0,
                    SECONDS, env, self.tree)  # fmt: skip
        return failed

    def judge(self, patch):
        """What noticed @patch; Broken if nothing did."""
        before = patch.apply(self.tree)
        try:
            if not self.build(patch.tests):
                raise Broken("does not build")
            seen = [noticed_by(patch, test, self.failures(test)) for test in patch.tests]
            return ", ".join(seen)
        finally:
            write_files(self.tree, before)


def noticed_by(patch, test, failed):
    """The name of the failed point that has noticed."""
    if not failed:
        raise Broken("NOT NOTICED by " + test)
    cases = [p for p in failed if not p.name.startswith("(")]
    if patch.rule:
        cases = [p for p in cases if re.match(r"(R\d+_)*%s_" % patch.rule, p.name)]
    if not cases:
        raise Broken("%s fails, but not %s: %s" % (
            test, "in a case of " + patch.rule if patch.rule else "in a case",
            ", ".join(p.name + (" " + p.why if p.why else "") for p in failed)))  # fmt: skip
    return cases[0].name


def _scripts_in_one(tests):
    """Each test once, the cases of one script together."""
    units, cases = [], {}
    for test in sorted(set(tests)):
        kind, _, rest = test.partition(":")
        if kind == "unit":
            units.append(test)
        else:
            words = rest.split()
            cases.setdefault(words[0], set()).update(words[1:])
    return units + ["script:" + " ".join([name] + sorted(words)) for name, words in sorted(cases.items())]


def _check_unchanged(run, builder, tests):
    """What cannot pass cannot notice anything either."""
    bad = []
    for test in _scripts_in_one(tests):
        bad += ["%s: %s" % (test.split()[0], p.name) for p in builder.failures(test)]
    run.point("mutants", "the unchanged tree passes", "fail" if bad else "ok", "; ".join(bad))


def _work(run, builder, waiting, table):
    while True:
        try:
            patch = waiting.get_nowait()
        except queue.Empty:
            return
        start = time.monotonic()
        try:
            verdict, seen = "ok", builder.judge(patch)
        except Broken as e:
            verdict, seen = "fail", str(e)
        run.point("mutants", patch.name, verdict, seen, time.monotonic() - start)
        table.append((patch, seen if verdict == "ok" else "! " + seen))


PAGE_HEAD = """# Planted bugs

What `tests/run --mutants` wrote when all of them were last noticed: each patch of [mutants](mutants) breaks the code on
purpose, and the test named beside it fails.

| rule | patch | what it would mean | noticed by |
|---|---|---|---|
"""


def _print_table(root, table):
    rows = sorted(table, key=lambda row: (int((row[0].rule or "R99")[1:]), row[0].name))
    print()
    for patch, seen in rows:
        print("%-4s %-48s %s" % (patch.rule or "-", patch.name, seen))
    if any(seen.startswith("!") for _, seen in rows):
        return
    with open(os.path.join(root, PAGE), "w", encoding="utf-8") as f:
        f.write(PAGE_HEAD)
        for patch, seen in rows:
            meaning = " ".join(patch.meaning.split())
            f.write("| %s | %s | %s | `%s` |\n" % (patch.rule or "", patch.name, meaning, seen))


def _judge_all(run, root, logs, found):
    tests = [test for patch in found for test in patch.tests]
    first = Builder(root, os.path.join(root, "build", "mutants", "1"), os.path.join(logs, "mutants-1.log"))
    first.setup()
    if not first.build(tests):
        raise Broken("the unchanged tree does not build, see " + first.log)
    builders = [first] + [
        first.another(os.path.join(root, "build", "mutants", str(n)), os.path.join(logs, "mutants-%d.log" % n))
        for n in range(2, BUILDERS + 1)
    ]
    _check_unchanged(run, first, tests)
    waiting, table = queue.Queue(), []
    for patch in found:
        waiting.put(patch)
    threads = [threading.Thread(target=_work, args=(run, b, waiting, table)) for b in builders]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    _print_table(root, table)


def run_all(run, root, logs):
    shutil.rmtree(os.path.join(root, "build", "mutants"), ignore_errors=True)
    os.makedirs(logs, exist_ok=True)
    for old in glob.glob(os.path.join(logs, "mutants-*")):
        os.unlink(old)
    found = [Patch(path) for path in patches(root)]
    missing = [rule for rule in RULES if rule not in [p.rule for p in found]]
    run.point("mutants", "every founding rule is broken by one", "fail" if missing else "ok",
              "none for " + ", ".join(missing) if missing else "")  # fmt: skip
    try:
        _judge_all(run, root, logs, found)
    except Broken as e:
        run.point("mutants", "the unchanged tree", "fail", str(e))
