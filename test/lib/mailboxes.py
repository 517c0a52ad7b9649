"""Short words for what the tests of Mailbox do all the time."""

from mail import deliver, message

ROLES = ["archive", "drafts", "inbox", "junk", "sent", "trash"]
COUNTS = ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"]


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
