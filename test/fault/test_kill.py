"""Workers and the store are killed in the middle of deliveries and flag changes.

Each kill falls while writes are sent and unanswered: the killer notes them at that
moment, and the kill counts only when one of them then learned nothing (no answer,
or one that says that its end is unknown). Else the answers came first, and it is
done again. Senders try again with the same bytes.
"""

import os
import signal
import threading

import pytest

import fault
import harness
from jmap import HttpApi, WsApi
from mail import deliver

KILLS = 20
SENDERS = 4
FLAGGERS = 3
UNKNOWN = "unknown"


class Ledger:
    """Writes that are sent and unanswered, and what was acknowledged."""

    def __init__(self):
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.open = set()
        self.ended = {}
        self.numbers = 0
        self.over = False

    def begin(self):
        with self.lock:
            self.numbers += 1
            self.open.add(self.numbers)
            self.changed.notify_all()
            return self.numbers

    def end(self, n, outcome):
        with self.lock:
            self.open.discard(n)
            self.ended[n] = outcome
            self.changed.notify_all()

    def wait_open(self):
        with self.lock:
            assert self.changed.wait_for(lambda: self.open, harness.DEADLINE)

    def kill(self, *pids):
        """Returns the writes that were under way."""
        with self.lock:
            assert self.changed.wait_for(lambda: self.open, harness.DEADLINE)
            under_way = set(self.open)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        return under_way

    def unanswered(self, under_way):
        """How many of them learned nothing. Waits for their ends."""
        with self.lock:
            assert self.changed.wait_for(
                lambda: under_way <= set(self.ended), harness.DEADLINE), \
                "a write never ended"
            return sum(self.ended[n] == UNKNOWN for n in under_way)


class Worker(threading.Thread):
    """Work until the ledger says that it is over; errors are the test's."""

    def __init__(self, ledger):
        super().__init__(daemon=True)
        self.ledger = ledger
        self.error = None

    def run(self):
        try:
            while not self.ledger.over:
                self.step()
        except BaseException as e:  # noqa: B036
            self.error = e

    def finish(self):
        self.join(2 * harness.DEADLINE)
        assert not self.is_alive(), f"{self} does not end"
        if self.error:
            raise self.error


class Sender(Worker):
    def __init__(self, server, ledger, name, to):
        super().__init__(ledger)
        self.lmtp = fault.Lmtp(server)
        self.who = name
        self.to = to
        self.stored = 0  # messages 0 .. stored-1 were acknowledged
        self.again = 0

    def step(self):
        data = fault.numbered(self.who, self.stored)
        while True:
            number = []
            code = self.lmtp.attempt(
                self.to, data,
                on_sent=lambda: number.append(self.ledger.begin()))
            assert code is None or code == 250 or 400 <= code < 500, code
            if number:
                self.ledger.end(number[0], code if code == 250 else UNKNOWN)
            if code == 250:
                break
            self.again += 1
        self.stored += 1


class Flagger(Worker):
    """Writes keyword k<n> in the place of k<n-1>, one after the other."""

    def __init__(self, server, ledger, account, account_id, email):
        super().__init__(ledger)
        self.server = server
        self.account = account
        self.account_id = account_id
        self.email = email
        self.n = 0
        self.ws = None
        self.again = 0

    def step(self):
        patch = {f"keywords/k{self.n + 1}": True}
        if self.n:
            patch[f"keywords/k{self.n}"] = None
        call = ["Email/set", {"accountId": self.account_id,
                              "update": {self.email: patch}}, "s"]
        while not self.attempt(call):
            self.again += 1
        self.n += 1

    def attempt(self, call):
        number = None
        try:
            if not self.ws:
                self.ws = WsApi(self.server, self.account,
                                aid=self.account_id)
            number = self.ledger.begin()
            answer = self.ws.request([call])
        except Exception:  # the connection is gone: nothing is known
            if self.ws and not self.ws.closed:
                raise
            self.ws = None
            answer = None
        known = answer and answer["@type"] == "Response"
        if number:
            self.ledger.end(number, "known" if known else UNKNOWN)
        if not answer:
            return False
        if not known:
            assert answer["status"] == 503, answer
            return False
        (name, got, _), = answer["methodResponses"]
        assert name == "Email/set" and self.email in got["updated"], answer
        return True


class Reader(Worker):
    """Reads; a store that dies meanwhile is none of its business."""

    def __init__(self, server, ledger, account, account_id):
        super().__init__(ledger)
        self.server = server
        self.account = account
        self.account_id = account_id
        self.ws = None
        self.reads = 0
        self.at = {}

    def step(self):
        try:
            if not self.ws:
                self.ws = WsApi(self.server, self.account,
                                aid=self.account_id)
            answer = self.ws.request([
                ["Email/query", {"accountId": self.account_id, "limit": 50},
                 "q"],
                ["Email/get", {
                    "accountId": self.account_id, "properties": ["subject"],
                    "#ids": {"resultOf": "q", "name": "Email/query",
                             "path": "/ids"}}, "g"],
                ["Mailbox/get", {"accountId": self.account_id, "ids": []},
                 "m"]])
        except Exception:
            if self.ws and not self.ws.closed:
                raise
            self.ws = None
            return
        assert answer["@type"] == "Response", answer
        (_, _, _), (n1, email, _), (n2, box, _) = answer["methodResponses"]
        assert (n1, n2) == ("Email/get", "Mailbox/get"), answer
        self.see("Email", email["state"])
        self.see("Mailbox", box["state"])
        self.reads += 1

    def see(self, kind, state):
        n = fault.modseq(state)
        assert n >= self.at.get(kind, 0), f"{kind} went back to {state}"
        self.at[kind] = n


