"""Searching text (RFC 8621 4.4.1): what the conditions of Email/query with a String
look at, and what counts as a word."""

import pytest

from harness import Server
from jmap import HttpApi
from mail import deliver, message

PLAIN = "text/plain; charset=utf-8"
SENDER = "=?utf-8?q?J=C3=BCrgen_Fromm?="


def add(api, **kw):
    """Delivers one message; its id."""
    before = set(api.emails())
    deliver(api.server, api.account.name, message(**kw))
    (new,) = set(api.emails()) - before
    return new


def find(api, **condition):
    return set(api.emails(filter=condition))


@pytest.fixture
def two(api):
    """A message with a word of its own in each field, and another one."""
    one = add(api, name=SENDER, sender="jfromm@sender.example",
              to="tom@rcpt.example", subject="=?utf-8?q?Das_gro=C3=9Fe_Los?=",
              Cc="Cecil Copy <cc@copy.example>", Bcc="Bert <bcc@blind.example>",
              body="The brown fox jumps over the lazy dog.\r\n")
    other = add(api, subject="Fox and dog", body="Nothing else.\r\n")
    return one, other


# ---- where it looks ----

def test_email_query_filter_text_looks_in_all_fields(api, two):
    one, other = two
    for word in ("jürgen", "tom@rcpt.example", "cecil", "bert", "große",
                 "jumps"):
        assert find(api, text=word) == {one}, word
    assert find(api, text="fox") == {one, other}
    assert find(api, text="missing") == set()


@pytest.mark.parametrize("field,word", [
    ("from", "fromm"), ("to", "tom"), ("cc", "cecil"), ("bcc", "bert"),
    ("subject", "los"), ("body", "jumps")])
def test_email_query_filter_of_one_field(api, two, field, word):
    one, _ = two
    fields = ("from", "to", "cc", "bcc", "subject", "body")
    assert [f for f in fields if find(api, **{f: word})] == [field]
    assert find(api, **{field: word}) == {one}


def test_email_query_filter_body_looks_in_html_without_its_markup(api):
    html = ("<html><head><title>Hidden</title><style>.styled {}</style></head>"
            "<body class='markup'><p>Shown <b>bo</b>ld &eacute;l&egrave;ve</p>"
            "<img alt='A picture'><script>scripted()</script></body></html>")
    email_id = add(api, body=html, Content_Type="text/html")
    for word in ("shown", "bold", "eleve", "picture", "'a picture'"):
        assert find(api, body=word) == {email_id}, word
    for word in ("hidden", "styled", "markup", "scripted", "body", "img"):
        assert find(api, body=word) == set(), word


def test_email_query_filter_body_looks_in_every_part(api):
    body = ("--B\r\nContent-Type: text/plain\r\n\r\nfirst part\r\n"
            "--B\r\nContent-Type: text/plain; charset=iso-8859-15\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\nYmVpZyA1pA==\r\n"
            "--B\r\nContent-Type: application/pdf; name=\"Invoice 17.pdf\"\r\n"
            "\r\nsecret\r\n"
            "--B\r\nContent-Type: message/rfc822\r\n\r\n"
            "From: Eve <eve@inner.example>\r\nSubject: inside\r\n\r\ndeep\r\n"
            "--B--\r\n")
    email_id = add(api, body=body, MIME_Version="1.0",
                   Content_Type="multipart/mixed; boundary=B")
    for word in ("first", "beig 5", "'invoice 17'", "inside", "deep",
                 "eve@inner.example"):
        assert find(api, body=word) == {email_id}, word
    assert find(api, body="secret") == set()
    assert find(api, **{"from": "eve"}) == set()


def test_email_query_filter_text_of_a_large_message(api):
    email_id = add(api, body="filler line\r\n" * 20000 + "needle\r\n")
    assert find(api, body="needle") == {email_id}


# ---- what matches ----

def test_email_query_filter_text_wants_all_words(api, two):
    one, other = two
    assert find(api, text="dog  fox") == {one, other}
    assert find(api, text="dog fox lazy") == {one}
    assert find(api, text="dog cat") == set()
    # Each word in a field of its own.
    assert find(api, text="cecil lazy") == {one}


