"""Drafts: what tests of Email/set create share. Python's email package reads each
message's bytes as an independent witness."""

import base64
import email
import email.policy

from mail import deliver, message


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


def parsed_loosely(blobs, made):
    """A raw field may hold UTF-8 (RFC 6532), which Python takes for a defect."""
    return email.message_from_bytes(raw(blobs, made),
                                    policy=email.policy.default)


def blob_once(api):
    """The same one for all tests of this account."""
    if not hasattr(api.account, "blob"):
        api.account.blob = blob(api)
    return api.account.blob
