"""WebSocket byte for byte (RFC 6455): the handshake, over plain and over TLS; the
frames and the codes over each carrier, HTTP/2's streams too (RFC 8441). The echo
endpoint joins the layer to nothing else."""

import struct

import pytest

from h2conn import H2Ws
from raw import Raw, basic
from rawws import (ACCEPT, BINARY, CLOSE, CONT, KEY, PING, PONG, TEXT, RawWs,
                   close, frame, handshake)

OPTIONS = {"ws_echo": "yes", "max_size_request": 200000}
LIMIT = 200000


@pytest.fixture(params=["plain", "tls", "h2c", "h2"])
def open_ws(request, server):
    """Makes a WebSocket over that carrier, as RawWs does."""
    tls = request.param in ("tls", "h2")
    port = server.https if tls else server.http
    make = H2Ws if request.param.startswith("h2") else RawWs
    return lambda *args, **kw: make(port, *args, tls=tls, **kw)


@pytest.fixture
def conn(open_ws):
    with open_ws() as c:
        yield c


def echoes(c, payload=b"still here"):
    c.frame(TEXT, payload)
    assert c.read_frame() == (True, 0, TEXT, payload)


# ---- handshake (4.2) ----

def shake(port, tls, path="/jmap/ws-echo", **fields):
    with Raw(port, tls) as c:
        c.send(handshake(path, **fields))
        return c.response(head_only=True)


def test_the_accept_key_is_that_of_the_rfc(port, tls):
    r = shake(port, tls)
    assert r.status == 101
    assert r.get("sec-websocket-accept") == ACCEPT
    assert r.get("upgrade").lower() == "websocket"
    assert r.get("connection").lower() == "upgrade"
    assert r.get("sec-websocket-protocol") is None
    assert r.get("sec-websocket-extensions") is None
    assert r.get("content-length") is None


def test_one_byte_at_a_time(port, tls):
    with Raw(port, tls) as c:
        c.drip(handshake("/jmap/ws-echo"))
        assert c.response().status == 101
        c.drip(frame(TEXT, "hello"))
        assert c.take(7) == b"\x81\x05hello"


def test_frames_may_follow_the_handshake_in_one_packet(port, tls):
    with Raw(port, tls) as c:
        c.send(handshake("/jmap/ws-echo") + frame(TEXT, "a")
               + frame(PING, "b"))
        assert c.response().status == 101
        assert c.take(3) == b"\x81\x01a"
        assert c.take(3) == b"\x8a\x01b"


@pytest.mark.parametrize("fields", [
    {"Upgrade": "WebSocket"}, {"Upgrade": "foo, WEBSOCKET"},
    {"Connection": "keep-alive, upgrade"}, {"Connection": "UPGRADE"},
    {"Connection": ["keep-alive", "Upgrade"]},
    {"Sec-WebSocket-Extensions": "permessage-deflate"},
    {"Origin": None}])
def test_tokens_in_any_case_and_order(port, tls, fields):
    assert shake(port, tls, **fields).status == 101


@pytest.mark.parametrize("fields, status", [
    ({"Sec-WebSocket-Version": "12"}, 426), ({"Sec-WebSocket-Version": None},
                                             426),
    ({"Sec-WebSocket-Version": "14"}, 426), ({"Sec-WebSocket-Version": "013"},
                                             426),
    ({"Sec-WebSocket-Version": ["13", "13"]}, 400),
    ({"Sec-WebSocket-Key": None}, 400), ({"Sec-WebSocket-Key": ""}, 400),
    ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ="}, 400),
    ({"Sec-WebSocket-Key": KEY + "="}, 400),
    ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQAA"}, 400),
    ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZ!=="}, 400),
    ({"Sec-WebSocket-Key": [KEY, KEY]}, 400),
    ({"Connection": "keep-alive"}, 400), ({"Connection": None}, 400),
    ({"Upgrade": "h2c"}, 426), ({"Upgrade": None}, 426),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403), ({"Origin": "http://localhost.evil"}, 403),
    ({"Content-Length": "5"}, 400)])
def test_a_wrong_handshake_is_refused(port, tls, fields, status):
    r = shake(port, tls, **fields)
    assert r.status == status
    if status == 426:
        assert r.get("sec-websocket-version") == "13"
        assert r.get("upgrade").lower() == "websocket"


def test_another_method_is_405(port, tls):
    with Raw(port, tls) as c:
        c.send(handshake("/jmap/ws-echo").replace(b"GET", b"POST"))
        r = c.response()
        assert (r.status, r.get("allow")) == (405, "GET")


def test_our_own_origin_passes(server, port, tls):
    for origin in (f"https://localhost:{server.https}",
                   f"HTTPS://LOCALHOST:{server.https}"):
        assert shake(port, tls, Origin=origin).status == 101


