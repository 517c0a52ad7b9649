"""A plain model of one account's mail, which counts by counting: what an Email, a
thread and a Mailbox are after each operation, as RFC 8621 says it. It knows messages
by their Message-ID; ids of Emails are the server's, and compared by the test."""

COUNTS = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")


class Message:
    def __init__(self, own, refs, subject, boxes, keywords, word, sender):
        self.own = own  # Message-ID without <>
        self.refs = refs
        self.subject = subject  # the base subject
        self.boxes = set(boxes)  # ids
        self.keywords = set(keywords)
        self.word = word  # in its text, and in no other part of it
        self.sender = sender
        self.thread = None

    def keys(self):
        return {(i, self.subject) for i in (self.own, *self.refs)}

    def unread(self):
        return not self.keywords & {"$seen", "$draft"}


class Thread:
    """One thread: the very object tells it from others."""


class Model:
    def __init__(self, boxes):
        self.messages = {}  # by Message-ID
        self.boxes = boxes  # by id: name, parentId, role, sortOrder, ...

    # ---- operations ----

    def add(self, message):
        """RFC 8621 3: all threads that share an id and the subject are one."""
        tied = {m.thread for m in self.messages.values()
                if m.keys() & message.keys()}
        thread = tied.pop() if len(tied) == 1 else Thread()
        for m in self.messages.values():
            if m.thread in tied:
                m.thread = thread
        message.thread = thread
        self.messages[message.own] = message

    def destroy_box(self, box):
        del self.boxes[box]
        for m in list(self.messages.values()):
            m.boxes.discard(box)
            if not m.boxes:
                del self.messages[m.own]

    # ---- what it says ----

    def threads(self):
        """Sets of Message-IDs."""
        of = {}
        for m in self.messages.values():
            of.setdefault(m.thread, set()).add(m.own)
        return of

    def box_with(self, role):
        return next((i for i, b in self.boxes.items() if b["role"] == role),
                    None)

    def counts(self, box):
        """RFC 8621 2, unreadThreads word by word."""
        trash = self.box_with("trash")
        here = [m for m in self.messages.values() if box in m.boxes]
        seen_as_unread = {
            m.thread for m in self.messages.values() if m.unread() and (
                trash in m.boxes if box == trash else m.boxes != {trash})}
        threads = {m.thread for m in here}
        return dict(zip(COUNTS, (
            len(here), sum(m.unread() for m in here), len(threads),
            len(threads & seen_as_unread))))

    def children(self, box):
        return [i for i, b in self.boxes.items() if b["parentId"] == box]

    def below(self, box):
        found = [box]
        for one in found:
            found += self.children(one)
        return set(found)

    def depth(self, box):
        n = 0
        while box:
            n, box = n + 1, self.boxes[box]["parentId"]
        return n

    def height(self, box):
        return 1 + max((self.height(c) for c in self.children(box)),
                       default=0)


# ---- which messages a filter of Email/query means ----

def matches(model, m, f):
    """Filters that the property test asks; m: a Message."""
    if "operator" in f:
        each = [matches(model, m, c) for c in f["conditions"]]
        return {"AND": all(each), "OR": any(each),
                "NOT": not any(each)}[f["operator"]]
    return all(CONDITIONS[name](model, m, v) for name, v in f.items())


def fellows(model, m):
    return [o for o in model.messages.values() if o.thread is m.thread]


CONDITIONS = {
    "inMailbox": lambda model, m, v: v in m.boxes,
    "inMailboxOtherThan": lambda model, m, v: bool(m.boxes - set(v)),
    "hasKeyword": lambda model, m, v: v in m.keywords,
    "notKeyword": lambda model, m, v: v not in m.keywords,
    "allInThreadHaveKeyword": lambda model, m, v: all(
        v in o.keywords for o in fellows(model, m)),
    "someInThreadHaveKeyword": lambda model, m, v: any(
        v in o.keywords for o in fellows(model, m)),
    "noneInThreadHaveKeyword": lambda model, m, v: not any(
        v in o.keywords for o in fellows(model, m)),
    "text": lambda model, m, v: v in (m.word, m.subject, m.sender),
    "body": lambda model, m, v: v == m.word,
    "subject": lambda model, m, v: v == m.subject,
    "from": lambda model, m, v: v == m.sender,
    "header": lambda model, m, v: v[0] == "X-Word" and v[1:] in (
        [], [m.word]),
}
