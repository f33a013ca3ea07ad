# SPDX-License-Identifier: LGPL-2.1-or-later
"""vcpuhp-protocol.7.scd, on stdout: TEMPLATE with what PROTOCOL.md and the Varlink interface say, so that
neither is written down twice.

Of Markdown what PROTOCOL.md has: headings, paragraphs, lists, tables, ``` blocks, **bold** and `code`.
"""

import itertools
import re
import sys
import textwrap


def escape(text):
    return re.sub(r"([\\*_~#\[\]])", r"\\\1", text)


def inline(text):
    """Words as they are, **bold** and `code` marked."""
    out = ""
    for part in re.split(r"(?s)(\*\*.+?\*\*|`.+?`)", text):
        if part.startswith("**"):
            out += "*%s*" % escape(part[2:-2])
        elif part.startswith("`"):
            out += "_%s_" % escape(part[1:-1])
        else:
            out += escape(part)
    return out


def cells(row):
    return [inline(c.strip()) for c in row.strip().strip("|").split("|")]


def table(rows):
    """Boxed; the last column takes what room there is."""
    head, body = cells(rows[0]), [cells(r) for r in rows[2:]]
    last = len(head) - 1
    text = ""
    for i, cell in enumerate(head):
        text += "%s%s %s\n" % ("]" if i == 0 else ":", "<" if i == last else "[", "*%s*" % cell if cell else "")
    for row in body:
        text += "".join("%s  %s\n" % ("|" if i == 0 else ":", cell) for i, cell in enumerate(row))
    return text + "\n"


def markdown(lines):
    """Blocks of Markdown as scdoc has them; paragraphs and lists look the same in both."""
    out, i = [], 0
    while i < len(lines):
        line, start = lines[i], i
        i += 1
        if line.startswith("```"):
            while lines[i] != "```":
                i += 1
            i += 1
            out += ["", *lines[start:i], ""]
        elif line.startswith("|"):
            while i < len(lines) and lines[i].startswith("|"):
                i += 1
            out += ["", table(lines[start:i])]
        elif re.match("##+ ", line):
            depth, title = line.split(" ", 1)
            out += [depth[1:] + " " + (title.upper() if depth == "##" else title.replace("`", ""))]
        else:
            while i < len(lines) and not re.match(r"```|\||##", lines[i]):
                i += 1
            out += [inline("\n".join(lines[start:i]))]
    return "\n".join(out)


def fitted(code):
    """Lines of a declaration, filled anew where they are too long for a page of 80 columns."""
    out = []
    for margin, lines in itertools.groupby(code, lambda line: len(line) - len(line.lstrip())):
        lines = list(lines)
        if max(len(line.expandtabs(4)) for line in lines) > 68:
            # A name stays with its type.
            text = " ".join(line.strip() for line in lines).replace(": ", ":\0")
            indent = "    " * margin
            lines = [part.replace("\0", " ") for part in textwrap.wrap(
                text, 68, initial_indent=indent, subsequent_indent=indent)]  # fmt: skip
        out += [line.expandtabs(4) for line in lines]
    return out


def item(line):
    """"  words   what they mean" as an entry of a list."""
    words, meaning = re.split(r"\s{2,}", line.strip(), maxsplit=1)
    return "*%s*\n\t%s" % (escape(words), inline(meaning))


def interface(text):
    """Comments as paragraphs and lists, the declarations as they are."""
    out = []
    for block in text.strip().split("\n\n"):
        comment = [line[2:] for line in block.split("\n") if line.startswith("#")]
        code = fitted([line for line in block.split("\n") if not line.startswith("#")])
        out += ["\n".join(inline(line) for line in comment if not line.startswith("  "))]
        out += ["\n".join(item(line) for line in comment if line.startswith("  "))]
        out += ["```\n%s\n```" % "\n".join(code)] * bool(code)
    return "\n\n".join(part for part in out if part)


def main(template, protocol, varlink):
    texts = []
    for path in (template, protocol, varlink):
        with open(path, encoding="utf-8") as f:
            texts.append(f.read())
    introduction, _, sections = texts[1].partition("\n## ")
    parts = {
        "INTRODUCTION": markdown(introduction.split("\n")[1:]).strip(),
        "SECTIONS": markdown(("## " + sections).strip().split("\n")),
        "INTERFACE": interface(texts[2]),
    }
    for name, text in parts.items():
        assert texts[0].count("@%s@" % name) == 1, name
        texts[0] = texts[0].replace("@%s@" % name, text)
    sys.stdout.write(texts[0])


main(*sys.argv[1:])