class Scene:
    def __init__(self, server):
        self.server = server
        self.account = server.add_account()
        self.api = HttpApi(server, self.account)
        self.ledger = Ledger()
        for i in range(FLAGGERS):
            deliver(server, self.account.name, subject=f"flag-{i}")
        emails = self.api.emails()
        assert len(emails) == FLAGGERS
        base = fault.states(self.api)
        aid = self.api.account_id
        self.watchers = [fault.Watcher(server, self.account, aid, base, types)
                         for types in (None, None, ["Email"], ["Mailbox"],
                                       None, None)]
        self.senders = [Sender(server, self.ledger, f"s{i}", self.account.name)
                        for i in range(SENDERS)]
        self.flaggers = [Flagger(server, self.ledger, self.account, aid, e)
                         for e in emails]
        self.readers = [Reader(server, self.ledger, self.account, aid)]
        self.all = self.senders + self.flaggers + self.readers
        for w in self.all:
            w.start()

    def check_alive(self):
        for w in self.all:
            if w.error:
                raise w.error

    def finish(self):
        self.ledger.over = True
        for w in self.all:
            w.finish()
        self.api.close()
        self.api = HttpApi(self.server, self.account)

    def check_writes(self):
        got = [s for s in fault.subjects(self.api) if s.startswith("mark-")]
        want = [f"mark-{s.who}-{n}" for s in self.senders
                for n in range(s.stored)]
        assert len(set(got)) == len(got), "a delivery is there twice: %s" % [
            s for s in set(got) if got.count(s) > 1]
        assert not set(want) - set(got), "acknowledged and not there"
        assert not set(got) - set(want), "not acknowledged and kept for nothing"
        emails = self.api.call("Email/get", {
            "ids": [f.email for f in self.flaggers],
            "properties": ["keywords"]})["list"]
        keywords = {e["id"]: set(e["keywords"]) for e in emails}
        for f in self.flaggers:
            assert f.n > 0
            assert keywords[f.email] == {f"k{f.n}"}, (f.n, keywords)

    def check_watchers(self):
        newest = fault.states(self.api)
        for w in self.watchers:
            mine = {t: newest[t] for t in w.types or newest}
            w.wait_told(mine)


def kill_counted(scene, choose):
    """One kill that counts, of all these (name, index) at once. choose(n) says
    which, at the n-th try: all writers may be another worker's."""
    server = scene.server
    for n in range(30):
        old = {r: fault.wait_settled(server, *r) for r in choose(n)}
        under_way = scene.ledger.kill(*old.values())
        for r, pid in old.items():
            fault.up_again(server, *r, pid)
        unanswered = scene.ledger.unanswered(under_way)
        scene.check_alive()
        if unanswered:
            return unanswered
    raise AssertionError("every kill came after the answers")


@pytest.fixture(scope="module")
def ended():
    """All kills, and what is there afterwards: one story, looked at by several
    tests."""
    with harness.Server(allow_deaths=True, ws_throttle=50,
                        log_level="info") as server:
        scene = Scene(server)
        counted = {"store": 0, "worker": 0, "both": 0}
        fewest, retried = 1000, 0
        for i in range(KILLS):
            deaths = {"store": lambda n: [("store", 0)],
                      "worker": lambda n: [("worker", (i + n) % 2)],
                      "both": lambda n: [("store", 0), ("worker", i % 2)]}
            for name, choose in deaths.items():
                if name != "both" or i % 5 == 4:
                    fewest = min(fewest, kill_counted(scene, choose))
                    counted[name] += 1
                    # A worker's counters go with it: look after each death.
                    retried = max(retried, server.metric(
                        "worker", "calls-retried"))
        scene.finish()
        scene.counted, scene.fewest = counted, fewest
        scene.retried = retried
        yield scene


def test_each_kill_falls_on_an_unanswered_write(ended):
    assert ended.counted == {"store": KILLS, "worker": KILLS, "both": 4}
    assert ended.fewest >= 1
    assert sum(s.again for s in ended.senders) > 0
    assert sum(f.again for f in ended.flaggers) > 0


def test_acknowledged_writes_are_there_once(ended):
    ended.check_writes()


def test_reads_are_asked_again(ended):
    """Each got an answer, none 503 (the reader looks)."""
    assert ended.readers[0].reads > 0
    assert ended.retried > 0


def test_connected_clients_end_with_the_newest_state(ended):
    ended.check_watchers()
    assert all(w.connections > 1 for w in ended.watchers)


def test_no_client_was_misled(ended):
    """No state went back, no pushState ran past what was told, each state told
    was one. Ends the server: its change log is looked at."""
    ended.check_watchers()
    for w in ended.watchers:
        w.stop()
    ended.server.stop()
    log = fault.change_log(ended.server, ended.account.name)
    for w in ended.watchers:
        assert len(w.history.heard) > KILLS
        w.history.check(log, w.types)
