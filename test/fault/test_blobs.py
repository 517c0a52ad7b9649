"""Uploads and downloads while roles die and the disk fills: nothing is half there,
nothing that was acknowledged is lost, and no body that is not whole looks so."""

import os
import signal
import threading

import pytest

import blob
import fault
import harness
from blob import Blobs, noise
from raw import Closed
from test_disk_full import SmallDisk, can_mount

SIZE = 2_000_000


@pytest.fixture
def server():
    with harness.Server(allow_deaths=True, log_level="info",
                        upload_quota=10_000_000_000) as s:
        yield s


def spooled(server):
    return os.listdir(os.path.join(fault.data_dir(server), "uploads"))


def kept(server, account):
    """Files of the account's blobs."""
    number = fault.account_number(server, account.name)
    path = os.path.join(fault.data_dir(server), "accounts", str(number),
                        "blobs")
    return [f for _, _, files in os.walk(path) for f in files]


def rows(server, account):
    with fault.database(server, account.name) as db:
        (n,), = db.execute("SELECT count(*) FROM upload")
    return n


def kill(server, role, index=0):
    old = fault.wait_settled(server, role, index)
    os.kill(old, signal.SIGKILL)
    fault.up_again(server, role, index, old)


def begin(server, account, data, sent):
    """An upload of which so much is on its way, and a spool is there."""
    c = Blobs(server, account)
    c.send(f"POST {c.upload_path()} HTTP/1.1\r\nHost: x\r\n"
           f"Authorization: {c.auth}\r\nContent-Length: {len(data)}\r\n\r\n")
    c.send(data[:sent])
    harness.wait_for("a spool", lambda: spooled(server))
    return c


def assert_nothing(server, account, data):
    harness.wait_for("no spool", lambda: not spooled(server))
    with Blobs(server, account) as c:
        assert c.download(blob.blob_id(data)).status == 404
    assert kept(server, account) == []
    assert rows(server, account) == 0


def test_an_upload_whose_store_dies_leaves_nothing(server):
    account = server.add_account()
    data = noise(SIZE)
    with begin(server, account, data, SIZE // 2) as c:
        kill(server, "store")
        c.send_may_fail(data[SIZE // 2:])
        assert c.response().status == 503
    assert_nothing(server, account, data)
    with Blobs(server, account) as c:
        assert c.download(c.upload(data)).body == data


def test_an_upload_whose_worker_dies_leaves_nothing(server):
    account = server.add_account()
    data = noise(SIZE)
    with begin(server, account, data, SIZE // 2) as c:
        for i in range(len(server.pids("worker"))):
            kill(server, "worker", i)
        c.assert_closed()
    assert_nothing(server, account, data)


class Uploader(threading.Thread):
    """Uploads new bytes until told to stop; those with a 201 are acknowledged."""

    def __init__(self, server, account, size):
        super().__init__(daemon=True)
        self.server = server
        self.account = account
        self.size = size
        self.acknowledged = []
        self.failed = 0
        self.over = False
        self.error = None

    def run(self):
        try:
            while not self.over:
                self.once(noise(self.size))
        except Exception as e:  # pylint: disable=broad-except
            self.error = e

    def once(self, data):
        with Blobs(self.server, self.account) as c:
            r = c.post(data)
        if r.status == 201:
            self.acknowledged.append(data)
        else:
            assert r.status == 503, (r.status, r.body)
            self.failed += 1


def test_acknowledged_uploads_survive_kill_9_of_the_store(server):
    account = server.add_account()
    uploaders = [Uploader(server, account, n) for n in (1000, 70_000, 1_000_000)]
    for u in uploaders:
        u.start()
    for n in range(1, 6):
        harness.wait_for("uploads", lambda n=n: all(
            len(u.acknowledged) >= n or u.error for u in uploaders))
        kill(server, "store")
    for u in uploaders:
        u.over = True
    for u in uploaders:
        u.join()
        assert not u.error, u.error
    harness.wait_for("no spool", lambda: not spooled(server))
    # Those of an hour ago would be pushed out by the quota.
    with Blobs(server, account) as c:
        for u in uploaders:
            for data in u.acknowledged:
                assert c.download(blob.blob_id(data)).body == data


def test_a_download_whose_store_dies_breaks(server):
    account = server.add_account()
    data = noise(1_000_000) * 20
    with Blobs(server, account) as c:
        one = c.upload(data)
    with Blobs(server, account, rcvbuf=4096) as c:
        c.ask(one)
        head = c.response(head_only=True)
        assert head.get("content-length") == str(len(data))
        kill(server, "store")
        with pytest.raises(Closed):
            c.take(len(data))
    with Blobs(server, account) as c:
        assert c.download(one).body == data


def test_a_full_disk_is_507_and_leaves_nothing():
    if not can_mount():
        pytest.skip("mounting a tmpfs needs root and unshare(1)")
    with SmallDisk(log_level="info") as server:
        account = server.add_account()
        uploads = server.inside() + "/uploads"
        small, large = noise(1000), noise(SIZE)
        with Blobs(server, account) as c:
            c.upload(small)
        server.fill()
        for _ in range(3):
            with Blobs(server, account) as c:
                r = c.post(large)
                assert r.status == 507
                assert blob.problem(r)["title"] == "Insufficient Storage"
        harness.wait_for("no spool", lambda: not os.listdir(uploads))
        with Blobs(server, account) as c:
            assert c.download(blob.blob_id(large)).status == 404
            assert c.download(blob.blob_id(small)).body == small
        server.free()
        with Blobs(server, account) as c:
            assert c.download(c.upload(large)).body == large
