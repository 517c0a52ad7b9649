"""One request that takes long delays nobody: not the pings, pushes and other answers
of its own connection, and not anybody else."""

import asyncio
import json

import jmap
from mail import deliver, message

PARTS = 9000
MESSAGES = 4


def many_parts(i):
    """Too many for its card to be kept: each reading parses it anew."""
    part = "--B\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx\r\n"
    return (f"Subject: {i}\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/mixed; boundary="B"\r\n\r\n'
            + part * PARTS + "--B--\r\n").encode()


def slow(ws, calls=16):
    """Starts one that parses messages 64 times before it answers."""
    ids = ws.emails()
    assert len(ids) == MESSAGES
    ws.send(json.dumps({
        "@type": "Request", "id": "slow", "using": jmap.USING, "methodCalls": [
            ["Email/get", {"accountId": ws.account_id, "ids": ids,
                           "properties": ["bodyValues"]}, str(i)]
            for i in range(calls)]}))


def is_there(ws, wanted):
    with ws.came:
        return any(wanted(m) for m in ws.inbox)


def is_slow(m):
    return m.get("requestId") == "slow"


def filled(server, account):
    for i in range(MESSAGES):
        deliver(server, account.name, many_parts(i))


def finished(ws):
    answer = ws.take(is_slow, "the slow answer")
    assert len(answer["methodResponses"]) == 16
    assert all(r[0] == "Email/get" for r in answer["methodResponses"])


def test_other_answers_and_pongs_of_the_connection_come_first(server, account, ws):
    filled(server, account)
    slow(ws)
    ws.call("Core/echo", {"n": 1}, account=False)
    assert len(ws.call("Mailbox/get")["list"]) == 6
    pong = jmap.run(ws.ws.ping())
    jmap.run(asyncio.wait_for(pong, None))
    assert not is_there(ws, is_slow)
    finished(ws)


def test_a_push_comes_first(server, account, ws):
    filled(server, account)
    ws.enable(["Email"])
    slow(ws)
    deliver(server, account.name, message())
    got, _ = ws.change()
    assert "Email" in got
    assert not is_there(ws, is_slow)
    finished(ws)


def test_a_write_of_the_account_comes_first(server, account, ws):
    filled(server, account)
    email = ws.emails()[0]
    slow(ws)
    ws.set_keyword(email, "$flagged")
    assert not is_there(ws, is_slow)
    finished(ws)


def test_nobody_else_waits(server, account, ws):
    filled(server, account)
    other = server.add_account()
    stranger = jmap.WsApi(server, other)
    slow(ws)
    deliver(server, other.name, message())
    (email,) = stranger.emails()
    stranger.set_keyword(email, "$seen")
    assert not is_there(ws, is_slow)
    finished(ws)
    stranger.close()
