"""Email/query (RFC 8621 4.4, RFC 8620 5.5): every filter, sort, argument and error.
The mail is one set for all tests that change nothing; what a list must be is said in
the names of its Emails."""

import itertools

import pytest

from jmap import CORE, MAIL, connect
from mailset import Put

DAY = "2026-03-0{}T10:00:00Z"

# received, mailboxes, keywords, message
EMAILS = {
    "a": (DAY.format(1), "inbox", "$seen", dict(
        sender="Zoe <zoe@one.example>", to="Tom <tom@example.org>",
        subject="apple", body="The brown fox.\r\n", mid="a",
        date="Sat, 14 Feb 2026 10:00:00 +0000", List_Id="<x.example>")),
    "b": (DAY.format(2), "inbox", "$flagged work", dict(
        sender="adam@two.example", to="=?utf-8?q?=C3=84nne?= <a@x.example>",
        subject="Re: Banana", body="A lazy dog.\r\n", mid="b", attach=True,
        date="Mon, 16 Feb 2026 12:00:00 +0200", Cc="Cecil <cc@x.example>",
        X_Mark="=?utf-8?q?Gr=C3=BC=C3=9Fe_an_alle?=")),
    "c": (DAY.format(3), "archive", "$seen $flagged", dict(
        sender="Zoe <zoe@one.example>", to="tim@example.org",
        subject="Re: apple", body="A second fox.\r\n", mid="c", refs="a",
        date="Mon, 16 Feb 2026 09:00:00 +0000")),
    "d": (DAY.format(4), "trash", "", dict(
        sender="=?utf-8?q?=C3=84nne?= <a@x.example>", to="zed@example.org",
        subject="[list] cherry", body="Nothing of note.\r\n", mid="d",
        Bcc="Bert <bcc@x.example>", X_Mark="other")),
    "e": (DAY.format(5), "inbox archive", "$draft", dict(
        sender="ben@three.example", to="Tom <tom@example.org>",
        subject="Date", body="x" * 3000 + " fox\r\n", mid="e",
        date="Sun, 15 Feb 2026 10:00:00 +0000")),
    "f": (DAY.format(6), "junk", "$seen work", dict(
        sender="Adam <adam@two.example>", to="Undisclosed: ;",
        subject="AW: banana", body="Dog again.\r\n", mid="f", refs="b",
        date="Sun, 15 Feb 2026 10:00:00 +0100")),
}
NEWEST = [{"property": "receivedAt", "isAscending": False}]


class Mail:
    def __init__(self, api, put):
        self.api, self.put = api, put
        self.ids, self.boxes = put.ids, put.boxes

    def query(self, **args):
        return self.api.call("Email/query", args)

    def list(self, **args):
        args.setdefault("sort", NEWEST)
        return self.put.names(self.query(**args)["ids"])

    def find(self, **condition):
        """What matches, in order of name."""
        return "".join(sorted(self.list(filter=condition)))

    def fill(self, value):
        """"@role" is that Mailbox's id."""
        if isinstance(value, str) and value.startswith("@"):
            return self.boxes[value[1:]]
        if isinstance(value, list):
            return [self.fill(v) for v in value]
        if isinstance(value, dict):
            return {k: self.fill(v) for k, v in value.items()}
        return value


@pytest.fixture(scope="module")
def filled(server):
    account = server.add_account()
    api = connect("http", server, account)
    put = Put(api)
    put(**EMAILS)
    api.close()
    return account, put


@pytest.fixture(params=["http", "ws"])
def mail(request, server, filled):
    """The set, for tests that change nothing."""
    account, put = filled
    api = connect(request.param, server, account)
    yield Mail(api, put)
    api.close()


# ---- filters ----

def test_email_query_without_a_filter_has_all(mail):
    assert mail.list() == "fedcba"
    assert mail.list(filter=None) == "fedcba"
    assert mail.list(filter={}) == "fedcba"


def test_email_query_filter_in_mailbox(mail):
    for role, want in (("inbox", "abe"), ("archive", "ce"), ("trash", "d"),
                       ("junk", "f"), ("sent", "")):
        assert mail.find(inMailbox=mail.boxes[role]) == want, role
    assert mail.find(inMailbox="m999") == ""
    assert mail.find(inMailbox="nonsense") == ""


