# SPDX-License-Identifier: LGPL-2.1-or-later
"""The simulation's QEMU is held against the real one.

A dialogue in tests/sim/recordings/ says what QEMU is given ("> COMMAND") and what the guest does ("guest WORD
[SLOT]"), and behind each of these lines what QEMU said ("< LINE"): replies and events in their
order, without times, thread ids and what else differs from run to run. Each is played to the real
QEMU (KVM, with tests/lib/fakeguest.py for a guest) and to the scripted one (vcpuhp-sim --play), and
both must say what stands there.

tests/sim/real_qemu.py --record writes the recordings anew, from the real QEMU.
"""

import glob
import json
import os
import subprocess
import time

RECORDINGS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "sim", "recordings")
from guest import BUILD
from qtestvm import QtestVM
from tap import equal

SIM = os.path.join(BUILD, "tests", "sim", "vcpuhp-sim")
QUIET = 0.3


def dialogues():
    return sorted(glob.glob(os.path.join(RECORDINGS, "*.txt")))


def name_of(path):
    return os.path.basename(path)[:-4]


def orders(path):
    with open(path, encoding="utf-8") as f:
        return [line.rstrip("\n") for line in f if line.startswith(("> ", "guest "))]


def normal(value):
    """Without what differs from one run, or one build of QEMU, to the next."""
    if isinstance(value, list):
        return [normal(v) for v in value]
    if not isinstance(value, dict):
        return value
    differs = {"timestamp": None, "thread-id": 0, "UUID": "uuid", "id": None, "type": "cpu", "props": ...}
    found = {}
    for key, v in value.items():
        if key == "thread-id" and "qom-path" in value:
            found[key] = 0
        elif key == "props" or key not in differs:
            found[key] = normal(v)
        elif differs[key] is not None:
            found[key] = differs[key] if key != "thread-id" else v
    return found


def as_text(message):
    text = json.dumps(normal(message), sort_keys=True)
    return text.replace("/device[0]", "/device[N]").replace("qemu64-x86_64-cpu", "CPU-TYPE")


class Real:
    def __init__(self):
        self.vm = QtestVM(agent=False)
        self.type = self.vm.slots()[1]["type"]
        self.q = self.vm._qmp

    def said(self):
        """What QEMU says until it has been quiet for a while."""
        found, end = [], time.monotonic() + QUIET
        while time.monotonic() < end:
            try:
                found.append(self.q._read(0.02))
                end = time.monotonic() + QUIET
            except (TimeoutError, OSError):
                pass
        return found

    def play(self, order):
        words = order.split()
        if words[0] == ">":
            text = order[2:].replace("CPU-TYPE", self.type)
            self.q.sock.sendall(text.encode() + b"\n")
        elif words[1] == "eject":
            self.vm.guest.eject(int(words[2]))
        else:
            self.vm.guest.mode = words[1]
        return self.said()

    def line(self, message):
        return as_text(message).replace(self.type, "CPU-TYPE")


def real_transcript(path):
    real = Real()
    try:
        found = []
        for order in orders(path):
            found.append(order)
            found += ["< " + real.line(m) for m in real.play(order)]
        return found
    finally:
        real.vm.close()


def scripted_transcript(path):
    done = subprocess.run([SIM, "--play", path], capture_output=True, text=True, check=False)
    equal(done.returncode, 0, "exit status of --play: " + done.stderr)
    return ["< " + as_text(json.loads(line[2:])) if line.startswith("< ") else line
            for line in done.stdout.splitlines()]  # fmt: skip


def recorded(path):
    with open(path, encoding="utf-8") as f:
        return [line.rstrip("\n") for line in f if line.strip() and not line.startswith("#")]


def compare(said, path):
    for number, (a, b) in enumerate(zip(said, recorded(path)), 1):
        equal(a, b, "%s, line %d" % (name_of(path), number))
    equal(len(said), len(recorded(path)), name_of(path) + ", lines")


def record():
    for path in dialogues():
        with open(path, encoding="utf-8") as f:
            head = [line for line in f if line.startswith("#")]
        text = "".join(head) + "\n".join(real_transcript(path)) + "\n"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
