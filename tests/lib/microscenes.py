# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lives of a MicroVM: each plugs and unplugs all its vCPUs once, and most of them meet a guest that
refuses, hangs or lies on the way.

A scene is given a Life and one vCPU's number k, which is where it happens. After whatever was
asked, truth() holds info against QEMU's table and against what the guest's boot vCPU really did.
"""

import errno
import os

from microguest import COUNT, LOG, ONLINE, MicroVM
from daemon import Daemon
from scene import done, result
from tap import equal, matches
from vm import wait_for

MAXIMUM = 8
ALL = range(1, MAXIMUM)
# A kick that is called back is waited for twice as long as for a CPU to be present, and 1 s.
SHORT = {"EjectSec": 1, "EjectMaxSec": 3, "GuestPresentSec": 2}
SLOW = 3 if "ASAN_OPTIONS" in os.environ else 1


class Life:
    """A MicroVM with a daemon, and what was answered to each request."""

    def __init__(self, name="web1", daemon=None, accel="kvm", alone=True):
        self.answers = []
        self.alone = alone  # on the host: how long something takes says something
        self.vm = MicroVM(name, MAXIMUM, accel=accel)
        try:
            self.d = Daemon(self.vm, daemon={**SHORT, **(daemon or {})})
            self.d.wait_idle_online(1)
        except BaseException:
            self.vm.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        try:
            self.d.__exit__(*exc)
        finally:
            self.vm.close()

    def cpu(self, vcpu):
        """The guest's number of it."""
        return 2 * MAXIMUM - vcpu

    def say(self, command, *numbers):
        self.vm.say(command % numbers)

    def asked(self, asking):
        """The answer of a request, kept."""
        answer = asking.wait(60)
        self.answers.append(answer)
        return answer

    def count(self, number, *options):
        return self.asked(self.d.begin("setvcpus", self.vm.name, number, *options))

    def only(self, vcpus, *options):
        words = vcpus if isinstance(vcpus, (str, int)) else ",".join(map(str, vcpus))
        return self.asked(self.d.begin("setvcpu", self.vm.name, words, *options))

    def truth(self, present, running=None, lies=False):
        """QEMU has @present; of them those of @running (None: all) run; info says so. @lies: the guest
        tells another state than it has."""
        running = present if running is None else running
        equal(self.vm.qemu_present(), list(present), "QEMU's slots")
        equal(self.vm.running(), list(running), "vCPUs that run")
        i = self.d.info()
        vcpus = {v["vcpu"]: v for v in i["vcpus"] if v["state"]}
        equal((i["present"], sorted(vcpus)), (len(present), list(present)), "info's present")
        equal([v for v in vcpus if vcpus[v]["pending"]], [], "pending in info")
        if lies:
            return
        equal(i["online"], len(running), "info's online")
        equal([v for v in vcpus if vcpus[v]["name"] == "online"], list(running), "info's vCPUs at online")
        for v in filter(None, running):
            equal((vcpus[v]["cpu"], vcpus[v]["ran_on"]), (self.cpu(v), self.cpu(v)), "vCPU %d ran on" % v)

    def up(self):
        """All of them, in one request."""
        a = done(self.count(MAXIMUM), present=MAXIMUM, online=MAXIMUM)
        ran_there(self, a, ALL)
        self.truth(range(MAXIMUM))

    def down(self):
        done(self.count(1), present=1, online=1)
        self.truth([0])

    def over(self):
        """All have come and gone, each once."""
        self.truth([0])
        slots = [a["core-id"] for _, a in self.vm.sent("device_add")]
        equal(sorted(slots), list(ALL), "slots of device_add")

    def settles(self, present, running=None, seconds=10):
        """Something of late comes to its end by itself."""
        def settled():
            i = self.d.info()
            return i["present"] == len(present) and not [v for v in i["vcpus"] if v["pending"]]

        wait_for(settled, seconds * SLOW, lambda: "%s present: %s" % (list(present), self.d.brief()))
        self.truth(present, running)


