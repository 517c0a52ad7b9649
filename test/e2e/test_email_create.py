"""Email/set create (RFC 8621 4.6): metadata, header fields, SetErrors, creation ids.
Bodies have a file of their own."""

import email
import email.policy
import email.utils
import re
from email.header import decode_header, make_header

import pytest

from blob import Blobs
from drafts import (blob, blob_once, create, get, invalid, parsed,
                    parsed_loosely, raw, refused, text, value)
from jmap import MAIL, HttpApi

OPTIONS = {"max_size_message": 400000}


@pytest.fixture(scope="module")
def account(server):
    """One for all: no test here looks at what others left."""
    return server.add_account("alice@example.org")


@pytest.fixture
def blobs(server, account):
    with Blobs(server, account) as b:
        yield b


# ---- the answer, and what the server adds ----

def test_email_create_answers_with_what_the_server_set(api):
    made = create(api, subject="Hi", **text("Hello."))
    e = get(api, made["id"])
    assert {"id", "blobId", "threadId", "size", "keywords", "receivedAt",
            "sentAt", "messageId", "hasAttachment", "preview"} == set(made)
    for k, v in made.items():
        assert e[k] == v
    assert e["subject"] == "Hi" and e["preview"] == "Hello."


def test_email_create_sets_date_message_id_and_mime_version(api, blobs):
    made = create(api, subject="Hi", **text("Hello."))
    m = parsed(blobs, made)
    assert m["MIME-Version"] == "1.0"
    assert m["Date"].datetime.utcoffset() is not None
    assert re.fullmatch(r"<[0-9a-f]{30}@example\.org>", m["Message-ID"])
    other = create(api, subject="Hi", **text("Hello."))
    assert other["messageId"] != made["messageId"]


def test_email_create_with_nothing_is_an_empty_text(api, blobs):
    made = create(api)
    m = parsed(blobs, made)
    assert m.get_content_type() == "text/plain"
    assert m.get_content() == ""
    assert value(api, made["id"]) == ""


def test_email_create_changes_states(api):
    before = [api.state(k) for k in ("Email", "Thread", "Mailbox")]
    created = api.call("Email/set", {"create": {"c": {
        "mailboxIds": {api.mailboxes()["drafts"]: True}}}})
    assert created["oldState"] == before[0]
    assert created["newState"] == api.state()
    assert all(a != b for a, b in zip(before, [
        api.state(k) for k in ("Email", "Thread", "Mailbox")]))
    got = api.call("Email/changes", {"sinceState": before[0]})
    assert got["created"] == [created["created"]["c"]["id"]]


def test_email_create_many_of_which_one_is_refused(api):
    box = {api.mailboxes()["drafts"]: True}
    got = api.call("Email/set", {"create": {
        "a": {"mailboxIds": box, "subject": "a"}, "b": {"subject": "b"},
        "c": {"mailboxIds": box, "subject": "c"}}})
    assert set(got["created"]) == {"a", "c"}
    assert set(got["notCreated"]) == {"b"}


# ---- metadata ----

def test_email_create_property_mailbox_ids(api):
    boxes = api.mailboxes()
    both = {boxes["drafts"]: True, boxes["archive"]: True}
    made = create(api, mailboxIds=both)
    assert get(api, made["id"], "mailboxIds")["mailboxIds"] == both
    invalid(api, "mailboxIds", mailboxes=False)
    invalid(api, "mailboxIds", mailboxIds={})
    invalid(api, "mailboxIds", mailboxIds=None)
    invalid(api, "mailboxIds", mailboxIds=[boxes["drafts"]])
    invalid(api, "mailboxIds", mailboxIds={boxes["drafts"]: False})
    invalid(api, "mailboxIds", mailboxIds={"m99": True})
    invalid(api, "mailboxIds", mailboxIds={"#nope": True})


