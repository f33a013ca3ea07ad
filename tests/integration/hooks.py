#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hooks of the host (vcpuhp-hooks(7)): asked and told by a real daemon with real QEMUs, and whatever they do."""

import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from bench_rig import cpu_time_ms
from daemon import VCPUHPCTL, Daemon
from guest import BUILD
from hostile import Flooder, SoundQemu
from qtestvm import QtestVM, why_not
from scene import done, nothing_plugged, result
from simfleet import SimFleet, ask, is_known, linked, summaries
from tap import case, equal, matches
from vm import wait_for

TIMEOUT = 1  # seconds, of the hooks here
ROUNDS = 6  # of another domain's operations
FLEET = 32  # simulated domains
BURST = 10  # calls about what guests can bring about, then one a second
SLOW_MS = 400  # what one of them may take longer than by itself, on a busy machine
VETO = '[ "$2" != prepare ] || { echo "%s"; exit 1; }\n'


def not_here():
    if os.geteuid() != 0:
        return "the folder of hooks has to be below folders of root's alone"
    if os.stat("/run").st_mode & 0o022:
        return "others may write to /run, and no hooks are run below such a folder"
    return why_not()


class Hooks:
    """A folder that nobody else may write, and what its programs say in another."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="vcpuhp-hooks-", dir="/run")
        os.chmod(self.dir, 0o755)
        self.folder = os.path.join(self.dir, "hooks.d")
        self.said = os.path.join(self.dir, "said")
        for path in (self.folder, self.said):
            os.mkdir(path, 0o755)

    def path(self, name):
        return os.path.join(self.folder, name)

    def put(self, name, body, mode=0o755, shell="/bin/sh"):
        """@body sees $1 (domain) and $2 (event), and is in the folder of what is said."""
        with open(self.path(name) + ".new", "w", encoding="utf-8") as f:
            f.write("#!%s\ncd %s\n%s\n" % (shell, self.said, body))
        os.chmod(self.path(name) + ".new", mode)
        os.rename(self.path(name) + ".new", self.path(name))

    def take_away(self, name):
        os.unlink(self.path(name))

    def note(self, name="10-note", also=""):
        """One that writes down all that it is given."""
        self.put(name, "in=$(mktemp in.XXXXXX); cat > $in; echo $2 ${VCPUHP_OP:--} $1 $in >> calls\n" + also)

    def read(self, name):
        try:
            with open(os.path.join(self.said, name), encoding="utf-8") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def has(self, name):
        return os.path.exists(os.path.join(self.said, name))

    def calls(self, event=None, domain="web1"):
        """(event, operation, what it was given), in their order."""
        found = []
        for line in self.read("calls").splitlines():
            word, op, name, given = line.split()
            if name == domain and event in (None, word):
                found.append((word, op, json.loads(self.read(given))))
        return found

    def wait_calls(self, event, n, domain="web1"):
        wait_for(lambda: len(self.calls(event, domain)) >= n, 10,
                 lambda: "%d %s: %s" % (n, event, self.read("calls")), pause=0.02)  # fmt: skip
        return self.calls(event, domain)

    def pid(self, name="pid"):
        wait_for(lambda: self.read(name).endswith("\n"), 5, "a hook to begin", pause=0.01)
        return int(self.read(name))

    def close(self):
        shutil.rmtree(self.dir)


def is_alive(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def dies(pid):
    wait_for(lambda: not is_alive(pid), 5, "the hook's end")


@contextlib.contextmanager
def scene(two=False, timeout=TIMEOUT, keys=None, **options):
    """(VM, Daemon, Hooks), with @two also web2's VM as .other of the daemon."""
    with contextlib.ExitStack() as stack:
        hooks = Hooks()
        stack.callback(hooks.close)
        vm = stack.enter_context(QtestVM())
        others = [stack.enter_context(QtestVM("web2"))] if two else []
        keys = {"HookDirectory": hooks.folder, "HookTimeout": timeout, **(keys or {})}
        d = stack.enter_context(Daemon(vm, daemon=keys, others=others, **options))
        d.other = others[0] if others else None
        if options.get("start", True):
            d.wait_idle_online(1)
        for other in others:
            wait_for(lambda: d.ctl("info", other.name).result["online"] == 1, 10, "web2")
        yield vm, d, hooks


