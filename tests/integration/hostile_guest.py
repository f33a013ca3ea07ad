#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that mean harm: agents that flood and lie, kernels that write the hotplug registers as fast
as they can. The daemon stays within its budgets, other domains do not notice, nothing false is said."""

import json
import os
import re
import sys
import tempfile
import threading
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import badinputs as table
import bench_hostile
import tap
import wire
from daemon import Daemon
from fakeguest import DATA, OST_EJECT, OST_REFUSED
from hostile import Flooder, HostileAgent, HostileQemu, SoundQemu
from qtestvm import QtestVM, why_not
from scene import done
from tap import case, equal, matches
from vm import wait_for
from witness import LINES, RSS_KIB, SANITIZED, SECONDS, SHARE, Control, Meter, Scene, Witness

# What of each flood is shown somewhere.
SHOWN = {"logs": ("events",), "cpus": ("info", "list"), "steps": ("events", "trace"), "names": ("states", "metrics")}


def is_clean(text):
    return not re.search(r"[^\n -~]", text)


def look(d, name, command):
    """What people and programs are shown of a domain: printable, and JSON where it is to be."""
    args = {"events": ["events", name, "--count", "3", "--timeout", "1"], "list": ["list"], "metrics": ["metrics"],
            "trace": ["trace", name, "-O", "-"]}.get(command, [command, name])  # fmt: skip
    for form in (False, True):
        out = d.ctl(*args, json_output=form and command not in ("metrics", "trace")).out
        assert is_clean(out), "%s shows %r" % (command, out[:2000])
        if command == "trace":
            json.loads(out)


@case(deadline=180)
def every_flood_of_an_agent_stays_within_the_budgets():
    with Scene(agent=False, smp=2) as (vm, d), tempfile.TemporaryDirectory() as folder:
        witness = Witness(vm, d)
        for mode in bench_hostile.MODES:
            qemu = os.path.join(folder, "q" + mode)
            SoundQemu(qemu)
            with Flooder(mode, folder) as flooder:
                witness.control.ask("Attach", name=mode, qmp=qemu, agent=flooder.path)
                time.sleep(0.3)  # the burst that is anybody's
                meter = Meter(d)
                while time.monotonic() - meter.start < 0.8:
                    witness.answers_at_once()
                    time.sleep(0.02)
                equal(meter.breach(), "", mode)
                for command in SHOWN.get(mode, ()):
                    look(d, mode, command)
                told = flooder.told()
                assert told["sessions"] and (told["written"] > 1000 or mode == "storm"), "%s never came: %s" % (mode, told)
                witness.control.ask("Detach", name=mode)
            witness.nothing_changed()
        witness.did_not_grow(2 * RSS_KIB)  # what was shown included
        assert is_clean(d.text()), "the log has bytes of the guest's"


@case()
def a_flood_about_a_machine_of_thousands_of_slots_is_no_dearer():
    slots = [{"type": "qemu64-x86_64-cpu", "vcpus-count": 1, "props": {"core-id": i}} for i in range(2500)]
    with Scene(agent=False, smp=2) as (vm, d), tempfile.TemporaryDirectory() as folder:
        witness = Witness(vm, d)
        qemu = os.path.join(folder, "q")
        HostileQemu(qemu, **{"query-hotpluggable-cpus": slots})
        with Flooder("cpus", folder) as flooder:
            witness.control.ask("Attach", name="large", qmp=qemu, agent=flooder.path)
            time.sleep(1)
            meter = Meter(d)
            time.sleep(1.5)
            equal(meter.breach(), "")
            info = witness.control.ask("GetDomain", domain="large")["info"]
            equal((info["maximum"], info["agent"]["connected"]), (2500, True))


class Liar(HostileAgent):
    """Says of CPUs what the case wants it to. .rows: its table; .on_kick: its answers, (type, payload) each."""

    def __init__(self, path, rows):
        self.rows = rows
        self.kicks, self.asked = [], 0
        self.on_kick = lambda kick: []
        super().__init__(path)

    def _answer(self, kind, values):
        if kind == wire.QUERY:
            self.asked += 1
            return self.say(wire.REPORT, table.report(*[(wire.CPU, r) for r in self.rows], (wire.END, {})))
        if kind == wire.KICK:
            self.kicks.append(values)
            return b"".join(self.say(k, payload) for k, payload in self.on_kick(values))
        return super()._answer(kind, values)

    def say(self, kind, payload):
        return self.peer.bytes_for(kind, payload)

    def greet(self, boot=1):
        """Another session, of this boot; returns once the daemon has its table."""
        peer = self.new_peer(boot)
        peer.decoder, before = self.peer.decoder, self.asked
        with self.lock:
            self.peer = peer
            self.sock.sendall(peer.greeting())
        wait_for(lambda: self.asked > before, SECONDS, "the daemon's question")


def row(cpu, **more):
    return {**table.ROW, "cpu": cpu, "slot": cpu, "ran_on": cpu, **more}


def kicked(kick, rc=0):
    return wire.KICKED, wire.encode(wire.KICKED, kick=kick["kick"], slot=kick["slot"], rc=rc)


def ended(of, **more):
    said = {"kick": of["kick"], "slot": of["slot"], "cpu": of["cpu"], "state": 44, "failed_at": 255,
            "rollback_failed_at": 255, "ran_on": of["cpu"], **more}  # fmt: skip
    return wire.REPORT, table.report((wire.DONE, said))


class LyingScene:
    """web1 on real QEMU with KVM, one vCPU, and a Liar for its agent."""

    def __init__(self, *resting):
        self.vm = QtestVM(agent=False)
        for slot in resting:
            self.vm.plug(slot)
        made, rows = [], [row(0)] + [row(n, flags=wire.PRESENT | wire.PARKED, state=6) for n in resting]
        path = self.vm.path("liar")
        starter = threading.Thread(target=lambda: made.append(Liar(path, rows)), daemon=True)
        starter.start()
        # Short, for what an agent does not give back is waited for as long as its steps may take.
        self.d = Daemon(self.vm, domain={"Agent": path}, daemon={"GuestPresentSec": 1})
        starter.join(SECONDS)
        self.agent = made[0]
        self.agent.greet()
        self.d.wait_agent()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.d.close()
        self.vm.close()

    def tell_present(self, slots):
        """Of each of them, once QEMU has it."""
        for slot in slots:
            wait_for(lambda slot=slot: slot in self.vm.qemu_present(), SECONDS, "the vCPU in QEMU")
            self.agent.rows.append(row(slot, flags=wire.PRESENT, state=6, ran_on=wire.NO_CPU))
            self.agent.send(self.agent.say(wire.REPORT, table.report((wire.CPU, self.agent.rows[-1]))))


# By slot: what the agent says to its kick, and what is right to say of it then: word, exit status, why.
# A result that is none leaves the kick out, and a walk that is out cannot be recalled.
LIES = {
    1: (lambda k: [kicked(k), ended(k, ran_on=0)], "failed", 1, "proof ran on CPU 0, not on CPU 1"),
    2: (lambda k: [kicked(k), ended(k, ran_on=wire.NO_CPU)], "failed", 1, "proof ran on CPU -1, not on CPU 2"),
    3: (lambda k: [kicked(k), ended(k, slot=0, cpu=0, ran_on=0)], "pending", 5, "deadline passed"),
    4: (lambda k: [kicked(k), ended(k, kick=1 << 30)], "pending", 5, "deadline passed"),
    5: (lambda k: [kicked(k), ended(k, kick=0)], "pending", 5, "deadline passed"),
    6: (lambda k: [kicked(k), ended(k, state=6)], "failed", 1, "the agent says done at standby"),
    7: (lambda k: [kicked(k), ended(k, kick=k["kick"] - 1)], "pending", 5, "deadline passed"),
}


@case()
def no_lie_about_a_kick_is_a_success():
    with LyingScene() as scene:
        agent = scene.agent
        agent.on_kick = lambda k: LIES[k["slot"]][0](k) if k["target"] == 44 else [kicked(k), ended(k, state=6)]
        for slot, (_, word, status, why) in LIES.items():
            asking = scene.d.begin("setvcpu", "web1", slot, "--enable", "--timeout", "2")
            scene.tell_present([slot])
            a = asking.wait(40)
            equal((slot, a.result["result"], a.vcpu(slot)["result"], a.exit), (slot, word, word, status), "%s" % a)
            matches(why, a.vcpu(slot)["error"])
        equal(sorted(k["slot"] for k in agent.kicks if k["target"] == 44), sorted(LIES))
        equal(scene.d.counts()[1], 1, "online")


@case()
def success_claimed_for_a_vcpu_that_is_not_there_is_none():
    """The guest ejects the CPU in the middle of its walk, and says that it went well."""
    with LyingScene() as scene:
        vm, d = scene.vm, scene.d

        def eject_and_claim(kick):
            vm.guest.eject(kick["slot"])
            wait_for(lambda: vm.qemu_present() == [0], SECONDS, "the empty slot")
            return [kicked(kick), ended(kick)]

        scene.agent.on_kick = eject_and_claim
        asking = d.begin("setvcpus", "web1", "2", "--timeout", "8")
        scene.tell_present([1])
        a = asking.wait(40)
        assert a.exit != 0 and a.vcpu(1)["result"] != "ok", "%s" % a
        wait_for(lambda: d.counts()[0] == 1, 5, d.brief)


@case()
def cpus_that_qemu_does_not_have_are_not_counted():
    with LyingScene() as scene:
        d, agent = scene.d, scene.agent
        agent.rows += [row(n) for n in range(1, 8)] + [row(0, text="twice"), row(3, slot=2)]
        agent.greet()
        wait_for(lambda: d.counts() == (1, 1, 0), SECONDS, d.brief)
        equal(scene.vm.qemu_present(), [0])


@case()
def a_guest_that_claims_reboots_does_not_keep_the_daemon_at_work():
    """Each one makes a vCPU that is to rest be parked again, and the agent lets that fail."""
    with LyingScene(1) as scene:
        d, agent = scene.d, scene.agent
        wait_for(lambda: d.states().get(1) == "standby", SECONDS, d.brief)
        agent.on_kick = lambda kick: [kicked(kick), ended(kick, rc=-5, failed_at=8, text="no")]
        agent.rows[1] = row(1)
        meter = Meter(d)
        for boot in range(2, 20):
            agent.greet(boot)
            wait_for(lambda: not any(o["result"] == "accepted" for o in d.ctl("ops", "web1").lines), SECONDS, d.brief)
        seconds = time.monotonic() - meter.start
        assert 1 <= len(agent.kicks) <= 11 + seconds / 10, "%d kicks in %.1f s" % (len(agent.kicks), seconds)
        assert meter.logged() <= LINES, "%d lines:\n%s" % (meter.logged(), d.text()[-2000:])


# A kernel that writes the registers itself


def storm(registers, seconds, lines):
    """Write @lines (qtest) again and again for @seconds; how many were written."""
    blob = ("\n".join(lines) + "\n").encode()
    written, end = 0, time.monotonic() + seconds
    with registers.lock:
        while time.monotonic() < end:
            registers.sock.sendall(blob)
            left = len(lines)
            while left:
                left -= not registers.file.readline().startswith("IRQ")
            written += len(lines)
    return written


class Two:
    """web1 and web2 at two vCPUs each; web1 is the hostile one."""

    def __init__(self):
        self.bad, self.good = QtestVM("web1"), QtestVM("web2")
        self.d = Daemon(self.bad, others=(self.good,))
        for name in ("web1", "web2"):
            wait_for(lambda name=name: self.d.ctl("info", name).result["online"] == 1, 20, self.d.brief)
            done(self.d.ctl("setvcpus", name, 2), online=2)

    def __enter__(self):
        return self.bad, self.good, self.d

    def __exit__(self, *exc):
        self.d.close()
        self.bad.close()
        self.good.close()


@case(deadline=90)
def a_storm_of_osts_costs_the_daemon_next_to_nothing():
    """Each is an event of QEMU's, and no rate of QEMU's holds them back."""
    with Two() as (bad, good, d):
        bad.guest.storm(1, 1, OST_EJECT, OST_REFUSED)  # leaves slot and command selected
        control = Control(d.socket)
        meter, asked, failed = Meter(d), [], []

        def others():
            try:
                while time.monotonic() - meter.start < 3:
                    done(d.ctl("setvcpus", "web2", 3), online=3)
                    done(d.ctl("setvcpus", "web2", 2), online=2)
                    asked.append(control.ask("GetDomain", domain="web1"))
            except Exception as e:
                failed.append(e)

        thread = threading.Thread(target=others)
        thread.start()
        written = storm(bad.guest.registers, 3, ["outl %#x 1" % DATA] * 1000)
        share = meter.share()
        thread.join(SECONDS)
        assert written > 3000, "only %d were written" % written
        print("# %d a second, %.1f %% of a core, %d pairs of web2's" % (written / 3, 100 * share, len(asked)))
        assert share < 2 * SHARE, "%.1f %% of a core" % (100 * share)
        assert asked and not failed, "web2 was not served: %s" % failed
        assert meter.grown_kib() < RSS_KIB, "%d KiB" % meter.grown_kib()
        # The storm over, web1 is as good as any.
        done(d.setvcpus(3), present=3, online=3)
        done(d.setvcpus(1), present=1, online=1)


@case(deadline=90)
def a_storm_of_ejects_leaves_the_truth():
    with Two() as (bad, good, d):
        meter = Meter(d)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for slot in range(1, 8):
                bad.guest.registers.set(slot, 8)
        assert meter.share() < 2 * SHARE, "%.1f %% of a core" % (100 * meter.share())
        wait_for(lambda: d.counts()[0] == 1, 6, d.brief, pause=0.05)
        equal(bad.qemu_present(), [0])
        done(d.ctl("setvcpus", "web2", 3), online=3)


@case(deadline=120)
def one_flood_after_the_other_beside_a_domain_at_work():
    """A slice of tests/bench --hostile: how long the operations take is judged there alone."""
    if SANITIZED:
        raise tap.Skip("a sanitizer's daemon is no measure")
    found = bench_hostile.run(6, lambda text: None, ("logs",), 1.5, more=0)
    for row in bench_hostile.rows(found, 6):
        print("# " + " | ".join(row.cells()))
    assert max(found.shares.values()) < SHARE, found.shares
    assert found.grown_kib < RSS_KIB, "%d KiB" % found.grown_kib
    assert found.lines * found.minutes <= LINES + LINES * found.minutes, "%.1f lines a minute" % found.lines
    assert len(found.flood["add"]) >= 30 <= len(found.spin["removal"]), found.flood


if __name__ == "__main__":
    tap.main(before=why_not)
