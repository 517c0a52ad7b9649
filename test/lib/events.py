"""A client of EventSource (RFC 8620 7.3) that reads the stream by the W3C's rules,
over each carrier."""

import json
from urllib.parse import urlencode

from h2conn import H2
from harness import DEADLINE
from raw import Closed, Raw, basic, request

PATH = "/jmap/eventsource"
CARRIERS = ("plain", "tls", "h2c", "h2")


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


class H1Wire:
    def __init__(self, server, tls, rcvbuf, path, fields):
        self.raw = Raw(server.https if tls else server.http, tls, rcvbuf)
        self.raw.send(request("GET", path, **fields))
        self.head = self.raw.response(head_only=True)
        assert (self.head.status != 200
                or self.head.get("transfer-encoding") == "chunked")

    def piece(self):
        """What came next; None at the end of the answer."""
        n = int(self.raw.until(b"\r\n")[:-2], 16)
        got = self.raw.take(n)
        assert self.raw.take(2) == b"\r\n"
        return got or None

    def waiting(self):
        return self.raw.buf

    def more(self):
        self.raw.more()

    def get(self, path):
        return self.raw.get(path)

    def close(self):
        self.raw.close()


class H2Wire:
    """A stream of h2, or of a connection of its own."""

    def __init__(self, server, tls, rcvbuf, path, fields, h2=None):
        self.own = h2 is None
        self.h2 = h2 or H2(server.https if tls else server.http, tls,
                           rcvbuf=rcvbuf)
        self.raw = self.h2.raw
        self.sid = self.h2.send("GET", path, **fields)
        self.stream = self.h2.streams[self.sid]
        self.head = self.h2.response(self.sid, head_only=True)
        assert self.head.get("transfer-encoding") is None

    def piece(self):
        s = self.stream
        while not s.data:
            if s.ended:
                return None
            if s.reset is not None:
                raise Closed
            self.h2.pump()
        got, s.data = s.data, b""
        return got

    def waiting(self):
        return self.stream.data

    def more(self):
        self.h2.pump()

    def get(self, path):
        return self.h2.get(path)

    def close(self):
        if self.own:
            self.h2.close()
        elif self.stream.reset is None and not self.stream.ended:
            self.h2.reset(self.sid)


class Source:
    """One that is open: its first bytes have come."""

    def __init__(self, server, account, carrier="plain", last_id=None,
                 rcvbuf=None, h2=None, auth=None, **query):
        fields = {"Authorization": auth or basic(account.name, account.token)}
        if last_id is not None:
            fields["Last_Event_ID"] = last_id
        args = (server, carrier in ("tls", "h2"), rcvbuf, path_of(**query),
                fields)
        self.wire = (H2Wire(*args, h2) if carrier in ("h2c", "h2")
                     else H1Wire(*args))
        self.head = self.wire.head
        assert self.head.status == 200, self.head.status
        self.text = b""
        self.last_id = last_id
        first = self.block()
        assert first[0].startswith(":"), first
        self.read(first)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.wire.close()

    # ---- the stream ----

    def block(self):
        """The lines up to the next empty one; None at the end."""
        while b"\n\n" not in self.text:
            got = self.wire.piece()
            if got is None:
                assert self.text == b"", self.text
                return None
            self.text += got
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
        self.wire.raw.sock.settimeout(0.05)
        try:
            while not self.wire.waiting():
                self.wire.more()
        except TimeoutError:
            pass
        finally:
            self.wire.raw.sock.settimeout(DEADLINE)
        said = self.wire.waiting() + self.text
        assert said == b"", said
