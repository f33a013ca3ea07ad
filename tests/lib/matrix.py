# SPDX-License-Identifier: LGPL-2.1-or-later
"""What became of each fault in each phase, as a table in markdown."""

import json
import os

TITLES = {"add": "An add of two vCPUs", "remove": "A removal of two vCPUs"}


def keep(path, rows):
    """Add @rows of (kind, fault, phase, word) to those kept at @path (None: nobody wants them)."""
    if path:
        with open(path, "a", encoding="utf-8") as f:
            f.write("".join(json.dumps(row) + "\n" for row in rows))


def _text(word):
    return word.replace("_", " ")


def _table(title, phases, cells):
    lines = ["## " + title, "", "| fault | " + " | ".join(map(_text, phases)) + " |",
             "|---" * (len(phases) + 1) + "|"]  # fmt: skip
    for fault, words in cells.items():
        lines.append("| %s | %s |" % (_text(fault), " | ".join(words.get(p, "-") for p in phases)))
    return lines + [""]


def write(path, kept, phases):
    """One table for each of @phases (kind -> names) from the rows kept at @kept, which end with that."""
    cells = {kind: {} for kind in phases}
    if os.path.exists(kept):
        with open(kept, encoding="utf-8") as f:
            for line in f:
                kind, fault, phase, word = json.loads(line)
                cells[kind].setdefault(fault, {})[phase] = word
        os.unlink(kept)
    with open(path, "w", encoding="utf-8") as f:
        for kind, names in phases.items():
            f.write("\n".join(_table(TITLES[kind], names, cells[kind])) + "\n")
