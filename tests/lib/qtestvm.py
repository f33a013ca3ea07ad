# SPDX-License-Identifier: LGPL-2.1-or-later
"""QtestVM: real QEMU on KVM with a FakeGuest in place of an operating system (or without KVM: @accel)."""

import os

from fakeguest import AGENT, FakeGuest
from vm import Machine, kvm_usable


def why_not():
    """Why these tests cannot run here, or None."""
    if not kvm_usable():
        return "/dev/kvm is missing or not accessible to this user"
    if not os.path.exists(AGENT):
        return "%s is not built" % AGENT
    return None


# The boot vCPU runs this from the reset vector: cli; hlt; jmp to the hlt. Real firmware would start
# every vCPU it finds, and one that has run cannot be plugged again on every KVM.
HALT_FIRMWARE = b"\xf4" * 0xFFF0 + b"\xfa\xf4\xeb\xfd".ljust(16, b"\xf4")


class QtestVM(Machine):
    def __init__(self, name="web1", smp=1, maxcpus=8, agent=True, agent_args=(), files=None,
                 extra=(), keep=None, accel="kvm"):  # fmt: skip
        super().__init__(name, keep)
        self.guest = None
        try:
            with open(self.path("halt.bin"), "wb") as f:
                f.write(HALT_FIRMWARE)
            self.start_qemu([
                "-bios", self.path("halt.bin"), "-accel", accel, "-machine", "q35", "-m", "64",
                "-smp", "%d,maxcpus=%d,sockets=1,cores=%d,threads=1" % (smp, maxcpus, maxcpus),
                "-qtest", "unix:%s,server=on,wait=off" % self.path("qtest"),
                "-qtest-log", "/dev/null",
            ] + list(extra))  # fmt: skip
            self.guest = FakeGuest(self, maxcpus, agent=False, agent_args=agent_args)
            for path, (mode, text) in (files or {}).items():
                self.guest.root.write(path.lstrip("/"), text, mode)
            if agent:
                self.guest.start_agent()
        except BaseException:
            self.close()
            raise

    def restart_qemu(self):
        """The new one has no guest in it."""
        self.guest.ended.set()
        super().restart_qemu()

    def plug(self, slot, ident=None):
        s = self.slots()[slot]
        self.qmp("device_add", driver=s["type"], id=ident or "foreign%d" % slot, **s["props"])

    def unplug(self, slot):
        """A device_del by another, whoever plugged it."""
        self.qmp("device_del", id=os.path.basename(self.slots()[slot]["qom-path"]))

    def close(self):
        if self.guest:
            self.guest.close()
        super().close()
