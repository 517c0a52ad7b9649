"""JMAP over every carrier, for tests in which connections end at any moment: what
became of a request is an answer, or GONE."""

import contextlib
import json
import socket
import ssl
from unittest import mock

import h2.exceptions

from h2conn import H2, H2Ws
from jmap import USING
from raw import Closed, Raw, basic, request
from rawws import CLOSE, TEXT, RawWs

CARRIERS = ("plain", "tls", "h2c", "h2")

# What it looks like when the other side is no more.
GONE = (Closed, ConnectionError, ssl.SSLError, h2.exceptions.H2Error)


def port_of(server, carrier):
    return server.https if carrier in ("tls", "h2") else server.http


def is_h2(carrier):
    return carrier in ("h2c", "h2")


def open_ws(server, account, carrier, **kw):
    make = H2Ws if is_h2(carrier) else RawWs
    return make(port_of(server, carrier), "/jmap/ws",
                tls=carrier in ("tls", "h2"), account=account, **kw)


class Narrow(socket.socket):
    """Small segments make the sender's buffers small too."""

    def connect(self, address):
        if self.family == socket.AF_INET:
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        super().connect(address)


@contextlib.contextmanager
def little_room():
    """Connections made meanwhile keep little in the kernel."""
    with mock.patch("socket.socket", Narrow):
        yield


def json_of(ws):
    """The next message; a Close is the end."""
    opcode, payload = ws.message()
    if opcode == CLOSE:
        raise Closed
    assert opcode == TEXT, opcode
    return json.loads(payload)


class WsLine:
    """Requests over a WebSocket, one after the other."""

    def __init__(self, server, account, carrier):
        self.ws = open_ws(server, account, carrier)
        self.n = 0

    def ask(self, calls):
        """The Response or the RequestError."""
        self.n += 1
        self.ws.send_json({"@type": "Request", "id": f"r{self.n}",
                           "using": USING, "methodCalls": calls})
        answer = json_of(self.ws)
        assert answer["requestId"] == f"r{self.n}", answer
        return answer

    def close(self):
        self.ws.close()


class ApiLine:
    """Requests over HTTP, one after the other on one connection."""

    def __init__(self, server, account, carrier):
        make = H2 if is_h2(carrier) else Raw
        self.conn = make(port_of(server, carrier), carrier in ("tls", "h2"))
        self.fields = {"Authorization": basic(account.name, account.token),
                       "Content_Type": "application/json"}
        self.is_h2 = is_h2(carrier)

    def ask(self, calls):
        """The Response or the problem."""
        head = ("POST", "/jmap/api",
                json.dumps({"using": USING, "methodCalls": calls}))
        if self.is_h2:
            r = self.conn.response(self.conn.send(*head, **self.fields))
        else:
            self.conn.send(request(*head, **self.fields))
            r = self.conn.response()
        answer = json.loads(r.body)
        assert r.status == 200 or answer["status"] == r.status, answer
        return answer

    def close(self):
        self.conn.close()


LINES = {"ws": WsLine, "api": ApiLine}
