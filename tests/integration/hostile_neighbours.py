#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Users of the same host who may open the control socket and mean harm: they get what is theirs, and
everybody else is answered as before."""

import array
import contextlib
import json
import os
import re
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import badinputs as table
import tap
from daemon import NOBODY
from hostile import Flooder, SoundQemu
from qtestvm import why_not
from scene import done
from tap import case, equal
from vm import wait_for
from witness import SANITIZED, SHARE, SECONDS, Control, Meter, Scene, Witness

PER_UID, ALL, RESERVE = 8, 64, 8
READING = {"GetHost", "ListDomains", "GetDomain", "ListStates", "ListOperations", "GetOperation", "GetTrace",
           "Events", "GetDomainXml", "Diagnose", "Metrics"}  # fmt: skip


@contextlib.contextmanager
def user(uid):
    """What connects in here is of that user."""
    if os.geteuid() != 0:
        raise tap.Skip("other users can only be played by root")
    os.setegid(NOBODY)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def open_to_all(d):
    for path in (os.path.dirname(d.socket), d.socket):
        os.chmod(path, 0o777)


def connect_as(d, uid, n=1):
    with user(uid):
        return [Control(d.socket) for _ in range(n)]


def is_served(control):
    control.send(table.INFO + b"\0")
    reply = control.read()
    return bool(reply) and "error" not in reply


@case()
def connections_have_a_limit_for_each_user_and_root_a_reserve():
    with Scene(smp=1) as (vm, d):
        open_to_all(d)
        witness = Witness(vm, d)
        taken = []
        for uid in range(70001, 70001 + (ALL - RESERVE) // PER_UID):
            mine = connect_as(d, uid, PER_UID)
            taken += mine
            room = len(taken) < ALL - RESERVE
            assert all(is_served(c) for c in mine if room or c is not mine[-1]), uid
            (more,) = connect_as(d, uid)
            equal(more.read()["error"], "io.vcpuhp.Manager.Busy", "one too many")
            equal(more.read(), None, "and then")
        # The witness is root's and counts too: one of the last user's had no place.
        (stranger,) = connect_as(d, 70900)
        equal(stranger.read()["error"], "io.vcpuhp.Manager.Busy", "a user with none, where all are taken")
        roots = [Control(d.socket) for _ in range(RESERVE)]
        assert all(is_served(c) for c in roots), "root's reserve"
        witness.answers_at_once()
        equal(Control(d.socket).read()["error"], "io.vcpuhp.Manager.Busy", "the 65th")
        for c in taken + roots:
            c.close()
        wait_for(lambda: is_served(connect_as(d, 70900)[0]), SECONDS, "a place")
        witness.nothing_changed()


@case()
def half_requests_cost_what_their_bytes_do_and_hold_nobody_up():
    with Scene(smp=1) as (vm, d):
        open_to_all(d)
        witness = Witness(vm, d)
        half = b'{"method":"' + b"x" * 65000
        taken = [c for uid in range(70001, 70007) for c in connect_as(d, uid, PER_UID)]
        for c in taken:
            c.send(half)
        time.sleep(0.2)
        witness.answers_at_once()
        done(d.setvcpus(3), online=3)
        done(d.setvcpus(2), online=2)
        grown = d.status_field("VmRSS") - witness.rss
        assert SANITIZED or grown < len(taken) * 66 + 1024, "%d KiB for %d halves" % (grown, len(taken))
        for c in taken:
            c.close()
        wait_for(lambda: d.descriptors() == witness.first["descriptors"], 5, "their ends")


def keep_sending(control, data, stop):
    control.sock.settimeout(0.5)
    while not stop.is_set():
        try:
            control.sock.sendall(data)
        except OSError:
            if control.sock.fileno() < 0:
                return


@case()
def floods_of_requests_leave_everybody_an_answer():
    """Eight connections of one user, thousands of requests in each, none of the answers read."""
    with Scene(smp=1) as (vm, d):
        open_to_all(d)
        witness = Witness(vm, d)
        stop = threading.Event()
        for request in (table.call("Metrics"), table.call("GetDomain", domain="web1"), table.call("Frobnicate"), b"\0" * 100):
            flooders = connect_as(d, 70001, PER_UID)
            threads = [threading.Thread(target=keep_sending, args=(c, request * 500, stop), daemon=True) for c in flooders]
            for t in threads:
                t.start()
            end = time.monotonic() + 0.7
            while time.monotonic() < end:
                witness.answers_at_once()
            done(d.setvcpus(3), online=3)
            done(d.setvcpus(2), online=2)
            stop.set()
            for c, t in zip(flooders, threads):
                t.join(2)
                c.close()
            stop.clear()
        wait_for(lambda: d.descriptors() == witness.first["descriptors"], 5, "their ends")
        witness.did_not_grow(8192)  # what was queued for them: 8 of 256 KiB, and the allocator's


@case()
def streams_that_nobody_reads_are_dropped():
    """The events of a guest that floods steps: 256 KiB wait for a reader, then it is dropped."""
    with Scene(smp=1) as (vm, d), tempfile.TemporaryDirectory() as folder:
        open_to_all(d)
        witness = Witness(vm, d)
        SoundQemu(os.path.join(folder, "q"))
        deaf = connect_as(d, 70001, PER_UID)
        for c in deaf:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.send(table.call("Events", {"more": True}))
        with Flooder("steps", folder) as flooder:
            witness.control.ask("Attach", name="steps", qmp=os.path.join(folder, "q"), agent=flooder.path)
            wait_for(lambda: d.descriptors() <= witness.first["descriptors"] + 4, 20, "the end of the streams")
            witness.answers_at_once()
            witness.control.ask("Detach", name="steps")
        grown = d.status_field("VmRSS") - witness.rss
        assert SANITIZED or grown < PER_UID * 300 + 2048, "%d KiB" % grown
        witness.nothing_changed()


@case()
def those_who_watch_a_flood_cost_little():
    with Scene(smp=1) as (vm, d), tempfile.TemporaryDirectory() as folder:
        open_to_all(d)
        witness = Witness(vm, d)
        SoundQemu(os.path.join(folder, "q"))
        watching = connect_as(d, 70001, PER_UID)
        for c in watching:
            c.send(table.call("Events", {"more": True}))
        stop = threading.Event()
        got = [0] * PER_UID

        def drain():
            while not stop.is_set():
                for n, c in enumerate(watching):
                    with contextlib.suppress(OSError):
                        got[n] += len(c.sock.recv(1 << 20, socket.MSG_DONTWAIT))
                time.sleep(0.005)

        reader = threading.Thread(target=drain)
        reader.start()
        with Flooder("steps", folder) as flooder:
            witness.control.ask("Attach", name="steps", qmp=os.path.join(folder, "q"), agent=flooder.path)
            time.sleep(1)
            meter = Meter(d)
            time.sleep(2)
            share = meter.share()
            stop.set()
            reader.join()
        print("# %.1f %% of a core for %d watchers" % (100 * share, PER_UID))
        assert min(got) > 10000, "they got %s bytes" % got
        assert share < 2 * SHARE, "%.1f %% of a core" % (100 * share)


@case()
def descriptors_sent_along_are_closed():
    with Scene(smp=1) as (vm, d):
        witness = Witness(vm, d)
        c = Control(d.socket)
        reading, writing = os.pipe()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writing] * 50))]
        for _ in range(20):
            c.sock.sendmsg([table.INFO + b"\0"], rights)
            assert c.read(), "no answer"
        # In the middle of a request, and in one that is never ended.
        c.sock.sendmsg([table.INFO], rights)
        c.sock.sendmsg([b"\0"], rights)
        assert c.read(), "no answer"
        c.sock.sendmsg([b"{"], rights)
        witness.answers_at_once()
        equal(d.descriptors(), witness.first["descriptors"] + 1)
        os.close(writing)
        os.set_blocking(reading, False)
        wait_for(lambda: os.read(reading, 1) == b"", 2, "the end of the last copy")
        c.close()
        witness.nothing_changed()


def methods_of(control):
    text = control.ask("org.varlink.service.GetInterfaceDescription", interface="io.vcpuhp.Manager")["description"]
    return re.findall(r"^method (\w+)\(", text, re.M)


ARGUMENTS = {
    "SetVcpus": {"domain": "web1", "count": 3},
    "SetTarget": {"domain": "web1", "vcpus": "3", "target": "online"},
    "CancelOperation": {"op": "first"},
    "Attach": {"name": "new", "qmp": "/q", "agent": "/a"},
    "Detach": {"name": "web1"},
    "ArmFailure": {"domain": "web1", "vcpu": 1, "state": "ap:verify"},
    "DefineDomainXml": {"domain": "web1"},
}  # fmt: skip


@case()
def every_method_that_changes_something_is_refused_to_who_may_not():
    with Scene() as (vm, d):
        open_to_all(d)
        witness = Witness(vm, d)
        equal(set(methods_of(witness.control)) - READING, set(ARGUMENTS), "methods that change something")
        (c,) = connect_as(d, 70001)
        meter = Meter(d)
        for _ in range(20):
            for method, arguments in ARGUMENTS.items():
                c.send(table.call(method, **arguments))
                equal(c.read()["error"], "io.vcpuhp.Manager.PermissionDenied", method)
        assert 1 <= meter.logged() <= 10, "%d lines" % meter.logged()
        c.close()
        witness.nothing_changed()


@case()
def operations_of_others_are_neither_ended_nor_answered_for():
    """Of two users in a group of Operators= one may not change web1: its ids are known, and no use."""
    with Scene(operators="nogroup", domain={"Allow": "root"}) as (vm, d):
        open_to_all(d)
        d.ctl("setvcpus", "web1", 3, "--op-id", "roots")
        (c,) = connect_as(d, 70001)
        for method, arguments in (("CancelOperation", {"op": "roots"}), ("SetVcpus", {"domain": "web1", "count": 3, "op": "roots"}),
                                  ("CancelOperation", {"op": "nothing"})):  # fmt: skip
            c.send(table.call(method, **arguments))
            reply = c.read()
            wanted = "NoSuchOperation" if arguments.get("op") == "nothing" else "PermissionDenied"
            equal(reply["error"].rpartition(".")[2], wanted, json.dumps(reply))
        equal(d.ctl("op", "roots").result["result"], "done")
        equal(d.counts(), (3, 3, 0))


if __name__ == "__main__":
    tap.main(before=why_not)
