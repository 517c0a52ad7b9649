"""jmapctl import: one message, an mbox, a Maildir; what becomes of each message.
test_import_control.py has what the control socket makes of a peer that lies."""

import os
import pty
import subprocess
import threading

import pytest

import harness
import mail
import mailfiles
from blob import Blobs, blob_id
from jmap import HttpApi, WsApi
from mailfiles import counts, make_maildir, mbox_of, numbered, put

OPTIONS = {"max_size_message": 200000}


def done(server, account, path, *more, want):
    """An import that must end well, with these counts."""
    p = server.ctl("import", account.name, str(path), *more)
    assert (p.returncode, counts(p), p.stderr) == (0, want, ""), p
    return p


def by_subject(server, account, **properties):
    api = HttpApi(server, account)
    box = mailfiles.paths(api)
    found = {}
    for e in mailfiles.emails(api).values():
        assert e["subject"] not in found
        e["in"] = {"/".join(box[i][0]) for i in e["mailboxIds"]}
        found[e["subject"]] = e
    api.close()
    return found


# ---- one message ---------------------------------------------------------------


def test_a_message_goes_to_the_inbox(server, account, tmp_path):
    raw = numbered(1)
    path = mailfiles.write(tmp_path / "one.eml", raw)
    done(server, account, path, want=[1, 0, 0])
    e = by_subject(server, account)["number 1"]
    assert e["blobId"] == blob_id(raw)
    assert e["in"] == {"Inbox"}
    assert e["keywords"] == {}
    assert e["receivedAt"] == "2026-11-24T06:00:00Z"  # its Date


def test_a_message_with_lf_is_stored_with_crlf(server, account, tmp_path):
    raw = numbered(1)
    path = mailfiles.write(tmp_path / "x", mailfiles.lf(raw))
    done(server, account, path, want=[1, 0, 0])
    assert by_subject(server, account)["number 1"]["blobId"] == blob_id(raw)


def test_a_message_with_crlf_is_stored_as_it_is(server, account, tmp_path):
    raw = numbered(1, body="bare\nand \0 and \r\r\n\xff")
    done(server, account, mailfiles.write(tmp_path / "x", raw),
         want=[1, 0, 0])
    assert by_subject(server, account)["number 1"]["blobId"] == blob_id(raw)


def test_the_topmost_received_is_when_it_came(server, account, tmp_path):
    raw = (b"Received: from a by b; Mon, 1 Jan 2024 10:00:00 +0100\r\n"
           b"Received: from c by a; Sun, 31 Dec 2023 10:00:00 +0100\r\n"
           + numbered(1))
    done(server, account, mailfiles.write(tmp_path / "x", raw), want=[1, 0, 0])
    assert (by_subject(server, account)["number 1"]["receivedAt"]
            == "2024-01-01T09:00:00Z")


def test_import_is_no_delivery(server, account, tmp_path):
    """EmailDelivery does not change (RFC 8621 1.5)."""
    ws = WsApi(server, account)
    ws.enable()
    done(server, account, mailfiles.write(tmp_path / "x", numbered(1)),
         want=[1, 0, 0])
    got, _ = ws.changes_until(["Email", "Mailbox", "Thread"])
    assert "EmailDelivery" not in got
    ws.close()


# ---- --mailbox ------------------------------------------------------------------


def test_mailbox_names_where_it_goes(server, account, tmp_path):
    path = mailfiles.write(tmp_path / "x", numbered(1))
    done(server, account, path, "--mailbox", "Lists/C Programming",
         want=[1, 0, 0])
    assert (by_subject(server, account)["number 1"]["in"]
            == {"Lists/C Programming"})
    done(server, account, path, "--mailbox", "Lists/C Programming",
         want=[0, 1, 0])


def test_a_standard_name_is_the_mailbox_with_that_role(
        server, account, tmp_path):
    api = HttpApi(server, account)
    boxes = api.mailboxes()
    api.call("Mailbox/set", {"update": {boxes["sent"]: {"name": "Gesendet"}}})
    for i, (name, role) in enumerate([
            ("INBOX", "inbox"), ("inbox", "inbox"), ("sent", "sent"),
            ("Sent Items", "sent"), ("Trash", "trash"), ("Spam", "junk"),
            ("Junk", "junk"), ("Drafts", "drafts"), ("Archive", "archive")]):
        raw = numbered(i)
        done(server, account, mailfiles.write(tmp_path / "x", raw),
             "--mailbox", name, want=[1, 0, 0])
        e = mailfiles.emails(api)[blob_id(raw)]
        assert list(e["mailboxIds"]) == [boxes[role]], name
    assert len(api.call("Mailbox/get")["list"]) == 6
    api.close()


