"""SearchSnippet/get (RFC 8621 5)."""

import html
import re

import pytest

from mail import deliver, message


def add(api, **kw):
    before = set(api.emails())
    deliver(api.server, api.account.name, message(**kw))
    (new,) = set(api.emails()) - before
    return new


def snippet(api, email_id, condition):
    got = api.call("SearchSnippet/get",
                   {"filter": condition, "emailIds": [email_id]})
    assert got["notFound"] is None
    (one,) = got["list"]
    assert one.keys() == {"emailId", "subject", "preview"}
    assert one["emailId"] == email_id
    return one["subject"], one["preview"]


def test_snippet_get_marks_subject_and_preview(api):
    email_id = add(api, subject="The Foosball competition",
                   body="This year the foosball\r\ncompetition is here.\r\n")
    assert snippet(api, email_id, {"text": "foosball"}) == (
        "The <mark>Foosball</mark> competition",
        "This year the <mark>foosball</mark> competition is here.")


def test_snippet_get_subject_condition(api):
    email_id = add(api, subject="word", body="word\r\n")
    assert snippet(api, email_id, {"subject": "word"}) == (
        "<mark>word</mark>", None)


def test_snippet_get_body_condition(api):
    email_id = add(api, subject="word", body="word\r\n")
    assert snippet(api, email_id, {"body": "word"}) == (
        None, "<mark>word</mark>")


def test_snippet_get_null_without_a_match(api):
    email_id = add(api, subject="Hello", body="there\r\n")
    assert snippet(api, email_id, {"text": "word"}) == (None, None)
    assert snippet(api, email_id, {"text": ""}) == (None, None)
    # From and To have no snippet.
    assert snippet(api, email_id, {"from": "bob"}) == (None, None)
    assert snippet(api, email_id, {"text": "bob"}) == (None, None)


@pytest.mark.parametrize("args", [{}, {"filter": None}, {"filter": {}},
                                  {"filter": {"hasAttachment": False}}])
def test_snippet_get_null_without_words(api, args):
    email_id = add(api)
    got = api.call("SearchSnippet/get", {**args, "emailIds": [email_id]})
    assert got == {"accountId": api.account_id, "notFound": None, "list": [
        {"emailId": email_id, "subject": None, "preview": None}]}


def test_snippet_get_of_all_conditions_of_a_filter(api):
    email_id = add(api, subject="alpha beta gamma delta",
                   body="alpha beta gamma delta\r\n")
    assert snippet(api, email_id, {
        "operator": "AND", "conditions": [
            {"subject": "alpha", "hasKeyword": "$seen"},
            {"operator": "OR", "conditions": [{"body": "beta"},
                                              {"text": "gamma"}]},
            {"operator": "NOT", "conditions": [{"text": "delta"}]}]}) == (
        "<mark>alpha</mark> beta <mark>gamma</mark> delta",
        "alpha <mark>beta</mark> <mark>gamma</mark> delta")


def test_snippet_get_marks_phrases_and_beginnings(api):
    email_id = add(api, subject="one two, three", body="Search engines\r\n")
    assert snippet(api, email_id, {"text": '"two three" sear*'}) == (
        "one <mark>two, three</mark>", "<mark>Search</mark> engines")


def test_snippet_get_escapes_html(api):
    email_id = add(api, subject="<b>1 & 2</b> word",
                   body="if a < b && c > d then word\r\n")
    assert snippet(api, email_id, {"text": "word"}) == (
        "&lt;b&gt;1 &amp; 2&lt;/b&gt; <mark>word</mark>",
        "if a &lt; b &amp;&amp; c &gt; d then <mark>word</mark>")


def test_snippet_get_ignores_case_and_accents_as_the_search_does(api):
    email_id = add(api, subject="=?utf-8?q?Gr=C3=B6=C3=9Fe?=",
                   body="東京都に住む\r\n",
                   Content_Type="text/plain; charset=utf-8")
    assert snippet(api, email_id, {"text": "GROSSE"}) == (
        "<mark>Größe</mark>", None)
    assert snippet(api, email_id, {"body": "京都"}) == (
        None, "東<mark>京都</mark>に住む")


def test_snippet_get_preview_of_html(api):
    email_id = add(api, body="<p>The &lt;<b>wor</b>d&gt;<br>is shown</p>",
                   Content_Type="text/html")
    assert snippet(api, email_id, {"body": "word"}) == (
        None, "The &lt;<mark>word</mark>&gt; is shown")
    assert snippet(api, email_id, {"body": "br"}) == (None, None)


