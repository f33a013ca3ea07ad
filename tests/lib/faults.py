# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every fault that can be had on KVM+qtest, and what is right in each phase it hits.

A fault is a function that does it: what stands before its first yield happens while the operation is
held, what follows when it goes on again, and what follows the second yield when it has ended.
"""

import signal
import threading
import time

import wire
from daemon import Daemon
from failpoints import FailingDaemon
from faultbed import (ADD, REMOVE, Bed, add_replied, add_sent, admitted, del_replied, del_sent, eject_awaited,
                      kernel_offline, kernel_online, present_awaited)  # fmt: skip
from scene import done
from tap import equal
from vm import wait_for

EXITS = {"done": 0, "failed": 1, "cancelled": 1, "partial": 3, "refused": 4, "pending": 5, "no-agent": 6,
         "vm-gone": 11, "stuck": 12}  # fmt: skip


class Kind:
    """An operation that the faults hit. @start, @goal: vCPUs before it and asked for. @unplugged: the
    one that another takes away."""

    def __init__(self, name, phases, start, goal, unplugged):
        self.name, self.phases, self.start, self.goal = name, phases, start, goal
        self.unplugged = unplugged

    def left(self, word, phase):
        """vCPUs once a @word has settled: what is pending goes back where it was, but leaves once QEMU was
        asked to remove it."""
        asked = phase in (del_sent, del_replied, eject_awaited)
        return self.goal if word == "done" or word == "pending" and asked else self.start


# The vCPU that the phases hold.
ADDING = Kind("add", ADD, 1, 3, unplugged=1)
REMOVING = Kind("remove", REMOVE, 3, 1, unplugged=2)


class Fault:
    """@add, @remove: phase -> the word(s) that are right, or those of all; phases not named are not hit.
    @options: of setvcpus. @left: (cell, word, slots) -> (slots filled afterwards, how many online), where that
    is not as Kind.left() has it. @ends: the VM is gone by it. @cells: phases that one bed is used for.
    @neighbour: with another domain. @deaf: the agent may be away at the end of the operation. @later: it comes
    true when the operation has ended, where the phase is in LET_GO_LATER. @kills: the daemon, which is the test
    build."""

    def __init__(self, inject, add, remove, options=(), ends=False, daemon=None, left=None, cells=8,
                 neighbour=False, deaf=False, later=False, kills=False):  # fmt: skip
        self.kills = kills
        self.inject, self.name = inject, inject.__name__
        self.right = {"add": add, "remove": remove}
        self.options, self.ends, self.left, self.deaf, self.later = options, ends, left, deaf, later
        self.daemon, self.neighbour, self.cells = daemon, neighbour, 1 if ends else cells

    def expected(self, kind, phase):
        right = self.right[kind.name]
        return (right if isinstance(right, str) else right.get(phase.__name__, "")).split()


class Cell:
    """One fault in one phase, on @bed."""

    def __init__(self, bed, fault, kind, phase):
        self.bed, self.fault, self.kind, self.phase = bed, fault, kind, phase
        self.name = "%s@%s:%s" % (fault.name, kind.name, phase.__name__)
        self.asking = self.op = self.answer = self.foreign = None
        self.struck = None  # how often, for a fault that counts it

    @property
    def over(self):
        """The operation ends before the fault, or before it comes true."""
        return self.phase is self.kind.phases[-1] or (self.fault.later and self.phase in LET_GO_LATER)

    def run(self):
        """The word of the operation's one result."""
        b = self.bed
        holding = self.phase(b)
        next(holding)
        self.asking, self.op = b.begin(self.kind.goal, *self.fault.options)
        next(holding)
        injecting = self.fault.inject(b, self)
        next(injecting)
        if not self.fault.ends:
            next(holding, None)
        next(injecting, None)
        self.answer = self.answer or self.asking.wait(15)
        next(injecting, None)
        return self.judge()

    def judge(self):
        a, b = self.answer, self.bed
        word = a.result.get("result")
        wanted = self.fault.expected(self.kind, self.phase)
        assert word in wanted, "%s: %s, not %s" % (word, a, " or ".join(wanted))
        equal(a.exit, EXITS[word], "exit status of %s" % a)
        b.answers[self.op] = word
        if self.fault.ends:
            self.all_is_over()
            return word
        slots, online = self.left(word)
        if word == "done":
            self.claims(slots, online)
        b.one_truth(slots, online)
        if self.foreign:
            b.vm.unplug(self.foreign)
            slots.remove(self.foreign)
            b.one_truth(slots)
        self.told_alike()
        b.release()
        self.goes_on()
        return word

    def all_is_over(self):
        """Of a VM that is gone nothing is claimed."""
        b = self.bed
        b.until(lambda: b.info()["status"] == "attaching", "the loss noticed")
        b.until(lambda: b.d.counts() == (None, None, None), "nothing known")
        equal([v for v in b.info()["vcpus"] if v["pending"] or v["state"]], [], "vCPUs of a VM that is gone")
        b.until(lambda: b.d.descriptors() <= b.weight[0], "no more descriptors than %d" % b.weight[0])
        self.told_alike()

    def left(self, word):
        """The slots filled when it has settled, and how many of them are online."""
        slots = list(range(self.kind.left(word, self.phase)))
        return self.fault.left(self, word, slots) if self.fault.left else (slots, len(slots))

    def claims(self, slots, online):
        """What a success says is so; unknown where the agent was away when it ended."""
        said = [self.answer.result[key] for key in ("present", "online")]
        if self.over:
            equal(said, [self.kind.goal] * 2, "%s" % self.answer)
        elif self.foreign is not None and self.phase in QMP_IS_HELD:
            # QEMU tells nobody of a plug: the table that counted may be one of before.
            assert said in ([len(slots), online], [len(slots) - 1, online]), "%s" % self.answer
        elif not (self.fault.deaf and said == [len(slots), None]):
            equal(said, [len(slots), online], "%s" % self.answer)

    def told_alike(self):
        later = self.bed.d.ctl("op", self.op).result
        for key in ("result", "present", "online", "standby", "vcpus"):
            equal(later[key], self.answer.result[key], "%s, asked later" % key)

    def goes_on(self):
        """The next operations are plain ones, and nothing is left."""
        b = self.bed
        for count in (4 - self.kind.start, self.kind.start):
            b.count_to(count)
            b.one_truth(list(range(count)))
        b.nothing_left()


