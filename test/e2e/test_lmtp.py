"""LMTP (RFC 2033): what a mail server says, and what becomes of what it sends."""

import re
import subprocess

import pytest

import mail
from jmap import HttpApi
from mail import RawLmtp, deliver, message

OPTIONS = {"max_size_message": 20000}


def one_email(server, account, *properties):
    api = HttpApi(server, account)
    ids = api.emails()
    assert len(ids) == 1, ids
    args = {"ids": ids, "fetchAllBodyValues": True}
    if properties:
        args["properties"] = list(properties)
    (email,) = api.call("Email/get", args)["list"]
    return email


def body_of(server, account):
    """The text of the only part."""
    email = one_email(server, account, "bodyValues", "textBody")
    (value,) = email["bodyValues"].values()
    return value["value"]


def test_lhlo_names_the_features(server):
    with RawLmtp(server, hello=False) as c:
        code, lines = c.say("LHLO client.example")
        assert code == 250
        assert lines[1:] == ["PIPELINING", "8BITMIME", "SMTPUTF8",
                             "ENHANCEDSTATUSCODES", "SIZE 20000"]


@pytest.mark.parametrize("line", ["HELO x", "EHLO x"])
def test_smtp_is_refused(server, line):
    with RawLmtp(server, hello=False) as c:
        assert c.say(line)[0] == 500


def test_every_recipient_has_its_own_reply(server, account):
    other = server.add_account()
    with RawLmtp(server) as c:
        c.envelope(account.name, other.name)
        replies = c.data(message() + b".\r\n", 2)
        assert [r[0] for r in replies] == [250, 250]
        assert c.say("NOOP")[0] == 250
    one_email(server, account)
    one_email(server, other)


def test_an_unknown_user_is_550(server, account):
    with RawLmtp(server) as c:
        c.say("MAIL FROM:<bob@example.net>")
        code, lines = c.say("RCPT TO:<nobody@example.org>")
        assert code == 550 and lines[0].startswith("5.1.1 ")
        assert c.say(f"RCPT TO:<{account.name}>")[0] == 250
        replies = c.data(message() + b".\r\n", 1)
        assert replies[0][0] == 250
        assert c.say("NOOP")[0] == 250


def test_without_a_good_recipient_data_is_503(server):
    with RawLmtp(server) as c:
        c.say("MAIL FROM:<bob@example.net>")
        c.say("RCPT TO:<nobody@example.org>")
        assert c.say("DATA")[0] == 503


@pytest.mark.parametrize("lines, code", [
    (["RCPT TO:<a@example.org>"], 503), (["DATA"], 503),
    (["MAIL FROM:bob"], 501), (["MAIL"], 501), (["NONSENSE"], 500),
    (["MAIL FROM:<>", "MAIL FROM:<>"], 503),
    (["MAIL FROM:<> SIZE=x"], 501), (["MAIL FROM:<> FOO=1"], 555),
    (["VRFY x"], 252), (["RSET"], 250), (["NOOP"], 250)])
def test_commands_out_of_order_or_shape(server, lines, code):
    with RawLmtp(server) as c:
        for line in lines:
            got = c.say(line)[0]
        assert got == code


def test_detail_is_delivered_to_the_account(server, account):
    user, domain = account.name.split("@")
    deliver(server, f"{user}+lists@{domain}")
    one_email(server, account)


def test_the_address_is_found_in_any_case(server, account):
    deliver(server, account.name.upper())
    one_email(server, account)


def headers(server, account, *names):
    got = one_email(server, account, *[f"header:{n}:asRaw:all" for n in names])
    return [got[f"header:{n}:asRaw:all"] for n in names]


def test_trace_fields_are_added(server, account):
    """The size tells them byte for byte, where headers cannot be asked for."""
    data = message()
    with RawLmtp(server) as c:
        host = c.say("LHLO client.example")[1][0]
        c.envelope(account.name)
        assert c.data(data + b".\r\n")[0][0] == 250
    size = one_email(server, account, "size")["size"]
    added = size - len(data)
    fixed = (f"Return-Path: <bob@example.net>\r\n"
             f"Received: from client.example (127.0.0.1:12345)\r\n"
             f"\tby {host} with LMTP\r\n\tfor <{account.name}>;\r\n"
             f"\tTue, 24 Nov 2026 06:00:00 +0000\r\n")
    assert abs(added - len(fixed)) <= 4, (added, len(fixed))


