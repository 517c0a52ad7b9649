"""What the parts of scripts/bench are made of: a jmapd for each part, the load
generators beside this file, and a line for each figure: what, figure, floor, ratio,
the same over plain HTTP/1.1 where that says something, and the aim. A ratio is told
so that more is better: 1.0 is the floor itself. A figure that was told for several
slices of a run is their median; what disturbs a slice does not move it."""

import contextlib
import json
import os
import platform
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))

import harness  # noqa: E402
import jmap  # noqa: E402
import network  # noqa: E402
from control import Peer  # noqa: E402
from raw import basic  # noqa: E402

HISTORY = os.path.join(HERE, "history.tsv")
PARTS = {}


def part(name, memory=False, in_namespace=False, **options):
    """A function of a Bench. memory: its data is in /dev/shm, so that a commit
    costs no disk. in_namespace: in a network of its own. Further options of the
    server."""
    def keep(fn):
        PARTS[name] = (fn, memory, in_namespace, options)
        return fn
    return keep


def least(limit):
    """Aims: of the ratio, at least; of the figure, at most."""
    return ("ratio", ">=", limit)


def most(limit):
    return ("figure", "<=", limit)


def number(v):
    if v is None:
        return "-"
    return f"{v:.0f}" if v >= 1000 else f"{v:.3g}"


class Report:
    FIELDS = ("what", "figure", "unit", "floor", "ratio", "plain", "aim", "met")

    def __init__(self):
        self.rows = []
        self.show("what", "figure", "", "floor", "ratio", "plain", "aim", "")

    def show(self, what, figure, unit, floor, ratio, plain, aim, met):
        print(f"{what:<50} {figure:>8} {unit:<9} {floor:>8} {ratio:>6}"
              f" {plain:>8}  {aim} {met}".rstrip(), flush=True)

    def line(self, what, figure, unit, floor=None, more=False, plain=None,
             aim=None):
        """more: a figure is the better the higher it is."""
        ratio = None
        if floor and figure:
            ratio = figure / floor if more else floor / figure
        words = met = "-"
        if aim:
            of, sign, limit = aim
            got = ratio if of == "ratio" else figure
            words = f"{of} {sign} {number(limit)}"
            met = "met" if (got >= limit if of == "ratio" else got <= limit) \
                else "missed"
        row = (what, number(figure), unit, number(floor), number(ratio),
               number(plain), words, met)
        self.rows.append(row)
        self.show(*row)

    def skip(self, what, why):
        """No figure, and the reason."""
        print(f"{what}: not measured: {why}", flush=True)

    def record(self):
        """One line for each figure, behind those of earlier runs."""
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=harness.ROOT,
            capture_output=True, text=True, check=False).stdout.strip() or "-"
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        # Of the whole machine: latencies on a busy one say little.
        load = f"{os.getloadavg()[0]:.1f}"
        new = not os.path.exists(HISTORY)
        with open(HISTORY, "a", encoding="utf-8") as f:
            if new:
                f.write("\t".join(("when", "commit", "machine", "load",
                                   *self.FIELDS))
                        + "\n")
            for row in self.rows:
                f.write("\t".join((when, commit, machine(), load, *row)) + "\n")


def machine():
    """No names: what it is, for whoever compares."""
    return f"{os.cpu_count()} CPUs, Linux {platform.release()}, " \
           f"{platform.machine()}"


# ---- load generators ----

def tool(name, *args):
    """What one says, as numbers by name."""
    p = subprocess.run(command(name, *args), capture_output=True, text=True,
                       timeout=600, check=False)
    if p.returncode:
        raise SystemExit(f"bench: {name} {args[0]}: {p.returncode} {p.stderr}")
    slices = {}
    for line in p.stdout.splitlines():
        k, v = line.split()
        slices.setdefault(k, []).append(float(v))
    return {k: statistics.median(v) for k, v in slices.items()}


def command(name, *args):
    return [os.path.join(harness.BUILD, "bench", name), *map(str, args)]


