#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A newcomer's walk, on a clean machine: the README's own commands, from the tarball to a guest of his own whose
vCPUs he changes, sees in the metrics, breaks, and is told why.

What is done here and not written there: packages are not installed (that those it names are known is looked at),
sudoedit is a here-document with the README's section, and the "..." of its QEMU is a test guest.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import guest
import tap
from container import Container, run, show, why_not
from guest import ROOT
from tap import case, equal, matches
from tarball import is_checkout, unpack
from vm import GuestShell, wait_for

HOME = "/var/newcomer"
MACHINE = ("-nodefaults -display none -accel tcg,thread=multi -cpu max -machine q35 -m 512 -kernel {kernel} -initrd {initrd} "
           "-append 'console=ttyS0 quiet panic=-1' -serial null "
           "-chardev socket,id=test,path=/run/vms/web1.test,server=on,wait=off")  # fmt: skip
TEST_PORT = "-device virtserialport,chardev=test,name=org.vcpuhp.test.0"
SHELL = """\
set -eu
sudo() { "$@"; }
apt() { :; }
sudoedit() { cat >> "$1" < %s/section; }
cd %s/source
""" % (HOME, HOME)  # fmt: skip


class CleanMachine(Container):
    """Its /usr can be written, with nothing of ours in it."""

    def __init__(self):
        super().__init__(with_vcpuhp=False)

    def _arguments(self):
        args = super()._arguments()
        return [a.replace("--overlay-ro=", "--overlay=") for a in args]


def readme(title):
    """The README's indented blocks of a section, as they are to be typed."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        section = re.search(r"(?ms)^## %s\n(.*?)^## " % re.escape(title), f.read()).group(1)
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", section, re.M)
    return [re.sub(r"(?m)^ {4,7}", "", b).strip() for b in blocks if b.strip()]


def block(title, words):
    (found,) = [b for b in readme(title) if words in b]
    return found


def typed(script):
    """What he types, in a shell of his."""
    done = subprocess.run(["bash", "-c", SHELL + script], capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, "%s: exit status %d: %s" % (script, done.returncode, (done.stdout + done.stderr)[-3000:])
    return done.stdout


def ctl(*words, wanted=0):
    done = subprocess.run(["vcpuhpctl", *words], capture_output=True, text=True, check=False, timeout=90)
    equal(done.returncode, wanted, "vcpuhpctl %s: %s%s" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout + done.stderr


def start_qemu(files):
    """The README's QEMU, of a user of his own, in the folder as of the README."""
    run("useradd", "--system", "--no-create-home", "operator")
    os.makedirs("/etc/tmpfiles.d", exist_ok=True)  # Debian's systemd package has it
    typed(block("Attach it to your own QEMU", "tmpfiles.d/vms.conf").replace("USER", "operator"))
    line = block("Attach it to your own QEMU", "qemu-system-x86_64 ...").replace("\\\n", " ")
    line = line.replace("...", MACHINE.format(**files), 1) + " " + TEST_PORT
    run("systemd-run", "--quiet", "--unit=web1", "--property=User=operator", "--property=UMask=0007", "bash", "-c", "exec " + line)
    wait_for(lambda: os.path.exists("/run/vms/web1.test"), 20, lambda: run("journalctl", "-u", "web1", "-o", "cat"))
    return GuestShell("/run/vms/web1.test", lambda: show("web1.service", "ActiveState") == "active")


def install():
    attach = block("Attach it to your own QEMU", "[Domain web1]")
    with open(HOME + "/section", "w", encoding="utf-8") as f:
        f.write("\n" + attach.partition("vcpuhpd --foreground")[0])
    run("groupadd", "libvirt")
    run("groupadd", "libvirt-qemu")
    commands = block("Install it as a service", "sudo apt install gcc")
    assert "meson install" in commands and "enable --now vcpuhpd.socket" in commands, commands
    typed(commands)
    # Where a shell and man find it.
    for name in ("vcpuhpd", "vcpuhpctl"):
        assert shutil.which(name), "%s is not in PATH" % name
    for page in ("vcpuhpctl", "vcpuhpd.conf", "vcpuhp-callbacks"):
        matches("/vcpuhp", run("man", "-w", page))


