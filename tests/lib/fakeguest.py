# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's side of real QEMU without a guest: ACPI through the qtest socket, sysfs as a folder.

QEMU runs with KVM and no operating system in it. FakeGuest plays what the guest's kernel would do
at the CPU hotplug registers (docs/specs/acpi_cpu_hotplug.rst in QEMU) and shows the result to the
agent's test build, which takes the folder for "/". The agent's port is a pty; its bytes are
carried to a unix socket that the daemon takes for QEMU's chardev.

Modes (self.mode) of an unplug request: "accept", "refuse" (with self.refusal as _OST status),
"ignore" (the request bit stays, as with a guest that sleeps), "late" (answers "in progress" and
ejects when eject() is called).  Modes of an insertion (self.insert): "accept", "ignore".

One thread scans the registers and the `online` files, one carries the port's bytes; eject() and
storm() may be called from the case's own thread.
"""

import errno
import os
import pty
import select
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
import tty

from guest import BUILD
from qmp import connect
from vm import Process

AGENT = os.path.join(BUILD, "guest-agent", "vcpuhp-agent-test")

BASE = 0xCD8
FLAGS, COMMAND, DATA = BASE + 4, BASE + 5, BASE + 8
ENABLED, INSERTING, REMOVING, EJECT = 1, 2, 4, 8
OST_EVENT, OST_STATUS = 1, 2
OST_INSERT, OST_EJECT = 1, 3
OST_OK, OST_REFUSED, OST_BUSY, OST_IN_PROGRESS = 0, 1, 0x82, 0x84

CPUS = "sys/devices/system/cpu"


def cpulist(cpus):
    parts = []
    cpus = sorted(cpus)
    while cpus:
        n = 1
        while n < len(cpus) and cpus[n] == cpus[0] + n:
            n += 1
        parts.append(str(cpus[0]) if n == 1 else "%d-%d" % (cpus[0], cpus[n - 1]))
        cpus = cpus[n:]
    return ",".join(parts)


def write_program(path, content, mode=0o755):
    """By another process: of a file that is open here for writing, a fork of another thread's has a copy
    until it executes something, and who executes the file meanwhile fails with ETXTBSY."""
    subprocess.run(["install", "-m", "%o" % mode, "/dev/stdin", path], input=content, check=True)


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
            return [int(word) for word in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []  # it has ended


def descendants(pid):
    """@pid, its children, and theirs."""
    return [pid] + [p for child in children(pid) for p in descendants(child)]


class Registers:
    """CPU hotplug registers of QEMU's ICH9, through qtest. Locked: several threads use them."""

    def __init__(self, path, alive):
        self.sock = connect(path, alive=alive)
        self.file = self.sock.makefile("rw")
        self.lock = threading.RLock()
        self.command("outl %#x 0" % BASE)  # the first selector write leaves the legacy interface

    def command(self, text):
        """One line of the qtest protocol; the words of its answer."""
        with self.lock:
            self.file.write(text + "\n")
            self.file.flush()
            while True:
                line = self.file.readline()
                if not line:
                    raise EOFError("QEMU closed the qtest connection")
                if not line.startswith("IRQ"):
                    return line.split()

    def flags(self, slot):
        with self.lock:
            self.command("outl %#x %d" % (BASE, slot))
            return int(self.command("inb %#x" % FLAGS)[1], 16)

    def set(self, slot, bits):
        with self.lock:
            self.command("outl %#x %d" % (BASE, slot))
            self.command("outb %#x %d" % (FLAGS, bits))

    def ost(self, slot, event, status):
        with self.lock:
            self.command("outl %#x %d" % (BASE, slot))
            self.command("outb %#x %d" % (COMMAND, OST_EVENT))
            self.command("outl %#x %d" % (DATA, event))
            self.command("outb %#x %d" % (COMMAND, OST_STATUS))
            self.command("outl %#x %d" % (DATA, status))


