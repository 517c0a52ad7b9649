"""LMTP clients: Python's own, and one that says exactly what it is told."""

import itertools
import smtplib

from raw import Raw

_numbers = itertools.count(1)


def message(subject="Hello", body="Hello there.\r\n", sender="bob@example.net",
            to="alice@example.org", name="Bob", **fields):
    text = (f"From: {name} <{sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n"
            "Date: Tue, 24 Nov 2026 06:00:00 +0000\r\n")
    fields.setdefault("Message_ID", f"<{next(_numbers)}@example.net>")
    for k, v in fields.items():
        text += f"{k.replace('_', '-')}: {v}\r\n"
    return (text + "\r\n" + body).encode()


def deliver(server, to, data=None, sender="bob@example.net", **kw):
    """Returns once the server said that the message is on disk."""
    to = [to] if isinstance(to, str) else to
    if data is None:
        data = message(**kw)
    with smtplib.LMTP("127.0.0.1", server.lmtp) as lmtp:
        refused = lmtp.sendmail(sender, to, data)
        assert refused == {}, refused


class RawLmtp(Raw):
    """Replies are (code, [lines]); say() sends a line and reads one."""

    def __init__(self, server, hello=True):
        super().__init__(server.lmtp)
        assert self.reply()[0] == 220
        if hello:
            assert self.say("LHLO client.example")[0] == 250

    def reply(self):
        lines = []
        while True:
            line = self.until(b"\r\n")[:-2].decode()
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), lines

    def say(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def envelope(self, *to, sender="bob@example.net"):
        assert self.say(f"MAIL FROM:<{sender}>")[0] == 250
        for one in to:
            assert self.say(f"RCPT TO:<{one}>")[0] == 250

    def data(self, raw, replies=1):
        """Sends bytes as they are (dots and end are the caller's)."""
        assert self.say("DATA")[0] == 354
        self.send(raw)
        return [self.reply() for _ in range(replies)]
