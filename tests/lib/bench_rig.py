# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two ways of moving vCPUs that tests/bench holds against each other, on one clock.

BenchVM: a guest with a channel of its own for bench-onliner and a QMP connection for the hand.
Hand: device_add pipelined from here, a tight loop inside the guest for the rest.
Varlink: what vcpuhpctl says to the daemon, without the start of a process.
Times are of this process's monotonic clock, in milliseconds; the guest's are durations only.
"""

import collections
import contextlib
import functools
import json
import os
import re
import socket
import time

from daemon import Daemon
from guest import BUILD
from qmp import Qmp, QmpError, connect, wait_for
from scene import wait_kernel_ladder
from vm import VM

ONLINER = os.path.join(BUILD, "tests", "lib", "bench-onliner")
ONLINER_PORT = "org.vcpuhp.bench.0"
AGENT_CONFIG = "/etc/vcpuhp/vcpuhp-agent.conf"
SETTLE_S = 0.5

# One request: .ms until it was answered, .thread_ms until the last new CPU had run a bound thread,
# .kernel_ms in the guest kernel's online (summed; None where unknown), by vcpuhp with the order to it,
# .cpu_ms of the daemon's CPU time, .result and .progress as in the control
# interface, .phases of one CPU: ms before the kernel's online, in it, from it to the proof on the CPU,
# in the announcement, and to the client.
Took = collections.namedtuple("Took", "ms thread_ms kernel_ms cpu_ms result progress phases")
Took.__new__.__defaults__ = (None, None, None, [], None)


def now_ms():
    return time.monotonic() * 1000


@functools.lru_cache(maxsize=None)
def loops_per_jiffy():
    """What the guest's kernel takes its first CPU's delay loop to be, from its clock."""
    with VM(agent=False) as vm:
        return re.search(r"lpj=(\d+)", vm.guest("dmesg")).group(1)


class BenchVM(VM):
    """@expedite: the agent's Expedite=. @agent=False leaves the guest to the hand.

    A kernel that trusts its TSC, as on KVM, takes the delay loop of each CPU from it. One that does
    not, as under TCG, measures it on each CPU's first way up: 100 ms, and that again for each time
    it is disturbed, by hand and by vcpuhp. So it is told (lpj=).
    """

    def __init__(self, expedite="no", agent=True, **more):
        with open(ONLINER, "rb") as f:
            files = {"/bin/bench-onliner": (0o755, f.read())}
        if agent:
            files[AGENT_CONFIG] = "[Agent]\nExpedite=%s\n" % expedite
        super().__init__(files=files, agent=agent, **more)

    def _start(self, smp, maxcpus, append, memory, initrd, extra):
        extra += [
            "-chardev", "socket,id=bench,path=%s,server=on,wait=off" % self.path("bench"),
            "-device", "virtserialport,chardev=bench,name=" + ONLINER_PORT,
            "-qmp", "unix:%s,server=on,wait=off" % self.path("qmp-bench"),
        ]  # fmt: skip
        append += " lpj=" + loops_per_jiffy()
        super()._start(smp, maxcpus, append, memory, initrd, extra)

    @staticmethod
    def spread_vcpus(qmp):
        """Each vCPU's thread on one host CPU, in turn. Left alone, two that wake each other up are
        often stacked on one while another is idle, which costs more than what is measured."""
        host = sorted(os.sched_getaffinity(0))
        for cpu in qmp.cmd("query-cpus-fast"):
            os.sched_setaffinity(cpu["thread-id"], {host[cpu["cpu-index"] % len(host)]})

    def expedite(self, on):
        self.guest("echo %d > /sys/kernel/rcu_expedited" % on)

    def agent_cpu_ms(self):
        return int(self.guest("cat /proc/%d/schedstat" % self.agent_pid()).split()[0]) / 1e6

    def signal_agent(self, name):
        self.guest("kill -%s $(cat /run/agent.pid)" % name)


class Onliner:
    """bench-onliner in a guest, over a port of its own. @shell: what has guest()."""

    def __init__(self, shell, path, alive):
        self.buf = b""
        shell.guest("bench-onliner %s > /run/bench.log 2>&1 & echo $! > /run/bench.pid" % ONLINER_PORT)
        self.sock = connect(path, alive=alive)

    def _line(self, seconds=60):
        """(words, when they came) of the guest's next line."""
        end = time.monotonic() + seconds
        while b"\n" not in self.buf:
            self.sock.settimeout(max(0.001, end - time.monotonic()))
            data = self.sock.recv(65536)
            self.came_ms = now_ms()
            if not data:
                raise EOFError("QEMU closed the benchmark's channel")
            self.buf += data
        line, self.buf = self.buf.split(b"\n", 1)
        return line.decode().split(), self.came_ms

    def until_ran(self, n, word="ran"):
        """Until @n CPUs have answered: (when the last did, kernel's milliseconds of all)."""
        kernel_ns = 0
        while n:
            words, came_ms = self._line()
            if words[0] == "present":
                self._send("kick " + words[1])
                continue
            assert words[0] == word, "bench-onliner says: " + " ".join(words)
            kernel_ns += int(words[2])
            self.times = [int(w) / 1e6 for w in words[2:6]]
            n -= 1
        return came_ms, kernel_ns / 1e6

    def _send(self, text):
        self.sock.sendall(text.encode() + b"\n")

    def _begin(self, text):
        self._send(text)
        assert self._line()[0] == ["ready"]

    def watch(self, n):
        """From now on, for until_ran(): @n CPUs that others take online."""
        self._begin("watch %d" % n)


