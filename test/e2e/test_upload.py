"""Uploads (RFC 8620 6.1): what they answer, their limits, their hour."""

import json
import os
import sqlite3
import subprocess
import time

import pytest

import blob
import harness
from blob import Blobs, noise, problem
from jmap import HttpApi, problem as problem_type
from mail import deliver, message
from raw import Raw, request

MAX = 300_000
OPTIONS = {"max_size_upload": MAX, "upload_quota": 700_000}
HOUR = 3600


@pytest.fixture
def blobs(server, account, tls):
    with Blobs(server, account, tls) as c:
        yield c


def assert_there(server, account, data):
    with Blobs(server, account) as c:
        r = c.download(blob.blob_id(data))
        assert (r.status, r.body) == (200, data)


def assert_gone(server, account, data):
    with Blobs(server, account) as c:
        assert c.download(blob.blob_id(data)).status == 404


def mail_dir(server, account):
    data_dir = server.options["data-dir"]
    with sqlite3.connect(os.path.join(data_dir, "directory.db")) as db:
        (number,), = db.execute("SELECT id FROM account WHERE name = ?",
                                (account.name,))
    db.close()
    return os.path.join(data_dir, "accounts", str(number))


def spooled(server):
    return os.listdir(os.path.join(server.options["data-dir"], "uploads"))


def assert_no_spool(server):
    """Soon: the server tidies up behind the answer."""
    harness.wait_for("no spool", lambda: not spooled(server))


def files(server, account):
    return [f for f in os.listdir(mail_dir(server, account) + "/blobs")
            if f != "new"]


# ---- what it answers ----

@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 200_000, MAX])
def test_upload_is_answered_with_its_id_type_and_size(blobs, size):
    data = noise(size)
    assert blobs.upload(data, "text/plain; charset=x") == blob.blob_id(data)
    assert blobs.download(blob.blob_id(data)).body == data


def test_upload_in_chunks(server, account, tls):
    data = noise(MAX)
    with Blobs(server, account, tls) as c:
        pieces = [data[i:i + 9999] for i in range(0, MAX, 9999)]
        for piece in blob.chunked(c.upload_path(), pieces,
                                  Authorization=c.auth):
            c.send(piece)
        r = c.response()
        assert r.status == 201
        assert json.loads(r.body)["blobId"] == blob.blob_id(data)
        assert c.download(blob.blob_id(data)).body == data


def test_upload_after_100_continue(blobs):
    data = noise(100_000)
    blobs.send(f"POST {blobs.upload_path()} HTTP/1.1\r\nHost: x\r\n"
               f"Authorization: {blobs.auth}\r\nExpect: 100-continue\r\n"
               f"Content-Length: {len(data)}\r\n\r\n")
    assert blobs.response().status == 100
    blobs.send(data)
    assert blobs.response().status == 201


def test_upload_by_curl(server, account, tmp_path):
    data = noise(MAX)
    path = tmp_path / "file"
    path.write_bytes(data)
    p = subprocess.run(
        ["curl", "-sS", "--cacert", server.cert, "-u",
         f"{account.name}:{account.token}", "-H", "Content-Type: image/png",
         "--data-binary", f"@{path}",
         f"https://localhost:{server.https}/jmap/upload/"
         f"{blob.account_id(server, account)}/"],
        capture_output=True, text=True, check=True, timeout=60)
    got = json.loads(p.stdout)
    assert (got["type"], got["size"]) == ("image/png", MAX)
    assert_there(server, account, data)


def test_upload_without_a_type_is_octets(blobs):
    r = blobs.post(b"x")
    assert json.loads(r.body)["type"] == "application/octet-stream"


def test_upload_with_a_type_that_is_none_is_400(blobs):
    r = blobs.post(b"x", Content_Type="text/pl\xe4in")
    assert r.status == 400
    problem(r)


def test_upload_of_the_same_bytes_has_the_same_id(blobs):
    data = noise(100_000)
    assert blobs.upload(data, "a/b") == blobs.upload(data, "c/d")


