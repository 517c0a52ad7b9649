"""One login, one account: every method, path and push is tried against somebody
else's account, blobs, ids, states and tokens, over every carrier. Each is told what
is told of things that are not there, and nothing of the other's ever comes.

The methods are those of the table (proto/jmap/methods.def): one that is not tried
here fails test_every_method_is_tried."""

import json
import os
import re

import pytest

import harness
from blob import Blobs, blob_id
from drafts import text
from everyway import ALL, HTTP, WEBSOCKET, connect
from events import CARRIERS, Source
from jmap import HttpApi, WsApi
from mail import deliver, message
from mailset import raw
from raw import basic

OPTIONS = {"ws_throttle": 0, "event_source_throttle": 0}

SECRET = "xylophonic"  # in each message of the other one, and nowhere else
MAILS = 6

with open(os.path.join(harness.ROOT, "proto", "jmap", "methods.def"),
          encoding="utf-8") as table:
    METHODS = re.findall(r'^METHOD\("([^"]+)"', table.read(), re.M)


class Other:
    """Somebody with more of everything than we have, so that most of the ids are
    of nothing in our account."""

    def __init__(self, server):
        self.account = server.add_account()
        self.api = api = HttpApi(server, self.account)
        self.id = api.account_id
        for i in range(MAILS):
            deliver(server, self.account.name, raw(
                subject=f"{SECRET} {i}", body=f"{SECRET} text\r\n",
                mid=f"secret{i}", attach=True))
        emails = api.call("Email/get", {
            "ids": api.emails(sort=[{"property": "receivedAt"}]),
            "properties": ["id", "threadId", "blobId", "attachments"]})["list"]
        last = emails[-1]
        self.email, self.thread = last["id"], last["threadId"]
        self.message = last["blobId"]
        self.part = last["attachments"][0]["blobId"]
        made = api.call("Mailbox/set", {"create": {
            str(i): {"name": f"{SECRET} {i}"} for i in range(MAILS)}})
        self.mailbox = made["created"][str(MAILS - 1)]["id"]
        with Blobs(server, self.account) as b:
            self.upload = b.upload(SECRET.encode() + b" upload")
        self.blobs = [self.message, self.part, self.upload]
        self.states = self.all_states()
        self.query_state = {
            kind: api.call(f"{kind}/query")["queryState"]
            for kind in ("Email", "Mailbox")}
        ws = WsApi(server, self.account)
        ws.enable()
        deliver(server, self.account.name, raw(subject=SECRET))
        _, change = ws.changes_until(["Email"])
        self.push_state = change["pushState"]
        ws.close()
        with Source(server, self.account) as s:
            self.event_id = s.last_id

    def all_states(self):
        return {kind: self.api.state(kind)
                for kind in ("Mailbox", "Thread", "Email")}


class Own:
    """We, with a message that the other does not have."""

    def __init__(self, server):
        self.account = server.add_account()
        self.api = api = HttpApi(server, self.account)
        self.id = api.account_id
        deliver(server, self.account.name,
                message(subject="own", body="own words\r\n"))
        (self.email,) = api.emails()
        (got,) = api.call("Email/get", {"ids": [self.email]})["list"]
        self.message = got["blobId"]
        self.boxes = api.mailboxes()
        self.inbox = self.boxes["inbox"]


@pytest.fixture(scope="module")
def other(server):
    o = Other(server)
    yield o
    o.api.close()


@pytest.fixture(scope="module")
def own(server):
    o = Own(server)
    yield o
    o.api.close()


@pytest.fixture(scope="module", params=ALL)
def client(request, server, own):
    c = connect(server, own.account, request.param, aid=own.id)
    yield c
    c.close()


@pytest.fixture(scope="module", params=HTTP)
def http(request, server, own):
    c = connect(server, own.account, request.param, aid=own.id)
    yield c
    c.close()


@pytest.fixture(scope="module", autouse=True)
def untouched(other):
    """Whatever is tried, nothing of the other's moves; seen at the end of all."""
    before = other.all_states()
    yield
    assert other.all_states() == before