class Crowd:
    """Many WebSockets that another process holds (wsload hold)."""

    def __init__(self, bench, count, auths, carrier="plain"):
        self.n = count
        # pylint: disable-next=consider-using-with
        self.file = tempfile.NamedTemporaryFile("w", encoding="ascii")
        self.file.write("\n".join(auths) + "\n")
        self.file.flush()
        # pylint: disable-next=consider-using-with
        self.proc = subprocess.Popen(
            command("wsload", "hold", bench.at(carrier), "/jmap/ws",
                    self.file.name, count),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.heard("ready")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.proc.stdin.close()
        self.proc.wait()
        self.proc.stdout.close()
        self.file.close()

    def heard(self, word):
        got = self.proc.stdout.readline().strip()
        if got != word:
            raise SystemExit(f"bench: a crowd says {got!r}, not {word!r}")

    def tell(self, line):
        self.proc.stdin.write(line + "\n")
        self.proc.stdin.flush()
        self.heard("done")

    def enable(self):
        self.tell("enable " + HELLO)

    def wait(self, pushes):
        """Until that many more have come, all together."""
        self.tell(f"wait {pushes}")


HELLO = json.dumps({"@type": "WebSocketPushEnable", "dataTypes": ["Email"]})


# ---- a server, and what it costs ----

def cpu_us(*pids):
    """All their threads."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            path = f"/proc/{pid}/task/{task}/schedstat"
            with open(path, encoding="ascii") as f:
                total += int(f.read().split()[0])
    return total / 1000


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")


def request(calls):
    return json.dumps({"@type": "Request", "id": "b", "using": jmap.USING,
                       "methodCalls": calls})


def want_descriptors(n):
    """How many there are: as many as that, or what we may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < n:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))
            hard = n
        except (ValueError, OSError):
            pass
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Bench:
    OPTIONS = {
        "worker_pool_size": 1, "log_level": "info", "ws_echo": True,
        "ws_throttle": 0, "ws_heartbeat_interval": 3600,
        "ws_client_timeout": 86400, "max_concurrent_requests": 64,
        "max_connections_per_account": 0, "max_connections_per_address": 0}

    def __init__(self, args):
        self.n = args.connections
        self.report = Report()
        self.changes = 0
        self.descriptors = want_descriptors(100000)
        # An older build is measured, too.
        self.known = subprocess.run(
            [harness.JMAPCTL, "options"], capture_output=True, text=True,
            check=True).stdout

    def run(self, name):
        """On a server of its own: none pays for what another left behind."""
        fn, memory, in_namespace, more = PARTS[name]
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(
                tempfile.TemporaryDirectory(dir="/dev/shm"))
            os.chmod(directory, 0o755)
            options = {k: v for k, v in {**self.OPTIONS, **more}.items()
                       if k.replace("_", "-") in self.known}
            if memory:
                options["data_dir"] = os.path.join(directory, "data")
            try:
                if in_namespace:
                    stack.enter_context(network.namespace())
            except network.Refused as why:
                self.report.skip(name, why)
                return
            self.server = stack.enter_context(harness.Server(**options))
            self.account = self.server.add_account()
            (self.worker,) = self.server.pids("worker")
            (self.store,) = self.server.pids("store")
            fn(self)

    def at(self, carrier):
        """CARRIER:PORT, as the load generators want it."""
        tls = carrier.split("+")[0] in ("tls", "h2")
        return f"{carrier}:{self.server.https if tls else self.server.http}"

    def auth(self, account=None):
        account = account or self.account
        return basic(account.name, account.token)

    def rpc(self, path, auth, message, connections, in_flight, count,
            carrier="plain"):
        return tool("wsload", "rpc", self.at(carrier), path, auth, message,
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
        texts = [request([["Email/set", {
            "accountId": api.account_id,
            "update": {email: {"keywords/$flagged": v}}}, "0"]])
            for v in (True, None)]
        return account, texts

    def pushed(self, connections, rounds, quiet_ms, carrier="plain",
               flags=None, download="-"):
        """A change at a time, heard by all; rounds in each of five slices."""
        account, texts = flags or self.flag_changes()
        return tool("wsload", "push", self.at(carrier), "/jmap/ws",
                    self.auth(account), HELLO, connections, self.server.http,
                    *texts, rounds, quiet_ms, download, self.worker)

    def add_accounts(self, count):
        """Many, by the control socket itself: their Authorizations by address."""
        made = {}
        with Control(self.server) as ctl:
            for i in range(count):
                name = f"crowd{i}@example.org"
                ctl.ask("account", "add", name, "")
                token = ctl.ask("account", "token", name, "bench").strip()
                made[name] = basic(name, token)
        return made

    def change(self, names):
        """A message into each of these accounts, past the workers."""
        for name in names:
            self.changes += 1
            raw = f"Subject: {self.changes}\r\n\r\nA letter.\r\n".encode()
            peer = Peer(self.server, "import", name).go()
            peer.folder()
            peer.message(raw)
            peer.send(b"E")
            while peer.recv()[:1] != b"k":
                pass
            peer.sock.close()

    def settle(self):
        """Until worker and store have nothing left to do."""
        before = -1.0
        while True:
            now = cpu_us(self.worker, self.store)
            if now - before < 1000:
                return
            before = now
            time.sleep(0.2)


class Control:
    """The control socket (cmd/admin.h), without a process for each verb."""

    def __init__(self, server):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(os.path.join(server.options["run-dir"], "control"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def ask(self, *words):
        self.sock.send("\0".join(words).encode())
        out = b""
        while True:
            got = self.sock.recv(65536)
            if got[:1] == b"k":
                return out.decode()
            if got[:1] != b"o":
                raise SystemExit(f"bench: {words[:2]}: {got.decode()}")
            out += got[1:]
