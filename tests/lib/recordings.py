# SPDX-License-Identifier: LGPL-2.1-or-later
"""Replies of vcpuhpd as they stand on the socket, for the fake daemon of the vcpuhpctl tests.

They are here, in one place, so that a test with the real daemon can hold its replies against them:
shape() reduces a reply to its keys and types.
"""

AGENT = {
    "connected": True, "version": "0.1.0", "kernel": "6.1.0-cloud-amd64",
    "boot_id": "5a1e8a9c-0f3d-4c57-9a53-2f6f8ce0b7d1", "why": None,
}  # fmt: skip

LOAD = {
    "age_ms": 250, "span_ms": 2000, "pressure": {"avg10": 42.1, "avg60": 18.05, "total_us": 123456789},
    "average": [5.12, 2.56, 1.28], "runnable": 9, "busy": 87.5, "steal": None,
}  # fmt: skip

SUMMARY = {
    "domain": "web1", "uuid": "c7a5fdbd-edaf-9455-926a-d65c16db1809", "hypervisor": "qemu",
    "status": "running", "why": None, "accel": "kvm", "agent": AGENT,
    "maximum": 8, "present": 4, "online": 3, "standby": 1, "operation": None, "load": LOAD, "load_why": None,
}  # fmt: skip

ATTACHING = dict(SUMMARY, domain="db", uuid=None, status="attaching", accel=None, maximum=None,
                 present=None, online=None, standby=None, why="cannot connect to /q: Connection refused",
                 load=None, load_why="no agent is connected",
                 agent=dict(AGENT, connected=False, version=None, kernel=None, boot_id=None,
                            why="no agent has answered"))  # fmt: skip


def info_vcpu(vcpu, state, name, **keys):
    v = {
        "vcpu": vcpu, "cpu": vcpu if state else None,
        "slot": {"socket-id": 0, "core-id": vcpu, "thread-id": 0}, "boot": vcpu == 0,
        "owned": vcpu > 0 and state > 0, "state": state, "name": name,
        "ran_on": vcpu if state > 6 else None, "pending": None, "drift": None, "since_ms": 1500,
    }  # fmt: skip
    return dict(v, **keys)


CPU_LOADS = [{"vcpu": 0, "cpu": 0, "busy": 75.0, "steal": None}, {"vcpu": 2, "cpu": 2, "busy": None, "steal": 0.5}]

INFO = dict(SUMMARY, unsupported=None, operation="op-1", load=dict(LOAD, cpus=CPU_LOADS), vcpus=[
    info_vcpu(0, 44, "online"), info_vcpu(1, 44, "online"), info_vcpu(2, 44, "online"),
    info_vcpu(3, 6, "standby", pending="unplug", drift="the guest brought it online itself"),
    info_vcpu(4, 0, "offline"),
])  # fmt: skip

HOST = {
    "version": "0.1.0", "cpus_online": 2,
    "kvm": {"available": True, "why": None, "api": 12, "nr_vcpus": 2, "max_vcpus": 1024,
            "max_vcpu_id": 4096},
    "domains": 1, "uptime_ms": 5000,
    "config": {"allow_fault_injection": False, "operators": ["vcpuhp-ops"],
               "deadlines": {"qmp_reply_ms": 5000, "operation_ms": 120000}, "load_interval_ms": 0},
}  # fmt: skip

STATES = [
    {"state": 0, "name": "offline", "meaning": "no vCPU in QEMU", "side": "-", "target": True,
     "skip_rollback": False, "startup_ms": 0, "teardown_ms": 0},
    {"state": 2, "name": "qemu:device", "meaning": "QEMU has the vCPU", "side": "host",
     "target": False, "skip_rollback": False, "startup_ms": 5000, "teardown_ms": 30000},
    {"state": 44, "name": "online", "meaning": "in service", "side": "-", "target": True,
     "skip_rollback": False, "startup_ms": 0, "teardown_ms": 0},
]  # fmt: skip


def step(vcpu, state, name, phase, t_ms, **keys):
    """A progress object."""
    s = {
        "op": "op-1", "vcpu": vcpu, "cpu": vcpu, "state": state, "name": name, "phase": phase,
        "rc": 0, "ran_on": None, "t_ms": t_ms, "startup": True, "rollback": False, "late": False,
        "text": None,
    }  # fmt: skip
    return dict(s, **keys)


def kernel_step(vcpu, number, name, phase, t_ms):
    return step(vcpu, 7, "ap:online", phase, t_ms,
                kernel={"step": number, "name": name, "phase": phase, "rc": 0})  # fmt: skip


PROGRESS = [
    step(3, 2, "qemu:device", "enter", 1.25, cpu=None),
    step(3, 2, "qemu:device", "exit", 4.35, cpu=None),
    step(3, 7, "ap:online", "enter", 30.0),
    kernel_step(3, 156, "smpboot/threads:online", "enter", 60.0),
    kernel_step(3, 156, "smpboot/threads:online", "exit", 62.0),
    step(3, 7, "ap:online", "exit", 106.0),
    step(3, 9, "ap:verify", "enter", 107.0),
    step(3, 9, "ap:verify", "exit", 108.5, ran_on=3),
]

FAILING = [
    step(3, 9, "ap:verify", "enter", 107.0),
    step(3, 9, "ap:verify", "exit", 119.0, rc=-11, text="the timer did not fire\033[2J"),
    step(3, 7, "ap:online", "enter", 120.0, startup=False, rollback=True),
    step(3, 7, "ap:online", "exit", 150.0, startup=False, rollback=True),
]


