"""Threads (RFC 8621 3): which Emails are one, and what a client sees when two
become one."""

from blob import Blobs
from mail import deliver, message


def get(api, ids, *properties):
    return api.call("Email/get", {"ids": ids, "properties": [
        "id", *properties]})["list"]


def mail(api, own, refs="", subject="Plan", **more):
    """Delivers, and returns the id."""
    fields = {"Message_ID": f"<{own}@x>"}
    if refs:
        fields["References"] = " ".join(f"<{r}@x>" for r in refs.split())
    since = api.state()
    deliver(api.server, api.account.name,
            message(subject=subject, **fields, **more))
    created = api.call("Email/changes", {"sinceState": since})["created"]
    (new,) = [e["id"] for e in get(api, created, "messageId")
              if e["messageId"] == [f"{own}@x"]]
    return new


def thread_of(api, email):
    (e,) = get(api, [email], "threadId")
    return e["threadId"]


def now_of(api, own):
    """The id that the message has by now."""
    (e,) = [e["id"] for e in get(api, api.emails(), "messageId")
            if e["messageId"] == [f"{own}@x"]]
    return e


def changes(api, kind, since):
    got = api.call(f"{kind}/changes", {"sinceState": since})
    assert got["hasMoreChanges"] is False
    return [sorted(got[k]) for k in ("created", "updated", "destroyed")]


# ---- Thread/get ----

def test_thread_get_email_ids_are_by_date(api):
    made = [mail(api, "1"), mail(api, "2", "1"), mail(api, "3", "2")]
    thread = thread_of(api, made[0])
    got = api.call("Thread/get", {"ids": [thread]})
    assert got["list"] == [{"id": thread, "emailIds": made}]
    assert got["state"] == api.state("Thread")


def test_thread_get_properties(api):
    thread = thread_of(api, mail(api, "1"))
    got = api.call("Thread/get", {"ids": [thread], "properties": ["id"]})
    assert got["list"] == [{"id": thread}]
    error = api.error("Thread/get", {"properties": ["subject"]})
    assert error["type"] == "invalidArguments"


def test_thread_get_not_found(api):
    thread = thread_of(api, mail(api, "1"))
    got = api.call("Thread/get", {"ids": ["t999", thread, "x", thread]})
    assert [t["id"] for t in got["list"]] == [thread]
    assert sorted(got["notFound"]) == ["t999", "x"]


def test_thread_get_ids_null(api):
    threads = {thread_of(api, mail(api, str(i))) for i in range(3)}
    mail(api, "9", "1")
    got = api.call("Thread/get", {"ids": None})["list"]
    assert {t["id"] for t in got} == threads
    assert sorted(len(t["emailIds"]) for t in got) == [1, 1, 2]


def test_thread_has_no_set_and_no_query(api):
    for name in ("Thread/set", "Thread/query", "Thread/queryChanges"):
        assert api.error(name)["type"] == "unknownMethod"


# ---- Thread/changes ----

def test_thread_changes(api):
    a, b = mail(api, "1"), mail(api, "2", subject="Else")
    one, other = thread_of(api, a), thread_of(api, b)
    since = api.state("Thread")
    c = mail(api, "3", subject="New")
    mail(api, "4", "1")
    api.call("Email/set", {"destroy": [b]})
    assert changes(api, "Thread", since) == [[thread_of(api, c)], [one],
                                             [other]]


def test_thread_changes_when_an_email_leaves_or_the_last_one_does(api):
    a, b = mail(api, "1"), mail(api, "2", "1")
    thread, since = thread_of(api, a), api.state("Thread")
    api.call("Email/set", {"destroy": [a]})
    assert changes(api, "Thread", since) == [[], [thread], []]
    api.call("Email/set", {"destroy": [b]})
    assert changes(api, "Thread", since) == [[], [], [thread]]
    assert api.call("Thread/get", {"ids": [thread]})["notFound"] == [thread]


