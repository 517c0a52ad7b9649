"""A client of EventSource (RFC 8620 7.3) that reads the stream by the W3C's rules."""

import json
from urllib.parse import urlencode

from harness import DEADLINE
from raw import Closed, Raw, basic, request

PATH = "/jmap/eventsource"


def path_of(**query):
    wanted = {"types": "*", "closeafter": "no", "ping": "0", **query}
    return PATH + "?" + urlencode(
        {k: v for k, v in wanted.items() if v is not None})


class Event:
    def __init__(self, name, data, last_id, own_id):
        self.name = name
        self.text = data
        self.data = json.loads(data)
        self.last_id = last_id
        self.own_id = own_id  # the id that stood in this event, or None


class Source(Raw):
    """One that is open: its first bytes have come."""

    def __init__(self, server, account, tls=False, last_id=None, rcvbuf=None,
                 **query):
        super().__init__(server.https if tls else server.http, tls, rcvbuf)
        fields = {"Authorization": basic(account.name, account.token)}
        if last_id is not None:
            fields["Last_Event_ID"] = last_id
        self.text = b""
        self.last_id = last_id
        self.send(request("GET", path_of(**query), **fields))
        self.head = self.response(head_only=True)
        assert self.head.status == 200, self.head.status
        assert self.head.get("transfer-encoding") == "chunked"
        first = self.block()
        assert first[0].startswith(":"), first
        self.read(first)

    # ---- the stream ----

    def chunk(self):
        """False at the end of the answer."""
        n = int(self.until(b"\r\n")[:-2], 16)
        self.text += self.take(n)
        assert self.take(2) == b"\r\n"
        return n > 0

    def block(self):
        """The lines up to the next empty one; None at the end."""
        while b"\n\n" not in self.text:
            if not self.chunk():
                assert self.text == b"", self.text
                return None
        block, self.text = self.text.split(b"\n\n", 1)
        return block.decode().split("\n")

    def read(self, block):
        """The event that a block is, or None."""
        name, data, own = "message", [], None
        for line in block:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif field == "id":
                own = self.last_id = value
            else:
                assert field == "", line
        if data:
            assert len(data) == 1, "one line"
            return Event(name, data[0], self.last_id, own)
        return None

    def event(self, name=None):
        """The next event; None at a clean end."""
        while True:
            block = self.block()
            if block is None:
                return None
            event = self.read(block)
            if event and name in (None, event.name):
                return event

    # ---- what it says ----

    def change(self):
        """The types and states of the next "state" event."""
        event = self.event()
        assert event, "the stream has ended"
        assert event.name == "state", event.text
        assert set(event.data) == {"@type", "changed"}
        assert event.data["@type"] == "StateChange"
        assert event.own_id
        (changed,) = event.data["changed"].values()
        return changed

    def changes_until(self, types):
        merged = {}
        while not set(types) <= set(merged):
            merged.update(self.change())
        return merged

    def assert_ended(self):
        """Cleanly, with nothing before it."""
        event = self.event()
        assert event is None, event.text

    def is_cut(self):
        try:
            while self.event():
                pass
            return False
        except Closed:
            return True

    def assert_silent(self):
        """Nothing has come: to be asked when another was told."""
        self.sock.settimeout(0.05)
        try:
            self.more()
        except TimeoutError:
            pass
        finally:
            self.sock.settimeout(DEADLINE)
        assert self.buf == b"" and self.text == b"", self.buf + self.text