def chunks(fault, kind):
    """The phases it hits, in as many parts as it takes beds: a guest may say only so much."""
    phases = [p for p in kind.phases if fault.expected(kind, p)]
    return [phases[i : i + fault.cells] for i in range(0, len(phases), fault.cells)]


def walk(fault, kind, phases, note):
    """The cells of @fault in @phases, on one bed. @note(cell, word, error, seconds). A cell that failed
    leaves a bed of which nothing is known, and the next gets another."""
    bed = None
    for phase in phases:
        begun = time.monotonic()
        bed = bed or Bed(kind.start, fault.daemon, fault.neighbour, FailingDaemon if fault.kills else Daemon)
        cell, word, error = Cell(bed, fault, kind, phase), None, None
        try:
            word = cell.run()
            if phase is phases[-1]:
                told_once(bed)
        except Exception as e:
            error = e
        note(cell, word, error, time.monotonic() - begun)
        if error:
            bed.close()
            bed = None
    if bed:
        bed.close()


def told_once(bed):
    """Each operation ended once, and there was none that nobody asked for."""
    ended = bed.ended()
    told = {op: [word] for op, word in bed.answers.items() if op in ended or op not in bed.unheard}
    equal(ended, told, "ends told")


def pass_time(seconds):
    end = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() > end, seconds + 1, "time")


def edit_frames(edit):
    """For Port.edit: @edit makes of a frame those that the host gets."""
    decoder = wire.Decoder()

    def edited(data):
        decoder.feed(data)
        out = b""
        while True:
            f = decoder.next()
            if not f:
                return out
            out += b"".join(wire.frame(e.kind, e.payload, e.session, e.seq) for e in edit(f))

    return edited


