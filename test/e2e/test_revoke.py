"""An account that goes, a new password, an app password that is taken back: what
lives by the old login ends, whatever it is at. http-timeout and ws-client-timeout
are longer than a test waits, so that nothing else ends it."""

import asyncio
import json
import time

import pytest

import everyway
import jmap
from blob import Blobs, noise
from events import CARRIERS, Source
from jmap import USING, WsApi
from mail import deliver
from raw import Closed, basic, request
from rawws import CLOSE, CONT, TEXT, RawWs, frame

OPTIONS = {"http_timeout": 600, "ws_client_timeout": 600,
           "ws_heartbeat_interval": 300, "ws_message_timeout": 600}
BIG = 30_000_000  # no kernel keeps so much for a client that does not read


def new_password(server, account):
    server.ctl_ok("account", "passwd", account.name, "--password-stdin",
                  stdin="neu\n")


def removed(server, account):
    server.ctl_ok("account", "remove", account.name)


def token_revoked(server, account):
    number = server.ctl_ok("token", "list", account.name).split("\t")[0]
    server.ctl_ok("token", "revoke", account.name, number)


KINDS = [new_password, removed, token_revoked]


@pytest.fixture(params=KINDS)
def revoke(request, server, account):
    return lambda: request.param(server, account)


def late():
    return frame(TEXT, json.dumps({
        "@type": "Request", "id": "late", "using": USING,
        "methodCalls": [["Core/echo", {}, "0"]]}))


def no_answer(ws):
    """To what is asked now there is none: Close 1008 comes, and before it at most
    the word that the request was refused."""
    ws.send_may_fail(late())
    while True:
        opcode, payload = ws.message()
        if opcode == CLOSE:
            ws.is_close(payload, 1008)
            return
        assert json.loads(payload)["@type"] == "RequestError", payload


def seconds_until_all_ends(server, kind):
    """Sessions of a new account on every carrier, idle or with a request that is
    too late, from the command's end to that of the last."""
    account = server.add_account(password="alt")
    auth = basic(account.name,
                 account.token if kind is token_revoked else "alt")
    idle, asking = ([everyway.Socket(server, account, c, auth=auth)
                     for c in everyway.WEBSOCKET] for _ in range(2))
    for s in idle[1:]:
        s.enable()
    sources = [Source(server, account, c, auth=auth) for c in CARRIERS]
    requests = [everyway.Requests(server, account, c, auth=auth)
                for c in everyway.HTTP]
    for r in requests:
        assert r.fetch("GET", "/jmap/session").status == 200
    kind(server, account)
    begin = time.monotonic()
    for r in requests:
        assert r.fetch("GET", "/jmap/session").status == 401
    for s in asking:
        no_answer(s.ws)
    for s in idle:
        s.ws.expect_close(1008)
    for s in sources:
        s.assert_ended()
    took = time.monotonic() - begin
    for c in requests + asking + idle + sources:
        c.close()
    return took


@pytest.mark.parametrize("kind", KINDS)
def test_every_session_ends_within_a_second(server, kind):
    """The quickest of some: a busy machine may take its time, but whatever waits
    for a timer never is so quick."""
    took = []
    while not took or took[-1] > 1 and len(took) < 5:
        took.append(seconds_until_all_ends(server, kind))
    assert took[-1] <= 1, took


def test_a_websocket_with_calls_under_way(server, account, revoke):
    """Messages of which each reading is long."""
    part = "--B\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    for i in range(2):
        deliver(server, account.name, (
            f"Subject: {i}\r\nMIME-Version: 1.0\r\nContent-Type: "
            'multipart/mixed; boundary="B"\r\n\r\n' + part * 9000
            + "--B--\r\n").encode())
    ws = WsApi(server, account)
    ids = ws.emails()
    for n in range(4):
        ws.send({"@type": "Request", "id": f"r{n}", "using": USING,
                 "methodCalls": [["Email/get", {
                     "accountId": ws.account_id, "ids": ids,
                     "properties": ["bodyValues"]}, str(i)]
                     for i in range(4)]})
    revoke()
    assert ws.wait_closed() == 1008


def test_a_websocket_in_the_middle_of_a_message(server, account, revoke):
    with RawWs(server.http, "/jmap/ws", account=account) as c:
        c.frame(TEXT, '{"@type":"Request"', fin=False)
        revoke()
        c.frame(CONT, ',"id":"r"}')
        c.expect_close(1008)


def test_a_websocket_behind_an_answer_that_was_not_read(server, account, revoke):
    with RawWs(server.http, "/jmap/ws", account=account, rcvbuf=4096) as c:
        c.send_json({"@type": "Request", "id": "big", "using": USING,
                     "methodCalls": [["Core/echo", {"x": "y" * 9000000}, "0"]]})
        c.more()  # it is on its way
        revoke()
        assert c.json()["requestId"] == "big"
        c.expect_close(1008)


@pytest.mark.parametrize("sent", [0, 1, 300000])
def test_an_upload_that_stands_still(server, account, revoke, tls, sent):
    with Blobs(server, account, tls=tls) as c:
        c.send(request("POST", c.upload_path(), Content_Length=1000000,
                       Authorization=c.auth))
        c.send(b"x" * sent)
        revoke()
        assert c.response().status == 401
        c.rest()


def test_a_request_whose_body_still_comes(server, account, revoke):
    with Blobs(server, account) as c:
        c.send(request("POST", "/jmap/api", Content_Length=1000,
                       Content_Type="application/json", Authorization=c.auth))
        c.send(b"{")
        revoke()
        assert c.response().status == 401
        c.rest()


def test_a_download_that_is_not_read_is_cut(server, account, revoke, tls):
    """What the client sees is shorter than was announced: it is not whole."""
    with Blobs(server, account) as c:
        blob = c.upload(noise(BIG))
    with Blobs(server, account, tls=tls, rcvbuf=4096) as c:
        c.ask(blob)
        head = c.response(head_only=True)
        assert head.status == 200
        assert int(head.get("content-length")) == BIG
        revoke()
        with pytest.raises(Closed):
            c.take(BIG)


def test_others_live_on(server, account, revoke):
    other = server.add_account()
    ws = WsApi(server, other)
    with Blobs(server, other) as up:
        up.send(request("POST", up.upload_path(), Content_Length=2,
                        Authorization=up.auth) + b"x")
        revoke()
        up.send(b"y")
        assert up.response().status == 201
    ws.barrier()
    jmap.run(asyncio.wait_for(jmap.run(ws.ws.ping()), None))
    ws.close()
