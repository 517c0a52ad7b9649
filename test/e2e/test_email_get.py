"""Email/get (RFC 8621 4.1, 4.2): every property, every header form, bodies, limits.
One account has one of each of the messages below; no test changes them."""

import pytest

from mail import deliver

OPTIONS = {"max-objects-in-get": 40, "max-size-response": 65536}

FIELDS = (
    'From: "B\\"ob, the =?utf-8?q?x?=" <bob@example.net>\r\n'
    "Sender: =?utf-8?q?J=C3=B6rg?= <joerg@example.net>\r\n"
    "Reply-To: lists@example.net (the list)\r\n"
    'To: "  James Smythe" <james@example.com>, Friends:\r\n'
    "  jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=\r\n"
    "  <john@example.com>;\r\n"
    "Cc: Carol <carol@example.net>, dave@example.net\r\n"
    "Bcc: eve@example.net\r\n"
    "Subject: first\r\n"
    "SUBJECT: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n and more\r\n"
    "Date: Tue, 24 Nov 2026 07:00:00 +0100\r\n"
    "Message-ID: <fields@example.net>\r\n"
    "In-Reply-To: <a@x> (comment) <b@x>\r\n"
    "References: <r1@x>\r\n <r2@x>\r\n"
    "Comments: one\r\n"
    "Comments: =?utf-8?q?tw=C3=B6?=\r\n"
    "Keywords: k1, k2\r\n"
    "Resent-To: one@example.net\r\n"
    "Resent-To: Two <two@example.net>\r\n"
    "Resent-From: r-from@example.net\r\n"
    "Resent-Sender: r-sender@example.net\r\n"
    "Resent-Reply-To: r-reply@example.net\r\n"
    "Resent-Cc: r-cc@example.net\r\n"
    "Resent-Bcc: r-bcc@example.net\r\n"
    "Resent-Date: Mon, 23 Nov 2026 06:00:00 +0000\r\n"
    "Resent-Message-ID: <resent@example.net>\r\n"
    "List-Id: A list <list.example.net>\r\n"
    "List-Help: <mailto:help@example.net>\r\n"
    "List-Unsubscribe: (how) <https://example.net/u>, <mailto:u@example.net>\r\n"
    "List-Subscribe: <mailto:s@example.net>\r\n"
    "List-Post: NO (posting not allowed)\r\n"
    "List-Owner: <mailto:o@example.net>\r\n"
    "List-Archive: <https://example.net/archive>\r\n"
    "X-Text:   =?iso-8859-1?q?=E9t=E9?=\r\n"
    "X-Addr: Joe <joe@example.net>\r\n"
    "X-Ids: <id1@x> <id2@x>\r\n"
    "X-Date: Tue, 24 Nov 2026 06:00:00 -0330\r\n"
    "X-Urls: <https://example.net/x>\r\n"
    "X-Bytes: a\xff\0b\r\n"
    "\r\nHello there.\r\n").encode("latin-1")


def part(kind, name, disposition="", more="", body=None):
    text = f"Content-Type: {kind}\r\nContent-Id: <{name}>\r\n{more}"
    if disposition:
        text += f"Content-Disposition: {disposition}\r\n"
    return text + "\r\n" + (body if body is not None else f"this is {name}")


def multi(kind, boundary, *parts):
    text = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'
    for p in parts:
        text += f"--{boundary}\r\n{p}\r\n"
    return text + f"--{boundary}--\r\n"


# The example of RFC 8621 4.1.4.
TREE = multi(
    "mixed", "b1",
    part("text/plain", "A", "inline"),
    multi("mixed", "b2",
          multi("alternative", "b3",
                multi("mixed", "b4",
                      part("text/plain", "B", "inline"),
                      part("image/jpeg", "C", "inline"),
                      part("text/plain", "D", "inline")),
                multi("related", "b5",
                      part("text/html", "E"),
                      part("image/jpeg", "F"))),
          part("image/jpeg", "G", "attachment"),
          part("application/x-excel", "H"),
          part("message/rfc822", "J", body="Subject: inner\r\n\r\ninner")),
    part("text/plain", "K", "inline"))

