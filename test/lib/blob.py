"""Uploads and downloads (RFC 8620 6) with every byte in the test's hand."""

import base64
import hashlib
import json
import os
import urllib.parse

from jmap import HttpApi
from raw import Raw, basic, request


def auth(account):
    return basic(account.name, account.token)


def blob_id(data):
    """What the server calls these bytes."""
    digits = base64.b32hexencode(hashlib.sha256(data).digest()).decode()
    return "b" + digits.rstrip("=").lower()


def noise(n):
    """Bytes that nobody has seen before."""
    return os.urandom(n)


def account_id(server, account):
    api = HttpApi(server, account)
    api.close()
    return api.account_id


class Blobs(Raw):
    """One connection of that account."""

    def __init__(self, server, account, tls=False, **kw):
        super().__init__(server.https if tls else server.http, tls=tls, **kw)
        self.account = account
        self.auth = auth(account)
        self.account_id = account_id(server, account)

    def upload_path(self):
        return f"/jmap/upload/{self.account_id}/"

    def post(self, data, **fields):
        """The whole answer to an upload."""
        fields.setdefault("Authorization", self.auth)
        self.send_may_fail(request("POST", self.upload_path(), data, **fields))
        return self.response()

    def upload(self, data, type_="application/octet-stream"):
        """The blob id of an upload that must succeed."""
        r = self.post(data, Content_Type=type_)
        assert r.status == 201, (r.status, r.body)
        got = json.loads(r.body)
        assert got == {"accountId": self.account_id, "blobId": blob_id(data),
                       "type": type_, "size": len(data)}, got
        return got["blobId"]

    def path(self, blob, name="name", type_=None):
        path = (f"/jmap/download/{self.account_id}/{blob}/"
                + urllib.parse.quote(name, safe=""))
        if type_ is not None:
            path += "?type=" + urllib.parse.quote(type_, safe="")
        return path

    def ask(self, blob, name="name", type_=None, method="GET", **fields):
        """Sends a download's request."""
        fields.setdefault("Authorization", self.auth)
        self.send(request(method, self.path(blob, name, type_), **fields))

    def download(self, blob, name="name", type_=None, method="GET", **fields):
        self.ask(blob, name, type_, method, **fields)
        return self.response(head_only=method == "HEAD")


def chunked(path, pieces, **fields):
    """The bytes of a chunked request, one by one."""
    head = request("POST", path, Transfer_Encoding="chunked", **fields)
    yield head
    for p in pieces:
        yield b"%x\r\n" % len(p) + p + b"\r\n"
    yield b"0\r\n\r\n"


def problem(r):
    assert r.get("content-type") == "application/problem+json", r.fields
    body = json.loads(r.body)
    assert body["status"] == r.status
    return body
