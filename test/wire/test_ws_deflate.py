"""permessage-deflate (RFC 7692) byte for byte, what is agreed on; over each
carrier: messages both ways with every window, and what no client may send; and a
foreign client."""

import asyncio
import json
import random
import re
import ssl
import zlib

import pytest
import websockets

import mail
from h2conn import H2Ws
from harness import Server, wait_for
from raw import Raw, basic
from rawws import (BINARY, CLOSE, CONT, PING, PONG, TEXT, RawWs, frame,
                   handshake)

LIMIT = 1 << 20
OPTIONS = {"ws_echo": "yes", "max_size_request": LIMIT}

PMD = "permessage-deflate"
S_FRESH = "; server_no_context_takeover"
C_FRESH = "; client_no_context_takeover"
S_BITS = "; server_max_window_bits"
C_BITS = "; client_max_window_bits"
RSV1 = 4
TAIL = b"\x00\x00\xff\xff"


class Deflating:
    """A client that compresses, by what was agreed on."""

    def __init__(self, port, tls=False, offer=PMD, **kw):
        super().__init__(port, tls=tls, Sec_WebSocket_Extensions=offer, **kw)
        self.agreed = self.opened.get("sec-websocket-extensions")
        self.server_fresh = S_FRESH in self.agreed
        self.client_fresh = C_FRESH in self.agreed
        self.server_bits = self.bits_of(S_BITS)
        self.client_bits = self.bits_of(C_BITS)
        self.packer = self.unpacker = None

    def take(self, n):
        got = [self.buf]
        left = n - len(self.buf)
        while left > 0:
            self.buf = b""
            self.more()
            got.append(self.buf)
            left -= len(self.buf)
        whole = b"".join(got)
        self.buf = whole[n:]
        return whole[:n]

    def bits_of(self, param):
        got = re.search(re.escape(param) + "=([0-9]+)", self.agreed)
        return int(got[1]) if got else 15

    def packed(self, data, level=6):
        if self.packer is None or self.client_fresh:
            self.packer = zlib.compressobj(level, zlib.DEFLATED,
                                           -self.client_bits)
        out = self.packer.compress(data)
        out += self.packer.flush(zlib.Z_SYNC_FLUSH)
        assert out.endswith(TAIL)
        return out[:-4]

    def unpacked(self, data):
        if self.unpacker is None or self.server_fresh:
            self.unpacker = zlib.decompressobj(-self.server_bits)
        return self.unpacker.decompress(data + TAIL)

    def say(self, data, opcode=TEXT):
        self.frame(opcode, self.packed(data), rsv=RSV1)

    def hear(self):
        """The next data message, inflated, and whether it was compressed."""
        while True:
            fin, rsv, opcode, payload = self.read_frame()
            if opcode == PING:
                assert rsv == 0
                self.frame(PONG, payload)
            elif opcode != PONG:
                break
        assert fin and rsv in (0, RSV1)
        return (opcode, self.unpacked(payload) if rsv else payload,
                rsv == RSV1)

    def echoes(self, data, opcode=TEXT):
        self.say(data, opcode)
        assert self.hear()[:2] == (opcode, data)


class Peer(Deflating, RawWs):
    """Over HTTP/1.1."""


class H2Peer(Deflating, H2Ws):
    """Over a stream of HTTP/2."""


@pytest.fixture(params=["plain", "tls", "h2c", "h2"])
def peer(request, server):
    """Makes a Peer over that carrier."""
    tls = request.param in ("tls", "h2")
    port = server.https if tls else server.http
    make = H2Peer if request.param.startswith("h2") else Peer
    return lambda *args, **kw: make(port, tls, *args, **kw)


@pytest.fixture
def conn(peer):
    with peer() as c:
        yield c


