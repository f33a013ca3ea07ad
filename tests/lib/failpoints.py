# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon that is killed, or whose store fails, where a test wants it (daemon/failpoint-test.c)."""

import os

from daemon import VCPUHPD, Daemon
from qmp import wait_for

VCPUHPD_TEST = VCPUHPD + "-test"


class FailingDaemon(Daemon):
    """arm("* 7 kill"): at the 7th point passed from now on. arm(): nothing more."""

    def __init__(self, machine, **options):
        self.points = machine.path("failpoints")
        self.arm()
        super().__init__(machine, program=VCPUHPD_TEST, env={"VCPUHP_TEST_FAILPOINTS": self.points}, **options)

    def arm(self, *lines):
        with open(self.points + ".new", "w", encoding="ascii") as f:
            f.write("".join(line + "\n" for line in lines))
        os.rename(self.points + ".new", self.points)

    def list_passed(self):
        """Forget what was passed, and keep a list from now on."""
        with open(self.points + ".passed", "w", encoding="ascii"):
            pass

    def passed(self):
        with open(self.points + ".passed", encoding="ascii") as f:
            return f.read().split()

    def wait_dead(self, seconds=10):
        wait_for(lambda: not self.process.alive(), seconds, "the daemon's death", pause=0.005)

    def intent(self):
        return self.machine.path("run/intent/qmp-" + self.machine.name)