def test_dots_are_unstuffed_byte_exact(server, account):
    body = ".\r\n..\r\n.x\r\nx.\r\n\r\n.\r\n"
    stuffed = "..\r\n...\r\n..x\r\nx.\r\n\r\n..\r\n"
    with RawLmtp(server) as c:
        c.envelope(account.name)
        assert c.data(message(body=stuffed) + b".\r\n")[0][0] == 250
    assert body_of(server, account) == body.replace("\r\n", "\n")


def size_added(server):
    """Bytes of trace fields for a given recipient length, by experiment."""
    account = server.add_account()
    with RawLmtp(server) as c:
        c.envelope(account.name)
        c.data(b"a: b\r\n\r\nx\r\n.\r\n")
    return one_email(server, account, "size")["size"] - len(b"a: b\r\n\r\nx\r\n")


@pytest.mark.parametrize("sent, stored", [
    (b"..\r\n", b".\r\n"), (b"...\r\n", b"..\r\n"),
    (b"a\r\n..b\r\n", b"a\r\n.b\r\n"), (b"a.\r\n", b"a.\r\n"),
    (b"\r\n", b"\r\n"), (b"a\n..\nb\r\n", b"a\n..\nb\r\n"),
    (b"a\n.\nb\r\n", b"a\n.\nb\r\n"), (b"a\r.\rb\r\n", b"a\r.\rb\r\n")])
def test_what_is_stored_has_the_size_of_what_was_meant(server, account, sent,
                                                       stored):
    head = b"a: b\r\n\r\n"
    with RawLmtp(server) as c:
        c.envelope(account.name)
        assert c.data(head + sent + b".\r\n")[0][0] == 250
        assert c.say("NOOP")[0] == 250
    size = one_email(server, account, "size")["size"]
    # The peer's port has 5 digits, and so had the experiment's, or 4.
    assert abs(size - size_added(server) - len(head + stored)) <= 2


def test_a_lone_dot_that_comes_in_pieces_ends_it(server, account):
    with RawLmtp(server) as c:
        c.envelope(account.name)
        assert c.say("DATA")[0] == 354
        c.drip(message(body="x\r\n") + b".\r\n")
        assert c.reply()[0] == 250


def test_a_whole_session_in_one_packet(server, account):
    other = server.add_account()
    with RawLmtp(server, hello=False) as c:
        c.send(b"LHLO x\r\nMAIL FROM:<bob@example.net>\r\n"
               + f"RCPT TO:<{account.name}>\r\nRCPT TO:<no@example.org>\r\n"
               f"RCPT TO:<{other.name}>\r\nDATA\r\n".encode())
        codes = [c.reply()[0] for _ in range(6)]
        assert codes == [250, 250, 250, 550, 250, 354]
        c.send(message() + b".\r\nMAIL FROM:<>\r\n"
               + f"RCPT TO:<{account.name}>\r\n".encode() + b"RSET\r\nQUIT\r\n")
        assert [c.reply()[0] for _ in range(6)] == [250, 250, 250, 250, 250,
                                                    221]
        c.assert_closed()
    one_email(server, account)
    one_email(server, other)


def test_eight_bit_text_survives(server, account):
    data = message(body="Grüße, 日本語\r\n", Content_Type="text/plain; "
                   "charset=utf-8", Content_Transfer_Encoding="8bit")
    with RawLmtp(server) as c:
        assert c.say("MAIL FROM:<bob@example.net> BODY=8BITMIME "
                     "SMTPUTF8")[0] == 250
        c.say(f"RCPT TO:<{account.name}>")
        assert c.data(data + b".\r\n")[0][0] == 250
    assert body_of(server, account) == "Grüße, 日本語\n"


def test_latin1_is_decoded(server, account):
    data = message(Content_Type="text/plain; charset=iso-8859-1",
                   body="") + "Grüße\r\n".encode("latin-1")
    deliver(server, account.name, data)
    assert body_of(server, account) == "Grüße\n"


def test_an_announced_size_over_the_limit_is_552(server):
    with RawLmtp(server) as c:
        code, lines = c.say("MAIL FROM:<bob@example.net> SIZE=20001")
        assert code == 552 and lines[0].startswith("5.3.4 ")
        assert c.say("MAIL FROM:<bob@example.net> SIZE=20000")[0] == 250