def other_protocol(f):
    if f.kind != wire.HELLO:
        return f
    hello = dict(wire.decode(f.kind, f.payload), version_min=9, version_max=9)
    return f._replace(payload=wire.encode(wire.HELLO, **hello))


# Of the guest


def nothing(b, cell):
    yield


def agent_killed(b, cell):
    b.guest.stop_agent(signal.SIGKILL)
    b.guest.start_agent()
    yield


def agent_killed_twice(b, cell):
    """The second time while it looks around, where the kernel keeps none from doing so."""
    b.guest.stop_agent(signal.SIGKILL)
    begun = b.guest.agent.text().count(": version ")
    b.guest.start_agent()
    if not cell.phase.__name__.startswith("kernel"):
        wait_for(lambda: b.guest.agent.text().count(": version ") > begun, 5, "the next agent")
    yield from agent_killed(b, cell)


def agent_of_another_version(b, cell):
    b.guest.program = b.another_agent()
    yield from agent_killed(b, cell)
    wait_for(lambda: b.info()["agent"]["version"] == b.versions[b.guest.program], 5, "its version")


def agent_of_another_protocol(b, cell):
    b.guest.port.edit = edit_frames(lambda f: [other_protocol(f)])
    b.guest.stop_agent(signal.SIGKILL)
    b.guest.start_agent()
    yield
    yield
    b.guest.port.edit = None
    b.guest.stop_agent(signal.SIGKILL)
    b.guest.start_agent()


def agent_reloads(b, cell):
    b.guest.agent.kill(signal.SIGHUP)
    yield


def guest_hangs(b, cell):
    b.guest.freeze()
    yield
    yield
    b.guest.thaw()


def guest_is_reset(b, cell):
    b.guest.freeze()
    b.vm.qmp("system_reset")
    b.guest.reboot()
    b.guest.thaw()
    yield


def guest_powers_off(b, cell):
    b.guest.power_off()
    yield


def guest_panics(b, cell):
    b.guest.panic()
    b.guest.freeze()
    yield
    yield
    b.vm.qmp("system_reset")
    b.guest.reboot()
    b.guest.thaw()
    b.vm.qmp("cont")


# Of QEMU


def vm_paused(b, cell):
    b.vm.qmp("stop")
    b.guest.freeze()
    yield
    b.until(lambda: b.info()["status"] == "paused", "paused")
    if cell.phase is admitted:  # QEMU is asked once more before it is refused
        cell.answer = cell.asking.wait(15)
    b.guest.thaw()
    b.vm.qmp("cont")


def qemu_killed(b, cell):
    b.vm.process.stop(signal.SIGKILL)
    yield


def qemu_stopped(b, cell):
    """For a moment; another domain does not notice."""
    b.vm.process.kill(signal.SIGSTOP)
    for count in (2, 1):
        done(b.d.ctl("setvcpus", "web2", count), online=count)
    threading.Timer(0.2, b.vm.process.kill, [signal.SIGCONT]).start()
    yield


# Nothing that happens in QEMU is told meanwhile.
QMP_IS_HELD = (add_sent, add_replied, del_sent, del_replied)


def plugged_by_another(b, cell, slot):
    b.vm.plug(slot)
    cell.foreign = slot
    if b.guest.insert == "accept":
        wait_for(lambda: slot in b.guest.present_slots(), 5, "the foreign vCPU")
    if cell.phase is admitted:
        b.until(lambda: b.state(slot) == "standby", "the foreign vCPU in info")
    elif b.guest.insert == "accept" and cell.phase not in QMP_IS_HELD:
        b.until(lambda: b.state(slot) != "offline", "the foreign vCPU in info")


def foreign_plug(b, cell):
    plugged_by_another(b, cell, 3)
    yield


def foreign_plug_of_its_slot(b, cell):
    plugged_by_another(b, cell, 1)
    yield


LET_GO_LATER = (present_awaited, kernel_online, kernel_offline)


