"""Random operations on one account, and on a model of it (test/lib/model.py).

After every few of them the account must be what the model says: Emails, threads
(RFC 8621 3), counts (RFC 8621 2), lists (RFC 8621 4.4); and whoever knew it at an
earlier time must come by /changes in steps of any size (RFC 8620 5.2), and by
/queryChanges (RFC 8620 5.6), to exactly what it is now.

TEST_PROPERTIES=n runs n seeds instead of a few; TEST_PROPERTIES_FROM is the first.
"""

import copy
import os
import random
import smtplib

import pytest

import jmap
import mail
from blob import Blobs
from model import COUNTS, Message, Model, matches

SEEDS = int(os.environ.get("TEST_PROPERTIES", "3"))
FIRST = int(os.environ.get("TEST_PROPERTIES_FROM", "1"))
OPERATIONS = 112
BETWEEN = 7  # operations between two looks
REMEMBERED = 8  # earlier times that are kept
STEPS = (None, 1, 2, 3, 7)  # maxChanges
CALLS = 16  # maxCallsInRequest

SUBJECTS = ["plan", "else", "third", "fourth", "fifth"]
SENDERS = ["bob", "carol"]
WORDS = ["apple", "banana", "cherry"]
KEYWORDS = ["$seen", "$draft", "$flagged", "blue"]
ROLES = ["trash", "junk", "important", "snoozed"]


# ---- the operations --------------------------------------------------------------


