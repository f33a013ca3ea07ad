#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon's units under a real systemd, installed as a user would; QEMU is a service of another user's."""

import grp
import json
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from container import Container, run, show, why_not
from daemon import Daemon, message_id
from guest import BUILD, ROOT
from qtestvm import QtestVM
from scene import done, result
from scrape import text_of
from tap import case, equal, matches
from vm import kvm_usable, wait_for

SERVICE, SOCKET = "vcpuhpd.service", "vcpuhpd.socket"
CONTROL = "/run/vcpuhp/control"
VMS = "/run/vms"
HOST_KVM = os.stat("/dev/kvm").st_rdev if kvm_usable() else None


class UnitProcess:
    """What a machine asks of its QEMU, which is a service."""

    def __init__(self, unit):
        self.unit = unit
        self.pid = int(show(unit, "MainPID"))

    def alive(self):
        return show(self.unit, "ActiveState") == "active"

    def kill(self, number):
        run("systemctl", "kill", "--kill-whom=main", "--signal=%d" % number, self.unit)

    def stop(self, number=signal.SIGTERM, seconds=5):
        run("systemctl", "stop", self.unit, check=False)

    def text(self):
        return run("journalctl", "--no-pager", "-o", "cat", "-u", self.unit)


class ServiceVM(QtestVM):
    """Its QEMU runs as a user of its own, and its sockets are those of the daemon's group."""

    def start_process(self, args):
        unit = "vm-%s.service" % self.name
        shutil.chown(self.dir, "qemu", "vcpuhp")
        os.chmod(self.dir, 0o2770)
        run("systemd-run", "--quiet", "--unit", unit, "--property=User=qemu", "--property=UMask=0007",
            "--property=StandardOutput=journal", *args)  # fmt: skip
        return UnitProcess(unit)

    def __init__(self, **how):
        super().__init__(accel="kvm" if kvm_usable() else "tcg,thread=multi", **how)
        shutil.chown(self.agent_path, "root", "vcpuhp")
        os.chmod(self.agent_path, 0o660)


class Service(Daemon):
    """The installed daemon, with its configuration in a drop-in."""

    def __init__(self, machine, domain=None):
        super().__init__(machine, domain, start=False)
        self.socket = CONTROL
        os.makedirs("/etc/vcpuhp/vcpuhpd.conf.d", exist_ok=True)
        shutil.copy(self.config, "/etc/vcpuhp/vcpuhpd.conf.d/test.conf")
        os.chmod("/etc/vcpuhp/vcpuhpd.conf.d/test.conf", 0o644)

    @property
    def pid(self):
        return int(show(SERVICE, "MainPID"))

    def text(self):
        return run("journalctl", "--no-pager", "-o", "cat", "-u", SERVICE)

    def close(self):
        if self.machine.keep:
            with open(os.path.join(self.machine.keep, "journal"), "w", encoding="utf-8") as f:
                f.write(run("journalctl", "--no-pager"))


def inside(function):
    """The case runs in a container of its own."""

    def in_container():
        with Container() as c:
            c.boot()
            c.do(lambda: _prepare(function))

    in_container.__name__ = function.__name__
    return in_container


def _make_kvm():
    """A node of its own: to the group kvm, as everywhere, and the machine's is left as it is."""
    if HOST_KVM:
        os.mknod("/dev/kvm", 0o660 | stat.S_IFCHR, HOST_KVM)
        os.chmod("/dev/kvm", 0o660)
        shutil.chown("/dev/kvm", "root", "kvm")


def _prepare(function):
    os.makedirs("/etc/sysusers.d", exist_ok=True)
    with open("/etc/sysusers.d/qemu.conf", "w", encoding="ascii") as f:
        f.write("u qemu -\nm qemu kvm\nm qemu vcpuhp\nu alice -\nm alice vcpuhp\nu bob -\n")
    run("systemd-sysusers", "/etc/sysusers.d/qemu.conf")
    _make_kvm()
    os.mkdir(VMS, 0o755)
    tempfile.tempdir = VMS  # the daemon has a /tmp of its own
    try:
        function()
    except tap.Skip:
        raise
    except BaseException:
        print("# " + run("journalctl", "--no-pager", "-n", "40").replace("\n", "\n# "))
        raise


