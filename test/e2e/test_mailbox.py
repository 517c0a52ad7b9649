"""Mailbox (RFC 8621 2): each property, argument, filter, sort and SetError; over
HTTP and over WebSocket."""

import unicodedata

import pytest

import jmap
from mail import deliver, message

ROLES = ["archive", "drafts", "inbox", "junk", "sent", "trash"]
COUNTS = ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"]
PROPERTIES = ["id", "name", "parentId", "role", "sortOrder", *COUNTS,
              "myRights", "isSubscribed"]


def boxes(api, ids=None, **args):
    got = api.call("Mailbox/get", {"ids": ids, **args})
    return {m["id"]: m for m in got["list"]}


def set_(api, **args):
    return api.call("Mailbox/set", args)


def make(api, name, **more):
    got = set_(api, create={"x": {"name": name, **more}})
    assert got["created"], got
    return got["created"]["x"]["id"]


def update(api, box, **patch):
    """The SetError, or None."""
    got = set_(api, update={box: patch})
    if got["updated"]:
        assert not got["notUpdated"]
        return None
    return got["notUpdated"][box]


def refused(api, **args):
    """The one SetError of a call that must change nothing."""
    before, state = boxes(api), api.state("Mailbox")
    got = set_(api, **args)
    assert not any(got[k] for k in ("created", "updated", "destroyed")), got
    assert got["newState"] == got["oldState"] == state == api.state("Mailbox")
    assert boxes(api) == before
    (error,) = [e for k in ("notCreated", "notUpdated", "notDestroyed")
                for e in (got[k] or {}).values()]
    return error


def deliver_one(api, **kw):
    before = set(api.emails())
    deliver(api.server, api.account.name, message(**kw))
    (new,) = set(api.emails()) - before
    return new


# ---- one account with a tree, for what only looks ----

TREE = {
    # name: (parent, sortOrder, isSubscribed)
    "Work": (None, 4, True), "Home": (None, 4, False),
    "alpha": ("Work", 2, True), "Beta": ("Work", 1, False),
    "beta two": ("Beta", 0, True), "Ärger": ("Work", 1, True),
    "Work at home": ("Home", 0, True),
}


@pytest.fixture(scope="module", params=["http", "ws"])
def tree(request, server):
    api = jmap.connect(request.param, server, server.add_account())
    api.ids = {}
    for name, (parent, order, subscribed) in TREE.items():
        api.ids[name] = make(
            api, name, sortOrder=order, isSubscribed=subscribed,
            parentId=api.ids[parent] if parent else None)
    yield api
    api.close()


def names(api, found):
    everyone = boxes(api)
    return [everyone[i]["name"] for i in found]


def query(api, **args):
    return names(api, api.call("Mailbox/query", args)["ids"])


def found(api, **condition):
    return sorted(query(api, filter=condition))


def by(want):
    """A sort by sortOrder and name in Python, over the whole account."""
    def key(m):
        return (m["sortOrder"], unicodedata.normalize(
            "NFD", m["name"].upper()), m["id"])
    return [m["name"] for m in sorted(want, key=key)]


# ---- Mailbox/get ----

def test_mailbox_get_all_properties(tree):
    (m,) = boxes(tree, [tree.ids["alpha"]]).values()
    assert sorted(m) == sorted(PROPERTIES)
    assert m["id"] == tree.ids["alpha"]
    assert m["name"] == "alpha"
    assert m["parentId"] == tree.ids["Work"]
    assert m["role"] is None
    assert m["sortOrder"] == 2
    assert [m[k] for k in COUNTS] == [0] * 4
    assert m["isSubscribed"] is True


@pytest.mark.parametrize("name", PROPERTIES)
def test_mailbox_get_property(tree, name):
    box = tree.ids["Beta"]
    (m,) = boxes(tree, [box], properties=[name]).values()
    (whole,) = boxes(tree, [box]).values()
    assert m == {"id": box, name: whole[name]}