def test_email_query_filter_in_mailbox_other_than(mail):
    for roles, want in (("", "abcdef"), ("trash junk", "abce"),
                        ("inbox", "cdef"), ("inbox archive", "df"),
                        ("inbox archive junk trash", "")):
        ids = [mail.boxes[r] for r in roles.split()]
        assert mail.find(inMailboxOtherThan=ids) == want, roles
    assert mail.find(inMailboxOtherThan=["m999", "nonsense"]) == "abcdef"


def test_email_query_filter_before(mail):
    assert mail.find(before=DAY.format(3)) == "ab"
    assert mail.find(before="2026-03-03T10:00:01Z") == "abc"
    assert mail.find(before="2026-03-03T10:00:00.001Z") == "abc"
    assert mail.find(before="1970-01-01T00:00:00Z") == ""


def test_email_query_filter_after(mail):
    assert mail.find(after=DAY.format(5)) == "ef"
    assert mail.find(after="2026-03-05T10:00:01Z") == "f"
    assert mail.find(after="2026-03-05T10:00:00.5Z") == "f"
    assert mail.find(after="9999-12-31T23:59:59Z") == ""
    assert mail.find(after=DAY.format(2), before=DAY.format(4)) == "bc"


def sizes(mail):
    got = mail.api.call("Email/get", {"ids": list(mail.ids.values()),
                                      "properties": ["size"]})["list"]
    return {e["id"]: e["size"] for e in got}


def test_email_query_filter_min_size(mail):
    size = sizes(mail)
    for n in (0, size[mail.ids["b"]], size[mail.ids["b"]] + 1, 10 ** 9):
        want = "".join(k for k, v in mail.ids.items() if size[v] >= n)
        assert mail.find(minSize=n) == want, n


def test_email_query_filter_max_size(mail):
    size = sizes(mail)
    for n in (0, size[mail.ids["b"]], size[mail.ids["b"]] + 1, 10 ** 9):
        want = "".join(k for k, v in mail.ids.items() if size[v] < n)
        assert mail.find(maxSize=n) == want, n


def test_email_query_filter_has_keyword(mail):
    for keyword, want in (("$seen", "acf"), ("$flagged", "bc"), ("work", "bf"),
                          ("WORK", "bf"), ("$Seen", "acf"), ("wor", ""),
                          ("", ""), ("$seen work", "")):
        assert mail.find(hasKeyword=keyword) == want, keyword


def test_email_query_filter_not_keyword(mail):
    for keyword, want in (("$seen", "bde"), ("work", "acde"), ("Work", "acde"),
                          ("nobody", "abcdef")):
        assert mail.find(notKeyword=keyword) == want, keyword


# Threads are ac, bf, d, e.

def test_email_query_filter_all_in_thread_have_keyword(mail):
    for keyword, want in (("$seen", "ac"), ("work", "bf"), ("$flagged", ""),
                          ("$draft", "e"), ("Work", "bf")):
        assert mail.find(allInThreadHaveKeyword=keyword) == want, keyword


def test_email_query_filter_some_in_thread_have_keyword(mail):
    for keyword, want in (("$seen", "abcf"), ("$flagged", "abcf"),
                          ("$draft", "e"), ("nobody", "")):
        assert mail.find(someInThreadHaveKeyword=keyword) == want, keyword


def test_email_query_filter_none_in_thread_have_keyword(mail):
    for keyword, want in (("$seen", "de"), ("$flagged", "de"),
                          ("work", "acde"), ("nobody", "abcdef")):
        assert mail.find(noneInThreadHaveKeyword=keyword) == want, keyword


def test_email_query_filter_has_attachment(mail):
    assert mail.find(hasAttachment=True) == "b"
    assert mail.find(hasAttachment=False) == "acdef"