def test_email_create_property_keywords(api):
    made = create(api, keywords={"$Draft": True, "Mine": True})
    assert get(api, made["id"], "keywords")["keywords"] == {
        "$draft": True, "mine": True}
    assert get(api, create(api, keywords=None)["id"],
               "keywords")["keywords"] == {}
    invalid(api, "keywords", keywords=["$draft"])
    invalid(api, "keywords", keywords={"$draft": False})
    for bad in ("", "a b", "a(", "a)", "a{", "a]", "a%", "a*", 'a"', "a\\",
                "\u00e4", "x" * 256):
        invalid(api, "keywords", keywords={bad: True})


def test_email_create_property_received_at(api):
    made = create(api, receivedAt="2020-02-29T12:34:56Z")
    assert get(api, made["id"], "receivedAt")["receivedAt"] == (
        "2020-02-29T12:34:56Z")
    assert "receivedAt" not in made
    assert create(api, receivedAt=None)["receivedAt"] > "2020"
    for bad in ("2020-02-29T12:34:56+01:00", "2020-02-30T00:00:00Z", "now", 5):
        invalid(api, "receivedAt", receivedAt=bad)


@pytest.mark.parametrize("name, v", [
    ("id", "e1"), ("blobId", "b1"), ("threadId", "t1"), ("size", 5),
    ("hasAttachment", False), ("preview", "x"), ("headers", []),
    ("nonsense", 1), ("header:", "x"), ("header:A B", "x"), ("Subject", "x")])
def test_email_create_refuses_what_is_not_the_client_s(api, name, v):
    invalid(api, name, **{name: v})


# ---- header fields ----

ADDRESSES = [
    {"name": None, "email": "plain@example.org"},
    {"name": "Joe Public", "email": "joe@example.org"},
    {"name": "Joe Q. Public", "email": "q@example.org"},
    {"name": 'Joe "the\\man" (x), <y>', "email": "quoted@example.org"},
    {"name": "J\u00f6rg \u6f22\u5b57 \U0001f600", "email": "j@example.org"},
    {"name": "\u00e4" * 100, "email": "long@example.org"},
    {"name": "a very long name " + "of many words " * 20 + "x",
     "email": "words@example.org"},
    {"name": None, "email": '"two words"@example.org'},
]


@pytest.mark.parametrize("prop, field", [
    ("from", "From"), ("sender", "Sender"), ("replyTo", "Reply-To"),
    ("to", "To"), ("cc", "Cc"), ("bcc", "Bcc")])
def test_email_create_property_addresses(api, blobs, prop, field):
    want = ADDRESSES[:1] if prop == "sender" else ADDRESSES
    made = create(api, **{prop: want})
    assert get(api, made["id"], prop)[prop] == want
    m = parsed(blobs, made)
    assert len(m.get_all(field)) == 1
    assert [a.addr_spec for a in m[field].addresses] == [
        a["email"] for a in want]
    # The default policy keeps blanks between encoded words (RFC 2047 6.2 has
    # them vanish); the older functions do not.
    old = email.message_from_bytes(raw(blobs, made),
                                   policy=email.policy.compat32)
    got = email.utils.getaddresses([old[field].replace("\r\n", "")])
    assert [str(make_header(decode_header(name))) for name, _ in got] == [
        a["name"] or "" for a in want]


def test_email_create_addresses_of_a_half_finished_draft(api):
    want = [{"name": None, "email": "bob"}, {"name": None, "email": "bob s"},
            {"name": "Bob", "email": ""}, {"name": None, "email": "bob@"},
            {"name": None, "email": "a, b"}]
    made = create(api, to=want)
    assert get(api, made["id"], "to")["to"] == want


def test_email_create_without_addresses_has_no_field(api, blobs):
    made = create(api, to=[], cc=None, subject=None)
    e = get(api, made["id"], "to", "cc", "subject")
    assert e["to"] is None and e["cc"] is None and e["subject"] is None
    assert set(parsed(blobs, made).keys()) == {
        "Date", "Message-ID", "MIME-Version", "Content-Type"}