def cycle(d, name):
    """Milliseconds of an operation of that domain, up and down."""
    begun = time.monotonic()
    done(d.ctl("setvcpus", name, 3), online=3)
    done(d.ctl("setvcpus", name, 1), online=1)
    return (time.monotonic() - begun) * 1000 / 2


def cycles(d, name, n=ROUNDS):
    return [cycle(d, name) for _ in range(n)]


def check_unaffected(alone, beside, what):
    a, b = statistics.median(alone), statistics.median(beside)
    print("# %s: an operation of the other domain took %.0f ms (%.0f to %.0f), by itself %.0f ms (%.0f to %.0f)" % (
        what, b, min(beside), max(beside), a, min(alone), max(alone)))  # fmt: skip
    assert b < a + SLOW_MS / 4 and max(beside) < max(alone) + SLOW_MS, (alone, beside)


def vetoed(answer, reason):
    result(answer, 4, "refused")
    equal((answer.result["refused_by"], answer.result["error"]), ("hook", reason))
    equal(answer.result["vcpus"], [])
    return answer


@case()
def each_event_is_told_with_all_that_belongs_to_it():
    with scene() as (vm, d, hooks):
        hooks.note()
        done(d.setvcpus(3, "--op-id", "up", "--policy", "at-least=1"), online=3)
        hooks.wait_calls("done", 1)
        asked, told = hooks.calls("prepare")[0], hooks.calls("done")[0]
        equal((asked[1], told[1]), ("up", "up"))
        goal = {"count": 3, "standby": None, "policy": "at-least=1", "foreign": False, "config": False, "uid": 0}
        equal(asked[2]["goal"], goal)
        equal(asked[2]["now"], {"maximum": 8, "present": 1, "online": 1, "standby": 0})
        equal(asked[2]["plan"], [{"vcpu": n, "from": "offline", "to": "online"} for n in (1, 2)])
        equal((told[2]["goal"], told[2]["result"]["result"], told[2]["result"]["online"]), (goal, "done", 3))
        equal([told[2][k] for k in ("event", "domain", "op")], ["done", "web1", "up"])
        steps = [s for call in hooks.calls("progress") for s in call[2]["progress"]]
        equal(sum(call[2]["dropped"] for call in hooks.calls("progress")), 0)
        ways = [(s["name"], s["phase"]) for s in steps if s["vcpu"] == 2]
        assert ("qemu:device", "enter") in ways and ("ap:active", "exit") in ways, ways
        equal({call[1] for call in hooks.calls("progress")}, {"up"})
        order = [call[0] for call in hooks.calls() if call[1] == "up"]
        equal((order[0], order[-1]), ("prepare", "done"), order)

        vm.guest.mode = "refuse"
        result(d.setvcpu("2", "--disable", "--op-id", "down"), 4, "refused")
        failed = hooks.wait_calls("failed", 1)[0]
        equal((failed[1], failed[2]["goal"]["vcpus"], failed[2]["goal"]["target"]), ("down", "2", "offline"))
        equal((failed[2]["result"]["result"], failed[2]["result"]["refused_by"]), ("refused", "guest"))
        vm.guest.mode = "accept"
        vm.plug(5)
        drift = hooks.wait_calls("drift", 1)[0]
        equal((drift[1], drift[2]["drift"]["vcpu"]), ("-", 5))
        matches("another|plugged|offline", drift[2]["drift"]["text"])