def ask():
    """Each line of "Ask", of the endless ones a little."""
    lines = block("Attach it to your own QEMU", "setvcpus web1 4").splitlines()
    asked = [re.sub(r"\s+#.*", "", line) for line in lines]
    assert len(asked) >= 5 and all(a.startswith("vcpuhpctl ") for a in asked), asked
    few = {" events ": " --timeout 1", " top": " --count 2 --interval 1"}
    said = {a: typed(a + "".join(more for words, more in few.items() if words in a)) for a in asked}
    matches(r"web1: done: 4 online", said["vcpuhpctl setvcpus web1 4"])
    matches(r'vcpuhp\w*vcpus\w*\{[^}]*domain="web1"', said["vcpuhpctl metrics"])
    return said


def break_it(shell):
    shell.run("mkdir -p /etc/vcpuhp/cpuhp.d; printf '#!/bin/sh\\n[ $2 != 4 ] || { echo no licence; exit 3; }\\n'"
              " > /etc/vcpuhp/cpuhp.d/50-deny; chmod 755 /etc/vcpuhp/cpuhp.d/50-deny; kill -HUP $(cat /run/agent.pid)", 20)  # fmt: skip
    wait_for(lambda: "50-deny" in ctl("states", "web1"), 20, "the callback")
    said = ctl("setvcpus", "web1", "5", "--op-id", "broken", wanted=1)
    matches("ap:dyn.50-deny startup failed with exit status 3: no licence", said)
    matches("no licence", ctl("op", "broken"))
    matches("operation broken: failed", run("journalctl", "-u", "vcpuhpd", "-o", "cat"))
    shell.run("touch /run/hold-agent; kill -9 $(cat /run/agent.pid)", 20)
    wait_for(lambda: re.search(r"Agent: +no\b", ctl("info", "web1")), 20, lambda: ctl("info", "web1"))
    matches("no agent answers in the guest", ctl("setvcpus", "web1", "3", wanted=6))
    matches("no agent in the guest.*in the guest: systemctl status vcpuhp-agent", ctl("doctor", "web1", wanted=4))
    shell.run("rm /run/hold-agent", 20)
    ctl("setvcpus", "web1", "3")


def leave_it(shell):
    """The service stops and is uninstalled as the README says; the guest goes on."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        words = re.sub(r"\s+", " ", f.read()).partition("Uninstall: ")[2]
    for command in re.findall(r"`(.*?)`", words)[:3]:
        typed(command)
    equal([p for p in ("vcpuhpd", "vcpuhpctl") if shutil.which(p)], [])
    equal((shell.run("cat /sys/devices/system/cpu/online", 20), show("web1.service", "ActiveState")), ((0, "0-2\n"), "active"))


def walk(files):
    install()
    matches("web1", ctl("list"))
    shell = start_qemu(files)
    # He need not wait for his guest to boot: the first command does.
    ask()
    break_it(shell)
    leave_it(shell)


@case(deadline=600, long=True)
def the_readmes_commands_lead_from_the_tarball_to_a_broken_guest_that_says_why():
    if not is_checkout():
        raise tap.Skip("meson dist needs a git repository, and these sources are none")
    packages = re.findall(r"apt install (.*)", block("Install it as a service", "sudo apt install gcc"))
    unknown = subprocess.run(["dpkg-query", "-W", *" ".join(packages).split()], capture_output=True, text=True, check=False)
    equal((len(packages), unknown.stderr), (2, ""), "packages that the README names")
    with tempfile.TemporaryDirectory(prefix="vcpuhp-walk-") as scratch, CleanMachine() as c:
        os.makedirs(c.root + HOME)
        shutil.copytree(unpack(scratch), c.root + HOME + "/source", symlinks=True)
        shutil.copy(guest.kernel(), c.root + HOME + "/vmlinuz")
        shutil.copy(guest.initrd(), c.root + HOME + "/initrd")
        if os.path.exists("/etc/manpath.config"):
            shutil.copy("/etc/manpath.config", c.root + "/etc")
        c.boot()
        c.do(lambda: walk({"kernel": HOME + "/vmlinuz", "initrd": HOME + "/initrd"}))


if __name__ == "__main__":
    tap.main(why_not)
