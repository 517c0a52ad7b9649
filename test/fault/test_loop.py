"""A request that does not come to an end costs itself: the store ends it when it has
used its CPU, asks once more, and refuses it the third time. (An honest request that
is dear stands for one that loops.)"""

import json

import pytest

import fault
import harness
from jmap import USING, HttpApi
from mail import deliver
from rawws import RawWs

PARTS = 9000
MESSAGES = 40


@pytest.fixture(scope="module")
def server():
    with harness.Server(allow_deaths=True, worker_pool_size=1,
                        ws_client_timeout=100, ws_heartbeat_interval=90,
                        request_cpu_limit=1, log_level="info") as s:
        yield s


def many_parts(i):
    """Too many for its card to be kept: each reading parses it anew."""
    part = "--B\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx\r\n"
    return (f"Subject: {i}\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/mixed; boundary="B"\r\n\r\n'
            + part * PARTS + "--B--\r\n").encode()


def dear(api, ids):
    return json.dumps({
        "@type": "Request", "id": "dear", "using": USING,
        "methodCalls": [["Email/get", {
            "accountId": api.account_id, "ids": ids,
            "properties": ["bodyValues"]}, str(i)] for i in range(16)]})


def test_a_request_without_end_is_refused_the_third_time(server, account):
    for i in range(MESSAGES):
        deliver(server, account.name, many_parts(i))
    other = server.add_account()
    api, bystander = HttpApi(server, account), HttpApi(server, other)
    text = dear(api, api.emails())
    before = fault.wait_settled(server, "store")
    with RawWs(server.http, "/jmap/ws", account=account) as ws:
        ws.send(fault.text_frame(text))
        answer = ws.json()
        assert answer["@type"] == "RequestError", answer
        assert answer["status"] == 500 and answer["requestId"] == "dear"
        after = fault.wait_settled(server, "store")
        assert after != before
        assert server.log().count("has used 1 seconds of CPU") == 2
        # Refused without work: the store lives on, and so does the account.
        ws.send(fault.text_frame(text))
        assert ws.json()["status"] == 500
    assert len(api.emails()) == MESSAGES
    deliver(server, account.name)
    assert len(api.emails()) == MESSAGES + 1
    assert bystander.emails() == []
    assert fault.wait_settled(server, "store") == after
    api.close()
    bystander.close()
