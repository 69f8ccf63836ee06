"""What researchers came for, in a real browser: be granted an analysis, send data, configure, submit, follow, look, download.

The analysis is the example that comes with Cohort, and its back end the process that `make up` starts beside the site.
"""

import io
import re
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Browser, Page, expect

from local_aws.backend import start_command
from tests.e2e.conftest import serious_findings
from tests.e2e.listing import Listing
from tests.e2e.site import ROOT, Site
from tests.e2e.uploading import PASSWORD, choose, send, signed_in, wait_until_complete

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(300)]

GROUP, DOROTHY, MAX = "crowfoot-lab", "dorothy.crowfoot@example.org", "max.crowfoot@example.org"
OTHER, RIVAL = "perutz-lab", "john.perutz@example.org"
ANALYSIS, BUCKET = "mean-trace", "cohort-e2e-circle"
EXAMPLE = ROOT / "assets/example_analysis"
BASE = f"/groups/{GROUP}/jobs/{ANALYSIS}/"
SECONDS = 60_000
FACTS = "document.documentElement.scrollWidth <= window.innerWidth"


@dataclass
class Lab:
    """A group that asks for the analysis, and another that has it; with a member of each."""

    site: Site

    def keys(self, prefix: str = "") -> list[str]:
        """What S3 holds of the group."""
        listed = self.site.root("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"{GROUP}/{prefix}")
        return [content["Key"].removeprefix(f"{GROUP}/") for content in listed.get("Contents", [])]

    def get(self, key: str) -> bytes:
        """What S3 holds there."""
        return bytes(self.site.root("s3").get_object(Bucket=BUCKET, Key=f"{GROUP}/{key}")["Body"].read())

    def put(self, key: str, body: bytes = b"") -> None:
        """As the back end does."""
        self.site.root("s3").put_object(Bucket=BUCKET, Key=f"{GROUP}/{key}", Body=body)


@pytest.fixture(scope="module")
def lab(site: Site) -> Lab:
    site.must("analysis", "create", ANALYSIS, "--bucket", BUCKET, "--name", "Mean trace")
    site.must("catalogue", "describe", ANALYSIS, "--from", str(EXAMPLE), "--summary", "The mean of several traces.")
    for group, name, emails in ((GROUP, "Crowfoot Lab", (DOROTHY, MAX)), (OTHER, "Perutz Lab", (RIVAL,))):
        site.must("group", "create", group, "--name", name)
        for email in emails:
            site.must("member", "add", group, email, "--create")
            site.set_password(email, PASSWORD)
    site.must("analysis", "grant", ANALYSIS, OTHER)
    site.wait_for_deployments()
    return Lab(site)


@pytest.fixture
def backend(lab: Lab, tmp_path: Path) -> Iterator[None]:
    """The example's back end, as `make up` runs it."""
    account = lab.site.env_file["COHORT_ACCOUNT"]
    command, environment = start_command(lab.site.endpoint, account, "us-east-1", BUCKET)
    log = tmp_path / "backend.log"
    with log.open("wb") as output, subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output) as process:
        yield
        process.terminate()
        assert process.wait(20) == 0, log.read_text()


@pytest.fixture
def dorothy(browser: Browser, lab: Lab) -> Iterator[Page]:
    yield from signed_in(browser, lab.site, DOROTHY)


@pytest.fixture
def rival(browser: Browser, lab: Lab) -> Iterator[Page]:
    yield from signed_in(browser, lab.site, RIVAL)


@pytest.mark.usefixtures("backend")
def test_from_asking_for_an_analysis_to_its_plot(dorothy: Page, administrator: Page, rival: Page, lab: Lab) -> None:
    page = dorothy
    be_granted(page, administrator)
    send_samples(page, lab)
    configure(page, lab)
    submit(page, lab)
    job = follow(page, lab)
    look_at_plot(page)
    download(page, lab, job)
    link = share(page)
    see_nothing(rival, lab, job, link)


