"""Too many failed logins are 429 before any password is hashed, by address and by
account, and nobody locks an owner out; each failure is one line of the log, which
fail2ban's filter reads and no client can forge.

Clients come from 127.1.0.0/16, a new address for each test. The window is so long
that nothing is forgiven while a test runs."""

import itertools
import json
import os
import re

import pytest

import harness
from h2conn import H2
from harness import Server, wait_for
from jmap import WsApi
from raw import Raw, basic, request
from rawws import KEY

PER_ADDRESS = 5
PER_ACCOUNT = 3
WINDOW = 75000
OPTIONS = {"login_failures_per_address": PER_ADDRESS,
           "login_failures_per_account": PER_ACCOUNT,
           "login_failure_window": WINDOW, "auth_cache": 0}
CARRIERS = ["plain", "tls", "h2c", "h2"]

_addresses = (f"127.1.{i // 250}.{i % 250 + 1}" for i in itertools.count())
_names = (f"nobody{i}@example.org" for i in itertools.count())


@pytest.fixture
def address():
    return next(_addresses)


def ask(server, source, auth, carrier="plain", method="GET",
        path="/jmap/session", body=None, **fields):
    """The answer, on a connection of its own from that address."""
    tls = carrier in ("tls", "h2")
    port = server.https if tls else server.http
    fields["Authorization"] = auth
    if carrier in ("h2c", "h2"):
        with H2(port, tls, source=source) as c:
            return c.response(c.send(method, path, body, **fields))
    with Raw(port, tls, source=source) as c:
        c.send(request(method, path, body or b"", **fields))
        return c.response()


def handshake(server, source, auth, carrier):
    """The answer to that of a WebSocket."""
    if carrier in ("plain", "tls"):
        return ask(server, source, auth, carrier, path="/jmap/ws",
                   Upgrade="websocket", Connection="Upgrade",
                   Sec_WebSocket_Key=KEY, Sec_WebSocket_Version="13",
                   Sec_WebSocket_Protocol="jmap")
    tls = carrier == "h2"
    with H2(server.https if tls else server.http, tls, source=source) as c:
        return c.response(c.connect("/jmap/ws", Authorization=auth,
                                    Sec_WebSocket_Protocol="jmap"))


def status(server, source, user, password, **kw):
    return ask(server, source, basic(user, password), **kw).status


def fail(server, source, user, n=1):
    """Each with another password."""
    for _ in range(n):
        assert status(server, source, user, next(_names)) == 401


def spray(server, source, n):
    """Each with another name."""
    for _ in range(n):
        assert status(server, source, next(_names), "guess") == 401


def held_up(r, most):
    """Is it the right 429?"""
    assert r.status == 429, r.status
    assert 0 < int(r.get("retry-after")) <= most, r.fields
    assert r.get("content-type") == "application/problem+json"
    assert json.loads(r.body)["status"] == 429
    assert r.all("www-authenticate") == []
    return True


# ---- the limits ----------------------------------------------------------------


@pytest.fixture(scope="module")
def full(server):
    """An address that has had all its failures."""
    source = next(_addresses)
    spray(server, source, PER_ADDRESS)
    return source


