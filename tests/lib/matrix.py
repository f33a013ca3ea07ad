# SPDX-License-Identifier: LGPL-2.1-or-later
"""How operations ended with each fault in each phase, as tables in markdown: made of what was seen, and
read again to hold what is seen later against it."""

import json
import os
import re
from collections import Counter

TITLES = {"add": "Adding two vCPUs", "remove": "Removing two vCPUs"}
NONE = "-"


def keep(path, rows):
    """Add @rows of (kind, fault, phase, word) to those kept at @path (None: nobody wants them)."""
    if path:
        with open(path, "a", encoding="utf-8") as f:
            f.write("".join(json.dumps(row) + "\n" for row in rows))


def _text(word):
    return word.replace("_", " ")


def _cell(words):
    """"done", or "done 7, failed 3" where it was not always the same."""
    if len(words) > 1:
        return ", ".join("%s %d" % pair for pair in words.most_common())
    return next(iter(words), NONE)


def _gather(kept):
    """(kind, fault) -> phase -> how often each word, from the rows kept at @kept."""
    seen = {}
    with open(kept, encoding="utf-8") as f:
        for line in f:
            kind, fault, phase, word = json.loads(line)
            seen.setdefault((kind, fault), {}).setdefault(phase, Counter())[word] += 1
    return seen


def _key(kind, fault, phase):
    return TITLES[kind], _text(fault), _text(phase)


def _table(kind, phases, faults, seen, before):
    yield "## " + TITLES[kind]
    yield ""
    yield "| fault | " + " | ".join(map(_text, phases)) + " |"
    yield "|---" * (len(phases) + 1) + "|"
    for fault in faults:
        if any((k, fault) in seen for k in TITLES):
            words = [_cell(seen.get((kind, fault), {}).get(p, {})) for p in phases]
        else:
            words = [before.get(_key(kind, fault, p), NONE) for p in phases]
        yield "| %s | %s |" % (_text(fault), " | ".join(words))


def write(path, head, kept, phases, faults):
    """@head, and one table for each of @phases (kind -> names) with a line for each of @faults: from the rows
    kept at @kept, and where there are none of it as it stands at @path."""
    seen, before = _gather(kept), read(path)
    tables = ["\n".join(_table(kind, names, faults, seen, before)) for kind, names in phases.items()]
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join([head] + [t + "\n" for t in tables]))


def read(path):
    """Of each cell, by what its tables call it, what stands there."""
    found, title, phases = {}, None, []
    if not os.path.exists(path):
        return found
    with open(path, encoding="utf-8") as f:
        for line in f:
            columns = [c.strip() for c in line.strip().strip("|").split("|")]
            if line.startswith("## "):
                title = line[3:].strip()
            elif columns[0] == "fault":
                phases = columns[1:]
            elif line.startswith("| "):
                found.update(((title, columns[0], phase), text) for phase, text in zip(phases, columns[1:]))
    return found


def unknown(table, kind, fault, phase, word):
    """Has @table (of read()) that cell, but no such end of it?"""
    text = table.get(_key(kind, fault, phase), NONE)
    return text != NONE and word not in re.sub(r" \d+", "", text).split(", ")


def stale(table, cells):
    """Cells that stand in @table and are none of @cells (kind, fault, phase)."""
    return sorted({key for key, text in table.items() if text != NONE} - {_key(*cell) for cell in cells})
