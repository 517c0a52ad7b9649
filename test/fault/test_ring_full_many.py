"""A worker is stopped, and its change ring fills by one change of each of 9,000
accounts. Each of them is acknowledged while it is stopped; each client hears the
newest state afterwards, and no pushState runs past what was told.
"""

import os
import resource
from concurrent.futures import ThreadPoolExecutor

import pytest

import fault
import harness
from fault import RING, frozen, missed
from jmap import HttpApi
from mail import RawLmtp, deliver
from raw import Raw, basic
from rawws import RawWs, handshake

ACCOUNTS = 9000
AT_ONCE = 1000  # handshakes
SENDERS = 8
TO_AT_ONCE = 100  # recipients of one message


def enough_descriptors():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < ACCOUNTS + 500:
        pytest.skip(f"a process may have {most} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class LateWs(RawWs):
    """In pieces, so that many shake hands at the same time."""

    def __init__(self, port):
        Raw.__init__(self, port)
        self.pings = 0

    def shake(self, account):
        self.send(handshake("/jmap/ws", Authorization=basic(
            account.name, account.token), Sec_WebSocket_Protocol="jmap"))

    def shaken(self):
        assert self.response(head_only=True).status == 101


class Crowd:
    """A push client for each account, all of one worker, read by one thread."""

    def __init__(self, server, accounts, index):
        self.clients = {}
        with fault.only_worker(server, index):
            for i in range(0, len(accounts), AT_ONCE):
                self.enable(server, accounts[i:i + AT_ONCE])
        assert fault.role(server, "worker", index)["metrics"][
            "websockets"] == len(accounts)

    def enable(self, server, accounts):
        conns = {a: LateWs(server.http) for a in accounts}
        for a, c in conns.items():
            c.shake(a)
        for c in conns.values():
            c.shaken()
            c.send_json({"@type": "WebSocketPushEnable", "dataTypes": None})
        self.clients.update(conns)

    def close(self):
        for c in self.clients.values():
            c.close()


class Deliveries:
    """One message for each, some at once, over connections of one worker."""

    def __init__(self, server, accounts, index):
        self.parts = [accounts[i:i + TO_AT_ONCE]
                      for i in range(0, len(accounts), TO_AT_ONCE)]
        self.conns = [fault.connect_to(lambda: RawLmtp(server), server, index)
                      for _ in range(SENDERS)]

    def all(self):
        """Returns when each of them was acknowledged."""
        with ThreadPoolExecutor(SENDERS) as pool:
            for job in [pool.submit(self.some, c, self.parts[i::SENDERS])
                        for i, c in enumerate(self.conns)]:
                job.result()

    def some(self, conn, parts):
        with conn as c:
            for part in parts:
                c.envelope(*[a.name for a in part])
                replies = c.data(fault.numbered("all", 1) + b".\r\n", len(part))
                assert {r[0] for r in replies} == {250}


def hear(conn, account, history, states):
    """Reads until it was told these."""
    want = {t: fault.modseq(s) for t, s in states.items()}
    while not want.items() <= history.told().items():
        m = conn.json()
        if m["@type"] == "StateChange":
            history.add(fault.Heard(m, account.id))


def states_of(server, account, change=False):
    api = HttpApi(server, account)
    assert api.account_id == account.id
    if change:
        api.call("Mailbox/set", {"update": {
            api.mailboxes()["archive"]: {"name": "Elsewhere"}}})
    states = fault.states(api)
    api.close()
    return states


class Many:
    """What is known of each account's client."""

    def __init__(self, server, accounts, base):
        self.server = server
        self.accounts = accounts
        self.crowd = Crowd(server, accounts, 1)
        self.histories = {a: fault.History(base) for a in accounts}

    def hear(self, account, states):
        hear(self.crowd.clients[account], account, self.histories[account],
             states)

    def leave(self, account):
        self.crowd.clients.pop(account).close()

    def come_back(self, account):
        h = self.histories[account]
        c = LateWs(self.server.http)
        c.shake(account)
        c.shaken()
        assert h.token
        c.send_json({"@type": "WebSocketPushEnable", "dataTypes": None,
                     "pushState": h.token})
        self.crowd.clients[account] = c

    def check_logs(self, n):
        """What the first n are to be checked against is read for each; the others
        are copies to which the same happened, as to the n-th."""
        for i, a in enumerate(self.accounts):
            if i < n:
                log = fault.log_of(self.server, a.number)
            self.histories[a].check(log)


def many_accounts(server):
    """Copies of one; returns them and where their types stand."""
    template = server.add_account()
    deliver(server, template.name)
    api = HttpApi(server, template)
    base = fault.states(api)
    api.close()
    server.stop()
    accounts = fault.copy_accounts(server, ACCOUNTS)
    server.start()
    return accounts, base


def wait_subscribed(server, base):
    """A baseline is a notice for each place where types stand, and its end."""
    places = len({fault.modseq(s) for s in base.values()})
    harness.wait_for("all are subscribed", lambda: server.metric(
        "worker", "notices") >= ACCOUNTS * (places + 1), 4 * harness.DEADLINE)


def test_many_accounts(fast_dir):
    enough_descriptors()
    options = {"ws_throttle": 0, "log_level": "info", "worker_pool_size": 2,
               "ws_client_timeout": 600, "ws_heartbeat_interval": 500,
               "data_dir": os.path.join(fast_dir, "many")}
    with harness.Server(**options) as server:
        accounts, base = many_accounts(server)
        deliveries = Deliveries(server, accounts, 0)
        many = Many(server, accounts, base)
        wait_subscribed(server, base)
        leave = accounts[1:6]
        for a in leave:  # they have a token
            many.hear(a, states_of(server, a, change=True))
        assert missed(server) == 0
        with frozen(server, 1):
            deliveries.all()
            for a in leave:  # between the overflow and its repair
                many.leave(a)
        assert missed(server) >= ACCOUNTS - RING
        for a in leave:
            many.come_back(a)
        newest = {a: states_of(server, a) for a in accounts[:7]}
        for a in accounts:
            many.hear(a, newest.get(a, newest[accounts[6]]))
        many.crowd.close()
        server.stop()
        many.check_logs(50)
