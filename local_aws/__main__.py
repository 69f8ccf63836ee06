"""`python -m local_aws --port N --state DIR`: the embedded AWS in the foreground, until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import os
import socket
import sys
from importlib import import_module
from pathlib import Path

from local_aws import _settings
from local_aws.parent import die_with

EXIT_PORT_IN_USE = 2


def main() -> None:
    """Read the arguments, and serve."""
    parser = argparse.ArgumentParser(prog="python -m local_aws", description="The embedded AWS, on loopback alone.")
    parser.add_argument("--port", type=int, required=True, help="The one port that it listens on.")
    parser.add_argument("--state", type=Path, required=True, help="The folder that keeps its state.")
    parser.add_argument("--pace", type=float, default=0.0, help="How many seconds CloudFormation takes over one resource.")
    parser.add_argument("--fd", type=int, help="A socket that is bound to the port already.")
    parser.add_argument("--parent", type=int, help="The process that starts this one, and that it ends with.")
    arguments = parser.parse_args()
    if arguments.parent is not None:
        die_with(arguments.parent)
    if arguments.fd is None and not _is_free(arguments.port):
        print(
            f"The embedded AWS cannot start: port {arguments.port} is in use. Stop what uses it, or set AWS_PORT to another.",
            file=sys.stderr,
        )
        sys.exit(EXIT_PORT_IN_USE)
    _settings.apply(arguments.port, arguments.state.resolve())
    asyncio.run(_serve(_bind(arguments.port, arguments.fd), arguments.pace, arguments.state.resolve()))


def _bind(port: int, descriptor: int | None) -> str:
    """Return the address to serve on, as hypercorn takes it."""
    if descriptor is None:
        return f"{_settings.HOST}:{port}"
    with socket.socket(fileno=os.dup(descriptor)) as own:
        # As hypercorn sets it on sockets of its own; connections have it from the socket that they come in at.
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return f"fd://{descriptor}"


async def _serve(bind: str, pace: float, state: Path) -> None:
    # Imported only now: ministack reads its settings while it is imported.
    await import_module("local_aws._serving").serve(bind, pace, state)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_settings.HOST, port))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    main()
