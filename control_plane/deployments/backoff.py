"""How often, and after how long, what failed is tried again."""

import random

# Tries of one deployment before it waits for somebody.
MAX_TRIES = 6
LONGEST_WAIT_SECONDS = 300.0


def backoff(attempts: int, base: float) -> float:
    """Seconds to wait after so many tries: doubled each time, with full jitter above a half, so that many do not come at once."""
    ceiling: float = min(base * 2.0 ** max(attempts - 1, 0), LONGEST_WAIT_SECONDS)
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load; guards nothing)
