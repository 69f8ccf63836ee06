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
        # A thread that is about to get the lock in the kernel gets it, and stops then.
        while not all(map(is_still, pids)):
            time.sleep(0.001)
        if database is None or can_write(database):
            return
        go_on(pids)
        time.sleep(0.01)
    raise AssertionError("somebody writes to the database all the time")


def go_on(pids: Iterable[int]) -> None:
    """Let them go on."""
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def is_still(pid: int) -> bool:
    """Whether all of the process's threads are stopped, or it has ended, by Linux's own account."""
    try:
        stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):
        return True
    # The name, which comes before the state, may hold blanks and brackets.
    return all(stat.rpartition(")")[2].split()[0] in "TtZX" for stat in stats)


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
