"""What the fault tests share: watchers that write down all they are told, senders
that try again, and the model that says what a watcher must have been told.

The model is the account's own change log, read when the server has stopped: for
each StateChange, every type's change up to the modseq of its pushState must have
been told by then.
"""

import bisect
import contextlib
import hashlib
import json
import os
import secrets
import select
import signal
import socket
import sqlite3
import threading
import time

import jmap
import proc
from carriers import GONE, json_of, open_ws
from control import Peer
from events import Source
from harness import DEADLINE, Account, wait_for
from mail import message
from raw import Closed, Raw
from rawws import TEXT, frame

TYPES = ["Mailbox", "Thread", "Email", "EmailDelivery"]  # core/base/types.def
LOGGED = TYPES[:3]  # EmailDelivery has no objects


def modseq(state):
    """Of a type's state, or of the one account in a pushState."""
    return int(state.rsplit("-", 1)[1])


class Heard:
    """One StateChange, as heard."""

    def __init__(self, message_, account_id):
        assert list(message_["changed"]) == [account_id], message_
        self.states = message_["changed"][account_id]
        self.token = message_["pushState"]


class History:
    """All that one client was told, over all its connections."""

    def __init__(self, base):
        """base: states by type, taken when nothing changed."""
        self.base = {t: s if isinstance(s, int) else modseq(s)
                     for t, s in base.items()}
        self.heard = []
        self._told = dict(self.base)

    def add(self, heard):
        self.heard.append(heard)
        self._told.update({t: modseq(s) for t, s in heard.states.items()})

    @property
    def token(self):
        return self.heard[-1].token if self.heard else None

    def told(self):
        return dict(self._told)

    def check_never_back(self):
        told, at = dict(self.base), 0
        for h in self.heard:
            for t, s in h.states.items():
                assert modseq(s) >= told.get(t, 0), (
                    f"{t} went back from {told[t]} to {s}")
                told[t] = modseq(s)
            assert modseq(h.token) >= at, (
                f"pushState went back from {at} to {h.token}")
            at = modseq(h.token)

    def check_no_gap(self, log):
        """Who leaves with a pushState and asks for what came later misses nothing:
        each type was told as of then, or stands above it. The latter while debts
        are paid (cmd/jmapd/store/subs.h: lowest modseq first).
        log: of each type the modseqs of its changes, ascending."""
        told = dict(self.base)
        for i, h in enumerate(self.heard):
            told.update({t: modseq(s) for t, s in h.states.items()})
            upto = modseq(h.token)
            for t, changes in log.items():
                last = last_until(changes, upto)
                assert (last <= told.get(t, 0)
                        or self._next(t, i, changes[-1]) > upto), (
                    f"pushState {h.token} runs past {t} {last}, told "
                    f"{told.get(t, 0)}")

    def _next(self, kind, i, otherwise):
        """Where the type stood when it was next told after the i-th."""
        return next((modseq(h.states[kind]) for h in self.heard[i + 1:]
                     if kind in h.states), otherwise)

    def check_true(self, log):
        """Each state that was told is one that a commit led to: all types of a
        commit stand at its last modseq."""
        known = set().union(*log.values())
        for h in self.heard:
            for t, s in h.states.items():
                if t in log:
                    assert (modseq(s) in known
                            or modseq(s) == self.base[t]), (t, s)

    def check(self, log, types=None):
        """types: those that it wanted."""
        self.check_never_back()
        self.check_no_gap({t: log[t] for t in types or log if t in log})
        self.check_true(log)


def last_until(changes, upto):
    """The last of these ascending numbers that is not beyond upto; else 0."""
    i = bisect.bisect_right(changes, upto)
    return changes[i - 1] if i else 0


def data_dir(server):
    return server.options["data-dir"]


def account_number(server, name):
    with sqlite3.connect(os.path.join(data_dir(server), "directory.db")) as db:
        (number,), = db.execute("SELECT id FROM account WHERE name = ?",
                                (name,))
    db.close()
    return number


@contextlib.contextmanager
def database(server, name):
    """An account's database, which the server has open, too."""
    db = sqlite3.connect(
        os.path.join(data_dir(server), "accounts",
                     str(account_number(server, name)), "mail.db"),
        isolation_level=None)
    try:
        yield db
    finally:
        db.close()


SLEEPS = {"x86_64": ("35", "230"), "aarch64": ("101", "115")}