# ---- somebody else's accountId -------------------------------------------------

# What makes each method's call right, but for the account. None: it has none.
WHOLE = {
    "Core/echo": None,
    "Blob/copy": lambda own, o: {"fromAccountId": own.id,
                                 "blobIds": [o.message]},
    "Mailbox/get": lambda own, o: {"ids": [o.mailbox]},
    "Mailbox/changes": lambda own, o: {"sinceState": o.states["Mailbox"]},
    "Mailbox/query": lambda own, o: {},
    "Mailbox/queryChanges": lambda own, o: {
        "sinceQueryState": o.query_state["Mailbox"]},
    "Mailbox/set": lambda own, o: {
        "create": {"c": {"name": "mine"}},
        "update": {o.mailbox: {"name": "mine"}}},
    "Thread/get": lambda own, o: {"ids": [o.thread]},
    "Thread/changes": lambda own, o: {"sinceState": o.states["Thread"]},
    "Email/get": lambda own, o: {"ids": [o.email]},
    "Email/changes": lambda own, o: {"sinceState": o.states["Email"]},
    "Email/query": lambda own, o: {"filter": {"text": SECRET}},
    "Email/queryChanges": lambda own, o: {
        "sinceQueryState": o.query_state["Email"]},
    "Email/set": lambda own, o: {
        "create": {"c": {"mailboxIds": {o.mailbox: True}, **text("x")}},
        "update": {o.email: {"keywords": {"$seen": True}}},
        "destroy": [o.email]},
    "Email/import": lambda own, o: {"emails": {"c": {
        "blobId": own.message, "mailboxIds": {o.mailbox: True}}}},
    "Email/parse": lambda own, o: {"blobIds": [o.message]},
    "SearchSnippet/get": lambda own, o: {
        "emailIds": [o.email], "filter": {"text": SECRET}},
}


def test_no_method_finds_the_account(client, own, other):
    for method, args in WHOLE.items():
        if args:
            args = args(own, other)
            got = client.error(method, {"accountId": other.id, **args})
            assert got == {"type": "accountNotFound"}, method
            # As if there were none of that id at all.
            assert got == client.error(
                method, {"accountId": "u999999", **args}), method


def test_nothing_is_copied_from_the_account(client, own, other):
    """RFC 8620 6.3; the other way is test_no_method_finds_the_account."""
    for blob in other.blobs + [own.message]:
        got = client.error("Blob/copy", {
            "fromAccountId": other.id, "blobIds": [blob]})
        assert got == {"type": "fromAccountNotFound"}


def test_the_session_has_ones_own_account_only(http, own):
    r = http.fetch("GET", "/jmap/session")
    assert r.status == 200
    session = json.loads(r.body)
    assert list(session["accounts"]) == [own.id]
    assert set(session["primaryAccounts"].values()) == {own.id}
    assert session["username"] == own.account.name


# ---- somebody else's ids in ones own account -----------------------------------


def not_found(client, method, args, ids):
    got = client.call(method, args)
    assert got.get("list", []) == [] and sorted(got["notFound"]) == sorted(ids)


def cannot_calculate(client, method, args):
    assert client.error(method, args)["type"] == "cannotCalculateChanges"


def mismatch(client, method, state, args):
    got = client.error(method, {"ifInState": state, **args})
    assert got["type"] == "stateMismatch"


def set_errors(client, args, method="Email/set"):
    """The SetErrors of a call that did nothing, whatever they are of."""
    got = client.call(method, args)
    assert not any(got.get(k) for k in ("created", "updated", "destroyed"))
    return {key: e["type"] for k in ("notCreated", "notUpdated", "notDestroyed")
            for key, e in (got.get(k) or {}).items()}


