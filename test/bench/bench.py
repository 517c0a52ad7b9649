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
from rawws import TEXT, RawWs, frame  # noqa: E402

HISTORY = os.path.join(HERE, "history.tsv")
SIZES = (1000, 20000, 200000)
BUSY = (16, 4)  # connections, requests in flight on each
VIEWS = (("", {}), (", threads", {"collapseThreads": True}),
         (", total", {"calculateTotal": True}),
         (", threads and total", {"collapseThreads": True,
                                  "calculateTotal": True}))
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
        self.floors = {}  # us, by bytes there and back

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
        for count in SIZES:
            account = self.mailbox_of(count)
            for limit in (10, 50):
                for name, more in VIEWS:
                    self.list_view(account, count, limit, name, more)

    def mailbox_of(self, count):
        account = self.server.add_account()
        rate = self.fill(account, count, clients=32)
        self.report.line(f"filling a mailbox with {count}, 32 clients", rate,
                         "msgs/s")
        api = jmap.HttpApi(self.server, account)
        account.id, account.inbox = api.account_id, api.mailboxes()["inbox"]
        # The text index is whole: no figure pays for it.
        api.emails(filter={"text": "needle"})
        api.close()
        return account

    def list_view(self, account, count, limit, name, more):
        calls = view(account, limit, {"inMailbox": account.inbox}, LIST, more)
        got = self.priced(account, calls, 2000)
        # What it costs to carry as much through a worker and back.
        floor = self.carried(got["answer_bytes"])
        self.report.line(
            f"list of {limit} of {count}{name}, CPU", got["us"], "us", floor,
            floor / got["us"])
        if not more:
            # Four clients that wait for each answer: mostly waking up.
            got = self.priced(account, calls, 2000, (4, 1))
            self.report.line(f"list of {limit} of {count}, idle server, CPU",
                             got["us"], "us", floor, floor / got["us"])

    def priced(self, account, calls, count, load=BUSY):
        """CPU of worker and store, and bytes of the answer, of one request."""
        text = self.message(calls)
        with RawWs(self.server.http, "/jmap/ws", account=account) as ws:
            ws.send(text_frame(text))
            answer = ws.json()
            assert answer["@type"] == "Response", answer
            assert all(r[0] != "error" for r in answer["methodResponses"]), \
                answer
        # The best of three: what disturbs only adds.
        got = [self.rpc("/jmap/ws", self.auth(account), text, *load, count)
               for _ in range(3)]
        return {"us": min(g["cpu0_us"] + g["cpu1_us"] for g in got),
                "answer_bytes": len(json.dumps(answer))}

    def carried(self, size):
        size -= size % 256
        if size not in self.floors:
            self.floors[size] = self.rpc("/jmap/ws-echo", "", "x" * size,
                                         *BUSY, 2000)["cpu0_us"]
        return self.floors[size]

    def open(self):
        """One message whole: header, bodies, parts."""
        account = self.server.add_account()
        self.fill(account, 100, size=8192, clients=4)
        api = jmap.HttpApi(self.server, account)
        (email, *_) = api.emails()
        api.close()
        calls = [["Email/get", {
            "accountId": api.account_id, "ids": [email],
            "properties": LIST + ["to", "cc", "replyTo", "sentAt", "messageId",
                                  "textBody", "htmlBody", "attachments",
                                  "bodyValues", "header:List-Id:asText"],
            "fetchHTMLBodyValues": True, "fetchTextBodyValues": True}, "0"]]
        got = self.priced(account, calls, 2000)
        floor = self.carried(got["answer_bytes"])
        self.report.line("opening a message of 8 KB, CPU", got["us"], "us",
                         floor, floor / got["us"])

    def search(self):
        for count in SIZES[1:]:
            account = self.mailbox_of(count)
            for word in ("needle", "harbour", "harbour winter", "letter"):
                calls = view(account, 10, {"inMailbox": account.inbox,
                                           "text": word}, LIST, {})
                got = self.priced(account, calls, 50)
                floor = matched(self.server, account, word)
                self.report.line(
                    f'search of {count} for "{word}", CPU (floor: MATCH)',
                    got["us"], "us", floor, floor / got["us"])

    def flag(self):
        """100 messages flagged and unflagged, on disk each time."""
        account = self.mailbox_of(1000)
        with RawWs(self.server.http, "/jmap/ws", account=account) as ws:
            ids = [e for e in self.ids_of(ws, account)]
            began, rounds = cpu_us(self.store), 50
            wall = time.monotonic()
            for i in range(rounds):
                ws.send(text_frame(self.message([["Email/set", {
                    "accountId": account.id, "update": {
                        e: {"keywords/$flagged": None if i % 2 else True}
                        for e in ids}}, "0"]])))
                answer = ws.json()
                assert len(answer["methodResponses"][0][1]["updated"]) == 100
            wall = (time.monotonic() - wall) / rounds * 1000
            cpu = (cpu_us(self.store) - began) / rounds
        floor = 1000 / commits(self.server.dir, 1, 1, 200)
        self.report.line("flag 100 messages, CPU of the store", cpu, "us")
        self.report.line("flag 100 messages, until it is on disk", wall, "ms",
                         floor, floor / wall)

    def ids_of(self, ws, account):
        ws.send(text_frame(self.message([["Email/query", {
            "accountId": account.id, "limit": 100}, "0"]])))
        return ws.json()["methodResponses"][0][1]["ids"]

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
        for clients, to, count in ((1, 1, 300), (32, 1, 2000), (32, 16, 2000)):
            # Disks change speed under load: a floor before and behind.
            floor = commits(self.server.dir, clients, to, count // 2)
            figure = tool("lmtpload", self.server.lmtp, clients, count, 8192,
                          *names[:to])["per_s"]
            floor += commits(self.server.dir, clients, to, count // 2)
            floor /= 2
            self.report.line(
                f"LMTP, 8 KB, {clients} clients to {to} accounts", figure,
                "msgs/s", floor, figure / floor)

    PARTS = ("push", "quiet", "echo", "list", "open", "search", "flag",
             "memory", "memory_tls", "lmtp")
    IN_MEMORY = ("push", "quiet")


def view(account, limit, condition, properties, more):
    """What a client asks to show a list."""
    return [["Email/query", {
        "accountId": account.id, "filter": condition,
        "sort": [{"property": "receivedAt", "isAscending": False}],
        "limit": limit, **more}, "0"],
        ["Email/get", {
            "accountId": account.id, "properties": properties,
            "#ids": {"resultOf": "0", "name": "Email/query",
                     "path": "/ids"}}, "1"]]


def text_frame(text):
    return frame(TEXT, text.encode())


def cpu_us(pid):
    """All its threads."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1000


def matched(server, account, words):
    """CPU of SQLite's own answer to that search, in us."""
    path = os.path.join(server.options["data-dir"], "accounts",
                        number_of(account.id), "mail.db")
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    began, times = time.process_time(), 20
    for _ in range(times):
        db.execute("SELECT sum(rowid) FROM words WHERE words MATCH ?",
                   (words,)).fetchall()
    took = time.process_time() - began
    db.close()
    return took / times * 1e6


def number_of(account_id):
    """The directory's name of an account (core/base/ids.h)."""
    return str(int(account_id[1:], 32))


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
