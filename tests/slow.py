"""Tests that take minutes of both cores: with all of them the checks would take longer than twenty minutes."""

import os

import pytest

IS_SLOW_WANTED = os.environ.get("COHORT_SLOW") == "1"
REASON = "NOT TESTED: it takes minutes. COHORT_SLOW=1 make test tests it too."
slow = pytest.mark.skipif(not IS_SLOW_WANTED, reason=REASON)


def skip_unless_slow(*, is_dear: bool) -> None:
    """Skip the rest of a test that is dear with these parameters."""
    if is_dear and not IS_SLOW_WANTED:
        pytest.skip(REASON)
