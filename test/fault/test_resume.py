"""A client that comes back with its pushState hears exactly what it missed, whoever
died meanwhile."""

import os
import signal

import pytest

import fault
import harness
from jmap import HttpApi, WsApi
from mail import deliver

DEATHS = {"nobody": [], "store": ["store"], "worker": ["worker"],
          "everybody": ["store", "worker"]}


@pytest.fixture(scope="module")
def server():
    with harness.Server(allow_deaths=True, worker_pool_size=1, ws_throttle=20,
                        log_level="info") as s:
        yield s


@pytest.fixture
def api(server, account):
    deliver(server, account.name)
    a = HttpApi(server, account)
    yield a
    a.close()


@pytest.fixture(params=DEATHS)
def die(request, server):
    """Kills who is to die, and waits until all are back."""
    def fn():
        names = DEATHS[request.param]
        old = {n: fault.wait_settled(server, n) for n in names}
        for pid in old.values():
            os.kill(pid, signal.SIGKILL)
        for n, pid in old.items():
            fault.up_again(server, n, 0, pid)
    return fn


def make_mailbox(server, account, name):
    """Changes Mailbox and nothing else; on a connection of its own, since the
    one before may have died."""
    api = HttpApi(server, account)
    got = api.call("Mailbox/set", {"create": {"m": {"name": name}}})
    assert got["created"]["m"]["id"]
    newest = fault.states(api)
    api.close()
    return newest


def token_of(server, account):
    """A client's last pushState; it has left."""
    ws = WsApi(server, account)
    ws.enable()
    newest = make_mailbox(server, account, "before")
    got, message = ws.change()
    assert got == {"Mailbox": newest["Mailbox"]}
    ws.close()
    return message["pushState"]


def test_it_hears_the_type_that_changed(server, account, api, die):
    token = token_of(server, account)
    newest = make_mailbox(server, account, "while away")
    die()
    ws = WsApi(server, account)
    ws.enable(push_state=token)
    got, message = ws.change()
    assert got == {"Mailbox": newest["Mailbox"]}
    assert fault.modseq(message["pushState"]) == fault.modseq(got["Mailbox"])
    ws.close()


def test_it_hears_nothing_when_nothing_changed(server, account, api, die):
    token = token_of(server, account)
    die()
    ws = WsApi(server, account)
    ws.enable(push_state=token)
    newest = make_mailbox(server, account, "later")
    got, _ = ws.change()  # the first one that it hears
    assert got == {"Mailbox": newest["Mailbox"]}
    ws.close()


def test_it_hears_of_a_delivery(server, account, api, die):
    token = token_of(server, account)
    deliver(server, account.name, subject="while away")
    die()
    ws = WsApi(server, account)
    ws.enable(push_state=token)
    got, _ = ws.change()
    newest = fault.states(ws)
    assert {t: got[t] for t in newest} == newest
    ws.close()


def test_a_type_that_it_does_not_watch_is_none_of_its_business(
        server, account, api, die):
    token = token_of(server, account)
    make_mailbox(server, account, "while away")
    die()
    ws = WsApi(server, account)
    ws.enable(["Email"], push_state=token)
    deliver(server, account.name, subject="later")
    got, _ = ws.change()
    assert got == {"Email": ws.state("Email")}
    ws.close()


def test_one_that_stayed_hears_of_a_change_that_no_store_told(
        server, account, api):
    """The store dies with the commit on disk and the notice untold, for all that
    a worker knows: baselines are compared."""
    ws = WsApi(server, account)
    ws.enable()
    for i in range(3):
        old = fault.wait_settled(server, "store")
        os.kill(old, signal.SIGKILL)
        newest = make_mailbox(server, account, f"while it dies {i}")
        got, _ = ws.change()
        assert got == {"Mailbox": newest["Mailbox"]}
    assert not ws.closed
    ws.close()
