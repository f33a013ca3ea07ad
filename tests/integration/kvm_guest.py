#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real KVM vCPUs that run a guest of our own: the whole path from the daemon over QMP and KVM to a
callback on the vCPU that was added, back by the guest protocol, and the eject.

One case for each scene of microscenes.py, each on a VM of its own.
"""

import signal
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import microscenes
import tap
from microguest import LOG, why_not
from microscenes import ALL, Life, others, without
from scene import done
from tap import case, equal
from vm import wait_for


def as_case(scene, k):
    def run():
        with Life() as life:
            scene(life, k)
            life.over()

    run.__name__ = scene.__name__
    return tap.case(deadline=60)(run)


@case()
def a_walk_ends_without_the_daemon_and_its_result_is_kept():
    """SIGKILL in the middle of a callback: the next daemon is told how the kick ended, and acknowledges it."""
    k = 5
    with Life() as life:
        life.say("hang %d up %d", LOG, life.cpu(k))
        life.d.begin("setvcpu", "web1", k, "--enable")
        wait_for(lambda: life.d.states().get(k) == "ap:dyn.10-count", 10, life.d.brief)
        life.d.stop(signal.SIGKILL)
        life.say("hang 0")
        wait_for(lambda: life.vm.cpus()[k]["state"] == 44, 5, "the walk's end in the guest")
        equal(life.vm.cpus()[k]["kept"], 1, "the result is kept")
        life.d.start()
        life.d.wait_idle_online(2)
        life.settles([0, k])
        equal(life.vm.cpus()[k]["kept"], 0, "the result is kept though it was acknowledged")
        done(life.only(others(k), "--enable"))
        life.down()


@case()
def a_guest_that_resets_is_another_boot_and_its_cpus_are_told_anew():
    with Life() as life:
        life.up()
        before = life.d.info()["agent"]["boot_id"]
        life.vm.qmp("system_reset")
        wait_for(lambda: (life.d.info()["agent"]["boot_id"] or before) != before, 10, life.d.brief)
        wait_for(lambda: life.d.counts() == (8, 1, 7), 10, life.d.brief)
        life.truth(range(8), running=[0])
        done(life.only(ALL, "--enable"))
        life.truth(range(8))
        life.down()


@case()
def a_foreign_unplug_is_found_and_said():
    k = 3
    with Life() as life:
        life.up()
        life.vm.qmp("device_del", id=life.vm.slots()[k]["qom-path"].rsplit("/", 1)[1])
        life.settles(without(k))
        assert life.d.info()["vcpus"][k]["drift"], life.d.brief()
        life.down()


@case()
def a_failure_that_is_armed_fires_once_on_that_vcpu():
    k = 2
    with Life() as life:
        done(life.only(k, "--standby"))
        equal(life.d.ctl("fail", "web1", k, "ap:dyn.20-log").exit, 0)
        a = life.only(k, "--enable")
        equal((a.exit, a.vcpu(k)["failed_at"], a.vcpu(k)["name"]), (1, "ap:dyn.20-log", "standby"), "%s" % a)
        life.truth([0, k], running=[0])
        done(life.only(k, "--enable"))
        equal(life.vm.cpus()[k]["starts"], 2, "starts")
        life.truth([0, k])


for number, each in enumerate(microscenes.GOOD + microscenes.BAD):
    as_case(each, k=1 + number % 7)

if __name__ == "__main__":
    tap.main(before=why_not)
