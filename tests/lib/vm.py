# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real guests under QEMU.

VM starts one (TCG; KVM only where the CPU offers hardware virtualization), and offers what a case
needs to look at it from outside: the guest's shell (guest()), a QMP connection of the tests' own
(qmp()), the list of QMP commands anybody sent (sent()), and counts on both sides.

Rules that QEMU 7.2 under TCG puts on every case (KVM has none of them): no device_add after the
first unplug of a CPU that has run; a contiguous prefix of slots (plug the lowest, unplug the
highest); at most maxcpus creations in a VM's life; never thread=single.

Everything started here dies with the process that started it.
"""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import guest as guestkit
from qmp import Qmp, QmpError, begun_commands, connect, sent_commands, wait_for

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """For Popen's preexec_fn."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _children():
    for task in os.listdir("/proc/self/task"):
        with open("/proc/self/task/%s/children" % task, encoding="ascii") as f:
            yield from map(int, f.read().split())


def _bury(name):
    for pid in _children():
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as f:
            command, state = re.search(r"\((.*)\) (.)", f.read()).groups()
        if state == "Z" and command.startswith(name):
            os.waitpid(pid, os.WNOHANG)


def bury_orphans(name):
    """
    From now on wait for dead descendants called @name... whose parents have left them, as init would.

    Whoever is process 1 here may take its time, and libvirtd waits for QEMUs to be really gone.
    """
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)

    def turn():
        while True:
            try:
                _bury(name)
            except OSError:
                pass  # it has gone in between
            time.sleep(0.02)

    threading.Thread(target=turn, daemon=True).start()


def has_hardware_virtualization():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        flags = re.search(r"^flags\s*:(.*)$", f.read(), re.M)
    return bool(flags and {"vmx", "svm"} & set(flags.group(1).split()))


def kvm_usable():
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def parse_cpulist(text):
    cpus = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus


class Process:
    """A child that ends with us, its output in a file."""

    def __init__(self, args, log, env=None):
        self.log = log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                args,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=dict(os.environ, **(env or {})),
                preexec_fn=die_with_parent,
            )
        self.pid = self.popen.pid
        self.sent = set()  # signals

    def alive(self):
        return self.popen.poll() is None

    def kill(self, number):
        if self.alive():
            self.sent.add(number)
            self.popen.send_signal(number)

    def stop(self, number=signal.SIGTERM, seconds=5):
        """End it and return its exit status."""
        self.kill(number)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()


class GuestShell:
    """The host's end of guest-ctl."""

    def __init__(self, path, alive):
        self.sock = connect(path, alive=alive)
        self.buf = b""
        self.seq = 0

    def _until(self, complete, end):
        while not complete():
            self.sock.settimeout(max(0.001, end - time.monotonic()))
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("QEMU closed the guest's test channel")
            self.buf += data

    def run(self, command, seconds):
        """(status, output) of a command in the guest."""
        self.seq += 1
        raw = command.encode()
        end = time.monotonic() + seconds
        self.sock.sendall(b"%d %d\n" % (self.seq, len(raw)) + raw)
        while True:
            self._until(lambda: b"\n" in self.buf, end)
            head, self.buf = self.buf.split(b"\n", 1)
            seq, status, length = (int(x) for x in head.split())
            self._until(lambda n=length: len(self.buf) >= n, end)
            output, self.buf = self.buf[:length], self.buf[length:]
            if seq == self.seq:
                return status, output.decode(errors="replace")


class InGuest:
    """What a case does inside a guest that has a shell (GuestShell)."""

    shell = None

    def wait_booted(self, seconds=60):
        status, _ = self.shell.run("true", seconds)
        assert status == 0

    def guest(self, command, seconds=30, check=True):
        """Output of a shell command in the guest; with check=False (status, output)."""
        status, output = self.shell.run(command, seconds)
        if not check:
            return status, output
        assert status == 0, "in the guest: %s: exit status %d: %s" % (command, status, output)
        return output

    def write(self, path, text, mode=0o644):
        """Put a file into the running guest."""
        quoted = text.replace("'", "'\\''")
        self.guest("mkdir -p %s && printf %%s '%s' > %s.new && chmod %o %s.new && mv %s.new %s" % (
            os.path.dirname(path), quoted, path, mode, path, path, path))  # fmt: skip

    def guest_present(self):
        return parse_cpulist(self.guest("cat /sys/devices/system/cpu/present"))

    def guest_online(self):
        return parse_cpulist(self.guest("cat /sys/devices/system/cpu/online"))

    def onliner(self, cpu, online=True):
        """Root's hand in the guest: online or offline a CPU."""
        self.guest("echo %d > /sys/devices/system/cpu/cpu%d/online" % (online, cpu))

    def agent_pid(self):
        return int(wait_for(lambda: self.guest("cat /run/agent.pid").strip(), 10, "/run/agent.pid"))

    def agent_log(self):
        return self.guest("cat /run/agent.log 2>/dev/null || true")


