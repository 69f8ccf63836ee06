"""Processes that stand still for a while, as on a host that does, without the only lock that SQLite has."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

TRIES = 200


def stand_still(pids: Iterable[int], database: Path | None) -> None:
    """Stop them at a moment when none of them holds this database's lock, which everybody else would wait for."""
    pids = list(pids)
    for _ in range(TRIES):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        if database is None or can_write(database):
            return
        go_on(pids)
        time.sleep(0.01)
    raise AssertionError("somebody writes to the database all the time")


def go_on(pids: Iterable[int]) -> None:
    """Let them go on."""
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def can_write(database: Path) -> bool:
    """Whether nobody holds the lock."""
    connection = sqlite3.connect(database, timeout=0.05, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True
