"""A worker is stopped, and its change ring fills by changes of one account. Commits go
on, nobody misses the newest state afterwards, and no pushState runs past what was
told. test_ring_full_many.py is the same with many accounts.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import fault
import harness
from fault import RING, Changer, frozen, missed
from mail import deliver
from rawws import RawWs


AT_ONCE = 512  # changes of a request


class Client:
    """A push client that reads when it is told to."""

    def __init__(self, server, account, account_id, base, index=None,
                 types=None, token=None):
        self.account_id = account_id
        self.history = fault.History(base)
        self.types = types

        def connect():
            return RawWs(server.http, "/jmap/ws", account=account)
        self.ws = (connect() if index is None
                   else fault.connect_to(connect, server, index))
        wish = {"@type": "WebSocketPushEnable", "dataTypes": types}
        if token:
            wish["pushState"] = token
        self.ws.send_json(wish)

    def barrier(self):
        """The enable was taken; pushes before the answer are kept."""
        self.ws.send_json({"@type": "Request", "id": "b",
                           "using": ["urn:ietf:params:jmap:core"],
                           "methodCalls": [["Core/echo", {}, "e"]]})
        while self.read():
            pass

    def read(self):
        """One message: a Heard, or None when it was another."""
        m = self.ws.json()
        if m["@type"] != "StateChange":
            return None
        h = fault.Heard(m, self.account_id)
        self.history.add(h)
        return h

    def read_until(self, states):
        """Until it was told these; returns the last one heard."""
        want = {t: fault.modseq(s) for t, s in states.items()
                if not self.types or t in self.types}
        last = None
        while True:
            told = self.history.told()
            if all(told[t] == n for t, n in want.items()):
                return last
            last = self.read() or last


class Changing:
    """Changes that go on, of each type by a connection of its own, so that some
    come before the repair, some amid it, some after."""

    def __init__(self, server, account):
        self.over = threading.Event()
        self.pool = ThreadPoolExecutor(2)
        self.changers = [Changer(server, account, 0) for _ in range(2)]

    def start(self):
        self.jobs = [self.pool.submit(self.go_on, c, kind) for c, kind in
                     zip(self.changers, ("Mailbox", "Email"))]

    def go_on(self, changer, kind):
        while not self.over.is_set():
            changer.make(1, kind)
        changer.api.close()

    def end(self):
        self.over.set()
        for j in self.jobs:
            j.result()
        self.pool.shutdown()


class OneAccount:
    """Clients of one account, most of them of the worker that is stopped."""

    def __init__(self, server):
        self.server = server
        self.account = server.add_account()
        deliver(server, self.account.name)
        self.changer = Changer(server, self.account, 0, AT_ONCE)
        self.base = fault.states(self.changer.api)
        self.stay = [self.client(1) for _ in range(6)]
        self.stay += [self.client(1, types=["Mailbox"]),
                      self.client(1, types=["Email"]), self.client(0)]
        self.gone = []

    def client(self, index, base=None, **kw):
        c = Client(self.server, self.account, self.changer.api.account_id,
                   base or self.base, index, **kw)
        c.barrier()
        return c

    def all_hear(self, clients):
        newest = fault.states(self.changer.api)
        for c in clients:
            c.read_until(newest)

    def leave(self, client):
        client.ws.close()
        self.gone.append(client)

    def come_back(self, client):
        return [self.client(i, client.history.told(), types=client.types,
                            token=client.history.token) for i in (0, 1)]

    def round(self, busy):
        """Overflow, repair, and who leaves in between; changes go on, or do not:
        then only the repair says where the types stand."""
        base = fault.states(self.changer.api)
        early, late = self.client(1, base), self.client(1, base)
        changing = Changing(self.server, self.account) if busy else None
        self.changer.make(3)
        self.all_hear(self.stay + [early, late])
        before = missed(self.server)
        with frozen(self.server, 1):
            self.changer.make(RING + AT_ONCE)
            self.leave(early)
            if busy:
                changing.start()
        assert missed(self.server) > before
        late.read()  # it leaves as soon as it hears anything of it
        self.leave(late)
        back = self.come_back(early) + self.come_back(late)
        if busy:
            changing.end()
        self.all_hear(self.stay + back)
        self.changer.make(3)  # and they go on hearing
        self.all_hear(self.stay + back)
        for c in back:
            self.leave(c)

    def close(self):
        for c in self.stay:
            self.leave(c)
        self.changer.api.close()


def test_one_account(fast_dir):
    options = {"ws_throttle": 0, "log_level": "info", "worker_pool_size": 2,
               "ws_client_timeout": 100, "ws_heartbeat_interval": 90,
               "max_calls_in_request": AT_ONCE,
               "data_dir": os.path.join(fast_dir, "one")}
    with harness.Server(**options) as server:
        one = OneAccount(server)
        assert missed(server) == 0
        one.round(busy=False)
        one.round(busy=True)
        one.close()
        server.stop()
        log = fault.change_log(server, one.account.name)
        for c in one.gone:
            c.history.check(log, c.types)
