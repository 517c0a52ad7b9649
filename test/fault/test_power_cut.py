"""The power is cut while mail comes, flags change and uploads end: whatever the disk
had forgotten, a server started on what is left holds all that was acknowledged."""

import random

import pytest

import disk
from disk import FOLDER_SYNC, LIES, SYNC
from raw import Closed
from world import World, check_image

CUTS = 12
KINDS = [False, True, 0.5, 0.1]  # what is left of what was not synced


def places(world, coin):
    """Right behind an acknowledgement, amid a checkpoint, anywhere."""
    acks = [said.at for said in [*world.messages.values(), *world.uploads,
                                 *world.accounts[1:]] if said.at]
    first = world.accounts[0].at
    anywhere, pages, main = [], [], set()
    for at, (op, inode, *_), path, _, _ in disk.records(world.server.journal):
        if path.endswith("/mail.db"):
            main.add(inode)
        if at > first:
            anywhere.append(at)
            if inode in main and op in (disk.WRITE, disk.SYNC):
                pages.append(at)
    assert len(pages) > 100, "no checkpoint was made"
    return [coin.choice(kind) for _ in range(CUTS // 3)
            for kind in (acks, pages, anywhere)]


def test_a_power_cut_loses_nothing_that_was_acknowledged():
    coin = random.Random(5)
    with disk.Disk(sync_us=300, log_level="info") as server:
        world = World(server, deliveries=300, changes=80, uploads=30,
                      drafts=30, accounts=3)
        world.load()
        assert world.told
        images = disk.images(server.journal, places(world, coin))
        found = [check_image(world, cut, write, KINDS[i % len(KINDS)], coin)
                 for i, (cut, write) in enumerate(images)]
    assert len(found) == CUTS and found[-1] > found[0] > 0


@pytest.mark.parametrize("op, path", [
    (SYNC, "accounts/1/mail.db-wal"), (SYNC, "accounts/1/blobs/new/*"),
    (FOLDER_SYNC, "accounts/1/blobs/new"), (FOLDER_SYNC, "accounts")])
def test_each_sync_is_one_that_it_takes(op, path):
    """With a disk that forgets to do it: so the test above can fail, too."""
    with disk.Disk(log_level="info") as server:
        server.fail([op], path, error=LIES)
        world = World(server, deliveries=8, uploads=3)
        world.load()
        (cut, write), = disk.images(server.journal, [server.now()])
        with pytest.raises((AssertionError, Closed)):
            check_image(world, cut, write, False, random.Random(1))
        assert server.heal() > 0
