"""A server whose store lives on a disk that fails and forgets (disk.c), and what a
power cut at any moment would have left of it.

The journal is what the store did to its files, in order. Disk.images() carries it
out again up to given places: of a file the disk holds what was written before its
last sync that succeeded, of a folder the names of its last sync; of what came later
an image holds nothing, all, or what a coin says, in pieces of a sector. What a sync
that failed was about is lost, unless a coin saves it: writing it is over, the
kernel says so once and has forgotten."""

import ctypes
import errno
import mmap
import os
import pwd
import random
import shutil
import struct
import tempfile

import harness
from preload import library, need_preload

(CREATE, WRITE, TRUNCATE, SYNC, SYNC_FAILED, FOLDER_SYNC, ALL_SYNC, MKDIR, RMDIR,
 UNLINK, RENAME, LINK, OPEN, READ) = range(1, 15)
LIES = -1  # for Disk.fail(error=): a sync is not done, and says nothing
EVERY = list(range(CREATE, READ + 1))
EVERY.remove(SYNC_FAILED)
RECORD = struct.Struct("<IIIIQQQ")
SECTOR = 4096


class Control(ctypes.Structure):
    _fields_ = [("on", ctypes.c_uint32), ("ops", ctypes.c_uint32),
                ("error", ctypes.c_int32), ("shorten", ctypes.c_uint32),
                ("permille", ctypes.c_uint32), ("skip", ctypes.c_int64),
                ("left", ctypes.c_int64), ("failed", ctypes.c_uint64),
                ("sync_us", ctypes.c_uint32), ("seed", ctypes.c_uint32),
                ("pattern", ctypes.c_char * 256)]


class Disk(harness.Server):
    """Its data-dir is empty when the journal begins."""

    def __init__(self, sync_us=0, start=True, **options):
        need_preload()
        self.own = tempfile.mkdtemp(prefix="jmapd-disk-")
        os.chmod(self.own, 0o755)
        self.journal = os.path.join(self.own, "journal")
        with open(self.journal, "wb"):
            pass
        with open(os.path.join(self.own, "control"), "w+b") as f:
            f.truncate(ctypes.sizeof(Control))
            self.control = Control.from_buffer(
                mmap.mmap(f.fileno(), ctypes.sizeof(Control)))
        self.control.sync_us = sync_us
        super().__init__(start=start, **options)

    def environment(self):
        return {"LD_PRELOAD": library("disk"), "TEST_DISK": self.own,
                "TEST_DISK_DATA": self.options["data-dir"]}

    def remove(self):
        super().remove()
        shutil.rmtree(self.own, True)

    def now(self):
        """How far the journal is: what is on disk now is before that."""
        return os.stat(self.journal).st_size

    def fail(self, ops, pattern="*", error=errno.EIO, skip=0, times=1 << 60,
             permille=1000, shorten=False, seed=1):
        """From now on these operations on those paths below data-dir fail."""
        c = self.control
        self.heal()
        c.ops = sum(1 << op for op in ops)
        c.pattern = pattern.encode()
        c.error, c.skip, c.left = error, skip, times
        c.permille, c.shorten, c.seed = permille, shorten, seed
        c.failed = 0
        c.on = 1

    def heal(self):
        """Returns how many operations have failed."""
        self.control.on = 0
        return self.control.failed


# ---- what was written ------------------------------------------------------------


class File:
    def __init__(self):
        self.disk = bytearray()
        self.waiting = []  # (place in the journal, offset, bytes or None: cut)

    def sync(self, upto):
        for at, offset, data in self.waiting:
            if at < upto:
                put(self.disk, offset, data)
        self.waiting = [w for w in self.waiting if w[0] >= upto]

    def lose(self, upto, coin):
        for at, offset, data in self.waiting:
            if at < upto:
                put_some(self.disk, offset, data, coin)
        self.waiting = [w for w in self.waiting if w[0] >= upto]

    def image(self, coin):
        data = bytearray(self.disk)
        for _, offset, more in self.waiting:
            put_some(data, offset, more, coin)
        return data


def put(data, offset, more):
    if more is None:  # cut or grown to that size
        if offset < len(data):
            del data[offset:]
        else:
            data.extend(bytes(offset - len(data)))
        return
    if offset > len(data):
        data.extend(bytes(offset - len(data)))
    data[offset:offset + len(more)] = more


def put_some(data, offset, more, coin):
    """In sectors, each of which is there or not."""
    if more is None:
        if coin():
            put(data, offset, None)
        return
    start = 0
    while start < len(more):
        end = min(len(more), (offset + start) // SECTOR * SECTOR + SECTOR
                  - offset)
        if coin():
            put(data, offset + start, more[start:end])
        start = end


