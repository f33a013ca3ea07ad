# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests/run does once the packages are there: tier after tier, one line a test, the sum last.

A tier is a function in TIERS that reports points to a Run. Builds are made once, when the first
tier asks for them:

	build         gcc, as in the README, with werror
	build/clang   clang, werror (also the compile commands for clang-tidy)
	build/fuzz    clang with libFuzzer
	build/asan    gcc with AddressSanitizer and UndefinedBehaviorSanitizer

A tier whose build failed, or whose tools are missing, is skipped and says so: the build itself
counts as failed once, in the tier "build".
"""

import argparse
import concurrent.futures
import contextlib
import glob
import json
import os
import shutil
import subprocess
import sys
import threading
import time

import mutants
import tapread

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOGS = os.path.join(ROOT, "build", "test-logs")
WORKERS = max(2, os.cpu_count() or 2)
FUZZ_SECONDS = 10
LONG_FUZZ_SECONDS, LONG_FUZZ_RUNS = 1800, 10**8  # for each, whichever comes first
# What counts a core's time, a process's growth or a second's deadline runs as users run it; every
# other script of tests/integration under the sanitizers. With --long each runs both ways.
MEASURING = ("faults_phases", "hostile_", "kvm_", "load", "many_domains", "metrics", "qtest_cycles",
             "qtest_soak", "reload", "store", "completion", "examples")  # fmt: skip

SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}

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
        env = dict(env, PYTHON=sys.executable, RUNNER=os.path.abspath(__file__), FOLDER=folder)
        return self.command(tier, "compile " + folder, script + setup, seconds=1200, env=env)


def run_ninja(folder):
    """Build what BUILDS names of a configured folder; does not return."""
    path, suite = os.path.join(ROOT, folder), BUILDS[folder][2]
    targets = [os.path.relpath(t["cmd"][0], path) for t in tapread.meson_tests(path)
               if suite and _is_in(t, suite)]  # fmt: skip
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


def c_files():
    found = []
    for top in ("proto", "daemon", "guest-agent", "tests"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            found += [os.path.join(folder, n) for n in names if n.endswith((".c", ".h"))]
    return sorted(os.path.relpath(f, ROOT) for f in found)


def each(function, items):
    """Call @function for every item, a few at a time."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(function, i) for i in items]:
            done.result()


def _is_in(test, suite):
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


def run_script(run, tier, script, folder, env=None, suffix=""):
    """Machines and guests take longer than any deadline on a host that is too busy: what failed is tried
    once more, said so with the first log, and that counts."""
    name = os.path.basename(script)[:-3] + suffix
    env = {"VCPUHP_BUILD": os.path.join(ROOT, folder), "PYTHONDONTWRITEBYTECODE": "1",
           "VCPUHP_TEST_LOGS": os.path.join(LOGS, tier),
           "PYTHONPATH": os.path.join(ROOT, "tests", "lib"), **(env or {})}  # fmt: skip
    seconds = 3600 if run.options.long else 900
    held = []
    run.tap(tier, name, [sys.executable, script], seconds, env, held=held)
    if held:
        print("     | failed once, see %s: %s" % (
            os.path.relpath(os.path.join(LOGS, tier, name + ".log"), ROOT), ", ".join(held)), flush=True)  # fmt: skip
        run.tap(tier, name + "-again", [sys.executable, script] + held, seconds, env)


def run_integration(run, tier, folder, measuring, env=None):
    """Two at a time, for they mostly wait; then each alone those that measure what a core is used for,
    or hold deadlines of a second."""
    names = [s for s in scripts("integration")
             if run.options.long or os.path.basename(s).startswith(MEASURING) == measuring]  # fmt: skip
    alone = [s for s in names if os.path.basename(s).startswith(("faults_", "hostile_", "kvm_guest", "store"))]
    each(lambda s: run_script(run, tier, s, folder, env), [s for s in names if s not in alone])
    for script in alone:
        run_script(run, tier, script, folder, env)


def tier_format(run):
    """clang-format without differences; house rules that a script can check"""
    run.command("format", "house rules", [sys.executable, "tests/lib/check_sources.py"])
    run.command("format", "pages", [sys.executable, "tests/lib/check_docs.py"])
    need("clang-format")
    run.command("format", "clang-format", ["clang-format", "--dry-run", "-Werror"] + c_files())