@case()
def the_load_is_told_as_often_as_the_configuration_has_it():
    with scene(keys={"LoadIntervalSec": 1}) as (_, d, hooks):
        hooks.note()
        d.setvcpus(2)  # from when the folder is known to have one
        event, op, told = hooks.wait_calls("load", 2)[-1]
        equal((event, op, told["event"], told["domain"]), ("load", "-", "load", "web1"))
        shown = d.info()["load"]
        equal((sorted(told["load"]), told["load"]["pressure"]), (sorted(shown), None))
    with scene(keys={"LoadIntervalSec": 1}) as (_, d, hooks):
        wait_for(lambda: d.info()["load"], 10, "a load that is nobody's yet")
        hooks.note()
        hooks.wait_calls("load", 1)
    with scene() as (_, d, hooks):
        hooks.note()
        d.setvcpus(2)
        equal(len([e for e in d.ctl("events", "web1", "--load", "--interval", "1", "--count", "2", "--timeout", "20").lines
                   if e["type"] == "load"]), 2)  # fmt: skip
        equal(hooks.calls("load"), [], "a client's watching is no hook's")


@case()
def they_are_asked_in_order_and_the_first_that_objects_ends_it():
    with scene() as (vm, d, hooks):
        hooks.put("20-second", 'echo second $2 >> order; [ $2 != prepare ] || { printf "\\n  not \\033[31mnow\\n"; exit 7; }')
        hooks.put("10-first", "echo first $2 >> order")
        hooks.put("30-third", "echo third $2 >> order")
        vetoed(d.setvcpus(4, "--op-id", "x"), "hook 20-second:   not ?[31mnow")
        nothing_plugged(vm)
        wait_for(lambda: "third failed" in hooks.read("order"), 5, lambda: hooks.read("order"))
        equal(hooks.read("order").split("\n")[:5],
              ["first prepare", "second prepare", "first failed", "second failed", "third failed"])  # fmt: skip
        a = d.ctl("setvcpus", "web1", "4", json_output=False)
        equal(a.exit, 4)
        matches(r"web1: refused by hook: 1 online", a.out)
        matches(r"vcpuhpctl: hook 20-second:   not \?\[31mnow\n", a.err)
        equal(d.ctl("wait", "x").exit, 4)
        # A dry run is no operation.
        equal(d.setvcpus(4, "--dry-run").exit, 0)
        hooks.take_away("20-second")
        done(d.setvcpus(4), online=4)


@case()
def one_that_objects_without_a_word_and_one_that_cannot_be_run():
    with scene() as (vm, d, hooks):
        hooks.put("10-x", '[ $2 != prepare ] || exit 3')
        vetoed(d.setvcpus(2), "hook 10-x objects and does not say why (exit status 3)")
        hooks.put("10-x", "", shell="/no/such/shell")
        vetoed(d.setvcpus(2), "hook 10-x: cannot be executed: No such file or directory")
        nothing_plugged(vm)


@case(deadline=90)
def one_that_hangs_refuses_at_its_deadline_and_holds_nobody_else():
    with scene(two=True) as (vm, d, hooks):
        alone = cycles(d, "web2")
        hooks.put("10-hang", '[ $1 = web1 ] || exit 0; trap "" TERM; echo $$ > pid; sleep 300 & echo $! > child; wait; wait; sleep 300')
        quiet = cycles(d, "web2", 2)
        beside = []
        for _ in range(2):
            client = d.begin("setvcpus", "web1", 3)
            wait_for(lambda: d.info()["operation"], 5, "the operation")
            beside += cycles(d, "web2", 3)
            vetoed(client.wait(20), "hook 10-hang had not ended after 1 s (HookTimeout=) and was killed; it is taken to "
                   "object, and nothing was changed")  # fmt: skip
        check_unaffected(alone + quiet, beside, "a hook that hangs")
        begun = time.monotonic()
        a = d.setvcpus(3)
        assert TIMEOUT <= time.monotonic() - begun < TIMEOUT + 1.5, a
        for name in ("pid", "child"):
            dies(hooks.pid(name))
        nothing_plugged(vm)
        hooks.take_away("10-hang")
        done(d.setvcpus(3), online=3)


@case()
def one_that_crashes_refuses_and_holds_nobody_else():
    with scene(two=True) as (vm, d, hooks):
        alone = cycles(d, "web2", 4)
        hooks.put("10-crash", "[ $1 = web1 ] || exit 0; kill -SEGV $$")
        beside = []
        for _ in range(4):
            vetoed(d.setvcpus(3), "hook 10-crash was killed by signal 11 (SEGV); it is taken to object, and nothing was "
                   "changed")  # fmt: skip
            beside.append(cycle(d, "web2"))
        check_unaffected(alone, beside, "a hook that crashes")
        nothing_plugged(vm)


