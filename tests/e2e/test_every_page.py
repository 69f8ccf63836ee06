"""Each page in its main states, by the tours that `make screenshots` goes on: axe-core finds nothing serious, and it fits."""

import pytest
from playwright.sync_api import Browser

from tests.e2e.site import Site
from tests.screenshots.camera import Camera
from tests.screenshots.studio import Studio
from tests.screenshots.tours import TOURS, Tour
from tests.slow import slow

# The others' pages are looked at by the tests of what is done there, and so are these two but for their rarer states.
CHOSEN = ("homes", "administration", *(pytest.param(name, marks=slow) for name in ("files", "uploading")))
pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def studio(site: Site, browser: Browser) -> Studio:
    return Studio(site, browser, Camera(browser))


@pytest.mark.parametrize("name", CHOSEN)
def test_no_page_keeps_anybody_out(studio: Studio, name: str) -> None:
    tour: Tour = TOURS[name]
    studio.camera.findings.clear()
    try:
        tour(studio)
    finally:
        studio.site.faults.clear()
    assert studio.camera.findings == []