def try_mailbox_set(client, own, o):
    box = o.mailbox
    method = "Mailbox/set"
    assert set_errors(client, {"update": {box: {"name": "x"}}}, method) == {
        box: "notFound"}
    assert set_errors(client, {"destroy": [box]}, method) == {box: "notFound"}
    assert set_errors(client, {"create": {
        "c": {"name": "x", "parentId": box}}}, method) == {
            "c": "invalidProperties"}
    assert set_errors(client, {"update": {
        own.boxes["archive"]: {"parentId": box}}}, method) == {
            own.boxes["archive"]: "invalidProperties"}
    mismatch(client, method, o.states["Mailbox"], {})


def try_email_set(client, own, o):
    assert set_errors(client, {
        "update": {o.email: {"keywords/$seen": True}}}) == {
            o.email: "notFound"}
    assert set_errors(client, {"destroy": [o.email]}) == {o.email: "notFound"}
    assert set_errors(client, {"update": {
        own.email: {"mailboxIds": {o.mailbox: True}}}}) == {
            own.email: "invalidProperties"}
    assert set_errors(client, {"update": {
        own.email: {f"mailboxIds/{o.mailbox}": True}}}) == {
            own.email: "invalidProperties"}
    assert set_errors(client, {"create": {
        "c": {"mailboxIds": {o.mailbox: True}, **text("x")}}}) == {
            "c": "invalidProperties"}
    mismatch(client, "Email/set", o.states["Email"], {})
    for blob in o.blobs:
        part = {"blobId": blob, "type": "text/plain"}
        for body in ({"attachments": [part], **text("x")},
                     {"bodyStructure": part}, {"textBody": [part]}):
            got = client.call("Email/set", {"create": {
                "c": {"mailboxIds": {own.inbox: True}, **body}}})
            assert got["created"] is None
            assert got["notCreated"]["c"]["type"] == "blobNotFound", body
            assert got["notCreated"]["c"]["notFound"] == [blob]


def try_email_import(client, own, o):
    for blob in o.blobs:
        assert set_errors(client, {"emails": {"c": {
            "blobId": blob, "mailboxIds": {own.inbox: True}}}},
            "Email/import") == {"c": "invalidProperties"}
    assert set_errors(client, {"emails": {"c": {
        "blobId": own.message, "mailboxIds": {o.mailbox: True}}}},
        "Email/import") == {"c": "invalidProperties"}
    mismatch(client, "Email/import", o.states["Email"], {"emails": {}})


def try_email_parse(client, own, o):
    got = client.call("Email/parse", {"blobIds": o.blobs})
    assert got["parsed"] is None and got["notParsable"] is None
    assert sorted(got["notFound"]) == sorted(o.blobs)


def try_blob_copy(client, own, o):
    got = client.call("Blob/copy", {
        "fromAccountId": own.id, "blobIds": o.blobs})
    assert got["copied"] is None
    assert got["notCopied"] == {b: {"type": "notFound"} for b in o.blobs}


def try_email_query(client, own, o):
    for found in (
            {"text": SECRET}, {"body": SECRET}, {"subject": SECRET},
            {"inMailbox": o.mailbox},
            {"header": ["Message-ID", "secret0@example.net"]}):
        assert client.emails(filter=found) == [], found
    assert client.emails(filter={"inMailboxOtherThan": [o.mailbox]}) == [
        own.email]
    got = client.error("Email/query", {"anchor": o.email})
    assert got["type"] == "anchorNotFound"


def try_mailbox_query(client, own, o):
    got = client.call("Mailbox/query", {"filter": {"parentId": o.mailbox}})
    assert got["ids"] == []
    got = client.call("Mailbox/query", {"filter": {"name": SECRET}})
    assert got["ids"] == []
    assert client.error("Mailbox/query", {"anchor": o.mailbox})[
        "type"] == "anchorNotFound"


def try_email_query_changes(client, own, o):
    cannot_calculate(client, "Email/queryChanges", {
        "sinceQueryState": o.query_state["Email"]})
    since = client.call("Email/query")["queryState"]
    got = client.error("Email/queryChanges", {
        "sinceQueryState": o.query_state["Email"], "upToId": o.email})
    assert got["type"] == "cannotCalculateChanges"
    got = client.call("Email/queryChanges", {
        "sinceQueryState": since, "filter": {"text": SECRET}})
    assert got["added"] == []


