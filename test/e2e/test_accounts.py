"""jmapctl: accounts, addresses, app passwords; who may log in, and for how long."""

import pytest

import mail
from harness import wait_for
from jmap import HttpApi, WsApi
from raw import Raw, basic


@pytest.fixture
def account(server):
    return server.add_account(password="geheim")


def login(server, user, password, scheme=basic):
    """The status that the session object answers with."""
    with Raw(server.http) as c:
        return c.get("/jmap/session",
                     Authorization=scheme(user, password)).status


def bearer(_, token):
    return "Bearer " + token


def test_an_account_can_log_in_with_its_password(server, account):
    assert login(server, account.name, account.password) == 200


@pytest.mark.parametrize("user, password", [
    ("", ""), ("nobody@example.org", "geheim"), (None, "wrong"), (None, "")])
def test_a_wrong_login_is_401(server, account, user, password):
    user = account.name if user is None else user
    assert login(server, user, password) == 401


def test_list_names_every_account(server, account):
    assert account.name in server.ctl_ok("account", "list").splitlines()


def test_an_account_cannot_be_added_twice(server, account):
    p = server.ctl("account", "add", account.name, "--password-stdin",
                   stdin="x\n")
    assert p.returncode == 1
    assert account.name in p.stderr
    assert login(server, account.name, account.password) == 200


@pytest.mark.parametrize("name", ["", "no-at-sign", "a@b@c", "a b@example.org"])
def test_what_is_no_address_is_refused(server, name):
    p = server.ctl("account", "add", name, "--password-stdin", stdin="x\n")
    assert p.returncode == 1
    assert p.stderr.startswith("jmapctl: ")


def test_an_empty_password_is_refused(server):
    p = server.ctl("account", "add", "empty@example.org", "--password-stdin",
                   stdin="\n")
    assert p.returncode == 1
    assert "password" in p.stderr
    assert "empty@example.org" not in server.ctl_ok("account", "list")


def test_a_new_account_has_the_six_mailboxes(server, account):
    boxes = HttpApi(server, account).mailboxes()
    assert set(boxes) == {"inbox", "drafts", "sent", "archive", "junk",
                          "trash"}


@pytest.mark.parametrize("args", [
    [], ["account"], ["account", "add"], ["acount", "list"],
    ["account", "list", "x"], ["--unknown"], ["account", "remove"],
    ["token", "revoke", "a@example.org"], ["watch"]])
def test_a_usage_error_is_status_2(server, args):
    p = server.ctl(*args)
    assert p.returncode == 2
    assert p.stdout == ""
    assert p.stderr


@pytest.mark.parametrize("args", [
    ["account", "passwd", "none@example.org", "--password-stdin"],
    ["account", "remove", "none@example.org"],
    ["account", "token", "none@example.org", "--name", "x"],
    ["token", "list", "none@example.org"],
    ["token", "revoke", "none@example.org", "1"],
    ["address", "add", "none@example.org", "other@example.org"],
    ["address", "remove", "none@example.org"]])
def test_an_account_that_is_not_there_is_status_1(server, args):
    p = server.ctl(*args, stdin="x\n")
    assert p.returncode == 1
    assert p.stderr.startswith("jmapctl: ")


def test_no_server_is_status_1(server):
    p = server.ctl("-c", "/nonexistent", "status")
    assert p.returncode == 1
    assert "/nonexistent" in p.stderr


def test_passwd_changes_the_password(server, account):
    server.ctl_ok("account", "passwd", account.name, "--password-stdin",
                  stdin="neu\n")
    assert login(server, account.name, "neu") == 200
    assert login(server, account.name, account.password) == 401


def test_passwd_closes_live_websockets_with_1008(server, account):
    clients = [WsApi(server, account) for _ in range(4)]
    other = WsApi(server, server.add_account())
    server.ctl_ok("account", "passwd", account.name, "--password-stdin",
                  stdin="neu\n")
    assert [c.wait_closed() for c in clients] == [1008] * 4
    other.barrier()
    other.close()


def test_remove_ends_logins_mail_and_websockets(server, account):
    ws = WsApi(server, account)
    mail.deliver(server, account.name)
    server.ctl_ok("account", "remove", account.name)
    assert ws.wait_closed() == 1008
    assert login(server, account.name, account.password) == 401
    assert login(server, account.name, account.token) == 401
    assert account.name not in server.ctl_ok("account", "list")
    with mail.RawLmtp(server) as lmtp:
        assert lmtp.say("MAIL FROM:<>")[0] == 250
        code, lines = lmtp.say(f"RCPT TO:<{account.name}>")
        assert code == 550 and lines[0].startswith("5.1.1 ")


