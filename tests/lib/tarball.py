# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tarball that `meson dist` makes of these sources."""

import glob
import os
import shutil
import subprocess

from guest import ROOT

# A checkout of another owner is one as well.
GIT = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


def say(*args, cwd=ROOT, env=None):
    done = subprocess.run(args, capture_output=True, text=True, check=False, cwd=cwd, env=dict(os.environ, **(env or {})))
    assert done.returncode == 0, "%s: %s" % (" ".join(args), (done.stdout + done.stderr)[-3000:])
    return done.stdout


def is_checkout():
    """Not only inside one: git has to know these sources."""
    return shutil.which("git") and subprocess.run(["git", "-C", ROOT, "ls-files", "--error-unmatch", "meson.build"], check=False,
                                                  capture_output=True, env=dict(os.environ, **GIT)).returncode == 0  # fmt: skip


def unpack(scratch):
    """What meson dist makes of the last commit, beside what it had to leave in the build folder."""
    folder = os.path.join(scratch, "build")
    say("meson", "setup", folder, ROOT, "-Dtests=false", "-Dman=disabled", "-Dlibvirt=disabled")
    say("meson", "dist", "-C", folder, "--no-tests", "--allow-dirty", "--formats", "gztar", env=GIT)
    (made,) = glob.glob(os.path.join(folder, "meson-dist", "vcpuhp-*.tar.gz"))
    say("tar", "xzf", made, cwd=scratch)
    (source,) = glob.glob(os.path.join(scratch, "vcpuhp-*"))
    return source
