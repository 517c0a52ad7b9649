"""JMAP clients: over HTTP (http.client) and over WebSocket (python3-websockets),
with the same calls, so that one test runs over both."""

import asyncio
import http.client
import itertools
import json
import ssl
import threading
import time

import websockets

from harness import DEADLINE
from raw import basic

CORE = "urn:ietf:params:jmap:core"
MAIL = "urn:ietf:params:jmap:mail"
WS = "urn:ietf:params:jmap:websocket"
USING = [CORE, MAIL]


def insecure():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def problem(kind):
    return "urn:ietf:params:jmap:error:" + kind


class Api:
    """What both carriers have in common. answer_to() is theirs."""

    account_id = None

    def request(self, calls, using=None, **more):
        """The whole Response, or the problem details / RequestError."""
        body = {"using": USING if using is None else using,
                "methodCalls": calls}
        body.update(more)
        return self.answer_to(body)

    def calls(self, *calls, **kw):
        answer = self.request([list(c) for c in calls], **kw)
        assert "methodResponses" in answer, answer
        return answer["methodResponses"]

    def call(self, name, args=None, account=True):
        args = dict(args or {})
        if account:
            args.setdefault("accountId", self.account_id)
        (got, answer, call_id), = self.calls([name, args, "c0"])
        assert call_id == "c0"
        assert got == name, (got, answer)
        return answer

    def error(self, name, args=None, account=True):
        """The method-level error of one call."""
        args = dict(args or {})
        if account:
            args.setdefault("accountId", self.account_id)
        (got, answer, _), = self.calls([name, args, "c0"])
        assert got == "error", (got, answer)
        return answer

    # ---- shorthands ----

    def mailboxes(self):
        """Ids by role."""
        return {m["role"]: m["id"]
                for m in self.call("Mailbox/get")["list"] if m["role"]}

    def emails(self, **query):
        query.setdefault("sort", [{"property": "receivedAt",
                                   "isAscending": False}])
        return self.call("Email/query", query)["ids"]

    def state(self, kind="Email"):
        return self.call(f"{kind}/get", {"ids": []})["state"]

    def set_keyword(self, email_id, keyword, on=True):
        got = self.call("Email/set", {"update": {
            email_id: {f"keywords/{keyword}": True if on else None}}})
        assert email_id in (got["updated"] or {}), got
        return got


class HttpApi(Api):
    carrier = "http"

    def __init__(self, server, account, tls=False):
        self.server = server
        self.account = account
        self.conn = (
            http.client.HTTPSConnection("127.0.0.1", server.https,
                                        timeout=DEADLINE, context=insecure())
            if tls else
            http.client.HTTPConnection("127.0.0.1", server.http,
                                       timeout=DEADLINE))
        self.headers = {"Authorization": basic(account.name, account.token)}
        self.account_id = account_id(self.session())

    def close(self):
        self.conn.close()

    def get(self, path):
        self.conn.request("GET", path, headers=self.headers)
        r = self.conn.getresponse()
        return r.status, r.read()

    def session(self):
        status, body = self.get("/jmap/session")
        assert status == 200, (status, body)
        return json.loads(body)

    def post(self, text, content_type="application/json"):
        self.conn.request("POST", "/jmap/api", body=text, headers={
            **self.headers, "Content-Type": content_type})
        r = self.conn.getresponse()
        return r, r.read()

    def answer_to(self, body):
        text = body if isinstance(body, (str, bytes)) else json.dumps(body)
        if isinstance(text, str):
            text = text.encode()
        r, got = self.post(text)
        answer = json.loads(got)
        if r.status != 200:
            assert r.getheader("Content-Type") == "application/problem+json"
            assert answer["status"] == r.status
        return answer


def account_id(session):
    return session["primaryAccounts"][MAIL]


_loop = None


def loop():
    """One event loop in one thread, for all WebSocket clients."""
    global _loop
    if not _loop:
        _loop = asyncio.new_event_loop()
        threading.Thread(target=_loop.run_forever, daemon=True).start()
    return _loop


def run(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, loop()).result(DEADLINE)


async def _connect(*args, **kw):
    return await websockets.connect(*args, **kw)


