"""jmapctl account backup, account restore: of a live account."""

import hashlib
import io
import os
import sqlite3
import subprocess
import tarfile
import threading

import pytest

import mail
import mailfiles
from control import Peer
from harness import DEADLINE, wait_for
from jmap import HttpApi, WsApi
from mailfiles import numbered


def backup(server, account, path):
    server.ctl_ok("account", "backup", account.name, str(path))
    return str(path)


def restore(server, account, path, *more):
    return server.ctl("account", "restore", account.name, str(path), *more)


def fill(server, account):
    """Small ones, a large one (a file), keywords, a mailbox."""
    api = HttpApi(server, account)
    for i in range(3):
        mail.deliver(server, account.name, numbered(i))
    mail.deliver(server, account.name, numbered(3, body="line\r\n" * 20000))
    for e in api.emails():
        api.set_keyword(e, "$seen")
    made = api.call("Mailbox/set", {"create": {"x": {"name": "Kept"}}})
    assert made["created"]
    api.close()


def subjects(api):
    return sorted(e["subject"] for e in mailfiles.emails(api).values())


@pytest.fixture(scope="module")
def saved(server, tmp_path_factory):
    """An account, its backup, and what was in it then."""
    account = server.add_account()
    fill(server, account)
    path = backup(server, account,
                  tmp_path_factory.mktemp("backup") / "b.tar")
    return account, path, mailfiles.content(server, account)


# ---- the file -----------------------------------------------------------------------


def test_a_backup_is_a_tar_archive_with_its_checksums(saved):
    _, path, _ = saved
    with tarfile.open(path) as t:
        names = t.getnames()
        sums = t.extractfile("SHA256SUMS").read().decode()
        want = "".join(
            hashlib.sha256(t.extractfile(n).read()).hexdigest() + f"  {n}\n"
            for n in names[:-1])
        assert t.extractfile("mail.db").read(15) == b"SQLite format 3"
    assert names[0] == "mail.db" and names[-1] == "SHA256SUMS"
    assert sum(n.startswith("blobs/") for n in names) == 1
    assert sums == want
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert not os.path.exists(path + ".part")


def test_tar_and_sha256sum_agree(saved, tmp_path):
    _, path, _ = saved
    subprocess.run(["tar", "xf", path, "-C", tmp_path], check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"],
                   cwd=tmp_path, check=True)


def test_a_place_that_cannot_be_written_is_status_1(server, saved):
    p = server.ctl("account", "backup", saved[0].name, "/nonexistent/b.tar")
    assert p.returncode == 1
    assert "/nonexistent/b.tar" in p.stderr


def test_an_account_that_is_not_there_is_status_1(server, saved, tmp_path):
    for verb, path in (("backup", str(tmp_path / "x")), ("restore", saved[1])):
        p = server.ctl("account", verb, "none@example.org", path)
        assert p.returncode == 1
        assert "no account none@example.org" in p.stderr
    assert os.listdir(tmp_path) == []


def test_a_backup_leaves_nothing_in_data_dir(server, saved):
    names = os.listdir(os.path.join(server.options["data-dir"], "accounts"))
    assert all(n.isdigit() for n in names), names


# ---- restored -----------------------------------------------------------------------


def test_a_restored_account_has_the_mail_of_the_backup(server, saved):
    account, path, was = saved
    api = HttpApi(server, account)
    ids = api.emails()
    api.call("Email/set", {"destroy": ids[:3]})
    api.set_keyword(ids[3], "later")
    mail.deliver(server, account.name, numbered("later"))
    assert mailfiles.content(server, account) != was
    p = restore(server, account, path, "--force")
    assert (p.returncode, p.stdout, p.stderr) == (0, "", "")
    assert mailfiles.content(server, account) == was
    # And it goes on: deliveries, changes, search.
    mail.deliver(server, account.name, numbered("after"))
    assert "number after" in subjects(api)
    assert len(api.emails(filter={"subject": "number"})) == 5
    api.close()


def test_the_mail_of_one_account_is_restored_into_another(server, saved):
    """Which is empty: nobody asks."""
    _, path, was = saved
    other = server.add_account()
    assert restore(server, other, path).returncode == 0
    assert mailfiles.content(server, other) == was


def test_mail_is_replaced_by_force_only(server, account, saved):
    mail.deliver(server, account.name, numbered("mine"))
    p = restore(server, account, saved[1])
    assert p.returncode == 1
    assert p.stderr == ("jmapctl: the account has 1 Emails; --force replaces "
                        "them\n")
    api = HttpApi(server, account)
    assert subjects(api) == ["number mine"]
    api.close()


