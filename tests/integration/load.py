#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's load through a real daemon and a real agent on a folder for /: told while somebody wants
it and no longer, what is not there as null, and nothing a guest makes up."""

import contextlib
import select
import sys
import threading
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import badinputs as table
import tap
import wire
from bench_rig import wakeups
from daemon import Daemon
from hostile import HostileAgent
from qtestvm import QtestVM, why_not
from scene import done
from tap import case, equal
from vm import wait_for
from witness import Control, Meter, Witness

PSI = "some avg10=42.10 avg60=18.05 avg300=1.00 total=123456789\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
AVERAGE = "5.12 2.56 1.28 10/80 11206\n"
STAT = "cpu  1 0 0 1 0 0 0 0 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\nintr 0\n"
FILES = {"/proc/pressure/cpu": (0o644, PSI), "/proc/loadavg": (0o644, AVERAGE), "/proc/stat": (0o644, STAT)}


class LoadScene:
    def __init__(self, files=None, **keys):
        self.vm = QtestVM(files=FILES if files is None else files)
        try:
            self.d = Daemon(self.vm, **keys)
            self.d.wait_idle_online(1)
        except BaseException:
            self.vm.close()
            raise

    def __enter__(self):
        return self.vm, self.d

    def __exit__(self, *exc):
        self.d.close()
        self.vm.close()


def events(d, *args):
    a = d.ctl("events", "web1", *args, "--timeout", "20")
    equal(a.exit, 0, a)
    return [e for e in a.lines if e["type"] == "load"]


def sleeps(vm, seconds):
    """How often the agent was woken in @seconds."""
    before = wakeups(vm.guest.agent.pid)
    d = Control(vm.path("control"))
    assert d.is_silent(seconds)
    d.close()
    return wakeups(vm.guest.agent.pid) - before


def is_left_alone(vm):
    """It is woken once more to be told, which the daemon says of itself before that has come."""
    wait_for(lambda: sleeps(vm, 0.3) == 0, 5, "an agent at rest")
    equal(sleeps(vm, 1.5), 0, "wakeups of an agent that nobody asks")


@case()
def load_is_told_while_a_client_watches_and_no_longer():
    with LoadScene() as (vm, d):
        equal((d.info()["load"], d.info()["load_why"]), (None, "nobody has asked for it (LoadIntervalSec=)"))
        wait_for(lambda: sleeps(vm, 0.3) == 0, 5, "an agent at rest")
        first, second = events(d, "--load", "--interval", "1", "--count", "2")
        load = first["load"]
        equal(load["pressure"], {"avg10": 42.1, "avg60": 18.05, "total_us": 123456789})
        equal((load["average"], load["runnable"]), ([5.12, 2.56, 1.28], 9))
        equal((load["span_ms"], load["busy"], load["cpus"]),
              (0, None, [{"vcpu": 0, "cpu": 0, "busy": None, "steal": None}]))  # fmt: skip
        assert 900 <= second["load"]["span_ms"] < 5000, second
        wait_for(lambda: d.info()["load"] is None, 5, "the end of it")
        is_left_alone(vm)


@case()
def one_client_after_the_other_and_two_at_a_time():
    with LoadScene() as (vm, d):
        slow = d.begin("events", "web1", "--load", "--interval", "3600")
        slow.until('"load":{')
        fast = events(d, "--load", "--interval", "1", "--count", "2")
        equal(len(fast), 2)
        wait_for(lambda: sleeps(vm, 1.2) == 0, 10, "an agent that sleeps for an hour")
        assert d.info()["load"], "the one who wants it rarely still has it"
        slow.interrupt()
        equal(slow.wait().exit, 130)
        wait_for(lambda: d.info()["load"] is None, 5, "the end of it")


@case()
def the_configuration_wants_it_too_and_a_reload_ends_that():
    with LoadScene(daemon={"LoadIntervalSec": 1}) as (vm, d):
        wait_for(lambda: d.info()["load"], 5, "a load that nobody watches")
        equal(d.ctl("host").result["config"]["load_interval_ms"], 1000)
        equal([e["type"] for e in d.ctl("events", "web1", "--timeout", "2.5").lines], [], "events of who did not ask")
        line = d.ctl("-q", "top", "web1", "--interval", "1", "--count", "1", json_output=False).out.split()
        equal(line[:7] + line[9:], ["web1", "running", "8", "1", "1", "0", "0", "42.1", "18.05", "5.12", "9", "-"])
        with open(d.config, "a", encoding="utf-8") as f:
            f.write("LoadIntervalSec=0\n")  # of the domain's section, the last
        d.process.kill(1)
        wait_for(lambda: d.info()["load"] is None, 5, "the end of it")
        is_left_alone(vm)


@case()
def what_a_kernel_does_not_tell_is_null():
    with LoadScene(files={}) as (_vm, d):
        load = events(d, "--load", "--count", "1")[0]["load"]
        equal([load[k] for k in ("pressure", "average", "runnable", "busy", "steal", "cpus")], [None] * 5 + [[]])
        line = d.ctl("-q", "top", "--interval", "1", "--count", "1", json_output=False).out.split()
        equal(line[7:], ["-"] * 7)


@case()
def an_agent_that_comes_back_is_asked_again():
    with LoadScene(daemon={"LoadIntervalSec": 1}) as (vm, d):
        wait_for(lambda: d.info()["load"], 5, "the load")
        vm.guest.stop_agent(9)
        wait_for(lambda: d.info()["load"] is None, 5, "none")
        # QEMU keeps the connection of a port that the guest has closed.
        equal(d.info()["load_why"], "the guest has not told it for long")
        vm.guest.start_agent()
        wait_for(lambda: d.info()["load"], 10, "the load of the next one")


def come_and_go(vm, witness, times):
    """A client that begins to watch and leaves, again and again."""
    for _ in range(times):
        c = Control(vm.path("control"))
        c.send(table.call("Events", {"more": True}, domain="web1", load_ms=1000))
        witness.control.ask("GetHost")
        c.close()


@case()
def clients_that_come_and_go_cost_neither_the_agent_nor_operations():
    with LoadScene() as (vm, d):
        witness = Witness(vm, d)
        before, begin = witness.metric("frames_received"), time.monotonic()
        change = d.begin("setvcpus", "web1", 4)
        come_and_go(vm, witness, 500)
        equal(change.wait().exit, 0)
        done(d.setvcpus(5))
        took, frames = time.monotonic() - begin, witness.metric("frames_received") - before
        print("# 500 clients in %.1f s: %d frames of the agent's" % (took, frames), flush=True)
        assert frames < 40 + 5 * took, frames
        equal(witness.metric("throttled"), 0)
        wait_for(lambda: d.info()["load"] is None, 5, "the end of it")
        is_left_alone(vm)


@case()
def load_goes_on_while_vcpus_come():
    """A report that came after they did names them."""
    stat = "cpu  4 0 0 4 0 0 0 0 0 0\n" + "".join("cpu%d 1 0 0 1 0 0 0 0 0 0\n" % n for n in range(4))
    with LoadScene(files=dict(FILES, **{"/proc/stat": (0o644, stat)}), daemon={"LoadIntervalSec": 1}) as (_vm, d):

        def told(since, vcpus):
            asked = time.monotonic()
            load = d.info()["load"]
            return load and load["age_ms"] / 1000 < asked - since and [c["vcpu"] for c in load["cpus"]] == vcpus

        wait_for(lambda: told(0, [0]), 5, "the load")
        done(d.setvcpus(4))
        came = time.monotonic()
        wait_for(lambda: told(came, [0, 1, 2, 3]), 5, lambda: "a load of after they came: %s" % d.info()["load"])


class LoadLiar(HostileAgent):
    """An agent of this version that tells no load but the test's. .asked: the intervals it was asked for."""

    features = wire.FEATURE_HOTPLUG | wire.FEATURE_LOAD

    def __init__(self, path):
        self.asked = []
        super().__init__(path)

    def new_peer(self, boot=1):
        peer = HostileAgent.new_peer(boot)
        peer.greeting = lambda: peer.bytes_for(wire.HELLO, wire.encode(
            wire.HELLO, version_min=1, version_max=1, features=self.features, possible=8,
            session=peer.mine, peer=peer.other, boot_id=bytes([boot] * 16)))  # fmt: skip
        return peer

    def _answer(self, kind, values):
        if kind == wire.LOAD:
            self.asked.append(values["interval_ms"])
        return super()._answer(kind, values)

    def report(self, *records):
        with self.lock:
            self.sock.sendall(self.peer.bytes_for(wire.REPORT, table.report(*records)))


