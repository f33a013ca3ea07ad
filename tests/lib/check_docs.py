# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds the pages that are read as they are against the sources: the page of planted bugs against their
patches, and these against what they break; each guarantee of the threat model names tests that exist; the
catalog and the manual have each outcome of the table; each sentence that the troubleshooting page begins
with is one that the programs say. Else the manual is held against the programs by tests/dist/manual.py."""

import glob
import os
import re
import sys

import mutants
import sentences

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

THREATS = "daemon/doc/threat-model.md"


def guarantees():
    """Each guarantee's number and the tests it names, (file, case) each."""
    with open(os.path.join(ROOT, THREATS), encoding="utf-8") as f:
        parts = re.split(r"(?m)^(\d+)\. ", f.read().partition("## Limits")[0])[1:]
    return [(int(n), re.findall(r"`(tests/[\w/.-]+): (\w+)`", text)) for n, text in zip(parts[::2], parts[1::2])]


def is_case(path, name):
    full = os.path.join(ROOT, path)
    if not os.path.exists(full):
        return False
    with open(full, encoding="utf-8") as f:
        return re.search(r"(?m)^@case\(.*\)\ndef %s\(|^static void %s\(void \*\*" % (name, name), f.read())


def check_threats():
    found = guarantees()
    assert [n for n, _ in found] == list(range(1, len(found) + 1)) and len(found) >= 15, [n for n, _ in found]
    said = ["%d names no test" % n for n, tests in found if not tests]
    said += ["%d: there is no %s in %s" % (n, name, path) for n, tests in found for path, name in tests if not is_case(path, name)]
    for sentence in said:
        print("%s: guarantee %s" % (THREATS, sentence))
    return len(said)


def check_mutants():
    """How many patches are not in the page of tests/run --mutants, or only there, or do not apply any more."""
    patches = {p.name: p for p in map(mutants.Patch, mutants.patches(ROOT))}
    with open(os.path.join(ROOT, mutants.PAGE), encoding="utf-8") as f:
        listed = set(re.findall(r"(?m)^\| \S* ?\| (\S+) \| ", f.read())) - {"patch"}
    said = ["%s: %s is %s; tests/run --mutants writes the page" % (
        mutants.PAGE, name, "missing" if name in patches else "no patch any more")
        for name in sorted(set(patches) ^ listed)]  # fmt: skip
    for name, patch in patches.items():
        try:
            patch.changed(ROOT)
        except mutants.Broken as e:
            said.append("tests/mutants/%s.patch: %s" % (name, e))
    for sentence in said:
        print(sentence)
    return len(said)


def outcomes(path, pattern):
    """What @pattern finds there, once each."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        rows = re.findall(pattern, f.read())
    assert len(rows) == len(set(rows)) >= 30, "%s: %d outcomes, %d different" % (path, len(rows), len(set(rows)))
    return set(rows)


def check_outcomes():
    """An entry of the catalog and a line of the manual for each, and for nothing else."""
    table, catalog, page = "daemon/journal-message.c", "systemd/vcpuhp.catalog", "daemon/man/vcpuhpd.8.scd"
    rows = outcomes(table, r'\{ "(\w+)",\s+LOG_(\w+),\s+"([a-z-]+)",\s+"([^"]+)" \}')
    entries = outcomes(catalog, r"(?m)^-- (\w+)\nSubject: (.+)\nDefined-By: vcpuhp\nDocumentation: man:.+\n\n\S")
    lines = outcomes(page, r"(?m)^([a-z-]+) +(\w+) +(\w{32})$")
    said = ["%s: %s: not as in %s" % (catalog, e[0], table) for e in entries ^ {(r[0], r[3]) for r in rows}]
    said += ["%s: %s: not as in %s" % (page, e[0], table) for e in lines ^ {(r[2], r[1].lower(), r[0]) for r in rows}]
    for sentence in said:
        print(sentence)
    return len(said)


def names(path, pattern):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        found = set(re.findall(pattern, f.read()))
    assert found, "%s: nothing looks like %s" % (path, pattern)
    return found


# page, what its text is searched for, table, what that is searched for: both have the same names
NAMES = (
    ("daemon/man/vcpuhpd.8.scd", r"\*(vcpuhp_[a-z_]+)\*", "daemon/metrics.c", r'\{ \{ "(vcpuhp_\w+)", METRICS_'),
    ("daemon/man/vcpuhp-hooks.7.scd", r"(?m)^\*([a-z]+)\*$", "daemon/hook-text.c", r'\[HOOK_\w+\] = "([a-z]+)"'),
)  # fmt: skip


def check_names():
    wrong = 0
    for page, shown, table, rows in NAMES:
        for name in sorted(names(page, shown) ^ names(table, rows)):
            print("%s: %s is not in both, this page and %s" % (page, name, table))
            wrong += 1
    return wrong


def check_pages():
    """How many pages of the manual README's list of them does not name, or makes up."""
    found = glob.glob(os.path.join(ROOT, "*", "man", "*.scd"))
    pages = {re.sub(r"\.(\d)\.scd$", r"(\1)", os.path.basename(p)) for p in found} | {"vcpuhp-protocol(7)"}
    assert len(pages) > 6, pages
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        listed = re.search(r"The manual is ([^;]*);", f.read()).group(1)
    wrong = sorted(pages ^ set(re.findall(r"\bvcpuhp[a-z.-]*\(\d\)", listed)))
    for page in wrong:
        print("README.md: %s is not in both, its list and the folders man" % page)
    return len(wrong)


def check_config():
    """How many of the keys of the delivered configuration stand right before another one's words."""
    path = "daemon/vcpuhpd.conf"
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        wrong = re.findall(r"(?m)^(#\w+=.*)\n# ", f.read())
    for key in wrong:
        print("%s: no empty line behind %s" % (path, key))
    return len(wrong)


TROUBLES = "daemon/doc/troubleshooting.md"


def check_troubles():
    """How many sentences of that page nothing says, and links of it that lead nowhere."""
    with open(os.path.join(ROOT, TROUBLES), encoding="utf-8") as f:
        page = f.read()
    said = sentences.quoted(page)
    assert len(said) > 60, said
    wrong = ["nothing says: %s" % s for s in said if not sentences.is_said(s)]
    heads = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"(?m)^## (.*)$", page)}
    wrong += ["no such heading: #%s" % a for a in re.findall(r"\]\(#([\w-]+)\)", page) if a not in heads]
    for sentence in wrong:
        print("%s: %s" % (TROUBLES, sentence))
    return len(wrong)


def main():
    checks = (check_threats, check_mutants, check_outcomes, check_names, check_pages, check_config, check_troubles)
    sys.exit(1 if sum(check() for check in checks) else 0)


if __name__ == "__main__":
    main()
