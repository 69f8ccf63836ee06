"""`python -m tests.benchmarks [engine|uploads]`: measure, print the tables, and write them to `docs/`."""

import sys
import tempfile
from pathlib import Path

from stacks.environment import isolate_this_process
from tests.benchmarks import engine, uploads

AREAS = {"engine": lambda folder: engine.main(folder / "var"), "uploads": uploads.main}


def main() -> None:
    """Run the benchmarks named, or all, each in a folder that is removed afterwards."""
    isolate_this_process()
    for name in sys.argv[1:] or AREAS:
        with tempfile.TemporaryDirectory(prefix="cohort-bench-") as folder:
            AREAS[name](Path(folder))


if __name__ == "__main__":
    main()
