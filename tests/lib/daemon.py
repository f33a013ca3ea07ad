# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon of our own beside a Machine, and vcpuhpctl asked as users ask it."""

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from guest import BUILD, ROOT
from qmp import wait_for
from vm import Process, die_with_parent

VCPUHPD = os.path.join(BUILD, "daemon", "vcpuhpd")
NOBODY = 65534  # user and group
VCPUHPCTL = os.path.join(BUILD, "daemon", "vcpuhpctl")


def message_id(name):
    """Of an outcome by the name that vcpuhpd(8) gives it, as the program's table has it."""
    with open(os.path.join(ROOT, "daemon", "journal-message.c"), encoding="utf-8") as f:
        return re.search(r'"(\w{32})",\s+LOG_\w+,\s+"%s",' % name, f.read()).group(1)


def run_as_nobody(*args):
    """vcpuhpctl run by a user without rights, who may not even reach the folder it was built in."""
    with tempfile.TemporaryDirectory(prefix="vcpuhp-nobody-") as folder:
        os.chmod(folder, 0o755)
        return subprocess.run([shutil.copy(VCPUHPCTL, folder)] + [str(a) for a in args], capture_output=True, text=True,
                              timeout=60, check=False, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")  # fmt: skip


class Answer:
    """What one run of vcpuhpctl said.

    .exit, .err (stderr), .out (stdout), .ms; with -o json .lines are its objects, .progress the
    progress among them and .result the last one.
    """

    def __init__(self, exit_status, out, err, ms, is_json):
        self.exit = exit_status
        self.out = out
        self.err = err
        self.ms = ms
        self.lines = [json.loads(line) for line in out.splitlines()] if is_json else []
        self.progress = [o["progress"] for o in self.lines if "progress" in o]
        self.result = self.lines[-1] if self.lines and "progress" not in self.lines[-1] else {}

    def vcpu(self, number):
        """The result's entry of a vCPU."""
        found = [v for v in self.result.get("vcpus", []) if v["vcpu"] == number]
        assert len(found) == 1, "vCPU %d stands %d times in %s" % (number, len(found), self)
        return found[0]

    def steps(self, vcpu=None, phase=None, kernel=False):
        """Progress lines of our own ladder (or of the kernel's beneath it)."""
        return [
            p for p in self.progress
            if bool(p.get("kernel")) == kernel
            and vcpu in (None, p["vcpu"]) and phase in (None, p["phase"])
        ]  # fmt: skip

    def __repr__(self):
        result = json.dumps(self.result) if self.lines else self.out
        return "<exit %s after %.0f ms: %s | stderr: %s>" % (
            self.exit, self.ms, result, self.err.strip()[-600:])  # fmt: skip


class Ctl:
    """A vcpuhpctl that is still running."""

    def __init__(self, args, env):
        self.is_json = "json" in args
        self.early = ""
        self.started = time.monotonic()
        self.popen = subprocess.Popen(
            args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=env, preexec_fn=die_with_parent)  # fmt: skip

    def interrupt(self):
        self.popen.send_signal(signal.SIGINT)

    def until(self, words, seconds=10):
        """Until it has printed @words."""
        end = time.monotonic() + seconds
        while words not in self.early:
            ready, _, _ = select.select([self.popen.stdout], [], [], max(0, end - time.monotonic()))
            assert ready, "not within %g s: %r in %s" % (seconds, words, self.early[-600:])
            data = os.read(self.popen.stdout.fileno(), 65536).decode()
            assert data, "it ended without %r: %s" % (words, self.early[-600:])
            self.early += data

    def wait(self, seconds=60):
        try:
            out, err = self.popen.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            out, err = self.popen.communicate()
            raise AssertionError(
                "vcpuhpctl gave no result within %g s; its last words: %s %s" % (
                    seconds, out[-600:], err[-600:])) from None  # fmt: skip
        ms = (time.monotonic() - self.started) * 1000
        return Answer(self.popen.returncode, self.early + out, err, ms, self.is_json)


class Daemon:
    """vcpuhpd --foreground in the machine's folder.

    @domain and @daemon: more keys of the [Domain NAME] and [Daemon] sections. @others: machines
    that are domains of it too; the short methods here speak of @machine alone.
    """

    def __init__(self, machine, domain=None, daemon=None, others=(), env=None, start=True, program=VCPUHPD):
        self.machine = machine
        self.program = program
        self.socket = machine.path("control")
        self.config = machine.path("vcpuhpd.conf")
        self.log = machine.path("vcpuhpd.log")
        self.env = env or {}
        self.process = None
        keys = {"AllowFaultInjection": "yes", **(daemon or {})}
        with open(self.config, "w", encoding="utf-8") as f:
            f.write("[Daemon]\n" + "".join("%s=%s\n" % k for k in keys.items()))
            f.write(self.domain_sections((machine, *others), domain))
        if start:
            self.start()

    def domain_sections(self, machines, domain):
        text = ""
        for m in machines:
            section = {"QMP": m.qmp_path, "Agent": m.agent_path, **(domain or {})}
            text += "[Domain %s]\n" % m.name + "".join("%s=%s\n" % k for k in section.items())
        return text

    def launch(self):
        self.process = Process(
            [self.program, "--foreground", "--config", self.config, "--socket", self.socket,
             "--runtime-dir", self.machine.path("run"), "--state-dir", self.machine.path("state")],
            self.log, self.env)  # fmt: skip

    def start(self):
        self.launch()
        wait_for(lambda: self.listens() or not self.process.alive(), 10, "the daemon's socket")
        assert self.process.alive(), "vcpuhpd ended at once:\n%s" % self.text()

    def listens(self):
        """The socket's file alone says nothing: a daemon that was killed leaves it behind."""
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.socket) == 0

    def stop(self, number=signal.SIGTERM):
        return self.process.stop(number)

    def restart(self, number=signal.SIGTERM):
        self.stop(number)
        self.start()

    def text(self):
        return self.process.text() if self.process else ""

    def begin(self, *args, json_output=True):
        """Start a vcpuhpctl and return it (Ctl) without waiting."""
        options = ["-o", "json"] if json_output else []
        env = dict(os.environ, VCPUHP_SOCKET=self.socket, **self.env)
        return Ctl([VCPUHPCTL] + options + [str(a) for a in args], env)

    def ctl(self, *args, json_output=True, seconds=60):
        """Run vcpuhpctl and return its Answer."""
        return self.begin(*args, json_output=json_output).wait(seconds)

    def ctl_as_nobody(self, *args):
        """The same by a user who may open the socket and is in the group nogroup; its plain output."""
        for path in (os.path.dirname(self.socket), self.socket):
            os.chmod(path, 0o777)
        run = run_as_nobody("-S", self.socket, *args)
        return Answer(run.returncode, run.stdout, run.stderr, 0, False)

    def setvcpus(self, count, *options, seconds=60):
        return self.ctl("setvcpus", self.machine.name, count, *options, seconds=seconds)

    def setvcpu(self, vcpus, *options, seconds=60):
        return self.ctl("setvcpu", self.machine.name, vcpus, *options, seconds=seconds)

    def info(self):
        a = self.ctl("info", self.machine.name)
        assert a.exit == 0, a
        return a.result

    def brief(self):
        """info() of the vCPUs that are not plainly offline, for a message."""
        i = self.info()
        vcpus = ["%(vcpu)s cpu=%(cpu)s state=%(state)s ran_on=%(ran_on)s pending=%(pending)s "
                 "drift=%(drift)s" % v for v in i["vcpus"] if v["state"] or v["pending"] or v["drift"]]  # fmt: skip
        return "%s agent=%s present=%s online=%s standby=%s; vCPU %s" % (
            i["status"], i["agent"] and i["agent"]["connected"], i["present"], i["online"], i["standby"],
            "; ".join(vcpus))  # fmt: skip

    def states(self):
        """vCPU -> name of its state, of the present ones."""
        return {v["vcpu"]: v["name"] for v in self.info()["vcpus"] if v["state"] not in (0, None)}

    def counts(self):
        i = self.info()
        return (i["present"], i["online"], i["standby"])

    def wait_agent(self, seconds=30):
        """Until the daemon has the agent's word and knows the state of the boot vCPU."""
        def ready():
            i = self.info()
            return i["agent"] and i["agent"]["connected"] and i["online"] is not None

        wait_for(ready, seconds, lambda: "the agent in info: %s" % self.brief(), pause=0.05)

    def wait_idle_online(self, count, seconds=30):
        """Until @count vCPUs are at online (adoption has run)."""
        wait_for(lambda: self.info()["online"] == count, seconds,
                 lambda: "%d online: %s" % (count, self.brief()), pause=0.05)  # fmt: skip

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def status_field(self, field):
        """A number of /proc/PID/status: "Threads", "VmRSS" (KiB), ..."""
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as f:
            return int(re.search(r"^%s:\s*(\d+)" % field, f.read(), re.M).group(1))

    def save(self):
        if not self.machine.keep or not self.process:
            return
        os.makedirs(self.machine.keep, exist_ok=True)
        with open(os.path.join(self.machine.keep, "vcpuhpd.log"), "w", encoding="utf-8") as f:
            f.write(self.text())

    def close(self):
        """End it. That it ends well, now or before, is part of every case that has not failed already."""
        status = self.process.stop(seconds=20) if self.process else 0
        self.save()
        assert sys.exc_info()[0] or status == 0 or -status in self.process.sent - {signal.SIGTERM}, (
            "the daemon ended with %s: %s" % (status, self.text()[-1000:]))  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0] and self.process and self.process.alive():
            print("# info: " + self.ctl("info", self.machine.name).out.replace("\n", "\n# "))
        self.close()