def ran_there(life, answer, vcpus):
    """Every step of the worker and every callback of @vcpus ran on that vCPU itself, and once."""
    calls = life.vm.calls()
    for v in vcpus:
        cpu = life.cpu(v)
        steps = [p for p in answer.steps(v, "exit") if p["state"] >= 8]
        equal([(p["name"], p["ran_on"], p["rc"]) for p in steps],
              [(n, cpu, 0) for n in ("ap:threads", "ap:verify", "ap:dyn.10-count", "ap:dyn.20-log",
                                     "ap:active")], "vCPU %d's steps" % v)  # fmt: skip
        equal([c for c in calls if c[2] == cpu],
              [("10-count", "startup", cpu, cpu), ("20-log", "startup", cpu, cpu)], "vCPU %d's callbacks" % v)  # fmt: skip
        equal((answer.vcpu(v)["result"], answer.vcpu(v)["ran_on"]), ("ok", cpu), "vCPU %d" % v)


def others(k):
    return [v for v in ALL if v != k]


def without(k):
    return [v for v in range(MAXIMUM) if v != k]


# ---- guests that do what they are asked to


def one_by_one(life, k):
    for v in ALL:
        ran_there(life, done(life.only(v, "--enable")), [v])
        life.truth(range(v + 1))
    for v in reversed(ALL):
        done(life.only(v, "--disable"))
        life.truth(range(v))


def all_at_once(life, k):
    life.up()
    life.down()


def batches(life, k):
    """Up to k, then to all; k is the last to go."""
    done(life.count(k + 1), online=k + 1)
    done(life.count(MAXIMUM), online=MAXIMUM)
    life.truth(range(MAXIMUM))
    done(life.only(others(k), "--disable"))
    life.truth([0, k])
    life.down()


def by_standby(life, k):
    """Plugged and present, and not started before it is asked for."""
    done(life.count(1, "--standby", 7), present=8, online=1, standby=7)
    equal({s: r["starts"] for s, r in life.vm.cpus().items()}, dict.fromkeys(range(MAXIMUM), 0), "starts")
    life.truth(range(MAXIMUM), running=[0])
    done(life.only(k, "--enable"))
    life.truth(range(MAXIMUM), running=[0, k])
    done(life.only(k, "--standby"))
    life.truth(range(MAXIMUM), running=[0])
    life.vm.calls()
    life.up()
    done(life.only(ALL, "--disable"))
    life.truth([0])


# ---- guests that refuse


def a_startup_fails(life, k):
    life.say("fail %d up %d 5", LOG, life.cpu(k))
    a = result(life.count(MAXIMUM, "--policy", "best-effort"), 3, "partial")
    mine = a.vcpu(k)
    equal((mine["result"], mine["failed_at"], mine["rc"]), ("failed", "ap:dyn.20-log", 5), "%s" % a)
    cpu = life.cpu(k)
    equal([c[:2] for c in life.vm.calls() if c[2] == cpu],
          [("10-count", "startup"), ("20-log", "startup"), ("10-count", "teardown")], "R8 on vCPU %d" % k)  # fmt: skip
    # By its own walk, before the host was told: a kick from the host would be no rollback of the walk's.
    back = [p for p in a.steps(k, "exit") if p["state"] >= ONLINE and not p["startup"]]
    equal([(p["name"], p["rollback"]) for p in back],
          [("ap:dyn.10-count", True), ("ap:threads", True), ("ap:online", True)], "R8 on vCPU %d" % k)  # fmt: skip
    life.truth(without(k))
    life.down()


def a_startup_fails_and_all_go_back(life, k):
    life.say("fail %d up %d 7", COUNT, life.cpu(k))
    a = result(life.count(MAXIMUM), 1, "failed")
    equal((a.vcpu(k)["failed_at"], a.vcpu(k)["rc"]), ("ap:dyn.10-count", 7), "%s" % a)
    equal(sorted({v["result"] for v in a.result["vcpus"]} - {"failed"}), ["rolled-back"], "%s" % a)
    equal({r["counted"] for r in life.vm.cpus().values()}, {0}, "what 10-count counted")
    life.truth([0])


def a_teardown_refuses(life, k):
    life.up()
    life.say("fail %d down %d 16", COUNT, life.cpu(k))
    a = result(life.count(1), 4, "refused")
    equal((a.result["refused_by"], a.vcpu(k)["failed_at"], a.vcpu(k)["rc"]), ("guest", "ap:dyn.10-count", 16))
    equal(life.vm.sent("device_del"), [], "device_del sent to QEMU")
    life.truth(range(MAXIMUM))
    equal({r["counted"] for s, r in life.vm.cpus().items() if s}, {1}, "what 10-count counted")
    life.say("fail 0")
    life.down()