PARTS = multi(
    "mixed", "b1",
    part("text/plain; charset=iso-8859-1", "latin",
         more="Content-Transfer-Encoding: quoted-printable\r\n",
         body="Gr=FC=DFe=\r\n, Alice\r\nBye"),
    part('application/pdf; name="old.pdf"', "pdf",
         "attachment; filename*=utf-8''%C3%A4.pdf",
         "Content-Transfer-Encoding: base64\r\n"
         "Content-Language: de, en-GB\r\n"
         "Content-Location: https://example.net/\r\n a.pdf\r\n"
         "X-Part: one\r\nX-Part: two\r\n",
         "QUJDREU="),
    part("text/plain; charset=no-such-charset", "odd", "attachment", "",
         "abc"),
    part("text/html; charset=utf-8", "html", "attachment", "",
         '<p>Hi <a href="https://example.net/long">there</a></p>'),
    part("text/plain", "encoding", "attachment",
         "Content-Transfer-Encoding: x-unknown\r\n", "abc"))


def nested(levels):
    inner = part("text/plain", "deep")
    for i in range(levels):
        inner = multi("mixed", f"n{i}.", inner)
    return inner


def top(name, rest):
    return (f"From: bob@example.net\r\nSubject: {name}\r\nMIME-Version: 1.0\r\n"
            f"Date: Tue, 24 Nov 2026 06:00:00 +0000\r\n{rest}").encode()


MESSAGES = {
    "fields": FIELDS,
    "tree": top("tree", TREE),
    "parts": top("parts", PARTS),
    "deep": top("deep", nested(60)),
    "plain": top("plain", "\r\nJust text.\r\n"),
    "alternative": top("alternative", multi(
        "alternative", "b", part("text/plain", "T"), part("text/html", "H"))),
    "inline": top("inline", multi(
        "related", "b", part("text/html", "H"),
        part("image/png", "I", "inline"))),
    "image": top("image", part("image/png", "I")),
    "quiet": b"\r\nno header\r\n",
    "empty": top("empty", multi("mixed", "b")),
    "large": top("large", "".join(
        f"X-Large: {'x' * 900}\r\n" for _ in range(100)) + "\r\nbody\r\n"),
    "big": top("big", "X-Big: 1\r\nX-Big: 2\r\n\r\n" + "a line\r\n" * 20000),
}


@pytest.fixture(scope="module")
def account(server):
    a = server.add_account()
    for data in MESSAGES.values():
        deliver(server, a.name, data)
    return a


@pytest.fixture
def get(api):
    """get(name, property..., argument=...): that message's Email."""
    ids = dict(zip(MESSAGES, sorted(api.emails(), key=lambda i: (len(i), i))))
    assert len(ids) == len(MESSAGES)

    def one(name, *properties, **args):
        if properties:
            args["properties"] = list(properties)
        (e,) = api.call("Email/get", {"ids": [ids[name]], **args})["list"]
        assert e["id"] == ids[name]
        return e

    one.ids = ids
    return one


def refused(api, **args):
    got = api.error("Email/get", {"ids": [], **args})
    assert got["type"] == "invalidArguments", got
    return got["description"]


# ---- metadata ----

def test_email_get_id(get):
    assert get("plain", "id") == {"id": get.ids["plain"]}


def test_email_get_blob_id(get):
    assert get("plain", "blobId")["blobId"].startswith("b")
    assert get("plain", "blobId") != get("tree", "blobId")


def test_email_get_thread_id(api, get):
    thread = get("plain", "threadId")["threadId"]
    (t,) = api.call("Thread/get", {"ids": [thread]})["list"]
    assert get.ids["plain"] in t["emailIds"]


def test_email_get_mailbox_ids(api, get):
    assert get("plain", "mailboxIds")["mailboxIds"] == {
        api.mailboxes()["inbox"]: True}


def test_email_get_keywords(get):
    assert get("plain", "keywords")["keywords"] == {}


def test_email_get_size(get):
    # One Return-Path and one Received were put on top.
    assert get("plain", "size")["size"] > len(MESSAGES["plain"])


def test_email_get_received_at(get):
    at = get("plain", "receivedAt")["receivedAt"]
    assert len(at) == 20 and at.endswith("Z")


# ---- properties of single fields ----

