"""The figures of scripts/bench: starts a jmapd, lets the load generators beside
this file at it, and prints a line for each: what, figure, floor, ratio. The ratio
is told so that more is better: 1.0 is the floor itself."""

import argparse
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))

import harness  # noqa: E402
import jmap  # noqa: E402
from raw import basic  # noqa: E402
from rawws import RawWs  # noqa: E402

HISTORY = os.path.join(HERE, "history.tsv")
LIST = ["id", "threadId", "mailboxIds", "keywords", "from", "subject",
        "receivedAt", "size", "preview", "hasAttachment"]


def tool(name, *args):
    """What a load generator says, as numbers by name."""
    p = subprocess.run(
        [os.path.join(harness.BUILD, "bench", name), *map(str, args)],
        capture_output=True, text=True, timeout=300, check=False)
    if p.returncode:
        raise SystemExit(f"bench: {name}: {p.returncode} {p.stderr}")
    return {k: float(v) for k, v in
            (line.split() for line in p.stdout.splitlines())}


class Report:
    def __init__(self):
        self.rows = []

    def line(self, what, figure, unit, floor=None, ratio=None):
        self.rows.append((what, figure, unit, floor, ratio))
        print(f"{what:<52} {number(figure):>9} {unit:<9}"
              f" {number(floor):>9} {number(ratio):>6}", flush=True)


def number(v):
    if v is None:
        return "-"
    return f"{v:.0f}" if v >= 1000 else f"{v:.3g}"