def test_email_query_filter_text_phrases(api, two):
    one, other = two
    assert find(api, text='"brown fox"') == {one}
    assert find(api, text="'Brown Fox'") == {one}
    assert find(api, text='"fox brown"') == set()
    assert find(api, text='"fox and" nothing') == {other}
    # A quote that nothing closes is no quote.
    assert find(api, text='"fox brown') == {one}


def test_email_query_filter_text_escapes_in_phrases(api):
    email_id = add(api, body="They say \"don't panic\" here.\r\n")
    assert find(api, body=r"'say \"don\'t panic\"'") == {email_id}
    assert find(api, body=r'"don\\t panic"') == {email_id}
    assert find(api, body="don't panic") == {email_id}


def test_email_query_filter_text_addresses(api, two):
    one, _ = two
    for word in ("jfromm@sender.example", "jfromm", "sender.example",
                 "JFromm@SENDER.example", "<jfromm@sender.example>"):
        assert find(api, **{"from": word}) == {one}, word
    assert find(api, **{"from": "from@sender.example"}) == set()


def test_email_query_filter_text_whole_words_and_beginnings(api, two):
    one, _ = two
    assert find(api, body="jump") == set()
    assert find(api, body="jump*") == {one}
    assert find(api, body="jumps*") == {one}


def test_email_query_filter_text_ignores_case_and_accents(api, two):
    one, _ = two
    for word in ("GROẞE", "grosse", "Große"):
        assert find(api, subject=word) == {one}, word
    for word in ("jurgen", "JÜRGEN", "ju\u0308rgen"):
        assert find(api, **{"from": word}) == {one}, word


def test_email_query_filter_text_in_scripts_without_spaces(api):
    email_id = add(api, body="私は東京都に住んでいます。\r\n",
                   Content_Type=PLAIN)
    for word in ("東京", "東京都", "京都", "東", "住んで 東京"):
        assert find(api, body=word) == {email_id}, word
    assert find(api, body="東都") == set()


def test_email_query_filter_text_without_a_word_matches_nothing(api, two):
    for text in ("", "   ", "...", '""', "*", "' - '"):
        assert find(api, text=text) == set(), text


def test_email_query_filter_text_is_no_syntax(api, two):
    """Whatever it is: words, and no error."""
    for text in (
            "fox OR nothing", "fox NOT cat", "NEAR(fox dog)", "subject : fox",
            "fox\") OR (\"dog", "sender:fox", '"""', "fox\u0000dog", "((((",
            "{a b} : c", "\U0001f600", "^", "\\", "'\\", "fox AND",
            "-fox +dog ~1"):
        find(api, text=text)
    assert find(api, text="lazy") == {two[0]}


def test_email_query_filter_text_operators_of_sql_are_words(api, two):
    assert find(api, text="fox OR dog") == set()
    assert find(api, text="dog AND fox") == {two[1]}


def test_email_query_filter_text_that_is_long(api, two):
    assert find(api, text="fox " * 5000) == set(two)
    assert find(api, text="x" * 50000) == set()


# ---- what is there ----

def test_email_query_filter_text_finds_what_has_just_come(api):
    for i in range(5):
        email_id = add(api, body=f"word number{i}\r\n")
        assert find(api, text=f"number{i}") == {email_id}
    assert len(find(api, text="word")) == 5


def test_email_query_filter_text_does_not_find_what_is_destroyed(api, two):
    one, other = two
    assert find(api, text="fox") == {one, other}
    api.call("Email/set", {"destroy": [one]})
    assert find(api, text="fox") == {other}
    assert find(api, text="lazy") == set()


def test_email_query_filter_text_after_a_restart():
    with Server() as server:
        account = server.add_account()
        api = HttpApi(server, account)
        one = add(api, body="before\r\n")
        api.close()
        server.stop()
        server.start()
        api = HttpApi(server, account)
        two = add(api, body="before and after\r\n")
        assert find(api, text="before") == {one, two}
        assert find(api, text="after") == {two}
        api.close()
