# SPDX-License-Identifier: LGPL-2.1-or-later
"""MicroVM: real QEMU on KVM whose vCPUs really run, with the freestanding guest of tests/microguest.

The guest is the machine's firmware and its own agent. say() gives its console a command (see
microguest/command.c); cpus() is what its boot vCPU itself knows of each CPU, whatever it tells
the daemon, and calls() what its callbacks noted where they ran.

A slot is used once: some KVMs cannot plug a vCPU again that has run.
"""

import os

from guest import BUILD
from qmp import connect, wait_for
from vm import Machine, kvm_usable

IMAGE = os.path.join(BUILD, "tests", "microguest", "microguest.bin")
# Of a state's number in the console's commands.
ONLINE, THREADS, VERIFY, COUNT, LOG, ACTIVE = 7, 8, 9, 12, 13, 43


def why_not():
    """Why these tests cannot run here, or None."""
    if not kvm_usable():
        return "/dev/kvm is missing or not accessible to this user"
    if not os.path.exists(IMAGE):
        return "%s is not built" % IMAGE
    return None


class MicroVM(Machine):
    def __init__(self, name="web1", maxcpus=8, accel="kvm", keep=None):
        super().__init__(name, keep)
        self.console = None
        try:
            self.start_qemu([
                "-bios", IMAGE, "-accel", accel, "-machine", "q35", "-m", "32",
                "-smp", "1,maxcpus=%d,sockets=1,cores=%d,threads=1" % (maxcpus, maxcpus),
                "-chardev", "socket,id=console,path=%s,server=on,wait=off,logfile=%s" % (
                    self.path("console"), self.path("console.log")),
                "-serial", "chardev:console",
                "-device", "virtio-serial-pci",
                "-chardev", "socket,id=agent,path=%s,server=on,wait=off" % self.agent_path,
                "-device", "virtserialport,chardev=agent,name=org.vcpuhp.agent.0",
            ])  # fmt: skip
            wait_for(lambda: "ready\n" in self.console_text(), 10, lambda: "the guest: %r" % self.console_text())
            self.console = connect(self.path("console"))
            self.console.settimeout(10)
        except BaseException:
            self.close()
            raise

    def console_text(self):
        with open(self.path("console.log"), encoding="ascii", errors="replace") as f:
            return f.read()

    def _forget_what_it_said(self):
        """Of itself: that it is ready, again where it was reset."""
        self.console.setblocking(False)
        try:
            self.console.recv(4096)
        except BlockingIOError:
            pass
        self.console.settimeout(10)

    def say(self, command):
        """Give the console a command; the lines of its answer."""
        self._forget_what_it_said()
        self.console.sendall(command.encode() + b"\n")
        text = b""
        while not text.endswith((b"ok\n", b"no\n")):
            # To be read in any case: its few bytes would block the guest.
            more = self.console.recv(4096)
            assert more, "the guest's console is gone at %r, after %r" % (command, text)
            text += more
        lines = text.decode().splitlines()
        assert lines.pop() == "ok", "the guest does not understand %r" % command
        return lines

    def cpus(self):
        """Slot -> what truly is, of each CPU that is or was there: cpu, apic, present, runs, starts, ..."""
        rows = [{k: int(v) for k, v in (f.split("=") for f in line.split())} for line in self.say("table")]
        return {row.pop("slot"): row for row in rows}

    def running(self):
        """Slots whose vCPU has come up by its start-up IPI and was not stopped since."""
        return sorted(slot for slot, row in self.cpus().items() if row["runs"])

    def calls(self):
        """Calls of callbacks since the last time: (name, "startup" or "teardown", cpu, where it ran)."""
        return [(w[0], w[1], int(w[2]), int(w[3])) for w in map(str.split, self.say("calls"))]

    def instruction_ns(self):
        """How long one takes on its boot vCPU."""
        return int(self.say("speed")[0]) / 1000

    def close(self):
        if self.console:
            self.console.close()
        super().close()
