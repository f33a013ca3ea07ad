#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A domain is reset, rebooted, shut down, destroyed, restored or migrated, after an operation and during one.

What it means for the operation is told as it is, and afterwards all views are one again. A migration
is libvirt's own, live, between two private libvirtds of which each has a daemon; it lasts until it is
let go, and the fake guest goes along.
"""

import errno
import os
import signal
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from fakeguest import REMOVING, listen
from libvirtd import Domain, LibvirtDaemon
from lvscene import Scene, all_agree, own, prepare
from scene import done, result
from tap import case, equal, matches
from vm import wait_for

# It keeps each CPU but the boot CPU, and ends with the kernel it was written for.
GATE = """\
#!/bin/sh
[ "$2" != 0 ] || exit 0
while [ -e %(shut)s ]; do
    read -r boot < %(boot)s
    [ "$boot" = %(this)s ] || exit 0
    : > %(held)s
    sleep 0.02
done
"""
PVPANIC = 0x505  # bit 1: the guest's crash kernel is loaded
BOOT_ID = "proc/sys/kernel/random/boot_id"


class PowerButton:
    """The guest's side of ACPI's fixed power button and of its soft off (q35: ICH9, PM1 block)."""

    BASE = 0x600
    STATUS, ENABLE, CONTROL = BASE, BASE + 2, BASE + 4
    PRESSED, SLEEP = 0x100, 0x2000

    def __init__(self, registers):
        self.command = registers.command
        with registers.lock:
            self._config(0x40, "outl", self.BASE | 1)
            self._config(0x44, "outb", 0x80)
            self.command("outw %#x %#x" % (self.ENABLE, self.PRESSED))

    def _config(self, offset, command, value):
        self.command("outl 0xcf8 %#x" % (0x8000F800 | offset))
        self.command("%s 0xcfc %#x" % (command, value))

    def is_pressed(self):
        return int(self.command("inw %#x" % self.STATUS)[1], 16) & self.PRESSED

    def off(self):
        self.command("outw %#x %#x" % (self.CONTROL, self.SLEEP))


def press(dom, guest, what):
    """`virsh shutdown` or `reboot`; the guest hears it and switches itself off."""
    button = PowerButton(guest.registers)
    dom.lv.virsh(what, dom.name, "--mode", "acpi")
    wait_for(button.is_pressed, 5, "the power button at the guest")
    button.off()


def boots(guest, d):
    before = d.info()["agent"]["boot_id"]
    guest.reboot()
    wait_for(lambda: (d.info()["agent"]["boot_id"] or before) != before, 10, "the new kernel's agent")


def settles(d, present, online, standby=0):
    wait_for(lambda: d.counts() == (present, online, standby), 10, d.brief, pause=0.02)


def begin_and_hold(dom, guest, d, count):
    """`setvcpus` up to @count, when the guest has a CPU in the callback."""
    paths = {name: dom.path(name) for name in ("shut", "held")}
    guest.root.write("etc/vcpuhp/cpuhp.d/10-gate", GATE % {
        "boot": guest.root.path(BOOT_ID), "this": guest.root.read(BOOT_ID), **paths}, 0o755)  # fmt: skip
    guest.agent.kill(signal.SIGHUP)
    wait_for(lambda: "10-gate" in d.ctl("states", dom.name).out, 5, "the callback")
    open(paths["shut"], "w", encoding="ascii").close()
    asking = d.begin("setvcpus", dom.name, count)
    wait_for(lambda: os.path.exists(paths["held"]), 5, "a CPU in the callback")
    return asking


@case()
def a_reset_and_a_reboot_change_nothing_but_the_kernel():
    with Scene(2) as (dom, guest, d):
        done(d.setvcpus(2, "--standby", 1), present=3, online=2, standby=1)
        number, log = dom.id(), d.text()
        for again in (lambda: dom.lv.virsh("reset", dom.name), lambda: press(dom, guest, "reboot")):
            again()
            wait_for(lambda: d.info()["online"] is None, 5, lambda: "what the last kernel had is not known: " + d.brief())
            equal((d.info()["agent"]["connected"], d.counts()), (False, (3, None, None)))
            boots(guest, d)
            settles(d, 3, 2, 1)
            equal([v["owned"] for v in d.info()["vcpus"][:4]], [False, True, True, False])
            equal(guest.online(), [0, 1], "the one at standby was parked again")
        equal((dom.id(), d.listed()["kq"]["status"]), (number, "running"))
        assert ": left" not in d.text()[len(log):], d.text()
        done(d.setvcpus(4), present=4, online=4)
        done(d.setvcpus(2), present=2, online=2)
        all_agree(dom, d, [0, 1])


def reset(dom, guest):
    dom.lv.virsh("reset", dom.name)


def reboot(dom, guest):
    press(dom, guest, "reboot")


@case()
def a_reset_or_a_reboot_in_an_operation_fails_it_by_name_and_undoes_it():
    for again in (reset, reboot):
        with Scene(2) as (dom, guest, d):
            asking = begin_and_hold(dom, guest, d, 4)
            again(dom, guest)
            boots(guest, d)
            a = result(asking.wait(20), 1, "failed")
            matches("the guest was reset", a.vcpu(2)["error"])
            equal([(v["rc"], v["name"]) for v in a.result["vcpus"]], [(-errno.ECONNRESET, "offline")] * 2, "%s" % a)
            equal([a.result[k] for k in ("present", "online", "standby")], [2, 2, 0], "%s" % a)
            # The new kernel had brought them online; it has given them back.
            all_agree(dom, d, [0, 1])
            done(d.setvcpus(4), present=4, online=4)
            print("# it ended after %.0f ms" % a.ms, flush=True)


@case()
def a_removal_that_a_reset_guest_had_not_answered_ends_as_the_slot_is():
    with Scene(3) as (dom, guest, d):
        guest.mode = "ignore"
        asking = d.begin("setvcpus", dom.name, 2)
        wait_for(lambda: guest.registers.flags(2) & REMOVING, 5, "the request at the guest")
        reset(dom, guest)
        boots(guest, d)
        guest.mode = "accept"
        a = asking.wait(20)
        assert (a.exit, a.result["result"]) in ((0, "done"), (5, "pending")), "%s" % a
        settles(d, 2, 2)
        all_agree(dom, d, [0, 1])
        print("# %s after %.0f ms" % (a.result["result"], a.ms), flush=True)


def shutdown(dom, guest):
    press(dom, guest, "shutdown")


def destroy(dom, guest):
    dom.lv.virsh("destroy", dom.name)


@case()
def an_operation_whose_domain_ends_is_vm_gone_and_the_next_run_starts_clean():
    # QEMU says that it shuts down when it is destroyed, too.
    off, destroyed = "the VM has shut down", "the VM was destroyed"
    for end, why in ((shutdown, [off]), (destroy, [off, destroyed])):
        with Scene(2) as (dom, guest, d):
            asking = begin_and_hold(dom, guest, d, 4)
            guest.ended.set()
            end(dom, guest)
            a = result(asking.wait(10), 11, "vm-gone")
            assert a.result["error"] in why, "%s" % a
            equal([(v["result"], a.result["present"]) for v in a.result["vcpus"]], [("gone", None)] * 2, "%s" % a)
            d.wait_listed(there=False)
            equal((d.setvcpus(2).exit, dom.state()), (10, "shut off"))
            guest.close()
            dom.start(holds=[d])
            d.wait_listed()
            settles(d, 1, 1)
            done(d.setvcpus(3), present=3, online=3)
            all_agree(dom, d, [0, 1, 2])


@case()
def a_guest_that_loads_its_crash_kernel_goes_on():
    with Scene() as (dom, guest, d):
        done(d.setvcpus(2), present=2, online=2)
        events = d.begin("events", dom.name)
        with guest.registers.lock:
            guest.registers.command("outb %#x 2" % PVPANIC)
        # libvirt tells of it as of a crash, before it tells of this.
        done(d.setvcpus(3), present=3, online=3)
        dom.lv.virsh("suspend", dom.name)
        events.until('"paused"')
        dom.lv.virsh("resume", dom.name)
        events.interrupt()
        assert "left" not in d.text(), d.text()[-2000:]
        events.wait()
        done(d.setvcpus(1), present=1, online=1)
        all_agree(dom, d, [0])


@case()
def what_the_guest_cannot_online_after_a_restore_is_named():
    with Scene(2) as (dom, guest, d):
        done(d.setvcpus(2, "--standby", 1), present=3, online=2, standby=1)
        dom.save_and_restore(lambda: d.wait_listed(there=False), holds=[d])
        d.wait_listed()
        settles(d, 3, 2, 1)
        cannot_online(dom, guest, d, 2, 3)
        equal([o["asked"] for o in d.ctl("ops", dom.name).lines], [3], "nothing was moved of the daemon's own accord")
        done(d.setvcpus(4), present=4, online=4)
        all_agree(dom, d, [0, 1, 2, 3])


def cannot_online(dom, guest, d, vcpu, count):
    """@vcpu rests at standby, and the kernel does not bring it up when @count are asked for."""
    before = d.counts()
    guest.root.hold_online(vcpu)
    asking = d.begin("setvcpus", dom.name, count)
    guest.root.let_online(vcpu, False, comes=True)
    a = result(asking.wait(10), 1, "failed")
    v = a.vcpu(vcpu)
    equal((v["result"], v["failed_at"], v["rc"], v["name"]), ("failed", "ap:online", -errno.EIO, "standby"), "%s" % a)
    matches("vcpu %d: ap:online startup failed with EIO .*online of cpu %d succeeded, but it is offline" % (vcpu, vcpu),
            v["error"])  # fmt: skip
    equal(tuple(a.result[k] for k in ("present", "online", "standby")), before)


class Migration:
    """@dom and its guest on their way from @d's libvirtd to another one, with a daemon of its own."""

    def __init__(self, dom, guest, d):
        self.dom, self.guest, self.d = dom, guest, d
        self.lv = own()
        self.there = Domain(self.lv, defined=False)
        self.d2 = LibvirtDaemon(self.there, self.lv)

    def begin(self):
        """It lasts until finish() or virsh domjobabort."""
        # At 1 MiB/s 32 MiB take long enough.
        self.guest.registers.command("memset 0x200000 0x2000000 0xa5")
        self.d2.process.kill(signal.SIGSTOP)
        self.virsh = self.dom.begin_migration(self.there, "--bandwidth", 1)
        wait_for(lambda: os.path.exists(self.there.agent_path), 10, "the channel of the QEMU there")
        os.unlink(self.there.agent_path)
        self.listener = listen(self.there.agent_path)
        self.d2.process.kill(signal.SIGCONT)
        wait_for(lambda: self.d.info()["status"] == "migrating", 5, self.d.brief)

    def abort(self):
        self.dom.lv.virsh("domjobabort", self.dom.name)
        equal(self.dom.lv.end(self.virsh).exit, 1, "virsh migrate")
        self.listener.close()
        wait_for(lambda: self.d.info()["status"] == "running", 5, self.d.brief)

    def finish(self):
        self.guest.leave()
        self.dom.lv.virsh("migrate-setspeed", self.dom.name, 1000)
        v = self.dom.lv.end(self.virsh)
        equal(v.exit, 0, "%r" % v)
        self.dom.guest, self.there.guest = None, self.guest
        self.guest.arrive(self.there, self.listener)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.d2.close()
        self.there.close()
        self.lv.close()