@pytest.mark.parametrize("name, value", [
    ("messageId", ["fields@example.net"]),
    ("inReplyTo", ["a@x", "b@x"]),
    ("references", ["r1@x", "r2@x"]),
    ("sender", [{"name": "Jörg", "email": "joerg@example.net"}]),
    ("from", [{"name": 'B"ob, the =?utf-8?q?x?=',
               "email": "bob@example.net"}]),
    ("to", [{"name": "James Smythe", "email": "james@example.com"},
            {"name": None, "email": "jane@example.com"},
            {"name": "John Smîth", "email": "john@example.com"}]),
    ("cc", [{"name": "Carol", "email": "carol@example.net"},
            {"name": None, "email": "dave@example.net"}]),
    ("bcc", [{"name": None, "email": "eve@example.net"}]),
    ("replyTo", [{"name": "the list", "email": "lists@example.net"}]),
    ("subject", "Grüße and more"),  # the last one
    ("sentAt", "2026-11-24T07:00:00+01:00"),
])
def test_email_get_property(get, name, value):
    assert get("fields", name)[name] == value


@pytest.mark.parametrize("name", [
    "messageId", "inReplyTo", "references", "sender", "from", "to", "cc",
    "bcc", "replyTo", "subject", "sentAt"])
def test_email_get_property_without_its_field_is_null(get, name):
    assert get("quiet", name)[name] is None


def test_email_get_headers_are_raw_and_in_order(get):
    got = [(h["name"], h["value"]) for h in get("fields", "headers")["headers"]]
    while got[0][0] in ("Return-Path", "Received"):
        del got[0]
    want = []
    for line in FIELDS.decode("latin-1").split("\r\n\r\n")[0].split("\r\n"):
        if line.startswith(" "):
            want[-1] = (want[-1][0], want[-1][1] + "\r\n" + line)
        else:
            name, value = line.split(":", 1)
            want.append((name, value.replace("\xff", "\ufffd")
                         .replace("\0", "")))
    assert got == want


def test_email_get_headers_of_a_message_without_any(get):
    names = {h["name"] for h in get("quiet", "headers")["headers"]}
    assert names <= {"Return-Path", "Received"}


# ---- header:{name} ----

ADDRESS = [{"name": "Joe", "email": "joe@example.net"}]


@pytest.mark.parametrize("name, value", [
    ("header:Subject", " =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n and more"),
    ("header:Subject:asRaw", " =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n and more"),
    ("header:Subject:asText", "Grüße and more"),
    ("header:Comments:asText", "twö"),
    ("header:Keywords:asText", "k1, k2"),
    ("header:List-Id:asText", "A list <list.example.net>"),
    ("header:X-Text:asText", "été"),
    ("header:X-Bytes", " a\ufffdb"),
    ("header:X-Addr:asAddresses", ADDRESS),
    ("header:X-Addr:asGroupedAddresses", [{"name": None,
                                           "addresses": ADDRESS}]),
    ("header:To:asGroupedAddresses", [
        {"name": None, "addresses": [
            {"name": "James Smythe", "email": "james@example.com"}]},
        {"name": "Friends", "addresses": [
            {"name": None, "email": "jane@example.com"},
            {"name": "John Smîth", "email": "john@example.com"}]}]),
    ("header:Message-ID:asMessageIds", ["fields@example.net"]),
    ("header:In-Reply-To:asMessageIds", ["a@x", "b@x"]),
    ("header:References:asMessageIds", ["r1@x", "r2@x"]),
    ("header:Resent-Message-ID:asMessageIds", ["resent@example.net"]),
    ("header:X-Ids:asMessageIds", ["id1@x", "id2@x"]),
    ("header:X-Text:asMessageIds", None),
    ("header:Date:asDate", "2026-11-24T07:00:00+01:00"),
    ("header:Resent-Date:asDate", "2026-11-23T06:00:00Z"),
    ("header:X-Date:asDate", "2026-11-24T06:00:00-03:30"),
    ("header:X-Text:asDate", None),
    ("header:List-Help:asURLs", ["mailto:help@example.net"]),
    ("header:List-Unsubscribe:asURLs", ["https://example.net/u",
                                        "mailto:u@example.net"]),
    ("header:List-Subscribe:asURLs", ["mailto:s@example.net"]),
    ("header:List-Post:asURLs", None),
    ("header:List-Owner:asURLs", ["mailto:o@example.net"]),
    ("header:List-Archive:asURLs", ["https://example.net/archive"]),
    ("header:X-Urls:asURLs", ["https://example.net/x"]),
    ("header:X-None", None),
    ("header:X-None:asText", None),
    ("header:X-None:asAddresses", None),
    ("header:X-None:all", []),
    ("header:X-None:asDate:all", []),
    ("header:Comments:all", [" one", " =?utf-8?q?tw=C3=B6?="]),
    ("header:Comments:asText:all", ["one", "twö"]),
    ("header:Subject:asRaw:all", [" first", " =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
                                  " and more"]),
    ("header:Resent-To:asAddresses:all", [
        [{"name": None, "email": "one@example.net"}],
        [{"name": "Two", "email": "two@example.net"}]]),
    ("header:Resent-To:asGroupedAddresses:all", [
        [{"name": None, "addresses": [
            {"name": None, "email": "one@example.net"}]}],
        [{"name": None, "addresses": [
            {"name": "Two", "email": "two@example.net"}]}]]),
    ("header:X-Ids:asMessageIds:all", [["id1@x", "id2@x"]]),
    ("header:X-Date:asDate:all", ["2026-11-24T06:00:00-03:30"]),
    ("header:X-Text:asURLs:all", [None]),
])
def test_email_get_header(get, name, value):
    assert get("fields", name) == {"id": get.ids["fields"], name: value}


