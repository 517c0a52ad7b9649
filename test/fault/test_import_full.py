"""The disk fills in the middle of an import, a backup or a restore: it ends with a
sentence, nothing is half done, and once there is room it is run again."""

import os

import pytest

import mail
import mailfiles
from jmap import HttpApi
from mailfiles import counts, mbox_of, numbered
from test_disk_full import SmallDisk, can_mount


@pytest.fixture(scope="module")
def server():
    if not can_mount():
        pytest.skip("mounting a tmpfs needs root and unshare(1)")
    with SmallDisk(ws_throttle=20, log_level="info") as s:
        yield s


def leftovers(server):
    return [n for n in os.listdir(server.inside() + "/accounts")
            if not n.isdigit()]


@pytest.mark.parametrize("lines", [2000, 30000], ids=["rows", "files"])
def test_an_import_says_that_the_disk_is_full(server, tmp_path, lines):
    account = server.add_account()
    n = 40
    path = mailfiles.write(tmp_path / "m", mbox_of(
        [numbered(i, body="x\r\n" * lines) for i in range(n)]))
    server.fill()
    p = server.ctl("import", account.name, path)
    assert p.returncode == 1
    assert counts(p)[2] == 0  # it is none of the messages' fault
    assert p.stderr == ("jmapctl: the disk of jmapd is full; run it again to "
                        "go on\n")
    server.free()
    assert server.ctl("import", account.name, path).returncode == 0
    api = HttpApi(server, account)
    assert len(mailfiles.emails(api)) == n
    api.close()
    server.ctl_ok("account", "remove", account.name)


def test_a_backup_and_a_restore_leave_nothing_on_a_full_disk(
        server, tmp_path):
    account = server.add_account()
    for i in range(10):
        mail.deliver(server, account.name, numbered(
            i, body="x\r\n" * (20000 if i % 2 else 2000)))
    path = str(tmp_path / "b.tar")
    server.ctl_ok("account", "backup", account.name, path)
    was = mailfiles.content(server, account)
    server.fill()
    for verb in (["backup", account.name, str(tmp_path / "c.tar")],
                 ["restore", account.name, path, "--force"]):
        p = server.ctl("account", *verb)
        assert p.returncode == 1
        assert p.stderr.startswith("jmapctl: "), p
        assert leftovers(server) == []
    assert os.listdir(tmp_path) == ["b.tar"]
    assert mailfiles.content(server, account) == was
    server.free()
    server.ctl_ok("account", "restore", account.name, path, "--force")
    assert mailfiles.content(server, account) == was