def be_granted(page: Page, administrator: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Analyses", exact=True).click()
    looks_right(page)
    page.get_by_role("searchbox", name="Search").fill("mean tr")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Mean trace", exact=True).click()
    expect(page.get_by_role("heading", name="What it reads")).to_be_visible()
    looks_right(page)
    page.get_by_label("What for (optional)").fill("the insulin recordings")
    page.get_by_role("button", name="Request access").click()
    expect(page.get_by_text("◷ asked for")).to_be_visible()
    administrator.goto("/analyses/requests/")
    expect(administrator.get_by_text("the insulin recordings")).to_be_visible()
    looks_right(administrator)
    administrator.get_by_role("button", name=re.compile("^Approve.*Crowfoot Lab")).click()
    expect(administrator.get_by_text("Crowfoot Lab is being given Mean trace.")).to_be_visible()
    # Who asked sees it come.
    expect(page.get_by_text("✓ active")).to_be_visible(timeout=SECONDS)
    looks_right(page)


def send_samples(page: Page, lab: Lab) -> None:
    page.get_by_role("link", name="Files of Crowfoot Lab").click()
    page.locator("#upload[data-ready]").wait_for()
    choose(page, *sorted((EXAMPLE / "samples").glob("*.csv")))
    send(page)
    wait_until_complete(page)
    for name in ("session-1.csv", "session-2.csv"):
        assert lab.get(f"inputs/{name}") == (EXAMPLE / "samples" / name).read_bytes()


def configure(page: Page, lab: Lab) -> None:
    page.goto(f"/groups/{GROUP}/configs/{ANALYSIS}/")
    looks_right(page)
    page.get_by_role("link", name="New configuration").click()
    page.get_by_label("Name").fill("first try")
    expect(page.get_by_label("baseline")).to_have_value("1.0")
    page.get_by_label("smoothing").fill("many")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("field smoothing")).to_be_visible()
    looks_right(page)
    page.get_by_label("smoothing").fill("9")
    page.get_by_label("pause").fill("2")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("first try is saved")).to_be_visible()
    saved = lab.get("configs/first try.yaml").decode()
    assert "smoothing: 9\n" in saved
    # What the template says to people stays.
    assert "# Seconds at the beginning" in saved


def submit(page: Page, lab: Lab) -> None:
    page.get_by_role("link", name="Submit with it").click()
    page.get_by_label("session-1.csv").check()
    page.get_by_label("session-2.csv").check()
    looks_right(page)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("✓ valid")).to_be_visible()
    looks_right(page)
    page.get_by_role("button", name="Submit", exact=True).dblclick()
    # Of two presses the second one breaks the first one's way off, which `wait_for_url` takes for a failure.
    expect(page).to_have_url(re.compile(rf"{BASE}\d+/$"))
    assert len(lab.keys("submissions/")) == 1


def follow(page: Page, lab: Lab) -> str:
    """Watch it without loading the page again; what the job is called."""
    text = page.locator("[data-part=text]")
    expect(text).to_contain_text("Reading", timeout=SECONDS)
    first = len(text.inner_text())
    assert "Computing the mean" not in text.inner_text()
    expect(page.locator("#status")).to_contain_text("running", timeout=SECONDS)
    looks_right(page)
    expect(text).to_contain_text("Computing the mean", timeout=SECONDS)
    assert len(text.inner_text()) > first
    expect(page.locator("#status")).to_contain_text("2 of 2 data sets done", timeout=SECONDS)
    expect(page.locator("#status")).to_contain_text("succeeded")
    looks_right(page)
    page.get_by_role("link", name="Log of session-2.csv").click()
    expect(text).to_contain_text("Reading crowfoot-lab/inputs/session-2.csv")
    return f"job__{BUCKET}_{page.url.split('/')[-2].partition('?')[0]}"


def look_at_plot(page: Page) -> None:
    page.get_by_role("link", name="process_results, folder").click()
    page.get_by_role("link", name="session-1, folder").click()
    page.get_by_role("button", name="plot.svg", exact=True).click()
    picture = page.get_by_role("dialog").locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 500
    page.get_by_role("button", name="Close").click()


