"""Email/queryChanges (RFC 8621 4.5, RFC 8620 5.6): what a client that splices as the
RFC says ends up with, and each argument and error."""

import random

import pytest

from jmap import connect
from mail import deliver, message
from mailset import Put

NEWEST = [{"property": "receivedAt", "isAscending": False}]
OLDEST = [{"property": "receivedAt"}]
DAY = "2026-03-{:02}T10:00:00Z"


def splice(old, answer):
    """RFC 8620 5.6, of a list that is known as a whole."""
    gone = set(answer["removed"])
    assert len(gone) == len(answer["removed"])
    new = [i for i in old if i not in gone]
    indexes = [a["index"] for a in answer["added"]]
    assert indexes == sorted(indexes)
    for item in answer["added"]:
        assert set(item) == {"id", "index"}
        assert item["index"] <= len(new)
        new.insert(item["index"], item["id"])
    return new


class View:
    """A list as a client keeps it."""

    def __init__(self, api, **query):
        self.api, self.query = api, query
        self.read()

    def read(self):
        got = self.api.call("Email/query", self.query)
        self.ids, self.state = got["ids"], got["queryState"]
        return self.ids

    def ask(self, **args):
        return self.api.call("Email/queryChanges", {
            **self.query, "sinceQueryState": self.state, **args})

    def error(self, **args):
        return self.api.error("Email/queryChanges", {
            **self.query, "sinceQueryState": self.state, **args})["type"]

    def update(self, **args):
        """Comes up to date by changes, and proves it by asking anew."""
        got = self.ask(**args)
        assert got["oldQueryState"] == self.state
        new = splice(self.ids, got)
        assert new == self.read(), got
        assert got["newQueryState"] == self.state
        return got


def one(received, roles="inbox", keywords="", **what):
    return received, roles, keywords, what


@pytest.fixture
def put(api):
    put = Put(api)
    put(a=one(DAY.format(1), mid="a"), b=one(DAY.format(2), subject="x"),
        c=one(DAY.format(3), keywords="$seen", subject="y"),
        d=one(DAY.format(4), roles="archive", subject="z"))
    return put


def keyword(api, email_id, name, on=True):
    api.set_keyword(email_id, name, on)


def move(api, put, name, *roles):
    got = api.call("Email/set", {"update": {put.ids[name]: {
        "mailboxIds": {put.boxes[r]: True for r in roles}}}})
    assert got["notUpdated"] is None, got


def destroy(api, put, name):
    api.call("Email/set", {"destroy": [put.ids[name]]})


def added(put, answer):
    return {put.names([a["id"]]): a["index"] for a in answer["added"]}


# ---- what comes and goes ----

def test_email_query_changes_of_nothing(api, put):
    view = View(api, sort=NEWEST)
    got = view.update()
    assert got["removed"] == got["added"] == []
    assert got["oldQueryState"] == got["newQueryState"]
    assert "total" not in got


def test_email_query_changes_of_a_new_email(api, put):
    view = View(api, sort=NEWEST)
    put(e=one("2026-03-02T10:00:30Z"))
    got = view.update()
    assert got["removed"] == []
    assert added(put, got) == {"e": 2}


def test_email_query_changes_of_a_new_email_elsewhere(api, put):
    view = View(api, sort=NEWEST, filter={"inMailbox": put.boxes["inbox"]})
    put(e=one(DAY.format(9), roles="archive"))
    got = view.update()
    assert got["removed"] == got["added"] == []
    assert got["oldQueryState"] != got["newQueryState"]


def test_email_query_changes_of_an_email_that_moves(api, put):
    inbox = View(api, sort=NEWEST, filter={"inMailbox": put.boxes["inbox"]})
    archive = View(api, sort=NEWEST,
                   filter={"inMailbox": put.boxes["archive"]})
    move(api, put, "b", "archive")
    got = inbox.update()
    assert (put.names(got["removed"]), got["added"]) == ("b", [])
    assert added(put, archive.update()) == {"b": 1}


def test_email_query_changes_of_a_destroyed_email(api, put):
    view = View(api, sort=NEWEST)
    destroy(api, put, "b")
    got = view.update()
    assert (put.names(got["removed"]), got["added"]) == ("b", [])


def test_email_query_changes_of_one_that_came_and_went(api, put):
    view = View(api, sort=NEWEST)
    put(e=one(DAY.format(9)))
    destroy(api, put, "e")
    got = view.update()
    assert got["removed"] == got["added"] == []