def try_echo(client, own, o):
    said = {"accountId": o.id, "ids": [o.email]}
    assert client.call("Core/echo", said) == said


TRIES = {
    "Core/echo": try_echo,
    "Blob/copy": try_blob_copy,
    "Mailbox/get": lambda c, own, o: not_found(
        c, "Mailbox/get", {"ids": [o.mailbox]}, [o.mailbox]),
    "Mailbox/changes": lambda c, own, o: cannot_calculate(
        c, "Mailbox/changes", {"sinceState": o.states["Mailbox"]}),
    "Mailbox/query": try_mailbox_query,
    "Mailbox/queryChanges": lambda c, own, o: cannot_calculate(
        c, "Mailbox/queryChanges",
        {"sinceQueryState": o.query_state["Mailbox"]}),
    "Mailbox/set": try_mailbox_set,
    "Thread/get": lambda c, own, o: not_found(
        c, "Thread/get", {"ids": [o.thread]}, [o.thread]),
    "Thread/changes": lambda c, own, o: cannot_calculate(
        c, "Thread/changes", {"sinceState": o.states["Thread"]}),
    "Email/get": lambda c, own, o: not_found(
        c, "Email/get", {"ids": [o.email], "fetchAllBodyValues": True,
                         "properties": ["bodyValues", "preview"]}, [o.email]),
    "Email/changes": lambda c, own, o: cannot_calculate(
        c, "Email/changes", {"sinceState": o.states["Email"]}),
    "Email/query": try_email_query,
    "Email/queryChanges": try_email_query_changes,
    "Email/set": try_email_set,
    "Email/import": try_email_import,
    "Email/parse": try_email_parse,
    "SearchSnippet/get": lambda c, own, o: not_found(
        c, "SearchSnippet/get",
        {"emailIds": [o.email], "filter": {"text": SECRET}}, [o.email]),
}


def test_every_method_is_tried():
    assert set(WHOLE) == set(TRIES) == set(METHODS)


def test_what_is_somebody_elses_is_not_there(client, own, other):
    for tried in TRIES.values():
        tried(client, own, other)


def test_creation_ids_reach_no_further(client, own, other):
    """RFC 8620 3.3: ids that a client says it created are its own word."""
    given = {"e": other.email, "m": other.mailbox}
    (got, _, _), = client.calls(
        ["Email/set", {"accountId": other.id, "destroy": ["#e"]}, "0"],
        createdIds=given)
    assert got == "error"
    answer = client.request([["Email/set", {
        "accountId": own.id, "destroy": ["#e"], "update": {
            own.email: {"mailboxIds": {"#m": True}}}}, "0"]], createdIds=given)
    (_, got, _), = answer["methodResponses"]
    assert got["destroyed"] is None and got["updated"] is None
    (e,) = got["notDestroyed"].values()
    assert e["type"] == "notFound"
    assert got["notUpdated"][own.email]["type"] == "invalidProperties"


def test_a_back_reference_reaches_no_further(client, own, other):
    """RFC 8620 3.7: what the first may not see, the second cannot refer to."""
    got = client.calls(
        ["Email/query", {"accountId": other.id}, "0"],
        ["Email/get", {"accountId": own.id, "#ids": {
            "resultOf": "0", "name": "Email/query", "path": "/ids"}}, "1"])
    assert [(name, args["type"]) for name, args, _ in got] == [
        ("error", "accountNotFound"), ("error", "invalidResultReference")]


# ---- uploads and downloads (RFC 8620 6) ----------------------------------------


def is_problem(r, status):
    assert r.status == status, (r.status, r.body)
    assert r.get("content-type") == "application/problem+json"
    assert SECRET.encode() not in r.body
    return True


def test_nothing_is_uploaded_into_the_account(http, own, other):
    data = b"from " + own.id.encode()
    r = http.fetch("POST", f"/jmap/upload/{other.id}/", data)
    is_problem(r, 404)
    with Blobs(other.api.server, other.account) as b:
        assert b.download(blob_id(data)).status == 404


