# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests/demo shows: one guest, five requests, and where the time went.

Each request is a real vcpuhpctl on this terminal. QEMU under TCG wants every plug before the first
unplug of a CPU that has run; so the request whose rollback unplugs comes after the only other plug,
and what goes up later comes from standby.
"""

import os
import statistics
import subprocess
import sys
import time

from daemon import VCPUHPCTL, Daemon
from guest import BUILD
from scene import FOLDER
from vm import VM, wait_for

PICTURE = os.path.join(os.path.relpath(BUILD), "demo-2.svg")
READY = """\
#!/bin/sh
echo "$1 on CPU $2" >> /run/ready.log
"""
DENY = """\
#!/bin/sh
[ "$1 $2" != "startup 5" ] || { echo "no licence for CPU $2"; exit 3; }
"""


class Show:
    def __init__(self, vm, daemon):
        self.vm, self.daemon = vm, daemon
        self.terminal = sys.stdout.isatty()
        self.moves = []  # (operation id, going up?)
        self.wrong = 0

    def say(self, text):
        print(("\n\033[1m%s\033[m" if self.terminal else "\n== %s") % text, flush=True)

    def run(self, words, wanted):
        """One vcpuhpctl as a user would run it, its exit status shown and compared."""
        print("$ vcpuhpctl " + " ".join(words), flush=True)
        env = dict(os.environ, VCPUHP_SOCKET=self.daemon.socket)
        start = time.monotonic()
        status = subprocess.run([VCPUHPCTL] + words, env=env, check=False).returncode
        took = (time.monotonic() - start) * 1000
        as_it_should = "" if status == wanted else "   <-- expected %d" % wanted
        self.wrong += status != wanted
        print("exit status %d after %.0f ms%s" % (status, took, as_it_should), flush=True)

    def setvcpus(self, count, *options, up=None, wanted=0):
        ident = "demo-%d" % (len(self.moves) + 1)
        self.moves.append((ident, up))
        self.run(["setvcpus", self.vm.name, str(count), *options, "--op-id", ident], wanted)
        qemu, present, online = self.vm.counts()
        print("QEMU has %d vCPUs; the guest has %d present, %d online" % (qemu, present, online), flush=True)

    def register(self, name, text):
        """Put a callback into the guest and let the agent look; wait until it stands."""
        self.vm.write(FOLDER + name, text, 0o755)
        self.vm.guest("kill -HUP $(cat /run/agent.pid)")
        wait_for(lambda: any(s["name"] == "ap:dyn." + name for s in
                             self.daemon.ctl("states", self.vm.name).lines), 10, name)  # fmt: skip

    def unregister(self, name):
        self.vm.guest("rm %s%s; kill -HUP $(cat /run/agent.pid)" % (FOLDER, name))
        wait_for(lambda: all(s["name"] != "ap:dyn." + name for s in
                             self.daemon.ctl("states", self.vm.name).lines), 10, name)  # fmt: skip

    def times(self):
        """Milliseconds of each step, by (state's name, going up?), in the order of the ladder."""
        found = {}
        for ident, up in self.moves:
            if up is None:
                continue
            for v in self.daemon.ctl("op", ident).result["vcpus"]:
                for name, ms in v["ms"].items():
                    found.setdefault((name, up), []).append(ms)
        return found

    def table(self):
        found = self.times()
        ladder = [s["name"] for s in self.daemon.ctl("states", self.vm.name).lines]
        names = sorted({name for name, _ in found}, key=lambda n: ladder.index(n) if n in ladder else 99)
        print("%-18s %26s   %26s" % ("milliseconds", "up: n   median      max", "down: n   median      max"))
        for name in names:
            row = "%-18s" % name
            for up in (True, False):
                ms = found.get((name, up), [])
                row += " %6d %8.1f %8.1f  " % (len(ms), statistics.median(ms), max(ms)) if ms else (
                    " %6s %8s %8s  " % ("-", "-", "-"))  # fmt: skip
            print(row.rstrip())


def play(show):
    show.say("1 -> 4 vCPUs: each is plugged, onlined, proves itself and runs its callbacks")
    show.setvcpus(4, up=True)
    show.say("4 -> 6, but the callback 50-deny fails on CPU 5: all is rolled back, on both sides")
    show.register("50-deny", DENY)
    show.setvcpus(6, wanted=1)
    show.say("the same as a picture")
    show.run(["trace", show.vm.name, "--op", "demo-2", "--svg", "-O", PICTURE], 0)
    show.unregister("50-deny")
    show.say("4 -> 2, two keep resting at standby: plugged, but parked")
    show.setvcpus(2, "--standby", "2", up=False)
    show.run(["info", show.vm.name], 0)
    show.say("back to 4: the resting ones are taken, nothing is plugged")
    show.setvcpus(4, up=True)
    show.say("4 -> 1")
    show.setvcpus(1, up=False)
    show.say("where the time went (each step of each vCPU above; the failed request is left out)")
    show.table()


def main():
    start = time.monotonic()
    print("starting a guest (one vCPU, room for 32) ...", flush=True)
    files = {FOLDER + "10-ready": (0o755, READY)}
    with VM(files=files) as vm, Daemon(vm) as daemon:
        daemon.wait_idle_online(1)
        show = Show(vm, daemon)
        print("its agent answered after %.1f s (%s)" % (time.monotonic() - start, "KVM" if vm.kvm else
              "emulated by TCG: times are far from those of KVM"), flush=True)  # fmt: skip
        play(show)
        if show.wrong:
            print("\n%d of the exit statuses were not what they should be" % show.wrong)
        sys.exit(1 if show.wrong else 0)


if __name__ == "__main__":
    main()
