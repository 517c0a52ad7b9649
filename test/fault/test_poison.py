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


@pytest.fixture(scope="module")
def server():
    with harness.Server(allow_deaths=True, worker_pool_size=1,
                        ws_client_timeout=100, ws_heartbeat_interval=90,
                        log_level="info") as s:
        yield s


@pytest.fixture
def api(server, account):
    """Of an account with one email."""
    sender = fault.Lmtp(server)
    assert sender.attempt(account.name, fault.numbered("first", 0)) == 250
    sender.close()
    a = HttpApi(server, account)
    yield a
    a.close()


def flag(api, keyword):
    """A request that is at work while it waits for the account's database, which
    the test holds."""
    email, = api.emails()
    return json.dumps({
        "@type": "Request", "id": f"set {keyword}", "using": USING,
        "methodCalls": [["Email/set", {
            "accountId": api.account_id,
            "update": {email: {f"keywords/{keyword}": True}}}, "s"]]})


def keywords(api):
    got = api.call("Email/get", {"ids": api.emails(),
                                 "properties": ["keywords"]})
    return set(got["list"][0]["keywords"])


def die_at_work(server, ws, text, signo, times):
    """Sends it, and ends the store so many times while it is at work. It is asked
    again of the next store: by the worker, or by us when its end is unknown.
    Returns the answer when there is one before the last death."""
    ws.send(fault.text_frame(text))
    deaths, pid = 0, 0

    def look():
        if fault.readable(ws.sock):
            return "answer"
        r = fault.role(server, "store")
        return (r["state"] == "up" and r["pid"] != pid
                and fault.sleeps(r["pid"]) and r["pid"])
    while deaths < times:
        saw = harness.wait_for("it is at work", look)
        if saw == "answer":
            answer = ws.json()
            if answer.get("status") != 503:
                return answer
            ws.send(fault.text_frame(text))  # the death left its end unknown
            continue
        pid = saw
        os.kill(pid, signo)
        deaths += 1
    return None


def answer_to(ws, text):
    """The death left its end unknown at most once: then it is asked again."""
    answer = ws.json()
    if answer.get("status") == 503:
        ws.send(fault.text_frame(text))
        answer = ws.json()
    return answer


def assert_refused(answer, text):
    assert answer["@type"] == "RequestError", answer
    assert answer["status"] == 500, answer
    assert answer["requestId"] == json.loads(text)["id"]


def test_a_request_is_refused_the_third_time(server, account, api):
    text = flag(api, "poison")
    with RawWs(server.http, "/jmap/ws", account=account) as ws:
        with fault.database(server, account.name) as db:
            db.execute("BEGIN IMMEDIATE")
            assert not die_at_work(server, ws, text, signal.SIGABRT, 2)
            # Refused before it is at work: nobody waits for the database now.
            assert_refused(answer_to(ws, text), text)
            db.execute("ROLLBACK")
        pid = fault.role(server, "store")["pid"]
        ws.send(fault.text_frame(text))
        assert_refused(ws.json(), text)
        other = flag(api, "harmless")
        ws.send(fault.text_frame(other))
        assert ws.json()["@type"] == "Response"
    assert keywords(api) == {"harmless"}
    assert fault.role(server, "store")["pid"] == pid


def test_kill_9_makes_no_poison(server, account, api):
    text = flag(api, "innocent")
    with RawWs(server.http, "/jmap/ws", account=account) as ws:
        with fault.database(server, account.name) as db:
            db.execute("BEGIN IMMEDIATE")
            assert not die_at_work(server, ws, text, signal.SIGKILL, 4)
            db.execute("ROLLBACK")
        assert answer_to(ws, text)["@type"] == "Response"
    assert keywords(api) == {"innocent"}


def test_a_delivery_is_refused_the_third_time(server, account, api):
    sender = fault.Lmtp(server)
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
    assert sorted(fault.subjects(api)) == ["mark-after-0", "mark-first-0"]
    sender.close()


def crash_while_waiting(server, attempt):
    """Crashes the store when one of its threads waits for a database."""
    pid = fault.wait_settled(server, "store")

    def sent():
        harness.wait_for("it waits", lambda: fault.sleeps(pid))
        os.kill(pid, signal.SIGABRT)
    return attempt(sent)
