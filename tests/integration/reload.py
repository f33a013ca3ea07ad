#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""SIGHUP: the configuration is read again by a daemon that has domains, clients and operations."""

import contextlib
import os
import re
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
import wire
from daemon import Daemon
from qtestvm import QtestVM, why_not
from scene import done
from tap import case, equal, matches
from vm import Machine, wait_for

READ = "the configuration was read again\n"
KEPT = "the configuration was not taken, the one before stays in force"
LEAVING = "it stands no more in the configuration and is let go as soon as nothing is under way"
MOVING = "its sockets are others in the configuration and it is attached anew as soon as nothing is under way"


class Notified:
    """What the daemon tells its service manager."""

    def __init__(self, path):
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)

    def next(self, seconds=10):
        self.sock.settimeout(seconds)
        return self.sock.recv(4096).decode()

    def rest(self):
        """What else has come by now."""
        said = []
        self.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                said.append(self.sock.recv(4096).decode())
        return said

    def quiet(self):
        """Until nothing more comes."""
        with contextlib.suppress(TimeoutError):
            while True:
                self.next(0.2)

    def reloaded(self):
        """Until it has told that it was. Return: when it says that it began, in us."""
        begun = self.next()
        matches(r"^RELOADING=1\nMONOTONIC_USEC=\d+$", begun)
        equal(self.next(), "READY=1")
        return int(begun.rsplit("=", 1)[1])


class Reloading(Daemon):
    """Its drop-ins are changed by name; drop_in("50-x", None) takes one away."""

    def __init__(self, machine, **options):
        self.notified = Notified(machine.path("notify"))
        super().__init__(machine, env={"NOTIFY_SOCKET": self.notified.path}, **options)

    def start(self):
        self.notified.rest()
        super().start()
        equal(self.notified.next(), "READY=1")

    def drop_in(self, name, text):
        os.makedirs(self.config + ".d", exist_ok=True)
        path = "%s.d/%s.conf" % (self.config, name)
        if text is None:
            os.unlink(path)
            return
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def main_file(self, text):
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text)

    def hup(self):
        self.process.kill(signal.SIGHUP)

    def reload(self):
        """What the log says of it."""
        before = len(self.text())
        asked_us = time.monotonic_ns() // 1000
        self.hup()
        # systemd takes only what was begun after it has asked.
        assert self.notified.reloaded() >= asked_us
        return self.text()[before:]

    def domains(self):
        return {i["domain"]: i for i in self.ctl("list").lines}

    def in_force(self):
        return self.ctl("host").result["config"]

    def wait_gone(self, name):
        wait_for(lambda: name not in self.domains(), 10, lambda: "%s to be let go: %s" % (name, self.domains()))


@contextlib.contextmanager
def scene(**options):
    with QtestVM() as vm, Reloading(vm, **options) as d:
        d.wait_idle_online(1)
        yield vm, d


@contextlib.contextmanager
def held(vm, d, count=3, ident="held"):
    """An add to one vCPU that waits for the guest, until the with statement ends; yields its client."""
    vm.guest.insert = "ignore"
    sent = len(vm.sent("device_add"))
    client = d.begin("setvcpus", "web1", count, "--op-id", ident)
    wait_for(lambda: len(vm.sent("device_add")) == sent + count - 1, 5, "each device_add")
    try:
        yield client
    finally:
        vm.guest.insert = "accept"


@case()
def an_operation_under_way_ends_as_it_began():
    """With the deadlines, the ceiling and the way of before; the next one has the new ones."""
    with scene() as (vm, d):
        with held(vm, d) as client:
            d.drop_in("50-tight", "[Daemon]\nGuestPresentSec=0.001\nOperationSec=7\n[Domain web1]\nMaxVcpus=2\n")
            matches(READ, d.reload())
            equal(d.in_force()["deadlines"]["guest_present_ms"], 1)
            equal(d.info()["operation"], "held")
            time.sleep(0.2)  # a deadline of 1 ms would have passed
            equal(client.popen.poll(), None)
        a = done(client.wait(20), online=3)
        equal(a.result["op"], "held")
        equal(d.ctl("wait", "held").result["result"], "done")
        a = d.setvcpus(4)
        equal((a.exit, a.result["refused_by"]), (4, "policy"), "%s" % a)
        done(d.setvcpus(1), online=1)
        vm.guest.insert = "ignore"
        a = d.setvcpus(2)
        equal((a.exit, a.result["result"]), (1, "failed"), "%s" % a)
        assert a.ms < 5000, a


