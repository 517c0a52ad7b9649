"""The disk fills: errors that say so, nothing half done, and all is well again,
without a restart, once there is room. The data lives on a small file system that
only this server's processes see."""

import os
import pwd
import subprocess

import pytest

import fault
import harness
from jmap import HttpApi, WsApi
from mail import RawLmtp, deliver

SIZE = "12m"
KEEP = 200  # writes that may find room in a file that is there already


def can_mount():
    return os.geteuid() == 0 and subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True, check=False).returncode == 0


class SmallDisk(harness.Server):
    """Its data-dir is a tmpfs in a mount namespace of its own."""

    def spawn(self, *args):
        data = self.options["data-dir"]
        os.makedirs(data, exist_ok=True)
        nobody = pwd.getpwnam("nobody")
        mount = (f"mount -t tmpfs -o size={SIZE},mode=700,uid={nobody.pw_uid},"
                 f"gid={nobody.pw_gid} none '{data}' && exec \"$@\"")
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(
                ["unshare", "-m", "--propagation", "private", "sh", "-c",
                 mount, "sh", harness.JMAPD, "-c", self.conf_path, *args],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                cwd=self.dir)

    def inside(self):
        """Where that file system is to be seen from here."""
        return f"/proc/{self.proc.pid}/root{self.options['data-dir']}"

    def fill(self):
        """Returns the bytes that it took."""
        taken = 0
        with open(self.inside() + "/filler", "ab", buffering=0) as f:
            for size in (65536, 4096, 512):
                try:
                    while True:
                        taken += f.write(b"x" * size)
                except OSError:
                    pass
        return taken

    def free(self):
        os.unlink(self.inside() + "/filler")


@pytest.fixture
def server():
    if not can_mount():
        pytest.skip("mounting a tmpfs needs root and unshare(1)")
    with SmallDisk(ws_throttle=20, log_level="info") as s:
        yield s


def test_deliveries_are_452_and_then_stored(server):
    account = server.add_account()
    deliver(server, account.name)
    pids = server.pids("store") + server.pids("worker")
    sender = fault.Lmtp(server)
    api = HttpApi(server, account)
    stored, refused = [], []
    assert server.fill() > 0
    body = "words that need room\r\n" * 500
    for n in range(KEEP):
        code = sender.attempt(account.name, fault.numbered("full", n, body))
        assert code in (250, 452), code
        (stored if code == 250 else refused).append(n)
        if len(refused) == 3:
            break
    assert len(refused) == 3, "it never was full"
    # A file of its own has no room either.
    assert sender.attempt(account.name, fault.numbered(
        "full", "large", "x\r\n" * 100000)) == 452

    def there():
        return sorted(s for s in fault.subjects(api) if s.startswith("mark"))
    # Reads are served, and show what was acknowledged, no more.
    assert there() == sorted(f"mark-full-{n}" for n in stored)
    server.free()
    for n in refused:
        assert sender.attempt(account.name,
                              fault.numbered("full", n, body)) == 250
    assert sender.attempt(account.name, fault.numbered(
        "full", "large", "x\r\n" * 100000)) == 250
    assert there() == sorted(f"mark-full-{n}" for n in
                             stored + refused + ["large"])
    assert server.pids("store") + server.pids("worker") == pids
    sender.close()
    api.close()


def test_the_reply_names_the_reason(server):
    account = server.add_account()
    server.fill()
    with RawLmtp(server) as c:
        for n in range(KEEP):
            c.envelope(account.name)
            (code, lines), = c.data(fault.numbered(
                "full", n, "words\r\n" * 5000) + b".\r\n")
            if code != 250:
                break
        assert code == 452 and lines[0].startswith("4.3.1 ")
    server.free()


def test_changes_are_refused_whole(server):
    account = server.add_account()
    deliver(server, account.name)
    api, ws = HttpApi(server, account), WsApi(server, account)
    ws.enable()
    email, = api.emails()
    done = 0
    server.fill()
    for n in range(2000):
        answer = api.request([["Email/set", {
            "accountId": api.account_id, "update": {email: {
                f"keywords/k{n}": True,
                f"keywords/k{n - 1}": None}}}, "s"]])
        (name, got, _), = answer["methodResponses"]
        if name == "error":
            assert got["type"] in ("serverUnavailable", "serverFail",
                                   "serverPartialFail"), got
            break
        if email not in (got["updated"] or {}):
            assert email in got["notUpdated"], got
            break
        done = n + 1
    else:
        raise AssertionError("it never was full")
    assert name == "error" and got["type"] == "serverUnavailable", got
    keywords = api.call("Email/get", {
        "ids": [email], "properties": ["keywords"]})["list"][0]["keywords"]
    assert set(keywords) == ({f"k{done - 1}"} if done else set())
    state = api.state()
    server.free()
    assert api.state() == state  # what failed moved no state
    api.set_keyword(email, "room")
    # The client that watches hears of it as of any other change.
    newest = api.state()
    while ws.change()[0].get("Email") != newest:
        pass
    api.close()
    ws.close()


def test_no_account_is_made_by_half(server):
    account = server.add_account()
    server.fill()
    p = server.ctl("account", "add", "half@example.org", "--password-stdin",
                   stdin="geheim\n")
    assert p.returncode == 1 and p.stderr
    listed = server.ctl_ok("account", "list")
    assert account.name in listed and "half@" not in listed
    server.free()
    half = server.add_account("half@example.org")
    deliver(server, half.name)
    api = HttpApi(server, half)
    assert len(api.emails()) == 1 and len(api.mailboxes()) == 6
    api.close()
