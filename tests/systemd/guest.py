#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent's unit in a guest with a real kernel, systemd and udev: it comes and goes with its port."""

import os
import re
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import Daemon
from guest import ROOT
from scene import done
from sysguest import SystemdVM, why_not
from tap import case, equal, matches
from vm import wait_for


def wait_state(vm, state, seconds=60):
    wait_for(lambda: vm.unit("ActiveState") == state, seconds,
             lambda: "%s: it is %s\n%s" % (state, vm.unit("ActiveState"), vm.agent_log()), pause=0.1)  # fmt: skip


# What vcpuhp-callbacks(7) says of the sandbox, seen from inside it; one line a call.
LOOK = """\
#!/bin/sh
try() { if "$@" 2>/dev/null; then echo yes; else echo no; fi; }
caps=$(sed -n 's/^CapEff:.//p' /proc/self/status)
etc=$(try touch /etc/touched)
usr=$(try touch /usr/local/touched)
mine=$(try touch /etc/myservice/x)
dma=$(try sh -c ': > /dev/cpu_dma_latency')
cgroup=$(try mkdir -p /sys/fs/cgroup/touched)
irq=$(try sh -c 'cd /proc/irq; cat default_smp_affinity > default_smp_affinity')
mount=$(try mount -t tmpfs none /tmp)
: >> /run/looked
chown=$(try chown 1:1 /run/looked)
ran_on=$(cut -d' ' -f39 /proc/$$/stat)
echo "$1 $2 on $ran_on: $caps etc=$etc usr=$usr mine=$mine dma=$dma cgroup=$cgroup irq=$irq mount=$mount chown=$chown" >> /run/looked
"""
CAPS = (1 << 1) | (1 << 5) | (1 << 12) | (1 << 23)  # DAC_OVERRIDE KILL NET_ADMIN SYS_NICE
CALLBACK = "/etc/vcpuhp/cpuhp.d/10-look"


def calls(vm, name="/run/looked"):
    return vm.guest("cat %s 2>/dev/null || true" % name).splitlines()


def boot_id(vm, seconds=30):
    """None: it does not answer, as while it boots."""
    try:
        return vm.guest("cat /proc/sys/kernel/random/boot_id", seconds)
    except TimeoutError:
        return None


@case(deadline=240)
def the_agent_comes_and_goes_with_its_port():
    with SystemdVM() as vm, Daemon(vm) as d:
        wait_state(vm, "active")
        d.wait_idle_online(1, 60)
        vm.remove_port()
        wait_state(vm, "inactive", 20)
        equal(vm.guest("ls /dev/virtio-ports").split(), ["org.vcpuhp.test.0"])
        vm.add_port()
        wait_state(vm, "active")
        d.wait_idle_online(1, 60)
        done(d.setvcpus(2), online=2)
        equal((vm.guest_online(), vm.unit("NRestarts")), ([0, 1], "0"))


@case(deadline=240)
def an_operation_works_and_its_callbacks_live_in_the_sandbox():
    with SystemdVM(files={CALLBACK: (0o755, LOOK), "/etc/myservice/keep": ""}) as vm, Daemon(vm) as d:
        wait_state(vm, "active")
        d.wait_idle_online(1, 60)
        done(d.setvcpus(3), online=3)
        seen = "%016x etc=no usr=no mine=no dma=no cgroup=yes irq=yes mount=no chown=no" % CAPS
        equal(calls(vm), ["startup %d on %d: %s" % (n, n, seen) for n in (0, 1, 2)])
        # SIGHUP by the unit's reload: a new callback runs on every CPU.
        vm.write("/etc/vcpuhp/cpuhp.d/20-late", "#!/bin/sh\necho $1 $2 >> /run/late\n", 0o755)
        vm.guest("systemctl reload vcpuhp-agent")
        wait_for(lambda: sorted(calls(vm, "/run/late")) == ["startup %d" % n for n in (0, 1, 2)], 30,
                 lambda: "the new callback: %s" % calls(vm, "/run/late"), pause=0.1)  # fmt: skip
        # One that dies is replaced, and does nothing again; a stop leaves every CPU as it is.
        before = vm.agent_pid()
        vm.guest("kill -9 %d" % before)
        wait_for(lambda: vm.agent_pid() not in (0, before), 30, "another agent", pause=0.1)
        d.wait_idle_online(3, 60)
        equal((vm.unit("NRestarts"), len(calls(vm))), ("1", 3))
        vm.guest("systemctl stop vcpuhp-agent")
        equal((vm.unit("ActiveState"), vm.guest_online()), ("inactive", [0, 1, 2]))
        vm.guest("systemctl start vcpuhp-agent")
        d.wait_idle_online(3, 60)
        done(d.setvcpus(1), online=1)


def example():
    """The drop-in that vcpuhp-callbacks(7) shows."""
    with open(os.path.join(ROOT, "guest-agent/man/vcpuhp-callbacks.7.scd"), encoding="utf-8") as f:
        return re.search(r"```\n(\[Service\].*?)```", f.read(), re.S).group(1)


@case(deadline=240)
def the_sandbox_is_loosened_as_the_manual_says():
    files = {CALLBACK: (0o755, LOOK), "/etc/systemd/system/vcpuhp-agent.service.d/more.conf": example()}
    with SystemdVM(files=files) as vm, Daemon(vm) as d:
        wait_state(vm, "active")
        d.wait_idle_online(1, 60)
        more = CAPS | 1 << 0 | 1 << 21  # CHOWN SYS_ADMIN
        seen = "startup %%d on %%d: %016x etc=no usr=no mine=%%s dma=yes cgroup=yes irq=yes mount=yes chown=yes" % more
        equal(calls(vm), [seen % (0, 0, "no")])  # the unit starts without that folder
        vm.guest("mkdir /etc/myservice && systemctl restart vcpuhp-agent")
        d.wait_idle_online(1, 60)
        done(d.setvcpus(2), online=2)
        equal(calls(vm)[1:], [seen % (1, 1, "yes")])


@case(deadline=300)
def a_reboot_of_the_guest_is_survived():
    with SystemdVM() as vm, Daemon(vm) as d:
        wait_state(vm, "active")
        d.wait_idle_online(1, 60)
        done(d.setvcpus(2), online=2)
        boot = boot_id(vm)
        vm.guest("(sleep 0.5; systemctl reboot) > /dev/null 2>&1 &")
        wait_for(lambda: boot_id(vm, 5) not in (None, boot), 120, "another boot", pause=0.2)
        wait_state(vm, "active")
        d.wait_idle_online(2, 90)
        matches("first of this boot", vm.agent_log())
        done(d.setvcpus(3), online=3)


if __name__ == "__main__":
    tap.main(why_not)
