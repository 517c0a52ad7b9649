"""Many clients' load on one server, and what must be there afterwards: for tests in
which the disk fails or the power is cut.

Everything that is asked for is written down with the place of the disk's journal
(disk.py) at which it was acknowledged. What was refused must not have happened, what
ended without an answer may have; whatever is there is whole, and there once. A
delivery that was put off is tried again until it is taken."""

import itertools
import os
import random
import sqlite3
import threading

import blob
import disk
import fault
import harness
from blob import Blobs, noise
from fault import modseq
from harness import Account, wait_for
from jmap import HttpApi, WsApi
from mail import deliver
from raw import Raw

SIZES = [(300, 10), (9_000, 4), (90_000, 3)]  # of bodies, and how often
UPLOADS = [1_000, 70_000, 400_000]
WORD = "everywhere"
END = 1 << 62  # behind all journals


class Said:
    """What was asked for, and where the journal was when it was acknowledged."""

    def __init__(self, what):
        self.what = what
        self.at = None
        self.refused = False

    def before(self, cut):
        return self.at is not None and self.at <= cut


class World:
    """All that was asked of one server, by several threads. trouble: requests may
    fail; else that is an error."""

    def __init__(self, server, **rest):
        self.server = server
        self.trouble = False
        self.lock = threading.Lock()
        self.account = server.add_account("main@example.org")
        self.accounts = [self.say([], self.account)]
        self.done(self.accounts[0])
        self.messages = {}  # by subject
        self.keywords = {}  # by subject: what it was given, in order
        self.gone = {}      # by subject: it was destroyed
        self.uploads = []
        self.told = []
        self.drafts = None  # a mailbox
        self.rest = rest    # how many of each are to be made
        self.numbers = itertools.count(1)

    def more(self, **rest):
        self.rest = rest

    def say(self, where, what):
        said = Said(what)
        where.append(said)
        return said

    def done(self, said):
        said.at = self.server.now()

    def may_fail(self, why):
        assert self.trouble, why

    def take(self, what):
        """A number that nobody had, as long as there are some left."""
        with self.lock:
            if self.rest.get(what, 0) <= 0:
                return 0
            self.rest[what] -= 1
            return next(self.numbers)

    def heard(self, states):
        at = self.server.now()
        with self.lock:
            self.told += [(at, t, s) for t, s in states.items()]

    def load(self, begin=lambda: None):
        """Until all has been made. begin() is called when all are connected."""
        ws, over = WsApi(self.server, self.account), threading.Event()
        ws.enable()
        apis = [HttpApi(self.server, self.account) for _ in range(2)]
        self.drafts = apis[0].mailboxes()["drafts"]
        blobs = Blobs(self.server, self.account)
        begin()
        listener = threading.Thread(target=listen, args=(self, ws, over),
                                    daemon=True)
        listener.start()
        try:
            run(*[lambda who=i: send(self, who) for i in range(3)],
                lambda: change(self, apis[0]), lambda: draft(self, apis[1]),
                lambda: upload(self, blobs), lambda: more_accounts(self))
        finally:
            over.set()
            listener.join()
            for c in (ws, blobs, *apis):
                c.close()


def run(*jobs):
    errors = []

    def guarded(job):
        try:
            job()
        except BaseException as e:  # noqa: B036 the test looks at it
            errors.append(e)
    threads = [threading.Thread(target=guarded, args=(j,), daemon=True)
               for j in jobs]
    for t in threads:
        t.start()
    for t in threads:
        t.join(2 * harness.DEADLINE)
        assert not t.is_alive()
    if errors:
        raise errors[0]


# ---- the clients -----------------------------------------------------------------


