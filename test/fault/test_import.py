"""Imports and restores that are interrupted: jmapctl is ended or killed, the store
is killed. Run again, each message is there once; a restored account is the old one
or the new one, whole.

An import falls under the knife while messages are on their way: it counts only
when some were told as stored and others not, else it is done again.
"""

import hashlib
import os
import signal
import subprocess

import pytest

import fault
import harness
import mail
import mailfiles
from control import Peer
from harness import wait_for
from jmap import HttpApi, WsApi
from mailfiles import counts, numbered

N = 3000


@pytest.fixture(scope="module")
def server():
    with harness.Server(allow_deaths=True, log_level="info") as s:
        yield s


@pytest.fixture(scope="module")
def maildir(tmp_path_factory):
    """N messages, every tenth in a second folder, too, some of them large."""
    top = mailfiles.make_maildir(
        str(tmp_path_factory.mktemp("mail") / "md"))
    copy = mailfiles.make_maildir(os.path.join(top, ".Copy"))
    for i in range(N):
        raw = numbered(i, body="x\r\n" * (40000 if i % 200 == 7 else 20))
        mailfiles.put(top, f"{1700000000 + i}.a:2,S", raw)
        if i % 10 == 0:
            mailfiles.put(copy, f"{1700000000 + i}.a:2,", raw)
    return top


def check_all(server, account):
    """Each of them once, where it belongs, and the counts are exact."""
    api = HttpApi(server, account)
    box = mailfiles.paths(api)
    got = {}
    for e in mailfiles.emails(api).values():
        assert e["subject"] not in got
        got[e["subject"]] = {box[i][0][0] for i in e["mailboxIds"]}
    want = {f"number {i}": {"Inbox"} | ({"Copy"} if i % 10 == 0 else set())
            for i in range(N)}
    assert got == want
    all_ = {m["name"]: m for m in api.call("Mailbox/get")["list"]}
    assert all_["Inbox"]["totalEmails"] == N
    assert all_["Copy"]["totalEmails"] == N // 10
    assert all_["Inbox"]["unreadEmails"] == 0
    api.close()


def start(server, account, maildir):
    return subprocess.Popen(
        [harness.JMAPCTL, "-c", server.conf_path, "import", account.name,
         maildir], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # Whoever runs the tests in the background ignores it, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def stored(api):
    return api.call("Email/query", {"limit": 1, "calculateTotal": True})[
        "total"]


def interrupt(server, maildir, how):
    """An import that was under way when how(process) came; its account."""
    for _ in range(20):
        account = server.add_account()
        ws = WsApi(server, account)
        ws.enable(["Email"])
        p = start(server, account, maildir)
        ws.change()  # the first commit: others are to come
        how(p)
        out, err = p.communicate(timeout=harness.DEADLINE)
        ws.close()
        if p.returncode != 0:
            return account, p.returncode, out, err
    raise AssertionError("each import was over before it was interrupted")


def finish(server, account, maildir):
    """Run again: what is there is skipped, and nothing is lost."""
    p = server.ctl("import", account.name, maildir)
    assert p.returncode == 0, p
    imported, there, failed = counts(p)
    assert imported + there == N + N // 10 and failed == 0
    assert there > 0
    check_all(server, account)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL])
def test_an_import_whose_jmapctl_was_ended_is_run_again(server, maildir, sig):
    account, status, _, _ = interrupt(
        server, maildir, lambda p: p.send_signal(sig))
    assert status == -sig
    finish(server, account, maildir)


def test_an_import_whose_store_was_killed_is_run_again(server, maildir):
    def kill(_):
        os.kill(fault.wait_settled(server, "store", uptime=0),
                signal.SIGKILL)
    account, status, out, err = interrupt(server, maildir, kill)
    assert status == 1
    assert "run it again to go on" in err
    assert out.startswith("imported ")
    fault.wait_settled(server, "store")
    api = HttpApi(server, account)
    # What was told as stored is there.
    assert stored(api) >= int(out.split()[1]) - N // 10
    api.close()
    finish(server, account, maildir)


def test_an_import_that_a_reload_meets_goes_on(server, maildir):
    account = server.add_account()
    p = start(server, account, maildir)
    server.hup()
    out, err = p.communicate(timeout=harness.DEADLINE)
    assert (p.returncode, err) == (0, ""), out
    check_all(server, account)


def test_a_server_that_ends_ends_its_streams(maildir):
    with harness.Server() as s:
        account = s.add_account()
        peer = Peer(s, "import", account.name).go()
        s.stop()
        try:
            assert peer.sock.recv(10) in (b"", b"e")
        except ConnectionResetError:
            pass


