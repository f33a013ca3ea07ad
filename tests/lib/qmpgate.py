# SPDX-License-Identifier: LGPL-2.1-or-later
"""A wire between the daemon and a real QEMU whose every line can be held, edited or cut.

Lines keep their order in each direction. One that is held holds all behind it: what QEMU has not
read yet is a command on its way, what the daemon has not read a reply or an event.
"""

import json
import os
import socket
import threading
import time

COMMAND, REPLY, EVENT = "command", "reply", "event"


class Hold:
    """Where the next line of @kind called @name waits until let(); cut() loses it."""

    def __init__(self, kind, name):
        self.kind, self.name = kind, name
        self.reached, self.opened = threading.Event(), threading.Event()
        self.lost = False

    def wait(self, seconds=10):
        assert self.reached.wait(seconds), "no %s %s within %g s" % (self.kind, self.name, seconds)

    def let(self):
        self.opened.set()

    def cut(self):
        self.lost = True
        self.opened.set()


class Wire:
    """One client joined with QEMU."""

    def __init__(self, gate, client):
        self.gate, self.client = gate, client
        # At once or not at all: a client that is kept waiting takes QEMU for slow, not for gone.
        self.server = socket.socket(socket.AF_UNIX)
        self.server.connect(gate.qemu)
        self.sent = {}  # id -> name of the command
        self.refused = {}  # id -> the error it is answered
        self.cut_off = False
        self.lock = threading.Lock()

    def run(self):
        up = threading.Thread(target=self._pump, args=(self.client, self.server, self._command), daemon=True)
        up.start()
        self._pump(self.server, self.client, self._answer)
        up.join()
        self.client.close()
        self.server.close()

    def _pump(self, source, sink, look):
        try:
            with source.makefile("rb") as lines:
                for line in lines:
                    for out in look(line):
                        if not self.cut_off:
                            self.send(sink, out)
        except OSError:
            pass  # one of the two has gone
        self.shut()

    def send(self, sink, line):
        with self.lock:
            sink.sendall(line)

    def shut(self):
        for s in (self.client, self.server):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has gone

    def cut(self):
        self.cut_off = True
        self.shut()

    def _command(self, line):
        message = json.loads(line)
        name, ident = message["execute"], message.get("id")
        self.sent[ident] = name
        self.gate.pass_by(COMMAND, name)
        error = self.gate.refusal(name)
        if not error:
            return [line]
        # Its answer keeps its place: QEMU is asked something else in its stead.
        self.refused[ident] = error
        return [json.dumps({"execute": "query-name", "id": ident}).encode() + b"\n"]

    def _answer(self, line):
        message = json.loads(line)
        if "event" in message:
            self.gate.pass_by(EVENT, message["event"])
            return self.gate.edit_event(message["event"], line)
        if "QMP" in message:
            return [line]
        ident = message.get("id")
        name = self.sent.pop(ident, "")
        self.gate.pass_by(REPLY, name)
        if ident in self.refused:
            error = {"class": "GenericError", "desc": self.refused.pop(ident)}
            line = json.dumps({"error": error, "id": ident}).encode() + b"\n"
        return self.gate.edit_reply(name, line)


class QmpGate:
    """Listens at @path for one client after another, as long as QEMU is @alive. .events and .replies: None, or a function that
    gets name and line and returns the lines that are passed on; .errors: command -> the error that
    answers it from now on."""

    def __init__(self, path, qemu, alive):
        self.qemu, self.alive = qemu, alive
        self.holds, self.errors = [], {}
        self.events = self.replies = None
        self.seen = []  # names of the events that QEMU sent
        self.wire = None
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        """With the process the kernel takes its socket away: who stands in line is refused, whatever is held."""
        while not self.alive() and self.listener.fileno() >= 0:
            time.sleep(0.02)
        while self.alive() and self.listener.fileno() >= 0:
            time.sleep(0.02)
        time.sleep(0.1)  # what it said last is passed on
        self.close()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
                self.wire = Wire(self, client)
            except OSError:
                if self.listener.fileno() < 0:
                    return
                client.close()  # there is no QEMU
                continue
            self.wire.run()

    def hold(self, kind, name):
        h = Hold(kind, name)
        with self.lock:
            self.holds.append(h)
        return h

    def pass_by(self, kind, name):
        with self.lock:
            mine = next((h for h in self.holds if (h.kind, h.name) == (kind, name)), None)
            if mine:
                self.holds.remove(mine)
        if mine:
            mine.reached.set()
            mine.opened.wait()
            if mine.lost:
                raise OSError("cut")

    def refusal(self, name):
        return self.errors.get(name)

    def edit_event(self, name, line):
        self.seen.append(name)
        return self.events(name, line) if self.events else [line]

    def edit_reply(self, name, line):
        return self.replies(name, line) if self.replies else [line]

    def say(self, lines):
        """To the daemon, as if from QEMU."""
        for line in lines:
            self.wire.send(self.wire.client, line)

    def disconnect(self):
        """QEMU's end closes the connection; another is taken at once. What is held is lost."""
        if self.wire:
            self.wire.cut()

    def close(self):
        with self.lock:
            is_open = self.listener.fileno() >= 0
            if is_open:
                self.listener.shutdown(socket.SHUT_RDWR)
                self.listener.close()
        if is_open:
            self.disconnect()


def gated(machine):
    """(gate, QMP= for the daemon) before @machine."""
    path = os.path.join(machine.dir, "qmp-gate")
    return QmpGate(path, machine.qmp_path, machine.alive), path
