#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vcpuhpctl while it waits: Ctrl-C and other signals, and the lines it draws on a terminal."""

import contextlib
import re
import signal
import subprocess
import sys
import threading

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import recordings as rec
import tap
from fakevcpuhpd import CTL, SECONDS, begin, environment, server, why_not
from tap import case, equal, matches
from terminal import Terminal


def interrupted(number, status):
    def follow(send, _call):
        send({"progress": rec.PROGRESS[2]}, True)
        send({"progress": rec.PROGRESS[5]}, True)

    with server(follow) as (daemon, path, _):
        p = begin(["setvcpus", "slow", "4"], path)
        matches("ap:online ... 76.0 ms", p.stderr.readline())
        p.send_signal(number)
        out, err = p.communicate(timeout=SECONDS)
        op = daemon.calls[0]["parameters"]["op"]
        equal((p.returncode, out), (status, ""))
        equal(err, "operation %s goes on; see: vcpuhpctl op %s, vcpuhpctl wait %s, vcpuhpctl cancel %s\n" % (op, op, op, op))
        assert daemon.closed.wait(SECONDS)
        equal([c["method"] for c in daemon.calls], ["io.vcpuhp.Manager.SetVcpus"], "nothing is cancelled")


@case(deadline=SECONDS)
def ctrl_c_ends_the_waiting_and_not_the_operation():
    interrupted(signal.SIGINT, 130)


@case(deadline=SECONDS)
def being_terminated_ends_the_waiting_and_not_the_operation():
    interrupted(signal.SIGTERM, 143)


@case(deadline=SECONDS)
def a_signal_that_is_ignored_stays_ignored():
    go = threading.Event()

    def follow(send, call):
        send({"progress": rec.PROGRESS[5]}, True)
        go.wait(SECONDS)
        send({"result": dict(rec.RESULTS["done"], op=call["parameters"]["op"])})

    with server(follow) as (_, path, _f):
        p = begin(["setvcpus", "slow", "4"], path,
                  preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))  # fmt: skip
        matches("ap:online", p.stderr.readline())
        p.send_signal(signal.SIGINT)
        go.set()
        out, _ = p.communicate(timeout=SECONDS)
        equal(p.returncode, 0)
        matches("^web1: done", out)


@case(deadline=SECONDS)
def events_are_ended_by_ctrl_c_with_130():
    with server() as (_, path, _f):
        p = begin(["events"], path)
        for _ in rec.EVENTS:
            p.stdout.readline()
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=SECONDS)
        equal(p.returncode, 130)


@contextlib.contextmanager
def on_terminal(args, follow, rows=24, columns=100, term="xterm"):
    """vcpuhpctl with stderr on a terminal."""
    with server(follow) as (daemon, path, _):
        t = Terminal(rows, columns)
        p = subprocess.Popen([CTL] + args, env=dict(environment(path), TERM=term), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=t.slave)  # fmt: skip
        try:
            yield t, p, daemon
        finally:
            p.kill()
            p.wait()


def result_for(call, *vcpus):
    return {"result": rec.result(op=call["parameters"]["op"], vcpus=list(vcpus))}


