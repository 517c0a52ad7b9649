"""What e2e and wire tests share: `server` is one running jmapd for a file's
tests, at the end of which it must stop in good health; `account` is a new
account of it."""

import os
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "lib"))

import harness  # noqa: E402
import jmap  # noqa: E402


@pytest.fixture(scope="module")
def options(request):
    """The configuration of the file's server: its global OPTIONS."""
    return getattr(request.module, "OPTIONS", {})


@pytest.fixture(scope="module")
def server(options):
    with harness.Server(**options) as s:
        yield s


@pytest.fixture(autouse=True)
def log_of_failure(request):
    """What the server logged during a test that fails is printed with it."""
    s = (request.getfixturevalue("server")
         if "server" in request.fixturenames else None)
    before = len(s.log()) if s else 0
    yield
    report = getattr(request.node, "call_report", None)
    if s and report and report.failed:
        print("---- the log of jmapd during this test:")
        print(s.log()[before:][-8000:])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.call_report = outcome.get_result()


@pytest.fixture
def account(server):
    return server.add_account()


@pytest.fixture(params=["http", "ws"])
def api(request, server, account):
    """A JMAP client of `account`, over HTTP and over WebSocket."""
    client = jmap.connect(request.param, server, account)
    yield client
    client.close()


@pytest.fixture
def ws(server, account):
    """A WebSocket client of `account`."""
    client = jmap.WsApi(server, account)
    yield client
    client.close()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def tls(request):
    return request.param


@pytest.fixture
def port(server, tls):
    return server.https if tls else server.http
