"""Reloads, new certificates and clients that never come to the point, all while
others are served: none of these loses a connection or a request.

Each load counts what it got, and no time is measured: what must go on "meanwhile"
is held open while a given number of requests is answered.
"""

import contextlib
import os
import resource
import shutil
import signal
import socket
import ssl
import struct
import threading

import fault
import proc
from carriers import CARRIERS, LINES
from events import CARRIERS as SOURCES
from h2conn import H2, alpn_context
from harness import DEADLINE, Server, make_cert, wait_for
from jmap import CORE, HttpApi
from mail import deliver
from raw import Closed, Raw

PATIENT = {"http_timeout": 600, "ws_client_timeout": 600,
           "ws_heartbeat_interval": 500, "log_level": "info"}


class Steady(threading.Thread):
    """step() again and again until it is told to stop; an error is the test's."""

    def __init__(self, step, close=None):
        super().__init__(daemon=True)
        self.step, self.close = step, close
        self.n = 0
        self.error = None
        self.over = False
        self.start()

    def run(self):
        try:
            while not self.over:
                self.step()
                self.n += 1
        except BaseException as e:  # noqa: B036 the test looks at it
            self.error = e

    def more(self, n):
        """n further steps have succeeded."""
        until = self.n + n
        wait_for("progress", lambda: self.error or self.n >= until)
        if self.error:
            raise self.error

    def stop(self):
        self.over = True
        self.join(DEADLINE)
        assert not self.is_alive()
        if self.error:
            raise self.error
        if self.close:
            self.close()


class Line:
    """A client of one connection: each request is answered as it should be."""

    def __init__(self, server, account, kind, carrier):
        self.line = LINES[kind](server, account, carrier)
        self.n = 0

    def step(self):
        self.n += 1
        answer = self.line.ask([["Core/echo", {"n": self.n}, "0"]])
        assert answer["methodResponses"] == [
            ["Core/echo", {"n": self.n}, "0"]], answer

    def close(self):
        self.line.close()


class Sender:
    """LMTP, one connection."""

    def __init__(self, server, account):
        self.lmtp = fault.Lmtp(server)
        self.to = account.name
        self.n = 0

    def step(self):
        self.n += 1
        code = self.lmtp.attempt(self.to, fault.numbered("s", self.n))
        assert code == 250, code

    def close(self):
        self.lmtp.close()


@contextlib.contextmanager
def load(server, account, kinds=LINES):
    """Requests over every carrier, and deliveries."""
    clients = [Line(server, account, kind, c) for c in CARRIERS for kind in kinds]
    clients.append(Sender(server, account))
    threads = [Steady(c.step, c.close) for c in clients]
    try:
        yield threads
    finally:
        for t in threads:
            t.over = True
    for t in threads:
        t.stop()


def all_more(threads, n):
    for t in threads:
        t.more(n)


# ---- SIGHUP ---------------------------------------------------------------------

def health(server):
    return proc.Health(server, {
        server.proc.pid: proc.MORE,
        **dict.fromkeys(server.pids("worker"), proc.MORE),
        **dict.fromkeys(server.pids("store"), proc.CACHES)})


def storm(server, n):
    """Reloads, each with something new: values, a listener more, one less."""
    listen = list(server.options["listen"])
    extra = [*listen, f"unix:{server.dir}/extra"]
    for i in range(n):
        said = server.reload(ws_throttle=i, listen=extra if i % 2 else listen)
        assert said.startswith("reloaded"), said
    server.reload(listen=listen)


