# SPDX-License-Identifier: LGPL-2.1-or-later
"""A wire between the daemon and a real QEMU that can lose, double or delay events."""

import json
import os
import socket
import threading

from qmp import connect


class QmpFilter:
    """Listens at @path for one client after another and joins each with QEMU's socket at @qemu.

    @edit: gets each event of QEMU's as a dict and returns how often it is passed on.
    """

    def __init__(self, path, qemu, edit):
        self.qemu, self.edit = qemu, edit
        self.seen = []  # (event, how often passed on)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = connect(self.qemu)
            up = threading.Thread(target=_copy, args=(client, server), daemon=True)
            up.start()
            self._filter(server, client)
            up.join()

    def _filter(self, server, client):
        with server, client, server.makefile("rb") as lines:
            try:
                for line in lines:
                    client.sendall(line * self._times(line))
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # one of the two has gone

    def _times(self, line):
        message = json.loads(line)
        if "event" not in message:
            return 1
        times = self.edit(message)
        self.seen.append((message["event"], times))
        return times

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def _copy(source, sink):
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def filtered(machine, edit):
    """(filter, QMP= for the daemon) before @machine."""
    path = os.path.join(machine.dir, "qmp-filter")
    return QmpFilter(path, machine.qmp_path, edit), path
