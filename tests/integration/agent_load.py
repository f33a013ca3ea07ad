#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's load as the agent tells it: only when asked, of a fake root's files, and what is not
there as unknown."""

import os
import select
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))

import tap
import wire
from agentbed import ONLINE, RESTING, Bed
from tap import case, equal

ROOT = os.path.dirname(os.path.dirname(HERE))
AGENT = os.path.join(os.environ.get("VCPUHP_BUILD") or os.path.join(ROOT, "build"),
                     "guest-agent", "vcpuhp-agent-test")  # fmt: skip

NO_SHARE, NO_NUMBER, NO_TIME = 0xFFFF, 0xFFFFFFFF, (1 << 64) - 1
FILES = ("pressure/cpu", "loadavg", "stat")


class LoadBed(Bed):
    """Its kernel's files are kept open by the agent, so they are written in place."""

    def tell(self, name, text):
        path = self.path("proc", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # In one write: no reader sees half of it.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, text.ljust(os.fstat(fd).st_size, "\n").encode())
        os.close(fd)

    def pressure(self, avg10, avg60=0, total=0):
        self.tell("pressure/cpu", "some avg10=%.2f avg60=%.2f avg300=0.00 total=%d\n" % (avg10, avg60, total))

    def average(self, load1, running):
        self.tell("loadavg", "%.2f 0.50 0.25 %d/80 11206\n" % (load1, running))

    def times(self, **cpus):
        """Of each cpuN: (busy, idle, steal) in ticks."""
        rows = "".join("%s %d 0 0 %d 0 0 0 %d 0 0\n" % (name, busy, idle, steal)
                       for name, (busy, idle, steal) in cpus.items())  # fmt: skip
        self.tell("stat", "cpu  0 0 0 0 0 0 0 0 0 0\n" + rows + "intr 0\n")

    def reports(self):
        """[(the report, {cpu: its row})] so far."""
        found, rows = [], {}
        for r in self.records:
            if r["record"] == wire.LOAD_CPU:
                rows[r["cpu"]] = r
            elif r["record"] == wire.LOAD_ALL:
                found.append((r, rows))
                rows = {}
        return found

    def next_report(self):
        before = len(self.reports())
        self.wait(lambda: len(self.reports()) > before, what="a report")
        return self.reports()[-1]

    def open_files(self):
        folder = "/proc/%d/fd" % self.process.pid
        there = [os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder)]
        return [name for name in FILES if self.path("proc", name) in there]

    def rest(self):
        self.rests(0, ONLINE)
        self.wait(lambda: len(self.workers()) == RESTING, what="the workers")
        self.pump(0.2)


def sleeps(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("voluntary"))


@case()
def load_is_told_at_once_and_each_interval():
    with LoadBed(AGENT, boot=(1,)) as b:
        assert b.peer.hello["features"] & wire.FEATURE_LOAD
        b.pressure(42.1, 18.05, 123456789)
        b.average(5.12, 10)
        b.times(cpu0=(100, 100, 0), cpu1=(0, 0, 0))
        begin = time.monotonic()
        b.send(wire.LOAD, interval_ms=300)
        load, cpus = b.next_report()
        assert time.monotonic() - begin < 0.25, "the first report waited for its interval"
        equal([load[k] for k in ("span_ms", "avg10", "avg60", "total_us")], [0, 4210, 1805, 123456789])
        equal([load[k] for k in ("load1", "load5", "load15", "runnable")], [512, 50, 25, 9])
        equal({cpu: (r["busy"], r["steal"]) for cpu, r in cpus.items()}, dict.fromkeys((0, 1), (NO_SHARE, NO_SHARE)))
        b.times(cpu0=(175, 100, 25), cpu1=(1, 3, 0))
        load, cpus = b.next_report()
        assert 250 <= load["span_ms"] < 600, load
        equal({cpu: (r["busy"], r["steal"]) for cpu, r in cpus.items()}, {0: (750, 250), 1: (250, 0)})
        for _ in range(4):
            b.next_report()
        took = time.monotonic() - begin
        assert 1.4 <= took < 3, "six reports of 300 ms in %.2f s" % took


@case()
def a_cpu_that_came_online_has_no_share_yet():
    with LoadBed(AGENT, boot=(1,)) as b:
        b.times(cpu0=(0, 0, 0))
        b.send(wire.LOAD, interval_ms=150)
        b.next_report()
        b.times(cpu0=(1, 1, 0), cpu1=(900, 100, 0))
        equal({cpu: r["busy"] for cpu, r in b.next_report()[1].items()}, {0: 500, 1: NO_SHARE})
        b.times(cpu0=(2, 1, 0), cpu1=(900, 200, 0))
        equal({cpu: r["busy"] for cpu, r in b.next_report()[1].items()}, {0: 1000, 1: 0})
        # Away for one report, it begins anew.
        b.times(cpu0=(3, 1, 0))
        equal(list(b.next_report()[1]), [0])
        b.times(cpu0=(4, 1, 0), cpu1=(900, 300, 0))
        equal({cpu: r["busy"] for cpu, r in b.next_report()[1].items()}, {0: 1000, 1: NO_SHARE})


