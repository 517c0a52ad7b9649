"""A worker that is not what it was (test/fault/hostile): what it does to the store, to
the master and to the other workers' clients is nothing. A lie in a ring or on the
control line ends it; the first worker is a real one, and serves all the while."""

import http.client
import os
import re
import signal

import pytest

import fault
import harness
from harness import wait_for
from jmap import HttpApi
from raw import Closed, Raw

HOSTILE = os.path.join(harness.BUILD, "fault", "hostile")
WORKERS = 4  # the first is real
MB = 1 << 20
LINES = r".*broke the rules of its ring.*\n"


class Server(harness.Server):
    def check_log(self):
        bad = harness.BAD_LOG.search(re.sub(LINES, "", self.log()))
        assert not bad, f"the log says: {bad.group(0)}"


def of_the_first(make):
    """The others close what the kernel gives them."""
    for _ in range(200):
        try:
            return make()
        except (Closed, ConnectionError, http.client.HTTPException):
            pass
    raise AssertionError("no connection to the first worker")


def deliver(server, account, subject):
    sender = fault.Lmtp(server)
    data = fault.numbered(subject, 0)
    codes = (sender.attempt(account.name, data) for _ in range(200))
    assert next(c for c in codes if c) == 250
    sender.close()


class Others:
    """Clients of the first worker: their account is nobody else's business."""

    def __init__(self, server):
        self.server = server
        self.account = server.add_account()
        deliver(server, self.account, "first")
        self.api = of_the_first(lambda: HttpApi(server, self.account))
        self.email, = self.api.emails()
        self.number = fault.account_number(server, self.account.name)
        self.watcher = fault.Watcher(server, self.account,
                                     self.api.account_id,
                                     fault.states(self.api))
        self.n = 0
        self.store = fault.role(server, "store")["pid"]
        self.worker = fault.role(server, "worker")["pid"]

    def go_on(self):
        """A change, and who watches is told of it; on the old connections."""
        self.n += 1
        self.api.set_keyword(self.email, f"k{self.n % 8}", self.n % 16 < 8)
        self.watcher.wait_told(fault.states(self.api))
        assert self.watcher.connections == 1

    def check(self):
        self.go_on()
        deliver(self.server, self.account, f"m{self.n}")
        self.watcher.wait_told(fault.states(self.api))
        assert fault.role(self.server, "store")["pid"] == self.store
        assert fault.role(self.server, "worker")["pid"] == self.worker

    def close(self):
        self.watcher.stop()
        self.api.close()


class Hostile:
    """One life of such a worker."""

    def __init__(self, server, index):
        self.server = server
        self.index = index
        self.pid = fault.role(server, "worker", index)["pid"]
        if self.has_done():  # in the life before
            os.unlink(self.path("did"))

    def path(self, what):
        return os.path.join(self.server.options["run-dir"],
                            f"{what}.{self.index}")

    def order(self, *words):
        with open(self.path("new"), "w", encoding="ascii") as f:
            f.write(" ".join(str(w) for w in words))
        os.rename(self.path("new"), self.path("attack"))

    def has_done(self):
        return os.path.exists(self.path("did"))

    def did(self):
        """What came of it: words, after "done"."""
        wait_for("it is done", self.has_done)
        with open(self.path("did"), encoding="ascii") as f:
            words = f.read().split()
        os.unlink(self.path("did"))
        assert words[0] == "done"
        return words[1:]

    def run(self, *words):
        self.order(*words)
        return self.did()

    def killed(self):
        """Why the master killed it, or None."""
        said = re.search(f"killed role=worker index={self.index} "
                         f"pid={self.pid}: (.*)", self.server.log())
        return said and said.group(1)

    def wait_killed(self):
        return wait_for("it is killed", self.killed)

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        wait_for("its death", lambda: f"died role=worker index={self.index} "
                 f"pid={self.pid}" in self.server.log())


