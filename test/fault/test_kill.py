"""Workers and the store are killed a hundred times, in the middle of deliveries, flag
changes and drafts, over every carrier.

Each kill falls while writes are sent and unanswered: the killer notes them at that
moment, and the kill counts only when one of them then learned nothing (no answer,
or one that says that its end is unknown). Else the answers came first, and it is
done again. Senders try again with the same bytes, a flag is set again; a draft
whose answer was lost is there or not.
"""

import contextlib
import os
import signal
import threading
from collections import Counter

import pytest

import fault
import harness
import proc
from carriers import CARRIERS, GONE, LINES
from jmap import HttpApi, WsApi
from mail import deliver

SENDERS = 4
UNKNOWN = "unknown"


class Ledger:
    """Writes that are sent and unanswered, and what was acknowledged."""

    def __init__(self):
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.open = set()
        self.ended = {}
        self.numbers = 0
        self.over = self.paused = False

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

    @contextlib.contextmanager
    def pause(self):
        """Nobody begins anything."""
        with self.lock:
            self.paused = True
        yield
        with self.lock:
            self.paused = False
            self.changed.notify_all()

    def end_all(self):
        with self.lock:
            self.over = True
            self.changed.notify_all()

    def may_go_on(self, worker):
        """Between two steps; False at the end."""
        with self.lock:
            worker.resting = True
            self.changed.wait_for(lambda: self.over or not self.paused)
            worker.resting = False
            return not self.over

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
        self.resting = False

    def run(self):
        try:
            while self.ledger.may_go_on(self):
                self.step()
        except BaseException as e:  # noqa: B036
            self.error = e

    def finish(self):
        self.join(2 * harness.DEADLINE)
        assert not self.is_alive(), f"{self} does not end"
        if self.error:
            raise self.error
        self.leave()

    def leave(self):
        """Its connection, if there is one."""


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

    def leave(self):
        self.lmtp.close()


class Client(Worker):
    """Writes keyword k<n> in the place of k<n-1>, until that is known to be done,
    then a draft, once: so one after the other."""

    def __init__(self, server, ledger, account, api, name, email):
        super().__init__(ledger)
        self.kind, self.carrier = name.split("-")
        self.server = server
        self.account = account
        self.account_id = api.account_id
        self.box = api.mailboxes()["drafts"]
        self.who = name
        self.email = email
        self.line = None
        self.flags = self.again = 0
        self.drafts = {"known": [], UNKNOWN: []}
        self.at = 0

    def step(self):
        patch = {f"keywords/k{self.flags + 1}": True}
        if self.flags:
            patch[f"keywords/k{self.flags}"] = None
        while not self.attempt(update={self.email: patch}):
            self.again += 1
        self.flags += 1
        n = sum(len(d) for d in self.drafts.values())
        known = self.attempt(create={"d": {
            "mailboxIds": {self.box: True}, "keywords": {"$draft": True},
            "subject": f"draft-{self.who}-{n}",
            "textBody": [{"partId": "t", "type": "text/plain"}],
            "bodyValues": {"t": {"value": "Hello there."}}}})
        self.drafts["known" if known else UNKNOWN].append(n)

    def leave(self):
        if self.line:
            self.line.close()
        self.line = None

    def attempt(self, **change):
        """What it led to; None when that is not known."""
        number = None
        answer = {}
        try:
            if not self.line:
                self.line = LINES[self.kind](self.server, self.account,
                                             self.carrier)
            number = self.ledger.begin()
            answer = self.line.ask([["Email/set", {
                "accountId": self.account_id, **change}, "s"]])
        except GONE:
            self.leave()
        except AssertionError as e:
            assert number is None and e.args == (503,), e  # not now
        known = "methodResponses" in answer
        if number:
            self.ledger.end(number, "known" if known else UNKNOWN)
        if not known:
            assert not answer or answer["status"] == 503, answer
            return None
        (name, got, _), = answer["methodResponses"]
        assert name == "Email/set" and (got["updated"] or got["created"]), got
        self.see(got["oldState"])
        self.see(got["newState"])
        return got

    def see(self, state):
        n = fault.modseq(state)
        assert n >= self.at, f"Email went back from {self.at} to {state}"
        self.at = n


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

    def leave(self):
        if self.ws:
            self.ws.close()

    def see(self, kind, state):
        n = fault.modseq(state)
        assert n >= self.at.get(kind, 0), f"{kind} went back to {state}"
        self.at[kind] = n


