#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""doctor: what is missing for setvcpus on libvirt's domains, managed or not, running or shut off."""

import signal
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from libvirtd import Domain, LibvirtDaemon
from lvscene import Scene, own, prepare, shared
from scene import done
from tap import case, equal, matches
from vm import wait_for

NOVA = "<n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'><n:name>x</n:name></n:instance>"
OSINFO = "<i:libosinfo xmlns:i='http://libosinfo.org/xmlns/libvirt/domain/1.0'/>"


def doctor(d, *words, exit_status):
    """{check: finding}."""
    a = d.ctl("doctor", *words)
    equal(a.exit, exit_status, "%s" % a)
    equal(any(f["severity"] == "error" for f in a.lines), exit_status == 4)
    return {f["check"]: f for f in a.lines}


def severities(found, *checks):
    return [found[c]["severity"] if c in found else None for c in checks]


def edit(dom, before, after):
    """Another configuration, in a file of its own."""
    text = dom.lv.virsh("dumpxml", dom.name, "--inactive").out
    assert before in text, text
    path = dom.path("edited-%d.xml" % len(after))
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace(before, after))
    return path


@case()
def a_domain_without_the_channel_shut_off_and_running():
    with Domain(shared(), name="bare", channel=False, current=2) as dom, LibvirtDaemon(dom, shared()) as d:
        found = doctor(d, "bare", exit_status=4)
        equal(severities(found, "domain", "channel", "maximum", "boot-vcpus", "permission", "hypervisor"),
              ["error", "error", "ok", "warning", "ok", None])  # fmt: skip
        matches("bare is shut off: only its configuration", found["domain"]["text"])
        equal(found["channel"]["advice"], "vcpuhpctl domain-xml bare --apply, then start it")
        equal(found["maximum"]["text"], "2 of 8 vCPUs")
        matches("libvirt [0-9.]+; no agent heard", found["versions"]["text"])
        unknown = d.ctl("doctor", "nobody")
        equal((unknown.exit, unknown.result["error"]["text"]), (10, "there is no domain nobody"))
        dom.lv.virsh("start", "bare")
        found = doctor(d, "bare", exit_status=4)
        equal(severities(found, "domain", "channel"), ["ok", "error"])
        equal(found["channel"]["advice"],
              "vcpuhpctl domain-xml bare --apply, then shut it down and start it again")  # fmt: skip
        # What is advised helps, and is not advised again.
        equal(d.ctl("domain-xml", "bare", "--apply", "--maxvcpus", 16).exit, 0)
        found = doctor(d, "bare", exit_status=4)
        matches("configuration has it already: shut it down and start", found["channel"]["advice"])
        matches("the maximum is 8 now, and 16 from its next start", found["configuration"]["text"])
        dom.lv.virsh("destroy", "bare")
        found = doctor(d, "bare", exit_status=4)
        equal(severities(found, "channel", "boot-vcpus"), ["ok", None])
        dom.lv.virsh("start", "bare")
        wait_for(lambda: d.ctl("info", "bare").exit == 0, 10, "the daemon to find it")
        found = doctor(d, "bare", exit_status=4)
        # libvirt's own folder for sockets is seen by its private libvirtd alone.
        equal(severities(found, "hypervisor", "domain", "channel", "agent", "boot-vcpus"),
              ["ok", "ok", "error", None, "ok"])  # fmt: skip
        matches("the agent's channel at /(var/lib|run)/libvirt/qemu/channel/.* is not there", found["channel"]["text"])


@case()
def with_an_agent_all_is_well_up_to_the_maximum():
    with Scene(maximum=2) as (dom, guest, d):
        for word in (dom.name, dom.uuid(), dom.id()):
            found = doctor(d, word, exit_status=0)
            equal(severities(found, "hypervisor", "domain", "channel", "agent", "guest-kernel", "maximum",
                             "boot-vcpus", "firmware", "permission", "drift", "owner", "configuration"),
                  ["ok"] * 10 + [None] * 2)  # fmt: skip
        done(d.setvcpus(2), present=2, online=2)
        found = doctor(d, dom.name, exit_status=0)
        equal(severities(found, "maximum"), ["warning"])
        matches("only a way down", found["maximum"]["text"])
        equal(found["maximum"]["advice"], "vcpuhpctl domain-xml kq --maxvcpus N --apply, and a fresh start")
        dom.lv.virsh("suspend", dom.name)
        wait_for(lambda: d.info()["status"] == "paused", 10, d.brief)
        found = doctor(d, dom.name, exit_status=4)
        equal(found["domain"]["advice"], "virsh resume kq")
        dom.lv.virsh("resume", dom.name)


