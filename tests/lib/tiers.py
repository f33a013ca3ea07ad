# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tiers of tests/run, in their order: each is a function that reports points to a Run."""

import concurrent.futures
import glob
import json
import os
import shutil
import sys

import tapread
from testrun import (LOGS, ROOT, WORKERS, SkipTier, each, is_in, need, run_meson_tests, run_script,
                     scripts)  # fmt: skip

FUZZ_SECONDS = 10
LONG_FUZZ_SECONDS, LONG_FUZZ_RUNS = 1800, 10**8  # for each, whichever comes first
# What counts a core's time, a process's growth or a second's deadline runs as users run it; every
# other script of tests/integration under the sanitizers. With --long each runs both ways.
MEASURING = ("faults_phases", "hooks", "hostile_", "kvm_", "load", "many_domains", "metrics",
             "qtest_cycles", "qtest_soak", "reload", "store", "completion", "examples")  # fmt: skip

REPORTS = os.path.join(LOGS, "sanitize", "reports")  # each process's own, also of one that nobody waits for
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:log_path=%s/asan" % REPORTS,
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:log_path=%s/ubsan" % REPORTS,
}


def c_files():
    found = []
    for top in ("proto", "daemon", "guest-agent", "tests"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            found += [os.path.join(folder, n) for n in names if n.endswith((".c", ".h"))]
    return sorted(os.path.relpath(f, ROOT) for f in found)


def in_pairs(run, tier, names, alone, folder="build", env=None):
    """Scripts, two at a time where they mostly wait or keep one core busy; then each of @alone, by the
    beginnings of their names: what they measure, or the moments they are about, bear nothing beside them."""
    last = [s for s in names if os.path.basename(s).startswith(alone)]
    each(lambda s: run_script(run, tier, s, folder, env), [s for s in names if s not in last])
    for script in last:
        run_script(run, tier, script, folder, env)


def run_integration(run, tier, folder, measuring, env=None):
    names = [s for s in scripts("integration")
             if run.options.long or os.path.basename(s).startswith(MEASURING) == measuring]  # fmt: skip
    in_pairs(run, tier, names, ("hostile_", "store"), folder, env)


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
    """clang-tidy over every C file that is compiled, begun once what measures is through"""
    for done in run.tidy or begin_tidy(run):
        done.result()


def tier_unit(run):
    """the unit tests (cmocka) and whatever else meson knows as a test"""
    run.need_build("build")
    others = ("fuzz", "integration")
    run_meson_tests(run, "unit", "build", lambda t: not any(is_in(t, s) for s in others))


def tier_fuzz(run):
    """every decoder: its corpus replayed, then libFuzzer for a short while"""
    run.need_build("build")
    run_meson_tests(run, "fuzz", "build", lambda t: is_in(t, "fuzz"))
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

    each(one, [t for t in tapread.meson_tests(os.path.join(ROOT, "build/fuzz")) if is_in(t, "fuzz")])


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
    run_meson_tests(run, "coverage", "build/coverage", lambda t: not is_in(t, "integration"))
    run.command("coverage", "decoders", [sys.executable, "tests/lib/coverage.py", folder])
    with open(os.path.join(LOGS, "coverage", "decoders.log"), encoding="utf-8") as f:
        print("     | " + f.read().splitlines()[-1])


def tier_sanitize(run):
    """unit tests, fuzz corpus and integration under ASan and UBSan, but what measures"""
    run.need_build("build/asan")
    shutil.rmtree(REPORTS, ignore_errors=True)
    os.makedirs(REPORTS)
    run_meson_tests(run, "sanitize", "build/asan", lambda t: True, SANITIZER_ENV)
    run_integration(run, "sanitize", "build/asan", False, SANITIZER_ENV)
    run.no_files("sanitize", "no process had a report, at its end either", REPORTS)
    if not run.options.long:
        run.point("sanitize", "tests/integration: " + ", ".join(MEASURING), "skip", "with --long")


def tier_integration(run):
    """real daemon, real QEMU on KVM, as users run it: what measures; the rest is under the sanitizers"""
    run.need_build("build")
    run_meson_tests(run, "integration", "build", lambda t: is_in(t, "integration"))
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
    in_pairs(run, "libvirt", scripts("libvirt"), ("libvirtd_killed", "mixed", "real_guest"))


def tier_dist(run):
    """what is installed where, every build option, the tarball: it builds and passes; the manual says what programs do"""
    run.need_build("build")
    for script in scripts("dist"):
        run_script(run, "dist", script, "build")


def tier_systemd(run):
    """the units under a real systemd: the daemon's in a container, the agent's in a guest"""
    run.need_build("build")
    in_pairs(run, "systemd", scripts("systemd"), ("service",))  # the watchdog's deadlines


def tier_e2e(run):
    """a real Debian kernel in a guest (TCG, or KVM where the CPU has vmx or svm)"""
    need("qemu-system-x86_64")
    run.need_build("build")
    if not glob.glob(os.path.join(ROOT, "build/guest/kernel/boot/vmlinuz-*")):
        raise SkipTier("there is no guest kernel: tests/run --deps")
    in_pairs(run, "e2e", scripts("e2e"), ("load",))
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
