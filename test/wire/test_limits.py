"""Who takes too long is ended, by what the protocol has for it: slow headers,
bodies, frames and messages, and peers that never read. Limits of a second are set,
and what happens is asserted, not when."""

import json

import pytest

from h2conn import H2Ws
from harness import DEADLINE, Server, wait_for
from jmap import USING, HttpApi
from raw import Closed, Raw, basic, request
from rawws import BINARY, CONT, PING, PONG, TEXT, RawWs, frame

QUICK = {"http_timeout": 1, "ws_message_timeout": 1}
PATIENT = {"http_timeout": 3600, "ws_message_timeout": 3600,
           "ws_client_timeout": 3600, "ws_heartbeat_interval": 1800}
OPTIONS = {**QUICK, "ws_echo": "yes"}


def auth(account):
    return {"Authorization": basic(account.name, account.token)}


@pytest.fixture(scope="module")
def account(server):
    return server.add_account()


@pytest.fixture
def patient():
    with Server(ws_echo="yes", **PATIENT) as s:
        yield s


def both(server):
    """One connection without TLS and one with it: they wait side by side."""
    return [Raw(server.http), Raw(server.https, tls=True)]


CARRIERS = {"plain": (RawWs, False), "tls": (RawWs, True),
            "h2c": (H2Ws, False), "h2": (H2Ws, True)}


def over(carrier, server, *args, **kw):
    make, tls = CARRIERS[carrier]
    return make(server.https if tls else server.http, *args, tls=tls, **kw)


def everywhere(server):
    """A WebSocket over each carrier: they wait side by side."""
    return [over(carrier, server) for carrier in CARRIERS]


@pytest.fixture(params=list(CARRIERS))
def open_ws(request, server):
    return lambda *args, **kw: over(request.param, server, *args, **kw)


def trickle(conns, piece):
    """Sends piece again and again until all were answered."""
    waiting = list(conns)
    while waiting:
        for c in list(waiting):
            c.send_may_fail(piece)
            c.sock.settimeout(0.05)
            try:
                c.more()
            except TimeoutError:
                continue
            c.sock.settimeout(DEADLINE)
            waiting.remove(c)


def refused(conns, status=408):
    for c in conns:
        assert c.response().status == status
        c.close()


# ---- HTTP ----

def test_a_header_that_trickles_is_408(server):
    conns = both(server)
    for c in conns:
        c.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    trickle(conns, b"a")
    refused(conns)


@pytest.mark.parametrize("fields, piece", [
    ({"Content_Length": 100000}, b" "),
    ({"Transfer_Encoding": "chunked"}, b"1\r\n \r\n")],
    ids=["length", "chunked"])
def test_a_body_that_trickles_is_408(server, account, fields, piece):
    conns = both(server)
    for c in conns:
        c.send(request("POST", "/jmap/api", Content_Type="application/json",
                       **fields, **auth(account)))
    trickle(conns, piece)
    refused(conns)


def test_an_upload_that_stalls_is_408(server, account):
    path = f"/jmap/upload/{account_id(server, account)}/"
    conns = both(server)
    for c in conns:
        c.send(request("POST", path, Content_Length=1000000, **auth(account)))
        c.send(b"x" * 100000)
    refused(conns)


def test_who_is_idle_or_silent_is_ended_without_a_word(server):
    asked, silent = both(server), both(server)
    for c in asked:
        assert c.get("/healthz").status == 200
    no_handshake = Raw(server.https)
    for c in [*asked, *silent, no_handshake]:
        c.assert_closed()
        c.close()


def account_id(server, account):
    api = HttpApi(server, account)
    try:
        return api.account_id
    finally:
        api.close()


def big_call():
    return {"using": USING, "methodCalls": [
        ["Core/echo", {"x": "y" * 9000000}, "0"]]}


def test_an_answer_that_nobody_reads_is_cut(server, account):
    """What has come by then is shorter than was announced."""
    with Raw(server.http, rcvbuf=4096) as c:
        c.send(request("POST", "/jmap/api", json.dumps(big_call()),
                       Content_Type="application/json", **auth(account)))
        wait_for("it is given up", lambda: server.metric(
            "worker", "connections") == 0)
        with pytest.raises(Closed):
            c.response()


def test_a_new_timeout_governs_what_is_idle_already(patient):
    with Raw(patient.http) as c, Raw(patient.http) as silent, \
            Raw(patient.http) as half, Raw(patient.http) as preface:
        assert c.get("/healthz").status == 200
        half.send(b"GET /heal")
        preface.send(b"PRI * HTTP/2")
        patient.reload(http_timeout=1)
        c.assert_closed()
        silent.assert_closed()
        preface.assert_closed()
        assert half.response().status == 408


# ---- WebSocket ----

