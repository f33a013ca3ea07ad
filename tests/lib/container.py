# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine with a real systemd, for the units: systemd-nspawn, booted, with vcpuhp installed in it.

Nothing is downloaded: its /usr is this machine's own, read-only, with what `meson install` makes laid over
it, so what was built here runs there. /etc and /var are its own and begin nearly empty; its systemd makes
users and folders of sysusers.d and tmpfiles.d as on a first boot.

do() calls a function inside, where the rigs of the other tiers work as they are. The sources and the
build folder have the same names there.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

import tap
from guest import BUILD, ROOT
from vm import Process, die_with_parent

MASKED = ("dbus.service", "dbus.socket", "systemd-logind.service", "getty.target", "console-getty.service",
          "systemd-networkd.service", "systemd-resolved.service", "systemd-timesyncd.service")  # fmt: skip
NAMESPACES = (("mnt", 0x20000), ("uts", 0x4000000), ("ipc", 0x8000000), ("net", 0x40000000), ("pid", 0x20000000))
ETC = {
    "passwd": "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "hostname": "vcpuhp-test\n",
}
BOOT_SECONDS = 60
# Puts itself into the control groups, then runs the rest.
JOIN = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ > "$1/cgroup.procs"; shift; n=$((n - 1)); done; exec "$@"'
_libc = ctypes.CDLL(None, use_errno=True)


def install(folder):
    """What `meson install` puts below a DESTDIR. Return its log."""
    done = subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", folder],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def why_not():
    """Why these tests cannot run here, or None. It is tried, for what a container needs is not only root."""
    for program in ("systemd-nspawn", "meson", "qemu-system-x86_64"):
        if not shutil.which(program):
            return "%s is not installed" % program
    if os.geteuid() != 0:
        return "systemd-nspawn needs root"
    if not os.path.islink("/bin"):
        return "/usr is not merged here, so it is no system by itself"
    try:
        with Container(with_vcpuhp=False) as c:
            c.boot()
    except (AssertionError, OSError) as e:
        return "systemd-nspawn cannot boot a container here: " + " ".join(str(e).split())[-400:]
    return None


