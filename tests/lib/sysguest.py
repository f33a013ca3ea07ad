# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real guest whose init is systemd, with udev, and what `meson install` puts there of the agent.

systemd is this machine's own and udev the package of the same release, unpacked by tests/run --deps: with the
libraries that they need, laid over the ramdisk of the other guests. Nothing is on a disk, so each boot is the
first one.
"""

import os
import re
import shutil
import stat
import subprocess
import tempfile

from container import install
from guest import GUEST, kernel
from vm import VM

UDEV = os.path.join(GUEST, "udev")
AGENT_UNIT = "vcpuhp-agent.service"
AGENT_PORT = "org.vcpuhp.agent.0"
PROGRAMS = ("/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd-journald", "/usr/lib/systemd/systemd-shutdown",
            "/usr/bin/systemctl", "/usr/bin/journalctl")  # fmt: skip
SINCE_254 = "/usr/lib/systemd/systemd-executor"
UNITS = ("basic.target", "sysinit.target", "sockets.target", "paths.target", "timers.target", "slices.target",
         "local-fs.target", "local-fs-pre.target", "multi-user.target", "shutdown.target", "umount.target",
         "final.target", "reboot.target", "systemd-reboot.service", "systemd-journald.service", "systemd-journald.socket",
         "systemd-journald-dev-log.socket", "sys-kernel-tracing.mount")  # fmt: skip
WANTED = {
    "sysinit.target": ("systemd-journald.service", "systemd-udevd.service", "systemd-udev-trigger.service",
                       "sys-kernel-tracing.mount", "test-setup.service"),
    "sockets.target": ("systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-udevd-control.socket",
                       "systemd-udevd-kernel.socket"),
    "multi-user.target": ("test-shell.service",),
}  # fmt: skip
SETUP = """\
[Unit]
DefaultDependencies=no
Before=systemd-udevd.service sys-kernel-tracing.mount sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/busybox --install -s /bin
ExecStart=/bin/busybox sh -c 'while read -r m; do insmod "$m"; done < /etc/modules.order'
"""
SHELL = """\
[Unit]
StartLimitIntervalSec=0
[Service]
Environment=PATH=/bin:/usr/local/sbin
ExecStart=/bin/guest-ctl org.vcpuhp.test.0
Restart=always
RestartSec=100ms
KillMode=process
"""
ETC = {
    "passwd": "root:x:0:0::/:/bin/sh\n",
    "group": "root:x:0:\n",
    "machine-id": "6c1d9e0a2f3b4c559d7e8a90b1c2d3e4\n",
    "hostname": "web1\n",
}


def why_not():
    """Why these tests cannot run here, or None."""
    for program in ("meson", "qemu-system-x86_64"):
        if not shutil.which(program):
            return program + " is not installed"
    try:
        kernel()
    except RuntimeError as e:
        return str(e)
    if not os.path.exists(os.path.join(UDEV, "ready")):
        return "there is no udev for the guest: tests/run --deps"
    if not os.path.exists(PROGRAMS[0]):
        return "systemd is not installed"
    missing = re.findall(r"(\S+) => not found", _ldd(_programs()))
    return "not here, but udev or systemd needs it: " + ", ".join(missing) if missing else None


def _read(path):
    with open(path, "rb") as f:
        return f.read()


def _inside(path):
    """/usr/lib is /lib there, and so on, as in the ramdisk below."""
    for name in ("lib64", "lib", "bin", "sbin"):
        if path.startswith("/usr/%s/" % name):
            return path[4:]
    return path


def _udevadm():
    return next(p for p in (UDEV + "/bin/udevadm", UDEV + "/usr/bin/udevadm") if os.path.exists(p))


def _programs():
    return [p for p in PROGRAMS + (SINCE_254,) if os.path.exists(p)] + [_udevadm()]


def _ldd(programs):
    return subprocess.run(["ldd", *programs], stdout=subprocess.PIPE, text=True, check=False).stdout


def _libraries(programs):
    return {word for word in _ldd(programs).split() if word.startswith("/") and not word.endswith(":")}


def udev_files(*programs):
    """udev without its rules, and other @programs, with the libraries that they need."""
    udevadm = _udevadm()
    files = {_inside(p): (0o755, _read(p)) for p in programs}
    files.update({_inside(p): (0o755, _read(p)) for p in _libraries([*programs, udevadm])})
    files["/bin/udevadm"] = (0o755, _read(udevadm))
    files["/lib/systemd/systemd-udevd"] = (stat.S_IFLNK, "/bin/udevadm")
    files["/usr/lib"] = (stat.S_IFLNK, "/lib")
    return files


def _systemd_files():
    return udev_files(*_programs()[:-1])


def _tree(folder, to):
    """Regular files below a folder, as files of the guest below @to."""
    found = {}
    for top, _, names in os.walk(folder):
        for path in (os.path.join(top, n) for n in names):
            if not os.path.islink(path):
                found[to + path[len(folder):]] = (stat.S_IMODE(os.stat(path).st_mode), _read(path))
    return found


def _unit_files():
    files = {"/lib/systemd/system/" + u: _read("/usr/lib/systemd/system/" + u) for u in UNITS}
    for lib in ("/lib", "/usr/lib"):
        files.update(_tree(UDEV + lib + "/systemd/system", "/lib/systemd/system"))
        files.update(_tree(UDEV + lib + "/udev/rules.d", "/lib/udev/rules.d"))
    files["/lib/systemd/system/test-setup.service"] = SETUP
    files["/lib/systemd/system/test-shell.service"] = SHELL
    files["/lib/systemd/system/default.target"] = (stat.S_IFLNK, "multi-user.target")
    for target, units in WANTED.items():
        for unit in units:
            files["/lib/systemd/system/%s.wants/%s" % (target, unit)] = (stat.S_IFLNK, "../" + unit)
    return files


def _agent_files():
    dest = tempfile.mkdtemp(prefix="vcpuhp-sysguest-")
    try:
        install(dest)
        files = _tree(dest, "")
    finally:
        shutil.rmtree(dest)
    wanted = ("vcpuhp-agent", AGENT_UNIT, "99-vcpuhp-agent.rules", "vcpuhp-agent.conf")
    files = {p: f for p, f in files.items() if os.path.basename(p) in wanted}
    assert len(files) == len(wanted), "%s" % sorted(files)
    return files


class SystemdVM(VM):
    """@files: more of them, as VM has them."""

    def __init__(self, files=None, append="", **how):
        ours = {"/etc/" + name: text for name, text in ETC.items()}
        ours.update({**_systemd_files(), **_unit_files(), **_agent_files(), **(files or {})})
        super().__init__(files=ours, agent=False, append="rdinit=/lib/systemd/systemd systemd.show_status=1 " + append, **how)  # fmt: skip

    def unit(self, name):
        """A property of the agent's unit."""
        return self.guest("systemctl show --value --property=%s %s" % (name, AGENT_UNIT)).strip()

    def agent_log(self):
        return self.guest("journalctl --no-pager -o cat -u " + AGENT_UNIT)

    def agent_pid(self):
        return int(self.unit("MainPID"))

    def remove_port(self):
        self.qmp("device_del", id="port-agent")

    def add_port(self):
        self.qmp("device_add", driver="virtserialport", id="port-agent", chardev="agent", name=AGENT_PORT)

    def save_logs(self):
        if self.keep and self.shell and self.alive():
            self._note("journal", lambda: self.shell.run("journalctl --no-pager", 10)[1])
        super().save_logs()