@pytest.mark.parametrize("filler", ["lorem ipsum ", "<&> ", "grüß dich ",
                                    "東京", "needle "])
def test_snippet_get_preview_is_at_most_255_octets(api, filler):
    email_id = add(api, body=filler * 200 + " needle " + filler * 200 + "\r\n",
                   Content_Type="text/plain; charset=utf-8",
                   Content_Transfer_Encoding="8bit")
    _, preview = snippet(api, email_id, {"body": "needle"})
    assert len(preview.encode()) <= 255
    assert len(preview.encode()) > 150
    assert "<mark>needle</mark>" in preview
    # Tags and entities are whole.
    text = re.sub("</?mark>", "", preview)
    assert "<" not in text and ">" not in text
    assert html.escape(html.unescape(text), quote=False) == text


def test_snippet_get_subject_is_whole(api):
    subject = "word " + "long " * 100 + "end"
    email_id = add(api, subject=subject)
    assert snippet(api, email_id, {"subject": "word"})[0] == subject.replace(
        "word", "<mark>word</mark>")


def test_snippet_get_not_found(api):
    email_id = add(api, subject="word")
    got = api.call("SearchSnippet/get", {
        "filter": {"text": "word"},
        "emailIds": ["nope", email_id, "e7zzz", email_id, "nope"]})
    assert [s["emailId"] for s in got["list"]] == [email_id]
    assert sorted(got["notFound"]) == ["e7zzz", "nope"]


def test_snippet_get_in_the_order_of_the_ids(api):
    ids = [add(api, subject=f"word {i}") for i in range(3)]
    for order in (ids, ids[::-1]):
        got = api.call("SearchSnippet/get", {
            "filter": {"text": "word"}, "emailIds": order})
        assert [s["emailId"] for s in got["list"]] == order
        assert all("<mark>word</mark>" in s["subject"] for s in got["list"])
    got = api.call("SearchSnippet/get", {"filter": {"text": "word"},
                                         "emailIds": []})
    assert got["list"] == [] and got["notFound"] is None


def test_snippet_get_by_reference_to_a_query(api):
    email_id = add(api, subject="word")
    add(api, subject="other")
    answers = api.calls(
        ["Email/query", {"accountId": api.account_id,
                         "filter": {"subject": "word"}}, "q"],
        ["SearchSnippet/get", {
            "accountId": api.account_id, "filter": {"subject": "word"},
            "#emailIds": {"resultOf": "q", "name": "Email/query",
                          "path": "/ids"}}, "s"])
    assert answers[1][0] == "SearchSnippet/get", answers
    assert answers[1][1]["list"] == [{
        "emailId": email_id, "subject": "<mark>word</mark>",
        "preview": None}]


def test_snippet_get_of_a_large_message(api):
    email_id = add(api, body="filler line\r\n" * 20000 + "needle end\r\n")
    _, preview = snippet(api, email_id, {"body": "needle"})
    assert preview.endswith("filler line <mark>needle</mark> end")
    assert preview.startswith("…")


# ---- wrong arguments ----

def test_snippet_get_request_too_large(api):
    got = api.error("SearchSnippet/get", {
        "filter": {"text": "x"}, "emailIds": [f"e{i}" for i in range(501)]})
    assert got["type"] == "requestTooLarge"


@pytest.mark.parametrize("condition", [
    {"nope": 1}, {"text": "x", "unknownOne": True},
    {"operator": "AND", "conditions": [{"nope": "x"}]}])
def test_snippet_get_unsupported_filter(api, condition):
    got = api.error("SearchSnippet/get",
                    {"filter": condition, "emailIds": []})
    assert got["type"] == "unsupportedFilter"


@pytest.mark.parametrize("args", [
    {}, {"emailIds": None}, {"emailIds": "e1"}, {"emailIds": [1]},
    {"emailIds": [], "filter": "word"}, {"emailIds": [], "filter": []},
    {"emailIds": [], "ids": []}, {"emailIds": [], "filter": {"text": 1}}])
def test_snippet_get_invalid_arguments(api, args):
    got = api.error("SearchSnippet/get", args)
    assert got["type"] == "invalidArguments"


def test_snippet_get_account_not_found(api):
    got = api.error("SearchSnippet/get",
                    {"accountId": "nobody", "emailIds": []})
    assert got["type"] == "accountNotFound"