def words(n, seed=1):
    """Text that compresses as JSON does."""
    r = random.Random(seed)
    some = [f'"key{r.randrange(1000)}":"{r.randrange(10 ** 9)}",'
            for _ in range(500)]
    out, size = [], 0
    while size < n:
        out.append(r.choice(some))
        size += len(out[-1])
    return "".join(out).encode()[:n]


def alone(data):
    """A message that refers to none before it."""
    z = zlib.compressobj(6, zlib.DEFLATED, -15)
    return (z.compress(data) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]


# ---- what is agreed on (7.1) ----

def answer_to(server, offer):
    with Raw(server.http) as c:
        c.send(handshake("/jmap/ws-echo", Sec_WebSocket_Extensions=offer))
        r = c.response(head_only=True)
        assert r.status == 101
        assert len(r.all("sec-websocket-extensions")) <= 1
        return r.get("sec-websocket-extensions")


@pytest.mark.parametrize("offer, answer", [
    (None, None),
    ("", None),
    (PMD, PMD),
    (PMD + S_FRESH, PMD + S_FRESH),
    (PMD + C_FRESH, PMD + C_FRESH),
    (PMD + C_FRESH + S_FRESH, PMD + S_FRESH + C_FRESH),
    (PMD + S_BITS + "=9", PMD + S_BITS + "=9"),
    (PMD + S_BITS + "=15", PMD + S_BITS + "=15"),
    (PMD + S_BITS + '="10"', PMD + S_BITS + "=10"),
    (PMD + S_BITS + '="9', None),
    (PMD + S_BITS + "=8", None),
    (PMD + S_BITS, None),
    # Of a window that we keep, 4 KB are enough.
    (PMD + C_BITS, PMD + C_BITS + "=12"),
    (PMD + C_BITS + "=15", PMD + C_BITS + "=12"),
    (PMD + C_BITS + "=9", PMD + C_BITS + "=9"),
    (PMD + C_BITS + "=8", PMD + C_BITS + "=8"),
    (PMD + C_BITS + C_FRESH, PMD + C_FRESH + C_BITS + "=15"),
    (PMD + C_BITS + "=11" + C_FRESH, PMD + C_FRESH + C_BITS + "=11"),
    (PMD + S_BITS + "=8, " + PMD, PMD),
    (PMD + S_BITS + "=8," + PMD + "; what, " + PMD + S_FRESH,
     PMD + S_FRESH),
    (["x-webkit-deflate-frame", PMD + S_BITS + "=11"],
     PMD + S_BITS + "=11"),
    ('foo; bar="a,\\"b;", ' + PMD, PMD),
    (PMD + C_FRESH + ", " + PMD, PMD + C_FRESH),
    (PMD + "; unknown, other", None)])
def test_the_first_offer_that_we_can_take(server, offer, answer):
    assert answer_to(server, offer) == answer


@pytest.mark.parametrize("param", [
    S_BITS + "=7", S_BITS + "=16", S_BITS + "=010", S_BITS + "=",
    S_BITS + "=-9", S_BITS + '=""', S_BITS + "=9; server_max_window_bits=9",
    C_BITS + "=7", C_BITS + "=16", C_BITS + "=012", C_BITS + "=",
    C_BITS + "=x", C_BITS + C_BITS, S_FRESH + "=1", S_FRESH + S_FRESH,
    C_FRESH + '=""', C_FRESH + C_FRESH, "; x", "; x=1", ";", "=1", "; =9"])
def test_a_wrong_parameter_declines_the_offer(server, param):
    assert answer_to(server, PMD + param) is None
    assert answer_to(server, PMD + param + ", " + PMD) == PMD


def test_nothing_agreed_on_is_nothing_compressed(port, tls):
    with RawWs(port, tls=tls, Sec_WebSocket_Extensions=PMD + "; no") as c:
        assert c.opened.get("sec-websocket-extensions") is None
        c.frame(TEXT, words(5000))
        assert c.read_frame() == (True, 0, TEXT, words(5000))
        c.frame(TEXT, b"\x00", rsv=RSV1)
        c.expect_close(1002)


