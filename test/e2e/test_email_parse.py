"""Email/parse (RFC 8621 4.9): messages inside of messages, however encoded."""

import base64
import quopri

import pytest

import corpus
import jmap
from blob import Blobs
from mail import deliver

OPTIONS = {"max-objects-in-get": 20, "max-size-response": 262144}


def leaf(name, kind="text/plain"):
    return (f"Content-Type: {kind}; charset=utf-8\r\n"
            f"Content-Transfer-Encoding: 8bit\r\n\r\nthis is {name}")


def message(name, *parts):
    text = (f"From: {name} <{name}@example.net>\r\nTo: alice@example.org\r\n"
            f"Subject: {name}\r\nDate: Tue, 24 Nov 2026 06:00:00 +0000\r\n"
            f"Message-ID: <{name}@example.net>\r\nMIME-Version: 1.0\r\n")
    if not parts:
        return text + leaf(name)
    text += f'Content-Type: multipart/mixed; boundary="{name}-b"\r\n\r\n'
    for p in parts:
        text += f"--{name}-b\r\n{p}\r\n"
    return text + f"--{name}-b--\r\n"


def attached(text, encoding="7bit"):
    body = {"base64": lambda b: base64.encodebytes(b).replace(b"\n", b"\r\n"),
            "quoted-printable": quopri.encodestring}.get(
                encoding, lambda b: b)(text.encode()).decode()
    return ("Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n"
            f"Content-Transfer-Encoding: {encoding}\r\n\r\n{body}")


def chain(levels, encoding):
    """A message in a message, and so on; "m1" is the innermost."""
    text = message("m1", leaf("m1"), leaf("ä", "text/html"))
    for i in range(2, levels + 1):
        text = message(f"m{i}", leaf(f"m{i}"), attached(text, encoding))
    return text


MESSAGES = {
    "plain": message("plain"),
    "7bit": chain(6, "7bit"),
    "base64": chain(6, "base64"),
    "quoted-printable": chain(3, "quoted-printable"),
    "odd": message("odd", leaf("odd"),
                   "Content-Type: image/png\r\n"
                   "Content-Disposition: attachment\r\n"
                   "Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=",
                   "Content-Type: message/rfc822\r\n\r\n",
                   attached("Subject: " + "x" * 270000 + "\r\n\r\n")),
}


@pytest.fixture(scope="module")
def account(server):
    a = server.add_account()
    for text in MESSAGES.values():
        deliver(server, a.name, text.encode())
    return a


def numbered(ids):
    return sorted(ids, key=lambda i: (len(i), i))


def whole(api, name):
    """The delivered Email, with everything that Email/parse could show."""
    ids = dict(zip(MESSAGES, numbered(api.emails())))
    (e,) = api.call("Email/get", {
        "ids": [ids[name]], "fetchAllBodyValues": True,
        "properties": ["blobId", "size", "attachments", "textBody",
                       "subject"]})["list"]
    return e


def inner(api, name):
    """blobId of the message that is attached to it."""
    return whole(api, name)["attachments"][0]["blobId"]


def parse(api, blob_id, *properties, **args):
    if properties:
        args["properties"] = list(properties)
    got = api.call("Email/parse", {"blobIds": [blob_id], **args})
    assert got["notParsable"] is None and got["notFound"] is None, got
    assert list(got["parsed"]) == [blob_id]
    return got["parsed"][blob_id]


def values(e):
    return [v["value"] for _, v in sorted(e["bodyValues"].items())]


# ---- what is shown ----

def test_email_parse_default_properties(api):
    assert set(parse(api, inner(api, "7bit"))) == {
        "messageId", "inReplyTo", "references", "sender", "from", "to", "cc",
        "bcc", "replyTo", "subject", "sentAt", "hasAttachment", "preview",
        "bodyValues", "textBody", "htmlBody", "attachments"}


@pytest.mark.parametrize("name", ["id", "threadId", "mailboxIds", "keywords",
                                  "receivedAt"])
def test_email_parse_metadata_is_null(api, name):
    assert parse(api, inner(api, "7bit"), name) == {name: None}


def test_email_parse_just_these_properties(api):
    assert parse(api, inner(api, "7bit"), "subject", "messageId") == {
        "subject": "m5", "messageId": ["m5@example.net"]}
    assert parse(api, inner(api, "7bit"), properties=[]) == {}


@pytest.mark.parametrize("name, value", [
    ("from", [{"name": "m5", "email": "m5@example.net"}]),
    ("sentAt", "2026-11-24T06:00:00Z"), ("hasAttachment", True),
    ("preview", "this is m5"), ("inReplyTo", None),
    ("header:Subject", " m5"), ("header:SUBJECT:asText:all", ["m5"]),
    ("header:From:asGroupedAddresses", [{"name": None, "addresses": [
        {"name": "m5", "email": "m5@example.net"}]}])])
def test_email_parse_property(api, name, value):
    assert parse(api, inner(api, "7bit"), name) == {name: value}