@case()
def a_domain_that_migrates_is_not_changed_and_is_found_where_it_arrives():
    with Scene(2) as (dom, guest, d), Migration(dom, guest, d) as m:
        done(d.setvcpus(2, "--standby", 1), present=3, online=2, standby=1)
        m.begin()
        for asked in ((4,), (1,), (2, "--standby", 2)):
            a = result(d.setvcpus(*asked), 4, "refused")
            equal((a.result["refused_by"], a.result["error"]), ("policy", "the domain is migrating"))
        a = d.setvcpus(4, "--dry-run")
        equal((a.exit, a.result["refusals"]), (4, ["the domain is migrating"]))
        equal(d.counts(), (3, 2, 1))
        m.d2.wait_listed()
        equal([m.d2.info()[k] for k in ("status", "online")], ["migrating", None], "where it is to arrive")
        result(m.d2.setvcpus(4), 4, "refused")
        m.abort()
        m.d2.wait_listed(there=False)
        equal(d.counts(), (3, 2, 1))
        done(d.setvcpus(3, "--standby", 1), present=4, online=3, standby=1)
        done(d.setvcpus(2, "--standby", 1), present=3, online=2, standby=1)

        m.begin()
        m.finish()
        d.wait_listed(there=False)
        equal((d.setvcpus(3).exit, d.ctl("info", dom.name).exit), (10, 10), "where it was")
        m.d2.wait_listed()
        wait_for(lambda: m.d2.counts() == (3, 2, 1), 10, m.d2.brief)
        cannot_online(m.there, guest, m.d2, 2, 3)
        done(m.d2.setvcpus(4), present=4, online=4)
        equal([v["owned"] for v in m.d2.info()["vcpus"][:4]], [False, False, False, True], "plugged by this daemon")
        done(m.d2.setvcpus(1), present=1, online=1)
        all_agree(m.there, m.d2, [0])