def ask_as(name, *words):
    """(exit status, stderr) of vcpuhpctl run by that user, with the groups that it has."""
    user = pwd.getpwnam(name)
    a = subprocess.run(["vcpuhpctl", *words], capture_output=True, text=True, timeout=60, check=False, user=user.pw_uid,
                       group=user.pw_gid, extra_groups=os.getgrouplist(name, user.pw_gid))  # fmt: skip
    return a.returncode, a.stderr.strip()


def mode(path):
    st = os.stat(path)
    return "%s:%s %04o" % (pwd.getpwuid(st.st_uid)[0], grp.getgrgid(st.st_gid)[0], stat.S_IMODE(st.st_mode))


def switch_on():
    """What README.md says to do after `meson install`."""
    run("systemd-sysusers", "vcpuhp.conf")
    run("systemd-tmpfiles", "--create", "vcpuhp.conf")
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", "--now", SOCKET)


def drop_in(text):
    os.makedirs("/etc/systemd/system/vcpuhpd.service.d", exist_ok=True)
    with open("/etc/systemd/system/vcpuhpd.service.d/test.conf", "w", encoding="ascii") as f:
        f.write("[Service]\n" + text)
    run("systemctl", "daemon-reload")


def entries(**fields):
    """Those of the daemon's unit in the journal that have these fields, as its readers get them."""
    run("journalctl", "--sync")
    out = run("journalctl", "--no-pager", "-o", "json", "-u", SERVICE, *("%s=%s" % f for f in fields.items()))
    return [json.loads(line) for line in out.splitlines()]


def wait_entry(name, **fields):
    wait_for(lambda: entries(MESSAGE_ID=message_id(name), **fields), 20, "an entry of " + name, pause=0.1)


def journal(**fields):
    """Their messages."""
    return [e["MESSAGE"] for e in entries(**fields)]


@contextmanager
def running(domain=None):
    """(VM, Service): a domain that the daemon knows, with one vCPU online. @domain: keys of its section."""
    with ServiceVM() as vm:
        d = Service(vm, domain)
        try:
            switch_on()
            d.wait_idle_online(1)
            yield vm, d
        finally:
            d.close()


def begin_two(vm, d, op):
    """An operation in its middle: QEMU has both vCPUs, and the guest has seen neither."""
    vm.guest.insert = "ignore"
    asking = d.begin("setvcpus", "web1", "3", "--op-id", op)
    wait_for(lambda: len(vm.sent("device_add")) == 2, 20, "both device_adds")
    return asking


def ends_well(vm, d, op):
    vm.guest.insert = "accept"
    done(d.ctl("wait", op, "--timeout", 60), online=3)
    equal(len(vm.sent("device_add")), 2, "device_adds, each sent once")
    equal(vm.guest.online(), [0, 1, 2])


@case(deadline=120)
@inside
def the_first_command_starts_the_daemon():
    equal(run("systemctl", "is-enabled", SOCKET, check=False).strip(), "disabled")
    switch_on()
    equal(run("systemctl", "is-enabled", SOCKET).strip(), "enabled")
    equal((show(SERVICE, "ActiveState"), show(SOCKET, "SubState")), ("inactive", "listening"))
    equal(mode(CONTROL), "root:vcpuhp 0660")
    run("vcpuhpctl", "host")
    equal((show(SERVICE, "SubState"), show(SOCKET, "SubState")), ("running", "running"))
    equal(show(SERVICE, "User"), "vcpuhp")
    equal([mode(p) for p in ("/run/vcpuhp", CONTROL, "/var/lib/vcpuhp", "/etc/vcpuhp")],
          ["vcpuhp:vcpuhp 0710", "root:vcpuhp 0660", "vcpuhp:vcpuhp 0700", "root:root 0755"])  # fmt: skip
    with open("/proc/%s/status" % show(SERVICE, "MainPID"), encoding="ascii") as f:
        status = f.read()
    run("systemctl", "disable", SOCKET)
    run("systemctl", "enable", SERVICE)
    equal([run("systemctl", "is-enabled", u).strip() for u in (SERVICE, SOCKET)], ["enabled", "enabled"])
    matches(r"CapEff:\t0+\nCapBnd:\t0+\nCapAmb:\t0+\nNoNewPrivs:\t1\nSeccomp:\t2\n", status)