class FakeRoot:
    """The folder that the agent takes for "/": CPUs come, go, and are switched by files."""

    def __init__(self, folder, maxcpus):
        self.folder = folder
        self.cpus = {}  # slot -> the guest's number
        self.online = {0}
        self.uevents = None
        self.lock = threading.RLock()
        files = {
            CPUS + "/possible": "0-%d\n" % (maxcpus - 1),
            CPUS + "/kernel_max": "8191\n",
            CPUS + "/isolated": "\n",
            CPUS + "/nohz_full": " " * 25 + "(null)\n",
            CPUS + "/hotplug/states": "  0: offline\n156: smpboot/threads:online\n236: online\n",
            "sys/devices/system/clocksource/clocksource0/current_clocksource": "kvm-clock\n",
            "sys/firmware/acpi/tables/DSDT": "DSDT\n",
            "sys/kernel/rcu_expedited": "0\n",
            "sys/kernel/rcu_normal": "0\n",
            "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
            "proc/sys/kernel/random/boot_id": "6c1d9e0a-2f3b-4c55-9d7e-8a90b1c2d3e4\n",
            "proc/sys/kernel/osrelease": "6.1.0-fake\n",
            "proc/cmdline": "quiet\n",
            "proc/uptime": "10.00 9.00\n",
        }
        for path, text in files.items():
            self.write(path, text)
        for path in ("run", "etc/vcpuhp/cpuhp.d", "dev", "tmp", "proc/irq"):
            os.makedirs(self.path(path), exist_ok=True)
        self._make(0, 0)
        self._lists()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        if mode & 0o111:
            write_program(self.path(name), text.encode(), mode)
            return
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as f:
            return f.read().strip("\n\0 ")

    def _make(self, slot, cpu):
        """A CPU's folder, all at once: nobody may see half of it."""
        self.cpus[slot] = cpu
        self.write("making/firmware_node/path", "\\_SB_.CPUS.C%03X\n" % slot)
        if cpu:
            self.write("making/online", "0\n")
        os.rename(self.path("making"), self.path("%s/cpu%d" % (CPUS, cpu)))

    def _lists(self):
        for name, cpus in (("present", self.cpus.values()), ("online", self.online)):
            self.write("%s/%s.new" % (CPUS, name), cpulist(cpus) + "\n")
            os.rename(self.path("%s/%s.new" % (CPUS, name)), self.path("%s/%s" % (CPUS, name)))

    def uevent(self, action, cpu):
        """As the kernel's netlink message. Lost when nobody listens, as there."""
        device = "/devices/system/cpu/cpu%d" % cpu
        text = "%s@%s\0ACTION=%s\0DEVPATH=%s\0SUBSYSTEM=cpu\0" % (action, device, action, device)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            try:
                s.sendto(text.encode(), self.path("run/uevents"))
            except OSError:
                pass

    def insert(self, slot):
        with self.lock:
            if slot in self.cpus:
                return
            cpu = min(set(range(1, 4096)) - set(self.cpus.values()))
            self._make(slot, cpu)
            self._lists()
        self.uevent("add", cpu)
        self.uevent("bind", cpu)

    def remove(self, slot):
        with self.lock:
            cpu = self.cpus.pop(slot, None)
            if cpu is None:
                return
            was_online = cpu in self.online
            self.online.discard(cpu)
            self._lists()
            os.rename(self.path("%s/cpu%d" % (CPUS, cpu)), self.path("gone"))
            shutil.rmtree(self.path("gone"))
        if was_online:
            self.uevent("offline", cpu)
        self.uevent("unbind", cpu)
        self.uevent("remove", cpu)

    def is_on(self, cpu):
        path = "%s/cpu%d/online" % (CPUS, cpu)
        if stat.S_ISFIFO(os.stat(self.path(path)).st_mode):
            return cpu in self.online  # the kernel is at it
        return self.read(path) == "1"

    def hold_online(self, cpu):
        """The next write into its `online` takes until let_online(). Not before the agent knows it."""
        fifo, path = self.path("tmp/online"), self.path("%s/cpu%d/online" % (CPUS, cpu))
        with self.lock:
            os.mkfifo(fifo)
            os.link(fifo, path + ".new")
            os.rename(path + ".new", path)

    def let_online(self, cpu, on, comes=False):
        """The write that hangs, or @comes yet, returns; what is read back says @on. Also when its writer is dead."""
        fifo, path = self.path("tmp/online"), "%s/cpu%d/online" % (CPUS, cpu)
        waited = os.open(fifo, os.O_RDONLY) if comes else -1
        with self.lock:
            if not os.path.exists(fifo):
                return  # the kernel was at it, and is another by now
            if os.path.exists(self.path(path)):
                self.write(path + ".new", "%d\n" % on)
                os.rename(self.path(path + ".new"), self.path(path))
        reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        if waited >= 0:
            os.close(waited)
        while True:
            try:
                if not os.read(reading, 64):
                    break  # nobody writes (any more)
            except BlockingIOError:
                select.select([reading], [], [], 1)  # whoever writes may be stopped
        os.close(reading)
        try:
            # Whoever reads back already has opened this one.
            late = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as e:
            if e.errno != errno.ENXIO:
                raise
        else:
            os.write(late, b"%d\n" % on)
            os.close(late)
        os.unlink(fifo)

    def lose_acpi(self):
        """As a kernel that was given no tables, or acpi=off."""
        shutil.rmtree(self.path("sys/firmware/acpi"))

    def new_boot(self, boot_id):
        with self.lock:
            for name in os.listdir(self.path("run")):
                path = self.path("run/" + name)
                if os.path.isdir(path):
                    shutil.rmtree(path)
                else:
                    os.unlink(path)
            self.write("proc/sys/kernel/random/boot_id", boot_id + "\n")
            for cpu in [c for c in self.cpus.values() if c]:
                path = "%s/cpu%d/online" % (CPUS, cpu)
                self.write(path + ".new", "1\n")
                os.rename(self.path(path + ".new"), self.path(path))
                self.online.add(cpu)
            if os.path.exists(self.path("tmp/online")):
                os.unlink(self.path("tmp/online"))
            self._lists()

    def follow_online(self):
        """What was written into the `online` files becomes so."""
        with self.lock:
            for cpu in [c for c in self.cpus.values() if c]:
                on = self.is_on(cpu)
                if on == (cpu in self.online):
                    continue
                (self.online.add if on else self.online.discard)(cpu)
                self._lists()
                self.uevent("online" if on else "offline", cpu)