class Machine:
    """What a real guest (VM) and a machine without one (QtestVM) have in common: a folder with
    their sockets and logs, QEMU, and a QMP connection of the tests' own."""

    def __init__(self, name, keep=None):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix="vcpuhp-")
        self.keep = keep or os.environ.get("VCPUHP_CASE_LOGS")
        self.qmp_path = self.path("qmp")
        self.agent_path = self.path("agent")
        self.trace_path = self.path("qemu.trace")
        self.process = None
        self._qmp = None

    def path(self, name):
        return os.path.join(self.dir, name)

    def restart_qemu(self):
        """End it and have another, with the same arguments, behind the same sockets."""
        self._qmp.close()
        self.process.stop(signal.SIGKILL)
        self.start_qemu(self.args)

    def start_qemu(self, args):
        self.args = args
        common = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-name", self.name,
            "-qmp", "unix:%s,server=on,wait=off" % self.qmp_path,
            "-qmp", "unix:%s,server=on,wait=off" % self.path("qmp-test"),
            "-trace", "enable=handle_qmp_command", "-trace", "enable=monitor_qmp_in_band_*", "-D", self.trace_path,
        ]  # fmt: skip
        self.process = self.start_process(common + args)
        try:
            self._qmp = Qmp(self.path("qmp-test"), alive=self.process.alive)
        except (AssertionError, EOFError) as e:
            raise AssertionError("QEMU did not start: %s\n%s" % (e, self.process.text())) from e

    def start_process(self, args):
        return Process(args, self.path("qemu.log"))

    def qmp(self, command, /, **arguments):
        return self._qmp.cmd(command, **arguments)

    def events(self):
        return self._qmp.poll()

    def slots(self):
        return self._qmp.slots()

    def qemu_present(self):
        """Slots that QEMU has filled."""
        return self._qmp.present()

    def sent(self, name=None):
        """QMP commands anybody has sent; those named @name only."""
        return [c for c in sent_commands(self.trace_path) if name in (None, c[0])]

    def begun(self, name):
        """Those of the commands @name that QEMU has begun to carry out, or has."""
        return [c for c in begun_commands(self.trace_path) if c[0] == name]

    def alive(self):
        return self.process is not None and self.process.alive()

    def save_logs(self):
        if not self.keep:
            return
        os.makedirs(self.keep, exist_ok=True)
        for entry in os.listdir(self.dir):
            if os.path.isfile(self.path(entry)) and not entry.startswith("initrd"):
                shutil.copy(self.path(entry), os.path.join(self.keep, entry))

    def close(self):
        if self._qmp:
            self._qmp.close()
        if self.process:
            self.process.stop(signal.SIGKILL)
        self.save_logs()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class VM(Machine, InGuest):
    """A guest with a real kernel. Ready (its shell answers) when the constructor returns, unless
    @wait is false."""

    def __init__(self, name="web1", smp=1, maxcpus=32, append="", files=None, agent=True,
                 agent_args="", memory=512, extra=(), wait=True, keep=None):  # fmt: skip
        super().__init__(name, keep)
        self.kvm = has_hardware_virtualization() and kvm_usable()
        files = dict(files or {})
        if agent_args:
            files["/etc/vcpuhp/agent-args"] = agent_args + "\n"
        try:
            initrd = guestkit.initrd()
            if files:
                initrd = guestkit.overlay(files, self.path("initrd.gz"))
            if not agent:
                append += " noagent"
            self._start(smp, maxcpus, append, memory, initrd, list(extra))
            if wait:
                self.wait_booted()
        except BaseException:
            self.close()
            raise

    def _start(self, smp, maxcpus, append, memory, initrd, extra):
        accel = ["-accel", "kvm", "-cpu", "host"] if self.kvm else [
            "-accel", "tcg,thread=multi", "-cpu", "max"]  # fmt: skip
        if not self.kvm and guestkit.wants_hypervisor():
            accel[-1] += ",-hypervisor"
            accel += ["-smbios", "type=1,serial=VMware-0"]
        ports = []
        for ident, name in (("agent", "org.vcpuhp.agent.0"), ("test", "org.vcpuhp.test.0")):
            ports += [
                "-chardev", "socket,id=%s,path=%s,server=on,wait=off" % (ident, self.path(ident)),
                "-device", "virtserialport,chardev=%s,name=%s,id=port-%s" % (ident, name, ident),
            ]  # fmt: skip
        self.start_qemu(accel + [
            "-machine", "q35", "-m", str(memory),
            "-smp", "%d,maxcpus=%d,sockets=1,cores=%d,threads=1" % (smp, maxcpus, maxcpus),
            "-kernel", guestkit.kernel(), "-initrd", initrd,
            "-append", ("console=ttyS0 quiet panic=-1 " + append).strip(),
            "-serial", "file:" + self.path("serial.log"),
            "-device", "virtio-serial-pci",
        ] + ports + extra)  # fmt: skip
        self.shell = GuestShell(self.path("test"), self.process.alive)

    def counts(self):
        """(slots QEMU has filled, CPUs the guest has present, CPUs it has online)"""
        return (len(self.qemu_present()), len(self.guest_present()), len(self.guest_online()))

    def plug(self, slot, ident=None):
        """A foreign device_add, as virsh or an administrator would."""
        s = self.slots()[slot]
        self.qmp("device_add", driver=s["type"], id=ident or "foreign%d" % slot, **s["props"])

    def _note(self, name, ask):
        """Keep what @ask() says, as far as it comes to that: the guest or QEMU may be stuck."""
        try:
            text = ask()
        except (OSError, EOFError, QmpError) as e:
            text = "unknown: %s\n" % e
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def save_logs(self):
        if self.keep and self.shell and self.alive():
            self._note("agent.log", lambda: self.shell.run(
                "cat /run/agent.log; dmesg | tail -n 40; cat /proc/interrupts; ps", 10)[1])
        super().save_logs()

    def __exit__(self, *exc):
        # Where each vCPU is now and a second later: the guest may be past telling.
        for name in ("cpus-1.log", "cpus-2.log") if exc[0] and self.keep and self.alive() else ():
            self._note(name, lambda: "".join(
                self.qmp("human-monitor-command", **{"command-line": line})
                for line in ("info status", "info cpus", "info registers -a")))
            time.sleep(1)
        super().__exit__(*exc)

    def close(self):
        if self.alive():
            self.save_logs()
        super().close()


__all__ = ["VM", "InGuest", "Machine", "Process", "wait_for", "kvm_usable", "parse_cpulist"]
