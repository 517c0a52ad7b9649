"""Starts the real jmapd on free ports in a directory of its own, and ends it.

A Server must end with status 0 on SIGTERM and leave a log without a crash, a
failed check or a sanitizer's report: stop() says so, else it fails the test and
prints the log. Nothing sleeps for luck: wait_for() looks at a condition until a
deadline.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
JMAPD = os.path.join(BUILD, "jmapd")
JMAPCTL = os.path.join(BUILD, "jmapctl")

# Seconds until something that must happen counts as lost. Long: sanitizers on a
# busy machine are slow, and nobody waits for it when all is well.
DEADLINE = float(os.environ.get("TEST_DEADLINE", "30"))

# A program that jmapd runs under, with its options: valgrind (scripts/check).
UNDER = shlex.split(os.environ.get("TEST_UNDER", ""))

# What no log may hold.
BAD_LOG = re.compile(
    r"check failed|crash, signal|Sanitizer|runtime error:|"
    r"broke the rules|core dumped|== .*(lost|Invalid|uninitialised)"
)
DEATH = re.compile(r"died role=|killed role=")


def wait_for(what, condition, deadline=None):
    """Looks at condition() until it is true, and returns what it said."""
    end = time.monotonic() + (deadline or DEADLINE)
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline or DEADLINE} s: {what}")
        time.sleep(0.01)


class Port:
    """A TCP port of 127.0.0.1 that nobody else gets while this lives: a socket
    that is bound beside the server's own (SO_REUSEPORT) and does not listen."""

    def __init__(self):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.sock.bind(("127.0.0.1", 0))
        self.n = self.sock.getsockname()[1]

    def close(self):
        self.sock.close()


def make_cert(directory, name="localhost", stem="cert"):
    """A self-made certificate; returns its path and that of the key."""
    cert = os.path.join(directory, stem + ".pem")
    key = os.path.join(directory, stem + ".key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
         "/CN=" + name, "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1",
         "-keyout", key, "-out", cert],
        check=True, capture_output=True)
    return cert, key


_shared_cert = None


def shared_cert():
    """One certificate for all tests of this process."""
    global _shared_cert
    if not _shared_cert:
        directory = tempfile.mkdtemp(prefix="jmapd-cert-")
        import atexit
        atexit.register(shutil.rmtree, directory, True)
        _shared_cert = make_cert(directory)
    return _shared_cert


class Account:
    """Name, password if any, and an app password, which is cheap to check."""

    def __init__(self, name, password, token):
        self.name = name
        self.password = password
        self.token = token