@pytest.mark.parametrize("field, text, want", [
    ("text", "fox", "ace"), ("text", "zoe", "ac"), ("text", "cherry", "d"),
    ("text", "zoe second", "c"), ("text", "missing", ""),
    ("from", "adam", "bf"), ("from", "tom", ""),
    ("to", "tom", "ae"), ("to", "zoe", ""),
    ("cc", "cecil", "b"), ("bcc", "bert", "d"),
    ("subject", "banana", "bf"), ("body", "dog", "bf"), ("body", "apple", "")])
def test_email_query_filter_strings(mail, field, text, want):
    """Words of their own: test_text_search.py."""
    assert mail.find(**{field: text}) == want


@pytest.mark.parametrize("header, want", [
    (["List-Id"], "a"), (["list-id"], "a"), (["X-Mark"], "bd"),
    (["From"], "abcdef"), (["X-Nothing"], ""), (["X-Mark", "other"], "d"),
    (["X-Mark", "OTHE"], "d"), (["X-Mark", "grüße an"], "b"),
    (["x-mark", "GRÜSSE"], ""), (["X-Mark", "utf-8"], ""),
    (["X-Mark", ""], "bd"), (["Subject", "apple"], "ac"),
    (["References", "<b@example.net>"], "f")])
def test_email_query_filter_header(mail, header, want):
    assert mail.find(header=header) == want


def test_email_query_filter_with_several_properties_wants_all(mail):
    assert mail.find(inMailbox=mail.boxes["inbox"], notKeyword="$seen",
                     hasAttachment=False) == "e"
    assert mail.find(text="fox", hasKeyword="$seen",
                     after=DAY.format(2)) == "c"


def AND(*conditions):
    return {"operator": "AND", "conditions": list(conditions)}


def OR(*conditions):
    return {"operator": "OR", "conditions": list(conditions)}


def NOT(*conditions):
    return {"operator": "NOT", "conditions": list(conditions)}


@pytest.mark.parametrize("tree, want", [
    (AND(), "abcdef"), (OR(), ""), (NOT(), "abcdef"),
    (AND({"inMailbox": "@inbox"}, {"hasKeyword": "$seen"}), "a"),
    (OR({"inMailbox": "@trash"}, {"inMailbox": "@junk"}), "df"),
    (NOT({"inMailbox": "@inbox"}, {"inMailbox": "@junk"}), "cd"),
    (AND({}, {}), "abcdef"), (NOT({}), ""), (OR({}), "abcdef"),
    (NOT({"text": "fox"}), "bdf"),
    (OR({"text": "dog"}, {"subject": "cherry"}), "bdf"),
    (OR({"header": ["X-Mark"]}, {"body": "second"}), "bcd"),
    (NOT({"header": ["X-Mark"]}, {"hasKeyword": "$seen"}), "e"),
    (AND(OR({"from": "zoe"}, {"from": "adam"}),
         NOT({"inMailboxOtherThan": ["@inbox"]})), "ab"),
    (NOT(NOT(OR(AND({"minSize": 2000})))), "e"),
    (OR(AND({"allInThreadHaveKeyword": "$seen"}, {"before": DAY.format(2)}),
        AND({"someInThreadHaveKeyword": "work"}, {"hasAttachment": True}),
        NOT({"noneInThreadHaveKeyword": "$draft"})), "abe")])
def test_email_query_filter_operators(mail, tree, want):
    got = mail.list(filter=mail.fill(tree))
    assert "".join(sorted(got)) == want
    n = mail.query(filter=mail.fill(tree), calculateTotal=True, limit=1)
    assert n["total"] == len(want)


def test_email_query_filter_operators_deep_in_each_other(mail):
    tree = {"hasKeyword": "$draft"}
    for _ in range(9):
        tree = NOT(NOT(AND(tree)))
    assert mail.find(**tree) == "e"


def test_email_query_filter_with_too_many_conditions_is_unsupported(mail):
    tree = OR(*[{"hasKeyword": f"k{i}"} for i in range(120)])
    assert mail.find(**tree) == ""
    error = mail.api.error("Email/query", {"filter": OR(
        *[{"hasKeyword": "x", "minSize": 1} for i in range(200)])})
    assert error["type"] == "unsupportedFilter"
    error = mail.api.error("Email/query", {"filter": OR(*[{}] * 5000)})
    assert error["type"] == "unsupportedFilter"