def result_vcpu(vcpu, **keys):
    v = {
        "vcpu": vcpu, "cpu": vcpu, "state": 44, "name": "online", "result": "ok", "ran_on": vcpu,
        "error": None, "failed_at": None, "rc": 0, "rollback": None,
        "ms": {"qemu:device": 3.1, "guest:present": 20.4, "ap:online": 76.0},
    }  # fmt: skip
    return dict(v, **keys)


def result(word="done", op="op-1", vcpus=None, **keys):
    r = {
        "op": op, "domain": "web1", "result": word, "asked": 4, "present": 4, "online": 4,
        "standby": 0, "refused_by": None, "error": None,
        "vcpus": [result_vcpu(3)] if vcpus is None else vcpus,
    }  # fmt: skip
    return dict(r, **keys)


FAILED_VCPU = result_vcpu(3, state=0, name="offline", result="rolled-back", ran_on=None,
                          error="vcpu 3: ap:verify startup failed with EAGAIN: the timer did not fire", failed_at="ap:verify", rc=-11)  # fmt: skip
STUCK_VCPU = result_vcpu(3, state=7, name="ap:online", result="failed", error=None,
                         failed_at="ap:dyn.10-log", rc=137,
                         rollback={"failed_at": "ap:threads", "rc": -110})  # fmt: skip

RESULTS = {
    "done": result(),
    "partial": result("partial", vcpus=[result_vcpu(2), FAILED_VCPU], online=3),
    "failed": result("failed", vcpus=[FAILED_VCPU], online=3, present=3),
    "refused": result("refused", vcpus=[], refused_by="limit", online=3, present=3,
                      error="9 vCPUs are more than the maximum of 8"),
    "pending": result("pending"),
    "warned": result(warnings=["too \033[2Jmany", "and old"]),
    "config": result(config={"result": "done", "present": 4, "maximum": 8, "error": None}),
    "half": result("partial", error="the running domain has what was asked; libvirt refuses",
                   config={"result": "failed", "present": None, "maximum": None, "error": "libvirt refuses"}),
    "unasked": result("failed", config={"result": "skipped", "present": 1, "maximum": 8, "error": None}),
    "cancelled": result("cancelled"),
    "stuck": result("stuck", vcpus=[STUCK_VCPU]),
    "busy": result("busy", vcpus=[]),
    "conflict": result("conflict", vcpus=[]),
    "no-agent": result("no-agent", vcpus=[], online=None, standby=None),
    "vm-gone": result("vm-gone", vcpus=[], present=None, online=None, standby=None),
    "accepted": result("accepted", vcpus=[result_vcpu(3, result="pending", state=7, name="ap:online")]),
}  # fmt: skip

# All that is kept of one domain: 64 operations of 254 vCPUs, with a time in every state.
_LONG = {"ap:dyn.%02d-some-callback" % s: 1234.567 for s in range(44)}
_ALL = [result_vcpu(i, ms=_LONG) for i in range(1, 255)]
MANY = [result(op="op-%d" % n, vcpus=_ALL) for n in range(64)]

PLAN = {
    "plan": [{"vcpu": 3, "from": "offline", "to": "online"},
             {"vcpu": 4, "from": "standby", "to": "online"}],
    "refusals": [],
}  # fmt: skip
PLAN_WARNED = dict(PLAN, warnings=["too many"])
PLAN_CONFIG = dict(PLAN, config={"from": 1, "to": 5, "maximum": 8})
PLAN_REFUSED = {"plan": [], "refusals": ["vCPU 0 can't be unplugged"]}


def trace_step(t_us, vcpu, state, name, phase, **keys):
    s = step(vcpu, state, name, phase, 0, t_us=t_us, error_us=0)
    del s["t_ms"], s["text"]
    return dict(s, **keys)


TRACE = [
    trace_step(5000000, 3, 2, "qemu:device", "enter"),
    trace_step(5003100, 3, 2, "qemu:device", "exit"),
    trace_step(5010000, 3, 7, "ap:online", "enter", error_us=40),
    trace_step(5020000, 3, 7, "ap:online", "enter",
               kernel={"step": 156, "name": "smpboot/threads:online", "phase": "enter", "rc": 0}),
    trace_step(5021000, 3, 7, "ap:online", "exit",
               kernel={"step": 156, "name": "smpboot/threads:online", "phase": "exit", "rc": 0}),
    trace_step(5086000, 3, 7, "ap:online", "exit", error_us=40),
]  # fmt: skip

EVENTS = [
    dict(step(3, 9, "ap:verify", "exit", 41.2, rc=-11), type="step", domain="web1", t_us=5, error_us=0),
    {"type": "agent", "domain": "web1", "connected": False, "op": None, "t_us": 6, "error_us": 0,
     "text": None},
    {"type": "log", "domain": "web1", "op": None, "t_us": 7, "error_us": 0,
     "text": "\033]0;owned\007a line of the guest"},
    {"type": "operation", "domain": "web1", "result": "done", "running": False, "op": "op-1",
     "t_us": 8, "error_us": 0, "text": None},
    {"type": "load", "domain": "web1", "load": dict(LOAD, cpus=CPU_LOADS), "op": None, "t_us": 9, "error_us": 0,
     "text": None},
]  # fmt: skip

FINDINGS = [
    {"check": "agent", "severity": "ok", "text": "the agent is connected", "advice": None},
    {"check": "owner", "severity": "warning", "text": "it is \033[2JNova's", "advice": "look there"},
    {"check": "libvirt", "severity": "error", "text": "not connected", "advice": "start it"},
]  # fmt: skip

METRICS = {"text": "# TYPE vcpuhp_domains gauge\nvcpuhp_domains 1\n# EOF\n"}


def shape(value):
    """What a reply looks like: {key: shape}, [shape of the first], or the name of the type."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__
