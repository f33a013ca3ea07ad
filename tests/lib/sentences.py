# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether the programs can say a sentence: it must be made of the formats in their sources.

A sentence is explained by a format whose letters it has, when what stands in the places of its %s is
explained as well: a word, an error of the C library's, what somebody else says, or another format. In a
page "…" stands for whatever comes there.
"""

import functools
import glob
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"(?:\s*(?:[A-Z]\w*\s*)?"(?:[^"\\]|\\.)*")*')
PLACES = re.compile(r"(?:%[-+#0-9.*]*(?:ll|l|z|j)?[a-zA-Z]|\0)+")
LETTERS, PART = 6, 4  # of a sentence, and of a format in it: fewer explain anything
# What others say: a guest's callback, QEMU, libvirt.
OTHERS = {
    "no licence for CPU 5",
    "Invalid CPU core-id: 8 must be in range 0:7",
    "Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied",
}
ERRORS = {os.strerror(n) for n in range(1, 134)}


def _unescaped(text):
    return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m.group(1), m.group(1)), text)


@functools.cache
def formats():
    """(compiled, count of its letters) of each string in the sources; macros within one are places."""
    found = set()
    for folder in ("daemon", "guest-agent", "proto"):
        for path in glob.glob(os.path.join(ROOT, folder, "**", "*.[ch]"), recursive=True):
            with open(path, encoding="utf-8") as f:
                source = re.sub(r"(?s)/\*.*?\*/|^\s*#\s*include.*?$", "", f.read(), flags=re.M)
            for literal in LITERAL.findall(source):
                text = re.sub(r'"\s*"', "", literal)
                found.add(_unescaped(re.sub(r'"\s*([A-Z]\w*)\s*"', "\0", text)[1:-1]).strip())
    rows = []
    for text in found:
        parts = PLACES.split(text)
        letters = sum(c.isalpha() for part in parts for c in part)
        if letters >= PART:
            rows.append((re.compile("(.*?)".join(map(re.escape, parts)).replace("%%", "%")), letters))
    return sorted(rows, key=lambda r: -r[1])


def _is_word(text):
    return re.fullmatch(r"\S*", text) or text in ERRORS or text in OTHERS or re.fullmatch(
        r"E[A-Z0-9]+ \((.*)\)|(.*) \(-\d+\)", text) and re.sub(r"^E[A-Z0-9]+ \(|\)$| \(-\d+\)$", "", text) in ERRORS


def _letters(text, depth):
    """How many letters of formats are in it, None where something is not explained."""
    text = text.replace("…", "x").strip()
    if _is_word(text):
        return 0
    if depth == 0:
        return None
    for pattern, letters in formats():
        match = pattern.fullmatch(text)
        parts = [_letters(g, depth - 1) for g in match.groups()] if match else [None]
        if None not in parts:
            return letters + sum(parts)
    # "web1: why: more", the parts said one behind the other
    for mark in re.finditer(r": |; |, ", text):
        left = _letters(text[: mark.start()], depth - 1)
        for rest in (text[mark.end() :], text[mark.start() :]) if left is not None else ():
            right = _letters(rest, depth - 1)
            if right is not None:
                return left + right
    return None


def is_said(sentence):
    return (_letters(sentence, 4) or 0) >= LETTERS


def quoted(page):
    """The sentences of a page: items that are one quotation."""
    return re.findall(r"(?m)^- `(.+)`$", page)
