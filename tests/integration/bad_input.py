#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of bad inputs (tests/lib/badinputs.py) against the real programs.

Each row gets the answer that the table names, and changes nothing: neither what the daemon shows of
its domain, nor what QEMU has, nor what was asked of QEMU, nor the daemon's descriptors and threads;
and the daemon still answers at once. Where KVM is missing QEMU runs paused under TCG.
"""

import json
import os
import select
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import badinputs as table
import tap
import wire
from agentbed import RESTING, Bed
from daemon import VCPUHPCTL, VCPUHPD, Daemon
from fakeguest import AGENT
from qmp import wait_for
from qtestvm import QtestVM
from tap import case, equal
from vm import Machine, kvm_usable

ANSWER_MS = 200
SECONDS = 10
PROGRAMS = {"vcpuhpctl": VCPUHPCTL, "vcpuhpd": VCPUHPD, "vcpuhp-agent": AGENT}


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
        if "ASAN_OPTIONS" in os.environ:
            return  # a sanitizer's allocator keeps what was freed
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

    def __init__(self, agent=True, smp=1, domain=None):
        self.vm = QtestVM(agent=agent, smp=smp) if kvm_usable() else PausedVM()
        self.d = None
        try:
            self.d = Daemon(self.vm, domain=domain)
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


# Command lines


def run(program, line, socket_path, root):
    args = shlex.split(line)
    if program == "vcpuhp-agent" and "--root" not in args:
        args = ["--root", root] + args
    return subprocess.run([PROGRAMS[program]] + args, capture_output=True, text=True, timeout=SECONDS,
                          stdin=subprocess.DEVNULL, check=False,
                          env=dict(os.environ, VCPUHP_SOCKET=socket_path, LC_ALL="C.UTF-8"))  # fmt: skip


@case(deadline=120)
def command_lines():
    with Scene() as (vm, d), tempfile.TemporaryDirectory() as root:
        witness = Witness(vm, d)

        def check(program, line, status, sentence):
            if status not in (1, 2, 9) and not vm.guest and "web1" in line:
                return
            p = run(program, line, d.socket, root)
            equal((p.returncode, p.stdout if status == 2 else ""), (status, ""), p.stderr)
            assert sentence in p.stderr, "no %r in %r" % (sentence, p.stderr)
            if program == "vcpuhpctl":
                assert p.stderr.startswith("vcpuhpctl: "), p.stderr
            witness.nothing_changed()

        each(table.COMMANDS, check, 100)
        witness.did_not_grow()


# Configuration files


@case(deadline=60)
def configuration_files_of_the_daemon():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "f.conf")

        def check(text, sentence):
            with open(path, "w", encoding="utf-8", newline="") as f:
                f.write(text)
            for more in (["--check-config"], ["--foreground", "--runtime-dir", folder + "/run",
                                              "--state-dir", folder + "/state"]):  # fmt: skip
                p = subprocess.run([VCPUHPD, "--config", path] + more, capture_output=True, text=True,
                                   timeout=SECONDS, check=False)  # fmt: skip
                equal((p.returncode, p.stdout), (1, ""), p.stderr)
                assert sentence.replace("FILE", path) in p.stderr, p.stderr
            equal(os.listdir(folder), ["f.conf"], "files after a start that was refused")

        each(table.CONFIGS, check, 40)


@case(deadline=60)
def configuration_files_of_the_agent():
    with tempfile.TemporaryDirectory() as folder:
        name = "/etc/vcpuhp/vcpuhp-agent.conf"
        os.makedirs(os.path.dirname(folder + name))

        def check(text, sentence):
            with open(folder + name, "w", encoding="utf-8", newline="") as f:
                f.write(text)
            p = subprocess.run([AGENT, "--root", folder], capture_output=True, text=True,
                               timeout=SECONDS, check=False)  # fmt: skip
            equal((p.returncode, p.stdout), (1, ""), p.stderr)
            assert "vcpuhp-agent: " + sentence.replace("FILE", name) in p.stderr, p.stderr
            equal(os.listdir(folder), ["etc"], "files after a start that was refused")

        each(table.AGENT, check, 15)


# The control socket


def check_reply(c, wanted):
    """@wanted as in the table, without ", closed"."""
    if wanted == "silence":
        assert c.is_silent(0.05), "it was answered"
        return
    reply = c.read()
    assert reply, "the connection was closed without an answer"
    name, _, words = wanted.partition(" ")
    equal(reply.get("error", "").rpartition(".")[2], name, "%s" % reply)
    said = json.dumps(reply.get("parameters", {}))
    assert words in said, "no %r in %s" % (words, said)


@case(deadline=120)
def control_socket():
    with Scene() as (vm, d):
        witness = Witness(vm, d)

        def check(_what, data, wanted):
            if wanted.startswith(("Conflict first", "Refused nothing")) and not vm.guest:
                return
            c = Control(d.socket)
            try:
                c.send(data)
                closes = wanted.endswith(", closed")
                check_reply(c, wanted.removesuffix(", closed"))
                if closes:
                    equal(c.read(), None, "after the answer")
                elif wanted != "silence":
                    c.ask("ListDomains")
            finally:
                c.close()
            witness.nothing_changed()

        each(table.CONTROL, check, 80)
        witness.did_not_grow()


@case(deadline=60)
def control_socket_in_pieces_and_in_heaps():
    """A thousand bad requests in one go are answered one by one, a byte at a time makes no difference."""
    with Scene() as (vm, d):
        witness = Witness(vm, d)
        bad = table.call("Frobnicate")
        c = Control(d.socket)
        threading.Thread(target=c.send, args=(bad * 1000,), daemon=True).start()
        for _ in range(1000):
            check_reply(c, "MethodNotFound Frobnicate")
        for i in range(len(bad)):
            c.send(bad[i : i + 1])
        check_reply(c, "MethodNotFound Frobnicate")
        witness.answers_at_once()
        c.close()
        many = [Control(d.socket) for _ in range(40)]
        for c in many:
            c.send(table.INFO)
        witness.answers_at_once()
        for c in many:
            c.close()
        witness.nothing_changed()
        witness.did_not_grow()


# A hostile guest


class HostileAgent:
    """The agent's end of the daemon's link: greets, answers pings and queries like a sound one, and
    between that sends whatever a row wants."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        self.lock = threading.Lock()
        self.marks = 0
        self.accept()

    def accept(self):
        """The daemon connects; a new session."""
        self.listener.settimeout(SECONDS)
        self.sock, _ = self.listener.accept()
        self.sock.settimeout(SECONDS)
        self.peer = wire.Peer()
        threading.Thread(target=self._serve, args=(self.sock,), daemon=True).start()

    def hang_up(self):
        self.sock.shutdown(socket.SHUT_RDWR)

    def greet(self):
        """A new session on the same connection, as of an agent that was restarted."""
        with self.lock:
            decoder = self.peer.decoder
            self.peer = wire.Peer()
            self.peer.decoder = decoder
            self.sock.sendall(self.peer.opening())

    def _serve(self, sock):
        while True:
            try:
                data = sock.recv(65536)
            except OSError:
                return
            if not data:
                return
            with self.lock:
                for kind, values, answer in self.peer.take(data):
                    sock.sendall(answer + self._answer(kind, values))

    def _answer(self, kind, values):
        p = self.peer
        if kind == wire.PING:
            return p.bytes_for(wire.PONG, wire.encode(wire.PONG, host_ns=values["host_ns"], guest_ns=1))
        if kind != wire.QUERY:
            return b""
        rows = [(wire.CPU, dict(table.ROW, cpu=i, slot=i, ran_on=i)) for i in (0, 1)]
        return p.bytes_for(wire.REPORT, table.report(*rows, (wire.END, {})))

    def send(self, data):
        with self.lock:
            self.sock.sendall(data)

    def mark(self):
        """Name a callback, by which is known that everything before it was read."""
        self.marks += 1
        name = "99-mark-%d" % self.marks
        with self.lock:
            self.sock.sendall(self.peer.bytes_for(wire.REPORT, table.report((wire.STATE, {"state": 42, "name": name}))))
        return name


