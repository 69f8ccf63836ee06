"""The server, until it is told to stop.

It is imported once the settings are in the environment: ministack reads them while it is imported.
"""

import asyncio
import signal
from pathlib import Path

from hypercorn.asyncio import serve as serve_app
from hypercorn.config import Config
from ministack.app import app

from local_aws import _expiry, _persistence, _rules, _settings


async def serve(bind: str, pace: float, state: Path) -> None:
    """Serve until SIGTERM or SIGINT. `pace` is the seconds CloudFormation takes over one resource."""
    paces = _rules.install(state, pace)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def stopped() -> None:
        await stop.wait()
        await paces.end()

    config = Config()
    config.bind = [bind]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2
    config.loglevel = "WARNING"
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_persistence.save_repeatedly(stop))
        tasks.create_task(_expiry.expire_daily(stop, state / _settings.LIFECYCLE_TIME_FILE))
        await serve_app(_rules.wrap_app(app, state), config, shutdown_trigger=stopped)
        stop.set()