@case(deadline=120)
@inside
def stopping_the_socket_takes_its_name_away():
    switch_on()
    run("vcpuhpctl", "host")
    run("systemctl", "stop", SOCKET, SERVICE)
    assert not os.path.exists(CONTROL)
    equal(ask_as("root", "host")[0], 9)
    run("systemctl", "start", SOCKET)
    run("vcpuhpctl", "host")


@case(deadline=120)
@inside
def the_group_may_look_and_others_may_not():
    with running() as (_, d):
        equal(ask_as("alice", "info", "web1")[0], 0)
        exit_status, said = ask_as("alice", "setvcpus", "web1", "2")
        equal(exit_status, 7, said)
        exit_status, said = ask_as("bob", "info", "web1")
        equal(exit_status, 7, said)
        done(d.setvcpus(2), online=2)


@case(deadline=120)
@inside
def kvm_is_asked_for_its_limits():
    if not HOST_KVM:
        raise tap.Skip("no /dev/kvm")
    switch_on()
    kvm = json.loads(run("vcpuhpctl", "-o", "json", "host"))["kvm"]
    equal((kvm["available"], kvm["why"]), (True, None))


@case(deadline=180)
@inside
def a_daemon_that_is_stopped_is_killed_by_the_watchdog_and_started_again():
    drop_in("WatchdogSec=2s\n")
    with running() as (vm, d):
        asking = begin_two(vm, d, "watched")
        before, start = d.pid, time.monotonic()
        run("systemctl", "kill", "--signal=STOP", SERVICE)
        wait_for(lambda: d.pid not in (0, before), 30, "another daemon", pause=0.05)
        seconds = time.monotonic() - start
        assert seconds < 12, "another daemon only after %.1f s" % seconds
        equal(show(SERVICE, "NRestarts"), "1")
        matches("Watchdog timeout", d.text())
        asking.wait(60)
        ends_well(vm, d, "watched")
        print("# another daemon after %.2f s with WatchdogSec=2s" % seconds)


@case(deadline=120)
@inside
def an_idle_daemon_lives_through_its_watchdog():
    drop_in("WatchdogSec=2s\n")
    switch_on()
    run("vcpuhpctl", "host")
    before = show(SERVICE, "MainPID")
    time.sleep(5)  # two of its deadlines, and a half
    equal((show(SERVICE, "MainPID"), show(SERVICE, "NRestarts")), (before, "0"))


@case(deadline=120)
@inside
def a_restart_in_the_middle_loses_nothing():
    with running() as (vm, d):
        asking = begin_two(vm, d, "again")
        before = d.pid
        run("systemctl", "restart", SERVICE)
        assert d.pid not in (0, before)
        asking.wait(60)
        ends_well(vm, d, "again")


@case(deadline=120)
@inside
def a_start_by_the_next_command_goes_on_as_well():
    with running() as (vm, d):
        asking = begin_two(vm, d, "later")
        run("systemctl", "stop", SERVICE)
        equal(show(SERVICE, "ActiveState"), "inactive")
        asking.wait(60)
        ends_well(vm, d, "later")


TAKEN = "the configuration was read again"


def wait_said(d, text, times=1):
    wait_for(lambda: d.text().count(text) >= times, 20, lambda: "%d of %r: %s" % (times, text, d.text()), pause=0.05)


