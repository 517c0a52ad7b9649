"""Email/import (RFC 8621 4.8): uploads, parts and other messages become Emails."""

import pytest

from blob import Blobs
from mail import deliver, message

OPTIONS = {"max_size_message": 200000, "max_objects_in_set": 4}


@pytest.fixture(scope="module")
def account(server):
    """One for all: no test here looks at what others left."""
    return server.add_account("alice@example.org")


@pytest.fixture
def blobs(server, account):
    with Blobs(server, account) as b:
        yield b


@pytest.fixture
def inbox(api):
    return {api.mailboxes()["inbox"]: True}


def imported(api, **props):
    got = api.call("Email/import", {"emails": {"k": props}})
    assert got["notCreated"] is None, got
    return got["created"]["k"]


def refused(api, **props):
    state = api.state()
    got = api.call("Email/import", {"emails": {"k": props}})
    assert got["created"] is None, got
    assert got["oldState"] == got["newState"] == state == api.state()
    return got["notCreated"]["k"]


def invalid(api, *names, **props):
    e = refused(api, **props)
    assert e["type"] == "invalidProperties", e
    assert sorted(e["properties"]) == sorted(names), e


def get(api, email_id, *props, **args):
    (e,) = api.call("Email/get", {"ids": [email_id], "properties": list(props),
                                  **args})["list"]
    return e


def test_email_import_of_an_upload(api, blobs, inbox):
    data = message(subject="imported", body="of \u00fc\r\n")
    blob_id = blobs.upload(data)
    made = imported(api, blobId=blob_id, mailboxIds=inbox)
    assert set(made) == {"id", "blobId", "threadId", "size"}
    assert (made["blobId"], made["size"]) == (blob_id, len(data))
    e = get(api, made["id"], "id", "blobId", "threadId", "size", "subject",
            "mailboxIds", "keywords")
    assert e == {**made, "subject": "imported", "mailboxIds": inbox,
                 "keywords": {}}
    assert blobs.download(made["blobId"]).body == data


def test_email_import_of_a_part(api, blobs, inbox):
    inner = message(subject="inner")
    data = message(
        MIME_Version="1.0", Content_Type="multipart/mixed; boundary=B",
        body="--B\r\nContent-Type: message/rfc822\r\n\r\n"
        + inner.decode() + "\r\n--B--\r\n")
    outer = imported(api, blobId=blobs.upload(data), mailboxIds=inbox)
    (part,) = get(api, outer["id"], "attachments")["attachments"]
    made = imported(api, blobId=part["blobId"], mailboxIds=inbox)
    assert get(api, made["id"], "subject")["subject"] == "inner"
    assert blobs.download(made["blobId"]).body == inner


def test_email_import_of_another_email_s_message(api, inbox):
    deliver(api.server, api.account.name, message(subject="twice"))
    first = api.emails()[0]
    e = get(api, first, "blobId", "threadId")
    made = imported(api, blobId=e["blobId"], mailboxIds=inbox)
    assert made["id"] != first
    assert (made["blobId"], made["threadId"]) == (e["blobId"], e["threadId"])


def test_email_import_twice_makes_two_emails(api, blobs, inbox):
    """RFC 8621 4.8: with ids and mutable properties of their own."""
    blob_id = blobs.upload(message())
    got = api.call("Email/import", {"emails": {
        k: {"blobId": blob_id, "mailboxIds": inbox} for k in "ab"}})
    a, b = (got["created"][k]["id"] for k in "ab")
    assert a != b
    api.set_keyword(a, "$seen")
    assert get(api, b, "keywords")["keywords"] == {}
    api.call("Email/set", {"destroy": [a]})
    assert get(api, b, "blobId")["blobId"] == blob_id


def test_email_import_property_keywords(api, blobs, inbox):
    blob_id = blobs.upload(message())
    made = imported(api, blobId=blob_id, mailboxIds=inbox,
                    keywords={"$Seen": True, "x": True})
    assert get(api, made["id"], "keywords")["keywords"] == {
        "$seen": True, "x": True}
    assert imported(api, blobId=blob_id, mailboxIds=inbox, keywords=None)
    for bad in (["x"], {"x": False}, {"a b": True}, 5):
        invalid(api, "keywords", blobId=blob_id, mailboxIds=inbox, keywords=bad)
    e = refused(api, blobId=blob_id, mailboxIds=inbox,
                keywords={f"k{i}": True for i in range(129)})
    assert e["type"] == "tooManyKeywords"


def test_email_import_property_mailbox_ids(api, blobs):
    blob_id = blobs.upload(message())
    both = {api.mailboxes()[r]: True for r in ("trash", "archive")}
    made = imported(api, blobId=blob_id, mailboxIds=both)
    assert get(api, made["id"], "mailboxIds")["mailboxIds"] == both
    invalid(api, "mailboxIds", blobId=blob_id)
    for bad in ({}, None, [], {"m999": True}, {"#no": True},
                dict.fromkeys(both, False)):
        invalid(api, "mailboxIds", blobId=blob_id, mailboxIds=bad)


def test_email_import_property_received_at(api, blobs, inbox):
    blob_id = blobs.upload(message())
    made = imported(api, blobId=blob_id, mailboxIds=inbox,
                    receivedAt="2001-02-03T04:05:06Z")
    assert get(api, made["id"], "receivedAt")["receivedAt"] == (
        "2001-02-03T04:05:06Z")
    for bad in ("2001-02-03", 5, "2001-02-03T04:05:06+01:00"):
        invalid(api, "receivedAt", blobId=blob_id, mailboxIds=inbox,
                receivedAt=bad)


