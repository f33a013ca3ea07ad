# SPDX-License-Identifier: LGPL-2.1-or-later
"""The test guest: Debian's cloud kernel with a busybox root in an initial ramdisk.

The ramdisk is written here, entry by entry, so that nobody needs root to own its files. A VM may
lay more files over it (overlay()): the kernel unpacks ramdisks that stand one behind the other.

/init respawns guest-ctl (the tests' own channel) and, unless the kernel's command line says
`noagent`, vcpuhp-agent with the options in /etc/vcpuhp/agent-args. It waits with the agent while
/run/hold-agent exists. The agent's words are in /run/agent.log.
"""

import glob
import gzip
import io
import os
import stat
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("VCPUHP_BUILD") or os.path.join(ROOT, "build"))
GUEST = os.path.abspath(os.environ.get("VCPUHP_GUEST_DIR") or os.path.join(ROOT, "build", "guest"))

MODULES = ("virtio_pci", "virtio_console")

INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
ln -s /proc/self/fd /dev/fd
while read -r module; do insmod "$module"; done < /etc/modules.order

respawn() {
	while :; do
		"$@"
		usleep 100000
	done
}

agent() {
	while :; do
		while [ -e /run/hold-agent ]; do usleep 50000; done
		vcpuhp-agent $(cat /etc/vcpuhp/agent-args 2>/dev/null) >> /run/agent.log 2>&1 &
		echo $! > /run/agent.pid
		wait $!
		echo "agent ended: $?" >> /run/agent.log
		usleep 100000
	done
}

respawn guest-ctl org.vcpuhp.test.0 &
grep -qw noagent /proc/cmdline || agent &
echo "init done at $(cut -d' ' -f1 /proc/uptime)" > /dev/console
while :; do wait; usleep 100000; done
"""


class Cpio:
    """Writes the "newc" archive that the kernel unpacks."""

    def __init__(self):
        self.out = io.BytesIO()
        self.inode = 0
        self.dirs = set()

    def _pad(self):
        self.out.write(b"\0" * (-self.out.tell() % 4))

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.inode += 1
        raw = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0)
        self.out.write(b"070701" + b"".join(b"%08X" % f for f in fields) + raw)
        self._pad()
        self.out.write(data)
        self._pad()

    def folder(self, path):
        path = path.strip("/")
        if not path or path in self.dirs:
            return
        self.folder(os.path.dirname(path))
        self.dirs.add(path)
        self._entry(path, stat.S_IFDIR | 0o755)

    def root(self):
        """The root folder itself, which would else be writable by everybody."""
        self._entry(".", stat.S_IFDIR | 0o755)

    def file(self, path, data, mode=0o644):
        path = path.strip("/")
        self.folder(os.path.dirname(path))
        self._entry(path, stat.S_IFREG | mode, data if isinstance(data, bytes) else data.encode())

    def link(self, path, target):
        path = path.strip("/")
        self.folder(os.path.dirname(path))
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path, major, minor):
        path = path.strip("/")
        self.folder(os.path.dirname(path))
        self._entry(path, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def bytes(self):
        self._entry("TRAILER!!!", 0)
        self.out.write(b"\0" * (-self.out.tell() % 512))
        return self.out.getvalue()


def kernel():
    """Path of the guest's kernel image."""
    found = glob.glob(os.path.join(GUEST, "kernel", "boot", "vmlinuz-*"))
    if not found:
        raise RuntimeError("the guest's kernel is missing: run tests/run --deps")
    return found[0]


def wants_hypervisor():
    """
    Has the kernel room for more CPUs only where it knows that it is in a VM? It does not know TCG, but
    VMware, by the BIOS's serial number, and QEMU has VMware's port.
    """
    version = os.path.basename(kernel()).split("-")[1].split(".")
    return (int(version[0]), int(version[1])) >= (6, 9)


def _module_folder(version):
    """Debian 13's package has it in /usr, Debian 12's has not."""
    folders = [os.path.join(GUEST, "kernel", top, "lib", "modules", version) for top in ("usr", ".")]
    return next(filter(os.path.isdir, folders), folders[-1])