@pytest.mark.parametrize("over", [0, 1])
def test_the_size_limit_is_exact(server, account, over):
    head = message(body="")
    lines = b"x" * 70 + b"\r\n"
    data = head + lines * 300
    data = data[:20000 + over - 2] + b"\r\n"
    assert len(data) == 20000 + over
    with RawLmtp(server) as c:
        c.envelope(account.name)
        (code, text), = c.data(data + b".\r\n")
        assert c.say("NOOP")[0] == 250
    if over:
        assert code == 552 and text[0].startswith("5.3.4 ")
        assert HttpApi(server, account).emails() == []
    else:
        assert code == 250


def test_too_big_for_all_recipients(server, account):
    other = server.add_account()
    with RawLmtp(server) as c:
        c.envelope(account.name, other.name)
        replies = c.data(message(body="x" * 70 + "\r\n") * 300 + b".\r\n", 2)
        assert [r[0] for r in replies] == [552, 552]
        c.envelope(account.name)
        assert c.data(message() + b".\r\n")[0][0] == 250


@pytest.mark.parametrize("data", [
    b"", b"\r\n", b"no header at all\r\n", b"\xff\xfe\x00\x01\r\n",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n",
    b"Content-Type: multipart/mixed\r\n\r\nhello\r\n",
    b"Subject: =?utf-8?b?////?=\r\n\r\nx\r\n",
    b"Content-Type: text/plain; charset=klingon\r\n\r\nhello\r\n",
    b"Content-Transfer-Encoding: base64\r\n\r\n!!!not base64\r\n",
    b"From: <<<>>>,,,;:\r\nDate: yesterday\r\n\r\nx\r\n",
    b"A" * 5000 + b"\r\n\r\nx\r\n"])
def test_what_is_no_valid_mail_is_stored_and_shown(server, account, data):
    with RawLmtp(server) as c:
        c.envelope(account.name)
        assert c.data(data + b".\r\n")[0][0] == 250
    email = one_email(server, account)
    assert email["size"] >= len(data)


def test_the_null_sender_is_taken(server, account):
    with RawLmtp(server) as c:
        c.envelope(account.name, sender="")
        assert c.data(message() + b".\r\n")[0][0] == 250
    one_email(server, account)


def test_a_recipient_named_twice_gets_one_copy(server, account):
    with RawLmtp(server) as c:
        c.envelope(account.name, account.name)
        replies = c.data(message() + b".\r\n", 2)
        assert [r[0] for r in replies] == [250, 250]
    one_email(server, account)


def test_many_messages_on_one_connection(server, account):
    with RawLmtp(server) as c:
        for i in range(30):
            c.envelope(account.name)
            assert c.data(message(subject=f"n{i}") + b".\r\n")[0][0] == 250
    assert len(HttpApi(server, account).emails()) == 30


def test_a_client_that_leaves_in_the_middle_leaves_nothing(server, account):
    with RawLmtp(server) as c:
        c.envelope(account.name)
        assert c.say("DATA")[0] == 354
        c.send(message())
    assert HttpApi(server, account).emails() == []
    deliver(server, account.name)
    one_email(server, account)


def test_a_line_without_end_is_500_and_close(server):
    with RawLmtp(server) as c:
        c.send_may_fail(b"NOOP " + b"x" * 100000)
        assert c.reply()[0] == 500
        c.assert_closed()


def test_swaks_delivers(server, account):
    p = subprocess.run(
        ["swaks", "--protocol", "LMTP", "--server",
         f"127.0.0.1:{server.lmtp}", "--from", "bob@example.net", "--to",
         account.name, "--header", "Subject: from swaks", "--body", "hi"],
        capture_output=True, text=True, timeout=60, check=False)
    assert p.returncode == 0, p.stdout
    email = one_email(server, account)
    assert email["subject"] == "from swaks"
    assert re.search(r"<~  250 2\.0\.0|<-  250 2\.0\.0", p.stdout)


def test_a_unix_socket_takes_deliveries():
    import os
    import smtplib
    from harness import Server
    with Server(start=False) as s:
        path = os.path.join(s.dir, "lmtp.sock")
        s.configure(listen=[f"127.0.0.1:{s.http}", f"unix:{path} lmtp"])
        s.start()
        account = s.add_account()
        with smtplib.LMTP(path) as lmtp:
            assert lmtp.sendmail("bob@example.net", [account.name],
                                 mail.message()) == {}
        one_email(s, account)
