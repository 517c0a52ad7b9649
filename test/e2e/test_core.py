"""JMAP Core (RFC 8620): requests, references, errors and limits, over HTTP and
over WebSocket alike."""

import json

import pytest

import mail
from jmap import CORE, MAIL, USING, HttpApi, WsApi, problem
from raw import Raw, basic, request

OPTIONS = {"max_size_request": 100000, "max_objects_in_get": 5,
           "max_objects_in_set": 5, "max_size_response": 200000}


def refused(answer, kind, limit=None):
    assert answer["type"] == problem(kind), answer
    assert answer["status"] == 400
    assert answer["detail"]
    assert answer.get("limit") == limit


def test_echo_gives_back_what_was_sent(api):
    args = {"a": [1, 2.5, -3e10, True, None, "\u00fc\U0001f600\\\"/"],
            "b": {"": {}}, "c": []}
    assert api.call("Core/echo", args, account=False) == args


def test_calls_are_answered_in_order_with_their_ids(api):
    got = api.calls(["Core/echo", {"n": 1}, "a"], ["Foo/bar", {}, "b"],
                    ["Core/echo", {"n": 2}, "a"])
    assert [(n, i) for n, _, i in got] == [
        ("Core/echo", "a"), ("error", "b"), ("Core/echo", "a")]
    assert got[1][1]["type"] == "unknownMethod"


def test_no_calls_have_an_empty_answer(api):
    assert api.request([])["methodResponses"] == []


def test_capabilities_that_are_not_used_hide_their_methods(api):
    (name, args, _), = api.calls(
        ["Mailbox/get", {"accountId": api.account_id}, "0"], using=[CORE])
    assert (name, args["type"]) == ("error", "unknownMethod")


# ---- request-level errors (3.6.1) ----

def test_an_unknown_capability_is_refused(api):
    refused(api.request([], using=[CORE, "urn:example:none"]),
            "unknownCapability")


@pytest.mark.parametrize("body", [
    {"methodCalls": []}, {"using": USING},
    {"using": "x", "methodCalls": []}, {"using": [1], "methodCalls": []},
    {"using": USING, "methodCalls": {}},
    {"using": USING, "methodCalls": ["Core/echo"]},
    {"using": USING, "methodCalls": [["Core/echo", {}]]},
    {"using": USING, "methodCalls": [["Core/echo", {}, "0", 1]]},
    {"using": USING, "methodCalls": [["Core/echo", [], "0"]]},
    {"using": USING, "methodCalls": [["Core/echo", {}, 0]]},
    {"using": USING, "methodCalls": [[1, {}, "0"]]},
    {"using": USING, "methodCalls": [], "createdIds": {"a": 1}},
    {"using": USING, "methodCalls": [], "createdIds": []},
])
def test_json_that_is_no_request_is_not_request(api, body):
    refused(api.answer_to(body), "notRequest")


def test_what_is_no_object_is_not_request(api):
    refused(api.answer_to("[]"), "notRequest")


@pytest.mark.parametrize("text", [
    "", "{", "nonsense", '{"using":[],"methodCalls":[],}', "{}{}",
    "{'a':1}", '{"a":NaN}', '{"a":01}', '{"a":"\\ud800"}',
    '{"a":1,"a":2}', '{"a":"\x01"}', '{"a":"\\x"}', "[" * 100 + "]" * 100])
def test_what_is_no_i_json_is_not_json(api, text):
    refused(api.answer_to(text), "notJSON")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/jsonx"])
def test_another_content_type_is_not_json(server, account, kind):
    body = json.dumps({"using": [CORE], "methodCalls": []})
    fields = {"Content_Type": kind} if kind else {}
    with Raw(server.http) as c:
        c.send(request("POST", "/jmap/api", body,
                       Authorization=basic(account.name, account.token),
                       **fields))
        r = c.response()
    assert r.status == 400
    assert json.loads(r.body)["type"] == problem("notJSON")


def test_invalid_utf8_is_not_json(server, account):
    r, body = HttpApi(server, account).post(b'{"a":"\xff"}')
    assert r.status == 400
    assert json.loads(body)["type"] == problem("notJSON")


def echoes(n):
    return [["Core/echo", {}, str(i)] for i in range(n)]


def test_16_calls_pass(api):
    assert len(api.request(echoes(16))["methodResponses"]) == 16


def test_17_calls_do_not(api):
    refused(api.request(echoes(17)), "limit", "maxCallsInRequest")


def of_size(n, **more):
    """A request of exactly n bytes."""
    body = {**more, "using": [CORE],
            "methodCalls": [["Core/echo", {"x": ""}, "0"]]}
    lacks = n - len(json.dumps(body))
    body["methodCalls"][0][1]["x"] = "x" * lacks
    text = json.dumps(body)
    assert len(text) == n
    return text