class Scene:
    """Everybody of one account."""

    def __init__(self, server):
        self.server = server
        self.account = server.add_account()
        self.api = HttpApi(server, self.account)
        self.ledger = Ledger()
        names = [f"{kind}-{carrier}" for kind in LINES for carrier in CARRIERS]
        for i in range(len(names)):
            deliver(server, self.account.name, subject=f"flag-{i}")
        emails = self.api.emails()
        assert len(emails) == len(names)
        aid = self.api.account_id
        self.watchers = self.watch(fault.states(self.api))
        self.senders = [Sender(server, self.ledger, f"s{i}", self.account.name)
                        for i in range(SENDERS)]
        self.clients = [Client(server, self.ledger, self.account, self.api, n,
                               e) for n, e in zip(names, emails)]
        self.readers = [Reader(server, self.ledger, self.account, aid)]
        self.all = self.senders + self.clients + self.readers
        for w in self.all:
            w.start()

    def watch(self, base):
        """Of each carrier one that watches all types, and some that do not."""
        def one(make, carrier, types=None):
            return make(self.server, self.account, self.api.account_id, base,
                        types, carrier=carrier)
        both = (fault.Watcher, fault.SourceWatcher)
        return [one(make, c) for c in CARRIERS for make in both] + [
            one(make, "plain", [t]) for make, t in zip(
                both, ("Email", "Mailbox"))]

    def check_alive(self):
        for w in self.all:
            if w.error:
                raise w.error
        for w in self.watchers:
            assert not w.error, repr(w.error)

    def finish(self):
        self.ledger.end_all()
        for w in self.all:
            w.finish()
        self.api.close()
        self.api = HttpApi(self.server, self.account)

    @contextlib.contextmanager
    def quiet(self):
        """Nobody writes or reads, and nobody's connection is on its way."""
        with self.ledger.pause():
            harness.wait_for("all are at rest", lambda: all(
                w.resting or w.error for w in self.all))
            self.check_alive()
            newest = self.newest()
            for w in self.watchers:
                w.wait_told({t: newest[t] for t in w.types or newest})
            yield

    def newest(self):
        api = HttpApi(self.server, self.account)
        try:
            return fault.states(api)
        finally:
            api.close()

    def check_writes(self):
        got = Counter(s for s in fault.subjects(self.api)
                      if not s.startswith("flag-"))
        want = {f"mark-{s.who}-{n}" for s in self.senders
                for n in range(s.stored)}
        maybe = set()
        for c in self.clients:
            assert c.drafts["known"]
            want |= {f"draft-{c.who}-{n}" for n in c.drafts["known"]}
            maybe |= {f"draft-{c.who}-{n}" for n in c.drafts[UNKNOWN]}
        assert not [s for s in got if got[s] > 1], "there twice"
        assert not want - set(got), "acknowledged and not there"
        assert not set(got) - want - maybe, "nobody knows of it"
        emails = self.api.call("Email/get", {
            "ids": [c.email for c in self.clients],
            "properties": ["keywords"]})["list"]
        keywords = {e["id"]: set(e["keywords"]) for e in emails}
        for c in self.clients:
            assert c.flags > 0
            assert keywords[c.email] == {f"k{c.flags}"}, (c.flags, keywords)

    def check_watchers(self):
        newest = fault.states(self.api)
        for w in self.watchers:
            w.wait_told({t: newest[t] for t in w.types or newest})


class Killer:
    """Kills that count."""

    def __init__(self, scene):
        self.scene = scene
        self.server = scene.server
        self.counted = Counter()
        self.fewest = 1000
        self.retried = 0
        self.short = Counter()

    def settled(self, who):
        """Who keeps dying within a second waits before it is started again: so
        every third life is longer."""
        self.short[who] = (self.short[who] + 1) % 3
        return fault.wait_settled(self.server, *who,
                                  uptime=int(self.short[who] == 0))

    def once(self, victims):
        old = {who: self.settled(who) for who in victims}
        under_way = self.scene.ledger.kill(*old.values())
        for who, pid in old.items():
            fault.up_again(self.server, *who, pid)
        unanswered = self.scene.ledger.unanswered(under_way)
        self.scene.check_alive()
        # A worker's counters go with it: look after each death.
        self.retried = max(self.retried, sum(
            r["metrics"]["calls-retried"] for r in fault.roles(self.server)
            if r["role"] == "worker"))
        return unanswered

    def kill(self, name):
        """At another try another worker: all writers may be with the other."""
        for n in range(self.counted[name], self.counted[name] + 30):
            victims = {"store": [STORE], "worker": [("worker", n % 2)],
                       "both": [STORE, ("worker", n % 2)]}[name]
            unanswered = self.once(victims)
            if unanswered:
                self.counted[name] += 1
                self.fewest = min(self.fewest, unanswered)
                return
        raise AssertionError("every kill came after the answers")


STORE = ("store", 0)


class Health(proc.Health):
    """Of those that live on while others die, in a pause of the load."""

    def __init__(self, scene, pids, growth=proc.MORE):
        self.scene = scene
        with scene.quiet():
            super().__init__(scene.server, dict.fromkeys(pids, growth))

    def check(self):
        with self.scene.quiet():
            super().check()


def all_kills(scene):
    """First each in turn; then only workers, and the store lives on; then the
    other way round."""
    killer = Killer(scene)
    for name in ["worker", "store"] * 11 + ["both"] * 4:
        killer.kill(name)
    master = Health(scene, [scene.server.proc.pid])
    store = Health(scene, scene.server.pids("store"), proc.CACHES)
    for _ in range(37):
        killer.kill("worker")
    store.check()
    workers = Health(scene, scene.server.pids("worker"))
    for _ in range(37):
        killer.kill("store")
    workers.check()
    master.check()
    return killer


@pytest.fixture(scope="module")
def ended():
    """All kills, and what is there afterwards: one story, looked at by several
    tests."""
    with harness.Server(allow_deaths=True, ws_throttle=50,
                        event_source_throttle=50,
                        log_level="info") as server:
        scene = Scene(server)
        scene.killer = all_kills(scene)
        scene.finish()
        yield scene


def test_each_kill_falls_on_an_unanswered_write(ended):
    assert ended.killer.counted == {"store": 48, "worker": 48, "both": 4}
    assert ended.killer.fewest >= 1
    assert sum(s.again for s in ended.senders) > 0
    assert sum(c.again for c in ended.clients) > 0
    assert any(c.drafts[UNKNOWN] for c in ended.clients)


def test_acknowledged_writes_are_there_once(ended):
    ended.check_writes()


def test_reads_are_asked_again(ended):
    """Each got an answer, none 503 (the reader looks)."""
    assert ended.readers[0].reads > 0
    assert ended.killer.retried > 0


def test_clients_of_every_carrier_end_with_the_newest_state(ended):
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
        assert len(w.history.heard) > 20
        w.history.check(log, w.types)