@case()
def what_waits_in_the_queue_has_the_new_settings():
    with scene() as (vm, d):
        with held(vm, d, 2) as client:
            waits = d.begin("setvcpus", "web1", 4)
            wait_for(lambda: len(d.ctl("ops").lines) == 2, 5, "the second operation")
            d.drop_in("50-few", "[Domain web1]\nMaxVcpus=3\n")
            d.reload()
        done(client.wait(20), online=2)
        a = waits.wait(20)
        equal((a.exit, a.result["refused_by"]), (4, "policy"), "%s" % a)


@case()
def operators_are_who_they_are_now():
    with scene() as (_, d):
        def try_it():
            return d.ctl_as_nobody("setvcpus", "web1", "1").exit

        equal(try_it(), 7)
        d.drop_in("50-group", "[Daemon]\nOperators=nogroup\n")
        d.reload()
        equal(try_it(), 0)
        d.drop_in("60-allow", "[Domain web1]\nAllow=root\n")
        d.reload()
        equal(try_it(), 7)
        d.drop_in("60-allow", None)
        d.drop_in("50-group", "[Daemon]\nOperators=nosuchgroup\n")
        matches("Operators=nosuchgroup: no such user or group", d.reload())
        equal(try_it(), 7)


@case()
def a_domain_comes_and_goes_by_its_drop_in():
    with scene() as (vm, d), QtestVM("web2") as other:
        d.drop_in("50-web2", d.domain_sections([other], None))
        matches("web2: is in the configuration now\n", d.reload())
        wait_for(lambda: d.domains()["web2"]["online"] == 1, 10, "web2 to be attached")
        done(d.ctl("setvcpus", "web2", 3), online=3)
        equal(d.ctl("detach", "web2").exit, 4)
        d.drop_in("50-web2", None)
        matches("web2: " + LEAVING, d.reload())
        equal(sorted(d.domains()), ["web1"])
        equal(d.ctl("setvcpus", "web2", 2).exit, 10)
        # QEMU is left as it is, and can be had again.
        equal(other.qemu_present(), [0, 1, 2])
        d.drop_in("50-web2", d.domain_sections([other], None))
        d.reload()
        wait_for(lambda: d.domains()["web2"]["online"] == 3, 10, "web2 to be attached again")
        done(d.ctl("setvcpus", "web2", 1), online=1)
        done(d.setvcpus(2), online=2)


@case()
def a_domain_that_is_to_go_stays_until_its_operations_have_ended():
    with scene() as (vm, d):
        with held(vm, d) as client:
            waits = d.begin("setvcpus", "web1", 2, "--op-id", "waits")
            wait_for(lambda: len(d.ctl("ops").lines) == 2, 5, "the second operation")
            d.main_file("[Daemon]\n")
            matches("web1: " + LEAVING, d.reload())
            equal(d.info()["leaving"], LEAVING)
            matches("Leaving: +%s\n" % LEAVING, d.ctl("info", "web1", json_output=False).out)
            for options in ((), ("--dry-run",)):
                a = d.setvcpus(5, *options)
                equal(a.exit, 4)
                matches(LEAVING, a.out)
            # What exists is answered, also by its id.
            equal(d.ctl("setvcpus", "web1", 3, "--op-id", "held", "--no-wait").exit, 0)
        done(client.wait(20), online=3)
        done(waits.wait(20), online=2)
        d.wait_gone("web1")
        equal(vm.qemu_present(), [0, 1])
        assert not os.listdir(vm.path("run/intent")), os.listdir(vm.path("run/intent"))


@case()
def a_domain_that_is_to_go_may_stay_after_all():
    with scene() as (vm, d):
        with open(d.config, encoding="utf-8") as f:
            config = f.read()
        with held(vm, d) as client:
            d.main_file("[Daemon]\n")
            d.reload()
            d.main_file(config)
            matches("web1: it stays after all\n", d.reload())
            equal(d.info()["leaving"], None)
        done(client.wait(20), online=3)
        done(d.setvcpus(1), online=1)
        equal(d.ctl("wait", "held").result["result"], "done")