def test_email_import_received_at_is_by_default_the_last_received(
        api, blobs, inbox):
    trace = (b"Received: from a (b; c) by d;\r\n Tue, 1 Jan 2002 10:00:00 +0100\r\n"
             b"Received: from e by f; Mon, 1 Jan 2001 00:00:00 +0000\r\n")
    made = imported(api, blobId=blobs.upload(trace + message()),
                    mailboxIds=inbox, receivedAt=None)
    assert get(api, made["id"], "receivedAt")["receivedAt"] == (
        "2002-01-01T09:00:00Z")
    # Without one, or with one that has no date: now.
    for head in (b"", b"Received: from a by b\r\n"):
        made = imported(api, blobId=blobs.upload(head + message()),
                        mailboxIds=inbox)
        assert get(api, made["id"], "receivedAt")["receivedAt"] > "2026"


def test_email_import_property_blob_id(api, blobs, inbox):
    invalid(api, "blobId", mailboxIds=inbox)
    for bad in (None, 5, "bnone", "nonsense", ""):
        invalid(api, "blobId", mailboxIds=inbox, blobId=bad)


def test_email_import_property_that_is_unknown(api, blobs, inbox):
    invalid(api, "subject", "more", blobId=blobs.upload(message()),
            mailboxIds=inbox, subject="x", more=1)


@pytest.mark.parametrize("data", [
    b"", b"\r\n\r\nonly a body", b"\x89PNG\r\n\x1a\n\x00\x00", b"no header"])
def test_email_import_invalid_email(api, blobs, inbox, data):
    e = refused(api, blobId=blobs.upload(data), mailboxIds=inbox)
    assert e["type"] == "invalidEmail"


@pytest.mark.parametrize("data", [
    b"Subject: unix\n\nbody\n", b"Subject: no body", b"X: \xff\x00\r\n\r\n\x00",
    "Subject: Gr\u00fc\u00dfe\r\nFrom: j\u00f6@ex\u00e4mple.org\r\n\r\n".encode()])
def test_email_import_takes_a_message_as_it_is(api, blobs, inbox, data):
    made = imported(api, blobId=blobs.upload(data), mailboxIds=inbox)
    assert blobs.download(made["blobId"]).body == data


def test_email_import_internationalized_addresses(api, blobs, inbox):
    """RFC 8621 4.8: EAI headers (RFC 6532) are supported."""
    data = "From: J\u00f6rg <j\u00f6@ex\u00e4mple.org>\r\n\r\n".encode()
    made = imported(api, blobId=blobs.upload(data), mailboxIds=inbox)
    assert get(api, made["id"], "from")["from"] == [
        {"name": "J\u00f6rg", "email": "j\u00f6@ex\u00e4mple.org"}]


def test_email_import_too_large(api, blobs, inbox):
    e = refused(api, mailboxIds=inbox,
                blobId=blobs.upload(message(body="x" * 200_000)))
    assert e["type"] == "tooLarge"
    assert imported(api, mailboxIds=inbox,
                    blobId=blobs.upload(message(body="x" * 199_000)))


def test_email_import_each_one_by_itself(api, blobs, inbox):
    blob_id = blobs.upload(message())
    state = api.state()
    got = api.call("Email/import", {"emails": {
        "good": {"blobId": blob_id, "mailboxIds": inbox}, "bad": {}}})
    assert set(got["created"]) == {"good"}
    assert set(got["notCreated"]) == {"bad"}
    assert set(got) == {"accountId", "oldState", "newState", "created",
                        "notCreated"}
    assert got["oldState"] == state and got["newState"] == api.state()


def test_email_import_if_in_state(api, blobs, inbox):
    one = {"k": {"blobId": blobs.upload(message()), "mailboxIds": inbox}}
    state = api.state()
    assert api.call("Email/import", {"ifInState": state, "emails": one})[
        "created"]
    e = api.error("Email/import", {"ifInState": state, "emails": one})
    assert e["type"] == "stateMismatch"
    assert api.call("Email/import", {"ifInState": None, "emails": one})[
        "created"]


@pytest.mark.parametrize("args", [
    {}, {"emails": None}, {"emails": []}, {"emails": {"k": None}},
    {"emails": {"a b": {}}}, {"emails": {}, "ifInState": 5},
    {"emails": {}, "create": {}}])
def test_email_import_invalid_arguments(api, args):
    assert api.error("Email/import", args)["type"] == "invalidArguments"


def test_email_import_of_nothing(api):
    state = api.state()
    assert api.call("Email/import", {"emails": {}}) == {
        "accountId": api.account_id, "oldState": state, "newState": state,
        "created": None, "notCreated": None}


def test_email_import_max_objects(api):
    e = api.error("Email/import", {"emails": {f"k{i}": {} for i in range(5)}})
    assert e["type"] == "requestTooLarge"


def test_email_import_is_known_to_later_calls(api, blobs):
    got = api.calls(
        ["Mailbox/set", {"accountId": api.account_id, "create": {
            "box": {"name": f"imports {api.carrier}"}}}, "0"],
        ["Email/import", {"accountId": api.account_id, "emails": {
            "k": {"blobId": blobs.upload(message(subject="ref")),
                  "mailboxIds": {"#box": True}}}}, "1"],
        ["Email/get", {"accountId": api.account_id, "ids": ["#k"],
                       "properties": ["subject"]}, "2"])
    made = got[1][1]["created"]["k"]["id"]
    assert got[2][1]["list"] == [{"id": made, "subject": "ref"}]
