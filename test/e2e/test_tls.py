"""TLS sessions: who comes back resumes, at any worker and after any reload, until
the key of the ticket is gone."""

import re
import socket
import ssl
import subprocess

import pytest

from harness import Server, make_cert, wait_for
from raw import request

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture(params=list(VERSIONS))
def context(request):
    """A client's, of one version."""
    c = ssl.create_default_context()
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    c.minimum_version = c.maximum_version = VERSIONS[request.param]
    return c


def visit(server, context, session=None):
    """One request on a connection of its own: was it resumed, and the session
    to come back with."""
    with socket.create_connection(("127.0.0.1", server.https)) as s:
        with context.wrap_socket(s, server_hostname="localhost",
                                 session=session) as c:
            c.sendall(request("GET", "/healthz", Connection="close"))
            answer = b""
            while True:
                got = c.recv(65536)
                if not got:
                    break
                answer += got
            assert answer.startswith(b"HTTP/1.1 200 ")
            return c.session_reused, c.session


def accepts(server):
    return [r["metrics"]["accepts"] for r in server.roles("worker")]


def resumes_everywhere(server, context, session):
    """As often as it takes to meet both workers; always the same session."""
    before = accepts(server)

    def met_all():
        resumed, _ = visit(server, context, session)
        assert resumed
        return all(a > b for a, b in zip(accepts(server), before))
    wait_for("both workers were met", met_all)


def new_keys(server):
    return server.log().count("new key of session tickets")


def test_a_session_is_resumed_at_every_worker(server, context):
    resumed, session = visit(server, context)
    assert not resumed
    resumes_everywhere(server, context, session)


def test_a_session_outlives_reloads(server, context):
    _, session = visit(server, context)
    before = new_keys(server)
    for _ in range(2):
        assert server.hup().startswith("reloaded")
    assert new_keys(server) == before
    resumes_everywhere(server, context, session)


def test_a_session_outlives_a_new_certificate(server, context):
    _, session = visit(server, context)
    cert, key = make_cert(server.dir, stem="new")
    assert server.reload(tls_cert=cert, tls_key=key).startswith("reloaded")
    want = ssl.PEM_cert_to_DER_cert(open(cert, encoding="ascii").read())

    def served():
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(
            ("127.0.0.1", server.https))) == want
    wait_for("the new certificate", served)
    resumes_everywhere(server, context, session)


def test_a_session_outlives_its_worker(context):
    with Server(allow_deaths=True) as server:
        _, session = visit(server, context)
        before = server.pids("worker")
        for pid in before:
            subprocess.run(["kill", "-9", str(pid)], check=True)
        wait_for("new workers", lambda: all(
            r["pid"] not in before and r["state"] == "up"
            for r in server.roles("worker")))
        resumes_everywhere(server, context, session)


def test_no_session_outlives_the_master(context):
    with Server() as server:
        _, session = visit(server, context)
        server.stop()
        server.start()
        resumed, session = visit(server, context, session)
        assert not resumed
        resumes_everywhere(server, context, session)


def test_a_key_that_was_changed_twice_opens_nothing(server, context):
    """A short lifetime makes new keys; the session is one of the long one, so
    it is the key that it dies with."""
    _, session = visit(server, context)
    before = new_keys(server)
    server.reload(tls_ticket_lifetime=1)
    wait_for("two new keys", lambda: new_keys(server) >= before + 2)
    server.reload(tls_ticket_lifetime=3600)
    wait_for("no worker opens it", lambda: not any(
        visit(server, context, session)[0] for _ in range(8)))
    _, session = visit(server, context)
    resumes_everywhere(server, context, session)


def test_a_key_that_was_changed_once_still_opens(server, context):
    """Should a second change come in between, it is tried again."""
    for _ in range(5):
        _, session = visit(server, context)
        before = new_keys(server)
        server.reload(tls_ticket_lifetime=1)
        wait_for("a new key", lambda: new_keys(server) > before)
        server.reload(tls_ticket_lifetime=3600)
        if new_keys(server) > before + 1:
            continue
        resumes_everywhere(server, context, session)
        return
    raise AssertionError("each time two keys came")


@pytest.mark.parametrize("flag", ["-tls1_2", "-tls1_3"])
def test_openssl_s_client_resumes_over_a_reload(server, flag):
    path = server.dir + "/session"

    def client(*args):
        p = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{server.https}",
             flag, "-ign_eof", *args],
            input="GET /healthz HTTP/1.1\r\nHost: x\r\n"
                  "Connection: close\r\n\r\n",
            capture_output=True, text=True, timeout=30, check=False)
        assert "HTTP/1.1 200" in p.stdout, p.stderr
        return re.search(r"^(New|Reused), ", p.stdout, re.M).group(1)
    assert client("-sess_out", path) == "New"
    assert client("-sess_in", path) == "Reused"
    server.hup()
    assert client("-sess_in", path) == "Reused"
