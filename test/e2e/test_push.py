"""Push over WebSocket (RFC 8887 4.3.5): who hears of a change, of which types,
when, and what a pushState brings back."""

import itertools
import time

import pytest

import mail
from harness import wait_for
from jmap import HttpApi, WsApi
from mail import deliver
from rawws import PING, RawWs

OPTIONS = {"ws_throttle": 0}

DELIVERED = {"Mailbox", "Thread", "Email", "EmailDelivery"}


@pytest.fixture
def other(server, account):
    """Another client of the account, to make changes with."""
    api = HttpApi(server, account)
    yield api
    api.close()


def an_email(api):
    deliver(api.server, api.account.name)
    return api.emails()[0]


def on_every_worker(server, account, more=1):
    """WebSockets until each worker has that many of them."""
    clients = []

    def spread():
        return all(r["metrics"]["websockets"] >= more
                   for r in server.roles("worker"))
    while not spread():
        clients.append(WsApi(server, account))
        assert len(clients) < 200, "all connections at one worker"
    return clients


def test_a_delivery_is_told_at_once(ws):
    ws.enable()
    deliver(ws.server, ws.account.name)
    changed, message = ws.changes_until(DELIVERED)
    assert set(changed) == DELIVERED
    assert message["@type"] == "StateChange"
    assert message["pushState"]


def test_the_states_are_those_of_get(ws):
    ws.enable()
    deliver(ws.server, ws.account.name)
    changed, _ = ws.changes_until(DELIVERED)
    for kind in ("Mailbox", "Thread", "Email"):
        assert changed[kind] == ws.state(kind)


def test_the_states_are_those_of_get_for_any_account(server):
    """State strings begin with a random number: some short, some long."""
    for _ in range(40):
        account = server.add_account()
        ws = WsApi(server, account)
        ws.enable(["Email"])
        deliver(server, account.name)
        changed, _ = ws.changes_until({"Email"})
        assert changed["Email"] == ws.state("Email")
        ws.close()


def test_the_new_email_is_there_when_it_is_told(ws):
    ws.enable(["Email"])
    since = ws.state()
    deliver(ws.server, ws.account.name, subject="pushed")
    ws.changes_until({"Email"})
    got = ws.call("Email/changes", {"sinceState": since})
    (email,) = ws.call("Email/get", {"ids": got["created"]})["list"]
    assert email["subject"] == "pushed"


def test_every_connection_on_every_worker_is_told(server, account):
    clients = on_every_worker(server, account, more=2)
    for c in clients:
        c.enable()
    deliver(server, account.name)
    states = {c.changes_until(DELIVERED)[0]["Email"] for c in clients}
    assert len(states) == 1
    for c in clients:
        c.close()


def test_nobody_elses_connection_is_told(server, ws):
    stranger = WsApi(server, server.add_account())
    stranger.enable()
    ws.enable()
    deliver(server, ws.account.name)
    ws.changes_until(DELIVERED)
    deliver(server, stranger.account.name)
    stranger.changes_until(DELIVERED)  # change() looks at the account
    stranger.close()


def test_without_enable_nothing_is_told(ws, other):
    listener = WsApi(ws.server, ws.account)
    listener.enable()
    an_email(other)
    listener.changes_until(DELIVERED)
    ws.barrier()
    assert ws.pushes() == []
    listener.close()


@pytest.mark.parametrize("more", [
    {"types": None}, {"types": []}, {"absent": True}])
def test_null_absent_or_empty_means_all_types(ws, more):
    if more.get("absent"):
        ws.send({"@type": "WebSocketPushEnable"})
        ws.barrier()
    else:
        ws.enable(more["types"])
    deliver(ws.server, ws.account.name)
    assert set(ws.changes_until(DELIVERED)[0]) == DELIVERED


def test_only_the_wanted_types_are_told(ws):
    ws.enable(["Thread"])
    deliver(ws.server, ws.account.name)
    changed, _ = ws.change()
    assert set(changed) == {"Thread"}


