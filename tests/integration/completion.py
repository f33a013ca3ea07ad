#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Completion of vcpuhpctl: in real shells as it is installed, and what it asks the program itself."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import shells
import tap
from container import install
from daemon import VCPUHPCTL, Daemon
from fakevcpuhpd import Server
from qtestvm import QtestVM, why_not
from scene import callbacks, done
from tap import case, equal

VERBS = re.compile(r"(?m)^  ([a-z-]+) +\S.*$")
OPTIONS = re.compile(r"(?m)^  (?:-[a-zA-Z], )?(--[a-z-]+|-[A-Z])(?: |$)")


def ask(words, socket_path="/nowhere/control", seconds=5):
    """{candidate: description} of `vcpuhpctl --complete`, which never fails and says nothing else."""
    done = subprocess.run([VCPUHPCTL, "--complete", *words], env=dict(os.environ, VCPUHP_SOCKET=socket_path),
                          capture_output=True, text=True, timeout=seconds, check=False)  # fmt: skip
    equal((done.returncode, done.stderr), (0, ""), " ".join(words))
    return dict((line + "\t").split("\t")[:2] for line in done.stdout.splitlines())


def timed(words, socket_path):
    start = time.monotonic()
    ask(words, socket_path)
    return 1000 * (time.monotonic() - start)


def help_of(*words):
    return subprocess.check_output([VCPUHPCTL, *words, "--help"], text=True)


def verbs():
    return VERBS.findall(help_of().partition("\nCommands:\n")[2].partition("\n\n")[0])


@contextlib.contextmanager
def running():
    """(VM, Daemon): three vCPUs online and one parked, of eight, and callbacks that shells could mistake."""
    with QtestVM(files=callbacks(_10_ready="")) as vm, Daemon(vm) as d:
        d.wait_idle_online(1)
        done(d.setvcpus(3, "--standby", 1, "--op-id", "grow:1"), present=4)
        yield vm, d


@contextlib.contextmanager
def installed(d):
    """(folder to live in, the installed share folder, environment) for a shell."""
    with tempfile.TemporaryDirectory(prefix="vcpuhp-shell-") as folder:
        dest, home = os.path.join(folder, "dest"), os.path.join(folder, "home")
        os.makedirs(os.path.join(home, "sub"))
        install(dest)
        path = "%s:%s" % (os.path.join(dest, "usr/local/bin"), os.environ["PATH"])
        share = os.path.join(dest, "usr/local/share")
        yield home, share, {"PATH": path, "VCPUHP_SOCKET": d.socket, "XDG_DATA_DIRS": share + ":/usr/share"}


# The program's own part


@case()
def each_command_is_completed():
    equal(set(ask([""])), set(verbs()))
    equal(len(verbs()), len(set(verbs())))
    equal(set(ask(["help", ""])), set(verbs()))
    equal(set(ask(["set"])), {"setvcpus", "setvcpu"})
    assert all(ask([""]).values()), "a command without a description"


GLOBAL = ["--socket", "--output", "--quiet", "--help", "--version"]  # after its own
# The words that bring a command to its options.
WORDS = {"DOMAIN": "web1", "[DOMAIN]": "web1", "NAME": "web1", "COUNT": "2", "LIST": "2", "VCPU": "2", "STATE": "online",
         "ID": "o1", "[COMMAND]": "list"}  # fmt: skip


@case(deadline=120)
def each_option_of_each_command_is_completed():
    for verb in verbs():
        usage = help_of(verb)
        words = [WORDS[w] for w in re.search(r"Usage: vcpuhpctl \S+(.*)", usage).group(1).replace("[OPTIONS]", "").split()]
        wanted = set(OPTIONS.findall(usage))
        assert {"--socket", "--help"} <= wanted, usage
        equal(set(ask([verb, *words, "-"])), wanted, verb)
        equal(set(ask([verb, *words, "--"])), {w for w in wanted if w.startswith("--")}, verb)
        offered = list(ask([verb, *words, ""]))
        equal((set(offered), offered[-5:]), (wanted, GLOBAL), verb)
        assert all(ask([verb, *words, "-"]).values()), "an option of %s without a description" % verb


@case()
def an_option_that_cannot_stand_there_is_not_offered():
    left = set(ask(["setvcpu", "web1", "2", "--enable", "--"]))
    equal({"--disable", "--standby", "--enable"} & left, set())
    left = set(ask(["setvcpus", "web1", "2", "--current", "--"]))
    equal({"--live", "--config"} & left, set())
    left = set(ask(["setvcpus", "web1", "2", "--standby", "1", "--"]))
    equal({"--config", "--standby"} & left, set())
    for words in (["nonsense", ""], ["list", "--"], ["list", "web1", ""], ["setvcpus", "web1", "many", ""], ["list", "--help", ""],
                  ["setvcpus", "web1", "2", "--", "-"]):  # fmt: skip
        got = set(ask(words))
        equal(got, set(GLOBAL) if words == ["list", "--"] else set(), "%s" % words)