@pytest.mark.parametrize("field", [
    "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Resent-From",
    "Resent-Sender", "Resent-Reply-To", "Resent-To", "Resent-Cc",
    "Resent-Bcc"])
def test_email_get_header_as_addresses(get, field):
    name = f"header:{field}:asAddresses"
    (*_, last) = get("fields", name)[name]
    assert "@example." in last["email"]


def test_email_get_header_keeps_the_capitals_of_the_request(get):
    names = ["header:sUBJECT:asText", "header:subject:asText",
             "header:Subject:asText"]
    got = get("fields", *names)
    assert {n: got[n] for n in names} == dict.fromkeys(names, "Grüße and more")


def test_email_get_headers_of_a_message_that_is_a_file(get):
    got = get("big", "headers", "header:X-Big:all", "header:Subject:asText",
              "header:X-None")
    assert [h["name"] for h in got["headers"]][-6:] == [
        "From", "Subject", "MIME-Version", "Date", "X-Big", "X-Big"]
    assert got["header:X-Big:all"] == [" 1", " 2"]
    assert got["header:Subject:asText"] == "big"
    assert got["header:X-None"] is None
    got = get("large", "header:X-Large:asText", "header:Subject")
    assert got["header:X-Large:asText"] == "x" * 900
    assert got["header:Subject"] == " large"


def test_email_get_header_named_twice_comes_once(get):
    assert get("fields", "header:Cc", "header:Cc")["header:Cc"]


def test_email_get_header_beside_other_properties(get):
    got = get("fields", "subject", "header:Keywords", "textBody", "headers")
    assert set(got) == {"id", "subject", "header:Keywords", "textBody",
                        "headers"}


FORMS = ("Text", "Addresses", "GroupedAddresses", "MessageIds", "Date", "URLs")
ALLOWED = {"Text": ("Subject", "Comments", "Keywords"),
           "Addresses": ("From", "Sender", "Reply-To", "To", "Cc", "Bcc",
                         "Resent-From", "Resent-Sender", "Resent-Reply-To",
                         "Resent-To", "Resent-Cc", "Resent-Bcc"),
           "MessageIds": ("Message-ID", "In-Reply-To", "References",
                          "Resent-Message-ID"),
           "Date": ("Date", "Resent-Date"),
           "URLs": ("List-Help", "List-Unsubscribe", "List-Subscribe",
                    "List-Post", "List-Owner", "List-Archive")}
ALLOWED["GroupedAddresses"] = ALLOWED["Addresses"]
DEFINED = sorted({f for fields in ALLOWED.values() for f in fields}
                 | {"Return-Path", "Received"})


