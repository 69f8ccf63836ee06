"""Retry limits and exponential backoff of deployments."""

import random

# Tries of one deployment before it fails until somebody acts.
MAX_TRIES = 6
MAX_WAIT_SECONDS = 300.0


def backoff(attempts: int, base: float) -> float:
    """Return the seconds to wait after so many tries: doubled each time, with jitter above a half, so that retries spread out."""
    ceiling: float = min(base * 2.0 ** max(attempts - 1, 0), MAX_WAIT_SECONDS)
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load; guards nothing)
