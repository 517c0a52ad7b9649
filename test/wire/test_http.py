"""HTTP/1.1 byte for byte (RFC 9112): framing, limits, and what smuggling lives
on. Each runs over plain and over TLS."""

import json

import pytest

from jmap import CORE
from raw import Raw, basic, request

OPTIONS = {"max_size_request": 100000}

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def conn(port, tls):
    with Raw(port, tls) as c:
        yield c


def healthy(c):
    r = c.response()
    assert (r.status, r.body) == (200, b"ok\n")
    return r


def refused(c, status):
    """One answer, which says that it closes, and the end."""
    r = c.response()
    assert r.status == status, (r.status, r.body)
    assert r.get("connection") == "close"
    c.assert_closed()


# ---- requests that are fine ----

def test_the_answer_byte_for_byte(conn):
    conn.send(GET)
    head = conn.until(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert b"Content-Length: 3" in lines
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert conn.take(3) == b"ok\n"


def test_one_byte_at_a_time(conn):
    conn.drip(GET)
    healthy(conn)


def test_a_connection_is_kept(conn):
    for _ in range(5):
        conn.send(GET)
        assert healthy(conn).get("connection") != "close"


def test_pipelined_requests_are_answered_in_order(conn):
    conn.send(GET + b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n"
              b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
    healthy(conn)
    assert conn.response().status == 404
    r = conn.response(head_only=True)
    assert (r.status, r.get("content-length")) == (200, "3")
    healthy(conn)


def test_fifty_requests_in_one_packet(conn):
    conn.send(GET * 50)
    for _ in range(50):
        healthy(conn)


def test_an_empty_line_before_a_request_is_skipped(conn):
    conn.send(b"\r\n" + GET)
    healthy(conn)


def test_connection_close_is_done(conn):
    conn.send(GET.replace(b"Host", b"Connection: close\r\nHost"))
    assert healthy(conn).get("connection") == "close"
    conn.assert_closed()


def test_http_1_0_closes_unless_it_asks_otherwise(conn):
    conn.send(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    r = healthy(conn)
    if r.get("connection") != "close":
        conn.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        healthy(conn)
    conn.assert_closed()


def test_an_absolute_target_is_understood(conn):
    conn.send(b"GET http://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    healthy(conn)


def test_a_query_and_escapes_are_understood(conn):
    conn.send(b"GET /health%7a?a=b HTTP/1.1\r\nHost: x\r\n\r\n")
    healthy(conn)


def test_a_half_closed_client_gets_its_answers(server):
    import socket
    with Raw(server.http) as c:
        c.send(GET * 3)
        c.sock.shutdown(socket.SHUT_WR)
        for _ in range(3):
            healthy(c)
        c.assert_closed()


# ---- bodies ----

@pytest.fixture
def post(account):
    def make(body=None, **fields):
        fields.setdefault("Content_Type", "application/json")
        return request("POST", "/jmap/api", body, Authorization=basic(
            account.name, account.token), **fields)
    return make


ECHO = json.dumps({"using": [CORE],
                   "methodCalls": [["Core/echo", {"a": "b"}, "0"]]}).encode()


def echoed(c):
    r = c.response()
    assert r.status == 200, r.body
    assert json.loads(r.body)["methodResponses"] == [
        ["Core/echo", {"a": "b"}, "0"]]


def chunked(body, size=7, ext=b"", trailer=b""):
    out = b""
    for i in range(0, len(body), size):
        piece = body[i:i + size]
        out += b"%x%s\r\n%s\r\n" % (len(piece), ext, piece)
    return out + b"0\r\n" + trailer + b"\r\n"


def test_a_body_with_content_length(conn, post):
    conn.send(post(ECHO))
    echoed(conn)


def test_a_body_one_byte_at_a_time(conn, post):
    conn.drip(post(ECHO))
    echoed(conn)


@pytest.mark.parametrize("kw", [
    {}, {"size": 1}, {"ext": b";a=b"}, {"ext": b';a="b;c"'},
    {"trailer": b"X-Sum: 1\r\n"}])
def test_a_chunked_body(conn, post, kw):
    conn.send(post(Transfer_Encoding="chunked") + chunked(ECHO, **kw))
    echoed(conn)
    conn.send(GET)
    healthy(conn)


def test_a_chunked_body_one_byte_at_a_time(conn, post):
    conn.drip(post(Transfer_Encoding="chunked") + chunked(ECHO))
    echoed(conn)


def test_bodies_are_pipelined(conn, post):
    conn.send(post(ECHO) + post(Transfer_Encoding="chunked")
              + chunked(ECHO) + post(ECHO) + GET)
    for _ in range(3):
        echoed(conn)
    healthy(conn)


def test_expect_100_continue_is_answered_before_the_body(conn, post):
    head = post(ECHO, Expect="100-continue")[:-len(ECHO)]
    conn.send(head)
    assert conn.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    conn.send(ECHO)
    echoed(conn)


def test_expect_is_not_answered_with_100_when_it_is_refused(conn):
    conn.send(request("POST", "/jmap/api", Expect="100-continue",
                      Content_Length=100))
    assert conn.response().status == 401


def test_an_unknown_expectation_is_417(conn, post):
    conn.send(post(ECHO, Expect="magic"))
    assert conn.response().status == 417


def test_a_declared_body_over_the_limit_is_refused_before_it_is_sent(conn,
                                                                    post):
    conn.send(post(Content_Length=100001))
    r = conn.response()
    assert r.status == 400
    assert json.loads(r.body)["limit"] == "maxSizeRequest"


# ---- refusals ----

@pytest.mark.parametrize("method, path, status", [
    ("GET", "/none", 404), ("GET", "/jmap", 404), ("GET", "/jmap/", 404),
    ("GET", "/jmap/apix", 404), ("GET", "/healthz/", 404), ("GET", "/", 404),
    ("GET", "/jmap/ws-echo", 404), ("GET", "//healthz", 404),
    ("GET", "/jmap/../healthz", 404), ("GET", "/HEALTHZ", 404),
    ("DELETE", "/healthz", 405), ("POST", "/healthz", 405),
    ("GET", "/jmap/api", 405), ("PUT", "/jmap/session", 405),
    ("get", "/healthz", 405), ("OPTIONS", "/healthz", 405)])
def test_paths_and_methods(conn, method, path, status):
    conn.send(request(method, path, body=b""))
    r = conn.response()
    assert r.status == status
    if status == 405:
        assert r.get("allow")
    conn.send(GET)
    healthy(conn)


LONG = b"x" * 8192


@pytest.mark.parametrize("head, status", [
    (b"GET /" + LONG + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET /" + LONG * 5, 414),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + LONG * 4 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + LONG * 5, 431),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
    (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    (b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n", 505),
])
def test_limits_of_the_head(conn, head, status):
    conn.send_may_fail(head)
    refused(conn, status)


def test_a_path_of_just_the_limit_is_taken(conn):
    line = b"GET /" + b"x" * (8192 - len(b"GET / HTTP/1.1")) + b" HTTP/1.1"
    assert len(line) == 8192
    conn.send(line + b"\r\nHost: x\r\n\r\n")
    assert conn.response().status == 404


def test_a_hundred_fields_are_taken(conn):
    conn.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 99
              + b"\r\n")
    healthy(conn)


def head(*lines):
    return b"\r\n".join((b"POST /healthz HTTP/1.1", b"Host: x") + lines) \
        + b"\r\n\r\n"


# What two parsers could read as two different requests; each is followed by a
# request that must not be answered.
SMUGGLING = {
    "both length and coding": head(
        b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "coding and length": head(
        b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n",
    "two lengths": head(b"Content-Length: 5", b"Content-Length: 6") + b"hello",
    "one length twice": head(b"Content-Length: 5", b"Content-Length: 5")
    + b"hello",
    "a list of lengths": head(b"Content-Length: 5, 5") + b"hello",
    "a signed length": head(b"Content-Length: +5") + b"hello",
    "a negative length": head(b"Content-Length: -5") + b"hello",
    "a hexadecimal length": head(b"Content-Length: 0x5") + b"hello",
    "an empty length": head(b"Content-Length: ") + b"hello",
    "a huge length": head(b"Content-Length: 99999999999999999999") + b"hello",
    "a length with a space inside": head(b"Content-Length: 5 5") + b"hello",
    "chunked twice": head(b"Transfer-Encoding: chunked",
                          b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "chunked, chunked": head(b"Transfer-Encoding: chunked, chunked")
    + b"0\r\n\r\n",
    "chunked, identity": head(b"Transfer-Encoding: chunked, identity")
    + b"0\r\n\r\n",
    "an obscured coding": head(b"Transfer-Encoding: \x0bchunked")
    + b"0\r\n\r\n",
    "a quoted coding": head(b'Transfer-Encoding: "chunked"') + b"0\r\n\r\n",
    "a coding in HTTP/1.0": head(b"Transfer-Encoding: chunked").replace(
        b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
    "a space before the colon": head(b"Content-Length : 5") + b"hello",
    "a tab before the colon": head(b"Transfer-Encoding\t: chunked")
    + b"0\r\n\r\n",
    "a folded field": head(b"A: b", b" c"),
    "a folded coding": head(b"Transfer-Encoding:", b" chunked") + b"0\r\n\r\n",
    "a field before the first": head(b" A: b"),
    "no colon": head(b"nonsense"),
    "an empty name": head(b": b"),
    "a NUL in a name": head(b"A\0: b"),
    "a NUL in a value": head(b"A: b\0c"),
    "a DEL in a value": head(b"A: \x7f"),
    "a bracket in a name": head(b"A(b): c"),
    "a bare LF ends a field": head(b"A: b\nContent-Length: 5") + b"hello",
    "a bare LF ends the head": b"GET /healthz HTTP/1.1\nHost: x\n\n",
    "a bare LF at the very end": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\n",
    "a bare CR in a field": head(b"A: b\rContent-Length: 5"),
    "a bare CR ends the line": b"GET /healthz HTTP/1.1\rHost: x\r\r",
    "two CRs": b"GET /healthz HTTP/1.1\r\r\nHost: x\r\n\r\n",
    "no Host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two Hosts": head(b"Host: y"),
    "a Host with a path": b"GET /healthz HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "a Host with a user": b"GET /healthz HTTP/1.1\r\nHost: u@x\r\n\r\n",
    "two spaces": b"GET  /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tab for a space": b"GET\t/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space too many": b"GET /healthz HTTP/1.1 \r\nHost: x\r\n\r\n",
    "a space before": b" GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a small version": b"GET /healthz http/1.1\r\nHost: x\r\n\r\n",
    "a long version": b"GET /healthz HTTP/1.10\r\nHost: x\r\n\r\n",
    "no version": b"GET /healthz\r\nHost: x\r\n\r\n",
    "a fragment": b"GET /healthz#x HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in the path": b"GET /health%00z HTTP/1.1\r\nHost: x\r\n\r\n",
    "a broken escape": b"GET /healthz%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a relative path": b"GET healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes above ASCII": b"GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_smuggling_is_400_and_close(conn, name):
    conn.send_may_fail(SMUGGLING[name] + GET)
    refused(conn, 400)


@pytest.mark.parametrize("name", SMUGGLING)
def test_smuggling_one_byte_at_a_time(server, name):
    with Raw(server.http) as c:
        for i in range(len(SMUGGLING[name])):
            c.send_may_fail(SMUGGLING[name][i:i + 1])
        c.send_may_fail(GET)
        refused(c, 400)


def test_an_unknown_coding_is_501_and_close(conn):
    conn.send(head(b"Transfer-Encoding: gzip") + GET)
    refused(conn, 501)


CHUNKS = {
    "no size": b"\r\nhello\r\n", "no number": b"g\r\n",
    "a sign": b"+5\r\nhello\r\n", "a prefix": b"0x5\r\nhello\r\n",
    "a space before": b" 5\r\nhello\r\n", "too large": b"f" * 17 + b"\r\n",
    "a bare LF": b"5\nhello\r\n", "a bare LF after": b"5\r\nhello\n0\r\n\r\n",
    "too much data": b"5\r\nhello!\r\n0\r\n\r\n",
    "too little data": b"5\r\nhell\r\n0\r\n\r\n",
    "a CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "a bare LF in the trailer": b"0\r\nA: b\n\r\n",
    "a broken trailer": b"0\r\nnonsense\r\n\r\n",
}


@pytest.mark.parametrize("name", CHUNKS)
def test_a_broken_chunk_is_400_and_close(conn, post, name):
    conn.send_may_fail(post(Transfer_Encoding="chunked") + CHUNKS[name] + GET)
    refused(conn, 400)


def test_endless_extensions_are_refused(conn, post):
    conn.send_may_fail(post(Transfer_Encoding="chunked") + b"5;"
                       + b"a" * 100000)
    r = conn.response()
    assert r.status in (400, 431)
    conn.rest()


def test_what_follows_a_refused_body_is_not_a_request(conn):
    """401 before the body is read: its bytes are dropped, or the end."""
    body = GET
    conn.send_may_fail(request("POST", "/jmap/api", body,
                               Content_Type="application/json"))
    assert conn.response().status == 401
    conn.send_may_fail(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
    rest = conn.rest_or(lambda: conn.response())
    assert rest is None or rest.status == 404


def test_a_slow_request_is_408():
    from harness import Server
    with Server(http_timeout=1) as s:
        with Raw(s.http) as c:
            c.send(b"GET /healthz HTT")
            r = c.response()
            assert r.status == 408
            c.assert_closed()
        account = s.add_account()
        with Raw(s.http) as c:
            c.send(request("POST", "/jmap/api", Content_Length=100,
                           Content_Type="application/json",
                           Authorization=basic(account.name, account.token)))
            c.send(b"{")
            r = c.response()
            assert r.status == 408
            c.assert_closed()


def test_an_idle_connection_ends_without_a_word():
    from harness import Server
    with Server(http_timeout=1) as s:
        with Raw(s.http) as c:
            c.send(GET)
            healthy(c)
            c.assert_closed()


def test_many_slow_clients_hold_up_nobody(server):
    slow = [Raw(server.http) for _ in range(100)]
    for c in slow:
        c.send(b"GET /heal")
    with Raw(server.http) as c:
        c.send(GET)
        healthy(c)
    for c in slow:
        c.send(b"thz HTTP/1.1\r\nHost: x\r\n\r\n")
    for c in slow:
        healthy(c)
        c.close()
