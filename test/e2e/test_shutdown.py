"""SIGTERM: calls in flight are finished, clients are told, and it ends. Server
asserts the exit status 0, a bound, and a clean log at every test's end; here are
the details."""

import os
import signal

import pytest

from harness import Server, wait_for
from jmap import USING, HttpApi, WsApi
from mail import RawLmtp, message
from raw import Raw
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
    account = server.add_account()
    with RawWs(server.http, "/jmap/ws", account=account) as c:
        server.stop()
        assert c.message()[0] == 8
        c.assert_closed()


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