def tier_build(run):
    """gcc and clang, and the agent with musl; warnings are errors"""
    for folder in ("build", "build/clang"):
        run.build(folder, "build")
    need("musl-gcc")
    run.build("build/musl", "build")


def begin_tidy(run):
    """clang-tidy, on what the tiers leave of the cores while they wait. Return its futures."""
    need("clang-tidy", "clang")
    run.need_build("build/clang")
    with open(os.path.join(ROOT, "build/clang/compile_commands.json"), encoding="utf-8") as f:
        files = sorted({os.path.relpath(os.path.join(c["directory"], c["file"]), ROOT)
                        for c in json.load(f)})  # fmt: skip

    def one(name):
        run.command("tidy", name, ["chrt", "--idle", "0", "clang-tidy", "--quiet", "--warnings-as-errors=*",
                                   "-p", "build/clang", name], seconds=3600)  # fmt: skip

    pool = concurrent.futures.ThreadPoolExecutor(WORKERS)
    done = [pool.submit(one, f) for f in files if f.endswith(".c") and not f.startswith(("..", "build"))]
    pool.shutdown(wait=False)
    return done


def tier_tidy(run):
    """clang-tidy over every C file that is compiled, begun once clang's build is made"""
    for done in run.tidy or begin_tidy(run):
        done.result()


def tier_unit(run):
    """the unit tests (cmocka) and whatever else meson knows as a test"""
    run.need_build("build")
    others = ("fuzz", "integration")
    run_meson_tests(run, "unit", "build", lambda t: not any(_is_in(t, s) for s in others))


def tier_fuzz(run):
    """every decoder: its corpus replayed, then libFuzzer for a short while"""
    run.need_build("build")
    run_meson_tests(run, "fuzz", "build", lambda t: _is_in(t, "fuzz"))
    need("clang")
    run.need_build("build/fuzz")
    seconds = LONG_FUZZ_SECONDS if run.options.long else FUZZ_SECONDS

    def one(test):
        scratch = os.path.join(ROOT, "build", "fuzz-corpus", test["name"])
        crashes = os.path.join(LOGS, "fuzz", "crash-%s-" % test["name"])
        os.makedirs(scratch, exist_ok=True)
        run.command("fuzz", "%s for %d s" % (test["name"], seconds),
                    [test["cmd"][0], "-max_total_time=%d" % seconds, "-runs=%d" % LONG_FUZZ_RUNS,
                     "-artifact_prefix=" + crashes, "-max_len=8192", scratch, test["cmd"][-1]],
                    log=test["name"] + "-libfuzzer", seconds=seconds + 120)  # fmt: skip

    each(one, [t for t in tapread.meson_tests(os.path.join(ROOT, "build/fuzz")) if _is_in(t, "fuzz")])


def tier_sim(run):
    """the daemon among simulated domains: operations with faults by seed, and every fault in every phase"""
    run.need_build("build")
    sim = os.path.join(ROOT, "build", "tests", "sim", "vcpuhp-sim")
    # Two processes, with seeds of their own: 1,000,000 operations, or a slice of that.
    seeds = 530 if run.options.long else 40
    each(lambda n: run.command("sim", "%d runs from seed %d" % (seeds, 1 + n * seeds), [
        sim, "--domains", "16", "--operations", "60", "--faults", "25",
        "--seed", str(1 + n * seeds), "--seeds", str(seeds)], seconds=3600), range(2))  # fmt: skip
    run.command("sim", "other domains are unaffected", [sim, "--unaffected", "--seeds", "20"])
    run.command("sim", "nothing grows while the daemon lives", [
        sim, "--steady", "--domains", "8", "--operations", "400", "--faults", "25", "--seeds", "3"])  # fmt: skip
    run.command("sim", "each allocation and each call fails once", [sim, "--shortage"])
    run.command("sim", "tests/matrix.md", [
        sim, "--matrix", "--seeds", "100" if run.options.long else "5",
        "--table", os.path.join(ROOT, "tests", "matrix.md")], seconds=3600)  # fmt: skip
    for script in scripts("sim"):
        run_script(run, "sim", script, "build")


def tier_coverage(run):
    """unit tests and fuzz corpus once more, counting the lines of the decoders that they run"""
    need("gcov")
    run.need_build("build/coverage")
    folder = os.path.join(ROOT, "build/coverage")
    for old in glob.glob(os.path.join(folder, "**", "*.gcda"), recursive=True):
        os.unlink(old)
    run_meson_tests(run, "coverage", "build/coverage", lambda t: not _is_in(t, "integration"))
    run.command("coverage", "decoders", [sys.executable, "tests/lib/coverage.py", folder])
    with open(os.path.join(LOGS, "coverage", "decoders.log"), encoding="utf-8") as f:
        print("     | " + f.read().splitlines()[-1])