@pytest.mark.parametrize("offer, status, echoed", [
    (None, 101, None), ("jmap", 101, "jmap"), ("chat, jmap", 101, "jmap"),
    (["chat", "jmap"], 101, "jmap"), ("chat", 400, None),
    ("JMAP", 400, None), ("jmap2", 400, None), ("", 400, None)])
def test_the_subprotocol_is_echoed_if_and_only_if_offered(
        server, port, tls, offer, status, echoed):
    account = server.add_account()
    r = shake(port, tls, path="/jmap/ws", Sec_WebSocket_Protocol=offer,
              Authorization=basic(account.name, account.token))
    assert (r.status, r.get("sec-websocket-protocol")) == (status, echoed)


@pytest.mark.parametrize("path", ["/jmap/ws", "/", "/.well-known/jmap"])
def test_refusals_come_before_the_login(port, tls, path):
    fields = {"Sec_WebSocket_Protocol": "jmap"}
    assert shake(port, tls, path, **fields).status == 401
    assert shake(port, tls, path, **fields,
                 Origin="https://evil.example").status == 403
    assert shake(port, tls, path, **fields,
                 Sec_WebSocket_Version="7").status == 426


@pytest.mark.parametrize("path", ["/jmap/api", "/healthz", "/none"])
def test_other_paths_are_no_websocket(port, tls, path):
    assert shake(port, tls, path).status != 101


# ---- sizes (5.2) ----

@pytest.mark.parametrize("n", [0, 1, 125, 126, 127, 65535, 65536, 65537,
                               LIMIT - 1, LIMIT])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_messages_of_every_size_come_back(conn, opcode, n):
    payload = b"x" * n
    conn.frame(opcode, payload)
    assert conn.message() == (opcode, payload)
    echoes(conn)


@pytest.mark.parametrize("n", [LIMIT + 1, LIMIT * 2])
def test_a_message_over_the_limit_is_1009(conn, n):
    conn.send_may_fail(frame(TEXT, b"x" * n))
    conn.expect_close(1009)


def test_a_length_alone_over_the_limit_is_1009(conn):
    """No byte of payload need come."""
    conn.send(frame(TEXT, b"x" * LIMIT, length=2 ** 40))
    conn.expect_close(1009)


@pytest.mark.parametrize("over", [0, 1])
def test_the_limit_counts_over_fragments(conn, over):
    third = LIMIT // 4
    conn.frame(TEXT, b"x" * third, fin=False)
    conn.frame(CONT, b"y" * third, fin=False)
    conn.frame(CONT, b"z" * third, fin=False)
    conn.send_may_fail(frame(CONT, b"w" * (LIMIT - 3 * third + over)))
    if over:
        conn.expect_close(1009)
    else:
        assert len(conn.message()[1]) == LIMIT


@pytest.mark.parametrize("head", [
    b"\x81\xfe\x00\x05" + b"\0\0\0\0hello",
    b"\x81\xfe\x00\x7d" + b"\0\0\0\0" + b"x" * 125,
    b"\x81\xff\0\0\0\0\0\0\0\x05" + b"\0\0\0\0hello",
    b"\x81\xff\0\0\0\0\0\0\xff\xff" + b"\0\0\0\0",
    b"\x81\xff\x80\0\0\0\0\0\0\0" + b"\0\0\0\0"])
def test_a_length_that_is_not_the_shortest_is_1002(conn, head):
    conn.send(head)
    conn.expect_close(1002)


# ---- fragments (5.4) ----

def test_fragments_become_one_message(conn):
    conn.frame(TEXT, "a", fin=False)
    conn.frame(CONT, "", fin=False)
    conn.frame(CONT, "bc", fin=False)
    conn.frame(CONT, "")
    assert conn.read_frame() == (True, 0, TEXT, b"abc")


def test_control_frames_come_between_fragments(conn):
    conn.frame(TEXT, "a", fin=False)
    conn.frame(PING, "1")
    assert conn.read_frame() == (True, 0, PONG, b"1")
    conn.frame(CONT, "b", fin=False)
    conn.frame(PONG, "unasked")
    conn.frame(PING, "2")
    assert conn.read_frame() == (True, 0, PONG, b"2")
    conn.frame(CONT, "c")
    assert conn.read_frame() == (True, 0, TEXT, b"abc")


def test_a_close_comes_between_fragments(conn):
    conn.frame(TEXT, "a", fin=False)
    conn.send(close(1000))
    conn.expect_close(1000)


def test_fragments_one_byte_at_a_time(conn):
    conn.drip(frame(TEXT, "ab", fin=False) + frame(PING, "p")
              + frame(CONT, "cd"))
    assert conn.read_frame() == (True, 0, PONG, b"p")
    assert conn.read_frame() == (True, 0, TEXT, b"abcd")