def test_email_query_changes_of_a_keyword_in_the_filter(api, put):
    view = View(api, sort=NEWEST, filter={"notKeyword": "$seen"})
    keyword(api, put.ids["b"], "$seen")
    got = view.update()
    assert (put.names(got["removed"]), got["added"]) == ("b", [])
    keyword(api, put.ids["b"], "$seen", False)
    assert added(put, view.update()) == {"b": 1}


def test_email_query_changes_of_a_keyword_in_the_sort(api, put):
    view = View(api, sort=[{"property": "hasKeyword", "keyword": "$flagged",
                            "isAscending": False}] + NEWEST)
    keyword(api, put.ids["a"], "$flagged")
    got = view.update()
    assert put.names(got["removed"]) == "a"
    assert added(put, got) == {"a": 0}


def test_email_query_changes_do_not_name_what_cannot_move(api, put):
    view = View(api, sort=NEWEST, filter={"minSize": 1})
    keyword(api, put.ids["a"], "$flagged")
    move(api, put, "b", "archive")
    got = view.update()
    assert got["removed"] == got["added"] == []


def test_email_query_changes_of_a_text_search(api, put):
    view = View(api, sort=NEWEST, filter={"text": "needle"})
    put(e=one(DAY.format(5), body="a needle\r\n"), f=one(DAY.format(6)))
    assert added(put, view.update()) == {"e": 0}
    put(g=one(DAY.format(7), body="needle\r\n"))
    assert added(put, view.update()) == {"g": 0}
    destroy(api, put, "e")
    assert put.names(view.update()["removed"]) == "e"


# ---- threads ----

def test_email_query_changes_collapse_threads(api, put):
    view = View(api, sort=NEWEST, collapseThreads=True)
    put(e=one(DAY.format(5), mid="e", refs="a"))
    got = view.update()
    assert put.names(got["removed"]) == "a"
    assert added(put, got) == {"e": 0}
    destroy(api, put, "e")
    got = view.update()
    assert put.names(sorted(got["removed"])) == "ae"
    assert added(put, got) == {"a": 3}


def test_email_query_changes_collapse_threads_in_a_mailbox(api, put):
    put(e=one(DAY.format(5), mid="e", refs="a"))
    view = View(api, sort=NEWEST, collapseThreads=True,
                filter={"inMailbox": put.boxes["inbox"]})
    move(api, put, "e", "trash")
    got = view.update()
    assert added(put, got) == {"a": 2}
    move(api, put, "e", "trash", "inbox")
    assert added(put, view.update()) == {"e": 0}


@pytest.mark.parametrize("condition", [
    "allInThreadHaveKeyword", "someInThreadHaveKeyword",
    "noneInThreadHaveKeyword"])
def test_email_query_changes_thread_keywords_in_the_filter(
        api, put, condition):
    put(e=one(DAY.format(5), mid="e", refs="a"))
    view = View(api, sort=NEWEST, filter={condition: "$flagged"})
    keyword(api, put.ids["a"], "$flagged")
    view.update()
    keyword(api, put.ids["e"], "$flagged")
    view.update()
    put(f=one(DAY.format(6), mid="f", refs="a"))
    view.update()
    destroy(api, put, "f")
    view.update()
    keyword(api, put.ids["a"], "$flagged", False)
    view.update()


def test_email_query_changes_thread_keywords_in_the_sort(api, put):
    put(e=one(DAY.format(5), mid="e", refs="a"))
    view = View(api, sort=[{"property": "someInThreadHaveKeyword",
                            "keyword": "$flagged", "isAscending": False}]
                + NEWEST)
    keyword(api, put.ids["a"], "$flagged")
    got = view.update()
    assert added(put, got) == {"e": 0, "a": 1}
    destroy(api, put, "a")
    view.update()


def test_email_query_changes_of_threads_that_become_one(api, put):
    view = View(api, sort=NEWEST, collapseThreads=True)
    put(e=one(DAY.format(5), mid="e", subject="m"),
        f=one(DAY.format(6), mid="f", subject="m"))
    view.update()
    put(g=one(DAY.format(4), mid="g", subject="m",
              References="<e@example.net> <f@example.net>"))
    view.update()


# ---- arguments ----