def test_unknown_types_are_ignored(ws):
    ws.enable(["Email", "Klingon", ""])
    deliver(ws.server, ws.account.name)
    changed, _ = ws.change()
    assert set(changed) == {"Email"}


def test_only_unknown_types_means_none(ws, other):
    ws.enable(["Klingon"])
    an_email(other)
    witness(ws)
    ws.enable(["Mailbox"])
    other.call("Mailbox/set", {"create": {"x": {"name": "A"}}})
    changed, _ = ws.change()
    assert set(changed) == {"Mailbox"}


def witness(ws):
    """Another connection of the same account hears of a change of its own; what
    was told before that was told."""
    listener = WsApi(ws.server, ws.account)
    listener.enable()
    deliver(ws.server, ws.account.name)
    listener.changes_until(DELIVERED)
    listener.close()
    ws.barrier()


def test_a_second_enable_replaces_the_first(ws, other):
    email = an_email(other)
    ws.enable(["Email"])
    ws.enable(["Mailbox"])
    other.set_keyword(email, "x")  # changes the Email only
    other.call("Mailbox/set", {"create": {"x": {"name": "A"}}})
    changed, _ = ws.change()
    assert set(changed) == {"Mailbox"}


def test_disable_ends_it(ws, other):
    ws.enable()
    ws.disable()
    an_email(other)
    witness(ws)
    assert ws.pushes() == []


def test_enable_disable_enable_works(ws, other):
    ws.enable()
    ws.disable()
    an_email(other)
    ws.enable()
    assert ws.pushes() == []  # without pushState: from now on
    deliver(ws.server, ws.account.name)
    changed, _ = ws.changes_until(DELIVERED)
    assert changed["Email"] == ws.state()


def test_a_change_of_keywords_is_told(ws, other):
    email = an_email(other)
    ws.enable()
    other.set_keyword(email, "x")
    changed, _ = ws.change()
    assert set(changed) == {"Email"}
    assert changed["Email"] == other.state()


def test_seen_changes_the_mailbox_too(ws, other):
    email = an_email(other)
    ws.enable(["Mailbox", "Email"])
    other.set_keyword(email, "$seen")
    changed, _ = ws.changes_until({"Email", "Mailbox"})
    assert changed["Mailbox"] == other.state("Mailbox")


def test_who_makes_a_change_has_the_answer_before_the_push(ws):
    email = an_email(ws)
    ws.enable()
    for n in range(20):
        ws.send({"@type": "Request", "id": f"w{n}", "using": [
            "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"],
            "methodCalls": [["Email/set", {
                "accountId": ws.account_id, "update": {
                    email: {f"keywords/k{n}": True}}}, "0"]]})
        first = ws.take(lambda m: True)
        assert first["@type"] == "Response"
        changed, _ = ws.change()
        assert changed["Email"] == first["methodResponses"][0][1]["newState"]


# ---- pushState ----

def push_state(ws):
    """A current one."""
    deliver(ws.server, ws.account.name)
    _, message = ws.changes_until(DELIVERED)
    return message["pushState"]


def test_a_current_push_state_brings_nothing(ws, other):
    ws.enable()
    state = push_state(ws)
    again = WsApi(ws.server, ws.account)
    again.enable(push_state=state)
    other.call("Mailbox/set", {"create": {"x": {"name": "A"}}})
    changed, _ = again.change()
    assert set(changed) == {"Mailbox"}
    again.close()


def test_an_old_push_state_brings_what_changed_since_and_only_that(ws, other):
    ws.enable()
    state = push_state(ws)
    ws.close()
    (email,) = other.emails()
    other.set_keyword(email, "x")
    again = WsApi(ws.server, ws.account)
    again.enable(push_state=state)
    changed, message = again.change()
    assert changed == {"Email": other.state()}
    assert message["pushState"] != state
    again.close()