def test_upload_of_a_message_has_the_id_of_the_message(server, account):
    api = HttpApi(server, account)
    deliver(server, account.name, message(subject="same"))
    email, = api.emails()
    got = api.call("Email/get", {"ids": [email], "properties": ["blobId"]})
    with Blobs(server, account) as c:
        raw = c.download(got["list"][0]["blobId"]).body
        assert c.upload(raw, "message/rfc822") == got["list"][0]["blobId"]


# ---- who may ----

def test_upload_needs_a_login(server, account):
    with Blobs(server, account) as c:
        assert c.post(b"x", Authorization="Basic eDp5").status == 401
    with Blobs(server, account) as c:
        c.send(request("POST", c.upload_path(), b"x"))
        assert c.response().status == 401


def test_upload_to_another_account_is_404(server, account):
    other = blob.account_id(server, server.add_account())
    for path in (f"/jmap/upload/{other}/", "/jmap/upload/u99999/",
                 "/jmap/upload/u1/x/", "/jmap/upload/x"):
        with Raw(server.http) as c:
            c.send(request("POST", path, b"x",
                           Authorization=blob.auth(account)))
            r = c.response()
            assert r.status == 404
            problem(r)


def test_what_one_account_uploads_no_other_can_see(server, account):
    data = noise(1000)
    with Blobs(server, account) as c:
        c.upload(data)
    assert_gone(server, server.add_account(), data)


# ---- limits ----

def assert_too_large(r):
    assert r.status == 413
    body = problem(r)
    assert body["type"] == problem_type("limit")
    assert body["limit"] == "maxSizeUpload"


def test_upload_one_byte_too_large_is_413(server, account, tls):
    with Blobs(server, account, tls) as c:
        assert_too_large(c.post(noise(MAX + 1)))
    with Blobs(server, account, tls) as c:
        try:
            for piece in blob.chunked(c.upload_path(), [noise(MAX), b"x"],
                                      Authorization=c.auth):
                c.send(piece)
        except OSError:
            pass
        assert_too_large(c.response())
    assert_no_spool(server)


def test_upload_announced_too_large_is_413_before_it_is_read(server, account):
    with Blobs(server, account) as c:
        c.send(f"POST {c.upload_path()} HTTP/1.1\r\nHost: x\r\n"
               f"Authorization: {c.auth}\r\nContent-Length: {MAX + 1}\r\n\r\n")
        assert_too_large(c.response())


def test_session_says_the_limits_of_uploads(server, account):
    core = HttpApi(server, account).session()["capabilities"][
        "urn:ietf:params:jmap:core"]
    assert core["maxSizeUpload"] == MAX
    assert core["maxConcurrentUpload"] == 4


def test_upload_larger_than_the_quota_is_507():
    with harness.Server(upload_quota=100_000) as server:
        account = server.add_account()
        small, large = noise(1000), noise(100_001)
        with Blobs(server, account) as c:
            c.upload(small)
            r = c.post(large)
            assert r.status == 507
            problem(r)
        assert_no_spool(server)
        assert_there(server, account, small)
        assert_gone(server, account, large)


def test_over_the_quota_the_oldest_upload_goes(server, account, blobs):
    one, two, three = noise(250_000), noise(250_000), noise(250_000)
    blobs.upload(one)
    blobs.upload(two)
    blobs.upload(one)
    blobs.upload(three)
    assert_gone(server, account, two)
    assert_there(server, account, one)
    assert_there(server, account, three)
    assert len(files(server, account)) == 2


def test_uploads_at_once_count_in_the_quota_as_they_come(server, account):
    """Three of 250 KB are under way, which is more than the quota."""
    clients = [Blobs(server, account) for _ in range(3)]
    data = noise(250_000)
    heads = f"Authorization: {clients[0].auth}\r\nContent-Length: 250000\r\n"
    for c in clients:
        c.send(f"POST {c.upload_path()} HTTP/1.1\r\nHost: x\r\n{heads}\r\n")
        c.send(data[:-1])
    # The last bytes of the three need more than there is: one is refused.
    statuses = []
    for c in clients:
        c.send_may_fail(data[-1:])
        statuses.append(c.response().status)
        c.close()
    assert sorted(statuses) == [201, 201, 507]


