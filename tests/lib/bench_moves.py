# SPDX-License-Identifier: LGPL-2.1-or-later
"""The sections of tests/bench that move vCPUs.

cold: from a freshly booted guest with one vCPU, one batch a guest, six ways in turn.
warm: batch upon batch in one guest, by hand and by vcpuhp in the order AB BA AB ..., so that what
grows with the number of CPUs falls out of the pairs.
standby: the same CPUs from plugged to online and back, again and again, three ways.

The ways: by vcpuhp, by hand, and by a hand that does what is owed for each CPU as well
(bench-duties.h): what a program takes here that does it directly.

"stock" is the kernel as it is, "expedited" with rcu_expedited set; for vcpuhp the agent sets it
itself (Expedite=auto) and pays for it.
"""

import statistics

from bench_rig import BenchVM, Hand, Product, Still, settle
from bench_stats import paired, single


def allowed(base_ms):
    """The added cost that is within the target: 5 ms or 5 %, the larger."""
    return max(5, base_ms * 0.05)


ADDED = "5 ms or 5 %"
# A batch of 8, the boot vCPU counted or not.
WHOLE = (8, 9)
PHASES = ("before the kernel's online", "the order to the kernel's online and it",
          "to the proof on the CPU", "the announcement", "to the client")  # fmt: skip


def by_hand(count, expedited):
    with BenchVM(agent=False) as vm:
        hand = Hand(vm)
        if expedited:
            vm.expedite(True)
        settle()
        took = hand.plug(count - 1)
        assert vm.counts() == (count, count, count)
        return took


def by_duties(count, expedited):
    with BenchVM(agent=False) as vm:
        # As an agent does.
        vm.guest("mount -t tracefs tracefs /sys/kernel/tracing")
        hand = Hand(vm)
        settle()
        took = hand.plug(count - 1, owed=expedited)
        assert vm.counts() == (count, count, count)
        return took


def by_vcpuhp(count, expedited):
    with BenchVM(expedite="auto" if expedited else "no") as vm, Product(vm) as product:
        settle()
        return product.set_count(count)


ARMS = {
    "hand": lambda count: by_hand(count, False),
    "hand expedited": lambda count: by_hand(count, True),
    "vcpuhp": lambda count: by_vcpuhp(count, False),
    "vcpuhp expedited": lambda count: by_vcpuhp(count, True),
    "duties": lambda count: by_duties(count, False),
    "duties expedited": lambda count: by_duties(count, True),
}


def in_turn(rounds, ways, what, say):
    """way -> [Took] of @rounds, each of three ways or more once a round. Each stands in each place, and neighbours change
    sides from round to round. @what: with a %s for the way."""
    took, names = {way: [] for way in ways}, list(ways)
    for i in range(rounds):
        order = names[i % len(names) :] + names[: i % len(names)]
        for way in order if i % 2 == 0 else order[::-1]:
            took[way].append(ways[way]())
            say("%s: %.0f ms" % (what % way, took[way][-1].ms))
    return took


def cold(options, say):
    """Rows, and what vcpuhp's requests took (for the profile)."""
    rows, requests = [], {"cold, stock": [], "cold, expedited": []}
    for count in options.counts:
        ways = {arm: lambda way=way, n=count: way(n) for arm, way in ARMS.items()}
        took = in_turn(options.cold_pairs, ways, "1->%d %%s" % count, say)
        rows += _cold_rows(count, took)
        mine = took["vcpuhp"] + took["vcpuhp expedited"]
        rows.append(single("1->%d: daemon's CPU time" % count, "ms a vCPU",
                           [t.cpu_ms / (count - 1) for t in mine], 1))  # fmt: skip
        requests["cold, stock"] += took["vcpuhp"]
        requests["cold, expedited"] += took["vcpuhp expedited"]
    return rows, requests


def _cold_rows(count, took):
    n = count - 1
    ms = {arm: [t.ms for t in took[arm]] for arm in took}
    rows = []
    for kind, mine, base in (("stock", "vcpuhp", "hand"),
                             ("expedited", "vcpuhp expedited", "hand expedited")):  # fmt: skip
        what = "1->%d %s: added, to the result" % (count, kind)
        rows.append(paired(what, ms[mine], ms[base], allowed, n, ADDED))
        what = "1->%d %s: added, to the last bound thread" % (count, kind)
        rows.append(paired(what, [t.thread_ms for t in took[mine]], ms[base], allowed, n, ADDED))
        owed = "duties" + mine[len("vcpuhp") :]
        rows.append(paired("1->%d %s: all duties by hand, added to by hand" % (count, kind), ms[owed],
                           ms[base], None, n))  # fmt: skip
        rows.append(paired("1->%d %s: added to all duties by hand" % (count, kind), ms[mine], ms[owed],
                           None, n))  # fmt: skip
        rows += _split_rows("1->%d %s: added" % (count, kind), took[mine], took[base], n)
        rows += _split_rows("1->%d %s: added to all duties" % (count, kind), took[mine], took[owed], n)
        if count in WHOLE:
            what = "1->%d %s: whole batch, vcpuhp - hand" % (count, kind)
            rows.append(paired(what, ms[mine], ms[base], lambda _: 0, 1, "", "ms"))
            what = "1->%d %s: whole batch, vcpuhp - all duties by hand" % (count, kind)
            rows.append(paired(what, ms[mine], ms[owed], None, 1, "", "ms"))
    what = "1->%d: vcpuhp expedited - hand stock" % count
    rows.append(paired(what, ms["vcpuhp expedited"], ms["hand"], lambda _: 0, 1, "", "ms"))
    return rows