@pytest.mark.parametrize("condition", [
    {"nonsense": 1}, {"inMailbox": "@inbox", "id": "e1"}, {"InMailbox": "m1"},
    AND({"nonsense": 1}), OR({}, NOT({"uid": 1}))])
def test_email_query_filter_of_an_unknown_property_is_unsupported(
        mail, condition):
    error = mail.api.error("Email/query", {"filter": mail.fill(condition)})
    assert error["type"] == "unsupportedFilter"


BAD_VALUES = {
    "inMailbox": [None, 1, ["m1"]], "inMailboxOtherThan": [None, "m1", [1]],
    "before": [None, 1, "x", "2026-03-01", "2026-03-01T10:00:00+01:00"],
    "after": [None, 1, "", "2026-13-01T10:00:00Z"],
    "minSize": [None, -1, 1.5, "1"], "maxSize": [None, -1, True],
    "allInThreadHaveKeyword": [None, 1], "someInThreadHaveKeyword": [[], {}],
    "noneInThreadHaveKeyword": [None, True], "hasKeyword": [None, 1],
    "notKeyword": [None, ["$seen"]], "hasAttachment": [None, 1, "true"],
    "text": [None, 1], "from": [None, ["x"]], "to": [1], "cc": [None],
    "bcc": [{}], "subject": [None, 0], "body": [None, True],
    "header": [None, "Subject", [], ["a", "b", "c"], [1], ["a", None]]}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_email_query_filter_of_a_wrong_type_is_invalid(mail, name):
    for value in BAD_VALUES[name]:
        error = mail.api.error("Email/query", {"filter": {name: value}})
        assert error["type"] == "invalidArguments", value
        error = mail.api.error("Email/query", {"filter": NOT({name: value})})
        assert error["type"] == "invalidArguments", value


@pytest.mark.parametrize("tree", [
    "inbox", [], 1, {"operator": "AND"}, {"operator": "XOR", "conditions": []},
    {"operator": "and", "conditions": []}, {"operator": None, "conditions": []},
    {"operator": "AND", "conditions": {}}, {"operator": "OR",
                                            "conditions": ["x"]},
    {"operator": "AND", "conditions": [], "hasKeyword": "$seen"},
    {"operator": "NOT", "conditions": None}, AND(AND([]))])
def test_email_query_filter_that_is_not_well_formed_is_invalid(mail, tree):
    error = mail.api.error("Email/query", {"filter": tree})
    assert error["type"] == "invalidArguments"


# ---- sorts ----

def by(prop, up=True, **more):
    return {"property": prop, "isAscending": up, **more}


def sorted_by(v):
    """The name of a parameter: its properties."""
    if isinstance(v, str):
        return v
    return "+".join(c["property"] + ("" if c.get("isAscending", True)
                                     else " down")
                    for c in (v if isinstance(v, list) else [v]))


@pytest.mark.parametrize("sort, want", [
    (by("receivedAt"), "abcdef"), (by("receivedAt", False), "fedcba"),
    # d has no Date.
    (by("sentAt"), "dafecb"), (by("sentAt", False), "bcefad"),
    # Adam, adam@, Änne, ben@, Zoe, Zoe: title case, decomposed.
    (by("from"), "fbdeac"),
    ([by("to"), by("receivedAt")], "fbcaed"),
    ([by("subject"), by("receivedAt")], "acbfde")], ids=sorted_by)
def test_email_query_sort(mail, sort, want):
    sort = sort if isinstance(sort, list) else [sort, by("receivedAt")]
    assert mail.list(sort=sort) == want
    back = [{**s, "isAscending": not s["isAscending"]} for s in sort]
    assert mail.list(sort=back) == want[::-1]


def test_email_query_sort_size(mail):
    size = sizes(mail)
    want = sorted(mail.ids, key=lambda k: (size[mail.ids[k]], k))
    assert mail.list(sort=[by("size"), by("receivedAt")]) == "".join(want)
    assert mail.list(sort=[by("size", False)])[0] == "e"


