"""The disk fails now and then while clients are at work: what was acknowledged stays,
what was refused did not happen, nothing is half there, and all is well, without a
restart, once the disk is. Then the power is cut, and what a sync that failed was
about is not on disk."""

import os
import random
import signal
from errno import ENOSPC

import pytest

import blob
import disk
import fault
import mail
from blob import Blobs
from disk import (CREATE, EVERY, FOLDER_SYNC, OPEN, READ, RENAME, SYNC, TRUNCATE,
                  UNLINK, WRITE)
from harness import wait_for
from jmap import HttpApi, WsApi
from world import (END, WORD, Said, World, check_all, check_image,
                   send_one)

STORMS = {  # operations, below data-dir, of a thousand
    "log-sync": ([SYNC], "accounts/*/mail.db-wal", 100),
    "file-sync": ([SYNC], "accounts/*/mail.db", 500),
    "blobs": ([SYNC, RENAME, UNLINK, FOLDER_SYNC], "*/blobs*", 150),
    "writes": ([WRITE, TRUNCATE], "*", 20),
    "all": (EVERY, "*", 10),
}


@pytest.fixture(scope="module")
def shared():
    with disk.Disk(sync_us=200, log_level="info") as server:
        yield World(server)


def check_now_and_after_a_cut(world, kind=False, lost=0):
    """kind, lost: what of the unsynced, and of the lost, is on disk."""
    server = world.server
    check_all(world, server, END)
    for cut, write in disk.images(server.journal, [server.now()], lost):
        check_image(world, cut, write, kind, random.Random(1))


@pytest.mark.parametrize("name", [*STORMS, "short-writes"])
def test_nothing_is_lost_or_half_done(shared, name):
    ops, pattern, permille = STORMS.get(name, STORMS["writes"])
    how = {"shorten": True, "error": ENOSPC} if name not in STORMS else {}
    shared.trouble = True
    shared.more(deliveries=50, changes=25, uploads=12, drafts=8, accounts=2)
    shared.load(lambda: shared.server.fail(ops, pattern, permille=permille,
                                           **how))
    assert shared.server.heal() > 0
    shared.trouble = False
    shared.more(deliveries=10, changes=10, uploads=3, drafts=2, accounts=1)
    shared.load()
    check_now_and_after_a_cut(shared, 0.5, lost=1)


def kill_store(server):
    pid, = server.pids("store")
    os.kill(pid, signal.SIGKILL)
    return pid


# ---- syncs, one by one -----------------------------------------------------------


@pytest.fixture
def server():
    with disk.Disk(allow_deaths=True, log_level="info") as s:
        yield s


def count(server, op, path, since):
    """Such operations that went well."""
    inodes, n = set(), 0
    for at, (what, inode, *_), name, _, _ in disk.records(server.journal):
        if what == CREATE:
            inodes.discard(inode)
            if name.endswith(path):
                inodes.add(inode)
        n += at >= since and what == op and inode in inodes
    return n


def fill_log(world, until):
    """Deliveries, until that is so."""
    def once():
        world.more(deliveries=60)
        world.load()
        return until()
    wait_for("a checkpoint", once)


def test_pages_that_were_copied_and_not_synced_are_copied_again(server):
    """A reader keeps a checkpoint from copying all, so that it syncs nothing; then
    the sync of the next one fails, and with it go the pages of the first."""
    world = World(server, deliveries=30)
    world.load()
    with fault.database(server, world.account.name) as db:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM email").fetchone()
        began = server.now()
        fill_log(world, lambda: count(server, WRITE, "/mail.db", began))
        assert not count(server, SYNC, "/mail.db", began)
    server.fail([SYNC], "accounts/*/mail.db", times=1)
    fill_log(world, lambda: server.control.failed)
    server.heal()
    began = server.now()
    fill_log(world, lambda: count(server, SYNC, "/mail.db", began))
    check_now_and_after_a_cut(world)