REQUESTS = {
    "session": {},
    "well-known": {"path": "/.well-known/jmap"},
    "api": {"method": "POST", "path": "/jmap/api", "body": b"{}",
            "Content_Type": "application/json"},
    "upload": {"method": "POST", "path": "/jmap/upload/u1/", "body": b"x"},
    "download": {"path": "/jmap/download/u1/b1/name"},
    "eventsource": {
        "path": "/jmap/eventsource?types=*&closeafter=no&ping=0"},
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_an_address_is_held_up_whatever_it_asks_for(server, full, carrier):
    auth = basic("alice@example.org", "guess")
    before = server.metric("store", "logins-limited")
    for kw in REQUESTS.values():
        held_up(ask(server, full, auth, carrier, **kw), WINDOW / PER_ADDRESS)
    held_up(handshake(server, full, auth, carrier), WINDOW / PER_ADDRESS)
    held_up(ask(server, full, "Bearer guess", carrier), WINDOW / PER_ADDRESS)
    wait_for("they are counted", lambda: server.metric(
        "store", "logins-limited") == before + len(REQUESTS) + 2)


def test_other_addresses_are_not(server, full, address):
    fail(server, address, "alice@example.org")


def test_no_password_is_hashed_for_who_is_held_up(server, full):
    """A right one is refused as well: nothing was looked at."""
    account = server.add_account(password="right")
    held_up(ask(server, full, basic(account.name, "right")),
            WINDOW / PER_ADDRESS)
    assert f'user="{account.name}"' not in server.log()


def test_an_app_password_is_looked_at_all_the_same(server, full, account):
    """Nobody guesses 256 bits."""
    for auth in (basic(account.name, account.token),
                 "Bearer " + account.token):
        for carrier in CARRIERS:
            assert ask(server, full, auth, carrier).status == 200


def test_an_account_is_held_up_whether_it_is_there_or_not(server):
    there = server.add_account(password="right").name
    for name in (there, "never@example.org"):
        for _ in range(PER_ACCOUNT):
            fail(server, next(_addresses), name)
        for same in (name, name.upper()):
            held_up(ask(server, next(_addresses), basic(same, "guess")),
                    WINDOW / PER_ACCOUNT)


def test_the_same_wrong_credential_counts_once(server, address):
    for _ in range(3 * PER_ADDRESS):
        assert status(server, address, "dave@example.org", "old") == 401
        assert ask(server, address, "Bearer old").status == 401
    assert server.log().count(f"login failed address={address} ") == 2


def test_what_was_wrong_is_right_after_a_change(server, address):
    account = server.add_account(password="old")
    for _ in range(2):
        assert status(server, address, account.name, "new") == 401
    server.ctl_ok("account", "passwd", account.name, "--password-stdin",
                  stdin="new\n")
    assert status(server, address, account.name, "new") == 200
    later = "later@example.org"
    assert status(server, address, later, "pw") == 401
    server.add_account(later, "pw")
    assert status(server, address, later, "pw") == 200


def test_guesses_at_the_same_time_are_no_more_than_others(server, address):
    """They wait for the one hash thread; when the turn of the sixth comes, five
    have failed."""
    with H2(server.http, source=address) as c:
        streams = [c.send("GET", "/jmap/session",
                          Authorization=basic(next(_names), "guess"))
                   for _ in range(4 * PER_ADDRESS)]
        got = [c.response(s).status for s in streams]
    assert sorted(got) == PER_ADDRESS * [401] + 3 * PER_ADDRESS * [429]
    assert server.log().count(
        f"login failed address={address} ") == PER_ADDRESS


def test_a_flood_from_one_address_does_not_hold_up_another():
    """Who comes behind many guesses waits for one of them, not for all."""
    flood, one, n = next(_addresses), next(_addresses), 24
    with Server(login_failures_per_address=0,
                login_failures_per_account=0) as server, \
            H2(server.http, source=flood) as many, \
            H2(server.http, source=one) as c:
        streams = [many.send("GET", "/jmap/session",
                             Authorization=basic(next(_names), "guess"))
                   for _ in range(n)]
        assert c.get("/jmap/session", Authorization=basic(
            "x", "guess")).status == 401
        for s in streams:
            assert many.response(s).status == 401
        failed = re.findall(r"login failed address=(\S+)", server.log())
        assert len(failed) == n + 1
        assert failed.index(one) < n - 1


# ---- the owner -----------------------------------------------------------------


def test_an_owner_is_not_locked_out_by_strangers(server, address):
    account = server.add_account(password="right")
    assert status(server, address, account.name, "right") == 200
    for _ in range(PER_ACCOUNT):
        fail(server, next(_addresses), account.name)
    stranger = next(_addresses)
    assert status(server, stranger, account.name, "right") == 429
    assert status(server, address, account.name, "right") == 200
    # An app password opens a further address.
    assert status(server, stranger, account.name, account.token) == 200
    assert status(server, stranger, account.name, "right") == 200


def test_an_owner_is_not_locked_out_by_neighbours(server, address):
    """Who share the address: behind a proxy all do."""
    account = server.add_account(password="right")
    assert status(server, address, account.name, "right") == 200
    spray(server, address, PER_ADDRESS)
    assert status(server, address, next(_names), "guess") == 429
    assert status(server, address, account.name, "right") == 200


def test_an_owners_address_may_not_guess_without_end(server, address):
    account = server.add_account(password="right")
    assert status(server, address, account.name, "right") == 200
    fail(server, address, account.name, PER_ACCOUNT)
    assert status(server, address, account.name, "right") == 429


def test_what_is_logged_in_or_remembered_goes_on(address):
    with Server(**{**OPTIONS, "auth_cache": 3600,
                   "worker_pool_size": 1}) as server:
        account = server.add_account(password="right")
        ws = WsApi(server, account, auth=basic(account.name, "right"))
        assert status(server, address, account.name, "right") == 200
        fail(server, address, account.name, PER_ACCOUNT)
        fail(server, "127.0.0.1", account.name, PER_ACCOUNT)
        for source in (address, "127.0.0.1"):
            assert status(server, source, account.name, "guess") == 429
            assert status(server, source, account.name, "right") == 200
        # From elsewhere the right one looks like a wrong one.
        assert status(server, next(_addresses), account.name, "right") == 429
        assert ws.call("Mailbox/get", {"ids": []})["list"] == []
        ws.close()


def test_a_reload_changes_the_limits(address):
    with Server(**OPTIONS) as server:
        spray(server, address, PER_ADDRESS)
        assert status(server, address, next(_names), "guess") == 429
        server.reload(login_failures_per_address=0)
        wait_for("all roles know", lambda: status(
            server, address, next(_names), "guess") == 401)
        spray(server, address, PER_ADDRESS)
        server.reload(login_failures_per_address=PER_ADDRESS)
        wait_for("all roles know", lambda: status(
            server, address, next(_names), "guess") == 429)


# ---- the log -------------------------------------------------------------------

FILTER = os.path.join(harness.ROOT, "conf", "fail2ban-jmapd.conf")
# As fail2ban 1.0 writes <ADDR>.
ADDR = (r"(?:::f{4,6}:)?(?P<ip>(?:\d{1,3}\.){3}\d{1,3}"
        r"|\[?(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):)\]?)")


def failregex():
    (line,) = re.findall(r"^failregex = (.*)$", open(
        FILTER, encoding="utf-8").read(), re.M)
    return line


def bans(lines):
    """The addresses that the filter finds. fail2ban cuts the date out of a line
    before it looks."""
    pattern = re.compile(failregex().replace("<ADDR>", ADDR))
    found = []
    for line in lines:
        line = re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "", line)
        m = pattern.search(line)
        if m:
            found.append(m["ip"])
    return found


