"""Caps of connections, of an account and of an address: counted over both workers
together, and what is over them is told so: 1013, 429, GOAWAY."""

import json
import os
import signal
import struct

import pytest

from events import CARRIERS, Source, path_of
from h2conn import H2, H2Ws
from harness import Server, wait_for
from mail import deliver
from raw import Raw, basic, request
from rawws import CLOSE, PING, PONG, RawWs

CAP = 4
UNLIMITED = {"max_connections_per_account": 0, "max_connections_per_address": 0}
OTHER = "127.0.0.2"  # another address of ours


@pytest.fixture(scope="module")
def server():
    # Nobody here answers Pings, nor asks anything more of a connection.
    with Server(allow_deaths=True, worker_pool_size=2, http_timeout=600,
                ws_client_timeout=600, ws_heartbeat_interval=300) as s:
        yield s


@pytest.fixture(autouse=True)
def all_gone(server):
    """Each test begins with nobody there."""
    yield
    server.reload(**UNLIMITED)
    wait_for("all are gone", lambda: not server.metric("worker", "connections"))


@pytest.fixture
def conns():
    """Whatever a test opens, in order."""
    all_of_them = []
    yield all_of_them
    for c in all_of_them:
        c.close()


@pytest.fixture(params=CARRIERS)
def carrier(request):
    return request.param


def port_of(server, carrier):
    return server.https if carrier in ("tls", "h2") else server.http


def is_tls(carrier):
    return carrier in ("tls", "h2")


def open_ws(server, account, carrier="plain", **kw):
    make = H2Ws if carrier in ("h2c", "h2") else RawWs
    return make(port_of(server, carrier), "/jmap/ws", tls=is_tls(carrier),
                account=account, **kw)


def is_in(ws):
    """A Ping is answered by who is in; else the Close is 1013."""
    try:
        ws.frame(PING, b"?")
    except ConnectionError:
        pass  # its Close may be here, and its end
    _, _, opcode, payload = ws.read_frame()
    if opcode == CLOSE:
        assert struct.unpack(">H", payload[:2]) == (1013,)
        assert b"connections" in payload[2:]
        return False
    assert (opcode, payload) == (PONG, b"?")
    return True


def enter(conns, ws):
    """Was it let in? Then it stays."""
    if is_in(ws):
        conns.append(ws)
        return True
    ws.close()
    return False


def open_source(server, account, carrier):
    """The answer of an EventSource that is refused."""
    fields = {"Authorization": basic(account.name, account.token)}
    if carrier in ("h2c", "h2"):
        with H2(port_of(server, carrier), is_tls(carrier)) as c:
            return c.get(path_of(), **fields)
    with Raw(port_of(server, carrier), is_tls(carrier)) as c:
        c.send(request("GET", path_of(), **fields))
        return c.response()


def assert_429(response, whose):
    assert response.status == 429
    assert int(response.get("retry-after")) > 0
    assert response.get("content-type") == "application/problem+json"
    problem = json.loads(response.body)
    assert problem["status"] == 429
    assert whose in problem["detail"]


def by_worker(server):
    return {r["pid"]: r["metrics"]["websockets"] for r in server.roles("worker")}


def fill(server, account, conns, carrier="plain"):
    """As many as the cap, of which each worker has some: the kernel shares them
    out by chance, so it is tried again."""
    def spread():
        while len(conns) < CAP:
            wait_for("a place", lambda: enter(
                conns, open_ws(server, account, carrier)))
        if all(by_worker(server).values()):
            return True
        conns.pop().close()
        return False
    wait_for("both workers have some", spread)


# ---- of an account ----------------------------------------------------------


def test_an_accounts_cap_holds_over_both_workers(server, account, conns, carrier):
    server.reload(max_connections_per_account=CAP)
    fill(server, account, conns, carrier)
    before = server.metric("worker", "refused-per-account")
    for _ in range(4):  # to either worker
        assert not enter(conns, open_ws(server, account, carrier))
    assert_429(open_source(server, account, carrier), "account")
    assert server.metric("worker", "refused-per-account") == before + 5
    # Neither another account nor what does not last is meant.
    assert enter(conns, open_ws(server, server.add_account(), carrier))
    with Raw(server.http) as c:
        c.send(request("GET", "/jmap/session",
                       Authorization=basic(account.name, account.token)))
        assert c.response().status == 200


def test_whoever_leaves_makes_room_for_one(server, account, conns):
    server.reload(max_connections_per_account=CAP)
    fill(server, account, conns)
    for i in (0, CAP - 2):
        conns.pop(i).close()
        wait_for("a place", lambda: enter(conns, open_ws(server, account)))
        assert not enter(conns, open_ws(server, account))


