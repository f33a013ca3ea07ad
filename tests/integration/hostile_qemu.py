#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QEMU that its guest owns, on the QMP socket: floods, storms, lies. The daemon stays within its
budgets, the other domain does not notice, and no process but QEMU's own is touched."""

import json
import os
import re
import sys
import tempfile
import threading
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import badinputs as table
import tap
from daemon import Daemon
from hostile import SLOTS, HostileAgent, HostileQemu
from qtestvm import why_not
from scene import done
from tap import case, equal, matches
from vm import Machine, Process, wait_for
from witness import SECONDS, Meter, Scene, Witness


def event(name="STOP", first='"timestamp": {"seconds": 1, "microseconds": 2}, ', **data):
    return ('{%s"event": "%s", "data": %s}\n' % (first, name, json.dumps(data))).encode()


OST = {"info": {"slot-type": "CPU", "slot": "1", "source": 3, "status": 1}}
flips = iter(range(1 << 30))


def flipping(_arguments):
    status = ("running", "paused", "shutdown", "inmigrate")[next(flips) % 4]
    return {"status": status, "running": status == "running"}


def many_slots(_arguments=None):
    return [{"type": "qemu64-x86_64-cpu", "vcpus-count": 1, "props": {"core-id": i}} for i in range(1500)]


def changing_slots(_arguments):
    return SLOTS + [dict(SLOTS[0], props={"core-id": 2 + next(flips)})]


# What it does, what is written without an end (None: it hangs up once it was read), other answers.
FLOODS = [
    ("events of the guest's", event("ACPI_DEVICE_OST", **OST) * 500, {}),
    ("events that make all be read again", event("DEVICE_DELETED", path="/x") * 500, {}),
    ("events of another form", event("ACPI_DEVICE_OST", first="", **OST) * 500, {}),
    ("events of half a megabyte", event(x="y" * 500000), {}),
    ("events of 5000 elements", event(x=[[]] * 5000), {}),
    ("events and a status that is never the same", event("STOP") * 500, {"query-status": flipping}),
    ("events and slots without number", event("DEVICE_DELETED") * 500, {"query-hotpluggable-cpus": many_slots}),
    ("a line without an end", b"x" * 65536, {}),
    ("replies that nobody asked for", b'{"return": {}, "id": 77}\n' * 500, {}),
    ("errors without an id", b'{"error": {"class": "GenericError", "desc": "\x1b[2J"}}\n' * 500, {}),
    ("greetings", (table.OK_GREETING + "\n").encode() * 100, {}),
    ("lines that are empty", b"\n" * 65536, {}),
    ("it hangs up, again and again", None, {}),
    ("it has other slots each time", None, {"query-hotpluggable-cpus": changing_slots}),
    ("it hangs up, and has many slots", None, {"query-hotpluggable-cpus": many_slots}),
]  # fmt: skip


# All that a QEMU is ever asked.
COMMANDS = {"qmp_capabilities", "query-kvm", "query-uuid", "query-status", "query-migrate", "query-hotpluggable-cpus",
            "query-cpus-fast", "query-acpi-ospm-status", "qom-get", "device_add", "device_del"}  # fmt: skip


def breach_of(d, witness):
    """The least of three: what others do on this host costs a busy process its caches, and only adds."""
    for _ in range(3):
        meter = Meter(d)
        while time.monotonic() - meter.start < 0.9:
            witness.answers_at_once()
            time.sleep(0.02)
        breach = meter.breach()
        if not breach:
            break
    return breach


@case(deadline=180)
def every_flood_of_a_qemu_stays_within_the_budgets():
    with Scene(smp=1) as (vm, d), tempfile.TemporaryDirectory() as folder:
        witness = Witness(vm, d)
        wrong, asked = [], set()
        for n, (what, flood, answers) in enumerate(FLOODS):
            name, path = "bad%d" % n, os.path.join(folder, "q%d" % n)
            qemu = HostileQemu(path, flood, **answers)
            witness.control.ask("Attach", name=name, qmp=path, agent=os.path.join(folder, "none"))
            wait_for(lambda qemu=qemu: qemu.seen, SECONDS, "the daemon")
            time.sleep(0.3)  # the burst that is anybody's
            breach = breach_of(d, witness)
            print("# ... %s: %d connections, %.1f MiB/s" % (what, qemu.connections, qemu.written / (1 << 20) / 1.2))
            if breach:
                wrong.append("%s: %s" % (what, breach))
            if not qemu.written and qemu.connections < 2:
                wrong.append("%s: it never came" % what)
            asked |= {c["execute"] for c in qemu.seen}
            qemu.close()
            witness.control.ask("Detach", name=name)
            witness.nothing_changed()
        assert not wrong, "\n".join(wrong)
        equal(asked - COMMANDS, set(), "commands")
        done(d.setvcpus(3), online=3)
        assert not re.search(r"[^\n -~]", d.text()), "the log has bytes of QEMU's"


