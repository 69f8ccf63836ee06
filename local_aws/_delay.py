"""Artificial latency of requests, as over a long distance: for measuring how much a client waits."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Application = Callable[[Any, Any, Any], Awaitable[None]]


def delayed(app: Application, file: Path) -> Application:
    """Wrap the application so that each HTTP request is delayed by the seconds that `file` holds; not at all without the file."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (seconds := _seconds(file)):
            await asyncio.sleep(seconds)
        await app(scope, receive, send)

    return answer


def _seconds(file: Path) -> float:
    try:
        return float(file.read_text())
    except (OSError, ValueError):
        return 0.0