def test_mailbox_get_my_rights(tree):
    everyone = boxes(tree)
    inbox = everyone[tree.mailboxes()["inbox"]]["myRights"]
    other = everyone[tree.ids["Work"]]["myRights"]
    assert other == {
        "mayReadItems": True, "mayAddItems": True, "mayRemoveItems": True,
        "maySetSeen": True, "maySetKeywords": True, "mayCreateChild": True,
        "mayRename": True, "mayDelete": True, "maySubmit": False}
    assert inbox == {**other, "mayDelete": False}


def test_mailbox_get_ids_null_is_all_of_them(tree):
    everyone = boxes(tree)
    assert sorted(m["role"] for m in everyone.values() if m["role"]) == ROLES
    assert len(everyone) == len(ROLES) + len(TREE)


def test_mailbox_get_names_what_is_not_found(tree):
    got = tree.call("Mailbox/get", {"ids": ["m999", tree.ids["Work"], "x"]})
    assert [m["id"] for m in got["list"]] == [tree.ids["Work"]]
    assert sorted(got["notFound"]) == ["m999", "x"]


def test_mailbox_get_unknown_property(tree):
    error = tree.error("Mailbox/get", {"properties": ["colour"]})
    assert error["type"] == "invalidArguments"


def test_a_new_account_has_its_roles(api):
    assert {m["role"]: (m["name"], m["parentId"], m["isSubscribed"])
            for m in boxes(api).values()} == {
        role: (role.capitalize(), None, True) for role in ROLES}


def test_the_session_tells_the_limits(server, account):
    api = jmap.HttpApi(server, account)
    mail = api.session()["accounts"][api.account_id]["accountCapabilities"][
        jmap.MAIL]
    assert mail["maxMailboxDepth"] == 16
    assert mail["maxSizeMailboxName"] == 255
    assert mail["mayCreateTopLevelMailbox"] is True
    api.close()


# ---- Mailbox/query: filters ----

def test_mailbox_query_filter_parent_id(tree):
    assert found(tree, parentId=tree.ids["Work"]) == ["Beta", "alpha", "Ärger"]
    assert found(tree, parentId=tree.ids["alpha"]) == []
    assert found(tree, parentId="m999") == found(tree, parentId="x") == []


def test_mailbox_query_filter_parent_id_null_is_the_top_level(tree):
    assert found(tree, parentId=None) == sorted(
        [r.capitalize() for r in ROLES] + ["Work", "Home"])


def test_mailbox_query_filter_name_is_a_part_of_it(tree):
    assert found(tree, name="Work") == ["Work", "Work at home"]
    assert found(tree, name="ork at") == ["Work at home"]
    assert found(tree, name="rger") == found(tree, name="A\u0308r") == ["Ärger"]
    assert found(tree, name="nowhere") == []


def test_mailbox_query_filter_role(tree):
    assert found(tree, role="trash") == ["Trash"]
    assert found(tree, role="flagged") == []


def test_mailbox_query_filter_role_null(tree):
    assert found(tree, role=None) == sorted(TREE)


def test_mailbox_query_filter_has_any_role(tree):
    assert found(tree, hasAnyRole=True) == [r.capitalize() for r in ROLES]
    assert found(tree, hasAnyRole=False) == sorted(TREE)


def test_mailbox_query_filter_is_subscribed(tree):
    assert found(tree, isSubscribed=False) == ["Beta", "Home"]
    assert "Work" in found(tree, isSubscribed=True)


def test_mailbox_query_filter_conditions_of_one_object_all_match(tree):
    assert found(tree, parentId=tree.ids["Work"], isSubscribed=True) == [
        "alpha", "Ärger"]
    assert len(query(tree, filter={})) == len(query(tree)) == 13


def operator(name, *conditions):
    return {"operator": name, "conditions": list(conditions)}


