"""`jmapctl watch`: the small client that prints every StateChange."""

import json
import select
import subprocess
import time

import pytest

from harness import DEADLINE, JMAPCTL
from mail import deliver


def watch(server, url, account, *args, password=None):
    p = subprocess.Popen(
        [JMAPCTL, "watch", url, "--user", account.name, "--password-stdin",
         *args], bufsize=1, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    p.stdin.write((password or account.token) + "\n")
    p.stdin.flush()
    return p


def line_after(p, change):
    """Makes changes until a line comes: the first may be before push is on."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        change()
        if select.select([p.stdout], [], [], 0.2)[0]:
            return p.stdout.readline()
    raise AssertionError("no line came")


@pytest.mark.parametrize("scheme", ["wss", "ws"])
def test_it_prints_each_state_change(server, account, scheme):
    port = server.https if scheme == "wss" else server.http
    p = watch(server, f"{scheme}://localhost:{port}", account, "--ca",
              server.cert, "--count", "2")
    assert p.stderr.readline().startswith("jmapctl: connected")
    lines = [line_after(p, lambda: deliver(server, account.name)),
             line_after(p, lambda: deliver(server, account.name))]
    assert p.wait(30) == 0
    for line in lines:
        when, text = line.split(" ", 1)
        assert when.endswith("Z")
        assert json.loads(text)["@type"] == "StateChange"


def test_it_watches_only_the_types_it_was_told(server, account):
    p = watch(server, f"ws://localhost:{server.http}", account, "--types",
              "Thread", "--count", "1")
    p.stderr.readline()
    line = line_after(p, lambda: deliver(server, account.name))
    text = line.split(" ", 1)[1]
    (changed,) = json.loads(text)["changed"].values()
    assert set(changed) == {"Thread"}
    assert p.wait(30) == 0


def test_a_wrong_password_is_status_1_and_said(server, account):
    p = watch(server, f"ws://localhost:{server.http}", account,
              password="wrong")
    _, err = p.communicate(timeout=30)
    assert p.returncode == 1
    assert "401" in err


def test_an_unknown_certificate_is_status_1_and_said(server, account):
    p = watch(server, f"wss://localhost:{server.https}", account)
    _, err = p.communicate(timeout=30)
    assert p.returncode == 1
    assert "certificate" in err


def test_the_servers_close_is_status_1_and_said(server, account):
    p = watch(server, f"ws://localhost:{server.http}", account)
    p.stderr.readline()
    server.ctl_ok("account", "passwd", account.name, "--password-stdin",
                  stdin="neu\n")
    _, err = p.communicate(timeout=30)
    assert p.returncode == 1
    assert "1008" in err


def test_a_url_that_is_none_is_said(server, account):
    p = subprocess.run(
        [JMAPCTL, "watch", "nonsense", "--user", account.name,
         "--password-stdin"], input="x\n", text=True, capture_output=True,
        timeout=DEADLINE, check=False)
    assert p.returncode == 1
    assert "nonsense" in p.stderr