ALL = {"span_ms": 1000, "avg10": 100, "avg60": 200, "total_us": 3, "load1": 100, "load5": 200, "load15": 300, "runnable": 4}
UNKNOWN = {"span_ms": 0, "avg10": 0xFFFF, "avg60": 0xFFFF, "total_us": (1 << 64) - 1, "load1": 0xFFFFFFFF,
           "load5": 0xFFFFFFFF, "load15": 0xFFFFFFFF, "runnable": 0xFFFFFFFF}  # fmt: skip


class LyingScene:
    def __init__(self, liar, **keys):
        self.vm = QtestVM(agent=False, smp=2)
        path = self.vm.path("liar")
        self.d = Daemon(self.vm, domain={"Agent": path}, **keys)
        self.agent = liar(path)
        self.agent.greet()
        self.d.wait_agent()

    def __enter__(self):
        return self.d, self.agent

    def __exit__(self, *exc):
        self.d.close()
        self.vm.close()


def row(cpu, busy=500, steal=0):
    return wire.LOAD_CPU, {"cpu": cpu, "busy": busy, "steal": steal}


@case()
def what_a_guest_makes_up_is_dropped_or_bounded():
    with LyingScene(LoadLiar) as (d, agent):
        events = d.begin("events", "web1", "--load", "--interval", "1")  # the journal is told ten lines a minute
        wait_for(lambda: agent.asked, 5, "the request")

        def told(*records):
            told.n += 1
            agent.report(*records, (wire.LOG, {"level": 6, "text": "that was %d" % told.n}))
            events.until("that was %d" % told.n, 5)
            return d.info()["load"]

        def told_later(*records):
            select.select([], [], [], 0.3)  # one that follows at once is passed over
            return told(*records)

        told.n = 0
        load = told(row(0), row(1, 1000, 1000), row(4095), row(5), row(0xFFFF), (wire.LOAD_ALL, ALL))
        equal([(c["vcpu"], c["busy"], c["steal"]) for c in load["cpus"]], [(0, 50.0, 0.0), (1, 100.0, 100.0)])
        equal((load["busy"], load["pressure"]["avg10"], load["average"]), (75.0, 1.0, [1.0, 2.0, 3.0]))
        huge = dict(ALL, span_ms=0xFFFFFFFF, avg10=10000, total_us=(1 << 63) - 1, load1=0xFFFFFFFE, runnable=0xFFFFFFFE)
        load = told_later((wire.LOAD_ALL, huge))
        equal((load["pressure"]["avg10"], load["pressure"]["total_us"]), (100.0, (1 << 63) - 1))
        equal((load["runnable"], load["cpus"], load["busy"]), (0xFFFFFFFE, [], None))
        load = told_later((wire.LOAD_ALL, UNKNOWN))
        equal([load[k] for k in ("pressure", "average", "runnable")], [None] * 3)
        # Out of range: the report is dropped whole, with the good load in it and the line behind it.
        before = load
        for bad in (row(0, 1001), row(0, 0, 0xFFFE), (wire.LOAD_ALL, dict(ALL, avg10=10001)),
                    (wire.LOAD_ALL, dict(ALL, total_us=1 << 63))):  # fmt: skip
            select.select([], [], [], 0.3)  # so that nothing else keeps it out
            agent.report(bad, (wire.LOAD_ALL, ALL), (wire.LOG, {"level": 6, "text": "never"}))
            load = told()
            assert load["age_ms"] >= before["age_ms"], "an old word is new: %s" % load
            equal(dict(load, age_ms=0), dict(before, age_ms=0), bad)
            before = load
        events.interrupt()
        assert all("never" not in str(e) for e in events.wait().lines)


