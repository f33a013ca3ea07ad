#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What somebody does who has just installed it: the examples, a look at the metrics, and breaking it to see
whether he is told why, in words that the troubleshooting page has."""

import os
import re
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from guest import ROOT
from scene import FOLDER, done, no_agent, result, running
from tap import case, equal, matches
from vm import wait_for

EXAMPLES = os.path.join(ROOT, "tests", "examples", "cpuhp.d")
SERVICE = """\
mkdir -p /run/myservice
cat > /run/myservice/run <<'END'
trap 'echo hup >> /run/myservice/hups' HUP
: > /run/myservice/hups; echo $$ > /run/myservice/pid
while :; do sleep 0.1; done
END
sh /run/myservice/run > /dev/null 2>&1 &
while [ ! -s /run/myservice/pid ]; do usleep 10000; done
"""


def examples():
    found = {}
    for name in sorted(os.listdir(EXAMPLES)):
        with open(os.path.join(EXAMPLES, name), encoding="utf-8") as f:
            found[FOLDER + name] = (0o755, f.read())
    return found


def page():
    with open(os.path.join(ROOT, "daemon/doc/troubleshooting.md"), encoding="utf-8") as f:
        return f.read()


def told(text, words):
    """@words are in @text, and in the page that says what to do."""
    matches(re.escape(words), text)
    assert words in page(), "%r is not in the troubleshooting page" % words


def metrics(d):
    """Whether its agent is up, and its vCPUs online, as Prometheus would see them."""
    text = d.ctl("metrics", json_output=False).out
    names = (r"vcpuhp\w*_agent_up\{", r'vcpuhp\w*_vcpus(?:_online\{|\{[^}]*"online")')
    found = [re.search(r'(?m)^(?=[^ ]*domain="web1")%s[^ ]* (\d+)' % name, text) for name in names]
    return [int(m.group(1)) if m else None for m in found]


@case()
def the_examples_of_callbacks_tell_a_service_and_let_it_refuse():
    with running(files=examples()) as (vm, d):
        def cpus():
            return vm.guest("ls /run/myservice/cpus").split()

        equal(cpus(), ["0"])
        vm.guest(SERVICE)
        done(d.setvcpus(3), online=3)
        equal(cpus(), ["0", "1", "2"])
        wait_for(lambda: "hup" in vm.guest("cat /run/myservice/hups"), 10, "the service to be told")
        vm.guest("touch /run/myservice/needs-1")
        a = result(d.setvcpus(1), 4, "refused")
        matches("ap:dyn.30-myservice teardown failed with exit status 1: myservice is pinned to CPU 1", str(a.result))
        equal((cpus(), d.counts()[1]), (["0", "1", "2"], 3), "%s" % a)
        vm.guest("rm /run/myservice/needs-1")
        done(d.setvcpus(1), online=1)
        equal(cpus(), ["0"])
        log = vm.guest("cat /run/vcpuhp-agent/cpuhp.log").splitlines()
        ways = [line.split()[0] for line in log if "cpu=2 " in line]  # down and up again, if it came so far before the veto
        equal(ways, ["startup", "teardown"] * (len(ways) // 2))


@case()
def an_agent_that_is_gone_is_told_and_what_to_do():
    with running() as (vm, d):
        done(d.setvcpus(2))
        equal(metrics(d), [1, 2])
        with no_agent(vm):
            wait_for(lambda: metrics(d)[0] == 0, 20, "the agent to be missed")
            wait_for(lambda: d.info()["agent"]["why"] == "no agent has answered", 10, lambda: d.info()["agent"])
            a = d.ctl("doctor", "web1", json_output=False)
            equal(a.exit, 4, "%s" % a)
            matches("no agent in the guest: .*in the guest: systemctl status vcpuhp-agent", a.out)
            a = d.ctl("setvcpus", "web1", "3", json_output=False)
            equal(a.exit, 6, "%s" % a)
            told(a.err, "no agent answers in the guest: ")
            told(a.err, "; nothing was sent to QEMU")
        wait_for(lambda: d.ctl("doctor", "web1").exit == 0, 20, "the next agent")
        done(d.setvcpus(3), online=3)
        equal(metrics(d), [1, 3])


@case()
def a_callback_that_fails_is_told_and_why():
    with running(files={FOLDER + "50-deny": (0o755, "#!/bin/sh\n[ $2 = 0 ] || { echo no licence for CPU $2; exit 3; }\n")}) as (_, d):
        a = d.ctl("setvcpus", "web1", "2", "--op-id", "broken", json_output=False)
        equal(a.exit, 1, "%s" % a)
        words = "ap:dyn.50-deny startup failed with exit status 3: no licence for CPU"
        told(a.err, words)
        matches(re.escape(words), d.ctl("op", "broken", json_output=False).out)
        matches(re.escape(words), d.text())
        matches("ap:dyn.50-deny", d.ctl("states", "web1", json_output=False).out)


if __name__ == "__main__":
    tap.main()
