# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a run of the tests is made of: the points it counts, its builds, programs and scripts.

Builds are made once, when the first tier asks for them:

	build         gcc, as in the README, with werror
	build/clang   clang, werror (also the compile commands for clang-tidy)
	build/fuzz    clang with libFuzzer
	build/asan    gcc with AddressSanitizer and UndefinedBehaviorSanitizer

A tier whose build failed, or whose tools are missing, is skipped and says so: the build itself
counts as failed once, in the tier "build".
"""

import concurrent.futures
import glob
import os
import shutil
import subprocess
import sys
import threading
import time

import tapread

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOGS = os.path.join(ROOT, "build", "test-logs")
WORKERS = max(2, os.cpu_count() or 2)

# What the tests rely on, said so that a folder which was set up otherwise is put right.
PLAIN = ["-Dprefix=/usr/local", "-Dsbindir=sbin", "-Dbindir=bin", "-Ddatadir=share", "-Dunitdir=", "-Dudevdir=",
         "-Dsysusersdir=", "-Dtmpfilesdir=", "-Dcatalogdir=", "-Dbuildtype=debugoptimized", "-Db_sanitize=none", "-Db_coverage=false",
         "-Ddaemon=true", "-Dtests=true", "-Dfuzz=false", "-Dstatic-agent=true", "-Dlibvirt=auto", "-Dman=auto", "-Dmetrics-http=auto",
         "-Dbashcompletiondir=", "-Dzshcompletiondir=", "-Dfishcompletiondir="]  # fmt: skip

# Environment, options of meson, and the suite whose programs are all that is built (None: all).
BUILDS = {
    "build": ({}, ["-Dwerror=true"] + PLAIN, None),
    "build/clang": ({"CC": "clang"}, ["-Dwerror=true", "-Dbuildtype=debug"], None),
    "build/fuzz": ({"CC": "clang"}, [
        "-Dfuzz=true", "-Dstatic-agent=false", "-Db_lundef=false", "-Doptimization=1",
        "-Dc_args=-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined",
        "-Dc_link_args=-fsanitize=address,undefined"], "fuzz"),
    "build/asan": ({"CC": "gcc"}, [
        "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dstatic-agent=false",
        "-Doptimization=1"], None),
    "build/musl": ({"CC": "musl-gcc"}, [
        "-Dwerror=true", "-Dbuildtype=minsize", "-Ddaemon=false", "-Dtests=false"], None),
    "build/coverage": ({"CC": "gcc"}, [
        "-Db_coverage=true", "-Dstatic-agent=false", "-Dbuildtype=debug"], None),
}  # fmt: skip


class SkipTier(Exception):
    pass


class Run:
    """Counts and prints; knows the options and the builds made so far."""

    def __init__(self, options):
        self.options = options
        self.counts = {"ok": 0, "fail": 0, "skip": 0}
        self.failed = []
        self.skipped = []  # whole tiers and scripts
        self.tried_again = []  # cases
        self.builds = {}
        self.tidy = []  # futures of what runs beside the other tiers
        self.times = []
        self.lock = threading.Lock()
        self.terminal = sys.stdout.isatty()

    def point(self, tier, name, verdict, why="", seconds=None):
        with self.lock:
            self.counts[verdict] += 1
            if verdict == "fail":
                self.failed.append("%s: %s" % (tier, name))
            word = {"ok": "ok  ", "fail": "FAIL", "skip": "skip"}[verdict]
            if self.terminal:
                word = "\033[%dm%s\033[m" % ({"ok": 32, "fail": 31, "skip": 33}[verdict], word)
            print("%s %-11s %s%s%s" % (
                word, tier, name, ": " + why if why else "",
                " (%.1f s)" % seconds if seconds is not None else ""), flush=True)  # fmt: skip

    def skip(self, tier, what, why):
        """More than a case: said where it stands, and again at the end."""
        self.skipped.append("%s: %s: %s" % (tier, what, why))
        print("     | %s: %s" % (what, why), flush=True)

    def again(self, tier, name, cases):
        """Cases that failed and are tried once more."""
        log = os.path.relpath(os.path.join(LOGS, tier, name + ".log"), ROOT)
        self.tried_again += ["%s: %s: %s" % (tier, name, c) for c in cases]
        print("     | failed once, see %s: %s" % (log, ", ".join(cases)), flush=True)

    def command(self, tier, name, args, log=None, seconds=600, env=None, cwd=ROOT):
        """A program that is one test. Return whether it passed."""
        log = os.path.join(LOGS, tier, (log or name).replace("/", "_") + ".log")
        os.makedirs(os.path.dirname(log), exist_ok=True)
        start = time.monotonic()
        why = ""
        with open(log, "w", encoding="utf-8") as out:
            try:
                done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                      timeout=seconds, cwd=cwd, check=False,
                                      env=dict(os.environ, **(env or {})))  # fmt: skip
                if done.returncode != 0:
                    why = "exit status %d, see %s" % (done.returncode, os.path.relpath(log, ROOT))
            except subprocess.TimeoutExpired:
                why = "still running after %d s" % seconds
        self.point(tier, name, "fail" if why else "ok", why, time.monotonic() - start)
        if why:
            _show_tail(log)
        return not why

    def tap(self, tier, name, args, seconds, env=None, cwd=ROOT, show=None, held=None):
        """A program that speaks TAP. @held: gets the cases that failed, which are not counted then."""
        log = os.path.join(LOGS, tier, name.replace("/", "_") + ".log")
        failed, whys = [], set()

        def on_point(p):
            why = p.why
            whys.add(why if p.verdict == "skip" else None)
            if p.verdict == "fail" and held is not None and p.name.isidentifier():
                held.append(p.name)
                return
            if p.verdict == "fail":
                failed.append(p)
                why = (why + ", " if why else "") + "see " + os.path.relpath(log, ROOT)
            self.point(tier, (show or name) + ": " + p.name, p.verdict, why, p.seconds)

        tapread.run(args, log, on_point, seconds, dict(os.environ, **(env or {})), cwd)
        if whys and None not in whys:
            self.skip(tier, "ALL OF %s IS SKIPPED" % (show or name), "; ".join(sorted(whys)))
        if failed:
            _show_tail(log)

    def no_files(self, tier, name, folder):
        """A point that is good where @folder is empty; what is in there is shown."""
        names = sorted(os.listdir(folder))
        self.point(tier, name, "fail" if names else "ok",
                   "%d in %s" % (len(names), os.path.relpath(folder, ROOT)) if names else "")  # fmt: skip
        for n in names[:5]:
            _show_tail(os.path.join(folder, n), 40)

    def build(self, folder, report=None):
        """Make a build folder; whether it is good. @report: tier whose test this is."""
        if folder not in self.builds:
            self.builds[folder] = self._make(folder, report or "build")
        return self.builds[folder]

    def need_build(self, folder):
        if not self.build(folder):
            raise SkipTier("%s could not be built" % folder)

    def _make(self, folder, tier):
        env, options, _ = BUILDS[folder]
        path = os.path.join(ROOT, folder)
        configured = os.path.exists(os.path.join(path, "build.ninja"))
        setup = ["meson", "setup"] + (["--reconfigure"] if configured else []) + [path, ROOT] + options
        script = ["sh", "-c", 'set -e; "$@"; exec "$PYTHON" "$RUNNER" --ninja "$FOLDER"', "sh"]
        env = dict(env, PYTHON=sys.executable, RUNNER=os.path.join(ROOT, "tests", "lib", "runner.py"), FOLDER=folder)
        return self.command(tier, "compile " + folder, script + setup, seconds=1200, env=env)


def run_ninja(folder):
    """Build what BUILDS names of a configured folder; does not return."""
    path, suite = os.path.join(ROOT, folder), BUILDS[folder][2]
    targets = [os.path.relpath(t["cmd"][0], path) for t in tapread.meson_tests(path)
               if suite and is_in(t, suite)]  # fmt: skip
    os.execvp("ninja", ["ninja", "-C", path] + targets)


def _show_tail(log, lines=15):
    with open(log, encoding="utf-8", errors="replace") as f:
        for line in f.read().splitlines()[-lines:]:
            print("     | " + line)
    sys.stdout.flush()


def need(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        raise SkipTier("not installed: " + ", ".join(missing))


def each(function, items):
    """Call @function for every item, a few at a time."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(function, i) for i in items]:
            done.result()


