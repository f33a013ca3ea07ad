# SPDX-License-Identifier: LGPL-2.1-or-later
"""Steps as GetTrace answers with them, of operations that were never run: what pictures are looked at with."""

STATES = {"host:admit": 1, "qemu:device": 2, "guest:present": 4, "ap:kick": 5, "ap:online": 7, "ap:threads": 8, "ap:verify": 9,
          "ap:active": 43}  # fmt: skip
HOST = [("host:admit", 0.2), ("qemu:device", 3.1), ("guest:present", 18.0), ("ap:kick", 0.6)]
UP = [("ap:threads", 0.4), ("ap:verify", 2.2)]
KERNEL = ("offline", "threads:prepare", "perf:prepare", "workqueue:prepare", "hrtimers:prepare", "smpcfd:prepare", "relay:prepare",
          "RCU/tree:prepare", "timers:prepare", "cpu:bringup", "smpboot/threads:online", "x86/vdso:vma:online", "perf:online",
          "workqueue:online", "RCU/tree:online", "acpi/cpu-drv:online", "sched:active", "online")  # fmt: skip


class Trace:
    """Points of time, in milliseconds."""

    def __init__(self, op):
        self.op, self.steps = op, []

    def point(self, ms, vcpu, name, phase, kernel=None, **more):
        state = STATES.get(name, 12 + len(name) % 3)
        step = {"t_us": int(7e9 + ms * 1000), "vcpu": vcpu, "cpu": vcpu, "state": state, "name": name, "phase": phase, "rc": 0,
                "op": self.op, "ran_on": vcpu if state >= 8 else None, "error_us": 30 if state >= 7 else 0,
                "startup": True, "rollback": False, "late": False, "text": None}  # fmt: skip
        if kernel is not None:
            step["kernel"] = {"step": kernel, "name": KERNEL[kernel], "phase": phase, "rc": 0}
        self.steps.append(dict(step, **more))

    def step(self, at, vcpu, name, ms, **more):
        """One from @at on; return its end."""
        self.point(at, vcpu, name, "enter", **{k: v for k, v in more.items() if k in ("startup", "rollback")})
        self.point(at + ms, vcpu, name, "exit", **more)
        return at + ms

    def online(self, at, vcpu, ms, left=True):
        """The kernel's online with its own ladder beneath."""
        self.point(at, vcpu, "ap:online", "enter")
        part = ms / (len(KERNEL) + 2)
        for i in range(len(KERNEL)):
            self.point(at + (i + 1) * part, vcpu, "ap:online", "enter", i)
            self.point(at + (i + 1.8) * part, vcpu, "ap:online", "exit", i)
        if left:
            self.point(at + ms, vcpu, "ap:online", "exit")
        return at + ms


def plug(n, first=1, op="resize-1", callbacks=("10-log",)):
    """@n vCPUs, pipelined as the daemon does it."""
    t, host, free = Trace(op), 0.0, 0.0
    for vcpu in range(first, first + n):
        at = host
        for name, ms in HOST:
            at = t.step(at, vcpu, name, ms)
        host += HOST[0][1] + HOST[1][1]
        at = free = t.online(max(at, free), vcpu, 28.0)
        for name, ms in UP + [("ap:dyn." + c, 4.0) for c in callbacks] + [("ap:active", 0.3)]:
            at = t.step(at, vcpu, name, ms)
    return t.steps


def failed():
    """The second of two fails in its callback; both are taken back."""
    t = Trace("resize-2")
    for vcpu, start in ((4, 0.0), (5, 3.3)):
        at = start
        for name, ms in HOST:
            at = t.step(at, vcpu, name, ms)
        at = t.online(max(at, 26.0 + 32.0 * (vcpu - 4)), vcpu, 30.0)
        for name, ms in UP:
            at = t.step(at, vcpu, name, ms)
        if vcpu == 5:
            at = t.step(at, vcpu, "ap:dyn.50-licence", 9.0, rc=3, text="no licence for CPU 5")
        else:
            t.step(at, vcpu, "ap:dyn.50-licence", 9.0)
            at = 105.0
        down = {"rc": 0, "startup": False, "rollback": True}
        for name, ms in (("ap:threads", 0.5), ("ap:online", 24.0), ("qemu:device", 60.0)):
            at = t.step(at, vcpu, name, ms, **down)
    return t.steps


LONG = tuple("%d0-%s" % (i, "check-the-licence-of-every-product-on-this-cpu-before-it-comes"[: 60]) for i in (1, 2, 3))

TRACES = {
    "one": plug(1),
    "eight": plug(8),
    "rollback": failed(),
    "long": plug(2, op="resize-" + "0123456789" * 5, callbacks=LONG),
    "both": plug(2) + [dict(s, t_us=s["t_us"] + 900000) for s in failed()],
    "running": plug(1)[:-7],
    "nothing": [],
}