@pytest.mark.parametrize("bad", [
    "bob@example.org", [5], [None], [{"name": "x"}], [{"email": None}],
    [{"email": 5}], [{"email": "a@x", "name": 5}], {"email": "a@x"},
    [{"email": "a@x", "more": 1}], [{"email": "a@x>, <eve@y"}],
    [{"email": "a@x\r\nBcc: eve@y"}], [{"email": "a@x", "name": "a\nb"}],
    [{"email": "a@x", "name": "a\u0000b"}], [{"email": "a@x, b@y"}]])
def test_email_create_invalid_addresses(api, bad):
    invalid(api, "to", to=bad)
    invalid(api, "header:X-To:asAddresses", **{"header:X-To:asAddresses": bad})


@pytest.mark.parametrize("subject", [
    "", "plain", "two  blanks", " at the ends ", "Gr\u00fc\u00dfe",
    "\u6f22\u5b57" * 60, "\U0001f600 " * 50, "=?utf-8?q?no?=", "x" * 3000,
    "many words " * 200 + ".", "a: b; c, \"d\" <e>", ".", "From x"])
def test_email_create_property_subject(api, blobs, subject):
    made = create(api, subject=subject)
    assert get(api, made["id"], "subject")["subject"] == subject
    assert parsed(blobs, made)["Subject"] == subject


@pytest.mark.parametrize("bad", [
    5, ["x"], "a\r\nBcc: eve@example.org", "a\nb", "a\rb", "a\u0000b",
    "\u001b[m", "\u0085"])
def test_email_create_invalid_subject(api, bad):
    invalid(api, "subject", subject=bad)


@pytest.mark.parametrize("prop, field", [
    ("messageId", "Message-ID"), ("inReplyTo", "In-Reply-To"),
    ("references", "References")])
def test_email_create_property_message_ids(api, blobs, prop, field):
    want = [f"{n}.{'x' * n}y@example.org" for n in range(30)]
    if prop == "messageId":
        want = want[:1]
    made = create(api, **{prop: want})
    assert get(api, made["id"], prop)[prop] == want
    assert (parsed(blobs, made)[field].split()
            == [f"<{i}>" for i in want])
    for bad in ("a@b", [5], ["a b@c"], ["a@b> <c@d"], [""], ["a\r\nb"]):
        invalid(api, prop, **{prop: bad})


@pytest.mark.parametrize("date, want", [
    ("2026-11-24T06:08:49+01:00", "2026-11-24T06:08:49+01:00"),
    ("2026-11-24T06:08:49Z", "2026-11-24T06:08:49Z"),
    ("1969-12-31T23:59:59-09:30", "1969-12-31T23:59:59-09:30")])
def test_email_create_property_sent_at(api, blobs, date, want):
    made = create(api, sentAt=date)
    assert get(api, made["id"], "sentAt")["sentAt"] == want
    assert parsed(blobs, made)["Date"].datetime.isoformat() == (
        want.replace("Z", "+00:00"))


def test_email_create_invalid_sent_at(api):
    for bad in ("yesterday", 5, "2026-13-01T00:00:00Z", ["x"]):
        invalid(api, "sentAt", sentAt=bad)


def test_email_create_sent_at_null_is_now(api):
    assert create(api, sentAt=None, messageId=None)
    assert create(api, sentAt=None)["receivedAt"] > "2026"


FORMS = {
    "header:X-Raw": " a raw \u00fc value\r\n in two lines",
    "header:X-Raw2:asRaw": "no blank",
    "header:X-Text:asText": "Gr\u00fc\u00dfe an alle",
    "header:X-Addresses:asAddresses": ADDRESSES,
    "header:X-Groups:asGroupedAddresses": [
        {"name": None, "addresses": [{"name": None, "email": "a@x.org"}]},
        {"name": "The team", "addresses": [
            {"name": "B", "email": "b@x.org"},
            {"name": None, "email": "c@x.org"}]},
        {"name": "M\u00e4nner", "addresses": []},
        {"name": None, "addresses": [{"name": "D", "email": "d@x.org"}]}],
    "header:X-Ids:asMessageIds": ["a@x", "b@y"],
    "header:X-Date:asDate": "2026-11-24T06:08:49+01:00",
    "header:X-Urls:asURLs": ["https://x.org/?a=b,c", "mailto:x@y.org"],
}