@case(deadline=120)
def floods_hold_neither_this_domain_nor_another():
    """Of words to a hook that cannot follow, and of words from it; all results are told, in their order."""
    with scene(two=True) as (_, d, hooks):
        own, alone = cycles(d, "web1"), cycles(d, "web2")
        hooks.note("10-note", also="[ $1 = web1 ] || exit 0; [ $2 != progress ] || sleep 0.3")
        hooks.put("20-loud", '[ $1 = web1 ] && [ $2 != prepare ] || exit 0; exec yes "$(head -c 4000 /dev/zero | tr "\\0" x)"')
        before = cpu_time_ms(d.process.pid)
        own_beside, beside = [], []
        ends = 0
        for _ in range(ROUNDS):
            own_beside.append(cycle(d, "web1"))
            beside.append(cycle(d, "web2"))
            ends += 2
        print("# the daemon took %.0f ms of CPU for %d operations" % (cpu_time_ms(d.process.pid) - before, 2 * ends))
        check_unaffected(alone, beside, "a flood")
        check_unaffected(own, own_beside, "a flood, of this domain")
        wait_for(lambda: len(hooks.calls("done")) == ends, 30, lambda: hooks.read("calls"))
        known = [o["op"] for o in d.ctl("ops", "web1").lines]
        equal([call[1] for call in hooks.calls("done")], known[-ends:])
        told = hooks.calls("progress")
        steps = sum(len(call[2]["progress"]) for call in told)
        print("# %d steps in %d calls, %d dropped" % (steps, len(told), sum(call[2]["dropped"] for call in told)))
        assert len(told) < steps / 5, (len(told), steps)
        wait_for(lambda: "20-loud was killed by signal 13 (PIPE)" in d.text(), 5, d.text)


@case(deadline=90)
def a_guest_that_floods_does_not_have_the_host_start_programs():
    """Steps that nobody has asked for are none of the hooks'; what is theirs comes as fast as the host has it."""
    with scene() as (_, d, hooks):
        hooks.put("10-count", "echo $1 $2 >> calls")
        done(d.setvcpus(2), online=2)  # from when the folder is known to have one
        for mode in ("steps", "cpus"):
            qemu = os.path.join(hooks.dir, "q" + mode)
            SoundQemu(qemu)
            with Flooder(mode, hooks.dir) as flooder:
                equal(d.ctl("attach", mode, "--qmp", qemu, "--agent", flooder.path).exit, 0)
                begun = time.monotonic()
                time.sleep(4)
                most = BURST + time.monotonic() - begun + 1
                calls = [line.split()[1] for line in hooks.read("calls").splitlines() if line.startswith(mode + " ")]
                print("# %s: %d calls in 4 s: %s" % (mode, len(calls), {e: calls.count(e) for e in calls}))
                assert len(calls) <= most and "progress" not in calls, calls
                equal(d.ctl("detach", mode).exit, 0)
                assert flooder.told()["written"] > 1000


@case()
def drift_that_flaps_is_told_as_often_as_the_host_has_it():
    with scene() as (vm, d, hooks):
        hooks.note()
        begun = time.monotonic()
        for n in range(1, 8):
            vm.plug(n)
            if n < 3:
                hooks.wait_calls("drift", n)
        for _ in range(8):
            for n in (6, 7):
                vm.unplug(n)
            wait_for(lambda: vm.qemu_present() == list(range(6)), 5, vm.qemu_present, pause=0.01)
            for n in (6, 7):
                vm.plug(n)
        wait_for(lambda: {c[2]["drift"]["vcpu"] for c in hooks.calls("drift")} == set(range(1, 8)), 10, "all drift")
        told = hooks.calls("drift")
        print("# %d calls in %.1f s" % (len(told), time.monotonic() - begun))
        assert len(told) <= BURST + time.monotonic() - begun + 1, told
        # An end is told at once, and what has drifted comes before nobody's result.
        begun = time.monotonic()
        done(d.setvcpus(2, "--foreign", "--op-id", "x"), online=2)
        hooks.wait_calls("done", 1)
        took = time.monotonic() - begun
        print("# an operation and its result took %.2f s" % took)
        assert took < 1, hooks.read("calls")


