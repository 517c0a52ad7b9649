"""Email/set create (RFC 8621 4.6): what is made, and what is refused. Python's email
package reads each message's bytes as an independent witness."""

import base64
import email
import email.policy
import email.utils
import re
from email.header import decode_header, make_header

import pytest

from blob import Blobs
from jmap import MAIL, HttpApi
from mail import deliver, message

OPTIONS = {"max_size_message": 400000}


@pytest.fixture(scope="module")
def account(server):
    """One for all: no test here looks at what others left."""
    return server.add_account("alice@example.org")


@pytest.fixture
def blobs(server, account):
    with Blobs(server, account) as b:
        yield b


def create(api, **props):
    """What "created" says of one draft."""
    props.setdefault("mailboxIds", {api.mailboxes()["drafts"]: True})
    got = api.call("Email/set", {"create": {"c": props}})
    assert got["notCreated"] is None, got
    return got["created"]["c"]


def refused(api, mailboxes=True, **props):
    """The SetError of one draft."""
    if mailboxes:
        props.setdefault("mailboxIds", {api.mailboxes()["drafts"]: True})
    before = api.state()
    got = api.call("Email/set", {"create": {"c": props}})
    assert got["created"] is None, got
    assert got["oldState"] == got["newState"] == before == api.state()
    return got["notCreated"]["c"]


def invalid(api, *names, **props):
    """These, and no other, properties are invalid."""
    e = refused(api, **props)
    assert e["type"] == "invalidProperties", e
    assert sorted(e["properties"]) == sorted(names), e
    assert e["description"]


def get(api, email_id, *props, **args):
    (e,) = api.call("Email/get", {
        "ids": [email_id], **({"properties": list(props)} if props else {}),
        **args})["list"]
    return e


def raw(blobs, made):
    """The bytes of an Email, which any sender may pass on."""
    r = blobs.download(made["blobId"])
    assert r.status == 200
    assert len(r.body) == made["size"]
    head = r.body.split(b"\r\n\r\n")[0]
    for line in r.body.split(b"\r\n"):
        assert len(line) <= 998
    for line in head.split(b"\r\n"):
        assert len(line) <= 998 and line.strip() and b"\r" not in line
    return r.body


def parsed(blobs, made):
    m = email.message_from_bytes(raw(blobs, made), policy=email.policy.default)
    for part in m.walk():
        assert not part.defects, part.defects
        for v in part.values():
            assert not v.defects, (v, v.defects)
    return m


def shape(m):
    if m.is_multipart() and m.get_content_maintype() == "multipart":
        return [m.get_content_subtype(), *map(shape, m.iter_parts())]
    return m.get_content_type()


def text(value, **more):
    """textBody of this value."""
    return {"textBody": [{"partId": "t", "type": "text/plain"}],
            "bodyValues": {"t": {"value": value}}, **more}


def value(api, email_id, html=False):
    e = get(api, email_id, "bodyValues", "htmlBody", "textBody",
            fetchAllBodyValues=True)
    (part,) = e["htmlBody" if html else "textBody"]
    v = e["bodyValues"][part["partId"]]
    assert v["isEncodingProblem"] is False and v["isTruncated"] is False
    return v["value"]


def blob(api, data=b"some \x00\xff bytes\r\n", content_type="image/png"):
    """The blobId and bytes of a part of a message that was delivered."""
    body = base64.encodebytes(data).decode().replace("\n", "\r\n")
    before = set(api.emails())
    deliver(api.server, api.account.name, message(
        body=body, MIME_Version="1.0", Content_Type=content_type,
        Content_Transfer_Encoding="base64"))
    (new,) = set(api.emails()) - before
    part = get(api, new, "bodyStructure", "blobId")
    return part["bodyStructure"]["blobId"], part["blobId"]


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


def test_email_create_changes_states_but_no_delivery(api):
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


def parsed_loosely(blobs, made):
    """A raw field may hold UTF-8 (RFC 6532), which Python takes for a defect."""
    return email.message_from_bytes(raw(blobs, made),
                                    policy=email.policy.default)


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


# ---- bodies ----

@pytest.mark.parametrize("v", [
    "", "\n", "Hello.", "Hello.\n", "a\n\n\nb\n\n", "trailing blank \nand tab\t\n",
    ".\n..\n.dot\n", "From here\n>From there\n", "-- \nsig", "--\n--x--\n",
    "\u00fcml\u00e4ute\n", "\u6f22\u5b57" * 500, "\U0001f600" * 100, "=3D = =\n=",
    "x" * 5000, ("word " * 400 + "\n") * 3, "lone \r CR", "nul \u0000 nul",
    "\u0085\u2028\ufeff", "tab\there", "\u00fc" * 300 + "\n" + "x" * 999])
