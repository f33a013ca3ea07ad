#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon is killed at every step of an operation; the next one goes on, and nothing is lost.

Each case repeats an operation: the daemon is killed at the first point of persistence or I/O that it
passes, at the second, and so on, until the operation ends before its point is reached. A plain run takes
every fourth point, tests/run --long each of them; VCPUHP_TEST_EVERY=N takes every Nth.
"""

import os
import signal
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import VCPUHPD
from failpoints import FailingDaemon
from qtestvm import QtestVM, why_not
from scene import callbacks, done
from tap import case, equal
from vm import wait_for

FOREIGN = 7
BASE = 2  # the boot vCPU, and one that another has plugged
STRIDE = int(os.environ.get("VCPUHP_TEST_EVERY", "1" if os.environ.get("VCPUHP_LONG") else "4"))
LIMIT = 280 if STRIDE > 1 else 1200
SHORT = {"EjectSec": 1, "EjectMaxSec": 3, "AgentWaitSec": 3}
TERMINAL = ("done", "failed", "partial", "refused", "pending", "cancelled", "stuck")


def deny_files():
    """A callback that fails for CPU 3, and logs nothing."""
    files = callbacks(_10_deny='[ "$1 $2" != "startup 3" ] || exit 3')
    return {p: (m, t.replace("/run/callbacks", "/dev/null")) for p, (m, t) in files.items()}


class Scene:
    """@count vCPUs online, one of them another's; @ask changes them, and @back makes it @count again."""

    def __init__(self, count, ask, files=None):
        self.count, self.ask = count, ask
        self.vm = QtestVM(files=files)
        try:
            self.d = FailingDaemon(self.vm, daemon=SHORT)
            self.d.wait_idle_online(1)
            self.vm.plug(FOREIGN)
            wait_for(lambda: FOREIGN in self.vm.guest.present_slots(), 5, "the other's vCPU in the guest")
            # The guest may be faster than QEMU's table comes to the daemon.
            wait_for(lambda: self.d.counts()[0] == 2, 6, self.d.brief)
            done(self.d.setvcpu(FOREIGN, "--enable"))
            self.back()
        except BaseException:
            self.vm.close()
            raise

    def back(self):
        done(self.d.setvcpus(self.count), online=self.count)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            self.d.close()
            if kind is None:
                self.vm.guest.check()
        finally:
            self.vm.close()

    def begin(self, op):
        return self.d.begin("setvcpus", "web1", self.ask, "--op-id", op)

    def agree(self):
        """QEMU, the guest and info say the same, nothing is in doubt, and the other's vCPU is as it was."""
        d, guest = self.d, self.vm.guest

        def agreed():
            i = d.info()
            if not i["agent"] or not i["agent"]["connected"]:
                return False
            resting = all(v["state"] in (0, 6, 44) and not v["pending"] for v in i["vcpus"])
            online = [v["vcpu"] for v in i["vcpus"] if v["state"] == 44]
            present = [v["vcpu"] for v in i["vcpus"] if v["state"] not in (0, None)]
            return resting and present == self.vm.qemu_present() == guest.present_slots() and len(
                guest.online()) == len(online) == i["online"]  # fmt: skip

        wait_for(agreed, 15, lambda: "agreement: QEMU %s, guest %s, %s online; %s" % (
            self.vm.qemu_present(), guest.present_slots(), guest.online(), d.brief()), pause=0.02)  # fmt: skip
        v = d.info()["vcpus"][FOREIGN]
        equal((v["state"], v["owned"], v["drift"]), (44, False, None), "another's vCPU: %s" % v)

    def adds(self):
        """What QEMU began; a device_add still in its queue is lost with the daemon that sent it."""
        return len(self.vm.begun("device_add"))


def told(answer):
    """The result that the client had before the daemon was killed, or None."""
    return answer.result.get("result") if answer.result.get("result") in TERMINAL else None


def check_adds(scene, word, before):
    """QEMU was made to add each vCPU that comes once, whoever asked; and none where none comes."""
    adds = scene.adds() - before
    wanted = max(scene.ask - scene.count, 0)
    if word == "done":
        equal(adds, wanted, "device_add")
    else:
        assert adds <= (0 if word in ("unknown", "restarted") else wanted), "%s, and %d device_add" % (word, adds)


