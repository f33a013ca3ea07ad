# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QMP client for the tests, and waiting for a proof."""

import json
import os
import socket
import time


def wait_for(proof, seconds, what, pause=0.01):
    """Call @proof until it is true and return its answer; AssertionError after @seconds."""
    end = time.monotonic() + seconds
    while True:
        got = proof()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError("not within %g s: %s" % (seconds, what() if callable(what) else what))
        time.sleep(pause)


def connect(path, seconds=10, alive=lambda: True):
    """Connect to a unix socket that is about to appear."""
    end = time.monotonic() + seconds
    while True:
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(path)
            return s
        except OSError:
            s.close()
            if not alive():
                raise AssertionError("%s: its owner has ended" % path) from None
            if time.monotonic() > end:
                raise AssertionError("%s: nobody listens within %g s" % (path, seconds)) from None
            time.sleep(0.01)


def sort_slots(slots):
    """query-hotpluggable-cpus ascending: the index is the vCPU number."""
    keys = ("socket-id", "die-id", "core-id", "thread-id")
    return sorted(slots, key=lambda c: [c["props"].get(k, 0) for k in keys])


class QmpError(Exception):
    pass


class Qmp:
    """One connection. Events are kept in .events with the time they were read."""

    def __init__(self, path, alive=lambda: True):
        self.sock = connect(path, alive=alive)
        self.buf = b""
        self.events = []
        self.greeting = self._read(10)
        self.cmd("qmp_capabilities")

    def _read(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self.buf:
            self.sock.settimeout(max(0.001, end - time.monotonic()))
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("QEMU closed the QMP connection")
            self.buf += data
        line, self.buf = self.buf.split(b"\n", 1)
        return json.loads(line)

    def _note(self, msg):
        msg["seen"] = time.monotonic()
        self.events.append(msg)

    def cmd(self, name, /, **arguments):
        """The command's answer; QmpError with QEMU's sentence when it is an error."""
        text = json.dumps({"execute": name, "arguments": arguments})
        self.sock.sendall(text.encode() + b"\n")
        while True:
            msg = self._read(30)
            if "event" in msg:
                self._note(msg)
            elif "error" in msg:
                raise QmpError(msg["error"]["desc"])
            else:
                return msg["return"]

    def poll(self):
        """Read what events have arrived."""
        try:
            while True:
                self._note(self._read(0.001))
        except (TimeoutError, socket.timeout, BlockingIOError):
            return self.events

    def slots(self):
        """query-hotpluggable-cpus, ascending; the index is the vCPU number."""
        return sort_slots(self.cmd("query-hotpluggable-cpus"))

    def present(self):
        return [i for i, c in enumerate(self.slots()) if "qom-path" in c]

    def close(self):
        self.sock.close()


def _traced(trace_file, word):
    if os.path.exists(trace_file):
        with open(trace_file, encoding="utf-8", errors="replace") as f:
            yield from (line for line in f if word in line and line.endswith("\n"))


def _command(line):
    request = json.loads(line.split("req: ", 1)[1])
    return request.get("execute"), request.get("arguments") or {}


def sent_commands(trace_file):
    """What QMP commands QEMU was given (by anybody), from its trace: list of (name, arguments)."""
    return [_command(line) for line in _traced(trace_file, "handle_qmp_command") if "req: " in line]


def begun_commands(trace_file):
    """Those that it began. One that is in its queue when its connection ends is thrown away."""
    last, queued, begun = {}, {}, []
    for line in _traced(trace_file, "qmp_"):
        words = line.split()
        if "handle_qmp_command" in line and "req: " in line:
            last[words[words.index("mon") + 1]] = _command(line)
        elif "in_band_enqueue" in line:
            # What could not be parsed has no command before it.
            queued[words[-5]] = last.pop(words[-3], None)
        elif "in_band_dequeue" in line:
            begun.append(queued.pop(words[-3]))
    return [command for command in begun if command]