# ---- mbox -----------------------------------------------------------------------


def test_an_mbox_becomes_its_messages(server, account, tmp_path):
    raws = [numbered(i, body=b.replace("\n", "\r\n")) for i, b in enumerate([
        "From here\n>From there\n>>From far\n", "\n\nFrom\n \n",
        "no end", "x\n\n\n\n"])]
    done(server, account, mailfiles.write(tmp_path / "m", mbox_of(raws)),
         want=[4, 0, 0])
    got = by_subject(server, account)
    # The line end that an mbox needs and the message had not.
    raws[2] += b"\r\n"
    for i, raw in enumerate(raws):
        e = got[f"number {i}"]
        assert e["blobId"] == blob_id(raw), i
        assert e["receivedAt"] == "1996-01-03T01:05:34Z"  # the From_ line's


def test_an_mbox_whose_from_lines_have_no_date(server, account, tmp_path):
    raws = [numbered(i) for i in range(3)]
    done(server, account, mailfiles.write(
        tmp_path / "m", mbox_of(raws, b"From ???@???")), want=[3, 0, 0])
    got = by_subject(server, account)
    assert {e["receivedAt"] for e in got.values()} == {"2026-11-24T06:00:00Z"}


def test_status_fields_of_an_mbox_are_keywords(server, account, tmp_path):
    fields = [(b"Status: RO", {"$seen"}),
              (b"Status: O", set()),
              (b"X-Status: AFT", {"$answered", "$flagged", "$draft"}),
              (b"status: R\r\nx-status: D\r\nX-Keywords: Work todo", {
                  "$seen", "work", "todo"}),
              (b"X-Keywords: no, list", set())]
    raws = [f + b"\r\n" + numbered(i) for i, (f, _) in enumerate(fields)]
    path = mailfiles.write(tmp_path / "m", mbox_of(raws))
    p = server.ctl("import", account.name, path)
    assert (p.returncode, counts(p)) == (0, [5, 0, 0])
    assert p.stderr.startswith("1 marked as deleted (")
    got = by_subject(server, account)
    for i, (_, keywords) in enumerate(fields):
        e = got[f"number {i}"]
        assert set(e["keywords"]) == keywords, i
        assert e["blobId"] == blob_id(raws[i])


def test_status_fields_of_a_message_alone_are_none(server, account, tmp_path):
    raw = b"Status: RO\r\nX-Status: F\r\nX-Keywords: a\r\n" + numbered(1)
    done(server, account, mailfiles.write(tmp_path / "x", raw),
         want=[1, 0, 0])
    assert by_subject(server, account)["number 1"]["keywords"] == {}


def test_an_empty_file_is_an_empty_mbox(server, account, tmp_path):
    done(server, account, mailfiles.write(tmp_path / "m", b""),
         want=[0, 0, 0])


def test_a_failure_in_an_mbox_says_where_it_stands(server, account, tmp_path):
    """And all others are there."""
    raws = [numbered(0), numbered(1, body="x" * 250000), numbered(2)]
    box = mbox_of(raws)
    path = mailfiles.write(tmp_path / "m", box)
    p = server.ctl("import", account.name, path)
    assert (p.returncode, counts(p)) == (1, [2, 0, 1])
    second = len(mbox_of(raws[:1]))
    assert p.stderr == (f"failed: {path} at {second}: it is larger than "
                        "max-size-message\n")
    assert set(by_subject(server, account)) == {"number 0", "number 2"}


# ---- Maildir --------------------------------------------------------------------


@pytest.fixture
def maildir(tmp_path):
    return make_maildir(str(tmp_path / "md"))


