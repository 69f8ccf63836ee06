"""The pages of analyses, configurations and jobs."""

import threading
from pathlib import Path

from playwright.sync_api import Page, expect

from assets.example_analysis.backend import Run, pending_submissions
from tests.e2e.conftest import sign_in
from tests.screenshots.cast import GROUP
from tests.screenshots.studio import Studio

SECONDS = 60_000
ANALYSIS, BUCKET, CUSTOM = "mean-trace", "cohort-mean-trace", "field-notes"
EXAMPLE = Path(__file__).resolve().parents[2] / "assets/example_analysis"
BASE = f"/groups/{GROUP}/jobs/{ANALYSIS}/"


def circle(studio: Studio) -> None:
    """An analysis from the catalogue to its results."""
    _describe(studio)
    with studio.person("mary") as page:
        _ask(studio, page)
        with studio.visitor() as administrator:
            sign_in(administrator, *studio.site.administrator)
            _decide(studio, administrator)
        expect(page.get_by_text("✓ active")).to_be_visible(timeout=SECONDS)
        studio.camera.shoot(page, "analysis-granted", "An analysis that the group may use")
        _configure(studio, page)
        _submit(studio, page)
        _follow(studio, page)


def _describe(studio: Studio) -> None:
    must = studio.site.must
    must("analysis", "create", ANALYSIS, "--bucket", BUCKET, "--name", "Mean trace", "--wait")
    said = ("--summary", "The mean of several traces, with a plot of it.", "--paper-url", "https://example.org/paper")
    must("catalogue", "describe", ANALYSIS, "--from", str(EXAMPLE), *said)
    must("analysis", "create", CUSTOM, "--bucket", f"cohort-{CUSTOM}", "--name", "Field notes", "--wait")
    must("catalogue", "describe", CUSTOM, "--summary", "Reads handwriting.", "--custom")


def _ask(studio: Studio, page: Page) -> None:
    shoot = studio.camera.shoot
    page.goto("/analyses/")
    shoot(page, "analyses", "The analyses that there are")
    page.get_by_role("link", name="Mean trace").click()
    shoot(page, "analysis", "An analysis that one may ask for", dark=True)
    page.get_by_label("What for (optional)").fill("The recordings of the spring")
    page.get_by_role("button", name="Request access").click()
    expect(page.get_by_text("◷ asked for")).to_be_visible()


def _decide(studio: Studio, page: Page) -> None:
    shoot = studio.camera.shoot
    page.goto(f"/analyses/{ANALYSIS}/edit/")
    shoot(page, "analysis-edit", "Describing an analysis")
    page.goto("/admin/groups/group/")
    page.locator("input.action-select").first.check()
    number = page.locator("input.action-select").first.get_attribute("value")
    page.goto(f"/analyses/grant/?groups={number}")
    shoot(page, "analyses-grant", "Granting analyses to several groups")
    page.goto("/analyses/requests/")
    shoot(page, "analyses-requests", "Requests for analyses")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("is being given")).to_be_visible()


def _configure(studio: Studio, page: Page) -> None:
    shoot = studio.camera.shoot
    page.goto(f"/groups/{GROUP}/configs/{ANALYSIS}/new/")
    page.get_by_label("Name").fill("spring")
    page.get_by_label("smoothing").fill("many")
    page.get_by_role("button", name="Save").click()
    shoot(page, "configuration-refused", "A configuration as a form, with a mistake")
    page.get_by_label("smoothing").fill("9")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("spring is saved")).to_be_visible()
    page.get_by_label("smoothing").fill("11")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Compare").last.click()
    shoot(page, "configuration", "A configuration with its versions")
    page.goto(f"/groups/{GROUP}/configs/{ANALYSIS}/of/spring/?mode=text")
    shoot(page, "configuration-text", "A configuration as YAML", dark=True)
    page.goto(f"/groups/{GROUP}/configs/{ANALYSIS}/")
    shoot(page, "configurations", "A group’s configurations")


def _submit(studio: Studio, page: Page) -> None:
    shoot, s3 = studio.camera.shoot, studio.site.root("s3")
    page.goto(BASE)
    shoot(page, "jobs-none", "Jobs: none yet")
    for sample in sorted((EXAMPLE / "samples").glob("*.csv")):
        s3.put_object(Bucket=BUCKET, Key=f"{GROUP}/inputs/spring/{sample.name}", Body=sample.read_bytes())
    s3.put_object(Bucket=BUCKET, Key=f"{GROUP}/inputs/notes.csv", Body=b"time,cell 1\n0,0.91\n0.02,not measured\n")
    page.get_by_role("link", name="Submit a job").click()
    page.get_by_label("notes.csv").check()
    page.get_by_label("spring/").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("2 chosen")).to_be_visible()
    shoot(page, "job-choose", "Submitting a job: choosing")
    page.get_by_role("button", name="Continue").click()
    shoot(page, "job-summary", "Submitting a job: the summary")
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page.locator("#status")).to_contain_text("submitted")


def _follow(studio: Studio, page: Page) -> None:
    shoot, s3, gate = studio.camera.shoot, studio.site.root("s3"), threading.Event()
    steps = iter(range(2))

    def pause(seconds: float) -> None:
        """Go a little way, and wait to be photographed."""
        if next(steps, None) is None:
            gate.wait(60)

    (submission,) = pending_submissions(s3, BUCKET, set())
    running = threading.Thread(target=Run(s3, submission, pause).to_the_end)
    running.start()
    page.reload()
    expect(page.locator("#status")).to_contain_text("running", timeout=SECONDS)
    page.get_by_role("link", name="Log of spring/session-1.csv").click()
    expect(page.locator("[data-part=text]")).to_contain_text("Reading", timeout=SECONDS)
    shoot(page, "job-running", "A job under way, live", dark=True)
    gate.set()
    running.join()
    expect(page.locator("#status")).to_contain_text("failed", timeout=SECONDS)
    expect(page.get_by_role("button", name="Submit the failed ones again")).to_be_visible()
    page.goto(page.url.partition("?")[0])
    shoot(page, "job-failed", "A job of which one data set failed")
    page.goto(f"{page.url}?path=process_results/spring/session-2/")
    page.get_by_role("button", name="plot.svg", exact=True).click()
    picture = page.get_by_role("dialog").locator("img")
    expect(picture).to_be_visible()
    picture.evaluate("image => image.decode()")
    shoot(page, "job-plot", "A plot among a job’s results")
    page.goto(BASE)
    shoot(page, "jobs", "A group’s jobs")
