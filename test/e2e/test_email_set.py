"""Email/set update and destroy (RFC 8620 5.3, RFC 8621 4.6)."""

import pytest

from mail import deliver, message

OPTIONS = {"max_objects_in_set": 1100}


@pytest.fixture(scope="module")
def account(server):
    """One for all: no test here looks at what others left."""
    return server.add_account("alice@example.org")


@pytest.fixture
def new(api):
    """A new Email in the Inbox."""
    before = set(api.emails())
    deliver(api.server, api.account.name, message())
    (one,) = set(api.emails()) - before
    return one


def get(api, email_id, *props):
    (e,) = api.call("Email/get", {"ids": [email_id],
                                  "properties": list(props)})["list"]
    return e


def update(api, email_id, patch):
    got = api.call("Email/set", {"update": {email_id: patch}})
    assert got["notUpdated"] is None, got
    assert got["updated"] == {email_id: None}
    return got


def refused(api, email_id, patch):
    state = api.state()
    got = api.call("Email/set", {"update": {email_id: patch}})
    assert got["updated"] is None, got
    assert got["oldState"] == got["newState"] == state == api.state()
    return got["notUpdated"][email_id]


def invalid(api, email_id, patch, *names):
    e = refused(api, email_id, patch)
    assert e["type"] == "invalidProperties", e
    assert sorted(e["properties"]) == sorted(names), e


# ---- keywords ----

def test_email_set_keywords_whole(api, new):
    update(api, new, {"keywords": {"$Seen": True, "b": True, "A": True}})
    assert get(api, new, "keywords")["keywords"] == {
        "$seen": True, "b": True, "a": True}
    update(api, new, {"keywords": {"c": True}})
    assert get(api, new, "keywords")["keywords"] == {"c": True}
    update(api, new, {"keywords": None})
    assert get(api, new, "keywords")["keywords"] == {}


def test_email_set_keywords_by_patch(api, new):
    update(api, new, {"keywords/$seen": True, "keywords/Mine": True})
    update(api, new, {"keywords/$SEEN": None, "keywords/other": True,
                      "keywords/not-there": None})
    assert get(api, new, "keywords")["keywords"] == {
        "mine": True, "other": True}


def test_email_set_keyword_with_a_slash_and_a_tilde(api, new):
    update(api, new, {"keywords/a~1b~0c": True})
    assert get(api, new, "keywords")["keywords"] == {"a/b~c": True}


def test_email_set_keywords_that_are_there_change_nothing(api, new):
    update(api, new, {"keywords/$seen": True})
    state = api.state()
    assert update(api, new, {"keywords/$seen": True})["newState"] == state


@pytest.mark.parametrize("patch", [
    {"keywords/$seen": False}, {"keywords/$seen": 1}, {"keywords/$seen": "x"},
    {"keywords": {"$seen": False}}, {"keywords": ["$seen"]}, {"keywords": 5},
    {"keywords/": True}, {"keywords/a b": True}, {"keywords/a(": True},
    {"keywords/\u00e4": True}, {"keywords/" + "x" * 256: True},
    {"keywords": {"a%": True, "good": True}}])
def test_email_set_invalid_keywords(api, new, patch):
    invalid(api, new, patch, "keywords")
    assert get(api, new, "keywords")["keywords"] == {}


def test_email_set_too_many_keywords(api, new):
    update(api, new, {"keywords": {f"k{i}": True for i in range(128)}})
    assert refused(api, new, {"keywords/more": True})["type"] == (
        "tooManyKeywords")
    assert refused(api, new, {"keywords": {
        f"k{i}": True for i in range(129)}})["type"] == "tooManyKeywords"
    update(api, new, {"keywords/k0": None, "keywords/more": True})
    update(api, new, {"keywords/k1": True})  # it is there already


# ---- mailboxIds ----

def test_email_set_mailbox_ids_whole(api, new):
    boxes = api.mailboxes()
    want = {boxes["archive"]: True, boxes["trash"]: True}
    update(api, new, {"mailboxIds": want})
    assert get(api, new, "mailboxIds")["mailboxIds"] == want


def test_email_set_mailbox_ids_by_patch(api, new):
    boxes = api.mailboxes()
    update(api, new, {f"mailboxIds/{boxes['archive']}": True,
                      f"mailboxIds/{boxes['inbox']}": None,
                      f"mailboxIds/{boxes['trash']}": None,
                      "mailboxIds/mnone": None})
    assert get(api, new, "mailboxIds")["mailboxIds"] == {
        boxes["archive"]: True}


def test_email_set_keywords_and_mailbox_ids_at_once(api, new):
    box = {api.mailboxes()["archive"]: True}
    update(api, new, {"keywords/$seen": True, "mailboxIds": box})
    assert get(api, new, "keywords", "mailboxIds") == {
        "id": new, "keywords": {"$seen": True}, "mailboxIds": box}
    # All of it, or nothing.
    invalid(api, new, {"keywords/$flagged": True, "mailboxIds": {}},
            "mailboxIds")
    assert get(api, new, "keywords")["keywords"] == {"$seen": True}


def test_email_set_invalid_mailbox_ids(api, new):
    inbox = api.mailboxes()["inbox"]
    for patch in ({"mailboxIds": {}}, {"mailboxIds": None},
                  {"mailboxIds": [inbox]}, {"mailboxIds": {inbox: False}},
                  {"mailboxIds": {"m999": True}}, {"mailboxIds": {"x": True}},
                  {f"mailboxIds/{inbox}": None},
                  {f"mailboxIds/{inbox}": False}, {"mailboxIds/m999": True},
                  {"mailboxIds": {"#none": True}}):
        invalid(api, new, patch, "mailboxIds")