def test_a_hundred_reloads_under_load_disturb_nobody():
    with Server(ws_throttle=0, event_source_throttle=0, **PATIENT) as server:
        account = server.add_account()
        deliver(server, account.name)
        api = HttpApi(server, account)
        base = fault.states(api)
        watchers = [make(server, account, api.account_id, base, carrier=c)
                    for c in SOURCES
                    for make in (fault.Watcher, fault.SourceWatcher)]
        with load(server, account) as threads:
            all_more(threads, 20)
            storm(server, 10)  # what warms up is not growth
        before = health(server)
        with load(server, account) as threads:
            storm(server, 40)
            for _ in range(60):  # and some that the last has not yet ended
                server.proc.send_signal(signal.SIGHUP)
                threads[0].more(1)
            assert server.hup().startswith("reloaded")
            all_more(threads, 20)
        before.check()
        newest = fault.states(api)
        for w in watchers:
            w.wait_told(newest)
            assert w.connections == 1
            w.stop()
        api.close()
        assert "reload:" not in server.log()


# ---- certificates ---------------------------------------------------------------

def put(source, target):
    """At once, as whoever renews certificates does it."""
    shutil.copy(source, target + ".new")
    os.chmod(target + ".new", 0o644)
    os.replace(target + ".new", target)


def der_of(path):
    with open(path, encoding="ascii") as f:
        return ssl.PEM_cert_to_DER_cert(f.read())


class Shaker:
    """A new TLS connection each time, and a request."""

    def __init__(self, server):
        self.server = server
        self.seen = []

    def step(self):
        with Raw(self.server.https, tls=True) as c:
            self.seen.append(c.sock.getpeercert(binary_form=True))
            assert c.get("/healthz").status == 200


def test_new_certificates_under_load_break_no_handshake():
    """Between the two files a reload finds a key that is another's, and leaves all
    as it was."""
    with Server(start=False, worker_pool_size=2, **PATIENT) as server:
        names = [make_cert(server.dir, stem=f"c{i}") for i in range(4)]
        cert, key = server.dir + "/tls.pem", server.dir + "/tls.key"
        put(names[0][0], cert)
        put(names[0][1], key)
        server.configure(tls_cert=cert, tls_key=key)
        server.start()
        account = server.add_account()
        ders = [der_of(c) for c, _ in names]
        shakers = [Shaker(server) for _ in range(2)]
        with load(server, account, ["ws"]) as threads:
            threads += [Steady(s.step) for s in shakers]
            for i in range(1, len(names)):
                all_more(threads, 5)
                put(names[i][0], cert)
                assert server.hup().startswith("reload: "), "half of it is new"
                all_more(threads, 2)
                put(names[i][1], key)
                assert server.hup().startswith("reloaded")
                wait_for("both workers have it", lambda n=i: all_new(
                    server, ders[n]))
                at = [len(s.seen) + 1 for s in shakers]
                all_more(threads[-2:], 5)
                for s, n in zip(shakers, at):
                    assert set(s.seen[n:]) == {ders[i]}
        for s in shakers:
            assert set(s.seen) == set(ders)


def all_new(server, der):
    """By both workers: sixteen in a row are not all one's."""
    for _ in range(16):
        with Raw(server.https, tls=True) as c:
            if c.sock.getpeercert(binary_form=True) != der:
                return False
    return True


# ---- who never comes to the point -----------------------------------------------

HALF_OPEN = 10000
SLOW = 40  # of each kind