@case()
def values_of_options_are_completed():
    for words, wanted in ((["-o", ""], {"table", "json"}), (["--output=j"], {"--output=json"}),
                          (["setvcpus", "web1", "2", "--policy", ""], {"all", "best-effort", "at-least="}),
                          (["setvcpus", "web1", "2", "--pol=a"], {"--pol=all", "--pol=at-least="}),
                          (["trace", "web1", "-O", ""], {":file"}), (["--socket=/"], {":file"}),
                          (["attach", ""], set()), (["setvcpus", "web1", "2", "--timeout", ""], set()),
                          (["setvcpus", "web1", "2", "--op-id", ""], set())):  # fmt: skip
        equal(set(ask(words)), wanted, "%s" % words)


@case()
def the_ladder_is_known_without_a_daemon():
    found = ask(["target", "web1", "2", ""])
    equal([n for n in ("offline", "standby", "online", "ap:verify", "qemu:device") if n in found],
          ["offline", "standby", "online", "ap:verify"])  # fmt: skip
    assert "qemu:device" in ask(["fail", "web1", "2", "q"])


@case(deadline=90)
def the_daemon_says_what_there_is():
    with running() as (vm, d):
        sent = len(vm.sent("device_add")) + len(vm.sent("device_del"))

        def offered(*words):
            return list(ask(words, d.socket))

        equal(ask(["info", ""], d.socket), {"web1": "running"})
        equal(offered("setvcpus", "web1", ""), ["%d" % n for n in range(1, 9)])
        equal(ask(["setvcpus", "web1", "3"], d.socket), {"3": "as it is"})
        equal(offered("setvcpu", "web1", ""), ["%d" % n for n in range(1, 8)])
        equal(offered("setvcpu", "--enable", "web1", ""), ["%d" % n for n in range(3, 8)])
        equal(offered("setvcpu", "--disable", "web1", ""), ["1", "2", "3"])
        equal(ask(["setvcpu", "--standby", "web1", ""], d.socket)["1"], "online")
        equal(offered("setvcpu", "web1", "2,4-"), ["2,4-5", "2,4-6", "2,4-7"])
        equal(offered("setvcpu", "web1", "2-5,"), ["2-5,1", "2-5,6", "2-5,7"])
        equal(offered("setvcpu", "web1", "2-5,^"), ["2-5,^2", "2-5,^3", "2-5,^4", "2-5,^5"])
        equal(offered("setvcpu", "web1", "2--"), [])
        equal(offered("target", "web1", "2", "ap:d"), ["ap:dyn.10-ready"])
        equal(offered("target", "web1", "2", "off"), ["offline"])
        equal(ask(["op", ""], d.socket), {"grow:1": "web1: done"})
        equal((offered("cancel", ""), offered("trace", "web1", "--op", "g")), ([], ["grow:1"]))
        equal((offered("info", "web2"), offered("setvcpu", "web2", "")), ([], []))
        equal(len(vm.sent("device_add")) + len(vm.sent("device_del")), sent, "changes of the VM")
        took = sorted(timed(["setvcpu", "web1", "2,"], d.socket) for _ in range(21))
        print("# a completion takes %.1f ms, at most %.1f" % (took[10], took[-1]))
        assert took[10] < 300, "%s" % took


@case()
def no_daemon_holds_a_shell_up():
    """One that does not take connections, does not answer, or ends in the middle: within the second, and silent."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "control")
        for backlog, taken in ((0, 3), (8, 0)):
            with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
                listener.bind(path)
                listener.listen(backlog)
                for _ in range(taken):
                    waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                    waiting.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        waiting.connect(path)
                start = time.monotonic()
                equal(ask(["info", ""], path), {})
                seconds = time.monotonic() - start
                assert 0.5 < seconds < 2, "%.1f s" % seconds
            os.unlink(path)
        start = time.monotonic()
        equal(ask(["info", ""], path), {})
        assert time.monotonic() - start < 0.5, "%.1f s without a daemon" % (time.monotonic() - start)


@case()
def what_a_shell_could_mistake_is_not_offered():
    """Names of callbacks are a guest's; whoever plays the daemon may say anything."""
    bad = ["$(touch /tmp/x)", "ap:dyn.10-`id`", "a b", "x\ny", "", ":file", "ap:dyn.10-good"]

    def follow(send, call):
        method = call["method"].rpartition(".")[2]
        send({"ListStates": {"states": [{"name": n, "target": True, "meaning": "\033[2Jm\tx\ny"} for n in bad]},
              "ListOperations": {"operations": [{"op": n, "domain": "\n:file", "result": "done"} for n in bad]}}[method])  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "control")
        server = Server(path, follow)
        equal(list(ask(["target", "slow", "2", ""], path)), ["ap:dyn.10-good"])
        equal(list(ask(["trace", "slow", "--op", ""], path)), ["ap:dyn.10-good"])
        equal([c["method"].rpartition(".")[2] for c in server.calls], ["ListStates", "ListOperations"])


