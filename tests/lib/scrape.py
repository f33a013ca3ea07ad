# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon's metrics as a scraper has them: HTTP over a Unix socket or the loopback, what the text says,
and what promtool says to it."""

import collections
import http.client
import os
import re
import shutil
import socket
import subprocess
import tempfile

from guest import GUEST

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
# What Prometheus 2.42 sends, and what one did that knew no OpenMetrics.
ACCEPT = ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
          "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")  # fmt: skip
ACCEPT_PLAIN = "text/plain;version=0.0.4;q=1,*/*;q=0.1"
TIMESTAMP = " 1700000000"

Answer = collections.namedtuple("Answer", "status headers body")


def program(name):
    """promtool or prometheus; None it is not there."""
    ours = os.path.join(GUEST, "prometheus", "usr", "bin", name)
    return ours if os.path.exists(ours) else shutil.which(name)


def why_not():
    return None if program("promtool") else "there is no promtool: tests/run --deps"


def promtool(*args, text=None):
    """What it says; "" where it has nothing to say against it."""
    done = subprocess.run([program("promtool"), *args], input=text, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    return "" if done.returncode == 0 else "exit status %d: %s" % (done.returncode, said)


def judge_plain(text):
    return promtool("check", "metrics", text=text)


def judge_openmetrics(text):
    """By the parser that Prometheus scrapes with: promtool has it for backfilling, which wants a time in each sample."""
    timed = re.sub(r"(?m)^([^#\n].*)$", lambda m: m.group(1) + TIMESTAMP, text)
    with tempfile.TemporaryDirectory(prefix="vcpuhp-tsdb-") as scratch:
        path = os.path.join(scratch, "text")
        with open(path, "w", encoding="utf-8") as f:
            f.write(timed)
        return promtool("tsdb", "create-blocks-from", "openmetrics", path, os.path.join(scratch, "blocks"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def dial(where, seconds=10):
    """@where as MetricsListen= has it."""
    if where.startswith("/"):
        s = socket.socket(socket.AF_UNIX)
        address = where
    else:
        host, _, port = where.rpartition(":")
        s = socket.socket(socket.AF_INET6 if host.startswith("[") else socket.AF_INET)
        address = (host.strip("[]"), int(port))
    s.settimeout(seconds)
    try:
        s.connect(address)
    except OSError:
        s.close()
        raise
    return s


class _Connection(http.client.HTTPConnection):
    def __init__(self, where, seconds):
        super().__init__("localhost", timeout=seconds)
        self.where = where

    def connect(self):
        self.sock = dial(self.where, self.timeout)


def get(where, path="/metrics", method="GET", seconds=10, **headers):
    c = _Connection(where, seconds)
    try:
        c.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        r = c.getresponse()
        return Answer(r.status, r.headers, r.read().decode())
    finally:
        c.close()


def text_of(where, accept=ACCEPT):
    answer = get(where, Accept=accept)
    assert answer.status == 200, answer
    return answer.body


class Samples:
    """What a text says."""

    SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
    LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

    def __init__(self, text):
        self.types = dict(re.findall(r"(?m)^# TYPE (\w+) (\w+)$", text))
        self.values = {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = self.SAMPLE.match(line).groups()
            key = (name, frozenset(self.LABEL.findall(labels or "")))
            assert key not in self.values, "twice: " + line
            self.values[key] = float(value)

    def get(self, name, **labels):
        """One value; None it is not there."""
        return self.values.get((name, frozenset(labels.items())))

    def all(self, name, **labels):
        """{labels beside these: value}"""
        wanted = set(labels.items())
        return {frozenset(key - wanted): v for (n, key), v in self.values.items() if n == name and wanted <= key}

    def sum(self, name, **labels):
        return sum(self.all(name, **labels).values())
