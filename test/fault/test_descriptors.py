"""A worker that has no descriptors left for further clients: they wait in the
kernel's queue, those that are in live on, and the master is still heard."""

import os
import signal

import fault
import harness
from harness import Server, wait_for
from jmap import WsApi
from raw import Raw
from rawws import RawWs

RESERVE = 32  # core/io/listener.h
LIMIT = 100
MORE = 20  # clients than there is room for


def used(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def answered(c):
    return c.get("/healthz").status == 200


def test_clients_wait_and_the_master_is_heard(monkeypatch):
    monkeypatch.setattr(harness, "UNDER", [
        "prlimit", f"--nofile={LIMIT}", *harness.UNDER])
    with Server(worker_pool_size=1, http_timeout=600,
                allow_deaths=True) as server:
        account = server.add_account()
        ws = WsApi(server, account)
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
