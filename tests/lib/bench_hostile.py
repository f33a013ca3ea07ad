# SPDX-License-Identifier: LGPL-2.1-or-later
"""The section of tests/bench about one guest that means harm and another that does its work.

The hostile agent has one core of its own and floods its port in one way after the other; the measured
domain, QEMU on KVM with the tests' guest, and the daemon have the other. What the measured domain's
operations take is held against the same beside an agent that only spins on that core, in turns.
"""

import json
import os
import re
import time

from bench_rig import Varlink
from bench_stats import Row, quantile, single
from daemon import Daemon
from hostile import Flooder
from qtestvm import QtestVM
from witness import Meter

MODES = ("logs", "cpus", "steps", "dones", "ends", "names", "garbage", "sessions", "halves", "deaf", "empty",
         "damaged", "heads", "bytes", "replay", "storm")  # fmt: skip
SETTLE_S = 2.5  # the daemon finds it, and its burst
WORK = 0.25  # part of a turn in which the measured domain works; in the rest nothing is asked of the daemon


def pin(pid, cpu):
    """A process and its threads, those to come included."""
    for task in os.listdir("/proc/%d/task" % pid):
        os.sched_setaffinity(int(task), {cpu})


class Arena:
    """web2 at two vCPUs on one core; bad on real QEMU, whose agent is whatever meet() begins on the other."""

    def __init__(self):
        cpus = sorted(os.sched_getaffinity(0))
        self.theirs, self.ours = cpus[-1], cpus[0]
        os.sched_setaffinity(0, {self.ours})
        self.good, self.bad = QtestVM("web2"), QtestVM("bad", smp=2, agent=False)
        self.bad.agent_path = self.bad.path("flood")
        self.d = Daemon(self.good, others=(self.bad,))
        self.link = Varlink(self.d.socket)
        for pid in (self.good.process.pid, self.good.guest.agent.pid, self.bad.process.pid, self.d.process.pid):
            pin(pid, self.ours)
        self.d.wait_idle_online(1)
        self.move(2)

    def move(self, count):
        """Milliseconds."""
        start = time.monotonic()
        answer = self.link.call("SetVcpus", domain="web2", count=count, wait=True)[-1][0]
        assert '"done"' in json.dumps(answer), answer
        return (time.monotonic() - start) * 1000

    def meet(self, mode):
        flooder = Flooder(mode, self.bad.dir, self.theirs, self.bad.agent_path)
        time.sleep(SETTLE_S)
        return flooder

    def part(self, flooder):
        assert flooder.told()["sessions"], "the daemon never met it"
        os.unlink(flooder.path)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.d.close()
        self.bad.close()
        self.good.close()
        os.sched_setaffinity(0, {self.ours, self.theirs})


class Turns:
    """What was found: operations' ms beside the flood and beside the spinner, shares of a core by mode."""

    def __init__(self):
        self.flood, self.spin, self.shares, self.spent = [], [], {}, 0.0
        self.lines = self.grown_kib = 0


def turn(arena, mode, quiet, work, took):
    """Operations for @work seconds beside @mode, after @quiet without any: its share of a core there.

    Both as long beside the one as beside the other: after a rest operations take a third of what they
    take when one follows the other for long.
    """
    flooder = arena.meet(mode)
    meter = Meter(arena.d)
    time.sleep(quiet)
    share = meter.share()
    end = time.monotonic() + work
    while time.monotonic() < end:
        took.append(arena.move(3))
        took.append(arena.move(2))
    arena.part(flooder)
    return share


def run(seconds, length, say, modes=MODES):
    """@seconds of flood in turns of @length."""
    with Arena() as arena:
        found = Turns()
        work, quiet = length * WORK, length * (1 - WORK)
        turn(arena, "spin", 0, work, [])  # warms both sides up
        first = arena.d.status_field("VmRSS")
        for n in range(max(1, round(seconds / length))):
            mode = modes[n % len(modes)]
            say("%s for %.0f s (%d of %d)" % (mode, length, n + 1, round(seconds / length)))
            turn(arena, "spin", quiet, work, found.spin)
            meter = Meter(arena.d)
            found.shares.setdefault(mode, []).append(turn(arena, mode, quiet, work, found.flood))
            found.spent += time.monotonic() - meter.start
            found.grown_kib = max(found.grown_kib, arena.d.status_field("VmRSS") - first)
        found.lines = len(re.findall(r"^bad: ", arena.d.text(), re.M))
        return found


def rows(found):
    minutes = found.spent / 60
    worst = max(max(s) for s in found.shares.values())
    every = [100 * x for s in found.shares.values() for x in s]
    table = [
        Row("daemon beside a flood, of a core (worst %.1f)" % (100 * worst), "%", every, "< 5",
            "met" if worst < 0.05 else "missed"),
        single("daemon: resident growth", "MiB", [found.grown_kib / 1024], 4),
        single("lines about it in the log", "a minute", [found.lines / minutes], 10),
    ]  # fmt: skip
    for what, q in (("median", 0.5), ("p99", 0.99)):
        a, b = quantile(found.flood, q), quantile(found.spin, q)
        table.append(Row("another's operation, %s of %d" % (what, len(found.flood)), "ms", [a], "1.2 times",
                         "met" if a <= 1.2 * b else "missed", [b], [a / b]))  # fmt: skip
    return table


def hostile(options, say):
    found = run(options.seconds, min(40, options.seconds / 4), say)
    for mode, shares in found.shares.items():
        say("%s: %.1f %% of a core" % (mode, 100 * max(shares)))
    return rows(found), []