@pytest.mark.parametrize("form", FORMS)
def test_email_get_header_form_on_the_fields_that_may_have_it(api, form):
    for field in DEFINED + ["List-Id", "X-Any", "Content-Type"]:
        args = {"ids": [], "properties": [f"header:{field.lower()}:as{form}"]}
        if field in DEFINED and field not in ALLOWED[form]:
            assert api.error("Email/get", args)["type"] == "invalidArguments"
        else:
            api.call("Email/get", args)


@pytest.mark.parametrize("name", [
    "header:", "header::asText", "header:X Y", "header:X\u00e4", "header:X:",
    "header:X:astext", "header:X:asNothing", "header:X:as", "header:X:all:all",
    "header:X:all:asText", "header:X:asText:asText", "header:X:asText:",
    "header:X:asText:ALL", "header:X:asText:all:", "Header:X", "header",
    "subject:asText", "header:From:asDate"])
def test_email_get_header_that_is_none(api, name):
    assert refused(api, properties=[name])
    assert refused(api, bodyProperties=[name])


def test_email_get_more_header_properties_than_we_take(api):
    names = [f"header:X-{i}" for i in range(65)]
    api.call("Email/get", {"ids": [], "properties": names[1:],
                           "bodyProperties": names[1:]})
    assert "too many" in refused(api, properties=names)
    assert "too many" in refused(api, bodyProperties=names)


# ---- bodies ----

def leaves(p):
    return sum(map(leaves, p["subParts"]), []) if p["subParts"] else [p]


def cids(parts):
    return "".join(p["cid"] for p in parts)


def test_email_get_body_structure(get):
    def shape(p):
        if p["subParts"] is None:
            return p["cid"]
        assert p["partId"] is None and p["blobId"] is None
        assert p["type"].startswith("multipart/") and p["size"] > 0
        return [p["type"][10:]] + [shape(s) for s in p["subParts"]]

    root = get("tree", "bodyStructure")["bodyStructure"]
    assert shape(root) == [
        "mixed", "A", ["mixed", [
            "alternative", ["mixed", "B", "C", "D"], ["related", "E", "F"]],
            "G", "H", "J"], "K"]
    parts = leaves(root)
    assert len({p["partId"] for p in parts}) == len(parts)
    assert all(p["blobId"] for p in parts)


def test_email_get_body_structure_of_a_single_part(get):
    root = get("plain", "bodyStructure")["bodyStructure"]
    assert root["partId"] and root["type"] == "text/plain"
    assert root["subParts"] is None


def test_email_get_body_structure_of_an_empty_multipart(get):
    root = get("empty", "bodyStructure")["bodyStructure"]
    assert (root["type"], root["subParts"]) == ("multipart/mixed", [])
    assert root["partId"] is None


def test_email_get_body_structure_sixty_deep(get):
    root = get("deep", "bodyStructure", bodyProperties=["cid", "subParts"])
    p = root["bodyStructure"]
    for _ in range(60):
        assert p["cid"] is None
        (p,) = p["subParts"]
    assert p == {"cid": "deep", "subParts": None}


def test_email_get_body_structure_with_just_these_properties(get):
    got = get("tree", "bodyStructure", bodyProperties=["type"])
    assert got["bodyStructure"] == {"type": "multipart/mixed"}


def test_email_get_body_lists_of_the_rfc(get):
    got = get("tree", "textBody", "htmlBody", "attachments", "hasAttachment")
    assert cids(got["textBody"]) == "ABCDK"
    assert cids(got["htmlBody"]) == "AEK"
    assert cids(got["attachments"]) == "CFGHJ"
    assert got["hasAttachment"] is True


def test_email_get_text_body(get):
    assert cids(get("alternative", "textBody")["textBody"]) == "T"
    assert cids(get("inline", "textBody")["textBody"]) == "H"  # nothing else


def test_email_get_html_body(get):
    assert cids(get("alternative", "htmlBody")["htmlBody"]) == "H"
    (p,) = get("plain", "htmlBody")["htmlBody"]
    assert p["type"] == "text/plain"


def test_email_get_attachments(get):
    assert get("plain", "attachments")["attachments"] == []
    assert cids(get("inline", "attachments")["attachments"]) == "I"


@pytest.mark.parametrize("name, value", [
    ("plain", False), ("tree", True), ("inline", False), ("parts", True),
    ("image", False)])
def test_email_get_has_attachment(get, name, value):
    assert get(name, "hasAttachment")["hasAttachment"] is value