def _module_files():
    """The modules the guest needs, what one depends on before it."""
    version = os.path.basename(kernel()).split("-", 1)[1]
    folder = _module_folder(version)
    dep = os.path.join(folder, "modules.dep")
    if not os.path.exists(dep):
        base = os.path.dirname(os.path.dirname(os.path.dirname(folder)))
        env = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        subprocess.run(["depmod", "-b", base, version], env=env, check=True)
    needs, by_name = {}, {}
    with open(dep, encoding="ascii") as f:
        for line in f:
            path, _, rest = line.partition(":")
            needs[path] = rest.split()
            by_name[os.path.basename(path).split(".")[0]] = path
    order = []

    def add(path):
        for other in needs[path]:
            add(other)
        if path not in order:
            order.append(path)

    with open(os.path.join(folder, "modules.builtin"), encoding="ascii") as f:
        in_kernel = {os.path.basename(line).split(".")[0] for line in f}
    for name in MODULES:
        if name not in in_kernel:
            add(by_name[name])
    return [os.path.join(folder, path) for path in order]


def _module_bytes(path):
    if path.endswith(".xz"):
        return subprocess.run(["xz", "-dc", path], stdout=subprocess.PIPE, check=True).stdout
    with open(path, "rb") as f:
        return f.read()


def _read(path):
    with open(path, "rb") as f:
        return f.read()


def programs():
    """What the guest runs of ours: name in /bin -> file."""
    found = {
        "guest-ctl": os.path.join(BUILD, "tests", "lib", "guest-ctl"),
        "dlhog": os.path.join(BUILD, "tests", "lib", "dlhog"),
        "vcpuhp-agent": os.path.join(BUILD, "guest-agent", "vcpuhp-agent"),
    }
    for name in found:
        found[name] = os.environ.get("VCPUHP_GUEST_" + name.replace("-", "_").upper(), found[name])
    return found


def _pack(parts, order):
    c = Cpio()
    c.root()
    for d in ("proc", "sys", "dev", "run", "tmp", "sbin", "etc/vcpuhp/cpuhp.d"):
        c.folder(d)
    c.device("dev/console", 5, 1)
    c.device("dev/null", 1, 3)
    c.file("init", INIT, 0o755)
    c.file("bin/busybox", _read("/bin/busybox"), 0o755)
    c.link("bin/sh", "busybox")
    for d in ("usr/bin", "usr/sbin"):
        c.link(d, "/bin")
    for name, path in parts.items():
        c.file("bin/" + name, _read(path), 0o755)
    names = []
    for path in order:
        name = os.path.basename(path)
        names.append("/lib/modules/" + (name[:-3] if name.endswith(".xz") else name))
        c.file(names[-1], _module_bytes(path))
    c.file("etc/modules.order", "".join(n + "\n" for n in names))
    return gzip.compress(c.bytes(), 1)


def initrd():
    """Path of the ramdisk, made again when something in it is newer."""
    parts = {name: path for name, path in programs().items() if os.path.exists(path)}
    if "guest-ctl" not in parts:
        raise RuntimeError("%s is not built" % programs()["guest-ctl"])
    os.makedirs(os.path.join(BUILD, "guest"), exist_ok=True)
    out = os.path.join(BUILD, "guest", "initrd.gz")
    order = _module_files()
    sources = list(parts.values()) + order + [os.path.abspath(__file__), "/bin/busybox"]
    stamp = "".join("%s %d\n" % (s, os.stat(s).st_mtime_ns) for s in sources)
    try:
        if _read(out + ".stamp").decode() == stamp and os.path.exists(out):
            return out
    except OSError:
        pass
    data = _pack(parts, order)
    for path, content in ((out, data), (out + ".stamp", stamp.encode())):
        with open(path + ".new", "wb") as f:
            f.write(content)
        os.rename(path + ".new", path)
    return out


def qemu_ga():
    """Files for overlay(): QEMU's own guest agent and its libraries, which are the host's. None: one of them is not there."""
    program = os.path.join(GUEST, "qga", "usr", "sbin", "qemu-ga")
    if not os.path.exists(program):
        return None
    said = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    if "not found" in said:
        return None
    libraries = [word for word in said.split() if word.startswith("/")]
    return {"/bin/qemu-ga": (0o755, _read(program)), **{lib: (0o755, _read(lib)) for lib in libraries}}


def overlay(files, out):
    """Write initrd() and, behind it, these files (path -> text, or (mode, text)) to @out. A mode of S_IFLNK: a link."""
    c = Cpio()
    for path, content in files.items():
        mode, data = content if isinstance(content, tuple) else (0o644, content)
        if stat.S_ISLNK(mode):
            c.link(path, data)
        else:
            c.file(path, data, mode)
    with open(out, "wb") as f:
        f.write(_read(initrd()))
        f.write(b"\0" * (-f.tell() % 4))
        f.write(c.bytes())
    return out


if __name__ == "__main__":
    print(kernel(), initrd())
