"""Mailbox (RFC 8621 2): each property, filter, sort and argument of get, query and
changes; over HTTP and over WebSocket."""

import unicodedata

import pytest

import jmap
from mailboxes import COUNTS, ROLES, boxes, deliver_one, make, set_, update

PROPERTIES = ["id", "name", "parentId", "role", "sortOrder", *COUNTS,
              "myRights", "isSubscribed"]


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