def test_info_flags_become_keywords(server, account, maildir):
    flags = {"S": "$seen", "R": "$answered", "F": "$flagged", "D": "$draft",
             "P": "$forwarded"}
    for i, f in enumerate(flags):
        put(maildir, f"{1700000000 + i}.a:2,{f}", numbered(f))
    put(maildir, "1700000009.a:2,DFPRS", numbered("all"))
    put(maildir, "1700000010.a", numbered("none"), sub="new")
    done(server, account, maildir, want=[7, 0, 0])
    got = by_subject(server, account)
    for f, keyword in flags.items():
        assert got[f"number {f}"]["keywords"] == {keyword: True}
    assert set(got["number all"]["keywords"]) == set(flags.values())
    assert got["number none"]["keywords"] == {}


def test_trashed_ones_are_imported_and_that_is_said(server, account, maildir):
    put(maildir, "1700000000.a:2,ST", numbered(1))
    p = server.ctl("import", account.name, maildir)
    assert (p.returncode, counts(p)) == (0, [1, 0, 0])
    assert p.stderr.startswith("1 marked as deleted (")
    assert by_subject(server, account)["number 1"]["keywords"] == {
        "$seen": True}


def test_letters_are_keywords_of_dovecot(server, account, maildir):
    with open(os.path.join(maildir, "dovecot-keywords"), "w",
              encoding="ascii") as f:
        f.write("0 $Label1\n2 NonJunk\n3 not(valid)\n")
    put(maildir, "1700000000.a:2,Sacdz", numbered(1))
    done(server, account, maildir, want=[1, 0, 0])
    assert set(by_subject(server, account)["number 1"]["keywords"]) == {
        "$seen", "$label1", "nonjunk"}


def test_the_time_is_in_the_name_or_the_files(server, account, maildir):
    put(maildir, "1700000000.M250000P1.a:2,", numbered("name"))
    put(maildir, "whatever:2,", numbered("file"))
    os.utime(os.path.join(maildir, "cur", "whatever:2,"),
             (1600000000, 1600000000))
    done(server, account, maildir, want=[2, 0, 0])
    got = by_subject(server, account)
    assert got["number name"]["receivedAt"] == "2023-11-14T22:13:20Z"
    assert got["number file"]["receivedAt"] == "2020-09-13T12:26:40Z"


def test_folders_become_mailboxes_of_the_tree(server, account, maildir):
    names = {".Lists": "Lists", ".Lists.C": "Lists/C",
             ".Entw&APw-rfe": "Entwürfe", ".A.B.C": "A/B/C",
             ".Sent": "Sent", ".INBOX.Sub": "Inbox/Sub",
             ".&U,BTFw-": "台北", ".Größe": "Größe", ".Empty": "Empty"}
    for n in names:
        make_maildir(os.path.join(maildir, n))
        if n != ".Empty":
            put(os.path.join(maildir, n), "1700000000.a:2,", numbered(n))
    os.makedirs(os.path.join(maildir, ".notmail"))
    done(server, account, maildir, want=[len(names) - 1, 0, 0])
    got = by_subject(server, account)
    for n, path in names.items():
        if n != ".Empty":
            assert got[f"number {n}"]["in"] == {path}, n
    api = HttpApi(server, account)
    all_ = {"/".join(p) for p, _, _ in mailfiles.paths(api).values()}
    api.close()
    assert all_ == {*names.values(), "A", "A/B", "Inbox", "Drafts", "Archive",
                    "Junk", "Trash"}


def test_a_maildir_goes_below_the_mailbox_that_is_named(
        server, account, maildir):
    make_maildir(os.path.join(maildir, ".Sent"))
    put(maildir, "1700000000.a:2,", numbered(1))
    put(os.path.join(maildir, ".Sent"), "1700000000.a:2,", numbered(2))
    done(server, account, maildir, "--mailbox", "Old", want=[2, 0, 0])
    got = by_subject(server, account)
    assert got["number 1"]["in"] == {"Old"}
    assert got["number 2"]["in"] == {"Old/Sent"}


