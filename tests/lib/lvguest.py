# SPDX-License-Identifier: LGPL-2.1-or-later
"""A libvirt domain with a real guest: the kernel and ramdisk of guest.py under TCG, or under KVM
where the CPU has hardware virtualization. It keeps vm.py's rules for TCG."""

import threading

import guest as guestkit
from libvirtd import CHANNEL, Domain
from vm import GuestShell, InGuest, has_hardware_virtualization, kvm_usable, wait_for

DOMAIN_XML = """\
<domain type='%(type)s'>
  <name>%(name)s</name>
  <memory unit='MiB'>512</memory>
  <vcpu placement='static' current='%(current)d'>%(maximum)d</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>%(kernel)s</kernel>
    <initrd>%(initrd)s</initrd>
    <cmdline>console=ttyS0 quiet panic=-1</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <cpu mode='%(cpu)s' check='none'>
    <topology sockets='1' dies='1' cores='%(maximum)d' threads='1'/>%(hypervisor)s
  </cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='file'><source path='%(dir)s/serial.log'/></serial>
    %(channels)s
  </devices>
</domain>
"""

# See guest.wants_hypervisor().
SERIAL = "<sysinfo type='smbios'><system><entry name='serial'>VMware-0</entry></system></sysinfo>"

QEMU_GA = """\
for p in /sys/class/virtio-ports/*; do
    [ "$(cat $p/name)" != org.qemu.guest_agent.0 ] || qemu-ga -d -p /dev/${p##*/} -t /run -f /run/qga.pid
done
"""


def why_no_guest():
    """Why there is no real guest, or None."""
    try:
        guestkit.kernel()
    except RuntimeError as e:
        return str(e)
    return None


def why_no_qemu_ga():
    """Why libvirt's own guest agent cannot run in there, or None."""
    if not guestkit.qemu_ga():
        return "QEMU's guest agent or a library of it is missing: tests/run --deps"
    return None


class RealGuest(InGuest):
    """Takes a FakeGuest's place where a case looks at the guest."""

    def __init__(self, dom):
        self.ended = threading.Event()
        self.shell = GuestShell(dom.path("test"), dom.process.alive)
        self.wait_booted()

    def present_slots(self):
        """By their ACPI names, as the kernel knows them."""
        names = self.guest("cat /sys/devices/system/cpu/cpu[0-9]*/firmware_node/path").split()
        return sorted(int(name.rsplit(".C", 1)[1], 16) for name in names)

    def online(self):
        return self.guest_online()

    def check(self):
        pass

    def close(self):
        self.shell.sock.close()


class RealDomain(Domain):
    """@files: laid over the ramdisk, as with vm.VM. @qemu_ga: with libvirt's own channel and agent."""

    def __init__(self, lv, files=None, qemu_ga=False, maximum=32, **kwargs):
        self.files = {**(files or {}), **(guestkit.qemu_ga() if qemu_ga else {})}
        self.qemu_ga = qemu_ga
        self.kvm = has_hardware_virtualization() and kvm_usable()
        super().__init__(lv, maximum=maximum, **kwargs)

    def make_xml(self):
        channels = [(self.agent_path, "org.vcpuhp.agent.0"), (self.path("test"), "org.vcpuhp.test.0")]
        if self.qemu_ga:
            channels.append((self.path("qga"), "org.qemu.guest_agent.0"))
        disguised = not self.kvm and guestkit.wants_hypervisor()
        xml = DOMAIN_XML % {
            "name": self.name, "dir": self.dir, "current": self.current, "maximum": self.maximum,
            "hypervisor": "<feature policy='disable' name='hypervisor'/>" if disguised else "",
            "type": "kvm" if self.kvm else "qemu", "cpu": "host-passthrough" if self.kvm else "maximum",
            "kernel": guestkit.kernel(), "initrd": guestkit.overlay(self.files, self.path("initrd.gz")),
            "channels": "".join(CHANNEL % c for c in channels)}  # fmt: skip
        if disguised:
            xml = xml.replace("</os>", "<smbios mode='sysinfo'/></os>" + SERIAL)
        return xml

    def start(self):
        self.lv.virsh("start", self.name)
        self.guest = RealGuest(self)
        if self.qemu_ga:
            self.guest.guest(QEMU_GA)
            ping = ("qemu-agent-command", self.name, '{"execute":"guest-ping"}')
            wait_for(lambda: self.lv.virsh(*ping, check=False).exit == 0, 20, "qemu-ga", pause=0.1)
        return self

    def save_and_restore(self, between):
        """Saved with its memory and started from that; @between is called when it is off."""
        self.guest.close()
        self.lv.virsh("managedsave", self.name)
        between()
        self.lv.virsh("start", self.name)
        self.guest = RealGuest(self)
