# SPDX-License-Identifier: LGPL-2.1-or-later
"""Peers of the daemon that mean harm: a guest's agent and a QEMU, scripted, on real sockets."""

import json
import os
import socket
import tempfile
import threading

import badinputs as table
import wire
from guest import BUILD
from qmp import wait_for
from tap import equal
from vm import Process
from witness import SECONDS, Scene

HOSTILE_AGENT = os.path.join(BUILD, "tests", "lib", "hostile-agent")


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
        self.sock.settimeout(None)
        self.peer = self.new_peer()
        threading.Thread(target=self._serve, args=(self.sock,), daemon=True).start()

    @staticmethod
    def new_peer(boot=1):
        """A session's side of an agent whose kernel, of this boot, can hotplug."""
        peer = wire.Peer()
        peer.greeting = lambda: peer.bytes_for(wire.HELLO, wire.encode(
            wire.HELLO, version_min=1, version_max=1, features=wire.FEATURE_HOTPLUG, possible=8,
            session=peer.mine, peer=peer.other, boot_id=bytes([boot] * 16)))  # fmt: skip
        return peer

    def hang_up(self):
        self.sock.shutdown(socket.SHUT_RDWR)

    def greet(self):
        """A new session on the same connection, as of an agent that was restarted."""
        with self.lock:
            decoder = self.peer.decoder
            self.peer = self.new_peer()
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


class Flooder(Process):
    """hostile-agent, in a core's time of its own; the socket is there when this returns."""

    def __init__(self, mode, folder, cpu=None, path=None):
        self.path = path or os.path.join(folder, "agent-" + mode)
        super().__init__([HOSTILE_AGENT, mode, self.path], os.path.join(folder, mode + ".log"))
        if cpu is not None:
            os.sched_setaffinity(self.pid, {cpu})
        wait_for(lambda: os.path.exists(self.path) or not self.alive(), 5, "the hostile agent's socket")

    def told(self):
        """Stopped; what it has done, by name: connections, sessions, bytes written, frames heard."""
        equal(self.stop(), 0, "exit status of the hostile agent: " + self.text())
        words = self.text().split()
        return dict(zip(words[::2], map(int, words[1::2])))

    def __exit__(self, *exc):
        self.stop()

    def __enter__(self):
        return self


class SoundQemu(BadQemu):
    """A scripted QEMU that has nothing wrong with it."""

    def __init__(self, path):
        super().__init__(path, "never", "")


class HostileQemu:
    """A scripted QEMU for as many connections as come: it answers as .answers say, and from when the
    daemon has read all there is writes .flood as fast as it is taken, or hangs up where .flood is None."""

    def __init__(self, path, flood=b"", **answers):
        self.answers = {**ANSWERS, **answers}
        self.flood = flood
        self.connections = 0
        self.written = 0
        self.seen = []
        self.ended = False
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self.ended:
            sock, _ = self.listener.accept()
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, threading.Lock()), daemon=True).start()

    def _serve(self, sock, lock):
        flooding = False
        try:
            sock.sendall(table.OK_GREETING.encode() + b"\n")
            for text in sock.makefile("rb"):
                command = json.loads(text)
                self.seen.append(command)
                answer = self.answers.get(command["execute"], {})
                answer = answer(command.get("arguments")) if callable(answer) else answer
                with lock:
                    sock.sendall(json.dumps({"return": answer, "id": command["id"]}).encode() + b"\n")
                if command["execute"] == "query-acpi-ospm-status" and self.flood is None:
                    sock.close()
                    return
                if command["execute"] == "query-acpi-ospm-status" and self.flood and not flooding:
                    flooding = True
                    threading.Thread(target=self._flood, args=(sock, lock), daemon=True).start()
        except OSError:
            pass

    def _flood(self, sock, lock):
        try:
            while not self.ended:
                with lock:
                    sock.sendall(self.flood)
                self.written += len(self.flood)
        except OSError:
            pass

    def close(self):
        self.ended = True
        self.listener.close()
