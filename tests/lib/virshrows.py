# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table: what virsh does with a command line, and what vcpuhpctl does with it.

A scene is a domain in some condition, of which there are two alike: virsh changes one, vcpuhpctl the
other, and a row's domains are as the scene has them, whatever the rows above did. A row says of
both: the words behind the program's name, the exit code, a pattern of what is printed ("" nothing),
and what there is afterwards ("" as before, "live 0-2": the vCPUs of the running domain, "config 0-2":
those of its persistent configuration). DOM is the domain's name, ID and UUID are its numbers, VCPU_MAX
is beyond what any domain can have. Where vcpuhpctl ends otherwise than virsh, `why` says for what
reason; that is checked.

virsh ends 0 or 1. vcpuhpctl's codes are in its manual: 0 as asked, 1 failed, 2 usage, 4 refused,
6 no agent, 7 permission, 10 no such domain or vCPU, 11 the VM cannot be reached.

virsh_table.py runs them.
"""

from collections import namedtuple

Side = namedtuple("Side", "words exit text effect")
Row = namedtuple("Row", "what virsh ours why")


def virsh(words, status, text="", effect=""):
    return Side(words, status, text, effect)


ours = virsh


def row(what, theirs, mine, why=""):
    """@mine: without words of its own it takes virsh's."""
    return Row(what, theirs, mine._replace(words=mine.words or theirs.words), why)


def same(status, text="", effect=""):
    return Side("", status, text, effect)


IDEMPOTENT = "what is so already is done: a request can be sent again"
ASKED = "a persistent configuration is changed only where that is asked"
WHOLE = "a list is one operation, done or taken back as a whole"
GUEST = "the guest has to bring it online, and cannot"
AT_ONCE = "the guest's word is told, not waited past"
NAMED = "it says who can have it, and by which command"
LOOKS = "running is what vcpuhpd shows"