class World:
    """The account, its model, and the dice."""

    def __init__(self, server, seed):
        self.random = random.Random(seed)
        self.server = server
        self.account = server.add_account()
        self.api = jmap.connect(("http", "ws")[seed % 2], server, self.account)
        self.lmtp = smtplib.LMTP("127.0.0.1", server.lmtp)
        self.blobs = Blobs(server, self.account)
        self.model = Model({m["id"]: m for m in self.api.call(
            "Mailbox/get")["list"]})
        self.number = 0
        self.ids = {}  # Message-ID: id and threadId, as last seen
        self.used = {}  # id: Message-ID; none comes again
        self.known = None  # ids_now()
        self.done = []  # what was done, for the report

    def close(self):
        self.lmtp.quit()
        self.blobs.close()
        self.api.close()

    # ---- dice ----

    def some_message(self):
        return self.random.choice(list(self.model.messages.values()))

    def some_boxes(self, most=3):
        boxes = list(self.model.boxes)
        return self.random.sample(boxes, self.random.randint(
            1, min(most, len(boxes))))

    def some_keywords(self):
        """Most are read: so it matters which ones are not."""
        return [k for k in KEYWORDS if self.random.random() < (
            0.6 if k == "$seen" else 0.3)]

    def new_message(self, boxes, keywords):
        """Refers to nothing, to one, to several, or to what never came."""
        subject = self.random.choice(SUBJECTS)
        known = [m for m in self.model.messages.values()
                 if m.subject == subject]
        n = min(len(known), self.random.choice([0, 0, 0, 1, 1, 1, 2, 3]))
        refs = [m.own for m in self.random.sample(known, n)]
        if self.random.random() < 0.15:
            refs.append(f"never{self.random.randint(1, 4)}@x")
        self.number += 1
        return Message(f"{self.number}@x", refs, subject, boxes, keywords,
                       self.random.choice(WORDS), self.random.choice(SENDERS))

    def raw(self, m):
        prefix = self.random.choice(["", "Re: ", "Fwd: re: "])
        refs = {"References": " ".join(f"<{r}>" for r in m.refs)}
        return mail.message(
            subject=prefix + m.subject, sender="x@example.net", name=m.sender,
            body=f"{m.word}\r\n", Message_ID=f"<{m.own}>", X_Word=m.word,
            **(refs if m.refs else {}))

    # ---- on both sides ----

    def set(self, kind, **args):
        """A /set that refuses nothing."""
        got = self.api.call(f"{kind}/set", args)
        for k in ("notCreated", "notUpdated", "notDestroyed"):
            assert not got[k], (args, got[k])
        return got

    def deliver(self):
        m = self.new_message([self.model.box_with("inbox")], [])
        refused = self.lmtp.sendmail("x@example.net", [self.account.name],
                                     self.raw(m))
        assert not refused
        self.model.add(m)

    def create(self):
        """Drafts, some in one call."""
        made = [self.new_message(self.some_boxes(), self.some_keywords())
                for _ in range(self.random.choice([1, 1, 2, 3]))]
        got = self.set("Email", create={m.own.split("@")[0]: {
            "mailboxIds": dict.fromkeys(m.boxes, True),
            "keywords": dict.fromkeys(m.keywords, True),
            "messageId": [m.own], "references": m.refs or None,
            "subject": m.subject,
            "from": [{"name": m.sender, "email": "x@example.net"}],
            "header:X-Word": " " + m.word,
            "receivedAt": "2026-11-%02dT06:00:00Z" % self.random.randint(1, 9),
            "bodyValues": {"1": {"value": m.word}},
            "textBody": [{"partId": "1"}]} for m in made})
        for m in made:
            self.model.add(m)
        # What it says was made is there under that id (RFC 8621 3: also when one
        # of them moved another).
        ids = [e["id"] for e in got["created"].values()]
        assert len(self.api.call("Email/get", {
            "ids": ids, "properties": ["id"]})["list"]) == len(made)

    def bring_in(self):
        m = self.new_message(self.some_boxes(), self.some_keywords())
        got = self.api.call("Email/import", {"emails": {"x": {
            "blobId": self.blobs.upload(self.raw(m)),
            "mailboxIds": dict.fromkeys(m.boxes, True),
            "keywords": dict.fromkeys(m.keywords, True),
            "receivedAt": "2026-11-%02dT06:00:00Z" % self.random.randint(
                1, 9)}}})
        assert got["created"], got
        self.model.add(m)

    def flag(self):
        for m in {self.some_message() for _ in range(self.random.randint(
                1, 3))}:
            if self.random.random() < 0.5:
                k = self.random.choice([*KEYWORDS, "$seen", "$seen"])
                on = k not in m.keywords
                self.set("Email", update={self.ids_now()[m.own]: {
                    f"keywords/{k}": True if on else None}})
                m.keywords ^= {k}
            else:
                m.keywords = set(self.some_keywords())
                self.set("Email", update={self.ids_now()[m.own]: {
                    "keywords": dict.fromkeys(m.keywords, True)}})

    def throw_away(self):
        """RFC 8621 2: one Email of a thread goes to the trash, perhaps unread."""
        m, trash = self.some_message(), self.model.box_with("trash")
        if not trash:
            return
        m.boxes = {trash}
        update = {m.own: {"mailboxIds": {trash: True}}}
        for o in self.model.messages.values():
            if o.thread is m.thread:
                read = o is not m and self.random.random() < 0.8
                o.keywords = {"$seen"} if read else set()
                update.setdefault(o.own, {})["keywords"] = dict.fromkeys(
                    o.keywords, True)
        now = self.ids_now()
        self.set("Email", update={now[own]: u for own, u in update.items()})

    def move(self):
        m = self.some_message()
        box = self.random.choice(list(self.model.boxes))
        patch = {f"mailboxIds/{box}": None if box in m.boxes else True}
        if m.boxes == {box} or self.random.random() < 0.3:
            m.boxes = set(self.some_boxes())
            patch = {"mailboxIds": dict.fromkeys(m.boxes, True)}
        else:
            m.boxes ^= {box}
        self.set("Email", update={self.ids_now()[m.own]: patch})

    def destroy(self):
        doomed = {self.some_message() for _ in range(self.random.randint(
            1, 3))}
        now = self.ids_now()
        self.set("Email", destroy=[now[m.own] for m in doomed])
        for m in doomed:
            del self.model.messages[m.own]

    def box_create(self):
        if len(self.model.boxes) > 12:
            return
        parent = self.random.choice([None, *self.model.boxes])
        if parent and self.model.depth(parent) > 10:
            return
        self.number += 1
        box = {"name": f"box {self.number}", "parentId": parent,
               "sortOrder": self.random.randint(0, 3),
               "isSubscribed": self.random.random() < 0.5}
        got = self.set("Mailbox", create={"x": box})["created"]["x"]
        self.model.boxes[got["id"]] = {**box, **got}

    def box_update(self):
        box = self.random.choice(list(self.model.boxes))
        kind = self.random.choice(["name", "order", "parent", "subscribed"])
        patch = {}
        if kind == "name":
            self.number += 1
            patch["name"] = f"name {self.random.randint(0, 9)} {self.number}"
        elif kind == "order":
            patch["sortOrder"] = self.random.randint(0, 3)
        elif kind == "subscribed":
            patch["isSubscribed"] = self.random.random() < 0.5
        else:
            below = self.model.below(box)
            may = [None, *(b for b in self.model.boxes if b not in below)]
            parent = self.random.choice(may)
            if (self.model.depth(parent) + self.model.height(box) > 16 or
                    self.has_child_named(parent, box)):
                return
            patch["parentId"] = parent
        self.set("Mailbox", update={box: patch})
        self.model.boxes[box].update(patch)

    def has_child_named(self, parent, box):
        name = self.model.boxes[box]["name"]
        return any(self.model.boxes[c]["name"] == name
                   for c in self.model.children(parent))

    def box_swap(self):
        """Two siblings swap their names, or any two a role that is none's need."""
        a, b = self.random.sample(list(self.model.boxes), 2)
        one, other = self.model.boxes[a], self.model.boxes[b]
        what = "role"
        if one["parentId"] == other["parentId"] and self.random.random() < 0.5:
            what = "name"
        elif "inbox" in (one["role"], other["role"]):
            return
        self.set("Mailbox", update={a: {what: other[what]},
                                    b: {what: one[what]}})
        one[what], other[what] = other[what], one[what]

    def box_role(self):
        """One more mailbox is the trash (or has another role), or none is."""
        role = self.random.choice(ROLES)
        if not self.model.box_with("trash"):
            role = "trash"
        box = self.random.choice(list(self.model.boxes))
        old = self.model.box_with(role)
        if self.model.boxes[box]["role"] == "inbox" or box == old:
            return
        update = {box: {"role": role}}
        if old:
            update[old] = {"role": None}
        if old and self.random.random() < 0.3:
            del update[box]
        self.set("Mailbox", update=update)
        for b, patch in update.items():
            self.model.boxes[b].update(patch)

    def box_destroy(self):
        may = [i for i, b in self.model.boxes.items()
               if b["role"] != "inbox" and not self.model.children(i)]
        if len(self.model.boxes) < 5 or not may:
            return
        box = self.random.choice(may)
        self.set("Mailbox", destroy=[box], onDestroyRemoveEmails=True)
        self.model.destroy_box(box)

    WEIGHTS = {"deliver": 8, "create": 5, "bring_in": 3, "flag": 8, "move": 8, "destroy": 5,
               "throw_away": 3, "box_create": 2, "box_update": 3, "box_swap": 2, "box_role": 2,
               "box_destroy": 1}
    NEEDS_MAIL = ("flag", "move", "destroy", "throw_away")

    def step(self):
        name, = self.random.choices(list(self.WEIGHTS),
                                    list(self.WEIGHTS.values()))
        if name in self.NEEDS_MAIL and not self.model.messages:
            name = "deliver"
        self.done.append(name)
        if name in ("deliver", "create", "bring_in"):
            self.known = None
        getattr(self, name)()

    # ---- the account, as it is ----

    def ids_now(self):
        """By Message-ID; what came last may have moved some."""
        if not self.known:
            self.known = {e["messageId"][0]: e["id"]
                          for e in self.emails().values()}
        return self.known

    def emails(self):
        """All of them, by id."""
        (_, q, _), (_, got, _) = self.api.calls(
            ["Email/query", {"accountId": self.api.account_id}, "0"],
            ["Email/get", {"accountId": self.api.account_id, "#ids": {
                "resultOf": "0", "name": "Email/query", "path": "/ids"},
                "properties": ["id", "threadId", "mailboxIds", "keywords",
                               "messageId", "receivedAt", "size"]}, "1"])
        assert len(got["list"]) == len(q["ids"]) and not got["notFound"]
        return {e["id"]: e for e in got["list"]}

    def everything(self):
        def by_id(kind):
            return {o["id"]: o for o in self.api.call(
                f"{kind}/get", {"ids": None})["list"]}
        return {"Email": self.emails(), "Thread": by_id("Thread"),
                "Mailbox": by_id("Mailbox")}


