# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the end-to-end cases share: a guest with a daemon, callbacks, and looking at all three sides."""

from contextlib import contextmanager

from daemon import Daemon
from tap import equal
from vm import VM, wait_for

FOLDER = "/etc/vcpuhp/cpuhp.d/"
LOG_FILE = "/run/callbacks"

# One line a call: NAME startup|teardown CPU RAN_ON STATE LATE. @also runs after it.
_CALLBACK = """\
#!/bin/sh
echo "${0##*/} $1 $2 $(cut -d' ' -f39 /proc/$$/stat) $VCPUHP_STATE ${VCPUHP_LATE:-0}" >> %s
%s
"""


def callback(also=""):
    """A callback program that notes its calls; @also: shell, sees $1 (what) and $2 (CPU)."""
    return (0o755, _CALLBACK % (LOG_FILE, also))


def fails(what, cpu, status):
    """Shell: end with @status when called as @what for @cpu (None: any)."""
    return '[ "$1" != %s ] || %s exit %d' % (
        what, "" if cpu is None else '[ "$2" != %d ] ||' % cpu, status)  # fmt: skip


def callbacks(**also):
    """Files for VM(files=): _10_log="shell" becomes the callback 10-log."""
    return {FOLDER + name.strip("_").replace("_", "-"): callback(text) for name, text in also.items()}


@contextmanager
def running(domain=None, daemon=None, **machine):
    """(VM, Daemon) with the agent connected and the CPUs that were there at boot adopted."""
    with VM(**machine) as vm, Daemon(vm, domain, daemon) as d:
        d.wait_idle_online(machine.get("smp", 1))
        yield vm, d


def wait_kernel_ladder(vm):
    """Until the agent sees the kernel's own ladder; it prepares that in the background."""
    enable = "/sys/kernel/tracing/instances/vcpuhp/events/cpuhp/enable"
    wait_for(lambda: vm.guest("cat %s 2>/dev/null || true" % enable).strip() == "1", 20,
             "the agent's instance in tracefs", pause=0.05)  # fmt: skip


def replace_agent(vm):
    """Kill it and wait until the next one has met the host: what info says is not the last one's word."""
    met = "session with the host established"
    before = vm.agent_log().count(met)
    vm.guest("kill -9 %d" % vm.agent_pid())
    wait_for(lambda: vm.agent_log().count(met) > before, 10, "another agent")


@contextmanager
def no_agent(vm):
    """The agent is killed; the next one begins after the block."""
    killed = vm.agent_pid()
    vm.guest("touch /run/hold-agent; kill -9 %d; while kill -0 %d 2>/dev/null; do usleep 10000; done" % (
        killed, killed))  # fmt: skip
    yield
    vm.guest("rm /run/hold-agent")
    wait_for(lambda: vm.agent_pid() != killed, 10, "another agent")


class Call:
    """A line of the callbacks' log. Late ones have .late."""

    def __init__(self, line):
        name, what, cpu, ran_on, state, late = line.split()
        self.name, self.what, self.late = name, what, late == "1"
        self.cpu, self.ran_on, self.state = int(cpu), int(ran_on), int(state)

    def __repr__(self):
        return "%s %s %d" % (self.name, self.what, self.cpu)


def calls(vm, cpu=None):
    """The callbacks' calls so far, of one CPU or all."""
    text = vm.guest("cat %s 2>/dev/null || true" % LOG_FILE)
    return [c for c in map(Call, text.splitlines()) if cpu in (None, c.cpu)]


def forget_calls(vm):
    vm.guest("rm -f " + LOG_FILE)


def all_agree(vm, d, present, online, standby=0):
    """QEMU, the guest and info say the same."""
    wait_for(lambda: vm.counts() == (present, present, online), 10,
             lambda: "QEMU, guest present, guest online are %s, wanted %s" % (
                 vm.counts(), (present, present, online)))  # fmt: skip
    equal(d.counts(), (present, online, standby), "info's present, online, standby")
    i = d.info()
    equal([v["vcpu"] for v in i["vcpus"] if v["pending"]], [], "pending vCPUs")


def done(answer, **counts):
    """@answer is a success with these counts."""
    equal((answer.exit, answer.result.get("result")), (0, "done"), "%s" % answer)
    for key, value in counts.items():
        equal(answer.result[key], value, "%s in %s" % (key, answer))
    return answer


def result(answer, exit_status, word):
    equal((answer.exit, answer.result.get("result")), (exit_status, word), "%s" % answer)
    return answer


def nothing_plugged(vm):
    equal(vm.sent("device_add"), [], "device_add sent to QEMU")
    equal(vm.qemu_present(), [0], "slots filled")


def nothing_unplugged(vm):
    equal(vm.sent("device_del"), [], "device_del sent to QEMU")


def drift_of(d, vcpu):
    return next(v for v in d.info()["vcpus"] if v["vcpu"] == vcpu)["drift"]
