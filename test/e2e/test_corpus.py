"""Mail as it is in the world: every message of test/data/mail, and large ones, is
delivered, shown, found and downloaded byte for byte, and an independent reader
agrees on what stands in it (test/lib/reader.py) but for what is listed and judged
in test/lib/differences.py."""

import datetime
import re

import pytest

import corpus
import jmap
import reader
from blob import Blobs, blob_id
from differences import DIFFERENCES

COMMITTED = corpus.committed()
MADE = corpus.made()
ALL = {**COMMITTED, **MADE}

PROPERTIES = [
    "blobId", "size", "headers", "bodyStructure", "textBody", "htmlBody",
    "attachments", "bodyValues", "hasAttachment", "preview", "subject",
    "sentAt", "messageId", *reader.ADDRESSES]
BODY = ["partId", "blobId", "size", "name", "type", "charset", "disposition",
        "cid", "language", "location", "subParts"]


def shown_by(api, ids):
    """Email/get of all that there is, a few at a time."""
    found = []
    for at in range(0, len(ids), 80):
        got = api.call("Email/get", {
            "ids": ids[at:at + 80], "properties": PROPERTIES,
            "bodyProperties": BODY, "fetchAllBodyValues": True})
        assert got["notFound"] == []
        found.extend(got["list"])
    return found


# What a delivery puts on top (RFC 5321 4.4).
TRACE = re.compile(rb"Return-Path: <bob@example\.net>\r\nReceived: from [^\n]*\n"
                   rb"\tby [^\n]*\n\tfor [^\n]*\n\t[^\n]*\n")


class Box:
    """An account with all of them: by name what was delivered with its trace
    fields, as it is downloaded, and what Email/get shows."""

    def __init__(self, server):
        self.server = server
        self.account = server.add_account()
        corpus.deliver_all(server, self.account.name, ALL.values())
        self.http = jmap.HttpApi(server, self.account)
        self.blobs = Blobs(server, self.account)
        self.bytes, self.shown = {}, {}
        names = {raw: name for name, raw in ALL.items()}
        for email in shown_by(self.http, self.http.emails()):
            got = self.download(email["blobId"])
            assert len(got) == email["size"]
            # Byte for byte: else it is nobody's.
            name = names.pop(got[TRACE.match(got).end():])
            self.bytes[name] = got
            self.shown[name] = email
        assert not names, f"not there: {list(names.values())}"
        self.ids = {name: email["id"] for name, email in self.shown.items()}

    def download(self, blob_id):
        r = self.blobs.download(blob_id)
        assert r.status == 200, (r.status, blob_id)
        return r.body

    def close(self):
        self.http.close()
        self.blobs.close()


@pytest.fixture(scope="module")
def box(server):
    b = Box(server)
    yield b
    b.close()


def test_all_are_downloaded_byte_for_byte(box):
    assert set(box.bytes) == set(ALL)
    for name, raw in ALL.items():
        assert box.bytes[name].endswith(raw)


# ---- what is shown -------------------------------------------------------------------

def leaves(part):
    """Of a bodyStructure, in order."""
    if part["type"].startswith("multipart/"):
        return [leaf for p in part["subParts"] for leaf in leaves(p)]
    return [part]


def shape(part):
    if not part["type"].startswith("multipart/"):
        return part["type"]
    return f"{part['type']}({' '.join(map(shape, part['subParts']))})"


def sent_at(text):
    if text is None:
        return None
    when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    try:
        return when.astimezone(datetime.timezone.utc)
    except OverflowError:
        return when


def as_read(box, email):
    """An Email in the facets of reader.read()."""
    parts = leaves(email["bodyStructure"])
    values = email["bodyValues"]
    said = {
        "structure": shape(email["bodyStructure"]),
        "headers": [(h["name"], h["value"].strip(" \t"))
                    for h in email["headers"]],
        "subject": email["subject"],
        "sentAt": sent_at(email["sentAt"]),
        "names": [p["name"] for p in parts],
        "dispositions": [p["disposition"] for p in parts]}
    for prop in reader.ADDRESSES:
        said[prop] = email[prop] and [(a["name"], a["email"])
                                      for a in email[prop]]
    texts = [p for p in parts if p["type"].startswith("text/")]
    for i, p in enumerate(texts):
        said[f"text {i + 1}"] = reader.text_value(values[p["partId"]]["value"])
    files = [p for p in parts if not p["type"].startswith(("text/",
                                                           "message/"))]
    for i, p in enumerate(files):
        said[f"file {i + 1}"] = box.download(p["blobId"])
        assert len(said[f"file {i + 1}"]) == p["size"]
    return said


