"""A role that is stopped: the store is ended and replaced, a worker's listener is
served by its sibling. A master that was stopped takes nobody for silent."""

import os
import signal
import time

import pytest

import fault
import harness
from jmap import HttpApi, WsApi
from mail import RawLmtp, deliver
from raw import Raw, request


@pytest.fixture
def server():
    with harness.Server(allow_deaths=True, ws_throttle=20,
                        log_level="info") as s:
        yield s


def test_a_silent_store_is_replaced(server):
    account = server.add_account()
    deliver(server, account.name)
    ws, reader = WsApi(server, account), WsApi(server, account)
    ws.enable()
    email, = ws.emails()
    old = fault.wait_settled(server, "store")
    with RawLmtp(server) as lmtp:
        lmtp.envelope(account.name)
        assert lmtp.say("DATA")[0] == 354
        lmtp.send(b"Subject: half\r\n\r\nof it")
        # The store has it begun: a call after it is answered.
        reader.barrier()
        os.kill(old, signal.SIGSTOP)
        lmtp.send(b", and the rest\r\n.\r\n")
        ws.send({"@type": "Request", "id": "write", "using": [
            "urn:ietf:params:jmap:mail"], "methodCalls": [["Email/set", {
                "accountId": ws.account_id,
                "update": {email: {"keywords/seen-by-nobody": True}}}, "s"]]})
        reader.send({"@type": "Request", "id": "read", "using": [
            "urn:ietf:params:jmap:mail"], "methodCalls": [["Email/get", {
                "accountId": ws.account_id, "ids": [email],
                "properties": ["id"]}, "g"]]})
        # A streamed write is not asked again: its sender does that.
        assert lmtp.reply()[0] == 451
    assert fault.up_again(server, "store", 0, old) != old
    assert "silent for 10 seconds" in server.log()
    # What had not begun is asked again, on the connections that are there.
    read = reader.take(lambda m: m.get("requestId") == "read")
    assert read["methodResponses"][0][1]["list"] == [{"id": email}]
    write = ws.take(lambda m: m.get("requestId") == "write")
    assert email in write["methodResponses"][0][1]["updated"]
    got, _ = ws.change()
    assert got["Email"] == ws.state("Email")
    assert ws.emails() == [email]  # the half was not kept
    assert not ws.closed and not reader.closed
    ws.close()
    reader.close()


def test_a_stopped_workers_listener_is_served(server):
    pid = fault.wait_settled(server, "worker", 1)
    os.kill(pid, signal.SIGSTOP)
    try:
        conns = []
        for _ in range(32):  # about half of them wait for the stopped one
            c = Raw(server.http)
            c.send(request("GET", "/healthz"))
            conns.append(c)
        for c in conns:
            assert c.response().status == 200
            c.close()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert fault.wait_settled(server, "worker", 1) == pid
    # And it serves its own again: its connections are those that it accepts.
    c = fault.connect_to(lambda: Raw(server.http), server, 1)
    assert c.get("/healthz").status == 200
    c.close()


def test_a_worker_that_is_silent_for_long_is_replaced(server):
    account = server.add_account()
    deliver(server, account.name)
    old = fault.wait_settled(server, "worker", 1)
    api = HttpApi(server, account)
    pid = fault.role(server, "worker", 0)["pid"]
    while not fault.is_of(api.conn.sock, server.http, pid):
        api.close()
        api = HttpApi(server, account)
    os.kill(old, signal.SIGSTOP)
    fault.up_again(server, "worker", 1, old)
    assert len(api.emails()) == 1  # the other one's connections live on
    api.close()
    c = fault.connect_to(lambda: Raw(server.http), server, 1)
    assert c.get("/healthz").status == 200
    c.close()


def test_a_master_that_was_stopped_itself_kills_nobody(server):
    """It has heard nothing for longer than a role may be silent, and the end of
    one makes it look at all."""
    store = fault.wait_settled(server, "store")
    live, dies = [fault.wait_settled(server, "worker", i) for i in range(2)]
    c = fault.connect_to(lambda: Raw(server.http), server, 0)
    server.proc.send_signal(signal.SIGSTOP)
    os.kill(dies, signal.SIGKILL)
    time.sleep(10.5)
    server.proc.send_signal(signal.SIGCONT)
    # The new one has lived a second: two later looks are over as well.
    fault.wait_settled(server, "worker", 1, dies)
    assert server.pids("store") == [store]
    assert fault.role(server, "worker", 0)["pid"] == live
    assert "silent" not in server.log()
    assert c.get("/healthz").status == 200
    c.close()
