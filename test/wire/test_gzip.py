"""HTTP answers that are compressed for those who accept it (RFC 9110 12.5.3): the
Session object and the answers of the API, when they are worth it."""

import gzip
import json

import pytest

from raw import Raw, basic, request

CORE = "urn:ietf:params:jmap:core"


@pytest.fixture
def conn(port, tls):
    with Raw(port, tls) as c:
        yield c


def echo(c, account, n, **fields):
    body = json.dumps({"using": [CORE], "methodCalls": [
        ["Core/echo", {"x": "word " * (n // 5)}, "0"]]})
    c.send(request("POST", "/jmap/api", body, Content_Type="application/json",
                   Authorization=basic(account.name, account.token), **fields))
    r = c.response()
    assert r.status == 200
    assert r.get("vary") == "Accept-Encoding"
    assert r.get("content-type") == "application/json"
    return r


def text_of(r):
    if r.get("content-encoding") is None:
        return json.loads(r.body)
    assert r.get("content-encoding") == "gzip"
    return json.loads(gzip.decompress(r.body))


def is_echo(r, n):
    (name, args, _), = text_of(r)["methodResponses"]
    assert (name, len(args["x"])) == ("Core/echo", n // 5 * 5)


@pytest.mark.parametrize("accept, packed", [
    (None, False), ("gzip", True), ("deflate, gzip;q=0.8, br", True),
    ("*", True), ("gzip;q=0", False), ("identity", False),
    ("identity, gzip;q=0.9", False), ("br", False)])
def test_by_accept_encoding(conn, account, accept, packed):
    fields = {"Accept_Encoding": accept} if accept else {}
    r = echo(conn, account, 10000, **fields)
    assert (r.get("content-encoding") == "gzip") == packed
    assert not packed or len(r.body) < 1000
    is_echo(r, 10000)


def test_one_after_the_other(conn, account):
    for n in (5000, 100, 70000, 5000):
        r = echo(conn, account, n, Accept_Encoding="gzip")
        assert (r.get("content-encoding") == "gzip") == (n > 1000)
        is_echo(r, n)


def test_the_session_object(conn, account):
    auth = {"Authorization": basic(account.name, account.token)}
    plain = conn.get("/.well-known/jmap", **auth)
    packed = conn.get("/.well-known/jmap", Accept_Encoding="gzip", **auth)
    assert plain.get("content-encoding") is None
    assert len(plain.body) < 1024 or packed.get("content-encoding") == "gzip"
    assert text_of(plain) == text_of(packed)
    assert plain.get("vary") == packed.get("vary") == "Accept-Encoding"


def test_an_error_is_plain(conn, account):
    conn.send(request("POST", "/jmap/api", "{", Content_Type="application/json",
                      Accept_Encoding="gzip",
                      Authorization=basic(account.name, account.token)))
    r = conn.response()
    assert (r.status, r.get("content-encoding")) == (400, None)
    assert json.loads(r.body)["type"].endswith("notJSON")