def test_mailbox_query_filter_operator_and(tree):
    f = operator("AND", {"parentId": tree.ids["Work"]}, {"name": "t"})
    assert query(tree, filter=f) == ["Beta"]
    assert len(query(tree, filter=operator("AND"))) == 13


def test_mailbox_query_filter_operator_or(tree):
    f = operator("OR", {"role": "inbox"}, {"name": "alpha"})
    assert sorted(query(tree, filter=f)) == ["Inbox", "alpha"]
    assert query(tree, filter=operator("OR")) == []


def test_mailbox_query_filter_operator_not(tree):
    f = operator("NOT", {"hasAnyRole": True}, {"isSubscribed": True})
    assert sorted(query(tree, filter=f)) == ["Beta", "Home"]


def test_mailbox_query_filter_operators_nest(tree):
    f = {"role": "inbox"}
    for _ in range(6):
        f = operator("OR", operator("NOT", operator("NOT", f)), {
            "name": "alpha"})
    assert sorted(query(tree, filter=f)) == ["Inbox", "alpha"]


@pytest.mark.parametrize("f, kind", [
    ({"colour": "red"}, "unsupportedFilter"),
    ({"name": 1}, "invalidArguments"), ({"name": None}, "invalidArguments"),
    ({"parentId": 1}, "invalidArguments"), ({"role": True}, "invalidArguments"),
    ({"hasAnyRole": None}, "invalidArguments"),
    ({"isSubscribed": "yes"}, "invalidArguments"),
    ({"operator": "XOR", "conditions": []}, "invalidArguments"),
    ({"operator": "AND"}, "invalidArguments"),
    ({"operator": "AND", "conditions": {}}, "invalidArguments"),
    ({"operator": "AND", "conditions": [], "name": "x"}, "invalidArguments"),
    ({"operator": "AND", "conditions": [None]}, "invalidArguments"),
    ([], "invalidArguments")])
def test_mailbox_query_bad_filter(tree, f, kind):
    assert tree.error("Mailbox/query", {"filter": f})["type"] == kind
    assert tree.error("Mailbox/queryChanges", {
        "filter": f, "sinceQueryState": "x"})["type"] == kind


# ---- Mailbox/query: sorts ----

def sort(*properties):
    return [{"property": p.lstrip("-"), "isAscending": p[0] != "-"}
            for p in properties]


def test_mailbox_query_without_a_sort_is_by_order_and_name(tree):
    assert query(tree) == by(boxes(tree).values())


def test_mailbox_query_sort_name(tree):
    want = ["alpha", "Archive", "Ärger", "Beta", "beta two", "Drafts", "Home",
            "Inbox", "Junk", "Sent", "Trash", "Work", "Work at home"]
    # Decomposed, "A" and the two dots come before "L" no more than "R" does.
    want.sort(key=lambda n: unicodedata.normalize("NFD", n.upper()))
    assert query(tree, sort=sort("name")) == want
    assert query(tree, sort=sort("-name")) == want[::-1]


def test_mailbox_query_sort_sort_order(tree):
    everyone = {m["name"]: m["sortOrder"] for m in boxes(tree).values()}
    for descending in (False, True):
        got = query(tree, sort=sort("-sortOrder" if descending else
                                    "sortOrder"))
        orders = [everyone[n] for n in got]
        assert orders == sorted(orders, reverse=descending)
        assert len(got) == len(everyone)


def test_mailbox_query_sort_by_two_properties(tree):
    got = query(tree, sort=sort("sortOrder", "-name"),
                filter={"parentId": tree.ids["Work"]})
    assert got == ["Beta", "Ärger", "alpha"]
    got = query(tree, sort=sort("-sortOrder", "name"),
                filter={"parentId": tree.ids["Work"]})
    assert got == ["alpha", "Ärger", "Beta"]


@pytest.mark.parametrize("collation, want", [
    ("i;unicode-casemap", ["alpha", "Ärger", "Beta"]),
    ("i;ascii-casemap", ["alpha", "Beta", "Ärger"]),
    ("i;octet", ["Beta", "alpha", "Ärger"])])