# Shut off, 1 of 8 in the configuration.
SHUT_OFF = (
    row("a count",
        virsh("setvcpus DOM 3 --config", 0, "", "config 0-2"),
        same(0, "^DOM: done: persistent configuration 3 of 8$", "config 0-2")),
    row("the count there is",
        virsh("setvcpus DOM 1 --config", 0),
        same(0, "persistent configuration 1 of 8")),
    row("the maximum",
        virsh("setvcpus DOM 8 --config", 0, "", "config 0-7"),
        same(0, "persistent configuration 8 of 8", "config 0-7")),
    row("what is there now: the configuration",
        virsh("setvcpus DOM 4 --current", 0, "", "config 0-3"),
        same(0, "persistent configuration 4 of 8", "config 0-3")),
    row("by UUID",
        virsh("setvcpus UUID 2 --config", 0, "", "config 0-1"),
        same(0, "^DOM: done", "config 0-1")),
    row("a name that nobody has",
        virsh("setvcpus nobody 2 --config", 1, "failed to get domain 'nobody'"),
        same(10, "there is no domain nobody")),
    row("above the maximum",
        virsh("setvcpus DOM 9 --config", 1, "greater than max allowable vcpus for the persistent domain: 9 > 8"),
        same(4, "9 vCPUs asked, the maximum in the persistent configuration of DOM is 8")),
    row("above the maximum, of what is there now",
        virsh("setvcpus DOM 9 --current", 1, "greater than max allowable vcpus for the persistent domain: 9 > 8"),
        same(4, "9 vCPUs asked, the maximum in the persistent configuration of DOM is 8")),
    row("none",
        virsh("setvcpus DOM 0 --config", 1, "Can't set 0 processors for a VM"),
        same(2, "'0' is no count from 1 to 65535")),
    row("less than none",
        virsh("setvcpus DOM -1 --config", 1, "Numeric value '-1' for <count> option is malformed"),
        same(2, "'-1' is no count from 1 to 65535")),
    row("no number",
        virsh("setvcpus DOM two --config", 1, "Numeric value 'two' for <count> option is malformed"),
        same(2, "'two' is no count from 1 to 65535")),
    row("no count at all",
        virsh("setvcpus DOM", 1, "requires (--count|<count>) option"),
        same(2, "an argument is missing: setvcpus DOMAIN COUNT")),
    row("of the running domain, which there is not",
        virsh("setvcpus DOM 2", 1, "domain is not running"),
        same(10, "domain DOM is not running, so only its persistent configuration can be changed .--config.")),
    row("the same, said so",
        virsh("setvcpus DOM 2 --live", 1, "domain is not running"),
        same(4, "domain DOM is not running")),
    row("both, of which one is not there",
        virsh("setvcpus DOM 2 --live --config", 1, "domain is not running"),
        same(4, "domain DOM is not running")),
    row("--current beside another",
        virsh("setvcpus DOM 2 --current --config", 1, "--current and --config are mutually exclusive"),
        same(2, "--current and --config exclude each other")),
    row("a larger maximum, where the topology has to grow",
        virsh("setvcpus DOM 16 --maximum --config", 1, "topology doesn't match the desired vcpu count"),
        ours("domain-xml DOM --maxvcpus 16 --apply", 0, "a maximum of 16 vCPUs instead of 8", "config 0 of 16"),
        "domain-xml adds sockets; boot vCPUs and channel come with it"),
    row("the option itself",
        virsh("setvcpus DOM 8 --maximum --config", 0),
        same(2, "unknown option --maximum: .*domain-xml DOMAIN --maxvcpus N --apply"), NAMED),
    row("vCPUs that can be unplugged after the next start",
        virsh("setvcpus DOM 3 --config --hotpluggable", 0, "", "config 0-2"),
        ours("setvcpu DOM 1-2 --enable --config", 0, "persistent configuration 3 of 8", "config 0-2")),
    row("the option itself",
        virsh("setvcpus DOM 1 --config --hotpluggable", 0),
        same(2, "unknown option --hotpluggable: .*domain-xml DOMAIN --apply"), NAMED),
    row("a vCPU",
        virsh("setvcpu DOM 5 --enable --config", 0, "", "config 0,5"),
        same(0, "persistent configuration 2 of 8", "config 0,5")),
    row("a list",
        virsh("setvcpu DOM 2-4,7,^3 --enable --config", 0, "", "config 0,2,4,7"),
        same(0, "persistent configuration 4 of 8", "config 0,2,4,7")),
    row("a list, excepting what stands before",
        virsh("setvcpu DOM 2-3,^2 --enable --config", 0, "", "config 0,3"),
        same(0, "persistent configuration 2 of 8", "config 0,3")),
    row("vCPUs that are disabled already",
        virsh("setvcpu DOM 2-5 --disable --config", 0),
        same(0, "persistent configuration 1 of 8")),
    row("a list that ends before it begins",
        virsh("setvcpu DOM 3-2 --enable --config", 1, "Failed to parse bitmap '3-2'"),
        same(2, "'3-2' is no list of vCPUs such as 2,4-7,\\^5")),
    row("a list of none",
        virsh("setvcpu DOM 1,^1 --enable --config", 1, "no vcpus selected for modification"),
        same(2, "'1,\\^1' is no list of vCPUs")),
    row("vCPU 0",
        virsh("setvcpu DOM 0 --disable --config", 1, "vCPU '0' can't be modified"),
        same(4, "vcpu 0 is the boot vCPU")),
    row("vCPU 0 in a list",
        virsh("setvcpu DOM 0-1 --enable --config", 1, "vCPU '0' can't be modified"),
        same(4, "vcpu 0 is the boot vCPU")),
    row("beyond the maximum",
        virsh("setvcpu DOM 8 --enable --config", 1, "vcpu 8 is not present in persistent config"),
        same(10, "DOM has no vcpu 8 in its persistent configuration: the maximum there is 8")),
    row("partly beyond the maximum",
        virsh("setvcpu DOM 7-8 --disable --config", 1, "vcpu 8 is not present in persistent config"),
        same(10, "has no vcpu 8 in its persistent configuration")),
    row("a vCPU without a word on which side",
        virsh("setvcpu DOM 1 --enable", 0, "", "config 0-1"),
        same(10, "domain DOM is not running, so only .* .--config."), ASKED),
    row("a vCPU of what is there now",
        virsh("setvcpu DOM 2,3 --enable --current", 0, "", "config 0,2-3"),
        same(0, "persistent configuration 3 of 8", "config 0,2-3")),
    row("a vCPU of the running domain",
        virsh("setvcpu DOM 6 --enable --live", 1, "domain is not running"),
        same(4, "domain DOM is not running")),
    row("both ways at once",
        virsh("setvcpu DOM 6 --enable --disable", 1, "--enable and --disable are mutually exclusive"),
        same(2, "only one of --enable, --disable or --standby can be given")),
    row("neither way",
        virsh("setvcpu DOM 6 --config", 1, "one of --enable, --disable is required"),
        same(2, "one of --enable, --disable or --standby is needed")),
    row("counted",
        virsh("vcpucount DOM", 0, "maximum +config +8\ncurrent +config +1"),
        same(10, "domain DOM is not running; its persistent configuration has 1 of 8 vCPUs"), LOOKS),
    row("counted in the guest",
        virsh("vcpucount DOM --guest", 1, "can only be requested for live domains"),
        ours("vcpucount DOM --online", 10, "domain DOM is not running")),
    row("seen in the guest",
        virsh("guestvcpus DOM", 1, "domain is not running"),
        ours("info DOM", 10, "domain DOM is not running")),
)  # fmt: skip

