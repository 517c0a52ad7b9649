"""The messages of test/data/mail, and large ones that are made here."""

import glob
import os

from mail import RawLmtp

DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir,
                   "data", "mail")


def committed():
    """Of each file its name and the bytes as a server takes them: LMTP ends a
    message with a line break (RFC 5321 4.1.1.4)."""
    found = {}
    for path in sorted(glob.glob(os.path.join(DIR, "*.eml"))):
        with open(path, "rb") as f:
            raw = f.read()
        name = os.path.basename(path)[:-4]
        found[name] = raw if raw.endswith(b"\r\n") else raw + b"\r\n"
    return found


def head(name, fields=""):
    return (f"From: Bob <bob@example.com>\r\nTo: alice@example.org\r\n"
            f"Subject: {word(name)}\r\nDate: Tue, 24 Nov 2026 06:00:00 +0000\r\n"
            f"Message-ID: <{name}@corpus.example.com>\r\n{fields}").encode()


def word(name):
    """What a message's subject or text has to be found by."""
    return "find" + name.replace("_", "")


def nested(name, depth):
    """That many multiparts in each other, and a text in the innermost."""
    out = [head(name, "Content-Type: multipart/mixed; boundary=b0\r\n\r\n")]
    for i in range(depth - 1):
        out.append(b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n"
                   b"\r\n" % (i, i + 1))
    out.append(b"--b%d\r\n\r\n%s, the innermost\r\n"
               % (depth - 1, word(name).encode()))
    out.extend(b"--b%d--\r\n" % i for i in range(depth - 1, -1, -1))
    return b"".join(out)


def many_parts(name, n):
    part = b"--p\r\nContent-Type: application/x-one\r\n\r\n%d\r\n"
    return b"".join(
        [head(name, "Content-Type: multipart/mixed; boundary=p\r\n\r\n"),
         b"--p\r\n\r\n", word(name).encode(), b", the first of many\r\n",
         *[part % i for i in range(1, n)], b"--p--\r\n"])


def big_header(name, size):
    line = b"X-Filler: " + b"x" * 60 + b"\r\n"
    return b"".join([line * (size // len(line)), head(name), b"\r\n",
                     b"the text behind a large header, ", word(name).encode(),
                     b"\r\n"])


def one_big_field(name, size):
    return b"".join([head(name), b"X-Long: ", b"word \r\n " * (size // 8),
                     b"end\r\n\r\nthe text behind a large field\r\n"])


def big_list(name, n):
    to = ",\r\n ".join(f'"Member {i}" <member{i}@lists.example.org>'
                       for i in range(n))
    return head(name, f"Cc: {to}\r\n\r\n") + b"to so many\r\n"


def big_text(name, size):
    line = b"It is a long text, of which only the start is looked at.\r\n"
    return b"".join([head(name, "Content-Type: text/plain\r\n\r\n"),
                     word(name).encode(), b"\r\n", line * (size // len(line))])


def unclosed_delimiters(name, n):
    """Lines that all look as if a delimiter came."""
    return b"".join(
        [head(name, "Content-Type: multipart/mixed; boundary=q\r\n\r\n"),
         b"--q\r\n\r\n", word(name).encode(), b"\r\n", b"--qq\r\n" * n,
         b"--q--\r\n"])


def hostile_fields(name, n):
    """What makes a careless reader of words and addresses slow."""
    return b"".join(
        [head(name), b"Cc: ", b"((((((((" * n, b"\r\nReply-To: ",
         b'"a\\' * n, b"\r\nX-Words: ", b"=?utf-8?q?=" * n,
         b"\r\nContent-Type: text/plain", b"; a*0*=x" * n, b"\r\n\r\ntext\r\n"])


def made():
    """At the limits of what is shown, and beyond them."""
    return {
        "nested_60": nested("nested_60", 60),
        "nested_100": nested("nested_100", 100),
        "nested_1000": nested("nested_1000", 1000),
        "parts_10000": many_parts("parts_10000", 10000),
        "parts_12000": many_parts("parts_12000", 12000),
        "header_1mb": big_header("header_1mb", 1 << 20),
        "field_1mb": one_big_field("field_1mb", 1 << 20),
        "list_500": big_list("list_500", 500),
        "list_9000": big_list("list_9000", 9000),
        "text_5mb": big_text("text_5mb", 5 << 20),
        "delimiters": unclosed_delimiters("delimiters", 100000),
        "hostile": hostile_fields("hostile", 30000),
    }


def stuffed(raw):
    """As DATA carries it (RFC 5321 4.5.2): CRLF ends a line, nothing else."""
    if raw.startswith(b"."):
        raw = b"." + raw
    return raw.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def deliver_all(server, to, messages):
    """One after the other, over one connection."""
    with RawLmtp(server) as c:
        for raw in messages:
            c.send("MAIL FROM:<bob@example.net>\r\n"
                   f"RCPT TO:<{to}>\r\nDATA\r\n")
            assert [c.reply()[0] for _ in range(3)] == [250, 250, 354]
            c.send(stuffed(raw))
            code, text = c.reply()
            assert code == 250, (code, text, raw[:200])