def listen(path):
    """The host's end of a port; whoever connects waits until there is a guest."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    return listener


class Port:
    """The agent's port: a pty, whose bytes go to whoever connects to a unix socket.

    Like virtio-serial: one host at a time, bytes for nobody are dropped.
    """

    def __init__(self, path):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.slave_path = os.ttyname(self.slave)
        self.listener = listen(path)
        self.client = None
        self.to_agent = self.to_host = b""
        self.deaf = self.mute = False  # what the host says, and what the agent says, waits on its way
        self.dropping = False
        self.edit = None  # makes of bytes from the agent what the host gets

    def drop(self):
        """The host is hung up on, with what it said and was not read yet; it may come back at once."""
        self.dropping = True

    def leave(self):
        """Nobody is heard here any more; what the agent says meanwhile waits."""
        if self.client:
            self._hang_up()
        self.listener.close()
        self.to_agent = b""

    def _hang_up(self):
        self.client.close()
        self.client = None
        self.to_host = b""

    def _from_agent(self):
        try:
            data = os.read(self.master, 65536)
        except (BlockingIOError, OSError):
            return
        if self.client:
            self.to_host += self.edit(data) if self.edit else data

    def _from_host(self):
        try:
            data = self.client.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.to_agent += data
        else:
            self._hang_up()

    def _flush(self):
        if self.to_agent and not self.deaf:
            try:
                self.to_agent = self.to_agent[os.write(self.master, self.to_agent[:2048]):]
            except BlockingIOError:
                pass
        if self.client and self.to_host and not self.mute:
            try:
                self.to_host = self.to_host[self.client.send(self.to_host):]
            except BlockingIOError:
                pass
            except OSError:
                self._hang_up()

    def turn(self, seconds):
        """Carry what there is to carry; waits at most @seconds."""
        if self.dropping and self.client:
            self._hang_up()
            self.to_agent = b""
        self.dropping = False
        reading = [self.master, self.client or self.listener]
        writing = [self.master] if self.to_agent and not self.deaf else []
        if self.client and self.to_host and not self.mute:
            writing.append(self.client)
        readable, _, _ = select.select(reading, writing, [], seconds)
        if self.listener in readable and not self.client:
            self.client, _ = self.listener.accept()
            self.client.setblocking(False)
        if self.master in readable:
            self._from_agent()
        if self.client and self.client in readable:
            self._from_host()
        self._flush()

    def close(self):
        self.leave()
        os.close(self.master)
        os.close(self.slave)


class FakeGuest:
    def __init__(self, machine, maxcpus, agent=True, agent_args=()):
        self.machine = machine
        self.maxcpus = maxcpus
        self.mode = "accept"
        self.insert = "accept"
        self.refusal = OST_BUSY
        self.in_progress = set()
        self.frozen = False
        self.turning = threading.Lock()  # the kernel is at its registers
        self.program = AGENT
        self.agent_args = list(agent_args)
        self.agent = None
        self.boots = 1
        self.error = None
        self.root = FakeRoot(machine.path("root"), maxcpus)
        self.port = Port(machine.agent_path)
        self._begin()
        if agent:
            self.start_agent()

    def _begin(self):
        self.registers = Registers(self.machine.path("qtest"), self.machine.process.alive)
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._guard, args=(turn, self.ended), daemon=True)
                        for turn in (self._acpi_turn, lambda: self.port.turn(0.05))]  # fmt: skip
        for t in self.threads:
            t.start()

    def leave(self):
        """Its QEMU stops and ends; what was in the guest's memory stays as it is."""
        self.ended.set()
        for t in self.threads:
            t.join(5)
        self.agent.kill(signal.SIGSTOP)
        self.port.leave()

    def arrive(self, machine, listener=None):
        """The same guest goes on in another QEMU. @listener: has taken its channel's path over already."""
        self.machine = machine
        self.port.listener = listener or listen(machine.agent_path)
        self._begin()
        self.agent.kill(signal.SIGCONT)

    def start_agent(self):
        self.agent = Process(
            [self.program, "--root", self.root.folder, "--port", self.port.slave_path] + self.agent_args,
            self.machine.path("agent.log"))  # fmt: skip

    def stop_agent(self, number=signal.SIGTERM):
        return self.agent.stop(number)

    def _guard(self, turn, ended):
        try:
            while not ended.is_set():
                turn()
        except (EOFError, OSError, ValueError) as e:
            if not ended.is_set():
                self.error = e

    def freeze(self):
        """No vCPU of it runs: neither its kernel nor any of its processes."""
        with self.turning:
            self.frozen = True
        self._all(signal.SIGSTOP)

    def thaw(self):
        self._all(signal.SIGCONT)
        self.frozen = False

    def _all(self, number):
        for pid in descendants(self.agent.pid):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # it has ended meanwhile

    def power_off(self):
        """As the guest's kernel does it: PMBASE= is enabled at 0x600, and S5 asked for."""
        for register, value in ((0x40, 0x601), (0x44, 0x80)):
            self.registers.command("outl 0xcf8 %#x" % (0x8000F800 + register))
            self.registers.command("outl 0xcfc %#x" % value)
        self.registers.command("outw 0x604 0x2000")

    def panic(self):
        """Through QEMU's pvpanic device."""
        self.registers.command("outb 0x505 1")

    def _acpi_turn(self):
        with self.turning:
            if not self.frozen:
                self._look_at_registers()
        time.sleep(0.002)

    def _look_at_registers(self):
        for slot in range(self.maxcpus):
            flags = self.registers.flags(slot)
            if flags & INSERTING and flags & ENABLED and self.insert == "accept":
                self._inserted(slot)
            if flags & REMOVING and self.mode != "ignore":
                self._asked_to_remove(slot)
        self.root.follow_online()

    def _inserted(self, slot):
        self.registers.set(slot, INSERTING)
        self.root.insert(slot)
        self.registers.ost(slot, OST_INSERT, OST_OK)

    def _asked_to_remove(self, slot):
        self.registers.set(slot, REMOVING)
        self.registers.ost(slot, OST_EJECT, OST_IN_PROGRESS)
        if self.mode == "refuse":
            self.registers.ost(slot, OST_EJECT, self.refusal)
        elif self.mode == "late":
            self.in_progress.add(slot)
        else:
            self.eject(slot)

    def reboot(self):
        """A new kernel: it brings all CPUs online that QEMU has, and nothing in /run is left."""
        self.stop_agent(signal.SIGKILL)
        self.boots += 1
        for slot in range(self.maxcpus):
            if self.registers.flags(slot) & ENABLED:
                self.root.insert(slot)
        self.root.new_boot("6c1d9e0a-2f3b-4c55-9d7e-%012x" % self.boots)
        self.start_agent()

    def eject(self, slot):
        """Let a CPU go, asked or unasked."""
        self.in_progress.discard(slot)
        self.root.remove(slot)
        self.registers.set(slot, EJECT)
        self.registers.ost(slot, OST_EJECT, OST_OK)

    def storm(self, slot, n, event=OST_EJECT, status=OST_REFUSED):
        """Forged _OST, @n times."""
        for _ in range(n):
            self.registers.ost(slot, event, status)

    def online(self):
        """CPUs that are online by their own files; the list of all of them follows a little later."""
        with self.root.lock:
            return [c for c in sorted(self.root.cpus.values()) if c == 0 or self.root.is_on(c)]

    def present_slots(self):
        return sorted(self.root.cpus)

    def check(self):
        assert self.error is None, "the fake guest failed: %r" % self.error

    def close(self):
        self.ended.set()
        if self.agent:
            self.agent.stop()
        for t in self.threads:
            t.join(5)
        self.port.close()
        shutil.rmtree(self.root.folder, ignore_errors=True)