def test_email_get_preview(get):
    assert get("fields", "preview")["preview"] == "Hello there."
    assert get("quiet", "preview")["preview"] == "no header"


# ---- EmailBodyPart ----

def pdf(get, *properties):
    got = get("parts", "bodyStructure",
              bodyProperties=[*properties, "subParts"])
    return got["bodyStructure"]["subParts"][1]


@pytest.mark.parametrize("name, value", [
    ("partId", "2"), ("size", 5), ("name", "ä.pdf"),
    ("type", "application/pdf"), ("charset", None),
    ("disposition", "attachment"), ("cid", "pdf"),
    ("language", ["de", "en-GB"]), ("location", "https://example.net/a.pdf"),
    ("header:X-Part", " two"), ("header:x-part:asText:all", ["one", "two"]),
    ("header:Subject", None), ("header:X-None:all", []),
    ("header:Content-Type:asText", 'application/pdf; name="old.pdf"'),
])
def test_email_get_body_property(get, name, value):
    assert pdf(get, name) == {name: value, "subParts": None}


def test_email_get_body_property_blob_id(get):
    assert pdf(get, "blobId")["blobId"].startswith("p")


def test_email_get_body_property_headers(get):
    got = pdf(get, "headers")["headers"]
    assert [h["name"] for h in got] == [
        "Content-Type", "Content-Id", "Content-Transfer-Encoding",
        "Content-Language", "Content-Location", "X-Part", "X-Part",
        "Content-Disposition"]
    assert got[4]["value"] == " https://example.net/\r\n a.pdf"


def test_email_get_body_property_headers_of_the_root(get):
    got = get("plain", "bodyStructure", "headers", bodyProperties=["headers"])
    assert got["bodyStructure"]["headers"] == got["headers"]


def test_email_get_body_property_charset(get):
    root = get("parts", "bodyStructure")["bodyStructure"]
    assert [p["charset"] for p in root["subParts"]] == [
        "iso-8859-1", None, "no-such-charset", "utf-8", "us-ascii"]


def test_email_get_body_properties_of_the_lists(get):
    got = get("parts", "textBody", "attachments",
              bodyProperties=["cid", "header:X-Part", "subParts"])
    assert got["textBody"] == [
        {"cid": "latin", "header:X-Part": None, "subParts": None}]
    assert got["attachments"][0]["header:X-Part"] == " two"


def test_email_get_body_properties_by_default(get):
    (p,) = get("plain", "textBody")["textBody"]
    assert set(p) == {"partId", "blobId", "size", "name", "type", "charset",
                      "disposition", "cid", "language", "location"}


def test_email_get_no_body_properties(get):
    assert get("plain", "textBody", bodyProperties=[])["textBody"] == [{}]


@pytest.mark.parametrize("value", [["nope"], [1], "type", {"type": True},
                                   ["subject"], [None]])
def test_email_get_body_properties_that_are_none(api, value):
    assert refused(api, bodyProperties=value)


# ---- bodyValues ----

def values(got):
    return {k: v["value"] for k, v in got["bodyValues"].items()}


def test_email_get_body_values_of_nothing(get):
    assert get("tree", "bodyValues")["bodyValues"] == {}


def test_email_get_fetch_text_body_values(get):
    got = get("tree", "bodyValues", "textBody", fetchTextBodyValues=True)
    assert sorted(values(got).values()) == [
        "this is A", "this is B", "this is D", "this is K"]
    assert set(got["bodyValues"]) <= {p["partId"] for p in got["textBody"]}


def test_email_get_fetch_html_body_values(get):
    got = get("tree", "bodyValues", fetchHTMLBodyValues=True)
    assert sorted(values(got).values()) == [
        "this is A", "this is E", "this is K"]


def test_email_get_fetch_all_body_values(get):
    got = get("tree", "bodyValues", fetchAllBodyValues=True)
    assert sorted(values(got).values()) == [
        f"this is {c}" for c in "ABDEK"]


def test_email_get_fetched_values_need_the_property(get):
    assert set(get("plain", "textBody", fetchAllBodyValues=True)) == {
        "id", "textBody"}


