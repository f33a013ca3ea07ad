#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the daemon keeps what is to be done: a store that fails, is full, is gone, or is not ours."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from daemon import VCPUHPD
from failpoints import FailingDaemon
from qtestvm import QtestVM, why_not
from scene import done, result
from tap import case, equal, matches
from vm import wait_for

SHORT = {"EjectSec": 1, "EjectMaxSec": 3}


class Scene:
    def __init__(self, prepare=None):
        self.vm = QtestVM()
        try:
            if prepare:
                prepare(self.vm)
            self.d = FailingDaemon(self.vm, daemon=SHORT)
            self.d.wait_idle_online(1)
        except BaseException:
            self.vm.close()
            raise

    def __enter__(self):
        return self.vm, self.d

    def __exit__(self, kind, value, trace):
        try:
            self.d.close()
        finally:
            self.vm.close()


def refused_by_store(vm, d, number, count=2):
    """The daemon refuses, says which file and why, and sends nothing."""
    sent = len(vm.sent("device_add")) + len(vm.sent("device_del"))
    a = d.setvcpus(count)
    equal((a.exit, a.result["error"]["code"]), (4, "Refused"), "%s" % a)
    matches("intent/qmp-web1.*%s" % os.strerror(number), a.result["error"]["text"])
    equal(len(vm.sent("device_add")) + len(vm.sent("device_del")), sent)
    return a


@case()
def a_store_that_fails_refuses_new_operations_and_recovers():
    with Scene() as (vm, d):
        for number in (errno.ENOSPC, errno.EROFS, errno.EIO):
            d.arm("intent.write 1+ %d" % number)
            refused_by_store(vm, d, number)
            d.arm()
            done(d.setvcpus(2), online=2)
            done(d.setvcpus(1), online=1)
        # One line when it begins, one when it is over.
        text = d.text()
        equal([text.count("until then new operations are refused"), text.count("can be written again")], [3, 3])


@case()
def an_operation_under_way_goes_on_without_its_store():
    with Scene() as (vm, d):
        vm.guest.insert = "ignore"
        asking = d.begin("setvcpus", "web1", "3", "--op-id", "on")
        wait_for(lambda: len(vm.sent("device_add")) == 2, 5, "both device_adds")
        d.arm("intent.write 1+ %d" % errno.EIO)
        vm.guest.insert = "accept"
        done(asking.wait(20), online=3)
        done(d.ctl("wait", "on"), online=3)
        refused_by_store(vm, d, errno.EIO, 1)
        # With the next tick, without being asked.
        d.arm()
        wait_for(lambda: "can be written again" in d.text(), 7, d.text)
        done(d.setvcpus(1), online=1)


@contextlib.contextmanager
def own_file_system():
    """For Scene: the runtime folder is a small file system of its own."""
    mounted = []

    def prepare(vm):
        os.mkdir(vm.path("run"))
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", vm.path("run")],
                          check=False).returncode:  # fmt: skip
            raise tap.Skip("no file system can be mounted here")
        mounted.append(vm.path("run"))

    try:
        yield prepare
    finally:
        for path in mounted:
            subprocess.run(["umount", "-l", path], check=False)


@case()
def what_was_begun_goes_on_after_a_kill_on_a_read_only_file_system():
    def remount(how):
        subprocess.run(["mount", "-o", "remount," + how, vm.path("run")], check=True)

    with own_file_system() as prepare, Scene(prepare) as (vm, d):
        vm.guest.insert = "ignore"
        asking = d.begin("setvcpus", "web1", "3", "--op-id", "on")
        wait_for(lambda: len(vm.sent("device_add")) == 2, 5, "both device_adds")
        d.stop(signal.SIGKILL)
        asking.wait(10)
        remount("ro")
        d.start()
        vm.guest.insert = "accept"
        done(d.ctl("wait", "on", "--timeout", 20), online=3)
        refused_by_store(vm, d, errno.EROFS, 1)
        remount("rw")
        done(d.setvcpus(1), online=1)


