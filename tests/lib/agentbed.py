# SPDX-License-Identifier: LGPL-2.1-or-later
"""One vcpuhp-agent-test on a folder it takes for "/", its port a pty held here.

Bed plays the kernel (folders, `online` files, uevents) and the host (frames, through wire.Peer).
Nothing here sleeps: wait() pumps the port until a condition holds or its deadline passes.
"""

import contextlib
import ctypes
import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import tty

import wire
from tap import Skip

CPUS = "sys/devices/system/cpu"
PR_SET_PDEATHSIG, SYS_PIDFD_GETFD = 1, 438
PTRACE_SEIZE, PTRACE_DETACH, PTRACE_O_TRACEEXIT = 0x4206, 17, 0x40
_libc = ctypes.CDLL(None, use_errno=True)

STANDBY, AP_ONLINE, AP_THREADS, AP_VERIFY, AP_CPUSET, AP_IRQ = 6, 7, 8, 9, 10, 11
AP_DYN, AP_ACTIVE, ONLINE = 12, 43, 44

RESTING = 9  # children of an agent at rest: the writer, and workers for the next CPUs

RECVFROM, OPENAT = "45", "257"  # on x86-64


def sleeps_in(pid, call):
    try:
        with open("/proc/%d/syscall" % pid, encoding="ascii") as f:
            return f.read().split()[0] == call
    except OSError:
        return False  # it has ended


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def dying_slowly(pid):
    """Killed meanwhile, @pid stays as one that is stuck in the kernel would, until this ends."""
    _libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if _libc.ptrace(PTRACE_SEIZE, pid, None, PTRACE_O_TRACEEXIT) < 0:
        raise Skip("ptrace: " + os.strerror(ctypes.get_errno()))
    try:
        yield
    finally:
        os.waitpid(pid, 0)  # its stop on the way out
        _libc.ptrace(PTRACE_DETACH, pid, None, None)


