"""A worker that has no descriptors left for further clients: they wait in the
kernel's queue, those that are in live on, and the master is still heard. A store
that has few keeps few accounts open."""

import os
import signal
import threading

import pytest

import fault
import harness
from harness import Server, wait_for
from jmap import HttpApi, WsApi
from mail import RawLmtp, deliver
from raw import Raw
from rawws import RawWs

RESERVE = 32  # core/io/listener.h
LIMIT = 100
MORE = 20  # clients than there is room for


def used(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def answered(c):
    return c.get("/healthz").status == 200


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(harness, "UNDER", [
        "prlimit", f"--nofile={LIMIT}", *harness.UNDER])


def test_clients_wait_and_the_master_is_heard():
    with Server(worker_pool_size=1, http_timeout=600,
                allow_deaths=True) as server:
        account = server.add_account()
        ws = WsApi(server, account)
        wait_for("it is alone", lambda: server.metric(
            "worker", "connections") == 1)
        pid = fault.role(server, "worker")["pid"]
        room = LIMIT - RESERVE - used(pid)
        before = server.metric("worker", "accepts")
        clients = [Raw(server.http) for _ in range(room + MORE)]
        wait_for("it is short", lambda: "accept: " in server.log())

        def got_in():
            return server.metric("worker", "accepts") - before
        assert got_in() == room
        assert used(pid) == LIMIT - RESERVE

        # What the master says comes as a descriptor: a configuration, a
        # listener, the rings of a new store.
        old = list(server.options["listen"])
        server.reload(ws_echo="yes", listen=[*old, f"unix:{server.dir}/extra"])
        store = fault.role(server, "store")["pid"]
        os.kill(store, signal.SIGKILL)
        fault.up_again(server, "store", 0, store)
        ws.barrier()
        assert all(answered(c) for c in clients[:room])
        assert got_in() == room

        # The listener's descriptor came out of the reserve: it is given back.
        server.reload(listen=old)
        wait_for("as before", lambda: used(pid) == LIMIT - RESERVE)
        clients[0].close()
        wait_for("the next is in", lambda: got_in() == room + 1)
        assert answered(clients[room])
        for c in clients[1:room]:
            c.close()
        assert all(answered(c) for c in clients[room:])
        for c in clients[room:]:
            c.close()
        with RawWs(server.http) as c:  # ws-echo is on
            c.frame(1, "x")
            assert c.message() == (1, b"x")
        ws.close()


def test_whatever_a_client_speaks_it_waits_and_gets_in():
    """One that holds the last descriptor goes, and the next is served: of each
    listener those who wait come after the rest have gone."""
    with Server(worker_pool_size=1, http_timeout=600) as server:
        account = server.add_account()
        pid = fault.role(server, "worker")["pid"]
        held = [Raw(server.http) for _ in range(LIMIT - RESERVE - used(pid))]
        wait_for("it is full", lambda: used(pid) == LIMIT - RESERVE)
        assert all(answered(c) for c in held)
        late = [threading.Thread(target=fn, daemon=True) for fn in (
            lambda: done.append(("http", answered(Raw(server.http)))),
            lambda: done.append(("https", answered(Raw(server.https, True)))),
            lambda: done.append(("lmtp", RawLmtp(server).say("NOOP")[0])))]
        done = []
        for t in late:
            t.start()
        wait_for("it is short", lambda: "accept: " in server.log())
        assert all(answered(c) for c in held)
        assert done == [] and used(pid) == LIMIT - RESERVE
        for c in held:
            c.close()
        for t in late:
            t.join(harness.DEADLINE)
        assert sorted(done) == [("http", True), ("https", True), ("lmtp", 250)]
        deliver(server, account.name)


def test_a_store_of_few_descriptors_serves_all_accounts():
    """More than it could hold open at once; each is read and written in turn."""
    with Server(worker_pool_size=1) as server:
        accounts = [server.add_account() for _ in range(LIMIT // 3)]
        for n in (1, 2):
            deliver(server, accounts[0].name)
            for a in accounts[1:]:
                deliver(server, a.name)
                api = HttpApi(server, a)
                assert len(api.emails()) == n
                api.close()
        assert "unable to open" not in server.log()