def test_email_parse_headers(api):
    got = parse(api, inner(api, "base64"), "headers")["headers"]
    assert [h["name"] for h in got] == [
        "From", "To", "Subject", "Date", "Message-ID", "MIME-Version",
        "Content-Type"]


def test_email_parse_body_structure(api):
    root = parse(api, inner(api, "7bit"), "bodyStructure")["bodyStructure"]
    assert root["type"] == "multipart/mixed" and root["blobId"] is None
    assert [p["type"] for p in root["subParts"]] == ["text/plain",
                                                     "message/rfc822"]


def test_email_parse_body_properties(api):
    got = parse(api, inner(api, "7bit"), "textBody", "attachments",
                bodyProperties=["type", "header:Content-Disposition"])
    assert got == {
        "textBody": [{"type": "text/plain", "header:Content-Disposition": None}],
        "attachments": [{"type": "message/rfc822",
                         "header:Content-Disposition": " attachment"}]}


def test_email_parse_size_and_blob_id(api):
    attachment = whole(api, "base64")["attachments"][0]
    assert parse(api, attachment["blobId"], "size", "blobId") == {
        "size": attachment["size"], "blobId": attachment["blobId"]}
    assert attachment["size"] == len(chain(5, "base64").encode())


@pytest.mark.parametrize("flag, want", [
    ("fetchTextBodyValues", ["this is m1", "this is ä"]),
    ("fetchHTMLBodyValues", ["this is m1", "this is ä"]),
    ("fetchAllBodyValues", ["this is m1", "this is ä"]), (None, [])])
def test_email_parse_body_values(api, flag, want):
    blob = inner(api, "quoted-printable")
    blob = parse(api, blob, "attachments")["attachments"][0]["blobId"]
    args = {flag: True} if flag else {}
    assert values(parse(api, blob, "bodyValues", **args)) == want


def test_email_parse_max_body_value_bytes(api):
    got = parse(api, inner(api, "7bit"), "bodyValues",
                fetchTextBodyValues=True, maxBodyValueBytes=6)
    assert list(got["bodyValues"].values()) == [
        {"value": "this i", "isTruncated": True, "isEncodingProblem": False}]


# ---- what can be parsed ----

def test_email_parse_a_whole_message(api):
    e = whole(api, "plain")
    got = parse(api, e["blobId"], "size", "subject", "textBody",
                "bodyValues", fetchTextBodyValues=True)
    assert got["textBody"] == e["textBody"]
    assert (got["size"], got["subject"]) == (e["size"], "plain")
    assert values(got) == ["this is plain\n"]  # LMTP ends a line


def test_email_parse_an_upload(api):
    text = message("up", leaf("up"), attached(message("in"), "base64"))
    with Blobs(api.server, api.account) as blobs:
        blob = blobs.upload(text.encode())
    got = parse(api, blob, "subject", "size", "blobId", "attachments",
                "bodyValues", fetchAllBodyValues=True)
    assert (got["subject"], got["size"], got["blobId"]) == (
        "up", len(text), blob)
    assert values(got) == ["this is up"]
    inside = got["attachments"][0]["blobId"]
    assert parse(api, inside, "subject") == {"subject": "in"}


@pytest.mark.parametrize("encoding", ["7bit", "base64", "quoted-printable"])
def test_email_parse_its_parts_can_be_downloaded(api, encoding):
    blob = inner(api, encoding)
    with Blobs(api.server, api.account) as blobs:
        for i in range(3):
            got = parse(api, blob, "bodyStructure",
                        bodyProperties=["blobId", "size", "type", "subParts"])
            for p in got["bodyStructure"]["subParts"] or []:
                r = blobs.download(p["blobId"])
                assert (r.status, len(r.body)) == (200, p["size"])
                if p["type"].startswith("text/"):
                    assert r.body.startswith(b"this is ")
                else:
                    assert r.body.startswith(b"From: ")
                    blob = p["blobId"]
            if encoding == "quoted-printable" and i == 1:
                break


@pytest.mark.parametrize("encoding, levels", [
    ("7bit", 6), ("quoted-printable", 3), ("base64", 4)])
def test_email_parse_goes_down_through_messages(api, encoding, levels):
    """Ids of parts lead on, as deep as ids go."""
    blob = inner(api, encoding)
    highest = int(whole(api, encoding)["subject"][1:])
    for i in range(highest - 1, highest - levels, -1):
        got = parse(api, blob, "subject", "attachments", "bodyValues",
                    fetchTextBodyValues=True)
        assert got["subject"] == f"m{i}"
        assert values(got)[0] == f"this is m{i}"
        if i == 1:
            assert got["attachments"] == []
        else:
            blob = got["attachments"][0]["blobId"]


def test_email_parse_ends_where_ids_end(api):
    blob = inner(api, "base64")
    for _ in range(3):
        blob = parse(api, blob, "attachments")["attachments"][0]["blobId"]
    assert api.call("Email/parse", {"blobIds": [blob]})["notParsable"] == [blob]


