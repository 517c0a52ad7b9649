"""SIGTERM: calls in flight are finished, clients are told, and it ends. Server
asserts the exit status 0, a bound, and a clean log at every test's end; here are
the details."""

import json
import os
import signal
import struct
import threading

import pytest

from h2conn import H2
from harness import Server, wait_for
from jmap import CORE, USING, HttpApi, WsApi
from mail import RawLmtp, message
from raw import Raw, basic
from rawws import RawWs


@pytest.fixture
def server():
    with Server() as s:
        yield s


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_every_websocket_gets_close_1001(server, tls):
    account = server.add_account()
    clients = [WsApi(server, account, tls=tls) for _ in range(8)]
    server.stop()
    assert [c.wait_closed() for c in clients] == [1001] * 8


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_status_0(server, sig):
    server.stop(sig)


def test_a_write_in_flight_is_finished_and_answered(server):
    account = server.add_account()
    ws = WsApi(server, account)
    for n in range(4):
        ws.send({"@type": "Request", "id": f"r{n}", "using": USING,
                 "methodCalls": [["Mailbox/set", {
                     "accountId": ws.account_id, "create": {
                         "x": {"name": f"N{n}"}}}, "0"]]})
    ws.take(lambda m: m.get("requestId") == "r0")
    server.stop()
    assert ws.wait_closed() == 1001
    answers = {m["requestId"]: m for m in ws.inbox if "requestId" in m}
    server.start()
    names = [m["name"] for m in HttpApi(server, account).call(
        "Mailbox/get")["list"]]
    for n in range(1, 4):
        answer = answers.get(f"r{n}")
        done = bool(answer) and answer["@type"] == "Response"
        assert done == (f"N{n}" in names), (n, answer)
    assert "N0" in names


def test_a_websocket_that_does_not_answer_the_close_is_dropped(server):
    """Before the workers cut all that is left."""
    account = server.add_account()
    with RawWs(server.http, "/jmap/ws", account=account) as c:
        server.stop()
        assert c.message()[0] == 8
        c.assert_closed()
    assert server.log().count("drained left=0") == 2


def test_idle_http_connections_do_not_hold_it_up(server):
    """Its bound for them would be http-timeout, which is longer than the
    deadline of stop()."""
    account = server.add_account()
    api = HttpApi(server, account)
    with Raw(server.http) as idle, Raw(server.http) as half:
        half.send(b"GET /healthz HT")
        server.stop()
        idle.assert_closed()
        half.rest()
    api.close()


# ---- HTTP/2 (RFC 9113 6.8): GOAWAY, a round trip, GOAWAY ----

def read_frame(c):
    head = c.take(9)
    return head + c.take(int.from_bytes(head[:3], "big"))


def goaway(last):
    return b"\0\0\x08\x07\0\0\0\0\0" + struct.pack(">II", last, 0)


PING = b"\0\0\x08\x06%c\0\0\0\0draining"


def test_what_crosses_the_first_goaway_is_answered(server):
    """Byte by byte: a notice that names no stream and a PING, whose answer brings
    the name of the last."""
    with Raw(server.http) as c:
        c.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        # Its SETTINGS, the acknowledgement of ours, WINDOW_UPDATE.
        assert [read_frame(c)[3] for _ in range(3)] == [4, 4, 8]
        server.proc.send_signal(signal.SIGTERM)
        assert read_frame(c) == goaway(2**31 - 1)
        assert read_frame(c) == PING % 0
        # :method GET, :scheme http, :path /healthz, :authority x (RFC 7541)
        block = b"\x82\x86\x44\x08/healthz\x41\x01x"
        c.send(struct.pack(">I", len(block))[1:] + b"\1\5\0\0\0\1" + block)
        c.send(PING % 1)
        c.buf = c.rest()
        rest = []
        while c.buf:
            rest.append(read_frame(c))
        assert [f for f in rest if f[3] == 7] == [goaway(1)]
        assert [f[9:] for f in rest if f[3] == 0] == [b"ok\n"]
    server.ended()


@pytest.mark.parametrize("answers", [True, False])
def test_an_idle_http2_connection_does_not_hold_it_up(server, answers):
    """Nor one that does not answer the PING: it is given up after a second."""
    with H2(server.https, tls=True) as c:
        assert c.get("/healthz").status == 200
        server.proc.send_signal(signal.SIGTERM)
        if answers:
            c.rest()
            c.close()
        server.ended()
        if not answers:
            c.rest()
        assert c.goaways == [(0, 2**31 - 1), (0, 1)]
    assert server.log().count("drained left=0") == 2


