"""JMAP over WebSocket (RFC 8887): the subprotocol's messages and errors."""

import json

import pytest

from jmap import CORE, USING, WsApi, problem
from mail import deliver
from rawws import BINARY, CLOSE, PING, PONG, TEXT, RawWs

OPTIONS = {"max_size_request": 100000, "max_concurrent_requests": 4}


def echo(rid, **args):
    return json.dumps({"@type": "Request", "id": rid, "using": [CORE],
                       "methodCalls": [["Core/echo", args, "0"]]})


@pytest.fixture
def raw(server, account):
    with RawWs(server.http, "/jmap/ws", account=account) as c:
        yield c


def ask(raw, text):
    raw.frame(TEXT, text)
    return raw.json()


def is_error(answer, kind, rid=None):
    assert answer["@type"] == "RequestError", answer
    assert answer["type"] == problem(kind), answer
    assert answer["status"] == 400
    assert answer.get("requestId") == rid, answer


@pytest.mark.parametrize("path", ["/jmap/ws", "/jmap/ws/", "/",
                                  "/.well-known/jmap"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_it_is_served_at(server, account, path, tls):
    ws = WsApi(server, account, tls=tls, path=path)
    assert ws.ws.subprotocol == "jmap"
    ws.barrier()
    ws.close()


def test_without_credentials_the_handshake_is_401(server):
    from raw import Raw
    from rawws import handshake
    with Raw(server.http) as c:
        c.send(handshake("/jmap/ws", Sec_WebSocket_Protocol="jmap"))
        r = c.response()
        assert r.status == 401
        assert r.all("www-authenticate")


def test_a_bearer_token_opens_it(server, account):
    ws = WsApi(server, account, auth="Bearer " + account.token)
    ws.barrier()
    ws.close()


def test_a_response_names_type_and_request(raw):
    answer = ask(raw, echo("r1", a=1))
    assert answer["@type"] == "Response"
    assert answer["requestId"] == "r1"
    assert answer["methodResponses"] == [["Core/echo", {"a": 1}, "0"]]
    assert answer["sessionState"]


def test_without_id_there_is_no_request_id(raw):
    answer = ask(raw, json.dumps({"@type": "Request", "using": [CORE],
                                  "methodCalls": []}))
    assert answer["@type"] == "Response"
    assert "requestId" not in answer


@pytest.mark.parametrize("rid", ["", "a", "ü\u0000\"\\\n", "x" * 256])
def test_any_id_comes_back_as_it_was(raw, rid):
    assert ask(raw, echo(rid))["requestId"] == rid


@pytest.mark.parametrize("text, rid", [
    ("nonsense", None), ("", None), ('{"@type":"Request",', None),
    ('{"@type":"Request","id":"r7",', "r7"),
    ('{"id":"r7","@type":"Request","using":}', "r7"),
    ('{"@type":"Request","using":[01],"id":"r7"}', "r7"),
    ('{"@type":"Request","id":"r7","id2":"\\ud800"}', "r7"),
    ('{"@type":"Request","id":"r7","a":1,"a":2}', "r7"),
    ('{"@type":"Request","id":"r7","a":NaN}', "r7"),
    ('{"@type":"Request","id":"r7","using":[],"methodCalls":[]}{', "r7")])
def test_broken_json_is_not_json_with_the_id_that_can_be_read(raw, text, rid):
    is_error(ask(raw, text), "notJSON", rid)
    assert ask(raw, echo("after"))["requestId"] == "after"


@pytest.mark.parametrize("message, rid", [
    ([], None), ({}, None), ({"id": "r7"}, "r7"),
    ({"@type": "Nonsense", "id": "r7"}, "r7"),
    ({"@type": "request", "id": "r7"}, "r7"),
    ({"@type": 1, "id": "r7"}, "r7"),
    ({"@type": "Response", "id": "r7"}, "r7"),
    ({"@type": "Request", "id": "r7"}, "r7"),
    ({"@type": "Request", "id": "r7", "using": 1, "methodCalls": []}, "r7"),
    ({"@type": "Request", "id": 7, "using": USING, "methodCalls": []}, None),
    ({"@type": "WebSocketPushEnable", "dataTypes": "Email"}, None),
    ({"@type": "WebSocketPushEnable", "dataTypes": [1]}, None),
    ({"@type": "WebSocketPushEnable", "dataTypes": None, "pushState": 1},
     None)])
def test_other_json_is_not_request(raw, message, rid):
    is_error(ask(raw, json.dumps(message)), "notRequest", rid)
    assert ask(raw, echo("after"))["requestId"] == "after"


def test_an_unknown_capability_is_told_with_the_id(raw):
    is_error(ask(raw, json.dumps({
        "@type": "Request", "id": "r7", "using": ["urn:none"],
        "methodCalls": []})), "unknownCapability", "r7")


def test_too_many_calls_are_told_with_the_id(raw):
    answer = ask(raw, json.dumps({
        "@type": "Request", "id": "r7", "using": [CORE],
        "methodCalls": [["Core/echo", {}, "0"]] * 17}))
    is_error(answer, "limit", "r7")
    assert answer["limit"] == "maxCallsInRequest"


def test_a_message_over_the_limit_is_told_with_the_id_then_closed(raw):
    raw.frame(TEXT, echo("r7", x="x" * 100001))
    answer = raw.json()
    is_error(answer, "limit", "r7")
    assert answer["limit"] == "maxSizeRequest"
    raw.expect_close(1009)


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff"])
def test_a_binary_message_closes_with_1003(raw, payload):
    raw.frame(BINARY, payload)
    raw.expect_close(1003)


def test_many_requests_on_one_socket_are_all_answered(ws):
    for i in range(4):
        ws.send(echo(f"r{i}", n=i))
    for i in range(4):
        got = ws.take(lambda m, i=i: m.get("requestId") == f"r{i}")
        assert got["methodResponses"][0][1] == {"n": i}


def pipelined(raw, n):
    """n requests in one packet: all of them are there at once."""
    from rawws import frame
    raw.send(b"".join(frame(TEXT, echo(f"r{i}")) for i in range(n)))
    return [raw.json() for i in range(n)]


def test_as_many_as_max_concurrent_requests_pass(raw):
    got = pipelined(raw, 4)
    assert sorted(a["requestId"] for a in got) == ["r0", "r1", "r2", "r3"]
    assert all(a["@type"] == "Response" for a in got)


def test_more_are_refused_with_limit_and_the_connection_lives(raw):
    got = {a["requestId"]: a for a in pipelined(raw, 9)}
    assert sorted(got) == [f"r{i}" for i in range(9)]
    for i in range(4):
        assert got[f"r{i}"]["@type"] == "Response"
    for i in range(4, 9):
        is_error(got[f"r{i}"], "limit", f"r{i}")
        assert got[f"r{i}"]["limit"] == "maxConcurrentRequests"
    assert ask(raw, echo("after"))["requestId"] == "after"


def test_the_count_is_per_connection(server, account):
    clients = [RawWs(server.http, "/jmap/ws", account=account)
               for _ in range(10)]
    from rawws import frame
    for c in clients:
        c.send(b"".join(frame(TEXT, echo(f"r{i}")) for i in range(4)))
    for c in clients:
        assert [c.json()["@type"] for _ in range(4)] == ["Response"] * 4
        c.close()


def test_a_read_never_overtakes_the_own_write(ws):
    """Pipelined set and get on one socket: the get sees the set."""
    deliver(ws.server, ws.account.name)
    (email,) = ws.emails()
    for n in range(20):
        ws.send({"@type": "Request", "id": f"w{n}", "using": USING,
                 "methodCalls": [["Email/set", {
                     "accountId": ws.account_id, "update": {
                         email: {f"keywords/k{n}": True}}}, "0"]]})
        ws.send({"@type": "Request", "id": f"g{n}", "using": USING,
                 "methodCalls": [["Email/get", {
                     "accountId": ws.account_id, "ids": [email],
                     "properties": ["keywords"]}, "0"]]})
        got = ws.take(lambda m, n=n: m.get("requestId") == f"g{n}")
        keywords = got["methodResponses"][0][1]["list"][0]["keywords"]
        assert f"k{n}" in keywords
        ws.take(lambda m, n=n: m.get("requestId") == f"w{n}")


def test_pings_are_answered_and_pongs_ignored(raw):
    raw.frame(PONG, b"unasked")
    raw.frame(PING, b"payload")
    fin, rsv, opcode, payload = raw.read_frame()
    assert (fin, rsv, opcode, payload) == (True, 0, PONG, b"payload")


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_a_close_is_answered_with_its_code(raw, code):
    from rawws import close
    raw.send(close(code, "bye"))
    opcode, payload = raw.message()
    assert opcode == CLOSE
    assert payload[:2] == code.to_bytes(2, "big")
    raw.assert_closed()