def test_email_parse_parts_of_a_7bit_message_are_parts_of_the_whole(api):
    """The same bytes have the same id, whichever way one came."""
    outer = whole(api, "7bit")["attachments"][0]["blobId"]
    text = parse(api, outer, "textBody")["textBody"][0]["blobId"]
    assert text.count("_") == outer.count("_") == 3


def test_email_parse_shows_what_get_shows(server):
    """Of every message of test/data/mail, but for what a row alone has."""
    account = server.add_account()
    corpus.deliver_all(server, account.name, corpus.committed().values())
    api = jmap.HttpApi(server, account)
    want = {"properties": [
        "blobId", "size", "messageId", "inReplyTo", "references", "sender",
        "from", "to", "cc", "bcc", "replyTo", "subject", "sentAt",
        "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody",
        "attachments", "bodyStructure", "headers", "header:Subject:asText",
        "header:To:asGroupedAddresses:all", "header:Received:all"],
        "bodyProperties": [
            "partId", "blobId", "size", "name", "type", "charset",
            "disposition", "cid", "language", "location", "headers",
            "subParts", "header:Content-Type:asText"],
        "fetchAllBodyValues": True}
    ids = api.emails()
    assert len(ids) == len(corpus.committed())
    for i in range(0, len(ids), 5):
        emails = api.call("Email/get", {"ids": ids[i:i + 5], **want})["list"]
        got = api.call("Email/parse", {
            "blobIds": [e["blobId"] for e in emails], **want})
        for e in emails:
            del e["id"]
            assert got["parsed"][e["blobId"]] == e
    api.close()


# ---- what cannot ----

def test_email_parse_not_parsable(api):
    (png, empty, *_) = whole(api, "odd")["attachments"]
    text = whole(api, "odd")["textBody"][0]
    ids = [png["blobId"], empty["blobId"], text["blobId"]]
    got = api.call("Email/parse", {"blobIds": ids})
    assert got["notParsable"] == ids
    assert got["parsed"] is None and got["notFound"] is None


def test_email_parse_not_found(api):
    e = whole(api, "plain")
    ids = ["b" + "0" * 52, "nonsense", "", e["blobId"] + "0",
           inner(api, "7bit") + "_0_0_0",  # no level behind what is plain
           "p" + e["blobId"][1:] + "_0_vvvv_0"]  # beyond its end
    got = api.call("Email/parse", {"blobIds": ids})
    assert got["notFound"] == ids
    assert got["parsed"] is None and got["notParsable"] is None


def test_email_parse_some_of_each(api):
    e = whole(api, "odd")
    ids = ["b1", e["blobId"], e["attachments"][0]["blobId"],
           inner(api, "7bit"), e["blobId"]]
    got = api.call("Email/parse", {"blobIds": ids, "properties": ["subject"]})
    assert got == {"accountId": api.account_id,
                   "parsed": {ids[1]: {"subject": "odd"},
                              ids[3]: {"subject": "m5"}},
                   "notParsable": [ids[2]], "notFound": ["b1"]}


def test_email_parse_nothing(api):
    assert api.call("Email/parse", {"blobIds": []}) == {
        "accountId": api.account_id, "parsed": None, "notParsable": None,
        "notFound": None}


@pytest.mark.parametrize("args", [
    {}, {"blobIds": None}, {"blobIds": "b1"}, {"blobIds": [1]},
    {"blobIds": [], "ids": []}, {"blobIds": [], "properties": ["nope"]},
    {"blobIds": [], "properties": [1]}, {"blobIds": [], "properties": {}},
    {"blobIds": [], "properties": ["header:From:asDate"]},
    {"blobIds": [], "properties": ["header:X:asNothing"]},
    {"blobIds": [], "bodyProperties": ["nope"]},
    {"blobIds": [], "bodyProperties": ["header:Date:asText"]},
    {"blobIds": [], "fetchTextBodyValues": "yes"},
    {"blobIds": [], "fetchHTMLBodyValues": None},
    {"blobIds": [], "fetchAllBodyValues": 1},
    {"blobIds": [], "maxBodyValueBytes": -1}])
def test_email_parse_invalid_arguments(api, args):
    assert api.error("Email/parse", args)["type"] == "invalidArguments"


def test_email_parse_another_account(api):
    got = api.error("Email/parse", {"accountId": "u9999", "blobIds": []})
    assert got["type"] == "accountNotFound"


def test_email_parse_more_blobs_than_max_objects(api):
    got = api.error("Email/parse", {"blobIds": ["b1"] * 21})
    assert got["type"] == "requestTooLarge"


def test_email_parse_more_than_max_size_response(api):
    blob = whole(api, "odd")["attachments"][2]["blobId"]
    for name in ("subject", "headers", "header:Subject"):
        got = api.error("Email/parse", {"blobIds": [blob],
                                        "properties": [name]})
        assert got["type"] == "requestTooLarge"
    assert parse(api, blob, "messageId") == {"messageId": None}