def _check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _make_groups(name):
    """Control groups below our own, for nspawn names its two alike in every container; none where we may not."""
    made = []
    with open("/proc/self/cgroup", encoding="ascii") as f:
        ours = [line.rstrip("\n").split(":", 2) for line in f]
    for number, kind, path in ours:
        for base in {"0": ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")}.get(number, ("/sys/fs/cgroup/systemd",)):
            group = os.path.join(base + path, name)
            if (number == "0" or kind == "name=systemd") and os.path.exists(base + path + "/cgroup.procs"):
                with contextlib.suppress(OSError):
                    os.mkdir(group)
                    made.append(group)
                break
    return made


def _remove_group(group):
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            pass  # somebody is in it still


class Container:
    """@with_vcpuhp: with what `meson install` makes, else with this machine's programs alone."""

    def __init__(self, with_vcpuhp=True):
        self.dir = tempfile.mkdtemp(prefix="vcpuhp-ct-")
        self.root = self.path("root")
        self.dest = self.path("dest")
        self.process = self.leader = None
        self.groups = []
        self.owner = os.getpid()
        os.umask(0o022)  # others inside read what is made here
        try:
            self._fill(with_vcpuhp)
        except BaseException:
            self.close()
            raise

    def _fill(self, with_vcpuhp):
        for name in ("root/etc/systemd/system", "root/var", "root/usr", "dest/usr", "dest/etc"):
            os.makedirs(self.path(name))
        for name in ("bin", "sbin", "lib", "lib64", "lib32", "libx32"):
            if os.path.islink("/" + name):
                os.symlink(os.readlink("/" + name), os.path.join(self.root, name))
        if with_vcpuhp:
            install(self.dest)
        self._fill_etc()

    def path(self, name):
        return os.path.join(self.dir, name)

    def _fill_etc(self):
        etc = os.path.join(self.root, "etc")
        for name, text in dict(ETC, **{"machine-id": uuid.uuid4().hex + "\n"}).items():
            with open(os.path.join(etc, name), "w", encoding="ascii") as f:
                f.write(text)
        shutil.copy("/usr/lib/os-release", etc)
        for name in ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives"):
            if os.path.isdir("/etc/" + name):
                shutil.copytree("/etc/" + name, os.path.join(etc, name), symlinks=True)
            elif os.path.exists("/etc/" + name):
                shutil.copy("/etc/" + name, etc)
        for unit in MASKED:
            os.symlink("/dev/null", os.path.join(etc, "systemd/system", unit))
        shutil.copytree(os.path.join(self.dest, "etc"), etc, symlinks=True, dirs_exist_ok=True)

    def _arguments(self):
        args = ["systemd-nspawn", "--quiet", "--boot", "--directory", self.root, "--register=no", "--keep-unit",
                "--machine", "vcpuhp-%d" % os.getpid(), "--settings=no", "--notify-ready=yes", "--private-network",
                "--link-journal=no", "--timezone=off", "--resolv-conf=off", "--console=pipe",
                "--overlay-ro=/usr:%s:/usr" % os.path.join(self.dest, "usr")]  # fmt: skip
        args += ["--bind-ro=" + d for d in sorted({ROOT, BUILD})]
        if os.environ.get("VCPUHP_CASE_LOGS"):
            args.append("--bind=" + os.environ["VCPUHP_CASE_LOGS"])
        return args + ["systemd.unit=multi-user.target"]

    def boot(self):
        """Until its systemd says that it is up."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(self.path("notify"))
            self.groups = _make_groups(os.path.basename(self.dir))
            self.process = Process(["sh", "-c", JOIN, "sh", str(len(self.groups))] + self.groups + self._arguments(),
                                   self.path("console.log"), {"NOTIFY_SOCKET": self.path("notify")})  # fmt: skip
            self._wait_ready(ready)

    def _wait_ready(self, ready):
        end, said = time.monotonic() + BOOT_SECONDS, ""
        ready.settimeout(0.2)
        while "\nREADY=1" not in said:
            assert self.process.alive(), "it ended: " + self.process.text()
            assert time.monotonic() < end, "not up within %d s: %s" % (BOOT_SECONDS, self.process.text())
            try:
                said += "\n" + ready.recv(4096).decode()
            except TimeoutError:
                continue
        words = dict(line.partition("=")[::2] for line in said.splitlines())
        self.leader = int(words["X_NSPAWN_LEADER_PID"])

    def enter(self):
        """This process goes inside; only what it starts is in the other PID namespace."""
        inside = [(os.open("/proc/%d/ns/%s" % (self.leader, name), os.O_RDONLY), kind) for name, kind in NAMESPACES]
        root = os.open("/proc/%d/root" % self.leader, os.O_RDONLY)
        for fd, kind in inside:
            _check(_libc.setns(fd, kind))
            os.close(fd)
        os.fchdir(root)
        os.chroot(".")
        os.chdir("/")
        os.close(root)

    def do(self, function):
        """Call @function in a process that is inside; its failure is ours."""
        left = signal.alarm(0)
        reading, writing = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            signal.alarm(max(1, left - 5))
            _say(writing, self._do_inside, function)
        os.close(writing)
        signal.alarm(left)
        with os.fdopen(reading, "rb") as f:
            said = f.read().decode(errors="replace")
        os.waitpid(pid, 0)
        if said.startswith("skip "):
            raise tap.Skip(said[5:])
        assert said == "ok", "inside: " + (said or "the process died")

    def _do_inside(self, function):
        """A thread cannot be begun before there is a child that is inside wholly."""
        left = signal.alarm(0)
        self.enter()
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            die_with_parent()
            signal.alarm(left)
            _say(writing, function)
        os.close(writing)
        with os.fdopen(reading, "rb") as f:
            said = f.read().decode(errors="replace")
        os.waitpid(pid, 0)
        return said

    def save_log(self):
        keep = os.environ.get("VCPUHP_CASE_LOGS")
        if keep and self.process:
            shutil.copy(self.process.log, keep)

    def close(self):
        if os.getpid() != self.owner or not self.process and not os.path.isdir(self.dir):
            return
        if self.process:
            self.process.stop(signal.SIGTERM, 10)  # nspawn ends all that is in it
        for group in self.groups:
            _remove_group(group)
        self.save_log()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def _say(writing, function, *args):
    """Call it and say how that went, or what it says itself; does not return."""
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    try:
        said = function(*args) or "ok"
    except tap.Skip as e:
        said = "skip " + str(e)
    except BaseException as e:
        said = tap.describe(e)
    with os.fdopen(writing, "wb") as f:
        f.write(said.encode(errors="replace"))
    sys.stdout.flush()
    os._exit(0)


def run(*args, check=True, **options):
    """A command inside; what it printed."""
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, check=False, timeout=90, **options)
    assert not check or done.returncode == 0, "%s: exit status %d: %s" % (
        " ".join(map(str, args)), done.returncode, (done.stdout + done.stderr).strip())  # fmt: skip
    return done.stdout


def show(unit, name):
    """A property of a unit."""
    return run("systemctl", "show", "--value", "--property", name, unit).strip()