@pytest.mark.parametrize("size, good", [
    (99999, True), (100000, True), (100001, False)])
def test_max_size_request_is_exact_over_http(server, account, size, good):
    api = HttpApi(server, account)
    answer = api.answer_to(of_size(size))
    if good:
        assert len(answer["methodResponses"]) == 1
    else:
        refused(answer, "limit", "maxSizeRequest")


@pytest.mark.parametrize("size, good", [(100000, True), (100001, False)])
def test_max_size_request_is_exact_with_chunks(server, account, size, good):
    text = of_size(size).encode()
    with Raw(server.http) as c:
        c.send(request("POST", "/jmap/api", Transfer_Encoding="chunked",
                       Content_Type="application/json",
                       Authorization=basic(account.name, account.token)))
        for i in range(0, len(text), 40000):
            piece = text[i:i + 40000]
            c.send_may_fail(b"%x\r\n%s\r\n" % (len(piece), piece))
        c.send_may_fail(b"0\r\n\r\n")
        r = c.response()
    assert r.status == (200 if good else 400)
    if not good:
        refused(json.loads(r.body), "limit", "maxSizeRequest")


@pytest.mark.parametrize("size, good", [
    (99999, True), (100000, True), (100001, False)])
def test_max_size_request_is_exact_over_websocket(server, account, size, good):
    ws = WsApi(server, account)
    answer = ws.answer_to(of_size(size, **{"@type": "Request", "id": "x"}))
    assert answer["requestId"] == "x"
    if good:
        assert answer["@type"] == "Response"
        ws.close()
    else:
        refused(answer, "limit", "maxSizeRequest")
        assert ws.wait_closed() == 1009


# ---- references (3.7) ----

def ref(of, name, path):
    return {"resultOf": of, "name": name, "path": path}


def test_a_reference_takes_from_an_earlier_answer(api):
    got = api.calls(
        ["Core/echo", {"list": [{"id": "a"}, {"id": "b"}]}, "0"],
        ["Core/echo", {"#ids": ref("0", "Core/echo", "/list/*/id")}, "1"],
        ["Core/echo", {"#one": ref("0", "Core/echo", "/list/1/id")}, "2"])
    assert got[1][1] == {"ids": ["a", "b"]}
    assert got[2][1] == {"one": "b"}


def test_a_star_flattens_arrays(api):
    got = api.calls(
        ["Core/echo", {"l": [{"e": ["a", "b"]}, {"e": []}, {"e": ["c"]}]}, "0"],
        ["Core/echo", {"#x": ref("0", "Core/echo", "/l/*/e")}, "1"])
    assert got[1][1] == {"x": ["a", "b", "c"]}


def test_pointers_are_unescaped(api):
    got = api.calls(
        ["Core/echo", {"a/b": {"c~d": 7}}, "0"],
        ["Core/echo", {"#x": ref("0", "Core/echo", "/a~1b/c~0d")}, "1"])
    assert got[1][1] == {"x": 7}


def test_a_query_feeds_a_get(api):
    mail.deliver(api.server, api.account.name, subject="found")
    got = api.calls(
        ["Email/query", {"accountId": api.account_id}, "q"],
        ["Email/get", {"accountId": api.account_id, "properties": ["threadId"],
                       "#ids": ref("q", "Email/query", "/ids")}, "g"],
        ["Thread/get", {"accountId": api.account_id, "#ids": ref(
            "g", "Email/get", "/list/*/threadId")}, "t"])
    assert got[2][1]["list"][0]["emailIds"] == got[0][1]["ids"]


@pytest.mark.parametrize("args", [
    {"#x": ref("9", "Core/echo", "/a")}, {"#x": ref("0", "Foo/get", "/a")},
    {"#x": ref("0", "Core/echo", "/b")}, {"#x": ref("0", "Core/echo", "/a/9")},
    {"#x": ref("0", "Core/echo", "a")}, {"#x": "0"}, {"#x": {}},
    {"#x": ref("1", "Core/echo", "/a")}])
def test_a_reference_to_nothing_is_invalid_result_reference(api, args):
    got = api.calls(["Core/echo", {"a": [1]}, "0"], ["Core/echo", args, "1"])
    assert (got[1][0], got[1][1]["type"]) == ("error",
                                              "invalidResultReference")


def test_an_argument_both_plain_and_by_reference_is_invalid(api):
    got = api.calls(
        ["Core/echo", {"a": 1}, "0"],
        ["Core/echo", {"x": 1, "#x": ref("0", "Core/echo", "/a")}, "1"])
    assert (got[1][0], got[1][1]["type"]) == ("error", "invalidArguments")


