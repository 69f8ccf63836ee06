"""Processes as tests look at them."""

import os
import time
from pathlib import Path


def is_alive(pid):
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def wait_until(condition, seconds=10):
    """What the condition became, as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (became := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
    return became


def number_in(path):
    """The number that another process writes into a file, once it has."""
    return int(wait_until(lambda: path.exists() and path.read_text().strip()))
