# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many MicroVMs, each with another scene of microscenes.py and another vCPU where it happens, and how
long each step of the ladder took."""

import random
import statistics
import threading

import microscenes
from bench_stats import number, quantile
from microscenes import Life
from scene import callbacks, done, running

SCENES = microscenes.GOOD + microscenes.BAD
HOST_STEPS = ("host:admit", "qemu:device", "guest:present", "ap:kick")


class Steps:
    """Milliseconds of each step of vCPUs that came or went as asked, by (way, how many at once)."""

    def __init__(self):
        self.ms = {}
        self.requests = {}
        self.lock = threading.Lock()

    def note(self, answer):
        vcpus = answer.result.get("vcpus", [])
        ways = {"up": 44, "down": 0}
        if answer.exit != 0 or len(vcpus) not in (1, 7):
            return
        for way, state in ways.items():
            if any(v["state"] != state for v in vcpus):
                continue
            with self.lock:
                if all("qemu:device" in v["ms"] for v in vcpus):
                    self.requests.setdefault((way, len(vcpus)), []).append(answer.ms)
                for name, ms in ((n, m) for v in vcpus for n, m in v["ms"].items()):
                    self.ms.setdefault((way, len(vcpus)), {}).setdefault(name, []).append(ms)


class Fleet:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.steps = Steps()
        self.failed = []
        self.lives = {}
        self.adds = 0

    def plan(self, vms):
        """(scene, k) for each: every scene as often as the others, in another order each time."""
        plan = []
        while len(plan) < vms:
            plan += self.random.sample(SCENES, len(SCENES))
        return [(scene, self.random.choice(microscenes.ALL)) for scene in plan[:vms]]

    def live(self, name, scene, k):
        try:
            with Life(name, alone=False) as life:
                scene(life, k)
                life.over()
                self.adds += len(life.vm.sent("device_add"))
            for answer in life.answers:
                self.steps.note(answer)
            self.lives[scene.__name__] = self.lives.get(scene.__name__, 0) + 1
        except Exception as e:
            self.failed.append("%s, %s at vCPU %d: %s" % (name, scene.__name__, k, e))

    def run(self, vms, jobs=2):
        plan = list(enumerate(self.plan(vms)))

        def work():
            while plan and not self.failed:
                n, (scene, k) = plan.pop()
                self.live("web%d" % n, scene, k)

        threads = [threading.Thread(target=work) for _ in range(jobs)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not self.failed, self.failed[0]


def tcg(vms):
    """The steps of as many real guests: a Debian kernel under TCG with the real agent."""
    steps = Steps()
    files = callbacks(_10_count="", _20_log="")
    for n in range(vms):
        with running(files=files) as (vm, d):
            counts = [range(2, 9), range(7, 0, -1)] if n % 2 else [[8], [1]]
            for count in (c for way in counts for c in way):
                steps.note(done(d.setvcpus(count)))
    return steps


def _cells(steps, way, size, name):
    ms = steps.requests.get((way, size)) if name is None else steps.ms.get((way, size), {}).get(name)
    if not ms:
        return ["-", "-", "-"]
    return [number(statistics.median(ms)), number(quantile(ms, 0.99)), str(len(ms))]


def _names(steps, way):
    found = {n for (w, _), ms in steps.ms.items() if w == way for n in ms}
    order = [*HOST_STEPS, "ap:online", "ap:threads", "ap:verify", "ap:dyn.10-count", "ap:dyn.20-log", "ap:active"]
    return [n for n in order if n in found] + sorted(found - set(order))


def table(kvm, other, way):
    """Markdown: a row for each step going @way, then the whole request's."""
    head = "| step | %s |" % " | ".join(
        "%s, %s: median | p99 | n" % (what, "one" if size == 1 else "seven")
        for what in ("KVM", "TCG") for size in (1, 7))  # fmt: skip
    lines = [head, "|---|" + "---:|" * 12]
    for name in _names(kvm, way) + [None]:
        cells = [c for steps in (kvm, other) for size in (1, 7) for c in _cells(steps, way, size, name)]
        lines.append("| %s | %s |" % (name or "the whole request", " | ".join(cells)))
    return "\n".join(lines)
