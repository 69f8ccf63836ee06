"""`python -m tests.benchmarks`: measure everything, print the tables, and write them to `docs/`."""

import tempfile
from pathlib import Path

from tests.benchmarks import engine


def main() -> None:
    """Run every benchmark, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="cohort-bench-") as folder:
        engine.main(Path(folder) / "var")


if __name__ == "__main__":
    main()