def test_expanded_references_count_against_max_size_response(api):
    calls = [["Core/echo", {"a": ["x" * 50000]}, "0"]]
    for i in range(1, 10):
        calls.append(["Core/echo", {
            "#a": ref(str(i - 1), "Core/echo", "/a"),
            "#b": ref(str(i - 1), "Core/echo", "/a")}, str(i)])
    got = api.calls(*calls)
    assert len(got) == 10
    assert "requestTooLarge" in [a.get("type") for _, a, _ in got]
    assert len(json.dumps(got)) <= 200000


# ---- created ids (3.3) ----

def test_created_ids_can_be_used_later_in_the_request(api):
    aid = api.account_id
    answer = api.request([
        ["Mailbox/set", {"accountId": aid, "create": {
            "new": {"name": "A"}}}, "0"],
        ["Mailbox/set", {"accountId": aid, "create": {
            "sub": {"name": "B", "parentId": "#new"}}}, "1"],
        ["Mailbox/get", {"accountId": aid, "ids": ["#sub"]}, "2"]],
        createdIds={})
    made = answer["createdIds"]
    assert set(made) == {"new", "sub"}
    (box,) = answer["methodResponses"][2][1]["list"]
    assert (box["id"], box["parentId"]) == (made["sub"], made["new"])


def test_created_ids_of_the_client_are_known(api):
    made = api.call("Mailbox/set", {"create": {"x": {"name": "A"}}})
    box = made["created"]["x"]["id"]
    answer = api.request([["Mailbox/get", {
        "accountId": api.account_id, "ids": ["#in"]}, "0"]],
        createdIds={"in": box})
    assert answer["methodResponses"][0][1]["list"][0]["id"] == box
    assert answer["createdIds"] == {"in": box}


def test_without_created_ids_there_are_none_in_the_answer(api):
    assert "createdIds" not in api.request([])


# ---- method-level errors (3.6.2) ----

@pytest.mark.parametrize("name, args, kind", [
    ("Foo/get", {}, "unknownMethod"),
    ("Email/juggle", {}, "unknownMethod"),
    ("Thread/queryChanges", {}, "unknownMethod"),
    ("Email/get", {"accountId": "u99"}, "accountNotFound"),
    ("Email/get", {"accountId": None}, "invalidArguments"),
    ("Email/get", {"ids": "x"}, "invalidArguments"),
    ("Email/get", {"ids": [1]}, "invalidArguments"),
    ("Email/get", {"ids": [], "properties": ["nonsense"]}, "invalidArguments"),
    ("Email/get", {"ids": [], "nonsense": 1}, "invalidArguments"),
    ("Email/get", {"ids": ["e1"] * 6}, "requestTooLarge"),
    ("Email/set", {"destroy": ["e1"] * 6}, "requestTooLarge"),
    ("Email/set", {"ifInState": "0-0"}, "stateMismatch"),
    ("Mailbox/set", {"ifInState": "nonsense"}, "stateMismatch"),
    ("Email/changes", {}, "invalidArguments"),
    ("Email/changes", {"sinceState": "nonsense"}, "cannotCalculateChanges"),
    ("Mailbox/changes", {"sinceState": "0-0"}, "cannotCalculateChanges"),
    ("Thread/changes", {"sinceState": "0-0"}, "cannotCalculateChanges"),
    ("Email/changes", {"sinceState": "x", "maxChanges": 0},
     "invalidArguments"),
    ("Email/query", {"filter": {"nonsense": "x"}}, "unsupportedFilter"),
    ("Email/query", {"sort": [{"property": "nonsense"}]}, "unsupportedSort"),
    ("Email/queryChanges", {}, "invalidArguments"),
    ("Email/queryChanges", {"sinceQueryState": "nonsense"},
     "cannotCalculateChanges"),
    ("Email/query", {"anchor": "e99"}, "anchorNotFound"),
    ("Email/query", {"limit": -1}, "invalidArguments"),
])
def test_method_errors_have_their_exact_type(api, name, args, kind):
    assert api.error(name, args)["type"] == kind


def test_an_error_of_one_call_does_not_stop_the_next(api):
    got = api.calls(["Email/get", {}, "0"], ["Core/echo", {"a": 1}, "1"])
    assert got[0][1]["type"] == "invalidArguments"
    assert got[1] == ["Core/echo", {"a": 1}, "1"]


def test_another_account_is_not_found(api):
    other = HttpApi(api.server, api.server.add_account())
    args = {"accountId": other.account_id}
    assert api.error("Mailbox/get", args)["type"] == "accountNotFound"
    other.close()


def test_get_with_too_many_objects_is_refused_not_cut(api):
    """6 mailboxes, and at most 5 in a get."""
    error = api.error("Mailbox/get", {"ids": None})
    assert error["type"] == "requestTooLarge"