EVIL = 'login failed address=6.6.6.6 reason=password user="'
LINE = f'20261124T060849Z info store[1] {EVIL}x"'
HOSTILE = [  # without a colon, where a name ends (RFC 7617 2)
    "",
    "plain@example.org",
    "quote\"",
    "backslash\\",
    "\\\" " + EVIL + "x",
    "\" " + EVIL + "x\"",
    EVIL,
    " info store[1] " + EVIL,
    "\n" + LINE,
    "\r\n" + LINE + "\r\n",
    "x\n" + LINE + "\n" + LINE,
    "\x1b[2K\x1b[A" + LINE,
    "\x0b\x0c\x85\u2028" + LINE,
    "snowman \u2603 \U0001f512",
    "long" * 1000,
    "%s%n%d{}<HOST>",
]


@pytest.mark.parametrize("user", HOSTILE, ids=range(len(HOSTILE)))
def test_a_failure_is_one_line_with_the_clients_own_address(
        server, address, user):
    before = len(server.log())
    assert status(server, address, user, "guess") == 401
    lines = server.log()[before:].splitlines()
    assert bans(lines) == [address]
    (line,) = [x for x in lines if "login failed" in x]
    assert line.isascii() and line.isprintable()
    form = (r"\S+Z info store\d*\[\d+\] login failed address=" + address
            + r' reason=password user="((?:[^"\\]|\\[\\"]|\\x[0-9a-f]{2})*)"')
    got = re.fullmatch(form, line)
    assert got, line
    said = got[1].removesuffix("...")  # which none of them ends with
    assert len(said) <= 120
    plain = re.sub(
        rb"\\(?:x(..)|([\\\"]))",
        lambda m: m[2] or bytes([int(m[1], 16)]), said.encode())
    assert user.encode().startswith(plain)
    assert said != got[1] or user.encode() == plain


def test_a_token_has_no_name(server, address):
    before = len(server.log())
    assert ask(server, address, "Bearer guess").status == 401
    lines = server.log()[before:].splitlines()
    assert bans(lines) == [address]
    assert sum(x.endswith(f" login failed address={address} reason=token "
                          'user=""') for x in lines) == 1


def test_nothing_else_that_is_logged_is_taken_for_a_failure(
        server, account, address):
    before = len(server.log())
    other, evil = next(_addresses), EVIL + "again"
    fail(server, address, evil, PER_ACCOUNT)
    fail(server, address, "b", PER_ADDRESS - PER_ACCOUNT)
    assert status(server, address, "c", "guess") == 429
    assert status(server, other, evil, "guess") == 429
    assert status(server, other, account.name, account.token) == 200
    assert ask(server, other, None).status == 401
    lines = server.log()[before:].splitlines()
    assert bans(lines) == PER_ADDRESS * [address]
    limited = [x.partition(" login limit ")[2] for x in lines
               if " login limit " in x]
    assert limited == ['user="' + evil.replace('"', r'\"') + '"',
                       f"address={address}"]


def test_what_a_journal_or_syslog_puts_before_it_is_read_too():
    line = ("2026-11-24T06:08:49.123Z info store[12] login failed address={} "
            'reason=password user="x"')
    for before in ("", "mail jmapd[77]: ", "mail jmapd: ", " mail jmapd[77]: "):
        for a in ("192.0.2.7", "2001:db8::7"):
            assert bans([before + line.format(a)]) == [a]
    for before in ("x", "worker", "mail other[77]: "):
        assert bans([before + line.format("192.0.2.7")]) == []
    assert bans([line.format("unix")]) == []


def test_the_manual_has_the_filter():
    page = open(os.path.join(os.path.dirname(harness.JMAPCTL), "man",
                             "jmapd.8"), encoding="utf-8").read()
    at = page.index("failregex = ")
    shown = page[at:page.index("\n.", at)].replace("\n", "")
    assert shown.replace("\\e", "\\") == "failregex = " + failregex()