# Running at 2 of 8, the second plugged since; 1 of 8 in the configuration.
RUNNING = (
    row("a count",
        virsh("setvcpus DOM 4", 0, "", "live 0-3"),
        same(0, "DOM: done: 4 online, 0 standby, 4 present of 8", "live 0-3")),
    row("the same, said so",
        virsh("setvcpus DOM 3 --live", 0, "", "live 0-2"),
        same(0, "3 online", "live 0-2")),
    row("of what is there now: the running domain",
        virsh("setvcpus DOM 3 --current", 0, "", "live 0-2"),
        same(0, "3 online", "live 0-2")),
    row("down",
        virsh("setvcpus DOM 1", 0, "", "live 0"),
        same(0, "1 online", "live 0")),
    row("the count there is",
        virsh("setvcpus DOM 2", 0),
        same(0, "2 online")),
    row("the configuration alone",
        virsh("setvcpus DOM 3 --config", 0, "", "config 0-2"),
        same(0, "^DOM: done: persistent configuration 3 of 8$", "config 0-2")),
    row("both",
        virsh("setvcpus DOM 3 --live --config", 0, "", "live 0-2 config 0-2"),
        same(0, "3 online, .* persistent configuration 3 of 8", "live 0-2 config 0-2")),
    row("both, of which only one has to change",
        virsh("setvcpus DOM 2 --config --live", 0, "", "config 0-1"),
        same(0, "2 online, .* persistent configuration 2 of 8", "config 0-1")),
    row("by id",
        virsh("setvcpus ID 3", 0, "", "live 0-2"),
        same(0, "DOM: done: 3 online", "live 0-2")),
    row("by UUID",
        virsh("setvcpus UUID 3 --live", 0, "", "live 0-2"),
        same(0, "DOM: done: 3 online", "live 0-2")),
    row("by id, the configuration",
        virsh("setvcpus ID 3 --config", 0, "", "config 0-2"),
        same(0, "DOM: done", "config 0-2")),
    row("an id that nobody has",
        virsh("setvcpus 999 2", 1, "failed to get domain '999'"),
        same(10, "there is no domain 999")),
    row("a UUID that nobody has",
        virsh("setvcpus 00000000-0000-0000-0000-000000000001 2", 1, "failed to get domain"),
        same(10, "there is no domain 00000000-0000-0000-0000-000000000001")),
    row("above the maximum",
        virsh("setvcpus DOM 9", 1, "greater than max allowable vcpus for the live domain: 9 > 8"),
        same(4, "9 vCPUs asked, the domain's maximum is 8")),
    row("above the maximum of both",
        virsh("setvcpus DOM 9 --live --config", 1, "for the live domain: 9 > 8"),
        same(4, "9 vCPUs asked, the maximum in the persistent configuration of DOM is 8")),
    row("none",
        virsh("setvcpus DOM 0", 1, "Can't set 0 processors for a VM"),
        same(2, "'0' is no count")),
    row("--current beside another",
        virsh("setvcpus DOM 3 --current --live", 1, "--current and --live are mutually exclusive"),
        same(2, "--current and --live exclude each other")),
    row("a vCPU",
        virsh("setvcpu DOM 3 --enable", 0, "", "live 0-1,3"),
        same(0, "3 online", "live 0-1,3")),
    row("a vCPU in both",
        virsh("setvcpu DOM 4 --enable --config --live", 0, "", "live 0-1,4 config 0,4"),
        same(0, "3 online, .* persistent configuration 2 of 8", "live 0-1,4 config 0,4")),
    row("a vCPU that is there",
        virsh("setvcpu DOM 1 --enable", 1, "vcpu '1' is already in requested state"),
        same(0, "2 online"), IDEMPOTENT),
    row("a vCPU that is not",
        virsh("setvcpu DOM 3 --disable", 1, "vcpu '3' is already in requested state"),
        same(0, "2 online"), IDEMPOTENT),
    row("a list",
        virsh("setvcpu DOM 2-4,^3 --enable", 1, "only one hotpluggable entity can be selected"),
        same(0, "4 online", "live 0-2,4"), WHOLE),
    row("a list, of the configuration",
        virsh("setvcpu DOM 2-4,^3 --enable --config", 0, "", "config 0,2,4"),
        same(0, "persistent configuration 3 of 8", "config 0,2,4")),
    row("a vCPU away",
        virsh("setvcpu DOM 1 --disable --live", 0, "", "live 0"),
        same(0, "1 online", "live 0")),
    row("vCPU 0",
        virsh("setvcpu DOM 0 --disable", 1, "vcpu '0' can't be unplugged"),
        same(4, "vcpu 0 is the boot vCPU and stays online")),
    row("vCPU 0 in a list",
        virsh("setvcpu DOM 0-1 --disable", 1, "only one hotpluggable entity can be selected"),
        same(4, "vcpu 0 is the boot vCPU")),
    row("beyond the maximum",
        virsh("setvcpu DOM 8 --enable", 1, "vcpu 8 is not present in live config"),
        same(10, "DOM has no vcpu 8: its maximum is 8")),
    row("beyond every maximum",
        virsh("setvcpu DOM VCPU_MAX --enable", 1, "Failed to parse bitmap"),
        same(10, "no such vCPU: VCPU_MAX")),
    row("neither way",
        virsh("setvcpu DOM 3", 1, "one of --enable, --disable is required"),
        same(2, "one of --enable, --disable or --standby is needed")),
    row("out of use in the guest, and left plugged",
        virsh("setvcpus DOM 1 --guest", 1, "QEMU guest agent is not configured"),
        ours("setvcpus DOM 1 --standby 1", 0, "1 online, 1 standby, 2 present of 8"),
        "vcpuhp has an agent of its own"),
    row("the same of one vCPU",
        virsh("guestvcpus DOM --cpulist 1 --disable", 1, "QEMU guest agent is not configured"),
        ours("setvcpu DOM 1 --standby", 0, "1 online, 1 standby, 2 present of 8"),
        "vcpuhp has an agent of its own"),
    row("the option itself",
        virsh("setvcpus DOM 2 --guest", 1, "QEMU guest agent is not configured"),
        same(2, "unknown option --guest: .*--standby")),
    row("the command itself",
        virsh("guestvcpus DOM", 1, "QEMU guest agent is not configured"),
        same(2, "unknown command 'guestvcpus': .*setvcpu DOMAIN LIST.* --enable, --disable or --standby.*info DOMAIN")),
    row("seen in the guest",
        virsh("guestvcpus DOM", 1, "QEMU guest agent is not configured"),
        ours("info DOM", 0, "Online: +2\n.*1 +1 +44 +online"),
        "vcpuhp has an agent of its own"),
    row("counted",
        virsh("vcpucount DOM", 0, "maximum +live +8\ncurrent +config +1\ncurrent +live +2"),
        same(0, "maximum +8\npresent +2\nonline +2\nstandby +0")),
    row("the maximum, counted",
        virsh("vcpucount DOM --maximum", 0, "^8$"),
        same(0, "^8$")),
    row("what QEMU has, counted",
        virsh("vcpucount DOM --active --live", 0, "^2$"),
        ours("vcpucount DOM --present", 0, "^2$")),
    row("the option itself",
        virsh("vcpucount DOM --active", 0, "^2$"),
        same(2, "unknown option --active: .*--present"), NAMED),
    row("the configuration, counted",
        virsh("vcpucount DOM --active --config", 0, "^1$"),
        ours("vcpucount DOM --config", 2, "unknown option --config: .*the running domain that is counted.*virsh vcpucount DOMAIN --config"), LOOKS),
    row("what the guest has online, counted",
        virsh("vcpucount DOM --guest", 1, "QEMU guest agent is not configured"),
        ours("vcpucount DOM --online", 0, "^2$"),
        "vcpuhp has an agent of its own"),
)  # fmt: skip

