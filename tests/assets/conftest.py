"""One whole site for the tests of what serves it: made once, since its database and static files take most of the time."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.assets.serving import Gunicorn, manage, need_nginx, site_environment


@pytest.fixture(autouse=True)
def root_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """As root has it on a host: a user's may lack where blkid and mkfs lie."""
    monkeypatch.setenv("PATH", f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a site with an empty database and its static files."""
    environment = site_environment(tmp_path_factory.mktemp("site"))
    manage(environment, "migrate", "--verbosity", "0")
    return environment


@pytest.fixture(scope="session")
def gunicorn(site: dict[str, str]) -> Iterator[Gunicorn]:
    """Gunicorn with the site, behind a socket that stays."""
    need_nginx()
    manage(site, "collectstatic", "--noinput", "--verbosity", "0")
    server = Gunicorn(Path(site["VAR_DIR"]), site)
    server.start()
    yield server
    server.close()
