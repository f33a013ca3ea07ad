#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that refuse, sleep, are late, let CPUs go unasked or lie, on real QEMU with KVM."""

import signal
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import Daemon
from fakeguest import OST_REFUSED
from qtestvm import QtestVM, why_not
from scene import callbacks, done, drift_of, result
from tap import case, equal, matches
from vm import wait_for

SHORT = {"EjectSec": 1, "EjectMaxSec": 3}


class Scene:
    """A machine at @count vCPUs."""

    def __init__(self, count=4, daemon=None, **machine):
        self.vm = QtestVM(**machine)
        try:
            self.d = Daemon(self.vm, daemon=daemon)
            self.d.wait_idle_online(1)
            if count > 1:
                done(self.d.setvcpus(count), present=count, online=count)
        except BaseException:
            self.vm.close()
            raise

    def __enter__(self):
        return self.vm, self.vm.guest, self.d

    def __exit__(self, kind, value, trace):
        try:
            self.d.close()
            if kind is None:
                self.vm.guest.check()
        finally:
            self.vm.close()


def pending_of(d, vcpu):
    return d.info()["vcpus"][vcpu]["pending"]


@case()
def a_refused_unplug_comes_back_online_with_its_reason():
    with Scene() as (vm, guest, d):
        guest.mode = "refuse"
        a = result(d.setvcpus(3), 4, "refused")
        assert a.ms < 1000, "it took %.0f ms" % a.ms
        equal(a.result["refused_by"], "guest")
        equal((vm.qemu_present(), guest.online()), ([0, 1, 2, 3], [0, 1, 2, 3]), "back in service (R9)")
        equal(d.states()[3], "online")
        guest.mode = "accept"
        done(d.setvcpus(3), present=3, online=3)


@case()
def an_ignored_unplug_is_removal_pending_and_completes_late():
    with Scene(daemon=SHORT) as (vm, guest, d):
        guest.mode = "ignore"
        a = result(d.setvcpus(3), 5, "pending")
        equal((a.vcpu(3)["result"], a.result["present"]), ("pending", 4), "counted as present")
        equal(pending_of(d, 3), "unplug")
        guest.mode = "accept"
        wait_for(lambda: pending_of(d, 3) is None and d.counts() == (3, 3, 0), 10,
                 lambda: "completion: " + d.brief())  # fmt: skip
        equal(vm.qemu_present(), [0, 1, 2])
        done(d.setvcpus(4), present=4, online=4)


@case()
def a_late_eject_within_the_deadline_is_a_success():
    with Scene() as (vm, guest, d):
        guest.mode = "late"
        asking = d.begin("setvcpus", "web1", "3")
        wait_for(lambda: guest.in_progress == {3}, 5, "the request at the guest")
        under_way = d.ctl("ops", "web1").lines[-1]
        equal([under_way[k] for k in ("result", "present", "online", "standby")], ["accepted", 4, 3, 1])
        guest.eject(3)
        done(asking.wait(20), present=3, online=3)


@case()
def a_late_eject_past_the_deadline_is_no_error_afterwards():
    with Scene(daemon=SHORT) as (vm, guest, d):
        guest.mode = "late"
        result(d.setvcpus(3), 5, "pending")
        guest.eject(3)
        wait_for(lambda: d.counts() == (3, 3, 0) and pending_of(d, 3) is None, 10, d.brief)
        guest.mode = "accept"
        done(d.setvcpus(1), present=1, online=1)


@case()
def an_eject_nobody_asked_for_is_noticed_within_5_s():
    with Scene() as (vm, guest, d):
        guest.eject(3)
        wait_for(lambda: d.counts()[:2] == (3, 3), 5, d.brief, pause=0.05)
        wait_for(lambda: drift_of(d, 3), 5, d.brief, pause=0.05)
        done(d.setvcpus(4), present=4, online=4)


@case()
def a_foreign_plug_is_seen_as_soon_as_the_guest_has_it():
    """The guest's word makes QEMU be asked; three in a row cannot all meet the 5 s tick."""
    with Scene(1) as (vm, guest, d):
        for slot in (1, 2, 3):
            vm.plug(slot)
            wait_for(lambda slot=slot: drift_of(d, slot) == "it was plugged by another", 1, d.brief, pause=0.02)
        equal(d.counts()[0], 4)
        done(d.setvcpus(4), present=4, online=4)


@case()
def more_standby_cpus_than_the_queue_holds_are_parked_again_after_a_reboot():
    with Scene(1, maxcpus=16) as (vm, guest, d):
        done(d.setvcpus(1, "--standby", 11))
        guest.reboot()
        wait_for(lambda: d.counts() == (12, 1, 11) and guest.online() == [0], 10, d.brief, pause=0.05)
        ops = d.ctl("ops", "web1").lines
        equal([(o["result"], len(o["vcpus"])) for o in ops[-2:]], [("done", 11), ("done", 11)])
        equal([v["drift"] for v in d.info()["vcpus"] if v["drift"]], [])


@case()
def forged_refusals_for_slots_that_rest_change_nothing():
    with Scene(2) as (vm, guest, d):
        guest.storm(1, 500)
        guest.storm(5, 500)
        done(d.setvcpus(3), present=3, online=3)
        equal(d.states(), {0: "online", 1: "online", 2: "online"})
        done(d.setvcpus(1), present=1, online=1)


@case()
def forged_completions_do_not_remove_a_vcpu():
    """The slot is still filled: whatever the guest says, the vCPU is there (R14)."""
    with Scene(daemon=SHORT) as (vm, guest, d):
        guest.mode = "ignore"
        asking = d.begin("setvcpus", "web1", "3")
        wait_for(lambda: vm.sent("device_del"), 5, "device_del")
        guest.storm(3, 20, status=0)
        a = result(asking.wait(20), 5, "pending")
        equal(a.result["present"], 4)
        equal(vm.qemu_present(), [0, 1, 2, 3])


