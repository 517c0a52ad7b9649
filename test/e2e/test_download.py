"""Downloads (RFC 8620 6.2): bytes, fields, ranges, hostile names, slow readers."""

import base64
import quopri
import subprocess
import threading
import urllib.parse

import pytest

import blob
from blob import Blobs, noise, problem
from jmap import HttpApi
from mail import deliver, message
from raw import Closed, Raw

BIG = 50_000_000


@pytest.fixture(scope="module")
def account(server):
    """One for all tests: what they upload is theirs alone."""
    return server.add_account()


@pytest.fixture
def blobs(server, account, tls):
    with Blobs(server, account, tls) as c:
        yield c


@pytest.fixture
def plain(server, account):
    with Blobs(server, account) as c:
        yield c


# ---- bytes ----

@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 131072, 131073, 1_000_000])
def test_download_of_an_upload(blobs, size):
    data = noise(size)
    r = blobs.download(blobs.upload(data))
    assert r.status == 200
    assert r.get("content-length") == str(size)
    assert r.body == data


def test_50_mb_there_and_back(blobs):
    data = noise(1_000_000) * (BIG // 1_000_000)
    r = blobs.download(blobs.upload(data))
    assert r.status == 200
    assert r.body == data


def blob_of_email(server, account):
    api = HttpApi(server, account)
    email = api.emails()[0]
    got = api.call("Email/get", {"ids": [email], "properties": [
        "blobId", "size"]})["list"][0]
    return got["blobId"], got["size"]


@pytest.mark.parametrize("body", ["short\r\n", "long line\r\n" * 100_000],
                         ids=["row", "file"])
def test_download_of_a_message(server, account, blobs, body):
    raw = message(body=body)
    deliver(server, account.name, raw)
    one, size = blob_of_email(server, account)
    r = blobs.download(one, type_="message/rfc822")
    assert r.get("content-type") == "message/rfc822"
    assert len(r.body) == size
    assert r.body.endswith(raw)
    assert blob.blob_id(r.body) == one


def part_message(encoding, encoded):
    return (b"From: <a@example.org>\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
            b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
            b"--b\r\nContent-Type: application/x-test; name=f\r\n"
            b"Content-Disposition: attachment\r\n"
            b"Content-Transfer-Encoding: " + encoding.encode()
            + b"\r\n\r\n" + encoded + b"\r\n--b--\r\n")


def attachment(server, account, raw):
    """The part that Email/get shows: its blob id and size."""
    deliver(server, account.name, raw)
    api = HttpApi(server, account)
    email = api.emails()[0]
    got = api.call("Email/get", {"ids": [email], "properties": [
        "attachments"]})["list"][0]["attachments"]
    return got[0]["blobId"], got[0]["size"]


def lines(data, n=60):
    text = base64.b64encode(data)
    return b"\r\n".join(text[i:i + n] for i in range(0, len(text), n))


def uuencode(data):
    import binascii
    body = b"".join(binascii.b2a_uu(data[i:i + 45])
                    for i in range(0, len(data), 45))
    return (b"begin 644 f\n" + body + b"`\nend").replace(b"\n", b"\r\n")


DATA = bytes(range(256)) * 2000 + b"end"
TEXT = b"".join(b"caf\xc3\xa9 = %d, and on\r\n" % i for i in range(20_000))
ENCODED = {
    "base64": (DATA, lines(DATA)),
    "quoted-printable": (TEXT, quopri.encodestring(
        TEXT.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")),
    "x-uuencode": (DATA, uuencode(DATA)),
    "8bit": (TEXT, TEXT),
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_download_of_a_part_is_decoded(server, account, plain, encoding):
    data, encoded = ENCODED[encoding]
    part, size = attachment(server, account, part_message(encoding, encoded))
    r = plain.download(part, type_="application/x-test")
    assert r.status == 200
    assert r.body == data
    assert size == len(data)
    assert r.get("content-length") == str(len(data))
    r = plain.download(part, Range="bytes=300000-300099")
    assert (r.status, r.body) == (206, data[300000:300100])
    assert r.get("content-range") == f"bytes 300000-300099/{len(data)}"
    assert plain.download(part, method="HEAD").get(
        "content-length") == str(len(data))


def test_download_of_a_part_of_an_encoded_message(server, account, plain):
    inner = part_message("base64", lines(DATA))
    outer = (b"From: <a@example.org>\r\nMIME-Version: 1.0\r\n"
             b"Content-Type: multipart/mixed; boundary=o\r\n\r\n"
             b"--o\r\nContent-Type: message/rfc822\r\n"
             b"Content-Transfer-Encoding: base64\r\n\r\n"
             + lines(inner) + b"\r\n--o--\r\n")
    part, size = attachment(server, account, outer)
    assert size == len(inner)
    assert plain.download(part).body == inner
    api = HttpApi(server, account)
    got = api.call("Email/parse", {"blobIds": [part], "properties": [
        "attachments"]})["parsed"][part]["attachments"][0]
    assert got["size"] == len(DATA)
    assert plain.download(got["blobId"]).body == DATA


# ---- fields ----

def test_download_fields(blobs):
    one = blobs.upload(b"<script>alert(1)</script>", "text/html")
    r = blobs.download(one, "page.html", "text/html; charset=utf-8")
    assert r.get("content-type") == "text/html; charset=utf-8"
    assert r.get("content-disposition") == 'attachment; filename="page.html"'
    assert r.get("x-content-type-options") == "nosniff"
    assert r.get("content-security-policy") == "sandbox; default-src 'none'"
    assert r.get("cache-control") == "private, immutable, max-age=31536000"
    assert r.get("etag") == f'"{one}"'
    assert r.get("accept-ranges") == "bytes"


def test_download_url_of_the_session_works(server, account, plain):
    url = HttpApi(server, account).session()["downloadUrl"]
    one = plain.upload(b"some text")
    for name, value in (("accountId", plain.account_id), ("blobId", one),
                        ("name", "a b/c?.txt"), ("type", "image/svg+xml")):
        url = url.replace("{" + name + "}",
                          urllib.parse.quote(value, safe=""))
    path = url.split("/", 3)[3]
    r = plain.get("/" + path, Authorization=plain.auth)
    assert (r.status, r.body) == (200, b"some text")
    assert r.get("content-type") == "image/svg+xml"
    assert r.get("content-disposition") == 'attachment; filename="a b_c?.txt"'


def test_download_without_a_type_is_octets(plain):
    r = plain.download(plain.upload(b"x"))
    assert r.get("content-type") == "application/octet-stream"


@pytest.mark.parametrize("type_", [
    "text", "text/", "/plain", "text/plain\r\nX-Evil: 1", "text/plain; a",
    "te xt/plain", "text/plain\0", "text/plain; a=\"b", "t\xe9xt/plain",
    "text/plain, text/html", "x/" + "y" * 1000])
def test_download_with_a_type_that_is_none_is_400(plain, type_):
    r = plain.download(plain.upload(b"x"), type_=type_)
    assert r.status == 400
    problem(r)
    assert r.get("x-evil") is None


@pytest.mark.parametrize("name, field", [
    ("a.txt", 'filename="a.txt"'),
    ('say "hi".txt', 'filename="say _hi_.txt"; '
     "filename*=UTF-8''say%20%22hi%22.txt"),
    ("x\r\nSet-Cookie: a=b", 'filename="x__Set-Cookie: a=b"'),
    ("caf\u00e9.txt", "filename=\"caf_.txt\"; filename*=UTF-8''caf%C3%A9.txt"),
    ("\u65e5\u672c", "filename=\"__\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC"),
    ("../../etc/passwd", 'filename=".._.._etc_passwd"'),
    ("c:\\windows\\x", 'filename="c:_windows_x"'),
    ("..", 'filename="_"'),
    ("100%41.txt", "filename=\"100_41.txt\"; filename*=UTF-8''100%2541.txt"),
    ("gpj\u202etxt.exe", 'filename="gpj_txt.exe"'),
    ("semi;colon", 'filename="semi;colon"'),
    ("x" * 2000, f'filename="{"x" * 2000}"'),
])
def test_download_name(plain, name, field):
    r = plain.download(plain.upload(b"x"), name)
    assert r.status == 200
    assert r.get("content-disposition") == "attachment; " + field
    assert r.get("set-cookie") is None


def test_download_name_that_is_not_utf_8(plain):
    one = plain.upload(b"x")
    r = plain.get(plain.path(one) + "%FF%C3", Authorization=plain.auth)
    assert r.get("content-disposition") == 'attachment; filename="name__"'


def test_download_without_a_name(plain):
    r = plain.download(plain.upload(b"x"), "")
    assert (r.status, r.body) == (200, b"x")
    assert r.get("content-disposition") == "attachment"


def test_download_by_curl(server, account, plain, tmp_path):
    data = noise(500_000)
    one = plain.upload(data)
    out = tmp_path / "out"
    subprocess.run(
        ["curl", "-sSf", "--cacert", server.cert, "-u",
         f"{account.name}:{account.token}", "-o", str(out),
         f"https://localhost:{server.https}{plain.path(one)}"],
        check=True, timeout=60)
    assert out.read_bytes() == data


# ---- what is not there ----

def test_download_of_what_is_not_there_is_404(server, account, plain):
    other = server.add_account()
    with Blobs(server, other) as theirs:
        their_blob = theirs.upload(noise(100))
        their_id = theirs.account_id
    mine = plain.upload(b"x")
    for account_id, one in (
            (plain.account_id, their_blob), (their_id, their_blob),
            (their_id, mine), ("u99999", mine),
            (plain.account_id, blob.blob_id(noise(10))),
            (plain.account_id, "nonsense"), (plain.account_id, "b"),
            (plain.account_id, mine + "x"),
            (plain.account_id, "p" + mine[1:] + "_0_2_0"),
            (plain.account_id, "p" + mine[1:] + "_2_0_0")):
        with Raw(server.http) as c:
            r = c.get(f"/jmap/download/{account_id}/{one}/n",
                      Authorization=plain.auth)
            assert r.status == 404, (account_id, one)
            assert problem(r)["detail"] == "There is no such blob."


def test_download_path_without_a_name_is_404(plain):
    one = plain.upload(b"x")
    for path in (f"/jmap/download/{plain.account_id}/{one}",
                 f"/jmap/download/{plain.account_id}", "/jmap/download/x"):
        assert plain.get(path, Authorization=plain.auth).status == 404


def test_download_needs_a_login(plain):
    one = plain.upload(b"x")
    assert plain.get(plain.path(one)).status == 401


# ---- ranges and conditions ----

@pytest.mark.parametrize("size", [1000, 300_000])
def test_download_range(plain, size):
    data = noise(size)
    one = plain.upload(data)
    for value, first, end in (
            ("bytes=0-0", 0, 1), ("bytes=0-", 0, size), ("bytes=5-9", 5, 10),
            (f"bytes=10-{size * 2}", 10, size), ("bytes=-7", size - 7, size),
            (f"bytes=-{size + 5}", 0, size), ("Bytes=5-9", 5, 10),
            (f"bytes={size - 1}-", size - 1, size),
            (f"bytes=1-{2 ** 64 - 1}", 1, size)):
        r = plain.download(one, Range=value)
        assert r.status == 206, value
        assert r.body == data[first:end], value
        assert r.get("content-range") == f"bytes {first}-{end - 1}/{size}"
        assert r.get("content-length") == str(end - first)
        assert r.get("etag") == f'"{one}"'


@pytest.mark.parametrize("value", [
    "bytes=1000-", "bytes=5000-6000", "bytes=-0", "bytes=1000-1000"])
def test_download_range_that_cannot_be_is_416(plain, value):
    r = plain.download(plain.upload(noise(1000)), Range=value)
    assert r.status == 416
    assert r.get("content-range") == "bytes */1000"
    problem(r)


@pytest.mark.parametrize("value", [
    "bytes=0-1,5-6", "lines=1-2", "bytes=9-5", "bytes=x-y", "bytes=", "bytes",
    "bytes=-", "bytes=1", f"bytes={2 ** 64}-"])
def test_download_range_that_is_none_is_the_whole(plain, value):
    data = noise(1000)
    r = plain.download(plain.upload(data), Range=value)
    assert (r.status, r.body) == (200, data)


def test_download_range_of_nothing_is_nothing(plain):
    r = plain.download(plain.upload(b""), Range="bytes=0-")
    assert (r.status, r.body) == (200, b"")


def test_download_if_range(plain):
    data = noise(1000)
    one = plain.upload(data)
    r = plain.download(one, Range="bytes=0-4", If_Range=f'"{one}"')
    assert (r.status, r.body) == (206, data[:5])
    for other in ('"x"', f'W/"{one}"', "Tue, 24 Nov 2026 06:00:00 GMT"):
        r = plain.download(one, Range="bytes=0-4", If_Range=other)
        assert (r.status, r.body) == (200, data)


def test_download_if_none_match(plain):
    one = plain.upload(noise(100_000))
    for value in (f'"{one}"', f'W/"{one}"', "*", f'"x", "{one}"'):
        r = plain.download(one, If_None_Match=value)
        assert (r.status, r.body) == (304, b"")
        assert r.get("etag") == f'"{one}"'
        assert r.get("cache-control").startswith("private")
    assert plain.download(one, If_None_Match='"x"').status == 200
    gone = blob.blob_id(noise(10))
    assert plain.download(gone, If_None_Match=f'"{gone}"').status == 404


@pytest.mark.parametrize("size", [0, 100, 300_000])
def test_download_head(plain, size):
    one = plain.upload(noise(size))
    whole = plain.download(one, "n.png", "image/png")
    head = plain.download(one, "n.png", "image/png", method="HEAD")
    assert head.status == 200
    drop = ("date",)
    assert ([f for f in head.fields if f[0] not in drop]
            == [f for f in whole.fields if f[0] not in drop])
    # Nothing follows: the next answer is in its place.
    assert plain.get("/healthz").body == b"ok\n"


# ---- slow and broken readers ----

def test_a_slow_reader_holds_nobody_up(server, account):
    data = noise(1_000_000) * 8
    with Blobs(server, account) as c:
        one = c.upload(data)
    slow = [Blobs(server, account, rcvbuf=4096) for _ in range(10)]
    for c in slow:
        c.ask(one)
    api = HttpApi(server, account)
    for _ in range(10):
        api.call("Mailbox/get")
    with Blobs(server, account) as c:
        assert c.download(one).body == data
        c.upload(noise(100_000))
    assert slow[0].response().body == data
    for c in slow:
        c.close()
    with Blobs(server, account) as c:
        assert c.download(one).body == data


def test_two_downloads_and_requests_on_one_connection(plain):
    one, two = noise(300_000), noise(100)
    a, b = plain.upload(one), plain.upload(two)
    for x in (a, b, a):
        plain.ask(x)
    assert plain.response().body == one
    assert plain.response().body == two
    assert plain.response().body == one


def test_many_downloads_at_once(server, account):
    data = noise(2_000_000)
    with Blobs(server, account) as c:
        one = c.upload(data)
    bad = []

    def read(offset):
        with Blobs(server, account) as client:
            for i in range(3):
                first = offset * 1000 + i
                r = client.download(one, Range=f"bytes={first}-")
                if r.body != data[first:]:
                    bad.append(first)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not bad


def test_download_of_what_goes_meanwhile_breaks(server, account):
    """Its email is destroyed: the end never comes, and it shows."""
    raw = message(body="gone in the middle\r\n" * 1_000_000)
    deliver(server, account.name, raw)
    api = HttpApi(server, account)
    email = api.emails()[0]
    one, _ = blob_of_email(server, account)
    with Blobs(server, account, rcvbuf=4096) as c:
        c.ask(one)
        head = c.response(head_only=True)
        assert head.status == 200
        got = api.call("Email/set", {"destroy": [email]})
        assert got["destroyed"] == [email]
        with pytest.raises(Closed):
            c.take(int(head.get("content-length")))
