"""Mailbox/set (RFC 8621 2.5): each property, rule and SetError; over HTTP and over
WebSocket."""

from mailboxes import (
    COUNTS, boxes, deliver_one, make, refused, set_, update)


# ---- Mailbox/set: create ----

def test_mailbox_set_create(api):
    parent = make(api, "P")
    got = set_(api, create={"x": {
        "name": "Projects", "parentId": parent, "role": "important",
        "sortOrder": 7, "isSubscribed": False}})["created"]["x"]
    assert sorted(got) == sorted(["id", "myRights", *COUNTS])
    assert boxes(api, [got["id"]])[got["id"]] == {
        **got, "name": "Projects", "parentId": parent, "role": "important",
        "sortOrder": 7, "isSubscribed": False}


def test_mailbox_set_create_defaults(api):
    got = set_(api, create={"x": {"name": "A"}})["created"]["x"]
    assert (got["parentId"], got["role"], got["sortOrder"],
            got["isSubscribed"]) == (None, None, 0, True)
    assert [got[k] for k in COUNTS] == [0] * 4
    assert boxes(api, [got["id"]])[got["id"]] == {**got, "name": "A"}


def test_mailbox_set_create_under_another_creation(api):
    got = set_(api, create={
        "c": {"name": "C", "parentId": "#b"}, "b": {"name": "B",
        "parentId": "#a"}, "a": {"name": "A"}})["created"]
    made = boxes(api)
    assert made[got["c"]["id"]]["parentId"] == got["b"]["id"]
    assert made[got["b"]["id"]]["parentId"] == got["a"]["id"]


def test_mailbox_set_create_server_set_property(api):
    for name in ("id", "myRights", *COUNTS):
        error = refused(api, create={"x": {"name": "A", name: 1}})
        assert (error["type"], error["properties"]) == (
            "invalidProperties", [name])


# ---- Mailbox/set: names ----

def test_mailbox_set_name_is_normalized(api):
    got = set_(api, create={"x": {"name": "Mu\u0308ll"}})["created"]["x"]
    assert got["name"] == "M\u00fcll"
    assert boxes(api)[got["id"]]["name"] == "M\u00fcll"
    got = set_(api, update={got["id"]: {"name": "A\u030angstro\u0308m"}})
    assert list(got["updated"].values()) == [{"name": "\u00c5ngstr\u00f6m"}]


def test_mailbox_set_name_that_is_normal_is_not_told(api):
    got = set_(api, create={"x": {"name": "M\u00fcll"}})["created"]["x"]
    assert "name" not in got
    assert set_(api, update={got["id"]: {"name": "\u00c5"}})["updated"] == {
        got["id"]: None}


def test_mailbox_set_name_taken_in_another_form(api):
    taken = make(api, "M\u00fcll")
    error = refused(api, create={"x": {"name": "Mu\u0308ll"}})
    assert (error["type"], error["existingId"]) == ("alreadyExists", taken)


def invalid(api, name, *values):
    """None of the values is taken for that property."""
    for value in values:
        error = refused(api, create={"x": {"name": "A", name: value}})
        assert (error["type"], error["properties"]) == (
            "invalidProperties", [name]), value


def test_mailbox_set_bad_name(api):
    invalid(api, "name", "", "a\nb", "a\u0000b", "\u007f", "\u0085",
            "a\u2028b", "\u2029", "\ufeffa", "x" * 256, "\u00e9" * 128,
            "x" * 100000, 5, None, ["x"])


def test_mailbox_set_create_without_a_name(api):
    error = refused(api, create={"x": {"sortOrder": 1}})
    assert (error["type"], error["properties"]) == ("invalidProperties",
                                                    ["name"])


def test_mailbox_set_good_name(api):
    for name in ("x" * 255, "\u00e9" * 127, "a/b", " ", "\U0001f4ec", "inbox"):
        box = make(api, name)
        assert boxes(api)[box]["name"] == name


def test_mailbox_set_already_exists(api):
    a, b = make(api, "A"), make(api, "B")
    error = refused(api, create={"x": {"name": "A"}})
    assert (error["type"], error["existingId"]) == ("alreadyExists", a)
    error = refused(api, update={b: {"name": "A"}})
    assert (error["type"], error["existingId"]) == ("alreadyExists", a)
    make(api, "A", parentId=b)


# ---- Mailbox/set: parents ----

def test_mailbox_set_parent_id(api):
    a, b = make(api, "A"), make(api, "B")
    assert update(api, b, parentId=a) is None
    assert boxes(api)[b]["parentId"] == a
    assert update(api, b, parentId=None) is None
    assert boxes(api)[b]["parentId"] is None


def test_mailbox_set_bad_parent(api):
    invalid(api, "parentId", "m999", "x", "#nobody", 7, ["m1"])


