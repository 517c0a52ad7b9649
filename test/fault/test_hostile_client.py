"""Clients that do not read, and some that read a little, while a hundred thousand
changes pass: by WebSocket and EventSource over each carrier.

Only a client behind whom bytes wait in the server is one that does not read. So a
WebSocket asks for a large answer: what is pushed comes after that. An EventSource
over HTTP/2 has a window for its first event and no second; over HTTP/1.1 the
kernel's buffers are small, and its events fill them.
"""

import os
import threading

import pytest
from h2.settings import SettingCodes

import fault
import harness
import proc
from carriers import CARRIERS, is_h2, json_of, little_room, open_ws, port_of
from events import Source
from fault import Changer
from h2conn import H2
from jmap import CORE
from mail import deliver
from raw import Closed

CHANGES = 100000
BATCH = 500  # changes of a request: the change ring has room for them
GROWTH = 2 << 20  # bytes
EVENT = 100  # bytes: shorter is none
PATIENT = {"ws_client_timeout": 600, "ws_heartbeat_interval": 500,
           "http_timeout": 600}
HASTY = {"ws_client_timeout": 2, "ws_heartbeat_interval": 1, "http_timeout": 2}


def fits():
    """Events for which the kernel has room, and TLS a little, at most."""
    with open("/proc/sys/net/ipv4/tcp_wmem", encoding="ascii") as f:
        return (int(f.read().split()[2]) + (1 << 18)) // EVENT


# ---- who does not read ----------------------------------------------------------


class StalledWs:
    """Asks for what fills everything, and reads none of it."""

    def __init__(self, server, account, carrier):
        self.ws = open_ws(server, account, carrier)
        self.ws.send_json({"@type": "WebSocketPushEnable", "dataTypes": None})
        self.ask("big", "y" * 2000000)
        harness.wait_for("its head", lambda: fault.readable(self.ws.sock))

    def ask(self, name, text=""):
        self.ws.send_json({"@type": "Request", "id": name, "using": [CORE],
                           "methodCalls": [["Core/echo", {"x": text}, "e"]]})

    def first_after(self):
        """What is pushed, and no more, before the answer to what it asks now."""
        answer = json_of(self.ws)
        assert answer.get("requestId") == "big", answer.keys()
        self.ask("last")
        pushed = []
        while (m := json_of(self.ws)).get("requestId") != "last":
            assert m["@type"] == "StateChange", m
            pushed.append(m["changed"])
        return pushed

    def is_cut(self):
        try:
            while True:
                json_of(self.ws)
        except Closed:
            return True

    def close(self):
        self.ws.close()


class StalledSource:
    """Reads its first bytes, and no event."""

    def __init__(self, server, account, carrier):
        self.h2 = None
        if is_h2(carrier):
            self.h2 = H2(port_of(server, carrier), carrier == "h2", hold=True,
                         settings={SettingCodes.INITIAL_WINDOW_SIZE: 200})
        self.source = Source(server, account, carrier, h2=self.h2)

    def open_window(self):
        if self.h2:
            self.h2.h2.increment_flow_control_window(
                1000000, self.source.wire.sid)
            self.h2.flush()

    def told_until(self, newest):
        self.open_window()
        told = []
        while not told or not newest.items() <= told[-1].items():
            told.append(self.source.change())
        return told

    def is_cut(self):
        self.open_window()
        return self.source.is_cut()

    def close(self):
        (self.h2 or self.source).close()


class Slowly:
    """A KB a second, until it is told to hurry."""

    hurry = threading.Event()

    def __init__(self, raw):
        self.raw = raw

    def more(self):
        self.hurry.wait(1)
        got = self.raw.sock.recv(65536 if self.hurry.is_set() else 1024)
        if not got:
            raise Closed
        self.raw.buf += got


class SlowWatcher(fault.Watcher):
    def _open(self):
        super()._open()
        raw = self.conn.h2.raw if is_h2(self.carrier) else self.conn
        raw.more = Slowly(raw).more


class SlowSource(fault.SourceWatcher):
    def _open(self):
        super()._open()
        raw = self.conn.wire.raw
        raw.more = Slowly(raw).more


# ---- the story ------------------------------------------------------------------


