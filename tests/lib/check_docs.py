# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds the manual pages against the programs' own tables: every option and key is in its page, and
every one in a page is in its table."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

OPTION = r"\*(--[a-z-]+)\*"
KEY = r"\*([A-Z][A-Za-z]+)=\*"

# page, what its text is searched for, table, what that is searched for
PAIRS = (
    ("daemon/man/vcpuhpd.8.scd", OPTION, "daemon/options.c", r'\{ "([a-z-]+)", (?:"[A-Z]+"|NULL), "'),
    ("daemon/man/vcpuhpd.conf.5.scd", KEY, "daemon/config.c", r'\{ \{ "[A-Z]\w+", "(\w+)", '),
    ("guest-agent/man/vcpuhp-agent.8.scd", OPTION, "guest-agent/options.c", r'"(--[a-z-]+)", (?:"|NULL)'),
    ("guest-agent/man/vcpuhp-agent.8.scd", KEY, "guest-agent/vcpuhp-agent.conf", r"(?m)^#([A-Z]\w+)="),
)  # fmt: skip


def found(path, pattern):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        names = {n if n.startswith("-") or n[0].isupper() else "--" + n for n in re.findall(pattern, f.read())}
    assert names, "%s: nothing looks like %s" % (path, pattern)
    return names


def main():
    wrong = 0
    for page, shown, table, rows in PAIRS:
        in_page, in_table = found(page, shown), found(table, rows)
        # Of another program's page, or answered outside the table.
        known = in_table | {"--help", "--version"} | ({"Operators", "Allow"} if page.endswith("vcpuhpd.8.scd") else set())
        for name in sorted(in_table - in_page):
            print("%s: says nothing of %s of %s" % (page, name, table))
        for name in sorted(in_page - known):
            print("%s: %s is not in %s" % (page, name, table))
        wrong += len(in_table - in_page) + len(in_page - known)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
