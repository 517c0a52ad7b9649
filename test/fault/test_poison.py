"""What was at work at two crashes of the store is refused the third time; kill -9
says nothing about it. (SIGABRT stands for a crash: a failed check ends so.)"""

import json
import os
import signal

import pytest

import fault
import harness
from jmap import USING, HttpApi
from rawws import RawWs

EMAILS = 60


@pytest.fixture(scope="module")
def server():
    with harness.Server(allow_deaths=True, worker_pool_size=1,
                        max_calls_in_request=10000,
                        max_size_response=200000000,
                        ws_client_timeout=100, ws_heartbeat_interval=90,
                        log_level="info") as s:
        yield s


@pytest.fixture
def full(server, account):
    """An account with something to read for long."""
    sender = fault.Lmtp(server)
    for n in range(EMAILS):
        assert sender.attempt(account.name, fault.numbered(
            "long", n, body="words of a long message\r\n" * 400)) == 250
    sender.close()
    return account


def slow_request(server, account, calls):
    """Reads all texts again and again: a megabyte a call."""
    api = HttpApi(server, account)
    ids = api.emails()
    api.close()
    args = {"accountId": api.account_id, "ids": ids,
            "properties": ["bodyValues", "textBody"],
            "fetchAllBodyValues": True}
    return json.dumps({
        "@type": "Request", "id": f"slow{calls}", "using": USING,
        "methodCalls": [["Email/get", args, str(i)] for i in range(calls)]})


def at_work(server, old=0):
    """The pid of a new store once a call has begun there; None when nothing is
    under way any more."""
    def look():
        r = fault.role(server, "store")
        if r["state"] == "up" and r["pid"] != old and r["metrics"]["calls"]:
            return r["pid"]
        return None
    return harness.wait_for("a call at work", look)


def fell(server, ws, text, signo, times):
    """Sends it and ends the store while it is at work, as often as asked for; it
    is asked again of each successor. Returns the answer, or None when it came
    before the last of the deaths."""
    fault.wait_settled(server, "store")
    calls = fault.role(server, "store")["metrics"]["calls"]
    ws.send(fault.text_frame(text))
    harness.wait_for("it is at work", lambda: fault.role(
        server, "store")["metrics"]["calls"] > calls)
    pid = fault.role(server, "store")["pid"]
    for i in range(times):
        if fault.readable(ws.sock):
            return None
        os.kill(pid, signo)
        if i + 1 < times:
            pid = at_work(server, pid)
    fault.up_again(server, "store", 0, pid)
    return ws.json()


def deaths_at_work(server, account, signo, times):
    """Larger and larger requests, until one is at work long enough."""
    calls = 20
    while calls <= 160:
        text = slow_request(server, account, calls)
        with RawWs(server.http, "/jmap/ws", account=account) as ws:
            answer = fell(server, ws, text, signo, times)
            if answer:
                return text, answer
        calls *= 2
    raise AssertionError("no request is slow enough")


def ask(server, account, text):
    with RawWs(server.http, "/jmap/ws", account=account) as ws:
        ws.send(fault.text_frame(text))
        return ws.json()


def test_a_request_is_refused_the_third_time(server, full):
    text, answer = deaths_at_work(server, full, signal.SIGABRT, 2)
    assert answer["@type"] == "RequestError", answer
    assert answer["status"] == 500
    assert answer["requestId"] == json.loads(text)["id"]
    pid = fault.role(server, "store")["pid"]
    again = ask(server, full, text)
    assert again["@type"] == "RequestError" and again["status"] == 500
    # Others are served, of the same client too.
    other = ask(server, full, slow_request(server, full, 1))
    assert other["@type"] == "Response"
    assert fault.role(server, "store")["pid"] == pid


def test_kill_9_makes_no_poison(server, full):
    text, answer = deaths_at_work(server, full, signal.SIGKILL, 3)
    assert answer["@type"] == "Response", answer
    assert ask(server, full, text)["@type"] == "Response"


def test_a_delivery_is_refused_the_third_time(server, account):
    """It is at work while it waits for the account's database, which the test
    holds."""
    api = HttpApi(server, account)
    sender = fault.Lmtp(server)
    assert sender.attempt(account.name, fault.numbered("before", 0)) == 250
    data = fault.numbered("poison", 0)
    with fault.database(server, account.name) as db:
        db.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            assert crash_while_waiting(server, lambda sent: sender.attempt(
                account.name, data, on_sent=sent)) == 451
        # Refused before it is at work: nobody waits for the database now.
        pid = fault.wait_settled(server, "store")
        assert sender.attempt(account.name, data) == 554
        db.execute("ROLLBACK")
    assert sender.attempt(account.name, data) == 554
    assert sender.attempt(account.name, fault.numbered("after", 0)) == 250
    assert fault.role(server, "store")["pid"] == pid
    assert sorted(fault.subjects(api)) == ["mark-after-0", "mark-before-0"]
    sender.close()
    api.close()


def crash_while_waiting(server, attempt):
    """Crashes the store when one of its threads waits for a database."""
    pid = fault.wait_settled(server, "store")

    def sent():
        harness.wait_for("it waits", lambda: fault.sleeps(pid))
        os.kill(pid, signal.SIGABRT)
    return attempt(sent)
