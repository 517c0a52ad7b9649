"""An HTTP/2 client on python3-h2 that decides each frame itself, and WebSockets
over it (RFC 8441): H2Ws is to a stream what RawWs is to a socket."""

import ssl

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
from h2.connection import ConnectionState

from raw import Closed, Raw, Response, basic
from rawws import RawWs


def alpn_context(*names):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(names))
    return context


class Stream:
    """What came on one stream so far."""

    def __init__(self):
        self.fields = None
        self.informed = []  # status codes of 1xx
        self.data = b""
        self.ended = False
        self.reset = None  # the error code


class H2:
    """One connection. With hold=True the windows stay closed as data comes."""

    def __init__(self, port, tls=False, hold=False, settings=None, rcvbuf=None,
                 strict=True, source=None):
        self.raw = Raw(port, tls, rcvbuf, alpn_context("h2") if tls else None,
                       source)
        if tls:
            assert self.raw.sock.selected_alpn_protocol() == "h2"
        self.scheme = "https" if tls else "http"
        self.hold = hold
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            header_encoding="utf-8", validate_outbound_headers=False,
            normalize_outbound_headers=strict))
        self.streams = {}
        self.goaway = None  # (error code, last stream), the newest
        self.goaways = []
        self.closed = False
        self.settled = False
        self.pongs = []
        if settings:
            self.h2.local_settings = h2.settings.Settings(
                client=True, initial_values={
                    h2.settings.SettingCodes.ENABLE_PUSH: 0, **settings})
        self.h2.initiate_connection()
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.raw.close()

    # ---- bytes ----

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.raw.send(data)

    def settle(self):
        """The server's SETTINGS are there: extended CONNECT may be used."""
        while not self.settled:
            self.pump()

    def pump(self):
        """What the socket has now, at least one piece."""
        if self.closed:
            raise Closed
        try:
            self.raw.more()
        except Closed:
            self.closed = True
            raise
        for frame in self.frames():
            for event in self.h2.receive_data(frame):
                self.on_event(event)
            if self.ending():
                # Streams that began before finish (RFC 9113 6.8); python3-h2
                # takes a GOAWAY for the end of all.
                self.h2.state_machine.state = ConnectionState.CLIENT_OPEN
        try:
            self.flush()
        except (ConnectionError, ssl.SSLError):
            pass

    def ending(self):
        """The server asked for no more streams, and nothing is wrong."""
        return self.goaway is not None and self.goaway[0] == 0

    def frames(self):
        """Those that are whole, each by itself."""
        buf = self.raw.buf
        at = 0
        while len(buf) - at >= 9:
            end = at + 9 + int.from_bytes(buf[at:at + 3], "big")
            if end > len(buf):
                break
            yield buf[at:end]
            at = end
        self.raw.buf = buf[at:]

    def on_event(self, e):
        s = self.streams.get(getattr(e, "stream_id", None))
        if isinstance(e, h2.events.DataReceived) and s:
            s.data += e.data
            if not self.hold:
                self.acknowledge(e.stream_id, e.flow_controlled_length)
        elif isinstance(e, h2.events.ResponseReceived) and s:
            s.fields = e.headers
        elif isinstance(e, h2.events.InformationalResponseReceived) and s:
            s.informed.append(int(dict(e.headers)[":status"]))
        elif isinstance(e, h2.events.StreamEnded) and s:
            s.ended = True
        elif isinstance(e, h2.events.StreamReset) and s:
            s.reset = int(e.error_code)
        elif isinstance(e, h2.events.ConnectionTerminated):
            self.goaway = (int(e.error_code), e.last_stream_id)
            self.goaways.append(self.goaway)
        elif isinstance(e, h2.events.RemoteSettingsChanged):
            self.settled = True
        elif isinstance(e, h2.events.PingAckReceived):
            self.pongs.append(e.ping_data)

    def acknowledge(self, sid, n):
        if n:
            try:
                self.h2.acknowledge_received_data(n, sid)
            except h2.exceptions.StreamClosedError:
                pass

    def until(self, condition):
        """Pumps until the condition, or the end of the connection."""
        while not condition():
            self.pump()

    def rest(self):
        """Until the peer ends; its GOAWAY (code, last stream), or None."""
        try:
            while True:
                self.pump()
        except Closed:
            return self.goaway

    # ---- requests ----

    def fields(self, method, path, fields):
        head = [(":method", method), (":scheme", self.scheme),
                (":authority", "localhost"), (":path", path)]
        for k, v in fields.items():
            for one in v if isinstance(v, list) else [v]:
                if one is not None:
                    head.append((k.replace("_", "-").lower(), one))
        return head

    def open(self, head, end=True):
        sid = self.h2.get_next_available_stream_id()
        self.streams[sid] = Stream()
        self.h2.send_headers(sid, head, end_stream=end)
        self.flush()
        return sid

    def send(self, method, path, body=None, **fields):
        """The stream's number; its answer comes with response()."""
        sid = self.open(self.fields(method, path, fields), end=body is None)
        if body is not None:
            self.body(sid, body, end=True)
        return sid

    def body(self, sid, data, end=False):
        """As fast as the windows open."""
        if isinstance(data, str):
            data = data.encode()
        s, at = self.streams[sid], 0
        while at < len(data) and s.reset is None:
            n = min(self.h2.local_flow_control_window(sid), len(data) - at,
                    self.h2.max_outbound_frame_size)
            if not n:
                self.pump()
                continue
            self.h2.send_data(sid, data[at:at + n])
            at += n
            self.flush()
        if end and s.reset is None:
            self.h2.end_stream(sid)
            self.flush()

    def response(self, sid, head_only=False):
        s = self.streams[sid]
        self.until(lambda: s.reset is not None or s.fields and (
            head_only or s.ended))
        if not s.fields or (s.reset and not head_only):
            raise Closed(f"stream {sid} was reset: {s.reset}")
        fields = [(n, v) for n, v in s.fields if not n.startswith(":")]
        return Response(int(dict(s.fields)[":status"]), "", fields, s.data)

    def get(self, path, **fields):
        return self.response(self.send("GET", path, **fields))

    def reset(self, sid, code=8):
        self.h2.reset_stream(sid, code)
        self.flush()

    # ---- WebSockets ----

    def connect(self, path, protocol="websocket", **fields):
        """Extended CONNECT; the stream's number."""
        self.settle()
        fields.setdefault("Sec_WebSocket_Version", "13")
        head = self.fields("CONNECT", path, fields)
        if protocol:
            head.insert(1, (":protocol", protocol))
        return self.open(head, end=False)


