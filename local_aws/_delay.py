"""Requests can be made to take longer, as over a long way: for measuring how much a client waits."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Application = Callable[[Any, Any, Any], Awaitable[None]]


def delayed(app: Application, file: Path) -> Application:
    """The application, with each HTTP request answered later by the seconds that `file` holds; without the file, at once."""

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
