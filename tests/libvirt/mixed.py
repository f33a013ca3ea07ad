#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virsh and vcpuhpctl change one domain at random, several of each at once, hundreds of times.

None of them may hang, no vCPU may be lost, and in the end all views are one. The seed is printed;
$VCPUHP_SEED repeats it, as far as the threads' turns allow.
"""

import os
import random
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from lvscene import Scene, all_agree, ends_told, prepare
from scene import done
from tap import case, equal
from vm import wait_for

MAXIMUM = 8
STANDBY = 6
HANGS_S = 60  # no answer within it
STATES = ("standby", "ap:threads", "ap:verify", "ap:active", "online", "offline")
NO_OPERATION = (4, 8)  # refused at once, too many wait


def virsh_setvcpus(r, dom, d):
    return ("setvcpus", dom.name, r.randint(1, MAXIMUM), "--live")


def virsh_setvcpu(r, dom, d):
    return ("setvcpu", dom.name, r.randint(1, MAXIMUM - 1), r.choice(("--enable", "--disable")), "--live")


def setvcpus(r, dom, d):
    return ("setvcpus", dom.name, r.randint(1, MAXIMUM)) + policy(r)


def with_standby(r, dom, d):
    n = r.randint(1, MAXIMUM)
    return ("setvcpus", dom.name, n, "--standby", r.randint(0, MAXIMUM - n)) + policy(r)


def setvcpu(r, dom, d):
    vcpus = r.sample(range(1, MAXIMUM), r.randint(1, 3))
    return ("setvcpu", dom.name, ",".join(map(str, vcpus)),
            r.choice(("--enable", "--disable", "--standby"))) + policy(r)  # fmt: skip


def target(r, dom, d):
    return ("target", dom.name, r.randint(1, MAXIMUM - 1), r.choice(STATES))


def cancel(r, dom, d):
    """One that is not over, if there is any: of those somebody else is waiting for."""
    open_ones = [o["op"] for o in d.ctl("ops", dom.name).lines if o["result"] == "accepted"]
    return ("cancel", r.choice(open_ones)) if open_ones else setvcpus(r, dom, d)


def policy(r):
    return r.choice(((), (), ("--policy", "best-effort"), ("--policy", "at-least=1")))


VIRSH = (virsh_setvcpus, virsh_setvcpu)
OURS = (setvcpus, with_standby, setvcpu, target, cancel)


def by_virsh(seed, dom, d, n):
    r = random.Random(seed)
    return [dom.lv.virsh(*r.choice(VIRSH)(r, dom, d), check=False, seconds=HANGS_S) for _ in range(n)]


def by_us(seed, dom, d, n):
    r = random.Random(seed)
    return [d.ctl(*r.choice(OURS)(r, dom, d), seconds=HANGS_S) for _ in range(n)]


def views(dom, d):
    """(slots by XML, QEMU, the guest and info; their number by virsh and info; online in the guest, in info)"""
    i = d.info()
    there = [v for v in i["vcpus"] if v["state"]]
    slots = [dom.xml_present(), dom.qemu_present(), dom.guest.present_slots(), [v["vcpu"] for v in there]]
    return slots, [dom.vcpucount(), i["present"]], [
        dom.guest.online(), sorted(v["cpu"] for v in there if v["state"] > STANDBY)]  # fmt: skip


def all_views_are_one(dom, d):
    last = [None]

    def agree():
        i = d.info()
        last[0] = slots, counts, online = views(dom, d)
        quiet = not i["operation"] and not [v for v in i["vcpus"] if v["pending"]]
        return (quiet and all(s == slots[0] for s in slots) and set(counts) == {len(slots[0])}
                and online[0] == online[1])  # fmt: skip

    wait_for(agree, 20, lambda: "%s, %s" % (last[0], d.brief()), pause=0.2)


def told(answers):
    """How often each result was given, and each command's exit status of virsh."""
    return dict(Counter(getattr(a, "result", {}).get("result") or "exit %d" % a.exit for a in answers))


def at_random(n):
    seed = int(os.environ.get("VCPUHP_SEED") or random.SystemRandom().randrange(10**9))
    print("# VCPUHP_SEED=%d, %d operations" % (seed, n), flush=True)
    with Scene() as (dom, guest, d), ThreadPoolExecutor() as pool:
        listener = d.begin("events", dom.name)
        events = pool.submit(listener.wait, 1200)
        try:
            turns = [pool.submit(who, seed + i, dom, d, n // 4)
                     for i, who in enumerate((by_virsh, by_us, by_virsh, by_us))]  # fmt: skip
            answers = [[a for f in turns[i::2] for a in f.result()] for i in (0, 1)]
            print("# virsh: %s; vcpuhpctl: %s" % tuple(map(told, answers)), flush=True)
            equal([v for v in answers[0] if v.exit not in (0, 1)], [], "virsh hung or crashed")
            all_views_are_one(dom, d)
            done(d.setvcpus(MAXIMUM), present=MAXIMUM, online=MAXIMUM)
            all_agree(dom, d, list(range(MAXIMUM)))
            done(d.setvcpus(1), present=1, online=1)
            all_agree(dom, d, [0])
        finally:
            d.stop()
        each_ended_once(answers[1], ends_told(events.result().lines))


def each_ended_once(answers, ends):
    equal({op: r for op, r in ends.items() if len(r) != 1}, {}, "operations that ended more than once")
    for a in answers:
        op = a.result.get("op")
        # What cancel shows of an operation is not yet its end.
        if op and a.result["result"] != "accepted":
            equal(ends.get(op), [a.result["result"]], "the ends told of %s" % a)
        elif not op:
            assert a.exit in NO_OPERATION, "%s" % a


@case(deadline=180)
def two_hundred_operations_by_virsh_and_vcpuhpctl_at_once_end_in_one_view():
    at_random(200)


@case(deadline=1800, long=True)
def two_thousand_operations_by_virsh_and_vcpuhpctl_at_once_end_in_one_view():
    at_random(2000)


if __name__ == "__main__":
    tap.main(before=prepare)
