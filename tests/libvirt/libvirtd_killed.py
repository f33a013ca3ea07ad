#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirtd is killed and started again in each phase of an add and of a remove.

A phase is a function that holds the operation there: what stands before its first yield is done
before the operation begins, the second yield is reached when it is held, and what comes after lets
it go on: while libvirtd is away, or when it is back. However it goes on, the operation has one
terminal result, which is true, all views are one, and nothing stays pending.
"""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from lvscene import Scene, all_agree, ends_told, own, prepare
from scene import done
from tap import case, equal, matches
from vm import wait_for

SHORT = {"EjectSec": 1, "EjectMaxSec": 4}

# It waits where it is told to, and says that it does.
HOLD = """\
#!/bin/sh
test -e %(dir)s/hold-$1-$2 || exit 0
touch %(dir)s/held
while test -e %(dir)s/hold-$1-$2; do sleep 0.01; done
"""


class Bench:
    """A domain with a callback that can be held, and what the phases look at."""

    def __init__(self, lv, dom, guest, d):
        self.lv, self.dom, self.guest, self.d = lv, dom, guest, d
        self.answers = []
        guest.root.write("etc/vcpuhp/cpuhp.d/10-hold", HOLD % {"dir": dom.dir}, 0o755)
        guest.agent.kill(signal.SIGHUP)
        wait_for(lambda: "10-hold" in d.ctl("states", dom.name).out, 5, "the callback")

    def done(self, answer, **counts):
        self.answers.append(done(answer, **counts))

    def until(self, condition, what):
        wait_for(condition, 5, lambda: "%s: %s" % (what, self.d.brief()))

    def operates(self):
        return self.d.info()["operation"]

    def pending(self, vcpu, word):
        self.until(lambda: self.d.info()["vcpus"][vcpu]["pending"] == word, "pending " + word)

    def sent(self, command):
        """How often libvirtd has sent it to QEMU."""
        return len([line for line in self.lv.text().splitlines()
                    if "QEMU_MONITOR_SEND_MSG" in line and command in line])  # fmt: skip

    def hold(self, call, cpu):
        with open(self.dom.path("hold-%s-%d" % (call, cpu)), "w", encoding="ascii"):
            pass

    def held(self):
        self.until(lambda: os.path.exists(self.dom.path("held")), "the callback held")

    def let(self, call, cpu):
        os.unlink(self.dom.path("hold-%s-%d" % (call, cpu)))
        os.unlink(self.dom.path("held"))


# Of an add from 1 to 3.


def admission(b):
    b.guest.agent.kill(signal.SIGSTOP)
    yield
    b.until(b.operates, "an operation")
    yield
    b.guest.agent.kill(signal.SIGCONT)


def plug_asked(b):
    b.lv.process.kill(signal.SIGSTOP)
    yield
    b.pending(1, "plug")
    yield


def device_add_sent(b):
    before = b.sent("device_add")
    os.kill(b.dom.pid(), signal.SIGSTOP)
    yield
    b.until(lambda: b.sent("device_add") > before, "device_add sent")
    yield
    os.kill(b.dom.pid(), signal.SIGCONT)


def device_there(b):
    b.guest.insert = "ignore"
    yield
    b.until(lambda: b.dom.xml_present() == [0, 1, 2], "the devices")
    yield
    b.guest.insert = "accept"


def guest_has_it(b):
    b.guest.insert = "ignore"
    yield
    b.until(lambda: b.dom.xml_present() == [0, 1, 2], "the devices")
    b.guest.agent.kill(signal.SIGSTOP)
    b.guest.insert = "accept"
    b.until(lambda: 1 in b.guest.present_slots(), "the CPU")
    yield
    b.guest.agent.kill(signal.SIGCONT)


def kernel_online(b):
    b.done(b.d.setvcpus(1, "--standby", 1), present=2, online=1, standby=1)
    b.guest.root.hold_online(1)
    yield
    b.until(lambda: 2 in b.dom.xml_present(), "the other device")
    yield
    b.guest.root.let_online(1, True)


def startup_callback(b):
    b.hold("startup", 1)
    yield
    b.held()
    yield
    b.let("startup", 1)


def all_online(b):
    yield
    b.until(lambda: b.d.counts() == (3, 3, 0), "online")
    yield


# Of a removal from 3 to 1.


def teardown_callback(b):
    b.hold("teardown", 2)
    yield
    b.held()
    yield
    b.let("teardown", 2)


def kernel_offline(b):
    b.guest.root.hold_online(2)
    yield
    b.until(lambda: b.d.states()[2] == "ap:online", "parked")
    yield
    b.guest.root.let_online(2, False)


def one_at_standby(b):
    b.hold("teardown", 1)
    yield
    b.held()
    b.until(lambda: b.d.states()[2] == "standby", "at standby")
    yield
    b.let("teardown", 1)


def unplug_asked(b):
    b.lv.process.kill(signal.SIGSTOP)
    yield
    b.pending(2, "unplug")
    yield


def device_del_sent(b):
    before = b.sent("device_del")
    os.kill(b.dom.pid(), signal.SIGSTOP)
    yield
    b.until(lambda: b.sent("device_del") > before, "device_del sent")
    yield
    os.kill(b.dom.pid(), signal.SIGCONT)


def eject_awaited(b):
    b.guest.mode = "late"
    yield
    b.until(lambda: b.guest.in_progress == {2}, "the request at the guest")
    yield
    b.guest.mode = "accept"
    b.guest.eject(2)


def request_ignored(b):
    b.guest.mode = "ignore"
    yield
    b.until(lambda: b.guest.registers.flags(2) & 4, "the request at the guest")
    yield
    b.guest.mode = "accept"


def refused_unheard(b):
    b.guest.mode = "ignore"
    yield
    b.until(lambda: b.guest.registers.flags(2) & 4, "the request at the guest")
    yield
    b.guest.mode = "refuse"


def refused_heard(b):
    before = b.sent("device_del")
    b.guest.mode = "refuse"
    yield
    b.until(lambda: b.sent("device_del") > before and not b.operates(), "the refusal")
    yield


DONE = {(0, "done")}
FAILED = {(1, "failed")}
# QEMU may read the command yet, or find its client gone first.
EITHER = DONE | FAILED
REFUSED = {(4, "refused")}
# A newer QEMU may read it only when it has a new client, which then gets the answer of another: libvirt
# takes that for a broken monitor and ends the VM.
ENDED = {(11, "vm-gone")}

AWAY, BACK, UNSEEN = "while it is away", "when it is back", "when it runs again"

# Phase, when it goes on (once, and once more), the result. What may end the VM stands last.
ADD = (
    (admission, AWAY, BACK, DONE),
    (plug_asked, AWAY, None, FAILED),
    (device_there, BACK, AWAY, DONE),
    (guest_has_it, AWAY, BACK, DONE),
    (kernel_online, BACK, AWAY, DONE),
    (startup_callback, AWAY, BACK, DONE),
    (all_online, AWAY, None, DONE),
    (device_add_sent, UNSEEN, AWAY, EITHER | ENDED),
)
REMOVE = (
    (teardown_callback, AWAY, BACK, DONE),
    (kernel_offline, BACK, AWAY, DONE),
    (one_at_standby, AWAY, BACK, DONE),
    (unplug_asked, AWAY, None, DONE),
    (eject_awaited, AWAY, BACK, DONE),
    (request_ignored, BACK, AWAY, DONE),
    (refused_unheard, AWAY, BACK, REFUSED),
    (refused_heard, BACK, None, REFUSED),
    (device_del_sent, UNSEEN, AWAY, DONE | ENDED),
)


def killed_in(b, phase, when, asked):
    """The Answer of an operation to @asked."""
    holding = phase(b)
    next(holding)
    asking = b.d.begin("setvcpus", b.dom.name, asked)
    next(holding)
    b.lv.kill()
    if when == AWAY:
        b.until(lambda: b.d.info()["status"] == "attaching", "the loss noticed")
        next(holding, None)
    b.lv.start()
    if when == BACK:
        b.until(lambda: b.d.info()["status"] == "running", "libvirtd again")
    if when != AWAY:
        next(holding, None)
    b.answers.append(asking.wait(40))
    return b.answers[-1]


def one_truth(b, before, asked, a, results):
    assert (a.exit, a.result["result"]) in results, "%s" % a
    count = asked if a.exit == 0 else before
    equal([a.result[k] for k in ("present", "online", "standby")], [count, count, 0], "%s" % a)
    all_agree(b.dom, b.d, list(range(count)))
    for v in a.result["vcpus"] if a.result["result"] == "failed" else ():
        matches("lost during setvcpu", v["error"], "%s" % a)
    equal(b.d.ctl("op", a.result["op"]).result["result"], a.result["result"], "its result later")


def phase_by_phase(b, table, count, asked, column):
    for phase, *when, results in table:
        if not when[column]:
            continue
        a = killed_in(b, phase, when[column], asked)
        print("# %s, going on %s: %s" % (phase.__name__, when[column], a.result.get("result")), flush=True)
        if results & ENDED and a.result["result"] == "vm-gone":
            equal(b.dom.state(), "shut off", "%s" % a)
            b.guest.close()
            b.dom.guest = None
            return
        one_truth(b, count, asked, a, results)
        b.guest.mode = "accept"
        b.done(b.d.setvcpus(count), present=count, online=count)
        all_agree(b.dom, b.d, list(range(count)))


def killed_in_all(table, count, asked, column):
    with own() as lv, Scene(count, lv=lv, daemon=SHORT) as (dom, guest, d), ThreadPoolExecutor() as pool:
        b = Bench(lv, dom, guest, d)
        listener = d.begin("events", dom.name)
        events = pool.submit(listener.wait, 120)
        try:
            phase_by_phase(b, table, count, asked, column)
        finally:
            d.stop()
        # Each ended once, and there was none that nobody asked for.
        ends = ends_told(events.result().lines)
        equal(ends, {a.result["op"]: [a.result["result"]] for a in b.answers}, "ends told")


@case(deadline=120)
def in_each_phase_of_an_add_there_is_one_truth():
    killed_in_all(ADD, 1, 3, 0)


@case(deadline=120)
def in_each_phase_of_a_removal_there_is_one_truth():
    killed_in_all(REMOVE, 3, 1, 0)


@case(deadline=120, long=True)
def in_each_phase_of_an_add_that_goes_on_at_another_time():
    killed_in_all(ADD, 1, 3, 1)


@case(deadline=120, long=True)
def in_each_phase_of_a_removal_that_goes_on_at_another_time():
    killed_in_all(REMOVE, 3, 1, 1)


PENDING = {(5, "pending")}

# Phase, vCPUs before and asked for, the result while libvirtd is away, (present, online) once it is back.
STAYS_AWAY = (
    (plug_asked, 1, 3, PENDING, (1, 1)),
    (startup_callback, 1, 3, PENDING, (1, 1)),
    (one_at_standby, 3, 1, FAILED, (3, 3)),
    (eject_awaited, 3, 1, PENDING, (2, 2)),
)


def stays_away(phase, count, asked, results, settled, cancel=False):
    with own() as lv, Scene(count, lv=lv, daemon=SHORT) as (dom, guest, d):
        b = Bench(lv, dom, guest, d)
        holding = phase(b)
        next(holding)
        asking = d.begin("setvcpus", dom.name, asked, "--timeout", 3)
        next(holding)
        lv.kill()
        b.until(lambda: d.info()["status"] == "attaching", "the loss noticed")
        next(holding, None)
        if cancel:
            d.ctl("cancel", b.operates())
        a = asking.wait(25)
        print("# %s: %s after %.1f s" % (phase.__name__, a.result.get("result"), a.ms / 1000), flush=True)
        assert (a.exit, a.result["result"]) in results, "%s" % a
        lv.start()
        # What was pending goes on by itself now.
        wait_for(lambda: d.counts() == (*settled, 0) and not [v for v in d.info()["vcpus"] if v["pending"]],
                 20, d.brief)  # fmt: skip
        all_agree(dom, d, list(range(settled[0])))
        equal(d.ctl("op", a.result["op"]).result["result"], a.result["result"], "its result later")


@case(deadline=150)
def an_operation_ends_at_its_deadline_though_libvirtd_stays_away():
    for row in STAYS_AWAY:
        stays_away(*row)


@case()
def one_that_was_cancelled_ends_at_its_deadline_too():
    stays_away(plug_asked, 1, 3, PENDING, (1, 1), cancel=True)


if __name__ == "__main__":
    tap.main(before=prepare)
