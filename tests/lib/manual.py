# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds the manual against the programs' own tables.

Each check takes texts (of pages, of help, of the tables that build/tests/lib/tables prints) and returns
sentences about what is missing, stale, or said otherwise; none is good. Nothing here runs a program.
"""

import re


class Table:
    """What build/tests/lib/tables prints."""

    def __init__(self, text):
        self.rows = [line.split("\t") for line in text.splitlines()]

    def of(self, kind):
        return [row[1:] for row in self.rows if row[0] == kind]


def plain(text):
    """scdoc's text without its backslashes."""
    return re.sub(r"\\(.)", r"\1", text)


def entries(page):
    """(heading, text) of each entry of a list: unindented lines that begin in bold, and the indented below."""
    found = re.findall(r"(?m)^(\*.*(?:\n(?=\S).*)*)\n((?:\t.*\n|\n(?=\t))+)", plain(page))
    return [(head, re.sub(r"\s+", " ", text).strip()) for head, text in found]


def section(page, title):
    """The text of a section, or "" where there is none."""
    found = re.search(r"(?ms)^# %s\n(.*?)(?=^# |\Z)" % re.escape(title), page)
    return found.group(1) if found else ""


def differ(what, wanted, got, where="the page"):
    """Sentences about two sets of words."""
    wanted, got = set(wanted), set(got)
    return (["%s %s is missing in %s" % (what, x, where) for x in sorted(wanted - got)] +
            ["%s %s in %s is stale" % (what, x, where) for x in sorted(got - wanted)])  # fmt: skip


def emphasised(text):
    return re.findall(r"(?<!\w)_(.+?)_(?!\w)", text)


def defaults(text):
    """What "The default is _x_, and _y_ for others." says; [] for "none", None where nothing says it."""
    said = re.search(r"[Tt]he default is (.*?)(?:[.:;](?: |$)|$)", text)
    if not said:
        return None
    return [] if said.group(1).startswith("none") else emphasised(said.group(1))


def help_options(text):
    """--option (or -O) -> its line of help, of a program's --help."""
    found = {}
    for line in text.splitlines():
        words = re.match(r"  (?:(-\w)(?:, )?)?(--[\w-]+)?(?= |$)(.*)", line)
        if words and (words.group(1) or words.group(2)):
            found[words.group(2) or words.group(1)] = words.group(3)
    return found


def shown_defaults(line):
    """The defaults that a line of help names, where they are words of their own."""
    return re.findall(r"[\[( ](/[\w./-]+|org\.[\w.]+)(?=[\])])", line) + re.findall(r"\(default (\w+)\)", line)


def check_options(page, helps):
    """@helps: texts of --help, whose options are together those of the page."""
    options = {}
    for text in helps:
        options.update(help_options(text))
    letters = set(re.findall(r"(?m)^  (-\w), --", "\n".join(helps)))
    there = set(re.findall(r"\*(--?[a-zA-Z][\w-]*)\*", plain(page)))
    said = differ("option", set(options) | letters, there)
    for name, line in options.items():
        about = " ".join(t for head, t in entries(page) if re.search(r"\*%s\*" % re.escape(name), head))
        for value in shown_defaults(line):
            if value not in about:
                said.append("the default %s of option %s is not told" % (value, name))
        for value in defaults(about) or []:
            if value not in line and name not in ("--socket",):
                said.append("the default of option %s is not %s" % (name, value))
    return said


def check_keys(page, keys):
    """@keys: (section, name, fallback) of each; those of [Domain NAME] stand below "# [DOMAIN NAME]"."""
    about = {}
    for title, body in re.findall(r"(?ms)^# \[(\w+).*?\]\n(.*?)(?=^# |\Z)", page):
        for head, text in entries(body):
            for name in re.findall(r"\*([A-Z]\w+)=\*", head):
                about[(title.capitalize(), name)] = text
    said = differ("key", ("[%s] %s=" % (title, name) for title, name, _ in keys), ("[%s] %s=" % key for key in about))
    for title, name, fallback in keys:
        got = defaults(about.get((title, name), "The default is none."))
        # "leave, on libvirt online": one for each kind of domain. What is no value stands there in other words.
        wanted = re.split(r", on \w+ ", fallback) if fallback else []
        is_value = all(" " not in w for w in wanted)
        if (title, name) in about and (got is None or is_value and set(got) - {"none"} != set(wanted) - {"none"}):
            said.append("the default of %s= is %s, and the page says %s" % (name, fallback or "none", got))
    return said


def check_example(text, keys):
    """A configuration file as it is installed: every key commented out, with its default if it has one."""
    there = re.findall(r"(?m)^#([A-Z]\w+)=(.*)$", text)
    said = differ("key", (name for _, name, _ in keys), (name for name, _ in there), "the file")
    for _, name, fallback in keys:
        value = fallback.split(",")[0]
        if value and " " not in value and (name, value) not in there:
            said.append("the file does not have %s=%s, the default" % (name, value))
    return said