def test_thread_changes_not_for_keywords_and_mailboxes(api):
    a, since = mail(api, "1"), api.state("Thread")
    api.set_keyword(a, "$seen")
    api.call("Email/set", {"update": {a: {"mailboxIds": {
        api.mailboxes()["archive"]: True}}}})
    assert changes(api, "Thread", since) == [[], [], []]


# ---- which Emails are one thread ----

def same(api, *emails):
    return len({thread_of(api, e) for e in emails}) == 1


def test_a_reply_and_its_original_in_any_order(api):
    assert same(api, mail(api, "1"), mail(api, "2", "1"))
    assert same(api, mail(api, "4", "3"), mail(api, "3"))


def test_two_replies_to_what_never_came(api):
    assert same(api, mail(api, "2", "1"), mail(api, "3", "1"))


def test_in_reply_to_is_enough(api):
    assert same(api, mail(api, "1"), mail(api, "2", In_Reply_To="<1@x>"))


def test_the_subject_must_be_the_same_but_for_prefixes(api):
    a = mail(api, "1", subject="Plan")
    assert same(api, a, mail(api, "2", "1", subject="Re: [list] plan"))
    assert same(api, a, mail(api, "3", "1", subject="=?utf-8?q?Fwd:_Plan?="))
    assert not same(api, a, mail(api, "4", "1", subject="Another plan"))


def test_the_same_subject_alone_ties_nothing(api):
    assert not same(api, mail(api, "1"), mail(api, "2"))


# ---- two become one ----

def test_a_message_that_ties_two_threads_makes_them_one(api):
    a, b = mail(api, "1"), mail(api, "2")
    c = mail(api, "3", "1 2")
    moved = now_of(api, "2")
    assert moved != b
    assert now_of(api, "1") == a
    (thread,) = api.call("Thread/get", {"ids": [thread_of(api, a)]})["list"]
    assert thread["emailIds"] == [a, moved, c]
    box = api.call("Mailbox/get", {"ids": [api.mailboxes()["inbox"]]})["list"]
    assert (box[0]["totalEmails"], box[0]["totalThreads"]) == (3, 1)
    assert (box[0]["unreadEmails"], box[0]["unreadThreads"]) == (3, 1)


def test_a_merge_is_gone_and_come_in_changes(api):
    a, b = mail(api, "1"), mail(api, "2")
    kept, gone = thread_of(api, a), thread_of(api, b)
    since = {k: api.state(k) for k in ("Email", "Thread")}
    c = mail(api, "3", "1 2")
    assert changes(api, "Email", since["Email"]) == [
        sorted([now_of(api, "2"), c]), [], [b]]
    assert changes(api, "Thread", since["Thread"]) == [[], [kept], [gone]]


def test_a_merge_makes_stale_ids_not_found(api):
    mail(api, "1")
    b = mail(api, "2")
    gone = thread_of(api, b)
    mail(api, "3", "1 2")
    assert api.call("Email/get", {"ids": [b]})["notFound"] == [b]
    assert api.call("Thread/get", {"ids": [gone]})["notFound"] == [gone]
    got = api.call("Email/set", {"update": {b: {"keywords/$seen": True}}})
    assert got["notUpdated"][b]["type"] == "notFound"
    got = api.call("Email/set", {"destroy": [b]})
    assert got["notDestroyed"][b]["type"] == "notFound"


def test_a_merge_changes_nothing_else(api):
    mail(api, "1")
    b = mail(api, "2", body="Grizzly bear\r\n")
    archive, inbox = (api.mailboxes()[r] for r in ("archive", "inbox"))
    api.call("Email/set", {"update": {b: {
        f"mailboxIds/{archive}": True, "keywords": {"$flagged": True,
                                                    "blue": True}}}})
    (before,) = api.call("Email/get", {"ids": [b],
                                       "fetchTextBodyValues": True})["list"]
    mail(api, "3", "1 2")
    moved = now_of(api, "2")
    (after,) = api.call("Email/get", {"ids": [moved],
                                      "fetchTextBodyValues": True})["list"]
    assert after["mailboxIds"] == {inbox: True, archive: True}
    assert after["blobId"] == before["blobId"]
    different = {k for k in before if before[k] != after[k]}
    assert different == {"id", "threadId"}


