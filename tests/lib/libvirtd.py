# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private libvirtd, and KVM domains on it whose guest is a FakeGuest.

libvirtd runs as root in a mount namespace of its own, where its folders and /run are ones of ours;
no systemd, nothing outside of one temporary folder is written. Its QEMUs are found by their pid
files and end with it, whatever has become of it.

A domain has the channel org.vcpuhp.agent.0. QEMU listens on its socket for a guest that is not
there; the FakeGuest takes its path over, so that whoever reads the path in the live XML and
connects has the agent's test build at the other end. A daemon that finds the domain between the
start and that moment would talk to QEMU, so Domain.start() holds it still meanwhile.
"""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
import xml.etree.ElementTree as ElementTree

from daemon import Daemon
from fakeguest import AGENT, CPUS, FakeGuest
from qmp import sort_slots
from qtestvm import HALT_FIRMWARE
from vm import Process, kvm_usable, wait_for

DOMAIN_PREFIX = "vcpuhp-lvd-"

START = """\
set -e
for name in etc/libvirt var/lib/libvirt var/cache/libvirt var/log/libvirt; do
    mkdir -p "/$name"
    mount --bind "$1/$name" "/$name"
done
mount --bind "$1/run" /run
# Debian's libvirt looks its own user up before it reads which one it is to take.
own() {
    grep -q ^libvirt-qemu: "/etc/$2" && return
    { cat "/etc/$2"; echo "libvirt-qemu:x:64055:$3"; } > "$1/$2"
    mount --bind "$1/$2" "/etc/$2"
}
own "$1" passwd 64055::/:/usr/sbin/nologin
own "$1" group ""
cp "$1/qemu.conf" /etc/libvirt/qemu.conf
exec libvirtd -f "$1/libvirtd.conf" -p "$1/libvirtd.pid"
"""

LIBVIRTD_CONF = """\
unix_sock_dir = "%(dir)s/sock"
unix_sock_rw_perms = "0700"
auth_unix_rw = "none"
auth_unix_ro = "none"
host_uuid = "%(uuid)s"
log_level = 3
log_filters = "2:qemu.qemu_monitor"
log_outputs = "2:file:%(dir)s/libvirtd.log"
"""

QEMU_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
"""

DOMAIN_XML = """\
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>%(name)s</name>
  <memory unit='MiB'>64</memory>
  <vcpu placement='static' current='%(current)d'>%(maximum)d</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='rom'>%(dir)s/halt.bin</loader>
  </os>
  <features>%(acpi)s<apic/></features>
  <cpu mode='custom' match='exact' check='none'>
    <model fallback='allow'>qemu64</model>
    <topology sockets='1' dies='1' cores='%(maximum)d' threads='1'/>
  </cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <panic model='isa'/>
    %(channel)s
  </devices>
  <qemu:commandline>
    <qemu:arg value='-qtest'/><qemu:arg value='unix:%(dir)s/qtest,server=on,wait=off'/>
    <qemu:arg value='-qtest-log'/><qemu:arg value='/dev/null'/>
  </qemu:commandline>
</domain>
"""

CHANNEL = """\
<channel type='unix'>
  <source mode='bind' path='%s'/><target type='virtio' name='%s'/>
</channel>
"""


# With it what is mounted below stays with the private libvirtd.
OWN_MOUNTS = ["unshare", "-m", "--propagation", "private"]


def why_not():
    """Why these tests cannot run here, or None."""
    for program in ("libvirtd", "virsh", "unshare", "qemu-system-x86_64"):
        if not shutil.which(program):
            return "%s is not installed" % program
    if os.geteuid() != 0:
        return "a private libvirtd needs root (for its mount namespace)"
    if not kvm_usable():
        return "/dev/kvm is missing or not accessible"
    # In a plain chroot there is none.
    alone = subprocess.run(OWN_MOUNTS + ["true"], capture_output=True, text=True, check=False)
    if alone.returncode:
        return "no mount namespace of one's own here: " + alone.stderr.strip()
    if not os.path.exists(AGENT):
        return "%s is not built" % AGENT
    return None


class Virsh:
    """What one run of virsh said."""

    def __init__(self, status, out, err):
        self.exit, self.out, self.err = status, out.strip(), err.strip()
        self.ms = None

    def __repr__(self):
        return "<virsh exit %s after %.0f ms: %s | %s>" % (self.exit, self.ms or 0, self.out, self.err)