class Hand(Onliner):
    """The work by hand. The agent, if there is one, must stand still meanwhile."""

    def __init__(self, vm):
        super().__init__(vm, vm.path("bench"), vm.alive)
        self.vm = vm
        self.qmp = Qmp(vm.path("qmp-bench"), alive=vm.alive)
        self.made = 0

    @contextlib.contextmanager
    def still(self):
        """While vcpuhp has its turn: the guest wakes up all who listen to a port for what comes on any."""
        self.vm.guest("kill -STOP $(cat /run/bench.pid)")
        try:
            yield
        finally:
            self.vm.guest("kill -CONT $(cat /run/bench.pid)")

    def plug(self, n, owed=None):
        """Plug the lowest @n free slots and have them taken online: Took. @owed: with all that
        vcpuhp does for them, True also rcu_expedited."""
        free = [(i, s) for i, s in enumerate(self.qmp.slots()) if "qom-path" not in s][:n]
        text = ""
        for slot, s in free:
            self.made += 1
            arguments = dict(s["props"], driver=s["type"], id="hand%d-%d" % (slot, self.made))
            text += json.dumps({"execute": "device_add", "arguments": arguments}) + "\n"
        if owed is not None:
            self.arm(True)
        self._begin("hand %d" % n if owed is None else "owed %d %d" % (n, owed))
        if owed is not None:
            settle(seconds=0.05)
        start = now_ms()
        if owed is not None:
            self._ping()
        self.qmp.sock.sendall(text.encode())
        end, kernel_ms = self.until_ran(n, "ran" if owed is None else "did")
        self._replies(n)
        return Took(end - start, end - start, kernel_ms)

    def _replies(self, n):
        while n:
            msg = self.qmp._read(10)
            if "error" in msg:
                raise QmpError(msg["error"]["desc"])
            n -= "return" in msg

    def online(self, first, last):
        """Take CPUs online that are plugged already: Took."""
        start = now_ms()
        self._send("online %d %d" % (first, last))
        end, kernel_ms = self.until_ran(last - first + 1)
        return Took(end - start, end - start, kernel_ms)

    def _ping(self):
        self._begin("ping")

    def arm(self, on):
        self._begin("arm %d" % on)

    def duties(self, first, last, expedited):
        """The same with all that vcpuhp does for them, a ping before it included: Took."""
        start = now_ms()
        self._ping()
        asked = now_ms() - start
        self._send("duties %d %d %d" % (first, last, expedited))
        end, kernel_ms = self.until_ran(last - first + 1, "did")
        online, before, proof, announced = self.times
        known = [asked + before, online, proof, announced]
        return Took(end - start, end - start, kernel_ms, phases=known + [end - start - sum(known)])

    def offline(self, first, last):
        start = now_ms()
        self._send("offline %d %d" % (first, last))
        end, kernel_ms = self.until_ran(last - first + 1, "off")
        return Took(end - start, None, kernel_ms)


class Varlink:
    """One connection to the daemon."""

    def __init__(self, path):
        self.sock = connect(path)
        self.sock.settimeout(120)
        self.asked_ms = None  # when the last request began to be sent

    def call(self, method, more=False, **parameters):
        """[(parameters of a reply, when it came)], the last one's last; read first, parsed then."""
        request = {"method": "io.vcpuhp.Manager." + method, "parameters": parameters, "more": more}
        text = json.dumps(request).encode() + b"\0"
        self.asked_ms = now_ms()
        self.sock.sendall(text)
        chunks, tail = [], b""
        while True:
            data = self.sock.recv(1 << 18)
            if not data:
                raise EOFError("vcpuhpd closed the connection")
            chunks.append((data, now_ms()))
            tail = (tail + data)[-4096:]
            if data.endswith(b"\0") and b'"continues":true' not in tail.split(b"\0")[-2]:
                break
        return self._split(chunks)

    @staticmethod
    def _split(chunks):
        replies, buf = [], b""
        for data, came_ms in chunks:
            *whole, buf = (buf + data).split(b"\0")
            for text in whole:
                reply = json.loads(text)
                assert "error" not in reply, "vcpuhpd says: %s" % text.decode()
                replies.append((reply.get("parameters", {}), came_ms))
        return replies

    def close(self):
        self.sock.close()