def test_after_a_restore_no_old_state_can_be_answered(server, account, saved):
    """The generation is another one (DESIGN.md 6)."""
    api = HttpApi(server, account)
    mail.deliver(server, account.name)
    old = {t: api.state(t) for t in ("Email", "Mailbox", "Thread")}
    query = api.call("Email/query")["queryState"]
    restore(server, account, saved[1], "--force")
    for t, state in old.items():
        assert (api.error(f"{t}/changes", {"sinceState": state})["type"]
                == "cannotCalculateChanges")
        assert api.state(t).split("-")[0] != state.split("-")[0]
    assert (api.error("Email/queryChanges", {"sinceQueryState": query})["type"]
            == "cannotCalculateChanges")
    api.close()


def test_ids_are_not_used_again_after_a_restore(server, account, tmp_path):
    api = HttpApi(server, account)
    mail.deliver(server, account.name, numbered(1))
    path = backup(server, account, tmp_path / "b.tar")
    mail.deliver(server, account.name, numbered(2))
    before = set(api.emails())
    restore(server, account, path, "--force")
    mail.deliver(server, account.name, numbered(3))
    after = set(api.emails())
    assert len(after) == 2 and len(after & before) == 1
    api.close()


def test_a_live_websocket_lives_on_and_is_told(server, account, saved):
    ws, ws2 = WsApi(server, account), WsApi(server, account)
    ws.enable()
    ws2.enable(["Mailbox"])
    assert restore(server, account, saved[1]).returncode == 0
    got, whole = ws.changes_until(
        ["Email", "Mailbox", "Thread", "EmailDelivery"])
    for t in ("Email", "Mailbox", "Thread"):
        assert got[t] == ws.state(t)
    only, _ = ws2.change()
    assert only == {"Mailbox": got["Mailbox"]}
    assert len(ws.emails()) == 4
    # Later changes are told, too, and by the new token.
    mail.deliver(server, account.name)
    got, _ = ws.changes_until(["Email", "EmailDelivery"])
    assert got["Email"] == ws.state()
    ws2.close()
    ws2 = WsApi(server, account)
    ws2.enable(["Email"], push_state=whole["pushState"])
    assert ws2.change()[0]["Email"] == ws.state()
    ws.close()
    ws2.close()


def test_a_push_state_from_before_gets_all_states(server, account, saved):
    ws = WsApi(server, account)
    ws.enable()
    mail.deliver(server, account.name)
    _, whole = ws.changes_until(["EmailDelivery"])
    ws.close()
    restore(server, account, saved[1], "--force")
    ws = WsApi(server, account)
    ws.enable(push_state=whole["pushState"])
    got, _ = ws.change()
    assert set(got) == {"Email", "Mailbox", "Thread", "EmailDelivery"}
    ws.close()


def test_a_backup_while_deliveries_go_on_is_whole(server, account, tmp_path):
    """Every backup is one moment: of messages that came one after the other it
    has the first ones, without a gap."""
    other = server.add_account()
    sent, stop = [], threading.Event()

    def send():
        while not stop.is_set():
            body = "line\r\n" * (20000 if len(sent) % 4 == 3 else 1)
            mail.deliver(server, account.name, numbered(len(sent), body=body))
            sent.append(1)
    t = threading.Thread(target=send)
    t.start()
    try:
        paths, had = [], []
        while len(paths) < 3 or len(sent) < 10:
            had.append(len(sent))
            paths.append(backup(server, account, tmp_path / str(len(paths))))
    finally:
        stop.set()
        t.join(DEADLINE)
    for path, least in list(zip(paths, had))[-3:]:
        assert restore(server, other, path, "--force").returncode == 0
        api = HttpApi(server, other)
        got = subjects(api)
        api.close()
        assert len(got) >= least
        assert got == sorted(f"number {i}" for i in range(len(got)))


def test_requests_go_on_while_it_is_restored(server, saved):
    """None fails; each sees the one or the other."""
    _, path, _ = saved
    account = server.add_account()
    assert restore(server, account, path).returncode == 0
    errors, stop = [], threading.Event()

    def ask():
        api = HttpApi(server, account)
        while not stop.is_set():
            try:
                assert len(api.emails()) == 4
            except BaseException as e:  # noqa: B036
                errors.append(e)
                return
        api.close()
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        for _ in range(5):
            p = restore(server, account, path, "--force")
            assert p.returncode == 0, p
    finally:
        stop.set()
        for t in threads:
            t.join(DEADLINE)
    assert not errors


