"""An independent reader of messages: Python's email package. What it says of a
message, in the shapes of RFC 8621, where it claims to say anything: a facet that
it raises an exception for is not there."""

import datetime
import email.parser
import email.policy
import unicodedata

ADDRESSES = {"from": "From", "to": "To", "cc": "Cc", "bcc": "Bcc",
             "sender": "Sender", "replyTo": "Reply-To"}

PARSER = email.parser.BytesParser(policy=email.policy.default)


class Part:
    """A part as a client sees it: message/* are leaves."""

    def __init__(self, m, path=()):
        self.m = m
        self.type = m.get_content_type()
        self.sub = []
        if self.type.startswith("multipart/") and m.is_multipart():
            self.sub = [Part(p) for p in m.get_payload()]
        elif self.type.startswith("multipart/"):
            # RFC 8621 has no leaf of that type; it cannot be taken apart.
            self.type = "text/plain"

    def leaves(self):
        if not self.sub:
            return [self]
        return [leaf for p in self.sub for leaf in p.leaves()]

    def shape(self):
        if not self.sub:
            return self.type
        return f"{self.type}({' '.join(p.shape() for p in self.sub)})"

    def text(self):
        got = self.m.get_payload(decode=True)
        charset = self.m.get_param("charset", "us-ascii")
        return text_value(got.decode(charset, errors="replace"))

    def bytes(self):
        return self.m.get_payload(decode=True)


def text_value(text):
    """RFC 8621 4.1.4 bodyValues; composed, since both forms are right."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n"))


def last(m, name):
    """RFC 8621 4.1.3: the last field of that name."""
    fields = m.get_all(name)
    return fields[-1] if fields else None


def utf8(text):
    """Where it kept raw bytes as they were, they are shown."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def addresses(field):
    if field is None:
        return None
    return [(utf8(a.display_name) or None, utf8(a.addr_spec))
            for a in field.addresses]


def utc(field):
    """None when it is no date. A date without a zone is one of UTC."""
    when = field.datetime if field is not None else None
    if when is None:
        return None
    if when.tzinfo is None:
        return when.replace(tzinfo=datetime.timezone.utc)
    return when.astimezone(datetime.timezone.utc)


def text_of(field):
    """RFC 8621 4.1.2.2: asText."""
    if field is None:
        return None
    return unicodedata.normalize("NFC", str(field)).lstrip(" ")


def raw_fields(m):
    """Of all fields the name and the value, without the blanks around it."""
    return [(n, utf8(v).strip(" \t")) for n, v in m.raw_items()]


def facets(m):
    """Every facet's name, and how it is found out."""
    root = Part(m)
    leaves = root.leaves()
    yield "structure", root.shape
    yield "headers", lambda: raw_fields(m)
    yield "subject", lambda: text_of(last(m, "Subject"))
    yield "sentAt", lambda: utc(last(m, "Date"))
    for prop, name in ADDRESSES.items():
        yield prop, lambda name=name: addresses(last(m, name))
    yield "names", lambda: [p.m.get_filename() or None for p in leaves]
    yield "dispositions", lambda: [p.m.get_content_disposition()
                                   for p in leaves]
    texts = [p for p in leaves if p.type.startswith("text/")]
    for i, p in enumerate(texts):
        yield f"text {i + 1}", p.text
    files = [p for p in leaves if not p.type.startswith(("text/", "message/"))]
    for i, p in enumerate(files):
        yield f"file {i + 1}", p.bytes


def messages(raw):
    """The messages inside of one, in order; None for what it does not open."""
    return [p.m.get_payload(0) if p.m.is_multipart() else None
            for p in Part(PARSER.parsebytes(raw)).leaves()
            if p.type in ("message/rfc822", "message/global")]


def read(raw):
    return say(PARSER.parsebytes(raw))


def say(m):
    """What it claims of a message, by facet."""
    said = {}
    for name, find_out in facets(m):
        try:
            said[name] = find_out()
        except Exception:  # noqa: B902 whatever: then it claims nothing
            pass
    return said