def body_of(n, coin):
    size, = coin.choices([s for s, _ in SIZES], [k for _, k in SIZES])
    line = f"word{n} {WORD} " + "x" * 50 + "\r\n"
    return line * (size // len(line) + 1)


def send(world, who):
    coin = random.Random(who)
    sender = fault.Lmtp(world.server)
    while n := world.take("deliveries"):
        data = fault.numbered("cut", n, body_of(n, coin))
        said = world.messages[f"mark-cut-{n}"] = Said(data)
        send_one(world, sender, said)
    sender.close()


def send_one(world, sender, said):
    def taken():
        code = sender.attempt(world.account.name, said.what)
        if code != 250:
            world.may_fail(code)
            assert code in (451, 452), code
        return code == 250
    wait_for("a message is taken", taken)
    world.done(said)


def ask(world, api, name, args):
    """The answer of one method; None: nobody knows; "refused": it was not done."""
    answer = api.request([[name, {"accountId": api.account_id, **args}, "c"]])
    if "methodResponses" not in answer:
        world.may_fail(answer)
        assert answer["status"] == 503, answer
        return None
    (got, answer, _), = answer["methodResponses"]
    if got == "error":
        world.may_fail(answer)
        assert answer["type"] in ("serverFail", "serverUnavailable"), answer
        return "refused"
    return answer


def change_one(world, api, said, how):
    """An Email/set whose outcome is written down."""
    answer = ask(world, api, "Email/set", how)
    if isinstance(answer, dict):
        assert any(answer[k] for k in ("created", "updated", "destroyed")), (
            answer)
        world.done(said)
        world.heard({"Email": answer["newState"]})
    said.refused = answer == "refused"


def one_email(world, api, coin):
    """(id, subject) of one, or None."""
    got = ask(world, api, "Email/query", {"limit": 1, "position": coin.randrange(
        max(1, sum(m.at is not None for m in list(
            world.messages.values())) - 9))})
    if not isinstance(got, dict) or not got["ids"]:
        return None
    got = ask(world, api, "Email/get", {"ids": got["ids"],
                                        "properties": ["subject"]})
    if not isinstance(got, dict) or not got["list"]:
        return None
    return got["list"][0]["id"], got["list"][0]["subject"]


def change(world, api):
    """One after the other gets its next keyword; now and then one is destroyed."""
    coin = random.Random("change")
    while n := world.take("changes"):
        one, subject = wait_for("mail", lambda: one_email(world, api, coin))
        if n % 10 == 0:
            said = world.say(world.gone.setdefault(subject, []), None)
            how = {"destroy": [one]}
        else:
            said = world.say(world.keywords.setdefault(subject, []), f"k{n}")
            how = {"update": {one: {"keywords": {f"k{n}": True}}}}
        change_one(world, api, said, how)


def draft(world, api):
    box = world.drafts
    while n := world.take("drafts"):
        said = world.messages[f"draft-{n}"] = Said(None)
        change_one(world, api, said, {"create": {"d": {
            "mailboxIds": {box: True}, "keywords": {"$draft": True},
            "subject": f"draft-{n}", "textBody": [{"partId": "t"}],
            "bodyValues": {"t": {"value": f"{WORD} draft{n}"}}}}})


def upload(world, c):
    while n := world.take("uploads"):
        said = world.say(world.uploads, noise(UPLOADS[n % len(UPLOADS)]))
        r = c.post(said.what)
        if r.status == 201:
            world.done(said)
            continue
        world.may_fail(r.status)
        assert r.status in (503, 507), r.status
        c.close()
        Raw.__init__(c, world.server.http)  # it knows who it is


def more_accounts(world):
    ctl = world.server.ctl
    while n := world.take("accounts"):
        name = f"more{n}@example.org"
        said = world.say(world.accounts, name)
        p = ctl("account", "add", name, "--no-password")
        said.refused = p.returncode != 0
        if said.refused:
            world.may_fail(p.stderr)
            continue
        world.done(said)
        wait_for("a token", lambda name=name, said=said: give_token(
            world, said, name))


def give_token(world, said, name):
    p = world.server.ctl("account", "token", name, "--name", "test")
    if p.returncode:
        world.may_fail(p.stderr)
        # It may be there, and nobody knows it.
        world.server.ctl("account", "revoke", name, "test")
        return False
    said.what = Account(name, None, p.stdout.strip())
    world.done(said)
    return True


def listen(world, ws, over):
    while not over.is_set():
        if ws.pushes():
            world.heard(ws.change()[0])
        over.wait(0.005)


# ---- what is there ---------------------------------------------------------------


def all_emails(api):
    found = []
    while True:
        ids = api.call("Email/query", {"position": len(found),
                                       "limit": 500})["ids"]
        if not ids:
            return found
        found += api.call("Email/get", {"ids": ids, "properties": [
            "subject", "blobId", "size", "keywords", "mailboxIds",
            "threadId"]})["list"]


def by_subject(api):
    found = {}
    for e in all_emails(api):
        assert e["subject"] not in found, f"twice: {e['subject']}"
        found[e["subject"]] = e
    return found


def check_there(world, found, cut):
    for subject, said in world.messages.items():
        gone = world.gone.get(subject, [])
        if any(g.before(cut) for g in gone):
            assert subject not in found
        elif said.before(cut) and all(g.refused and cut == END for g in gone):
            assert subject in found, f"lost: {subject}"
        elif cut == END and said.refused:
            assert subject not in found, f"refused and there: {subject}"


def check_whole(world, blobs, found):
    for subject, said in world.messages.items():
        if subject not in found or not said.what:
            continue
        raw = blobs.download(found[subject]["blobId"]).body
        assert raw.endswith(said.what), subject
        assert len(raw) == found[subject]["size"]
        assert blob.blob_id(raw) == found[subject]["blobId"]


def check_keywords(world, found, cut):
    for subject, given in world.keywords.items():
        if subject not in found:
            continue
        sure = [i for i, k in enumerate(given) if k.before(cut)]
        may = [{k.what} for k in given[sure[-1] if sure else 0:]
               if not (k.refused and cut == END)]
        if not sure:
            may.append({"$draft"} if subject.startswith("draft") else set())
        assert set(found[subject]["keywords"]) in may, subject


def check_counters(api, found):
    for m in api.call("Mailbox/get")["list"]:
        mine = [e for e in found.values() if m["id"] in e["mailboxIds"]]
        unread = [e for e in mine
                  if not {"$seen", "$draft"} & set(e["keywords"])]
        assert m["totalEmails"] == m["totalThreads"] == len(mine), m
        assert m["unreadEmails"] == m["unreadThreads"] == len(unread), m
        assert set(api.emails(filter={"inMailbox": m["id"]}, limit=10_000)
                   ) == {e["id"] for e in mine}


def check_words(api, found):
    assert set(api.emails(filter={"text": WORD}, limit=10_000)) == {
        e["id"] for e in found.values()}
    for subject in list(found)[::40]:
        word = subject.replace("mark-cut-", "word").replace("t-", "t")
        assert api.emails(filter={"body": word}) == [found[subject]["id"]]


def check_states(world, api, cut):
    now = {t: modseq(s) for t, s in fault.states(api).items()}
    for at, t, state in world.told:
        if at <= cut and t in now:
            assert modseq(state) <= now[t], f"{t} is behind {state}"


def check_uploads(world, blobs, cut):
    for said in world.uploads:
        r = blobs.download(blob.blob_id(said.what))
        assert r.status == 200 or (r.status == 404 and not said.before(cut)), (
            r.status, len(said.what))
        assert r.status == 404 or r.body == said.what


def check_accounts(world, server, cut):
    listed = server.ctl_ok("account", "list").split()
    for said in world.accounts:
        if said.before(cut) and isinstance(said.what, Account):
            assert said.what.name in listed
            api = HttpApi(server, said.what)
            assert len(api.mailboxes()) == 6
            api.close()
        elif cut == END and said.refused:
            assert said.what not in listed


def check_all(world, server, cut):
    """On a server that runs with these data. Returns how much mail there is."""
    api = HttpApi(server, world.account)
    found = by_subject(api)
    check_there(world, found, cut)
    check_keywords(world, found, cut)
    with Blobs(server, world.account) as blobs:
        check_whole(world, blobs, found)
        check_uploads(world, blobs, cut)
    check_counters(api, found)
    check_words(api, found)
    check_states(world, api, cut)
    check_accounts(world, server, cut)
    api.close()
    return len(found)


def check_databases(folder):
    """Of a server that is stopped."""
    for at, _, files in os.walk(folder):
        for name in files:
            if name.endswith(".db"):
                db = sqlite3.connect(os.path.join(at, name))
                assert db.execute("PRAGMA integrity_check").fetchall() == [
                    ("ok",)], name
                db.close()


def check_image(world, cut, write, kind, coin):
    """A server of its own on what write() makes (disk.images()). kind: what is
    left of what was not synced: False, True, or how much of it."""
    server = harness.Server(start=False, log_level="info", worker_pool_size=1)
    try:
        data = server.options["data-dir"]
        write(data, kind if isinstance(kind, bool)
              else lambda: coin.random() < kind)
        disk.give_away(data)
        with server.start():
            n = check_all(world, server, cut)
            deliver(server, world.account.name)  # and it goes on
            server.stop()
            check_databases(data)
    finally:
        server.remove()
    return n