# Running at 3 of 8, all there at boot and none hotpluggable; 3 of 8 in the configuration.
AT_BOOT = (
    row("fewer than can be unplugged",
        virsh("setvcpus DOM 2", 1, "failed to find appropriate hotpluggable vcpus"),
        same(4, "the rest was there at boot and cannot be unplugged")),
    row("one of them",
        virsh("setvcpu DOM 1 --disable", 1, "vcpu '1' can't be unplugged"),
        same(4, "vcpu 1 was there at boot and cannot be unplugged")),
    row("both, where the running domain cannot",
        virsh("setvcpus DOM 1 --live --config", 1, "failed to find appropriate hotpluggable vcpus"),
        same(4, "there at boot")),
    row("the configuration alone",
        virsh("setvcpus DOM 1 --config", 0, "", "config 0"),
        same(0, "persistent configuration 1 of 8", "config 0")),
    row("more",
        virsh("setvcpus DOM 4", 0, "", "live 0-3"),
        same(0, "4 online", "live 0-3")),
)  # fmt: skip

# Paused, 1 of 8 in both.
PAUSED = (
    row("a count",
        virsh("setvcpus DOM 2", 0, "", "live 0-1"),
        same(4, "the domain is paused.*resume"), GUEST),
    row("a vCPU",
        virsh("setvcpu DOM 2 --enable --live", 0, "", "live 0,2"),
        same(4, "the domain is paused"), GUEST),
    row("both",
        virsh("setvcpus DOM 3 --live --config", 0, "", "live 0-2 config 0-2"),
        same(4, "persistent configuration not changed\n.*the domain is paused"), GUEST),
    row("the configuration alone",
        virsh("setvcpus DOM 3 --config", 0, "", "config 0-2"),
        same(0, "persistent configuration 3 of 8", "config 0-2")),
    row("counted",
        virsh("vcpucount DOM --maximum --live", 0, "^8$"),
        ours("vcpucount DOM --maximum", 0, "^8$")),
)  # fmt: skip

