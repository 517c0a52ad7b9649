"""Mail with all that a list may ask for under control: put into an account by upload
and Email/import."""

from blob import Blobs


def raw(sender="Bob <bob@example.net>", to="alice@example.org", subject="Hello",
        body="Hello there.\r\n", date=None, mid=None, refs=None, attach=False,
        **fields):
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}"]
    if date:
        lines.append(f"Date: {date}")
    if mid:
        lines.append(f"Message-ID: <{mid}@example.net>")
    if refs:
        lines.append(f"References: <{refs}@example.net>")
    lines += [f"{k.replace('_', '-')}: {v}" for k, v in fields.items()]
    if attach:
        lines.append("Content-Type: multipart/mixed; boundary=B")
        body = ("--B\r\n\r\n" + body + "\r\n--B\r\n"
                "Content-Type: application/pdf; name=a.pdf\r\n"
                "Content-Disposition: attachment\r\n\r\nPDF\r\n--B--\r\n")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


class Put:
    """Puts messages into the account of `api`; ids by name."""

    def __init__(self, api):
        self.api = api
        self.boxes = api.mailboxes()
        self.ids = {}

    def __call__(self, **emails):
        """name=(received, roles, keywords, what raw() takes)."""
        entries = {}
        with Blobs(self.api.server, self.api.account) as blobs:
            for name, (received, roles, keywords, what) in emails.items():
                entries[name] = {
                    "blobId": blobs.upload(raw(**what)),
                    "mailboxIds": {self.boxes[r]: True for r in roles.split()},
                    "keywords": {k: True for k in keywords.split()},
                    "receivedAt": received}
        got = self.api.call("Email/import", {"emails": entries})
        assert got["notCreated"] is None, got
        self.ids.update((k, v["id"]) for k, v in got["created"].items())
        return self.ids

    def names(self, ids):
        by_id = {v: k for k, v in self.ids.items()}
        return "".join(by_id[i] for i in ids)
