"""What clients ask for all day: lists, a message, a search, flags, mailboxes. What
is told as CPU needs no disk."""

import json
import os
import sqlite3
import time

import jmap
from measure import cpu_us, most, part, request
from parts_lmtp import commits, number_of
from rawws import TEXT, RawWs, frame

SIZES = (1000, 20000, 200000)
BUSY = (16, 4)  # connections, requests in flight on each
VIEWS = (("", {}), (", threads", {"collapseThreads": True}),
         (", total", {"calculateTotal": True}),
         (", threads and total", {"collapseThreads": True,
                                  "calculateTotal": True}))
LIST = ["id", "threadId", "mailboxIds", "keywords", "from", "subject",
        "receivedAt", "size", "preview", "hasAttachment"]


def mailbox_of(b, count):
    account = b.server.add_account()
    rate = b.fill(account, count, clients=32)
    b.report.line(f"filling a mailbox with {count}, 32 clients", rate,
                  "msgs/s")
    api = jmap.HttpApi(b.server, account)
    account.id, account.inbox = api.account_id, api.mailboxes()["inbox"]
    # The text index is whole: no figure pays for it.
    api.emails(filter={"text": "needle"})
    api.close()
    return account


def priced(b, account, calls, count, load=BUSY):
    """CPU of worker and store, and bytes of the answer, of one request."""
    text = request(calls)
    with RawWs(b.server.http, "/jmap/ws", account=account) as ws:
        ws.send(frame(TEXT, text))
        answer = ws.json()
        assert answer["@type"] == "Response", answer
        assert all(r[0] != "error" for r in answer["methodResponses"]), answer
    # The best of three: what disturbs only adds.
    got = [b.rpc("/jmap/ws", b.auth(account), text, *load, count)["cpu_us"]
           for _ in range(3)]
    return min(got), len(json.dumps(answer))


def carried(b, size):
    """What it costs to carry as much through a worker and back."""
    return b.rpc("/jmap/ws-echo", "", "x" * (size - size % 256), *BUSY,
                 2000)["cpu0_us"]


@part("list", memory=True)
def list_views(b):
    asked = {}  # the list that the aim is for, by size
    for count in SIZES:
        account = mailbox_of(b, count)
        for limit in (10, 50):
            for name, more in VIEWS:
                got = list_view(b, account, count, limit, name, more)
                if limit == 10 and not more:
                    asked[count] = got
    small, large = (asked[n] for n in SIZES[1:])
    b.report.line(f"list of 10 of {SIZES[2]} against {SIZES[1]}",
                  large / small, "times", aim=most(1.2))


def list_view(b, account, count, limit, name, more):
    calls = view(account, limit, {"inMailbox": account.inbox}, LIST, more)
    us, size = priced(b, account, calls, 2000)
    floor = carried(b, size)
    b.report.line(f"list of {limit} of {count}{name}, CPU", us, "us", floor,
                  aim=most(100) if limit == 10 and not more else None)
    if not more:
        # Four clients that wait for each answer: mostly waking up.
        idle, _ = priced(b, account, calls, 2000, (4, 1))
        b.report.line(f"list of {limit} of {count}, idle server, CPU", idle,
                      "us", floor)
    return us


@part("mailboxes", memory=True)
def mailboxes(b):
    """All 20 of them, every property."""
    account = b.server.add_account()
    api = jmap.HttpApi(b.server, account)
    there = len(api.mailboxes())
    got = api.call("Mailbox/set", {"create": {
        str(i): {"name": f"Folder {i}"} for i in range(20 - there)}})
    assert len(got["created"]) == 20 - there, got
    calls = [["Mailbox/get", {"accountId": api.account_id, "ids": None}, "0"]]
    assert len(api.calls(*calls)[0][1]["list"]) == 20
    api.close()
    us, size = priced(b, account, calls, 5000)
    b.report.line("Mailbox/get, 20 mailboxes, CPU", us, "us",
                  carried(b, size), aim=most(30))


@part("open", memory=True)
def open_message(b):
    """One message whole: header, bodies, parts."""
    account = b.server.add_account()
    b.fill(account, 100, size=8192, clients=4)
    api = jmap.HttpApi(b.server, account)
    (email, *_) = api.emails()
    api.close()
    calls = [["Email/get", {
        "accountId": api.account_id, "ids": [email],
        "properties": LIST + ["to", "cc", "replyTo", "sentAt", "messageId",
                              "textBody", "htmlBody", "attachments",
                              "bodyValues", "header:List-Id:asText"],
        "fetchHTMLBodyValues": True, "fetchTextBodyValues": True}, "0"]]
    us, size = priced(b, account, calls, 2000)
    b.report.line("opening a message of 8 KB, CPU", us, "us",
                  carried(b, size))


@part("search", memory=True)
def search(b):
    for count in SIZES[1:]:
        account = mailbox_of(b, count)
        for word in ("needle", "harbour", "harbour winter", "letter"):
            calls = view(account, 10, {"inMailbox": account.inbox,
                                       "text": word}, LIST, {})
            us, _ = priced(b, account, calls, 50)
            floor = matched(b.server, account, word)
            b.report.line(
                f'search of {count} for "{word}", CPU (floor: MATCH)', us,
                "us", floor)


@part("flag")
def flag(b):
    """100 messages flagged and unflagged, on disk each time."""
    account = mailbox_of(b, 1000)
    with RawWs(b.server.http, "/jmap/ws", account=account) as ws:
        def ask(call, args):
            ws.send(frame(TEXT, request(
                [[call, {"accountId": account.id, **args}, "0"]])))
            return ws.json()["methodResponses"][0][1]

        ids = ask("Email/query", {"limit": 100})["ids"]
        began, rounds = cpu_us(b.store), 50
        wall = time.monotonic()
        for i in range(rounds):
            answer = ask("Email/set", {"update": {
                e: {"keywords/$flagged": None if i % 2 else True}
                for e in ids}})
            assert len(answer["updated"]) == 100
        wall = (time.monotonic() - wall) / rounds * 1000
        cpu = (cpu_us(b.store) - began) / rounds
    floor = 1000 / commits(b.server.dir, 1, 1, 1)
    b.report.line("flag 100 messages, CPU of the store", cpu, "us")
    b.report.line("flag 100 messages, until it is on disk", wall, "ms", floor)


def view(account, limit, condition, properties, more):
    """What a client asks to show a list."""
    return [["Email/query", {
        "accountId": account.id, "filter": condition,
        "sort": [{"property": "receivedAt", "isAscending": False}],
        "limit": limit, **more}, "0"],
        ["Email/get", {
            "accountId": account.id, "properties": properties,
            "#ids": {"resultOf": "0", "name": "Email/query",
                     "path": "/ids"}}, "1"]]



def matched(server, account, words):
    """CPU of SQLite's own answer to that search, in us."""
    path = os.path.join(server.options["data-dir"], "accounts",
                        number_of(account.id), "mail.db")
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    began, times = time.process_time(), 20
    for _ in range(times):
        db.execute("SELECT sum(rowid) FROM words WHERE words MATCH ?",
                   (words,)).fetchall()
    took = time.process_time() - began
    db.close()
    return took / times * 1e6