class WsApi(Api):
    """Messages are kept, with the time when they came, until someone takes
    them."""

    carrier = "ws"
    _ids = itertools.count()

    def __init__(self, server, account, tls=False, path="/jmap/ws",
                 subprotocols=("jmap",), auth=None, aid=None):
        self.server = server
        self.account = account
        port = server.https if tls else server.http
        scheme = "wss" if tls else "ws"
        self.inbox = []
        self.came = threading.Condition()
        self.closed = None  # the exception that ended it
        self.ws = run(_connect(
            f"{scheme}://127.0.0.1:{port}{path}",
            ssl=insecure() if tls else None, subprotocols=list(subprotocols),
            extra_headers={"Authorization": auth or basic(
                account.name, account.token)},
            max_size=None, compression=None, ping_interval=None))
        self.reader = asyncio.run_coroutine_threadsafe(self._read(), loop())
        self.account_id = aid or _account_id(server, account)

    async def _read(self):
        try:
            async for text in self.ws:
                self._keep(time.monotonic(), text)
        except websockets.ConnectionClosed:
            pass
        with self.came:
            self.closed = (self.ws.close_code, self.ws.close_reason)
            self.came.notify_all()

    def _keep(self, when, text):
        message = json.loads(text)
        message["#came"] = when
        with self.came:
            self.inbox.append(message)
            self.came.notify_all()

    def send(self, body):
        run(self.ws.send(body if isinstance(body, (str, bytes))
                         else json.dumps(body)))

    def take(self, wanted, what="a message", deadline=None):
        """Takes the first message, come or coming, that is wanted."""
        end = time.monotonic() + (deadline or DEADLINE)
        with self.came:
            while True:
                for i, m in enumerate(self.inbox):
                    if wanted(m):
                        return self.inbox.pop(i)
                assert not self.closed, f"closed {self.closed}, no {what}"
                left = end - time.monotonic()
                assert left > 0, f"{what} did not come; {self.inbox}"
                self.came.wait(left)

    def wait_closed(self):
        end = time.monotonic() + DEADLINE
        with self.came:
            while not self.closed:
                left = end - time.monotonic()
                assert left > 0, "it was not closed"
                self.came.wait(left)
        return self.closed[0]

    def close(self):
        run(self.ws.close())

    # ---- RFC 8887 ----

    def answer_to(self, body):
        if isinstance(body, (str, bytes)):
            self.send(body)
            return self.take(lambda m: m["@type"] != "StateChange",
                             "an answer")
        rid = f"r{next(self._ids)}"
        self.send({"@type": "Request", "id": rid, **body})
        answer = self.take(lambda m: m.get("requestId") == rid, "the answer")
        assert answer["@type"] in ("Response", "RequestError"), answer
        return answer

    def enable(self, types=None, push_state=None, **more):
        message = {"@type": "WebSocketPushEnable", "dataTypes": types, **more}
        if push_state is not None:
            message["pushState"] = push_state
        self.send(message)
        self.barrier()

    def disable(self):
        self.send({"@type": "WebSocketPushDisable"})
        self.barrier()

    def barrier(self):
        """Messages are taken in order: an answer to this means that all that
        was sent before was taken."""
        self.call("Core/echo", {}, account=False)

    def change(self, deadline=None):
        """The next StateChange: (what changed for our account, the whole)."""
        m = self.take(lambda m: m["@type"] == "StateChange", "a StateChange",
                      deadline)
        assert list(m["changed"]) == [self.account_id], m
        return m["changed"][self.account_id], m

    def changes_until(self, types):
        """Merges StateChanges until each of these types was in one."""
        merged, last = {}, None
        while not set(types) <= set(merged):
            got, last = self.change()
            merged.update(got)
        return merged, last

    def pushes(self):
        """StateChanges that have come and that nobody took."""
        with self.came:
            return [m for m in self.inbox if m["@type"] == "StateChange"]


def _account_id(server, account):
    api = HttpApi(server, account)
    api.close()
    return api.account_id


def connect(carrier, server, account, **kw):
    return {"http": HttpApi, "ws": WsApi}[carrier](server, account, **kw)