def _split_rows(what, mine, base, n):
    """What is added outside the kernel's online, and what that takes longer or shorter. The hand's is
    the write alone; vcpuhp's has the order to it as well."""
    pairs = [(m, b) for m, b in zip(mine, base) if m.kernel_ms is not None]
    rows = []
    for where, part in (("outside the kernel's online", lambda t: t.ms - t.kernel_ms),
                        ("in it and the order to it", lambda t: t.kernel_ms)):  # fmt: skip
        rows.append(paired("%s %s" % (what, where), [part(m) for m, _ in pairs],
                           [part(b) for _, b in pairs], None, n))  # fmt: skip
    return rows if pairs else []


def _alternate(pairs, mine, base, say):
    """([mine's], [base's]) of @pairs pairs in the order AB BA, which in_turn() has for more than two alone."""
    took = ([], [])
    for i in range(pairs):
        for side in (0, 1) if i % 2 == 0 else (1, 0):
            took[side].append((mine, base)[side]())
            say("%s: %.0f ms" % (("vcpuhp", "hand")[side], took[side][-1].ms))
    return took


class Warm:
    """Batches of @step in one guest. The first vCPU costs the kernel what no other does (it
    becomes a multiprocessor), so it is plugged before."""

    def __init__(self, vm, product, step):
        self.vm, self.product, self.step, self.count = vm, product, step, 1
        self.hand = Hand(vm)
        self.product.set_count(2)
        self.count = 2
        self.requests = []

    def _settled(self):
        settle(self.product, (self.count, self.count, 0), 0.3)

    def by_vcpuhp(self):
        self._settled()
        self.count += self.step
        # As awake as the guest is in by_hand().
        with self.hand.still():
            settle(seconds=0.1)
            self.requests.append(self.product.set_count(self.count))
        return self.requests[-1]

    def by_hand(self):
        self._settled()
        self.count += self.step
        with Still(self.vm, self.product):
            settle(seconds=0.1)
            return self.hand.plug(self.step)