def tier_sanitize(run):
    """unit tests, fuzz corpus and integration under ASan and UBSan, but what measures"""
    run.need_build("build/asan")
    run_meson_tests(run, "sanitize", "build/asan", lambda t: True, SANITIZER_ENV)
    run_integration(run, "sanitize", "build/asan", False, SANITIZER_ENV)
    if not run.options.long:
        run.point("sanitize", "tests/integration: " + ", ".join(MEASURING), "skip", "with --long")


def tier_integration(run):
    """real daemon, real QEMU on KVM, as users run it: what measures; the rest is under the sanitizers"""
    run.need_build("build")
    run_meson_tests(run, "integration", "build", lambda t: _is_in(t, "integration"))
    run_integration(run, "integration", "build", True)
    if run.build("build/musl"):
        script = os.path.join(ROOT, "tests", "integration", "agent_dialogue.py")
        run_script(run, "integration", script, "build/musl", suffix="-musl")
    if run.options.long:
        run.command("integration", "one hostile peer beside another's work",
                    [sys.executable, "tests/bench", "--hostile"], seconds=3600)  # fmt: skip


def tier_libvirt(run):
    """a private libvirtd with KVM domains, beside virsh"""
    need("libvirtd", "virsh", "unshare", "qemu-system-x86_64")
    run.need_build("build")
    if not os.path.exists(os.path.join(ROOT, "build/daemon/vcpuhp-libvirt.so")):
        raise SkipTier("the libvirt module was not built (libvirt-dev, libxml2-dev)")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise SkipTier("/dev/kvm is missing or not accessible to this user")
    if os.geteuid() != 0:
        raise SkipTier("a private libvirtd needs root, for its mount namespace")
    busy = [s for s in scripts("libvirt") if os.path.basename(s) in ("mixed.py", "real_guest.py")]
    each(lambda s: run_script(run, "libvirt", s, "build"), [s for s in scripts("libvirt") if s not in busy])
    for script in busy:
        run_script(run, "libvirt", script, "build")


def tier_dist(run):
    """what is installed where, every build option, the tarball: it builds and passes; the manual says what programs do"""
    run.need_build("build")
    for script in scripts("dist"):
        run_script(run, "dist", script, "build")


def tier_systemd(run):
    """the units under a real systemd: the daemon's in a container, the agent's in a guest"""
    run.need_build("build")
    deadlines = os.path.join(ROOT, "tests", "systemd", "service.py")  # the watchdog's: alone
    each(lambda s: run_script(run, "systemd", s, "build"), [s for s in scripts("systemd") if s != deadlines])
    run_script(run, "systemd", deadlines, "build")


def tier_e2e(run):
    """a real Debian kernel in a guest (TCG, or KVM where the CPU has vmx or svm)"""
    need("qemu-system-x86_64")
    run.need_build("build")
    if not glob.glob(os.path.join(ROOT, "build/guest/kernel/boot/vmlinuz-*")):
        raise SkipTier("there is no guest kernel: tests/run --deps")
    for script in scripts("e2e"):
        run_script(run, "e2e", script, "build")
    run.command("e2e", "tests/demo in less than a minute", ["tests/demo"], log="demo", seconds=60)


TIERS = {
    "format": tier_format,
    "build": tier_build,
    "unit": tier_unit,
    "fuzz": tier_fuzz,
    "sim": tier_sim,
    "coverage": tier_coverage,
    "integration": tier_integration,
    "sanitize": tier_sanitize,
    "libvirt": tier_libvirt,
    "dist": tier_dist,
    "systemd": tier_systemd,
    "e2e": tier_e2e,
    "tidy": tier_tidy,
}


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
    for name in names:
        shutil.rmtree(os.path.join(LOGS, name), ignore_errors=True)
    try:
        for name in names:
            run_tier(run, name)
            if name == "build" and "tidy" in names:
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
    for line in run.failed:
        print("failed: " + line)
    print("%(ok)d passed, %(fail)d failed, %(skip)d skipped" % run.counts, flush=True)
    sys.exit(1 if run.counts["fail"] else 0)


if __name__ == "__main__":
    main()