def sleeps(pid):
    """One of its threads is in nanosleep(2) or clock_nanosleep(2): SQLite that waits for a lock
    does that, and nothing else in the store."""
    for t in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{t}/syscall", encoding="ascii") as f:
            if f.read().split()[0] in SLEEPS[os.uname().machine]:
                return True
    return False


def rests(pid):
    """Its main thread sleeps, and is found so again and again."""
    def looks():
        for _ in range(10):
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                if f.read().rsplit(")", 1)[1].split()[0] != "S":
                    return False
            time.sleep(0.005)
        return True
    wait_for("it rests", looks)


def change_log(server, name):
    """Of a stopped server's account: of each type the modseqs of its changes."""
    return log_of(server, account_number(server, name))


def log_of(server, number):
    path = os.path.join(data_dir(server), "accounts", str(number), "mail.db")
    assert os.path.exists(path), path
    db = sqlite3.connect(path)
    log = {t: [] for t in LOGGED}
    for at, t in db.execute(
            "SELECT modseq, type FROM change_log ORDER BY modseq"):
        log[TYPES[t]].append(at)
    db.close()
    return log


class Watcher:
    """A push client in a thread; comes back with its pushState when cut."""

    def __init__(self, server, account, account_id, base, types=None,
                 resume=True, carrier="plain"):
        self.server = server
        self.account = account
        self.account_id = account_id
        self.types = types
        self.resume = resume
        self.carrier = carrier
        self.history = History(base)
        self.lock = threading.Lock()
        self.connections = 0
        self.error = None
        self.stopping = False
        self.conn = None
        self.enabled = threading.Event()
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()
        assert self.enabled.wait(DEADLINE), self.error

    def _main(self):
        try:
            while not self.stopping:
                if self._connect():
                    self._listen()
                else:
                    time.sleep(0.02)  # one try after the other, not all at once
                if not self.resume:
                    break
        except BaseException as e:  # noqa: B036 the test looks at it
            self.error = e

    def _connect(self):
        try:
            self._open()
        except (*GONE, OSError):
            return False
        except AssertionError as e:
            if e.args != (503,):  # not now
                raise
            return False
        self.connections += 1
        return True

    def _listen(self):
        try:
            while self._hear():
                pass
        except GONE:
            pass
        except OSError:
            if not self.stopping:
                raise
        finally:
            self.conn.close()

    def _open(self):
        self.conn = open_ws(self.server, self.account, self.carrier)
        wish = {"@type": "WebSocketPushEnable", "dataTypes": self.types}
        with self.lock:
            if self.history.token:
                wish["pushState"] = self.history.token
        self.conn.send_json(wish)
        self.conn.send_json({"@type": "Request", "id": "enabled",
                             "using": [jmap.CORE],
                             "methodCalls": [["Core/echo", {}, "e"]]})

    def _hear(self):
        """One message; False at the end."""
        m = json_of(self.conn)
        if m["@type"] == "StateChange":
            self._told(m)
        elif m.get("requestId") == "enabled":
            self.enabled.set()
        return True

    def _told(self, message_):
        with self.lock:
            self.history.add(Heard(message_, self.account_id))

    def _sock(self):
        return self.conn.sock

    def told(self):
        with self.lock:
            return self.history.told()

    def wait_told(self, states, deadline=None):
        """Until it was told exactly these states (by type)."""
        want = {t: modseq(s) for t, s in states.items()}

        def is_told():
            assert not self.error, repr(self.error)
            told = self.told()
            return all(told.get(t) == n for t, n in want.items())
        try:
            wait_for("the newest state", is_told, deadline)
        except AssertionError as e:
            raise AssertionError(f"{e}: want {want}, told {self.told()}, "
                                 f"{self.carrier}, connections "
                                 f"{self.connections}") from None

    def stop(self):
        self.stopping = True
        try:  # not SSLSocket's own, which another thread is reading
            socket.socket.shutdown(self._sock(), socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive(), "the watcher does not end"
        if self.error and not isinstance(self.error, OSError):
            raise self.error


class SourceWatcher(Watcher):
    """The same by EventSource: its event's id is what pushState is."""

    last_id = None

    def _open(self):
        self.conn = Source(self.server, self.account, self.carrier,
                           last_id=self.last_id,
                           types=",".join(self.types or ["*"]), ping="5")
        self.last_id = self.conn.last_id
        self.enabled.set()

    def _hear(self):
        event = self.conn.event()
        if event and event.name == "state":
            self.last_id = event.last_id
            self._told({**event.data, "pushState": event.own_id})
        return event is not None

    def _sock(self):
        return self.conn.wire.raw.sock


def states(api):
    """Of all types that have a /get."""
    got = api.calls(*[(f"{t}/get", {"accountId": api.account_id, "ids": []}, t)
                      for t in LOGGED])
    return {name.split("/")[0]: answer["state"] for name, answer, _ in got}


class Lmtp:
    """A sender's connection: one attempt says what became of it."""

    def __init__(self, server):
        self.server = server
        self.raw = None

    def close(self):
        if self.raw:
            self.raw.close()
            self.raw = None

    def _reply(self):
        while True:
            line = self.raw.until(b"\r\n")
            if line[3:4] != b"-":
                return int(line[:3])

    def _say(self, *lines):
        for line in lines:
            self.raw.send(line + "\r\n")
            code = self._reply()
            if code >= 400:
                return code
        return code

    def attempt(self, to, data, on_sent=None):
        """The last reply's code, or None when the connection went before it.
        on_sent() is called when the last byte is out."""
        try:
            if not self.raw:
                self.raw = Raw(self.server.lmtp)
                self._reply()
                if self._say("LHLO sender.example") != 250:
                    self.close()
                    return 421
            code = self._say("MAIL FROM:<bob@example.net>",
                             f"RCPT TO:<{to}>", "DATA")
            if code != 354:
                self._say("RSET")
                return code
            self.raw.send(data + b".\r\n")
            if on_sent:
                on_sent()
            return self._reply()
        except (Closed, ConnectionError, BrokenPipeError, socket.timeout):
            self.close()
            return None


def text_frame(text):
    return frame(TEXT, text)


def readable(sock):
    return bool(select.select([sock], [], [], 0)[0])


def roles(server):
    """Asked by hand: who looks again and again starts no process for it."""
    with contextlib.closing(Peer(server, "status", "--json").sock) as sock:
        text = b""
        while True:
            packet = sock.recv(65536)
            if packet[:1] != b"o":
                assert packet == b"k", packet
                return json.loads(text)["roles"]
            text += packet[1:]


def role(server, name, index=0):
    for r in roles(server):
        if r["role"] == name and r["index"] == index:
            return r
    raise AssertionError(f"no {name} {index}")


def wait_settled(server, name, index=0, not_pid=0, uptime=1):
    """That role lives for a second (dying sooner is 'keeps dying')."""
    return wait_for(
        f"{name} {index} is up", lambda: next(
            (r["pid"] for r in [role(server, name, index)]
             if r["state"] == "up" and r["pid"] != not_pid
             and r["uptime"] >= uptime), None))


def up_again(server, name, index, old):
    return wait_settled(server, name, index, old, 0)


def numbered(who, n, body="Hello there.\r\n"):
    """A message that can be told from all others."""
    return message(subject=f"mark-{who}-{n}", body=body,
                   Message_ID=f"<mark-{who}-{n}@example.net>")


def subjects(api):
    """Subjects of all emails, doubles included."""
    found = []
    while True:
        ids = api.call("Email/query", {
            "position": len(found), "limit": 500,
            "sort": [{"property": "receivedAt", "isAscending": True}]})["ids"]
        if not ids:
            return found
        got = api.call("Email/get", {"ids": ids, "properties": ["subject"]})
        assert len(got["list"]) == len(ids)
        found += [e["subject"] for e in got["list"]]


# ---- which worker has a connection? ------------------------------------------


def client_ports(server_port, pid):
    """The peers' ports of that process's connections on server_port."""
    inodes = proc.sockets(pid)
    found = set()
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in f.readlines()[1:]:
            w = line.split()
            if (int(w[1].split(":")[1], 16) == server_port
                    and w[9] in inodes):
                found.add(int(w[2].split(":")[1], 16))
    return found


def is_of(sock, server_port, pid):
    return sock.getsockname()[1] in client_ports(server_port, pid)


def connect_to(make, server, index, tries=64):
    """make() until its connection is one of that worker's; the others are
    closed. make returns something with .sock and .close()."""
    pid = role(server, "worker", index)["pid"]
    for _ in range(tries):
        c = make()
        if is_of(c.sock, c.sock.getpeername()[1], pid):
            return c
        c.close()
    raise AssertionError(f"no connection to worker {index}")


# ---- workers that are stopped ---------------------------------------------------

RING = 4096  # notices (ipc/link.h)


def missed(server):
    return server.metric("store", "notices-missed")


@contextlib.contextmanager
def stopped(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def frozen(server, index):
    """A worker that is stopped, for as long as it takes: so is the master, who would
    take it for silent. Only what is connected to the others is served."""
    with stopped(role(server, "worker", index)["pid"], server.proc.pid):
        yield


@contextlib.contextmanager
def only_worker(server, index):
    """Of two: whoever connects meanwhile is that worker's, who serves the other's
    sockets as well."""
    other = role(server, "worker", 1 - index)["pid"]
    with stopped(other):
        conns = [Raw(server.http) for _ in range(32)]
        for c in conns:  # about half of them wait until then
            assert c.get("/healthz").status == 200
            c.close()
        with stopped(server.proc.pid):
            yield


class Changer:
    """Makes changes of one type or another, a commit each."""

    def __init__(self, server, account, index, at_once=16):
        """at_once: changes of one request (max-calls-in-request)."""
        self.server = server
        pid = role(server, "worker", index)["pid"]
        for _ in range(64):
            self.api = jmap.HttpApi(server, account)
            if is_of(self.api.conn.sock, server.http, pid):
                break
            self.api.close()
        self.box = self.api.mailboxes()["archive"]
        self.email = self.api.emails()[-1]
        self.n = 0
        self.at_once = at_once

    def one(self, kind):
        self.n += 1
        if kind == "Mailbox":
            args = {"update": {self.box: {"sortOrder": self.n}}}
        else:
            args = {"update": {self.email: {
                "keywords/a": True if self.n % 4 < 2 else None,
                f"keywords/b{self.n % 7}": True,
                f"keywords/b{(self.n + 3) % 7}": None}}}
        return [f"{kind}/set", {"accountId": self.api.account_id, **args},
                f"c{self.n}"]

    def make(self, n, kind=None):
        """n changes of that type; of both when it is not named."""
        while n > self.at_once:
            self.make(self.at_once, kind)
            n -= self.at_once
        calls = [self.one(kind or ("Mailbox" if i % 3 == 2 else "Email"))
                 for i in range(n)]
        for name, answer, _ in self.api.calls(*calls):
            assert name != "error" and answer["updated"], answer


# ---- many accounts ---------------------------------------------------------------


def copy_accounts(server, n):
    """Makes n accounts of a stopped server by copying its only one: adding them
    one by one would hash n passwords. They log in with an app password."""
    data = data_dir(server)
    old = os.path.join(data, "accounts")
    number, = os.listdir(old)
    owner = os.stat(old)
    files = Files(os.path.join(old, number))
    made = [Account(f"copy{i}@example.org", None, secrets.token_urlsafe(32))
            for i in range(n)]
    with sqlite3.connect(os.path.join(data, "directory.db")) as db:
        (first, token), = db.execute(
            "SELECT next_account, next_token FROM meta")
        for i, a in enumerate(made):
            a.number = first + i
            a.id = account_id(a.number)
            files.write(os.path.join(old, str(first + i)), owner)
            db.execute("INSERT INTO account VALUES (?, ?, 1, 0, '')",
                       (first + i, a.name))
            db.execute("INSERT INTO address VALUES (?, ?)",
                       (a.name, first + i))
            db.execute("INSERT INTO token VALUES (?, ?, ?, 0, 'copy')",
                       (token + i, first + i,
                        hashlib.sha256(a.token.encode()).digest()))
        db.execute("UPDATE meta SET next_account = ?, next_token = ?",
                   (first + n, token + n))
    give_to(data, owner)
    return made


def account_id(number):
    """core/base/ids.c: "u" and base 32."""
    digits = ""
    while number or not digits:
        digits = "0123456789abcdefghijklmnopqrstuv"[number & 31] + digits
        number >>= 5
    return "u" + digits


class Files:
    """A folder's contents, to be written many times."""

    def __init__(self, folder):
        self.folders, self.files = [], {}
        for at, _, files in os.walk(folder):
            self.folders.append(os.path.relpath(at, folder))
            for name in files:
                path = os.path.join(at, name)
                with open(path, "rb") as f:
                    self.files[os.path.relpath(path, folder)] = f.read()

    def write(self, to, owner):
        for folder in self.folders:
            path = os.path.normpath(os.path.join(to, folder))
            os.mkdir(path)
            os.chown(path, owner.st_uid, owner.st_gid)
        for name, data in self.files.items():
            path = os.path.join(to, name)
            with open(path, "wb") as f:
                f.write(data)
                os.fchown(f.fileno(), owner.st_uid, owner.st_gid)


def give_to(folder, owner):
    """What the reader of a database may have left beside it."""
    for f in os.listdir(folder):
        os.chown(os.path.join(folder, f), owner.st_uid, owner.st_gid)