# ---- memory ----

def high_water(pid):
    """Bytes; and it begins anew."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        kib, = (line.split()[1] for line in f if line.startswith("VmHWM:"))
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as f:
        f.write("5")
    return int(kib) * 1024


def watched(pid):
    """By a sanitizer or valgrind: freed memory stays, and there is more."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
        text = f.read()
    return any(tool in text for tool in ("asan", "tsan", "valgrind"))


def test_a_large_file_is_in_no_process_memory():
    size = 40_000_000
    with harness.Server() as server:
        account = server.add_account()
        data = noise(1_000_000) * (size // 1_000_000)
        with Blobs(server, account) as c:
            c.download(c.upload(noise(100_000)))
            pids = server.pids("store") + server.pids("worker")
            if watched(pids[0]):
                pytest.skip("its memory is not its own")
            before = [high_water(p) for p in pids]
            assert c.download(c.upload(data)).body == data
            after = [high_water(p) for p in pids]
        for a, b in zip(before, after):
            assert b - a < size // 3, (before, after)  # rings are memory, too


# ---- breaking off ----

@pytest.mark.parametrize("sent", [10, 100_000, 250_000])
def test_upload_that_breaks_off_leaves_nothing(server, account, sent):
    data = noise(MAX)
    with Blobs(server, account) as c:
        c.send(f"POST {c.upload_path()} HTTP/1.1\r\nHost: x\r\n"
               f"Authorization: {c.auth}\r\nContent-Length: {MAX}\r\n\r\n")
        c.send(data[:sent])
        if sent > 65536:
            harness.wait_for("a spool", lambda: spooled(server))
    assert_no_spool(server)
    assert files(server, account) == []
    assert_gone(server, account, data)
    with Blobs(server, account) as c:
        c.upload(data)


# ---- its hour ----

def set_back(server, account, seconds):
    """All its uploads came so much earlier; the server must be stopped."""
    with sqlite3.connect(mail_dir(server, account) + "/mail.db") as db:
        db.execute("UPDATE upload SET time = time - ?", (seconds * 1000,))
    db.close()


def test_upload_goes_an_hour_after_it_came():
    with harness.Server() as server:
        account = server.add_account()
        old, again, young = noise(100_000), noise(100_000), noise(100)
        with Blobs(server, account) as c:
            c.upload(old)
            c.upload(again)
        server.stop()
        set_back(server, account, HOUR - 60)
        server.start()
        with Blobs(server, account) as c:
            assert c.download(blob.blob_id(old)).body == old
            c.upload(again)
            c.upload(young)
        server.stop()
        set_back(server, account, 60)
        server.start()
        assert_gone(server, account, old)
        assert_there(server, account, again)
        assert_there(server, account, young)
        assert len(files(server, account)) == 1


def test_upload_is_there_after_a_restart():
    with harness.Server() as server:
        account = server.add_account()
        small, large = noise(1000), noise(2_000_000)
        with Blobs(server, account) as c:
            c.upload(small)
            c.upload(large)
        server.stop()
        server.start()
        assert_there(server, account, small)
        assert_there(server, account, large)


# ---- concurrency ----

def test_others_go_on_while_uploads_stall(server, account):
    """Clients that send half of a body hold nobody up."""
    stalled = [Blobs(server, account) for _ in range(3)]
    for c in stalled:
        c.send(f"POST {c.upload_path()} HTTP/1.1\r\nHost: x\r\n"
               f"Authorization: {c.auth}\r\nContent-Length: 200000\r\n\r\n")
        c.send(noise(100_000))
    api = HttpApi(server, account)
    began = time.monotonic()
    for _ in range(20):
        api.call("Mailbox/get")
    with Blobs(server, account) as c:
        c.upload(noise(100_000))
    assert time.monotonic() - began < harness.DEADLINE
    for c in stalled:
        c.send(noise(100_000))
        assert c.response().status == 201
        c.close()
