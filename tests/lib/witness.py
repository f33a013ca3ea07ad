# SPDX-License-Identifier: LGPL-2.1-or-later
"""What looks after bad input and hostile peers: that the daemon is as it was, and answers at once."""

import json
import os
import select
import socket
import subprocess
import time

import badinputs as table
from daemon import Daemon
from qmp import wait_for
from qtestvm import QtestVM
from tap import equal
from vm import Machine, kvm_usable

SANITIZED = "ASAN_OPTIONS" in os.environ  # everything takes longer, and an allocator keeps what was freed
ANSWER_MS = 1000 if SANITIZED else 200
SECONDS = 10
SHARE = 0.5 if SANITIZED else 0.05  # of a core, for one hostile peer
LINES = 10  # about it in the journal, a minute
RSS_KIB = 1 << 20 if SANITIZED else 4096


# The daemon asked without vcpuhpctl, and what of it must stay as it is.


class Control:
    """A connection to the daemon's socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(path)
        self.data = b""

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def read(self):
        """The next reply, None where the connection was closed instead."""
        while b"\0" not in self.data:
            try:
                more = self.sock.recv(1 << 20)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.data += more
        text, _, self.data = self.data.partition(b"\0")
        return json.loads(text)

    def ask(self, method, **parameters):
        self.send(table.call(method, **parameters))
        reply = self.read()
        assert reply and "error" not in reply, "%s: %s" % (method, reply)
        return reply["parameters"]

    def is_silent(self, seconds):
        return not select.select([self.sock], [], [], seconds)[0]

    def close(self):
        self.sock.close()


def difference(before, now, name=""):
    """Where two values differ, in words."""
    if isinstance(before, dict) and isinstance(now, dict) and before.keys() == now.keys():
        parts = [difference(before[k], now[k], "%s.%s" % (name, k)) for k in before]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        parts = [difference(b, n, "%s[%d]" % (name, i)) for i, (b, n) in enumerate(zip(before, now))]
    else:
        parts = [] if before == now else ["%s was %r, is %r" % (name, before, now)]
    return "; ".join(p for p in parts if p)


class Witness:
    """Looks after each row; the first look is what all the others must be like."""

    def __init__(self, vm, d):
        self.vm = vm
        self.d = d
        self.control = Control(d.socket)
        for _ in range(3):
            self.control.ask("GetDomain", domain="web1")
            self.metric("frames_dropped")
        self.rss = d.status_field("VmRSS")
        self.first = self.look()

    def info(self):
        info = self.control.ask("GetDomain", domain="web1")["info"]
        for vcpu in info["vcpus"]:
            del vcpu["since_ms"]
        return info

    def look(self):
        return {
            "info": self.info(),
            "QEMU": self.vm.qmp("query-hotpluggable-cpus"),
            "changes asked of QEMU": self.vm.sent("device_add") + self.vm.sent("device_del"),
            "domains": [d["domain"] for d in self.control.ask("ListDomains")["domains"]],
            "descriptors": self.d.descriptors(),
            "threads": self.d.status_field("Threads"),
        }

    def metric(self, name):
        text = self.control.ask("Metrics")["text"]
        return next(int(line.split()[1]) for line in text.splitlines()
                    if line.startswith("vcpuhp_%s_total{" % name) and '"web1"' in line)  # fmt: skip

    def answers_at_once(self):
        """Three tries: a busy machine may hold up one of them."""
        took = []
        while len(took) < 3:
            start = time.monotonic()
            self.info()
            took.append((time.monotonic() - start) * 1000)
            if took[-1] < ANSWER_MS:
                return
        raise AssertionError("the daemon answers after %s ms" % took)

    def nothing_changed(self):
        assert self.d.process.alive(), "the daemon ended:\n" + self.d.text()[-2000:]
        self.answers_at_once()
        end = time.monotonic() + 2
        now = self.look()
        # A connection that was closed is forgotten a moment later.
        while now != self.first and time.monotonic() < end:
            time.sleep(0.01)
            now = self.look()
        before, self.first = self.first, now
        for key, value in before.items():
            assert now[key] == value, "%s: %s" % (key, difference(value, now[key]))

    def did_not_grow(self, kib=1024):
        if SANITIZED:
            return
        grown = self.d.status_field("VmRSS") - self.rss
        assert grown <= kib, "the daemon grew by %d KiB" % grown


class PausedVM(Machine):
    """Without KVM: QEMU as it is before its first instruction."""

    def __init__(self, agent=True):
        super().__init__("web1")
        self.guest = None
        self.start_qemu(["-S", "-accel", "tcg", "-machine", "q35", "-m", "64",
                         "-smp", "2,maxcpus=8,sockets=1,cores=8,threads=1"])  # fmt: skip


class Scene:
    """web1 with two of eight vCPUs, a daemon on it and a witness; @agent: a real one in the guest."""

    def __init__(self, agent=True, smp=1, domain=None, operators=None):
        self.vm = QtestVM(agent=agent, smp=smp) if kvm_usable() else PausedVM()
        self.d = None
        try:
            self.d = Daemon(self.vm, domain=domain, daemon={"Operators": operators} if operators else None)
            if agent and kvm_usable():
                self.d.wait_idle_online(1)
                equal(self.d.setvcpus(2, "--op-id", "first").exit, 0)
                self.d.wait_idle_online(2)
            wait_for(lambda: self.d.info()["present"] == 2, SECONDS, "two vCPUs: " + self.d.brief())
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self):
        return self.vm, self.d

    def __exit__(self, *exc):
        if self.d:
            self.d.close()
        self.vm.close()


def each(rows, check, least):
    """Call @check with every row, and tell of all that fail."""
    assert len(rows) >= least, "only %d rows" % len(rows)
    wrong = []
    for row in rows:
        try:
            check(*row)
        except (AssertionError, OSError, subprocess.TimeoutExpired) as e:
            wrong.append("%s: %s" % (" ".join(str(w)[:90] for w in row[:2] if not callable(w)), e))
    assert not wrong, "%d of %d rows:\n%s" % (len(wrong), len(rows), "\n".join(wrong))
    print("# %d rows" % len(rows))


def cpu_seconds(pid):
    """Of its first thread, which is all that a daemon without libvirt has."""
    with open("/proc/%d/schedstat" % pid, encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e9


class Meter:
    """What the daemon @d spends from now on."""

    def __init__(self, d):
        self.d = d
        self.start, self.cpu, self.lines = time.monotonic(), cpu_seconds(d.process.pid), self._lines()
        self.rss = d.status_field("VmRSS")

    def _lines(self):
        with open(self.d.log, "rb") as f:
            return f.read().count(b"\n")

    def logged(self):
        return self._lines() - self.lines

    def share(self):
        """Of a core."""
        return (cpu_seconds(self.d.process.pid) - self.cpu) / (time.monotonic() - self.start)

    def grown_kib(self):
        return self.d.status_field("VmRSS") - self.rss

    def breach(self):
        """What of the budgets of one hostile peer was not kept, in words; "" nothing."""
        said = "%.1f %% of a core, %d KiB, %d lines" % (100 * self.share(), self.grown_kib(), self.logged())
        print("# " + said)
        kept = self.share() < SHARE and self.grown_kib() < RSS_KIB and self.logged() <= LINES
        return "" if kept else said