# ---- messages ----

@pytest.mark.parametrize("fresh", ["", S_FRESH + C_FRESH])
@pytest.mark.parametrize("bits", range(9, 16))
def test_every_window_both_ways(peer, bits, fresh):
    offer = PMD + fresh + S_BITS + f"={bits}" + C_BITS + f"={bits}"
    with peer(offer) as c:
        for i in range(4):
            for n in (0, 1, 511, 512, 3000, 70000):
                data = words(n, i)
                c.say(data, BINARY)
                assert c.hear() == (BINARY, data, n >= 512)
            c.say(words(3000, i))
            assert c.hear() == (TEXT, words(3000, i), True)


def test_the_client_may_refer_back_32_kilobytes(conn):
    """Without client_max_window_bits all of its window is kept."""
    noise = random.Random(3).randbytes(32000)
    conn.echoes(noise, BINARY)
    small = conn.packed(noise[:2000])
    assert len(small) < 100
    conn.frame(BINARY, small, rsv=RSV1)
    assert conn.hear()[:2] == (BINARY, noise[:2000])


def test_what_was_sent_before_is_referred_to(conn):
    """Context takeover of the server: a repetition costs next to nothing."""
    noise = random.Random(4).randbytes(2000)
    sizes = []
    for _ in range(3):
        conn.say(noise, BINARY)
        _, rsv, _, payload = conn.read_frame()
        assert rsv == RSV1 and conn.unpacked(payload) == noise
        sizes.append(len(payload))
    assert sizes[0] >= 2000 and sizes[1] < 100 and sizes[2] < 100


def test_no_context_takeover_is_obeyed(peer):
    """Each answer by itself, and equal ones are equal."""
    with peer(PMD + S_FRESH) as c:
        got = []
        for _ in range(3):
            c.say(words(2000))
            got.append(c.read_frame()[3])
        assert got[0] == got[1] == got[2]
        assert c.unpacked(got[2]) == words(2000)


def test_plain_and_compressed_messages_mix(conn):
    for i in range(5):
        conn.frame(TEXT, words(1000, i))
        assert conn.hear() == (TEXT, words(1000, i), True)
        conn.say(words(1000, i + 1))
        assert conn.hear() == (TEXT, words(1000, i + 1), True)