def after(scene, op, client, wanted):
    """The operation has one result, and all sides agree on it."""
    d = scene.d
    a = d.ctl("wait", op, "--timeout", 20)
    if a.exit == 10:
        # It was killed before the operation was accepted, and nobody was told that it was.
        assert told(client) is None and client.exit in (9, 1), "%s, and no operation: %s" % (client, a)
        scene.agree()
        equal(d.info()["online"], scene.count, "online")
        return "unknown"
    word = a.result.get("result")
    assert word in TERMINAL, "%s" % a
    if word == "failed" and a.result["error"] == "daemon restarted":
        equal(a.result["vcpus"], [], "an operation that had not begun: %s" % a)
        scene.agree()
        equal(d.info()["online"], scene.count, "online after %s" % a)
    else:
        equal((a.exit, word), wanted, "%s" % a)
    again = d.ctl("op", op).result
    equal(again["result"], word, "the same result, asked again")
    assert told(client) in (None, word), "the client was told %s, and now it is %s" % (client, a)
    return word if not a.result.get("error") == "daemon restarted" else "restarted"


def kill_everywhere(scene, wanted, first, twice=0):
    """Kill it at every STRIDE-th point from @first on; @twice: and the next daemon @twice points later."""
    words, again = {}, 0
    d = scene.d
    nth = first
    while True:
        op = "op-%d" % nth
        adds = scene.adds()
        d.arm("* %d kill" % nth)
        asking = scene.begin(op)
        client = asking.wait(30)
        ended = d.process.alive()
        d.arm()
        if ended and told(client):
            break
        d.wait_dead()
        if twice:
            d.arm("* %d kill" % twice)
            d.launch()
            wait_for(lambda: not d.process.alive() or d.ctl("wait", op, "--timeout", 20).exit not in (5, 9), 25,
                     "the next daemon's death, or the operation's end")  # fmt: skip
            again += not d.process.alive()
            d.arm()
            d.stop(signal.SIGKILL)
        d.start()
        word = after(scene, op, client, wanted)
        check_adds(scene, word, adds)
        words[word] = words.get(word, 0) + 1
        scene.agree()
        scene.back()
        nth += STRIDE
    kills = sum(words.values())
    print("# killed %d times, at points 1 to %d: %s; %d times in the recovery too" % (kills, nth, words, again))
    assert kills >= 45 / STRIDE, "only %s" % words
    # Where little is left to be done the operation ends before the next daemon comes to its point.
    assert not twice or again >= 0.6 * kills, "only %d of %d died twice" % (again, kills)
    return words


@case(deadline=LIMIT)
def an_add_of_three_killed_everywhere():
    with Scene(BASE, BASE + 3) as s:
        words = kill_everywhere(s, (0, "done"), 1)
        assert words.get("done"), words


@case(deadline=LIMIT)
def a_rollback_killed_everywhere():
    with Scene(BASE, BASE + 3, files=deny_files()) as s:
        words = kill_everywhere(s, (1, "failed"), 3)
        assert words.get("failed"), words


@case(deadline=LIMIT)
def a_removal_of_three_killed_everywhere():
    with Scene(BASE + 3, BASE) as s:
        words = kill_everywhere(s, (0, "done"), 5)
        assert words.get("done"), words


@case(deadline=LIMIT)
def an_add_killed_twice():
    with Scene(BASE, BASE + 3) as s:
        kill_everywhere(s, (0, "done"), 2, twice=17)


@case(deadline=LIMIT)
def a_removal_killed_twice():
    with Scene(BASE + 3, BASE) as s:
        kill_everywhere(s, (0, "done"), 4, twice=29)


@case()
def every_kind_of_step_is_a_point():
    with Scene(BASE, BASE + 1) as s:
        s.d.list_passed()
        done(s.begin("listed").wait())
        done(s.d.setvcpus(BASE))
        kinds = set(s.d.passed())
        wanted = {"intent.write", "intent.written", "qmp.send", "qmp.sent", "qmp.reply", "qmp.event", "agent.send",
                  "agent.sent", "agent.frame", "control.request", "control.send", "control.sent", "hypervisor.plug",
                  "hypervisor.unplug", "hypervisor.answer"}  # fmt: skip
        assert wanted <= kinds, "missing: %s" % (wanted - kinds)


@case()
def the_release_build_has_no_failpoints():
    with open(VCPUHPD, "rb") as f:
        assert b"VCPUHP_TEST" not in f.read()
    with open(VCPUHPD + "-test", "rb") as f:
        assert b"VCPUHP_TEST" in f.read()


if __name__ == "__main__":
    tap.main(before=why_not)
