"""The store is stopped, and its worker's call ring fills. The worker then reads no
more from those who send, uses no CPU, answers pings; and all that was sent is done
once the store goes on.

The master kills a role that is silent for 10 s: what is done while the store is
stopped is bounded to less.
"""

import json
import mmap
import os
import select
import signal
import socket
import struct
import threading
import time

import pytest

import blob
import fault
import harness
from blob import Blobs
from fault import rests
from harness import wait_for
from jmap import USING, HttpApi
from mail import RawLmtp, deliver, message
from raw import Raw, basic, request
from rawws import PING, PONG, TEXT, RawWs, frame

SIZE = 8_000_000
UPLOADS = 6
REQUESTS = 100
STOPPED_S = 8

# ipc/link.c, ipc/ring.h: two flags, then of each ring tail, head, starved (a line
# each) and its bytes: (where it begins, how many bytes).
LINE = 64
CALLS = 2 * LINE, 1 << 20
REPLIES = 5 * LINE + CALLS[1], 4 << 20


@pytest.fixture
def server():
    with harness.Server(allow_deaths=True, log_level="info",
                        worker_pool_size=1, upload_quota=10_000_000_000,
                        max_concurrent_upload=UPLOADS) as s:
        yield s


class Ring:
    """One of the two, seen from outside."""

    def __init__(self, pid, at=CALLS):
        begin, self.size = at
        for fd in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{fd}"
            if "memfd:jmapd-link" in os.readlink(path):
                break
        page = begin // mmap.PAGESIZE * mmap.PAGESIZE
        self.at = begin - page
        with open(path, "rb") as f:
            self.mem = mmap.mmap(f.fileno(), self.at + 2 * LINE, offset=page,
                                 prot=mmap.PROT_READ)

    def used(self):
        tail, = struct.unpack_from("<Q", self.mem, self.at)
        head, = struct.unpack_from("<Q", self.mem, self.at + LINE)
        return tail - head

    def room(self):
        return self.size - self.used()


class Stopped:
    """The store is stopped; it goes on at the end, or when time is up."""

    def __init__(self, server):
        self.pid = fault.wait_settled(server, "store")

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        self.end = time.monotonic() + STOPPED_S
        return self

    def time_left(self):
        return self.end - time.monotonic()

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


class Sender:
    """Sends as its peer takes it."""

    def __init__(self, conn, data):
        self.conn = conn
        self.left = memoryview(data)
        self.size = len(data)
        # What the kernel holds is bounded, too.
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)

    def fileno(self):
        return self.conn.sock.fileno()

    def send_some(self):
        self.left = self.left[self.conn.sock.send(self.left[:65536]):]

    def sent(self):
        return self.size - len(self.left)


def send_all(senders, until=lambda: False, quiet=30):
    """Until all is sent, or nobody could send for so many seconds."""
    while any(s.left for s in senders) and not until():
        _, ready, _ = select.select([], [s for s in senders if s.left], [],
                                    quiet)
        if not ready:
            return
        for s in ready:
            s.send_some()


def upload_of(server, account, i):
    c = Blobs(server, account)
    data = b"%d" % i * SIZE
    return Sender(c, (
        f"POST {c.upload_path()} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: {c.auth}\r\nContent-Length: {len(data)}\r\n\r\n"
    ).encode() + data), blob.blob_id(data)


def requests_of(server, account):
    """Pipelined; as many as no window of TCP holds."""
    c = Raw(server.http)
    return Sender(c, b"".join(request("POST", "/jmap/api", json.dumps({
        "using": ["urn:ietf:params:jmap:core"],
        "methodCalls": [["Core/echo", {"n": i, "x": "y" * 200_000}, "e"]],
    }), Authorization=basic(account.name, account.token),
        Content_Type="application/json") for i in range(REQUESTS)))


