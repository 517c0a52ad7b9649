"""What the kernel says of a process: memory and descriptors."""

import os
import re
from collections import Counter


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


def descriptors(pid, *ports):
    """By kind, without the connections of clients that are there."""
    clients = established(*ports)
    kinds = Counter()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            to = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if to.startswith("socket:["):
            if to[8:-1] in clients:
                continue
            to = "socket"
        kinds[re.sub(r"[0-9]+", "n", to)] += 1
    return kinds