def test_email_create_body_value_comes_back(api, blobs, v):
    made = create(api, **text(v))
    assert value(api, made["id"]) == v
    m = parsed(blobs, made)
    assert m.get_content_type() == "text/plain"
    assert m.get_payload(decode=True).decode() == v.replace("\n", "\r\n")
    encoding = m["Content-Transfer-Encoding"]
    plain = v.isascii() and max(map(len, v.split("\n"))) <= 998
    if plain and not re.search("[\r\0]", v):
        assert encoding is None
    else:
        assert encoding in ("quoted-printable", "base64")


def test_email_create_body_value_with_crlf_is_lines(api):
    assert value(api, create(api, **text("a\r\nb\r\n"))["id"]) == "a\nb\n"


def test_email_create_html_body(api, blobs):
    made = create(api, htmlBody=[{"partId": "h", "type": "text/html"}],
                  bodyValues={"h": {"value": "<p>Gr\u00fc\u00dfe</p>"}})
    assert value(api, made["id"], html=True) == "<p>Gr\u00fc\u00dfe</p>"
    m = parsed(blobs, made)
    assert m.get_content_type() == "text/html"
    assert m.get_content_charset() == "utf-8"
    assert m.get_content() == "<p>Gr\u00fc\u00dfe</p>"


def test_email_create_default_types_of_the_lists(api):
    made = create(api, textBody=[{"partId": "t"}], htmlBody=[{"partId": "h"}],
                  bodyValues={"t": {"value": "t"}, "h": {"value": "h"}})
    e = get(api, made["id"], "textBody", "htmlBody")
    assert e["textBody"][0]["type"] == "text/plain"
    assert e["htmlBody"][0]["type"] == "text/html"


BOTH = {"textBody": [{"partId": "t", "type": "text/plain"}],
        "htmlBody": [{"partId": "h", "type": "text/html"}],
        "bodyValues": {"t": {"value": "text"}, "h": {"value": "<p>html"}}}


def test_email_create_structure_of_text_and_html(api, blobs):
    made = create(api, **BOTH)
    assert shape(parsed(blobs, made)) == [
        "alternative", "text/plain", "text/html"]
    assert value(api, made["id"]) == "text"
    assert value(api, made["id"], html=True) == "<p>html"


def test_email_create_structure_with_attachments(api, blobs):
    png, _ = blob(api)
    made = create(api, **BOTH, attachments=[
        {"blobId": png, "type": "image/png", "name": "a.png"},
        {"blobId": png, "type": "text/csv"}])
    assert made["hasAttachment"] is True
    m = parsed(blobs, made)
    assert shape(m) == ["mixed", ["alternative", "text/plain", "text/html"],
                        "image/png", "text/csv"]
    assert [a.get_content_type() for a in m.iter_attachments()] == [
        "image/png", "text/csv"]
    e = get(api, made["id"], "textBody", "htmlBody", "attachments")
    assert [a["type"] for a in e["attachments"]] == ["image/png", "text/csv"]
    assert [a["disposition"] for a in e["attachments"]] == ["attachment"] * 2
    assert len(e["textBody"]) == len(e["htmlBody"]) == 1


def test_email_create_structure_with_inline_images(api, blobs):
    png, _ = blob(api)
    made = create(api, **BOTH, attachments=[
        {"blobId": png, "type": "image/png", "cid": "one@x"},
        {"blobId": png, "type": "image/gif", "cid": "two@x",
         "disposition": "attachment"}])
    m = parsed(blobs, made)
    assert shape(m) == [
        "mixed", ["alternative", "text/plain", [
            "related", "text/html", "image/png"]], "image/gif"]
    related = m.get_payload(0).get_payload(1)
    assert related.get_param("type") == "text/html"  # RFC 2387 3.1
    assert related.get_payload(1)["Content-ID"] == "<one@x>"
    e = get(api, made["id"], "attachments", "textBody", "htmlBody")
    assert [(a["cid"], a["disposition"]) for a in e["attachments"]] == [
        ("one@x", "inline"), ("two@x", "attachment")]
    assert len(e["textBody"]) == len(e["htmlBody"]) == 1


def test_email_create_structure_of_attachments_alone(api, blobs):
    png, _ = blob(api)
    made = create(api, attachments=[{"blobId": png, "type": "image/png",
                                     "cid": "x@y"}])
    assert shape(parsed(blobs, made)) == ["mixed", "image/png"]
    e = get(api, made["id"], "attachments")
    assert e["attachments"][0]["disposition"] == "attachment"