@case()
def a_full_disk_refuses_and_is_no_danger_to_what_has_a_file():
    def fill(path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(fd, b"x" * 4096)
        except OSError as e:
            equal(e.errno, errno.ENOSPC)
        finally:
            os.close(fd)

    with own_file_system() as prepare, Scene(prepare) as (vm, d):
        fill(vm.path("run/filler"))
        # All of its file was allocated when it was made.
        done(d.setvcpus(2), online=2)
        d.stop()
        os.unlink(d.intent())
        fill(vm.path("run/filler2"))
        d.start()
        d.wait_idle_online(2)
        refused_by_store(vm, d, errno.ENOSPC, 3)
        os.unlink(vm.path("run/filler"))
        os.unlink(vm.path("run/filler2"))
        done(d.setvcpus(3), online=3)
        done(d.setvcpus(1), online=1)


@case()
def a_folder_that_is_gone_is_made_again_or_refused():
    with Scene() as (vm, d):
        shutil.rmtree(vm.path("run/intent"))
        done(d.setvcpus(2), online=2)
        assert os.path.exists(d.intent())
        os.rename(vm.path("run"), vm.path("away"))
        refused_by_store(vm, d, errno.ENOENT, 3)
        os.rename(vm.path("away"), vm.path("run"))
        done(d.setvcpus(1), online=1)


def strange_files(d):
    """(what, how to make it of a good one)"""
    path = d.intent()
    with open(path, "rb") as f:
        good = f.read()

    def write(data):
        with open(path, "wb") as f:
            f.write(data)

    def flip():
        middle = bytearray(good)
        for at in (40, len(good) // 2 + 40):
            middle[at] ^= 1
        write(bytes(middle))

    def link():
        os.rename(path, path + ".other")
        os.symlink(path + ".other", path)

    def pipe():
        os.unlink(path)
        os.mkfifo(path, 0o600)

    def folder():
        os.unlink(path)
        os.mkdir(path)

    yield "damaged", flip
    yield "no intent has that size", lambda: write(good[:-1])
    yield "no intent has that size", lambda: os.truncate(path, 1 << 40)
    yield "no intent has that size", lambda: write(b"")
    yield "it is a link", link
    yield "it is no plain file", pipe
    yield "others may open it", lambda: os.chmod(path, 0o666)
    if os.geteuid() == 0:
        yield "belongs to another user", lambda: os.chown(path, 65534, 65534)
    yield "Is a directory", folder


@case(deadline=90)
def a_strange_file_is_discarded_with_a_line_and_nothing_is_lost():
    with Scene() as (vm, d):
        done(d.setvcpus(3), online=3)
        for what, make in strange_files(d):
            d.stop(signal.SIGKILL)
            make()
            before = len(d.text())
            d.start()
            d.wait_idle_online(3)
            matches("web1: what was to be done is not known any more: .*qmp-web1: .*%s" % what, d.text()[before:])
            equal((vm.qemu_present(), vm.guest.online()), ([0, 1, 2], [0, 1, 2]))
            if os.path.isdir(d.intent()):
                # That is not ours to take away, and keeps us from making our own.
                equal(d.setvcpus(2).exit, 4)
                os.rmdir(d.intent())
            done(d.setvcpus(2), online=2)
            done(d.setvcpus(3), online=3)
            equal(os.stat(d.intent()).st_mode & 0o777, 0o600)


@case()
def a_record_of_another_run_is_void():
    """The same machine, started anew while no daemon was there: its operation has ended with it."""
    with Scene() as (vm, d):
        vm.guest.insert = "ignore"
        asking = d.begin("setvcpus", "web1", "3", "--op-id", "lost")
        wait_for(lambda: vm.sent("device_add"), 5, "device_add")
        d.stop(signal.SIGKILL)
        asking.wait(10)
        vm.restart_qemu()
        d.start()
        result(d.ctl("wait", "lost", "--timeout", 10), 11, "vm-gone")
        wait_for(lambda: d.info()["present"] == 1, 10, d.brief)


@case()
def a_second_daemon_refuses_to_start():
    with Scene() as (vm, d):
        done(d.setvcpus(2), online=2)
        p = subprocess.run([VCPUHPD, "--foreground", "--config", d.config, "--socket", vm.path("other"), "--runtime-dir",
                            vm.path("run"), "--state-dir", vm.path("state")], capture_output=True, text=True,
                           timeout=20, check=False)  # fmt: skip
        equal(p.returncode, 1, p.stderr)
        matches("another vcpuhpd is already running", p.stderr)
        done(d.setvcpus(1), online=1)


@case()
def the_control_socket_answers_at_once_after_a_kill_and_a_domain_within_a_second():
    with Scene() as (vm, d):
        done(d.setvcpus(3), online=3)
        times = []
        for _ in range(5):
            d.stop(signal.SIGKILL)
            start = time.monotonic()
            d.launch()
            wait_for(d.listens, 5, "the socket", pause=0.001)
            a = d.ctl("list")
            equal(a.exit, 0)
            listens = time.monotonic() - start
            d.wait_idle_online(3)
            times.append((listens, time.monotonic() - start))
        print("# socket answers after %s ms, the domain after %s ms" % tuple(
            "/".join("%.0f" % (t[i] * 1000) for t in sorted(times)) for i in (0, 1)))  # fmt: skip
        assert sorted(times)[2][0] < 0.2, times
        assert sorted(t[1] for t in times)[2] < 1, times


if __name__ == "__main__":
    tap.main(before=why_not)
