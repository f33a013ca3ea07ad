#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The unit files as they are installed: systemd has nothing to say against them, and how much they leave open;
and the journal's catalog."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from container import install
from guest import ROOT
from tap import case, equal, matches

UNITS = ("vcpuhpd.service", "vcpuhpd.socket", "vcpuhp-agent.service", "vcpuhp-hook.socket", "vcpuhp-hook@.service")
MOST = {"vcpuhpd.service": 15, "vcpuhp-agent.service": 30, "vcpuhp-hook@.service": 15}  # tenths
WITH_METRICS = 15
EXEC = re.compile(r"(?m)^(Exec(?:Start|Reload)=)(\S*/(?:sbin|libexec|vcpuhp)/)")


class Installed:
    """The units in a folder, with the programs where they were installed for now; @edit: (old, new) in one."""

    def __init__(self, edit=None):
        self.dir = tempfile.mkdtemp(prefix="vcpuhp-units-")
        dest = os.path.join(self.dir, "dest")
        try:
            install(dest)
            self.paths = [self._copy(dest, unit, edit) for unit in UNITS]
        except BaseException:
            self.close()
            raise

    def _copy(self, dest, unit, edit):
        found = glob.glob(os.path.join(dest, "**", unit), recursive=True)
        equal(len(found), 1, "files named " + unit)
        with open(found[0], encoding="ascii") as f:
            text = EXEC.sub(r"\1%s\2" % dest, f.read())
        if edit and unit == edit[0]:
            assert edit[1] in text, "%s has no %s" % (unit, edit[1])
            text = text.replace(edit[1], edit[2])
        with open(os.path.join(self.dir, unit), "w", encoding="ascii") as f:
            f.write(text)
        return f.name

    def analyze(self, *args):
        """(exit status, all it said)"""
        done = subprocess.run(["systemd-analyze", "--no-pager", *args], capture_output=True, text=True, check=False,
                              env=dict(os.environ, SYSTEMD_UNIT_PATH=self.dir + ":", LC_ALL="C"))  # fmt: skip
        return done.returncode, (done.stdout + done.stderr).strip()

    def verify(self):
        """What it says of our units; this machine's own may have theirs."""
        _, said = self.analyze("verify", "--man=no", *self.paths)
        return [line for line in said.splitlines() if any(word in line for word in (self.dir, *UNITS))]

    def score(self, unit):
        """In tenths."""
        _, said = self.analyze("security", "--offline=true", os.path.join(self.dir, unit))
        return round(float(re.search(r"exposure level for \S+: ([0-9.]+)", said).group(1)) * 10)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


@case()
def systemd_has_nothing_to_say_against_them():
    with Installed() as i:
        equal(i.verify(), [])


@case()
def verify_would_say_it():
    for *edit, word in (("vcpuhpd.service", "WatchdogSec=", "WachtdogSec=", "WachtdogSec"),
                        ("vcpuhpd.service", "sbin/vcpuhpd", "sbin/nothing", "sbin/nothing is not executable"),
                        ("vcpuhp-agent.service", "KillMode=mixed", "KillMode=none-of-them", "ignoring: none-of-them"),
                        ("vcpuhpd.socket", "SocketMode=0660", "SocketMode=rw", "ignoring: rw")):  # fmt: skip
        with Installed(edit) as i:
            matches("%s.*%s" % (edit[0], word), "\n".join(i.verify()))


@case()
def they_leave_little_open():
    with Installed() as i:
        for unit, most in MOST.items():
            score = i.score(unit)
            assert score <= most, "%s scores %.1f, at most %.1f is wanted" % (unit, score / 10, most / 10)
            print("# %s: %.1f" % (unit, score / 10))


def journalctl(root, *args):
    done = subprocess.run(["journalctl", "--no-pager", "--root", root, *args], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@case()
def journalctl_takes_the_catalog():
    with open(os.path.join(ROOT, "daemon/journal-message.c"), encoding="utf-8") as f:
        table = dict(re.findall(r'\{ "(\w{32})",\s+LOG_\w+,\s+"[a-z-]+",\s+"([^"]+)" \}', f.read()))
    with tempfile.TemporaryDirectory(prefix="vcpuhp-catalog-") as root:
        install(root)
        equal(journalctl(root, "--update-catalog"), (0, "", ""))
        status, listed, said = journalctl(root, "--list-catalog")
        equal((status, said), (0, ""))
        equal(listed.splitlines(), sorted("%s vcpuhp: %s" % row for row in table.items()))
        # It would say what is wrong in it.
        (path,) = glob.glob(os.path.join(root, "**", "vcpuhp.catalog"), recursive=True)
        with open(path, "w", encoding="ascii") as f:
            f.write("Subject: of nothing\n")
        status, _, said = journalctl(root, "--update-catalog")
        assert status != 0 and "vcpuhp.catalog:1" in said, "%d %s" % (status, said)


@case()
def the_drop_in_for_metrics_lets_in_the_loopback_alone():
    """Above that it leaves no more open than a service that is in a network has to."""
    with Installed() as i:
        (found,) = glob.glob(os.path.join(i.dir, "dest/**/vcpuhpd-metrics.conf"), recursive=True)
        i.paths = [os.path.join(i.dir, "with-metrics.service")]
        with open(i.paths[0], "w", encoding="ascii") as f:
            for part in (os.path.join(i.dir, "vcpuhpd.service"), found):
                with open(part, encoding="ascii") as g:
                    f.write(g.read())
        said = [line for line in i.analyze("verify", "--man=no", i.paths[0])[1].splitlines() if "with-metrics" in line]
        equal(said, [])
        score = i.score("with-metrics.service")
        print("# vcpuhpd.service with vcpuhpd-metrics.conf: %.1f" % (score / 10))
        assert score <= WITH_METRICS, "it scores %.1f, at most %.1f is wanted" % (score / 10, WITH_METRICS / 10)


def why_not():
    return None if shutil.which("systemd-analyze") else "systemd-analyze is not installed (package systemd)"


if __name__ == "__main__":
    tap.main(why_not)