READ = [*COMMITTED, "nested_60", "field_1mb", "list_500", "text_5mb",
        "delimiters"]


@pytest.mark.parametrize("name", READ)
def test_an_independent_reader_agrees(box, name):
    said = reader.read(box.bytes[name])
    shown = as_read(box, box.shown[name])
    differ = {f for f in said if said[f] != shown.get(f)}
    listed = set(DIFFERENCES.get(name, ()))
    assert differ == listed, "\n".join(
        f"{f}: it reads {said.get(f)!r}, we {shown.get(f)!r}"
        for f in sorted(differ ^ listed))


def test_every_difference_that_is_listed_is_of_a_message():
    assert set(DIFFERENCES) <= set(READ)


def test_both_carriers_show_the_same(box):
    ws = jmap.WsApi(box.server, box.account)
    shown = shown_by(ws, [box.ids[name] for name in COMMITTED])
    ws.close()
    assert shown == [box.shown[name] for name in COMMITTED]


# ---- which part goes where (RFC 8621 4.1.4) -------------------------------------------

def is_media(kind):
    return kind.split("/")[0] in ("image", "audio", "video")


def sort_parts(parts, multipart, in_alternative, html, text, files):
    """The algorithm of the RFC; html or text is None where the other is given."""
    texts = -1 if text is None else len(text)
    htmls = -1 if html is None else len(html)
    for i, p in enumerate(parts):
        kind = p["type"]
        if kind.startswith("multipart/"):
            sub = kind.split("/")[1]
            sort_parts(p["subParts"], sub,
                       in_alternative or sub == "alternative", html, text,
                       files)
        elif (p["disposition"] == "attachment"
              or not (kind in ("text/plain", "text/html") or is_media(kind))
              or not (i == 0 or (multipart != "related"
                                 and (is_media(kind) or not p["name"])))):
            files.append(p)
        elif multipart == "alternative":
            {"text/plain": text, "text/html": html}.get(kind, files).append(p)
        else:
            if in_alternative and kind == "text/plain":
                html = None
            if in_alternative and kind == "text/html":
                text = None
            if text is not None:
                text.append(p)
            if html is not None:
                html.append(p)
            if (text is None or html is None) and is_media(kind):
                files.append(p)
    if multipart == "alternative" and text is not None and html is not None:
        if texts == len(text) and htmls != len(html):
            text.extend(html[htmls:])
        if htmls == len(html) and texts != len(text):
            html.extend(text[texts:])


def ids_of(parts):
    return [p["partId"] for p in parts]


def test_parts_are_sorted_as_the_rfc_says(box):
    for name, email in box.shown.items():
        html, text, files = [], [], []
        sort_parts([email["bodyStructure"]], "mixed", False, html, text, files)
        assert ids_of(email["htmlBody"]) == ids_of(html), name
        assert ids_of(email["textBody"]) == ids_of(text), name
        assert ids_of(email["attachments"]) == ids_of(files), name
        assert email["hasAttachment"] == any(
            p["disposition"] != "inline" for p in files), name


# ---- what a list shows -----------------------------------------------------------------

# Blanks and controls of all kinds.
INVISIBLE = dict.fromkeys([*range(0x21), *range(0x7f, 0xa1), 0xad, 0xfeff])


def test_a_preview_is_there_where_there_is_text(box):
    for name, email in box.shown.items():
        preview = email["preview"]
        assert len(preview) <= 256, name
        texts = [email["bodyValues"][p["partId"]]["value"][:2000]
                 for p in email["textBody"][:8] if p["type"] == "text/plain"]
        shown = "".join(texts).translate(INVISIBLE)
        if shown:
            assert preview and shown.startswith(
                preview.split()[0].translate(INVISIBLE)), (name, preview)


# ---- every form of every field ------------------------------------------------------------