@case()
def with_the_channel_but_no_agent_and_owned_by_another_manager():
    with Domain(shared(), name="nova1") as dom, LibvirtDaemon(dom, shared()) as d:
        metadata = "<metadata>%s%s<x:y xmlns:x='urn:z'/></metadata>" % (OSINFO, NOVA)
        dom.lv.virsh("define", edit(dom, "<memory ", metadata + "<memory "))
        dom.start(holds=[d], agent=False)
        wait_for(lambda: d.ctl("info", "nova1").exit == 0, 10, "the daemon to find it")
        wait_for(lambda: d.info()["agent"]["why"] == "no agent has answered", 10, d.brief)
        found = doctor(d, "nova1", exit_status=4)
        equal(severities(found, "hypervisor", "channel", "agent", "guest-kernel"), ["ok", "ok", "error", "note"])
        equal([f["check"] for f in found.values() if f["severity"] == "error"], ["agent"])
        owners = [f for f in d.ctl("doctor", "nova1").lines if f["check"] == "owner"]
        equal([f["severity"] for f in owners], ["warning", "note"])
        matches("the domain is OpenStack Nova's: .* its accounting, quota", owners[0]["text"])
        matches(r"\(urn:z\)", owners[1]["text"])


@case()
def firmware_with_smm_and_a_transient_domain():
    with Domain(shared(), name="fw", channel=False) as dom, LibvirtDaemon(dom, shared()) as d:
        plain = edit(dom, "<acpi/>", "<acpi/>")
        equal(severities(doctor(d, "fw", exit_status=4), "firmware"), ["ok"])
        dom.lv.virsh("define", edit(dom, "<acpi/>", "<acpi/><smm state='on'/>"))
        found = doctor(d, "fw", exit_status=4)
        equal(severities(found, "firmware"), ["note"])
        matches("one by one.*SMM or a secure loader", found["firmware"]["text"])
        dom.lv.virsh("define", edit(dom, "<acpi/>", ""))
        found = doctor(d, "fw", exit_status=4)
        matches("it is configured without ACPI", found["acpi"]["text"])
        equal(found["acpi"]["advice"], "vcpuhpctl domain-xml fw --apply, and a fresh start")
        dom.lv.virsh("undefine", "fw")
        dom.lv.virsh("create", plain)
        found = doctor(d, "fw", exit_status=4)
        equal(severities(found, "domain", "channel", "maximum", "acpi"), ["ok", "error", "ok", None])
        matches("it is a transient domain: make it anew", found["channel"]["advice"])


@case()
def libvirt_that_is_not_there_is_told_of():
    with own() as lv, Domain(lv) as dom, LibvirtDaemon(dom, lv) as d:
        wait_for(lambda: doctor_libvirt(d) == "ok", 20, "the connection")
        equal(severities(doctor(d, exit_status=0), "libvirt"), ["ok"])
        lv.process.kill(signal.SIGSTOP)
        try:
            found = doctor(d, "kq", exit_status=4)
        finally:
            lv.process.kill(signal.SIGCONT)
        matches("libvirt has not answered in time", found["libvirt"]["text"])
        lv.kill()
        wait_for(lambda: doctor_libvirt(d) == "error", 10, "the loss")
        found = doctor(d, exit_status=4)
        matches("^not connected: ", found["libvirt"]["text"])
        found = doctor(d, "kq", exit_status=4)
        matches("libvirt could not be asked about its configuration: libvirtd cannot be reached",
                found["libvirt"]["text"])  # fmt: skip
        lv.start()
        wait_for(lambda: doctor_libvirt(d) == "ok", 10, "the connection")


def doctor_libvirt(d):
    return {f["check"]: f["severity"] for f in d.ctl("doctor").lines}["libvirt"]


if __name__ == "__main__":
    tap.main(before=prepare)