# ---- is it what the model says? --------------------------------------------------


def check_emails(world, emails):
    model = world.model
    assert len(emails) == len(model.messages)
    threads = {}
    for e in emails.values():
        own = e["messageId"][0]
        m = model.messages[own]
        assert set(e["mailboxIds"]) == m.boxes
        assert set(e["keywords"]) == m.keywords
        threads.setdefault(e["threadId"], set()).add(own)
        # RFC 8621 4.1.1: threadId never changes, and no id is used again.
        assert world.used.setdefault(e["id"], own) == own
        was = world.ids.get(own)
        assert not was or was[0] != e["id"] or was[1] == e["threadId"]
        world.ids[own] = e["id"], e["threadId"]
    assert sorted(map(sorted, threads.values())) == sorted(
        map(sorted, model.threads().values()))


def number_of(id_):
    """Ids are numbers in base 32 behind a letter: later ones are higher."""
    return (len(id_), id_)


def check_threads(threads, emails):
    want = {}
    for e in sorted(emails.values(), key=lambda e: (
            e["receivedAt"], number_of(e["id"]))):
        want.setdefault(e["threadId"], []).append(e["id"])
    assert {t["id"]: t["emailIds"] for t in threads.values()}.keys() == (
        want.keys())
    for t in threads.values():
        assert sorted(t["emailIds"]) == sorted(want[t["id"]])
        times = [emails[i]["receivedAt"] for i in t["emailIds"]]
        assert times == sorted(times)


