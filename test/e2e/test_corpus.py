"""Mail as it is in the world: every message of test/data/mail, and large ones, is
delivered, shown, found and downloaded byte for byte, and an independent reader
agrees on what stands in it (test/lib/reader.py) but for what is listed and judged
in test/lib/differences.py."""

import datetime

import pytest

import corpus
import jmap
import reader
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


class Box:
    """An account with all of them: what each carrier shows, by name."""

    def __init__(self, server):
        self.server = server
        self.account = server.add_account()
        corpus.deliver_all(server, self.account.name, ALL.values())
        self.http = jmap.HttpApi(server, self.account)
        ids = self.http.emails(sort=[{"property": "receivedAt"}])
        assert len(ids) == len(ALL)
        self.ids = dict(zip(ALL, ids))
        self.shown = dict(zip(ALL, shown_by(self.http, ids)))


@pytest.fixture(scope="module")
def box(server):
    b = Box(server)
    yield b
    b.http.close()


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


def as_read(email):
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
    return said


def both(box, name):
    """What the reader and we say of a message; of files there is no text."""
    said = reader.read(trace(box) + ALL[name])
    shown = as_read(box.shown[name])
    return ({f: v for f, v in said.items() if not f.startswith("file")},
            shown)


def trace(box):
    return (b"Return-Path: <bob@example.net>\r\nReceived: from x\r\n\ty\r\n"
            b"\tz\r\n\tw\r\n")


@pytest.mark.parametrize("name", COMMITTED)
def test_an_independent_reader_agrees(box, name):
    said, shown = both(box, name)
    said["headers"] = said["headers"][2:]
    shown["headers"] = shown["headers"][2:]
    differ = {f for f in said if said[f] != shown.get(f)}
    listed = set(DIFFERENCES.get(name, ()))
    assert differ == listed, "\n".join(
        f"{f}: it reads {said.get(f)!r}, we {shown.get(f)!r}"
        for f in sorted(differ ^ listed))
