"""jmapctl export: a Maildir++ that imports back to the same mail."""

import mailbox
import os
import stat

import pytest

import mail
import mailfiles
from blob import Blobs, blob_id
from jmap import HttpApi
from mailfiles import counts, numbered

OPTIONS = {"max_size_message": 400000}


def fill(server, account):
    """Everything that a folder or a file's name must be able to say."""
    api = HttpApi(server, account)
    roles = api.mailboxes()
    made = api.call("Mailbox/set", {
        "create": {
            "a": {"name": "Projects", "sortOrder": 7},
            "b": {"name": "v1.2/final & Co", "parentId": "#a"},
            "c": {"name": "Grüße 台北 \U0001f600", "parentId": "#b"},
            "d": {"name": "sent"},
            "e": {"name": "Empty", "isSubscribed": False},
            "f": {"name": "Sub", "parentId": roles["inbox"]},
            "g": {"name": "x" * 255, "parentId": "#a"},
            "h": {"name": ".hidden."},
            "i": {"name": "Spam"}},
        "update": {roles["archive"]: {"name": "Ablage"}}})["created"]
    box = {k: v["id"] for k, v in made.items()} | roles
    raws = [numbered(0), numbered(1, body="bare lf\nand \0\r\n"),
            mailfiles.lf(numbered(2)), numbered(3, body="x" * 300000),
            numbered(4), numbered(5), numbered(6), b"X: no body\r\n",
            numbered(8), numbered(9)]
    where = [["inbox"], ["a"], ["b", "c"], ["c"], ["sent", "d", "f"],
             ["archive"], ["g", "h", "i"], ["drafts"], ["inbox"], ["junk"]]
    keywords = [[], ["$seen"], ["$flagged", "$answered"], ["$forwarded"],
                ["$draft", "work"], ["$junk", "$label1"],
                [f"label{i}" for i in range(40)], ["z"], ["$seen", "work"],
                ["$notjunk"]]
    when = ["2026-11-24T06:00:00Z", "1971-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z", "2099-12-31T23:59:59Z",
            "2020-02-29T12:00:00Z"] * 2
    with Blobs(server, account) as blobs:
        for raw in raws:
            blobs.upload(raw)
    ids = {}
    for i, raw in enumerate(raws):
        got = api.call("Email/import", {"emails": {"x": {
            "blobId": blob_id(raw),
            "mailboxIds": {box[m]: True for m in where[i]},
            "keywords": {k: True for k in keywords[i]},
            "receivedAt": when[i]}}})
        assert got["created"], (i, got)
        ids[i] = got["created"]["x"]["id"]
    api.close()
    return raws


@pytest.fixture(scope="module")
def exported(server, tmp_path_factory):
    """An account that has everything, and what was exported of it."""
    tmp = tmp_path_factory.mktemp("export")
    account = server.add_account()
    raws = fill(server, account)
    directory = str(tmp / "out")
    assert server.ctl_ok("export", account.name, directory) == "exported 10\n"
    return account, directory, raws


def test_an_export_imports_back_to_the_same_mail(server, exported):
    """Mailboxes with their tree and roles; bytes, mailboxes, keywords and
    receivedAt of each Email."""
    account, directory, raws = exported
    other = server.add_account()
    p = server.ctl("import", other.name, directory)
    assert p.returncode == 0, p
    assert counts(p) == [15, 0, 0]  # one for each mailbox that one is in
    boxes, mails = mailfiles.content(server, account)
    boxes2, mails2 = mailfiles.content(server, other)
    assert set(mails) == {blob_id(r) for r in raws}
    assert rename(boxes2) == boxes
    assert {b: (rename_all(m[0]), *m[1:]) for b, m in mails2.items()} == mails


def rename(boxes):
    """One thing is not taken over: a mailbox that has a role keeps its name."""
    return {(("Ablage",), role, order) if role == "archive"
            else (path, role, order) for path, role, order in boxes}


def rename_all(paths):
    return frozenset(("Ablage",) if p == ("Archive",) else p for p in paths)