class Server:
    """Options are the configuration's, with _ for -. None leaves one out."""

    def __init__(self, start=True, allow_deaths=False, **options):
        self.dir = tempfile.mkdtemp(prefix="jmapd-test-")
        os.chmod(self.dir, 0o755)
        self.ports = {k: Port() for k in ("http", "https", "lmtp")}
        self.http = self.ports["http"].n
        self.https = self.ports["https"].n
        self.lmtp = self.ports["lmtp"].n
        self.cert, self.key = shared_cert()
        self.conf_path = os.path.join(self.dir, "jmapd.conf")
        self.log_path = os.path.join(self.dir, "log")
        self.allow_deaths = allow_deaths
        self.proc = None
        self.accounts = 0
        self.options = {
            "listen": [f"127.0.0.1:{self.http}",
                       f"127.0.0.1:{self.https} tls",
                       f"127.0.0.1:{self.lmtp} lmtp"],
            "jmap-url": f"https://localhost:{self.https}",
            "tls-cert": self.cert,
            "tls-key": self.key,
            "data-dir": os.path.join(self.dir, "data"),
            "run-dir": os.path.join(self.dir, "run"),
            "worker-pool-size": 2,
            "log-level": "debug",
        }
        if os.geteuid() == 0:
            self.options["user"] = "nobody"
        if UNDER:  # it makes system calls of its own
            self.options["sandbox"] = "no"
            self.options["io-uring"] = "no"
        self.configure(**options)
        if start:
            try:
                self.start()
            except BaseException:
                self.kill()
                self.remove()
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind:
                self.kill()
                self.print_log()
            else:
                self.stop()
        finally:
            self.remove()

    # ---- configuration ----

    def configure(self, **options):
        for k, v in options.items():
            k = k.replace("_", "-")
            if v is None:
                self.options.pop(k, None)
            else:
                self.options[k] = v
        self.write_conf("".join(
            f"{k}: {json.dumps(v)}\n" for k, v in self.options.items()))

    def write_conf(self, text):
        with open(self.conf_path, "w", encoding="utf-8") as f:
            f.write(text)

    def reload(self, **options):
        """By SIGHUP; returns when the master says what came of it."""
        self.configure(**options)
        return self.hup()

    def hup(self):
        """SIGHUP; the log line that it led to."""
        done = re.compile(r"reloaded /.*|reload: .*")
        before = len(done.findall(self.log()))
        self.proc.send_signal(signal.SIGHUP)
        return wait_for("a reload", lambda: done.findall(self.log())[before:])[0]

    # ---- life ----

    def environment(self):
        return {"JMAPD_EXE": JMAPD} if UNDER else {}

    def spawn(self, *args):
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(
                [*UNDER, JMAPD, "-c", self.conf_path, *args], stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL, cwd=self.dir,
                env={**os.environ, **self.environment()},
                start_new_session=True)  # Ctrl-C is ours to pass on

    def start(self):
        before = self.log().count(" is ready workers=")
        self.spawn()
        wait_for("the server is ready", lambda: (
            self.log().count(" is ready workers=") > before
            or self.proc.poll() is not None))
        if self.proc.poll() is not None:
            self.print_log()
            raise AssertionError(f"jmapd ended with {self.proc.returncode}")
        return self

    def stop(self, sig=signal.SIGTERM):
        """Ends it in order, and asserts that it left in good health."""
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(sig)
        self.ended()

    def ended(self):
        """It ends by what was sent to it already."""
        status = self.wait()
        if status != 0:
            self.print_log()
        assert status == 0, f"jmapd ended with status {status}"
        self.check_log()

    def wait(self):
        if not self.proc:
            return 0
        try:
            return self.proc.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.print_log()
            self.kill()
            raise AssertionError("jmapd did not end") from None

    def kill(self):
        """At once, whatever it does; its roles see that the master is gone."""
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(5)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()

    def remove(self):
        for p in self.ports.values():
            p.close()
        shutil.rmtree(self.dir, True)

    # ---- what it says ----

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def print_log(self):
        print("---- the log of jmapd:")
        print(self.log()[-20000:])

    def check_log(self):
        log = self.log()
        bad = BAD_LOG.search(log)
        if not bad and not self.allow_deaths:
            bad = DEATH.search(log)
        if bad:
            self.print_log()
        assert not bad, f"the log says: {bad.group(0)}"

    def ctl(self, *args, stdin=None):
        return subprocess.run(
            [JMAPCTL, "-c", self.conf_path, *args], input=stdin, text=True,
            capture_output=True, timeout=DEADLINE, check=False)

    def ctl_ok(self, *args, stdin=None):
        p = self.ctl(*args, stdin=stdin)
        assert p.returncode == 0, f"jmapctl {args}: {p.returncode} {p.stderr}"
        return p.stdout

    def status(self):
        return json.loads(self.ctl_ok("status", "--json"))

    def roles(self, role):
        return [r for r in self.status()["roles"] if r["role"] == role]

    def pids(self, role):
        return [r["pid"] for r in self.roles(role)]

    def metric(self, role, name):
        """The sum over all roles of that kind."""
        return sum(r["metrics"][name] for r in self.roles(role))

    def add_account(self, name=None, password=None):
        self.accounts += 1
        name = name or f"user{self.accounts}@example.org"
        if password:
            self.ctl_ok("account", "add", name, "--password-stdin",
                        stdin=password + "\n")
        else:
            self.ctl_ok("account", "add", name, "--no-password")
        token = self.ctl_ok("account", "token", name, "--name", "test").strip()
        return Account(name, password, token)