def foreign_unplug(b, cell):
    """Of a vCPU of the operation; a kernel that is at work on it lets go of it after that."""
    at_work = cell.phase in LET_GO_LATER
    if at_work:
        b.guest.mode = "late"
    b.vm.unplug(cell.kind.unplugged)
    if at_work:
        wait_for(lambda: b.guest.in_progress, 5, "the request")
    elif cell.phase is not eject_awaited:
        wait_for(lambda: cell.kind.unplugged not in b.vm.qemu_present(), 5, "the eject")
    yield
    if cell.kind is ADDING:
        yield
    if at_work:
        b.guest.mode = "accept"
        b.guest.eject(cell.kind.unplugged)
    yield


def qemu_refuses(b, cell):
    b.gate.errors = {"device_add": "no", "device_del": "no"}
    yield
    yield
    b.gate.errors = {}


# Of what is between them

OF_A_CPU = ("DEVICE_DELETED", "ACPI_DEVICE_OST", "DEVICE_UNPLUG_GUEST_ERROR")


def counted(cell, edit):
    """@edit, and the cell knows how often it was had."""
    cell.struck = 0

    def edited(what):
        cell.struck += 1
        return edit(what)

    return edited


def edited_events(b, cell, edit):
    """@edit gets a line and returns those that are passed on."""
    edit = counted(cell, edit)
    b.gate.events = lambda name, line: edit(line) if name in OF_A_CPU else [line]
    yield
    yield
    b.gate.events = None


def events_lost(b, cell):
    yield from edited_events(b, cell, lambda line: [])


def events_twice(b, cell):
    yield from edited_events(b, cell, lambda line: [line, line])


def events_late(b, cell):
    """When the operation has ended."""
    kept = []

    def keep(line):
        kept.append(line)
        return []

    yield from edited_events(b, cell, keep)
    b.gate.say(kept)


def events_reordered(b, cell):
    """Each two the other way round."""
    kept = []

    def swap(line):
        kept.append(line)
        return [kept.pop(), kept.pop()] if len(kept) == 2 else []

    yield from edited_events(b, cell, swap)
    b.gate.say(kept)


def edited_replies(b, cell, edit):
    edit = counted(cell, edit)
    b.gate.replies = lambda name, line: edit(line) if name in ("device_add", "device_del") else [line]
    yield
    yield
    b.gate.replies = None


def reply_lost(b, cell):
    yield from edited_replies(b, cell, lambda line: [])


def reply_twice(b, cell):
    yield from edited_replies(b, cell, lambda line: [line, line])


def reply_late(b, cell):
    """Later than QEMU may take for it."""
    pass_time(1.3)
    yield


def qmp_disconnected(b, cell):
    b.gate.disconnect()
    yield


def port_disconnected(b, cell):
    b.guest.port.drop()
    yield


def frames_twice(b, cell):
    b.guest.port.edit = edit_frames(counted(cell, lambda f: [f, f]))
    yield
    yield
    b.guest.port.edit = None


