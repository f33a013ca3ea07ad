#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual says what the programs do: held against their own tables and their --help, and each comparison
shown to notice what is missing, stale, or has another default; and the pages are well made."""

import glob
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0] + "/lib")
import manual
import sentences
import tap
from guest import BUILD, ROOT
from manual import Table
from tap import case, equal

SIDES_README = {"-": "-", "host": "host", "control": "agent", "worker": "worker"}
SIDES_PROTOCOL = {"-": "none", "host": "host", "control": "agent, control", "worker": "agent, worker"}
# Of vcpuhpctl itself, where there is no daemon that could say it (daemon/ctl/ctl.c).
OWN_ERRORS = [["NoDaemon", "9"], ["BadReply", "9"]]
FOREIGN = {"virsh(1)", "systemd.exec(5)", "systemd.resource-control(5)", "journalctl(1)", "run-parts(8)", "systemd-run(1)", "setsid(1)"}


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def said_by(program, *args):
    return subprocess.check_output([os.path.join(BUILD, program), *args], text=True, stderr=subprocess.STDOUT)


def table():
    return Table(said_by("tests/lib/tables"))


def pages():
    """"name(n)" -> the source of the page, those made by the build included."""
    found = {}
    for path in glob.glob(os.path.join(ROOT, "*", "man", "*.scd")) + glob.glob(os.path.join(BUILD, "*.scd")):
        name, number = os.path.basename(path)[: -len(".scd")].rsplit(".", 1)
        found["%s(%s)" % (name, number)] = read(path)
    assert len(found) >= 7, sorted(found)
    return found


def built():
    """The pages as meson made them."""
    found = sorted(p for p in glob.glob(os.path.join(BUILD, "vcpuhp*.[1-8]")) if os.path.isfile(p))
    if not found:
        raise tap.Skip("the manual was not built: scdoc is missing")
    return found


def clean(said):
    assert not said, "\n  ".join(["the manual and the programs differ:", *said])


def notices(check, text, changes):
    """@check of @text finds nothing, and something once any of @changes (pattern, replacement) was made."""
    clean(check(text))
    for pattern, replacement in changes:
        changed, n = re.subn(pattern, replacement, text, count=1)
        assert n == 1, "nothing to change: %s" % pattern
        assert check(changed), "not noticed: %s -> %s" % (pattern, replacement)


@case()
def every_option_is_in_its_page_with_its_default():
    verbs = re.findall(r"^  ([a-z-]+) ", said_by("daemon/vcpuhpctl", "--help").split("\nOptions")[0], re.M)
    assert "setvcpus" in verbs and len(verbs) > 15, verbs
    helps = {
        "daemon/man/vcpuhpd.8.scd": [said_by("daemon/vcpuhpd", "--help")],
        "guest-agent/man/vcpuhp-agent.8.scd": [said_by("guest-agent/vcpuhp-agent", "--help")],
        "daemon/man/vcpuhpctl.1.scd": [said_by("daemon/vcpuhpctl", *v, "--help") for v in [[], *([v] for v in verbs)]],
    }
    for path, texts in helps.items():
        # Of virsh's, named to say that they are not there.
        page = re.sub(r"(?s)Words of virsh's that are not there.*?\n\n", "", read(path))
        some = texts[0] if len(texts) == 1 else texts[-1]
        assert len(manual.help_options(some)) >= 3, some
        head = r"(?m)^\*--config\*" if len(texts) == 1 else r"(?m)^\*--no-wait\*"
        changes = [(head, "*--consider*"), (r"(?m)^\*--help\*|\*-h\*, \*--help\*", "*--helper*"),
                   (r"(?m)^# FILES", "*--more*\n\tNo.\n\n# FILES"),
                   (r"is\s+_/etc/vcpuhp/vcpuhp(d|-agent).conf_|is _table_;", "is _other_;")]  # fmt: skip
        notices(lambda text, t=texts: manual.check_options(text, t), page, changes)


@case()
def every_command_is_in_its_page_and_none_besides():
    verbs = re.findall(r"^  ([a-z-]+) ", said_by("daemon/vcpuhpctl", "--help").split("\nOptions")[0], re.M)

    def check(page):
        there = re.findall(r"(?m)^\*([a-z][a-z-]*)\*(?= |$)", manual.section(page, "COMMANDS"))
        return manual.differ("command", verbs, there)

    notices(check, read("daemon/man/vcpuhpctl.1.scd"),
            [(r"(?m)^\*ops\*", "*opera*"), (r"(?m)^\*list\*\n(\t.*\n)+", ""), (r"(?m)^\*list\*", "*old*\n\tNo.\n\n*list*")])  # fmt: skip


@case()
def every_key_is_in_its_page_with_its_default():
    rows = table()
    for kind, page, example in (("daemon-key", "daemon/man/vcpuhpd.conf.5.scd", "daemon/vcpuhpd.conf"),
                                ("agent-key", "guest-agent/man/vcpuhp-agent.conf.5.scd", "guest-agent/vcpuhp-agent.conf")):  # fmt: skip
        keys = rows.of(kind)
        assert len(keys) >= 5, keys
        first = keys[0][1]
        changes = [(r"(?m)^\*%s=\*" % name, "*Xy=*") for _, name, _ in keys]
        changes += [(r"(?m)^\*%s=\*" % first, "*Stale=*\n\tThe default is none.\n\n*%s=*" % first)]
        changes += [(r"[Tt]he(\s+)default(\s+)is(\s+)_?%s_?(?=[,.;])" % re.escape(value or "none"), r"The default is _other_")
                    for value in sorted({f.split(",")[0] for _, _, f in keys if not f.startswith("as in ")})]  # fmt: skip
        notices(lambda text, k=keys: manual.check_keys(text, k), read(page), changes)
        with_default = next(name for _, name, fallback in keys if fallback)
        notices(lambda text, k=keys: manual.check_example(text, k), read(example),
                [(r"(?m)^#%s=.*" % first, ""), (r"(?m)^#%s=.*" % with_default, "#%s=7" % with_default), (r"\Z", "#Stale=1\n")])  # fmt: skip


@case()
def every_exit_code_error_and_result_is_in_the_page():
    rows, page = table(), read("daemon/man/vcpuhpctl.1.scd")
    codes = [code for (code,) in rows.of("exit")]
    equal((len(codes) > 12, "130" in codes), (True, True), str(codes))
    notices(lambda t: manual.check_exit_codes(t, codes), page, [(r"\n\*%s\*\n" % c, "\n*99*\n") for c in codes])
    errors = rows.of("error")
    notices(lambda t: manual.check_errors(t, errors, OWN_ERRORS), page,
            [(r"\*%s\*" % name, "*Other*") for name, _ in errors] + [(r"\*Busy\* \(8\)", "*Busy* (7)")])  # fmt: skip
    results, vcpus = ([row[0] for row in rows.of(kind)] for kind in ("result", "vcpu-result"))
    notices(lambda t: manual.check_results(t, results, vcpus), page,
            [(r"(_result_ is [^;]*?)\b%s\b" % r, r"\1other") for r in results] +
            [(r"(of a vCPU it is [^.]*?)\b%s\b" % r, r"\1other") for r in vcpus])  # fmt: skip
    helped = re.findall(r"(?m)^  (\d+) ", said_by("daemon/vcpuhpctl", "--help"))
    equal(helped, codes, "exit codes of --help")
    # Those of the others are told in the help of one, and by the exit status of both.
    for path in ("daemon/man/vcpuhpd.8.scd", "guest-agent/man/vcpuhp-agent.8.scd"):
        notices(lambda t: manual.check_exit_codes(t, "012"), read(path), [(r"\n\*2\*\n\tUsage", "\n*3*\n\tUsage")])


@case()
def the_readme_has_every_exit_code():
    text = re.search(r"(?s)Exit codes of `vcpuhpctl`: (.*?)\n\n", read("README.md")).group(1)
    codes = [code for (code,) in table().of("exit")]
    notices(lambda t: manual.differ("exit code", codes, re.findall(r"(?:^|[,;] |,\n)(\d+)(?= )", t)), text, [(r"12 failed", "13 failed")])


@case()
def the_ladder_is_everywhere_the_same():
    states = table().of("state")
    equal(len(states), 45)
    page = read("guest-agent/man/vcpuhp-callbacks.7.scd")
    notices(lambda t: manual.check_ladder(t, states), page,
            [(r"9 ap:verify", "9 ap:check"), (r"down 30 s", "down 31 s"), (r"\thas the CPU|\tthe guest kernel has", "\tthe guest has"),
             (r"\(control;", "(worker;"), (r"\*44 online.*\n.*\n", "")])  # fmt: skip
    for path, sides in (("README.md", SIDES_README), ("proto/PROTOCOL.md", SIDES_PROTOCOL)):
        text = re.search(r"(?ms)^## (The l|L)adder\n.*?^## ", read(path)).group(0)
        changes = [(r"ap:irq \|", "ap:interrupt |"), (r"\| 12-42", "| 12-41"), (r"\| host:place \| host", "| host:place | none")]
        notices(lambda t, s=sides: manual.check_ladder_markdown(t, states, s), text, changes)


@case()
def every_variable_is_in_the_page_of_who_reads_it():
    used = {}
    for path in glob.glob(os.path.join(ROOT, "daemon", "**", "*.c"), recursive=True):
        if os.path.basename(path) != "failpoint-test.c":
            page = "vcpuhpctl.1" if "/ctl/" in path else "vcpuhpd.8"
            used.setdefault(page, set()).update(re.findall(r'getenv\("(\w+)"\)', read(path)))
    assert "VCPUHP_SOCKET" in used["vcpuhpctl.1"], used
    for page, names in used.items():
        notices(lambda t, n=names: manual.check_environment(t, "ENVIRONMENT", n), read("daemon/man/%s.scd" % page),
                [(r"\n\*%s\*\n" % sorted(names)[0], "\n*OTHER*\n")])  # fmt: skip
    source = read("guest-agent/callback-launch.c")
    given = set(re.findall(r'"(\w+)=', source))
    assert "VCPUHP_LATE" in given, given
    notices(lambda t: manual.check_environment(t, "HOW ONE IS CALLED", given), read("guest-agent/man/vcpuhp-callbacks.7.scd"),
            [(r"\n\*VCPUHP_OP\*\n", "\n*VCPUHP_OPERATION*\n")])  # fmt: skip


@case()
def every_event_and_severity_is_told():
    rows = table()
    events = [row[0] for row in rows.of("event")]
    text = re.search(r"(?s)# Something that happened(.*?)\ntype Event", read("proto/io.vcpuhp.Manager.varlink")).group(1)

    def check(t):
        return manual.differ("event", events, re.findall(r"[\w-]+", " ".join(re.findall(r"(?m)^#   (.*?)  ", t))))

    notices(check, text, [(r"#   drift ", "#   change ")])
    doctor = re.search(r"(?s)\*doctor\* \[.*?(?=\n\*)", read("daemon/man/vcpuhpctl.1.scd")).group(0)
    notices(lambda t: manual.check_words(t, [row[0] for row in rows.of("severity")], "severity"), doctor, [("_note_", "_hint_")])


@case()
def the_protocols_page_has_every_message_and_error():
    layouts = table().of("layout")
    assert ["message", "5", "u32 u16 u16 u8 u8 u8 u32 text 64"] in layouts, layouts
    notices(lambda t: manual.check_protocol(t, layouts), read("proto/PROTOCOL.md"),
            [(r"### 6 KICKED", "### 60 KICKED"), (r"(### 9 ARM(?s:.*?))\| u8 \|", r"\1| u16 |"), (r"text 31", "text 32"),
             (r"(?s)### 12 PREPARE.*?(?=## )", "")])  # fmt: skip
    errors = [name for name, _ in table().of("error")]
    notices(lambda t: manual.differ("error", errors, re.findall(r"(?m)^error (\w+)", t)), read("proto/io.vcpuhp.Manager.varlink"),
            [("error VmGone", "error Vanished")])  # fmt: skip
    # The page is made of the two.
    page = pages()["vcpuhp-protocol(7)"]
    methods = re.findall(r"(?m)^method (\w+)", read("proto/io.vcpuhp.Manager.varlink"))
    heads = re.findall(r"(?m)^### (\d+ \w+)", read("proto/PROTOCOL.md"))
    equal([m for m in methods if "method %s(" % m not in page] + [h for h in heads if "## " + h not in page], [])


@case()
def every_key_of_json_is_in_the_page():
    """Of the objects that vcpuhpctl prints; TraceStep and Event have those of Progress, and are in vcpuhp-protocol(7)."""
    types = re.findall(r"(?ms)^type (?!TraceStep|Event)\w+ \((.*?)\)\n\n", read("proto/io.vcpuhp.Manager.varlink"))
    keys = {key for fields in types for key in re.findall(r"(\w+): ", fields)}
    assert len(keys) >= 40, keys
    page = manual.section(read("daemon/man/vcpuhpctl.1.scd"), "JSON")
    notices(lambda t: ["key %s is missing" % k for k in keys if not re.search(r"(?<![a-z])%s(?![a-z])" % k, t)], page,
            [('"skip_rollback"', '"skipped"'), ('"side"', '"sides"')])  # fmt: skip


@case()
def the_sandbox_is_told_as_it_is():
    unit, page = read("systemd/vcpuhp-agent.service.in"), read("guest-agent/man/vcpuhp-callbacks.7.scd")
    page = manual.section(page, "SANDBOX")
    given = re.search(r"(?m)^CapabilityBoundingSet=(.*)", unit).group(1).split()

    def check(text):
        first = text.split("```")[0]
        return manual.differ("capability", given, re.findall(r"CAP_\w+", first))

    notices(check, page, [("CAP_KILL", "CAP_CHOWN")])
    # Each switch of the unit has its way out.
    switches = re.findall(r"(?m)^((?:Private|Protect|Restrict|Lock)\w+)=(?:yes|full)$", unit)
    assert len(switches) >= 9, switches
    notices(lambda t: manual.differ("switch", switches, re.findall(r"_(\w+)=no_", t)), page, [("_PrivateTmp=no_", "")])


@case()
def the_example_is_the_one_that_is_tested():
    (shown,) = re.findall(r"(?s)```\n(#!/bin/sh.*?)```", read("guest-agent/man/vcpuhp-callbacks.7.scd"))
    equal(shown, read("tests/examples/cpuhp.d/30-myservice"))


@case()
def the_troubleshooting_page_quotes_what_is_said():
    said = sentences.quoted(read("daemon/doc/troubleshooting.md"))
    clean(["nothing says: " + s for s in said if not sentences.is_said(s)])
    # A word that is not there, or another one.
    changed = [re.sub(r"\b([a-z]{6,})\b", r"\1ish", s) for s in said]
    equal([s for s, t in zip(changed, said) if s != t and sentences.is_said(s)], [])
    results = [row[0] for row in table().of("result")]
    rows = re.search(r"(?s)\| vcpuhpctl exits.*?\n\n", read("daemon/doc/troubleshooting.md")).group(0)
    exits = {code for (code,) in table().of("exit")} - {"0"}
    notices(lambda t: manual.differ("exit code", exits, re.findall(r"(?m)^\| (\d+) \|", t)), rows, [(r"\| 7 \|", "| 77 |")])
    equal(set(results) - {"done", "accepted"} - set(re.findall(r"`([a-z-]+)`", rows)), set(), "results that are not there")


@case()
def every_page_has_its_sections_and_what_it_refers_to():
    all_pages = pages()
    clean([s for name, page in sorted(all_pages.items()) for s in manual.check_shape(name, page, all_pages, FOREIGN)])
    name = "vcpuhpd(8)"
    notices(lambda t: manual.check_shape(name, t, all_pages, FOREIGN), all_pages[name],
            [(r"# SEE ALSO\n", "# AND\n"), (r"\*vcpuhpctl\*\(1\)", "*vcpuhpcontrol*(1)"), (r"\A\S+", "vcpuhpd(5)")])  # fmt: skip
    referred = {"%s(%s)" % r for p in all_pages.values() for r in manual.references(manual.section(p, "SEE ALSO"))}
    equal(set(all_pages) - referred, set(), "pages that no other refers to")


@case(deadline=120)
def the_pages_are_clean_and_fit_80_columns():
    found, lints = built(), 0
    for path in found:
        if shutil.which("mandoc"):
            lints += 1
            done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], capture_output=True, text=True, check=False)
            # scdoc has paragraph macros around everything, also where none begins, and they do nothing there.
            said = [line for line in (done.stdout + done.stderr).splitlines() if "skipping paragraph macro" not in line]
            equal(said, [], "mandoc -T lint")
        if shutil.which("man") and shutil.which("groff"):
            lints += 1
            env = dict(os.environ, MANWIDTH="80", LC_ALL="C.UTF-8")
            env.pop("MAN_KEEP_FORMATTING", None)
            done = subprocess.run(["man", "--warnings", "-P", "cat", "-l", path], capture_output=True, text=True, check=False, env=env)
            equal(done.stderr, "", "man --warnings -l " + path)
            wide = [line for line in done.stdout.splitlines() if len(line.rstrip()) > 80]
            equal(wide, [], path)
    if not lints:
        raise tap.Skip("neither mandoc nor man with groff is installed")


if __name__ == "__main__":
    tap.main(lambda: None if os.path.exists(os.path.join(BUILD, "tests/lib/tables")) else "tests/lib/tables is not built")