def test_mailbox_set_loop(api):
    a = make(api, "A")
    b = make(api, "B", parentId=a)
    for parent in (a, b):
        error = refused(api, update={a: {"parentId": parent}})
        assert (error["type"], error["properties"]) == ("invalidProperties",
                                                        ["parentId"])
    c = make(api, "C")
    got = set_(api, update={a: {"parentId": c}, c: {"parentId": b}})
    assert (list(got["updated"]), list(got["notUpdated"])) == ([a], [c])


def test_mailbox_set_too_deep(api):
    made = [make(api, "0")]
    for i in range(1, 16):
        made.append(make(api, str(i), parentId=made[-1]))
    error = refused(api, create={"x": {"name": "x", "parentId": made[-1]}})
    assert (error["type"], error["properties"]) == ("invalidProperties",
                                                    ["parentId"])
    top = make(api, "top")
    error = refused(api, update={made[0]: {"parentId": top}})
    assert error["properties"] == ["parentId"]
    assert update(api, made[1], parentId=top) is None


# ---- Mailbox/set: roles, order, subscription ----

def test_mailbox_set_role(api):
    a = make(api, "A")
    assert update(api, a, role="snoozed") is None
    assert boxes(api)[a]["role"] == "snoozed"
    assert update(api, a, role=None) is None
    assert boxes(api)[a]["role"] is None


def test_mailbox_set_bad_role(api):
    invalid(api, "role", "nonsense", "Important", "", 1, "trash")


def test_mailbox_set_the_inbox_keeps_its_role(api):
    inbox = api.mailboxes()["inbox"]
    for role in (None, "important"):
        error = refused(api, update={inbox: {"role": role}})
        assert error["type"] == "forbidden"
    assert update(api, inbox, role="inbox", name="Eingang") is None
    assert api.mailboxes()["inbox"] == inbox
    deliver_one(api)
    assert boxes(api)[inbox]["totalEmails"] == 1


def test_mailbox_set_a_new_trash_changes_the_counts(api):
    """RFC 8621 2: Emails that are in the trash only do not count elsewhere."""
    a = make(api, "A")
    roles = api.mailboxes()
    first = deliver_one(api, subject="Plan", Message_ID="<1@x>")
    second = deliver_one(api, subject="Re: Plan", In_Reply_To="<1@x>")
    api.set_keyword(first, "$seen")
    api.call("Email/set", {"update": {second: {"mailboxIds": {a: True}}}})
    assert boxes(api)[roles["inbox"]]["unreadThreads"] == 1
    update(api, roles["trash"], role=None)
    update(api, a, role="trash")
    assert boxes(api)[roles["inbox"]]["unreadThreads"] == 0
    assert boxes(api)[a]["unreadThreads"] == 1


def test_mailbox_set_sort_order(api):
    for order in (0, 1, 2**31 - 1):
        box = make(api, str(order), sortOrder=order)
        assert boxes(api)[box]["sortOrder"] == order


def test_mailbox_set_bad_sort_order(api):
    invalid(api, "sortOrder", -1, 2**31, 1.5, "1", True)


def test_mailbox_set_is_subscribed(api):
    a = make(api, "A", isSubscribed=False)
    assert boxes(api)[a]["isSubscribed"] is False
    assert update(api, a, isSubscribed=True) is None
    assert boxes(api)[a]["isSubscribed"] is True
    error = refused(api, update={a: {"isSubscribed": "no"}})
    assert (error["type"], error["properties"]) == ("invalidProperties",
                                                    ["isSubscribed"])


# ---- Mailbox/set: update ----

def test_mailbox_set_update_names_every_bad_property(api):
    a = make(api, "A")
    error = refused(api, update={a: {
        "name": 1, "parentId": "m999", "sortOrder": -1, "colour": "red"}})
    assert error["type"] == "invalidProperties"
    assert "colour" in error["properties"]


def test_mailbox_set_update_server_set_property(api):
    a = make(api, "A")
    for name, value in (("id", "m999"), ("totalEmails", 7), ("myRights", {})):
        error = refused(api, update={a: {name: value}})
        assert (error["type"], error["properties"]) == ("invalidProperties",
                                                        [name])
    assert update(api, a, id=a, totalEmails=0, name="B") is None


def test_mailbox_set_update_invalid_patch(api):
    a = make(api, "A")
    assert refused(api, update={a: {"name/x": "y"}})["type"] == "invalidPatch"
    assert refused(api, update={a: {"myRights/mayDelete": False}})["type"] in (
        "invalidPatch", "invalidProperties")


def test_mailbox_set_update_not_found(api):
    assert refused(api, update={"m999": {"name": "A"}})["type"] == "notFound"
    assert refused(api, update={"x": {"name": "A"}})["type"] == "notFound"


