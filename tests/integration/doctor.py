#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""doctor: what is missing for setvcpus, on QMP domains and where there is no daemon at all."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import NOBODY, VCPUHPCTL, VCPUHPD, Daemon, run_as_nobody
from fakeguest import CPUS
from qtestvm import QtestVM, why_not
from scene import done, result
from tap import case, equal, matches
from vm import Machine, wait_for

KEYS = ["check", "severity", "text", "advice"]


def doctor(d, *words):
    """(exit status, {check: finding}); of several with one check the worst counts."""
    a = d.ctl("doctor", *words)
    found = {}
    for line in a.lines:
        equal(list(line), KEYS, "the keys of a finding")
        assert line["severity"] in ("ok", "note", "warning", "error"), line
        if line["check"] not in found or line["severity"] == "error":
            found[line["check"]] = line
    errors = [f for f in a.lines if f["severity"] == "error"]
    equal(a.exit, 4 if errors else 0, "%s" % a)
    for f in errors:
        assert f["advice"], "an error without a way out: %s" % f
    return a.exit, found


def severities(found, *checks):
    return [found[c]["severity"] if c in found else None for c in checks]


@case()
def all_is_well_and_setvcpus_works():
    with QtestVM() as vm, Daemon(vm) as d:
        d.wait_idle_online(1)
        status, found = doctor(d, "web1")
        equal(status, 0)
        equal(severities(found, "domain", "hypervisor", "channel", "agent", "guest-kernel", "maximum",
                         "boot-vcpus", "permission", "drift", "udev", "irqbalance"), ["ok"] * 11)  # fmt: skip
        equal(found["maximum"]["text"], "1 of 8 vCPUs are plugged: there is room for 7 more")
        matches(r"^vcpuhpd 0\.1\.0, QEMU [0-9.]+.*; agent 0\.1\.0", found["versions"]["text"])
        sent = len(vm.sent("query-hotpluggable-cpus"))
        doctor(d, "web1")
        equal(len(vm.sent("query-hotpluggable-cpus")), sent, "QEMU is not asked")
        table = d.ctl("doctor", "web1", json_output=False)
        equal(table.exit, 0)
        matches(r"^CHECK +SEVERITY +FINDING\nversions +ok +vcpuhpd ", table.out)
        done(d.setvcpus(2), present=2, online=2)


@case()
def no_agent_in_the_guest_is_an_error_and_setvcpus_fails():
    with QtestVM(agent=False) as vm, Daemon(vm, daemon={"AgentWaitSec": 1}) as d:
        wait_for(lambda: (d.info()["agent"]["why"], d.info()["present"]) == ("no agent has answered", 1), 10, d.brief)
        status, found = doctor(d, "web1")
        equal((status, severities(found, "channel", "agent", "guest-kernel")), (4, ["ok", "error", "note"]))
        matches("in the guest: systemctl status vcpuhp-agent", found["agent"]["advice"])
        result(d.setvcpus(2), 6, "no-agent")
        table = d.ctl("doctor", "web1", json_output=False)
        matches(r"\nagent +error +no agent in the guest: no agent has answered\n +to do: +in the guest: ", table.out)


@case()
def a_guest_without_acpi_is_an_error_and_setvcpus_is_refused():
    with QtestVM(agent=False) as vm, Daemon(vm) as d:
        os.unlink(vm.guest.root.path("sys/firmware/acpi/tables/DSDT"))
        os.rmdir(vm.guest.root.path("sys/firmware/acpi/tables"))
        vm.guest.start_agent()
        d.wait_agent()
        status, found = doctor(d, "web1")
        equal((status, severities(found, "agent", "guest-kernel")), (4, ["ok", "error"]))
        matches("cannot hotplug CPUs: ACPI is off", found["guest-kernel"]["text"])
        result(d.setvcpus(2), 4, "refused")


@case()
def sockets_that_are_not_there_or_keep_vcpuhpd_out():
    with Machine("web1") as m, Daemon(m) as d:
        wait_for(lambda: d.info()["why"], 5, "the first try")
        status, found = doctor(d, "web1")
        equal((status, severities(found, "hypervisor", "channel")), (4, ["error", None]))
        matches("%s is not there$" % m.qmp_path, found["hypervisor"]["text"])
        matches("start QEMU with -qmp unix:", found["hypervisor"]["advice"])
        with open(m.qmp_path, "w", encoding="ascii"):
            pass
        matches("%s is no socket$" % m.qmp_path, doctor(d, "web1")[1]["hypervisor"]["text"])