@case(deadline=SECONDS)
def a_terminal_shows_one_line_a_vcpu_that_ticks_and_is_redrawn():
    go = threading.Event()

    def follow(send, call):
        for step in (rec.step(4, 2, "qemu:device", "enter", 1.0, cpu=None),
                     rec.step(3, 7, "ap:online", "enter", 1.0),
                     rec.kernel_step(3, 156, "smpboot/threads:online", "enter", 2.0)):  # fmt: skip
            send({"progress": step}, True)
        go.wait(SECONDS)
        send({"progress": rec.step(3, 9, "ap:verify", "exit", 90.0, ran_on=3)}, True)
        send(result_for(call, rec.result_vcpu(3), rec.result_vcpu(4)))

    with on_terminal(["setvcpus", "slow", "4"], follow) as (t, p, _):
        shown = set()

        def ticks():
            if t.screen[0].startswith("vcpu 3") and "ms" in t.screen[0]:
                shown.add(re.search(r"([\d.]+) ms", t.screen[0]).group(1))
            return len(shown) > 4

        t.read_until(ticks, "a time that ticks without a message")
        matches(r"^vcpu 3 +cpu3 +ap:online +up +[\d.]+ ms +kernel 156 smpboot/threads:online$", t.screen[0])
        matches(r"^vcpu 4 +qemu:device +up ", t.screen[1])
        equal([s for s in t.screen[2:] if s], [])
        go.set()
        t.finish(p)
        equal(p.returncode, 0)
        matches(r"^vcpu 3 +cpu3 +online +ok +89.0 ms +ran on 3$", t.screen[0])
        matches(r"^vcpu 4 +cpu4 +online +ok ", t.screen[1])
        equal((t.row, t.column, len(t.screen)), (2, 0, 3), "the cursor stands below")
        equal(p.stdout.read(), b"web1: done: 4 online, 0 standby, 4 present of 8\n")


@case(deadline=SECONDS)
def many_vcpus_on_a_small_terminal_stay_inside_it():
    go = threading.Event()

    def follow(send, call):
        for vcpu in range(1, 40):
            send({"progress": rec.step(vcpu, 7, "ap:online", "enter", vcpu, text="x" * 200)}, True)
            send({"progress": rec.step(vcpu, 7, "ap:online", "exit", vcpu + 5, rc=-5, text="y" * 200)}, True)
        go.wait(SECONDS)
        send(result_for(call, *[rec.result_vcpu(v) for v in range(1, 40)]))

    with on_terminal(["setvcpus", "slow", "40"], follow, rows=6, columns=30) as (t, p, _):
        t.read_until(lambda: any("and 35 more" in s for s in t.screen), "the count of those not shown")
        go.set()
        t.finish(p)
        equal(p.returncode, 0)
        equal(len(t.screen), 6)
        matches(r"^vcpu 1 ", t.screen[0])
        matches(r"^and 35 more$", t.screen[4])


@case(deadline=SECONDS)
def a_window_that_gets_narrower_is_followed():
    go = threading.Event()

    def follow(send, call):
        send({"progress": rec.step(3, 7, "ap:online", "enter", 1.0)}, True)
        send({"progress": rec.kernel_step(3, 156, "smpboot/threads:online", "enter", 2.0)}, True)
        go.wait(SECONDS)
        send(result_for(call, rec.result_vcpu(3)))

    with on_terminal(["setvcpus", "slow", "4"], follow, columns=100) as (t, p, _):
        t.read_until(lambda: "smpboot" in t.screen[0], "the whole line")
        wide = t.screen[0]
        t.resize(24, 40)
        # The terminal wraps what stands there.
        t.screen[0:1] = [wide[i : i + 40] for i in range(0, len(wide), 40)]
        t.row += len(t.screen) - 2
        p.send_signal(signal.SIGWINCH)
        t.read_until(lambda: len(t.screen) == 2 and len(t.screen[0]) == 39, "a line cut to the window")
        go.set()
        t.finish(p)
        equal(p.returncode, 0)


@case(deadline=SECONDS)
def ctrl_c_on_a_terminal_leaves_the_cursor_below_the_lines():
    def follow(send, _call):
        send({"progress": rec.step(3, 7, "ap:online", "enter", 1.0)}, True)

    with on_terminal(["setvcpus", "slow", "4", "--op-id", "o1"], follow) as (t, p, _):
        t.read_until(lambda: "ap:online" in t.screen[0], "the line")
        p.send_signal(signal.SIGINT)
        t.finish(p)
        equal(p.returncode, 130)
        matches("^vcpu 3 ", t.screen[0])
        equal(t.screen[1], "operation o1 goes on; see: vcpuhpctl op o1, vcpuhpctl wait o1, vcpuhpctl cancel o1")