class Bed:
    """@cpus: how many there are at first, all but the first offline; @boot: those online."""

    def __init__(self, agent, cpus=4, possible=16, boot=(), env=None, args=()):
        self.agent = agent
        self.args = list(args)
        self.folder = tempfile.mkdtemp(prefix="vhp-agent-")
        self.log = self.path("agent.log")
        self.env = dict({"VCPUHP_TEST_SETTINGS": self.path("settings")}, **(env or {}))
        self.kicks = 0
        self.process = None
        self.reset_link()
        self._fill(possible)
        for cpu in range(cpus):
            self.make_cpu(cpu, online=cpu in boot)
        self._open_port()

    # The kernel

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path + ".new", mode)
        os.rename(path + ".new", path)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as f:
            return f.read()

    def _fill(self, possible):
        self.write(CPUS + "/possible", "0-%d\n" % (possible - 1))
        self.write(CPUS + "/hotplug/states", "236: online\n")
        self.write("sys/firmware/acpi/tables/DSDT", "")
        self.write("sys/kernel/rcu_expedited", "0\n")
        self.write("sys/kernel/rcu_normal", "0\n")
        self.write("proc/sys/kernel/random/boot_id", "6c1d9e0a-2f3b-4c55-9d7e-8a90b1c2d3e4\n")
        for folder in ("run", "etc/vcpuhp/cpuhp.d", "dev"):
            os.makedirs(self.path(folder))

    def make_cpu(self, cpu, slot=None, online=False):
        slot = cpu if slot is None else slot
        self.write("%s/cpu%d/firmware_node/path" % (CPUS, cpu), "\\_SB_.CPUS.C%03X\n" % slot)
        if cpu:
            self.set_file(cpu, online)

    def online_file(self, cpu):
        return "%s/cpu%d/online" % (CPUS, cpu)

    def set_file(self, cpu, online):
        self.write(self.online_file(cpu), "%d\n" % online)

    def new_period(self, cpu):
        """What the kernel makes new each time a CPU comes online, which no other file tells."""
        folder = self.path(CPUS, "cpu%d" % cpu)
        os.makedirs(folder + "/next")
        if os.path.exists(folder + "/topology"):
            os.rename(folder + "/topology", folder + "/last")
        os.rename(folder + "/next", folder + "/topology")
        shutil.rmtree(folder + "/last", ignore_errors=True)

    def is_online(self, cpu):
        return self.read(self.online_file(cpu)).strip() == "1"

    def uevent(self, action, cpu):
        self._send_uevent(action, "/devices/system/cpu/cpu%d" % cpu, "cpu")

    def port_uevent(self, port):
        self._send_uevent("add", "/devices/pci0000:00/0000:00:03.0/virtio0/virtio-ports/" + port, "virtio-ports")

    def _send_uevent(self, action, device, subsystem):
        text = "%s@%s\0ACTION=%s\0DEVPATH=%s\0SUBSYSTEM=%s\0" % (
            action, device, action, device, subsystem)  # fmt: skip
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.connect(self.path("run/uevents"))
            s.send(text.encode())

    def add(self, cpu, slot=None):
        self.make_cpu(cpu, slot)
        self.uevent("add", cpu)
        self.uevent("bind", cpu)

    def switch(self, cpu, online):
        """As somebody else in the guest would."""
        self.set_file(cpu, online)
        self.uevent("online" if online else "offline", cpu)

    def take_away(self, cpu):
        self.set_file(cpu, False)
        self.uevent("offline", cpu)
        self.remove_cpu(cpu)
        self.uevent("remove", cpu)

    def remove_cpu(self, cpu):
        os.rename(self.path(CPUS, "cpu%d" % cpu), self.path("gone"))
        shutil.rmtree(self.path("gone"))

    def replace_cpu(self, cpu, slot=None):
        """Another device of that number, by its folder; the one before is kept, or it might be the same."""
        os.rename(self.path(CPUS, "cpu%d" % cpu), self.path("replaced"))
        self.make_cpu(cpu, slot)

    def hear_all(self):
        """Wait until the agent has heard all events so far: one more CPU comes behind them."""
        number = max(int(name[3:]) for name in os.listdir(self.path(CPUS)) if name[3:].isdigit()) + 1
        self.add(number)
        self.wait(lambda: self.of(wire.CPU, cpu=number, slot=number), what="the last event")

    def settings(self, **values):
        """Of the test build's seam (guest-agent/seam-test.c), from now on."""
        self.write("settings", "".join("VCPUHP_TEST_%s=%d\n" % pair for pair in values.items()))

    # Callbacks: scripts that log "NAME STARTUP|TEARDOWN CPU" and then do as told.

    def callback(self, name, startup="", teardown="", folder="etc/vcpuhp/cpuhp.d"):
        self.write(
            "%s/%s" % (folder, name),
            "#!/bin/sh\necho \"%s $1 $2 ${VCPUHP_LATE:-0} $VCPUHP_STATE $VCPUHP_OP\" >> %s\n"
            "case $1 in\nstartup) %s\n;;\nteardown) %s\n;;\nesac\n"
            % (name, self.path("calls"), startup or ":", teardown or ":"),
            0o755,
        )  # fmt: skip

    def calls(self, words=3, cpu=None):
        """What was called, "NAME WAY CPU LATE STATE OP" cut to @words; of one CPU or of all."""
        try:
            lines = [line.split() for line in self.read("calls").splitlines()]
        except FileNotFoundError:
            return []
        return [" ".join(w[:words]) for w in lines if cpu is None or w[2] == str(cpu)]

    def forget_calls(self):
        if os.path.exists(self.path("calls")):
            os.unlink(self.path("calls"))

    def rescan(self):
        self.process.send_signal(signal.SIGHUP)

    # The agent

    def _open_port(self):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)

    def start(self, greet=True, stderr=None):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.agent, "--root", self.folder, "--port", os.ttyname(self.slave)] + self.args,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log if stderr is None else stderr,
                env=dict(os.environ, **self.env), preexec_fn=_die_with_parent)  # fmt: skip
        if greet:
            self.connect()
        return self

    def connect(self):
        """A new session of the host's."""
        self.reset_link()
        self.send_raw(self.peer.opening())
        self.wait(lambda: self.peer.established, what="the session")

    def reset_link(self):
        self.peer = wire.Peer()
        self.messages, self.records = [], []

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(5)

    def end(self):
        """Under a sanitizer of itself, if it can: what has leaked is told at an exit."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if "ASAN_OPTIONS" in os.environ:
                self.stop(signal.SIGTERM)
        if self.process.poll() is None:
            self.stop(signal.SIGKILL)

    def restart(self, number=signal.SIGKILL):
        self.stop(number)
        self.start()

    def said(self):
        return self.read("agent.log")

    def workers(self):
        """Children of the agent, itself left out."""
        with open("/proc/%d/task/%d/children" % ((self.process.pid,) * 2), encoding="ascii") as f:
            return [int(word) for word in f.read().split()]

    def worker_in_callback(self):
        """The pid of the one child that has a child of its own: a worker in a callback."""

        def children(pid):
            with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
                return [int(word) for word in f.read().split()]

        busy = [pid for pid in self.workers() if children(pid)]
        assert len(busy) == 1, busy
        return busy[0]

    def speak_for_worker(self, pid, data):
        """Send @data over the worker's own socket, as if it were the worker's word."""
        folder = "/proc/%d/fd" % pid
        number = next(int(n) for n in os.listdir(folder)
                      if os.readlink(os.path.join(folder, n)).startswith("socket:"))  # fmt: skip
        pidfd = os.pidfd_open(pid)
        fd = _libc.syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
        os.close(pidfd)
        if fd < 0:
            raise Skip("pidfd_getfd: " + os.strerror(ctypes.get_errno()))
        with socket.socket(fileno=fd) as s:
            s.send(data)

    def cpus_json(self):
        return json.loads(self.read("run/vcpuhp-agent/cpus.json"))

    def close(self):
        if self.process and self.process.poll() is None:
            self.end()
        os.close(self.master)
        os.close(self.slave)
        shutil.rmtree(self.folder, ignore_errors=True)

    def settle(self):
        """Wait until nothing is in transition: what is found online at a start has been adopted."""
        self.wait(lambda: not any(r["flags"] & wire.WALKING for r in self.table()[0].values()),
                  what="the adoption")  # fmt: skip

    def __enter__(self):
        self.start()
        self.settle()
        return self

    def __exit__(self, kind, error, trace):
        if kind:
            print("# agent: " + "\n# agent: ".join(self.said().splitlines()[-40:]), flush=True)
        self.close()

    # The host

    def send_raw(self, data):
        while data:
            _, writable, _ = select.select([], [self.master], [], 5)
            assert writable, "the agent does not read"
            data = data[os.write(self.master, data[:2048]) :]

    def send(self, kind, **values):
        self.send_raw(self.peer.bytes_for(kind, wire.encode(kind, **values)))

    def pump(self, seconds=0.0):
        """Take what the agent sent; wait for it at most @seconds."""
        readable, _, _ = select.select([self.master], [], [], seconds)
        if not readable:
            return False
        for kind, values, answer in self.peer.take(os.read(self.master, 65536)):
            if answer:
                self.send_raw(answer)
            self.messages.append((kind, values))
            self.records += values.get("records", []) if kind == wire.REPORT else []
        return True

    def wait(self, condition, seconds=5.0, what="it"):
        """Pump until @condition() holds, and return what it returned."""
        end = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            left = end - time.monotonic()
            assert left > 0, "waited %.1f s for %s" % (seconds, what)
            if not self.pump(min(left, 0.02)):
                assert self.process.poll() is None, "the agent ended"

    def steady(self, look, what="it"):
        """Pump until look() has said the same for 0.1 s, and return that: what passes is no measure."""
        said, since = look(), time.monotonic()

        def is_steady():
            nonlocal said, since
            now = look()
            if now != said:
                said, since = now, time.monotonic()
            return time.monotonic() - since > 0.1

        self.wait(is_steady, what=what + " to be steady")
        return said

    def of(self, record, **values):
        return [r for r in self.records if r["record"] == record
                and all(r[k] == v for k, v in values.items())]  # fmt: skip

    def answers(self, kind, **values):
        return [m for k, m in self.messages if k == kind
                and all(m[key] == v for key, v in values.items())]  # fmt: skip

    def table(self):
        """The answer to QUERY: cpu -> row, state -> callback."""
        self.records = [r for r in self.records if r["record"] != wire.END]
        mark = len(self.records)
        self.send(wire.QUERY)
        self.wait(lambda: self.of(wire.END), what="the table's end")
        rows = self.records[mark:]
        return ({r["cpu"]: r for r in rows if r["record"] == wire.CPU},
                {r["state"]: r["name"] for r in rows if r["record"] == wire.STATE})  # fmt: skip

    def rests(self, cpu, state, seconds=5.0):
        """Wait until the agent says that @cpu rests at @state; return that row."""

        def found():
            row = self.table()[0].get(cpu)
            return row if row and row["state"] == state and not row["flags"] & wire.WALKING else None

        return self.wait(found, seconds, "cpu%d at %d" % (cpu, state))

    def kick(self, cpu, target, wait=True, **values):
        """Kick; return the DONE (or the KICKED where it is refused), or the number for wait=False."""
        self.kicks = max(self.kicks, (self.peer.hello or {}).get("kick", 0)) + 1
        number = values.setdefault("kick", self.kicks)
        values.setdefault("slot", cpu)
        values.setdefault("slow", 1)
        self.send(wire.KICK, cpu=cpu, target=target, **values)
        if not wait:
            return number
        answer = self.wait(lambda: self.answers(wire.KICKED, kick=number), what="KICKED")[-1]
        if answer["rc"]:
            return answer
        return self.done(number)

    def done(self, number, seconds=8.0):
        return self.wait(lambda: self.of(wire.DONE, kick=number), seconds, "DONE")[-1]

    def steps(self, number):
        """What kick @number did: "+9" entered going up, "-9" down, in order; rollback marked "r"."""
        return ["%s%d%s" % ("+" if r["flags"] & wire.STARTUP else "-", r["state"],
                            "r" if r["flags"] & wire.ROLLBACK else "")
                for r in self.of(wire.STEP, kick=number) if not r["flags"] & wire.EXIT]  # fmt: skip