def test_failures_in_a_maildir_have_their_reasons(server, account, maildir):
    put(maildir, "1.empty:2,", b"")
    put(maildir, "2.large:2,", numbered(1, body="x" * 250000))
    put(maildir, "3.good:2,", numbered(3))
    os.symlink("/nonexistent", os.path.join(maildir, "cur", "4.lost:2,"))
    os.mkdir(os.path.join(maildir, "cur", "5.folder:2,"))
    deep = os.path.join(maildir, "." + ".".join("abcdefghijklmnopqrs"))
    make_maildir(deep)
    put(deep, "6.deep:2,", numbered(6))
    p = server.ctl("import", account.name, maildir)
    assert (p.returncode, counts(p)) == (1, [1, 0, 5])
    assert sorted(p.stderr.splitlines()) == sorted([
        f"failed: {maildir}/cur/1.empty:2,: it is empty",
        f"failed: {maildir}/cur/2.large:2,: it is larger than "
        "max-size-message",
        f"failed: {maildir}/cur/4.lost:2,: open: No such file or directory",
        f"failed: {maildir}/cur/5.folder:2,: it is no file",
        f"failed: {deep}/cur/6.deep:2,: the mailboxes are nested too deeply"])
    assert set(by_subject(server, account)) == {"number 3"}


# ---- no doubles -----------------------------------------------------------------


def test_what_is_there_is_skipped(server, account, maildir):
    for i in range(5):
        put(maildir, f"{1700000000 + i}.a:2,", numbered(i))
    done(server, account, maildir, want=[5, 0, 0])
    put(maildir, "1700000009.a:2,", numbered(9))
    done(server, account, maildir, want=[1, 5, 0])
    assert len(by_subject(server, account)) == 6


def test_what_was_delivered_is_skipped(server, account, tmp_path):
    mail.deliver(server, account.name, numbered(1))
    api = HttpApi(server, account)
    (e,) = mailfiles.emails(api)
    api.close()
    with Blobs(server, account) as c:
        raw = c.download(e).body
    assert raw != numbered(1)  # the server's trace fields
    done(server, account, mailfiles.write(tmp_path / "x", raw), want=[0, 1, 0])


def test_two_of_the_same_in_one_import_are_one(server, account, maildir):
    raw = numbered(1)
    put(maildir, "1700000000.a:2,", raw)
    put(maildir, "1700000001.a:2,", raw)
    done(server, account, maildir, want=[1, 1, 0])


def test_the_same_in_two_folders_is_one_email_in_two_mailboxes(
        server, account, maildir):
    """With the keywords of both."""
    raw = numbered(1)
    make_maildir(os.path.join(maildir, ".Copy"))
    put(maildir, "1700000000.a:2,S", raw)
    put(os.path.join(maildir, ".Copy"), "1700000000.a:2,F", raw)
    done(server, account, maildir, want=[2, 0, 0])
    e = by_subject(server, account)["number 1"]
    assert e["in"] == {"Inbox", "Copy"}
    assert set(e["keywords"]) == {"$seen", "$flagged"}
    done(server, account, maildir, want=[0, 2, 0])


def test_mailbox_counts_are_exact_after_an_import(server, account, maildir):
    make_maildir(os.path.join(maildir, ".Copy"))
    for i in range(300):  # more than a batch
        put(maildir, f"{1700000000 + i}.a:2,{'S' if i % 3 else ''}",
            numbered(i))
        if i % 2:
            put(os.path.join(maildir, ".Copy"), f"{1700000000 + i}.a:2,S",
                numbered(1000 + i))
    done(server, account, maildir, want=[450, 0, 0])
    api = HttpApi(server, account)
    got = {m["name"]: (m["totalEmails"], m["unreadEmails"])
           for m in api.call("Mailbox/get")["list"]}
    api.close()
    assert got["Inbox"] == (300, 100)
    assert got["Copy"] == (150, 0)


def test_replies_are_threaded(server, account, tmp_path):
    first = mail.message(subject="Plan", Message_ID="<a@x>")
    reply = mail.message(subject="Re: Plan", Message_ID="<b@x>",
                         In_Reply_To="<a@x>")
    done(server, account, mailfiles.write(
        tmp_path / "m", mbox_of([reply, first])), want=[2, 0, 0])
    api = HttpApi(server, account)
    got = api.call("Email/get", {"ids": api.emails(),
                                 "properties": ["threadId"]})["list"]
    api.close()
    assert len({e["threadId"] for e in got}) == 1