@pytest.mark.parametrize("prop", FORMS)
def test_email_create_header_form(api, prop):
    made = create(api, **{prop: FORMS[prop]})
    assert get(api, made["id"], prop)[prop] == FORMS[prop]
    many = create(api, **{prop + ":all": [FORMS[prop], FORMS[prop]]})
    assert get(api, many["id"], prop + ":all")[prop + ":all"] == [
        FORMS[prop], FORMS[prop]]
    none = create(api, **{prop: None, prop.replace("X-", "Y-") + ":all": []})
    assert get(api, none["id"], prop)[prop] is None


@pytest.mark.parametrize("prop", FORMS)
@pytest.mark.parametrize("bad", [5, [5], {"a": 1}, [[]], "a\r\nb", True])
def test_email_create_header_form_of_a_wrong_type(api, prop, bad):
    invalid(api, prop, **{prop: bad})
    if bad != [[]]:
        invalid(api, prop + ":all", **{prop + ":all": bad})


def test_email_create_every_header_form_at_once(api, blobs):
    made = create(api, **FORMS)
    assert get(api, made["id"], *FORMS) == {"id": made["id"], **FORMS}
    # In the client's order, before what the server adds.
    names = list(parsed_loosely(blobs, made).keys())
    assert names[:len(FORMS)] == [p.split(":")[1] for p in FORMS]


@pytest.mark.parametrize("bad", [
    " a\r\nBcc: eve@example.org", " a\nb", " a\n b", "a\rb", "a\u0000b",
    "a\r\n", "a\r\n \r\n b", "a\r\n\r\nbody", "x" * 1000, "\u007f"])
def test_email_create_raw_header_that_would_be_more_is_refused(api, bad):
    invalid(api, "header:X-Raw", **{"header:X-Raw": bad})
    invalid(api, "header:X-Raw:all", **{"header:X-Raw:all": [" x", bad]})


@pytest.mark.parametrize("prop", [
    "header:Subject:asAddresses", "header:From:asText", "header:To:asDate",
    "header:Date:asMessageIds", "header:List-Post:asText",
    "header:Received:asText", "header:X:asNothing", "header:X:all:asText",
    "header:X:astext"])
def test_email_create_header_form_that_is_forbidden(api, prop):
    invalid(api, prop, **{prop: "x"})


@pytest.mark.parametrize("one, two", [
    ({"subject": "a"}, {"header:Subject:asText": "b"}),
    ({"from": [{"email": "a@x"}]}, {"header:FROM": " b@x"}),
    ({"sentAt": "2026-11-24T06:08:49Z"}, {"header:date": " x"}),
    ({"messageId": ["a@b"]}, {"header:Message-Id:asMessageIds": ["c@d"]}),
    ({"header:X-A": " 1"}, {"header:x-a": " 2"}),
    ({"header:X-A": " 1"}, {"header:X-A:asText": "2"}),
    ({"header:X-A": " 1"}, {"header:X-A:all": [" 2"]})])
def test_email_create_the_same_field_in_two_ways(api, one, two):
    invalid(api, *two, **one, **two)


@pytest.mark.parametrize("prop", [
    "header:Content-Type", "header:content-disposition:asText",
    "header:Content-Transfer-Encoding", "header:Content-X",
    "header:MIME-Version"])
def test_email_create_content_fields_are_not_the_email_s(api, prop):
    invalid(api, prop, **{prop: " x"})


def test_email_create_tells_of_every_invalid_property(api):
    invalid(api, "mailboxIds", "subject", "to", "bodyValues/t/isTruncated",
            "attachments/0/blobId", "keywords",
            mailboxIds={}, subject=5, to=5, keywords=5,
            attachments=[{"blobId": 5, "partId": "t"}],
            bodyValues={"t": {"value": "x", "isTruncated": True}})