def test_event_sources_and_websockets_count_together(server, account, conns,
                                                     carrier):
    server.reload(max_connections_per_account=2)
    source = Source(server, account, carrier)
    assert enter(conns, open_ws(server, account, carrier))
    assert not enter(conns, open_ws(server, account, carrier))
    assert_429(open_source(server, account, carrier), "account")
    source.close()
    wait_for("a place", lambda: enter(conns, open_ws(server, account, carrier)))


def test_a_refused_websocket_harms_no_other_stream(server, account, conns):
    server.reload(max_connections_per_account=1)
    with H2(server.http) as c:
        first = H2Ws(None, "/jmap/ws", h2=c, account=account)
        assert is_in(first)
        assert not is_in(H2Ws(None, "/jmap/ws", h2=c, account=account))
        assert is_in(first)
        assert c.goaway is None


def test_a_dead_workers_places_are_free(server, account, conns):
    server.reload(max_connections_per_account=CAP)
    fill(server, account, conns)
    pid, lost = min(by_worker(server).items())
    os.kill(pid, signal.SIGKILL)
    for _ in range(lost):
        wait_for("a place", lambda: enter(conns, open_ws(server, account)))
    assert not enter(conns, open_ws(server, account))
    # The next life of it is seen, and sees, as the one before was.
    wait_for("the worker is back",
             lambda: len(server.roles("worker")) == 2
             and all(r["state"] == "up" for r in server.roles("worker"))
             and pid not in server.pids("worker"))
    for _ in range(4):
        assert not enter(conns, open_ws(server, account))


def test_a_reload_raises_the_limit(server, account, conns):
    server.reload(max_connections_per_account=2)
    for _ in range(2):
        assert enter(conns, open_ws(server, account))
    assert not enter(conns, open_ws(server, account))
    server.reload(max_connections_per_account=3)
    # Each worker hears of it in its own time.
    wait_for("a place", lambda: enter(conns, open_ws(server, account)))
    assert not enter(conns, open_ws(server, account))
    server.reload(max_connections_per_account=0)
    for _ in range(4):
        wait_for("a place", lambda: enter(conns, open_ws(server, account)))


def test_a_lower_limit_cuts_nobody(server, account, conns):
    server.reload(**UNLIMITED)
    fill(server, account, conns)
    server.reload(max_connections_per_account=1)

    def is_refused():
        return not enter(conns, open_ws(server, account))
    wait_for("the limit is in force", is_refused)
    assert all(is_in(c) for c in conns)


# ---- of an address ----------------------------------------------------------


def dial(server, carrier, source=None):
    make = H2 if carrier in ("h2c", "h2") else Raw
    return make(port_of(server, carrier), is_tls(carrier), source=source)


def hold(server, conns, n):
    """Connections that are counted: they have been served."""
    for i in range(n):
        c = dial(server, CARRIERS[i % 4])
        conns.append(c)
        assert c.get("/healthz").status == 200


def test_an_addresss_cap_holds_over_both_workers(server, conns, carrier):
    hold(server, conns, CAP)
    server.reload(max_connections_per_address=CAP)
    before = server.metric("worker", "refused-per-address")
    for _ in range(4):
        with dial(server, carrier) as c:
            assert_429(c.get("/jmap/session"), "address")
            if isinstance(c, H2):
                assert c.rest()[0] == 0  # GOAWAY, NO_ERROR, and the end
            else:
                c.assert_closed()
    assert server.metric("worker", "refused-per-address") == before + 4
    with dial(server, carrier, OTHER) as c:
        assert c.get("/healthz").status == 200
    for c in conns:
        assert c.get("/healthz").status == 200


def test_a_websocket_from_a_full_address_is_closed(server, account, conns,
                                                   carrier):
    hold(server, conns, 2)
    server.reload(max_connections_per_address=2)
    logins = server.metric("store", "logins")
    for _ in range(3):
        assert not enter(conns, open_ws(server, account, carrier))
    assert server.metric("store", "logins") == logins


def test_whoever_hangs_up_makes_room_at_its_address(server, conns):
    hold(server, conns, CAP)
    server.reload(max_connections_per_address=CAP)

    def is_served():
        c = dial(server, "plain")
        if c.get("/healthz").status == 200:
            conns.append(c)
            return True
        c.close()
        return False
    assert not is_served()
    conns.pop(0).close()
    wait_for("a place", is_served)
    assert not is_served()


def test_lmtp_is_not_counted(server, account, conns):
    hold(server, conns, 1)
    server.reload(max_connections_per_address=1)
    deliver(server, account.name)
    with dial(server, "plain") as c:
        assert_429(c.get("/healthz"), "address")
