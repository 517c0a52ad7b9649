"""The master dies, or is told things often."""

import os
import signal
import threading
import time

import pytest

import fault
import harness
from jmap import HttpApi, WsApi
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
    with harness.Server(ws_throttle=20, log_level="info") as s:
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
    account = server.add_account()
    ws = WsApi(server, account)
    ws.send({"@type": "Request", "id": "last", "using": [
        "urn:ietf:params:jmap:core"], "methodCalls": [
            ["Core/echo", {"x": "y" * 5000000}, "e"]]})
    pids = server.pids("store") + server.pids("worker")
    die(server)
    answer = ws.take(lambda m: m.get("requestId") == "last")
    assert answer["methodResponses"][0][0] == "Core/echo"
    assert ws.wait_closed() == 1001
    wait_gone(pids)
    server.start()


def test_acknowledged_deliveries_outlive_a_master(server):
    account = server.add_account()
    sender = fault.Lmtp(server)
    stored = []
    for n in range(3):
        for m in range(5):
            code = sender.attempt(account.name,
                                  fault.numbered("m", f"{n}-{m}"))
            assert code == 250
            stored.append(f"mark-m-{n}-{m}")
        die(server)
        sender.close()
        server.start()
    api = HttpApi(server, account)
    assert sorted(fault.subjects(api)) == sorted(stored)
    api.close()


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
