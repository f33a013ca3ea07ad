#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""--live, --config and --current where more than one command line has to do with it; see virsh_table.py."""

import os
import re
import signal
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import tap
from libvirtd import Domain, LibvirtDaemon
from lvscene import Scene, all_agree, own, prepare, shared
from scene import done, result
from tap import case, equal, matches
from vm import wait_for


def inactive(dom):
    return dom.lv.virsh("dumpxml", dom.name, "--inactive").out


def vcpus(dom):
    """What the persistent configuration says of vCPUs, as libvirt writes it."""
    return re.findall(r"<vcpus?\b[^>]*>|(?<=>)\d+(?=</vcpu>)", inactive(dom))


def configured(answer, present, maximum=8):
    """A success that has changed the configuration, and nothing else."""
    done(answer)
    equal(answer.result["config"],
          {"result": "done", "present": present, "maximum": maximum, "error": None}, "%s" % answer)  # fmt: skip
    return answer


def error(answer, exit_status, pattern):
    """No operation, no result: an error of the request."""
    equal(answer.exit, exit_status, "%s" % answer)
    matches(pattern, answer.result["error"]["text"])
    return answer


@case()
def a_name_an_id_and_a_uuid_are_one_configuration():
    with Scene() as (dom, guest, d), Domain(shared(), name="off") as off:
        words = (dom.name, dom.id(), dom.uuid(), dom.uuid().upper())
        for n, word in enumerate(words, 2):
            configured(d.ctl("setvcpus", word, n, "--config"), n)
        equal(vcpus(dom)[1], "8")
        equal(dom.vcpucount(), 1)
        for n, word in enumerate((off.name, off.uuid(), off.uuid().upper()), 2):
            equal(configured(d.ctl("setvcpus", word, n, "--config"), n).result["domain"], "off")
        for word in ("0", "99", "00000000-0000-0000-0000-000000000001", "kq2"):
            error(d.ctl("setvcpus", word, 2, "--config"), 10, "there is no domain")
            error(d.ctl("setvcpus", word, 2), 10, "there is no domain")


@case()
def both_are_changed_where_both_are_asked():
    with Scene() as (dom, guest, d):
        a = configured(d.setvcpus(3, "--live", "--config"), 3)
        equal((a.result["present"], a.result["online"], a.result["op"] is None), (3, 3, False))
        all_agree(dom, d, [0, 1, 2])
        configured(d.setvcpu("4", "--enable", "--config", "--live"), 4)
        assert "<vcpu id='4' enabled='yes' hotpluggable='yes'/>" in vcpus(dom), vcpus(dom)
        configured(d.setvcpu("4", "--disable", "--config", "--live"), 3)
        configured(d.setvcpus(1, "--config", "--live"), 1)
        all_agree(dom, d, [0])


@case()
def the_configuration_is_left_alone_unless_it_is_asked_for():
    with Scene() as (dom, guest, d):
        before = inactive(dom)
        done(d.setvcpus(3), present=3, online=3)
        done(d.setvcpus(4, "--live"), present=4, online=4)
        done(d.setvcpus(2, "--current"), present=2, online=2)
        a = done(d.setvcpu("3", "--enable", "--live"), present=3, online=3)
        assert "config" not in a.result, a
        equal(d.setvcpus(5, "--config", "--dry-run").result["config"], {"from": 1, "to": 5, "maximum": 8})
        a = d.setvcpus(5, "--config", "--live", "--dry-run")
        equal((a.exit, [m["vcpu"] for m in a.result["plan"]], a.result["config"]["to"]), (0, [2, 4], 5))
        a = d.setvcpus(9, "--config", "--dry-run")
        equal((a.exit, len(a.result["refusals"])), (4, 1))
        equal(inactive(dom), before)


@case()
def what_is_wrong_with_either_is_told_before_anything_is_done():
    with Scene(2) as (dom, guest, d):
        before = inactive(dom)
        a = result(d.setvcpus(9, "--live", "--config"), 4, "refused")
        equal((a.result["refused_by"], a.result["config"]["result"]), ("limit", "skipped"))
        error(d.setvcpu("9", "--enable", "--live", "--config"), 10, "no vcpu 9")
        # The running domain refuses, so the configuration is not touched.
        guest.mode = "refuse"
        a = result(d.setvcpus(1, "--live", "--config"), 4, "refused")
        equal((a.result["refused_by"], a.result["config"]["result"]), ("guest", "skipped"))
        guest.mode = "accept"
        dom.lv.virsh("suspend", dom.name)
        result(d.setvcpus(3, "--live", "--config"), 4, "refused")
        configured(d.setvcpus(1, "--config"), 1)
        dom.lv.virsh("resume", dom.name)
        equal(inactive(dom), before)