def test_email_query_sort_ascending_is_the_default(mail):
    assert mail.list(sort=[{"property": "receivedAt"}]) == "abcdef"


@pytest.mark.parametrize("sort, want", [
    (by("hasKeyword", False, keyword="$flagged"), "cbfeda"),
    (by("hasKeyword", keyword="$Flagged"), "fedacb"),
    (by("allInThreadHaveKeyword", False, keyword="$seen"), "cafedb"),
    (by("allInThreadHaveKeyword", keyword="work"), "edcafb"),
    (by("someInThreadHaveKeyword", False, keyword="$flagged"), "fcbaed"),
    (by("someInThreadHaveKeyword", keyword="work"), "edcafb")], ids=sorted_by)
def test_email_query_sort_keyword(mail, sort, want):
    assert mail.list(sort=[sort, by("receivedAt", False)]) == want


def test_email_query_sort_by_several_comparators(mail):
    assert mail.list(sort=[
        by("someInThreadHaveKeyword", False, keyword="$flagged"),
        by("subject", collation="i;ascii-casemap"),
        by("receivedAt", False)]) == "cafbde"


def test_email_query_sort_without_comparators_is_stable(mail):
    first = mail.query()["ids"]
    assert mail.query(sort=[])["ids"] == first
    assert mail.query(sort=None)["ids"] == first
    got = [mail.query(position=i, limit=1)["ids"][0] for i in range(6)]
    assert got == first


def test_email_query_sort_that_decides_nothing_is_stable(mail):
    sort = [by("hasKeyword", keyword="nobody")]
    first = mail.query(sort=sort)["ids"]
    assert len(first) == 6
    got = [mail.query(sort=sort, position=i, limit=1)["ids"][0]
           for i in range(6)]
    assert got == first


@pytest.mark.parametrize("collation, want", [
    ("i;octet", "facbed"), ("i;ascii-casemap", "fbeacd"),
    ("i;unicode-casemap", "fbdeac")])
def test_email_query_sort_collation(mail, collation, want):
    """Adam f, adam@ b, Zoe a and c, ben@ e, Änne d."""
    got = mail.list(sort=[by("from", collation=collation), by("receivedAt")])
    assert got == want
    # It is passed over where nothing is a text.
    assert mail.list(sort=[by("size", collation=collation)])


def test_email_query_sort_and_collations_are_advertised(server, filled):
    account, _ = filled
    api = connect("http", server, account)
    session = api.session()
    assert sorted(session["capabilities"][CORE]["collationAlgorithms"]) == [
        "i;ascii-casemap", "i;octet", "i;unicode-casemap"]
    (one,) = session["accounts"].values()
    options = one["accountCapabilities"][MAIL]["emailQuerySortOptions"]
    assert sorted(options) == [
        "allInThreadHaveKeyword", "from", "hasKeyword", "receivedAt",
        "sentAt", "size", "someInThreadHaveKeyword", "subject", "to"]
    for name in options:
        keyword = {"keyword": "x"} if "Keyword" in name else {}
        api.call("Email/query", {"sort": [by(name, **keyword)]})
    api.close()


@pytest.mark.parametrize("sort", [
    [by("nonsense")], [by("id")], [by("receivedAt"), by("cc")],
    [by("from", collation="i;nonsense")], [by("subject", collation="")],
    [by("hasKeyword", keyword=f"k{i}") for i in range(17)]])
def test_email_query_unsupported_sort(mail, sort):
    error = mail.api.error("Email/query", {"sort": sort})
    assert error["type"] == "unsupportedSort"


@pytest.mark.parametrize("sort", [
    "receivedAt", {}, ["receivedAt"], [{}], [None], [{"isAscending": True}],
    [{"property": 1}], [{"property": None}], [by("size", "yes")],
    [by("size", None)], [by("from", collation=1)], [by("from", collation=None)],
    [by("hasKeyword")], [by("someInThreadHaveKeyword", keyword=1)],
    [by("size", keyword="x")], [by("size", nonsense=1)]])
def test_email_query_sort_that_is_not_well_formed_is_invalid(mail, sort):
    error = mail.api.error("Email/query", {"sort": sort})
    assert error["type"] == "invalidArguments"