class Folder:
    def __init__(self):
        self.names = {}  # now
        self.disk = {}   # as of its last sync

    def image(self, coin):
        """Each name as it is now or as it was."""
        got = {}
        for name in {**self.names, **self.disk}:
            now, was = self.names.get(name), self.disk.get(name)
            node = now if coin() else was
            if node is not None:
                got[name] = node
        return got


class Replay:
    def __init__(self, seed=0):
        self.root = Folder()
        self.inodes = {}
        self.renames = []  # (folder, name, folder, name, node) of no sync yet
        self.seed = seed
        self.lost = random.Random(seed)

    def folder(self, path):
        at = self.root
        for name in path.split("/"):
            at = at.names[name]
        return at

    def place(self, path):
        head, _, name = path.rpartition("/")
        return (self.folder(head) if head else self.root), name

    def do(self, at, record, path, other, data):
        op, inode, offset, upto = record
        if op == CREATE:
            folder, name = self.place(path)
            self.inodes[inode] = folder.names[name] = File()
        elif op == WRITE:
            self.inodes[inode].waiting.append((at, offset, data))
        elif op == TRUNCATE:
            self.inodes[inode].waiting.append((at, offset, None))
        elif op == SYNC:
            self.inodes[inode].sync(upto)
        elif op == SYNC_FAILED:
            self.inodes[inode].lose(upto, self.may_survive)
        elif op == FOLDER_SYNC:
            self.sync_folder(self.folder(path) if path else self.root)
        elif op == ALL_SYNC:
            self.sync_all(self.root, upto)
        elif op == MKDIR:
            folder, name = self.place(path)
            folder.names[name] = Folder()
        elif op in (RMDIR, UNLINK):
            folder, name = self.place(path)
            del folder.names[name]
        elif op == RENAME:
            self.rename(self.place(path), self.place(other))
        elif op == LINK:
            (a, x), (b, y) = self.place(path), self.place(other)
            b.names[y] = a.names[x]
        else:
            raise AssertionError(op)

    def may_survive(self):
        return self.seed and self.lost.random() < 0.5

    def rename(self, source, target):
        (a, x), (b, y) = source, target
        node = b.names[y] = a.names.pop(x)
        self.renames.append((a, x, b, y, node))

    def sync_folder(self, folder):
        """A rename is in both folders, or in none."""
        rest = []
        for a, x, b, y, node in self.renames:
            if folder not in (a, b):
                rest.append((a, x, b, y, node))
                continue
            if a.disk.get(x) is node:
                del a.disk[x]
            b.disk[y] = node
        self.renames = rest
        folder.disk = dict(folder.names)

    def sync_all(self, folder, upto):
        self.sync_folder(folder)
        for node in folder.names.values():
            if isinstance(node, Folder):
                self.sync_all(node, upto)
            else:
                node.sync(upto)

    def write(self, path, coin, folder=None, names=None):
        """coin: False: what is on disk for sure; True: all; else a function."""
        folder = folder or self.root
        keep = coin if callable(coin) else lambda: coin
        if names is None:
            moving = {x for a, x, *_ in self.renames if a is folder}
            moving |= {y for _, _, b, y, _ in self.renames if b is folder}
            names = folder.image(keep)
            for name in moving:  # in both folders, or in none
                which = folder.names if coin is True else folder.disk
                names.pop(name, None)
                if name in which:
                    names[name] = which[name]
        os.makedirs(path, mode=0o700, exist_ok=True)
        for name, node in names.items():
            where = os.path.join(path, name)
            if isinstance(node, Folder):
                self.write(where, coin, node)
            else:
                with open(where, "wb") as f:
                    f.write(node.image(keep))
                os.chmod(where, 0o600)


def records(journal):
    """(place, what it says, path, other path, bytes), as long as they are whole."""
    with open(journal, "rb") as f:
        at = 0
        while len(head := f.read(RECORD.size)) == RECORD.size:
            op, path_n, other_n, data_n, inode, offset, upto = (
                RECORD.unpack(head))
            body = f.read(path_n + other_n + data_n)
            if len(body) < path_n + other_n + data_n:
                return
            yield (at, (op, inode, offset, upto), body[:path_n].decode(),
                   body[path_n:path_n + other_n].decode(),
                   body[path_n + other_n:])
            at += RECORD.size + len(body)


def images(journal, cuts, seed=0):
    """For each place of cuts, ascending: (place, write), where write(path, coin)
    makes the image of a cut there."""
    replay, cuts = Replay(seed), sorted(cuts)
    for at, *what in records(journal):
        while cuts and cuts[0] <= at:
            yield cuts.pop(0), replay.write
        replay.do(at, *what)
    for cut in cuts:
        yield cut, replay.write


def give_away(path):
    """To the user that the store becomes."""
    if os.geteuid() != 0:
        return
    nobody = pwd.getpwnam("nobody")
    for folder, _, files in os.walk(path):
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        for name in files:
            os.chown(os.path.join(folder, name), nobody.pw_uid, nobody.pw_gid)
