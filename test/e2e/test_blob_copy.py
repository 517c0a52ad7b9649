"""Blob/copy (RFC 8620 6.3). A login sees one account: blobs go from it to itself."""

import base64

import pytest

from blob import Blobs, blob_id, noise
from jmap import CORE
from mail import deliver


def copy(api, *ids, **more):
    args = {"fromAccountId": api.account_id, "blobIds": list(ids), **more}
    return api.call("Blob/copy", args)


@pytest.fixture(scope="module")
def account(server):
    return server.add_account()


@pytest.fixture
def upload(server, account):
    with Blobs(server, account) as c:
        yield c.upload


def test_blob_copy_of_an_upload(api, upload):
    one, two = upload(noise(10)), upload(noise(100_000))
    assert copy(api, one, two) == {
        "fromAccountId": api.account_id, "accountId": api.account_id,
        "copied": {one: one, two: two}, "notCopied": None}


def test_blob_copy_of_a_message_and_its_part(server, account, api):
    data = noise(1000)
    deliver(server, account.name, (
        b"From: <a@example.org>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: application/x; name=n\r\n"
        b"Content-Disposition: attachment\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(data).replace(b"\n", b"\r\n")))
    email = api.emails()[0]
    got = api.call("Email/get", {"ids": [email], "properties": [
        "blobId", "attachments"]})["list"][0]
    ids = got["blobId"], got["attachments"][0]["blobId"]
    assert copy(api, *ids)["copied"] == {i: i for i in ids}


def test_blob_copy_not_found(api, server, upload):
    one = upload(b"mine")
    with Blobs(server, server.add_account()) as other:
        theirs = other.upload(noise(10))
    gone = [theirs, blob_id(noise(10)), "nonsense", "#x", "",
            "p" + one[1:] + "_0_5_0", "p" + one[1:] + "_5_0_0"]
    got = copy(api, *gone, one, one, "nonsense")
    assert got["copied"] == {one: one}
    assert got["notCopied"] == {i: {"type": "notFound"} for i in gone}


def test_blob_copy_of_nothing(api):
    got = copy(api)
    assert (got["copied"], got["notCopied"]) == (None, None)
    got = copy(api, "nonsense")
    assert got["copied"] is None


def test_blob_copy_from_account_not_found(api, server):
    with Blobs(server, server.add_account()) as other:
        for account_id in (other.account_id, "u99999", "x"):
            got = api.error("Blob/copy", {"fromAccountId": account_id,
                                          "blobIds": []})
            assert got["type"] == "fromAccountNotFound"


def test_blob_copy_account_not_found(api):
    got = api.error("Blob/copy", {
        "accountId": "x", "fromAccountId": api.account_id, "blobIds": []})
    assert got["type"] == "accountNotFound"


@pytest.mark.parametrize("wrong", [
    {"blobIds": None}, {"blobIds": "b"}, {"blobIds": [1]}, {"blobIds": [None]},
    {"fromAccountId": None}, {"fromAccountId": 1}, {"more": True}])
def test_blob_copy_invalid_arguments(api, wrong):
    args = {"fromAccountId": api.account_id, "blobIds": [], **wrong}
    assert api.error("Blob/copy", args)["type"] == "invalidArguments"


def test_blob_copy_arguments_are_needed(api):
    for args in ({"blobIds": []}, {"fromAccountId": api.account_id}):
        assert api.error("Blob/copy", args)["type"] == "invalidArguments"


def test_blob_copy_too_many_is_request_too_large(api):
    got = api.error("Blob/copy", {
        "fromAccountId": api.account_id, "blobIds": ["x"] * 501})
    assert got["type"] == "requestTooLarge"


def test_blob_copy_needs_core_only(api, upload):
    one = upload(b"core")
    (name, got, _), = api.calls(["Blob/copy", {
        "accountId": api.account_id, "fromAccountId": api.account_id,
        "blobIds": [one]}, "c"], using=[CORE])
    assert (name, got["copied"]) == ("Blob/copy", {one: one})