# ---- threads ----

def test_email_query_collapse_threads(mail):
    assert mail.list(collapseThreads=True) == "fedc"
    assert mail.list(collapseThreads=False) == "fedcba"
    assert mail.list(collapseThreads=True, sort=[by("receivedAt")]) == "abde"


def test_email_query_collapse_threads_after_the_filter(mail):
    box = mail.boxes["inbox"]
    assert mail.list(collapseThreads=True, filter={"inMailbox": box}) == "eba"
    assert mail.list(collapseThreads=True,
                     filter={"hasKeyword": "$seen"}) == "fc"
    assert mail.list(collapseThreads=True, filter={"text": "dog"}) == "f"
    assert mail.list(collapseThreads=True, filter=NOT(
        {"inMailboxOtherThan": [mail.boxes["trash"]]})) == "d"


def test_email_query_collapse_threads_by_any_sort(mail):
    assert mail.list(collapseThreads=True, sort=[
        by("subject"), by("receivedAt", False)]) == "cfde"
    assert mail.list(collapseThreads=True, sort=[
        by("hasKeyword", False, keyword="$flagged"),
        by("receivedAt")]) == "bcde"


@pytest.mark.parametrize("condition", [
    None, {"inMailbox": "@inbox"}, {"inMailboxOtherThan": ["@trash"]},
    {"hasKeyword": "$seen"}, {"inMailbox": "@inbox", "text": "fox"}])
def test_email_query_collapse_threads_total_and_windows(mail, condition):
    condition = mail.fill(condition)
    every = mail.list(collapseThreads=True, filter=condition)
    for position, limit in itertools.product(range(-4, 5), (0, 1, 2, None)):
        got = mail.query(collapseThreads=True, filter=condition, sort=NEWEST,
                         position=position, limit=limit, calculateTotal=True)
        assert got["total"] == len(every)
        first = (position if position >= 0 else
                 max(len(every) + position, 0))
        assert got["position"] == first
        want = every[first:] if limit is None else every[first:first + limit]
        assert mail.put.names(got["ids"]) == want


def test_email_query_collapse_threads_must_be_a_boolean(mail):
    for value in (None, 1, "true"):
        error = mail.api.error("Email/query", {"collapseThreads": value})
        assert error["type"] == "invalidArguments"


# ---- windows (RFC 8620 5.5) ----

SORTS = [NEWEST, [by("subject"), by("receivedAt", False)]]


@pytest.mark.parametrize("sort", SORTS, ids=["received", "subject"])
def test_email_query_position(mail, sort):
    every = mail.list(sort=sort)
    for position in range(9):
        got = mail.query(sort=sort, position=position)
        assert mail.put.names(got["ids"]) == every[position:]
        assert got["position"] == position


@pytest.mark.parametrize("sort", SORTS, ids=["received", "subject"])
def test_email_query_position_from_the_end(mail, sort):
    every = mail.list(sort=sort)
    for position in range(-9, 0):
        got = mail.query(sort=sort, position=position, limit=2)
        first = max(6 + position, 0)
        assert mail.put.names(got["ids"]) == every[first:first + 2]
        assert got["position"] == first


@pytest.mark.parametrize("sort", SORTS, ids=["received", "subject"])
def test_email_query_anchor(mail, sort):
    every = mail.list(sort=sort)
    for i, name in enumerate(every):
        got = mail.query(sort=sort, anchor=mail.ids[name], limit=2)
        assert mail.put.names(got["ids"]) == every[i:i + 2]
        assert got["position"] == i


def test_email_query_anchor_offset(mail):
    every = mail.list()
    for i, offset in itertools.product((0, 3, 5), range(-7, 8)):
        got = mail.query(sort=NEWEST, anchor=mail.ids[every[i]],
                         anchorOffset=offset, limit=2, calculateTotal=True)
        first = max(i + offset, 0)
        assert mail.put.names(got["ids"]) == every[first:first + 2]
        assert got["position"] == first
        assert got["total"] == 6
    big = 2 ** 53 - 1
    one = mail.ids["c"]
    assert mail.list(anchor=one, anchorOffset=-big) == every
    assert mail.list(anchor=one, anchorOffset=big) == ""