@case()
def a_guest_that_tells_its_load_all_the_time_is_heard_at_its_pace():
    with LyingScene(LoadLiar) as (d, agent):
        watching = d.begin("events", "web1", "--load", "--interval", "1")
        wait_for(lambda: agent.asked, 5, "the request")
        for _ in range(100):
            agent.report(*[(wire.LOAD_ALL, ALL)] * 90)
        agent.report((wire.LOG, {"level": 6, "text": "that was all"}))
        watching.until("that was all", 30)
        watching.interrupt()
        told = [e for e in watching.wait().lines if e["type"] == "load"]
        print("# of 9000 reports %d were told" % len(told), flush=True)
        assert 1 <= len(told) <= 30, len(told)
        wait_for(lambda: agent.asked[-1] == 0, 5, "the end of it")
        # And what comes unasked is no word.
        agent.report((wire.LOAD_ALL, ALL))
        equal(d.info()["load"], None)


@case()
def a_flood_of_loads_costs_the_daemon_and_those_who_watch_little():
    with LyingScene(LoadLiar) as (d, agent):
        watching = [d.begin("events", "web1", "--load", "--interval", "1") for _ in range(4)]
        wait_for(lambda: agent.asked, 5, "the request")

        def flood():
            with contextlib.suppress(OSError):
                while True:
                    agent.report(*[row(n % 2, n, n) for n in range(300)], *[(wire.LOAD_ALL, ALL)] * 35)

        threading.Thread(target=flood, daemon=True).start()
        select.select([], [], [], 0.5)  # the burst that is anybody's
        meter = Meter(d)
        select.select([], [], [], 3)
        equal(meter.breach(), "")
        for w in watching:
            w.interrupt()
        told = [len([e for e in w.wait().lines if e["type"] == "load"]) for w in watching]
        assert all(3 <= n <= 4 * 6 for n in told), told


class OldAgent(LoadLiar):
    features = wire.FEATURE_HOTPLUG


@case()
def an_agent_of_before_is_not_asked_and_says_so():
    with LyingScene(OldAgent, daemon={"LoadIntervalSec": 1}) as (d, agent):
        watching = d.begin("top", "web1", "--interval", "1", "--count", "1")
        equal(watching.wait().lines[-1]["load"], None)
        equal(d.info()["load_why"], "the guest's agent is of a version that does not tell it")
        equal(agent.asked, [])


if __name__ == "__main__":
    tap.main(before=why_not)