@case()
def an_operation_goes_on_while_its_domain_migrates():
    with Scene(2) as (dom, guest, d), Migration(dom, guest, d) as m:
        asking = begin_and_hold(dom, guest, d, 4)
        m.begin()
        os.unlink(dom.path("shut"))
        done(asking.wait(20), present=4, online=4)
        equal((d.info()["status"], m.virsh.poll()), ("migrating", None))
        m.finish()
        wait_for(lambda: m.d2.counts() == (4, 4, 0), 30, m.d2.brief)
        all_agree(m.there, m.d2, [0, 1, 2, 3])


@case()
def an_operation_whose_domain_has_gone_to_another_host_says_so_and_is_finished_there():
    with Scene(2) as (dom, guest, d), Migration(dom, guest, d) as m:
        asking = begin_and_hold(dom, guest, d, 4)
        m.begin()
        m.finish()
        a = result(asking.wait(20), 11, "vm-gone")
        equal(a.result["error"], "the VM has migrated to another host")
        os.unlink(dom.path("shut"))
        wait_for(lambda: m.d2.counts() == (4, 4, 0), 30, m.d2.brief)
        all_agree(m.there, m.d2, [0, 1, 2, 3])


@case()
def what_libvirt_cannot_undo_while_it_migrates_is_pending_until_it_can():
    with Scene(2) as (dom, guest, d), Migration(dom, guest, d) as m:
        asking = begin_and_hold(dom, guest, d, 4)
        m.begin()
        d.ctl("cancel", d.info()["operation"])
        # In the guest all is undone; only libvirt's part waits.
        wait_for(lambda: d.counts() == (4, 2, 2) and d.info()["vcpus"][3]["pending"] == "unplug", 5, d.brief)
        equal((guest.online(), asking.popen.poll(), d.info()["status"]), ([0, 1], None, "migrating"))
        m.abort()
        a = result(asking.wait(20), 1, "cancelled")
        equal([(v["result"], v["name"]) for v in a.result["vcpus"]], [("rolled-back", "offline")] * 2, "%s" % a)
        all_agree(dom, d, [0, 1])


if __name__ == "__main__":
    tap.main(before=prepare)
