#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""vcpuhpd where a guest, its QEMU or the daemon's own start is not as it should be: what it says."""

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
import threading

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
import wire
from daemon import NOBODY, VCPUHPD, Daemon, message_id
from tap import case, equal, matches
from vm import Machine, wait_for


def why(d):
    """(why the domain is not attached, why no agent is connected)"""
    i = d.info()
    return i["why"], i["agent"]["why"]


def wait_why(d, qemu, agent):
    wait_for(lambda: why(d) == (qemu, agent), 5, lambda: "why: %s" % (why(d),), pause=0.02)


def listen(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen(1)
    return s


@case()
def info_says_why_a_domain_is_not_attached():
    with Machine("web1") as m, Daemon(m) as d:
        no_qemu = "cannot connect to %s: No such file or directory" % m.qmp_path
        wait_why(d, no_qemu, "the agent's socket is not there")
        table = d.ctl("info", "web1", json_output=False).out
        matches(r"Not attached: +%s\n" % no_qemu, table)
        matches(r"No agent: +the agent's socket is not there\n", table)
        equal(d.ctl("list").result["why"], no_qemu)
        for path in (m.qmp_path, m.agent_path):
            listen(path).close()
        wait_why(d, "cannot connect to %s: Connection refused" % m.qmp_path,
                 "nobody listens on the agent's socket")  # fmt: skip


@case()
def another_users_runtime_folder_is_left_alone():
    """Started as root beside a service that has a user of its own, it would shut that one out of its own record."""
    if os.geteuid() != 0:
        raise tap.Skip("only root has another user's files")
    with Machine("web1") as m:
        for name in ("run", "state"):
            os.mkdir(m.path(name), 0o700)
        os.chown(m.path("run"), NOBODY, NOBODY)
        with open(m.path("conf"), "w", encoding="utf-8"):
            pass
        p = subprocess.run([VCPUHPD, "--foreground", "--config", m.path("conf"), "--socket", m.path("control"),
                            "--runtime-dir", m.path("run"), "--state-dir", m.path("state")],
                           capture_output=True, text=True, timeout=30, check=False)  # fmt: skip
        equal(p.returncode, 1, p.stderr)
        matches("run belongs to uid %d, .*start it as that user" % NOBODY, p.stderr)
        equal(os.listdir(m.path("run")), [])


@case()
def what_waits_for_qemu_says_so_and_ends_with_the_reason():
    with Machine("web1") as m, Daemon(m) as d:
        reason = "cannot connect to %s: No such file or directory" % m.qmp_path
        waiting = "web1: waiting for QEMU: %s\n" % reason
        failed = "vcpuhpctl: QEMU could not be reached in time: %s\n" % reason
        wait_for(lambda: why(d)[0] == reason, 5, "the first try")
        a = d.ctl("setvcpus", "web1", "2", "--timeout", "1", json_output=False)
        equal((a.exit, a.err), (11, waiting + failed))
        a = d.ctl("setvcpus", "web1", "2", "--timeout", "1")
        equal((a.exit, a.err, len(a.lines)), (11, waiting, 1))
        equal(a.result["error"], "QEMU could not be reached in time: " + reason)
        a = d.ctl("-q", "setvcpus", "web1", "2", "--timeout", "1", json_output=False)
        equal((a.exit, a.err), (11, failed))
        a = d.ctl("setvcpus", "web1", "2", "--timeout", "1", "--dry-run", json_output=False)
        equal((a.exit, a.err), (11, "vcpuhpctl: QEMU could not be reached in time: %s\n" % reason))


@case()
def a_socket_of_another_domain_is_not_attached():
    with Machine("web1") as m, Daemon(m) as d:
        free = m.path("other")
        for qmp, agent in ((m.qmp_path, free), (free, m.agent_path), (free, m.qmp_path)):
            a = d.ctl("attach", "web2", "--qmp", qmp, "--agent", agent)
            equal((a.exit, a.result["error"]),
                  (8, {"code": "Conflict", "text": "cannot attach web2: domain web1 has one of its sockets"}))  # fmt: skip
        equal([i["domain"] for i in d.ctl("list").lines], ["web1"])
        for name in ("web2", "web3"):
            a = d.ctl("attach", name, "--qmp", free, "--agent", free + ".agent")
            equal(a.exit, 0 if name == "web2" else 8)
        equal(d.ctl("detach", "web2").exit, 0)
        equal(d.ctl("attach", "web3", "--qmp", free, "--agent", free + ".agent").exit, 0)


class OtherAgent:
    """An agent's port where whoever connects is greeted with HELLO of these versions."""

    def __init__(self, path, **hello):
        self.listener = listen(path)
        self.hello = hello
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            sock, _ = self.listener.accept()
            values = dict(session=1, version="9.0", kernel="9.9", **self.hello)
            sock.sendall(wire.frame(wire.HELLO, wire.encode(wire.HELLO, **values)))
            while sock.recv(65536):
                pass


@case()
def info_says_why_a_session_is_refused():
    with Machine("web1") as m, Daemon(m, start=False) as d:
        OtherAgent(m.agent_path, version_min=2, version_max=3)
        d.start()
        wait_for(lambda: why(d)[1] == "the agent speaks another version of the protocol", 5,
                 lambda: "%s" % (why(d),), pause=0.02)  # fmt: skip
        equal(d.info()["agent"]["connected"], False)


# A journal that only one process sees: a folder system laid over /run, with journald's sockets in it.

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
JOURNAL = "/run/systemd/journal/"
_libc = ctypes.CDLL(None, use_errno=True)


def check_call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def own_run(listener, entries):
    check_call(_libc.unshare(CLONE_NEWNS))
    check_call(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    check_call(_libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, None))
    os.makedirs(JOURNAL)
    listener.bind(JOURNAL + "stdout")
    listener.listen(1)
    entries.bind(JOURNAL + "socket")


def read_stream(listener):
    """The lines that a process which has ended wrote there."""
    said = b""
    listener.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        client, _ = listener.accept()
        for data in iter(lambda: client.recv(65536), b""):
            said += data
    return said.decode().splitlines()[7:]  # what it says of itself first


def read_entries(entries):
    """What it sent there: a dict an entry."""
    found = []
    entries.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(dict(line.split("=", 1) for line in entries.recv(65536).decode().splitlines()))
    return found


def start_with_journal(*options, stop=False):
    """(exit status, stderr, the journal's lines, its entries) of a vcpuhpd that ends by itself, or is told to."""
    env = {k: v for k, v in os.environ.items() if k != "JOURNAL_STREAM"}
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as entries:
        try:
            p = subprocess.Popen([VCPUHPD, *options], env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                 preexec_fn=lambda: own_run(listener, entries))  # fmt: skip
        except subprocess.SubprocessError:
            raise tap.Skip("no mount namespace of one's own here") from None
        with p:
            found = []
            if stop:
                wait_for(lambda: found.extend(read_entries(entries)) or len(found) >= stop, 10, lambda: "entries: %s" % found)
                p.terminate()
            err = p.communicate(timeout=10)[1]
        return p.returncode, err, read_stream(listener), found + read_entries(entries)


@case()
def a_bad_configuration_is_told_where_it_was_started_and_in_the_journal():
    with Machine("web1") as m:
        config = m.path("bad.conf")
        with open(config, "w", encoding="ascii") as f:
            f.write("[Daemon]\nColour=red\n")
        sentence = "%s:2: unknown key Colour= in [Daemon]" % config
        # A line, not an entry: of a process that has ended journald could not tell the unit.
        equal(start_with_journal("--config", config), (1, sentence + "\n", ["<3>" + sentence], []))
        equal(start_with_journal("--config", config, "--check-config"), (1, sentence + "\n", [], []))


@case()
def the_journal_gets_entries_with_fields():
    with Machine("web1") as m:
        for name in ("conf", "qmp", "agent"):
            with open(m.path(name), "w", encoding="ascii") as f:
                f.write("[Domain web1]\nQMP=%s\nAgent=%s\n" % (m.path("qmp"), m.path("agent")) if name == "conf" else "")
        status, err, lines, entries = start_with_journal(
            "--config", m.path("conf"), "--socket", m.path("control"), "--runtime-dir", m.path("run"),
            "--state-dir", m.path("state"), stop=3)  # fmt: skip
        equal((status, err, lines), (0, "", []))
        for name, priority, domain, text in (
            ("started", 6, None, r"^vcpuhpd \S+ has started, with 1 domains configured$"),
            ("domain-not-attached", 5, "web1", "^web1: not attached: cannot connect to .*: Connection refused$"),
            ("stopping", 6, None, "^stopping: Terminated$"),
        ):
            (e,) = [e for e in entries if e.get("MESSAGE_ID") == message_id(name)]
            matches(text, e["MESSAGE"])
            equal((e["PRIORITY"], e.get("VCPUHP_DOMAIN"), e["SYSLOG_IDENTIFIER"]), ("%d" % priority, domain, "vcpuhpd"))
            matches(r"daemon/(main|domain-hv)\.c$", e["CODE_FILE"])
            matches(r"^\w+ \d+$", "%(CODE_FUNC)s %(CODE_LINE)s" % e)


@case()
def what_is_not_the_journal_gets_plain_lines():
    """The name of the journal's stream may have been inherited by one whose standard error goes elsewhere."""
    with Machine("web1") as m:
        config = m.path("bad.conf")
        with open(config, "w", encoding="ascii") as f:
            f.write("[Daemon]\nColour=red\n")
        p = subprocess.run([VCPUHPD, "--foreground", "--config", config], env=dict(os.environ, JOURNAL_STREAM="1:2"),
                           capture_output=True, text=True, timeout=10, check=False)  # fmt: skip
        equal((p.returncode, p.stderr), (1, "%s:2: unknown key Colour= in [Daemon]\n" % config))


if __name__ == "__main__":
    tap.main()