def test_email_create_attachments_are_the_same_bytes(api, blobs):
    data = bytes(range(256)) * 1000
    part, _ = blob(api, data)
    made = create(api, **text("x"), attachments=[
        {"blobId": part, "type": "application/x-any"}])
    (a,) = parsed(blobs, made).iter_attachments()
    assert a.get_payload(decode=True) == data
    e = get(api, made["id"], "attachments")
    assert e["attachments"][0]["size"] == len(data)


@pytest.mark.parametrize("data, encoding", [
    (b"a,b\r\n1,2\r\n", None), (b"unix\nlines\n", "base64"),
    ("\u00fc;\u00e4 and a lot of plain text\r\n".encode(), "quoted-printable"),
    (b"\xfcn latin", "base64"), (b"", None), (b"\r\n", None),
    (b"x" * 999 + b"\r\n", "quoted-printable"), (b"end ", None)])
def test_email_create_text_blobs_are_the_same_bytes(api, blobs, data, encoding):
    part, _ = blob(api, data)
    made = create(api, attachments=[{"blobId": part, "type": "text/csv"}])
    (a,) = parsed(blobs, made).iter_attachments()
    assert a.get_payload(decode=True) == data
    assert a["Content-Transfer-Encoding"] in (encoding, "quoted-printable")


def test_email_create_blob_charset(api, blobs):
    part, _ = blob(api, b"\xfc")
    made = create(api, textBody=[{"blobId": part, "type": "text/plain",
                                  "charset": "iso-8859-1", "size": 77}])
    assert value(api, made["id"]) == "\u00fc"
    assert parsed(blobs, made).get_content() == "\u00fc"
    utf8, _ = blob(api, "\u00fc".encode())
    made = create(api, textBody=[{"blobId": utf8, "type": "text/plain"}])
    assert value(api, made["id"]) == "\u00fc"


def test_email_create_attached_message_is_as_it_was(api, blobs):
    _, whole = blob(api)
    made = create(api, **text("see below"), attachments=[
        {"blobId": whole, "type": "message/rfc822", "name": "fwd.eml"}])
    m = parsed(blobs, made)
    (a,) = m.iter_attachments()
    assert a.get_content_type() == "message/rfc822"
    assert a["Content-Transfer-Encoding"] is None
    assert a.get_content()["Subject"] == "Hello"
    assert blobs.download(whole).body in raw(blobs, made)
    part = get(api, made["id"], "attachments")["attachments"][0]
    assert blobs.download(part["blobId"]).body == blobs.download(whole).body


def test_email_create_body_structure(api, blobs):
    png, _ = blob(api)
    made = create(api, subject="tree", bodyStructure={
        "type": "multipart/mixed", "subParts": [
            {"type": "multipart/Alternative", "header:X-Sub": " y", "subParts": [
                {"partId": "a", "type": "text/plain", "language": ["de", "en-GB"]},
                {"partId": "b", "type": "TEXT/HTML",
                 "location": "https://example.org/x"}]},
            {"blobId": png, "type": "image/png", "name": "\u00fc \"x\".png",
             "disposition": "inline", "cid": "c@x",
             "header:X-Part:asText": "\u00e4"}]},
        bodyValues={"a": {"value": "A\n"}, "b": {"value": "<b>B"},
                    "unused": {"value": "", "isTruncated": False,
                               "isEncodingProblem": False}})
    m = parsed(blobs, made)
    assert shape(m) == ["mixed", ["alternative", "text/plain", "text/html"],
                        "image/png"]
    s = get(api, made["id"], "bodyStructure", bodyProperties=[
        "type", "subParts", "language", "location", "name", "disposition",
        "cid", "header:X-Sub", "header:X-Part:asText"])["bodyStructure"]
    alternative, image = s["subParts"]
    assert alternative["header:X-Sub"] == " y"
    assert alternative["type"] == "multipart/alternative"
    assert alternative["subParts"][0]["language"] == ["de", "en-GB"]
    assert alternative["subParts"][1]["location"] == "https://example.org/x"
    assert image["name"] == '\u00fc "x".png'
    assert (image["disposition"], image["cid"]) == ("inline", "c@x")
    assert image["header:X-Part:asText"] == "\u00e4"
    assert m.get_payload(1).get_filename() == '\u00fc "x".png'