@case(deadline=SECONDS)
def a_dumb_terminal_gets_plain_lines_and_quiet_gets_none():
    for term, args, wanted in (("dumb", [], 3), ("xterm", ["-q"], 0), ("xterm", ["-o", "json"], 0)):
        with on_terminal(args + ["setvcpus", "web1", "4"], None, term=term) as (t, p, _):
            p.stdout.read()
            t.finish(p)
            equal(p.returncode, 0)
            equal((len([s for s in t.screen if s]), b"\x1b" in t.raw), (wanted, False), "%s %s" % (term, args))


@case(deadline=SECONDS)
def top_redraws_its_lines_at_once_and_soon_after_an_event():
    with server() as (daemon, path, _):
        t = Terminal(24, 80)
        p = subprocess.Popen([CTL, "top", "web1", "--interval", "600"], stdin=subprocess.DEVNULL, stdout=t.slave,
                             env=dict(environment(path), TERM="xterm"), stderr=subprocess.PIPE)  # fmt: skip
        try:
            t.read_until(lambda: len(t.screen) > 7, "the lines")
            matches(r"^DOMAIN +STATUS +MAX", t.screen[0])
            matches(r"^web1 +running +8 +4 +3 +1 +0 +87.5 +- +42.1 18.05 +5.12 +9$", t.screen[1])
            equal(t.screen[2], "  operation op-1 runs")
            matches(r"^  vcpu 0 +cpu 0 +online +busy +75.0 steal +-$", t.screen[3])
            matches(r"^  vcpu 3 +cpu 3 +standby +busy +- steal +-  the guest brought it on", t.screen[6])
            print("# " + "\n# ".join(t.screen))
            t.read_until(lambda: len([c for c in daemon.calls if c["method"].endswith("GetDomain")]) == 2,
                         "a second look, after the events")  # fmt: skip
            p.send_signal(signal.SIGINT)
            t.finish(p)
            equal(p.returncode, 130)
            equal((t.row, len(t.screen)), (7, 8), "the lines stand, the cursor below them")
        finally:
            p.kill()
            p.wait()


@case(deadline=SECONDS)
def top_on_a_small_terminal_stays_inside_it():
    with server() as (_, path, _f):
        t = Terminal(4, 30)
        p = subprocess.Popen([CTL, "top", "web1", "--interval", "1", "--count", "2"], stdin=subprocess.DEVNULL,
                             stdout=t.slave, env=dict(environment(path), TERM="xterm"))  # fmt: skip
        t.finish(p)
        equal((p.returncode, len(t.screen)), (0, 4))
        matches("^web1 ", t.screen[1])


@case(deadline=SECONDS)
def top_says_how_many_do_not_fit():
    # Rows of the terminal, what is asked for, the beginnings of the lines that are there then.
    cases = (
        (4, [], ["DOMAIN", "web1", "db"]),
        (3, [], ["DOMAIN", "... 2 more"]),
        (8, ["web1"], ["DOMAIN", "web1", "  operation", "  vcpu 0", "  vcpu 1", "  vcpu 2", "  vcpu 3"]),
        (7, ["web1"], ["DOMAIN", "web1", "  operation", "  vcpu 0", "  vcpu 1", "... 2 more"]),
    )
    with server() as (_, path, _f):
        for rows, args, lines in cases:
            t = Terminal(rows, 80)
            p = subprocess.Popen([CTL, "top", *args, "--interval", "1", "--count", "1"], stdin=subprocess.DEVNULL,
                                 stdout=t.slave, env=dict(environment(path), TERM="xterm"))  # fmt: skip
            t.finish(p)
            shown = [line[: len(start)] for line, start in zip(t.screen, lines)]
            equal((p.returncode, shown, len(t.screen)), (0, lines, len(lines) + 1), t.screen)


if __name__ == "__main__":
    tap.main(before=why_not)
