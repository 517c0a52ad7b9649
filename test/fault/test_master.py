"""The master dies, or is told things often."""

import os
import signal
import threading
import time

import pytest

import fault
import harness
from carriers import CARRIERS, open_ws
from events import Source
from jmap import CORE, HttpApi, WsApi
from mail import deliver
from rawws import CLOSE, RawWs


def is_alive(pid):
    """A dead one that nobody has waited for yet does not count."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_gone(pids):
    harness.wait_for("the roles end by themselves",
                     lambda: not any(is_alive(p) for p in pids))


@pytest.fixture
def server():
    with harness.Server(ws_throttle=20, event_source_throttle=20,
                        log_level="info") as s:
        yield s


def die(server):
    os.kill(server.proc.pid, signal.SIGKILL)
    server.proc.wait()


def test_roles_end_without_a_master_and_a_new_one_serves(server):
    account = server.add_account()
    deliver(server, account.name, subject="before")
    pids = server.pids("store") + server.pids("worker")
    with RawWs(server.http, "/jmap/ws", account=account) as ws:
        ws.send_json({"@type": "WebSocketPushEnable", "dataTypes": None})
        die(server)
        server.start()  # while the old roles still drain
        assert server.proc.poll() is None
        ws.expect_close(1001)
    wait_gone(pids)
    assert not set(pids) & set(server.pids("store") + server.pids("worker"))
    deliver(server, account.name, subject="after")
    api = HttpApi(server, account)
    assert sorted(fault.subjects(api)) == ["after", "before"]
    api.close()


def test_calls_under_way_are_answered_when_the_master_dies(server):
    """The answer has begun, and more of it is to come than the kernel holds."""
    account = server.add_account()
    with RawWs(server.http, "/jmap/ws", account=account, rcvbuf=4096) as ws:
        ws.send_json({"@type": "Request", "id": "last", "using": [CORE],
                      "methodCalls": [["Core/echo", {"x": "y" * 9000000},
                                       "e"]]})
        harness.wait_for("its head", lambda: fault.readable(ws.sock))
        pids = server.pids("store") + server.pids("worker")
        die(server)
        answer = ws.json()
        assert answer["requestId"] == "last"
        assert answer["methodResponses"][0][0] == "Core/echo"
        ws.expect_close(1001)
    wait_gone(pids)
    server.start()


def test_what_was_acknowledged_and_told_outlives_masters(server):
    """Deliveries are there, and watchers of every carrier come back by themselves
    and hear of all."""
    account = server.add_account()
    api = HttpApi(server, account)
    base, aid = fault.states(api), api.account_id
    api.close()
    watchers = [make(server, account, aid, base, carrier=c)
                for make in (fault.Watcher, fault.SourceWatcher)
                for c in CARRIERS]
    sender = fault.Lmtp(server)
    stored = []
    for n in range(3):
        for m in range(5):
            code = sender.attempt(account.name,
                                  fault.numbered("m", f"{n}-{m}"))
            assert code == 250
            stored.append(f"mark-m-{n}-{m}")
        all_told(server, account, watchers)
        die(server)
        sender.close()
        server.start()
    deliver(server, account.name, subject="at last")
    all_told(server, account, watchers)
    api = HttpApi(server, account)
    assert sorted(fault.subjects(api)) == sorted([*stored, "at last"])
    api.close()
    for w in watchers:
        assert w.connections >= 4
        w.stop()
    server.stop()
    log = fault.change_log(server, account.name)
    for w in watchers:
        w.history.check(log)


def all_told(server, account, watchers):
    api = HttpApi(server, account)
    newest = fault.states(api)
    api.close()
    for w in watchers:
        w.wait_told(newest)


def make_mailbox(server, account, name):
    """Changes Mailbox and nothing else; the account's id and what was told then."""
    api = HttpApi(server, account)
    got = api.call("Mailbox/set", {"create": {"m": {"name": name}}})
    assert got["created"]["m"]
    newest = api.state("Mailbox")
    api.close()
    return {api.account_id: {"Mailbox": newest}}


def watching(server, account, carrier, token=None):
    """A WebSocket for which push is enabled."""
    ws = open_ws(server, account, carrier)
    wish = {"@type": "WebSocketPushEnable", "dataTypes": None}
    if token:
        wish["pushState"] = token
    ws.send_json(wish)
    return ws