def test_mailbox_set_update_that_changes_nothing(api):
    a = make(api, "A")
    before = api.state("Mailbox")
    assert update(api, a, name="A", sortOrder=0) is None
    assert api.state("Mailbox") == before


def test_mailbox_set_if_in_state(api):
    stale = api.state("Mailbox")
    a = make(api, "A")
    error = api.error("Mailbox/set", {"ifInState": stale, "destroy": [a]})
    assert error["type"] == "stateMismatch"
    assert a in boxes(api)


# ---- Mailbox/set: destroy ----

def test_mailbox_set_destroy(api):
    a = make(api, "A")
    assert set_(api, destroy=[a])["destroyed"] == [a]
    assert a not in boxes(api)
    assert refused(api, destroy=[a])["type"] == "notFound"


def test_mailbox_set_mailbox_has_child(api):
    a = make(api, "A")
    b = make(api, "B", parentId=a)
    for flag in (False, True):
        error = refused(api, destroy=[a], onDestroyRemoveEmails=flag)
        assert error["type"] == "mailboxHasChild"
    assert sorted(set_(api, destroy=[a, b])["destroyed"]) == sorted([a, b])


def test_mailbox_set_mailbox_has_email(api):
    a = make(api, "A")
    e = deliver_one(api)
    api.call("Email/set", {"update": {e: {"mailboxIds": {a: True}}}})
    assert refused(api, destroy=[a])["type"] == "mailboxHasEmail"
    error = refused(api, destroy=[a], onDestroyRemoveEmails=False)
    assert error["type"] == "mailboxHasEmail"


def test_mailbox_set_on_destroy_remove_emails(api):
    a, inbox = make(api, "A"), api.mailboxes()["inbox"]
    here, both = deliver_one(api), deliver_one(api, subject="b")
    api.call("Email/set", {"update": {
        here: {"mailboxIds": {a: True}}, both: {f"mailboxIds/{a}": True}}})
    since = api.state()
    got = set_(api, destroy=[a], onDestroyRemoveEmails=True)
    assert got["destroyed"] == [a]
    assert api.emails() == [both]
    (left,) = api.call("Email/get", {"ids": [both]})["list"]
    assert left["mailboxIds"] == {inbox: True}
    got = api.call("Email/changes", {"sinceState": since})
    assert (got["updated"], got["destroyed"]) == ([both], [here])
    assert boxes(api)[inbox]["totalEmails"] == 1


def test_mailbox_set_on_destroy_remove_emails_keeps_what_has_a_child(api):
    a = make(api, "A")
    make(api, "B", parentId=a)
    e = deliver_one(api)
    api.call("Email/set", {"update": {e: {"mailboxIds": {a: True}}}})
    error = refused(api, destroy=[a], onDestroyRemoveEmails=True)
    assert error["type"] == "mailboxHasChild"
    assert api.emails() == [e]


def test_mailbox_set_bad_on_destroy_remove_emails(api):
    error = api.error("Mailbox/set", {"onDestroyRemoveEmails": "yes"})
    assert error["type"] == "invalidArguments"


def test_mailbox_set_the_inbox_stays(api):
    inbox = api.mailboxes()["inbox"]
    error = refused(api, destroy=[inbox], onDestroyRemoveEmails=True)
    assert error["type"] == "forbidden"


def test_mailbox_set_will_destroy(api):
    a = make(api, "A")
    got = set_(api, update={a: {"name": "B"}}, destroy=[a])
    assert got["notUpdated"][a]["type"] == "willDestroy"
    assert got["destroyed"] == [a]


# ---- Mailbox/set: the final state counts (RFC 8620 5.3) ----

def all_done(api, **args):
    got = set_(api, **args)
    assert not any(got[k] for k in ("notCreated", "notUpdated",
                                    "notDestroyed")), got
    return got


def test_mailbox_set_two_swap_their_names(api):
    a, b = make(api, "A"), make(api, "B")
    all_done(api, update={a: {"name": "B"}, b: {"name": "A"}})
    now = boxes(api)
    assert (now[a]["name"], now[b]["name"]) == ("B", "A")


def test_mailbox_set_many_pass_their_names_on(api):
    made = [make(api, str(i)) for i in range(30)]
    all_done(api, update={m: {"name": str((i + 1) % 30)}
                          for i, m in enumerate(made)})
    now = boxes(api)
    assert [now[m]["name"] for m in made] == [
        str((i + 1) % 30) for i in range(30)]


def test_mailbox_set_a_long_chain_of_names(api):
    made = [make(api, str(i)) for i in range(30)]
    all_done(api, update={m: {"name": str(i + 1)}
                          for i, m in enumerate(made)})
    now = boxes(api)
    assert [now[m]["name"] for m in made] == [str(i + 1) for i in range(30)]


