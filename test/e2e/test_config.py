"""The configuration file: what is refused, and in which words; what is shipped."""

import os
import re
import subprocess

import pytest

from harness import JMAPD, ROOT, JMAPCTL, Server


@pytest.fixture
def check(tmp_path):
    """Runs `jmapd -t` over a text; returns (status, what it said of it)."""
    def run(text):
        path = tmp_path / "jmapd.conf"
        path.write_text(text)
        p = subprocess.run([JMAPD, "-t", "-c", str(path)], text=True,
                           capture_output=True, timeout=60, check=False)
        said = (p.stdout + p.stderr).replace(str(path), "FILE")
        return p.returncode, said
    return run


GOOD = "listen: 127.0.0.1:8080\n"


def test_a_good_file_is_good(check):
    status, said = check(GOOD + "ws-throttle: 500  # milliseconds\n")
    assert status == 0
    assert "FILE: good" in said


@pytest.mark.parametrize("text, place, words", [
    ("ws-trottle: 5\n", "2:1", ["ws-trottle"]),
    ("ws-throttle: 5\nws-throttle: 6\n", "3:1", ["ws-throttle", "line 2"]),
    ("ws-throttle: fast\n", "2:14", ["ws-throttle", "0 to 3600000"]),
    ("ws-throttle: -1\n", "2:14", ["ws-throttle", "0 to 3600000"]),
    ("ws-throttle: 3600001\n", "2:14", ["out of range", "milliseconds"]),
    ("ws-client-timeout: 0\n", "2:20", ["out of range", "seconds"]),
    ("ws-echo: maybe\n", "2:10", ["yes or no"]),
    ("log-level: loud\n", "2:12", ["error, warn, info or debug"]),
    ("data-dir: var/lib\n", "2:11", ["absolute"]),
    ("user:\n  name: x\n", "3:3", ["user", "one value"]),
    ("jmap-url: mail.example.org\n", "2:11", ["https://HOST"]),
    ("max-size-request: 1k\n", "2:19", ["decimal number"]),
    ("max-calls-in-request: 016\n", "2:23", ["decimal number"]),
    ("ws-throttle: \"unended\n", "", []),
])
def test_an_error_names_file_line_and_column(check, text, place, words):
    status, said = check(GOOD + text)
    assert status == 1
    assert f"FILE:{place}" in said, said
    assert re.search(r"FILE:\d+:\d+: ", said), said
    for w in words:
        assert w in said, said


@pytest.mark.parametrize("text, words", [
    ("listen: 0.0.0.0:8080\n", ["passwords", "plain"]),
    ("listen: example.org:8080\n", ["numeric address"]),
    ("listen: 127.0.0.1:99999\n", ["port"]),
    ("listen: 127.0.0.1:8080 smtp\n", ["tls, lmtp and plain"]),
    ("listen: 127.0.0.1:8080 tls\n", ["tls-cert"]),
    ("listen: unix:relative lmtp\n", ["absolute path"]),
    ("listen:\n  - 127.0.0.1:8080\n  - 127.0.0.1:8080 lmtp\n", ["twice"]),
    ("ws-throttle: 5\n", ["no listener"]),
])
def test_a_bad_listener_is_refused(check, text, words):
    status, said = check(text)
    assert status == 1
    assert re.search(r"FILE:\d+:\d+: ", said), said
    for w in words:
        assert w in said, said


@pytest.mark.parametrize("timeout, heartbeat, good", [
    (10, 5, True), (10, 9, True), (10, 10, False), (10, 11, False)])
def test_the_heartbeat_is_shorter_than_the_timeout(check, timeout, heartbeat,
                                                   good):
    status, said = check(GOOD + f"ws-client-timeout: {timeout}\n"
                         f"ws-heartbeat-interval: {heartbeat}\n")
    assert status == (0 if good else 1)
    if not good:
        assert "FILE:3:" in said
        assert "must be less than ws-client-timeout" in said


def test_a_certificate_that_is_none_is_refused(check, tmp_path):
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate\n")
    status, said = check(f"listen: 127.0.0.1:8443 tls\ntls-cert: {bad}\n"
                         f"tls-key: {bad}\n")
    assert status == 1
    assert "tls-cert" in said


def test_a_missing_file_is_an_error():
    p = subprocess.run([JMAPD, "-t", "-c", "/nonexistent/jmapd.conf"],
                       text=True, capture_output=True, check=False)
    assert p.returncode == 1
    assert "/nonexistent/jmapd.conf" in p.stderr


def test_a_wrong_option_is_a_usage_error():
    p = subprocess.run([JMAPD, "-x"], text=True, capture_output=True,
                       check=False)
    assert p.returncode == 2
    assert "usage: jmapd" in p.stderr


def test_the_version_names_the_libraries():
    p = subprocess.run([JMAPD, "-V"], text=True, capture_output=True,
                       check=True)
    assert re.match(r"jmapd \d+\.\d+\.\d+\n", p.stdout)
    assert "OpenSSL" in p.stdout
    assert "SQLite" in p.stdout


def shipped():
    with open(os.path.join(ROOT, "conf", "jmapd.conf"), encoding="utf-8") as f:
        return f.read()


def test_the_shipped_file_is_good(check):
    status, said = check(shipped())
    assert status == 0, said


def test_the_shipped_file_starts():
    with Server(start=False) as s:
        text = shipped()
        for old, new in [
                ("127.0.0.1:8080", f"127.0.0.1:{s.http}"),
                ("127.0.0.1:24 lmtp", f"127.0.0.1:{s.lmtp} lmtp"),
                ("data-dir: /var/lib/jmapd", f"data-dir: {s.dir}/data"),
                ("run-dir: /run/jmapd", f"run-dir: {s.dir}/run"),
                ("user: jmapd", "user: nobody")]:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        s.write_conf(text)
        s.start()
        account = s.add_account()
        assert account.name in s.ctl_ok("account", "list")


@pytest.mark.parametrize("key, value, unit", [
    ("ws-client-timeout", "10", "seconds"),
    ("ws-heartbeat-interval", "5", "seconds"),
    ("ws-throttle", "1000", "milliseconds")])
def test_the_shipped_file_and_the_manual_text_agree(key, value, unit):
    assert re.search(rf"^{key}: {value} +# {unit}", shipped(), re.M)
    p = subprocess.run([JMAPCTL, "options"], text=True, capture_output=True,
                       check=True)
    assert f"{key}: {value} ({unit})\n" in p.stdout


def test_a_second_server_does_not_take_the_first_ones_place():
    with Server() as s:
        p = subprocess.run([JMAPD, "-c", s.conf_path], text=True,
                           capture_output=True, timeout=60, check=False)
        assert p.returncode == 1
        assert s.status()["roles"]


def test_lmtp_off_loopback_warns(check):
    status, said = check(GOOD[:-1].replace("listen: ", "listen:\n  - ")
                         + "\n  - 0.0.0.0:24 lmtp\n")
    assert status == 0
    assert "warn" in said and "whoever reaches it" in said
