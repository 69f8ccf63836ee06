"""`python -m local_aws --port N --state DIR`: the embedded AWS in the foreground, until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import signal
import socket
import sys
from pathlib import Path

from local_aws import _settings

EXIT_PORT_IN_USE = 2


def main() -> None:
    """Read the arguments, and serve."""
    parser = argparse.ArgumentParser(prog="python -m local_aws", description="The embedded AWS, on loopback alone.")
    parser.add_argument("--port", type=int, required=True, help="The one port that it listens on.")
    parser.add_argument("--state", type=Path, required=True, help="The folder that keeps its state.")
    parser.add_argument("--pace", type=float, default=0.0, help="How many seconds CloudFormation takes over one resource.")
    arguments = parser.parse_args()
    if not _is_free(arguments.port):
        print(
            f"The embedded AWS cannot start: port {arguments.port} is in use. Stop what uses it, or set AWS_PORT to another.",
            file=sys.stderr,
        )
        sys.exit(EXIT_PORT_IN_USE)
    _settings.apply(arguments.port, arguments.state.resolve())
    asyncio.run(_serve(arguments.port, arguments.pace, arguments.state.resolve()))


async def _serve(port: int, pace: float, state: Path) -> None:
    # Imported only now: ministack reads its settings while it is imported.
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    from local_aws import (
        _buckets,
        _changesets,
        _checksums,
        _cleanup,
        _conditional_writes,
        _delay,
        _drift,
        _early_validation,
        _host_resources,
        _iam_delay,
        _imports,
        _kept_roles,
        _key_use,
        _lifecycle,
        _limits,
        _machines,
        _missing_objects,
        _nested,
        _object_keys,
        _object_tags,
        _offerings,
        _pace,
        _parameter_rights,
        _persistence,
        _principals,
        _resources,
        _revert_drift,
        _role_rights,
        _secrets,
        _session_tokens,
        _simulate,
        _stack_of,
        _taken,
        _transport,
        _unique_names,
    )

    _resources.register()
    _buckets.register()
    _imports.register()
    _secrets.register()
    _host_resources.register()
    _machines.register()
    _unique_names.install()
    _taken.register()
    _drift.register()
    _changesets.accept_output_changes()
    _early_validation.install()
    _checksums.install()
    _nested.install()
    _limits.install()
    _stack_of.install()
    _session_tokens.install()
    _simulate.install()
    _offerings.install()
    # What it wraps is in place by now; the pace asks how each resource is made, and comes after.
    _principals.name_with_paths()
    _key_use.install()
    _iam_delay.install(_iam_delay.Delay(state / _settings.IAM_DELAY_FILE))
    # When every type is there, and before the pace, which chooses where it is done.
    _role_rights.install()
    paces = _pace.Pace(pace, state / _settings.PACE_FILE)
    _pace.install(paces)
    _revert_drift.install()
    _lifecycle.install()
    _cleanup.install()
    _kept_roles.install()
    _parameter_rights.install()
    _transport.trust_loopback()
    _object_keys.install()
    _conditional_writes.install()
    _object_tags.install()
    _missing_objects.install(state / _settings.MISSING_FILE)
    _persistence.install()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def stopped() -> None:
        await stop.wait()
        await paces.end()

    config = Config()
    config.bind = [f"{_settings.HOST}:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2
    config.loglevel = "WARNING"
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_persistence.save_repeatedly(stop))
        answering = _conditional_writes.noting_beginnings(_delay.delayed(app, state / _settings.DELAY_FILE))
        await serve(_iam_delay.by_request(answering), config, shutdown_trigger=stopped)
        stop.set()


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