def check_mailboxes(model, mailboxes):
    assert mailboxes.keys() == model.boxes.keys()
    for i, m in mailboxes.items():
        assert {k: m[k] for k in COUNTS} == model.counts(i), m["name"]
        for k in ("name", "parentId", "role", "sortOrder", "isSubscribed"):
            assert m[k] == model.boxes[i][k]


# ---- /changes from an earlier time -----------------------------------------------


def pages(api, kind, since, most):
    """All pages from since on; a request asks for as many as it may."""
    while True:
        calls = []
        for n in range(CALLS):
            args = {"accountId": api.account_id, "maxChanges": most,
                    "sinceState": since}
            if n:
                del args["sinceState"]
                args["#sinceState"] = {"resultOf": str(n - 1), "name":
                                       f"{kind}/changes", "path": "/newState"}
            calls.append([f"{kind}/changes", args, str(n)])
            if most is None or most > 3:
                break
        for name, got, _ in api.calls(*calls):
            assert name == f"{kind}/changes", got
            yield got
            since = got["newState"]
            if not got["hasMoreChanges"]:
                return


def fold(api, kind, then, since, now, end, most):
    """A client's copy follows; what it was not told must not have changed."""
    known, fetch = set(then), set()
    only_counts = {}
    state = since
    for got in pages(api, kind, since, most):
        told = got["created"] + got["updated"] + got["destroyed"]
        assert len(told) == len(set(told))
        assert most is None or len(told) <= most
        assert told or not got["hasMoreChanges"]
        assert got["oldState"] == state
        state = got["newState"]
        assert not known & set(got["created"])
        assert known >= set(got["updated"]) | set(got["destroyed"])
        known = (known | set(got["created"])) - set(got["destroyed"])
        fetch |= set(got["created"]) | set(got["updated"])
        fetch -= set(got["destroyed"])
        for i in got["updated"]:
            only_counts[i] = (only_counts.get(i, True) and
                              got.get("updatedProperties") is not None)
    assert known == set(now)
    assert state == end
    for i in known - fetch:
        assert then[i] == now[i]
    for i, only in only_counts.items():
        if only and kind == "Mailbox" and i in known and i in then:
            assert {k: v for k, v in then[i].items() if k not in COUNTS} == {
                k: v for k, v in now[i].items() if k not in COUNTS}