class Product:
    """vcpuhpd beside a BenchVM, ready and quiet."""

    kernel_steps = False  # in the progress; what a vcpuhpctl asks for that prints lines

    def __init__(self, vm, online=1):
        self.vm = vm
        self.daemon = Daemon(vm)
        try:
            self.daemon.wait_idle_online(online)
            wait_kernel_ladder(vm)
            self.link = Varlink(self.daemon.socket)
        except BaseException:
            self.daemon.close()
            raise

    def cpu_ms(self):
        return cpu_time_ms(self.daemon.process.pid)

    def _done(self, result):
        assert result["result"] == "done", "vcpuhp says: %s" % json.dumps(result)

    def _request(self, method, **parameters):
        cpu = self.cpu_ms()
        replies = self.link.call(method, more=True, domain=self.vm.name,
                                 kernel_steps=self.kernel_steps, **parameters)  # fmt: skip
        start = self.link.asked_ms
        # It acknowledges the agent's results, which nobody waits for, a little later. Its tick may
        # come in that time, in one request of eight.
        settle(seconds=0.6)
        cpu = self.cpu_ms() - cpu
        result, end = replies[-1][0]["result"], replies[-1][1]
        self._done(result)
        progress = [dict(p["progress"], came_ms=came - start) for p, came in replies[:-1]]
        ran = [p["came_ms"] for p in progress
               if p["name"] == "ap:threads" and p["phase"] == "exit" and not p.get("kernel")]  # fmt: skip
        return Took(end - start, max(ran, default=None), self._kernel_ms(progress), cpu, result,
                    progress, self._phases(progress, end - start))  # fmt: skip

    @staticmethod
    def _kernel_ms(progress):
        """With a CPU in the kernel's online, from the order to it to its return. None: not all was told."""
        spans = {}
        for p in progress:
            if p["name"] == "ap:online" and not p.get("kernel"):
                spans.setdefault(p["vcpu"], {})[p["phase"]] = p["t_ms"]
        if not spans or any(len(s) != 2 for s in spans.values()):
            return None
        return sum(s["exit"] - s["enter"] for s in spans.values())

    @staticmethod
    def _phases(progress, ms):
        at = {(p["name"], p["phase"]): p["t_ms"] for p in progress if not p.get("kernel")}
        ends = [at.get(e) for e in (("ap:online", "enter"), ("ap:online", "exit"),
                                    ("ap:verify", "exit"), ("ap:active", "exit"))]  # fmt: skip
        if None in ends:
            return None
        return [b - a for a, b in zip([0] + ends, ends + [ms])]

    def set_count(self, count):
        return self._request("SetVcpus", count=count)

    def set_target(self, first, last, target):
        return self._request("SetTarget", vcpus="%d-%d" % (first, last), target=target)

    def command(self, *words):
        """The same by vcpuhpctl, its start included."""
        answer = self.daemon.ctl(*words)
        self._done(answer.result)
        return Took(answer.ms, None, result=answer.result)

    def close(self):
        self.link.close()
        self.daemon.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Still:
    """with Still(vm, product): neither agent nor daemon moves; afterwards they know the counts."""

    def __init__(self, vm, product):
        self.vm, self.product = vm, product

    def __enter__(self):
        self.product.daemon.process.kill(19)
        self.vm.signal_agent("STOP")

    def __exit__(self, *exc):
        self.vm.signal_agent("CONT")
        self.product.daemon.process.kill(18)


def settle(product=None, counts=None, seconds=SETTLE_S):
    """Until what the last batch left behind is over."""
    if counts:
        wait_for(lambda: product.daemon.counts() == counts, 30,
                 lambda: "%s: %s" % (counts, product.daemon.brief()), pause=0.05)  # fmt: skip
    time.sleep(seconds)


def cpu_time_ms(pid):
    """CPU time of a process so far, all its threads."""
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, task), encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1e6


def wakeups(pid):
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/status" % (pid, task), encoding="ascii") as f:
            total += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", f.read(), re.M).group(1))
    return total


def private_kib(text):
    """Private memory from the text of a smaps_rollup."""
    return sum(int(n) for n in re.findall(r"^Private_(?:Clean|Dirty):\s*(\d+) kB", text, re.M))


def private_kib_of(pid):
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as f:
        return private_kib(f.read())


__all__ = ["BenchVM", "Hand", "Product", "Still", "Varlink", "settle", "cpu_time_ms", "wakeups",
           "private_kib", "private_kib_of", "now_ms", "socket"]  # fmt: skip
