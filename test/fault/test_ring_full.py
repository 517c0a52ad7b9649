"""A worker is stopped, and its change ring (1024 notices) fills. Nobody misses the
newest state afterwards, and no pushState runs past what was told.

The master kills a role that is silent for 10 s: what is done while the worker is
stopped is bounded to less.
"""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import fault
import harness
from fault import Changer
from jmap import HttpApi
from mail import RawLmtp, deliver
from raw import Raw, basic
from rawws import RawWs, handshake

RING = 1024
STOPPED_S = 8


class Stopped:
    """A worker that is stopped; it goes on at the end, or when time is up."""

    def __init__(self, server, index):
        self.pid = fault.role(server, "worker", index)["pid"]

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        self.end = time.monotonic() + STOPPED_S
        return self

    def time_left(self):
        return self.end - time.monotonic()

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGCONT)


def missed(server):
    return server.metric("store", "notices-missed")


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


# ---- one account ----------------------------------------------------------------


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
        self.changer = Changer(server, self.account, 0)
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

    def overflow(self, stop, changes):
        before, made = missed(self.server), 0
        while stop.time_left() > 3 and (made < changes or missed(
                self.server) == before):
            self.changer.make(512)
            made += 512
        assert missed(self.server) > before, f"not after {made} changes"
        return made

    def round(self, changes):
        """Overflow, repair, and who leaves in between."""
        base = fault.states(self.changer.api)
        early, late = self.client(1, base), self.client(1, base)
        changing = Changing(self.server, self.account)
        self.changer.make(3)
        self.all_hear(self.stay + [early, late])
        with Stopped(self.server, 1) as stop:
            made = self.overflow(stop, changes)
            self.leave(early)
            changing.start()
        late.read()  # it leaves as soon as it hears anything of it
        self.leave(late)
        back = self.come_back(early) + self.come_back(late)
        for c in back:
            c.read()
        changing.end()
        self.all_hear(self.stay + back)
        self.changer.make(3)  # and they go on hearing
        self.all_hear(self.stay + back)
        for c in back:
            self.leave(c)
        return made

    def close(self):
        for c in self.stay:
            self.leave(c)
        self.changer.api.close()


def test_one_account(fast_dir):
    options = {"ws_throttle": 0, "log_level": "info", "worker_pool_size": 2,
               "ws_client_timeout": 100, "ws_heartbeat_interval": 90,
               "data_dir": os.path.join(fast_dir, "one")}
    with harness.Server(**options) as server:
        one = OneAccount(server)
        assert missed(server) == 0
        assert one.round(6000) >= RING
        for _ in range(2):
            one.round(0)
        one.close()
        server.stop()
        log = fault.change_log(server, one.account.name)
        for c in one.gone:
            c.history.check(log, c.types)


# ---- 5,000 accounts -------------------------------------------------------------

ACCOUNTS = 5000
AT_ONCE = 1000  # handshakes
TO_AT_ONCE = 500  # recipients of one message


class LateWs(RawWs):
    """Connects first: which worker it is of is known before the handshake."""

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
        self.port = server.http
        self.pids = server.pids("worker")
        self.wanted = fault.role(server, "worker", index)["pid"]
        self.clients = {}
        left = list(accounts)
        while left:
            batch, left = left[:AT_ONCE], left[AT_ONCE:]
            mine = self.connect(len(batch))
            left += batch[len(mine):]
            self.enable(batch[:len(mine)], mine)

    def connect(self, n):
        """n connections; those of the other worker are closed."""
        all_of_them = {c.sock.getsockname()[1]: c for c in
                       [LateWs(self.port) for _ in range(n)]}
        harness.wait_for("all are accepted", lambda: set(all_of_them) <= set(
            ).union(*[fault.client_ports(self.port, p) for p in self.pids]))
        ports = fault.client_ports(self.port, self.wanted)
        for port in set(all_of_them) - ports:
            all_of_them[port].close()
        return [all_of_them[p] for p in ports if p in all_of_them]

    def enable(self, accounts, conns):
        for a, c in zip(accounts, conns):
            c.shake(a)
        for a, c in zip(accounts, conns):
            c.shaken()
            c.send_json({"@type": "WebSocketPushEnable", "dataTypes": None})
            self.clients[a] = c

    def close(self):
        for c in self.clients.values():
            c.close()


class Deliveries:
    """One message for each, in a few deliveries at once, over connections of one
    worker."""

    def __init__(self, server, accounts, index):
        self.parts = [accounts[i:i + TO_AT_ONCE]
                      for i in range(0, len(accounts), TO_AT_ONCE)]
        self.conns = [fault.connect_to(lambda: RawLmtp(server), server, index)
                      for _ in self.parts]
        self.pool = ThreadPoolExecutor(len(self.parts))

    def start(self):
        self.jobs = [self.pool.submit(self.one, c, p, i) for i, (c, p) in
                     enumerate(zip(self.conns, self.parts))]

    def one(self, conn, part, i):
        with conn as c:
            c.envelope(*[a.name for a in part])
            replies = c.data(fault.numbered("all", i) + b".\r\n", len(part))
            assert {r[0] for r in replies} == {250}

    def done(self):
        return all(j.done() for j in self.jobs)

    def finish(self):
        for j in self.jobs:
            j.result()
        self.pool.shutdown()


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

    def check_logs(self):
        for a in self.accounts:
            self.histories[a].check(fault.log_of(self.server, a.number))


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
        "worker", "notices") >= ACCOUNTS * (places + 1), 60)


def overflow(server, changer, deliveries, leave):
    """While the worker is stopped: the ring is filled by changes of one account,
    then there is one of each of the accounts. How many of those are in time is
    the machine's business; the rest falls into the repair."""
    with Stopped(server, 1) as stop:
        while stop.time_left() > 2 and not missed(server):
            changer.make(512)
        assert missed(server) > 0
        before = missed(server), server.metric("store", "deliveries")
        deliveries.start()
        while stop.time_left() > 1 and not deliveries.done():
            time.sleep(0.05)
        leave()  # between the overflow and its repair
        stored = server.metric("store", "deliveries") - before[1]
        # Each of them is owed, but for the one whose changes filled the ring.
        assert missed(server) - before[0] >= stored - 1
    deliveries.finish()


def test_many_accounts(fast_dir):
    options = {"ws_throttle": 0, "log_level": "info", "worker_pool_size": 2,
               "ws_client_timeout": 600, "ws_heartbeat_interval": 500,
               "data_dir": os.path.join(fast_dir, "many")}
    with harness.Server(**options) as server:
        accounts, base = many_accounts(server)
        many = Many(server, accounts, base)
        wait_subscribed(server, base)
        leave = accounts[1:6]
        for a in leave:  # they have a token
            many.hear(a, states_of(server, a, change=True))
        assert missed(server) == 0
        changer = Changer(server, accounts[0], 0)
        overflow(server, changer, Deliveries(server, accounts, 0),
                 lambda: [many.leave(a) for a in leave])
        for a in leave:
            many.come_back(a)
        newest = {a: states_of(server, a) for a in accounts[:7]}
        for a in accounts:
            many.hear(a, newest.get(a, newest[accounts[6]]))
        changer.api.close()
        many.crowd.close()
        server.stop()
        many.check_logs()
