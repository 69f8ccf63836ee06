"""Which calls of AWS each process of a site makes: recorded while the tests run, and compared with `listed.toml`.

The list is what the host's roles are held against (`tests/stacks/test_calls.py`), so a call that is not in it would be refused on
AWS without any test here noticing.
"""

import os
from pathlib import Path

# The folder that recordings go to; nothing is recorded where it is not set.
FOLDER = "RECORD_AWS_CALLS"
RECORDER = Path(__file__).parent / "recorder"


# The file that each attempt to reach another machine goes to.
OUTSIDE = "RECORD_OUTSIDE"


def watched(environment: dict[str, str], file: Path) -> dict[str, str]:
    """The environment for processes that write down whom they ask, unless it is this machine itself."""
    return _with_recorder(environment | {OUTSIDE: str(file)})


def recorded(environment: dict[str, str]) -> dict[str, str]:
    """The environment for a site's processes, with the recorder in Python and in Node if calls are recorded."""
    if not os.environ.get(FOLDER):
        return environment
    return _with_recorder(environment)


def _with_recorder(environment: dict[str, str]) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(RECORDER), environment.get("PYTHONPATH", "")]))
    options = " ".join(filter(None, [environment.get("NODE_OPTIONS", ""), f"--require={RECORDER / 'recorder.cjs'}"]))
    return environment | {"PYTHONPATH": path, "NODE_OPTIONS": options}
