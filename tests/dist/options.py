#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each build option both ways, any two of them together at least once, with the builds that tests/run makes
anyway; and the tarball of `meson dist` builds and passes.

The default build has all of libvirt, metrics-http, man, tests and static-agent; the one with musl is the agent alone.
"""

import contextlib
import glob
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
import tapread
from guest import ROOT
from tap import case, equal
from tarball import is_checkout, say, unpack

FAST = ["-Dwerror=true", "-Doptimization=0", "-Ddebug=false"]


class Made:
    """A build folder of its own, wholly built."""

    def __init__(self, *options, source=ROOT, targets=()):
        self.dir = tempfile.mkdtemp(prefix="vcpuhp-options-")
        try:
            say("meson", "setup", self.dir, source, *FAST, *options)
            say("ninja", "-C", self.dir, *targets)
        except BaseException:
            self.close()
            raise

    def has(self, name):
        return bool(glob.glob(os.path.join(self.dir, "**", name), recursive=True))

    def agent_is_static(self):
        said = subprocess.run(["ldd", os.path.join(self.dir, "guest-agent/vcpuhp-agent")], capture_output=True,
                              text=True, check=False, env={"LC_ALL": "C", "PATH": os.environ["PATH"]})  # fmt: skip
        return "not a dynamic executable" in said.stderr

    def made(self):
        return (self.has("vcpuhp-libvirt.so"), self.has("vcpuhpctl.1"), self.has("guest-ctl"), self.agent_is_static(),
                self.has("vcpuhp-metrics.so"))  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def options(libvirt, man, tests, static, http):
    word = ("disabled", "enabled")
    return ("-Dlibvirt=" + word[libvirt], "-Dmetrics-http=" + word[http], "-Dman=" + word[man], "-Dtests=%s" % str(tests).lower(),
            "-Dstatic-agent=%s" % str(static).lower())  # fmt: skip


def has_libvirt():
    return subprocess.call(["pkg-config", "--exists", "libvirt", "libvirt-qemu", "libxml-2.0"]) == 0


def has_http():
    return subprocess.call(["pkg-config", "--exists", "libmicrohttpd"]) == 0


@case(deadline=300)
def libvirt_without_man_tests_and_a_static_agent():
    if not has_libvirt():
        raise tap.Skip("no development files of libvirt")
    with Made(*options(True, False, False, False, False)) as m:
        equal(m.made(), (True, False, False, False, False))


@case(deadline=300)
def man_and_a_static_agent_without_libvirt_and_tests():
    with Made(*options(False, True, False, True, False)) as m:
        equal(m.made(), (False, True, False, True, False))
        config = os.path.join(ROOT, "daemon/vcpuhpd.conf")
        say(os.path.join(m.dir, "daemon/vcpuhpd"), "--check-config", "--config", config)


@case(deadline=300)
def the_agent_alone_with_man_and_not_static():
    with Made("-Ddaemon=false", "-Dman=enabled", "-Dtests=false", "-Dstatic-agent=false") as m:
        equal(m.made()[2:], (False, False, False))
        assert m.has("vcpuhp-agent.8") and m.has("vcpuhp-protocol.7") and not m.has("vcpuhpctl.1")


@contextlib.contextmanager
def tarball(*made):
    """What is built of it, unpacked."""
    if not is_checkout():
        raise tap.Skip("meson dist needs a git repository, and these sources are none")
    with tempfile.TemporaryDirectory(prefix="vcpuhp-tarball-") as scratch:
        with Made(*options(*made), source=unpack(scratch)) as m:
            yield m


@case(deadline=600)
def the_tarball_builds():
    http = has_http()
    with tarball(False, False, False, False, http) as m:
        equal(m.made(), (False, False, False, False, http))
        assert m.has("vcpuhpd") and m.has("vcpuhpctl") and m.has("vcpuhp-agent")


@case(deadline=600, long=True)
def the_tarball_builds_with_tests_and_passes():
    with tarball(False, False, True, False, False) as m:
        equal(m.made(), (False, False, True, False, False))
        tests = [t for t in tapread.meson_tests(m.dir) if "unit" in " ".join(t["suite"])]
        assert len(tests) > 50, "%d unit tests" % len(tests)
        for t in tests:
            done = subprocess.run(t["cmd"], capture_output=True, text=True, check=False, cwd=t["workdir"] or m.dir,
                                  env=dict(os.environ, **t["env"]))  # fmt: skip
            assert done.returncode == 0 and "\nnot ok" not in done.stdout, "%s: %s" % (t["name"], done.stdout[-3000:])
        print("# %d unit tests of the tarball passed" % len(tests))


if __name__ == "__main__":
    tap.main(lambda: None if shutil.which("meson") else "meson is not installed")