# In the shells


def check_shell(all_of):
    """@all_of: what a shell offers at the end of a line."""
    equal(set(all_of("vcpuhpctl ")), set(verbs()))
    equal(set(all_of("vcpuhpctl setv")), {"setvcpu", "setvcpus"})
    equal(all_of("vcpuhpctl info "), ["web1"])
    equal(set(all_of("vcpuhpctl setvcpus web1 2 --p")), {"--policy"})
    equal(set(all_of("vcpuhpctl setvcpu --disable web1 ")), {"1", "2", "3"})
    equal(set(all_of("vcpuhpctl setvcpu web1 2,4-")), {"2,4-5", "2,4-6", "2,4-7"})
    equal(set(all_of("vcpuhpctl target web1 2 o")), {"online", "offline"})
    equal(all_of("vcpuhpctl target web1 2 ap:d"), ["ap:dyn.10-ready"])
    equal(all_of("vcpuhpctl op "), ["grow:1"])
    equal([path.rstrip("/") for path in all_of("vcpuhpctl trace web1 -O s")], ["sub"])
    equal(all_of("vcpuhpctl target web1 2 ap:v"), ["ap:verify"])
    usage = help_of("setvcpu")
    equal(set(all_of("vcpuhpctl setvcpu web1 2 -")), set(OPTIONS.findall(usage)))


def check_tab(shell):
    """What is the only one is completed whole; after a count that is missing there is no space."""
    equal(shell.tab("vcpuhpctl target web1 2 ap:v"), ["vcpuhpctl", "target", "web1", "2", "ap:verify"])
    equal(shell.tab("vcpuhpctl setvcpus web1 2 --policy=b"), ["vcpuhpctl", "setvcpus", "web1", "2", "--policy=best-effort"])
    equal(shell.line("vcpuhpctl setvcpus web1 2 --policy at\t2\x01say \x05", "no space")[-1], "at-least=2")
    equal(shell.line("vcpuhpctl op gr\t--quiet\x01say \x05", "a space")[-2:], ["grow:1", "--quiet"])


@case(deadline=120)
def bash_alone():
    with running() as (_, d), installed(d) as (home, share, env):
        source = ". %s/bash-completion/completions/vcpuhpctl\n" % share
        with shells.bash(home, source, env) as shell:
            check_shell(shell.all)
            check_tab(shell)


@case(deadline=120)
def bash_with_bash_completion():
    """Found by its name below $XDG_DATA_DIRS, at the first tab."""
    main = "/usr/share/bash-completion/bash_completion"
    if not os.path.exists(main):
        raise tap.Skip("bash-completion is not installed")
    with running() as (_, d), installed(d) as (home, _, env):
        with shells.bash(home, ". %s\n" % main, env) as shell:
            check_tab(shell)
            check_shell(shell.all)


@case(deadline=120)
def zsh():
    with running() as (_, d), installed(d) as (home, share, env):
        with shells.zsh(home, share + "/zsh/site-functions", env) as shell:
            check_shell(shell.all)
            check_tab(shell)


@case(deadline=120)
def fish():
    """Found below $XDG_DATA_DIRS, as it is installed."""
    with running() as (_, d), installed(d) as (home, _, env):

        def all_of(typed):
            return list(shells.fish(home, typed, env))

        check_shell(all_of)
        equal(shells.fish(home, "vcpuhpctl info ", env), {"web1": "running"})
        equal(set(all_of("vcpuhpctl setvcpus web1 2 --policy=b")), {"--policy=best-effort"})
        equal(all_of("vcpuhpctl attach x --qmp=s"), ["--qmp=sub/"])


@case(deadline=60)
def a_stopped_daemon_stops_no_shell():
    with running() as (_, d), installed(d) as (home, share, env):
        with shells.bash(home, ". %s/bash-completion/completions/vcpuhpctl\n" % share, env) as shell:
            os.kill(d.process.pid, signal.SIGSTOP)
            try:
                start = time.monotonic()
                equal(shell.tab("vcpuhpctl info "), ["vcpuhpctl", "info"])
                seconds = time.monotonic() - start
            finally:
                os.kill(d.process.pid, signal.SIGCONT)
            assert seconds < 3, "%.1f s" % seconds
            equal(shell.all("vcpuhpctl info "), ["web1"])


if __name__ == "__main__":
    tap.main(before=lambda: why_not() or (None if shutil.which("meson") else "meson is not installed"))