def test_mailbox_query_sort_collation(tree, collation, want):
    assert query(tree, filter={"parentId": tree.ids["Work"]}, sort=[
        {"property": "name", "collation": collation}]) == want


@pytest.mark.parametrize("sort_, kind", [
    ([{"property": "parentId"}], "unsupportedSort"),
    ([{"property": "totalEmails"}], "unsupportedSort"),
    ([{"property": "name", "collation": "i;klingon"}], "unsupportedSort"),
    ([{"property": "name", "collation": 1}], "invalidArguments"),
    ([{"property": "name", "isAscending": "yes"}], "invalidArguments"),
    ([{"property": "name", "colour": "red"}], "invalidArguments"),
    ([{}], "invalidArguments"), (["name"], "invalidArguments"),
    ({"property": "name"}, "invalidArguments")])
def test_mailbox_query_bad_sort(tree, sort_, kind):
    assert tree.error("Mailbox/query", {"sort": sort_})["type"] == kind


# ---- Mailbox/query: the tree ----

def test_mailbox_query_sort_as_tree(tree):
    got = query(tree, sort=sort("name"), sortAsTree=True)
    assert got == ["Archive", "Drafts", "Home", "Work at home", "Inbox", "Junk",
                   "Sent", "Trash", "Work", "alpha", "Ärger", "Beta",
                   "beta two"]
    got = query(tree, sort=sort("-name"), sortAsTree=True,
                filter={"hasAnyRole": False})
    assert got == ["Work", "Beta", "beta two", "Ärger", "alpha", "Home",
                   "Work at home"]


def test_mailbox_query_sort_as_tree_without_the_ancestors(tree):
    """Those that the filter leaves out still give their children a place."""
    got = query(tree, sort=sort("name"), sortAsTree=True,
                filter={"name": "b"})
    assert got == ["Inbox", "beta two"]
    got = query(tree, sort=sort("-name"), sortAsTree=True,
                filter=operator("OR", {"name": "eta"}, {"name": "Work at"}))
    assert got == ["Beta", "beta two", "Work at home"]


def test_mailbox_query_filter_as_tree(tree):
    assert sorted(query(tree, filter={"isSubscribed": True})) == sorted(
        set(TREE) - {"Beta", "Home"} | {r.capitalize() for r in ROLES})
    assert sorted(query(
        tree, filter={"isSubscribed": True}, filterAsTree=True)) == sorted(
            ["Work", "alpha", "Ärger"] + [r.capitalize() for r in ROLES])


def test_mailbox_query_sort_and_filter_as_tree(tree):
    assert query(tree, filter={"hasAnyRole": False, "name": "o"},
                 filterAsTree=True, sortAsTree=True, sort=sort("-name")) == [
                     "Work", "Home", "Work at home"]


@pytest.mark.parametrize("name", ["sortAsTree", "filterAsTree"])
def test_mailbox_query_bad_tree_argument(tree, name):
    for bad in (1, "true", None):
        error = tree.error("Mailbox/query", {name: bad})
        assert error["type"] == "invalidArguments"


# ---- Mailbox/query: the window ----

def window(api, **args):
    got = api.call("Mailbox/query", {"sort": sort("name"), **args})
    return names(api, got["ids"]), got["position"]


def test_mailbox_query_position(tree):
    everyone = query(tree, sort=sort("name"))
    assert window(tree, position=3) == (everyone[3:], 3)
    assert window(tree, position=-2) == (everyone[-2:], 11)
    assert window(tree, position=-99) == (everyone, 0)
    assert window(tree, position=99)[0] == []


def test_mailbox_query_limit(tree):
    everyone = query(tree, sort=sort("name"))
    assert window(tree, limit=4) == (everyone[:4], 0)
    assert window(tree, position=2, limit=3) == (everyone[2:5], 2)
    assert window(tree, limit=0)[0] == []
    error = tree.error("Mailbox/query", {"limit": -1})
    assert error["type"] == "invalidArguments"