@case()
def at_the_maximum_and_at_its_own_ceiling():
    with QtestVM(smp=2, maxcpus=2, agent=False) as vm, Daemon(vm) as d:
        vm.guest.root.insert(1)
        vm.guest.root.write(CPUS + "/cpu1/online", "1\n")
        vm.guest.start_agent()
        d.wait_idle_online(2)
        status, found = doctor(d, "web1")
        equal((status, severities(found, "maximum", "boot-vcpus")), (4, ["error", "warning"]))
        equal(found["maximum"]["advice"], "start QEMU with room: -smp 1,maxcpus=N")
        result(d.setvcpus(1), 4, "refused")
    with QtestVM() as vm, Daemon(vm, domain={"MaxVcpus": 2}) as d:
        d.wait_idle_online(1)
        done(d.setvcpus(2))
        status, found = doctor(d, "web1")
        equal((status, severities(found, "maximum")), (0, ["warning"]))
        matches(r"2 of 2 vCPUs are plugged \(MaxVcpus=\): there is room for no more, only a way down",
                found["maximum"]["text"])  # fmt: skip
        equal(found["maximum"]["advice"], "raise MaxVcpus= of [Domain web1] in vcpuhpd.conf")


@case()
def what_others_moved_is_told_and_a_paused_domain():
    with QtestVM() as vm, Daemon(vm) as d:
        d.wait_idle_online(1)
        vm.plug(1)
        wait_for(lambda: d.info()["vcpus"][1]["drift"], 5, d.brief)
        status, found = doctor(d, "web1")
        equal((status, severities(found, "drift")), (0, ["warning"]))
        matches("1 vCPUs are not as asked for; vCPU 1: it was plugged by another", found["drift"]["text"])
        vm.qmp("stop")
        wait_for(lambda: d.info()["status"] == "paused", 5, d.brief)
        status, found = doctor(d, "web1")
        equal((status, severities(found, "domain")), (4, ["error"]))
        result(d.setvcpus(2), 4, "refused")


@case()
def without_a_domain_the_daemon_and_each_domain_in_a_line():
    with QtestVM() as vm, Machine("away") as away, Daemon(vm, others=(away,)) as d:
        d.wait_idle_online(1)
        a = d.ctl("doctor")
        equal(a.exit, 4)
        equal([(f["check"], f["severity"]) for f in a.lines],
              [("daemon", "ok"), ("libvirt", "note"), ("kvm", "ok"), ("permission", "ok"),
               ("domain", "ok"), ("domain", "error")])  # fmt: skip
        equal(a.lines[4]["text"], "web1: 1 of 8 vCPUs are plugged, the agent is connected")
        matches("^away: hypervisor: ", a.lines[5]["text"])
        equal(a.lines[5]["advice"], "vcpuhpctl doctor away")
        unknown = d.ctl("doctor", "nobody")
        equal((unknown.exit, unknown.result["error"]["code"]), (10, "NoSuchDomain"))
        matches(r"has no \[Libvirt\] section", unknown.result["error"]["text"])


def as_nobody(path, *words):
    return run_as_nobody("-S", path, "doctor", *words)


@case()
def who_may_not_change_it_or_not_even_ask():
    if os.geteuid() != 0:
        raise tap.Skip("needs root to be somebody else")
    with Machine("web1") as m, Daemon(m) as d:
        os.chmod(m.dir, 0o755)
        os.chmod(d.socket, 0o666)
        asked = as_nobody(d.socket, "web1")
        equal(asked.returncode, 4)
        matches(r"\npermission +error +uid 65534 may look but not change web1: there is no Operators=", asked.stdout)
        os.chmod(d.socket, 0o660)
        asked = as_nobody(d.socket)
        equal(asked.returncode, 7)
        matches(r"\ndaemon +error +no permission for the daemon's socket %s: %s belongs to root:" % (
            d.socket, d.socket), asked.stdout)  # fmt: skip
        matches(r"\n +to do: +join the group \w+ \(usermod -aG", asked.stdout)
        os.chmod(m.dir, 0o700)
        matches("%s belongs to root:.* with mode 0700" % m.dir, as_nobody(d.socket).stdout)


