#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""autoscale.py of the examples on a guest that is made up, by the second: its tasks come at random and fill so
many CPUs. tests/e2e/load.py runs it on a real one."""

import contextlib
import importlib.util
import io
import math
import os
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from tap import case, equal

EXAMPLE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "examples", "autoscale.py")


class Guest:
    """.changes: (second, count) of each that was asked for."""

    def __init__(self, filled, online=1, fails=False):
        self.filled, self.online, self.standby, self.fails = filled, online, 0, fails
        self.now, self.avg10, self.changes = 0, 0.0, []

    def tick(self):
        part = min(1, self.filled / self.online)
        self.avg10 += (100 * part ** (self.online + 1) - self.avg10) * (1 - math.exp(-1 / 10))
        self.now += 1
        load = {"busy": 100 * part, "pressure": {"avg10": self.avg10}}
        return {"event": {"t_us": self.now * 1000000, "load": load}}

    def monotonic_ns(self):
        return self.now * 1000000000

    def call(self, method, more=False, count=0, **_parameters):
        if method == "Events":
            for _ in range(900):
                yield self.tick()
        elif method == "GetDomain":
            yield {"info": {"online": self.online, "standby": self.standby}}
        else:
            self.changes.append((self.now, count))
            if self.fails:
                raise RuntimeError("no agent is connected")
            self.online = count
            yield {"result": {"result": "done"}}

    def scaled(self):
        """Fifteen minutes of it. Return: what was printed."""
        spec = importlib.util.spec_from_file_location("autoscale", EXAMPLE)
        autoscale = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(autoscale)
        autoscale.call, autoscale.time = self.call, self
        with contextlib.redirect_stdout(io.StringIO()) as out:
            autoscale.main("web1", "1", "8", "1")
        print("# %g CPUs filled: %s" % (self.filled, self.changes), flush=True)
        return out.getvalue()


@case()
def a_steady_load_comes_to_rest():
    for filled in (0.1, 0.3, 0.45, 0.55, 0.7, 0.9, 1.1, 1.5, 2.2, 3.3, 5):
        for online in (1, 2, 4, 8):
            guest = Guest(filled, online)
            guest.scaled()
            counts = [online] + [count for _, count in guest.changes]
            assert counts in (sorted(counts), sorted(counts, reverse=True)), "it turned around: %s" % counts
            assert all(second < 300 for second, _ in guest.changes), guest.changes
            assert guest.avg10 <= 25 or guest.online == 8, guest.avg10
            assert guest.online <= math.ceil(filled / 0.4) + 1, "%d for %g" % (guest.online, filled)


@case()
def no_change_follows_another_before_the_average_shows_it():
    guest = Guest(5)
    guest.scaled()
    assert len(guest.changes) >= 4, guest.changes
    seconds = [second for second, _ in guest.changes]
    assert all(after - before >= 10 for before, after in zip(seconds, seconds[1:])), seconds


@case()
def a_change_that_fails_is_said_and_tried_again_a_minute_later():
    guest = Guest(5, fails=True)
    text = guest.scaled()
    assert 10 <= len(guest.changes) <= 15, guest.changes
    equal(set(text.splitlines()), {"web1: 1 -> 2: no agent is connected"})


if __name__ == "__main__":
    tap.main()
