# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many simulated domains (tests/sim/serve.c) behind real sockets, for a real daemon beside them."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile

from bench_rig import Varlink
from guest import BUILD
from vm import die_with_parent

SIM = os.path.join(BUILD, "tests", "sim", "vcpuhp-sim")
SLOTS = 8


def why_not():
    """Why these tests cannot run here, or None."""
    return None if os.path.exists(SIM) else "%s is not built" % SIM


class SimDomain:
    """What Daemon has to know of a machine."""

    def __init__(self, fleet, number):
        self.number = number
        self.name = "web%d" % number
        self.path = fleet.path
        self.keep = fleet.keep
        self.qmp_path = fleet.path(self.name + ".qmp")
        self.agent_path = fleet.path(self.name + ".agent")


class SimFleet:
    def __init__(self, n, seed=1):
        self.dir = tempfile.mkdtemp(prefix="vcpuhp-")
        self.keep = os.environ.get("VCPUHP_CASE_LOGS")
        self.domains = [SimDomain(self, i) for i in range(n)]
        with open(self.path("sim.log"), "wb") as log:
            self.popen = subprocess.Popen(
                [SIM, "--serve", self.dir, "--domains", str(n), "--seed", str(seed)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                preexec_fn=die_with_parent)  # fmt: skip
        self._answer()

    def path(self, name):
        return os.path.join(self.dir, name)

    def _answer(self):
        line = self.popen.stdout.readline()
        assert line, "the simulation has ended: " + open(self.path("sim.log"), encoding="utf-8").read()[-600:]
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer

    def order(self, text):
        self.popen.stdin.write(text + "\n")
        self.popen.stdin.flush()
        return self._answer()

    def truth(self):
        """(slots that QEMU has filled, slots that are online in the guest) by domain."""
        answer = self.order("truth")
        assert not answer["breach"], answer["breach"]
        return {d["name"]: (d["present"], d["online"]) for d in answer["domains"]}

    def mute(self, domain, how):
        self.order("mute %d %s" % (domain.number, how))

    def heal(self, domain):
        self.order("heal %d" % domain.number)

    def close(self):
        self.popen.stdin.close()
        try:
            self.popen.wait(5)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.popen.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def ask(link, method, **parameters):
    """The parameters of the one reply."""
    return link.call(method, **parameters)[-1][0]


def summaries(link):
    """{name: summary} of all domains."""
    return {d["domain"]: d for d in ask(link, "ListDomains")["domains"]}


def is_known(summary):
    """The daemon has the word of QEMU and of the agent, and tells it."""
    return bool(summary["agent"] and summary["agent"]["connected"] and summary["online"] is not None)


def agrees(info, truth):
    """The daemon tells the slots that are really there and online, and nothing is under way."""
    present = [v["vcpu"] for v in info["vcpus"] if v["state"]]
    online = [v["vcpu"] for v in info["vcpus"] if v["state"] == 44]
    return not info["operation"] and (present, online) == truth


@contextlib.contextmanager
def linked(path):
    with contextlib.closing(Varlink(path)) as link:
        yield link