# Running at 1 of 8 without ACPI: in the domain's XML, or in the guest's kernel alone.
NO_ACPI = (
    row("a count",
        virsh("setvcpus DOM 2", 0, "", "live 0-1"),
        same(4, "refused by guest.*the guest kernel cannot hotplug CPUs .ACPI is off"), GUEST),
    row("both",
        virsh("setvcpus DOM 2 --live --config", 0, "", "live 0-1 config 0-1"),
        same(4, "persistent configuration not changed.*ACPI is off"), GUEST),
    row("the configuration alone",
        virsh("setvcpus DOM 2 --config", 0, "", "config 0-1"),
        same(0, "persistent configuration 2 of 8", "config 0-1")),
)  # fmt: skip

# Running at 1 of 8, with the channel, but nobody in the guest is at its other end.
NO_AGENT = (
    row("a count",
        virsh("setvcpus DOM 2", 0, "", "live 0-1"),
        same(6, "no agent answers in the guest.*nothing was sent to QEMU"), GUEST),
    row("both",
        virsh("setvcpus DOM 2 --live --config", 0, "", "live 0-1 config 0-1"),
        same(6, "persistent configuration not changed\n.*no agent answers"), GUEST),
    row("the configuration alone",
        virsh("setvcpus DOM 2 --config", 0, "", "config 0-1"),
        same(0, "persistent configuration 2 of 8", "config 0-1")),
    row("what the guest has online, counted",
        virsh("vcpucount DOM --guest", 1, "QEMU guest agent is not configured"),
        ours("vcpucount DOM --online", 6, "is not known: no agent is connected")),
)  # fmt: skip

