"""Push: one change and many that hear of it, many accounts, and how soon."""

import os
import signal

from measure import Crowd, cpu_us, least, most, part, resident, tool

CARRIERS = ("plain", "tls", "h2c", "h2")


def fan_floor(connections, frame_bytes, rounds):
    return tool("floor", "fanout", connections, int(frame_bytes),
                rounds)["frames_per_cpu_s"]


@part("push", memory=True)
def push(b):
    """One submission for many sockets, where the kernel lets us."""
    fan_out(b, "as it comes", least(1))


@part("push_write", memory=True, io_uring=False)
def push_write(b):
    """A write(2) for each, as the floor does."""
    fan_out(b, "without io_uring", least(0.9))


def fan_out(b, how, aim):
    rounds = max(4, 20000 // b.n)
    got = b.pushed(b.n, rounds, 0)
    floor = fan_floor(b.n, got["frame_bytes"], rounds)
    b.report.line(f"push, {b.n} watchers, {how}", 1e6 / got["cpu0_us"],
                  "frames/s", floor, more=True, aim=aim)


@part("push_carriers", memory=True)
def push_carriers(b):
    n = min(b.n, 1000)
    flags, plain = b.flag_changes(), None
    for carrier in (*CARRIERS, "plain+deflate", "h2+deflate"):
        got = b.pushed(n, 20, 0, carrier, flags)
        floor = fan_floor(n, got["frame_bytes"], 20)
        figure = 1e6 / got["cpu0_us"]
        plain = plain or figure
        b.report.line(f"push, {n} watchers over {carrier}", figure, "frames/s",
                      floor, more=True, plain=plain)


@part("quiet", memory=True)
def quiet(b):
    got = b.pushed(1, 200, 3)
    floor = tool("floor", "hops", 2000)
    for p, aim in (("p50", least(1 / 5)), ("p99", None)):
        hop = floor[f"two_hops_{p}_us"] / 2
        name = f"commit_to_push_{p}_us"
        if name in got:
            b.report.line(f"quiet, commit to the client, floor: a hop, {p}",
                          got[name], "us", hop, aim=aim)
        else:
            b.report.skip("quiet, commit to the client",
                          "the worker's memory may not be read")
        b.report.line(f"quiet, flag change sent to push, no disk, {p}",
                      got[f"sent_to_push_{p}_us"], "us", hop)


# ---- many accounts, one watcher each ----

COUNTS = (10, 1000, 9000, 10000)
CHANGES = 1000
BURST = 250


@part("accounts", memory=True)
def accounts(b):
    """Changes come by jmapctl's import, which no worker sees."""
    # Each is a connection here and there.
    counts = [n for n in COUNTS if n + 1000 < b.descriptors]
    made = b.add_accounts(max(counts))
    costs = {}
    for n in counts:
        costs[n] = of_accounts(b, n, dict(list(made.items())[:n]))
    b.report.line(f"a push with {counts[-1]} accounts against {counts[1]}",
                  costs[counts[-1]] / costs[counts[1]], "times",
                  aim=most(1.2))


def of_accounts(b, n, made):
    # Spread over all of them.
    names = list(made)[::max(1, n // CHANGES)][:CHANGES]
    burst = names[:BURST]
    floor = fan_floor(len(burst), 200, 20)
    with Crowd(b, n, list(made.values())) as crowd:
        crowd.enable()
        b.settle()
        ways = (("at once", bursts(b, crowd, names, len(burst))),
                ("as they come", told(b, crowd, (names * 100)[:CHANGES])))
    for way, (cost, pushes) in ways:
        b.report.line(f"push, {n} accounts, changes {way}",
                      1e6 * pushes / cost, "frames/s", floor, more=True,
                      aim=least(0.7) if n == 9000 else None)
    cost, pushes = ways[0][1]
    return cost / pushes


def bursts(b, crowd, names, each):
    """So many changes before the worker hears of any: it is stopped meanwhile."""
    got = []
    for i in range(CHANGES // BURST):
        at = i * each % len(names)
        os.kill(b.worker, signal.SIGSTOP)
        try:
            cost, pushes = told(b, crowd, names[at:at + each],
                                lambda: os.kill(b.worker, signal.SIGCONT))
        finally:
            os.kill(b.worker, signal.SIGCONT)
        got.append((cost / pushes, cost, pushes))
    return sorted(got)[len(got) // 2][1:]


def told(b, crowd, names, afterwards=lambda: None):
    """CPU of the worker for a change in each, and the number of pushes."""
    pushes = b.server.metric("worker", "pushes")
    before = cpu_us(b.worker)
    b.change(names)
    afterwards()
    b.settle()
    cost = cpu_us(b.worker) - before
    pushes = b.server.metric("worker", "pushes") - pushes
    crowd.wait(pushes)
    return cost, pushes


# ---- connections ----

@part("connections", memory=True)
def connections(b):
    """Ten times more connections: memory of each, and a frame to each."""
    counts = [n for n in (1000, 10000, 40000) if n + 1000 < b.descriptors]
    if counts[-1] < 40000:
        b.report.skip("40000 connections",
                      f"only {b.descriptors} descriptors a process")
    each, frame, floor = {}, {}, {}
    # What was freed is used again, so all are told from the same line.
    with Crowd(b, 50, [b.auth()]):
        b.settle()
        before = resident(b.worker)
        for n in counts:
            with Crowd(b, n, [b.auth()]):
                b.settle()
                each[n] = (resident(b.worker) - before) / n
            b.report.line(f"idle WebSocket, plain, {n} of them", each[n],
                          "bytes")
    flags = b.flag_changes()
    for n in counts:
        rounds = max(2, 10000 // n)
        got = b.pushed(n, rounds, 0, flags=flags)
        frame[n] = got["cpu0_us"]
        floor[n] = 1e6 / fan_floor(n, got["frame_bytes"], rounds)
        b.report.line(f"push, {n} connections, CPU of a frame", frame[n],
                      "us", floor[n])
    few, many = counts[0], counts[-1]
    b.report.line(f"a frame with {many} connections against {few}",
                  frame[many] / frame[few], "times",
                  floor[many] / floor[few], aim=most(1.2))
    b.report.line(f"memory of one of {many} against {few}",
                  each[many] / each[few], "times", aim=most(1.2))


@part("setup")
def setup(b):
    """Accepted, shaken hands with, logged in, a WebSocket, closed."""
    kinds = (("plain", "full", 1000), ("tls", "full", 200),
             ("tls", "resumed", 200))
    for carrier, kind, count in kinds:
        figure = 1e6 / tool("wsload", "setup", b.at(carrier), "/jmap/ws",
                            b.auth(), kind, count, b.worker)["cpu0_us"]
        floor = tool("floor", "setup", count) if carrier == "plain" else \
            tool("floor", "shake", b.server.cert, b.server.key, kind, count)
        name = "plain" if carrier == "plain" else f"TLS, {kind}"
        b.report.line(f"WebSockets set up by the worker, {name}", figure, "/s",
                      floor["per_cpu_s"], more=True, aim=least(0.8))


# ---- memory ----

def idle(b, carrier, n, floor, aim):
    # The first ones pay for what is there once.
    with Crowd(b, 50, [b.auth()], carrier):
        b.settle()
        before = resident(b.worker)
        with Crowd(b, n, [b.auth()], carrier):
            b.settle()
            figure = (resident(b.worker) - before) / n
    b.report.line(f"idle WebSocket over {carrier}, {n} of them", figure,
                  "bytes", floor, aim=most(aim) if aim else None)


@part("memory")
def memory(b):
    idle(b, "plain", b.n, None, 600)


@part("memory_tls")
def memory_tls(b):
    # OpenSSL itself, with released buffers.
    idle(b, "tls", min(b.n, 1000), 13.9 * 1024, 15 * 1024)


@part("memory_h2c")
def memory_h2c(b):
    # nghttp2 itself: 14 to 16 KB.
    idle(b, "h2c", min(b.n, 1000), 15 * 1024, 20 * 1024)


@part("memory_h2")
def memory_h2(b):
    # nghttp2 and OpenSSL.
    idle(b, "h2", min(b.n, 1000), (15 + 13.9) * 1024, None)
