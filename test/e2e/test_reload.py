"""SIGHUP and `jmapctl reload`: everything is re-read, and no connection drops."""

import hashlib
import ssl

import pytest

from harness import Port, Server, make_cert, wait_for
from jmap import HttpApi, WsApi
from mail import RawLmtp, deliver
from raw import Closed, Raw
from rawws import TEXT, RawWs


@pytest.fixture
def server():
    with Server() as s:
        yield s


def connects(port):
    try:
        with Raw(port) as c:
            return c.get("/healthz").status == 200
    except (ConnectionError, OSError):
        return False


def refuses(port):
    """Nobody listens there. One that comes in the very moment of the removal may
    also be cut: that is not it yet."""
    try:
        with Raw(port) as c:
            c.get("/healthz")
        return False
    except ConnectionRefusedError:
        return True
    except (Closed, ConnectionError):
        return False


def test_connections_of_all_kinds_live_on(server):
    account = server.add_account()
    ws, tls_ws = WsApi(server, account), WsApi(server, account, tls=True)
    http = HttpApi(server, account)
    sock = http.conn.sock
    with RawLmtp(server) as lmtp:
        lmtp.envelope(account.name)
        ws.enable()
        for _ in range(3):
            assert server.hup().startswith("reloaded")
        assert lmtp.data(b"a: b\r\n\r\nx\r\n.\r\n")[0][0] == 250
    ws.change()
    tls_ws.barrier()
    assert http.emails()
    assert http.conn.sock is sock
    ws.close()
    tls_ws.close()


@pytest.mark.parametrize("text", [
    "nonsense", "listen: 127.0.0.1:1\nunknown: 1\n",
    "listen: []\n", "ws-throttle: 5\n"])
def test_a_broken_file_changes_nothing(server, text):
    account = server.add_account()
    ws = WsApi(server, account)
    before = server.log()
    server.write_conf(text)
    said = server.hup()
    assert said.startswith("reload: ")
    assert "nothing changed" in said
    assert server.conf_path + ":" in said
    assert "reloaded" not in server.log()[len(before):]
    ws.barrier()
    assert connects(server.http)
    deliver(server, account.name)
    ws.close()


def test_jmapctl_reload_says_what_is_wrong(server):
    good = open(server.conf_path, encoding="utf-8").read()
    server.write_conf(good + "ws-trottle: 1\n")
    # jmapctl reads run-dir from the file itself, so it gets one of its own.
    own = server.dir + "/own.conf"
    with open(own, "w", encoding="utf-8") as f:
        f.write(good)
    server.conf_path, broken = own, server.conf_path
    p = server.ctl("reload")
    assert p.returncode == 1
    assert f"{broken}:" in p.stderr and "ws-trottle" in p.stderr
    server.conf_path = broken
    server.write_conf(good)
    assert server.ctl("reload").returncode == 0


def test_a_listener_is_added_and_removed(server):
    port = Port()
    old = list(server.options["listen"])
    assert not connects(port.n)
    server.reload(listen=old + [f"127.0.0.1:{port.n}"])
    wait_for("the new listener serves", lambda: connects(port.n))
    with Raw(port.n) as c:
        assert c.get("/healthz").status == 200
        server.reload(listen=old)
        wait_for("the listener is gone", lambda: refuses(port.n))
        assert c.get("/healthz").status == 200, "its connections live on"
    assert connects(server.http)
    port.close()


def test_a_listener_that_cannot_be_opened_changes_nothing(server):
    with Server() as other:
        taken = other.http
        old = list(server.options["listen"])
        # Without SO_REUSEPORT the port is taken for good.
        import socket
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        s.listen()
        said = server.reload(
            listen=old + [f"127.0.0.1:{s.getsockname()[1]}"],
            ws_throttle=7)
        assert "nothing changed" in said
        assert connects(server.http)
        assert connects(taken)
        s.close()


def fingerprint(port):
    with Raw(port, tls=True) as c:
        return hashlib.sha256(c.sock.getpeercert(True)).hexdigest()


def test_certificates_are_read_again(server):
    account = server.add_account()
    ws = WsApi(server, account, tls=True)
    before = fingerprint(server.https)
    cert, key = make_cert(server.dir, stem="new")
    server.reload(tls_cert=cert, tls_key=key)
    want = hashlib.sha256(ssl.PEM_cert_to_DER_cert(
        open(cert, encoding="ascii").read())).hexdigest()
    wait_for("the new certificate", lambda: fingerprint(server.https) == want)
    assert want != before
    ws.barrier()
    ws.close()


def test_a_key_that_does_not_fit_changes_nothing(server):
    before = fingerprint(server.https)
    cert, _ = make_cert(server.dir, stem="new")
    said = server.reload(tls_cert=cert)
    assert "nothing changed" in said
    assert fingerprint(server.https) == before


def test_what_needs_a_restart_says_so(server):
    server.reload(worker_pool_size=1)
    assert "worker-pool-size" in server.log()
    assert "restart" in server.log()
    assert len(server.roles("worker")) == 2


def test_limits_govern_live_connections(server):
    ws = WsApi(server, server.add_account())
    calls = [["Core/echo", {}, str(i)] for i in range(3)]
    assert ws.request(calls)["@type"] == "Response"
    server.reload(max_calls_in_request=2)
    wait_for("the new limit holds",
             lambda: ws.request(calls)["@type"] == "RequestError")
    assert ws.request(calls[:2])["@type"] == "Response"
    ws.close()


def test_the_echo_endpoint_is_switched_on_and_off(server):
    with Raw(server.http) as c:
        assert c.get("/jmap/ws-echo").status == 404
    server.reload(ws_echo="yes")

    def served():
        with Raw(server.http) as c:
            return c.get("/jmap/ws-echo").status == 426
    wait_for("it is on", served)
    with RawWs(server.http) as c:
        c.frame(TEXT, "x")
        assert c.message() == (TEXT, b"x")
    server.reload(ws_echo="no")
    wait_for("it is off", lambda: not served())