def test_mailbox_query_anchor(tree):
    everyone = query(tree, sort=sort("name"))
    anchor = tree.ids["Beta"]
    at = everyone.index("Beta")
    assert window(tree, anchor=anchor, limit=2) == (everyone[at:at + 2], at)
    assert window(tree, anchor=anchor, anchorOffset=-2, limit=3) == (
        everyone[at - 2:at + 1], at - 2)
    assert window(tree, anchor=anchor, anchorOffset=-99) == (everyone, 0)


def test_mailbox_query_anchor_not_found(tree):
    for anchor in ("m999", "x", tree.ids["alpha"]):
        error = tree.error("Mailbox/query", {
            "anchor": anchor, "filter": {"hasAnyRole": True}})
        assert error["type"] == "anchorNotFound"


def test_mailbox_query_calculate_total(tree):
    got = tree.call("Mailbox/query", {"calculateTotal": True, "limit": 1,
                                      "filter": {"hasAnyRole": True}})
    assert (len(got["ids"]), got["total"]) == (1, 6)
    assert "total" not in tree.call("Mailbox/query")


def test_mailbox_query_can_calculate_changes(tree):
    got = tree.call("Mailbox/query")
    assert got["canCalculateChanges"] is True
    assert got["queryState"] == tree.call("Mailbox/query")["queryState"]


# ---- Mailbox/queryChanges ----

class Cached:
    """A client that keeps a list up to date by Mailbox/queryChanges."""

    def __init__(self, api, **args):
        self.api, self.args = api, args
        got = api.call("Mailbox/query", args)
        self.ids, self.state = got["ids"], got["queryState"]

    def changes(self, **more):
        return self.api.call("Mailbox/queryChanges", {
            **self.args, "sinceQueryState": self.state, **more})

    def check(self, **more):
        """Follows the changes, and is what a new query says; their number."""
        got = self.changes(calculateTotal=True, **more)
        assert got["oldQueryState"] == self.state
        ids = [i for i in self.ids if i not in got["removed"]]
        indexes = [a["index"] for a in got["added"]]
        assert indexes == sorted(indexes)
        for a in got["added"]:
            ids.insert(a["index"], a["id"])
        now = self.api.call("Mailbox/query", self.args)
        assert ids == now["ids"]
        assert got["newQueryState"] == now["queryState"]
        assert got["total"] == len(ids)
        self.ids, self.state = ids, now["queryState"]
        return len(got["removed"]) + len(got["added"])


QUERIES = [
    {}, {"sort": sort("name")}, {"sort": sort("-sortOrder", "name")},
    {"filter": {"name": "b"}, "sort": sort("-name")},
    {"filter": {"isSubscribed": True}},
    {"sort": sort("name"), "sortAsTree": True},
    {"filter": {"name": "b"}, "filterAsTree": True},
    {"filter": {"parentId": None}, "sortAsTree": True, "filterAsTree": True}]


def test_mailbox_query_changes(api):
    a, b = make(api, "ab"), make(api, "bb", sortOrder=3)
    lists = [Cached(api, **q) for q in QUERIES]
    steps = [
        lambda: make(api, "b new"),
        lambda: update(api, a, name="zz"),
        lambda: update(api, b, sortOrder=0, isSubscribed=False),
        lambda: update(api, b, parentId=a),
        lambda: update(api, a, name="b again"),
        lambda: set_(api, destroy=[b]),
        lambda: set_(api, create={"x": {"name": "b1"}, "y": {
            "name": "b2", "parentId": "#x"}}, update={a: {"name": "c"}}),
    ]
    for step in steps:
        step()
        for one in lists:
            one.check()


def test_mailbox_query_changes_over_many_steps_at_once(api):
    lists = [Cached(api, **q) for q in QUERIES]
    a = make(api, "b")
    gone = make(api, "bb", parentId=a)
    set_(api, destroy=[gone])
    update(api, a, name="bbb", parentId=api.mailboxes()["inbox"])
    for one in lists:
        one.check()


