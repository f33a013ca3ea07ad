#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Scale a guest's vCPUs on its CPU pressure: autoscale.py DOMAIN MIN MAX [SECONDS]

Up by one as long as tasks wait for a CPU, down by one when what runs would fit on one fewer. Those taken
down rest at standby, from where they are back at once.
"""

import json
import os
import socket
import sys
import time

UP, DOWN, CALM = 25, 5, 5  # per cent of pressure; quiet reports before going down
FULL = 40  # per cent of busy once down. One CPU at 50 % has a pressure of 0.5 x 0.5, UP, and would be up again.
SETTLE, RETRY = 10, 60  # seconds: the pressure is an average of 10; after a change that failed


def call(method, more=False, **parameters):
    """Yield the replies to one call of vcpuhpd's, on a connection of its own."""
    request = {"method": "io.vcpuhp.Manager." + method, "more": more, "parameters": parameters}
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.environ.get("VCPUHP_SOCKET", "/run/vcpuhp/control"))
        s.sendall(json.dumps(request).encode() + b"\0")
        rest = b""
        while data := s.recv(65536):
            *whole, rest = (rest + data).split(b"\0")
            for reply in map(json.loads, whole):
                if "error" in reply:
                    raise RuntimeError(reply["parameters"].get("text", reply["error"]))
                yield reply["parameters"]
                if not reply.get("continues"):
                    return


def main(domain, least, most, seconds=5):
    calm, since = 0, 0
    for reply in call("Events", more=True, domain=domain, load_ms=int(seconds) * 1000):
        load = reply["event"].get("load")
        if not load or load["busy"] is None or reply["event"]["t_us"] < since:
            continue  # another event, the first report, or one that the last change is too fresh for
        if not load["pressure"]:
            sys.exit(domain + " tells no pressure: its kernel needs psi=1")
        info = next(call("GetDomain", domain=domain))["info"]
        now, pressure = info["online"], load["pressure"]["avg10"]
        calm = calm + 1 if pressure < DOWN and load["busy"] * now < FULL * (now - 1) else 0
        if pressure > UP and now < int(most):
            change = {"count": now + 1}
        elif calm >= CALM and now > int(least):
            change = {"count": now - 1, "standby": info["standby"] + 1}
        else:
            continue
        try:
            result = next(call("SetVcpus", domain=domain, **change))["result"]["result"]
        except RuntimeError as error:
            result = error
        print("%s: %d -> %d: %s" % (domain, now, change["count"], result), flush=True)
        pause = SETTLE if result == "done" else RETRY
        calm, since = 0, time.monotonic_ns() // 1000 + pause * 1000000


if __name__ == "__main__":
    main(*sys.argv[1:])