def test_email_set_mailbox_created_before(api, new):
    got = api.calls(
        ["Mailbox/set", {"accountId": api.account_id, "create": {
            "b": {"name": f"new {api.carrier}"}}}, "0"],
        ["Email/set", {"accountId": api.account_id, "update": {
            new: {"mailboxIds": {"#b": True}}}}, "1"])
    box = got[0][1]["created"]["b"]["id"]
    assert got[1][1]["updated"] == {new: None}
    assert get(api, new, "mailboxIds")["mailboxIds"] == {box: True}


def test_email_set_too_many_mailboxes(server):
    import jmap
    api = jmap.connect("http", server, server.add_account("many@example.org"))
    try:
        boxes = [m["id"] for m in api.call("Mailbox/set", {"create": {
            f"b{i}": {"name": f"b{i}"} for i in range(1001)}
        })["created"].values()]
        deliver(server, "many@example.org", message())
        (new,) = api.emails()
        assert refused(api, new, {"mailboxIds": dict.fromkeys(boxes, True)})[
            "type"] == "tooManyMailboxes"
        update(api, new, {"mailboxIds": dict.fromkeys(boxes[:1000], True)})
        assert refused(api, new, {f"mailboxIds/{boxes[1000]}": True})[
            "type"] == "tooManyMailboxes"
        got = api.call("Email/set", {"create": {"c": {
            "mailboxIds": dict.fromkeys(boxes, True)}}})
        assert got["notCreated"]["c"]["type"] == "tooManyMailboxes"
        update(api, new, {f"mailboxIds/{boxes[0]}": None,
                          f"mailboxIds/{boxes[1000]}": True})
    finally:
        api.close()


# ---- what is immutable ----

@pytest.mark.parametrize("prop, v", [
    ("blobId", "b1"), ("threadId", "t99"), ("size", 1),
    ("receivedAt", "2020-01-01T00:00:00Z"), ("sentAt", None),
    ("subject", "other"), ("from", []), ("to", None), ("messageId", ["x"]),
    ("hasAttachment", True), ("preview", "x"), ("textBody", []),
    ("bodyStructure", None), ("bodyValues", {"1": {}}), ("headers", []),
    ("id", "e99999"), ("nonsense", 1), ("header:Subject:asText", "x"),
    ("subject/x", "y")])
def test_email_set_immutable_property(api, new, prop, v):
    invalid(api, new, {prop: v}, prop.split("/")[0])


def test_email_set_a_whole_object_is_a_patch(api, new):
    whole = get(api, new, "id", "blobId", "threadId", "size", "receivedAt",
                "subject", "from", "keywords", "mailboxIds", "preview",
                "textBody", "hasAttachment")
    whole["keywords"] = {"$flagged": True}
    update(api, new, whole)
    assert get(api, new, "keywords")["keywords"] == {"$flagged": True}


@pytest.mark.parametrize("patch", [
    {"keywords": {}, "keywords/$seen": True}, {"keywords/a/b": True},
    {"keywords/a~2": True}])
def test_email_set_invalid_patch(api, new, patch):
    assert refused(api, new, patch)["type"] == "invalidPatch"


def test_email_set_update_of_what_is_not_there(api):
    got = api.call("Email/set", {"update": {
        "e99999": {"keywords": {}}, "x": {}, "#none": {"keywords": {}}}})
    assert {k: v["type"] for k, v in got["notUpdated"].items()} == {
        "e99999": "notFound", "x": "notFound", "#none": "notFound"}


# ---- destroy ----

def test_email_set_destroy(api, new):
    state = api.state()
    got = api.call("Email/set", {"destroy": [new, "e99999", new, "x"]})
    assert got["destroyed"] == [new]
    assert {k: v["type"] for k, v in got["notDestroyed"].items()} == {
        "e99999": "notFound", "x": "notFound"}
    assert (got["oldState"], got["newState"]) == (state, api.state())
    assert api.call("Email/get", {"ids": [new]})["notFound"] == [new]
    assert api.call("Email/changes", {"sinceState": state})[
        "destroyed"] == [new]


def test_email_set_update_of_what_is_destroyed(api, new):
    got = api.call("Email/set", {"update": {new: {"keywords/$seen": True}},
                                 "destroy": [new]})
    assert got["destroyed"] == [new]
    assert got["notUpdated"][new]["type"] == "willDestroy"


# ---- the method ----

def test_email_set_if_in_state(api, new):
    state = api.state()
    update_it = {"update": {new: {"keywords/$seen": True}}}
    got = api.call("Email/set", {"ifInState": state, **update_it})
    assert got["oldState"] == state != got["newState"]
    e = api.error("Email/set", {"ifInState": state, "destroy": [new]})
    assert e["type"] == "stateMismatch"
    assert get(api, new, "id") == {"id": new}
    assert api.call("Email/set", {"ifInState": None, **update_it})


def test_email_set_of_nothing(api):
    state = api.state()
    assert api.call("Email/set", {"create": None, "update": {}}) == {
        "accountId": api.account_id, "oldState": state, "newState": state,
        "created": None, "updated": None, "destroyed": None,
        "notCreated": None, "notUpdated": None, "notDestroyed": None}


@pytest.mark.parametrize("args", [
    {"create": []}, {"update": []}, {"destroy": {}}, {"destroy": [5]},
    {"update": {"e1": None}}, {"create": {"c": 5}}, {"create": {"": {}}},
    {"create": {"a b": {}}}, {"ifInState": 5}, {"more": 1}])
def test_email_set_invalid_arguments(api, args):
    assert api.error("Email/set", args)["type"] == "invalidArguments"


def test_email_set_max_objects(api):
    e = api.error("Email/set", {"destroy": [f"e{i}" for i in range(2000, 3101)]})
    assert e["type"] == "requestTooLarge"
