"""The wall clock is set, forth and back. Mail is dated by it; all else has a clock of
its own: deadlines, throttles, tickets, and what counts changes."""

import ctypes
import mmap
import os
import socket
import ssl
import tempfile
import time
from datetime import datetime
from email.utils import parsedate_to_datetime

import pytest

import fault
import harness
from carriers import CARRIERS
from jmap import HttpApi, WsApi
from mail import RawLmtp, deliver, message
from preload import library, need_preload
from raw import Raw, request
from rawws import RawWs

HOUR = 3600
YEAR = 365 * 24 * HOUR
STEPS = [HOUR, -YEAR, 10 * YEAR, 0]  # from the kernel's own


class Server(harness.Server):
    """With a wall clock of its own."""

    def __init__(self, **options):
        need_preload()
        fd, self.clock_path = tempfile.mkstemp(prefix="jmapd-clock-")
        os.ftruncate(fd, 8)
        self.offset = ctypes.c_int64.from_buffer(mmap.mmap(fd, 8))
        os.close(fd)
        super().__init__(log_level="info", worker_pool_size=1, **options)

    def environment(self):
        return {"LD_PRELOAD": library("clock"), "TEST_CLOCK": self.clock_path}

    def remove(self):
        super().remove()
        os.unlink(self.clock_path)

    def set(self, offset):
        self.offset.value = offset

    def now(self):
        return time.time() + self.offset.value


PATIENT = {"http_timeout": 600, "ws_client_timeout": 600,
           "ws_heartbeat_interval": 500}


@pytest.fixture
def server():
    with Server(ws_throttle=0, event_source_throttle=0, **PATIENT) as s:
        yield s


def received(api, email):
    got, = api.call("Email/get", {"ids": [email],
                                  "properties": ["receivedAt"]})["list"]
    return datetime.fromisoformat(got["receivedAt"]).timestamp()


def newest_email(api, state):
    """The one that came since then, and the state of now."""
    got = api.call("Email/changes", {"sinceState": state})
    email, = got["created"]
    return email, got["newState"]


def test_mail_is_dated_by_it_and_no_state_goes_back(server):
    account = server.add_account()
    api = HttpApi(server, account)
    base = fault.states(api)
    watchers = [make(server, account, api.account_id, base, carrier=c)
                for c in CARRIERS
                for make in (fault.Watcher, fault.SourceWatcher)]
    first = state = api.state()
    emails = []
    for step in STEPS:
        server.set(step)
        began = int(server.now())
        deliver(server, account.name)
        email, new = newest_email(api, state)
        assert fault.modseq(new) > fault.modseq(state)
        state = new
        assert email not in emails
        emails.append(email)
        assert began <= received(api, email) <= server.now()
        for w in watchers:
            w.wait_told(fault.states(api))
    # All that came since the beginning is known, in the order in which it came.
    assert api.call("Email/changes", {"sinceState": first})[
        "created"] == emails
    by_date = [emails[i] for i in sorted(
        range(len(STEPS)), key=lambda i: STEPS[i])]
    assert api.emails(sort=[{"property": "receivedAt"}]) == by_date
    for w in watchers:
        assert w.connections == 1
        w.history.check_never_back()
        w.stop()
    api.close()

    # And so it is for the next life, which begins in another time.
    server.stop()
    server.set(-YEAR)
    server.start()
    api = HttpApi(server, account)
    assert api.state() == state
    deliver(server, account.name)
    email, _ = newest_email(api, state)
    assert email not in emails
    api.close()


def test_nobody_is_cut_by_it(server):
    """Half a request, half a message and a login live on over all steps; answers
    are dated."""
    account = server.add_account()
    ws = WsApi(server, account)
    lmtp = RawLmtp(server)
    lmtp.envelope(account.name)
    assert lmtp.say("DATA")[0] == 354
    lmtp.send(b"Subject: half")
    half = Raw(server.http)
    half.send(request("GET", "/healthz")[:-2])
    for step in STEPS:
        server.set(step)
        lmtp.send(b" and")
        half.send(b"X: y\r\n")
        ws.barrier()
        api = HttpApi(server, account)
        api.conn.request("GET", "/healthz")
        r = api.conn.getresponse()
        date = parsedate_to_datetime(r.getheader("Date")).timestamp()
        assert abs(date - server.now()) < 60
        assert r.read() == b"ok\n"
        api.close()
    half.send(b"\r\n")
    assert half.response().status == 200
    lmtp.send(message() + b".\r\n")
    assert lmtp.reply()[0] == 250
    half.close()
    lmtp.close()
    ws.close()


@pytest.mark.parametrize("step", [-YEAR, YEAR], ids=["back", "forth"])
def test_windows_and_deadlines_end_all_the_same(step):
    """A throttle's window and deadlines that began before the step."""
    with Server(ws_throttle=1000, http_timeout=2, ws_client_timeout=2,
                ws_heartbeat_interval=1) as server:
        account = server.add_account()
        ws = WsApi(server, account)
        ws.enable()
        idle, silent = Raw(server.http), RawWs(server.http, "/jmap/ws",
                                               account=account)
        assert idle.get("/healthz").status == 200
        deliver(server, account.name)
        ws.changes_until({"EmailDelivery"})
        deliver(server, account.name)  # waits for the end of the window
        server.set(step)
        ws.changes_until({"EmailDelivery"})
        idle.assert_closed()
        assert (1001).to_bytes(2, "big") in silent.rest()
        silent.close()
        idle.close()
        ws.close()


def shake(server, context, session=None):
    """Was it resumed, and a session to come back with."""
    with socket.create_connection(("127.0.0.1", server.https)) as s:
        with context.wrap_socket(s, server_hostname="localhost",
                                 session=session) as c:
            c.sendall(request("GET", "/healthz", Connection="close"))
            answer = b""
            while got := c.recv(65536):
                answer += got
            assert answer.startswith(b"HTTP/1.1 200 ")
            return c.session_reused, c.session


@pytest.mark.parametrize("version", [
    ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_tls_sessions_are_resumed_over_steps(server, version):
    """Within their lifetime. One that seems older is begun anew."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    _, session = shake(server, context)
    for step in (HOUR, 0, -YEAR, 0):
        server.set(step)
        resumed, _ = shake(server, context, session)
        assert resumed, step
    server.set(YEAR)
    assert not shake(server, context, session)[0]
    assert "new key of session tickets" not in server.log()