@case()
def a_hook_may_ask_for_operations():
    with scene() as (_, d, hooks):
        ctl = "%s -S %s" % (VCPUHPCTL, d.socket)
        hooks.put("10-more", '[ $2 = prepare ] && mkdir once 2>/dev/null || exit 0\n'
                  '%s wait $VCPUHP_OP > wait 2>&1; echo $? > wait-exit\n'
                  '%s setvcpus web1 4 --op-id second > out 2> err; echo $? > exit' % (ctl, ctl))  # fmt: skip
        a = done(d.setvcpus(2, "--op-id", "first"), online=2)
        assert a.ms < 1000 * TIMEOUT, a
        done(d.ctl("wait", "second"), online=4)
        equal((hooks.read("exit"), hooks.read("out"), hooks.read("wait-exit")), ("0\n", "second\n", "5\n"))
        equal(hooks.read("err"), "vcpuhpctl: called by a hook (VCPUHP_OP is set), so as with --no-wait\n")
        matches("so operations are not waited for\nweb1: accepted|web1: accepted.*so operations", hooks.read("wait"))
        equal([(o["op"], o["result"]) for o in d.ctl("ops", "web1").lines][-2:], [("first", "done"), ("second", "done")])
        # It may also cancel what it is asked about, and is ended by that.
        hooks.put("10-more", "[ $2 = prepare ] || exit 0; echo $$ > pid; %s cancel $VCPUHP_OP; sleep 300" % ctl)
        a = result(d.setvcpus(5), 1, "cancelled")
        dies(hooks.pid())


@case()
def a_folder_that_is_not_there_is_no_hooks_and_no_work():
    with scene() as (_, d, hooks):
        os.rmdir(hooks.folder)
        done(d.setvcpus(3), online=3)
        equal(d.text().count("hook"), 0)
        os.mkdir(hooks.folder, 0o755)
        hooks.put("10-x", VETO % "no")
        vetoed(d.setvcpus(2), "hook 10-x: no")
        shutil.rmtree(hooks.folder)
        done(d.setvcpus(2), online=2)


@case()
def what_is_not_safe_is_not_run_and_said_once():
    with scene() as (vm, d, hooks):
        body = "touch ran-${0##*/}; exit 1"
        for name in ("10-other", "20-group", "30-world", "50-plain", "60-dotted.sh", "70-left~", "90 blank"):
            hooks.put(name, body)
        os.chown(hooks.path("10-other"), 65534, 65534)
        os.chmod(hooks.path("20-group"), 0o775)
        os.chmod(hooks.path("30-world"), 0o757)
        os.chmod(hooks.path("50-plain"), 0o644)
        outside = os.path.join(hooks.dir, "outside")
        hooks.put("80-real", body)
        os.rename(hooks.path("80-real"), outside)
        os.symlink(outside, hooks.path("40-link"))
        os.symlink("10-other", hooks.path("41-link"))
        for count in (2, 3, 2):
            done(d.setvcpus(count), online=count)
        equal([n for n in os.listdir(hooks.said) if n.startswith("ran")], [])
        for name, why in (("10-other", "belongs neither to root nor to the daemon's user"), ("20-group", "is writable by others"),
                          ("30-world", "is writable by others"), ("40-link", "is a link"), ("41-link", "is a link"),
                          ("50-plain", "is not executable")):  # fmt: skip
            equal(d.text().count("hook %s is not run: %s/%s %s" % (name, hooks.folder, name, why)), 1, name)
        equal(d.text().count("hook 90?blank is not run: its name"), 1)
        assert "60-dotted" not in d.text() and "70-left" not in d.text()
        hooks.put("15-good", VETO % "I am asked")
        vetoed(d.setvcpus(4), "hook 15-good: I am asked")
        # The way there counts as well.
        os.chmod(hooks.folder, 0o775)
        for count in (3, 2):
            done(d.setvcpus(count), online=count)
        equal(d.text().count("no hooks are run: on the way to %s, hooks.d is writable by others" % hooks.folder), 1)
        # And after a reload it is said again.
        d.process.kill(signal.SIGHUP)
        wait_for(lambda: d.text().count("hooks.d is writable by others") == 2, 5, d.text)
        os.chmod(hooks.folder, 0o755)
        vetoed(d.setvcpus(4), "hook 15-good: I am asked")
        assert vm.qemu_present() == [0, 1], vm.qemu_present()


