# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine on KVM+qtest on which an operation can be held in each of its phases, and looked at.

Bed has the real QEMU behind a QmpGate, a FakeGuest with the agent's test build and two callbacks of
which the second waits where it is told to, the daemon, and a listener that writes down every end of
an operation. ADD and REMOVE are the phases: an add takes the domain from one vCPU to three, a
removal from three to one.

A phase is a function that holds the operation there: what stands before its first yield is done
before the operation begins, the second yield is reached when it is held, and what comes after lets
it go on.
"""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time

from daemon import VCPUHPCTL, Daemon
from fakeguest import AGENT, children, write_program
from qmpgate import COMMAND, REPLY, gated
from qtestvm import QtestVM
from scene import done
from vm import Process, wait_for

NAME = "web1"
# Long enough for a busy machine to hold, inject and let go; short enough to wait for.
DEADLINES = {"EjectSec": 1, "EjectMaxSec": 2, "AgentPingSec": 2, "AgentWaitSec": 2, "GuestPresentSec": 2}

PLAIN = "#!/bin/sh\nexit 0\n"
# It waits where it is told to, by the vCPU's slot (below 16), and says that it does.
HOLD = """\
#!/bin/sh
read -r path < %(dir)s/root/sys/devices/system/cpu/cpu$2/firmware_node/path
hold=%(dir)s/hold-$1-${path##*C00}
test -e $hold || exit 0
touch %(dir)s/held
while test -e $hold; do sleep 0.01; done
"""


def own_logs():
    """Where this bed's logs are kept: a case has many beds."""
    folder = os.environ.get("VCPUHP_CASE_LOGS")
    return folder and tempfile.mkdtemp(prefix="bed-", dir=folder)


class Bed:
    """@count: vCPUs to begin with. @daemon: keys of its configuration; @kind: its class."""

    def __init__(self, count, daemon=None, neighbour=False, kind=Daemon):
        self.count = count
        self.other = QtestVM("web2") if neighbour else None
        self.vm = QtestVM(NAME, agent=False, files={"/etc/vcpuhp/cpuhp.d/10-first": (0o755, PLAIN)},
                          extra=["-device", "pvpanic", "-action", "panic=pause"], keep=own_logs())  # fmt: skip
        self.ops = 0
        self.answers = {}  # operation -> its result
        self.unheard = set()  # operations that may have ended while nobody could listen
        self.versions = {}  # of agents, by program
        self.at_work = None  # the CPU that the kernel takes online or offline
        try:
            self.guest = self.vm.guest
            self.guest.root.write("etc/vcpuhp/cpuhp.d/20-hold", HOLD % {"dir": self.vm.dir}, 0o755)
            self.guest.start_agent()
            self.gate, path = gated(self.vm)
            self.d = kind(self.vm, domain={"QMP": path}, daemon={**DEADLINES, **(daemon or {})}, start=False)
            if neighbour:
                with open(self.d.config, "a", encoding="utf-8") as f:
                    f.write(self.d.domain_sections([self.other], None))
            self.d.start()
            self._begin()
        except BaseException:
            self._close_machines()
            raise

    def _begin(self):
        self.listen()
        self.d.wait_idle_online(1)
        # What is opened once: for the first kick, the first plug, the first removal.
        for count in (3, 1, self.count):
            self.count_to(count)
        self.weight = wait_for(self._steady, 10, lambda: "rest: %s" % (self._weigh(),))

    def listen(self):
        self.listener = Process([VCPUHPCTL, "-S", self.d.socket, "-o", "json", "events", NAME], self.vm.path("events"))

    # Looking at it

    def info(self):
        return self.d.info()

    def until(self, condition, what, seconds=5):
        wait_for(condition, seconds, lambda: "%s: %s" % (what, self.d.brief()))

    def running(self):
        """An operation is under way."""
        return self.info()["operation"] is not None

    def state(self, vcpu):
        return self.info()["vcpus"][vcpu]["name"]

    def events(self):
        told = [json.loads(line) for line in self.listener.text().splitlines() if line.endswith("}")]
        return [e for e in told if "type" in e]  # the other is a listener's last word when the daemon dies

    def entered(self, vcpu, name):
        """The operation begun last has told that this step began."""
        op = "cell-%d" % self.ops
        return any(e["type"] == "step" and (e["op"], e["vcpu"], e["name"], e["phase"]) == (op, vcpu, name, "enter")
                   for e in self.events())  # fmt: skip

    def ended(self):
        """Operation -> the results that were told of it."""
        ends = {}
        for e in self.events():
            if e.get("type") == "operation" and e["result"] != "accepted":
                ends.setdefault(e["op"], []).append(e["result"])
        return ends

    def _views(self):
        """(slots of QEMU's, slots of the guest's, CPUs online in the guest, what info makes of them)"""
        i = self.info()
        present = [v["vcpu"] for v in i["vcpus"] if v["state"] != 0]
        resting = not [v for v in i["vcpus"] if v["pending"] or v["state"] not in (0, 3, 6, 44)]
        return (self.vm.qemu_present(), self.guest.present_slots(), len(self.guest.online()),
                (present, i["present"], i["online"], i["standby"], resting, i["operation"]))  # fmt: skip

    def one_truth(self, slots, online=None, seconds=6):
        """QEMU, the guest and info have @slots and no others, @online CPUs are online (all of them; a
        function says which number is right), and nothing is pending or under way."""
        n, views = len(slots), [()]
        up = n if online is None else online
        wanted = (slots, slots, up, (slots, n, up, n - up, True, None))

        def agree():
            views[0] = v = self._views()
            if callable(online):
                return online(v[2]) and v == (slots, slots, v[2], (slots, n, v[2], n - v[2], True, None))
            return v == wanted

        wait_for(agree, seconds, lambda: "QEMU, guest, online, info are %s, wanted %s; %s" % (
            views[0], wanted, self.d.brief()))  # fmt: skip

    def _weigh(self):
        agent = self.guest.agent.pid
        return (self.d.descriptors(), self.d.status_field("Threads"), len(children(self.d.process.pid)),
                len(os.listdir("/proc/%d/fd" % agent)), len(children(agent)))  # fmt: skip

    def _steady(self):
        """What it weighs, once that is the same for a while."""
        first = self._weigh()
        for _ in range(5):
            time.sleep(0.02)
            if self._weigh() != first:
                return None
        return first

    def nothing_left(self):
        """Daemon and agent have what they had when the bed was made."""
        wait_for(lambda: self._weigh() == self.weight, 5, lambda: (
            "the daemon's descriptors, threads and children, the agent's descriptors and children are %s, were %s"
            % (self._weigh(), self.weight)), pause=0.02)  # fmt: skip

    # Acting on it

    def begin(self, count, *options):
        """Ask for @count; (the asking vcpuhpctl, the operation's id)."""
        self.ops += 1
        op = "cell-%d" % self.ops
        return self.d.begin("setvcpus", NAME, count, "--op-id", op, *options), op

    def kill_daemon(self):
        self.unheard.add("cell-%d" % self.ops)
        self.d.stop(signal.SIGKILL)
        self.listener.popen.wait(5)

    def start_daemon(self):
        self.d.start()
        self.listen()

    def count_to(self, count):
        asking, op = self.begin(count, "--standby", 0)
        self.answers[op] = done(asking.wait(30), present=count, online=count).result["result"]

    def hold(self, call, vcpu):
        with open(self.vm.path("hold-%s-%d" % (call, vcpu)), "w", encoding="ascii"):
            pass

    def held(self):
        wait_for(lambda: os.path.exists(self.vm.path("held")), 5, "the callback held")

    def let(self, call, vcpu):
        os.unlink(self.vm.path("hold-%s-%d" % (call, vcpu)))
        os.unlink(self.vm.path("held"))

    def hold_online(self, vcpu):
        self.at_work = self.guest.root.cpus[vcpu]
        self.guest.root.hold_online(self.at_work)

    def let_online(self, on):
        """When the guest runs: whoever writes there may be stopped."""
        threading.Thread(target=self.guest.root.let_online, args=(self.at_work, on), daemon=True).start()

    def heard(self, waits=True):
        """The host's words reach the agent, or wait."""
        self.guest.port.deaf = not waits

    def release(self):
        """Whatever became of a phase, the next one begins with nothing held."""
        self.heard()
        self.guest.mode = self.guest.insert = "accept"
        self.guest.in_progress.clear()
        for name in os.listdir(self.vm.dir):
            if name.startswith("hold-") or name == "held":
                os.unlink(self.vm.path(name))

    def another_agent(self):
        """A program that says another version of itself than the one that runs."""
        if not self.versions:
            said = subprocess.run([AGENT, "--version"], capture_output=True, text=True, check=True)
            version = said.stdout.split()[-1]
            other = re.sub(r"\d", "9", version)
            with open(AGENT, "rb") as f:
                program = f.read().replace(version.encode(), other.encode())
            path = self.vm.path("another-agent")
            write_program(path, program)
            self.versions = {AGENT: version, path: other}
        return next(path for path in self.versions if path != self.guest.program)

    def close(self):
        if self.guest.agent.alive():
            self.guest.thaw()
        self.vm.process.kill(signal.SIGCONT)
        self.listener.stop()
        self.d.close()
        self.gate.close()
        self._close_machines()

    def _close_machines(self):
        self.vm.close()
        if self.other:
            self.other.close()


# Of an add from 1 to 3.


def admitted(b):
    b.heard(False)
    yield
    b.until(b.running, "an operation")
    wait_for(lambda: b.guest.port.to_agent, 5, "the question to the agent")
    yield
    b.heard()


def add_sent(b):
    h = b.gate.hold(COMMAND, "device_add")
    yield
    h.wait()
    yield
    h.let()


def add_replied(b):
    h = b.gate.hold(REPLY, "device_add")
    yield
    h.wait()
    wait_for(lambda: {1, 2} <= set(b.vm.qemu_present()), 5, "the devices")
    yield
    h.let()


def present_awaited(b):
    b.guest.insert = "ignore"
    yield
    b.until(lambda: b.state(1) == b.state(2) == "qemu:device", "the devices")
    yield
    b.guest.insert = "accept"


def _kick_held(b):
    """The guest has both CPUs and has told so; the ladder is not handed over."""
    b.until(lambda: b.state(1) == b.state(2) == "qemu:device", "the devices")
    b.heard(False)
    b.guest.insert = "accept"
    b.until(lambda: b.state(1) == b.state(2) == "guest:present", "the CPUs")


def present(b):
    b.guest.insert = "ignore"
    yield
    _kick_held(b)
    yield
    b.heard()


def kernel_online(b):
    b.guest.insert = "ignore"
    yield
    _kick_held(b)
    b.hold_online(1)
    b.heard()
    b.until(lambda: b.entered(1, "ap:online"), "the kernel at it")
    yield
    b.let_online(True)


def startup_callback(b):
    b.hold("startup", 1)
    yield
    b.held()
    b.until(lambda: b.state(2) == "online", "the other CPU online")
    yield
    b.let("startup", 1)


def online(b):
    yield
    b.until(lambda: b.d.counts() == (3, 3, 0) and not b.running(), "online")
    yield


# Of a removal from 3 to 1.


def teardown_callback(b):
    b.hold("teardown", 2)
    yield
    b.held()
    b.until(lambda: b.state(1) == "standby", "the other CPU at standby")
    yield
    b.let("teardown", 2)


def kernel_offline(b):
    b.hold("teardown", 2)
    yield
    b.held()
    b.until(lambda: b.state(1) == "standby", "the other CPU at standby")
    b.hold_online(2)
    b.let("teardown", 2)
    b.until(lambda: b.entered(2, "ap:online"), "the kernel at it")
    yield
    b.let_online(False)


def standby(b):
    b.hold("teardown", 1)
    yield
    b.held()
    b.until(lambda: b.state(2) == "standby", "at standby")
    yield
    b.let("teardown", 1)


def del_sent(b):
    h = b.gate.hold(COMMAND, "device_del")
    yield
    h.wait()
    yield
    h.let()


def del_replied(b):
    h = b.gate.hold(REPLY, "device_del")
    yield
    h.wait()
    wait_for(lambda: b.vm.qemu_present() == [0], 5, "the ejects")
    yield
    h.let()


def eject_awaited(b):
    b.guest.mode = "late"
    yield
    b.until(lambda: b.guest.in_progress == {1, 2}, "the requests at the guest")
    yield
    b.guest.mode = "accept"
    for slot in sorted(b.guest.in_progress):
        b.guest.eject(slot)


def offline(b):
    yield
    b.until(lambda: b.d.counts() == (1, 1, 0) and not b.running(), "gone")
    yield


ADD = (admitted, add_sent, add_replied, present_awaited, present, kernel_online, startup_callback, online)
REMOVE = (admitted, teardown_callback, kernel_offline, standby, del_sent, del_replied, eject_awaited, offline)