def an_eject_is_refused(life, k, status=0x82):
    life.up()
    life.say("eject %d", status)
    a = result(life.only(k, "--disable"), 4, "refused")
    assert a.ms < 1000 * SLOW or not life.alone, "it took %.0f ms" % a.ms
    equal(a.result["refused_by"], "guest")
    equal(life.vm.cpus()[k]["starts"], 2, "starts: it was stopped, and is back in service (R9)")
    life.truth(range(MAXIMUM))
    life.say("eject accept")
    life.down()


def an_eject_fails(life, k):
    an_eject_is_refused(life, k, status=1)


# ---- guests that sleep or hang


def pending(life, answer, k):
    """The removal of k was sent and not confirmed: present, named, and not started again."""
    result(answer, 5, "pending")
    equal((answer.vcpu(k)["result"], answer.result["present"]), ("pending", MAXIMUM), "%s" % answer)
    equal(life.vm.qemu_present(), list(range(MAXIMUM)), "QEMU's slots")
    equal(life.vm.running(), without(k), "vCPUs that run")
    equal(life.d.info()["vcpus"][k]["pending"], "unplug")


def a_removal_request_is_slept_over(life, k):
    life.up()
    life.say("eject ignore")
    pending(life, life.only(k, "--disable"), k)
    life.say("eject accept")
    life.settles(without(k))
    life.down()


def an_insertion_is_slept_over(life, k):
    life.say("insert ignore")
    a = result(life.only(k, "--enable"), 1, "failed")
    equal(a.vcpu(k)["failed_at"], "guest:present", "%s" % a)
    life.truth([0])
    life.say("insert accept")
    done(life.only(others(k), "--enable"))
    life.truth(without(k))
    life.down()


def a_vcpu_never_answers(life, k):
    """The guest gives it up after its own 10 s."""
    life.say("hang %d up %d", ONLINE, life.cpu(k))
    a = result(life.count(MAXIMUM, "--policy", "best-effort"), 3, "partial")
    mine = a.vcpu(k)
    equal((mine["result"], mine["failed_at"], mine["rc"]), ("failed", "ap:online", -errno.ETIMEDOUT), "%s" % a)
    assert k not in life.vm.cpus(), "it was started, or is still there"
    life.truth(without(k))
    life.down()


def an_online_does_not_return(life, k):
    """It cannot be called back: the operation ends pending, and the walk when the vCPU answers."""
    life.say("hang %d up %d", ONLINE, life.cpu(k))
    a = result(life.count(MAXIMUM, "--timeout", 1), 5, "pending")
    equal((a.vcpu(k)["result"], a.result["present"]), ("pending", 2), "%s" % a)
    equal(life.vm.running(), [0], "vCPUs that run")
    life.say("hang 0")
    life.settles([0])
    equal(life.vm.cpus()[k]["starts"], 1, "starts")


def a_callback_does_not_return(life, k):
    """The operation's deadline ends it: its vCPU is stopped by INIT and started again for the rollback."""
    life.say("hang %d up %d", LOG, life.cpu(k))
    a = result(life.count(MAXIMUM, "--timeout", 1), 1, "failed")
    mine = a.vcpu(k)
    equal((mine["failed_at"], mine["rc"], mine["rollback"]), ("ap:dyn.20-log", -errno.ETIMEDOUT, None), "%s" % a)
    equal(life.vm.cpus()[k]["starts"], 2, "starts")
    equal({r["counted"] for r in life.vm.cpus().values()}, {0}, "what 10-count counted")
    life.truth([0])


# ---- guests that lie


def completion_is_forged(life, k):
    """_OST says that it is gone, and the slot is filled (R14)."""
    life.up()
    life.say("eject forge")
    pending(life, life.only(k, "--disable"), k)
    life.say("eject accept")
    # It has the request no more: an administrator's is as good as any.
    life.vm.qmp("device_del", id=life.vm.slots()[k]["qom-path"].rsplit("/", 1)[1])
    life.settles(without(k))
    life.down()


def online_is_claimed_without_a_step(life, k):
    life.say("lie done")
    a = result(life.only(k, "--enable"), 1, "failed")
    matches("proof ran on CPU -1, not on CPU %d" % life.cpu(k), a.vcpu(k)["error"])
    life.say("lie none")
    life.settles([0])
    done(life.only(others(k), "--enable"))
    life.down()