@case(deadline=90)
def whatever_happens_while_a_hook_decides_is_told_as_it_is():
    with scene(two=True, timeout=60) as (vm, d, hooks):
        hooks.put("10-think", '[ $1:$2 = web1:prepare ] || exit 0; echo $$ > pid; while ! test -e allowed; do sleep 0.05; done')

        def begin(*options):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(hooks.said, "pid"))
            client = d.begin("setvcpus", "web1", 3, *options)
            return client, hooks.pid()

        client, pid = begin("--op-id", "a")
        second = d.begin("setvcpus", "web1", 2, "--op-id", "b")
        wait_for(lambda: len(d.ctl("ops", "web1").lines) == 2, 5, "the second operation")
        equal(d.info()["operation"], "a")
        equal(d.ctl("cancel", "a").exit, 0)
        equal(result(client.wait(), 1, "cancelled").result["error"], "cancelled before anything was changed")
        dies(pid)
        equal(d.ctl("cancel", "b").exit, 0)
        result(second.wait(), 1, "cancelled")
        dies(hooks.pid())

        client, pid = begin("--timeout", "1")
        a = result(client.wait(), 1, "failed")
        matches("deadline passed while a prepare hook of this host was deciding; nothing was changed", a.result["error"])
        dies(pid)

        # A plan is made for what there is when it was allowed.
        client, pid = begin()
        vm.plug(1)
        with open(os.path.join(hooks.said, "allowed"), "w", encoding="utf-8"):
            pass
        done(client.wait(), online=3)
        equal(vm.qemu_present(), [0, 1, 2])
        os.unlink(os.path.join(hooks.said, "allowed"))

        client, pid = begin("--op-id", "gone")
        vm.process.stop(signal.SIGKILL)
        result(client.wait(), 11, "vm-gone")
        dies(pid)
        done(d.ctl("setvcpus", "web2", 2), online=2)


@case(deadline=90)
def a_daemon_that_ends_takes_its_hooks_along():
    with scene(timeout=60) as (vm, d, hooks):
        hooks.put("10-think", 'echo $$ > pid; sleep 300 & echo $! > child; [ $2 != prepare ] || sleep 300')
        for number, op in ((signal.SIGKILL, "killed"), (signal.SIGTERM, "stopped")):
            for name in ("pid", "child"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(hooks.said, name))
            equal(d.setvcpus(3, "--no-wait", "--op-id", op).exit, 0)
            pids = [hooks.pid(name) for name in ("pid", "child")]
            d.stop(number)
            for pid in pids:
                dies(pid)
            hooks.put("10-think", "exit 0") if number == signal.SIGTERM else None
            d.start()
            d.wait_idle_online(1)
            a = result(d.ctl("wait", op), 1, "failed")
            equal((a.result["error"], a.result["vcpus"]), ("daemon restarted", []))
            nothing_plugged(vm)
        done(d.setvcpus(3), online=3)


