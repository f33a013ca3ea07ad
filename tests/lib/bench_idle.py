# SPDX-License-Identifier: LGPL-2.1-or-later
"""The section of tests/bench about what vcpuhp costs when nothing happens: memory and wakeups."""

import os
import shutil
import tempfile
import time

from agentbed import ONLINE, STANDBY, Bed
from bench_rig import (BenchVM, Product, cpu_time_ms, now_ms, private_kib, private_kib_of,
                       wakeups)  # fmt: skip
from bench_stats import single
from daemon import VCPUHPD
from guest import BUILD
from qmp import wait_for
from vm import Machine, Process

TICK_S = 4
MANY = 64
ATTACHED = 4

GUEST_WAKEUPS = """\
for p in %s; do
	for t in /proc/$p/task/*; do grep ^voluntary $t/status; done
done | awk '{n += $2} END {print n + 0}'
"""


def agent_pids(vm):
    """The agent and its children."""
    pid = vm.agent_pid()
    children = vm.guest("cat /proc/%d/task/%d/children" % (pid, pid)).split()
    return [pid] + [int(c) for c in children]


def guest_wakeups(vm, pids):
    return int(vm.guest(GUEST_WAKEUPS % " ".join(map(str, pids))))


def _quiet(product, seconds):
    """Wakeups of daemon and agent while nothing is asked of them."""
    vm, pid = product.vm, product.daemon.process.pid
    time.sleep(3)
    pids = agent_pids(vm)
    inside, outside = guest_wakeups(vm, pids), wakeups(pid)
    time.sleep(seconds)
    outside = wakeups(pid) - outside
    return outside, guest_wakeups(vm, pids) - inside


def one_domain(options, say):
    with BenchVM() as vm, Product(vm) as product:
        product.set_count(4)
        say("idle for %d s" % options.idle_s)
        outside, inside = _quiet(product, options.idle_s)
        ticks = options.idle_s / TICK_S
        pids = agent_pids(vm)
        memory = [private_kib(vm.guest("cat /proc/%d/smaps_rollup" % p)) for p in pids]
        return [
            single("daemon: private memory, one domain", "MiB",
                   [private_kib_of(product.daemon.process.pid) / 1024], 8),
            single("daemon: idle wakeups (its tick, QEMU's answers)", "a tick", [outside / ticks], 2),
            single("agent: private memory", "MiB", [memory[0] / 1024], 3),
            single("agent and its %d children: private memory" % (len(pids) - 1), "MiB",
                   [sum(memory) / 1024], 3),
            single("agent and its children: idle wakeups", "in %d s" % options.idle_s, [inside], 0),
        ]  # fmt: skip


class Lone:
    """A daemon with these domains, (name, QMP path, agent path) each."""

    def __init__(self, folder, domains):
        config = os.path.join(folder, "conf")
        with open(config, "w", encoding="ascii") as f:
            f.write("[Daemon]\n")
            for name, qmp, agent in domains:
                f.write("[Domain %s]\nQMP=%s\nAgent=%s\n" % (name, qmp, agent))
        control = os.path.join(folder, "control")
        self.process = Process(
            [VCPUHPD, "--foreground", "--config", config, "--socket", control,
             "--runtime-dir", os.path.join(folder, "run"),
             "--state-dir", os.path.join(folder, "state")], os.path.join(folder, "log"))  # fmt: skip
        wait_for(lambda: os.path.exists(control), 10, self.process.text)

    def __enter__(self):
        return self.process.pid

    def __exit__(self, *exc):
        self.process.stop()


def _measure(domains, seconds=0):
    """(private KiB, wakeups in @seconds) of a daemon with these domains."""
    folder = tempfile.mkdtemp(prefix="vcpuhp-bench-")
    try:
        with Lone(folder, domains) as pid:
            time.sleep(3)
            before = wakeups(pid)
            time.sleep(seconds)
            return private_kib_of(pid), wakeups(pid) - before
    finally:
        shutil.rmtree(folder)


class StandingVM(Machine):
    """A QEMU that never runs its guest: slots to be watched, nothing else."""

    def __init__(self, name):
        super().__init__(name)
        self.start_qemu([
            "-S", "-accel", "tcg,thread=multi", "-machine", "q35", "-m", "16",
            "-smp", "1,maxcpus=32,sockets=1,cores=32,threads=1"])  # fmt: skip


def many_domains(options, say):
    absent = [("absent%d" % i, "/nonexistent/q%d" % i, "/nonexistent/a%d" % i) for i in range(MANY)]
    say("a daemon with %d domains that do not exist" % MANY)
    none, _ = _measure([])
    many, woken = _measure(absent, 10)
    machines = []
    try:
        for i in range(ATTACHED):
            machines.append(StandingVM("standing%d" % i))
        attached, _ = _measure([(m.name, m.qmp_path, m.agent_path) for m in machines])
    finally:
        for m in machines:
            m.close()
    return [
        single("daemon: private memory, no domain", "MiB", [none / 1024], 8),
        single("daemon: each of %d absent domains" % MANY, "MiB", [(many - none) / 1024 / MANY], 0.25),
        single("daemon: each of %d attached domains" % ATTACHED, "MiB",
               [(attached - none) / 1024 / ATTACHED], 0.25),
        single("daemon: wakeups for %d absent domains" % MANY, "a second", [woken / 10], 1),
    ]  # fmt: skip


def client(options, say):
    """What vcpuhpctl adds to a raw call: its own start."""
    with BenchVM() as vm, Product(vm) as product:
        say("vcpuhpctl against a raw call")
        command, raw = [], []
        for _ in range(20):
            command.append(product.daemon.ctl("vcpucount", vm.name, json_output=False).ms)
            start = now_ms()
            product.link.call("GetDomain", domain=vm.name)
            raw.append(now_ms() - start)
        return [
            single("vcpuhpctl vcpucount, its start included", "ms", command),
            single("GetDomain on an open connection", "ms", raw),
        ]  # fmt: skip


def native(options, say):
    """The agent without a guest: how much of its time is the emulation's."""
    say("the agent on this machine")
    took = []
    with Bed(os.path.join(BUILD, "guest-agent", "vcpuhp-agent-test")) as bed:
        for _ in range(20):
            before = cpu_time_ms(bed.process.pid)
            assert bed.kick(1, ONLINE)["rc"] == 0
            took.append(cpu_time_ms(bed.process.pid) - before)
            assert bed.kick(1, STANDBY)["rc"] == 0
    return [single("agent's CPU time outside a guest, standby->online", "ms a vCPU", took)]


def idle(options, say):
    rows = one_domain(options, say) + many_domains(options, say) + client(options, say)
    return rows + native(options, say), {}
