"""Saving of ministack's state while it runs, not at its end alone: a killed process then loses seconds, not everything."""

import asyncio
import hashlib
import logging
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import persistence

logger = logging.getLogger("local_aws")

SECONDS_BETWEEN = 5.0


def install() -> None:
    """Have every save skip the services whose state did not change since their last save."""
    digests: dict[str, bytes] = {}
    save = persistence.save_state

    def save_changed(service: str, data: dict[str, Any]) -> None:
        text = persistence.json.dumps(data, default=persistence._json_default, sort_keys=True)
        digest = hashlib.blake2b(text.encode()).digest()
        if digests.get(service) == digest:
            return
        before = _written(service)
        save(service, data)
        # ministack tells its log alone of a save that failed, such as on a full disk. It is tried again with the next.
        if _written(service) != before:
            digests[service] = digest

    persistence.save_state = save_changed


def _written(service: str) -> tuple[int, int] | None:
    """Return the identity of the service's state file (inode, mtime in ns), which each save changes; None without one."""
    try:
        status = (Path(persistence.STATE_DIR) / f"{service}.json").stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


async def save_repeatedly(stop: asyncio.Event) -> None:
    """Save every few seconds until `stop`; the state is read between requests, in the loop that serves them."""
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), SECONDS_BETWEEN)
        except TimeoutError:
            persistence.save_all(app._build_persistence_save_dict())
