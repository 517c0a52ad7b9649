"""Each single operation on the disk fails once, one after the other, until what was
asked for gets through untouched: it is done, or it is not, never by half; and then
it can be done again."""

import contextlib
import itertools
import os
import signal

import pytest

import disk
import fault
import mail
import mailfiles
from blob import Blobs, blob_id, noise
from jmap import HttpApi
from raw import Raw

LARGE = ("x" * 70 + "\r\n") * 1000


@pytest.fixture(scope="module")
def server():
    with disk.Disk(log_level="info") as s:
        yield s


def each_fails(server, at_least, step=1):
    """Numbers; in the loop's body the operation of that number fails. at_least: so
    many rounds it takes, or the disk was not asked."""
    for n in itertools.count():
        server.fail(disk.EVERY, skip=n * step, times=1)
        yield n
        if not server.heal():
            assert n >= at_least, n
            return


@contextlib.contextmanager
def no_fault(server):
    on, server.control.on = server.control.on, 0
    yield
    server.control.on = on


def test_a_delivery(server):
    account = server.add_account()
    sender, sent = fault.Lmtp(server), []
    for n in each_fails(server, 20):
        data = fault.numbered("each", n, LARGE)
        code = sender.attempt(account.name, data)
        assert code in (250, 451), code
        if code == 451:
            server.control.on = 0
            assert sender.attempt(account.name, data) == 250
        sent.append(f"mark-each-{n}")
    api = HttpApi(server, account)
    assert sorted(fault.subjects(api)) == sorted(sent)
    sender.close()
    api.close()


def test_an_upload(server):
    account = server.add_account()
    c = Blobs(server, account)
    for _ in each_fails(server, 10):
        data = noise(100_000)
        status = c.post(data).status
        server.control.on = 0
        assert status in (201, 503), status
        if status != 201:
            c.close()
            Raw.__init__(c, server.http)
            assert c.upload(data)
        assert c.download(blob_id(data)).body == data
    c.close()


def method(server, api, name, args, done):
    """It fails, then it is done; its answer."""
    for _ in range(2):
        answer = api.request([[name, {"accountId": api.account_id, **args},
                               "c"]])
        if "methodResponses" in answer:
            (_, got, _), = answer["methodResponses"]
            if got.get(done):
                return got
            assert "malformed" not in got["description"], got
        else:
            assert answer["status"] == 503, answer
        assert server.control.on
        server.control.on = 0
    raise AssertionError(answer)


def test_an_upload_becomes_a_message_and_goes(server):
    account = server.add_account()
    api, c = HttpApi(server, account), Blobs(server, account)
    inbox = api.mailboxes()["inbox"]
    for n in each_fails(server, 20):
        data = fault.numbered("blob", n, LARGE)
        with no_fault(server):
            bring = {"blobId": c.upload(data), "mailboxIds": {inbox: True}}
        got = method(server, api, "Email/import", {"emails": {"e": bring}},
                     "created")
        with no_fault(server):
            assert c.download(bring["blobId"]).body == data
            assert len(api.emails()) == 1
        method(server, api, "Email/set", {
            "destroy": [got["created"]["e"]["id"]]}, "destroyed")
        with no_fault(server):
            assert api.emails() == []
    c.close()
    api.close()


def test_an_account_is_added(server):
    added = []
    for n in each_fails(server, 10, step=5):
        name = f"each{n}@example.org"
        p = server.ctl("account", "add", name, "--no-password")
        server.control.on = 0
        added.append(name)
        if p.returncode:
            assert p.stderr and name not in server.ctl_ok("account", "list")
            server.ctl_ok("account", "add", name, "--no-password")
        mail.deliver(server, name)
    assert set(added) <= set(server.ctl_ok("account", "list").split())


def test_an_import(server, tmp_path):
    account = server.add_account()
    api, total = HttpApi(server, account), 0
    for n in each_fails(server, 10, step=3):
        path = mailfiles.write(tmp_path / "m", mailfiles.mbox_of(
            [mailfiles.numbered(3 * n + i, body=LARGE if i == 1 else "x\r\n")
             for i in range(3)]))
        p = server.ctl("import", account.name, path)
        if p.returncode:
            server.control.on = 0
            assert p.stderr.startswith("jmapctl: "), p
            server.ctl_ok("import", account.name, path)
        total += 3
    assert len(mailfiles.emails(api)) == total
    api.close()


def test_a_backup_and_a_restore(server, tmp_path):
    account = server.add_account()
    for i in range(3):
        mail.deliver(server, account.name, mailfiles.numbered(
            i, body=LARGE if i == 1 else "x\r\n"))
    path = str(tmp_path / "b.tar")
    for _ in each_fails(server, 4, step=5):
        p = server.ctl("account", "backup", account.name, path)
        assert p.returncode == (0 if os.path.exists(path) else 1), p
        if p.returncode:
            assert p.stderr.startswith("jmapctl: ")
            server.control.on = 0
            server.ctl_ok("account", "backup", account.name, path)
        os.unlink(path)
    server.ctl_ok("account", "backup", account.name, path)
    old = mailfiles.content(server, account)
    for _ in each_fails(server, 8, step=7):
        with no_fault(server):
            mail.deliver(server, account.name)
            new = mailfiles.content(server, account)
        p = server.ctl("account", "restore", account.name, path, "--force")
        server.control.on = 0
        got = mailfiles.content(server, account)
        assert got == old or (p.returncode and got == new)
        server.ctl_ok("account", "restore", account.name, path, "--force")
        assert mailfiles.content(server, account) == old


def test_a_restore_that_cannot_move_back_is_seen_to_at_the_next_start(tmp_path):
    with disk.Disk(allow_deaths=True, log_level="info") as server:
        account = server.add_account()
        mail.deliver(server, account.name)
        path = str(tmp_path / "b.tar")
        server.ctl_ok("account", "backup", account.name, path)
        old = mailfiles.content(server, account)
        # To its new name, the old one away, in its place, and back.
        server.fail([disk.RENAME], "accounts/*", skip=2, times=2)
        p = server.ctl("account", "restore", account.name, path, "--force")
        assert p.returncode == 1 and server.heal() == 2
        sender = fault.Lmtp(server)  # it is put off, not sent back
        assert sender.attempt(account.name, fault.numbered("late", 1)) == 451
        pid, = server.pids("store")
        os.kill(pid, signal.SIGKILL)
        fault.up_again(server, "store", 0, pid)
        assert mailfiles.content(server, account) == old
        assert sender.attempt(account.name, fault.numbered("late", 1)) == 250
        sender.close()