# ---- lists, and /queryChanges ----------------------------------------------------


def up(name, **more):
    return {"property": name, **more}


def down(name, **more):
    return {"property": name, "isAscending": False, **more}


def email_lists(inbox, trash):
    """(filter, sort) of Email/query."""
    newest = [down("receivedAt")]
    return [
        (None, newest), (None, [up("receivedAt")]),
        ({"inMailbox": inbox}, newest), ({"inMailbox": inbox}, None),
        ({"inMailbox": trash}, [up("size"), up("receivedAt")]),
        ({"inMailboxOtherThan": [inbox, trash]}, newest),
        ({"hasKeyword": "$seen"}, newest), ({"notKeyword": "$draft"}, [
            up("subject"), down("receivedAt")]),
        ({"allInThreadHaveKeyword": "$seen"}, newest),
        ({"someInThreadHaveKeyword": "blue"}, newest),
        ({"noneInThreadHaveKeyword": "$flagged"}, newest),
        ({"text": "apple"}, newest), ({"body": "banana"}, [up("from")]),
        ({"subject": "plan", "inMailbox": inbox}, [down("sentAt")]),
        ({"from": "carol"}, newest), ({"header": ["X-Word", "cherry"]}, newest),
        (None, [up("hasKeyword", keyword="$flagged"), down("receivedAt")]),
        (None, [down("someInThreadHaveKeyword", keyword="blue"), up("size")]),
        (None, [down("allInThreadHaveKeyword", keyword="$seen")]),
        ({"operator": "AND", "conditions": [
            {"inMailbox": inbox}, {"operator": "NOT", "conditions": [
                {"hasKeyword": "$seen"}, {"text": "apple"}]}]}, newest),
        ({"operator": "OR", "conditions": [
            {"inMailbox": trash}, {"subject": "else"}]}, [up("from"), up("to")]),
    ]


def mailbox_lists():
    """Arguments of Mailbox/query."""
    return [
        {}, {"sort": [down("name")]}, {"filter": {"name": "box"}},
        {"filter": {"isSubscribed": True}, "sort": [down("sortOrder"),
                                                    up("name")]},
        {"filter": {"parentId": None}}, {"filter": {"hasAnyRole": False}},
        {"filter": {"role": "trash"}},
        {"sort": [up("name")], "sortAsTree": True},
        {"filter": {"isSubscribed": True}, "filterAsTree": True},
        {"filter": {"hasAnyRole": False}, "sortAsTree": True,
         "filterAsTree": True}]


def lists_of(world):
    """All queries: (kind, arguments), in the same order at any time."""
    roles = world.first_roles
    found = [("Mailbox", args) for args in mailbox_lists()]
    for filter_, sort in email_lists(roles["inbox"], roles["trash"]):
        for collapse in (False, True):
            args = {"sort": sort, "collapseThreads": collapse}
            if filter_:
                args["filter"] = filter_
            found.append(("Email", args))
    return found


def in_batches(api, calls):
    """[(name, args)] as few requests; the answers."""
    answers = []
    for i in range(0, len(calls), CALLS):
        batch = [[name, {"accountId": api.account_id, **args}, str(n)]
                 for n, (name, args) in enumerate(calls[i:i + CALLS])]
        answers += [(name, got) for name, got, _ in api.calls(*batch)]
    return answers


def run_lists(world):
    """[(ids, queryState)] of lists_of()."""
    answers = in_batches(world.api, [
        (f"{kind}/query", {**args, "calculateTotal": True})
        for kind, args in lists_of(world)])
    result = []
    for (kind, _), (name, got) in zip(lists_of(world), answers):
        assert name == f"{kind}/query", got
        assert got["total"] == len(got["ids"]) == len(set(got["ids"]))
        result.append((got["ids"], got["queryState"]))
    return result