@case()
def a_transient_domain_has_no_configuration():
    with Scene() as (dom, guest, d):
        dom.lv.virsh("undefine", dom.name)
        error(d.setvcpus(2, "--config"), 4, "transient")
        a = result(d.setvcpus(2, "--config", "--live"), 4, "refused")
        matches("transient", a.result["error"])
        error(d.setvcpu("2", "--enable", "--config"), 4, "transient")
        equal(dom.lv.virsh("setvcpus", dom.name, 2, "--config", check=False).exit, 1)
        all_agree(dom, d, [0])
        done(d.setvcpus(2, "--current"), present=2, online=2)


@case()
def a_running_domain_without_the_channel_has_a_configuration():
    with Scene() as (dom, guest, d), Domain(shared(), name="bare", channel=False) as bare:
        bare.start(agent=False)
        before = inactive(bare)
        for options in (("--live",), ("--current",), ("--live", "--config")):
            error(d.ctl("setvcpus", "bare", 2, *options), 4, "without the channel")
        error(d.ctl("setvcpus", "bare", 2), 10, "without the channel")
        equal(inactive(bare), before)
        configured(d.ctl("setvcpus", bare.id(), 2, "--config"), 2)
        equal(bare.vcpucount(), 1)


@case()
def ceilings_and_words_that_a_configuration_does_not_know():
    with Scene(sections="[Domain kq]\nMaxVcpus=3\n") as (dom, guest, d):
        before = inactive(dom)
        error(d.setvcpus(4, "--config"), 4, "MaxVcpus= is 3")
        error(d.setvcpu("1-3", "--enable", "--config"), 4, "MaxVcpus= is 3")
        for words in (("setvcpus", "kq", 2, "--standby", 1), ("setvcpu", "kq", 1, "--standby")):
            a = d.ctl(*words, "--config")
            equal(a.exit, 2, "%s" % a)
            matches("--config and --standby exclude each other", a.err)
        equal(inactive(dom), before)
        configured(d.setvcpus(3, "--config"), 3)


@case()
def who_may_not_change_a_domain_may_not_change_its_configuration():
    sections = "[Domain off]\nAllow=root\n"
    with Domain(shared(), name="off") as off, Domain(shared(), name="free") as free, \
            LibvirtDaemon(free, shared(), sections, daemon={"Operators": "nogroup"}) as d:  # fmt: skip
        before = inactive(off), inactive(free)
        for word, option in (("off", "--config"), (off.uuid(), "--config"), (off.uuid(), "--current")):
            equal(d.ctl_as_nobody("setvcpus", word, 2, option).exit, 7, word)
        equal((inactive(off), inactive(free)), before)
        equal(d.ctl_as_nobody("setvcpus", "free", 2, "--config").exit, 0)
        configured(d.ctl("setvcpus", "off", 2, "--config"), 2)


@case()
def a_libvirtd_that_is_away_changes_nothing():
    with own() as lv, Scene(2, lv=lv) as (dom, guest, d), Domain(lv, name="off") as off:
        lv.kill()
        error(d.ctl("setvcpus", "off", 2, "--config"), 1, "libvirtd cannot be reached.*was not changed")
        a = d.setvcpus(3, "--live", "--config")
        error(a, 1, "libvirtd cannot be reached.*was not changed")
        error(d.ctl("setvcpus", "nobody", 2), 10, "there is no domain")
        lv.start()
        configured(d.ctl("setvcpus", "off", 2, "--config"), 2)
        wait_for(lambda: d.info()["status"] == "running", 10, d.brief)
        all_agree(dom, d, [0, 1])
        configured(d.setvcpus(3, "--live", "--config"), 3)


@case()
def what_fails_after_the_running_domain_has_it_is_partial():
    with Scene(3) as (dom, guest, d):
        guest.mode = "late"
        asking = d.begin("setvcpus", dom.name, 2, "--live", "--config")
        wait_for(lambda: guest.in_progress == {2}, 5, "the request at the guest")
        dom.lv.virsh("undefine", dom.name)
        guest.eject(2)
        a = result(asking.wait(20), 3, "partial")
        matches("the running domain has what was asked; libvirt refuses: .*persistent", a.result["error"])
        equal((a.result["config"]["result"], a.result["present"], a.vcpu(2)["result"]), ("failed", 2, "ok"))
        guest.mode = "accept"
        all_agree(dom, d, [0, 1])
        equal(d.ctl("wait", a.result["op"]).exit, 3)
        text = d.ctl("op", a.result["op"], json_output=False).out
        matches("; persistent configuration failed\n", text)


@case(deadline=90)
def a_libvirtd_lost_between_the_two_is_told():
    with own() as lv, Scene(2, lv=lv) as (dom, guest, d):
        before = inactive(dom)
        # The guest lets go when libvirtd is not there any more to hear of it.
        guest.mode = "late"
        asking = d.begin("setvcpus", dom.name, 1, "--live", "--config")
        wait_for(lambda: guest.in_progress == {1}, 5, "the request at the guest")
        lv.kill()
        guest.eject(1)
        guest.mode = "accept"
        lv.start()
        a = asking.wait(40)
        # In time or not, it says what is there.
        if a.exit == 0:
            equal(a.result["config"]["present"], 1)
        else:
            result(a, 3, "partial")
            matches("the running domain has what was asked", a.result["error"])
            assert a.result["config"]["result"] in ("failed", "unknown"), a
            equal(inactive(dom), before)
        all_agree(dom, d, [0])