# ---- the other SetErrors ----

def test_email_create_blob_not_found(api):
    part, _ = blob_once(api)
    e = refused(api, attachments=[
        {"blobId": "bnone"}, {"blobId": part}, {"blobId": "nonsense"},
        {"blobId": "bnone"}])
    assert e["type"] == "blobNotFound"
    assert sorted(e["notFound"]) == ["bnone", "nonsense"]
    e = refused(api, bodyStructure={"subParts": [{"blobId": "b2"},
                                                 {"blobId": "b3"}]})
    assert sorted(e["notFound"]) == ["b2", "b3"]


def test_email_create_too_many_keywords(api):
    e = refused(api, keywords={f"k{i}": True for i in range(129)})
    assert e["type"] == "tooManyKeywords"
    assert create(api, keywords={f"k{i}": True for i in range(128)})


def test_email_create_too_large(api):
    """max-size-message is 400,000 bytes here, 280,000 of them attachments."""
    part, _ = blob(api, b"\xff" * 100_000)
    limit = session_limit(api)
    assert limit == 280_000
    assert create(api, attachments=[{"blobId": part}] * 2)
    e = refused(api, attachments=[{"blobId": part}] * 3)
    assert e["type"] == "tooLarge" and e["description"]
    e = refused(api, **text("x" * 399_999))
    assert e["type"] == "tooLarge"
    assert create(api, **text(("x" * 98 + "\n") * 3900))


def session_limit(api):
    session = HttpApi(api.server, api.account)
    try:
        (account,) = session.session()["accounts"].values()
        return account["accountCapabilities"][MAIL]["maxSizeAttachmentsPerEmail"]
    finally:
        session.close()


# ---- creation ids ----

def test_email_create_is_known_to_later_calls(api):
    got = api.calls(
        ["Mailbox/set", {"accountId": api.account_id, "create": {
            "box": {"name": f"drafts {api.carrier}"}}}, "0"],
        ["Email/set", {"accountId": api.account_id, "create": {
            "c1": {"mailboxIds": {"#box": True}, "subject": "mine"}}}, "1"],
        ["Email/get", {"accountId": api.account_id, "ids": ["#c1"],
                       "properties": ["subject", "mailboxIds"]}, "2"],
        ["Email/set", {"accountId": api.account_id, "update": {
            "#c1": {"keywords/$seen": True}}}, "3"])
    box = got[0][1]["created"]["box"]["id"]
    made = got[1][1]["created"]["c1"]["id"]
    assert got[2][1]["list"] == [
        {"id": made, "subject": "mine", "mailboxIds": {box: True}}]
    assert got[3][1]["updated"] == {made: None}


def test_email_create_update_and_destroy_in_one_call(api):
    box = {api.mailboxes()["drafts"]: True}
    got = api.call("Email/set", {
        "create": {"a": {"mailboxIds": box}, "b": {"mailboxIds": box}},
        "update": {"#a": {"keywords/$flagged": True}}, "destroy": ["#b"]})
    a, b = got["created"]["a"]["id"], got["created"]["b"]["id"]
    assert got["updated"] == {a: None} and got["destroyed"] == [b]
    assert get(api, a, "keywords")["keywords"] == {"$flagged": True}


def test_email_create_fills_created_ids(api):
    answer = api.request([["Email/set", {"accountId": api.account_id, "create": {
        "k": {"mailboxIds": {api.mailboxes()["drafts"]: True}}}}, "0"]],
        createdIds={})
    assert answer["createdIds"] == {
        "k": answer["methodResponses"][0][1]["created"]["k"]["id"]}


def test_email_create_threads_a_reply(api):
    first = create(api, subject="Topic", messageId=[f"{api.carrier}@thread"])
    reply = create(api, subject="Re: Topic",
                   inReplyTo=[f"{api.carrier}@thread"],
                   references=[f"{api.carrier}@thread"])
    assert reply["threadId"] == first["threadId"]
