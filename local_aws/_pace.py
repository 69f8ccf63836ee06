"""An artificial duration of CloudFormation's work: shows `*_IN_PROGRESS` states, and lets an update be cancelled in one.

Only the waiting leaves the event loop. The work itself always runs in it, between requests, as ministack expects of it.
"""

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ministack.services.cloudformation import stacks

SLICE_SECONDS = 0.02


class Pace:
    """CloudFormation's time per resource: what `file` says, or `default` where there is no such file.

    The file holds the seconds, and after them the resource types that take so long; without types all do.
    """

    def __init__(self, default: float, file: Path) -> None:
        self._default = default
        self._file = file
        self._ended = threading.Event()
        self._waiting = 0
        self._lock = threading.Lock()

    def seconds(self, resource_type: str) -> float:
        """Return the present pace in seconds."""
        if self._ended.is_set():
            return 0.0
        try:
            seconds, *types = self._file.read_text().split()
            return float(seconds) if not types or resource_type in types else 0.0
        except (OSError, ValueError):
            return self._default

    def wait(self, resource_type: str) -> None:
        """Wait for the time of one resource; a pace that is changed meanwhile holds at once."""
        self._count(1)
        began = time.monotonic()
        while time.monotonic() - began < self.seconds(resource_type):
            self._ended.wait(SLICE_SECONDS)
        self._count(-1)

    async def end(self) -> None:
        """Stop waiting, and return when what waited has gone on: a clean stop then saves stacks that are done."""
        self._ended.set()
        while self._waiting:
            await asyncio.sleep(SLICE_SECONDS)
        # What went on does the rest in the loop, without a pause.
        await asyncio.sleep(SLICE_SECONDS)

    def _count(self, change: int) -> None:
        with self._lock:
            self._waiting += change


def install(pace: Pace) -> None:
    """Have every resource that is created, changed or deleted wait for `pace`. A pace of 0 changes nothing."""
    blocks = stacks._runs_on_worker_thread

    def runs_on_worker_thread(resource_type: str) -> bool:
        return bool(blocks(resource_type)) or pace.seconds(resource_type) > 0

    stacks._runs_on_worker_thread = runs_on_worker_thread
    loop = asyncio.get_running_loop()
    for name in ("_provision_resource", "_update_resource", "_delete_resource"):
        setattr(stacks, name, _paced(name, getattr(stacks, name), pace, blocks, loop))


def _paced(
    name: str, function: Callable[..., Any], pace: Pace, blocks: Callable[[str], bool], loop: asyncio.AbstractEventLoop
) -> Callable[..., Any]:
    def paced(resource_type: str, *arguments: Any) -> Any:
        # In the loop's own thread nothing may wait.
        if threading.current_thread() is threading.main_thread():
            return function(resource_type, *arguments)
        # CloudFormation leaves a resource alone whose properties stay the same: that takes no time.
        if name != "_update_resource" or arguments[1] != arguments[2]:
            pace.wait(resource_type)
        if blocks(resource_type):
            return function(resource_type, *arguments)
        return _in_loop(loop, function, resource_type, *arguments)

    return paced


def _in_loop(loop: asyncio.AbstractEventLoop, function: Callable[..., Any], *arguments: Any) -> Any:
    """Run the function in the loop, with this thread's context variables, and keep what it sets in them."""
    context = contextvars.copy_context()
    done: Future[Any] = Future()

    def run() -> None:
        try:
            done.set_result(function(*arguments))
        except Exception as error:
            done.set_exception(error)

    loop.call_soon_threadsafe(run, context=context)
    try:
        return done.result()
    finally:
        for variable, value in context.items():
            variable.set(value)
