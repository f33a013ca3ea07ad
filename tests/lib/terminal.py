# SPDX-License-Identifier: LGPL-2.1-or-later
"""A terminal for tests: a pty, and the screen that its bytes paint.

It knows the few sequences that vcpuhpctl uses and is strict about them: a line that reaches the
edge, a cursor that leaves the window upwards or a sequence it does not know is an assertion.
"""

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

SECONDS = 10


class Terminal:
    """.screen are its lines, .row and .column the cursor, .slave what a program is given."""

    def __init__(self, rows, columns):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.screen, self.row, self.column = [""], 0, 0
        self.raw = b""
        self.pending = b""

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def feed(self, data):
        self.raw += data
        data = self.pending + data
        token = re.compile(rb"\x1b\[(\d*)([A-Za-z])|([^\x1b])")
        at = 0
        while at < len(data):
            m = token.match(data, at)
            if not m:
                break
            at = m.end()
            if m.group(3):
                self.put(m.group(3).decode("latin-1"))
            else:
                self.control(m.group(2).decode(), int(m.group(1) or 0))
        self.pending = data[at:]

    def put(self, c):
        if c == "\r":
            self.column = 0
        elif c == "\n":
            self.row += 1
            while len(self.screen) <= self.row:
                self.screen.append("")
        else:
            assert c >= " ", "a control character on the terminal: %r" % c
            line = self.screen[self.row].ljust(self.column)
            self.screen[self.row] = line[: self.column] + c + line[self.column + 1 :]
            self.column += 1
            assert self.column < self.columns, "a line reaches the edge: %r" % self.screen[self.row]

    def control(self, letter, n):
        if letter == "A":
            top = max(0, len(self.screen) - self.rows)
            assert self.row - (n or 1) >= top, "the cursor leaves the window upwards"
            self.row -= n or 1
        elif letter == "K":
            self.screen[self.row] = self.screen[self.row][: self.column]
        elif letter == "J":
            self.screen[self.row] = self.screen[self.row][: self.column]
            del self.screen[self.row + 1 :]
        else:
            raise AssertionError("an unexpected sequence: %r" % letter)

    def read_until(self, condition, what):
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, "never seen: %s\n%s" % (what, "\n".join(self.screen))
            self.read()

    def read(self):
        """What is there, waiting a little for it. False at the end."""
        if not select.select([self.master], [], [], 0.05)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.feed(data)
        return bool(data)

    def finish(self, process):
        """Close our copy of the slave and take in the rest."""
        os.close(self.slave)
        while self.read():
            if process.poll() is not None and not self.read():
                break
        process.wait(SECONDS)