def test_email_get_body_value_is_decoded(get):
    got = get("parts", "bodyValues", fetchTextBodyValues=True)
    assert got["bodyValues"] == {"1": {"value": "Grüße, Alice\nBye",
                                       "isEncodingProblem": False,
                                       "isTruncated": False}}


def test_email_get_is_encoding_problem(get):
    got = get("parts", "bodyValues", fetchAllBodyValues=True)["bodyValues"]
    assert {k: v["isEncodingProblem"] for k, v in got.items()} == {
        "1": False, "3": True, "4": False, "5": True}
    assert got["3"]["value"] == got["5"]["value"] == "abc"


@pytest.mark.parametrize("most, value", [
    (0, "Grüße, Alice\nBye"), (18, "Grüße, Alice\nBye"),
    (17, "Grüße, Alice\nBy"), (4, "Grü"), (3, "Gr"), (1, "G")])
def test_email_get_max_body_value_bytes(get, most, value):
    got = get("parts", "bodyValues", fetchTextBodyValues=True,
              maxBodyValueBytes=most)["bodyValues"]["1"]
    assert got["value"] == value
    assert got["isTruncated"] is not value.endswith("Bye")


def test_email_get_max_body_value_bytes_cuts_no_tag(get):
    whole = '<p>Hi <a href="https://example.net/long">there</a></p>'
    for most in range(1, 55):
        got = get("parts", "bodyValues", fetchAllBodyValues=True,
                  maxBodyValueBytes=most)["bodyValues"]["4"]
        assert whole.startswith(got["value"]) and len(got["value"]) <= most
        assert got["value"].count("<") == got["value"].count(">")
        assert got["isTruncated"] is (got["value"] != whole)


@pytest.mark.parametrize("args", [
    {"fetchTextBodyValues": "yes"}, {"fetchHTMLBodyValues": 1},
    {"fetchAllBodyValues": None}, {"maxBodyValueBytes": -1},
    {"maxBodyValueBytes": "1"}, {"maxBodyValueBytes": 1.5},
    {"properties": ["nope"]}, {"properties": [1]}, {"properties": "id"},
    {"fetchNothing": True}])
def test_email_get_arguments_that_are_none(api, args):
    assert refused(api, **args)


# ---- defaults and limits ----

def test_email_get_default_properties(get):
    assert set(get("plain")) == {
        "id", "blobId", "threadId", "mailboxIds", "keywords", "size",
        "receivedAt", "messageId", "inReplyTo", "references", "sender",
        "from", "to", "cc", "bcc", "replyTo", "subject", "sentAt",
        "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody",
        "attachments"}
    assert set(get("plain", properties=None)) == set(get("plain"))


def test_email_get_no_properties(get):
    assert get("plain", properties=[]) == {"id": get.ids["plain"]}


def test_email_get_more_than_max_objects(api, get):
    ids = list(get.ids.values())
    got = api.call("Email/get", {"ids": ids, "properties": ["id"]})
    assert len(got["list"]) == len(ids)
    got = api.error("Email/get", {"ids": [f"e{i}" for i in range(41)]})
    assert got["type"] == "requestTooLarge"


@pytest.mark.parametrize("args", [
    {"properties": ["headers"]}, {"properties": ["header:X-Large:all"]},
    {"properties": ["header:X-Large:asText:all"]},
    {"properties": ["bodyStructure"], "bodyProperties": ["headers"]},
    {"properties": ["textBody"], "bodyProperties": ["header:x-large:all"]}])
def test_email_get_more_than_max_size_response(api, get, args):
    got = api.error("Email/get", {"ids": [get.ids["large"]], **args})
    assert got["type"] == "requestTooLarge"
    assert get("large", "header:X-Large")["header:X-Large"] == " " + "x" * 900


def test_email_get_a_property_of_all_by_reference(api, get):
    """Deeper answers than a request may be can be referred to."""
    (_, _, _), (name, got, _) = api.calls(
        ["Email/get", {"accountId": api.account_id, "ids": [get.ids["deep"]],
                       "properties": ["bodyStructure", "threadId"]}, "a"],
        ["Thread/get", {"accountId": api.account_id, "#ids": {
            "resultOf": "a", "name": "Email/get",
            "path": "/list/*/threadId"}}, "b"])
    assert name == "Thread/get" and len(got["list"]) == 1
