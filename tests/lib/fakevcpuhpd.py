# SPDX-License-Identifier: LGPL-2.1-or-later
"""A vcpuhpd that is a script: a Varlink server for the tests of vcpuhpctl.

It answers with the recordings of recordings.py. Which one is chosen by the words of the request:
the domain "web1" and most others get what was asked for; "failed", "stuck" and so on that result;
"err-NAME" that error; "bad-..." bytes that make no sense; "closes" a closed connection; and "slow"
whatever the test's own function sends.
"""

import contextlib
import json
import os
import socket
import subprocess
import tempfile
import threading

import recordings as rec
from traces import TRACES

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("VCPUHP_BUILD") or os.path.join(ROOT, "build"))
CTL = os.path.join(BUILD, "daemon", "vcpuhpctl")
SECONDS = 20


def why_not():
    return None if os.access(CTL, os.X_OK) else "%s is not built" % CTL


def error(name, text="a sentence", **keys):
    return {"error": "io.vcpuhp.Manager." + name, "parameters": dict(keys, text=text)}


# Replies that make no sense: bytes, and what is wrong with them.
BAD = {
    "bad-json": b"{nonsense}\0",
    "bad-text": b"\xff\xfe\0",
    "bad-array": b"[]\0",
    "bad-empty": b"\0",
    "bad-nan": b'{"parameters":{"domains":NaN}}\0',
    "bad-deep": b'{"parameters":' + b"[" * 100000 + b"\0",
    "bad-type": b'{"parameters":5}\0',
    "bad-error": b'{"error":{}}\0',
    "bad-nothing": b'{"parameters":{}}\0',
    "bad-null": b'{"parameters":{"result":null,"info":null}}\0',
    "bad-word": b'{"parameters":{"result":{"op":"x","domain":"d","result":"splendid"}}}\0',
    "bad-shape": b'{"parameters":{"result":{"op":1,"domain":[],"result":7,"vcpus":{}},"info":[]}}\0',
    "bad-cut": b'{"parameters":{"resu',
    "bad-long": b"[" * (33 << 20),
}


class Server:
    """One thread a connection. .calls are the requests so far; .closed counts lost connections.

    @follow: for domain "slow": called with send(parameters), decides itself what comes when.
    """

    def __init__(self, path, follow=None):
        self.follow = follow
        self.calls = []
        self.closed = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        data = b""
        with connection, contextlib.suppress(OSError):
            while True:
                chunk = connection.recv(65536)
                if not chunk:
                    break
                data += chunk
                while b"\0" in data:
                    message, _, data = data.partition(b"\0")
                    self.answer(connection, json.loads(message))
        self.closed.set()

    def answer(self, connection, call):
        self.calls.append(call)
        parameters = call.get("parameters", {})
        key = parameters.get("domain") or parameters.get("op") or parameters.get("name") or ""

        def send(reply, continues=False):
            message = {"parameters": reply} if "error" not in reply else reply
            if continues:
                message["continues"] = True
            connection.sendall(json.dumps(message).encode() + b"\0")

        if key in BAD:
            connection.sendall(BAD[key])
        elif key == "closes":
            connection.shutdown(socket.SHUT_RDWR)
        elif key.startswith("err-"):
            send(error(key[4:]))
        elif key.startswith("varlink-"):
            send({"error": "org.varlink.service." + key[8:], "parameters": {"parameter": "count"}})
        elif key == "slow":
            self.follow(send, call)
        else:
            method = call["method"].rpartition(".")[2]
            self.reply(method, key, parameters, call.get("more", False), send)

    def reply(self, method, key, parameters, more, send):
        if method in ("SetVcpus", "SetTarget"):
            self.change(key, parameters, more, send)
        elif method == "GetOperation":
            word = key if key in rec.RESULTS else "done"
            if parameters.get("wait") and more:
                send({"progress": rec.PROGRESS[0]}, True)
            send({"result": dict(rec.RESULTS[word], op=key)})
        elif method == "CancelOperation":
            send({"result": dict(rec.RESULTS.get(key, rec.RESULTS["cancelled"]), op=key)})
        elif method == "ListOperations" and more:
            operations = rec.MANY if key == "many" else [rec.RESULTS["done"], rec.RESULTS["accepted"]]
            for o in operations[:-1]:
                send({"operations": [o]}, True)
            send({"operations": operations[-1:]})
        elif method == "Events":
            send({}, True)
            for event in rec.EVENTS:
                send({"event": event}, True)
            if key == "ends":
                send({"event": rec.EVENTS[0]})
        else:
            send({
                "Diagnose": {"findings": rec.FINDINGS[: 2 if key == "web1" else 3]},
                "GetHost": {"host": rec.HOST},
                "ListDomains": {"domains": [rec.SUMMARY, rec.ATTACHING]},
                "GetDomain": {"info": rec.ATTACHING if key == "db" else rec.INFO},
                "ListStates": {"states": rec.STATES},
                "GetTrace": {"steps": TRACES.get(key, rec.TRACE)},
                "ArmFailure": {}, "Attach": {}, "Detach": {}, "Metrics": rec.METRICS,
            }[method])  # fmt: skip

    def change(self, key, parameters, more, send):
        if parameters.get("dry_run"):
            send({"refused": rec.PLAN_REFUSED, "warned": rec.PLAN_WARNED, "config": rec.PLAN_CONFIG}.get(key, rec.PLAN))
            return
        word = key if key in rec.RESULTS else "done"
        if not parameters["wait"] and word == "done":
            word = "accepted"
        if more and key == "waits":
            send({"waiting": "web1: waiting for QEMU: \033[2Jno"}, True)
        if more:
            for step in rec.FAILING if word == "failed" else rec.PROGRESS:
                send({"progress": step}, True)
        op = None if parameters.get("affect") == "config" else parameters["op"]
        send({"result": dict(rec.RESULTS[word], op=op)})


@contextlib.contextmanager
def server(follow=None):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "control")
        yield Server(path, follow), path, folder


def environment(path, **more):
    return dict(os.environ, VCPUHP_SOCKET=path, LC_ALL="C", TERM="dumb", **more)


def run(args, path, **more):
    return subprocess.run([CTL] + args, env=environment(path), stdin=subprocess.DEVNULL, timeout=SECONDS,
                          capture_output=True, text=True, check=False, **more)  # fmt: skip


def begin(args, path, **more):
    return subprocess.Popen([CTL] + args, env=environment(path), stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)  # fmt: skip