@case()
def a_domain_with_an_unplug_that_nobody_confirms_stays_until_it_is_told_to_go():
    with scene(daemon={"EjectSec": 1, "EjectMaxSec": 1}) as (vm, d):
        done(d.setvcpus(2), online=2)
        vm.guest.mode = "ignore"
        a = d.setvcpus(1)
        equal((a.exit, a.result["result"]), (5, "pending"), "%s" % a)
        d.main_file("[Daemon]\n")
        d.reload()
        equal(d.info()["leaving"], LEAVING)
        equal(d.ctl("detach", "web1").exit, 0)
        equal(d.domains(), {})
        equal(vm.qemu_present(), [0, 1])


@case()
def an_unplug_that_is_confirmed_lets_its_domain_go():
    with scene(daemon={"EjectSec": 1, "EjectMaxSec": 1}) as (vm, d):
        done(d.setvcpus(2), online=2)
        vm.guest.mode = "late"
        equal(d.setvcpus(1).exit, 5)
        d.main_file("[Daemon]\n")
        d.reload()
        equal(list(d.domains()), ["web1"])
        vm.guest.eject(1)
        d.wait_gone("web1")
        equal(vm.qemu_present(), [0])


@case()
def other_sockets_are_taken_when_nothing_runs():
    """Here the same sockets by other names; what is known of the domain stays known."""
    with scene() as (vm, d):
        other = {"QMP": vm.path("qmp2"), "Agent": vm.path("agent2")}
        os.symlink(vm.qmp_path, other["QMP"])
        os.symlink(vm.agent_path, other["Agent"])
        with held(vm, d) as client:
            d.drop_in("50-moved", d.domain_sections([vm], other))
            matches("web1: " + MOVING, d.reload())
            equal(d.info()["leaving"], MOVING)
            equal(d.setvcpus(5).exit, 8)
        done(client.wait(20), online=3)
        wait_for(lambda: not d.info()["leaving"] and d.info()["online"] == 3, 10, d.brief)
        equal(d.ctl("wait", "held").result["result"], "done")
        matches("web1: is in the configuration now\n", d.text())
        equal([v["owned"] for v in d.info()["vcpus"][:4]], [False, True, True, False])
        done(d.setvcpus(1), online=1)


@case()
def a_section_waits_for_the_name_and_the_sockets_of_a_clients_domain():
    with scene() as (vm, d), QtestVM("web2") as other:
        equal(d.ctl("attach", "mine", "--qmp", other.qmp_path, "--agent", other.agent_path).exit, 0)
        d.drop_in("50-web2", d.domain_sections([other], None))
        matches("web2: not attached yet: domain mine has its name or one of its sockets\n", d.reload())
        equal(sorted(d.domains()), ["mine", "web1"])
        equal(d.ctl("detach", "mine").exit, 0)
        wait_for(lambda: d.domains().get("web2", {}).get("online") == 1, 10, "web2 to be attached")
        # One that says just what a client said takes the domain over.
        d.drop_in("50-web2", None)
        d.reload()
        equal(d.ctl("attach", "web2", "--qmp", other.qmp_path, "--agent", other.agent_path).exit, 0)
        wait_for(lambda: d.domains()["web2"]["online"] == 1, 10, "web2 to be attached")
        d.drop_in("50-web2", d.domain_sections([other], None))
        d.reload()
        equal(d.ctl("detach", "web2").exit, 4)


BROKEN = [
    ("[Daemon]\nEjectSec=never\n", r"50-x\.conf:2: EjectSec= takes seconds, not \"never\""),
    ("[Daemon]\nColour=red\n", r"50-x\.conf:2: unknown key Colour= in \[Daemon\]"),
    ("[Domain web9]\nQMP=/nowhere\n", r"50-x\.conf:1: domain web9 needs Agent="),
    ("[Domain web1]\nMaxVcpus=0\n", r"50-x\.conf:2: MaxVcpus= takes"),
    ("nonsense\n", r"50-x\.conf:1: "),
]


