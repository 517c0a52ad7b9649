"""JMAP Mail (RFC 8621), the thin line: Mailbox, Thread, Email; over HTTP and over
WebSocket alike."""

import pytest

from mail import deliver, message


def get(api, ids, **args):
    return api.call("Email/get", {"ids": ids, **args})["list"]


def deliver_one(api, **kw):
    before = set(api.emails())
    deliver(api.server, api.account.name, message(**kw))
    (new,) = set(api.emails()) - before
    return new


def box(api, ids=None):
    return {m["id"]: m for m in api.call("Mailbox/get", {"ids": ids})["list"]}


# ---- Email/get ----

MULTIPART = (
    "--B\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    "Gr=C3=BC=C3=9Fe,\r\nBob\r\n"
    "--B\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    "<p>Gr\u00fc\u00dfe,<br>Bob</p>\r\n--B--\r\n")


def deliver_rich(api):
    return deliver_one(
        api, subject="=?utf-8?q?Gr=C3=BC=C3=9Fe?=", body=MULTIPART,
        Cc="Carol <carol@example.net>, dave@example.net",
        MIME_Version="1.0", Content_Type='multipart/alternative; boundary="B"',
        Reply_To="lists@example.net")


def test_the_metadata_of_an_email(api):
    email_id = deliver_rich(api)
    (e,) = get(api, [email_id])
    assert e["id"] == email_id
    assert e["subject"] == "Grüße"
    assert e["from"] == [{"name": "Bob", "email": "bob@example.net"}]
    assert e["to"] == [{"name": None, "email": "alice@example.org"}]
    assert e["cc"] == [{"name": "Carol", "email": "carol@example.net"},
                       {"name": None, "email": "dave@example.net"}]
    assert e["replyTo"] == [{"name": None, "email": "lists@example.net"}]
    assert e["bcc"] is None and e["inReplyTo"] is None
    assert e["sentAt"] in ("2026-11-24T06:00:00Z", "2026-11-24T06:00:00+00:00")
    assert e["receivedAt"].endswith("Z")
    assert len(e["messageId"]) == 1
    assert e["keywords"] == {}
    assert e["mailboxIds"] == {api.mailboxes()["inbox"]: True}
    assert e["hasAttachment"] is False
    assert e["preview"].startswith("Grüße")
    assert e["size"] > len(MULTIPART)
    assert e["blobId"] and e["threadId"]


def test_only_the_properties_that_were_asked_for(api):
    email_id = deliver_one(api)
    (e,) = get(api, [email_id], properties=["subject"])
    assert e == {"id": email_id, "subject": "Hello"}


def test_the_bodies_and_their_values(api):
    email_id = deliver_rich(api)
    (e,) = get(api, [email_id], properties=["textBody", "htmlBody",
                                            "bodyValues", "attachments"],
               fetchTextBodyValues=True)
    (text,), (html,) = e["textBody"], e["htmlBody"]
    assert (text["type"], html["type"]) == ("text/plain", "text/html")
    assert e["attachments"] == []
    assert e["bodyValues"] == {text["partId"]: {
        "value": "Grüße,\nBob", "isEncodingProblem": False,
        "isTruncated": False}}
    (e,) = get(api, [email_id], properties=["bodyValues"],
               fetchHTMLBodyValues=True)
    assert "Grüße,<br>Bob" in e["bodyValues"][html["partId"]]["value"]
    (e,) = get(api, [email_id], properties=["bodyValues"])
    assert e["bodyValues"] == {}


@pytest.mark.parametrize("most, value, cut", [
    (0, "äöü", False), (6, "äöü", False), (5, "äö", True), (1, "", True)])
def test_body_values_are_cut_between_characters(api, most, value, cut):
    email_id = deliver_one(
        api, body="äöü", Content_Type="text/plain; charset=utf-8",
        Content_Transfer_Encoding="8bit")
    (e,) = get(api, [email_id], properties=["bodyValues", "textBody"],
               fetchAllBodyValues=True, maxBodyValueBytes=most)
    got = e["bodyValues"][e["textBody"][0]["partId"]]
    assert got["value"].rstrip("\n") == value
    if cut:
        assert got["isTruncated"] is True


def test_ids_that_are_not_there_are_named(api):
    email_id = deliver_one(api)
    got = api.call("Email/get", {"ids": [email_id, "e999", "nonsense"],
                                 "properties": ["id"]})
    assert got["list"] == [{"id": email_id}]
    assert sorted(got["notFound"]) == ["e999", "nonsense"]


def test_an_id_named_twice_comes_once(api):
    email_id = deliver_one(api)
    assert len(get(api, [email_id, email_id], properties=["id"])) == 1


# ---- Email/set ----

def test_keywords_are_set_and_unset(api):
    e = deliver_one(api)
    api.call("Email/set", {"update": {e: {"keywords/$seen": True,
                                          "keywords/Mine": True}}})
    assert get(api, [e])[0]["keywords"] == {"$seen": True, "mine": True}
    api.call("Email/set", {"update": {e: {"keywords/$seen": None}}})
    assert get(api, [e])[0]["keywords"] == {"mine": True}
    api.call("Email/set", {"update": {e: {"keywords": {"$flagged": True}}}})
    assert get(api, [e])[0]["keywords"] == {"$flagged": True}


@pytest.mark.parametrize("patch, kind", [
    ({"keywords/a b": True}, "invalidProperties"),
    ({"keywords/x": False}, "invalidProperties"),
    ({"keywords": [1]}, "invalidProperties"),
    ({"mailboxIds": {}}, "invalidProperties"),
    ({"mailboxIds": {"m99": True}}, "invalidProperties"),
    ({"subject": "new"}, "invalidProperties"),
    ({"id": "e99"}, "invalidProperties"),
    ({"nonsense": 1}, "invalidProperties"),
    ({"keywords": {}, "keywords/x": True}, "invalidPatch"),
    ({"keywords/x/y": True}, "invalidPatch"),
])
def test_a_bad_update_is_refused_and_changes_nothing(api, patch, kind):
    e = deliver_one(api)
    before = get(api, [e])
    state = api.state()
    got = api.call("Email/set", {"update": {e: patch}})
    assert got["notUpdated"][e]["type"] == kind, got
    assert not got["updated"]
    assert got["newState"] == state
    assert get(api, [e]) == before


def test_an_update_of_nothing_is_not_found(api):
    got = api.call("Email/set", {"update": {"e999": {"keywords/x": True}}})
    assert got["notUpdated"]["e999"]["type"] == "notFound"


def test_an_email_moves_and_counts_follow(api):
    e = deliver_one(api)
    boxes = api.mailboxes()
    inbox, archive = boxes["inbox"], boxes["archive"]
    assert box(api)[inbox]["totalEmails"] == 1
    assert box(api)[inbox]["unreadEmails"] == 1
    api.call("Email/set", {"update": {e: {
        f"mailboxIds/{inbox}": None, f"mailboxIds/{archive}": True}}})
    assert get(api, [e])[0]["mailboxIds"] == {archive: True}
    now = box(api)
    assert [now[inbox][k] for k in ("totalEmails", "unreadEmails",
                                    "totalThreads", "unreadThreads")] == [0] * 4
    assert [now[archive][k] for k in ("totalEmails", "unreadEmails",
                                      "totalThreads", "unreadThreads")] == [1] * 4
    api.set_keyword(e, "$seen")
    now = box(api)[archive]
    assert (now["totalEmails"], now["unreadEmails"],
            now["unreadThreads"]) == (1, 0, 0)


def test_destroy_removes_it_for_good(api):
    e = deliver_one(api)
    since = api.state()
    got = api.call("Email/set", {"destroy": [e, "e999"]})
    assert got["destroyed"] == [e]
    assert got["notDestroyed"]["e999"]["type"] == "notFound"
    assert api.emails() == []
    assert api.call("Email/get", {"ids": [e]})["notFound"] == [e]
    changes = api.call("Email/changes", {"sinceState": since})
    assert changes["destroyed"] == [e]
    assert deliver_one(api) != e


def test_if_in_state_holds_off_a_stale_set(api):
    e = deliver_one(api)
    stale = api.state()
    api.set_keyword(e, "x")
    error = api.error("Email/set", {"ifInState": stale, "destroy": [e]})
    assert error["type"] == "stateMismatch"
    assert api.emails() == [e]
    got = api.call("Email/set", {"ifInState": api.state(), "destroy": [e]})
    assert got["destroyed"] == [e]


def test_set_names_the_states_around_it(api):
    e = deliver_one(api)
    before = api.state()
    got = api.set_keyword(e, "x")
    assert got["oldState"] == before
    assert got["newState"] == api.state() != before


# ---- changes ----

def test_email_changes_tells_created_updated_destroyed(api):
    old, gone = deliver_one(api), deliver_one(api, subject="b")
    since = api.state()
    new = deliver_one(api, subject="c")
    api.set_keyword(old, "x")
    api.call("Email/set", {"destroy": [gone]})
    got = api.call("Email/changes", {"sinceState": since})
    assert (got["created"], got["updated"], got["destroyed"]) == (
        [new], [old], [gone])
    assert got["oldState"] == since
    assert got["newState"] == api.state()
    assert got["hasMoreChanges"] is False
    again = api.call("Email/changes", {"sinceState": got["newState"]})
    assert again["created"] == again["updated"] == again["destroyed"] == []


def test_what_came_and_went_is_not_told_as_created(api):
    since = api.state()
    e = deliver_one(api)
    api.call("Email/set", {"destroy": [e]})
    got = api.call("Email/changes", {"sinceState": since})
    assert got["created"] == [] and got["updated"] == []


def test_changes_come_in_pages_that_lose_nothing(api):
    since = api.state()
    made = [deliver_one(api, subject=f"s{i}") for i in range(7)]
    got, pages = [], 0
    while True:
        page = api.call("Email/changes", {"sinceState": since,
                                          "maxChanges": 2})
        ids = page["created"] + page["updated"] + page["destroyed"]
        assert 1 <= len(ids) <= 2
        got += ids
        pages += 1
        since = page["newState"]
        if not page["hasMoreChanges"]:
            break
    assert sorted(got) == sorted(made)
    assert pages == 4
    assert since == api.state()


def test_mailbox_changes_tell_counts_from_the_rest(api):
    inbox = api.mailboxes()["inbox"]
    since = api.state("Mailbox")
    deliver_one(api)
    got = api.call("Mailbox/changes", {"sinceState": since})
    assert got["updated"] == [inbox]
    assert set(got["updatedProperties"]) == {
        "totalEmails", "unreadEmails", "totalThreads", "unreadThreads"}
    api.call("Mailbox/set", {"update": {inbox: {"sortOrder": 3}}})
    got = api.call("Mailbox/changes", {"sinceState": since})
    assert got["updated"] == [inbox]
    assert got["updatedProperties"] is None


def test_thread_changes(api):
    since = api.state("Thread")
    e = deliver_one(api)
    (email,) = get(api, [e], properties=["threadId"])
    got = api.call("Thread/changes", {"sinceState": since})
    assert got["created"] == [email["threadId"]]
    since = got["newState"]
    api.call("Email/set", {"destroy": [e]})
    got = api.call("Thread/changes", {"sinceState": since})
    assert got["destroyed"] == [email["threadId"]]


# ---- threads ----

def test_a_reply_joins_the_thread(api):
    first = deliver_one(api, subject="Plan", Message_ID="<one@example.net>")
    second = deliver_one(api, subject="Re: Plan", In_Reply_To=
                         "<one@example.net>", References="<one@example.net>",
                         Message_ID="<two@example.net>")
    other = deliver_one(api, subject="Else")
    threads = [e["threadId"] for e in get(api, [first, second, other],
                                          properties=["threadId"])]
    assert threads[0] == threads[1] != threads[2]
    (thread,) = api.call("Thread/get", {"ids": [threads[0]]})["list"]
    assert thread == {"id": threads[0], "emailIds": [first, second]}
    got = api.call("Email/query", {"collapseThreads": True})
    assert len(got["ids"]) == 2


# ---- Email/query ----

def deliver_three(api):
    return [deliver_one(api, subject=f"s{i}") for i in range(3)]


def test_query_sorts_by_received_at(api):
    made = deliver_three(api)
    for ascending, want in ((True, made), (False, made[::-1])):
        got = api.call("Email/query", {"sort": [
            {"property": "receivedAt", "isAscending": ascending}]})
        times = [e["receivedAt"] for e in get(
            api, got["ids"], properties=["receivedAt"])]
        assert sorted(got["ids"]) == sorted(want)
        assert times == sorted(times, reverse=not ascending)


@pytest.mark.parametrize("args, want, position", [
    ({"position": 1}, slice(1, None), 1), ({"limit": 2}, slice(0, 2), 0),
    ({"position": -1}, slice(2, None), 2), ({"position": 9}, slice(3, 3), None),
    ({"position": -9}, slice(0, None), 0), ({"limit": 0}, slice(0, 0), None),
    ({"position": 1, "limit": 1}, slice(1, 2), 1)])
def test_query_windows(api, args, want, position):
    deliver_three(api)
    everything = api.call("Email/query")["ids"]
    got = api.call("Email/query", {**args, "calculateTotal": True})
    assert got["ids"] == everything[want]
    assert got["total"] == 3
    if position is not None:
        assert got["position"] == position


def test_query_from_an_anchor(api):
    deliver_three(api)
    everything = api.call("Email/query")["ids"]
    got = api.call("Email/query", {"anchor": everything[1], "limit": 1})
    assert (got["ids"], got["position"]) == ([everything[1]], 1)
    got = api.call("Email/query", {"anchor": everything[1],
                                   "anchorOffset": -1})
    assert (got["ids"], got["position"]) == (everything, 0)


def test_the_total_comes_only_when_asked_for(api):
    deliver_one(api)
    assert "total" not in api.call("Email/query")
    assert api.call("Email/query", {"calculateTotal": True})["total"] == 1


def test_query_in_a_mailbox(api):
    e, other = deliver_one(api), deliver_one(api, subject="b")
    boxes = api.mailboxes()
    api.call("Email/set", {"update": {e: {
        "mailboxIds": {boxes["trash"]: True}}}})
    for role, want in (("trash", [e]), ("inbox", [other]), ("sent", [])):
        got = api.call("Email/query", {"filter": {"inMailbox": boxes[role]},
                                       "calculateTotal": True})
        assert (got["ids"], got["total"]) == (want, len(want))


# ---- Mailbox/set ----

def test_a_mailbox_lives(api):
    got = api.call("Mailbox/set", {"create": {"x": {"name": "Projects"}}})
    made = got["created"]["x"]["id"]
    assert box(api, [made])[made]["name"] == "Projects"
    api.call("Mailbox/set", {"update": {made: {"name": "Work"}}})
    assert box(api, [made])[made]["name"] == "Work"
    got = api.call("Mailbox/set", {"destroy": [made]})
    assert got["destroyed"] == [made]
    assert made not in box(api)


@pytest.mark.parametrize("create, kind", [
    ({}, "invalidProperties"), ({"name": ""}, "invalidProperties"),
    ({"name": "A", "parentId": "m99"}, "invalidProperties"),
    ({"name": "Inbox"}, "alreadyExists"),
    ({"name": "A", "role": "nonsense"}, "invalidProperties"),
    ({"name": "A", "totalEmails": 1}, "invalidProperties")])
def test_a_bad_mailbox_is_refused(api, create, kind):
    got = api.call("Mailbox/set", {"create": {"x": create}})
    assert got["notCreated"]["x"]["type"] == kind, got


def test_a_mailbox_with_mail_or_children_stays(api):
    made = api.call("Mailbox/set", {"create": {
        "p": {"name": "P"}, "c": {"name": "C", "parentId": "#p"}}})["created"]
    parent, child = made["p"]["id"], made["c"]["id"]
    got = api.call("Mailbox/set", {"destroy": [parent]})
    assert got["notDestroyed"][parent]["type"] == "mailboxHasChild"
    e = deliver_one(api)
    api.call("Email/set", {"update": {e: {"mailboxIds": {child: True}}}})
    got = api.call("Mailbox/set", {"destroy": [child]})
    assert got["notDestroyed"][child]["type"] == "mailboxHasEmail"
    got = api.call("Mailbox/set", {"destroy": [child],
                                   "onDestroyRemoveEmails": True})
    assert got["destroyed"] == [child]
    assert api.emails() == []


# ---- the state is one truth ----

def test_states_outlive_a_restart():
    from harness import Server
    from jmap import HttpApi
    with Server() as s:
        account = s.add_account()
        api = HttpApi(s, account)
        e = deliver_one(api)
        before = api.state()
        s.stop()
        s.start()
        api = HttpApi(s, account)
        assert api.state() == before
        assert api.emails() == [e]