def delivery_of(server, account):
    c = RawLmtp(server)
    c.envelope(account.name)
    assert c.say("DATA")[0] == 354
    return Sender(c, message(body="hello\r\n" * (SIZE // 7)) + b".\r\n")


def read_answers(conn, got):
    """An answer that nobody reads holds up the next request."""
    while len(got) < REQUESTS:
        answer = json.loads(conn.response().body)
        got.append(answer["methodResponses"][0][1]["n"])


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def ping(ws, text):
    ws.frame(PING, text)
    assert ws.read_frame() == (True, 0, PONG, text)


def test_senders_wait_while_the_call_ring_is_full(server):
    account = server.add_account()
    api = HttpApi(server, account)
    quiet = RawWs(server.http, "/jmap/ws", account=account)
    worker = fault.role(server, "worker")["pid"]
    uploads, names = zip(*(upload_of(server, account, i)
                           for i in range(UPLOADS)))
    pipe, lmtp = requests_of(server, account), delivery_of(server, account)
    senders = [*uploads, pipe, lmtp]
    ring = Ring(worker)
    with Stopped(server) as stop:
        send_all(senders, quiet=0.5, until=lambda: stop.time_left() < 4)
        while ring.room() >= 33_000 and stop.time_left() > 4:
            send_all(senders, quiet=0.5)  # the worker had no CPU
        assert ring.room() < 33_000  # a chunk of a body (ipc/msg.h)
        # Of each the kernel has some, the worker a window, the ring the rest.
        for s in senders:
            assert s.left, f"all {s.size} bytes were taken"
        sent, used, began = [s.sent() for s in senders], ring.used(), cpu_s(
            worker)
        for i in range(10):
            ping(quiet, b"ping %d" % i)
            time.sleep(0.1)  # a second in which it could turn round
        assert cpu_s(worker) - began < 0.3
        assert ring.used() == used
        send_all(senders, quiet=0)
        assert [s.sent() for s in senders] == sent
    answers = []
    reader = threading.Thread(target=read_answers, args=[pipe.conn, answers])
    reader.start()
    send_all(senders)
    reader.join(harness.DEADLINE)
    assert answers == list(range(REQUESTS))
    for s, name in zip(uploads, names):
        r = s.conn.response()
        assert r.status == 201, (r.status, r.body)
        got = json.loads(r.body)
        assert (got["size"], got["blobId"]) == (SIZE, name)
    assert lmtp.conn.reply()[0] == 250
    size = api.call("Email/get", {"ids": api.emails(),
                                  "properties": ["size"]})["list"][0]["size"]
    assert size > SIZE - 100
    assert fault.role(server, "store")["pid"] == stop.pid
    assert fault.role(server, "worker")["pid"] == worker


def email_requests(api, n):
    """Small ones, with answers of 25 KB."""
    email, = api.emails()
    return b"".join(frame(TEXT, json.dumps({
        "@type": "Request", "id": f"r{i}", "using": USING,
        "methodCalls": [["Email/get", {
            "accountId": api.account_id, "ids": [email],
            "properties": ["bodyValues"], "fetchTextBodyValues": True}, "g"]],
    })) for i in range(n))


def test_small_answers_that_found_no_room_follow(server):
    """The worker, which is stopped, has asked for more than its reply ring holds."""
    server.reload(max_concurrent_requests=1000)
    account = server.add_account()
    deliver(server, account.name, body=("x" * 70 + "\r\n") * 350)
    api = HttpApi(server, account)
    ws = RawWs(server.http, "/jmap/ws", account=account)
    worker = fault.role(server, "worker")["pid"]
    calls, replies = Ring(worker), Ring(worker, REPLIES)
    n = 300
    frames = email_requests(api, n)
    with Stopped(server) as stop:
        ws.send(frames)
        # The heads are larger than the frames' masks.
        wait_for("all are asked", lambda: calls.used() > len(frames))
        os.kill(worker, signal.SIGSTOP)
    try:
        wait_for("it is full", lambda: replies.room() < 65536 + 33_000)
        rests(stop.pid)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert {ws.json()["requestId"] for _ in range(n)} == {
        f"r{i}" for i in range(n)}
    assert fault.role(server, "worker")["pid"] == worker