def test_email_query_anchor_makes_position_ignored(mail):
    assert mail.list(anchor=mail.ids["c"], position=1) == "cba"
    assert mail.list(anchor=mail.ids["c"], position=-1) == "cba"
    assert mail.list(anchor=None, position=4) == "ba"


def test_email_query_anchor_offset_without_an_anchor_is_ignored(mail):
    assert mail.list(anchorOffset=3) == "fedcba"


def test_email_query_anchor_in_collapsed_threads(mail):
    assert mail.list(anchor=mail.ids["d"], collapseThreads=True) == "dc"
    error = mail.api.error("Email/query", {
        "anchor": mail.ids["a"], "collapseThreads": True, "sort": NEWEST})
    assert error["type"] == "anchorNotFound"


def test_email_query_anchor_not_found(mail):
    for anchor, condition in (("e999", None), ("nonsense", None), ("#x", None),
                              (mail.ids["d"], {"hasKeyword": "$seen"}),
                              (mail.ids["d"], {"text": "fox"})):
        error = mail.api.error("Email/query", {"anchor": anchor,
                                               "filter": condition})
        assert error["type"] == "anchorNotFound"


def test_email_query_limit(mail):
    assert mail.list(limit=0) == ""
    assert mail.list(limit=2) == "fe"
    assert mail.list(limit=99) == "fedcba"
    assert "limit" not in mail.query(limit=2)
    assert mail.query(limit=None)["limit"] == 5000
    assert mail.query(limit=10 ** 6)["limit"] == 5000


def test_email_query_calculate_total(mail):
    box = mail.boxes["inbox"]
    for condition, n in ((None, 6), ({"inMailbox": box}, 3), ({"text": "fox"}, 3),
                         ({"inMailboxOtherThan": [box]}, 4),
                         ({"hasKeyword": "$seen", "inMailbox": box}, 1)):
        for limit in (0, 1, 99):
            got = mail.query(filter=condition, calculateTotal=True, limit=limit)
            assert got["total"] == n
            assert "total" not in mail.query(filter=condition, limit=limit)


def test_email_query_can_calculate_changes(mail):
    assert mail.query()["canCalculateChanges"] is True
    assert mail.query(filter={"text": "x"}, sort=[by("from")],
                      collapseThreads=True)["canCalculateChanges"] is True


@pytest.mark.parametrize("args", [
    {"position": None}, {"position": 1.5}, {"position": "1"}, {"limit": -1},
    {"limit": "1"}, {"limit": 1.5}, {"anchor": 1}, {"anchorOffset": None},
    {"anchorOffset": "1"}, {"calculateTotal": None}, {"calculateTotal": 1},
    {"nonsense": 1}, {"ids": []}])
def test_email_query_invalid_arguments(mail, args):
    assert mail.api.error("Email/query", args)["type"] == "invalidArguments"


def test_email_query_in_another_account(mail):
    error = mail.api.error("Email/query", {"accountId": "u999"})
    assert error["type"] == "accountNotFound"


# ---- state ----

def test_email_query_state_is_that_of_the_emails(api):
    put = Put(api)
    before = api.call("Email/query")["queryState"]
    put(a=EMAILS["a"])
    got = api.call("Email/query")
    assert got["queryState"] == api.state() != before
    api.set_keyword(put.ids["a"], "$flagged")
    assert api.call("Email/query")["queryState"] != got["queryState"]


def test_email_query_sees_what_the_same_request_wrote(api):
    put = Put(api)
    ids = put(a=EMAILS["a"], b=EMAILS["b"])
    text = {"filter": {"text": "fox"}, "accountId": api.account_id}
    got = api.calls(
        ["Email/query", text, "0"],
        ["Email/set", {"accountId": api.account_id,
                       "destroy": [ids["a"]]}, "1"],
        ["Email/query", text, "2"])
    assert got[0][1]["ids"] == [ids["a"]]
    assert got[2][1]["ids"] == []
    assert got[2][1]["queryState"] == got[1][1]["newState"]
