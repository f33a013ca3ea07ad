# SPDX-License-Identifier: LGPL-2.1-or-later
"""House rules a script can check. Prints each breach as FILE:LINE: sentence; exit status 1 if any.

- Every C file begins with its licence.
- A file marked PURE includes no header with which it could do I/O, read a clock or start threads.
- proto includes nothing of daemon or guest-agent, and these two nothing of each other.
- No C file is longer than 600 lines, no function longer than 60 (a table or one flat switch may be).
- A C file over 200 lines opens with its theory of operation.
- No unfinished words.
"""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LICENCE = "/* SPDX-License-Identifier: LGPL-2.1-or-later */"
FILE_MAX, FUNCTION_MAX, THEORY_FROM, THEORY_MIN = 600, 60, 200, 4

IO_HEADERS = re.compile(
    r"^(unistd|fcntl|time|poll|pthread|signal|syslog|dirent|termios|sched|spawn|"
    r"sys/(socket|stat|mman|epoll|timerfd|signalfd|ioctl|wait|time|uio|un|inotify|random|file)|"
    r"systemd/.*|json-c/.*|linux/.*)\.h$")
# <stdio.h> is there for snprintf() alone.
IO_CALLS = re.compile(r"\b(v?f?printf|f?puts|f?open|fdopen|fread|fwrite|fgets|getline|perror|sd_journal_\w+|"
                      r"read|write|clock_gettime|time|getenv)\(")
FORBIDDEN = {
    "proto": re.compile(r"^(daemon|guest-agent)/"),
    "daemon": re.compile(r"^guest-agent/"),
    "guest-agent": re.compile(r"^daemon/"),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
UNFINISHED = re.compile(r"\b(%s)\b" % "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "not " + "implemented")))


def sources(endings):
    for top in ("proto", "daemon", "guest-agent", "tests", "systemd"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(folder, name), ROOT)


def includes(lines):
    for number, line in enumerate(lines, 1):
        m = INCLUDE.match(line)
        if m:
            yield number, m.group(1)


def check_includes(path, lines):
    pure = any("PURE:" in line for line in lines[:3])
    forbidden = FORBIDDEN.get(path.split("/")[0])
    for number, name in includes(lines):
        if pure and IO_HEADERS.match(name):
            yield number, "a PURE file includes <%s>" % name
        if forbidden and forbidden.match(name):
            yield number, "%s must not include %s" % (path.split("/")[0], name)


def check_pure_calls(lines):
    if not any("PURE:" in line for line in lines[:3]):
        return
    for number, line in enumerate(lines, 1):
        m = IO_CALLS.search(line)
        if m and not line.lstrip().startswith(("*", "/*")):
            yield number, "a PURE file calls %s" % m.group(0)


def functions(lines):
    """(line, length, body) of each function: from { to } in the first column."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            yield start, number - start - 1, lines[start : number - 1]
            start = None


def is_flat(body):
    """A table or one flat switch: nearly every line a case, its one statement, or an initializer."""
    flat = sum(bool(re.match(r"\s*(case .*|default:|return .*;|break;|[{}\[.].*)$", x)) for x in body)
    return flat * 10 >= len(body) * 7


def check_sizes(path, lines):
    if len(lines) > FILE_MAX:
        yield 1, "%d lines: split the file (%d at most)" % (len(lines), FILE_MAX)
    for number, length, body in functions(lines):
        if length > FUNCTION_MAX and not is_flat(body):
            yield number, "a function of %d lines (%d at most)" % (length, FUNCTION_MAX)
    if path.endswith(".c") and not path.startswith("tests/") and len(lines) > THEORY_FROM:
        text = "\n".join(lines[:40])
        comments = re.findall(r"^/\*\n(?: \*.*\n)+", text, re.M)
        if not any(c.count("\n") >= THEORY_MIN for c in comments):
            yield 1, "over %d lines and no theory of operation at its top" % THEORY_FROM


def check_side(path, lines):
    """R15: which side owns a state is asked by one function."""
    if path == "proto/ladder.c" or path.startswith("tests/"):
        return
    for number, line in enumerate(lines, 1):
        if re.search(r"(->|\.)side\b", line):
            yield number, "the table's column is read: ask ladder_side()"


def check(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        lines = f.read().splitlines()
    if not lines or lines[0] != LICENCE:
        yield 1, "does not begin with its licence"
    yield from check_includes(path, lines)
    yield from check_pure_calls(lines)
    yield from check_side(path, lines)
    yield from check_sizes(path, lines)


def check_words(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        for number, line in enumerate(f, 1):
            if UNFINISHED.search(line):
                yield number, "unfinished: %s" % line.strip()


def main():
    breaches = 0
    checks = [(check, (".c", ".h")), (check_words, (".c", ".h", ".py", ".sh"))]
    for function, endings in checks:
        for path in sources(endings):
            for number, sentence in function(path):
                print("%s:%d: %s" % (path, number, sentence))
                breaches += 1
    sys.exit(1 if breaches else 0)


if __name__ == "__main__":
    main()