@case()
def what_is_wrong_changes_nothing_and_says_where():
    with scene() as (_, d):
        before = d.in_force(), d.info()
        # The first of them would be taken, had it been alone.
        d.drop_in("10-good", "[Daemon]\nQmpReplySec=3\nOperators=nogroup\n[Domain web1]\nMaxVcpus=2\n")
        for text, sentence in BROKEN:
            d.drop_in("50-x", text)
            said = d.reload()
            matches(sentence, said)
            matches(KEPT, said)
            equal(said.count("\n"), 1, said)
            after = d.in_force(), d.info()
            for info in (before[1], after[1]):
                for vcpu in info["vcpus"]:
                    vcpu.pop("since_ms", None)
            equal(after, before)
            done(d.setvcpus(3), online=3)
            done(d.setvcpus(1), online=1)
        d.drop_in("50-x", None)
        os.rename(d.config, d.config + ".away")
        matches(r"vcpuhpd\.conf: cannot be read: No such file or directory; ", d.reload())
        os.rename(d.config + ".away", d.config)
        equal(d.in_force(), before[0])
        matches(READ, d.reload())
        equal(d.in_force()["deadlines"]["qmp_reply_ms"], 3000)
        equal(d.setvcpus(3).exit, 4)


@case()
def what_only_a_start_takes_is_named_and_stays():
    with scene() as (_, d):
        d.drop_in("50-lv", "[Libvirt]\nURI=test:///default\n")
        matches(r"\[Libvirt\] is another now: only a new start of vcpuhpd takes that; until then libvirt is not used\n",
                d.reload())  # fmt: skip
        done(d.setvcpus(2), online=2)
        d.drop_in("50-lv", None)
        assert "[Libvirt]" not in d.reload()


@case()
def a_storm_is_one_reload_or_few():
    with scene() as (vm, d):
        with held(vm, d) as client:
            d.drop_in("50-last", "[Daemon]\nOperationSec=77\n")
            before = d.text().count(READ)
            for _ in range(1000):
                d.hup()
            wait_for(lambda: d.in_force()["deadlines"]["operation_ms"] == 77000, 5, "the last word")
            d.notified.reloaded()
            others = d.notified.rest()
            n = d.text().count(READ) - before
            print("# 1000 signals: %d reloads" % n)
            assert 1 <= n <= 20, n
            assert len(others) <= 2 * (n - 1), others
        done(client.wait(20), online=3)


@case(deadline=120)
def a_thousand_reloads_leave_nothing_behind():
    """Each with another configuration, a domain that comes or goes, and every tenth a broken one."""
    with scene() as (_, d), Machine("web2") as other:
        def reload(n):
            text = d.domain_sections([other], None) if n % 2 else ""
            d.drop_in("50-x", text + "[Domain web1]\nMaxVcpus=%d\n" % (3 + n % 3) + "junk\n" * (n % 10 == 9))
            d.hup()
            d.notified.reloaded()

        def weigh(wanted=None):
            """Without the clients that have just gone."""
            seen = [0]

            def steady():
                seen.append(d.descriptors())
                return seen[-1] == (seen[-2] if wanted is None else wanted)

            wait_for(steady, 5, lambda: "descriptors: %s, wanted %s" % (seen, wanted), pause=0.1)
            return seen[-1], d.status_field("VmRSS")

        for n in range(50):
            reload(n)
        before = weigh()
        start = time.monotonic()
        for n in range(1000):
            reload(n)
        took = time.monotonic() - start
        equal(list(d.domains()), ["web1"])
        after = weigh(before[0])
        print("# %.1f ms each; descriptors %d -> %d, VmRSS %d -> %d KiB" % (took, *sum(zip(before, after), ())))
        # AddressSanitizer keeps what was freed for a while.
        assert after[1] - before[1] < 512 or "ASAN_OPTIONS" in os.environ, (before, after)
        done(d.setvcpus(3), online=3)


def hangup_is_held(d):
    with open("/proc/%d/status" % d.process.pid, encoding="ascii") as f:
        return int(re.search(r"^SigBlk:\s*(\w+)", f.read(), re.M).group(1), 16) & 1


