# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finding test programs, and reading their TAP line by line while they run."""

import json
import os
import re
import signal
import subprocess
import threading
import time

LINE = re.compile(r"^(not )?ok\b\s*(\d+)?\s*-?\s*([^#]*)(?:#\s*(.*))?$")


def meson_tests(folder):
    """The tests of a build folder: dictionaries with name, cmd, env, suite, protocol, workdir."""
    text = subprocess.run(["meson", "introspect", "--tests", folder],
                          stdout=subprocess.PIPE, check=True, text=True).stdout  # fmt: skip
    return json.loads(text)


class Point:
    """One test point: .name, .verdict ("ok", "fail", "skip"), .why, .seconds (or None)."""

    def __init__(self, name, verdict, why="", seconds=None):
        self.name, self.verdict, self.why, self.seconds = name, verdict, why, seconds


def parse_line(line):
    """The point a line reports, or None."""
    m = LINE.match(line.rstrip("\n"))
    if not m:
        return None
    name = m.group(3).strip() or "test %s" % m.group(2)
    directive = (m.group(4) or "").strip()
    timed = re.match(r"time=([\d.]+)s", directive)
    seconds = float(timed.group(1)) if timed else None
    if directive.upper().startswith("SKIP"):
        return Point(name, "skip", directive[4:].strip(), seconds)
    return Point(name, "fail" if m.group(1) else "ok", "", seconds)


def _plan(line):
    m = re.match(r"^1\.\.(\d+)(?:\s*#\s*SKIP\s*(.*))?", line, re.I)
    return (int(m.group(1)), m.group(2) or "") if m else None


def run(args, log, on_point, seconds, env=None, cwd=None):
    """Run a TAP program, its output in @log, each point given to @on_point as it comes.

    A program without TAP is one point. One that ends before its plan is fulfilled, with an error
    but no failed point, or later than @seconds, is a failed point more.
    """
    start = time.monotonic()
    planned, seen, failed, why = None, 0, 0, ""
    os.makedirs(os.path.dirname(log), exist_ok=True)
    with open(log, "w", encoding="utf-8") as out:
        p = subprocess.Popen(
            args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", env=env, cwd=cwd, start_new_session=True)  # fmt: skip

        def end_it():
            nonlocal why
            why = "still running after %d s" % seconds
            os.killpg(p.pid, signal.SIGKILL)

        timer = threading.Timer(seconds, end_it)
        timer.start()
        try:
            for line in p.stdout:
                out.write(line)
                out.flush()
                planned = _plan(line) or planned
                point = parse_line(line)
                if not point:
                    continue
                seen += 1
                failed += point.verdict == "fail"
                on_point(point)
            status = p.wait()
        finally:
            timer.cancel()
            if p.poll() is None:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait()
    _epilogue(on_point, planned, seen, failed, status, why, time.monotonic() - start)


def _epilogue(on_point, planned, seen, failed, status, why, seconds):
    if why:
        on_point(Point("(the program)", "fail", why))
    elif planned and planned[0] == 0 and planned[1]:
        on_point(Point("(the program)", "skip", planned[1]))
    elif planned and seen < planned[0]:
        on_point(Point("(the program)", "fail",
                       "ended with %d after %d of %d tests" % (status, seen, planned[0])))  # fmt: skip
    elif seen == 0:
        verdict = {0: "ok", 77: "skip"}.get(status, "fail")
        on_point(Point("(the program)", verdict, "" if status == 0 else "exit status %d" % status,
                       seconds))  # fmt: skip
    elif status != 0 and not failed:
        on_point(Point("(the program)", "fail", "exit status %d although all is well" % status))
