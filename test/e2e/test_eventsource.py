"""EventSource (RFC 8620 7.3): who hears of a change, what an id brings back, pings,
and how a stream ends."""

import json
import os
import signal
import subprocess

import pytest

import h2.settings
from events import CARRIERS, PATH, Source, path_of
from h2conn import H2, H2Ws
from harness import Server, wait_for
from jmap import HttpApi, WsApi
from mail import deliver
from raw import Raw, basic, request

OPTIONS = {"ws_throttle": 0, "event_source_throttle": 0}

DELIVERED = {"Mailbox", "Thread", "Email", "EmailDelivery"}


@pytest.fixture(params=CARRIERS)
def carrier(request):
    return request.param


@pytest.fixture
def source(server, account, carrier):
    with Source(server, account, carrier) as s:
        yield s


@pytest.fixture(scope="module", autouse=True)
def pinged(server):
    """Sources whose pings come while the other tests run."""
    account = server.add_account()
    sources = [Source(server, account, c, ping=p)
               for c, p in zip(CARRIERS, ("1", "5", "2", "4"))]
    yield sources
    for s in sources:
        s.close()


@pytest.fixture
def other(server, account):
    """Another client of the account, to make changes with."""
    api = HttpApi(server, account)
    yield api
    api.close()


def curl(server, account, url, *args):
    """Speaks HTTP/2 where TLS offers it."""
    return subprocess.Popen(
        ["curl", "-sSN", "--cacert", server.cert, "-u",
         f"{account.name}:{account.token}", *args, url],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def new_mailbox(api, name):
    got = api.call("Mailbox/set", {"create": {"x": {"name": name}}})
    assert "x" in got["created"], got


# ---- the head ----

def test_the_head_says_that_nobody_keeps_it(source):
    assert source.head.get("content-type") == "text/event-stream"
    assert source.head.get("cache-control") == "no-store"
    assert source.head.get("x-accel-buffering") == "no"


def test_head_is_answered_like_get_and_ends(server, account, port, tls):
    fields = {"Authorization": basic(account.name, account.token)}
    with Raw(port, tls) as c:
        for _ in range(2):
            c.send(request("HEAD", path_of(), **fields))
            r = c.response(head_only=True)
            assert (r.status, r.get("content-type")) == (
                200, "text/event-stream")
    with H2(port, tls) as c:
        r = c.response(c.send("HEAD", path_of(), **fields))
        assert (r.status, r.get("content-type"), r.body) == (
            200, "text/event-stream", b"")


def test_without_a_login_it_is_401(port, tls):
    with Raw(port, tls) as c:
        r = c.get(path_of())
        assert r.status == 401
        assert len(r.all("www-authenticate")) == 2
        r = c.get(path_of(), Authorization=basic("nobody", "x"))
        assert r.status == 401


def test_a_token_is_a_login_too(server, account):
    with Raw(server.http) as c:
        c.send(request("GET", path_of(), Authorization="Bearer "
                       + account.token))
        assert c.response(head_only=True).status == 200


@pytest.mark.parametrize("query, word", [
    ("", "types"),
    ("?types=&closeafter=no&ping=0", "types"),
    ("?types=%zz&closeafter=no&ping=0", "types"),
    ("?closeafter=no&ping=0", "types"),
    ("?types=*&ping=0", "closeafter"),
    ("?types=*&closeafter=&ping=0", "closeafter"),
    ("?types=*&closeafter=State&ping=0", "closeafter"),
    ("?types=*&closeafter=no", "ping"),
    ("?types=*&closeafter=no&ping=", "ping"),
    ("?types=*&closeafter=no&ping=-1", "ping"),
    ("?types=*&closeafter=no&ping=1.5", "ping"),
    ("?types=*&closeafter=no&ping=soon", "ping")])
def test_bad_parameters_are_400_with_a_sentence(server, account, query, word):
    with Raw(server.http) as c:
        r = c.get(PATH + query, Authorization=basic(
            account.name, account.token))
        assert (r.status, r.get("content-type")) == (
            400, "application/problem+json")
        assert json.loads(r.body)["detail"].startswith(word)


def test_the_url_of_the_session_is_what_works(server, account, other):
    template = other.session()["eventSourceUrl"]
    url = template.replace("{types}", "Email%2CThread").replace(
        "{closeafter}", "state").replace("{ping}", "0")
    p = curl(server, account, url)
    try:
        assert p.stdout.readline() == ":\n"
        deliver(server, account.name)
        said = p.stdout.read()
        assert p.wait() == 0, said
    finally:
        p.kill()
    (data,) = [x for x in said.split("\n") if x.startswith("data: ")]
    changed = json.loads(data[6:])["changed"][other.account_id]
    assert changed == {k: other.state(k) for k in ("Email", "Thread")}


# ---- what is told ----

def test_a_delivery_is_told_with_the_states_of_get(server, source, other):
    deliver(server, other.account.name)
    changed = source.changes_until(DELIVERED)
    for kind in ("Mailbox", "Thread", "Email"):
        assert changed[kind] == other.state(kind)


def test_only_the_wanted_types_are_told(server, account, carrier):
    with Source(server, account, carrier, types="Thread,Klingon") as s:
        deliver(server, account.name)
        assert set(s.change()) == {"Thread"}


def test_only_unknown_types_means_none(server, account, source):
    with Source(server, account, types="Klingon") as none:
        deliver(server, account.name)
        source.changes_until(DELIVERED)
        none.assert_silent()


def test_whoever_sees_it_open_misses_nothing(server):
    """Of an account that nobody watched: the mail comes by another connection,
    perhaps at another worker."""
    for n in range(12):
        account = server.add_account()
        with Source(server, account, CARRIERS[n % 4]) as s:
            deliver(server, account.name)
            assert s.changes_until(DELIVERED)


def test_every_connection_of_an_account_hears_the_same(server, account, other):
    stranger = server.add_account()
    open_now = server.metric("worker", "event-sources")
    sources = [Source(server, account, CARRIERS[i % 4]) for i in range(24)]
    sockets = [WsApi(server, account) for _ in range(2)]
    for ws in sockets:
        ws.enable()
    with Source(server, stranger) as alone:
        deliver(server, account.name)
        want = {k: other.state(k) for k in ("Mailbox", "Thread", "Email")}
        for c in sources + [alone]:
            if c is not alone:
                got = c.changes_until(DELIVERED)
                assert {k: got[k] for k in want} == want
            else:
                c.assert_silent()
        for ws in sockets:
            got, message = ws.changes_until(DELIVERED)
            assert {k: got[k] for k in want} == want
            assert message["pushState"] == sources[0].last_id
    for c in sources + sockets:
        c.close()
    wait_for("all are gone", lambda: server.metric(
        "worker", "event-sources") == open_now)


def test_it_is_one_more_stream_and_no_request_under_way(server, account, other):
    """More of them on a connection than requests are allowed there, beside a
    WebSocket and a request."""
    fields = {"Authorization": basic(account.name, account.token)}
    with H2(server.https, tls=True) as conn:
        sources = [Source(server, account, "h2", h2=conn) for _ in range(8)]
        ws = H2Ws(server.https, "/jmap/ws", True, account, h2=conn)
        ws.send_json({"@type": "WebSocketPushEnable", "dataTypes": ["Mailbox"]})
        r = conn.response(conn.send(
            "POST", "/jmap/api", json.dumps({"using": [], "methodCalls": []}),
            Content_Type="application/json", **fields))
        assert r.status in (200, 400), r.status
        new_mailbox(other, "A")
        want = {"Mailbox": other.state("Mailbox")}
        for s in sources:
            assert s.change() == want
        assert ws.json()["changed"] == {other.account_id: want}
        sources[0].close()  # harms no other
        new_mailbox(other, "B")
        assert sources[1].change() == {"Mailbox": other.state("Mailbox")}


# ---- closeafter ----

def test_closeafter_state_ends_after_the_first(server, account, carrier):
    with Source(server, account, carrier, closeafter="state") as s:
        deliver(server, account.name)
        assert s.change()
        s.assert_ended()
        assert s.wire.get("/healthz").status == 200  # the connection lives on


def test_closeafter_state_with_an_old_id_ends_at_once(server, account, other):
    with Source(server, account) as s:
        token = s.last_id
    deliver(server, account.name)
    with Source(server, account, closeafter="state", last_id=token) as s:
        assert set(s.change()) == DELIVERED
        s.assert_ended()


# ---- Last-Event-ID ----

def test_an_id_is_there_before_any_event(server, account, source, other):
    token = source.last_id
    new_mailbox(other, "A")
    assert source.change() == {"Mailbox": other.state("Mailbox")}
    with Source(server, account, last_id=token) as again:
        assert again.change() == {"Mailbox": other.state("Mailbox")}
        assert again.last_id == source.last_id != token


def test_an_old_id_brings_what_changed_since_and_only_that(
        server, account, source, other):
    deliver(server, account.name)
    source.changes_until(DELIVERED)
    (email,) = other.emails()
    other.set_keyword(email, "x")
    with Source(server, account, last_id=source.last_id) as again:
        assert again.change() == {"Email": other.state()}
        assert again.last_id != source.last_id


def test_a_current_id_brings_nothing(server, account, source, other):
    deliver(server, account.name)
    source.changes_until(DELIVERED)
    with Source(server, account, last_id=source.last_id) as again:
        new_mailbox(other, "A")
        assert set(again.change()) == {"Mailbox"}


@pytest.mark.parametrize("token", ["nonsense", "u1:0-1", ",,:::", "x" * 5000])
def test_an_id_that_cannot_be_read_brings_the_full_state(
        server, account, other, token):
    deliver(server, account.name)
    with Source(server, account, types="Email,Mailbox", last_id=token) as s:
        assert s.change() == {k: other.state(k) for k in ("Email", "Mailbox")}


def test_an_id_is_good_as_a_push_state_and_the_other_way(server, account, other):
    with Source(server, account) as s:
        token = s.last_id
    new_mailbox(other, "A")
    want = {"Mailbox": other.state("Mailbox")}
    ws = WsApi(server, account)
    ws.enable(push_state=token)
    got, message = ws.change()
    assert got == want
    new_mailbox(other, "B")
    with Source(server, account, last_id=message["pushState"]) as s:
        assert s.change() == {"Mailbox": other.state("Mailbox")}
    ws.close()


# ---- throttle ----

def test_changes_of_one_window_are_one_event():
    """The window outlasts the test; a reload ends it."""
    with Server(event_source_throttle=3600000, ws_throttle=0) as s:
        account = s.add_account()
        api, ws = HttpApi(s, account), WsApi(s, account)
        ws.enable()
        with Source(s, account) as source:
            new_mailbox(api, "A")
            assert source.change() == {"Mailbox": api.state("Mailbox")}
            new_mailbox(api, "B")
            deliver(s, account.name)
            ws.changes_until(DELIVERED)  # which has a window of its own
            source.assert_silent()
            assert s.reload(event_source_throttle=0).startswith("reloaded")
            changed = source.change()
            assert set(changed) == DELIVERED
            assert changed["Mailbox"] == api.state("Mailbox")
            new_mailbox(api, "C")
            assert source.change() == {"Mailbox": api.state("Mailbox")}
        ws.close()
        api.close()


def test_who_does_not_read_gets_the_newest_state(server, account, other):
    """Its window has room for the first event and no second."""
    window = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
    with H2(server.http, hold=True, settings={window: 200}) as conn:
        with Source(server, account, "h2c", h2=conn) as s:
            for n in range(30):
                new_mailbox(other, f"M{n}")
            newest = other.state("Mailbox")
            conn.h2.increment_flow_control_window(60000, s.wire.sid)
            conn.flush()
            told = []
            while newest not in told:
                told.append(s.change()["Mailbox"])
            assert len(told) <= 5, "queued behind unsent bytes"


@pytest.mark.parametrize("timeouts", [
    {"http_timeout": 600, "ws_client_timeout": 2, "ws_heartbeat_interval": 1},
    {"http_timeout": 1, "ws_client_timeout": 600}], ids=["push", "http"])
def test_who_reads_nothing_in_time_is_cut_and_nobody_else(timeouts):
    """Idle ones, whose answer just has nothing to say, live on. http-timeout is of
    any answer, ws-client-timeout of what is pushed."""
    window = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
    with Server(event_source_throttle=0, **timeouts) as s:
        account = s.add_account()
        idle = [Source(s, account, c, types="Email") for c in CARRIERS]
        with H2(s.http, hold=True, settings={window: 200}) as conn, \
                Source(s, account, "h2c", h2=conn) as stalled:
            api = HttpApi(s, account)
            for n in range(3):
                new_mailbox(api, f"M{n}")
            assert stalled.is_cut()
        deliver(s, account.name)
        for c in idle:
            assert set(c.change()) == {"Email"}
            c.close()
        api.close()


# ---- the end ----

@pytest.mark.parametrize("how", ["password", "remove"])
def test_a_login_that_is_no_longer_good_ends_it(server, carrier, how):
    account = server.add_account()
    with Source(server, account, carrier) as s:
        if how == "password":
            server.ctl_ok("account", "passwd", account.name,
                          "--password-stdin", stdin="other\n")
        else:
            server.ctl_ok("account", "remove", account.name)
        s.assert_ended()


def test_a_drain_ends_it_cleanly():
    with Server() as s:
        account = s.add_account()
        sources = [Source(s, account, c) for c in CARRIERS * 2]
        p = curl(s, account, f"http://localhost:{s.http}{path_of()}",
                 "--http2-prior-knowledge")
        try:
            assert p.stdout.readline() == ":\n"
            s.proc.send_signal(signal.SIGTERM)
            for c in sources:
                c.assert_ended()
                c.close()
            said = p.stdout.read()
            assert p.wait() == 0, said
        finally:
            p.kill()
        s.ended()


def test_a_client_that_is_gone_is_noticed(server, account, carrier):
    """Without a ping, and without an event that would find nobody."""
    log = server.log().count("eventsource closed")
    Source(server, account, carrier).close()
    wait_for("it is gone", lambda: server.log().count(
        "eventsource closed") > log)


def test_it_outlives_the_store_and_comes_back_after_its_worker():
    with Server(allow_deaths=True, event_source_throttle=0) as s:
        account = s.add_account()
        with Source(s, account) as source:
            os.kill(s.pids("store")[0], signal.SIGKILL)
            api = HttpApi(s, account)
            new_mailbox(api, "A")
            assert source.change() == {"Mailbox": api.state("Mailbox")}
            for pid in s.pids("worker"):
                os.kill(pid, signal.SIGKILL)
            assert source.is_cut()
            token = source.last_id
        api = HttpApi(s, account)
        new_mailbox(api, "B")
        with Source(s, account, last_id=token) as again:
            assert again.change() == {"Mailbox": api.state("Mailbox")}
        api.close()


# ---- ping ----

def test_pings_say_their_interval_and_set_no_id(pinged):
    """Of all, the least interval is 5 s."""
    for s in pinged:
        before = s.last_id
        event = s.event()
        assert (event.name, event.data) == ("ping", {"interval": 5})
        assert event.own_id is None and s.last_id == before