class H2Ws(RawWs):
    """A WebSocket that is a stream: of a connection of its own, or of h2."""

    def __init__(self, port, path="/jmap/ws-echo", tls=False, account=None,
                 rcvbuf=None, h2=None, **fields):
        # Raw's own part is the connection's, which streams may share.
        self.own = h2 is None
        self.h2 = h2 or H2(port, tls, rcvbuf=rcvbuf)
        self.sock = self.h2.raw.sock
        self.buf = b""
        self.pings = 0
        if account:
            fields.setdefault("Authorization",
                              basic(account.name, account.token))
            fields.setdefault("Sec_WebSocket_Protocol", "jmap")
        self.sid = self.h2.connect(path, **fields)
        self.stream = self.h2.streams[self.sid]
        self.opened = self.h2.response(self.sid, head_only=True)
        assert self.opened.status == 200, self.opened.status
        assert self.opened.get("sec-websocket-accept") is None

    def close(self):
        if self.own:
            self.h2.close()
        elif self.stream.reset is None and not self.stream.ended:
            self.h2.reset(self.sid)

    def send(self, data):
        if self.stream.reset is not None:
            raise ConnectionError("the stream was reset")
        try:
            self.h2.body(self.sid, data)
        except (Closed, h2_error) as e:
            raise ConnectionError(str(e)) from e

    def end(self):
        """END_STREAM: of a WebSocket the half close."""
        self.h2.body(self.sid, b"", end=True)

    def more(self):
        s = self.stream
        while not s.data:
            if s.ended or s.reset is not None:
                raise Closed
            self.h2.pump()
        self.buf += s.data
        s.data = b""


h2_error = h2.exceptions.H2Error