class World:
    def __init__(self, server):
        self.server = server
        self.others = Others(server)
        self.account = server.add_account()  # of whoever has the worker
        self.number = fault.account_number(server, self.account.name)
        self.next = 0

    def hostile(self):
        """One that lives for a second: dying sooner is 'keeps dying'."""
        self.next = self.next % (WORKERS - 1) + 1
        fault.wait_settled(self.server, "worker", self.next)
        return Hostile(self.server, self.next)

    def rss(self):
        with open(f"/proc/{self.others.store}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def world():
    assert os.path.exists(HOSTILE), "make BUILD=... fault-programs"
    with pytest.MonkeyPatch.context() as m:
        m.setenv("JMAPD_EXE", HOSTILE)
        m.setenv("HOSTILE_REAL", harness.JMAPD)
        server = Server(allow_deaths=True, worker_pool_size=WORKERS,
                        log_level="info", ws_throttle=20)
    with server:
        w = World(server)
        yield w
        w.others.close()


# ---- lies in the rings -----------------------------------------------------------

LIES = ["garbage", "tail-odd", "tail-beyond", "tail-back", "length-zero",
        "length-huge", "length-past-tail", "filler", "type-unknown",
        "type-of-the-store", "head-short", "head-long", "call-zero",
        "call-twice", "kind-zero", "kind-unknown", "end-early", "body-long",
        "end-twice", "body-after-end", "seen-no-delivery", "credit-overflow",
        "reply-head", "punch", "deaf", "calls-without-end"]


@pytest.mark.parametrize("lie", [*LIES, "upload-beyond-its-window",
                                 "change-head"])
def test_a_lie_ends_it(world, lie):
    hostile = world.hostile()
    hostile.order(lie, world.account.token)
    assert hostile.wait_killed() == "it broke the rules of its ring"
    world.others.check()


def test_lengths_that_change_while_they_are_read(world):
    hostile = world.hostile()
    hostile.order("change-lengths", 1500)
    while not hostile.has_done():
        world.others.go_on()
    rounds, = hostile.did()
    assert int(rounds) > 0
    # Whatever was read was well-formed.
    assert not hostile.killed()
    world.others.check()


def test_memory_that_changes_all_the_time(world):
    for _ in range(WORKERS - 1):
        hostile = world.hostile()
        hostile.order("change-all", 20000)
        assert hostile.wait_killed() == "it broke the rules of its ring"
    world.others.check()


# ---- what it has no right to -----------------------------------------------------

TRUE = ["session=200", "api=200", "ws=200", "upload=201", "download=404"]
FALSE = ["session=401", "api=401", "ws=401", "upload=401", "download=401"]


def hears(hostile, whom):
    return str(whom.number) in hostile.run("notices")


def test_a_login_is_good_for_its_account(world):
    hostile = world.hostile()
    handle, = hostile.run("login", world.account.token)
    assert hostile.run("claim", handle) == TRUE
    wait_for("its baseline", lambda: hears(hostile, world))
    world.others.check()
    assert not hears(hostile, world.others)


def test_forged_logins_are_refused(world):
    hostile = world.hostile()
    assert hostile.run("forge", world.account.token,
                       world.others.number) == 6 * FALSE
    assert not hears(hostile, world.others)
    world.others.check()  # a change of which it may not hear
    assert not hears(hostile, world.others)
    assert not hostile.killed()


def test_a_login_ends_with_the_credentials(world):
    account = world.server.add_account(password="before")
    hostile = world.hostile()
    handle, = hostile.run("login", account.token)
    assert hostile.run("claim", handle) == TRUE
    world.server.ctl_ok("account", "passwd", account.name,
                        "--password-stdin", stdin="after\n")
    assert hostile.run("claim", handle) == FALSE


def test_a_login_ends_with_the_life_that_it_was_given_to(world):
    hostile = world.hostile()
    handle, = hostile.run("login", world.account.token)
    sibling = world.hostile()
    assert sibling.run("claim", handle) == FALSE
    hostile.end()
    fault.wait_settled(world.server, "worker", hostile.index, hostile.pid, 0)
    later = Hostile(world.server, hostile.index)
    assert later.run("claim", handle) == FALSE


def test_nobody_else_is_unwatched(world):
    hostile = world.hostile()
    hostile.run("unwatch", world.others.number)
    assert not hears(hostile, world.others)
    world.others.check()


def test_calls_that_nobody_knows(world):
    hostile = world.hostile()
    assert hostile.run("unknown") == ["rcpt=550"]
    world.others.check()


# ---- what is shared --------------------------------------------------------------


def test_memory_that_is_to_be_cut(world):
    hostile = world.hostile()
    got = dict(w.split("=") for w in hostile.run("truncate"))
    assert got.pop("collapse") != "ok"
    assert got == {"truncate": "EPERM", "grow": "EPERM", "allocate": "EPERM",
                   "seal": "EPERM", "seal-write": "EPERM"}
    world.others.check()


@pytest.mark.parametrize("what", ["flags", "close-bells"])
def test_bells_that_may_block(world, what):
    hostile = world.hostile()
    handle, = hostile.run("login", world.account.token)
    hostile.run("claim", handle)  # it watches: it has to be woken
    done = dict(w.split("=") for w in hostile.run(what))
    # Another user's pipe is not opened a second time.
    assert {done.pop("full", "ok"), done.pop("empty", "ok")} in (
        {"ok"}, {"EACCES"})
    assert set(done.values()) <= {"ok"}
    api = of_the_first(lambda: HttpApi(world.server, world.account))
    for i in range(3):  # each rings it
        api.call("Mailbox/set", {"update": {
            api.mailboxes()["inbox"]: {"sortOrder": i + 1}}})
        world.others.go_on()
    api.close()
    world.others.check()
    fault.rests(world.others.store)
    fault.rests(world.server.proc.pid)
    assert not hostile.killed()
    hostile.end()
    world.others.check()


def healthy(server):
    def get():
        with Raw(server.http) as c:
            return c.get("/healthz").status
    return of_the_first(get) == 200


def test_listening_sockets_that_may_block(world):
    hostile = world.hostile()
    assert set(hostile.run("doors-block")) == {"door=ok"}
    for _ in range(8):
        assert healthy(world.server)
        world.others.go_on()
    world.others.check()


def test_listening_sockets_that_are_shut(world):
    hostile = world.hostile()
    doors = len(world.server.options["listen"])
    assert set(hostile.run("doors-shut")) == {"door=ok"}
    wait_for("they are open again", lambda: world.server.log().count(
        "was shut down, opened anew") == doors)
    for _ in range(8):
        assert healthy(world.server)
    world.others.check()
    fault.rests(world.others.worker)
    hostile.end()


# ---- floods ----------------------------------------------------------------------


@pytest.mark.parametrize("flood", ["small-calls", "recipients", "unwatches",
                                   "rings"])
def test_others_are_served_in_a_flood(world, flood):
    whom = {"unwatches": world.others.number}.get(flood,
                                                  "nobody@example.org")
    before = world.rss()
    hostile = world.hostile()
    hostile.order(flood, 1000, whom)
    while not hostile.has_done():
        world.others.go_on()
    hostile.did()
    assert not hostile.killed()
    assert world.rss() - before < 150 * MB
    world.others.check()


def test_a_call_of_300_mb(world):
    before = world.rss()
    hostile = world.hostile()
    assert hostile.run("big-call", 300) == ["said=413", "unsaid=413"]
    assert world.rss() - before < 100 * MB
    world.others.check()


def test_bodies_that_do_not_end(world):
    before = world.rss()
    hostile = world.hostile()
    assert hostile.run("bodies", 800) == ["rcpt=550"]
    assert world.rss() - before < 400 * MB
    # There is room for others.
    answer = world.others.api.call("Core/echo", {"x": "y" * 4 * MB},
                                   account=False)
    assert len(answer["x"]) == 4 * MB
    world.others.check()
    hostile.end()


def spools(server):
    return os.listdir(os.path.join(fault.data_dir(server), "uploads"))


def test_uploads_that_do_not_end(world):
    hostile = world.hostile()
    assert hostile.run("uploads", 100, world.account.token) == ["rcpt=550"]
    wait_for("they are there", lambda: spools(world.server))
    world.others.check()
    hostile.end()
    wait_for("nothing is left of them", lambda: not spools(world.server))


def upload(api, data):
    api.conn.request("POST", f"/jmap/upload/{api.account_id}/", body=data,
                     headers={**api.headers, "Content-Type": "x/y"})
    r = api.conn.getresponse()
    text = r.read()
    assert r.status == 201, (r.status, text)
    return text


def test_downloads_and_answers_that_are_not_taken(world):
    api = of_the_first(lambda: HttpApi(world.server, world.account))
    blob = re.search(r'"blobId":"([^"]+)"',
                     upload(api, os.urandom(2 * MB)).decode()).group(1)
    before = world.rss()
    hostile = world.hostile()
    hostile.run("downloads", 5000, world.account.token, blob)
    world.others.check()
    hostile.run("answers", 50, 8192, world.account.token)
    wait_for("it is enough", lambda:
             "leaves its answers here" in world.server.log())
    assert world.rss() - before < 500 * MB
    status, got = api.get(f"/jmap/download/{api.account_id}/{blob}/f")
    assert status == 200 and len(got) == 2 * MB
    api.close()
    world.others.check()
    hostile.end()


# ---- the control line ------------------------------------------------------------

NOT_ITS = "what it said is not for it to say"


@pytest.mark.parametrize("word, why", [
    ("pongs", NOT_ITS), ("ready-again", NOT_ITS), ("type-not-known", NOT_ITS),
    ("accuse", NOT_ITS), ("answer-admin", NOT_ITS),
    ("descriptors", NOT_ITS), ("short-packet", "a control packet of 3 bytes"),
    ("giant-packet", "packet: too long")])
def test_what_it_tells_the_master_ends_it(world, word, why):
    hostile = world.hostile()
    hostile.order(word)
    assert hostile.wait_killed() == why
    world.others.check()