# ---- refused ------------------------------------------------------------------------


def members(path):
    with tarfile.open(path) as t:
        return [(m.name, t.extractfile(m).read()) for m in t.getmembers()]


def write_tar(path, files, sums=True):
    """sums: SHA256SUMS is made anew."""
    if sums:
        files = [f for f in files if f[0] != "SHA256SUMS"]
        files.append(("SHA256SUMS", "".join(
            f"{hashlib.sha256(b).hexdigest()}  {n}\n"
            for n, b in files).encode()))
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as t:
        for name, data in files:
            m = tarfile.TarInfo(name)
            m.size = len(data)
            t.addfile(m, io.BytesIO(data))
    return str(path)


def test_a_tar_of_another_program_is_taken(server, account, saved, tmp_path):
    files = [("./" + n, b) for n, b in members(saved[1])]
    path = write_tar(tmp_path / "t", files, sums=False)
    assert restore(server, account, path).returncode == 0
    assert mailfiles.content(server, account) == saved[2]


def damages(path):
    whole = open(path, "rb").read()
    files = members(path)
    db = bytearray(files[0][1])
    db[len(db) // 2] ^= 1
    blob = bytearray(files[1][1])
    blob[5] ^= 1
    yield "cut in the middle", whole[:len(whole) // 2]
    yield "cut in a header", whole[:100]
    yield "without its end", whole[:-1024 - 512]
    yield "empty", b""
    yield "no archive", b"x" * 2048
    yield "a bit of a header", whole[:10] + b"y" + whole[11:]
    yield "database changed", [("mail.db", bytes(db)), *files[1:]]
    yield "message changed", [files[0], (files[1][0], bytes(blob)), files[2]]
    yield "message gone", [files[0], files[2]]
    yield "no sums", files[:2]
    yield "sums first", [files[2], *files[:2]]
    yield "no database", files[1:]
    yield "a file too many", [("x", b"y"), *files]
    yield "a file elsewhere", [("../../mail.db", b"y"), *files]
    yield "message gone, sums anew", [files[0], None]
    yield "no database, sums anew", [("mail.db", b"x" * 5000), files[1], None]


def test_what_is_damaged_is_refused_and_nothing_is_touched(
        server, account, saved, tmp_path):
    mail.deliver(server, account.name, numbered("mine"))
    was = mailfiles.content(server, account)
    for what, bad in damages(saved[1]):
        path = str(tmp_path / "bad")
        if isinstance(bad, bytes):
            mailfiles.write(path, bad)
        else:
            anew = bad[-1] is None
            write_tar(path, bad[:-1] if anew else bad, sums=anew)
        p = restore(server, account, path, "--force")
        assert p.returncode == 1, what
        assert p.stderr.startswith("jmapctl: "), what
        assert mailfiles.content(server, account) == was, what
    names = os.listdir(os.path.join(server.options["data-dir"], "accounts"))
    assert all(n.isdigit() for n in names), names


def test_a_newer_backup_is_refused(server, account, saved, tmp_path):
    files = members(saved[1])
    db = tmp_path / "mail.db"
    db.write_bytes(files[0][1])
    c = sqlite3.connect(db)
    c.execute("PRAGMA journal_mode = DELETE")
    c.execute("PRAGMA user_version = 9999")
    c.commit()
    c.close()
    path = write_tar(tmp_path / "t", [("mail.db", db.read_bytes()),
                                      *files[1:]])
    p = restore(server, account, path)
    assert p.returncode == 1
    assert p.stderr == ("jmapctl: the backup was made by a newer jmapd "
                        "(schema 9999)\n")


def test_a_file_that_is_not_there_is_status_1(server, account):
    p = restore(server, account, "/nonexistent/b.tar")
    assert p.returncode == 1
    assert "/nonexistent/b.tar: No such file" in p.stderr


def test_nothing_else_streams_while_mail_is_restored(server, account):
    importing = Peer(server, "import", account.name).go()
    assert ("import of this account is under way"
            in Peer(server, "account", "restore", account.name).refused())
    importing.sock.close()
    restoring = None

    def again():
        nonlocal restoring
        restoring = Peer(server, "account", "restore", account.name)
        if restoring.recv() == b"G":
            return True
        restoring.sock.close()
        return False
    wait_for("the import's end", again)
    assert ("account restore of this account is under way"
            in Peer(server, "import", account.name).refused())
    other = server.add_account()
    Peer(server, "import", other.name).go().sock.close()
    restoring.sock.close()