class Libvirtd:
    """@cache: a folder with capabilities (8 s of probing) that are taken over, if it is there."""

    def __init__(self, cache=None, start=True):
        self.dir = tempfile.mkdtemp(prefix="vcpuhp-lv-")
        self.owner = os.getpid()
        self.process = None
        for name in ("etc/libvirt", "var/lib/libvirt", "var/log/libvirt", "run/libvirt", "sock"):
            os.makedirs(self.path(name))
        if cache and os.path.isdir(cache):
            shutil.copytree(cache, self.path("var/cache/libvirt"))
        else:
            os.makedirs(self.path("var/cache/libvirt"))
        for name, text in (("libvirtd.conf", LIBVIRTD_CONF % {"dir": self.dir, "uuid": uuid.uuid4()}),
                           ("qemu.conf", QEMU_CONF), ("start.sh", START)):  # fmt: skip
            with open(self.path(name), "w", encoding="utf-8") as f:
                f.write(text)
        self.socket = self.path("sock/libvirt-sock")
        self.uri = "qemu+unix:///system?socket=" + self.socket
        if start:
            self.start()

    def path(self, name):
        return os.path.join(self.dir, name)

    def keep_cache(self, to):
        """For the next: libvirtd looks itself whether it is still right. Whoever comes first keeps it."""
        if os.path.isdir(to):
            return
        os.makedirs(os.path.dirname(to), exist_ok=True)
        scratch = tempfile.mkdtemp(prefix="libvirt-", dir=os.path.dirname(to))
        shutil.copytree(self.path("var/cache/libvirt"), scratch, dirs_exist_ok=True)
        try:
            os.rename(scratch, to)
        except OSError:
            shutil.rmtree(scratch)

    def start(self):
        self.process = Process(
            OWN_MOUNTS + ["sh", self.path("start.sh"), self.dir],
            self.path("start.log"))  # fmt: skip
        wait_for(lambda: self.virsh("version", check=False).exit == 0 or not self.process.alive(),
                 60, "libvirtd", pause=0.05)  # fmt: skip
        assert self.process.alive(), "libvirtd ended at once:\n%s" % self.text()

    def kill(self):
        """As a crash: its QEMUs live on."""
        self.process.stop(signal.SIGKILL)
        for name in ("libvirtd.pid", "sock/libvirt-sock", "sock/libvirt-sock-ro", "sock/libvirt-admin-sock"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))

    def text(self):
        text = self.process.text() if self.process else ""
        if os.path.exists(self.path("libvirtd.log")):
            with open(self.path("libvirtd.log"), encoding="utf-8", errors="replace") as f:
                text += f.read()
        return text

    def begin(self, *args):
        return subprocess.Popen(
            ["virsh", "-q", "-c", self.uri] + [str(a) for a in args], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=dict(os.environ, LC_ALL="C"))  # fmt: skip

    @staticmethod
    def end(child, seconds=60):
        """What begin() began comes to its end."""
        try:
            out, err = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
        return Virsh(child.returncode, out, err)

    def virsh(self, *args, check=True, seconds=60):
        start = time.monotonic()
        v = self.end(self.begin(*args), seconds)
        v.ms = (time.monotonic() - start) * 1000
        assert not check or v.exit == 0, "virsh %s: %r" % (" ".join(map(str, args)), v)
        return v

    def end_qemus(self):
        for name in glob.glob(self.path("run/libvirt/qemu/*.pid")):
            with open(name, encoding="ascii") as f:
                pid = int(f.read().strip() or 0)
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as f:
                    if DOMAIN_PREFIX.encode() in f.read():
                        os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    def save_logs(self, keep):
        if keep:
            os.makedirs(keep, exist_ok=True)
            with open(os.path.join(keep, "libvirtd.log"), "w", encoding="utf-8") as f:
                f.write(self.text())

    def close(self):
        """Only whoever made it ends it: cases are forked off."""
        if os.getpid() != self.owner:
            return
        if self.process:
            self.process.stop()
        self.end_qemus()
        self.save_logs(os.environ.get("VCPUHP_CASE_LOGS"))
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class _Running:
    """What FakeGuest asks of a machine's process."""

    def __init__(self, domain):
        self.domain = domain

    def alive(self):
        return self.domain.state() == "running"