@case()
def a_domain_is_not_detached_while_a_hook_decides():
    with scene(timeout=60) as (_, d, hooks), QtestVM("web3") as other:
        equal(d.ctl("attach", "web3", "--qmp", other.qmp_path, "--agent", other.agent_path).exit, 0)
        wait_for(lambda: d.ctl("info", "web3").result.get("online") == 1, 10, "web3")
        hooks.note("20-note")
        hooks.put("10-think", "[ $2 = prepare ] || exit 0; echo $$ > pid; sleep 300")
        client = d.begin("setvcpus", "web3", 3, "--op-id", "x")
        pid = hooks.pid()
        a = d.ctl("detach", "web3")
        equal((a.exit, a.result["error"]["code"]), (8, "Busy"))
        equal(d.ctl("cancel", "x").exit, 0)
        result(client.wait(), 1, "cancelled")
        dies(pid)
        # It is told all the same, also where its domain has gone by then.
        equal(d.ctl("detach", "web3").exit, 0)
        equal(hooks.wait_calls("failed", 1, "web3")[0][2]["result"]["result"], "cancelled")
        equal(other.sent("device_add"), [])


@case()
def a_reload_has_another_folder_and_another_time():
    with scene() as (_, d, hooks):
        hooks.put("10-x", VETO % "no")
        vetoed(d.setvcpus(2), "hook 10-x: no")
        os.makedirs(d.config + ".d")

        def reload(text):
            with open(d.config + ".d/50.conf", "w", encoding="utf-8") as f:
                f.write("[Daemon]\n" + text)
            n = d.text().count("the configuration was read again")
            d.process.kill(signal.SIGHUP)
            wait_for(lambda: d.text().count("the configuration was read again") > n, 5, d.text)

        reload("HookDirectory=\n")
        done(d.setvcpus(2), online=2)
        reload("HookTimeout=0.2\n")
        hooks.put("10-x", "[ $2 != prepare ] || sleep 300")
        a = d.setvcpus(3)
        matches("had not ended after 0.2 s", a.result["error"])


def most_at_once(lines):
    """Of lines "+ NAME" and "- NAME": the most of all, and of one name."""
    now, most, most_of_one = {}, 0, 0
    for sign, name in lines:
        now[name] = now.get(name, 0) + (1 if sign == "+" else -1)
        most, most_of_one = max(most, sum(now.values())), max(most_of_one, now[name])
    return most, most_of_one


@case(deadline=120)
def of_many_domains_sixteen_are_told_at_once():
    """Of each one, and all in the end; their operations do not wait for that, nor for those that are asked."""
    with contextlib.closing(Hooks()) as hooks, SimFleet(FLEET) as fleet:
        keys = {"HookDirectory": hooks.folder, "HookTimeout": 10}
        with Daemon(fleet.domains[0], others=fleet.domains[1:], daemon=keys) as d, linked(d.socket) as link:
            wait_for(lambda: all(is_known(s) for s in summaries(link).values()), 20, "all domains", pause=0.1)
            hooks.put("10-slow", "[ $2 = done ] || exit 0; echo + $1 >> log; sleep 1; echo - $1 >> log")
            begun = time.monotonic()
            for count in (3, 2):
                for domain in fleet.domains:
                    ask(link, "SetVcpus", domain=domain.name, count=count, op="%s-%d" % (domain.name, count), wait=False)
                for domain in fleet.domains:
                    r = ask(link, "GetOperation", op="%s-%d" % (domain.name, count), wait=True)["result"]
                    equal((r["result"], r["online"]), ("done", count))
            took = time.monotonic() - begun
            wait_for(lambda: hooks.read("log").count("-") == 2 * FLEET, 30, "all to be told", pause=0.1)
            told = time.monotonic() - begun
            most, most_of_one = most_at_once([line.split() for line in hooks.read("log").splitlines()])
            print("# %d operations took %.1f s, telling of them %.1f s; %d at once, %d of a domain" % (
                2 * FLEET, took, told, most, most_of_one))  # fmt: skip
            assert took < told / 2, (took, told)
            equal(most_of_one, 1)
            assert 12 <= most <= 16, most


