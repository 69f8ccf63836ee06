"""`python -m tests.benchmarks.relay --to http://127.0.0.1:PORT`: relay until standard input ends; see `serving` for commands."""

import argparse
import urllib.parse
from contextlib import suppress

from tests.benchmarks.relay.serving import serve


def main() -> None:
    """Serve as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.relay", description="A far and narrow line in front of S3.")
    parser.add_argument("--to", required=True, help="where S3 is: http://127.0.0.1:4566")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on; a free one where none is given")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="milliseconds of a round trip")
    parser.add_argument("--rate-mbit", type=float, default=0.0, help="million bits per second in each direction; 0 for no limit")
    parser.add_argument("--lose-every", type=int, default=0, help="lose one of so many requests; 0 for none")
    parser.add_argument("--seed", type=int, default=0, help="which of them are lost")
    arguments = parser.parse_args()
    target = urllib.parse.urlsplit(arguments.to)
    with suppress(KeyboardInterrupt):
        serve(
            arguments.port,
            (target.hostname or "127.0.0.1", target.port or 80),
            {"line": {"delay": arguments.delay_ms / 1e3, "rate": arguments.rate_mbit * 1e6}},
            {"lose": {"every": arguments.lose_every, "seed": arguments.seed}},
        )


if __name__ == "__main__":
    main()
