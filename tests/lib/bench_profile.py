# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the time of vcpuhp's requests went, from what the daemon itself reported of them."""

import statistics

from bench_stats import number, quantile


def _steps(requests):
    """Step's name -> milliseconds of every vCPU."""
    found = {}
    for t in requests:
        for v in t.result["vcpus"]:
            for name, ms in v["ms"].items():
                found.setdefault(name, []).append(ms)
    return found


def _ends(t):
    """(vCPU, state's name) -> t_ms of its enter and its exit."""
    ends = {}
    for p in t.progress:
        if not p.get("kernel"):
            ends.setdefault((p["vcpu"], p["name"]), {})[p["phase"]] = p["t_ms"]
    return ends


def _gaps(requests):
    """What is between the steps: name -> milliseconds."""
    found = {}

    def note(name, ms):
        found.setdefault(name, []).append(ms)

    for t in requests:
        per_vcpu = {}
        for (vcpu, name), e in _ends(t).items():
            per_vcpu.setdefault(vcpu, []).append((e.get("enter"), e.get("exit"), name))
        if not per_vcpu:
            continue
        note("request -> first step", min(s[0][0] for s in map(sorted, per_vcpu.values())))
        last = max(e[1] for steps in per_vcpu.values() for e in steps)
        note("last step -> result at the client", t.ms - last)
        online = sorted(e for steps in per_vcpu.values() for e in steps if e[2] == "ap:online")
        for before, after in zip(online, online[1:]):
            note("ap:online exit -> next vCPU's enter", after[0] - before[1])
        for steps in per_vcpu.values():
            steps.sort()
            for before, after in zip(steps, steps[1:]):
                note("%s -> %s" % (before[2], after[2]), after[0] - before[1])
    return found


def _table(title, found):
    lines = ["", "%-44s %5s %9s %9s %9s" % (title, "n", "median", "p10", "p90")]
    for name, ms in found.items():
        lines.append("%-44s %5d %9s %9s %9s" % (
            name, len(ms), number(statistics.median(ms)), number(quantile(ms, 0.1)),
            number(quantile(ms, 0.9))))  # fmt: skip
    return lines


def show(sections):
    lines = []
    for name, requests in sections.items():
        if requests:
            lines += _table("%s: ms in each step" % name, _steps(requests))
            lines += _table("%s: ms between the steps" % name, _gaps(requests))
    return "\n".join(lines)