@case()
def a_refusal_said_twice_is_one_refusal():
    with Scene() as (vm, guest, d):
        guest.mode = "late"
        asking = d.begin("setvcpus", "web1", "3")
        wait_for(lambda: guest.in_progress == {3}, 5, "the request at the guest")
        guest.storm(3, 5, status=OST_REFUSED)
        result(asking.wait(20), 4, "refused")
        equal(guest.online(), [0, 1, 2, 3])
        guest.storm(3, 5, status=OST_REFUSED)
        equal(d.states()[3], "online")


@case()
def a_lost_event_is_made_up_by_asking_qemu():
    """The completion comes while the daemon is away; a query finds it."""
    with Scene(daemon=SHORT) as (vm, guest, d):
        guest.mode = "late"
        result(d.setvcpus(3), 5, "pending")
        d.stop(signal.SIGKILL)
        guest.eject(3)
        d.restart(signal.SIGKILL)
        wait_for(lambda: d.counts() == (3, 3, 0) and pending_of(d, 3) is None, 10, d.brief, pause=0.05)


@case()
def a_guest_that_never_sees_the_cpu_is_given_up_and_the_slot_emptied():
    with Scene(1, daemon={"GuestPresentSec": 1}) as (vm, guest, d):
        guest.insert = "ignore"
        asking = d.begin("setvcpus", "web1", "2")
        wait_for(lambda: vm.sent("device_add"), 5, "device_add")
        a = asking.wait(30)
        equal((a.exit, a.vcpu(1)["failed_at"]), (1, "guest:present"), "%s" % a)
        wait_for(lambda: vm.qemu_present() == [0], 5, "the empty slot")


@case()
def a_callback_that_fails_rolls_back_on_both_sides():
    files = {p: c for p, c in callbacks(_10_deny='[ "$1 $2" != "startup 3" ] || exit 3').items()}
    files = {p: (m, t.replace("/run/callbacks", "/dev/null")) for p, (m, t) in files.items()}
    with Scene(1, files=files) as (vm, guest, d):
        a = result(d.setvcpus(4), 1, "failed")
        matches(r"10-deny.*\b3\b", a.vcpu(3)["error"])
        equal((vm.qemu_present(), guest.present_slots(), guest.online()), ([0], [0], [0]))
        equal(d.counts(), (1, 1, 0))


@case()
def a_vm_started_anew_behind_the_socket_is_another_one():
    with Scene(3) as (vm, guest, d):
        guest.mode = "ignore"
        asking = d.begin("setvcpus", "web1", "2")
        wait_for(lambda: vm.sent("device_del"), 5, "device_del")
        vm.restart_qemu()
        a = asking.wait(30)
        equal((a.exit, a.result["result"], a.vcpu(2)["result"]), (11, "vm-gone", "gone"), "%s" % a)
        wait_for(lambda: d.info()["present"] == 1, 10, d.brief, pause=0.05)


@case()
def an_agent_that_leaves_before_the_request_is_6():
    with Scene(2, daemon={"AgentWaitSec": 1}) as (vm, guest, d):
        guest.stop_agent(signal.SIGKILL)
        sent = len(vm.sent("device_add"))
        result(d.setvcpus(3), 6, "no-agent")
        equal(len(vm.sent("device_add")), sent)
        guest.start_agent()
        done(d.setvcpus(3), present=3, online=3)


@case()
def more_vcpus_than_kvm_recommends_are_plugged_with_a_warning():
    with Scene(1) as (vm, guest, d):
        most = d.ctl("host").result["kvm"]["nr_vcpus"]
        if most >= 8:
            raise tap.Skip("KVM recommends %d vCPUs here, the machine has 8" % most)
        a = done(d.setvcpus(most), present=most)
        assert "warnings" not in a.result, a
        dry = d.setvcpus(most + 1, "--dry-run")
        a = done(d.setvcpus(most + 1), present=most + 1)
        equal(dry.result["warnings"], a.result["warnings"])
        matches("KVM recommends no more than %d" % most, a.result["warnings"][0])
        equal(len([t for t in d.text().splitlines() if a.result["warnings"][0] in t]), 1, "lines in the log")
        table = d.ctl("-q", "setvcpus", "web1", most + 2, json_output=False)
        equal(table.exit, 0, "%s" % table)
        matches("^vcpuhpctl: warning: %d vCPUs would be plugged" % (most + 2), table.err)


@case()
def what_no_agent_has_told_is_not_made_up():
    with QtestVM(agent=False) as vm, Daemon(vm, daemon={"AgentWaitSec": 1}) as d:
        wait_for(lambda: d.info()["status"] == "running", 10, d.brief)
        asking = d.begin("setvcpus", "web1", "2", "--op-id", "early")
        wait_for(lambda: d.ctl("op", "early").exit == 0, 5, "the operation")
        under_way = d.ctl("op", "early").result
        equal([under_way[k] for k in ("result", "present", "online", "standby")], ["accepted", 1, None, None])
        a = result(asking.wait(20), 6, "no-agent")
        equal([a.result[k] for k in ("present", "online", "standby")], [1, None, None])
        equal(d.counts(), (1, None, None))
        number = d.ctl("vcpucount", "web1", "--online", json_output=False)
        equal((number.exit, number.out), (6, ""))
        number = d.ctl("vcpucount", "web1", "--present", json_output=False)
        equal((number.exit, number.out), (0, "1\n"))
        table = d.ctl("setvcpus", "web1", "2", json_output=False)
        matches(r"^web1: no-agent: - online, - standby, 1 present of 8\n", table.out)


if __name__ == "__main__":
    tap.main(before=why_not)