# Running at 1 of 8 without the channel.
NO_CHANNEL = (
    row("a count",
        virsh("setvcpus DOM 2", 0, "", "live 0-1"),
        same(10, "DOM runs without the channel org.vcpuhp.agent.0, so only its persistent .*--config"), GUEST),
    row("both",
        virsh("setvcpus DOM 2 --live --config", 0, "", "live 0-1 config 0-1"),
        same(4, "DOM runs without the channel"), GUEST),
    row("the configuration alone",
        virsh("setvcpus DOM 2 --config", 0, "", "config 0-1"),
        same(0, "persistent configuration 2 of 8", "config 0-1")),
    row("counted",
        virsh("vcpucount DOM --active --live", 0, "^1$"),
        ours("vcpucount DOM", 10, "DOM runs without the channel org.vcpuhp.agent.0"), LOOKS),
)  # fmt: skip

# Running at 1 of 8 and transient.
TRANSIENT = (
    row("the configuration",
        virsh("setvcpus DOM 2 --config", 1, "transient domains do not have any persistent config"),
        same(4, "DOM is a transient domain: it has no persistent configuration")),
    row("both",
        virsh("setvcpus DOM 2 --live --config", 1, "transient domains do not have any persistent config"),
        same(4, "DOM is a transient domain")),
    row("what is there now",
        virsh("setvcpus DOM 2 --current", 0, "", "live 0-1"),
        same(0, "2 online", "live 0-1")),
)  # fmt: skip

# Running at 2 of 8; the guest refuses to let go of any.
REFUSING = (
    row("down, both",
        virsh("setvcpus DOM 1 --live --config", 1, "vcpu unplug request timed out"),
        same(4, "refused by guest.*the guest refused to let go of it")),
)  # fmt: skip

# Shut off, 1 of 8; virsh -r, and a vcpuhpd whose URI= is libvirt's socket for readers.
READ_ONLY = (
    row("the configuration",
        virsh("-r setvcpus DOM 2 --config", 1, "read only access prevents virDomainSetVcpusFlags"),
        ours("setvcpus DOM 2 --config", 7, "libvirt does not permit it: .*read only access")),
    row("a vCPU",
        virsh("-r setvcpu DOM 2 --enable --config", 1, "read only access prevents virDomainSetVcpu"),
        ours("setvcpu DOM 2 --enable --config", 7, "libvirt does not permit it: .*read only access")),
)  # fmt: skip