@case()
def a_signal_at_the_start_ends_nothing_and_is_not_lost():
    """Also one that comes before the configuration has been read the first time, or while what an
    earlier daemon has left is taken up."""
    with scene() as (vm, d):
        with held(vm, d, ident="kept") as client:
            d.stop(signal.SIGKILL)
            client.wait(10)
            d.drop_in("50-first", "[Daemon]\nOperationSec=70\n")
            d.launch()
            # From the first moment that is the program's own.
            wait_for(lambda: hangup_is_held(d), 5, "SIGHUP to be held", pause=0)
            for _ in range(200):
                d.hup()
                assert d.process.alive(), d.text()
                time.sleep(0.001)
            equal(d.notified.next(), "READY=1")
            d.notified.reloaded()
            wait_for(d.listens, 5, "the socket")
            d.notified.quiet()
            wait_for(lambda: d.info()["operation"] == "kept", 5, d.brief)
            d.drop_in("50-first", "[Daemon]\nOperationSec=71\n")
            d.reload()
        done(d.ctl("wait", "kept", "--timeout", 20), online=3)
        equal(d.in_force()["deadlines"]["operation_ms"], 71000)


def rewrite(path, version):
    """The record of what is to be done, as if that version had written it."""
    with open(path, "rb") as f:
        data = f.read()
    half, written = len(data) // 2, b""
    for slot in (data[:half], data[half:]):
        length = struct.unpack_from("<I", slot, 12)[0]
        head = struct.pack("<4sIII16s", slot[:4], version, 0, length, slot[16:32])
        whole = head + slot[32 : 32 + length]
        if slot[:4] != b"\0\0\0\0":
            slot = whole[:8] + struct.pack("<I", wire.crc32c(whole)) + whole[12:] + slot[32 + length :]
        written += slot
    with open(path, "r+b") as f:
        f.write(written)
    return written


@case()
def what_a_newer_daemon_has_begun_is_left_for_it():
    """A daemon of another version comes between: it touches nothing, refuses, and the first one goes on."""
    with scene() as (vm, d):
        record = vm.path("run/intent/qmp-web1")
        with held(vm, d, ident="kept") as client:
            d.stop(signal.SIGKILL)
            client.wait(10)
            with open(record, "rb") as f:
                original = f.read()
            # Its own version makes the same of it again.
            version = struct.unpack_from("<I", original, 4)[0] or struct.unpack_from("<I", original, len(original) // 2 + 4)[0]
            equal(rewrite(record, version), original)
            newer = rewrite(record, version + 1)
            sent = len(vm.sent("device_add")) + len(vm.sent("device_del"))
            d.start()
            wait_for(lambda: d.info()["present"] == 3, 10, d.brief)
            sentence = "qmp-web1 is of another version of vcpuhpd and kept for that one; start it, or remove the file"
            matches("web1: .*%s.*; until then new operations are refused\n" % sentence, d.text())
            for count in (2, 5):
                a = d.setvcpus(count)
                equal((a.exit, a.result["error"]["code"]), (4, "Refused"), "%s" % a)
                matches(sentence, a.result["error"]["text"])
            equal(d.ctl("wait", "kept").exit, 10)
            time.sleep(5)  # a tick, which writes what could not be written
            d.reload()
            equal(len(vm.sent("device_add")) + len(vm.sent("device_del")), sent)
            with open(record, "rb") as f:
                equal(f.read(), newer)
            d.stop()
            rewrite(record, version)
            d.start()
        done(d.ctl("wait", "kept", "--timeout", 20), online=3)
        # Where nothing was under way nothing is lost with it.
        d.stop()
        rewrite(record, version + 1)
        d.start()
        done(d.setvcpus(1), online=1)
        matches("qmp-web1: another version has written it, and nothing was under way", d.text())


@case()
def a_signal_at_the_stop_does_not_hold_it_up():
    with scene() as (_, d):
        for _ in range(5):
            d.hup()
            d.process.kill(signal.SIGTERM)
            d.hup()
            equal(d.stop(), 0)
            d.start()
            d.wait_idle_online(1)


if __name__ == "__main__":
    tap.main(before=why_not)