def test_mailbox_query_changes_counts_change_no_list(api):
    lists = [Cached(api, **q) for q in QUERIES]
    deliver_one(api)
    for one in lists:
        assert one.check() == 0


def test_mailbox_query_changes_total_only_when_asked_for(tree):
    one = Cached(tree)
    assert "total" not in one.changes()
    assert one.changes(calculateTotal=True)["total"] == 13


def test_mailbox_query_changes_up_to_id_is_ignored(api):
    """Name and sortOrder can change, so that nothing may be left out."""
    one = Cached(api, sort=sort("name"))
    make(api, "zzz")
    assert one.check(upToId=one.ids[0]) == 1


def test_mailbox_query_changes_too_many_changes(api):
    one = Cached(api, sort=sort("name"))
    make(api, "a")
    make(api, "b")
    error = api.error("Mailbox/queryChanges", {
        **one.args, "sinceQueryState": one.state, "maxChanges": 1})
    assert error["type"] == "tooManyChanges"
    assert one.check(maxChanges=2) == 2


@pytest.mark.parametrize("state", ["", "x", "1-1", "999999-1"])
def test_mailbox_query_changes_of_an_unknown_state(tree, state):
    error = tree.error("Mailbox/queryChanges", {"sinceQueryState": state})
    assert error["type"] == "cannotCalculateChanges"


def test_mailbox_query_changes_needs_a_state(tree):
    error = tree.error("Mailbox/queryChanges")
    assert error["type"] == "invalidArguments"


# ---- Mailbox/changes ----

def test_mailbox_changes_updated_properties_when_only_counts_changed(api):
    since = api.state("Mailbox")
    deliver_one(api)
    got = api.call("Mailbox/changes", {"sinceState": since})
    assert got["updated"] == [api.mailboxes()["inbox"]]
    assert sorted(got["updatedProperties"]) == sorted(COUNTS)


def test_mailbox_changes_updated_properties_null_when_more_changed(api):
    boxes_ = api.mailboxes()
    since = api.state("Mailbox")
    deliver_one(api)
    update(api, boxes_["junk"], name="Spam")
    got = api.call("Mailbox/changes", {"sinceState": since})
    assert sorted(got["updated"]) == sorted([boxes_["inbox"], boxes_["junk"]])
    assert got["updatedProperties"] is None


def test_mailbox_changes_updated_properties_null_when_nothing_changed(api):
    since = api.state("Mailbox")
    new = make(api, "A")
    got = api.call("Mailbox/changes", {"sinceState": since})
    assert (got["created"], got["updated"]) == ([new], [])
    assert got["updatedProperties"] is None


def test_mailbox_changes_created_updated_destroyed(api):
    old, gone = make(api, "A"), make(api, "B")
    since = api.state("Mailbox")
    new = make(api, "C")
    update(api, old, sortOrder=9)
    set_(api, destroy=[gone])
    set_(api, destroy=[make(api, "D")])
    got = api.call("Mailbox/changes", {"sinceState": since})
    assert (got["created"], got["updated"], got["destroyed"]) == (
        [new], [old], [gone])
    assert got["newState"] == api.state("Mailbox")


def test_mailbox_changes_max_changes(api):
    since = api.state("Mailbox")
    made = [make(api, str(i)) for i in range(3)]
    got = api.call("Mailbox/changes", {"sinceState": since, "maxChanges": 2})
    assert (got["created"], got["hasMoreChanges"]) == (made[:2], True)
    got = api.call("Mailbox/changes", {"sinceState": got["newState"]})
    assert (got["created"], got["hasMoreChanges"]) == (made[2:], False)


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


def test_mailbox_set_bad_on_destroy_remove_emails(tree):
    error = tree.error("Mailbox/set", {"onDestroyRemoveEmails": "yes"})
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