def test_a_push_state_is_good_at_every_worker(server, account, other):
    clients = on_every_worker(server, account, more=2)
    clients[0].enable()
    state = push_state(clients[0])
    deliver(server, account.name)
    want = other.state()
    for c in clients[1:]:
        c.enable(["Email"], push_state=state)
        assert c.change()[0] == {"Email": want}
    for c in clients:
        c.close()


def test_a_push_state_outlives_a_restart():
    from harness import Server
    with Server(**OPTIONS) as s:
        account = s.add_account()
        ws = WsApi(s, account)
        ws.enable()
        state = push_state(ws)
        ws.close()
        s.stop()
        s.start()
        ws = WsApi(s, account)
        deliver(s, account.name)
        ws.enable(push_state=state)
        changed, _ = ws.change()
        assert set(changed) == DELIVERED
        assert changed["Email"] == ws.state()
        ws.close()


def test_a_null_push_state_is_fine(ws):
    ws.send({"@type": "WebSocketPushEnable", "dataTypes": None,
             "pushState": None})
    ws.barrier()
    assert ws.pushes() == []
    deliver(ws.server, ws.account.name)
    ws.changes_until(DELIVERED)


@pytest.mark.parametrize("token", ["nonsense", "u1:0-1", "\u00fc,,:::",
                                   "x" * 5000])
def test_a_push_state_that_cannot_be_read_brings_the_full_state(ws, token):
    an_email(ws)
    ws.enable(["Email", "Mailbox"], push_state=token)
    changed, _ = ws.changes_until({"Email", "Mailbox"})
    assert changed == {k: ws.state(k) for k in ("Email", "Mailbox")}


def test_a_push_state_of_another_account_brings_the_full_state(server, ws):
    stranger = WsApi(server, server.add_account())
    stranger.enable()
    token = push_state(stranger)
    an_email(ws)
    ws.enable(["Email"], push_state=token)
    assert ws.change()[0] == {"Email": ws.state()}
    stranger.close()


def test_disable_and_enable_with_the_last_push_state_misses_nothing(ws, other):
    ws.enable()
    state = push_state(ws)
    for n in range(5):
        ws.disable()
        other.call("Mailbox/set", {"create": {"x": {"name": f"A{n}"}}})
        ws.enable(push_state=state)
        changed, message = ws.changes_until({"Mailbox"})
        assert changed == {"Mailbox": other.state("Mailbox")}
        state = message["pushState"]


# ---- throttle and heartbeat ----

@pytest.fixture
def slow_server():
    from harness import Server
    with Server(ws_throttle=2000, ws_heartbeat_interval=1,
                ws_client_timeout=2) as s:
        yield s


def windows(messages, window):
    """Two frames are never nearer than the window. The times are those of
    arrival: a frame may be late by what the machine was busy."""
    times = [m["#came"] for m in messages]
    return [b - a for a, b in zip(times, times[1:])]


def test_a_burst_is_one_frame_at_once_and_one_at_the_windows_end(slow_server):
    s = slow_server
    account = s.add_account()
    ws, api = WsApi(s, account), HttpApi(s, account)
    ws.enable(["Email"])
    began = time.monotonic()
    for n in range(20):
        deliver(s, account.name, subject=f"n{n}")
    took = time.monotonic() - began
    newest = api.state()
    frames = []
    while not frames or frames[-1][0]["Email"] != newest:
        frames.append(ws.change())
    # One at once, and one for each window that ended during the burst.
    assert 2 <= len(frames) <= 2 + int(took / 2)
    for gap in windows([m for _, m in frames], 2):
        assert gap > 1.5
    ws.close()


def test_a_change_after_a_quiet_window_leaves_at_once(slow_server):
    """Measured against the window of 2 s, not against a clock."""
    s = slow_server
    account = s.add_account()
    ws = WsApi(s, account)
    ws.enable(["Email"])
    began = time.monotonic()
    deliver(s, account.name)
    _, message = ws.change()
    assert message["#came"] - began < 1.5
    ws.close()