def test_email_create_body_structure_of_one_part(api, blobs):
    made = create(api, bodyStructure={
        "partId": "p", "header:X-Root": " r",
        "header:Message-ID:asMessageIds": ["own@x"]},
        bodyValues={"p": {"value": "alone"}})
    m = parsed(blobs, made)
    assert m["X-Root"] == "r" and m.get_content() == "alone"
    assert m.get_all("Message-ID") == ["<own@x>"]
    assert get(api, made["id"], "messageId")["messageId"] == ["own@x"]


def test_email_create_deep_body_structure(api, blobs):
    part, want = {"partId": "p"}, "text/plain"
    for _ in range(25):
        part = {"type": "multipart/mixed", "subParts": [part]}
        want = ["mixed", want]
    made = create(api, bodyStructure=part, bodyValues={"p": {"value": "deep"}})
    assert shape(parsed(blobs, made)) == want
    assert value(api, made["id"]) == "deep"


def test_email_create_own_content_type(api, blobs):
    made = create(api, bodyStructure={
        "header:Content-Type": " multipart/report; report-type=x", "subParts": [
            {"partId": "p",
             "header:Content-Type": " text/plain; charset=utf-8; format=flowed"},
            {"partId": "p", "header:Content-Type": " text/plain",
             "header:Content-Disposition": " inline; filename=\"a b\""}]},
        bodyValues={"p": {"value": "flowed \ntext"}})
    m = parsed(blobs, made)
    assert shape(m) == ["report", "text/plain", "text/plain"]
    assert m.get_param("report-type") == "x"
    assert m.get_payload(0).get_param("format") == "flowed"
    assert m.get_payload(1).get_filename() == "a b"


@pytest.mark.parametrize("name", [
    "plain.txt", "two words.txt", 'quo"te\\.txt', "\u00fc.txt", "\u6f22" * 80,
    "\U0001f600 smile", "a'b%20c*.txt", "x" * 300, "semi;colon=.txt",
    " ends ", "..", "/etc/passwd", "tab\tin"])
@pytest.mark.parametrize("disposition", ["attachment", None])
def test_email_create_property_name(api, blobs, name, disposition):
    part, _ = blob_once(api)
    made = create(api, attachments=[{
        "blobId": part, "type": "image/png", "name": name,
        "disposition": disposition}])
    want = name.replace("\t", " ")
    (e,) = get(api, made["id"], "bodyStructure")["bodyStructure"]["subParts"]
    assert (e["name"], e["disposition"]) == (want, disposition)
    (a,) = parsed(blobs, made).iter_parts()
    assert a.get_filename() == want.strip()  # Python's doing


_blob = {}


def blob_once(api):
    """The same one for all tests of this account."""
    if api.account.name not in _blob:
        _blob[api.account.name] = blob(api)
    return _blob[api.account.name]


def test_email_create_message_with_all_kinds_of_bodies_is_8bit_clean(api, blobs):
    deliver(api.server, api.account.name, message(
        subject="\u00fc", body="\u00fc\r\n"))
    whole = get(api, api.emails()[0], "blobId")["blobId"]
    made = create(api, attachments=[{"blobId": whole,
                                     "type": "message/rfc822"}])
    m = parsed_loosely(blobs, made)
    assert m["Content-Transfer-Encoding"] == "8bit"
    assert m.get_payload(0)["Content-Transfer-Encoding"] == "8bit"


# ---- what a body may not be ----

PART = {"partId": "t", "type": "text/plain"}
VALUES = {"t": {"value": "x"}}


