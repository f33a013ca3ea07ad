#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One daemon with 64 domains: killed while many of them change, at work for long, weighed, and idle.

The domains are the simulation's (tests/sim/serve.c), behind real sockets and in real time, so that what
is measured here is the daemon's. VCPUHP_SOAK=N makes the soak N operations long, VCPUHP_SEED=N has other
domains change when it is killed.
"""

import contextlib
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from bench_idle import Lone
from bench_rig import Varlink, cpu_time_ms, private_kib_of, wakeups
from daemon import Daemon
from simfleet import SLOTS, SimDomain, SimFleet, agrees, ask, is_known, linked, summaries, why_not
from tap import case, equal
from vm import wait_for

DOMAINS = 64
BUSY = 24  # of them, in each round
SANITIZED = "ASAN_OPTIONS" in os.environ
KILLS = 3 if SANITIZED else 10
SLOW = 3 if SANITIZED else 1
MUTES = ("stop", "greet", "agent")
TERMINAL = ("done", "failed", "partial", "refused", "pending", "cancelled", "stuck")

HIGH = 3  # vCPUs online, at most, in the soak
CLIENTS = 32
KEPT = 64  # results that the daemon remembers of each domain
SOAK = 2048
LONG_SOAK = 40960
GROWTH_KIB = 128
# With the steps and all the results that are kept of it, of so many vCPUs each.
DOMAIN_KIB = {2: 256, 7: 304}
CPU_MS = 1  # for each vCPU moved

IDLE_S = 16
IDLE_WAKEUPS = 1  # a second
TICK_S = 5  # at most between two of the daemon's looks at all domains

# Milliseconds from the daemon's start.
CONTROL_MS, FIRST_MS, ALL_MS = 200, 1000, 3000


def not_sanitized():
    if SANITIZED:
        raise tap.Skip("a sanitizer's daemon is no measure")


def all_known(link, fleet):
    seen = summaries(link)
    return all(is_known(seen[domain.name]) for domain in fleet.domains)


@contextlib.contextmanager
def scene(absent=0):
    """A daemon that knows all its domains, but for those that are not there."""
    with SimFleet(DOMAINS - absent) as fleet:
        others = [SimDomain(fleet, DOMAINS - 1 - i) for i in range(absent)]
        with Daemon(fleet.domains[0], others=fleet.domains[1:] + others) as d:
            with linked(d.socket) as link:
                wait_for(lambda: all_known(link, fleet), 20, "all domains", pause=0.1)
            yield fleet, d


class Begun:
    """An operation that was accepted, in a daemon that is about to die."""

    def __init__(self, link, domain, op, count):
        self.domain, self.op, self.count = domain, op, count
        self.word = ask(link, "SetVcpus", domain=domain.name, count=count, op=op, wait=False)["result"]["result"]

    def is_over(self, link):
        """Whether it has ended; it may be nothing but under way or ended."""
        r = ask(link, "GetOperation", op=self.op)["result"]
        assert r["result"] in ("accepted", *TERMINAL), "%s" % r
        return r["result"] != "accepted"

    def check_result(self, link):
        r = ask(link, "GetOperation", op=self.op)["result"]
        # A removal is over when QEMU's slots are empty, whether or not the agent has spoken again.
        begun = r["result"] == "done" and r["online"] in (self.count, None)
        not_begun = r["result"] == "failed" and r["error"] == "daemon restarted" and not r["vcpus"]
        assert begun or not_begun, "%s" % r
        return r["result"]


def disagreement(link, fleet, mute):
    """A domain that the daemon does not tell as it is, or None."""
    truth = fleet.truth()
    for domain in fleet.domains:
        if domain is not mute:
            info = ask(link, "GetDomain", domain=domain.name)["info"]
            if not agrees(info, truth[domain.name]):
                return "%s: %s, but %s" % (domain.name, info, truth[domain.name])
    return None


class Restart:
    """A daemon that is started, and how long all takes: .control, .first, .all, in milliseconds."""

    def __init__(self, fleet, d, mute, begun):
        self.fleet, self.d, self.mute, self.begun = fleet, d, mute, begun
        self.began = time.monotonic()
        d.launch()
        wait_for(d.listens, 10, "the control socket", pause=0.002)
        with linked(d.socket) as link:
            seen = summaries(link)
            self.control = self._ms()
            while not any(is_known(s) for s in self._healthy(seen)):
                seen = self._again(link)
            self.first = self._ms()
            while not all(is_known(s) for s in self._healthy(seen)):
                seen = self._again(link)
            wait_for(lambda: all(b.is_over(link) for b in begun if b.domain is not mute), 10, "all results", pause=0.02)
            wait_for(lambda: disagreement(link, fleet, mute) is None, 10,
                     lambda: disagreement(link, fleet, mute), pause=0.02)  # fmt: skip
            self.all = self._ms()
            self._look_at_mute(link)

    def _ms(self):
        return (time.monotonic() - self.began) * 1000

    def _healthy(self, seen):
        return [s for name, s in seen.items() if name != self.mute.name]

    def _again(self, link):
        assert self._ms() < 20000, "not all domains are known: %s" % [
            s for s in summaries(link).values() if not is_known(s)]  # fmt: skip
        time.sleep(0.01)
        return summaries(link)

    def _look_at_mute(self, link):
        """What cannot be known is not told, and what was accepted there is not lost."""
        info = ask(link, "GetDomain", domain=self.mute.name)["info"]
        assert info["online"] is None and not (info["agent"] or {}).get("connected"), "%s" % info
        for b in self.begun:
            if b.domain is self.mute:
                b.is_over(link)


def one_kill(fleet, d, rng, number):
    how = MUTES[number % len(MUTES)]
    chosen = rng.sample(fleet.domains, BUSY)
    mute = chosen[0]
    with linked(d.socket) as link:
        begun = [Begun(link, domain, "op-%d-%s" % (number, domain.name), rng.randint(1, SLOTS)) for domain in chosen]
        time.sleep(rng.uniform(0, 0.15))
        under_way = sum(not b.is_over(link) for b in begun)
    fleet.mute(mute, how)
    d.stop(signal.SIGKILL)
    took = Restart(fleet, d, mute, begun)
    fleet.heal(mute)
    with linked(d.socket) as link:
        wait_for(lambda: all(b.is_over(link) for b in begun), 20, "the mute domain's result", pause=0.05)
        wait_for(lambda: disagreement(link, fleet, None) is None, 20,
                 lambda: disagreement(link, fleet, None), pause=0.1)  # fmt: skip
        words = [b.check_result(link) for b in begun]
    print("# %-5s %2d under way, %2d done: control %3.0f ms, the first domain %3.0f ms, all %4.0f ms" % (
        how, under_way, words.count("done"), took.control, took.first, took.all), flush=True)  # fmt: skip
    return took, under_way


def figures(what, values, bound):
    bound *= SLOW
    print("# %s: median %.0f ms, at most %.0f ms (may be %d ms)" % (
        what, statistics.median(values), max(values), bound), flush=True)  # fmt: skip
    assert max(values) <= bound, "%s: %s" % (what, ["%.0f ms" % v for v in values])


@case(deadline=240)
def domains_64_one_of_them_mute_are_known_again_3_s_after_a_kill():
    rng = random.Random(int(os.environ.get("VCPUHP_SEED", "1")))
    with scene() as (fleet, d):
        kills = [one_kill(fleet, d, rng, i) for i in range(KILLS)]
    took = [k[0] for k in kills]
    assert sum(k[1] for k in kills) >= KILLS * BUSY // 4, "too few operations were under way: %s" % kills
    figures("the control socket answers", [t.control for t in took], CONTROL_MS)
    figures("the first domain", [t.first for t in took], FIRST_MS)
    figures("all but the mute one", [t.all for t in took], ALL_MS)


class Clients:
    """Connections, each of which takes its share of the domains through one operation after another."""

    def __init__(self, d, fleet, n, high=HIGH):
        self.high = high
        self.links = [Varlink(d.socket) for _ in range(n)]
        for link in self.links:
            ask(link, "GetHost")  # then the daemon has taken the connection, and its descriptor counts
        self.shares = [fleet.domains[i::n] for i in range(n)]
        self.failed = []

    def _turn(self, link, domain):
        for count in (self.high, 1):
            r = ask(link, "SetVcpus", domain=domain.name, count=count)["result"]
            got = (r["result"], r["present"], r["online"], len(r["vcpus"]))
            assert got == ("done", count, count, self.high - 1), "%s" % r

    def _client(self, link, share, turns):
        try:
            for _ in range(turns):
                for domain in share:
                    if self.failed:
                        return
                    self._turn(link, domain)
        except Exception as e:
            self.failed.append("%s: %s" % (type(e).__name__, e))

    def run(self, turns):
        """So many adds and removals in each domain. Return: vCPUs moved."""
        threads = [threading.Thread(target=self._client, args=(link, share, turns))
                   for link, share in zip(self.links, self.shares)]  # fmt: skip
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not self.failed, self.failed[0]
        return DOMAINS * turns * 2 * (self.high - 1)

    def close(self):
        for link in self.links:
            link.close()


class Weight:
    """What the daemon weighs, and the CPU time that it has taken."""

    def __init__(self, d):
        pid = d.process.pid
        self.private = private_kib_of(pid)
        self.counts = (d.descriptors(), d.status_field("Threads"))
        self.cpu_ms = cpu_time_ms(pid)
        self.at = time.monotonic()

    def __repr__(self):
        return "%d KiB, %d descriptors, %d threads" % (self.private, *self.counts)


def soak(wanted):
    """@wanted operations in two halves, when as many results are kept as ever will be."""
    turns = max(1, wanted // DOMAINS // 4)
    with scene() as (fleet, d), contextlib.closing(Clients(d, fleet, CLIENTS)) as clients:
        weights, costs = [Weight(d)], []
        for part in (KEPT // 2, turns, turns):
            moved = clients.run(part)
            weights.append(Weight(d))
            before, now = weights[-2:]
            costs.append((now.cpu_ms - before.cpu_ms) / moved)
            print("# %d operations, %.0f a second, %.3f ms of CPU time a vCPU; then %s" % (
                2 * DOMAINS * part, 2 * DOMAINS * part / (now.at - before.at), costs[-1], now), flush=True)  # fmt: skip
        fleet.truth()
    for w in weights[1:]:
        equal(w.counts, weights[0].counts, "descriptors and threads")
    assert weights[3].private <= weights[2].private + GROWTH_KIB, "the daemon grew: %s" % weights
    assert costs[2] <= CPU_MS, "%.2f ms a vCPU" % costs[2]


@case(deadline=120)
def nothing_grows_in_thousands_of_operations_on_64_domains():
    not_sanitized()
    soak(int(os.environ.get("VCPUHP_SOAK", SOAK)))


@case(deadline=1200, long=True)
def nothing_grows_in_40960_operations_on_64_domains():
    not_sanitized()
    soak(LONG_SOAK)


def weigh_kept(vcpus):
    """What a domain adds to a daemon when it has as many results as ever are kept, each of so many vCPUs."""
    not_sanitized()
    with tempfile.TemporaryDirectory(prefix="vcpuhp-") as folder, Lone(folder, []) as pid:
        bare = private_kib_of(pid)
    with scene() as (fleet, d), contextlib.closing(Clients(d, fleet, CLIENTS, vcpus + 1)) as clients:
        begun = (private_kib_of(d.process.pid) - bare) / DOMAINS
        clients.run(KEPT // 2)
        kept = ask(clients.links[0], "ListOperations", domain=fleet.domains[0].name)["operations"]
        equal([len(o["vcpus"]) for o in kept], [vcpus] * KEPT, "vCPUs of the results that are kept")
        each = (private_kib_of(d.process.pid) - bare) / DOMAINS
    print("# a domain: %.0f KiB, with %d results of %d vCPUs %.0f KiB" % (begun, KEPT, vcpus, each), flush=True)
    assert each <= DOMAIN_KIB[vcpus], "%.0f KiB a domain" % each


@case(deadline=120)
def a_domain_with_64_results_of_2_vcpus_takes_a_quarter_of_a_mib():
    weigh_kept(2)


@case(deadline=600, long=True)
def a_domain_with_64_results_of_7_vcpus_takes_little_more():
    weigh_kept(SLOTS - 1)


def sleeps(absent):
    not_sanitized()
    with scene(absent) as (_, d):
        time.sleep(4)  # attempts to connect have come to be rare
        pid = d.process.pid
        woken, cpu = wakeups(pid), cpu_time_ms(pid)
        time.sleep(IDLE_S)
        woken, cpu = (wakeups(pid) - woken) / IDLE_S, (cpu_time_ms(pid) - cpu) / IDLE_S
        print("# %.2f wakeups and %.2f ms of CPU time a second; %d KiB" % (woken, cpu, private_kib_of(pid)), flush=True)
        assert 1 / TICK_S <= woken <= IDLE_WAKEUPS, "%.2f wakeups a second" % woken


@case()
def an_idle_daemon_with_64_domains_wakes_up_once_a_second_at_most():
    sleeps(absent=0)


@case()
def an_idle_daemon_wakes_up_as_rarely_where_half_of_64_domains_are_away():
    sleeps(absent=DOMAINS // 2)


if __name__ == "__main__":
    tap.main(before=why_not)
