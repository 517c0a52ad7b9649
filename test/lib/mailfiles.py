"""Mail in files, as others write it: Maildirs and mboxes for import, and what an
account has, in a form that can be compared."""

import os

import mail
from jmap import HttpApi

COUNTS = ["imported", "skipped", "failed"]


def lf(raw):
    return raw.replace(b"\r\n", b"\n")


def crlf(raw):
    return lf(raw).replace(b"\n", b"\r\n")


def make_maildir(path):
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(path, sub))
    return path


def put(path, name, raw, sub="cur"):
    """A message's file; as most programs write it, with LF."""
    with open(os.path.join(path, sub, name), "wb") as f:
        f.write(raw)


def write(path, raw):
    with open(path, "wb") as f:
        f.write(raw)
    return str(path)


def mbox_of(messages, line=b"From bob@example.net Sat Jan  3 01:05:34 1996"):
    """mboxrd: every line that begins with >*From gets one > more."""
    out = []
    for raw in messages:
        out.append(line + b"\n")
        for one in lf(raw).splitlines(keepends=True):
            quote = one.lstrip(b">").startswith(b"From ")
            out.append(b">" + one if quote else one)
        out.append(b"\n" if out[-1].endswith(b"\n") else b"\n\n")
    return b"".join(out)


def counts(p):
    """What `jmapctl import` says at its end: imported, skipped, failed."""
    lines = p.stdout.splitlines()
    assert [line.split()[0] for line in lines] == COUNTS, p
    assert lines[1].endswith("(already there)")
    return [int(line.split()[1]) for line in lines]


def paths(api):
    """Every mailbox by id: the names from the top to it, and its role."""
    all_ = {m["id"]: m for m in api.call("Mailbox/get")["list"]}

    def path(m):
        up = all_.get(m["parentId"])
        return (path(up) if up else ()) + (m["name"],)
    return {i: (path(m), m["role"], m["sortOrder"]) for i, m in all_.items()}


def emails(api):
    """All of an account, by blobId."""
    found = []
    while True:
        ids = api.call("Email/query", {
            "position": len(found), "limit": 400,
            "sort": [{"property": "receivedAt", "isAscending": True}]})["ids"]
        if not ids:
            break
        got = api.call("Email/get", {"ids": ids, "properties": [
            "blobId", "mailboxIds", "keywords", "receivedAt", "size",
            "subject"]})["list"]
        assert len(got) == len(ids)
        found += got
    by_blob = {e["blobId"]: e for e in found}
    assert len(by_blob) == len(found), "the same bytes are there twice"
    return by_blob


def content(server, account):
    """Mailboxes and Emails, without ids that differ from account to account.
    The blobId is a digest of the bytes: equal ones have equal bytes."""
    api = HttpApi(server, account)
    try:
        box = paths(api)
        mails = {b: (frozenset(box[i][0] for i in e["mailboxIds"]),
                     frozenset(e["keywords"]), e["receivedAt"], e["size"])
                 for b, e in emails(api).items()}
        return set(box.values()), mails
    finally:
        api.close()


def numbered(n, **kw):
    return mail.message(subject=f"number {n}",
                        Message_ID=f"<number-{n}@example.net>", **kw)