def test_importing_it_into_the_same_account_changes_nothing(server, exported):
    account, directory, _ = exported
    before = mailfiles.content(server, account)
    p = server.ctl("import", account.name, directory)
    assert (p.returncode, counts(p)) == (0, [0, 15, 0])
    assert mailfiles.content(server, account) == before


def test_it_is_a_maildir_that_others_read(exported):
    """Python's mailbox module: flags, dates, bytes."""
    _, directory, raws = exported
    box = mailbox.Maildir(directory, factory=None, create=False)
    assert {"Projects", "Drafts", "INBOX.Sub", "Empty", "Ablage", "Spam",
            "Projects.v1&AC4-2&AC8-final &- Co"} <= set(box.list_folders())
    got = {m["Subject"]: m for m in box}
    assert set(got) == {"number 0", "number 8"}
    assert "S" in got["number 8"].get_flags()
    assert "S" not in got["number 0"].get_flags()
    (key,) = [k for k in box.keys() if box[k]["Subject"] == "number 0"]
    assert box.get_bytes(key) == raws[0]
    box.lock()
    box.unlock()


def files(directory, folder="."):
    return os.listdir(os.path.join(directory, folder, "cur"))


def test_name_and_mtime_carry_the_received_time(exported):
    _, directory, raws = exported
    (name,) = [n for n in files(directory) if n.endswith(":2,")]
    assert name.startswith("1795500000.M000000Q")
    assert f",S={len(raws[0])}," in name
    path = os.path.join(directory, "cur", name)
    assert os.stat(path).st_mtime == 1795500000
    (old,) = files(directory, ".Drafts")
    assert os.stat(os.path.join(directory, ".Drafts", "cur", old)).st_size == 12


def test_files_are_private_and_none_is_left_in_tmp(exported):
    _, directory, _ = exported
    for folder, _, names in os.walk(directory):
        if os.path.basename(folder) == "tmp":
            assert names == []
        for n in names:
            mode = os.stat(os.path.join(folder, n)).st_mode
            assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700


def test_one_email_in_several_mailboxes_is_one_file(exported):
    _, directory, _ = exported
    (name,) = files(directory, ".sent")
    assert os.stat(os.path.join(directory, ".sent", "cur",
                                name)).st_nlink == 3


def test_a_folder_that_is_not_empty_is_refused(server, account, tmp_path):
    (tmp_path / "x").write_text("mine")
    p = server.ctl("export", account.name, str(tmp_path))
    assert p.returncode == 1
    assert p.stderr == (f"jmapctl: {tmp_path} is not empty; --into writes "
                        "into it\n")
    assert os.listdir(tmp_path) == ["x"]


def test_into_adds_to_what_is_there(server, account, tmp_path):
    """Two accounts in one Maildir, each with keywords of its own."""
    other, third = server.add_account(), server.add_account()
    for a, n, k in ((account, 1, "first"), (other, 2, "second")):
        mail.deliver(server, a.name, subject=f"number {n}")
        api = HttpApi(server, a)
        api.set_keyword(api.emails()[0], k)
        api.close()
        server.ctl_ok("export", a.name, str(tmp_path / "out"), "--into")
    p = server.ctl("import", third.name, str(tmp_path / "out"))
    assert counts(p) == [2, 0, 0]
    api = HttpApi(server, third)
    got = {e["subject"]: e["keywords"]
           for e in mailfiles.emails(api).values()}
    api.close()
    assert got == {"number 1": {"first": True}, "number 2": {"second": True}}


def test_an_empty_account_is_an_empty_maildir(server, account, tmp_path):
    assert server.ctl_ok("export", account.name,
                         str(tmp_path / "out")) == "exported 0\n"
    assert files(tmp_path / "out") == []
    assert files(tmp_path / "out", ".Sent") == []


def test_a_place_that_cannot_be_written_is_status_1(server, account):
    p = server.ctl("export", account.name, "/nonexistent/out")
    assert p.returncode == 1
    assert "/nonexistent/out" in p.stderr


def test_an_account_that_is_not_there_is_status_1(server, tmp_path):
    p = server.ctl("export", "none@example.org", str(tmp_path / "out"))
    assert p.returncode == 1
    assert "no account none@example.org" in p.stderr
    assert not os.path.exists(tmp_path / "out")