# ---- a message that the store dies of -------------------------------------------------


def opens_a_fifo(pid):
    """One of its threads is in openat(2): nothing else of the store stays there."""
    numbers = {"x86_64": "257", "aarch64": "56"}
    for t in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{t}/syscall", encoding="ascii") as f:
                if f.read().split()[0] == numbers[os.uname().machine]:
                    return True
        except (FileNotFoundError, ProcessLookupError):
            pass
    return False


def test_a_message_that_the_store_died_of_twice_is_refused(server, tmp_path):
    """It is at work while the file that it becomes cannot be opened: there is a
    FIFO in its place. (SIGABRT stands for a crash.)"""
    account = server.add_account()
    bad = numbered("bad", body="x\r\n" * 30000)
    path = mailfiles.write(tmp_path / "m", mailfiles.mbox_of(
        [numbered(1), bad, numbered(2)]))
    folder = os.path.join(
        server.options["data-dir"], "accounts",
        str(fault.account_number(server, account.name)), "blobs", "new")
    fifo = os.path.join(folder, hashlib.sha256(bad).hexdigest() + ".part")
    for _ in range(2):
        pid = fault.wait_settled(server, "store")
        api = HttpApi(server, account)
        assert stored(api) == 0  # it is open: what is in new/ stays
        api.close()
        os.mkfifo(fifo)
        os.chmod(fifo, 0o666)
        p = start(server, account, path)
        wait_for("the message is at work", lambda: opens_a_fifo(pid))
        os.kill(pid, signal.SIGABRT)
        out, err = p.communicate(timeout=harness.DEADLINE)
        assert p.returncode == 1, (out, err)
        fault.up_again(server, "store", 0, pid)
    p = server.ctl("import", account.name, path)
    assert (p.returncode, counts(p)) == (1, [2, 0, 1])
    at = len(mailfiles.mbox_of([numbered(1)]))
    assert p.stderr == (f"failed: {path} at {at}: the store died of it "
                        "twice\n")


# ---- restore ------------------------------------------------------------------------


def ids(server, account):
    api = HttpApi(server, account)
    got = {e["subject"] for e in mailfiles.emails(api).values()}
    api.close()
    return got


def test_a_store_that_dies_in_a_restore_leaves_one_account_whole(
        server, tmp_path):
    """Killed at points all over it: it has the old mail or the new mail."""
    account, other = server.add_account(), server.add_account()
    old = {f"number old{i}" for i in range(3)}
    new = {f"number new{i}" for i in range(40)}
    large = "x\r\n" * 40000
    for a, all_ in ((account, old), (other, new)):
        for subject in sorted(all_):
            mail.deliver(server, a.name,
                         numbered(subject.split()[1], body=large))
    paths = {}
    for a in (account, other):
        paths[a.name] = str(tmp_path / a.name)
        server.ctl_ok("account", "backup", a.name, paths[a.name])
    seen = {"old": 0, "new": 0}
    now = old
    for i in range(8):
        want = new if now == old else old
        path = paths[other.name if want == new else account.name]
        pid = fault.wait_settled(server, "store")
        p = subprocess.Popen(
            [harness.JMAPCTL, "-c", server.conf_path, "account", "restore",
             account.name, path, "--force"], stderr=subprocess.DEVNULL)
        folder = os.path.join(server.options["data-dir"], "accounts")
        # Points of its life, by what can be seen of it from outside.
        if i % 4 == 0:
            wait_for("it began", lambda: p.poll() is not None or any(
                ".in-" in n for n in os.listdir(folder)))
        elif i % 4 == 1:
            wait_for("it swaps", lambda: p.poll() is not None or any(
                n.endswith((".new", ".old")) for n in os.listdir(folder)))
        elif i % 4 == 2:
            wait_for("it swapped", lambda: p.poll() is not None or any(
                n.endswith(".old") for n in os.listdir(folder)))
        else:
            p.wait(harness.DEADLINE)
        os.kill(pid, signal.SIGKILL)
        ended = p.wait(harness.DEADLINE)
        fault.up_again(server, "store", 0, pid)
        got = ids(server, account)
        assert got in (old, new), (i, got)
        if ended == 0:
            assert got == want, i
        seen["new" if got == want else "old"] += 1
        now = got
        assert all(n.isdigit() for n in os.listdir(folder))
    assert seen["old"] > 0 and seen["new"] > 0, seen
