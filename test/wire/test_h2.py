"""HTTP/2 (RFC 9113) and WebSocket over it (RFC 8441), frame by frame with
python3-h2, over TLS (ALPN) and over plain (prior knowledge)."""

import json
import struct

import h2.errors
import pytest

from h2conn import H2, H2Ws, alpn_context
from harness import Server, wait_for
from jmap import CORE
from raw import Closed, Raw, basic
from rawws import CLOSE, PING, PONG, TEXT, frame

OPTIONS = {"ws_echo": "yes", "max_size_request": 1000000}

CALM = int(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.fixture
def conn(port, tls):
    with H2(port, tls) as c:
        yield c


def auth(account):
    return {"Authorization": basic(account.name, account.token)}


def healthy(c):
    r = c.get("/healthz")
    assert (r.status, r.body) == (200, b"ok\n")


def echo(n=0):
    return json.dumps({"using": [CORE], "methodCalls": [
        ["Core/echo", {"n": n}, "0"]]})


def raw_frame(kind, flags=0, stream=0, payload=b""):
    return (struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
            + struct.pack(">I", stream) + payload)


# ---- which carrier ----

def test_alpn_chooses(server):
    for offer, chosen in ((["h2", "http/1.1"], "h2"), (["http/1.1"],
                          "http/1.1"), (["http/1.1", "h2"], "h2")):
        with Raw(server.https, True, context=alpn_context(*offer)) as c:
            assert c.sock.selected_alpn_protocol() == chosen
            if chosen == "http/1.1":
                assert c.get("/healthz").status == 200


def test_the_preface_may_come_byte_by_byte(server):
    with Raw(server.http) as c:
        c.drip(PREFACE + raw_frame(4))
        head = c.take(9)
        assert head[3] == 4, "SETTINGS come first"


def test_without_tls_other_bytes_are_http_1(server):
    with Raw(server.http) as c:
        c.send(PREFACE[:-1] + b"x")
        assert c.response().status == 505


# ---- requests ----

def test_a_get_is_answered(conn):
    r = conn.get("/healthz")
    assert (r.status, r.body) == (200, b"ok\n")
    assert r.get("content-length") == "3"
    assert r.get("date")
    assert r.get("connection") is None
    healthy(conn)


def test_a_head_has_the_length_and_no_body(conn):
    r = conn.response(conn.send("HEAD", "/healthz"))
    assert (r.status, r.get("content-length"), r.body) == (200, "3", b"")


def test_many_requests_run_side_by_side(conn, account):
    sids = [conn.send("GET", "/healthz") for _ in range(100)]
    api = conn.send("POST", "/jmap/api", echo(7), **auth(account),
                    Content_Type="application/json")
    for sid in reversed(sids):
        assert conn.response(sid).body == b"ok\n"
    answer = json.loads(conn.response(api).body)
    assert answer["methodResponses"] == [["Core/echo", {"n": 7}, "0"]]


def test_the_limit_of_requests_counts_over_the_connection(server, tls, port):
    """RFC 8887 4.3.2: API calls and those of WebSockets together."""
    with H2(port, tls) as c:
        account = server.add_account()
        ws = H2Ws(port, "/jmap/ws", h2=c, account=account)
        fields = {**auth(account), "Content_Type": "application/json"}
        head = c.fields("POST", "/jmap/api", fields)
        under_way = [c.open(head, end=False) for _ in range(4)]
        wait_for("the logins", lambda: (
            c.body(under_way[0], " ") or c.get("/healthz").status == 200))
        c.get("/jmap/session", **auth(account))
        ws.send_json({"@type": "Request", "id": "x", "using": [CORE],
                      "methodCalls": [["Core/echo", {}, "0"]]})
        refusal = ws.json()
        assert refusal["limit"] == "maxConcurrentRequests"
        for sid in under_way:
            c.body(sid, echo(), end=True)
        assert [c.response(s).status for s in under_way] == [200] * 4


def test_a_plain_connect_is_refused(conn):
    sid = conn.open([(":method", "CONNECT"), (":authority", "localhost:80")],
                    end=False)
    assert conn.response(sid).status == 501
    healthy(conn)


def test_an_unknown_protocol_is_refused(conn):
    sid = conn.connect("/jmap/ws-echo", protocol="connect-udp")
    assert conn.response(sid).status == 501
    healthy(conn)


@pytest.mark.parametrize("extra", [
    ("connection", "keep-alive"), ("upgrade", "websocket"),
    ("transfer-encoding", "chunked"), ("keep-alive", "5"),
    ("te", "gzip"), ("x", "a\rb"), ("X", "upper"), (":path", "/again"),
    (":unknown", "x")])
def test_a_malformed_request_is_reset(port, tls, extra):
    with H2(port, tls, strict=False) as c:
        head = c.fields("GET", "/healthz", {})
        sid = c.open(head + [extra])
        s = c.streams[sid]
        c.until(lambda: s.reset is not None)
        assert s.reset == h2.errors.ErrorCodes.PROTOCOL_ERROR
        healthy(c)


@pytest.mark.parametrize("drop", [":method", ":scheme", ":path"])
def test_a_request_without_a_pseudo_header_is_reset(port, tls, drop):
    with H2(port, tls, strict=False) as c:
        sid = c.open([f for f in c.fields("GET", "/healthz", {})
                      if f[0] != drop])
        s = c.streams[sid]
        c.until(lambda: s.reset is not None)
        healthy(c)


@pytest.mark.parametrize("fields, status", [
    ({"Host": "other"}, 400), ({"Host": "localhost"}, 200),
    ({"Expect": "tea"}, 417), ({"A": "x" * 33000}, 431),
    ({"A": ["b"] * 101}, 431)])
def test_a_head_is_judged_as_over_http_1(conn, fields, status):
    assert conn.get("/healthz", **fields).status == status
    healthy(conn)


def test_a_body_of_another_length_is_reset(port, tls, account):
    with H2(port, tls, strict=False) as c:
        sid = c.send("POST", "/jmap/api", b"12345", **auth(account),
                     Content_Type="application/json", Content_Length="4")
        s = c.streams[sid]
        c.until(lambda: s.reset is not None)
        healthy(c)


def test_continue_is_sent_when_expected(conn, account):
    sid = conn.open(conn.fields("POST", "/jmap/api", {
        **auth(account), "Content_Type": "application/json",
        "Expect": "100-continue"}), end=False)
    s = conn.streams[sid]
    conn.until(lambda: s.informed)
    assert s.informed == [100]
    conn.body(sid, echo(), end=True)
    assert conn.response(sid).status == 200


def test_an_early_answer_stops_the_body(conn):
    """The answer is whole, then RST_STREAM, NO_ERROR (RFC 9113 8.1)."""
    sid = conn.open(conn.fields("POST", "/nothing", {}), end=False)
    r = conn.response(sid)
    assert r.status == 404
    s = conn.streams[sid]
    conn.until(lambda: s.reset is not None)
    assert s.reset == 0
    healthy(conn)


# ---- flow control ----

def upload(c, account, data):
    r = c.response(c.send("POST", "/jmap/upload/u1/".replace(
        "u1", account_id(c, account)), data, **auth(account),
        Content_Type="application/octet-stream"))
    assert r.status == 201, r.body
    return json.loads(r.body)


def account_id(c, account):
    session = json.loads(c.get("/jmap/session", **auth(account)).body)
    return list(session["accounts"])[0]


def download_path(blob):
    return f"/jmap/download/{blob['accountId']}/{blob['blobId']}/x"


def test_a_file_goes_up_and_comes_down(conn, account):
    data = bytes(range(256)) * 8192  # over every window
    blob = upload(conn, account, data)
    r = conn.get(download_path(blob), **auth(account))
    assert r.body == data


def test_no_byte_comes_over_the_window(server, port, tls, account):
    with H2(port, tls) as c:
        blob = upload(c, account, b"x" * 300000)
    with H2(port, tls, hold=True) as c:
        sid = c.send("GET", download_path(blob), **auth(account))
        s = c.streams[sid]
        c.until(lambda: len(s.data) == 65535)
        c.h2.increment_flow_control_window(100, sid)
        c.h2.increment_flow_control_window(1000)
        c.flush()
        c.until(lambda: len(s.data) == 65635)
        c.h2.ping(b"12345678")
        c.flush()
        c.until(lambda: c.pongs)
        assert len(s.data) == 65635
        c.reset(sid)
        # What the first stream holds of the connection's window is its own.
        c.h2.increment_flow_control_window(100000)
        healthy(c)


def test_a_download_does_not_stop_a_websocket(server, port, tls, account):
    with H2(port, tls) as c:
        blob = upload(c, account, b"x" * 900000)
        ws = H2Ws(port, h2=c)
        c.hold = True
        sid = c.send("GET", download_path(blob), **auth(account))
        s = c.streams[sid]
        c.until(lambda: len(s.data) >= 60000)
        c.h2.increment_flow_control_window(1000)
        c.h2.increment_flow_control_window(1000, ws.sid)
        c.hold = False
        ws.frame(TEXT, "meanwhile")
        assert ws.read_frame() == (True, 0, TEXT, b"meanwhile")
        assert not s.ended
        c.acknowledge(sid, len(s.data))
        c.flush()
        assert len(c.response(sid).body) == 900000


def test_a_body_that_nobody_takes_stops_at_its_window(conn):
    """An echo that is not read is not fed either; others go on."""
    ws = H2Ws(None, h2=conn)
    conn.hold = True
    sent = 0
    while conn.h2.local_flow_control_window(ws.sid) and sent < 50_000_000:
        conn.h2.send_data(ws.sid, frame(2, b"x" * 16000)[:min(
            16008, conn.h2.local_flow_control_window(ws.sid))])
        conn.flush()
        sent += 16008
        if conn.h2.local_flow_control_window(ws.sid) < 16008:
            conn.h2.ping(b"12345678")
            conn.flush()
            before = len(conn.pongs)
            conn.until(lambda: len(conn.pongs) > before)
    assert sent < 10_000_000
    conn.reset(ws.sid)


# ---- WebSocket over a stream ----

def test_settings_allow_extended_connect(conn):
    conn.settle()
    assert conn.h2.remote_settings.enable_connect_protocol == 1


def test_several_websockets_and_requests_share_a_connection(conn, server):
    account = server.add_account()
    echoes = [H2Ws(None, h2=conn) for _ in range(3)]
    jmap = H2Ws(None, "/jmap/ws", h2=conn, account=account)
    assert jmap.opened.get("sec-websocket-protocol") == "jmap"
    for i, ws in enumerate(echoes):
        ws.frame(TEXT, str(i))
    jmap.send_json({"@type": "Request", "id": "x", "using": [CORE],
                    "methodCalls": [["Core/echo", {"a": 1}, "0"]]})
    healthy(conn)
    for i, ws in enumerate(reversed(echoes)):
        assert ws.read_frame()[3] == str(2 - i).encode()
    assert jmap.json()["requestId"] == "x"


def test_early_bytes_wait_for_the_handshake(conn, server):
    account = server.add_account()
    sid = conn.connect("/jmap/ws", **auth(account),
                       Sec_WebSocket_Protocol="jmap")
    conn.body(sid, frame(PING, "early"))
    s = conn.streams[sid]
    conn.until(lambda: len(s.data) >= 7)
    assert s.data == b"\x8a\x05early"


@pytest.mark.parametrize("fields, status", [
    ({"Sec_WebSocket_Version": "12"}, 426), ({"Origin": "https://evil"}, 403),
    ({"Sec_WebSocket_Protocol": "chat"}, 400), ({}, 401)])
def test_a_wrong_handshake_is_refused(conn, fields, status):
    r = conn.response(conn.connect("/jmap/ws", **fields))
    assert r.status == status
    assert r.get("upgrade") is None and r.get("connection") is None


def test_a_closed_websocket_ends_its_stream_on_both_sides(conn):
    ws = H2Ws(None, h2=conn)
    ws.frame(CLOSE, struct.pack(">H", 1000))
    assert ws.read_frame() == (True, 0, CLOSE, struct.pack(">H", 1000))
    ws.assert_closed()
    assert (ws.stream.ended, ws.stream.reset) == (True, None)
    ws.end()
    healthy(conn)


def test_the_end_of_a_stream_is_the_end_of_its_websocket(conn):
    ws = H2Ws(None, h2=conn)
    ws.end()
    ws.assert_closed()
    assert (ws.stream.ended, ws.stream.reset) == (True, None)


def test_a_reset_in_mid_message_harms_that_websocket_only(server, conn):
    broken, other = H2Ws(None, h2=conn), H2Ws(None, h2=conn)
    broken.send(frame(TEXT, "half", length=100))
    other.frame(TEXT, "a", fin=False)
    before = server.metric("worker", "websockets")
    broken.h2.reset(broken.sid)
    wait_for("its end", lambda: server.metric("worker", "websockets")
             == before - 1)
    other.frame(0, "b")
    assert other.read_frame() == (True, 0, TEXT, b"ab")


def test_a_state_change_comes_over_a_stream(server, conn):
    from mail import deliver, message
    account = server.add_account()
    ws = H2Ws(None, "/jmap/ws", h2=conn, account=account)
    ws.send_json({"@type": "WebSocketPushEnable", "dataTypes": None})
    ws.send_json({"@type": "Request", "id": "x", "using": [CORE],
                  "methodCalls": [["Core/echo", {}, "0"]]})
    assert ws.json()["requestId"] == "x"  # the other was heard before
    deliver(server, account.name, message())
    change = ws.json()
    assert change["@type"] == "StateChange"
    assert "Email" in list(change["changed"].values())[0]


def test_events_are_one_more_stream(server, conn):
    from mail import deliver, message
    account = server.add_account()
    sid = conn.send("GET", "/jmap/eventsource?types=*&closeafter=state&ping=0",
                    **auth(account))
    assert conn.response(sid, head_only=True).get(
        "content-type").startswith("text/event-stream")
    healthy(conn)
    deliver(server, account.name, message())
    assert b"StateChange" in conn.response(sid).body


def test_the_end_of_the_server_is_told_to_each_stream(tls):
    """GOAWAY; requests finish, WebSockets get Close 1001 (RFC 6455 7.4.1)."""
    import signal
    with Server(**OPTIONS) as s:
        account = s.add_account()
        port = s.https if tls else s.http
        with H2(port, tls) as c:
            ws = H2Ws(None, "/jmap/ws", h2=c, account=account)
            sid = c.open(c.fields("POST", "/jmap/api", {
                **auth(account), "Content_Type": "application/json"}),
                end=False)
            c.body(sid, " ")
            healthy(c)
            s.proc.send_signal(signal.SIGTERM)
            c.until(lambda: len(c.goaways) == 2)
            assert c.goaways == [(0, 2**31 - 1), (0, sid + 2)]
            ws.expect_close(1001)
            c.body(sid, echo(), end=True)
            assert c.response(sid).status == 200
            ws.end()
            c.rest()
        s.ended()


# ---- abuse ----

def calmed(server, c):
    before = server.metric("worker", "h2-calmed")
    yield
    goaway = c.rest()
    assert goaway and goaway[0] == CALM, goaway
    assert server.metric("worker", "h2-calmed") == before + 1


def flood(c, make, n=20000):
    """Sends until the peer has enough."""
    try:
        for i in range(0, n, 50):
            c.raw.send(b"".join(make(k) for k in range(i, i + 50)))
    except (ConnectionError, OSError):
        pass


FLOODS = {
    "ping": lambda i: raw_frame(6, 0, 0, struct.pack(">Q", i)),
    "settings": lambda i: raw_frame(4),
    "priority": lambda i: raw_frame(2, 0, 2 * i + 1,
                                    struct.pack(">IB", 0, 1)),
    "unknown": lambda i: raw_frame(0x77, 0, 0, b"x"),
    "window": lambda i: raw_frame(8, 0, 0, struct.pack(">I", 1)),
}


@pytest.mark.parametrize("what", sorted(FLOODS))
def test_a_flood_of_frames_is_told_to_calm_down(server, conn, what):
    check = calmed(server, conn)
    next(check)
    flood(conn, FLOODS[what])
    next(check, None)


def test_a_flood_of_empty_data_is_told_to_calm_down(server, conn):
    check = calmed(server, conn)
    next(check)
    sid = conn.connect("/jmap/ws-echo")
    flood(conn, lambda i: raw_frame(0, 0, sid))
    next(check, None)


def test_rapid_reset_is_told_to_calm_down(server, conn):
    check = calmed(server, conn)
    next(check)
    for _ in range(1000):
        sid = conn.h2.get_next_available_stream_id()
        conn.h2.send_headers(sid, conn.fields("GET", "/jmap/session", {
            "Authorization": basic("nobody", "x")}), end_stream=False)
        conn.h2.reset_stream(sid)
    conn.raw.send_may_fail(conn.h2.data_to_send())
    next(check, None)


def test_continuations_without_end_are_told_to_calm_down(server, conn):
    check = calmed(server, conn)
    next(check)
    conn.raw.send(raw_frame(1, 0, 1, b"\x00\x01a\x01b"))
    flood(conn, lambda i: raw_frame(9, 0, 1, b"\x00\x01a\x01b"))
    next(check, None)


def test_a_list_of_fields_without_end_is_told_to_calm_down(server, conn):
    check = calmed(server, conn)
    next(check)
    # RFC 7541 6.2.1, 6.1: a field of 3900 bytes, then one byte for each more.
    block = b"\x40\x01a\x7f\xbd\x1d" + b"x" * 3900 + b"\xbe" * 200
    conn.raw.send(raw_frame(1, 4, 1, block))
    next(check, None)


# ---- other clients ----

def run(*command):
    import subprocess
    p = subprocess.run(command, capture_output=True, text=True, timeout=60,
                       check=False)
    assert p.returncode == 0, p.stdout + p.stderr
    return p.stdout


def test_curl_speaks_http_2(server, port, tls):
    url = f"{'https' if tls else 'http'}://localhost:{port}/healthz"
    out = run("curl", "-sk", "-w", "%{http_version}",
              "--http2" if tls else "--http2-prior-knowledge", url)
    assert out == "ok\n2"


def test_nghttp_speaks_http_2(port, tls):
    out = run("nghttp", "-y",
              f"{'https' if tls else 'http'}://localhost:{port}/healthz")
    assert out == "ok\n"


def test_h2load_is_answered_every_time(port, tls):
    out = run("h2load", "-n", "2000", "-c", "4", "-m", "50",
              f"{'https' if tls else 'http'}://localhost:{port}/healthz")
    assert "2000 succeeded, 0 failed, 0 errored" in out


@pytest.fixture
def nghttpx(server, tls, port):
    """A proxy that speaks HTTP/1.1 before and HTTP/2 behind; its port."""
    import subprocess
    from harness import Port
    own = Port()
    n = own.n
    own.close()
    p = subprocess.Popen(
        ["nghttpx", f"--frontend=127.0.0.1,{n};no-tls",
         f"--backend=127.0.0.1,{port};;proto=h2" + (";tls" if tls else ""),
         "--insecure", "--workers=1", "--no-ocsp", "--conf=/dev/null",
         "--errorlog-file=/dev/null", "--accesslog-file=/dev/null"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)

    def listens():
        try:
            Raw(n).close()
        except ConnectionError:
            return False
        return True
    wait_for("nghttpx", listens)
    yield n
    p.terminate()
    p.wait(30)


def test_nghttpx_makes_extended_connect_of_an_upgrade(nghttpx, server, account):
    import websockets
    from jmap import run as loop

    async def talk():
        headers = {"Authorization": basic(account.name, account.token)}
        async with websockets.connect(
                f"ws://127.0.0.1:{nghttpx}/jmap/ws-echo") as ws:
            await ws.send("x" * 100000)
            assert await ws.recv() == "x" * 100000
        async with websockets.connect(
                f"ws://127.0.0.1:{nghttpx}/jmap/ws", subprotocols=["jmap"],
                extra_headers=headers) as ws:
            await ws.send(json.dumps({
                "@type": "Request", "id": "x", "using": [CORE],
                "methodCalls": [["Core/echo", {}, "0"]]}))
            answer = json.loads(await ws.recv())
        return answer["requestId"], ws.close_code
    assert loop(talk()) == ("x", 1000)
