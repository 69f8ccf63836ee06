"""`python -m tests.benchmarks [engine|uploads|reading]`: measure, print the tables, and write them to `docs/`."""

import argparse
import sys
import tempfile
from pathlib import Path

from stacks.environment import isolate_this_process
from tests.benchmarks import engine, reading, uploads
from tests.benchmarks.peer import Peer, PeerMissing

AREAS = ("engine", "uploads", "reading")


def main() -> int:
    """Run the benchmarks named, or all, each in a folder that is removed afterwards. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("areas", nargs="*", metavar="|".join(AREAS), help="what to measure; everything by default")
    parser.add_argument("--rounds", type=int, default=uploads.ROUNDS, help="turns of each side of an upload (%(default)s)")
    parser.add_argument("--only", nargs="*", default=[], choices=uploads.PARTS, help="parts of uploads; writes nothing")
    arguments = parser.parse_args()
    try:
        # Before the network is out of reach.
        peer = Peer.installed()
    except PeerMissing as error:
        print(error, file=sys.stderr)
        return 1
    isolate_this_process()
    for area in arguments.areas or AREAS:
        with tempfile.TemporaryDirectory(prefix="cohort-bench-") as folder:
            if area == "engine":
                engine.main(Path(folder) / "var")
            elif area == "reading":
                reading.main(Path(folder))
            else:
                uploads.main(Path(folder), peer, arguments.rounds, arguments.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
