"""What the kernel says of a process: memory and descriptors."""

import contextlib
import os
import re
from collections import Counter

from harness import wait_for


def status_kb(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    raise AssertionError(f"no {field}")


def memory(pid):
    """Bytes of its own: what is shared with others is counted by maps()."""
    return status_kb(pid, "RssAnon") << 10


def rss(pid):
    return status_kb(pid, "VmRSS") << 10


def shared_maps(pid):
    """How many pieces of shared memory it has mapped."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as f:
        return sum("/memfd:" in line for line in f)


def established(*ports):
    """Inodes of the server's sockets to clients that are there."""
    found = set()
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in f.readlines()[1:]:
            w = line.split()
            if int(w[1].split(":")[1], 16) in ports and w[3] == "01":
                found.add(w[9])
    return found


def links(pid):
    """What its descriptors are, as the kernel names it."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"/proc/{pid}/fd/{fd}")


def sockets(pid):
    """Inodes."""
    return {to[8:-1] for to in links(pid) if to.startswith("socket:[")}


def descriptors(pid, *ports):
    """By kind, without the connections of clients that are there."""
    clients = {f"socket:[{inode}]" for inode in established(*ports)}
    return Counter(re.sub(r"[0-9]+", "n", to.partition(":[")[0]
                          if to.startswith("socket:[") else to)
                   for to in links(pid) if to not in clients)


MORE = 1 << 20  # bytes
CACHES = 12 << 20  # the store's: SQLite's 2 MB for each of an account's handles
FILES = 64  # of databases: 4 readers and a writer of an account, 3 each


class Health:
    """What processes hold, without what clients that are there hold in them.
    growth: by pid, how many bytes more it may have later."""

    def __init__(self, server, growth):
        self.server = server
        self.growth = growth
        self.before = {pid: self.look(pid) for pid in growth}

    def look(self, pid):
        s = self.server
        held = descriptors(pid, s.http, s.https, s.lmtp)
        files = sum(held.pop(k) for k in list(held) if k.startswith("/")
                    and not k.startswith("/memfd:"))
        return held, files, shared_maps(pid), memory(pid)

    def is_back(self, pid):
        """A connection that was cut may be closed a moment later."""
        held, files, maps, _ = self.look(pid)
        was, _, maps_before, _ = self.before[pid]
        return held <= was and files <= FILES and maps <= maps_before

    def check(self):
        for pid, growth in self.growth.items():
            try:
                wait_for("all is given back", lambda p=pid: self.is_back(p))
            except AssertionError:
                raise AssertionError(
                    (self.before[pid], self.look(pid))) from None
            grown = self.look(pid)[3] - self.before[pid][3]
            assert grown < growth, f"{grown} bytes more"