def check_exit_codes(page, codes):
    got = [c for head, _ in entries("\n" + section(page, "EXIT STATUS")) for c in re.findall(r"\*(\d+)\*", head)]
    return differ("exit code", codes, got)


def check_errors(page, errors, own):
    """@errors: (name, exit code); @own: those of vcpuhpctl itself, without the daemon's."""
    got = []
    for head, _ in entries(section(page, "ERRORS")):
        code = 0
        for name, number in re.findall(r"\*(\w+)\*|\((\d+)\)", head)[::-1]:
            code = number or code
            got += [(name, code)] if name else []
    return differ("error", ["%s (%s)" % tuple(e) for e in errors + own], ["%s (%s)" % e for e in got])


def check_results(page, results, vcpu_results):
    """The words of "_result_ is a, b or c; of a vCPU it is d or e."."""
    said = re.search(r"_result_ is ([^;]*); of a vCPU it is ([^.]*)\.", re.sub(r"\s+", " ", page))
    if not said:
        return ["the words of results are not told"]
    first, second = (re.split(r", | or ", words) for words in said.groups())
    return differ("result", results, first) + differ("result of a vCPU", vcpu_results, second)


def ladder_rows(states):
    """The ladder as pages show it: the dynamic states are one row. (no., name, side, up, down, meaning)."""
    rows = []
    for no, name, side, up, down, meaning in states:
        if rows and rows[-1][1] == name:
            rows[-1][0] = rows[-1][0].split("-")[0] + "-" + no
        else:
            rows.append([no, name, side, up if up != "0" else "-", down if down != "0" else "-", meaning])
    return rows


def check_ladder(page, states):
    """Entries "*2 qemu:device* (host; up 5 s; down 30 s)" with the meaning."""
    got = []
    for head, meaning in entries(section(page, "THE LADDER")):
        no, name, how = re.fullmatch(r"\*([\d-]+) ([\w:]+)\* \((.*)\)", head).groups()
        times = dict(re.findall(r"(up|down) (\d+) s", how))
        side = how.split(";")[0].replace("at rest", "-")
        got.append((no, name, side, times.get("up", "-"), times.get("down", "-"), meaning))
    return differ("state", [tuple(r) for r in ladder_rows(states)], got)


def check_ladder_markdown(text, states, sides):
    """Rows "| no. | name | side |..."; @sides: how the page calls each side."""
    got = [tuple(c.strip() for c in row) for row in re.findall(r"(?m)^\| ([\d-]+) \| ([\w:]+) \| ([\w, -]+) \|", text)
           if re.fullmatch(r"[a-z]+(:[a-z]+)?", row[1]) and row[0][0].isdigit()]  # fmt: skip
    return differ("state", [(r[0], r[1], sides[r[2]]) for r in ladder_rows(states)], got)


def check_environment(page, title, names):
    got = [n for head, _ in entries(section(page, title)) for n in re.findall(r"\*([A-Z_]+)\*", head)]
    return differ("variable", names, got)


def check_words(page, words, what):
    return ["%s %s is missing" % (what, w) for w in words if w not in emphasised(plain(page))]


def check_protocol(text, layouts):
    """PROTOCOL.md: each message and record by its number, with the types of its fields in their order.
    @layouts: (kind, number, types) of the tables, which have no sign."""
    parts = dict(zip(("message", "record"), text.split("\n## Records")))
    got = []
    for kind, part in parts.items():
        for number, body in re.findall(r"(?ms)^### (\d+) \w+(.*?)(?=^##|\Z)", part):
            types = re.findall(r"(?m)^\| [\d…]+ \| \w+ \| ((?:[ui]\d+|id16|text \d+)) \|", body)
            # Of a REPORT what is shown is a record.
            got.append((kind, number, "records" if "sequence of records" in body else " ".join(types).replace("i32", "u32")))
    return differ("layout", [" ".join(row) for row in layouts], [" ".join(row) for row in got], "PROTOCOL.md")


def references(page):
    """(name, section) of what SEE ALSO and the text refer to."""
    return set(re.findall(r"\*([\w.-]+)\*\((\d)\)", page))


def check_shape(name, page, pages, foreign):
    """@pages: "name(n)" of ours; @foreign: others' that may be named."""
    said = ["%s: no %s" % (name, s) for s in ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO") if not section(page, s).strip()]
    if not re.match(r"%s\n\n# NAME\n\n%s - \S" % (re.escape(name), re.escape(name.split("(")[0])), page):
        said.append("%s: it does not begin with its name and what it is" % name)
    for other, number in sorted(references(page)):
        ref = "%s(%s)" % (other, number)
        if ref == name and ref in ["%s(%s)" % r for r in references(section(page, "SEE ALSO"))]:
            said.append("%s refers to itself" % name)
        if ref not in pages and ref not in foreign:
            said.append("%s refers to %s, which is no page" % (name, ref))
    return said