# The same, running.
READ_ONLY_RUNNING = (
    row("a count",
        virsh("-r setvcpus DOM 2", 1, "read only access prevents virDomainSetVcpus"),
        ours("setvcpus DOM 2", 7, "DOM runs, but libvirt does not permit vcpuhpd to manage it: .*read only access")),
    row("both",
        virsh("-r setvcpus DOM 2 --live --config", 1, "read only access prevents virDomainSetVcpusFlags"),
        ours("setvcpus DOM 2 --live --config", 7, "libvirt does not permit vcpuhpd")),
    row("counted",
        virsh("-r vcpucount DOM --active --live", 0, "^1$"),
        ours("vcpucount DOM", 7, "libvirt does not permit vcpuhpd"), "without libvirt's events it does not manage it"),
)  # fmt: skip

# Running at 2 of 8; virsh -r, and the vcpuhpctl of a user in no group of Operators=.
MAY_LOOK = (
    row("a count",
        virsh("-r setvcpus DOM 3", 1, "read only access prevents virDomainSetVcpus"),
        ours("setvcpus DOM 3", 7, "SetVcpus needs a group of Operators=")),
    row("a vCPU in the configuration",
        virsh("-r setvcpu DOM 3 --enable --config", 1, "read only access prevents virDomainSetVcpu"),
        ours("setvcpu DOM 3 --enable --config", 7, "SetTarget needs a group of Operators=")),
    row("counted",
        virsh("-r vcpucount DOM --active --live", 0, "^2$"),
        ours("vcpucount DOM --present", 0, "^2$")),
)  # fmt: skip

# Running at 2 of 8; libvirtd has been killed.
LIBVIRTD_AWAY = (
    row("counted",
        virsh("vcpucount DOM --active --live", 1, "failed to connect to the hypervisor"),
        ours("vcpucount DOM --online", 0, "^2$"), "the VM, its agent and vcpuhpd are still there"),
    row("the configuration",
        virsh("setvcpus DOM 3 --config", 1, "failed to connect to the hypervisor"),
        same(1, "libvirtd cannot be reached.*the persistent configuration was not changed")),
    row("both",
        virsh("setvcpus DOM 3 --live --config", 1, "failed to connect to the hypervisor"),
        same(1, "libvirtd cannot be reached.*the persistent configuration was not changed")),
    row("a count, for a second",
        virsh("setvcpus DOM 3", 1, "failed to connect to the hypervisor"),
        ours("setvcpus DOM 3 --timeout 1", 11, "QEMU could not be reached in time: libvirtd ended the connection")),
    row("a name that nobody has",
        virsh("setvcpus nobody 3", 1, "failed to connect to the hypervisor"),
        same(10, "there is no domain nobody among those of vcpuhpd, and libvirt cannot be asked")),
)  # fmt: skip

# The same; another libvirtd has been started just now.
LIBVIRTD_RESTARTED = (
    row("a count, at once",
        virsh("setvcpus DOM 3 --live", 0, "", "live 0-2"),
        same(0, "3 online", "live 0-2")),
    row("the configuration",
        virsh("setvcpus DOM 3 --config", 0, "", "config 0-2"),
        same(0, "persistent configuration 3 of 8", "config 0-2")),
    row("by id, both",
        virsh("setvcpus ID 1 --live --config", 0, "", "live 0"),
        same(0, "1 online, .* persistent configuration 1 of 8", "live 0")),
    row("a vCPU that is there",
        virsh("setvcpu DOM 1 --enable", 1, "vcpu '1' is already in requested state"),
        same(0, "2 online"), IDEMPOTENT),
)  # fmt: skip

ALL = (SHUT_OFF + RUNNING + AT_BOOT + PAUSED + NO_ACPI + NO_AGENT + NO_CHANNEL + TRANSIENT + REFUSING
       + READ_ONLY + READ_ONLY_RUNNING + MAY_LOOK + LIBVIRTD_AWAY + LIBVIRTD_RESTARTED)  # fmt: skip