def late(*conns):
    """Close 1008 with a reason, then the end."""
    for c in conns:
        c.expect_close(1008)
        c.close()


def test_half_a_frame_header_is_1008(server):
    conns = []
    for start in (b"\x81", b"\x81\xfe", b"\x81\xfe\x10\x00abc",
                  b"\x82\xff\x00\x00\x00", b"\x89"):
        more = everywhere(server)
        for c in more:
            c.send(start)
        conns += more
    late(*conns)


def test_a_payload_that_trickles_is_1008(server):
    conns = everywhere(server)
    for c in conns:
        c.send(frame(BINARY, b"x", length=1000000))
    trickle(conns, b"x")
    late(*conns)


def test_fragments_without_end_are_1008(server):
    """Each frame and each Ping is on time, the message is not."""
    conns = everywhere(server)
    for c in conns:
        c.frame(TEXT, "a", fin=False)
        assert not closed_meanwhile(c, b"")
    while True:
        ended = [closed_meanwhile(c, frame(CONT, "b", fin=False)
                                  + frame(PING, "p")) for c in conns]
        if all(ended):
            break
    late(*conns)


def closed_meanwhile(c, data):
    """Sends, and reads up to a Close, which stays unread."""
    if c.buf[:1] == b"\x88":
        return True
    c.send_may_fail(data)
    c.sock.settimeout(0.05)
    try:
        while True:
            if not c.buf:
                c.more()
            if c.buf[:1] == b"\x88":
                return True
            assert c.read_frame()[2] == PONG
    except TimeoutError:
        return False
    finally:
        c.sock.settimeout(DEADLINE)


def test_a_message_that_is_whole_begins_no_wait(server):
    """It is older than the limit when the next one comes."""
    with RawWs(server.http) as c, RawWs(server.http) as other:
        c.frame(TEXT, "a", fin=False)
        c.frame(CONT, "b")
        assert c.message() == (TEXT, b"ab")
        other.send(b"\x81")
        late(other)
        c.frame(TEXT, "c")
        assert c.message() == (TEXT, b"c")


def test_a_new_limit_governs_a_message_under_way(patient):
    with RawWs(patient.http) as c, RawWs(patient.http) as idle:
        c.frame(TEXT, "a", fin=False)
        patient.reload(ws_message_timeout=1)
        late(c)
        idle.frame(TEXT, "b")
        assert idle.message() == (TEXT, b"b")


@pytest.mark.parametrize("last", [1024, 1025])
def test_a_message_has_at_most_1024_fragments(open_ws, last):
    """More is 1009: it is too big to process (RFC 6455 7.4.1)."""
    with open_ws() as c:
        data = frame(TEXT, "x", fin=False)
        data += frame(CONT, "x", fin=False) * (last - 2)
        c.send_may_fail(data + frame(CONT, "x"))
        if last == 1024:
            assert c.message() == (TEXT, b"x" * 1024)
        else:
            c.expect_close(1009)


def test_empty_fragments_count_too(open_ws):
    with open_ws() as c:
        c.send_may_fail(frame(TEXT, fin=False)
                        + frame(CONT, fin=False) * 1024)
        c.expect_close(1009)


def test_a_peer_that_reads_no_answer_is_dropped():
    with Server(ws_client_timeout=5, ws_heartbeat_interval=1) as s:
        account = s.add_account()
        with RawWs(s.http, "/jmap/ws", account=account, rcvbuf=4096) as c:
            c.send_json({"@type": "Request", "id": "r", **big_call()})
            wait_for("it is there", lambda: s.metric(
                "worker", "websockets") == 1)
            wait_for("it is given up", lambda: s.metric(
                "worker", "websockets") == 0)
            with pytest.raises(Closed):
                c.message()


# ---- request ids ----

def echo(c, rid):
    c.send_json({"@type": "Request", "id": rid, "using": USING,
                 "methodCalls": [["Core/echo", {}, "0"]]})
    return c.json()


@pytest.mark.parametrize("rid", ["x" * 256, "\u00e9" * 256, "\U0001f600" * 256,
                                 "\\\"" * 128])
def test_an_id_of_256_characters_comes_back(open_ws, account, rid):
    with open_ws("/jmap/ws", account=account) as c:
        answer = echo(c, rid)
        assert (answer["@type"], answer["requestId"]) == ("Response", rid)


@pytest.mark.parametrize("rid", ["x" * 257, "\u00e9" * 257, "\U0001f600" * 257,
                                 "x" * 100000])
def test_a_longer_id_is_refused_and_not_echoed(open_ws, account, rid):
    with open_ws("/jmap/ws", account=account) as c:
        answer = echo(c, rid)
        assert answer["@type"] == "RequestError"
        assert answer["type"] == "urn:ietf:params:jmap:error:notRequest"
        assert "requestId" not in answer
        assert echo(c, "next")["requestId"] == "next"