class Hammer(threading.Thread):
    """Requests over one HTTP/2 connection, three at a time, until the server
    wants no more; then the answers that are left."""

    def __init__(self, server, account, tls):
        super().__init__(daemon=True)
        self.server, self.tls = server, tls
        self.fields = {"Authorization": basic(account.name, account.token),
                       "Content_Type": "application/json"}
        self.begun = 0
        self.answers = []
        self.goaways = None
        self.error = None
        self.start()

    def ask(self, c):
        self.begun += 1
        return c.send("POST", "/jmap/api", json.dumps({
            "using": [CORE], "methodCalls": [
                ["Core/echo", {"n": self.begun}, "0"]]}), **self.fields)

    def answer(self, c, sid):
        r = c.response(sid)
        assert r.status == 200, (r.status, r.body)
        self.answers.append(json.loads(r.body)["methodResponses"][0][1]["n"])

    def run(self):
        try:
            with H2(self.server.https if self.tls else self.server.http,
                    self.tls) as c:
                under_way = []
                while not c.goaway:
                    while len(under_way) < 3:
                        under_way.append(self.ask(c))
                    self.answer(c, under_way.pop(0))
                for sid in under_way:
                    self.answer(c, sid)
                c.rest()
                self.goaways = c.goaways
        except BaseException as e:
            self.error = e


def test_a_stop_under_http2_load_loses_no_request(server):
    account = server.add_account()
    hammers = [Hammer(server, account, tls) for tls in (False, True) * 2]
    wait_for("a load", lambda: all(
        h.begun > 20 or h.error for h in hammers))
    server.stop()
    for h in hammers:
        h.join()
        assert h.error is None, h.error
        assert h.answers == list(range(1, h.begun + 1))
        assert h.goaways == [(0, 2**31 - 1), (0, 2 * h.begun - 1)]
    assert server.log().count("drained left=0") == 2


# ---- LMTP ----

def test_lmtp_is_told_to_come_again(server):
    account = server.add_account()
    with RawLmtp(server) as idle:
        server.stop()
        assert idle.reply()[0] == 421
        idle.assert_closed()
    assert account


def test_a_delivery_under_way_is_finished_or_not_acknowledged(server):
    account = server.add_account()
    with RawLmtp(server) as c:
        c.envelope(account.name)
        assert c.say("DATA")[0] == 354
        c.send(message())
        server.proc.send_signal(signal.SIGTERM)
        wait_for("it drains", lambda: " draining" in server.log())
        c.send_may_fail(b".\r\n")
        got = c.rest()
        server.ended()
    acknowledged = b"250 2.0.0" in got
    server.start()
    assert len(HttpApi(server, account).emails()) == int(acknowledged)


def test_no_new_connection_is_taken(server):
    server.stop()
    for port in (server.http, server.https, server.lmtp):
        with pytest.raises(ConnectionError):
            Raw(port)


def test_a_second_sigterm_ends_at_once():
    """A client that holds the drain up: it reads nothing of a large answer."""
    with Server(allow_deaths=True) as s:
        account = s.add_account()
        with RawWs(s.http, "/jmap/ws", account=account, rcvbuf=4096) as c:
            c.send_json({"@type": "Request", "id": "big", "using": USING,
                         "methodCalls": [["Core/echo", {
                             "x": "x" * 5000000}, "0"]]})
            wait_for("the answer is on its way", lambda: c.sock.recv(1, 2))
            s.proc.send_signal(signal.SIGTERM)
            wait_for("it drains", lambda: " draining" in s.log())
            s.proc.send_signal(signal.SIGTERM)
            s.wait()
        assert "second signal" in s.log()


def test_the_control_socket_is_gone_and_no_role_is_left(server):
    pids = server.pids("store") + server.pids("worker")
    server.stop()
    assert not os.path.exists(server.dir + "/run/control")
    assert server.ctl("status").returncode == 1
    for pid in pids:
        assert not os.path.exists(f"/proc/{pid}")


def test_all_roles_end_when_the_master_is_killed():
    with Server(allow_deaths=True) as s:
        pids = s.pids("store") + s.pids("worker")
        ws = WsApi(s, s.add_account())
        s.proc.kill()
        s.proc.wait()
        wait_for("the roles ended", lambda: not any(
            os.path.exists(f"/proc/{p}") for p in pids))
        assert ws.wait_closed() == 1001
        s.start()
