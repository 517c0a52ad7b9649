"""Mail comes in. Disks change speed under load, so each slice stands between two of
its floor, and what fdatasync(2) took then is told beside."""

import os
import sqlite3
import statistics
import struct
import tempfile
import threading
import time

import jmap
from measure import cpu_us, least, most, part, tool

BYTES = 8192
SLICES = 3
LOADS = ((1, 1), (32, 1), (32, 16), (32, 2000))  # clients, accounts
WAL_FRAME = 4096 + 24


@part("lmtp")
def lmtp(b):
    mime = tool("floor", "mime", BYTES)["cpu_us"]
    b.report.line("taking a message of 8 KB apart, CPU", mime, "us")
    made = [b.server.add_account() for _ in range(16)]
    names = [a.name for a in made]
    for clients, to in LOADS:
        # More than the handles that the store keeps open (LRU_ACCOUNTS).
        names += list(b.add_accounts(to - len(names))) if to > 16 else []
        load(b, clients, names[:to], mime)
    pages(b, made[0])


def load(b, clients, names, mime):
    to = len(names)
    count = deliver(b, clients, names, 50 * clients)["slice"]
    got = [slice_of(b, clients, names, count) for _ in range(SLICES)]
    ratios = sorted(g["per_s"] / g["floor"] for g in got)
    mid = statistics.median(g["per_s"] for g in got)
    what = f"LMTP, 8 KB, {clients} clients, {to} accounts"
    # The floor that goes with the middle ratio.
    b.report.line(what, mid, "msgs/s", mid / ratios[SLICES // 2], more=True,
                  aim=least(0.9) if clients > 1 and to <= 16 else None)
    for name in ("fdatasync", "cpu"):
        figure = statistics.median(g[name] for g in got)
        if name == "cpu":
            b.report.line(f"{what}, CPU without MIME", figure - mime, "us",
                          aim=most(250) if to <= 16 else None)
        else:
            b.report.line(f"{what}, fdatasync p50 beside", figure, "us")


def deliver(b, clients, names, count):
    cpu = cpu_us(b.worker, b.store)
    per_s = tool("lmtpload", b.server.lmtp, clients, count, BYTES,
                 *names)["per_s"]
    return {"per_s": per_s, "cpu": (cpu_us(b.worker, b.store) - cpu) / count,
            "slice": max(clients, int(per_s * 0.8))}  # of less than a second


def slice_of(b, clients, names, count):
    files = min(len(names), 16)
    floor = [commits(b.server.dir, clients, files, 0.7)]
    sync = [tool("floor", "sync", b.server.dir, 150)["fdatasync_p50_us"]]
    got = deliver(b, clients, names, count)
    sync.append(tool("floor", "sync", b.server.dir, 150)["fdatasync_p50_us"])
    floor.append(commits(b.server.dir, clients, files, 0.7))
    return {**got, "floor": sum(floor) / 2, "fdatasync": sum(sync) / 2}


# ---- what a delivery writes ----

def wal_frames(path):
    """mxFrame of the WAL index, and the salt that a restart changes."""
    with open(path + "-shm", "rb") as f:
        head = f.read(48)
    return struct.unpack_from("=I", head, 16)[0], head[32:40]


def pages(b, account):
    """One client, so that no delivery shares its commit with another."""
    api = jmap.HttpApi(b.server, account)
    path = os.path.join(b.server.options["data-dir"], "accounts",
                        number_of(api.account_id), "mail.db")
    api.close()
    # Few enough that a checkpoint seldom begins the WAL anew meanwhile.
    got, count = [], 50
    for _ in range(5 * SLICES):
        before, salt = wal_frames(path)
        deliver(b, 1, [account.name], count)
        after, now = wal_frames(path)
        if salt == now and after > before:
            got.append((after - before) / count)
    if not got:
        b.report.skip("pages of the WAL", "it began anew each time")
        return
    b.report.line("LMTP, 8 KB, one client, pages of the WAL",
                  statistics.median(got), "pages", aim=most(11))


def number_of(account_id):
    """The directory's name of an account (core/base/ids.h)."""
    return str(int(account_id[1:], 32))


# ---- the floor ----

def commits(directory, threads, files, seconds):
    """Rows of 8 KB a second, each on disk before the next of its thread. Threads
    that share a file take turns, which is the best that SQLite can do."""
    row = os.urandom(4096) * 2
    with tempfile.TemporaryDirectory(dir=directory) as tmp:
        dbs = [database(os.path.join(tmp, str(i))) for i in range(files)]
        locks = [threading.Lock() for _ in dbs]
        done = [0] * threads
        began = time.monotonic()

        def work(i):
            while time.monotonic() - began < seconds:
                with locks[i % files]:
                    dbs[i % files].execute("INSERT INTO t(b) VALUES(?)",
                                           (row,))
                done[i] += 1

        all_threads = [threading.Thread(target=work, args=(i,))
                       for i in range(threads)]
        for t in all_threads:
            t.start()
        for t in all_threads:
            t.join()
        took = time.monotonic() - began
        for db in dbs:
            db.close()
    return sum(done) / took


def database(path):
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA wal_autocheckpoint=4000")
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)")
    return db
