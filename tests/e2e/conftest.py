"""One site for all the tests that go through the front door; they keep out of each other's way by names of their own."""

from collections.abc import Iterator

import pytest

from tests.e2e.site import Site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    running = Site(tmp_path_factory.mktemp("site") / "var", DEMO="0")
    running.start()
    yield running
    running.stop()
