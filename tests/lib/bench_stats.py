# SPDX-License-Identifier: LGPL-2.1-or-later
"""Paired samples, what they allow to be said, and the table they are shown in.

A pair is two measurements made one after the other, in an order that alternates; only the
difference within a pair counts, so that what changes slowly on the host or with the number of CPUs
falls out. The median's confidence interval comes from the order statistics (no assumption on the
distribution). Below 6 pairs there is none at 95 %, so all pairs have to agree, and even then a
target is only called met or missed "so far"; 20 pairs make a claim.
"""

import math
import statistics

CLAIM_PAIRS = 20


def quantile(values, q):
    s = sorted(values)
    at = q * (len(s) - 1)
    low = math.floor(at)
    high = min(low + 1, len(s) - 1)
    return s[low] + (s[high] - s[low]) * (at - low)


def median_interval(values, confidence=0.95):
    """(low, high) that holds the median with @confidence, or all of them where there are too few."""
    s, n = sorted(values), len(values)
    best = 0
    tail = 0.0
    for k in range(n // 2):
        tail += math.comb(n, k) * 0.5**n
        if 2 * tail > 1 - confidence:
            break
        best = k + 1
    return (s[best - 1], s[n - best]) if best else (s[0], s[-1])


def judge(excesses):
    """Over how far each pair is above the target: a verdict on the median."""
    low, high = median_interval(excesses)
    word = "met" if high <= 0 else "missed" if low > 0 else "not resolved"
    if word != "not resolved" and len(excesses) < CLAIM_PAIRS:
        word += " so far (n=%d)" % len(excesses)
    return word


class Row:
    """One line: what was measured, its figures, and the verdict on its target."""

    def __init__(self, what, unit, values, target="", verdict="", base=None, ratios=None):
        self.what, self.unit, self.target, self.verdict = what, unit, target, verdict
        self.values, self.base, self.ratios = list(values), base, ratios

    def figures(self):
        v = self.values
        f = [len(v), statistics.median(v), quantile(v, 0.1), quantile(v, 0.9)]
        f.append(statistics.median(self.base) if self.base else None)
        f.append(statistics.median(self.ratios) if self.ratios else None)
        return f

    def cells(self):
        n, mid, low, high, base, ratio = self.figures()
        # Below 6 values there is none.
        ends = "%s..%s" % tuple(map(number, median_interval(self.values))) if len(self.values) > 5 else ""
        return [self.what, self.unit, str(n), number(mid), ends, number(low), number(high),
                number(base), number(ratio, 3), self.target, self.verdict]  # fmt: skip


def number(x, digits=None):
    if x is None:
        return ""
    if digits is None:
        digits = 0 if abs(x) >= 1000 else 1 if abs(x) >= 10 else 2
    return "%.*f" % (digits, x)


def paired(what, mine, base, allowed=None, per=1, target="", unit="ms a vCPU"):
    """A Row of the differences @mine - @base, each divided by @per. @allowed: of a base's value,
    how much more is within the @target, whose median is told with it."""
    differences = [(m - b) / per for m, b in zip(mine, base)]
    ratios = [m / b for m, b in zip(mine, base)]
    verdict = ""
    if allowed:
        limits = [allowed(b / per) for b in base]
        verdict = judge([d - limit for d, limit in zip(differences, limits)])
        target = "<= %s%s" % (number(statistics.median(limits)), target and " (%s)" % target)
    return Row(what, unit, differences, target, verdict, [b / per for b in base], ratios)


def single(what, unit, values, limit=None):
    """A Row of plain figures, held against a limit each by its median."""
    target = verdict = ""
    if limit is not None:
        target = "<= %g" % limit
        verdict = "met" if statistics.median(values) <= limit else "missed"
    return Row(what, unit, values, target, verdict)


HEAD = ["measured", "unit", "n", "median", "95 %", "p10", "p90", "by hand", "ratio", "target", "verdict"]


def text_table(rows):
    lines = [HEAD] + [r.cells() for r in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    left = {0, 1, 9, 10}
    return "\n".join(
        "  ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))).rstrip()
        for line in lines)  # fmt: skip


def markdown_table(rows):
    lines = [HEAD, ["---"] * len(HEAD)] + [r.cells() for r in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def tsv(rows):
    lines = [HEAD] + [r.cells() for r in rows]
    return "".join("\t".join(line) + "\n" for line in lines)