def download(page: Page, lab: Lab, job: str) -> None:
    page.locator("#files nav[aria-label=Folder]").get_by_text("process_results").click()
    expect(page.get_by_role("link", name="session-2, folder")).to_be_visible()
    with page.expect_download() as found:
        page.get_by_role("button", name="Download all as zip").click()
    with zipfile.ZipFile(io.BytesIO(Path(found.value.path()).read_bytes())) as opened:
        got = {name: opened.read(name) for name in opened.namelist()}
    prefix = f"results/{job}/process_results/"
    assert got == {key.removeprefix(prefix): lab.get(key) for key in lab.keys(prefix)}
    assert {f"session-{number}/{name}" for number in (1, 2) for name in ("mean.csv", "plot.svg", "summary.json")} < set(got)


def share(page: Page) -> str:
    page.get_by_role("button", name="Share with the group…").click()
    link = page.locator("#share-link")
    expect(link).to_be_visible()
    looks_right(page)
    return link.inner_text()


def see_nothing(page: Page, lab: Lab, job: str, link: str) -> None:
    """Somebody of a group that has the analysis too."""
    number = job.rpartition("_")[2]
    for address in (
        link,
        BASE,
        f"{BASE}{number}/",
        f"/groups/{OTHER}/jobs/{ANALYSIS}/{number}/",
        f"/groups/{GROUP}/configs/{ANALYSIS}/",
    ):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 404, address
        assert "session-1" not in page.content()
    page.goto(f"/groups/{OTHER}/jobs/{ANALYSIS}/")
    expect(page.get_by_text("No job was submitted yet")).to_be_visible()
    s3 = lab.site.client("s3", lab.site.credentials(OTHER, RIVAL))
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{GROUP}/results/")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_object(Bucket=BUCKET, Key=f"{GROUP}/results/{job}/process_results/session-1/plot.svg")


def test_a_member_follows_a_shared_link_after_signing_in(page: Page, lab: Lab, dorothy: Page) -> None:
    dorothy.goto(BASE)
    dorothy.locator("#jobs a").first.click()
    dorothy.wait_for_url(re.compile(rf"{BASE}\d+/$"))
    address, link = dorothy.url, share(dorothy)
    page.goto(link)
    page.get_by_label("E-mail address").fill(MAX)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name=re.compile("Mean trace: job"))).to_be_visible()
    assert page.url == address


def test_a_job_without_results_says_so_and_one_with_very_many_stays_quick(dorothy: Page, lab: Lab) -> None:
    chosen = ("inputs/session-1.csv", "--config", "configs/first try.yaml", "--as", DOROTHY)
    job = lab.site.must("job", "submit", GROUP, ANALYSIS, *chosen)
    page, address = dorothy, f"{BASE}{job['job'].rpartition('_')[2]}/"
    page.goto(address)
    expect(page.locator("#files")).to_contain_text("Nothing is there yet.")
    looks_right(page)
    lab.put(f"results/{job['job']}/logs/certificate.txt", b"nonsense\nDATANAME: | STATUS: ?\nend\n")
    lab.put(f"results/{job['job']}/process_results/end.txt")
    expect(page.locator("#status")).to_contain_text("ended", timeout=SECONDS)
    expect(page.locator("#status")).to_contain_text("1 line that cannot be read")
    # The list below follows by itself.
    expect(page.get_by_role("link", name="process_results, folder")).to_be_visible()
    looks_right(page)
    listing = Listing(page)
    page.goto(f"{address}?path=process_results/")
    expect(page.locator("#files [data-part=count]")).to_contain_text("100 files")
    expect(page.locator("#status")).to_contain_text("ended")
    listing.go_on()
    expect(page.locator("#files [data-part=count]")).to_have_text(re.compile("^100,000 files, "), timeout=SECONDS)
    assert page.locator("#files tbody tr").count() == 100


def looks_right(page: Page) -> None:
    """Nothing keeps anybody out, and it fits a telephone."""
    # A button under the mouse changes its colours for a moment.
    page.emulate_media(reduced_motion="reduce")
    page.mouse.move(0, 0)
    assert serious_findings(page) == []
    wide = page.viewport_size
    assert wide is not None
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate(FACTS), f"{page.url} is wider than a telephone"
    page.set_viewport_size(wide)