@pytest.mark.parametrize("names, props", [
    (["textBody"], {"textBody": [PART, PART]}),
    (["textBody"], {"textBody": []}),
    (["textBody"], {"textBody": PART}),
    (["textBody/0"], {"textBody": ["t"]}),
    (["textBody/0/type"], {"textBody": [{**PART, "type": "text/html"}]}),
    (["htmlBody/0/type"], {"htmlBody": [PART]}),
    (["attachments"], {"attachments": PART}),
    (["bodyStructure"], {"bodyStructure": PART, "textBody": [PART]}),
    (["bodyStructure"], {"bodyStructure": PART, "attachments": []}),
    (["bodyStructure"], {"bodyStructure": [PART]}),
    (["bodyStructure/header:Subject"],
     {"subject": "x", "bodyStructure": {**PART, "header:Subject": " y"}}),
    (["bodyStructure/header:X-A:asText"],
     {"header:x-a": " x", "bodyStructure": {**PART, "header:X-A:asText": "y"}}),
    (["bodyStructure/partId"], {"bodyStructure": {"type": "text/plain"}}),
    (["bodyStructure/partId"], {"bodyStructure": {**PART, "partId": "no"}}),
    (["bodyStructure/partId"], {"bodyStructure": {**PART, "partId": 5}}),
    (["bodyStructure/blobId"], {"bodyStructure": {**PART, "blobId": "b1"}}),
    (["bodyStructure/charset"], {"bodyStructure": {**PART, "charset": "utf-8"}}),
    (["bodyStructure/size"], {"bodyStructure": {**PART, "size": 1}}),
    (["bodyStructure/headers"], {"bodyStructure": {**PART, "headers": []}}),
    (["bodyStructure/more"], {"bodyStructure": {**PART, "more": 1}}),
    (["bodyStructure/header:Content-Transfer-Encoding"],
     {"bodyStructure": {**PART, "header:Content-Transfer-Encoding": " 7bit"}}),
    (["bodyStructure/header:content-transfer-encoding:asText"],
     {"bodyStructure": {**PART,
                        "header:content-transfer-encoding:asText": "7bit"}}),
    (["bodyStructure/header:Content-Type"],
     {"bodyStructure": {**PART, "header:Content-Type": " text/plain"}}),
    (["bodyStructure/header:Content-Type"],
     {"bodyStructure": {"header:Content-Type": " multipart/mixed; boundary=x",
                        "subParts": [PART]}}),
    (["bodyStructure/header:Content-ID"],
     {"bodyStructure": {**PART, "cid": "x", "header:Content-ID": " <x>"}}),
    (["bodyStructure/name"],
     {"bodyStructure": {**PART, "name": "x",
                        "header:Content-Disposition": " inline"}}),
    (["bodyStructure/type"], {"bodyStructure": {**PART, "type": "text"}}),
    (["bodyStructure/type"], {"bodyStructure": {**PART, "type": "a/b; c=d"}}),
    (["bodyStructure/type"], {"bodyStructure": {**PART, "type": "a/b\r\nX: y"}}),
    (["bodyStructure/disposition"],
     {"bodyStructure": {**PART, "disposition": "a; b=c"}}),
    (["bodyStructure/name"],
     {"bodyStructure": {**PART, "disposition": "inline", "name": "a\r\nb"}}),
    (["bodyStructure/name"], {"bodyStructure": {**PART, "name": "a\u0000b"}}),
    (["bodyStructure/name"], {"bodyStructure": {**PART, "name": "x" * 1025}}),
    (["bodyStructure/cid"], {"bodyStructure": {**PART, "cid": "a> b"}}),
    (["bodyStructure/cid"], {"bodyStructure": {**PART, "cid": 5}}),
    (["bodyStructure/language"], {"bodyStructure": {**PART, "language": "de"}}),
    (["bodyStructure/language"],
     {"bodyStructure": {**PART, "language": ["de\r\nX: y"]}}),
    (["bodyStructure/location"], {"bodyStructure": {**PART, "location": "a b"}}),
    (["bodyStructure/subParts"],
     {"bodyStructure": {**PART, "subParts": [PART]}}),
    (["bodyStructure/subParts"],
     {"bodyStructure": {"type": "multipart/mixed"}}),
    (["bodyStructure/subParts"],
     {"bodyStructure": {"type": "multipart/mixed", "subParts": []}}),
    (["bodyStructure/partId"],
     {"bodyStructure": {"type": "multipart/mixed", "partId": "t",
                        "subParts": [PART]}}),
    (["bodyStructure/subParts/1/subParts/0/partId"],
     {"bodyStructure": {"subParts": [PART, {"subParts": [
         {"type": "text/plain"}]}]}}),
    (["bodyValues"], {"bodyValues": []}),
    (["bodyValues/t"], {"bodyValues": {"t": "x"}}),
    (["bodyValues/t/value"], {"bodyValues": {"t": {}}}),
    (["bodyValues/t/value"], {"bodyValues": {"t": {"value": 5}}}),
    (["bodyValues/t/more"], {"bodyValues": {"t": {"value": "", "more": 1}}}),
    (["bodyValues/t/isTruncated"],
     {"bodyValues": {"t": {"value": "", "isTruncated": True}}}),
    (["bodyValues/t/isEncodingProblem"],
     {"bodyValues": {"t": {"value": "", "isEncodingProblem": True}}}),
])
def test_email_create_body_that_cannot_be(api, names, props):
    invalid(api, *names, **{"bodyValues": VALUES, **props})


def test_email_create_too_many_parts(api):
    e = refused(api, bodyValues=VALUES, bodyStructure={"subParts": [PART] * 1001})
    assert e["type"] == "invalidProperties"
    assert e["properties"] == ["bodyStructure/subParts"]
    assert create(api, bodyValues=VALUES,
                  bodyStructure={"subParts": [PART] * 900})


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
