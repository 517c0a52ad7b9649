"""The figures of scripts/bench; its head says which parts there are."""

import argparse
import signal
import sys

import parts_push  # noqa: F401
import parts_carriers  # noqa: F401
import parts_mail  # noqa: F401
import parts_lmtp  # noqa: F401
from measure import PARTS, Bench, machine


def main():
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--connections", type=int, default=9000)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("parts", nargs="*", metavar="PART",
                        help=" ".join(PARTS))
    args = parser.parse_args()
    if args.connections < 1 or not set(args.parts) <= set(PARTS):
        parser.error("parts are " + " ".join(PARTS))
    # Whatever ends it, no server stays behind.
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: sys.exit(1))
    print(machine())
    bench = Bench(args)
    for part in args.parts or PARTS:
        bench.run(part)
    if args.record:
        bench.report.record()


if __name__ == "__main__":
    main()