def all_steps_are_made_up(life, k):
    """Nobody can see from outside that nothing ran: online is the guest's word. What is present is not."""
    life.say("lie online")
    a = done(life.only(k, "--enable"), present=2)
    equal((a.vcpu(k)["ran_on"], life.vm.cpus()[k]["starts"]), (life.cpu(k), 0), "said, and so")
    life.truth([0, k], running=[0], lies=True)
    done(life.only(k, "--disable"), present=1)
    life.truth([0])
    life.say("lie none")
    done(life.only(others(k), "--enable"))
    life.truth(without(k))
    life.down()


def a_lie_is_found_out(life, k, lie, rests_at, words):
    """It is no success; and as the guest goes on lying, the rollback is none either, and says so (R17)."""
    life.say("lie " + lie)
    a = result(life.only(k, "--enable"), 12, "stuck")
    matches(words, a.vcpu(k)["error"])
    equal((a.vcpu(k)["name"], a.result["present"]), (rests_at, 2), "%s" % a)
    equal(life.vm.qemu_present(), [0, k], "QEMU's slots")
    life.say("lie none")
    done(life.only(k, "--disable"))
    life.truth([0])
    done(life.only(others(k), "--enable"))
    life.truth(without(k))
    life.down()


def steps_ran_elsewhere(life, k):
    a_lie_is_found_out(life, k, "ran-on", "standby", "that it ran on CPU 0, not on CPU %d" % life.cpu(k))


def the_proof_is_of_another_cpu(life, k):
    a_lie_is_found_out(life, k, "proof", "standby", "proof ran on CPU 0, not on CPU %d" % life.cpu(k))


def done_at_another_state(life, k):
    a_lie_is_found_out(life, k, "state", "standby", "protocol error: the agent says done at ap:threads")


def cpus_are_claimed_in_empty_slots(life, k):
    """The kick goes to the number that was claimed, which the guest has not, or to the right one where that
    was told in time: either way what is said is so."""
    life.say("lie present")
    life.truth([0])
    a = life.only(k, "--enable")
    if a.exit == 0:
        ran_there(life, done(a, present=2, online=2), [k])
    else:
        result(a, 1, "failed")
        equal((a.vcpu(k)["failed_at"], a.vcpu(k)["rc"]), ("ap:kick", -errno.ENODEV), "%s" % a)
    life.truth([0, k] if a.exit == 0 else [0])
    life.say("lie none")
    life.d.restart()
    life.d.wait_idle_online(2 if a.exit == 0 else 1)
    done(life.only(others(k), "--enable"))
    life.truth(range(MAXIMUM) if a.exit == 0 else without(k))
    life.down()


def results_are_said_again(life, k):
    """An older kick's result, as this CPU's and a success, beside each new kick: it answers for none (R7)."""
    first = 1 if k != 1 else 2
    done(life.only(first, "--enable"))
    life.say("lie stale")
    life.say("fail %d up %d %d", LOG, life.cpu(k), 5)
    a = result(life.only(k, "--enable"), 1, "failed")
    equal(a.vcpu(k)["failed_at"], "ap:dyn.20-log", "%s" % a)
    life.truth([0, first])
    life.say("fail 0")
    done(life.only([v for v in ALL if v not in (first, k)], "--enable"))
    life.truth(without(k))
    life.down()


def one_goes_unasked(life, k):
    life.up()
    life.say("drop %d", k)
    life.settles(without(k))
    assert life.d.info()["vcpus"][k]["drift"], life.d.brief()
    life.down()


GOOD = (one_by_one, all_at_once, batches, by_standby)
BAD = (
    a_startup_fails, a_startup_fails_and_all_go_back, a_teardown_refuses, an_eject_is_refused, an_eject_fails,
    a_removal_request_is_slept_over, an_insertion_is_slept_over, a_vcpu_never_answers, an_online_does_not_return,
    a_callback_does_not_return,     completion_is_forged, online_is_claimed_without_a_step, all_steps_are_made_up, steps_ran_elsewhere,
    the_proof_is_of_another_cpu, done_at_another_state, cpus_are_claimed_in_empty_slots,
    results_are_said_again, one_goes_unasked,
)  # fmt: skip