def test_what_a_dead_store_could_not_sync_is_synced_by_the_next(server):
    """After the failure the kernel has it in memory only, and will not say so."""
    world = World(server, deliveries=3)
    world.load()
    server.fail([SYNC], "accounts/*/mail.db-wal")
    sender = fault.Lmtp(server)
    n = next(world.numbers)
    said = world.messages[f"mark-cut-{n}"] = Said(fault.numbered(
        "cut", n, f"word{n} {WORD}\r\n"))
    assert sender.attempt(world.account.name, said.what) == 451
    old = kill_store(server)
    server.heal()
    fault.up_again(server, "store", 0, old)
    world.more(deliveries=5)
    world.load()
    send_one(world, sender, said)
    sender.close()
    check_now_and_after_a_cut(world)


def test_a_change_whose_end_is_unknown_is_503(server):
    world = World(server, deliveries=1)
    world.load()
    api = HttpApi(server, world.account)
    one, = api.emails()
    change = [["Email/set", {"accountId": api.account_id, "update": {
        one: {"keywords/a": True}}}, "c"]]
    server.fail([SYNC], "accounts/*/mail.db-wal")
    assert api.request(change)["status"] == 503
    server.heal()
    got = api.call("Email/get", {"ids": [one], "properties": ["keywords"]})
    assert got["list"][0]["keywords"] == {}
    assert "methodResponses" in api.request(change)
    api.close()


def test_the_name_of_a_new_log_is_on_disk_before_a_commit(server):
    """SQLite syncs it, and does not look whether it could."""
    world = World(server)
    server.fail([FOLDER_SYNC], "accounts/1")
    sender = fault.Lmtp(server)
    assert sender.attempt(world.account.name,
                          fault.numbered("x", 1)) == 451
    server.heal()
    sender.close()
    world.more(deliveries=2)
    world.load()
    check_now_and_after_a_cut(world)


# ---- files -----------------------------------------------------------------------


def test_a_file_that_could_not_be_moved_is_not_cut_by_the_next_one(server):
    """An upload's bytes become a message's: they have one file."""
    world = World(server)
    api = HttpApi(server, world.account)
    data = fault.numbered("cut", 1, "large enough\r\n" * 10_000)
    bring = {"emails": {"e": {"blobId": blob.blob_id(data), "mailboxIds": {
        api.mailboxes()["inbox"]: True}}}}
    with Blobs(server, world.account) as c:
        server.fail([RENAME], "*/blobs/new/*")
        one = c.upload(data)
        assert server.heal() == 1
        server.fail([RENAME, WRITE], "*/blobs/*")
        assert api.error("Email/import", bring)["type"] == "serverFail"
        assert server.heal() > 0
        assert c.download(one).body == data
        assert api.call("Email/import", bring)["created"]
        assert c.download(one).body == data
    assert fault.subjects(api) == ["mark-cut-1"]
    api.close()


def test_the_text_index_is_made_when_the_disk_is_well(server):
    world = World(server)
    api = HttpApi(server, world.account)
    mail.deliver(server, world.account.name, body="zebra\r\n")
    server.fail([WRITE], "accounts/*/mail.db-wal")
    assert api.error("Email/query", {"filter": {"text": "zebra"}})["type"] == (
        "serverFail")
    server.heal()
    assert len(api.emails(filter={"text": "zebra"})) == 1
    api.close()


def test_a_store_that_cannot_open_is_started_until_it_can(server):
    world = World(server, deliveries=2)
    world.load()
    server.fail([OPEN], "directory.db")
    kill_store(server)
    wait_for("a store that failed", lambda: server.control.failed)
    server.heal()
    wait_for("a store", lambda: fault.role(server, "store")["state"] == "up")
    check_all(world, server, END)


@pytest.mark.parametrize("op, path, skip", [
    (OPEN, "accounts/*", 0), (READ, "accounts/*", 0), (READ, "accounts/*", 4)])
def test_who_subscribes_while_the_disk_fails_hears_all(server, op, path, skip):
    """Workers subscribe again when there is a new store."""
    account = server.add_account()
    ws = WsApi(server, account)
    ws.enable()
    server.fail([op], path, skip=skip, times=4)
    old = kill_store(server)
    fault.up_again(server, "store", 0, old)
    server.heal()
    mail.deliver(server, account.name)
    api = HttpApi(server, account)
    newest = api.state()
    while ws.change()[0].get("Email") != newest:
        pass
    api.close()
    ws.close()