def is_in(test, suite):
    return any(s.split(":")[-1] == suite for s in test["suite"])


def run_meson_tests(run, tier, folder, wanted, env=None):
    def one(test):
        test_env = dict(test["env"], **(env or {}))
        args = (run.tap, run.command)[test["protocol"] != "tap"], test["cmd"]
        args[0](tier, test["name"], args[1], seconds=max(30, test["timeout"]) * (3 if env else 1),
                env=test_env, cwd=test["workdir"] or os.path.join(ROOT, folder))  # fmt: skip

    each(one, [t for t in tapread.meson_tests(os.path.join(ROOT, folder)) if wanted(t)])


def scripts(folder):
    return sorted(glob.glob(os.path.join(ROOT, "tests", folder, "*.py")))


# What counts thousands of good answers: one that is not good is no matter of a busy host.
ONCE = ("qtest_cycles", "qtest_soak")


def run_script(run, tier, script, folder, env=None, suffix=""):
    """Machines and guests take longer than any deadline on a host that is too busy: what failed is tried
    once more, said so with the first log and again at the end, and that counts."""
    name = os.path.basename(script)[:-3] + suffix
    env = {"VCPUHP_BUILD": os.path.join(ROOT, folder), "PYTHONDONTWRITEBYTECODE": "1",
           "VCPUHP_TEST_LOGS": os.path.join(LOGS, tier),
           "PYTHONPATH": os.path.join(ROOT, "tests", "lib"), **(env or {})}  # fmt: skip
    seconds = 3600 if run.options.long else 900
    held = None if name.startswith(ONCE) else []
    run.tap(tier, name, [sys.executable, script], seconds, env, held=held)
    if held:
        run.again(tier, name, held)
        run.tap(tier, name + "-again", [sys.executable, script] + held, seconds, env)
