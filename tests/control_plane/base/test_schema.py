"""`manage.py migrate` refuses a database that no migration leads here from, and changes nothing in it."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.control_plane.backed_up_sites import ROOT, Site

# Each with what is said of it.
CASES = {
    "ALTER TABLE groups_group ADD COLUMN older integer": "table groups_group differs in older",
    "ALTER TABLE groups_group DROP COLUMN retires_at": "table groups_group differs in retires_at",
    "DROP TABLE uploads_upload": "it has no table uploads_upload",
    "INSERT INTO django_migrations (app, name, applied) VALUES ('groups', '0099_later', '2026-01-01')": (
        "it has the migration groups.0099_later, which this one does not"
    ),
    "": "",
}
# In one process, which takes seconds to start.
COMPARE = """
import json, sys, django
django.setup()
from django.db import connections
from control_plane.base.schema import ForeignSchema, require_known_schema
said = []
for number, file in enumerate(sys.argv[1:]):
    connections.databases[str(number)] = connections.databases["default"] | {"NAME": file}
    try:
        require_known_schema(connections[str(number)])
        said.append("")
    except ForeignSchema as error:
        said.append(str(error))
    connections[str(number)].close()
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose database has the schema of today."""
    site = Site(tmp_path_factory.mktemp("made"))
    site.manage("migrate", "-v0")
    return site


def test_a_database_of_another_shape_is_refused_and_left_alone(made: Site, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.sqlite3" for number in range(len(CASES))]
    for file, statement in zip(files, CASES, strict=True):
        shutil.copyfile(made.file, file)
        with closing(sqlite3.connect(file)) as changed, changed:
            changed.execute(statement)
    before = [file.read_bytes() for file in files]
    command = [sys.executable, "-c", COMPARE, *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, env=made.env, capture_output=True, text=True, check=True)
    for said, (statement, wanted) in zip(json.loads(done.stdout), CASES.items(), strict=True):
        assert wanted in said, statement
        assert bool(said) == bool(wanted) == ("Nothing was changed" in said), statement
    assert [file.read_bytes() for file in files] == before


def test_migrate_says_so_and_does_nothing(made: Site, tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.file.write_bytes(b"no database")
    refusal = site.manage("migrate", status=1)
    assert "was made by another version" in refusal
    assert "file is not a database" in refusal
    assert "Traceback" not in refusal
    assert site.file.read_bytes() == b"no database"
