"""Tests that take minutes of both cores: with all of them the checks would take longer than twenty minutes."""

import os

import pytest

IS_SLOW_WANTED = os.environ.get("COHORT_SLOW") == "1"
slow = pytest.mark.skipif(not IS_SLOW_WANTED, reason="NOT TESTED: it takes minutes. COHORT_SLOW=1 make test tests it too.")