def test_everything_in_one_packet(conn):
    conn.send(frame(TEXT, "1") + frame(PING, "2") + frame(BINARY, "3", fin=False)
              + frame(PING, "4") + frame(CONT, "5") + close(1000))
    assert conn.read_frame() == (True, 0, TEXT, b"1")
    assert conn.read_frame() == (True, 0, PONG, b"2")
    assert conn.read_frame() == (True, 0, PONG, b"4")
    assert conn.read_frame() == (True, 0, BINARY, b"35")
    conn.expect_close(1000)


@pytest.mark.parametrize("frames", [
    [(CONT, "x", True)], [(CONT, "x", False)],
    [(TEXT, "a", False), (TEXT, "b", True)],
    [(TEXT, "a", False), (BINARY, "b", False)],
    [(TEXT, "a", True), (CONT, "b", True)]])
def test_fragments_out_of_order_are_1002(conn, frames):
    for opcode, payload, fin in frames:
        conn.send_may_fail(frame(opcode, payload, fin=fin))
    conn.expect_close(1002)


# ---- what no client may send ----

@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_a_reserved_opcode_is_1002(conn, opcode):
    conn.frame(opcode, "x")
    conn.expect_close(1002)


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, PING])
def test_a_reserved_bit_is_1002(conn, rsv, opcode):
    conn.frame(opcode, "x", rsv=rsv)
    conn.expect_close(1002)


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_an_unmasked_frame_is_1002(conn, opcode):
    conn.frame(opcode, "", mask=False)
    conn.expect_close(1002)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_fragmented_control_frame_is_1002(conn, opcode):
    conn.frame(opcode, "", fin=False)
    conn.expect_close(1002)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_over_125_bytes_is_1002(conn, opcode):
    conn.frame(opcode, b"\x03\xe8" + b"x" * 124)
    conn.expect_close(1002)


@pytest.mark.parametrize("n", [0, 1, 125])
def test_a_ping_comes_back_whole(conn, n):
    conn.frame(PING, b"\xff" * n)
    assert conn.read_frame() == (True, 0, PONG, b"\xff" * n)


# ---- close (7.4) ----

@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009,
                                  1010, 1011, 1012, 1013, 1014, 3000, 3999,
                                  4000, 4999])
def test_a_code_that_may_be_sent_comes_back(conn, code):
    conn.send(close(code))
    conn.expect_close(code)


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016,
                                  1999, 2000, 2999, 5000, 65535])
def test_a_code_that_may_not_be_sent_is_1002(conn, code):
    conn.send(close(code))
    conn.expect_close(1002)


def test_a_close_without_code_is_answered(conn):
    conn.send(close())
    opcode, payload = conn.message()
    assert opcode == CLOSE
    assert payload in (b"", b"\x03\xe8")
    conn.assert_closed()


def test_a_close_of_one_byte_is_1002(conn):
    conn.frame(CLOSE, b"\x03")
    conn.expect_close(1002)


def test_a_close_reason_must_be_utf8(conn):
    conn.frame(CLOSE, struct.pack(">H", 1000) + b"\xff")
    conn.expect_close(1007)


@pytest.mark.parametrize("reason", ["", "bye", "\u20ac" * 41])
def test_a_close_with_a_reason_is_taken(conn, reason):
    conn.send(close(1000, reason))
    conn.expect_close(1000)


def test_nothing_is_heard_after_a_close(conn):
    conn.send(close(1000) + frame(TEXT, "late") + frame(PING, "later"))
    assert conn.read_frame()[2] == CLOSE
    conn.assert_closed()


# ---- UTF-8 (8.1) ----

GOOD_UTF8 = ["\u00e4", "\u20ac", "\U0001f600", "\u0000", "\u07ff\u0800\uffff",
             "\U0010ffff", "\ufeff", "\ud7ff\ue000"]


@pytest.mark.parametrize("text", GOOD_UTF8)
def test_utf8_split_anywhere_is_one_text(conn, text):
    data = text.encode()
    for at in range(len(data) + 1):
        conn.frame(TEXT, data[:at], fin=False)
        conn.frame(CONT, data[at:])
        assert conn.read_frame() == (True, 0, TEXT, data)


BAD_UTF8 = [b"\xff", b"\xc0\xaf", b"\xe0\x80\x80", b"\xed\xa0\x80",
            b"\xed\xbf\xbf", b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80",
            b"\xf8\x88\x80\x80\x80", b"\x80", b"a\xbf", b"\xc3", b"\xe2\x82",
            b"\xf0\x9f\x98", b"\xc3\xc3", b"\xe2\x28\xa1"]