class Units:
    """What the service manager does with vcpuhp-hook.socket: a program for each connection, with that as fd 3."""

    HELPER = os.path.join(BUILD, "daemon", "vcpuhp-run-hook")

    def __init__(self, path, config):
        self.config = config
        self.started = 0
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        self.listener.listen(16)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.start(connection)

    def start(self, connection):
        self.started += 1
        script = 'exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" --config "$1"'
        p = subprocess.Popen(["sh", "-c", script, self.HELPER, self.config], stdin=connection)
        connection.close()
        threading.Thread(target=p.wait, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@case(deadline=90)
def units_of_their_own_do_the_same():
    path = "/run/vcpuhp-hooks-test-%d" % os.getpid()
    with scene(start=False, env={"VCPUHP_HOOK_SOCKET": path}) as (vm, d, hooks):
        units = Units(path, d.config)
        try:
            d.start()
            d.wait_idle_online(1)
            by_units(vm, d, hooks, units)
        finally:
            units.close()
            os.unlink(path)


@case()
def a_socket_that_nobody_serves_is_said_once():
    path = "/run/vcpuhp-hooks-none-%d" % os.getpid()
    with scene(env={"VCPUHP_HOOK_SOCKET": path}) as (_, d, hooks):
        hooks.note()
        for count in (2, 3):
            done(d.setvcpus(count), online=count)
        hooks.wait_calls("done", 2)
        equal(d.text().count("hooks are children of the daemon: nobody serves %s" % path), 1)


def by_units(vm, d, hooks, units):
    hooks.note()
    done(d.setvcpus(3, "--op-id", "up"), online=3)
    told = hooks.wait_calls("done", 1)[0]
    equal((told[1], told[2]["result"]["online"], told[2]["op"]), ("up", 3, "up"))
    assert units.started >= len(hooks.calls()) >= 3, units.started
    hooks.put("20-veto", VETO % "not here")
    vetoed(d.setvcpus(4), "hook 20-veto: not here")
    hooks.put("20-veto", "[ $2 != prepare ] || kill -SEGV $$")
    matches("hook 20-veto was killed by signal 11 ", vetoed_why(d.setvcpus(4)))
    hooks.put("20-veto", '[ $2 != prepare ] || { echo $$ > pid; sleep 300 & echo $! > child; wait; }')
    matches("hook 20-veto had not ended after 1 s", vetoed_why(d.setvcpus(4)))
    for name in ("pid", "child"):
        dies(hooks.pid(name))
    # The daemon's death is the hook's, here as well.
    for name in ("pid", "child"):
        os.unlink(os.path.join(hooks.said, name))
    equal(d.setvcpus(4, "--no-wait", "--op-id", "x").exit, 0)
    pids = [hooks.pid(name) for name in ("pid", "child")]
    d.stop(signal.SIGKILL)
    for pid in pids:
        dies(pid)
    hooks.take_away("20-veto")
    d.start()
    d.wait_idle_online(3)
    equal(d.ctl("wait", "x").result["error"], "daemon restarted")
    # What is wrong with the configuration as it is now is said with the refusal.
    hooks.put("20-veto", "exit 0")
    with open(d.config, encoding="utf-8") as f:
        was = f.read()
    for text, why in ((was + "[Domian x]\n", r"hook 10-note: not run by its unit: .*:\d+: unknown section \[Domian x\]"),
                      (was.replace(hooks.folder, "/run/no-such-folder"), "hook 10-note: not run by its unit: it has no such "
                       r"hook in /run/no-such-folder \(HookDirectory= read now; reload\)")):  # fmt: skip
        with open(d.config, "w", encoding="utf-8") as f:
            f.write(text)
        matches(why, vetoed_why(d.setvcpus(4)))
    with open(d.config, "w", encoding="utf-8") as f:
        f.write(was)
    # A unit that goes without a word.
    hooks.put("20-veto", "[ $2 != prepare ] || kill -KILL $(ps -o ppid= $(ps -o ppid= $$))")
    matches("hook 20-veto went with its unit", vetoed_why(d.setvcpus(4)))
    hooks.take_away("20-veto")
    done(d.setvcpus(1), online=1)
    equal(vm.qemu_present(), [0])


def vetoed_why(answer):
    result(answer, 4, "refused")
    equal(answer.result["refused_by"], "hook")
    return answer.result["error"]


if __name__ == "__main__":
    tap.main(before=not_here)