class Bench:
    def __init__(self, args):
        self.n = args.connections
        self.report = Report()

    def run(self, part):
        """On a server of its own: none pays for what another left behind."""
        with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
            os.chmod(memory, 0o755)
            more = {"data_dir": os.path.join(memory, "data")} \
                if part in self.IN_MEMORY else {}
            with harness.Server(
                    worker_pool_size=1, log_level="info", ws_echo=True,
                    ws_throttle=0, ws_heartbeat_interval=3600,
                    ws_client_timeout=86400, max_concurrent_requests=64,
                    **more) as self.server:
                self.know()
                getattr(self, part)()

    def know(self):
        self.account = self.server.add_account()
        (self.worker,) = self.server.pids("worker")
        (self.store,) = self.server.pids("store")

    def auth(self, account=None):
        account = account or self.account
        return basic(account.name, account.token)

    def message(self, calls):
        return json.dumps({"@type": "Request", "id": "b", "using": jmap.USING,
                           "methodCalls": calls})

    def rpc(self, path, auth, message, connections, in_flight, count):
        return tool("wsload", "rpc", self.server.http, path, auth, message,
                    connections, in_flight, count, self.worker, self.store)

    def fill(self, account, count, size=600, clients=16):
        return tool("lmtpload", self.server.lmtp, clients, count, size,
                    account.name)["per_s"]

    def flag_changes(self):
        """An account with an Email, and the requests that flag it and back."""
        account = self.server.add_account()
        self.fill(account, 1, clients=1)
        api = jmap.HttpApi(self.server, account)
        (email,) = api.emails()
        api.close()
        texts = [self.message([["Email/set", {
            "accountId": api.account_id,
            "update": {email: {"keywords/$flagged": v}}}, "0"]])
            for v in (True, None)]
        return account, texts

    def pushed(self, connections, rounds, quiet_us):
        account, texts = self.flag_changes()
        hello = json.dumps({"@type": "WebSocketPushEnable",
                            "dataTypes": ["Email"]})
        return tool("wsload", "push", self.server.http, "/jmap/ws",
                    self.auth(account), hello, connections, *texts, rounds,
                    quiet_us, self.worker, self.store)

    # ---- the parts ----

    def push(self):
        rounds = max(20, 100000 // self.n)
        got = self.pushed(self.n, rounds, 0)
        floor = tool("floor", "fanout", self.n, int(got["frame_bytes"]),
                     rounds)["frames_per_cpu_s"]
        figure = 1e6 / got["cpu0_us"]
        self.report.line(f"push to {self.n} watchers, by the worker", figure,
                         "frames/s", floor, figure / floor)

    def quiet(self):
        got = self.pushed(1, 300, 3000)
        floor = tool("floor", "hops", 1000)
        for p in ("p50", "p99"):
            figure, hops = got[f"sent_to_push_{p}_us"], floor[f"two_hops_{p}_us"]
            self.report.line(
                f"quiet, flag change sent to push, no disk, {p}", figure,
                "us", hops, hops / figure)

    def echo(self):
        message = self.message([["Core/echo", {"hello": True}, "0"]])
        jmap_args = ("/jmap/ws", self.auth(), message)
        bare_args = ("/jmap/ws-echo", "", message)
        got = self.rpc(*jmap_args, 64, 16, 100000)
        bare = self.rpc(*bare_args, 64, 16, 200000)
        figure = got["cpu0_us"] + got["cpu1_us"]
        floor = bare["cpu0_us"]
        self.report.line("Core/echo, 64 x 16 in flight, CPU", figure,
                         "us", floor, floor / figure)
        got = self.rpc(*jmap_args, 1, 1, 5000)
        bare = self.rpc(*bare_args, 1, 1, 5000)
        for p in ("p50", "p99"):
            figure, floor = got[f"latency_{p}_us"], bare[f"latency_{p}_us"]
            self.report.line(f"Core/echo, one in flight, {p}", figure, "us",
                             floor, floor / figure)

    def list(self):
        base = None
        for count in (1000, 20000):
            account = self.server.add_account()
            rate = self.fill(account, count, clients=32)
            self.report.line(f"filling a mailbox with {count}, 32 clients",
                             rate, "msgs/s")
            api = jmap.HttpApi(self.server, account)
            inbox = api.mailboxes()["inbox"]
            api.close()
            calls = [["Email/query", {
                "accountId": api.account_id, "filter": {"inMailbox": inbox},
                "sort": [{"property": "receivedAt", "isAscending": False}],
                "limit": 10}, "0"],
                ["Email/get", {
                    "accountId": api.account_id, "properties": LIST,
                    "#ids": {"resultOf": "0", "name": "Email/query",
                             "path": "/ids"}}, "1"]]
            got = self.rpc("/jmap/ws", self.auth(account), self.message(calls),
                           4, 1, 3000)
            figure = got["cpu0_us"] + got["cpu1_us"]
            base = base or figure
            self.report.line(f"list view of {count}, CPU (floor: of 1000)",
                             figure, "us", base, base / figure)

    def memory(self):
        self.idle_connections(False, self.n)

    def memory_tls(self):
        # 13.9 KB: OpenSSL itself, with released buffers.
        self.idle_connections(True, min(self.n, 300), 13.9 * 1024)

    def idle_connections(self, tls, n, floor=None):
        # The first ones pay for what is there once.
        kept = [self.idle(tls) for _ in range(20)]
        before = resident(self.worker)
        kept += [self.idle(tls) for _ in range(n)]
        figure = (resident(self.worker) - before) / n
        self.report.line(
            f"idle WebSocket, {'TLS' if tls else 'plain'}, {n} of them",
            figure, "bytes", floor,
            floor / figure if floor and figure else None)
        for c in kept:
            c.close()

    def idle(self, tls):
        port = self.server.https if tls else self.server.http
        return RawWs(port, "/jmap/ws", tls, self.account)

    def lmtp(self):
        accounts = [self.server.add_account() for _ in range(16)]
        names = [a.name for a in accounts]
        for clients, to, count in ((1, 1, 300), (16, 1, 1500), (16, 16, 1500)):
            # Disks change speed under load: a floor before and behind.
            floor = commits(self.server.dir, clients, to, count // 2)
            figure = tool("lmtpload", self.server.lmtp, clients, count, 8192,
                          *names[:to])["per_s"]
            floor += commits(self.server.dir, clients, to, count // 2)
            floor /= 2
            self.report.line(
                f"LMTP, 8 KB, {clients} clients to {to} accounts", figure,
                "msgs/s", floor, figure / floor)

    PARTS = ("push", "quiet", "echo", "list", "memory", "memory_tls", "lmtp")
    IN_MEMORY = ("push", "quiet")


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")


def commits(directory, threads, files, count):
    """Rows of 8 KB a second, each on disk before the next of its thread. Threads
    that share a file take turns, which is the best that SQLite can do."""
    row = os.urandom(4096) * 2
    with tempfile.TemporaryDirectory(dir=directory) as tmp:
        dbs = [database(os.path.join(tmp, str(i))) for i in range(files)]
        locks = [threading.Lock() for _ in dbs]

        def work(i):
            for _ in range(count // threads):
                with locks[i % files]:
                    dbs[i % files].execute("INSERT INTO t(b) VALUES(?)",
                                           (row,))

        began = time.monotonic()
        all_threads = [threading.Thread(target=work, args=(i,))
                       for i in range(threads)]
        for t in all_threads:
            t.start()
        for t in all_threads:
            t.join()
        took = time.monotonic() - began
        for db in dbs:
            db.close()
    return count // threads * threads / took


def database(path):
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA wal_autocheckpoint=4000")
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)")
    return db


def machine():
    return f"{os.cpu_count()} CPUs, Linux {platform.release()}, " \
           f"{platform.machine()}"


def record(rows):
    """One line for each figure, behind those of earlier runs."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"],
                            cwd=harness.ROOT, capture_output=True, text=True,
                            check=False).stdout.strip() or "-"
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    new = not os.path.exists(HISTORY)
    with open(HISTORY, "a", encoding="utf-8") as f:
        if new:
            f.write("when\tcommit\tmachine\twhat\tfigure\tunit\tfloor\tratio\n")
        for row in rows:
            f.write("\t".join([when, commit, machine()] + [
                v if isinstance(v, str) else number(v) for v in row]) + "\n")


def main():
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("parts", nargs="*", metavar="PART",
                        help=" ".join(Bench.PARTS))
    args = parser.parse_args()
    if args.connections < 1 or not set(args.parts) <= set(Bench.PARTS):
        parser.error("parts are " + " ".join(Bench.PARTS))
    print(machine())
    print(f"{'what':<52} {'figure':>9} {'':<9} {'floor':>9} {'ratio':>6}")
    bench = Bench(args)
    for part in args.parts or Bench.PARTS:
        bench.run(part)
    if args.record:
        record(bench.report.rows)


if __name__ == "__main__":
    main()