def frame_torn(b, cell):
    """The connection ends in the middle of the next."""

    def tear(data):
        b.guest.port.edit = None
        b.guest.port.drop()
        return data[: len(data) // 2]

    b.guest.port.edit = tear
    yield


def frames_late(b, cell):
    b.guest.port.mute = True
    yield
    pass_time(0.3)
    b.guest.port.mute = False


# Of those who ask


def without_times(result):
    """They are not kept for the next daemon."""
    vcpus = [{key: v[key] for key in v if key != "ms"} for v in result["vcpus"]]
    return dict(result, vcpus=vcpus)


def next_daemon_goes_on(b, cell):
    """Who asked the one before has had the same answer, or none."""
    yield
    told = cell.asking.wait(5)
    cell.answer = b.d.ctl("wait", cell.op, "--timeout", 20)
    if told.exit != 9:
        equal(without_times(told.result), without_times(cell.answer.result), "told, and kept")
    yield


def daemon_killed(b, cell):
    b.kill_daemon()
    b.start_daemon()
    yield from next_daemon_goes_on(b, cell)


def daemon_killed_twice(b, cell):
    """The second time as soon as it can be asked."""
    b.kill_daemon()
    b.start_daemon()
    yield from daemon_killed(b, cell)


def daemon_killed_in_recovery(b, cell):
    """By a failpoint that the next one passes when it looks around: another one in each phase."""
    b.kill_daemon()
    b.d.arm("* %d kill" % (6 + 3 * cell.kind.phases.index(cell.phase)))
    b.d.launch()
    going_on = next_daemon_goes_on(b, cell)
    next(going_on)
    yield
    b.d.wait_dead()
    b.d.arm()
    b.start_daemon()
    yield from going_on


def deadline_passes(b, cell):
    pass_time(1.3)
    yield


def cancelled(b, cell):
    b.d.ctl("cancel", cell.op)
    yield


def client_killed(b, cell):
    cell.asking.popen.kill()
    yield
    cell.asking.wait(5)
    cell.answer = b.d.ctl("wait", cell.op)
    yield


def client_interrupted(b, cell):
    cell.asking.interrupt()
    a = cell.asking.wait(5)
    assert a.exit in ((0, 130) if cell.phase.__name__ in ("online", "offline") else (130,)), "%s" % a
    yield
    cell.answer = b.d.ctl("wait", cell.op)
    yield


def taken(cell, word, slots):
    """A foreign vCPU that rests at standby; but one that is there before the plan is made is taken by it."""
    if cell.phase is admitted and cell.kind is ADDING:
        return [0, 1, 3], 3
    return slots + [cell.foreign], len(slots)


def filled(cell, word, slots):
    return (slots, len(slots)) if word == "done" else ([0, 1], 1)


def without_it(cell, word, slots):
    """Of an add that was done before it left."""
    if cell.kind is ADDING and word == "done":
        slots = [0, 2]
    return slots, len(slots)


def stuck(cell, word, slots):
    """Without an agent nothing can be taken back that is not under way: it stays, and is said to."""
    left = {"startup_callback": ([0, 2], 2), "teardown_callback": (slots, 2), "kernel_offline": (slots, 1),
            "standby": (slots, 2)}  # fmt: skip
    return left.get(cell.phase.__name__, (slots, len(slots)))


def hung(cell, word, slots):
    """What the kernel took offline for a removal that is called off rests at standby."""
    return slots, 2 if cell.phase is kernel_offline else len(slots)


def words(phases, every, **others):
    """Phase -> words: @every, but for @others."""
    return {p.__name__: others.get(p.__name__, every) for p in phases}


def only(**phases):
    return phases


SECOND = {"QmpReplySec": 1, "GuestPresentSec": 1, "AgentPingSec": 1, "AgentWaitSec": 1, "OperationSec": 1}
TIMEOUT = ("--timeout", 1)


def asleep(not_begun, out):
    """A guest that takes no part: nothing is begun, what is out is @out, and settles when it is back."""
    return {"add": words(ADD, out, admitted=not_begun, online="done"),
            "remove": words(REMOVE, out, admitted=not_begun, del_replied="done", eject_awaited="done",
                            offline="done")}  # fmt: skip


# A VM that is gone ends what is under way.
GONE = {"add": words(ADD, "vm-gone", online="done"), "remove": words(REMOVE, "vm-gone", offline="done")}
DONE = {"add": "done", "remove": "done"}
# Once QEMU has read a command its reply may get lost, but not what it did: of two that were sent at
# once it may have read one, or both.
EITHER = "failed done"
READ = only(admitted=EITHER, add_sent=EITHER, add_replied="done")
# What has not been planned yet is not begun by the next daemon.
BEGUN = {"add": words(ADD, "done", admitted="failed"), "remove": words(REMOVE, "done", admitted="failed")}

FAULTS = (
    Fault(nothing, **DONE),
    # The next agent takes up what the record says, and the kick is given again.
    Fault(agent_killed, **DONE, deaf=True, cells=4),
    Fault(agent_killed_twice, **DONE, deaf=True, cells=3),
    Fault(agent_of_another_version, **DONE, deaf=True, cells=4),
    # As if there were none: what waits for it fails, what was handed over to it cannot be taken back.
    Fault(agent_of_another_protocol,
          words(ADD, "failed", admitted="no-agent", kernel_online="pending", startup_callback="stuck", online="done"),
          words(REMOVE, "done", admitted="no-agent", teardown_callback="stuck", kernel_offline="stuck",
                standby="stuck"),
          options=TIMEOUT, daemon=SECOND, left=stuck, deaf=True, cells=2),
    Fault(agent_reloads, **DONE),
    Fault(guest_hangs, **asleep("no-agent", "pending"), options=TIMEOUT, daemon=SECOND, left=hung, cells=2),
    # The kick is void, and the new kernel has all CPUs online: back to where it was; but a reset before
    # the kick may harm nothing, and what QEMU was asked to remove leaves.
    Fault(guest_is_reset,
          words(ADD, "failed", admitted="done", add_sent=EITHER, add_replied=EITHER, present_awaited=EITHER,
                online="done"),
          words(REMOVE, "done", teardown_callback="failed", kernel_offline="failed", standby="failed"),
          deaf=True, cells=4),
    Fault(guest_powers_off, **GONE, ends=True),
    Fault(guest_panics, **asleep("refused", "pending"), options=TIMEOUT, daemon=SECOND, cells=2),
    Fault(vm_paused, **asleep("refused", "done")),
    Fault(qemu_killed, **GONE, ends=True),
    Fault(qemu_stopped, **DONE, neighbour=True),
    # Where the guest does not take it either, QEMU tells nobody of it before the next tick.
    Fault(foreign_plug, words([p for p in ADD if p is not present_awaited], "done"), "done", left=taken),
    # Rests at standby and is taken, where it came before the plan.
    Fault(foreign_plug_of_its_slot, only(admitted="done", add_sent="failed"), {}, left=filled),
    # It fails where it is in the middle of it; a removal has what it wants.
    Fault(foreign_unplug,
          only(present_awaited="done", present="failed", kernel_online="done", startup_callback="failed",
               online="done"),
          only(admitted="done", teardown_callback="done", kernel_offline="done", standby="done",
               eject_awaited="done"),
          left=without_it, later=True),
    Fault(qemu_refuses, only(admitted="failed", add_sent="failed"), words(REMOVE[:5], "refused")),
    # QEMU's table decides, at the latest when the eject's deadline passes.
    Fault(events_lost, **DONE, cells=4),
    Fault(events_twice, **DONE),
    Fault(events_late, **DONE, cells=4),
    Fault(events_reordered, **DONE),
    # No QMP any more: the connection is made anew.
    Fault(reply_lost, READ, words(REMOVE[:6], "done")),
    Fault(reply_twice, READ, words(REMOVE[:6], "done")),
    Fault(reply_late, only(add_sent="pending", add_replied="pending"),
          only(del_sent="pending", del_replied="pending"), daemon=SECOND),
    # A device_add that QEMU has not read is not sent again; a device_del is.
    Fault(qmp_disconnected, words(ADD, "done", add_sent="failed"), "done"),
    Fault(port_disconnected, **DONE, deaf=True, cells=4),
    Fault(frames_twice, **DONE),
    Fault(frame_torn, **DONE, deaf=True, cells=4),
    Fault(frames_late, **DONE),
    # What can be taken back is taken back; what QEMU was asked to remove is only not waited for.
    Fault(deadline_passes, words(ADD, "failed", admitted="no-agent", online="done"),
          words(REMOVE, "failed", admitted="no-agent", del_sent="pending", del_replied="pending",
                eject_awaited="pending", offline="done"),
          options=TIMEOUT, cells=3),
    Fault(cancelled, words(ADD, "cancelled", online="done"),
          words(REMOVE, "cancelled", del_sent="done", del_replied="done", eject_awaited="done", offline="done")),
    Fault(daemon_killed, **BEGUN, deaf=True, kills=True, cells=4),
    Fault(daemon_killed_twice, **BEGUN, deaf=True, kills=True, cells=4),
    Fault(daemon_killed_in_recovery, **BEGUN, deaf=True, kills=True, cells=4),
    Fault(client_killed, **DONE),
    Fault(client_interrupted, **DONE),
)

__all__ = ["ADDING", "FAULTS", "REMOVING", "told_once", "walk"]