@case()
def without_psi_pressure_is_unknown_and_the_rest_is_told():
    with LoadBed(AGENT) as b:
        b.average(1, 2)
        b.send(wire.LOAD, interval_ms=100)
        load, cpus = b.next_report()
        equal((load["avg10"], load["avg60"], load["total_us"]), (NO_SHARE, NO_SHARE, NO_TIME))
        equal((load["load1"], load["runnable"], cpus), (100, 1, {}))
        # Nor is anything made of a file that says something else.
        b.tell("pressure/cpu", "some avg10=1e3 avg60=0.00 avg300=0.00 total=1\n")
        b.tell("loadavg", "?" * 40)
        load, _ = b.next_report()
        equal((load["avg10"], load["load1"], load["runnable"]), (NO_SHARE, NO_NUMBER, NO_NUMBER))


@case()
def no_wakeups_and_nothing_open_unless_asked():
    with LoadBed(AGENT) as b:
        b.pressure(1)
        b.average(1, 1)
        b.times(cpu0=(0, 0, 0))
        b.rest()
        equal(b.open_files(), [])
        before = sleeps(b.process.pid)
        b.pump(0.5)
        equal(sleeps(b.process.pid), before)
        b.send(wire.LOAD, interval_ms=100)
        b.wait(lambda: len(b.reports()) >= 5, what="reports")
        equal(b.open_files(), list(FILES))
        took = sleeps(b.process.pid) - before
        told = len(b.reports())
        print("# %d wakeups for %d reports and two requests" % (took, told), flush=True)
        assert took <= told + 3, (took, told)
        b.send(wire.LOAD, interval_ms=0)
        b.rest()
        equal(b.open_files(), [])
        told, before = len(b.reports()), sleeps(b.process.pid)
        b.pump(0.5)
        equal((len(b.reports()), sleeps(b.process.pid)), (told, before))


@case()
def the_interval_ends_with_the_session():
    with LoadBed(AGENT) as b:
        b.average(1, 1)
        b.send(wire.LOAD, interval_ms=100)
        b.next_report()
        b.connect()  # another host, or the same one after its own restart
        b.rest()
        equal((b.reports(), b.open_files()), ([], []))
        before = sleeps(b.process.pid)
        b.pump(0.5)
        equal((b.reports(), sleeps(b.process.pid)), ([], before))


@case()
def a_host_that_asks_again_and_again_is_told_once_a_second():
    with LoadBed(AGENT) as b:
        b.average(1, 1)
        b.times(cpu0=(1, 1, 0))
        begin = time.monotonic()
        for _ in range(200):
            b.send(wire.LOAD, interval_ms=1000)
            b.send(wire.LOAD, interval_ms=0)
            b.pump(0.01)
        b.send(wire.LOAD, interval_ms=1000)
        b.next_report()
        took = time.monotonic() - begin
        print("# %d reports in %.1f s" % (len(b.reports()), took), flush=True)
        assert 1 <= len(b.reports()) <= took + 1, len(b.reports())
        # Each is a first one.
        equal({(load["span_ms"], cpus[0]["busy"]) for load, cpus in b.reports()}, {(0, NO_SHARE)})


@case()
def another_interval_counts_from_the_last_report():
    with LoadBed(AGENT) as b:
        b.average(1, 1)
        b.send(wire.LOAD, interval_ms=86400000)
        b.next_report()
        begin = time.monotonic()
        b.send(wire.LOAD, interval_ms=300)
        load, _ = b.next_report()
        assert time.monotonic() - begin < 1, "it waited for the day to end"
        assert load["span_ms"] < 1000, load
        # Below the least it is the least.
        b.send(wire.LOAD, interval_ms=1)
        begin = time.monotonic()
        for _ in range(5):
            b.next_report()
        assert time.monotonic() - begin > 0.35


@case()
def a_host_that_does_not_read_costs_reports_alone():
    """The queue holds what fits; later the reports go on, and nothing else was lost."""
    with LoadBed(AGENT, possible=1024) as b:
        b.times(**{"cpu%d" % n: (1, 1, 0) for n in range(1024)})
        b.send(wire.LOAD, interval_ms=100)
        b.next_report()
        select.select([], [], [], 1.5)
        begin = time.monotonic()
        while b.pump(0.02):
            pass
        kept = len(b.reports())
        assert kept < 12, "%d reports were kept" % kept
        assert time.monotonic() - begin < 2
        equal(len(b.next_report()[1]), 1024)
        equal([r for r in b.of(wire.LOG) if "dropped" in r["text"]], [])
        equal(b.kick(1, ONLINE)["rc"], 0)


if __name__ == "__main__":
    tap.main()
