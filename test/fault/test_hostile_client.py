"""A client that does not read, while thousands of changes pass."""

import fault
import harness
from fault import Changer
from jmap import HttpApi
from mail import deliver
from rawws import RawWs

CHANGES = 5000
GROWTH = 2 << 20  # bytes


def rss(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


def test_one_newest_state_and_flat_memory():
    with harness.Server(worker_pool_size=2, ws_throttle=0, log_level="info",
                        ws_client_timeout=600,
                        ws_heartbeat_interval=500) as server:
        account = server.add_account()
        deliver(server, account.name)
        worker = fault.role(server, "worker", 1)["pid"]
        slow = fault.connect_to(
            lambda: RawWs(server.http, "/jmap/ws", account=account,
                          rcvbuf=4096), server, 1)
        slow.send_json({"@type": "WebSocketPushEnable", "dataTypes": None})
        # An answer that fills every buffer on the way, and is not read.
        slow.send_json({"@type": "Request", "id": "big", "using": [
            "urn:ietf:params:jmap:core"], "methodCalls": [
                ["Core/echo", {"x": "y" * 9000000}, "e"]]})
        # It is on its way: its head is here.
        harness.wait_for("its head", lambda: fault.readable(slow.sock))
        changer = Changer(server, account, 0)
        changer.make(320)  # what warms up is not growth
        before = rss(worker)
        changer.make(CHANGES)
        newest = fault.states(changer.api)
        assert rss(worker) - before < GROWTH
        seen = server.roles("worker")[1]["metrics"]
        assert seen["notices"] >= CHANGES
        first = slow.json()
        assert first.get("requestId") == "big", first.keys()
        push = slow.json()
        assert push["@type"] == "StateChange"
        states = push["changed"][changer.api.account_id]
        assert states == {t: newest[t] for t in ("Mailbox", "Email")}
        slow.send_json({"@type": "Request", "id": "last", "using": [
            "urn:ietf:params:jmap:core"],
            "methodCalls": [["Core/echo", {}, "e"]]})
        assert slow.json().get("requestId") == "last"
        changer.make(1)
        assert slow.json()["@type"] == "StateChange"
        slow.close()
        changer.api.close()


def test_many_slow_clients_hold_up_nobody():
    """They are cut when they show no life; a client that reads hears all the
    while."""
    with harness.Server(worker_pool_size=1, ws_throttle=0, log_level="info",
                        ws_client_timeout=2,
                        ws_heartbeat_interval=1) as server:
        account = server.add_account()
        deliver(server, account.name)
        api = HttpApi(server, account)
        base = fault.states(api)
        slow = [RawWs(server.http, "/jmap/ws", account=account, rcvbuf=4096)
                for _ in range(50)]
        for c in slow:
            c.send_json({"@type": "WebSocketPushEnable", "dataTypes": None})
        watcher = fault.Watcher(server, account, api.account_id, base)
        changer = Changer(server, account, 0)

        def cut():
            changer.make(4)
            watcher.wait_told(fault.states(changer.api))
            return server.metric("worker", "websockets") == 1
        harness.wait_for("the slow ones are cut", cut)
        assert watcher.connections == 1
        for c in slow:
            c.close()
        watcher.stop()
        api.close()
        changer.api.close()
