# SPDX-License-Identifier: LGPL-2.1-or-later
"""The section of tests/bench about one guest that means harm and another that does its work.

The hostile agent has one core of its own and floods its port; the measured domain, QEMU on KVM with the
tests' guest, and the daemon have the other. What the measured domain's operations take is held against
the same beside an agent that only spins on that core: first in pairs of turns, one for each way of
flooding, then beside one peer that floods for as long as is asked in the way that was the dearest.
"""

import json
import os
import re
import statistics
import time

from bench_rig import Varlink
from bench_stats import Row, quantile
from daemon import Daemon
from hostile import Flooder
from qmp import wait_for
from qtestvm import QtestVM
from witness import Meter

MODES = ("logs", "cpus", "steps", "dones", "ends", "names", "garbage", "sessions", "halves", "deaf", "empty",
         "damaged", "heads", "bytes", "replay", "storm")  # fmt: skip
ANSWERS_ONLY = {"deaf", "storm"}  # they write next to nothing of their own
SETTLE_S = 2.5  # the daemon finds it, and its burst
FORGIVEN_S = 120  # at most
QUIET_S = 7.5  # of a turn, in which nothing is asked of the daemon
PAIRS = 30  # adds and removals of the measured domain in a turn: what its own guest may say by then, and no more
BASE = 0.25  # of the long flood is what its baseline takes
TIMES = 1.2
MORE = 5  # pairs of turns where the first looks bad; all count


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
        self.forgive()
        flooder = Flooder(mode, self.bad.dir, self.theirs, self.bad.agent_path)
        time.sleep(SETTLE_S)
        return flooder

    def forgive(self):
        """Until the daemon listens to the guest again: it pays for what it wrote, who else may speak next."""
        with Flooder("spin", self.bad.dir, self.theirs, self.bad.agent_path) as sound:
            wait_for(self.hears, FORGIVEN_S, "the daemon to listen to the guest again")
        os.unlink(sound.path)

    def hears(self):
        return self.link.call("GetDomain", domain="bad")[-1][0]["info"]["agent"]["connected"]

    def part(self, flooder, mode):
        told = flooder.told()
        assert told["sessions"], "the daemon never met it"
        assert mode == "spin" or mode in ANSWERS_ONLY or told["written"] > 1000, "%s wrote %d bytes" % (
            mode, told["written"])  # fmt: skip
        os.unlink(flooder.path)

    def works(self, took):
        """After a rest, for without one the daemon throttles the measured domain's own guest."""
        for _ in range(PAIRS):
            took["add"].append(self.move(3))
            took["removal"].append(self.move(2))

    def lines(self):
        return len(re.findall(r"^bad: ", self.d.text(), re.M))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.d.close()
        self.bad.close()
        self.good.close()
        os.sched_setaffinity(0, {self.ours, self.theirs})


class Turns:
    """What was found: shares of a core and the medians' ratio by mode, operations' ms of the long flood and
    of its baseline by kind, lines a minute."""

    def __init__(self):
        self.shares, self.ratios, self.flood, self.spin = {}, {}, {}, new_times()
        self.dearest, self.lines, self.minutes, self.grown_kib = "", 0.0, 0.0, 0


def new_times():
    return {"add": [], "removal": []}


def turn(arena, mode, took, quiet, seconds=0):
    """Beside @mode, for @seconds or once; @took gets the operations' ms. Returns shares of a core while
    nothing was asked of the daemon."""
    end = time.monotonic() + seconds
    meter = Meter(arena.d)
    flooder = arena.meet(mode)
    shares = []
    while not shares or time.monotonic() < end:
        time.sleep(quiet)
        shares.append(meter.share())
        arena.works(took)
        meter = Meter(arena.d)
    arena.part(flooder, mode)
    return shares


def pair_of_turns(arena, found, took, first, mode, quiet):
    for who in (first, mode if first == "spin" else "spin"):
        shares = turn(arena, who, took[who], quiet)
        if who == mode:
            found.shares[mode] = max(found.shares.get(mode, 0), *shares)
    found.ratios[mode] = max(statistics.median(took[mode][kind]) / statistics.median(took["spin"][kind])
                             for kind in took[mode])  # fmt: skip


def try_mode(arena, found, n, mode, quiet, more=MORE):
    """A pair of turns, and @more where it says that the others suffer, however those come out: of a few
    operations' times the medians differ by a third from turn to turn."""
    took = {mode: new_times(), "spin": new_times()}
    order = (mode, "spin") if n % 2 else ("spin", mode)
    pair_of_turns(arena, found, took, order[0], mode, quiet)
    if found.ratios[mode] > TIMES:
        for again in range(more):
            pair_of_turns(arena, found, took, order[(again + 1) % 2], mode, quiet)


def run(seconds, say, modes=MODES, quiet=QUIET_S, more=MORE):
    with Arena() as arena:
        found = Turns()
        turn(arena, "spin", new_times(), quiet)  # warms both sides up
        first = arena.d.status_field("VmHWM")
        for n, mode in enumerate(modes):
            try_mode(arena, found, n, mode, quiet, more)
            say("%s: %.1f %% of a core, others %.2f times" % (mode, 100 * found.shares[mode], found.ratios[mode]))
        found.dearest = max(found.shares, key=found.shares.get)
        say("%s for %d s" % (found.dearest, seconds))
        turn(arena, "spin", found.spin, quiet, seconds * BASE / 2)
        start, lines, found.flood = time.monotonic(), arena.lines(), new_times()
        shares = turn(arena, found.dearest, found.flood, quiet, seconds)
        found.minutes = (time.monotonic() - start) / 60
        found.lines = (arena.lines() - lines) / found.minutes
        turn(arena, "spin", found.spin, quiet, seconds * BASE / 2)
        found.shares[found.dearest] = max(found.shares[found.dearest], statistics.mean(shares))
        found.grown_kib = arena.d.status_field("VmHWM") - first
        return found


def limit(what, unit, value, most):
    return Row(what, unit, [value], "<= %g" % most, "met" if value <= most else "missed")


def beside(found, name, kind, what, q):
    a, b = quantile(found.flood[kind], q), quantile(found.spin[kind], q)
    return Row("another's %s, %s of %d" % (name, what, len(found.flood[kind])), "ms", [a], "%g times" % TIMES,
               "met" if a <= TIMES * b else "missed", [b], [a / b])  # fmt: skip


def rows(found, seconds):
    slowest = max(found.ratios, key=found.ratios.get)
    dearest = max(found.shares, key=found.shares.get)
    table = [
        limit("daemon beside the dearest flood (%s), of a core" % dearest, "%", 100 * found.shares[dearest], 5),
        limit("daemon: growth of its peak", "MiB", found.grown_kib / 1024, 4),
        limit("lines about it in the log", "a minute", found.lines, 10),
        limit("another's operations, median beside the worst flood of %d (%s)" % (len(found.ratios), slowest),
              "times", found.ratios[slowest], TIMES),
    ]  # fmt: skip
    for kind in found.flood:
        for what, q in (("median", 0.5), ("p99", 0.99)):
            table.append(beside(found, "%s beside %d s of %s" % (kind, seconds, found.dearest), kind, what, q))
    return table


def hostile(options, say):
    return rows(run(options.seconds, say), options.seconds), {}
