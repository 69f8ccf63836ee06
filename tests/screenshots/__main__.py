"""`make screenshots`: pictures of every page in var/screenshots/. Ends with 1 if axe-core or a narrow window finds fault.

Those that the documentation shows are copied into docs/images/.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Error, sync_playwright

from stacks.environment import isolate_this_process
from tests.e2e.browser import ARGUMENTS, MISSING, find_chromium
from tests.e2e.site import Site
from tests.faults import Faults
from tests.screenshots.camera import Camera
from tests.screenshots.studio import Studio
from tests.screenshots.tours import TOURS, Tour

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "var/screenshots"
IMAGES = ROOT / "docs/images"


def main(wanted: list[str]) -> None:
    """Start a site, go on the tours (all of them unless some are named), and write the gallery after all."""
    path = find_chromium()
    if path is None:
        sys.exit(MISSING)
    isolate_this_process()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not wanted:
        for old in FOLDER.glob("*.png"):
            old.unlink()
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        site = Site(Path(scratch) / "var", DEMO="0")
        with Faults(site.aws_port) as faults:
            site.have_browsers_use(faults)
            try:
                site.start()
                browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
                camera = Camera(browser, FOLDER)
                studio = Studio(site, browser, camera)
                for name, tour in TOURS.items():
                    if not wanted or name in wanted:
                        print(f"{name}: {tour.__doc__}", flush=True)
                        _go(tour, studio)
            finally:
                site.stop()
    _finish(camera, is_whole=not wanted)


def _go(tour: Tour, studio: Studio) -> None:
    """Go on a tour. One that ends early is a finding, and the others are still gone on."""
    try:
        tour(studio)
    except (Error, AssertionError) as error:
        studio.camera.findings.append(f"{tour.__name__} ended early after {list(studio.camera.titles)[-1:]}: {error}")
    finally:
        studio.site.faults.clear()


def _finish(camera: Camera, *, is_whole: bool) -> None:
    if is_whole:
        camera.write_gallery()
    for image in IMAGES.glob("*.png"):
        taken = FOLDER / f"{image.stem}-1280.png"
        if image.stem in camera.titles:
            shutil.copyfile(taken, image)
        elif is_whole:
            camera.findings.append(f"The documentation shows {image.name}, and no tour took {taken.name}.")
    size = sum(picture.stat().st_size for picture in FOLDER.iterdir())
    print(f"{len(camera.titles)} states, {size / 1e6:.1f} MB in {FOLDER}")
    if camera.findings:
        sys.exit("\n".join(camera.findings))


if __name__ == "__main__":
    main(sys.argv[1:])