def test_email_query_changes_calculate_total(api, put):
    for query in ({"sort": NEWEST}, {"filter": {"notKeyword": "$seen"}},
                  {"collapseThreads": True},
                  {"filter": {"inMailbox": put.boxes["inbox"]}}):
        view = View(api, **query)
        assert view.ask(calculateTotal=True)["total"] == len(view.ids)
        put(e=one(DAY.format(5)))
        assert view.ask(calculateTotal=True)["total"] == len(view.ids) + 1
        assert "total" not in view.ask(calculateTotal=False)
        destroy(api, put, "e")
        assert view.ask(calculateTotal=True)["total"] == len(view.ids)


def test_email_query_changes_max_changes(api, put):
    view = View(api, sort=NEWEST, filter={"hasKeyword": "$seen"})
    assert view.ask(maxChanges=0)["added"] == []
    keyword(api, put.ids["a"], "$seen")
    keyword(api, put.ids["c"], "$seen", False)
    # a and c out, a in.
    assert view.error(maxChanges=0) == "tooManyChanges"
    assert view.error(maxChanges=2) == "tooManyChanges"
    assert view.ask(maxChanges=None)["added"]
    view.update(maxChanges=3)


def test_email_query_changes_up_to_id(api, put):
    view = View(api, sort=OLDEST)
    put(e=one("2026-03-02T10:00:30Z"), f=one(DAY.format(9)))
    got = view.ask(upToId=put.ids["c"])
    assert added(put, got) == {"e": 2}
    assert added(put, view.ask(upToId=put.ids["b"])) == {}
    assert added(put, view.ask(upToId=put.ids["d"])) == {"e": 2}
    assert added(put, view.ask(upToId=None)) == {"e": 2, "f": 5}


def test_email_query_changes_up_to_id_that_is_not_there_is_ignored(api, put):
    view = View(api, sort=OLDEST)
    put(e=one(DAY.format(9)))
    for up_to in ("e999", "nonsense", "#x"):
        assert added(put, view.ask(upToId=up_to)) == {"e": 4}


def test_email_query_changes_up_to_id_with_what_is_mutable_is_ignored(
        api, put):
    inbox = {"inMailbox": put.boxes["inbox"]}
    flagged = {"property": "hasKeyword", "keyword": "$flagged"}
    views = [View(api, sort=OLDEST, filter=inbox),
             View(api, sort=[flagged] + OLDEST)]
    put(e=one(DAY.format(9)))
    for view in views:
        got = view.ask(upToId=put.ids["a"])
        assert added(put, got) == {"e": len(view.ids)}


def test_email_query_changes_up_to_id_in_collapsed_threads(api, put):
    view = View(api, sort=NEWEST, collapseThreads=True)
    put(e=one(DAY.format(5), mid="e", refs="a"), f=one(DAY.format(1)))
    got = view.ask(upToId=put.ids["c"])
    assert added(put, got) == {"e": 0}


def test_email_query_changes_with_the_position_of_another_sort(api, put):
    """What a list is asked for anew by any other order."""
    for prop in ("sentAt", "size", "from", "to", "subject"):
        view = View(api, sort=[{"property": prop}] + OLDEST)
        put(e=one(DAY.format(2), sender="Aa <a@x>", to="b@x", subject="y",
                  body="z" * 40, date="Sat, 14 Feb 2026 10:00:00 +0000"))
        view.update()
        destroy(api, put, "e")
        view.update()


# ---- errors ----

@pytest.fixture(scope="module")
def quiet(server):
    """An account of which nothing changes."""
    account = server.add_account()
    api = connect("http", server, account)
    Put(api)(a=one(DAY.format(1)))
    api.close()
    return account


@pytest.fixture(params=["http", "ws"])
def still(request, server, quiet):
    api = connect(request.param, server, quiet)
    yield api
    api.close()


@pytest.mark.parametrize("state", ["nonsense", "0-1", "", "1", "-", "x-1"])
def test_email_query_changes_of_a_state_of_nobody(still, state):
    view = View(still)
    assert view.error(sinceQueryState=state) == "cannotCalculateChanges"


def test_email_query_changes_of_a_state_that_is_still_to_come(still):
    view = View(still)
    generation, modseq = view.state.split("-")
    later = f"{generation}-{int(modseq) + 1}"
    assert view.error(sinceQueryState=later) == "cannotCalculateChanges"
    far = f"{generation}-{2 ** 63}"
    assert view.error(sinceQueryState=far) == "cannotCalculateChanges"