def test_a_removed_name_can_be_made_anew_and_is_empty(server, account):
    mail.deliver(server, account.name)
    server.ctl_ok("account", "remove", account.name)
    again = server.add_account(account.name)
    assert HttpApi(server, again).emails() == []


@pytest.mark.parametrize("scheme", [basic, bearer])
def test_an_app_password_is_good(server, account, scheme):
    assert login(server, account.name, account.token, scheme) == 200


@pytest.mark.parametrize("scheme", [basic, bearer])
def test_a_changed_app_password_is_401(server, account, scheme):
    wrong = account.token[:-1] + ("A" if account.token[-1] != "A" else "B")
    assert login(server, account.name, wrong, scheme) == 401


def test_an_app_password_is_good_for_its_account_only(server, account):
    other = server.add_account()
    assert login(server, other.name, account.token) == 401


def test_the_password_is_no_bearer_token(server, account):
    assert login(server, account.name, account.password, bearer) == 401


def test_an_app_password_has_256_bits_and_is_never_the_same(server, account):
    again = server.ctl_ok("account", "token", account.name, "--name",
                          "x").strip()
    assert again != account.token
    for token in (again, account.token):
        assert len(token) == 43  # 32 bytes as base64url


def test_token_list_names_them_and_keeps_the_secret(server, account):
    server.ctl_ok("account", "token", account.name, "--name", "my phone")
    listed = server.ctl_ok("token", "list", account.name)
    assert [line.split("\t")[1] for line in listed.splitlines()] == [
        "test", "my phone"]
    assert account.token not in listed


def test_a_revoked_app_password_ends_its_logins(server, account):
    ws = WsApi(server, account)
    token_id = server.ctl_ok("token", "list", account.name).split("\t")[0]
    server.ctl_ok("token", "revoke", account.name, token_id)
    assert ws.wait_closed() == 1008
    assert login(server, account.name, account.token) == 401
    assert login(server, account.name, account.password) == 200


def test_an_alias_gets_the_accounts_mail(server, account):
    alias = "alias-" + account.name
    server.ctl_ok("address", "add", account.name, alias)
    mail.deliver(server, alias)
    assert len(HttpApi(server, account).emails()) == 1
    server.ctl_ok("address", "remove", alias)
    with mail.RawLmtp(server) as lmtp:
        lmtp.say("MAIL FROM:<>")
        assert lmtp.say(f"RCPT TO:<{alias}>")[0] == 550


def test_an_address_belongs_to_one_account(server, account):
    other = server.add_account()
    p = server.ctl("address", "add", account.name, other.name)
    assert p.returncode == 1
    assert other.name in p.stderr


def test_status_shows_each_role(server, account):
    ws = WsApi(server, account)
    roles = server.status()["roles"]
    assert [r["role"] for r in roles] == ["store", "worker", "worker"]
    assert all(r["state"] == "up" and r["pid"] for r in roles)
    wait_for("the WebSocket is counted",
             lambda: server.metric("worker", "websockets") >= 1)
    text = server.ctl_ok("status")
    for r in roles:
        assert f"pid={r['pid']}" in text
    ws.close()


def test_an_account_without_a_password_has_app_passwords_only(server):
    name = "locked@example.org"
    server.ctl_ok("account", "add", name, "--no-password")
    for password in ("", "geheim", "*", "!"):
        assert login(server, name, password) == 401
    token = server.ctl_ok("account", "token", name, "--name", "x").strip()
    assert login(server, name, token) == 200


def test_a_password_can_be_taken_away(server, account):
    server.ctl_ok("account", "passwd", account.name, "--no-password")
    assert login(server, account.name, account.password) == 401
    assert login(server, account.name, "") == 401
    assert login(server, account.name, account.token) == 200


def test_no_password_goes_with_new_passwords_only(server, account):
    p = server.ctl("token", "list", account.name, "--no-password")
    assert p.returncode == 2


def test_an_empty_password_is_refused(server):
    p = server.ctl("account", "add", "empty@example.org", "--password-stdin",
                   stdin="\n")
    assert p.returncode == 1 and "empty" in p.stderr