def warm(options, say):
    rows, requests = [], []
    for kind, step in [(k, s) for s in options.steps for k in ("stock", "expedited")]:
        mine, base, left = [], [], options.warm_pairs
        while left > 0:
            # QEMU under TCG may make no more vCPUs in its life than maxcpus.
            here = min(left, max(1, options.warm_most // (2 * step)))
            with BenchVM() as vm, Product(vm) as product:
                vm.expedite(kind == "expedited")
                w = Warm(vm, product, step)
                m, b = _alternate(here, w.by_vcpuhp, w.by_hand,
                                  lambda text, s=step, k=kind: say("+%d %s, %s" % (s, k, text)))  # fmt: skip
                requests += w.requests
            mine, base, left = mine + m, base + b, left - here
        ms = [t.ms for t in base]
        what = "+%d %s, warm: added, to the " % (step, kind)
        rows.append(paired(what + "result", [t.ms for t in mine], ms, allowed, step, ADDED))
        rows.append(paired(what + "last bound thread", [t.thread_ms for t in mine], ms, allowed, step, ADDED))
    n = [len(t.result["vcpus"]) for t in requests]
    if requests:
        rows.append(single("daemon's CPU time, warm", "ms a vCPU",
                           [t.cpu_ms / k for t, k in zip(requests, n)], 1))  # fmt: skip
    return rows, {"warm": requests}


class Resting:
    """CPUs 1 to @k of a guest, plugged and at standby."""

    def __init__(self, vm, product, k):
        self.vm, self.product, self.k = vm, product, k
        self.hand = Hand(vm)
        settle()
        # Where its vCPUs run is left to the host, as in cold(); there are none yet to be spread.
        with self.hand.still():
            self.cold = product.set_count(k + 1)
        self.rest()
        vm.spread_vcpus(self.hand.qmp)

    def rest(self):
        self.product.set_target(1, self.k, "standby")

    def settled(self):
        settle(self.product, (self.k + 1, 1, self.k), 0.1)

    def _asked(self, move):
        """The guest awake before by as much as in by_hand()."""
        self.settled()
        self.vm.guest("true")
        with self.hand.still():
            settle(seconds=0.05)
            took = move()
        self.rest()
        return took

    def by_vcpuhp(self):
        return self._asked(lambda: self.product.set_target(1, self.k, "online"))

    def agent_cpu_ms(self):
        """The agent's CPU time for one request, in the guest."""
        def move():
            before = self.vm.agent_cpu_ms()
            self.product.set_target(1, self.k, "online")
            return self.vm.agent_cpu_ms() - before

        return self._asked(move)

    def by_command(self):
        return self._asked(lambda: self.product.command("setvcpu", self.vm.name, "1-%d" % self.k, "--enable"))

    def by_hand(self, expedited):
        self.settled()
        with Still(self.vm, self.product):
            self.vm.expedite(expedited)
            settle(seconds=0.05)
            took = self.hand.online(1, self.k)
            self.hand.offline(1, self.k)
            self.vm.expedite(False)
        return took

    def by_duties(self, expedited):
        self.settled()
        with Still(self.vm, self.product):
            self.hand.arm(True)
            settle(seconds=0.05)
            took = self.hand.duties(1, self.k, expedited)
            self.hand.arm(False)
            self.hand.offline(1, self.k)
        return took


# What one boot of a guest lays out differently from another is in all of its rounds: they are not as
# independent as the intervals take them to be.
ROUNDS_A_GUEST = 5


def _standby_in_one_guest(k, kind, rounds, say):
    """way -> [Took], by vcpuhpctl, the agent's CPU time, and what the same cost cold: Took."""
    expedited = kind == "expedited"
    with BenchVM(expedite="auto" if expedited else "no") as vm, Product(vm) as product:
        r = Resting(vm, product, k)
        ways = {"vcpuhp": r.by_vcpuhp, "hand": lambda: r.by_hand(expedited),
                "duties": lambda: r.by_duties(expedited)}  # fmt: skip
        for way in ways.values():
            way()
        took = in_turn(rounds, ways, "standby->online x%d %s, %%s" % (k, kind), say)
        few = range(min(3, rounds))
        return took, [r.by_command() for _ in few], [r.agent_cpu_ms() for _ in few], r.cold


def standby(options, say):
    rows, requests = [], {}
    for kind, k in [(kind, k) for kind in ("stock", "expedited") for k in options.resting]:
        took, commands, agent = {"vcpuhp": [], "hand": [], "duties": []}, [], []
        cold, warm = [], []
        for done in range(0, options.standby_pairs, ROUNDS_A_GUEST):
            here = min(ROUNDS_A_GUEST, options.standby_pairs - done)
            more, by_command, agent_ms, first = _standby_in_one_guest(k, kind, here, say)
            cold.append(first.ms)
            warm.append(statistics.median(t.ms for t in more["vcpuhp"]))
            for way, made in more.items():
                took[way] += made
            commands, agent = commands + by_command, agent + agent_ms
        rows += _standby_rows(k, kind, took, commands)
        rows.append(single("standby->online x%d %s: less than that guest's first, plugged cold" % (k, kind),
                           "ms a vCPU", [(c - w) / k for c, w in zip(cold, warm)]))  # fmt: skip
        rows.append(single("standby->online x%d %s: agent's CPU time in the guest" % (k, kind),
                           "ms a vCPU", [ms / k for ms in agent]))  # fmt: skip
        requests["standby x%d, %s" % (k, kind)] = took["vcpuhp"]
    return rows, requests


def _standby_rows(k, kind, took, commands):
    what = "standby->online x%d %s: " % (k, kind)
    ms = {way: [t.ms for t in took[way]] for way in took}
    mine, kernel = took["vcpuhp"], [t.kernel_ms for t in took["hand"]]
    rows = [
        paired(what + "above the kernel's own online", ms["vcpuhp"], kernel, lambda _: 5, k),
        paired(what + "all duties by hand, above the kernel's own online", ms["duties"], kernel, None, k),
        paired(what + "added to all duties by hand", ms["vcpuhp"], ms["duties"], None, k),
        paired(what + "added to by hand", ms["vcpuhp"], ms["hand"], None, k),
        paired(what + "last bound thread, added to by hand", [t.thread_ms for t in mine], ms["hand"],
               None, k),
        single(what + "by vcpuhpctl", "ms in all", [t.ms for t in commands]),
        single(what + "daemon's CPU time", "ms a vCPU", [t.cpu_ms / k for t in mine], 1),
    ]  # fmt: skip
    for i, phase in enumerate(PHASES if k == 1 else ()):
        rows.append(paired(what + phase + ", added to all duties by hand", [t.phases[i] for t in mine],
                           [t.phases[i] for t in took["duties"]], None))  # fmt: skip
    return rows
