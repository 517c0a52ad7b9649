"""A WebSocket client that frames by itself (RFC 6455 5), so that tests may break
every rule of it."""

import json
import os
import struct

from raw import Raw, basic

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def handshake(path, **fields):
    """The bytes of one; a field given as None is left out, a list comes twice."""
    all_fields = {
        "Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13"}
    all_fields.update({k.replace("_", "-"): v for k, v in fields.items()})
    text = f"GET {path} HTTP/1.1\r\n"
    for k, v in all_fields.items():
        for one in v if isinstance(v, list) else [v]:
            if one is not None:
                text += f"{k}: {one}\r\n"
    return (text + "\r\n").encode()


def frame(opcode, payload=b"", fin=True, rsv=0, mask=True, length=None):
    if isinstance(payload, str):
        payload = payload.encode()
    n = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if n < 126:
        head += bytes([bit | n])
    elif n < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", n)
    if not mask:
        return head + payload
    key = os.urandom(4)
    big = key * (len(payload) // 4 + 1)
    masked = (int.from_bytes(payload, "big")
              ^ int.from_bytes(big[:len(payload)], "big"))
    return head + key + masked.to_bytes(len(payload), "big")


def close(code=None, reason=""):
    return frame(CLOSE, b"" if code is None
                 else struct.pack(">H", code) + reason.encode())


class RawWs(Raw):
    def __init__(self, port, path="/jmap/ws-echo", tls=False, account=None,
                 rcvbuf=None, **fields):
        super().__init__(port, tls, rcvbuf)
        if account:
            fields.setdefault("Authorization",
                              basic(account.name, account.token))
            fields.setdefault("Sec_WebSocket_Protocol", "jmap")
        self.send(handshake(path, **fields))
        self.opened = self.response(head_only=True)
        assert self.opened.status == 101, self.opened.status
        assert self.opened.get("sec-websocket-accept") == ACCEPT
        self.pings = 0

    def frame(self, *args, **kw):
        self.send(frame(*args, **kw))

    def read_frame(self):
        """fin, rsv, opcode, payload: byte for byte as it came."""
        a, b = self.take(2)
        assert not b & 0x80, "a server does not mask (RFC 6455 5.1)"
        n = b & 0x7f
        if n == 126:
            n, = struct.unpack(">H", self.take(2))
            assert n >= 126, "the shortest length"
        elif n == 127:
            n, = struct.unpack(">Q", self.take(8))
            assert n >= 65536, "the shortest length"
        return bool(a & 0x80), a >> 4 & 7, a & 15, self.take(n)

    def message(self):
        """The next data message or Close: (opcode, payload); Pings are answered."""
        data, kind = b"", None
        while True:
            fin, rsv, opcode, payload = self.read_frame()
            assert rsv == 0
            if opcode == PING:
                self.pings += 1
                self.frame(PONG, payload)
            elif opcode == PONG:
                continue
            elif opcode == CLOSE:
                return opcode, payload
            else:
                kind = opcode if kind is None else kind
                data += payload
                if fin:
                    return kind, data

    def json(self):
        opcode, payload = self.message()
        assert opcode == TEXT, (opcode, payload)
        return json.loads(payload)

    def send_json(self, obj):
        self.frame(TEXT, json.dumps(obj))

    def expect_close(self, code):
        """A Close with that code (None: without one), then the end."""
        while True:
            opcode, payload = self.message()
            if opcode == CLOSE:
                break
        self.is_close(payload, code)

    def is_close(self, payload, code):
        if code is None:
            assert payload == b""
        else:
            got, = struct.unpack(">H", payload[:2])
            assert got == code, (got, payload[2:])
            payload[2:].decode()
        self.send_may_fail(frame(CLOSE, payload[:2]))
        self.assert_closed()