def test_a_new_throttle_governs_live_connections(slow_server):
    s = slow_server
    s.reload(ws_throttle=3600000)
    account = s.add_account()
    ws = WsApi(s, account)
    ws.enable(["Email"])
    deliver(s, account.name)
    ws.change()
    deliver(s, account.name)  # waits for an hour
    newest = HttpApi(s, account).state()
    ws.barrier()
    assert ws.pushes() == []
    assert s.reload(ws_throttle=0).startswith("reloaded")
    assert ws.change()[0] == {"Email": newest}
    for _ in range(3):
        deliver(s, account.name)
        ws.change()
    ws.close()


def test_pings_come_and_a_silent_client_is_dropped(slow_server):
    """The raw client answers no Ping: it is closed, and then dropped."""
    s = slow_server
    with RawWs(s.http, "/jmap/ws", account=s.add_account()) as c:
        began = time.monotonic()
        fin, _, opcode, payload = c.read_frame()
        assert (fin, opcode) == (True, PING)
        frames = [opcode]
        while frames[-1] == PING:
            frames.append(c.read_frame()[2])
        assert frames[-1] == 8
        c.assert_closed()
        assert time.monotonic() - began >= 1
    wait_for("it is gone", lambda: s.metric("worker", "websockets") == 0)


def test_a_client_that_answers_pings_stays(slow_server):
    """For as many heartbeats as would be twice its timeout."""
    s = slow_server
    with RawWs(s.http, "/jmap/ws", account=s.add_account()) as c:
        for _ in range(5):
            _, _, opcode, payload = c.read_frame()
            assert opcode == PING
            c.frame(10, payload)
        c.frame(1, '{"@type":"Request","id":"r","using":[],"methodCalls":[]}')
        assert c.json()["requestId"] == "r"


def test_new_timeouts_govern_live_connections(server):
    """This server's are the defaults, 10 and 5 seconds, until the reload."""
    from harness import Server
    with Server(ws_client_timeout=86400, ws_heartbeat_interval=86399) as s:
        with RawWs(s.http, "/jmap/ws", account=s.add_account()) as c:
            s.reload(ws_client_timeout=2, ws_heartbeat_interval=1)
            assert c.read_frame()[2] == PING
            while True:
                opcode = c.read_frame()[2]
                if opcode != PING:
                    break
            assert opcode == 8
            c.assert_closed()


def test_a_client_that_does_not_read_gets_the_newest_state(server, account):
    """Large answers fill its way; what changes meanwhile is merged."""
    api = HttpApi(server, account)
    email = an_email(api)
    with RawWs(server.http, "/jmap/ws", account=account, rcvbuf=4096) as c:
        c.send_json({"@type": "WebSocketPushEnable", "dataTypes": ["Email"]})
        filler = "x" * 3000000
        c.send_json({"@type": "Request", "id": "big", "using": [
            "urn:ietf:params:jmap:core"], "methodCalls": [
                ["Core/echo", {"x": filler}, "0"]]})
        wait_for("the echo is on its way", lambda: c.sock.recv(1, 2))
        for n in range(30):
            api.set_keyword(email, f"k{n}")
        newest = api.state()
        told = []
        while not told or told[-1] != newest:
            message = c.json()
            if message["@type"] == "StateChange":
                told.append(message["changed"][api.account_id]["Email"])
        assert len(told) <= 10, "queued behind unsent bytes"


def test_a_storm_of_changes_ends_with_the_newest_state(server):
    """Many accounts and connections, changes by all of them."""
    accounts = [server.add_account() for _ in range(5)]
    clients = [WsApi(server, a) for a in accounts for _ in range(4)]
    for c in clients:
        c.enable(["Email"])
    for n, a in itertools.product(range(10), accounts):
        mail.deliver(server, a.name, subject=f"n{n}")
    newest = {a.name: HttpApi(server, a).state() for a in accounts}
    for c in clients:
        while c.change()[0]["Email"] != newest[c.account.name]:
            pass
        c.close()