class Crowd:
    """All of one account and one worker."""

    def __init__(self, server):
        self.server = server
        self.account = server.add_account()
        deliver(server, self.account.name)
        self.changer = Changer(server, self.account, 0, BATCH)
        self.aid = self.changer.api.account_id
        base = fault.states(self.changer.api)
        self.reader = self.watcher(fault.Watcher, base)
        Slowly.hurry.clear()
        with little_room():
            self.slow = [self.watcher(make, base, c) for c in CARRIERS
                         for make in (SlowWatcher, SlowSource)]
            # Of those that do not read, half will read again.
            self.ws, self.lost_ws = [
                {c: StalledWs(server, self.account, c) for c in CARRIERS}
                for _ in range(2)]
            self.sources, self.lost_sources = [
                {c: StalledSource(server, self.account, c) for c in CARRIERS}
                for _ in range(2)]
        self.make(5000)  # what fills up first is no growth

    def watcher(self, make, base, carrier="plain"):
        return make(self.server, self.account, self.aid, base, carrier=carrier)

    def make(self, n):
        """Each is heard of before the change ring could be full."""
        for _ in range(n // BATCH):
            self.changer.make(BATCH)
            self.reader.wait_told(fault.states(self.changer.api))

    def lost(self):
        return [*self.lost_ws.values(), *self.lost_sources.values()]

    def close(self):
        for c in [*self.lost(), *self.ws.values(), *self.sources.values()]:
            c.close()
        for w in [self.reader, *self.slow]:
            w.stop()


@pytest.fixture(scope="module")
def crowd(fast_dir):
    with harness.Server(worker_pool_size=1, ws_throttle=0,
                        event_source_throttle=0, log_level="info",
                        max_calls_in_request=BATCH,
                        data_dir=os.path.join(fast_dir, "data"),
                        **PATIENT) as server:
        c = Crowd(server)
        worker, = server.pids("worker")
        notices = server.metric("worker", "notices")
        before = proc.memory(worker)
        c.make(CHANGES)
        c.grown = proc.memory(worker) - before
        c.notices = server.metric("worker", "notices") - notices
        c.newest = fault.states(c.changer.api)
        c.changer.api.close()
        yield c


def test_memory_is_flat_while_100000_changes_pass(crowd):
    assert crowd.notices >= CHANGES
    assert crowd.server.metric("store", "notices-missed") == 0
    assert crowd.grown < GROWTH


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_websocket_that_reads_again_hears_the_newest_once(crowd, carrier):
    told = {t: crowd.newest[t] for t in ("Mailbox", "Email")}
    assert crowd.ws[carrier].first_after() == [{crowd.aid: told}]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_an_event_source_that_reads_again_hears_the_newest(crowd, carrier):
    """After what is in buffers, of which the server knows nothing."""
    newest = {t: crowd.newest[t] for t in ("Mailbox", "Email")}
    told = crowd.sources[carrier].told_until(newest)
    assert len(told) < (4 if is_h2(carrier) else fits())
    assert told[-1] == newest


def test_who_reads_a_little_ends_with_the_newest(crowd):
    Slowly.hurry.set()
    for w in crowd.slow:
        w.wait_told(crowd.newest)
        assert w.connections == 1
        assert len(w.history.heard) < fits()


def test_past_the_deadline_they_are_closed_and_nobody_else(crowd):
    """Ends the server: its change log is looked at."""
    server = crowd.server
    stay = [crowd.reader, *crowd.slow]
    server.reload(**HASTY)
    for name in ("websockets", "event-sources"):
        harness.wait_for(f"{name} are closed", lambda n=name: server.metric(
            "worker", n) == len(CARRIERS) + len([
                w for w in stay if isinstance(w, fault.SourceWatcher)
                == (n == "event-sources")]))
    assert all(c.is_cut() for c in crowd.lost())
    crowd.changer = Changer(server, crowd.account, 0)
    crowd.make(BATCH)
    newest = fault.states(crowd.changer.api)
    for w in stay:
        w.wait_told(newest)
        assert w.connections == 1
    crowd.changer.api.close()
    crowd.close()
    server.stop()
    log = fault.change_log(server, crowd.account.name)
    for w in stay:
        w.history.check(log)