def test_what_was_imported_is_found_by_its_text(server, account, tmp_path):
    done(server, account, mailfiles.write(
        tmp_path / "x", numbered(1, body="a marmoset\r\n")), want=[1, 0, 0])
    api = HttpApi(server, account)
    assert len(api.emails(filter={"text": "marmoset"})) == 1
    api.close()


# ---- what is refused --------------------------------------------------------------


def test_what_is_no_mail_is_refused(server, account, tmp_path):
    os.makedirs(tmp_path / "dir")
    for path in (mailfiles.write(tmp_path / "x", b"\x7fELF and so on"),
                 str(tmp_path / "dir"), "/dev/null"):
        p = server.ctl("import", account.name, path)
        assert p.returncode == 1
        assert p.stderr == (f"jmapctl: {path} is no message, no mbox and no "
                            "Maildir\n")


def test_a_path_that_is_not_there_is_refused(server, account):
    p = server.ctl("import", account.name, "/nonexistent/x")
    assert p.returncode == 1
    assert "No such file" in p.stderr


def test_an_account_that_is_not_there_is_refused(server, tmp_path):
    p = server.ctl("import", "none@example.org",
                   mailfiles.write(tmp_path / "x", numbered(1)))
    assert p.returncode == 1
    assert p.stderr == "jmapctl: there is no account none@example.org\n"


@pytest.mark.parametrize("args", [
    ["import"], ["import", "a@example.org"],
    ["import", "a@example.org", "x", "y"],
    ["import", "a@example.org", "x", "--force"],
    ["export", "a@example.org"], ["export", "a@example.org", "x", "--mailbox",
                                  "y"],
    ["account", "backup", "a@example.org"],
    ["account", "backup", "a@example.org", "x", "--into"],
    ["account", "restore", "a@example.org"]])
def test_usage_is_status_2(server, args):
    p = server.ctl(*args)
    assert p.returncode == 2
    assert p.stdout == "" and p.stderr


def test_usage_names_the_verbs(server):
    text = server.ctl("--help").stderr
    for words in ("import ADDRESS PATH [--mailbox NAME]",
                  "export ADDRESS DIR [--into]",
                  "account backup ADDRESS FILE",
                  "account restore ADDRESS FILE [--force]"):
        assert words in text


# ---- progress, and who watches ----------------------------------------------------


def run_on_terminal(server, *args):
    """Its standard error is a terminal; what it wrote there."""
    ours, theirs = pty.openpty()
    p = subprocess.Popen([harness.JMAPCTL, "-c", server.conf_path, *args],
                         stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the last who had it open is gone
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    out, _ = p.communicate(timeout=harness.DEADLINE)
    return p.returncode, out, seen.decode()


def test_a_terminal_shows_progress(server, account, tmp_path):
    path = mailfiles.write(tmp_path / "m",
                           mbox_of([numbered(i) for i in range(50)]))
    status, out, seen = run_on_terminal(server, "import", account.name, path)
    assert (status, out.splitlines()[0]) == (0, "imported 50")
    assert "%" in seen and "messages" in seen
    assert seen.endswith("\r\x1b[K")  # nothing is left of it


def test_a_live_websocket_is_told_while_it_goes_on(server, account, maildir):
    for i in range(600):  # three commits
        put(maildir, f"{1700000000 + i}.a:2,", numbered(i))
    ws = WsApi(server, account)
    ws.enable(["Email"])
    done(server, account, maildir, want=[600, 0, 0])
    now = ws.state()
    told = ws.change()[0]["Email"]
    while told != now:
        told = ws.change()[0]["Email"]
    assert ws.call("Email/query", {"limit": 1, "calculateTotal": True})[
        "total"] == 600
    ws.close()


def test_imports_into_two_accounts_go_side_by_side(server, tmp_path):
    accounts = [server.add_account() for _ in range(3)]
    path = mailfiles.write(tmp_path / "m",
                           mbox_of([numbered(i) for i in range(400)]))
    got = {}

    def one(a):
        got[a.name] = server.ctl("import", a.name, path)
    threads = [threading.Thread(target=one, args=(a,)) for a in accounts]
    for t in threads:
        t.start()
    for t in threads:
        t.join(harness.DEADLINE)
    assert [counts(got[a.name]) for a in accounts] == [[400, 0, 0]] * 3