BLOCKS = [
    (b"\x00", b""),                                          # 7.2.3.6
    (b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"Hello"),             # 7.2.3.1
    (b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", b"Hello"),  # 7.2.3.3
    (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"Hello"),         # 7.2.3.4
    (b"\xf3\x48\xcd\xc9\xc9\x07\x00", b"Hello"),             # and no more
    (b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
     b"Hello"),                                              # 7.2.3.5
    (b"\xf3\x48\xcd\xc9\xc9\x07\x00" * 3 + b"\x00", b"Hello" * 3),
    (b"\x02\x00\x00\x00\xff\xff\x00", b"")]


def test_blocks_of_every_kind(conn):
    for payload, text in BLOCKS + BLOCKS[::-1]:
        conn.frame(TEXT, payload, rsv=RSV1)
        assert conn.hear()[:2] == (TEXT, text)


def test_the_examples_with_context(conn):
    """RFC 7692 7.2.3.2, client to server."""
    conn.frame(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=RSV1)
    conn.frame(TEXT, b"\xf2\x00\x11\x00\x00", rsv=RSV1)
    assert conn.hear()[1] == conn.hear()[1] == b"Hello"


def test_frames_split_anywhere(conn):
    data = "Gr\u00fc\u00dfe \u20ac \U0001f600 ".encode() * 3
    packed = alone(data)
    for at in range(len(packed) + 1):
        conn.frame(TEXT, packed[:at], fin=False, rsv=RSV1)
        conn.frame(PING, "p")
        conn.frame(CONT, packed[at:])
        assert conn.read_frame() == (True, 0, PONG, b"p")
        assert conn.hear()[1] == data


def test_one_byte_at_a_time(conn):
    data = words(700)
    packed = conn.packed(data)
    conn.drip(frame(TEXT, packed[:20], fin=False, rsv=RSV1)
              + frame(CONT, packed[20:]))
    assert conn.hear() == (TEXT, data, True)


# ---- what no client may send ----

@pytest.mark.parametrize("send", [
    lambda c: c.frame(PING, "x", rsv=RSV1),
    lambda c: c.frame(PONG, "x", rsv=RSV1),
    lambda c: c.frame(CLOSE, b"\x03\xe8", rsv=RSV1),
    lambda c: c.frame(TEXT, b"\x00", rsv=RSV1 | 2),
    lambda c: c.frame(TEXT, b"\x00", rsv=1),
    lambda c: (c.frame(TEXT, c.packed(b"ab"), fin=False, rsv=RSV1),
               c.frame(CONT, b"\x00", rsv=RSV1)),
    lambda c: (c.frame(TEXT, b"ab", fin=False),
               c.frame(CONT, b"\x00", rsv=RSV1)),
    lambda c: c.frame(CONT, b"\x00", rsv=RSV1),
    lambda c: c.frame(3, b"\x00", rsv=RSV1)])
def test_a_reserved_bit_in_a_wrong_place_is_1002(conn, send):
    send(conn)
    conn.expect_close(1002)


@pytest.mark.parametrize("payload", [
    b"", b"\xff", b"\x06", b"garbage here", b"\x00\x05\x00\xfa\xff\x48\x65",
    b"\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00",
    b"\xf2\x48\xcd", b"\xf2\x48\xcd\xc9\xc9\x07\x00\x07",
    b"\xf2\x00\x11\x00\x00",  # refers to what never was
    b"\xf3\x48\xcd\xc9\xc9\x07\x00\xff\xff"])
def test_what_is_no_deflate_data_is_1007(conn, payload):
    conn.frame(BINARY, payload, rsv=RSV1)
    conn.expect_close(1007)


def test_no_context_is_no_reference_back(peer):
    with peer(PMD + C_FRESH) as c:
        c.frame(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=RSV1)
        assert c.hear()[1] == b"Hello"
        c.frame(TEXT, b"\xf2\x00\x11\x00\x00", rsv=RSV1)
        c.expect_close(1007)


@pytest.mark.parametrize("data", [b"good \xff", b"a" * 70000 + b"\xc3",
                                  b"\xed\xa0\x80"])
def test_the_inflated_text_must_be_utf8(conn, data):
    conn.say(data)
    conn.expect_close(1007)


def test_wrong_utf8_is_seen_before_the_message_ends(conn):
    conn.frame(TEXT, conn.packed(b"good \xff"), fin=False, rsv=RSV1)
    conn.expect_close(1007)


def test_text_that_is_no_utf8_when_compressed_is_right(conn):
    conn.echoes(words(600))


def test_sixteen_megabytes():
    n = 16 << 20
    with (Server(ws_echo="yes", max_size_request=n) as s,
          Peer(s.http) as c):
        data = words(1 << 16) * (n >> 16)
        c.say(data)
        assert c.hear()[:2] == (TEXT, data)
        c.echoes(b"still here")


def test_the_limit_is_one_of_the_inflated_message(conn):
    conn.say(b"x" * (LIMIT + 1))
    conn.expect_close(1009)


def test_a_bomb_ends_at_the_limit(conn):
    """A gigabyte in a megabyte: 1009, long before it is inflated."""
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    megabyte = z.compress(b"\0" * (1 << 20)) + z.flush(zlib.Z_FULL_FLUSH)
    conn.send_may_fail(frame(BINARY, megabyte * 1024, rsv=RSV1))
    conn.expect_close(1009)


def test_empty_blocks_do_not_go_on_for_ever(conn):
    empty = b"\x00\x00\x00\xff\xff" * 20000
    conn.frame(BINARY, empty, fin=False, rsv=RSV1)
    for _ in range(13):
        conn.send_may_fail(frame(CONT, empty, fin=False))
    conn.expect_close(1009)


# ---- JMAP's own endpoint ----

def request(n, rid="r"):
    head = ('{"@type":"Request","id":"%s","using":["urn:ietf:params:jmap:core"]'
            ',"methodCalls":[["Core/echo",{"x":"' % rid)
    tail = '"},"0"]]}'
    return (head + "x" * (n - len(head) - len(tail)) + tail).encode()


def test_requests_and_answers_are_compressed(server, peer):
    with peer(path="/jmap/ws", account=server.add_account()) as c:
        for _ in range(3):
            c.say(request(5000))
            opcode, data, packed = c.hear()
            assert (opcode, packed) == (TEXT, True)
            assert json.loads(data)["requestId"] == "r"


def test_over_the_limit_is_limit_then_1009(server, peer):
    with peer(path="/jmap/ws", account=server.add_account()) as c:
        c.say(request(LIMIT + 1))
        _, data, packed = c.hear()
        error = json.loads(data)
        assert (error["limit"], error["requestId"]) == ("maxSizeRequest", "r")
        assert not packed
        c.expect_close(1009)


def test_a_state_change_is_not_compressed(server, peer):
    account = server.add_account()
    with peer(path="/jmap/ws", account=account) as c:
        c.send_json({"@type": "WebSocketPushEnable", "dataTypes": None})
        c.say(request(600))
        c.hear()
        mail.deliver(server, account.name)
        _, data, packed = c.hear()
        assert json.loads(data)["@type"] == "StateChange"
        assert not packed


# ---- a foreign client ----

def secure():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_python_websockets_requests_and_push(server, port, tls):
    account = server.add_account()

    async def talk():
        url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/jmap/ws"
        async with websockets.connect(
                url, ssl=secure() if tls else None, compression="deflate",
                subprotocols=["jmap"], extra_headers={
                    "Authorization": basic(account.name, account.token)},
                ) as c:
            assert [e.name for e in c.extensions] == [PMD]
            for n in (300, 5000, 300, 200000):
                await c.send(request(n).decode())
                assert json.loads(await c.recv())["@type"] == "Response"
            await c.send(json.dumps({"@type": "WebSocketPushEnable",
                                     "dataTypes": None}))
            await c.send(request(700).decode())
            assert json.loads(await c.recv())["@type"] == "Response"
            await asyncio.get_running_loop().run_in_executor(
                None, mail.deliver, server, account.name)
            assert json.loads(await c.recv())["@type"] == "StateChange"
    asyncio.run(talk())


# ---- memory ----

def test_takeover_lasts_as_long_as_the_budget():
    with Server(ws_echo="yes", ws_deflate_memory=50000,
                worker_pool_size=1) as s:
        with Peer(s.http) as first, Peer(s.http) as second:
            assert first.agreed == PMD
            assert second.agreed == PMD + S_FRESH + C_FRESH
            for c in (first, second, first, second):
                c.echoes(words(5000))
            assert s.metric("worker", "ws-deflate-memory") == 32768 + 8192
            assert s.metric("worker", "messages-deflated") == 4
        wait_for("all is given back",
                 lambda: not s.metric("worker", "ws-deflate-memory"))
        with Peer(s.http) as third:
            assert third.agreed == PMD
            s.reload(ws_deflate="no")
            wait_for("the reload is felt",
                     lambda: answer_to(s, PMD) is None)
            third.echoes(words(5000))  # what was agreed on stays


def test_without_memory_it_works_as_well():
    with Server(ws_echo="yes", ws_deflate_memory=0) as s:
        with Peer(s.http, offer=PMD + C_BITS) as c:
            assert c.agreed == PMD + S_FRESH + C_FRESH + C_BITS + "=15"
            for i in range(3):
                c.echoes(words(40000, i))