@pytest.mark.parametrize("fields", [
    {}, {"Range": "bytes=0-3"}, {"If_None_Match": "*"}],
    ids=["whole", "range", "known"])
def test_nothing_is_downloaded(http, own, other, fields):
    """Neither with the other's account nor from ones own, nor is it told that a
    copy is still good."""
    for aid, blobs in ((other.id, other.blobs + [own.message]),
                       (own.id, other.blobs)):
        for blob in blobs:
            path = f"/jmap/download/{aid}/{blob}/name?type=text/plain"
            is_problem(http.fetch("GET", path, **fields), 404)
            etag = {"If_None_Match": f'"{blob}"'} if fields else {}
            assert http.fetch("HEAD", path, **etag).status == 404
    mine = f"/jmap/download/{own.id}/{own.message}/name"
    assert http.fetch("GET", mine).status == 200


def test_the_same_bytes_are_two_blobs(http, own, other):
    """That somebody has them already tells nobody else, and what one has is not
    the other's."""
    data = SECRET.encode() + b" upload"
    assert blob_id(data) == other.upload
    path = f"/jmap/download/{own.id}/{other.upload}/name"
    assert http.fetch("GET", path).status == 404
    assert set_errors(http, {"emails": {"c": {
        "blobId": other.upload, "mailboxIds": {own.inbox: True}}}},
        "Email/import") == {"c": "invalidProperties"}


def test_each_login_on_a_connection_has_its_own(http, own, other):
    """Requests of both, one after the other, on one connection."""
    theirs = basic(other.account.name, other.account.token)
    for _ in range(2):
        for auth, aid in ((theirs, other.id), (None, own.id)):
            r = http.fetch("GET", "/jmap/session", auth=auth)
            assert list(json.loads(r.body)["accounts"]) == [aid]
    path = f"/jmap/download/{other.id}/{other.message}/name"
    assert http.fetch("GET", path, auth=theirs).status == 200
    is_problem(http.fetch("GET", path), 404)


# ---- push (RFC 8620 7, RFC 8887 4.3.5) -----------------------------------------


def change_both(other, own):
    """A change of the other's, then one of ours, which whoever hears of the first
    would hear of after it."""
    ids = other.api.emails(limit=1)
    other.api.set_keyword(ids[0], "pushed")
    other.api.set_keyword(ids[0], "pushed", on=False)
    own.api.set_keyword(own.email, "pushed")
    own.api.set_keyword(own.email, "pushed", on=False)


@pytest.fixture(scope="module")
def pair(server):
    """Two in whose accounts things happen."""
    o, we = Other(server), Own(server)
    yield o, we
    o.api.close()
    we.api.close()


def heard_until(next_change, own):
    """Each StateChange up to ones own newest Email: all are of ones own."""
    want = own.api.state("Email")
    while True:
        changed = next_change()["changed"]
        assert list(changed) == [own.id], changed
        if changed[own.id].get("Email") == want:
            return


@pytest.mark.parametrize("carrier", WEBSOCKET)
@pytest.mark.parametrize("token", [None, "push_state", "event_id"])
def test_a_websocket_hears_of_its_own_account_only(
        server, pair, carrier, token):
    other, own = pair
    c = connect(server, own.account, carrier, aid=own.id)
    if token:
        c.enable(pushState=getattr(other, token), accountIds=[other.id],
                 accountId=other.id)
    else:
        c.enable(accountIds=[other.id], accountId=other.id)
    change_both(other, own)
    heard_until(c.push, own)
    c.close()


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("token", [None, "push_state", "event_id"])
def test_an_event_source_hears_of_its_own_account_only(
        server, pair, carrier, token):
    other, own = pair
    with Source(server, own.account, carrier, accountId=other.id,
                last_id=getattr(other, token) if token else None) as s:
        change_both(other, own)
        heard_until(lambda: s.event("state").data, own)