@pytest.mark.parametrize("data", BAD_UTF8)
def test_wrong_utf8_is_1007(conn, data):
    conn.frame(TEXT, b"good " + data)
    conn.expect_close(1007)


# A handshake for each cut: those of TLS would tell nothing new.
@pytest.mark.parametrize("open_ws", ["plain", "h2c"], indirect=True)
@pytest.mark.parametrize("data", BAD_UTF8)
def test_wrong_utf8_over_fragments_is_1007(open_ws, data):
    for at in range(len(data) + 1):
        with open_ws() as c:
            c.send_may_fail(frame(TEXT, data[:at], fin=False)
                            + frame(CONT, data[at:]))
            c.expect_close(1007)


@pytest.mark.parametrize("data", [b"\xff", b"\xc0", b"\xed\xa0",
                                  b"\xf4\x90", b"\xe0\x9f"])
def test_wrong_utf8_is_seen_before_the_message_ends(conn, data):
    """The first frame is not whole, and no further one comes."""
    conn.send(frame(TEXT, b"good" + data, fin=False, length=50))
    conn.expect_close(1007)


def test_binary_need_not_be_utf8(conn):
    conn.frame(BINARY, b"\xff\xfe\x80")
    assert conn.read_frame() == (True, 0, BINARY, b"\xff\xfe\x80")


# ---- JMAP's own endpoint ----

def jmap_request(n, rid="r"):
    head = ('{"@type":"Request","id":"%s","using":["urn:ietf:params:jmap:core"]'
            ',"methodCalls":[["Core/echo",{"x":"' % rid)
    tail = '"},"0"]]}'
    return (head + "x" * (n - len(head) - len(tail)) + tail).encode()


@pytest.mark.parametrize("n", [65535, 65536, 65537, LIMIT - 1, LIMIT])
def test_a_request_of_any_size_up_to_the_limit(server, open_ws, n):
    with open_ws("/jmap/ws", account=server.add_account()) as c:
        text = jmap_request(n)
        assert len(text) == n
        c.frame(TEXT, text)
        answer = c.json()
        assert (answer["@type"], answer["requestId"]) == ("Response", "r")


@pytest.mark.parametrize("pieces", [1, 3])
def test_one_byte_over_is_limit_then_1009(server, open_ws, pieces):
    with open_ws("/jmap/ws", account=server.add_account()) as c:
        text = jmap_request(LIMIT + 1)
        size = len(text) // pieces + 1
        for i in range(0, len(text), size):
            c.send_may_fail(frame(CONT if i else TEXT, text[i:i + size],
                                  fin=i + size >= len(text)))
        answer = c.json()
        assert answer["@type"] == "RequestError"
        assert answer["requestId"] == "r"
        assert answer["type"] == "urn:ietf:params:jmap:error:limit"
        assert answer["limit"] == "maxSizeRequest"
        c.expect_close(1009)


def test_one_byte_over_in_binary_is_1003(server, open_ws):
    with open_ws("/jmap/ws", account=server.add_account()) as c:
        c.send_may_fail(frame(BINARY, b"x" * (LIMIT + 1)))
        c.expect_close(1003)


# ---- others ----

def test_python3_websockets_echoes(server, tls):
    import websockets
    from jmap import insecure, run

    async def talk():
        url = (f"wss://127.0.0.1:{server.https}/jmap/ws-echo" if tls else
               f"ws://127.0.0.1:{server.http}/jmap/ws-echo")
        async with websockets.connect(
                url, ssl=insecure() if tls else None, max_size=None) as ws:
            for message in ("text", b"binary", "x" * LIMIT, ["a", "b", "c"]):
                await ws.send(message)
                want = "".join(message) if isinstance(message, list) \
                    else message
                assert await ws.recv() == want
            await (await ws.ping())
        return ws.close_code
    assert run(talk()) == 1000


def kernel_buffers():
    """Bytes that the kernel may hold between two programs, there and back."""
    def largest(name):
        with open("/proc/sys/net/ipv4/tcp_" + name, encoding="ascii") as f:
            return int(f.read().split()[2])
    return largest("rmem") + 2 * largest("wmem")


def test_a_client_that_reads_nothing_holds_up_nobody(server):
    """Of its messages the server takes some 1 MB; the rest waits in the kernel,
    which lets a fast receiver have more and more."""
    most = (kernel_buffers() + 2_000_000) // LIMIT + 1
    with RawWs(server.http, rcvbuf=4096) as deaf, RawWs(server.http) as other:
        sent = 0
        deaf.sock.settimeout(0.5)
        try:
            while sent <= most:
                deaf.send(frame(BINARY, b"x" * LIMIT))
                sent += 1
        except TimeoutError:
            pass
        assert sent <= most, "the server keeps megabytes for it"
        echoes(other)
