#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Callback programs that mean harm, or do it by mistake, in the agent's test build.

They run as root in the guest, so nothing of the guest is kept from them. What is promised all the same:
the agent goes on answering, the vCPU's result is true, and what a program started ends with it unless it
made a session of its own (then it keeps nothing of the agent's).
"""

import errno
import os
import signal
import sys
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
import wire
from agentbed import AP_DYN, ONLINE, STANDBY, Bed
from fakeguest import AGENT
from tap import case, equal, matches
from witness import SANITIZED

MARK = "31557"  # a sleep of that many seconds is one that a callback started
FOLDER = "etc/vcpuhp/cpuhp.d"


def bed(startup, name="10-a", **kwargs):
    """CPU 0 is left in peace: the program is also run for what is online at the start."""
    b = Bed(AGENT, **kwargs)
    b.callback(name, startup='test "$2" = 0 && exit 0; ' + startup)
    return b


def started(b):
    """What the callback of this bed has started and is alive: its argument names the bed's folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % pid, "rb") as f:
                mine = ("BED=" + b.folder).encode() in f.read().split(b"\0")
            with open("/proc/%s/stat" % pid, encoding="ascii", errors="replace") as f:
                alive = f.read().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            continue
        if mine and alive:
            found.append(int(pid))
    return found


def answers(b, seconds=0.5):
    number = time.monotonic_ns()
    b.send(wire.PING, host_ns=number)
    b.wait(lambda: b.answers(wire.PONG, host_ns=number), seconds, "PONG")


def answers_until_done(b, kick, seconds=8):
    end = time.monotonic() + seconds
    while not b.of(wire.DONE, kick=kick):
        answers(b)
        assert time.monotonic() < end, "no result"
    return b.of(wire.DONE, kick=kick)[-1]


def stays_well(b):
    """Another CPU goes up and down beside what happened."""
    b.callback("10-a")
    equal(b.kick(2, ONLINE)["rc"], 0)
    equal(b.kick(2, STANDBY)["rc"], 0)


@case()
def a_fork_bomb_ends_at_the_deadline_with_all_it_made():
    b = Bed(AGENT)
    b.callback("10-a", startup='test "$2" = 0 && exit 0; export BED=%s; bomb() { n=0; while [ $n -lt 60 ]; do sleep %s & n=$((n+1));'
               ' done; (bomb2) & (bomb2) & wait; }; bomb2() { while :; do sleep 0.05 & wait; done; }; bomb' % (b.folder, MARK))  # fmt: skip
    with b:
        kick = b.kick(1, ONLINE, wait=False, deadline_ms=700)
        b.wait(lambda: len(started(b)) > 60, what="the bomb")
        done = answers_until_done(b, kick)
        equal((done["rc"], done["failed_at"], done["state"]), (-errno.ETIMEDOUT, AP_DYN, STANDBY))
        b.wait(lambda: not started(b), 3, "its end: %s" % started(b))
        stays_well(b)


@case()
def one_that_ignores_sigterm_is_killed_a_second_later():
    with bed("trap '' TERM INT HUP; echo > deaf; while :; do :; done") as b:
        kick = b.kick(1, ONLINE, wait=False)
        b.wait(lambda: os.path.exists(b.path("deaf")), what="the callback")
        start = time.monotonic()
        b.send(wire.CANCEL, kick=kick)
        done = answers_until_done(b, kick)
        assert 0.8 < time.monotonic() - start < 4, "after %.1f s" % (time.monotonic() - start)
        equal((done["rc"], done["state"]), (-errno.ECANCELED, STANDBY))
        stays_well(b)


@case()
def a_flood_of_output_is_dropped_and_its_last_words_in_time_are_kept():
    with bed("echo first; yes '\033]0;owned\007%n' | head -c 30000000; exit 7") as b:
        before = b.process.pid
        with open("/proc/%d/statm" % before, encoding="ascii") as f:
            pages = int(f.read().split()[1])
        done = answers_until_done(b, b.kick(1, ONLINE, wait=False))
        equal((done["rc"], done["failed_at"]), (7, AP_DYN))
        assert all(32 <= ord(c) < 127 for c in done["text"]), repr(done["text"])
        with open("/proc/%d/statm" % before, encoding="ascii") as f:
            assert SANITIZED or int(f.read().split()[1]) - pages < 64, "the agent grew"
        stays_well(b)


@case()
def one_that_leaves_its_session_keeps_nothing_of_the_agents():
    """It is not found and not killed: that is a limit. It has no port, no pipe and no lock of ours."""
    b = Bed(AGENT)
    b.callback("10-a", startup='test "$2" = 0 && exit 0; BED=%s setsid sh -c "sleep %s & : >%s/away; sleep %s" </dev/null'
               ' >/dev/null 2>&1 & while [ ! -e %s/away ]; do sleep 0.02; done' % (b.folder, MARK, b.folder, MARK, b.folder))  # fmt: skip
    with b:
        equal(b.kick(1, ONLINE)["rc"], 0)
        left = started(b)
        try:
            assert left, "nothing was left behind: is that no limit any more?"
            for pid in left:
                held = {os.readlink("/proc/%d/fd/%s" % (pid, n)) for n in os.listdir("/proc/%d/fd" % pid)}
                # The folder its interpreter found it by, and nothing that could be read or written.
                equal(held - {"/dev/null", b.path(FOLDER)}, set(), "what it holds")
            equal(b.kick(1, STANDBY)["rc"], 0, "the way down")
            b.restart()
            b.settle()
            equal(b.kick(1, ONLINE)["rc"], 0, "with the next agent")
        finally:
            for pid in started(b):
                os.kill(pid, signal.SIGKILL)


@case()
def one_that_closes_its_descriptors_has_only_lost_its_words():
    with bed("exec 0<&- 1>&- 2>&-; exit 5") as b:
        done = b.kick(1, ONLINE)
        equal((done["rc"], done["failed_at"]), (5, AP_DYN))
        stays_well(b)


@case()
def one_that_kills_its_worker_has_failed_its_own_step_alone():
    with bed("kill -9 $PPID; sleep 5") as b:
        done = answers_until_done(b, b.kick(1, ONLINE, wait=False))
        assert done["rc"] != 0 and done["state"] == STANDBY, done
        assert not b.is_online(1)
        stays_well(b)


@case()
def one_that_overwrites_the_agents_record_is_not_believed_by_the_next():
    b = Bed(AGENT)
    b.callback("10-a", startup='test "$2" = 0 && exit 0; for f in %s/run/vcpuhp-agent/*; do head -c 4096 /dev/urandom > $f; done'
               % b.folder)  # fmt: skip
    with b:
        answers_until_done(b, b.kick(1, ONLINE, wait=False))
        b.callback("10-a")
        b.restart()
        b.settle()
        equal(b.rests(1, ONLINE)["ran_on"], 1, "adopted by what is there, not by what was written")
        equal(b.kick(1, STANDBY)["rc"], 0)


@case()
def a_folder_that_others_may_write_is_not_used_from_that_moment():
    """Also where the programs in it were registered before: it is looked at each time."""
    with bed("exit 0") as b:
        equal(b.kick(1, ONLINE)["rc"], 0)
        for folder in (FOLDER, "etc/vcpuhp", "etc"):
            b.kick(1, STANDBY)
            os.chmod(b.path(folder), 0o775)
            done = b.kick(1, ONLINE)
            equal((done["rc"], done["failed_at"]), (-errno.EPERM, AP_DYN), folder)
            os.chmod(b.path(folder), 0o755)
            equal(b.kick(1, ONLINE)["rc"], 0, folder)


@case()
def a_program_exchanged_for_a_link_or_anothers_is_not_run():
    with bed("exit 0") as b:
        equal(b.kick(1, ONLINE)["rc"], 0)
        evil, place = b.path("evil"), b.path(FOLDER, "10-a")
        with open(evil, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\ntouch %s\n" % b.path("run-by-evil"))
        os.chmod(evil, 0o755)

        def link():
            os.symlink(evil, place + ".new")

        def hard_link_of_anothers():
            os.chown(evil, 12345, 12345)
            os.link(evil, place + ".new")

        def fifo():
            os.mkfifo(place + ".new", 0o755)

        for exchange in (link, hard_link_of_anothers, fifo):
            if exchange is hard_link_of_anothers and os.geteuid() != 0:
                continue
            b.callback("10-a")
            equal(b.kick(1, STANDBY)["rc"], 0)
            exchange()
            os.rename(place + ".new", place)
            done = b.kick(1, ONLINE)
            equal((done["rc"], done["failed_at"]), (-errno.EPERM, AP_DYN), exchange.__name__)
            assert not os.path.exists(b.path("run-by-evil")), exchange.__name__
            b.callback("10-a")
            equal(b.kick(1, ONLINE)["rc"], 0)


def why_not():
    return None if os.access(AGENT, os.X_OK) else "%s is not built" % AGENT


if __name__ == "__main__":
    tap.main(before=why_not)