class Domain:
    """A persistent KVM domain. @acpi: its XML has it, and so its guest finds it."""

    def __init__(self, lv, name="kq", maximum=8, current=1, channel=True, acpi=True, keep=None, defined=True):
        self.lv = lv
        self.name = name
        self.maximum = maximum
        self.current = current
        self.acpi = acpi
        self.dir = tempfile.mkdtemp(prefix=DOMAIN_PREFIX)
        self.keep = keep or os.environ.get("VCPUHP_CASE_LOGS")
        self.agent_path = self.path("channel")
        self.guest = None
        self.process = _Running(self)
        self.channel = CHANNEL % (self.agent_path, "org.vcpuhp.agent.0") if channel else ""
        with open(self.path("domain.xml"), "w", encoding="utf-8") as f:
            f.write(self.make_xml())
        if defined:
            lv.virsh("define", self.path("domain.xml"))

    def make_xml(self):
        with open(self.path("halt.bin"), "wb") as f:
            f.write(HALT_FIRMWARE)
        return DOMAIN_XML % {"name": self.name, "dir": self.dir, "current": self.current,
                             "maximum": self.maximum, "acpi": "<acpi/>" if self.acpi else "",
                             "channel": self.channel}  # fmt: skip

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self, holds=(), agent=True, agent_args=()):
        """@holds: daemons that are held still while it starts."""
        for d in holds:
            d.process.kill(signal.SIGSTOP)
        try:
            self._boot()
            self.guest = FakeGuest(self, self.maximum, agent=False, agent_args=agent_args)
            for slot in range(1, self.current):
                self.guest.root.insert(slot)
                self.guest.root.write("%s/cpu%d/online" % (CPUS, slot), "1\n")
            if not self.acpi:
                self.guest.root.lose_acpi()
            if agent:
                self.guest.start_agent()
        finally:
            for d in holds:
                d.process.kill(signal.SIGCONT)
        return self

    def _boot(self):
        self.lv.virsh("start", self.name)
        if os.path.exists(self.agent_path):
            os.unlink(self.agent_path)

    def save_and_restore(self, between, holds=()):
        """Saved with its memory and started from that; @between is called when it is off. @holds: as in start()."""
        self.guest.leave()
        self.lv.virsh("managedsave", self.name)
        between()
        for d in holds:
            d.process.kill(signal.SIGSTOP)
        try:
            self._boot()
            self.guest.arrive(self)
        finally:
            for d in holds:
                d.process.kill(signal.SIGCONT)

    def begin_migration(self, to, *options):
        """To the domain @to, of another libvirtd and not defined there."""
        xml = self.lv.virsh("dumpxml", self.name, "--migratable").out
        with open(to.path("migrated.xml"), "w", encoding="utf-8") as f:
            f.write(xml.replace(self.dir, to.dir))
        return self.lv.begin("migrate", "--live", self.name, to.lv.uri, "--xml", to.path("migrated.xml"),
                             "--migrateuri", "unix://" + to.path("migration"), *options)  # fmt: skip

    def destroy(self):
        self.guest.ended.set()
        self.lv.virsh("destroy", self.name)
        self.guest.close()
        self.guest = None

    def state(self):
        return self.lv.virsh("domstate", self.name, check=False).out

    def xml(self):
        return ElementTree.fromstring(self.lv.virsh("dumpxml", self.name).out)

    def xml_present(self):
        """vCPUs of the live XML. Until one is moved there is only the number of them."""
        xml = self.xml()
        if xml.find("vcpus") is None:
            return list(range(int(xml.find("vcpu").get("current", self.maximum))))
        return [int(v.get("id")) for v in xml.find("vcpus") if v.get("enabled") == "yes"]

    def listed_present(self):
        """vCPUs in libvirt's list, which does not wait for a call under way as newer libvirt's XML does."""
        return [int(n) for n in re.findall(r"^VCPU: +(\d+)", self.lv.virsh("vcpuinfo", self.name).out, re.M)]

    def uuid(self):
        return self.lv.virsh("domuuid", self.name).out

    def id(self):
        return self.lv.virsh("domid", self.name).out

    def vcpucount(self):
        return int(self.lv.virsh("vcpucount", self.name, "--live", "--active").out)

    def qemu_present(self):
        """QEMU's own word. The domain is a throw-away one, so it may be tainted."""
        out = self.lv.virsh("qemu-monitor-command", self.name, '{"execute":"query-hotpluggable-cpus"}').out
        return [i for i, s in enumerate(sort_slots(json.loads(out)["return"])) if "qom-path" in s]

    def pid(self):
        """QEMU's."""
        with open(self.lv.path("run/libvirt/qemu/%s.pid" % self.name), encoding="ascii") as f:
            return int(f.read())

    def save_logs(self):
        if not self.keep:
            return
        os.makedirs(self.keep, exist_ok=True)
        for entry in glob.glob(self.path("*.log")) + glob.glob(self.lv.path("var/log/libvirt/qemu/%s.log" % self.name)):
            shutil.copy(entry, self.keep)

    def close(self):
        if self.guest:
            self.guest.ended.set()
        self.lv.virsh("destroy", self.name, check=False)
        self.lv.virsh("undefine", self.name, check=False)
        if self.guest:
            self.guest.close()
        self.save_logs()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class LibvirtDaemon(Daemon):
    """A daemon with a [Libvirt] section; @machine is the domain its short methods speak of."""

    def __init__(self, machine, lv, sections="", daemon=None, env=None, start=True):
        self.lv = lv
        self.sections = sections
        super().__init__(machine, daemon=daemon, env=env, start=start)

    def domain_sections(self, machines, domain):
        return "[Libvirt]\nURI=%s\n%s" % (self.lv.uri, self.sections)

    def wait_listed(self, there=True, seconds=15):
        wait_for(lambda: (self.machine.name in self.listed()) == there, seconds,
                 lambda: "%s %sin list" % (self.machine.name, "" if there else "not "), pause=0.05)  # fmt: skip

    def listed(self):
        return {d["domain"]: d for d in self.ctl("list").lines}
