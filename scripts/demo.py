"""The story that scripts/demo tells; each step asserts what it prints.

usage: BUILD=DIR python3 scripts/demo.py [--once]
"""

import json
import os
import signal
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "test", "lib"))

import harness  # noqa: E402
import mail  # noqa: E402
from jmap import WS, HttpApi, WsApi  # noqa: E402

USER, PASSWORD = "alice@example.org", "wonderland"


def step(text):
    print(f"\n== {text}", flush=True)


def show(obj):
    text = json.dumps(obj, indent=2, ensure_ascii=False)
    print("   " + text.replace("\n", "\n   "), flush=True)


SAMPLES = ["plain", "reply", "alternative", "attachments", "nested", "cjk",
           "invite", "mailing_list", "emoji", "bounce"]


def deliver_samples(server):
    for name in SAMPLES:
        path = os.path.join(ROOT, "test", "data", "mail", name + ".eml")
        with open(path, "rb") as f:
            data = f.read()
        mail.deliver(server, USER, data)
        print(f"   250 {name}.eml", flush=True)
    return len(SAMPLES)


def open_session(server, account, delivered):
    api = HttpApi(server, account, tls=True)
    session = api.session()
    show({k: session[k] for k in ("username", "apiUrl", "primaryAccounts")})
    show({WS: session["capabilities"][WS]})
    assert session["capabilities"][WS]["supportsPush"] is True
    found = api.call("Email/query", {"calculateTotal": True})
    assert found["total"] == delivered, found["total"]
    print(f"   {delivered} messages are in the Inbox")
    api.close()


def open_websocket(server, account):
    """The client takes no notice of who signed the certificate: it is ours."""
    ws = WsApi(server, account, tls=True)
    assert ws.ws.subprotocol == "jmap"
    since = ws.state()
    ws.send({"@type": "WebSocketPushEnable", "dataTypes": None})
    ws.barrier()
    return ws, since


def hear_of_new_mail(server, ws):
    """Milliseconds from when the server took the message to the push."""
    data = mail.message(
        subject="Tea at four?", name="The Hatter",
        sender="hatter@example.net", to=USER,
        body="Dear Alice,\r\n\r\nthere is plenty of room.\r\n")
    with mail.RawLmtp(server) as lmtp:
        lmtp.envelope(USER, sender="hatter@example.net")
        assert lmtp.say("DATA")[0] == 354
        sent = time.monotonic()
        lmtp.send(data + b".\r\n")
        code, lines = lmtp.reply()
        assert code == 250, lines
    changed, message = ws.change(10)
    took = (message["#came"] - sent) * 1000
    assert "Email" in changed, changed
    print(f"   {took:.1f} ms after the last byte of the message was sent:")
    show({k: v for k, v in message.items() if k != "#came"})


def read_it(ws, since):
    got = ws.calls(
        ["Email/changes", {"accountId": ws.account_id, "sinceState": since},
         "0"],
        ["Email/get", {"accountId": ws.account_id, "#ids": {
            "resultOf": "0", "name": "Email/changes", "path": "/created"},
            "properties": ["from", "subject", "receivedAt", "preview",
                           "mailboxIds", "textBody", "bodyValues"],
            "fetchTextBodyValues": True}, "1"])
    assert [name for name, _, _ in got] == ["Email/changes", "Email/get"], got
    (email,) = got[1][1]["list"]
    assert email["subject"] == "Tea at four?", email
    assert "plenty of room" in email["preview"], email
    show(email)


def story(server):
    step(f"jmapd runs: {server.conf_path}")
    for r in server.status()["roles"]:
        print(f"   {r['role']} pid {r['pid']}")
    step(f"jmapctl account add {USER}")
    account = server.add_account(USER, PASSWORD)
    step("Sample mail over LMTP")
    delivered = deliver_samples(server)
    step(f"The session, https://localhost:{server.https}/jmap/session")
    open_session(server, account, delivered)
    step(f"A WebSocket over TLS, wss://localhost:{server.https}/jmap/ws, "
         "with push")
    ws, since = open_websocket(server, account)
    print("   connected, subprotocol jmap, push enabled")
    step("A new message over LMTP; the push")
    hear_of_new_mail(server, ws)
    step("Email/changes and Email/get on the same socket")
    read_it(ws, since)
    ws.close()


def invite(server):
    ctl = os.path.relpath(harness.JMAPCTL)
    step("It stays up until Ctrl-C. Try, in other terminals:")
    print(f"""
   {ctl} watch wss://localhost:{server.https} --user {USER} --ca {server.cert}
       (the password is: {PASSWORD})
   curl -u {USER}:{PASSWORD} --cacert {server.cert} \\
       https://localhost:{server.https}/jmap/session
   {ctl} -c {server.conf_path} status
   python3 -c 'import smtplib; smtplib.LMTP("127.0.0.1", {server.lmtp}).sendmail(
       "me@example.net", "{USER}", "Subject: hello\\n\\nhi")'

   HTTPS and WebSocket 127.0.0.1:{server.https}, HTTP 127.0.0.1:{server.http}
   LMTP 127.0.0.1:{server.lmtp}, log {server.log_path}
""", flush=True)
    stop = threading.Event()
    for s in (signal.SIGINT, signal.SIGTERM):
        signal.signal(s, lambda *_: stop.set())
    while not stop.wait(1):
        if server.proc.poll() is not None:
            raise AssertionError("jmapd ended")
    print("\nending", flush=True)


def main():
    once = "--once" in sys.argv[1:]
    try:
        with harness.Server(ws_echo="yes", log_level="info") as server:
            story(server)
            if not once:
                invite(server)
    except KeyboardInterrupt:
        return 130
    except (AssertionError, OSError, KeyError, ValueError) as e:
        print(f"\nThis step failed: {type(e).__name__}: {e}", file=sys.stderr)
        return 1
    step("Every step held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