def test_mailbox_set_two_swap_their_parents(api):
    p, q = make(api, "P"), make(api, "Q")
    a, b = make(api, "x", parentId=p), make(api, "x", parentId=q)
    all_done(api, update={a: {"parentId": q}, b: {"parentId": p}})
    now = boxes(api)
    assert (now[a]["parentId"], now[b]["parentId"]) == (q, p)


def test_mailbox_set_parent_and_child_swap(api):
    p = make(api, "P")
    c = make(api, "C", parentId=p)
    all_done(api, update={p: {"parentId": c, "name": "C"},
                          c: {"parentId": None, "name": "P"}})
    now = boxes(api)
    assert (now[p]["parentId"], now[c]["parentId"]) == (c, None)
    assert (now[p]["name"], now[c]["name"]) == ("C", "P")


def test_mailbox_set_two_swap_their_roles(api):
    roles = api.mailboxes()
    all_done(api, update={roles["trash"]: {"role": "junk"},
                          roles["junk"]: {"role": "trash"}})
    now = api.mailboxes()
    assert (now["trash"], now["junk"]) == (roles["junk"], roles["trash"])


def test_mailbox_set_the_inbox_swaps_no_role(api):
    roles = api.mailboxes()
    got = set_(api, update={roles["inbox"]: {"role": "junk"},
                            roles["junk"]: {"role": "inbox"}})
    assert not got["updated"]
    assert got["notUpdated"][roles["inbox"]]["type"] == "forbidden"
    assert got["notUpdated"][roles["junk"]]["properties"] == ["role"]
    assert api.mailboxes() == roles


def test_mailbox_set_a_new_one_takes_over_name_and_child(api):
    a = make(api, "A")
    got = all_done(api, create={"n": {"name": "A"}},
                   update={a: {"parentId": "#n"}})
    new = got["created"]["n"]["id"]
    now = boxes(api)
    assert (now[new]["name"], now[a]["parentId"]) == ("A", new)
    got = api.call("Mailbox/get", {"ids": [new, a]})
    assert len(got["list"]) == 2


def test_mailbox_set_a_child_takes_the_name_of_its_parent_that_goes(api):
    p = make(api, "P")
    c = make(api, "C", parentId=p)
    all_done(api, update={c: {"parentId": None, "name": "P"}}, destroy=[p])
    now = boxes(api)
    assert p not in now
    assert (now[c]["name"], now[c]["parentId"]) == ("P", None)


def test_mailbox_set_a_swap_in_which_a_third_one_wants_too_much(api):
    a, b, c = make(api, "A"), make(api, "B"), make(api, "C")
    got = set_(api, update={a: {"name": "B"}, b: {"name": "A"},
                            c: {"name": "A"}})
    assert sorted(got["updated"]) == sorted([a, b])
    assert got["notUpdated"][c]["type"] == "alreadyExists"
    assert got["notUpdated"][c]["existingId"] == b
    now = boxes(api)
    assert [now[m]["name"] for m in (a, b, c)] == ["B", "A", "C"]


def test_mailbox_set_a_swap_that_cannot_be_changes_nothing(api):
    a, b = make(api, "A"), make(api, "B")
    make(api, "C")
    before = boxes(api)
    got = set_(api, update={a: {"name": "B"}, b: {"name": "C"}},
               create={"n": {"name": "A"}})
    assert not got["updated"] and not got["created"]
    assert {e["type"] for k in ("notUpdated", "notCreated")
            for e in got[k].values()} == {"alreadyExists"}
    assert boxes(api) == before


def test_mailbox_set_a_creation_that_failed_is_no_id(api):
    make(api, "A")
    (_, first, _), (name, second, _) = api.calls(
        ["Mailbox/set", {"accountId": api.account_id,
                         "create": {"n": {"name": "A"}}}, "0"],
        ["Mailbox/set", {"accountId": api.account_id, "create": {
            "c": {"name": "C", "parentId": "#n"}}}, "1"])
    assert first["notCreated"]["n"]["type"] == "alreadyExists"
    assert second["notCreated"]["c"]["properties"] == ["parentId"]


def test_mailbox_set_swaps_follow_in_changes(api):
    a, b = make(api, "A"), make(api, "B")
    since = api.state("Mailbox")
    got = all_done(api, update={a: {"name": "B"}, b: {"name": "A"}})
    assert (got["oldState"], got["newState"]) == (since, api.state("Mailbox"))
    got = api.call("Mailbox/changes", {"sinceState": since})
    assert sorted(got["updated"]) == sorted([a, b])
    assert got["updatedProperties"] is None