class HostileScene(Scene):
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "agent")
        listener = []
        starter = threading.Thread(target=lambda: listener.append(HostileAgent(path)), daemon=True)
        starter.start()
        super().__init__(agent=False, smp=2, domain={"Agent": path})
        starter.join(SECONDS)
        self.agent = listener[0]
        self.agent.greet()
        self.d.wait_agent()

    def __enter__(self):
        return self.vm, self.d, self.agent


def wait_mark(witness, agent):
    name = agent.mark()
    wait_for(lambda: any(s["name"].endswith(name) for s in witness.control.ask("ListStates", domain="web1")["states"]),
             5, "what was sent last")  # fmt: skip


def goes_down(witness, connects):
    """The agent is away, or was and has come back by itself."""
    return lambda: (not witness.info()["agent"]["connected"] or witness.metric("agent_connects") > connects)


@case(deadline=120)
def frames_of_a_hostile_guest():
    with HostileScene() as (vm, d, agent):
        wait_for(lambda: d.counts()[1] == 2, SECONDS, d.brief)
        witness = Witness(vm, d)

        def check(_what, make, wanted):
            dropped, connects = witness.metric("frames_dropped"), witness.metric("agent_connects")
            agent.send(make(agent.peer))
            if wanted == "down":
                wait_for(goes_down(witness, connects), 3, "the end of the session")
                agent.greet()
                d.wait_agent()
            wait_mark(witness, agent)
            if wanted != "down":
                equal(witness.metric("frames_dropped") - dropped, wanted == "dropped", "frames dropped")
                equal(witness.metric("agent_connects"), connects, "sessions")
            witness.nothing_changed()

        each(table.GUEST, check, 60)
        witness.did_not_grow()
        with open(d.log, "rb") as f:
            bad = [line for line in f.read().split(b"\n") if any(not 32 <= b < 127 for b in line)]
        equal(bad, [], "lines of the log with bytes of the guest's")


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flood(d, agent, witness, data, seconds):
    """Send @data as fast as the daemon takes it, for @seconds; the daemon must go on answering."""
    agent.sock.settimeout(None)
    sender = threading.Thread(target=_send_all, args=(agent.sock, data), daemon=True)
    start, used = time.monotonic(), cpu_seconds(d.process.pid)
    sender.start()
    asked = 0
    while time.monotonic() - start < seconds:
        witness.answers_at_once()
        asked += 1
        time.sleep(0.02)
    took = time.monotonic() - start
    assert asked > 10 * seconds, "only %d answers in %.1f s" % (asked, took)
    return took, cpu_seconds(d.process.pid) - used


