"""The control socket, when it carries contents: a peer that lies, one that goes,
one that does not read."""

import json

import pytest

import mail
import mailfiles
from control import Peer
from harness import wait_for
from jmap import HttpApi
from mailfiles import numbered

OPTIONS = {"max_size_message": 200000}


@pytest.fixture(scope="module")
def account(server):
    """One for all: what is refused leaves nothing in it."""
    return server.add_account()


def emails(server, account):
    api = HttpApi(server, account)
    got = api.emails()
    api.close()
    return got


# ---- the protocol -----------------------------------------------------------------

LIES = {
    "of no kind": lambda p: p.send(b"?"),
    "bytes of no message": lambda p: p.send(b"Bx"),
    "a folder that is cut": lambda p: p.send(b"Fxx"),
    "whose name is none": lambda p: p.folder(b""),
    "a folder whose name": lambda p: p.folder(b"\xff\xfe"),
    "whose name is": lambda p: p.folder(b"x" * 2000),
    "parent did not come": lambda p: p.folder(parent=7),
    "folder that is cut": lambda p: p.folder(role_n=1000),
    "name is none": lambda p: p.folder(role=b"In Box"),
    "folder that did not come": lambda p: p.message(b"a: b\r\n"),
    "that did not come": lambda p: (p.folder(), p.message(b"a", folder=0)),
    "message that is cut": lambda p: (p.folder(),
                                      p.message(b"a", folders=2)),
    "that is cut": lambda p: p.send(b"Mx"),
    "is cut": lambda p: (p.folder(),
                         p.message(b"a", keywords_n=4000000000)),
    "max-size-message": lambda p: (p.folder(),
                                   p.message(b"a", size=1 << 60)),
    "larger than max-size-message": lambda p: (p.folder(),
                                               p.message(b"", size=0)),
    "longer than it said": lambda p: (p.folder(), p.message(b"ab", size=1)),
    "in the middle of another": lambda p: (
        p.folder(), p.message(b"a", size=9), p.message(b"a")),
    "in the middle of a message": lambda p: (
        p.folder(), p.message(b"a", size=9), p.folder()),
    "ends in a message": lambda p: (
        p.folder(), p.message(b"a", size=9), p.send(b"E")),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_ends_the_stream_with_a_sentence(server, account, lie):
    peer = Peer(server, "import", account.name).go()
    LIES[lie](peer)
    assert lie in peer.refused()


def test_what_was_refused_left_nothing(server, account):
    assert emails(server, account) == []


def test_words_that_are_no_account_are_refused(server):
    for words in (["import"], ["import", ""], ["import", "x\n"],
                  ["account", "backup", "y" * 3000]):
        assert "no account" in Peer(server, *words).refused()


def test_more_than_four_streams_are_refused(server, account):
    peers = [Peer(server, "import", account.name).go() for _ in range(4)]
    assert "under way" in Peer(server, "import", account.name).refused()
    for p in peers:
        p.sock.close()

    def again():
        p = Peer(server, "import", account.name)
        got = p.recv()
        p.sock.close()
        return got == b"G"
    wait_for("room for one more", again)


def test_a_peer_that_goes_leaves_no_half_message(server, account):
    peer = Peer(server, "import", account.name).go()
    peer.folder()
    peer.message(b"Subject: x\r\n", size=100)
    peer.sock.close()
    wait_for("its end", lambda: "the peer is gone" in server.log())
    assert emails(server, account) == []


def test_a_peer_that_does_not_read_holds_up_nobody(server, account, tmp_path):
    """It owes the store its answers; others go on."""
    peer = Peer(server, "import", account.name).go()
    peer.folder()
    for i in range(256):
        peer.message(numbered(i))
    server.ctl_ok("import", account.name,
                  mailfiles.write(tmp_path / "x", numbered("x")))
    mail.deliver(server, account.name)
    peer.send(b"E")
    assert peer.recv() == b"R" + b"\0\0" * 256
    assert peer.recv() == b"k"
    peer.sock.close()


def test_status_is_asked_on_a_connection_of_its_own(server, account):
    """The master keeps no stream: it answers others meanwhile."""
    peer = Peer(server, "import", account.name).go()
    assert json.loads(server.ctl_ok("status", "--json"))
    peer.send(b"E")
    assert peer.recv() == b"k"
    peer.sock.close()
