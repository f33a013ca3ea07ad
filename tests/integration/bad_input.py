#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of bad inputs (tests/lib/badinputs.py) against the real programs.

Each row gets the answer that the table names, and changes nothing: neither what the daemon shows of
its domain, nor what QEMU has, nor what was asked of QEMU, nor the daemon's descriptors and threads;
and the daemon still answers at once. Where KVM is missing QEMU runs paused under TCG.
"""

import json
import os
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
from daemon import VCPUHPCTL, VCPUHPD
from fakeguest import AGENT
from hostile import BadQemu, HostileScene
from qmp import wait_for
from tap import case, equal
from witness import SECONDS, Control, Scene, Witness, cpu_seconds, each

PROGRAMS = {"vcpuhpctl": VCPUHPCTL, "vcpuhpd": VCPUHPD, "vcpuhp-agent": AGENT}


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
        assert 1 <= lines <= 10, "%d lines logged in %.1f s" % (lines, took)
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
        assert 1 <= lines <= 10, "%d lines logged in %.1f s" % (lines, took)
        assert cpu < 0.5 * took, "%.2f s of CPU time in %.1f s" % (cpu, took)
        equal(witness.info()["vcpus"][1]["drift"], "b", "the newest word")
        watching.interrupt()
        told = [e["type"] for e in watching.wait(SECONDS).lines]
        assert 1 <= told.count("drift") <= 20 + took, "%d events" % told.count("drift")
        agent.send(agent.peer.bytes_for(wire.REPORT, table.report((wire.CPU, dict(minds[0], text="c")))))
        wait_for(lambda: witness.info()["vcpus"][1]["drift"] == "c", 5, "the last word")
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