def _send_all(sock, data):
    try:
        sock.sendall(data)
    except OSError:
        pass


@case(deadline=60)
def ten_thousand_frames_of_a_hostile_guest():
    """At most 500 are taken at once and 50 a second after that; the rest wait in the guest."""
    with HostileScene() as (vm, d, agent):
        wait_for(lambda: d.counts()[1] == 2, SECONDS, d.brief)
        witness = Witness(vm, d)
        received = witness.metric("frames_received")
        text = table.report((wire.LOG, {"level": 3, "text": "the same again"}))
        data = b"".join(agent.peer.bytes_for(wire.REPORT, text) for _ in range(10000))
        took, cpu = flood(d, agent, witness, data, 2)
        taken = witness.metric("frames_received") - received
        assert 300 <= taken <= 520 + 55 * (took + 0.5), "%d frames taken in %.1f s" % (taken, took)
        assert witness.metric("throttled") >= 1
        assert cpu < 0.5 * took, "%.2f s of CPU time in %.1f s" % (cpu, took)
        agent.hang_up()
        agent.accept()
        agent.greet()
        d.wait_agent()
        witness.nothing_changed()
        witness.did_not_grow()


@case(deadline=60)
def ten_thousand_log_records_of_a_hostile_guest():
    """Hundreds fit a frame: the log must not grow with them, nor must what watches events."""
    with HostileScene() as (vm, d, agent):
        wait_for(lambda: d.counts()[1] == 2, SECONDS, d.brief)
        witness = Witness(vm, d)
        text = table.report(*[(wire.LOG, {"level": 3, "text": "again"})] * 400)
        data = b"".join(agent.peer.bytes_for(wire.REPORT, text) for _ in range(25))
        took, _ = flood(d, agent, witness, data, 1)
        wait_mark(witness, agent)
        lines = d.text().count("agent: again")
        assert 1 <= lines <= 100, "%d lines logged in %.1f s" % (lines, took)
        witness.nothing_changed()
        witness.did_not_grow()


