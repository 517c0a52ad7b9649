"""A network of our own, in which a line can be narrow. It is gone with the last
process in it, whatever happens."""

import contextlib
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000  # <sched.h>


class Refused(Exception):
    """Why it cannot be had."""


@contextlib.contextmanager
def namespace():
    """This process, and what it starts, see a loopback of their own."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNET) < 0:
            raise Refused("unshare: " + os.strerror(ctypes.get_errno()))
        try:
            run("ip", "link", "set", "lo", "up", "mtu", "1500")
            yield
        finally:
            if libc.setns(home, CLONE_NEWNET) < 0:
                raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(home)


def shape(port, rate):
    """What leaves that TCP port does so at that rate, all else at once."""
    qdisc, klass = ("tc", "qdisc", "add", "dev", "lo"), \
        ("tc", "class", "add", "dev", "lo", "parent", "1:")
    fast = ("htb", "rate", "100gbit", "quantum", "60000")
    run(*qdisc, "root", "handle", "1:", "htb", "default", "10")
    run(*klass, "classid", "1:10", *fast)
    run(*klass, "classid", "1:20", *fast)
    run(*qdisc, "parent", "1:20", "handle", "20:", "tbf", "rate", rate,
        "burst", "16kb", "latency", "50ms")
    run("tc", "filter", "add", "dev", "lo", "parent", "1:", "protocol", "ip",
        "prio", "1", "u32", "match", "ip", "sport", str(port), "0xffff",
        "flowid", "1:20")


def run(*args):
    try:
        p = subprocess.run(args, capture_output=True, text=True, check=False)
    except FileNotFoundError as e:
        raise Refused(f"no {args[0]}") from e
    if p.returncode:
        raise Refused(f"{' '.join(args[:3])}: {p.stderr.strip()}")
