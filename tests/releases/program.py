"""The command line of `python -m tests.releases`."""

import argparse
import logging
import shutil
import sys
from pathlib import Path

from django.test.utils import setup_test_environment

from tests.record import running
from tests.releases import code, making, opening
from tests.releases.kept import DATA, Kept, folder_of, version_here


def main() -> int:
    """Do what is asked for. Returns 1 where something that a release left could not be opened."""
    parser = argparse.ArgumentParser(prog="python -m tests.releases", description="See tests/releases/__init__.py.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("make", help="Make the fixtures of the version that pyproject.toml names.")
    opens = verbs.add_parser("open", help="Migrate and restore what a release left with this code, and go on where people were.")
    opens.add_argument("release", type=Path, help=f"The release's folder, such as {DATA}/release-1.0.0.")
    opens.add_argument("--keep", type=Path, metavar="FILE", help="Leave the database here, with today's schema.")
    visits = verbs.add_parser("visit", help="Go on where people were, on a database that has its schema already.")
    visits.add_argument("release", type=Path)
    visits.add_argument("database", type=Path)
    options = parser.parse_args()
    running.prepare_environment()
    setup_test_environment()
    logging.disable(logging.CRITICAL)
    if options.verb == "make":
        return _make()
    kept = Kept.read(options.release)
    if options.verb == "visit":
        problems = opening.visit(options.database, kept)
    else:
        database = opening.migrate(options.release)
        if options.keep:
            shutil.copyfile(database, options.keep)
        problems = [*opening.restore(options.release, kept), *opening.visit(database, kept)]
    print("\n".join(problems) or f"Everybody goes on where they were in {kept.version}.")
    return 1 if problems else 0


def _make() -> int:
    folder = folder_of(version_here())
    if folder.exists():
        sys.exit(f"{folder} is there already. A release's fixtures are made once, by its own code.")
    (folder / "backup").mkdir(parents=True)
    making.make(folder)
    code.pack(folder / "code.tar.xz")
    print(f"Wrote {sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e3:,.0f} kB into {folder}.")
    return 0