def refuse_a_reload(d):
    """With a bad value in z.conf: the unit's check fails, and no signal is sent. The signal by itself changes nothing."""
    done = subprocess.run(["systemctl", "reload", SERVICE], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0, done.stderr
    wait_said(d, "z.conf:2: ")
    equal(d.text().count("the configuration was not taken"), 0)
    run("systemctl", "kill", "--kill-whom=main", "--signal=HUP", SERVICE)
    wait_said(d, "the configuration was not taken")
    wait_said(d, "z.conf:2: ", 2)


@case(deadline=120)
@inside
def a_reload_in_the_middle_drops_nothing():
    with running() as (vm, d):
        asking = begin_two(vm, d, "reloaded")
        before = d.pid
        run("systemctl", "reload", SERVICE)
        wait_for(lambda: show(SERVICE, "SubState") == "running", 20, "the end of the reload", pause=0.05)
        wait_said(d, TAKEN)
        vm.guest.insert = "accept"
        done(asking.wait(60), online=3)
        equal((d.pid, show(SERVICE, "NRestarts")), (before, "0"))
        ends_well(vm, d, "reloaded")


@case(deadline=120)
@inside
def a_reload_takes_the_new_configuration_or_none():
    with running() as (vm, d):
        before, path = d.pid, "/etc/vcpuhp/vcpuhpd.conf.d/z.conf"
        for number, (text, most) in enumerate((("MaxVcpus=2", 2), ("MaxVcpus=many", 2), ("MaxVcpus=3", 3))):
            with open(path, "w", encoding="ascii") as f:
                f.write("[Domain web1]\n%s\n" % text)
            os.chmod(path, 0o644)
            if text.endswith("many"):
                refuse_a_reload(d)
            else:
                run("systemctl", "reload", SERVICE)
                wait_said(d, TAKEN, (number + 2) // 2)
            wait_for(lambda: show(SERVICE, "SubState") == "running", 20, "the end of the reload", pause=0.05)
            equal([d.ctl("setvcpus", "web1", n, "--dry-run").exit for n in (most, most + 1)], [0, 4], text)
        equal((d.pid, show(SERVICE, "NRestarts")), (before, "0"))
        equal(d.text().count(TAKEN), 2)


@case(deadline=120)
@inside
def a_stop_leaves_the_vms_alone():
    with running() as (vm, d):
        done(d.setvcpus(3), online=3)
        qemu = vm.process.pid
        run("systemctl", "stop", SOCKET, SERVICE)
        equal(int(show("vm-web1.service", "MainPID")), qemu)
        assert vm.process.alive()
        equal(vm.qmp("query-status")["status"], "running")
        equal((vm.qemu_present(), vm.guest.online()), ([0, 1, 2], [0, 1, 2]))
        run("systemctl", "start", SOCKET)
        d.wait_idle_online(3)
        done(d.setvcpus(1), online=1)


@case(deadline=120)
@inside
def the_journal_has_its_lines():
    with running() as (_, d):
        pid = d.pid
        run("systemctl", "stop", SERVICE)
        ours = journal(_PID=pid)
        assert any(line.startswith("stopping: ") for line in ours), "%s" % ours
        equal(set(journal(_PID=pid, SYSLOG_IDENTIFIER="vcpuhpd")), set(ours))
        equal([line for line in ours if line.startswith("<")], [], "lines with their priority in the text")


@case(deadline=120)
@inside
def an_outcome_has_its_fields_in_the_journal():
    with running() as (vm, d):
        done(d.setvcpus(3, "--op-id", "up"), online=3)
        (e,) = entries(VCPUHP_OP="up", VCPUHP_RESULT="done")
        equal([e[name] for name in ("VCPUHP_DOMAIN", "VCPUHP_RESULT", "VCPUHP_VCPU", "VCPUHP_STATE", "PRIORITY")],
              ["web1", "done", ["1", "2"], "online", "6"])  # fmt: skip
        equal((e["MESSAGE_ID"], e["SYSLOG_IDENTIFIER"]), (message_id("operation-done"), "vcpuhpd"))
        equal((os.path.basename(e["CODE_FILE"]), e["CODE_FUNC"]), ("op-log.c", "op_log_end"))
        matches("^web1: operation up: done: 3 online", e["MESSAGE"])
        equal(d.ctl("fail", "web1", 3, "qemu:device").exit, 0)
        result(d.setvcpus(4, "--op-id", "bad"), 1, "failed")
        (e,) = entries(VCPUHP_OP="bad", MESSAGE_ID=message_id("operation-failed"))
        equal([e[name] for name in ("VCPUHP_RESULT", "VCPUHP_FAILED_AT", "VCPUHP_STATE")], ["failed", "qemu:device", "offline"])
        equal(len(entries(VCPUHP_FAILED_AT="qemu:device")), 1)
        vm.guest.eject(2)
        wait_entry("drift-begun", VCPUHP_DOMAIN="web1", VCPUHP_VCPU="2", VCPUHP_STATE="offline")
        done(d.setvcpu("2", "--disable"), online=2)
        wait_entry("drift-ended", VCPUHP_VCPU="2")
        run("systemctl", "reload", SERVICE)
        wait_said(d, TAKEN)
        run("systemctl", "stop", SOCKET, SERVICE)
        told = {e.get("MESSAGE_ID") for e in entries()}
        for name in ("started", "domain-attached", "agent-connected", "configuration-taken", "stopping"):
            assert message_id(name) in told, "nothing in the journal of %s" % name


@case(deadline=120)
@inside
def journalctl_explains_an_outcome():
    """With the catalog that was installed, taken as vcpuhpd(8) says."""
    with running() as (_, d):
        run("journalctl", "--update-catalog")
        done(d.setvcpus(2, "--op-id", "up"), online=2)
        run("journalctl", "--sync")
        said = run("journalctl", "--no-pager", "-x", "-u", SERVICE, "VCPUHP_OP=up")
        matches("Subject: Operation up is done\n.*Defined-By: vcpuhp\n.*man:vcpuhpctl.*Nothing is to be done", said)


@case(deadline=120)
@inside
def a_bad_configuration_is_said_and_a_good_one_taken():
    os.makedirs("/etc/vcpuhp/vcpuhpd.conf.d", exist_ok=True)
    with open("/etc/vcpuhp/vcpuhpd.conf.d/bad.conf", "w", encoding="ascii") as f:
        f.write("[Daemon]\nNoSuchKey=1\n")
    switch_on()
    with subprocess.Popen(["vcpuhpctl", "host"], stdout=subprocess.DEVNULL) as asking:
        # More tries than the five within 10 s that would end them for good.
        wait_for(lambda: int(show(SERVICE, "NRestarts")) >= 6, 60, "the tries", pause=0.1)
        matches(r"bad.conf:2: .*NoSuchKey", "\n".join(journal()))
        equal(asking.poll(), None)
        os.unlink("/etc/vcpuhp/vcpuhpd.conf.d/bad.conf")
        equal(asking.wait(30), 0)


@case(deadline=120)
@inside
def another_user_is_user_alone():
    """As vcpuhpd(8) says: with a copy of the tmpfiles.d file that names it."""
    with open("/usr/local/lib/tmpfiles.d/vcpuhp.conf", encoding="ascii") as f:
        text = f.read()
    os.makedirs("/etc/tmpfiles.d", exist_ok=True)
    with open("/etc/tmpfiles.d/vcpuhp.conf", "w", encoding="ascii") as f:
        f.write(text.replace("0710 vcpuhp ", "0710 qemu "))
    drop_in("User=qemu\n")
    switch_on()
    run("vcpuhpctl", "host")
    equal([show(SERVICE, name) for name in ("User", "Group")], ["qemu", "vcpuhp"])
    equal([mode(p) for p in ("/run/vcpuhp", CONTROL, "/var/lib/vcpuhp")],
          ["qemu:vcpuhp 0710", "root:vcpuhp 0660", "qemu:vcpuhp 0700"])  # fmt: skip
    equal(ask_as("alice", "host")[0], 0)


@case(deadline=120)
@inside
def placing_needs_the_drop_in_and_says_so():
    folder = "/etc/systemd/system/vcpuhpd.service.d"
    os.makedirs(folder)
    shutil.copy("/usr/local/share/vcpuhp/vcpuhpd-place.conf", folder)
    with running(domain={"Place": "0"}) as (vm, d):
        done(d.setvcpus(2), online=2)
        threads = {c["cpu-index"]: c["thread-id"] for c in vm.qmp("query-cpus-fast")}
        equal(os.sched_getaffinity(threads[1]), {0})
        os.unlink(folder + "/vcpuhpd-place.conf")
        run("systemctl", "daemon-reload")
        run("systemctl", "restart", SERVICE)
        d.wait_idle_online(2)
        a = d.setvcpus(3)
        equal((a.exit, a.vcpu(2)["failed_at"]), (1, "host:place"), "%s" % a)
        matches("QEMU's user or CAP_SYS_NICE", a.vcpu(2)["error"])


def listen_on(where):
    os.makedirs("/etc/vcpuhp/vcpuhpd.conf.d", exist_ok=True)
    with open("/etc/vcpuhp/vcpuhpd.conf.d/metrics.conf", "w", encoding="ascii") as f:
        f.write("[Daemon]\nMetricsListen=%s\n" % where)


def make_proxy():
    """The two units that vcpuhpd(8) shows."""
    with open(os.path.join(ROOT, "daemon/man/vcpuhpd.8.scd"), encoding="utf-8") as f:
        shown = f.read().split("# METRICS\n")[1].split("```\n")[1]
    shown = shown.replace("\\\\", "\\")  # as scdoc has it
    units = re.split(r"(?m)^# (/etc/systemd/system/\S+)\n", shown)[1:]
    equal(len(units), 4, "units in the manual page")
    for path, text in zip(units[::2], units[1::2]):
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", "--now", "vcpuhp-metrics.socket")


@case(deadline=120)
@inside
def metrics_are_had_without_a_network_and_on_the_loopback_with_the_drop_in():
    if not os.path.exists(os.path.join(BUILD, "daemon/vcpuhp-metrics.so")):
        raise tap.Skip("the module for HTTP was not built (libmicrohttpd-dev)")
    path, address = "/run/vcpuhp/metrics", "127.0.0.1:9178"
    listen_on(path)
    switch_on()
    run("vcpuhpctl", "host")
    equal(mode(path), "vcpuhp:vcpuhp 0660")
    assert "vcpuhp_domains 0\n" in text_of(path)
    make_proxy()
    assert "vcpuhp_domains 0\n" in text_of(address)
    run("systemctl", "disable", "--now", "vcpuhp-metrics.socket", "vcpuhp-metrics.service")
    listen_on(address)
    run("systemctl", "reload", SERVICE)
    said = "cannot listen on %s: .*; the service permits no network: see METRICS in vcpuhpd" % address
    wait_for(lambda: re.search(said, "\n".join(journal())), 20, lambda: "what is missing: %s" % journal())
    folder = "/etc/systemd/system/vcpuhpd.service.d"
    os.makedirs(folder)
    shutil.copy("/usr/local/share/vcpuhp/vcpuhpd-metrics.conf", folder)
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", SERVICE)
    assert "vcpuhp_domains 0\n" in text_of(address)
    equal(ask_as("alice", "host")[0], 0)


DOMAIN = """\
<domain type='qemu'><name>web1</name><memory unit='MiB'>64</memory><vcpu placement='static' current='1'>4</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/><apic/></features>
<devices><controller type='usb' model='none'/><memballoon model='none'/>
<channel type='unix'><target type='virtio' name='org.vcpuhp.agent.0'/></channel></devices></domain>
"""
LIBVIRT = {
    "/etc/libvirt/libvirtd.conf": 'unix_sock_group = "libvirt"\nunix_sock_rw_perms = "0770"\nauth_unix_rw = "none"\n',
    "/etc/libvirt/qemu.conf": 'security_driver = "none"\ncgroup_controllers = [ ]\nnamespaces = [ ]\nstdio_handler = "file"\n',
    "/etc/sysusers.d/libvirt.conf": "g libvirt -\nu libvirt-qemu -\n",
    "/etc/vcpuhp/vcpuhpd.conf.d/libvirt.conf": "[Libvirt]\n",
    VMS + "/web1.xml": DOMAIN,
}


def start_libvirtd():
    """The system's own, with a domain that runs: QEMU as a user of its own, as distributions have it."""
    for path, text in LIBVIRT.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
    run("systemd-sysusers", "/etc/sysusers.d/libvirt.conf")
    run("systemd-run", "--quiet", "--unit=libvirtd-test", "--property=Delegate=yes", "libvirtd")
    wait_for(lambda: "hypervisor" in run("virsh", "version", check=False), 90, "libvirtd", pause=0.2)
    run("virsh", "define", VMS + "/web1.xml")
    run("virsh", "start", "web1")


def libvirt_info():
    a = run("vcpuhpctl", "-o", "json", "info", "web1", check=False)
    return json.loads(a.splitlines()[-1]) if a else {}


@case(deadline=200)
@inside
def libvirts_domains_need_two_groups():
    module = os.path.join(BUILD, "daemon/vcpuhp-libvirt.so")
    if not shutil.which("libvirtd") or not os.path.exists(module):
        raise tap.Skip("no libvirtd, or no module for it")
    os.environ["LIBVIRT_DEFAULT_URI"] = "qemu:///system"
    start_libvirtd()
    switch_on()
    run("vcpuhpctl", "host")
    wait_for(lambda: "Permission denied" in "".join(journal()), 30, lambda: "its reason: %s" % journal(), pause=0.1)
    for group in ("libvirt", "libvirt-qemu"):
        run("usermod", "-a", "-G", group, "vcpuhp")
    run("systemctl", "restart", SERVICE)
    # No agent, for there is no guest; but it was found, and its channel could be opened.
    wait_for(lambda: libvirt_info().get("status") == "running", 60, lambda: "the domain: %s" % libvirt_info(), pause=0.2)
    wait_for(lambda: libvirt_info()["agent"]["why"] == "no agent has answered", 20,
             lambda: "its channel: %s" % libvirt_info()["agent"], pause=0.2)  # fmt: skip


HOOK = """\
#!/bin/sh
echo "$2 $(id -un) $(sed -En 's,^(0:|[0-9]+:name=systemd):.*/,,p' /proc/self/cgroup | head -n1)" >> /var/lib/vcpuhp/hooks
[ "$2" = prepare ] || exit 0
%s
"""


def put_hook(body):
    with open("/etc/vcpuhp/hooks.d/10-new.x", "w", encoding="ascii") as f:
        f.write(HOOK % body)
    os.chmod("/etc/vcpuhp/hooks.d/10-new.x", 0o755)
    os.rename("/etc/vcpuhp/hooks.d/10-new.x", "/etc/vcpuhp/hooks.d/10-new")


def hooks_said():
    with open("/var/lib/vcpuhp/hooks", encoding="ascii") as f:
        return [line.split() for line in f]


def hook_units():
    return run("systemctl", "list-units", "--all", "--plain", "--no-legend", "vcpuhp-hook@*").split("\n")[:-1]


@case(deadline=180)
@inside
def hooks_are_units_of_their_own():
    os.makedirs("/etc/vcpuhp/vcpuhpd.conf.d", exist_ok=True)
    with open("/etc/vcpuhp/vcpuhpd.conf.d/hooks.conf", "w", encoding="ascii") as f:
        f.write("[Daemon]\nHookTimeout=2\n")
    put_hook("exit 0")
    with running() as (vm, d):
        done(d.setvcpus(3), online=3)
        wait_for(lambda: any(word == "done" for word, *_ in hooks_said()), 10, "it to be told")
        for _, user, unit in hooks_said():
            equal(user, "vcpuhp")
            matches(r"^vcpuhp-hook@\d+-\d+-\d+\.service$", unit)
        assert len({unit for *_, unit in hooks_said()}) == len(hooks_said())
        wait_for(lambda: not hook_units(), 10, lambda: "no unit of a hook: %s" % hook_units())
        assert "vcpuhp-hook@" not in run("journalctl", "--no-pager"), "a line for each call"
        times = [done(d.setvcpus(count), online=count).ms for count in (1, 3) * 8]
        wait_for(lambda: sum(word == "done" for word, *_ in hooks_said()) == 17, 20, "all results to be told")
        print("# operations with units took %.0f to %.0f ms; %d calls" % (min(times), max(times), len(hooks_said())))
        put_hook("echo not in here; exit 1")
        a = d.setvcpus(1)
        equal((a.exit, a.result["refused_by"], a.result["error"]), (4, "hook", "hook 10-new: not in here"))
        # One that hangs goes with all that it has started, also what has left its group.
        put_hook("setsid sleep 300 & sleep 300")
        asking = d.begin("setvcpus", "web1", 1)
        wait_for(hook_units, 10, "the unit")
        unit = hook_units()[0].split()[0]
        equal((show(unit, "MemoryMax"), show(unit, "TasksMax")), (str(256 << 20), "64"))
        a = asking.wait()
        matches("hook 10-new had not ended after 2 s", a.result["error"])
        wait_for(lambda: not hook_units(), 10, lambda: "no unit of a hook: %s" % hook_units())
        equal(run("pgrep", "-x", "sleep", check=False), "")
        # Where nobody listens they are the daemon's children.
        run("systemctl", "stop", "vcpuhp-hook.socket")
        put_hook("exit 0")
        done(d.setvcpus(1), online=1)
        equal(hooks_said()[-1][1:], ["vcpuhp", SERVICE])


if __name__ == "__main__":
    tap.main(why_not)
