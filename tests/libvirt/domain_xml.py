#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""domain-xml: what a configuration lacks, told, and defined so that libvirt takes it."""

import re
import sys
from xml.etree import ElementTree

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from libvirtd import Domain, LibvirtDaemon
from lvscene import Scene, prepare, shared
from tap import case, equal, matches
from vm import wait_for

CHANNEL = "the channel org.vcpuhp.agent.0, by which vcpuhpd speaks to the agent"


def inactive(dom, *options):
    return dom.lv.virsh("dumpxml", dom.name, "--inactive", *options).out


def bare(**more):
    """A domain that has nothing of what vcpuhp needs but its ACPI."""
    return Domain(shared(), name="bare", channel=False, **more)


def ask(d, dom, *options, exit_status=0):
    answer = d.ctl("domain-xml", dom.name, *options)
    equal(answer.exit, exit_status, "%s" % answer)
    return answer.result


@case()
def what_a_domain_lacks_is_told_and_nothing_changed():
    with bare(current=2) as dom, LibvirtDaemon(dom, shared()) as d:
        before = inactive(dom)
        told = ask(d, dom)
        equal(told["changes"], [CHANNEL, "1 of the vCPUs it starts with can be unplugged, as they could not"])
        equal((told["domain"], told["obstacles"]), ("bare", []))
        equal(inactive(dom), before)
        plain = d.ctl("domain-xml", "bare", json_output=False)
        equal((plain.exit, plain.out), (0, told["xml"]))
        matches("bare: needs: the channel org.vcpuhp.agent.0", plain.err)
        # libvirt takes what was printed as it is.
        path = dom.path("advised.xml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(plain.out)
        dom.lv.virsh("define", path)
        equal(ask(d, dom)["changes"], [])


@case()
def applied_it_is_found_at_its_next_start_and_its_vcpus_move():
    with bare(maximum=4, current=2) as dom, LibvirtDaemon(dom, shared()) as d:
        done = ask(d, dom, "--apply", "--maxvcpus", 8)
        equal(done["changes"], [CHANNEL, "a maximum of 8 vCPUs instead of 4",
                                "1 of the vCPUs it starts with can be unplugged, as they could not"])  # fmt: skip
        assert "xml" not in done, done
        equal(ask(d, dom, "--apply")["changes"], [], "a second time")
        matches("a socket of its topology has 4 vCPUs", ask(d, dom, "--maxvcpus", 10)["obstacles"][0])
        before = inactive(dom)
        error = ask(d, dom, "--apply", "--maxvcpus", 10, exit_status=4)["error"]["text"]
        matches("a socket of its topology has 4 vCPUs, of which 10 is no multiple", error)
        equal(inactive(dom), before, "what was asked for cannot be had, so nothing is done")
        xml = ElementTree.fromstring(inactive(dom))
        equal((xml.find("vcpu").text, xml.find("vcpu").get("current")), ("8", "2"))
        dom.lv.virsh("start", dom.name)
        wait_for(lambda: d.ctl("info", dom.name).exit == 0, 10, "the daemon to find it")
        info = d.ctl("info", dom.name).result
        equal((info["maximum"], info["present"]), (8, 2))
        assert not info["vcpus"][0]["owned"] and info["hypervisor"] == "libvirt", info


@case()
def of_a_running_domain_only_the_configuration_is_changed():
    with bare() as dom, LibvirtDaemon(dom, shared()) as d:
        dom.lv.virsh("start", dom.name)
        live = dom.lv.virsh("dumpxml", dom.name).out
        ask(d, dom, "--apply", "--maxvcpus", 16)
        equal(dom.lv.virsh("dumpxml", dom.name).out, live)
        equal(ElementTree.fromstring(inactive(dom)).find("vcpu").text, "16")


@case()
def by_id_uuid_and_name_also_one_that_the_daemon_manages():
    with Scene() as (dom, _guest, d):
        for word in (dom.name, dom.uuid(), dom.id()):
            answer = d.ctl("domain-xml", word)
            equal((answer.exit, answer.result["domain"], answer.result["changes"]), (0, dom.name, []))


@case()
def secrets_are_kept_and_not_told():
    with bare() as dom, LibvirtDaemon(dom, shared()) as d:
        text = inactive(dom).replace(
            "</devices>", "<graphics type='vnc' port='-1' listen='127.0.0.1' passwd='sesame'/></devices>")
        with open(dom.path("secret.xml"), "w", encoding="utf-8") as f:
            f.write(text)
        dom.lv.virsh("define", dom.path("secret.xml"))
        assert "sesame" not in ask(d, dom)["xml"]
        ask(d, dom, "--apply")
        matches("sesame", inactive(dom, "--security-info"))


@case()
def what_cannot_be_says_why():
    with bare(maximum=4) as dom, LibvirtDaemon(dom, shared()) as d:
        with open(dom.path("domain.xml"), encoding="utf-8") as f:
            text = f.read()
        with open(dom.path("pc.xml"), "w", encoding="utf-8") as f:
            f.write(text.replace("machine='q35'", "machine='pc'"))
        dom.lv.virsh("undefine", "bare")
        dom.lv.virsh("define", dom.path("pc.xml"))
        before = inactive(dom)

        def error(*words):
            answer = d.ctl("domain-xml", *words)
            return answer.exit, answer.result["error"]["text"] if answer.exit else ""

        equal(error("nobody"), (10, "there is no domain nobody"))
        equal(error("bare", "--maxvcpus", "0")[0], 2)
        # Of libvirt's own mind: QEMU's machine cannot have so many. (Newer ones' q35 can.)
        status, why = error("bare", "--apply", "--maxvcpus", "4000")
        equal(status, 4)
        matches("libvirt refuses: .*machine type limit", why)
        equal(inactive(dom), before)
        transient = re.sub(r"<name>bare</name>", "<name>passing</name>", text)
        with open(dom.path("transient.xml"), "w", encoding="utf-8") as f:
            f.write(transient)
        dom.lv.virsh("create", dom.path("transient.xml"))
        try:
            equal(error("passing"), (4, "passing is a transient domain: it has no persistent configuration"))
        finally:
            dom.lv.virsh("destroy", "passing")


@case()
def who_may_not_change_may_look():
    with bare() as dom, LibvirtDaemon(dom, shared()) as d:
        before = inactive(dom)
        equal(d.ctl_as_nobody("domain-xml", "bare").exit, 0)
        equal(d.ctl_as_nobody("domain-xml", "bare", "--apply").exit, 7)
        equal(inactive(dom), before)


if __name__ == "__main__":
    tap.main(before=prepare)
