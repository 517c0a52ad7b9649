"""JMAP clients (jmap.Api) over each carrier there is: HTTP/1.1 and HTTP/2, requests
and WebSockets, plain and TLS. One connection each."""

import itertools
import json

from h2conn import H2, H2Ws
from jmap import Api, HttpApi
from raw import Raw, basic, request
from rawws import CLOSE, TEXT, RawWs

HTTP = ("plain", "tls", "h2c", "h2")
WEBSOCKET = ("ws", "wss", "h2c-ws", "h2-ws")
ALL = HTTP + WEBSOCKET


def secure(carrier):
    return carrier in ("tls", "h2", "wss", "h2-ws")


def port_of(server, carrier):
    return server.https if secure(carrier) else server.http


def open_ws(server, account, carrier, auth=None):
    make = RawWs if carrier in ("ws", "wss") else H2Ws
    return make(port_of(server, carrier), "/jmap/ws", tls=secure(carrier),
                account=account,
                **({"Authorization": auth} if auth else {}))


class Requests(Api):
    """A request at a time; any path with fetch()."""

    def __init__(self, server, account, carrier, aid=None, auth=None):
        self.carrier = carrier
        self.auth = auth or basic(account.name, account.token)
        self.account_id = aid or id_of(server, account)
        make = H2 if carrier in ("h2c", "h2") else Raw
        self.open = lambda: make(port_of(server, carrier), secure(carrier))
        self.conn = self.open()

    def close(self):
        self.conn.close()

    def fetch(self, method, path, body=None, auth=None, **fields):
        fields["Authorization"] = auth or self.auth
        if isinstance(self.conn, H2):
            return self.conn.response(
                self.conn.send(method, path, body, **fields),
                head_only=method == "HEAD")
        self.conn.send(request(method, path, body, **fields))
        r = self.conn.response(head_only=method == "HEAD")
        if r.get("connection") == "close":
            self.conn.close()
            self.conn = self.open()
        return r

    def answer_to(self, body):
        r = self.fetch("POST", "/jmap/api", json.dumps(body),
                       Content_Type="application/json")
        answer = json.loads(r.body)
        assert r.status == 200 or answer["status"] == r.status, answer
        return answer


class Socket(Api):
    """A WebSocket; StateChanges that came meanwhile are kept in pushes."""

    _ids = itertools.count()

    def __init__(self, server, account, carrier, aid=None, auth=None):
        self.carrier = carrier
        self.account_id = aid or id_of(server, account)
        self.ws = open_ws(server, account, carrier, auth)
        self.pushes = []

    def close(self):
        self.ws.close()

    def message(self):
        opcode, payload = self.ws.message()
        assert opcode != CLOSE, payload
        assert opcode == TEXT, opcode
        return json.loads(payload)

    def answer_to(self, body):
        rid = f"r{next(self._ids)}"
        self.ws.send_json({"@type": "Request", "id": rid, **body})
        while True:
            m = self.message()
            if m.get("requestId") == rid:
                return m
            assert m["@type"] == "StateChange", m
            self.pushes.append(m)

    def enable(self, **more):
        self.ws.send_json({"@type": "WebSocketPushEnable", "dataTypes": None,
                           **more})
        self.call("Core/echo", {}, account=False)

    def push(self):
        """The next StateChange."""
        if not self.pushes:
            self.pushes.append(self.message())
        m = self.pushes.pop(0)
        assert m["@type"] == "StateChange", m
        return m


def id_of(server, account):
    api = HttpApi(server, account)
    api.close()
    return api.account_id


def connect(server, account, carrier, **kw):
    make = Requests if carrier in HTTP else Socket
    return make(server, account, carrier, **kw)