FORMS = {
    "subject": "header:Subject:asText", "from": "header:From:asAddresses",
    "to": "header:To:asAddresses", "cc": "header:Cc:asAddresses",
    "sender": "header:Sender:asAddresses",
    "replyTo": "header:Reply-To:asAddresses",
    "messageId": "header:Message-ID:asMessageIds",
    "sentAt": "header:Date:asDate"}
OTHER_FORMS = ["header:Subject", "header:Subject:asText:all",
               "header:From:asGroupedAddresses",
               "header:To:asGroupedAddresses:all", "header:Received:all",
               "header:References:asMessageIds:all",
               "header:List-Unsubscribe:asURLs:all", "header:X-Words:asText",
               "header:Content-Type:all", "header:X-Nul:asRaw"]


def test_every_form_of_every_field_is_shown(box):
    ids = list(box.ids.values())
    for at in range(0, len(ids), 400):
        got = box.http.call("Email/get", {
            "ids": ids[at:at + 400],
            "properties": [*FORMS.values(), *OTHER_FORMS]})["list"]
        for email, name in zip(got, list(box.ids)[at:]):
            assert email["id"] == box.ids[name]
            assert {p: email[f] for p, f in FORMS.items()} == {
                p: box.shown[name][p] for p in FORMS}, name
            grouped = email["header:From:asGroupedAddresses"]
            flat = box.shown[name]["from"]
            assert (grouped and [a for g in grouped
                                 for a in g["addresses"]]) == flat, name


# ---- messages inside of messages -------------------------------------------------------------

def inner(box):
    """Of all parts that are messages the name, blobId, and how it reads them."""
    for name in COMMITTED:
        mine = [p for p in leaves(box.shown[name]["bodyStructure"])
                if p["type"] in ("message/rfc822", "message/global")]
        its = reader.messages(box.bytes[name])
        assert len(mine) == len(its), name
        yield from ((name, p["blobId"], m) for p, m in zip(mine, its) if m)


def test_messages_inside_of_messages_are_read_as_well(box):
    found = list(inner(box))
    assert len(found) == 10
    got = box.http.call("Email/parse", {
        "blobIds": [blob for _, blob, _ in found],
        "properties": PROPERTIES, "bodyProperties": BODY,
        "fetchAllBodyValues": True})
    assert not got["notFound"] and not got["notParsable"], got
    for name, blob, message in found:
        said, shown = reader.say(message), as_read(box, got["parsed"][blob])
        assert {f for f in said if said[f] != shown.get(f)} == set(), name


# ---- limits ---------------------------------------------------------------------------------

def depth(part):
    return 1 + max(map(depth, part["subParts"] or []), default=0)


@pytest.mark.parametrize("name, levels", [
    ("nested_60", 61), ("nested_100", 100), ("nested_1000", 100)])
def test_multiparts_nested_beyond_the_limit_are_shown_as_text(
        box, name, levels):
    email = box.shown[name]
    assert depth(email["bodyStructure"]) == levels
    (part,), (value,) = (leaves(email["bodyStructure"]),
                         email["bodyValues"].values())
    assert part["type"] == "text/plain"
    assert corpus.word(name) in value["value"]
    if name == "nested_1000":  # what cannot be opened is hidden from nobody
        assert value["value"].count("boundary=b") > 800


@pytest.mark.parametrize("name", ["parts_10000", "parts_12000"])
def test_parts_beyond_the_limit_belong_to_the_last_one(box, name):
    parts = leaves(box.shown[name]["bodyStructure"])
    assert len(parts) == 9999
    rest = int(name.split("_")[1]) - len(parts)
    assert parts[-1]["size"] > rest * len("Content-Type: application/x-one")
    assert box.shown[name]["preview"] == (
        corpus.word(name) + ", the first of many")
    assert len(box.shown[name]["attachments"]) == 9998


def test_fields_beyond_the_limit_are_not_shown(box):
    email = box.shown["header_1mb"]
    assert len(email["headers"]) == 2000
    assert email["preview"].startswith("the text behind a large header")


def test_a_field_of_1_mb_is_shown(box):
    email = box.shown["field_1mb"]
    (value,) = [h["value"] for h in email["headers"] if h["name"] == "X-Long"]
    assert value.count("word") == (1 << 20) // 8
    assert email["preview"] == "the text behind a large field"