def test_a_merge_is_found_by_text_under_the_new_id(api):
    mail(api, "1")
    b = mail(api, "2", body="Grizzly bear\r\n")
    assert api.emails(filter={"text": "grizzly"}) == [b]
    mail(api, "3", "1 2")
    assert api.emails(filter={"text": "grizzly"}) == [now_of(api, "2")]


def test_the_larger_thread_keeps_its_ids(api):
    a = mail(api, "1")
    b, c = mail(api, "2"), mail(api, "3", "2")
    thread = thread_of(api, b)
    d = mail(api, "4", "1 3")
    assert thread_of(api, d) == thread
    assert {now_of(api, "2"), now_of(api, "3")} == {b, c}
    assert now_of(api, "1") != a
    assert same(api, b, now_of(api, "1"))


def test_threads_of_different_subjects_stay_two(api):
    a, b = mail(api, "1"), mail(api, "2", subject="Else")
    c = mail(api, "3", "1 2")
    assert same(api, a, c) and not same(api, a, b)


def test_three_threads_become_one(api):
    for i in range(3):
        mail(api, str(i))
    mail(api, "3", "0 1 2")
    assert len(api.call("Email/query", {"collapseThreads": True})["ids"]) == 1


# ---- what one /set creates may tie what it creates, too ----

def draft(api, own, refs=None, **more):
    return {"mailboxIds": {api.mailboxes()["drafts"]: True},
            "messageId": [own], "references": refs, "subject": "Plan",
            "keywords": {"$draft": True}, **more}


def test_a_created_email_is_answered_with_the_id_that_it_has_at_the_end(api):
    got = api.call("Email/set", {"create": {
        "a": draft(api, "1@x"), "b": draft(api, "2@x"),
        "c": draft(api, "3@x", ["1@x", "2@x"])}})
    made = got["created"]
    assert sorted(api.emails()) == sorted(e["id"] for e in made.values())
    assert len({e["threadId"] for e in made.values()}) == 1
    for e in made.values():
        (is_,) = get(api, [e["id"]], *e)
        assert is_ == e
    assert api.call("Email/changes", {"sinceState": got["oldState"]})[
        "created"] == [made["a"]["id"], made["b"]["id"], made["c"]["id"]]


def test_an_update_beside_the_creation_that_moves_it_is_not_lost(api):
    a, b = mail(api, "1"), mail(api, "2")
    got = api.call("Email/set", {
        "create": {"c": draft(api, "3@x", ["1@x", "2@x"])},
        "update": {a: {"keywords/$answered": True},
                   b: {"keywords/$answered": True}}})
    assert got["created"]["c"] and not got["notUpdated"]
    for own in ("1", "2"):
        (e,) = get(api, [now_of(api, own)], "keywords")
        assert e["keywords"] == {"$answered": True}
    assert now_of(api, "2") != b


def test_a_destroy_beside_the_creation_that_moves_it_is_not_lost(api):
    mail(api, "1")
    b = mail(api, "2")
    got = api.call("Email/set", {
        "create": {"c": draft(api, "3@x", ["1@x", "2@x"])}, "destroy": [b]})
    assert got["destroyed"] == [b]
    assert len(api.emails()) == 2


def test_an_imported_email_is_answered_with_the_id_that_it_has_at_the_end(api):
    refs = {"1": {}, "2": {}, "3": {"References": "<1@x> <2@x>"}}
    with Blobs(api.server, api.account) as blobs:
        got = api.call("Email/import", {"emails": {own: {
            "blobId": blobs.upload(message(
                subject="Plan", Message_ID=f"<{own}@x>", **more)),
            "mailboxIds": {api.mailboxes()["archive"]: True}}
            for own, more in refs.items()}})
    made = got["created"]
    assert sorted(api.emails()) == sorted(e["id"] for e in made.values())
    for own, e in made.items():
        (is_,) = get(api, [e["id"]], "messageId", *e)
        assert is_ == {**e, "messageId": [f"{own}@x"]}