@case(deadline=90)
def a_libvirtd_that_hangs_is_not_waited_for_past_the_deadline():
    with own() as lv, Scene(2, lv=lv) as (dom, guest, d), Domain(lv, name="off") as off:
        lv.process.kill(signal.SIGSTOP)
        try:
            error(d.ctl("setvcpus", "off", 2, "--config", "--timeout", 1), 5, "has not answered in time")
            a = error(d.ctl("setvcpus", "nobody", 2), 10, "there is no domain nobody")
            assert a.ms < 4000, a
            a = result(d.setvcpus(3, "--live", "--config", "--timeout", 1), 1, "failed")
            matches("has not told the persistent configuration in time", a.result["error"])
        finally:
            lv.process.kill(signal.SIGCONT)
        wait_for(lambda: d.ctl("setvcpus", "off", 3, "--config").exit == 0, 30, "libvirtd")
        all_agree(dom, d, [0, 1])


@case()
def a_late_change_does_not_undo_a_newer_one():
    with Scene(2) as (dom, guest, d):
        events = d.begin("events", dom.name, "--timeout", 30)
        guest.mode = "ignore"
        other = dom.lv.begin("setvcpus", dom.name, 1, "--live")
        wait_for(lambda: guest.registers.flags(1) & 4, 5, "virsh's request, which holds the domain")
        # Newer libvirt lets the configuration wait already when it is looked at, before it is changed.
        late = error(d.setvcpus(5, "--config", "--timeout", 1), 5, "still change the pers|was not changed")
        asked = [5] if "it may still change the persistent" in late.result["error"]["text"] else []
        error(d.setvcpus(6, "--config", "--timeout", 1), 5,
              "an earlier change in time; .* was not changed" if asked else "was not changed")  # fmt: skip
        configured(d.setvcpus(3, "--config"), 3)
        equal(vcpus(dom)[-1], "8")
        assert "current='3'" in vcpus(dom)[0], vcpus(dom)
        other.communicate()
        # What virsh asked for is done late, and not beside the next.
        guest.mode = "accept"
        wait_for(lambda: d.counts() == (1, 1, 0), 5, d.brief)
        configured(d.setvcpus(4, "--config", "--live", "--op-id", "both"), 4)
        events.until("has 4 of 8 vCPUs")
        events.interrupt()
        told = [(e["op"], e["text"]) for e in events.wait().lines if e["type"] == "config"]
        equal(told, [(op, "the persistent configuration has %d of 8 vCPUs, for uid %d" % (n, os.geteuid()))
                     for op, n in [(None, n) for n in asked + [3]] + [("both", 4)]])  # fmt: skip


@case()
def libvirt_answers_a_daemon_that_is_stopping():
    """What is freed is scribbled on, so whoever still uses it does not get far."""
    with Domain(shared()) as dom:
        dom.start()
        with LibvirtDaemon(dom, dom.lv, env={"MALLOC_PERTURB_": "165"}) as d:
            d.wait_listed()
            d.wait_idle_online(1)
            done(d.setvcpus(2), present=2, online=2)
            dom.guest.mode = "ignore"
            other = dom.lv.begin("setvcpus", dom.name, 1, "--live")
            wait_for(lambda: dom.guest.registers.flags(1) & 4, 5, "virsh's request, which holds the domain")
            late = error(d.setvcpus(5, "--config", "--timeout", 1), 5, "still change the pers|was not changed")
            d.process.kill(signal.SIGTERM)
            wait_for(lambda: not os.path.exists(d.socket), 5, "the daemon's end")
            dom.guest.eject(1)
            equal(d.process.popen.wait(5), 0, d.text())
            if "it may still change the persistent" in late.result["error"]["text"]:
                matches("the persistent configuration has 5 of 8 vCPUs", d.text())
            other.communicate()


@case()
def the_operation_remembers_both():
    with Scene() as (dom, guest, d):
        a = d.setvcpus(2, "--live", "--config", "--no-wait", "--op-id", "both")
        equal((a.exit, a.result["result"]), (0, "accepted"), "%s" % a)
        configured(d.ctl("wait", "both"), 2)
        equal(d.ctl("op", "both").result["config"]["result"], "done")
        again = configured(d.setvcpus(2, "--live", "--config", "--op-id", "both"), 2)
        equal(again.result["op"], "both")
        equal(d.setvcpus(2, "--op-id", "both").exit, 8, "the same id, and another wish")
        text = d.ctl("setvcpus", dom.name, 3, "--config", json_output=False).out
        equal(text, "kq: done: persistent configuration 3 of 8\n")
        text = d.ctl("setvcpus", dom.name, 3, "--config", "--live", json_output=False).out
        equal(text, "kq: done: 3 online, 0 standby, 3 present of 8; persistent configuration 3 of 8\n")


if __name__ == "__main__":
    tap.main(before=prepare)