def test_a_list_of_9000_is_shown(box):
    email = box.shown["list_9000"]
    assert email["cc"][8999] == {
        "name": "Member 8999", "email": "member8999@lists.example.org"}
    assert len(email["cc"]) == 9000


def test_5_mb_of_text_are_shown_and_cut_as_asked(box):
    (value,) = box.shown["text_5mb"]["bodyValues"].values()
    assert len(value["value"]) > 5000000 and not value["isTruncated"]
    (email,) = box.http.call("Email/get", {
        "ids": [box.ids["text_5mb"]], "properties": ["bodyValues"],
        "fetchAllBodyValues": True, "maxBodyValueBytes": 1000})["list"]
    (cut,) = email["bodyValues"].values()
    assert len(cut["value"]) == 1000 and cut["isTruncated"]
    assert value["value"].startswith(cut["value"])


def test_what_is_made_to_be_slow_is_shown(box):
    email = box.shown["hostile"]
    assert email["preview"] == "text"
    assert len(email["headers"]) == 11
    assert [p["type"] for p in leaves(email["bodyStructure"])] == ["text/plain"]


# ---- what is found ------------------------------------------------------------------------

# By what the first samples are found; lines_cr is one line of a header, and nobody
# can search for nothing.
WORDS = {
    "alternative": "fenster", "attachments": "report", "bounce": "undelivered",
    "broken_boundary": "closed", "broken_header": "readable",
    "cjk": "\u6765\u9031", "empty_parts": "only", "html_only": "prices",
    "nested": "minutes", "plain": "harbour", "raw_8bit": "liegen",
    "reply": "twelve", "rfc2231": "names", "nul": "end", "empty": None,
    "lines_cr": None}


def words():
    """By name the word of each."""
    found = {name: WORDS.get(name, corpus.word(name)) for name in ALL}
    return {name: word for name, word in found.items() if word}


def answers(api, method, arguments):
    """By name the answer to each; many calls in one request."""
    calls = [[method, {"accountId": api.account_id, **args}, name]
             for name, args in arguments.items()]
    found = {}
    for at in range(0, len(calls), 16):
        for got, answer, name in api.calls(*calls[at:at + 16]):
            assert got == method, (name, answer)
            found[name] = answer
    return found


def test_each_is_found_by_a_word_of_its_text(box):
    found = answers(box.http, "Email/query", {
        name: {"filter": {"text": word}} for name, word in words().items()})
    assert [name for name in found
            if box.ids[name] not in found[name]["ids"]] == []


def test_what_was_found_is_marked(box):
    found = answers(box.http, "SearchSnippet/get", {
        name: {"filter": {"text": word}, "emailIds": [box.ids[name]]}
        for name, word in words().items()})
    marked = {name: answer["list"][0] for name, answer in found.items()}
    assert [name for name, s in marked.items()
            if "<mark>" not in (s["subject"] or "") + (s["preview"] or "")
            ] == []


# ---- what is moved in and out ----------------------------------------------------------------

def as_stored(raw):
    """Import makes CRLF of LF where the first line says that all end so."""
    if raw[:raw.index(b"\n")].endswith(b"\r"):
        return raw
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def blob_ids(server, account):
    api = jmap.HttpApi(server, account)
    got = api.call("Email/get", {"ids": api.emails(limit=1000),
                                 "properties": ["blobId"]})["list"]
    api.close()
    return sorted(e["blobId"] for e in got)


def test_a_maildir_of_all_is_imported_and_exported_to_the_same(server, tmp_path):
    for folder in ("cur", "new", "tmp"):
        (tmp_path / "in" / folder).mkdir(parents=True)
    for i, (name, raw) in enumerate(ALL.items()):
        (tmp_path / "in/cur" / f"{1700000000 + i}.{name}:2,").write_bytes(raw)
    one, other = server.add_account(), server.add_account()
    server.ctl_ok("import", one.name, str(tmp_path / "in"))
    assert blob_ids(server, one) == sorted(
        blob_id(as_stored(raw)) for raw in ALL.values())
    server.ctl_ok("export", one.name, str(tmp_path / "out"))
    server.ctl_ok("import", other.name, str(tmp_path / "out"))
    assert blob_ids(server, other) == blob_ids(server, one)
