"""Requests over each carrier, and what a download does to a push beside it."""

import os
import re
import statistics
import subprocess
import tempfile

from blob import Blobs, noise
from measure import cpu_us, least, most, part, request
from network import Refused, shape

SMALL = request([["Core/echo", {"hello": True}, "0"]])
# 2 KB: what is smaller is not compressed.
WORDY = request([["Core/echo", {"words": [
    f"{i} letters about the harbour in winter" for i in range(45)]}, "0"]])
LOADS = (("plain", "", SMALL), ("tls", "", SMALL), ("h2c", "", SMALL),
         ("h2", "", SMALL), ("plain", " of 2 KB", WORDY),
         ("plain+deflate", " of 2 KB", WORDY),
         ("h2+deflate", " of 2 KB", WORDY))


# ---- WebSocket ----

@part("echo")
def echo(b):
    cost(b, "plain", "", SMALL, None, most(8))
    latency(b, "plain", None, least(1 / 2.2))


@part("echo_carriers")
def echo_carriers(b):
    plain = {}
    for carrier, size, message in LOADS:
        got = cost(b, carrier, size, message, plain.get(size))
        plain.setdefault(size, got)
    plain = None
    for carrier in ("plain", "tls", "h2c", "h2"):
        plain = latency(b, carrier, plain) if not plain else \
            latency(b, carrier, plain) and plain


def cost(b, carrier, size, message, plain, aim=None):
    """64 connections with 16 in flight; the floor is the same carrier's."""
    load = (message, 64, 16, 50000, carrier)
    bare = b.rpc("/jmap/ws-echo", "", *load)
    got = b.rpc("/jmap/ws", b.auth(), *load)
    assert got["deflated"] == ("deflate" in carrier), got
    b.report.line(f"Core/echo{size} over {carrier}, 64 x 16 in flight, CPU",
                  got["cpu_us"], "us", bare["cpu0_us"], plain=plain, aim=aim)
    return got["cpu_us"]


def latency(b, carrier, plain, aim=None):
    bare, got = [], []
    for _ in range(3):
        load = (SMALL, 1, 1, 5000, carrier)
        bare.append(b.rpc("/jmap/ws-echo", "", *load))
        got.append(b.rpc("/jmap/ws", b.auth(), *load))
    now = {}
    for p in ("p50", "p99"):
        name = f"latency_{p}_us"
        now[p] = statistics.median(g[name] for g in got)
        b.report.line(f"Core/echo over {carrier}, one in flight, {p}", now[p],
                      "us", statistics.median(g[name] for g in bare),
                      plain=plain and plain[p],
                      aim=aim if p == "p50" else None)
    return now


# ---- HTTP ----

@part("api")
def api(b):
    """h2load (nghttp2-client); its floor asks /healthz, which the worker answers
    alone."""
    plain = None
    with tempfile.NamedTemporaryFile("w", encoding="ascii") as body:
        body.write(request([["Core/echo", {"hello": True}, "0"]]))
        body.flush()
        for carrier in ("plain", "tls", "h2c", "h2"):
            floor = h2load(b, carrier, "/healthz")
            figure = h2load(b, carrier, "/jmap/api", "-d", body.name,
                            "-H", "authorization: " + b.auth(),
                            "-H", "content-type: application/json")
            b.report.line(f"API requests over {carrier}, worker and store",
                          figure, "/CPU-s", floor, more=True, plain=plain)
            plain = plain or figure


def h2load(b, carrier, path, *args):
    """Requests for a second of CPU."""
    count, got = 20000, []
    scheme, port = ("https", b.server.https) if carrier in ("tls", "h2") \
        else ("http", b.server.http)
    version = ["--h1"] if carrier in ("plain", "tls") else []
    for _ in range(3):
        before = cpu_us(b.worker, b.store)
        p = subprocess.run(
            ["h2load", "-n", str(count), "-c", "4", "-m", "16", *version,
             *args, f"{scheme}://127.0.0.1:{port}{path}"],
            capture_output=True, text=True, timeout=300, check=True)
        got.append(count / (cpu_us(b.worker, b.store) - before) * 1e6)
        if not re.search(rf"status codes: {count} 2xx", p.stdout):
            raise SystemExit("bench: h2load: " + p.stdout)
    return statistics.median(got)


# ---- a download beside ----

@part("download", memory=True)
def download(b):
    beside(b, ("h2c", "h2"), 100, 5, 5000)


@part("narrow", memory=True, in_namespace=True)
def through_10_mbit(b):
    """As download, but what the server says leaves at 10 Mbit/s."""
    try:
        shape(b.server.https, "10mbit")
    except Refused as why:
        b.report.skip("push through 10 Mbit/s", why)
        return
    beside(b, ("h2",), 20, 50, None, ", 10 Mbit/s")


def beside(b, carriers, rounds, quiet_ms, within_us, where=""):
    """Push latency on a connection that downloads 50 MB again and again."""
    flags = b.flag_changes()
    with Blobs(b.server, flags[0]) as blobs:
        path = blobs.path(blobs.upload(noise(50000000)))
    for carrier in carriers:
        runs = {"-": [], path: []}
        for _ in range(3):
            for what, got in runs.items():
                got.append(b.pushed(1, rounds, quiet_ms, carrier, flags, what))
        mid = {what: {k: statistics.median(g[k] for g in got) for k in got[0]}
               for what, got in runs.items()}
        for p in ("p50", "p99"):
            name = f"sent_to_push_{p}_us"
            quiet = mid["-"][name]
            b.report.line(
                f"push beside 50 MB over {carrier}{where}, floor: quiet, {p}",
                mid[path][name], "us", quiet,
                aim=most(quiet + within_us)
                if within_us and p == "p99" else None)
        b.report.line(f"that download over {carrier}{where}",
                      mid[path]["download_mb_s"], "MB/s")
