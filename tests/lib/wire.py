# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest protocol in Python, written from proto/PROTOCOL.md and not from the C code.

frame(), Decoder: frames.  encode(), decode(): messages, as dicts.  records(), record(): what a
REPORT carries.  Peer: one side's handshake and numbering, over bytes that others carry.
"""

import collections
import random
import struct

MAGIC, VERSION, HEADER, FRAME_MAX = 0x31504856, 1, 28, 4096
NO_SLOT = NO_CPU = 0xFFFF
NONE = 0xFF

HELLO, PING, PONG, QUERY, KICK, KICKED, CANCEL, ACK, ARM, ARMED, REPORT, PREPARE, LOAD = range(1, 14)
CPU, STATE, STEP, KSTEP, DONE, LOG, END, LOAD_CPU, LOAD_ALL = range(1, 10)

FEATURE_HOTPLUG, FEATURE_KTRACE, FEATURE_FAULTS = 1, 2, 4
FEATURE_OTHERS, FEATURE_UDEV_ONLINES, FEATURE_IRQBALANCE, FEATURE_LOAD = 8, 16, 32, 64
KICK_ROLLBACK, KICK_LADDER_LATER, KICK_TAKEN_LATER = 1, 2, 4
PRESENT, ONLINE, WALKING, TAKEN, FOREIGN, PARKED = 1, 2, 4, 8, 16, 32
EXIT, STARTUP, ROLLBACK, LATE = 1, 2, 4, 8

_SIZES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i32": "i"}

_MESSAGES = {
    HELLO: "version_min:u8 version_max:u8 features:u32 session:u64 peer:u64 kick:u32 time_ns:u64 "
           "possible:u16 boot_id:id16 version:text kernel:text",
    PING: "host_ns:u64",
    PONG: "host_ns:u64 guest_ns:u64",
    QUERY: "",
    KICK: "kick:u32 slot:u16 cpu:u16 target:u8 flags:u8 slow:u8 deadline_ms:u32 op:text",
    KICKED: "kick:u32 slot:u16 rc:i32 text:text",
    CANCEL: "kick:u32",
    ACK: "kick:u32",
    ARM: "slot:u16 state:u8 rc:i32",
    ARMED: "slot:u16 state:u8 rc:i32",
    PREPARE: "kicks:u16 within_ms:u32",
    LOAD: "interval_ms:u32",
}  # fmt: skip

_RECORDS = {
    CPU: "cpu:u16 slot:u16 flags:u8 state:u8 ran_on:u16 text:text",
    STATE: "state:u8 name:text",
    STEP: "kick:u32 slot:u16 cpu:u16 state:u8 flags:u8 rc:i32 ran_on:u16 time_ns:u64 text:text",
    KSTEP: "kick:u32 slot:u16 cpu:u16 step:u16 flags:u8 rc:i32 time_ns:u64 name:text",
    DONE: "kick:u32 slot:u16 cpu:u16 state:u8 rc:i32 failed_at:u8 rollback_rc:i32 "
          "rollback_failed_at:u8 ran_on:u16 text:text",
    LOG: "level:u8 text:text",
    END: "",
    LOAD_CPU: "cpu:u16 busy:u16 steal:u16",
    LOAD_ALL: "span_ms:u32 avg10:u16 avg60:u16 total_us:u64 load1:u32 load5:u32 load15:u32 "
              "runnable:u32",
}  # fmt: skip


class Malformed(Exception):
    pass


def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


_CRC = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def frame(kind, payload=b"", session=0, seq=0, version=VERSION):
    def head(crc):
        return struct.pack("<IBBHQIHHI", MAGIC, version, kind, 0, session, seq, len(payload), 0, crc)

    return head(crc32c(head(0) + payload)) + payload


Frame = collections.namedtuple("Frame", "kind session seq payload")


class Decoder:
    """Bytes in, frames out; what is no frame is skipped and counted."""

    def __init__(self):
        self.data = b""
        self.dropped = 0

    def feed(self, data):
        self.data += data

    def _skip(self, n):
        self.dropped += n
        self.data = self.data[n:]

    def next(self):
        while True:
            at = self.data.find(struct.pack("<I", MAGIC))
            self._skip(at if at >= 0 else max(0, len(self.data) - 3))
            if at < 0 or len(self.data) < HEADER:
                return None
            _, version, kind, _, session, seq, length, reserved, crc = struct.unpack(
                "<IBBHQIHHI", self.data[:HEADER])  # fmt: skip
            if version != VERSION or reserved or length > FRAME_MAX - HEADER:
                self._skip(1)
                continue
            if len(self.data) < HEADER + length:
                return None
            whole = self.data[: HEADER + length]
            if crc32c(whole[:24] + bytes(4) + whole[HEADER:]) != crc:
                self._skip(1)
                continue
            self.data = self.data[HEADER + length :]
            return Frame(kind, session, seq, whole[HEADER:])


def _fields(layout):
    return [field.split(":") for field in layout.split()]


def _encode(layout, values):
    out = b""
    for name, kind in _fields(layout):
        value = values.get(name, "" if kind == "text" else bytes(16) if kind == "id16" else 0)
        if kind == "text":
            text = value.encode("ascii", "replace")
            out += bytes([len(text)]) + text
        elif kind == "id16":
            out += value
        else:
            out += struct.pack("<" + _SIZES[kind], value)
    return out


def _decode(layout, data):
    values, at = {}, 0
    for name, kind in _fields(layout):
        size = {"text": 1, "id16": 16}.get(kind) or struct.calcsize(_SIZES[kind])
        if at + size > len(data):
            raise Malformed("cut short at " + name)
        raw = data[at : at + size]
        at += size
        if kind == "text":
            if at + raw[0] > len(data):
                raise Malformed("text beyond the end: " + name)
            values[name] = data[at : at + raw[0]].decode("ascii")
            at += raw[0]
        else:
            values[name] = raw if kind == "id16" else struct.unpack("<" + _SIZES[kind], raw)[0]
    if at != len(data):
        raise Malformed("%d bytes too many" % (len(data) - at))
    return values


def encode(kind, **values):
    return _encode(_MESSAGES[kind], values)


def decode(kind, payload):
    if kind == REPORT:
        return {"records": list(records(payload))}
    if kind not in _MESSAGES:
        raise Malformed("unknown message %d" % kind)
    return _decode(_MESSAGES[kind], payload)


def record(kind, **values):
    body = _encode(_RECORDS[kind], values)
    return struct.pack("<BH", kind, len(body)) + body


def records(payload):
    at = 0
    while at < len(payload):
        kind, length = struct.unpack_from("<BH", payload, at)
        at += 3
        body = payload[at : at + length]
        if len(body) != length:
            raise Malformed("a record cut short")
        at += length
        if kind in _RECORDS:
            yield dict(_decode(_RECORDS[kind], body), record=kind)


class Peer:
    """The host's side of a session: what to write for a message, what to make of bytes."""

    def __init__(self):
        self.decoder = Decoder()
        self.mine = random.getrandbits(64) | 1
        self.other = 0
        self.seq = 0
        self.hello = None
        self.established = False
        self.versions = 1, 1

    def bytes_for(self, kind, payload=b"", session=None):
        if session is None:
            session = 0 if kind == HELLO else self.mine ^ self.other
        self.seq += 1
        return frame(kind, payload, session, self.seq)

    def opening(self):
        return bytes(FRAME_MAX) + self.greeting()

    def greeting(self):
        return self.bytes_for(HELLO, encode(HELLO, version_min=self.versions[0],
                                            version_max=self.versions[1], session=self.mine,
                                            peer=self.other))  # fmt: skip

    def take(self, data):
        """Yield (kind, values, answer) for each frame of ours; @answer is what to write back."""
        self.decoder.feed(data)
        while True:
            f = self.decoder.next()
            if not f:
                return
            if f.kind == HELLO:
                yield self._take_hello(decode(HELLO, f.payload))
            elif self.established and f.session == self.mine ^ self.other:
                yield f.kind, decode(f.kind, f.payload), b""

    def _take_hello(self, hello):
        changed = hello["session"] != self.other
        self.other = hello["session"]
        self.established = hello["peer"] == self.mine
        self.hello = hello
        answer = self.greeting() if changed or not self.established else b""
        return HELLO, hello, answer