def check_lists(world, emails, result):
    """Filters pick what the model picks; a thread is there by its first one."""
    model = world.model
    plain = None
    for (kind, args), (ids, _) in zip(lists_of(world), result):
        if kind != "Email":
            continue
        if not args["collapseThreads"]:
            want = {own for own, m in model.messages.items()
                    if matches(model, m, args.get("filter") or {})}
            assert {emails[i]["messageId"][0] for i in ids} == want, args
            plain = ids
            continue
        seen, first = set(), []
        for i in plain:
            if emails[i]["threadId"] not in seen:
                first.append(i)
            seen.add(emails[i]["threadId"])
        assert ids == first, args


def splice(old, got, what):
    """RFC 8620 5.6, as a client does it."""
    gone = set(got["removed"])
    ids = [i for i in old if i not in gone]
    at = [a["index"] for a in got["added"]]
    assert at == sorted(set(at)), what
    for a in got["added"]:
        assert a["index"] <= len(ids), what
        ids.insert(a["index"], a["id"])
    return ids


def check_query_changes(world, then, now):
    """From each list as it was then to what it is now; and up to some id."""
    calls, upto = [], []
    for (kind, args), (ids, state) in zip(lists_of(world), then):
        calls.append((f"{kind}/queryChanges", {**args, "calculateTotal": True,
                                               "sinceQueryState": state}))
        upto.append(world.random.choice(ids) if ids and kind == "Email" and
                    world.random.random() < 0.5 else None)
        if upto[-1]:
            calls[-1][1]["upToId"] = upto[-1]
    answers = in_batches(world.api, calls)
    for n, (name, got) in enumerate(answers):
        what = calls[n]
        assert name == calls[n][0], (got, what)
        assert got["oldQueryState"] == then[n][1]
        assert got["newQueryState"] == now[n][1]
        assert got["total"] == len(now[n][0]), what
        want = now[n][0]
        if upto[n] in want:
            # The client knows the list up to there, and how long it is.
            known = then[n][0].index(upto[n]) + 1
            cached = then[n][0][:known] + [None] * (len(then[n][0]) - known)
            is_ = splice(cached, got, what)[:len(want)]
            assert all(i in (None, w) for i, w in zip(is_, want)), what
            if upto[n] not in got["removed"]:
                assert None not in is_[:want.index(upto[n]) + 1], what
        else:
            assert splice(then[n][0], got, what) == want, what


# ---- the run ---------------------------------------------------------------------


class Time:
    """The account at one time, as a client remembers it."""

    def __init__(self, world):
        api = world.api
        self.objects = world.everything()
        self.states = {kind: api.state(kind) for kind in self.objects}
        self.lists = run_lists(world)


def look(world, times):
    now = Time(world)
    emails = now.objects["Email"]
    check_emails(world, emails)
    check_threads(now.objects["Thread"], emails)
    check_mailboxes(world.model, now.objects["Mailbox"])
    check_lists(world, emails, now.lists)
    some = world.random.sample(times, min(2, len(times)))
    for then in {id(t): t for t in [*times[-1:], *some]}.values():
        steps = STEPS if world.random.random() < 0.3 else [
            world.random.choice(STEPS)]
        for kind in ("Email", "Thread", "Mailbox"):
            for most in steps:
                fold(world.api, kind, then.objects[kind], then.states[kind],
                     now.objects[kind], now.states[kind], most)
        check_query_changes(world, then.lists, now.lists)
    if len(times) == REMEMBERED:
        del times[world.random.randrange(REMEMBERED - 1)]
    times.append(copy.copy(now))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_the_account_is_its_model(server, seed):
    world = World(server, seed)
    world.first_roles = {b["role"]: i for i, b in world.model.boxes.items()}
    times = []
    try:
        for n in range(OPERATIONS):
            if n % BETWEEN == 0:
                look(world, times)
            world.step()
        look(world, times)
    except BaseException:
        print(f"seed {seed}: {' '.join(world.done)}")
        raise
    finally:
        world.close()