def room_for(n):
    """Descriptors, for them here; the workers have as many each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(n, hard - 2000)


def client_hello():
    """The first flight of a handshake."""
    out = ssl.MemoryBIO()
    tls = alpn_context("h2").wrap_bio(ssl.MemoryBIO(), out)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def half_open(server, n):
    """Some say nothing, some half a ClientHello, some all of it and nothing after
    the server's answer, which costs it most."""
    hello = client_hello()
    said = [b"", hello[:len(hello) // 2]] * 5 + [hello]
    socks = []
    for i in range(n):
        s = socket.socket()
        s.settimeout(DEADLINE)
        s.connect(("127.0.0.1", server.https))
        s.sendall(said[i % len(said)])
        socks.append(s)
    return socks


H1_HEAD = b"GET /jmap/session HTTP/1.1\r\nHost: localhost\r\n"
H1_BODY = (b"POST /jmap/api HTTP/1.1\r\nHost: localhost\r\n"
           b"Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n")
H2_START = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\0\4\1\0\0\0\0")


def h2_headers(kind, n):
    """A piece of a header, of which n bytes were announced and none came."""
    return struct.pack(">I", n)[1:] + kind + b"\0\0\0\0\1"


# A field a, of whose value 8000 bytes were announced (RFC 7541 6.2.1).
H2_FIELD = b"\x40\x01a\x7f\xc1\x3d"


GOAWAY = b"\0\0\x08\x07\0\0\0\0\0"


def is_told_of_time(kind, said):
    """At the deadline: 408, or GOAWAY without an error."""
    if kind.startswith("h1"):
        return said.startswith(b"HTTP/1.1 408 ")
    if kind == "h2 preface":  # nobody knows what it speaks
        return said == b""
    at = said.find(GOAWAY)
    return at >= 0 and said[at + 13:at + 17] == bytes(4)


class Loris:
    """A byte now and then of what never ends."""

    # name: what it begins with, and what it goes on with
    KINDS = {
        "h1 header": (H1_HEAD, b"X-Long: long\r\n"),
        "h1 first line": (b"GET /", b"a"),
        "h2 preface": (b"", H2_START[:24]),
        "h2 header": (H2_START + h2_headers(b"\1", 9000) + H2_FIELD, b"b"),
        "h2 continuation": (H2_START + h2_headers(b"\1", 1) + b"\x82"
                            + h2_headers(b"\x09", 9000) + H2_FIELD, b"b"),
    }

    def __init__(self, server, kind):
        begin, self.more = self.KINDS[kind]
        self.kind, self.at, self.over = kind, 0, False
        self.raw = Raw(server.http)
        self.raw.send(begin)

    def drip(self):
        """One byte; what the server says is not looked at before the end."""
        if self.kind == "h2 preface" and self.at >= len(self.more) - 1:
            return
        byte = self.more[self.at % len(self.more):][:1]
        self.at += 1
        try:
            self.raw.send(byte)
        except OSError:
            self.over = True


def drip(loris):
    for x in loris:
        x.drip()


def last_words(sock):
    """What the server said until it ended it; None: it did not."""
    sock.setblocking(False)
    said = b""
    try:
        while got := sock.recv(65536):
            said += got
    except BlockingIOError:
        return None
    except OSError:
        pass
    return said


def newcomers(server, account):
    """Clients whose connections are new: over each carrier, and a delivery."""
    for c in CARRIERS:
        for kind in LINES:
            line = Line(server, account, kind, c)
            line.step()
            line.close()
    deliver(server, account.name)


def connections(server):
    return server.metric("worker", "connections")


def test_ten_thousand_half_open_ones_hold_up_nobody_and_are_cut():
    n = room_for(HALF_OPEN)
    with Server(worker_pool_size=2, **PATIENT) as server:
        account = server.add_account()
        with load(server, account, ["ws"]) as threads:
            all_more(threads, 5)
            own = connections(server)
            socks = half_open(server, n)
            loris = [Loris(server, k) for k in Loris.KINDS for _ in range(SLOW)]
            wait_for("they are all held", lambda: connections(
                server) >= own + n + len(loris))

            # All of them are open from the first of these to the last.
            all_more(threads, 50)
            for _ in range(2):
                newcomers(server, account)
                drip(loris)
            assert connections(server) >= own + n + len(loris)
            assert not any(x.over for x in loris)

            # The deadline of all of them; a byte now and then moves none.
            server.reload(http_timeout=2)
            wait_for("they are cut", lambda: drip(loris) or connections(
                server) <= own)
            assert None not in [last_words(s) for s in socks]
            for x in loris:
                said = last_words(x.raw.sock)
                assert is_told_of_time(x.kind, said), (x.kind, said)
            assert server.metric("worker", "h2-calmed") == 0
            all_more(threads, 20)
        for s in socks + [x.raw.sock for x in loris]:
            s.close()