def test_email_query_changes_of_another_generation(still):
    view = View(still)
    generation, modseq = view.state.split("-")
    other = "%x-%s" % (int(generation, 16) ^ 1, modseq)
    assert view.error(sinceQueryState=other) == "cannotCalculateChanges"


@pytest.mark.parametrize("args", [
    {"sinceQueryState": None}, {"sinceQueryState": 1}, {"maxChanges": -1},
    {"maxChanges": "1"}, {"maxChanges": 1.5}, {"upToId": 1},
    {"calculateTotal": None}, {"collapseThreads": 1}, {"position": 0},
    {"limit": 1}, {"filter": []}, {"filter": {"text": 1}}, {"sort": {}},
    {"nonsense": 1}])
def test_email_query_changes_invalid_arguments(still, args):
    assert View(still).error(**args) == "invalidArguments"


def test_email_query_changes_without_a_state_is_invalid(still):
    error = still.error("Email/queryChanges", {})
    assert error["type"] == "invalidArguments"


def test_email_query_changes_of_what_is_unsupported(still):
    view = View(still)
    assert view.error(filter={"nonsense": 1}) == "unsupportedFilter"
    assert view.error(sort=[{"property": "x"}]) == "unsupportedSort"


# ---- whatever happens ----

def keyword_sort(name, word):
    return {"property": name, "keyword": word, "isAscending": False}


def all_views(api, boxes):
    inbox, trash = boxes["inbox"], boxes["trash"]
    filters = [
        None, {"inMailbox": inbox}, {"inMailboxOtherThan": [trash]},
        {"inMailbox": inbox, "notKeyword": "$seen"},
        {"someInThreadHaveKeyword": "$flagged"},
        {"operator": "NOT", "conditions": [
            {"allInThreadHaveKeyword": "$seen"}, {"inMailbox": trash}]},
        {"text": "fox"}, {"header": ["X-Fox"]}]
    sorts = [NEWEST, [keyword_sort("hasKeyword", "$seen")] + OLDEST,
             [keyword_sort("someInThreadHaveKeyword", "$flagged")] + NEWEST,
             [{"property": "subject"}, {"property": "from"}]]
    rng = random.Random(1)
    return [View(api, filter=f, sort=s, collapseThreads=rng.random() < .5)
            for f in filters for s in rng.sample(sorts, 2)]


class World:
    """Random changes of one account."""

    def __init__(self, api, rng):
        self.api, self.rng, self.n = api, rng, 0
        self.boxes = api.mailboxes()

    def some(self):
        every = self.api.call("Email/query")["ids"]
        return self.rng.choice(every) if every else None

    def come(self):
        rng, self.n = self.rng, self.n + 1
        refs = " ".join(f"<r{rng.randrange(self.n)}@x>" for _ in range(
            rng.choice((0, 1, 1, 2))))
        fields = {"References": refs} if refs else {}
        if rng.random() < .3:
            fields["X_Fox"] = "yes"
        deliver(self.api.server, self.api.account.name, message(
            subject="Re: s" + rng.choice("ab"), name=rng.choice("xyz"),
            body=rng.choice(("fox\r\n", "dog\r\n")),
            Message_ID=f"<r{self.n}@x>", **fields))

    def change(self, email_id, patch):
        got = self.api.call("Email/set", {"update": {email_id: patch}})
        assert got["notUpdated"] is None, got

    def step(self):
        rng, one = self.rng, self.some()
        what = rng.random()
        if one is None or what < .35:
            self.come()
        elif what < .45:
            self.api.call("Email/set", {"destroy": [one]})
        elif what < .75:
            self.change(one, {"keywords/" + rng.choice(
                ("$seen", "$flagged", "other")): rng.choice((True, None))})
        else:
            roles = rng.sample(("inbox", "archive", "trash"),
                               rng.choice((1, 1, 2)))
            self.change(one, {"mailboxIds": {
                self.boxes[r]: True for r in roles}})


@pytest.mark.parametrize("seed", range(2))
def test_email_query_changes_lead_from_any_list_to_the_next(api, seed):
    world = World(api, random.Random(seed))
    views = all_views(api, world.boxes)
    for _ in range(25):
        world.step()
        for view in world.rng.sample(views, 3):
            view.update()
    for view in views:
        view.update()
