"""The Session object (RFC 8620 2, RFC 8887 3) and the paths beside it."""

import json
import subprocess

import pytest

import jmap
from jmap import CORE, MAIL, WS, HttpApi
from raw import Raw, basic


@pytest.fixture
def session(server, account):
    return HttpApi(server, account).session()


def test_it_has_all_members(server, account, session):
    assert set(session) >= {
        "capabilities", "accounts", "primaryAccounts", "username", "apiUrl",
        "downloadUrl", "uploadUrl", "eventSourceUrl", "state"}
    assert session["username"] == account.name
    base = f"https://localhost:{server.https}/jmap/"
    assert session["apiUrl"] == base + "api"
    for key, variables in [
            ("downloadUrl", ["accountId", "blobId", "type", "name"]),
            ("uploadUrl", ["accountId"]),
            ("eventSourceUrl", ["types", "closeafter", "ping"])]:
        assert session[key].startswith(base)
        for v in variables:
            assert "{" + v + "}" in session[key]


def test_core_tells_the_limits(session):
    assert session["capabilities"][CORE] == {
        "maxSizeUpload": 50000000, "maxConcurrentUpload": 4,
        "maxSizeRequest": 10000000, "maxConcurrentRequests": 4,
        "maxCallsInRequest": 16, "maxObjectsInGet": 500,
        "maxObjectsInSet": 500, "collationAlgorithms": [
            "i;unicode-casemap", "i;ascii-casemap", "i;octet"]}


def test_websocket_is_a_capability_of_server_and_account(server, session):
    want = {"url": f"wss://localhost:{server.https}/jmap/ws",
            "supportsPush": True}
    assert session["capabilities"][WS] == want
    (account,) = session["accounts"].values()
    assert WS in account["accountCapabilities"]


def test_the_account_is_the_persons_own(account, session):
    aid = session["primaryAccounts"][MAIL]
    own = session["accounts"][aid]
    assert own["name"] == account.name
    assert own["isPersonal"] is True
    assert own["isReadOnly"] is False
    assert own["accountCapabilities"][MAIL]["mayCreateTopLevelMailbox"] is True


def test_its_state_is_the_session_state_of_answers(server, account, session):
    api = HttpApi(server, account)
    answer = api.request([["Core/echo", {}, "0"]])
    assert answer["sessionState"] == session["state"]


def test_an_answer_may_not_be_cached(server, account):
    with Raw(server.http) as c:
        r = c.get("/jmap/session",
                  Authorization=basic(account.name, account.token))
        assert "no-store" in r.get("cache-control")
        assert r.get("content-type") == "application/json"


@pytest.mark.parametrize("path", ["/jmap/session", "/.well-known/jmap"])
def test_both_paths_serve_it(server, account, path):
    status, body = HttpApi(server, account).get(path)
    assert status == 200
    assert json.loads(body)["username"] == account.name


@pytest.mark.parametrize("path", ["/jmap/session", "/.well-known/jmap"])
def test_without_credentials_it_is_401_with_challenges(server, path):
    with Raw(server.http) as c:
        r = c.get(path)
        assert r.status == 401
        schemes = [v.split(" ")[0] for v in r.all("www-authenticate")]
        assert schemes == ["Basic", "Bearer"]
        assert all("realm=" in v for v in r.all("www-authenticate"))


@pytest.mark.parametrize("value", [
    "Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Digest x=y", "Bearer",
    "Bearer a b", "x", ""])
def test_what_is_no_credential_is_401(server, value):
    with Raw(server.http) as c:
        assert c.get("/jmap/session", Authorization=value).status == 401


def test_healthz_needs_no_login(server):
    with Raw(server.http) as c:
        r = c.get("/healthz")
        assert (r.status, r.body) == (200, b"ok\n")


def test_curl_gets_it_over_tls(server, account):
    p = subprocess.run(
        ["curl", "-sS", "--cacert", server.cert, "-u",
         f"{account.name}:{account.token}",
         f"https://localhost:{server.https}/jmap/session"],
        capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(p.stdout)["username"] == account.name


def test_curl_posts_a_request_with_chunks(server, account):
    body = json.dumps({"using": [CORE],
                       "methodCalls": [["Core/echo", {"a": 1}, "0"]]})
    p = subprocess.run(
        ["curl", "-sS", "--cacert", server.cert, "-u",
         f"{account.name}:{account.token}", "-H",
         "Content-Type: application/json; charset=utf-8", "-H",
         "Transfer-Encoding: chunked", "-d", body,
         f"https://localhost:{server.https}/jmap/api"],
        capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(p.stdout)["methodResponses"] == [
        ["Core/echo", {"a": 1}, "0"]]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_versions_1_2_and_1_3_only(server):
    import ssl
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = jmap.insecure()
        context.minimum_version = context.maximum_version = version
        with Raw(server.https, tls=True, context=context) as c:
            assert c.get("/healthz").status == 200
    context = jmap.insecure()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.SSLv3
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Raw(server.https, tls=True, context=context)


def test_alpn_chooses_http_1_1(server):
    context = jmap.insecure()
    context.set_alpn_protocols(["spdy/3", "http/1.1"])
    with Raw(server.https, tls=True, context=context) as c:
        assert c.sock.selected_alpn_protocol() == "http/1.1"