def enabled(ws):
    ws.send_json({"@type": "Request", "id": "b", "using": [CORE],
                  "methodCalls": [["Core/echo", {}, "e"]]})
    assert ws.json()["requestId"] == "b"
    return ws


def test_a_token_is_good_at_a_new_master(server):
    """On every carrier, and the id of an event as well: it brings exactly what
    changed meanwhile."""
    account = server.add_account()
    deliver(server, account.name)
    sockets = {c: enabled(watching(server, account, c)) for c in CARRIERS}
    sources = {c: Source(server, account, c) for c in CARRIERS}
    changed = make_mailbox(server, account, "before")
    tokens, ids = {}, {}
    for c in CARRIERS:
        heard, event = sockets[c].json(), sources[c].event("state")
        assert heard["changed"] == event.data["changed"] == changed
        tokens[c], ids[c] = heard["pushState"], event.own_id
    die(server)
    for c in CARRIERS:
        sockets[c].expect_close(1001)
        sockets[c].close()
        sources[c].assert_ended()
        sources[c].close()
    server.start()
    changed = make_mailbox(server, account, "while nobody watched")
    for c in CARRIERS:
        with watching(server, account, c, tokens[c]) as ws:
            assert ws.json()["changed"] == changed
        with Source(server, account, c, last_id=ids[c]) as source:
            assert source.event("state").data["changed"] == changed


def test_a_second_sigterm_ends_at_once(server):
    account = server.add_account()
    pids = server.pids("store") + server.pids("worker")
    # One that does not answer the Close, so that the drain would wait.
    with RawWs(server.http, "/jmap/ws", account=account) as ws:
        server.proc.send_signal(signal.SIGTERM)
        opcode, _ = ws.message()
        assert opcode == CLOSE
        assert server.proc.poll() is None
        server.proc.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        wait_gone(pids)
    assert "second signal: ending at once" in server.log()
    assert "drained left=1" not in server.log()
    server.allow_deaths = True
    server.start()
    api = HttpApi(server, account)
    assert api.emails() == []
    api.close()


def test_a_paused_master_takes_nobody_for_silent(server):
    pids = server.pids("store") + server.pids("worker")
    os.kill(server.proc.pid, signal.SIGSTOP)
    # Longer than a role may be silent: what is waited for is the time itself.
    time.sleep(11)
    os.kill(server.proc.pid, signal.SIGCONT)
    # Two ticks later each role has been judged.
    up = server.roles("store")[0]["uptime"]
    harness.wait_for("two more seconds", lambda: server.roles(
        "store")[0]["uptime"] >= up + 2)
    assert pids == server.pids("store") + server.pids("worker")


def test_a_storm_of_reloads_drops_no_connection(server):
    account = server.add_account()
    deliver(server, account.name)
    api = HttpApi(server, account)
    base = fault.states(api)
    clients = [WsApi(server, account) for _ in range(8)]
    watcher = fault.Watcher(server, account, api.account_id, base)
    over = threading.Event()
    errors, answers = [], []

    def work(i, c):
        try:
            n = 0
            while not over.is_set():
                c.set_keyword(email, f"w{i}-{n % 3}", n % 2 == 0)
                c.barrier()
                n += 1
            answers.append(n)
        except BaseException as e:  # noqa: B036
            errors.append(e)
    email, = api.emails()
    pids = server.pids("store") + server.pids("worker")
    threads = [threading.Thread(target=work, args=(i, c))
               for i, c in enumerate(clients)]
    for t in threads:
        t.start()
    for _ in range(50):  # those that come while one waits are one
        server.proc.send_signal(signal.SIGHUP)
    for i in range(50):
        said = server.reload(ws_throttle=10 + i)
        assert said.startswith("reloaded"), said
    over.set()
    for t in threads:
        t.join(harness.DEADLINE)
        assert not t.is_alive()
    if errors:
        raise errors[0]
    assert len(answers) == len(clients) and min(answers) > 0
    assert not any(c.closed for c in clients)
    watcher.wait_told(fault.states(api))
    assert watcher.connections == 1
    assert server.pids("store") + server.pids("worker") == pids
    watcher.stop()
    for c in clients:
        c.close()
    api.close()
