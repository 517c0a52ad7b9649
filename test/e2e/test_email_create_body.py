"""Email/set create (RFC 8621 4.6): bodies, from bodyStructure and from textBody,
htmlBody and attachments."""

import re

import pytest

from blob import Blobs
from drafts import (blob, blob_once, create, get, invalid, parsed,
                    parsed_loosely, raw, refused, shape, text, value)
from mail import deliver, message


@pytest.fixture(scope="module")
def account(server):
    """One for all: no test here looks at what others left."""
    return server.add_account("alice@example.org")


@pytest.fixture
def blobs(server, account):
    with Blobs(server, account) as b:
        yield b


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