@case()
def what_a_qemu_calls_itself_is_shown_clean():
    bad = "\x1b]0;owned\x07%n\n\u202e" + "x" * 100
    with Scene(smp=1) as (vm, d), tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "q")
        HostileQemu(path, **{"qom-get": bad, "query-uuid": {"UUID": "../../etc"}})
        equal(d.ctl("attach", "bad", "--qmp", path, "--agent", path + "a").exit, 0)
        wait_for(lambda: d.ctl("info", "bad").result["status"] == "running", SECONDS, d.brief)
        for command in (["info", "bad"], ["list"], ["metrics"], ["doctor", "bad"], ["events", "bad", "--timeout", "1"]):
            out = d.ctl(*command, json_output=False).out
            assert not re.search(r"[^\n -~]", out), "%s: %r" % (command, out)
        assert d.ctl("info", "bad").result["uuid"] in (None, "")


class PlaceScene:
    """web1 behind a scripted QEMU that gives @tid for the thread of the vCPU it was given, Place=0."""

    def __init__(self, tid):
        self.machine = Machine("web1")
        self.plugged = None
        self.qemu = HostileQemu(self.machine.qmp_path, **{
            "device_add": self.add, "device_del": self.remove, "query-hotpluggable-cpus": self.slots,
            "query-cpus-fast": lambda _: [{"qom-path": "/machine/peripheral/%s" % self.plugged, "thread-id": tid}],
        })  # fmt: skip
        made = []
        starter = threading.Thread(target=lambda: made.append(HostileAgent(self.machine.agent_path)), daemon=True)
        starter.start()
        self.d = Daemon(self.machine, domain={"Place": "0"})
        starter.join(SECONDS)
        self.agent = made[0]
        self.agent.greet()
        self.d.wait_agent()

    def add(self, arguments):
        self.plugged = arguments["id"]
        return {}

    def remove(self, _arguments):
        self.plugged = None
        return {}

    def slots(self, _arguments):
        if not self.plugged:
            return SLOTS
        return [dict(SLOTS[0], **{"qom-path": "/machine/peripheral/" + self.plugged}), SLOTS[1]]

    def __enter__(self):
        return self.d

    def __exit__(self, *exc):
        self.d.close()
        self.machine.close()


@case()
def the_thread_of_another_process_is_never_pinned():
    victim = Process(["sleep", "60"], "/dev/null")
    before = os.sched_getaffinity(victim.pid)
    for tid in (victim.pid, 1, 0):
        with PlaceScene(tid) as d:
            a = d.ctl("setvcpus", "web1", 2, "--timeout", "5")
            equal(a.exit, 1, "%s" % a)
            equal(a.vcpu(1)["failed_at"], "host:place")
            matches("host:place startup failed", a.vcpu(1)["error"])
    equal(os.sched_getaffinity(victim.pid), before)
    victim.stop()


@case()
def it_is_asked_a_short_list_of_commands_alone():
    """In an add that is undone; and what is asked is made by the daemon alone."""
    scene = PlaceScene(0)
    with scene as d:
        equal(d.ctl("setvcpus", "web1", 2, "--timeout", "5").exit, 1)
    seen = list(scene.qemu.seen)
    equal({c["execute"] for c in seen} - COMMANDS, set(), "commands")
    for name in ("device_add", "device_del"):
        ids = [c["arguments"]["id"] for c in seen if c["execute"] == name]
        assert ids, "no " + name
        for ident in ids:
            matches(r"^vhp-1-[0-9a-f]{8}$", ident)


if __name__ == "__main__":
    tap.main(before=why_not)