@case(deadline=60)
def a_guest_that_changes_its_mind_a_hundred_thousand_times():
    """The newest word is shown; neither the log nor those who watch get all of them."""
    with HostileScene() as (vm, d, agent):
        wait_for(lambda: d.counts()[1] == 2, SECONDS, d.brief)
        witness = Witness(vm, d)
        watching = d.begin("events", "web1")
        minds = [dict(table.ROW, state=8, text=t) for t in ("a", "b")]
        # What the daemon reads at once, about two frames, ends now with the one and now with the other.
        texts = [table.report(*[(wire.CPU, mind) for mind in order] * 120) for order in (minds, minds[::-1])]
        data = b"".join(agent.peer.bytes_for(wire.REPORT, texts[i // 3 % 2]) for i in range(500))
        took, cpu = flood(d, agent, witness, data, 2)
        wait_mark(witness, agent)
        lines = d.text().count("drift: ")
        assert 1 <= lines <= 20 + took, "%d lines logged in %.1f s" % (lines, took)
        assert cpu < 0.5 * took, "%.2f s of CPU time in %.1f s" % (cpu, took)
        equal(witness.info()["vcpus"][1]["drift"], "b", "the newest word")
        watching.interrupt()
        told = [e["type"] for e in watching.wait(SECONDS).lines]
        assert 1 <= told.count("drift") <= 20 + took, "%d events" % told.count("drift")
        agent.send(agent.peer.bytes_for(wire.REPORT, table.report((wire.CPU, dict(minds[0], text="c")))))
        wait_for(lambda: "drift: c" in d.text(), 5, "the last word in the log")
        witness.did_not_grow()


# A hostile host


def held(b):
    return len(b.workers()), len(os.listdir("/proc/%d/fd" % b.process.pid))


@case(deadline=60)
def frames_of_a_hostile_host():
    with Bed(AGENT, cpus=4, boot=(1,)) as b:
        b.rests(1, 44)
        b.kicks = 0
        first = b.table()
        b.wait(lambda: len(b.workers()) == RESTING, what="the children")
        before = b.steady(lambda: held(b), "children and descriptors")
        pings = iter(range(1000, 2000))

        def check(_what, make, wanted):
            b.messages, b.records = [], []
            b.send_raw(make(b.peer))
            number = next(pings)
            b.send(wire.PING, host_ns=number)
            b.wait(lambda: b.answers(wire.PONG, host_ns=number), what="PONG")
            said = [(kind, m) for kind, m in b.messages if kind != wire.PONG]
            words = wanted.split(" ", 2)
            if wanted == "nothing":
                equal(said, [])
            else:
                equal([(kind, m["rc"]) for kind, m in said], [(getattr(wire, words[0]), int(words[1]))])
                assert " ".join(words[2:]) in said[0][1].get("text", ""), said
            equal([r for r in b.records if r["record"] not in (wire.CPU, wire.STATE, wire.LOG)], [])
            equal(b.table(), first, "the agent's table")
            equal(held(b), before, "children and descriptors")

        each(table.HOST, check, 20)
        assert b.is_online(1) and not b.is_online(2)


# A bad QEMU


SLOTS = [{"type": "qemu64-x86_64-cpu", "vcpus-count": 1, "props": {"core-id": 1}},
         {"type": "qemu64-x86_64-cpu", "vcpus-count": 1, "props": {"core-id": 0},
          "qom-path": "/machine/unattached/device[0]"}]  # fmt: skip
ANSWERS = {
    "qmp_capabilities": {},
    "query-kvm": {"enabled": True, "present": True},
    "query-uuid": {"UUID": "11111111-2222-3333-4444-555555555555"},
    "qom-get": "pc-q35-7.2-machine",
    "query-hotpluggable-cpus": SLOTS,
    "query-cpus-fast": [{"qom-path": "/machine/unattached/device[0]", "thread-id": 1}],
    "query-status": {"status": "running", "running": True},
    "query-migrate": {},
    "query-acpi-ospm-status": [],
}


class BadQemu:
    """One QMP dialogue on one connection: sound but for one line. @when: "greeting", the command whose
    answer that line is, or "event": once the daemon has read everything."""

    def __init__(self, path, when, line):
        self.when = when
        self.line = line if isinstance(line, bytes) else line.encode()
        self.answers = dict(ANSWERS)
        self.seen = []
        self.closed = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        self.sock, _ = self.listener.accept()
        self.listener.close()
        try:
            self._say(self.line if self.when == "greeting" else table.OK_GREETING.encode())
            for text in self.sock.makefile("rb"):
                self._answer(json.loads(text))
        except OSError:
            pass
        self.closed.set()

    def _say(self, line):
        self.sock.sendall(line + b"\n")

    def _answer(self, command):
        name = command["execute"]
        number = str(command["id"]).encode()
        if name == self.when:
            self._say(self.line.replace(b"ID", number))
        else:
            self._say(json.dumps({"return": self.answers[name], "id": command["id"]}).encode())
        self.seen.append(name)

    def event(self):
        """The row's line once all is read; then a stop, whose re-reading proves that it was taken."""
        if self.line == b"SLOTS":
            self.answers["query-hotpluggable-cpus"] = SLOTS + [dict(SLOTS[0], props={"core-id": 2})]
            self.line = b'{"event":"DEVICE_DELETED","data":{}}'
        self._say(self.line)
        self.seen.clear()
        self.event_stop()

    def event_stop(self):
        self.answers["query-status"] = {"status": "paused", "running": False}
        try:
            self._say(b'{"event":"STOP","data":{}}')
        except OSError:
            pass


def is_up(witness, name):
    domains = witness.control.ask("ListDomains")["domains"]
    return next(d for d in domains if d["domain"] == name)["status"] == "running"


@case(deadline=120)
def lines_of_a_bad_qemu():
    with Scene(agent=False, smp=2) as (vm, d), tempfile.TemporaryDirectory() as folder:
        witness = Witness(vm, d)

        def check(_what, when, line, reason):
            name = "bad%d" % check.n
            check.n += 1
            qemu = BadQemu(os.path.join(folder, name), when, line)
            witness.control.ask("Attach", name=name, qmp=os.path.join(folder, name),
                                agent=os.path.join(folder, "agent"))  # fmt: skip
            try:
                if when == "event":
                    wait_for(lambda: is_up(witness, name), 3, lambda: "attachment: " + d.text()[-300:])
                    qemu.event()
                if reason:
                    assert qemu.closed.wait(3), "the daemon stays; it asked %s" % qemu.seen
                    lines = [line for line in d.text().splitlines() if line.startswith(name + ": ")]
                    assert any(reason in line for line in lines), lines
                else:
                    wait_for(lambda: "query-status" in qemu.seen, 3, lambda: "asked %s" % qemu.seen)
                    assert not qemu.closed.is_set(), d.text()[-300:]
            finally:
                witness.control.ask("Detach", name=name)
            witness.nothing_changed()

        check.n = 0
        each(table.QMP, check, 50)
        witness.did_not_grow(4096)


@case(deadline=60)
def a_qemu_that_says_nothing_is_given_up():
    with Scene(agent=False, smp=2) as (vm, d), tempfile.TemporaryDirectory() as folder:
        witness = Witness(vm, d)
        path = os.path.join(folder, "q")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        witness.control.ask("Attach", name="mute", qmp=path, agent=path + "a")
        sock, _ = listener.accept()
        sock.settimeout(SECONDS)
        equal(sock.recv(1), b"", "after the deadline")
        wait_for(lambda: "mute: not attached: another QMP client" in d.text(), 2, d.text)
        witness.control.ask("Detach", name="mute")
        witness.nothing_changed()


def why_not_here():
    missing = [p for p in PROGRAMS.values() if not os.access(p, os.X_OK)]
    return "%s is not built" % missing[0] if missing else None


if __name__ == "__main__":
    tap.main(before=why_not_here)
