"""Bytes on a socket, plain or TLS, and what HTTP says about them: for tests that
must decide every byte themselves."""

import base64
import socket
import ssl

from harness import DEADLINE


class Closed(Exception):
    """The peer ended the connection."""


class Response:
    def __init__(self, status, reason, fields, body):
        self.status = status
        self.reason = reason
        self.fields = fields  # list of (lower-case name, value)
        self.body = body

    def all(self, name):
        return [v for n, v in self.fields if n == name.lower()]

    def get(self, name):
        got = self.all(name)
        return got[0] if got else None


def basic(user, password):
    pair = f"{user}:{password}".encode()
    return "Basic " + base64.b64encode(pair).decode()


class Raw:
    """One connection."""

    def __init__(self, port, tls=False, rcvbuf=None, context=None, source=None):
        s = socket.socket()
        if source:
            s.bind((source, 0))
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.settimeout(DEADLINE)
        s.connect(("127.0.0.1", port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            if not context:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            s = context.wrap_socket(s, server_hostname="localhost")
        self.sock = s
        self.buf = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        if isinstance(data, str):
            data = data.encode()
        self.sock.sendall(data)

    def send_may_fail(self, data):
        """For peers that may have ended before all of it was sent."""
        try:
            self.send(data)
        except (ConnectionError, ssl.SSLError):
            pass

    def drip(self, data):
        """One byte at a time."""
        for i in range(len(data)):
            self.send(data[i:i + 1])

    def more(self):
        try:
            got = self.sock.recv(65536)
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            got = b""
        if not got:
            raise Closed
        self.buf += got

    def take(self, n):
        if len(self.buf) < n:
            self.collect(n)
        got, self.buf = self.buf[:n], self.buf[n:]
        return got

    def collect(self, n):
        """Until so much is there, without a copy of all for each piece."""
        got = bytearray(self.buf)
        try:
            while len(got) < n:
                self.buf = b""
                self.more()
                got += self.buf
        finally:
            self.buf = bytes(got)

    def until(self, mark):
        while mark not in self.buf:
            self.more()
        at = self.buf.index(mark) + len(mark)
        return self.take(at)

    def rest(self):
        """All until the peer ends."""
        try:
            while True:
                self.more()
        except Closed:
            got, self.buf = self.buf, b""
            return got

    def rest_or(self, otherwise):
        """None when the peer ended without a further byte, else what
        otherwise() makes of the bytes."""
        try:
            if not self.buf:
                self.more()
        except Closed:
            return None
        return otherwise()

    def assert_closed(self):
        rest = self.rest()
        assert rest == b"", f"bytes after the end: {rest[:200]!r}"

    # ---- HTTP ----

    def response(self, head_only=False):
        lines = self.until(b"\r\n\r\n")[:-4].decode("latin-1").split("\r\n")
        version, status, reason = lines[0].split(" ", 2)
        assert version == "HTTP/1.1", lines[0]
        fields = []
        for line in lines[1:]:
            name, value = line.split(":", 1)
            fields.append((name.lower(), value.strip()))
        r = Response(int(status), reason, fields, b"")
        if head_only or r.status < 200 or r.status in (204, 304):
            return r
        if r.get("transfer-encoding") == "chunked":
            r.body = self.chunks()
        elif r.get("content-length") is not None:
            r.body = self.take(int(r.get("content-length")))
        else:
            r.body = self.rest()
        return r

    def chunks(self):
        body = b""
        while True:
            n = int(self.until(b"\r\n")[:-2].split(b";")[0], 16)
            if not n:
                assert self.until(b"\r\n") == b"\r\n"
                return body
            body += self.take(n)
            assert self.take(2) == b"\r\n"

    def get(self, path, **fields):
        self.send(request("GET", path, **fields))
        return self.response()


def request(method, path, body=None, **fields):
    """A request's bytes; field names with _ for -."""
    text = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    for k, v in fields.items():
        text += f"{k.replace('_', '-')}: {v}\r\n"
    data = text.encode()
    if body is not None:
        if isinstance(body, str):
            body = body.encode()
        data += b"Content-Length: %d\r\n" % len(body)
    return data + b"\r\n" + (body or b"")