@case()
def a_folder_that_keeps_a_daemon_without_rights_out():
    if os.geteuid() != 0:
        raise tap.Skip("needs root to be somebody else")
    with Machine("web1") as m, tempfile.TemporaryDirectory() as own:
        os.chown(own, NOBODY, NOBODY)
        os.makedirs(m.path("qemu/deep"))
        os.chmod(m.path("qemu"), 0o700)
        os.symlink("qemu/deep", m.path("link"))
        os.chmod(m.dir, 0o755)
        with open(m.path("f.conf"), "w", encoding="utf-8") as f:
            for name, path in (("web1", "qemu/qmp"), ("web2", "link/qmp")):
                f.write("[Domain %s]\nQMP=%s\nAgent=/run/none-%s\n" % (name, m.path(path), name))
        control = own + "/control"
        p = subprocess.Popen(
            [shutil.copy(VCPUHPD, own), "--foreground", "--config", m.path("f.conf"), "--socket", control,
             "--runtime-dir", own + "/run", "--state-dir", own + "/state"], cwd="/",
            user=NOBODY, group=NOBODY, extra_groups=[], stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            wait_for(lambda: os.path.exists(control), 10, "the daemon's socket")
            out = wait_for_words(control, "web1", "keeps vcpuhpd out")
            # What stands behind a link is not known, so nothing is said of modes.
            hidden = wait_for_words(control, "web2", "may not look at %s" % m.path("link"))
        finally:
            p.kill()
            p.wait()
        matches(r"\nhypervisor +error +QEMU is not reached at %s: %s \(uid 0, gid 0, mode 0700\) keeps vcpuhpd out, "
                "which runs as uid 65534" % (m.path("qemu/qmp"), m.path("qemu")), out)  # fmt: skip
        matches(r"\n +to do: +namei -l %s" % m.path("link"), hidden)
        matches(r"\n +to do: +let vcpuhpd's user in: setfacl -m u:65534:x %s," % m.path("qemu"), out)


def wait_for_words(control, domain, words):
    """The table of its doctor, once it has them."""
    out = [""]

    def told():
        out[0] = subprocess.run([VCPUHPCTL, "-S", control, "doctor", domain], capture_output=True, text=True,
                                timeout=20, check=False).stdout  # fmt: skip
        return words in out[0]

    wait_for(told, 5, lambda: "%r in %s" % (words, out[0]))
    return out[0]


@case()
def where_there_is_no_daemon_it_says_why():
    with Machine("web1") as m, Daemon(m) as d:
        d.stop(9)
        a = d.ctl("doctor", "web1")
        equal((a.exit, a.lines[0]["severity"], a.lines[-1]["error"]["code"]), (9, "error", "NoDaemon"))
        matches("nothing listens on the daemon's socket", a.lines[0]["text"])
        os.rename(m.dir, m.dir + ".away")
        a = d.ctl("doctor", json_output=False)
        os.rename(m.dir + ".away", m.dir)
        equal(a.exit, 9)
        matches(r"^CHECK .*\ndaemon +error +the daemon's socket .* is not there \(%s is missing\)" % m.dir, a.out)
        matches("vcpuhpctl: cannot reach the daemon at ", a.err)


@case()
def a_daemon_that_comes_up_meanwhile_is_not_asked_after_all():
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as s:
        control = folder + "/control"
        out, into = os.pipe()
        fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
        os.write(into, b"x" * 4096)
        p = subprocess.Popen([VCPUHPCTL, "-S", control, "-ojson", "doctor"], stdout=into, stderr=subprocess.DEVNULL)
        os.close(into)
        # It has told that there is no daemon, and nobody reads that yet.
        wait_for(lambda: read("/proc/%d/syscall" % p.pid).startswith("1 "), 10, "the write")
        s.bind(control)
        s.listen()
        with os.fdopen(out, encoding="ascii") as f:
            lines = f.read()[4096:].splitlines()
        equal(p.wait(timeout=10), 9)
        equal([sorted(json.loads(line)) for line in lines], [sorted(KEYS), ["error"]])
        s.setblocking(False)
        try:
            s.accept()
        except BlockingIOError:
            return
        raise AssertionError("it was asked")


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read()


if __name__ == "__main__":
    tap.main(before=why_not)
