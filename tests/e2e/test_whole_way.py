"""The researcher's whole way in a real browser: sign up, get in, upload, lose the browser in the middle, go on, get it back."""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import sign_in
from tests.e2e.mail import link_in_mail
from tests.e2e.profile import Profile
from tests.e2e.site import Site
from tests.e2e.uploading import PASSWORD, choose, hash_at_s3, hash_of, send, signed_in, wait_until_complete

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(600)]

GROUP, MANAGER, MARIE = "sklodowska-lab", "pierre@example.org", "marie@example.org"
OTHER, RIVAL = "rutherford-lab", "ernest@example.org"
ANALYSIS, BUCKET = "radiation", "cohort-e2e-whole-way"
ADDRESS = f"/groups/{GROUP}/files/{ANALYSIS}/"
PREFIX = f"{GROUP}/inputs/"
DEPLOYED = 60_000
LARGE = "spectrum of pitchblende.raw"
LARGE_BYTES = 300_000_000
SMALL = {"notes.txt": 1_000, "day 1/Probenübersicht.csv": 70_000, "day 1/empty.log": 0}
PART_BYTES = 16 * 2**20
PARTS = set(range(1, -(-LARGE_BYTES // PART_BYTES) + 1))
# The browser is killed once S3 holds so many parts.
ENOUGH_PARTS = 5
# How long S3 takes over a part meanwhile, so that there is a middle.
PART_SECONDS = 1.5
FETCH = """
([to, token]) => fetch(to, {method: 'POST', headers: {'x-csrftoken': token}}).then(
    async (answer) => ({status: answer.status, body: await answer.json()}))
"""


@dataclass
class Lab:
    """A group that its manager leads, another group beside it, and what a member of the first wants to upload."""

    site: Site
    folder: Path

    @property
    def large(self) -> Path:
        """The file that goes in parts."""
        return self.folder / LARGE

    def key(self, name: str) -> str:
        """Where S3 has a file of the folder."""
        return f"{PREFIX}{self.folder.name}/{name}"

    def upload(self) -> str:
        """The id of the large file's one unfinished upload; empty if there is none."""
        found = self.site.root("s3").list_multipart_uploads(Bucket=BUCKET, Prefix=self.key(LARGE)).get("Uploads", [])
        assert len(found) <= 1
        return str(found[0]["UploadId"]) if found else ""

    def parts(self) -> dict[int, int]:
        """The numbers of the parts of it that S3 holds, with their sizes."""
        if not (upload := self.upload()):
            return {}
        answer = self.site.root("s3").list_parts(Bucket=BUCKET, Key=self.key(LARGE), UploadId=upload)
        return {part["PartNumber"]: part["Size"] for part in answer.get("Parts", [])}


@pytest.fixture(scope="module")
def lab(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    site.must("analysis", "create", ANALYSIS, "--bucket", BUCKET, "--name", "Radiation")
    for group, name, email in ((GROUP, "Sklodowska Lab", MANAGER), (OTHER, "Rutherford Lab", RIVAL)):
        site.must("group", "create", group, "--name", name)
        site.must("analysis", "grant", ANALYSIS, group)
        site.must("member", "add", group, email, "--create", *(["--manager"] if email == MANAGER else []))
        site.set_password(email, PASSWORD)
    site.must("group", "keys", GROUP, "allow")
    site.wait_for_deployments()
    folder = tmp_path_factory.mktemp("disk") / "run 1898"
    for name, size in {LARGE: LARGE_BYTES, **SMALL}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    yield Lab(site, folder)
    # So much is not left lying about for the tests that follow.
    shutil.rmtree(folder)
    s3 = site.root("s3")
    for version in s3.list_object_versions(Bucket=BUCKET, Prefix=PREFIX).get("Versions", []):
        s3.delete_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])


@pytest.fixture
def profile(browser: Browser, lab: Lab, tmp_path: Path) -> Iterator[Profile]:
    made = Profile(tmp_path / "profile", browser, lab.site.url)
    yield made
    lab.site.faults.clear()
    made.close()
    assert made.problems == []


@pytest.fixture
def manager(browser: Browser, lab: Lab) -> Iterator[Page]:
    yield from signed_in(browser, lab.site, MANAGER)


@pytest.fixture
def rival(browser: Browser, lab: Lab) -> Iterator[Page]:
    yield from signed_in(browser, lab.site, RIVAL)


def test_from_a_join_code_to_the_same_bytes_again(profile: Profile, manager: Page, rival: Page, lab: Lab, tmp_path: Path) -> None:
    page = profile.start()
    sign_up(page, lab.site, code_of(manager))
    get_approved(page, manager, lab.site)
    page.get_by_role("link", name="Radiation: upload and files").first.click()
    page.locator("#upload[data-ready]").wait_for()
    choose(page, lab.folder)
    lab.site.faults.add("delay", action="UploadPart", seconds=PART_SECONDS)
    send(page)
    held, upload = kill_in_the_middle(profile, lab)

    page = start_again(profile, lab, percent=100 * sum(held.values()) // LARGE_BYTES)
    already = len(lab.site.faults.seen)
    choose(page, lab.folder)
    send(page)
    wait_until_complete(page)
    # S3 is sent what it did not hold, each part once, and into the upload that was begun.
    sent = [query for action, query in lab.site.faults.seen[already:] if action == "UploadPart"]
    assert sorted(int(query["partNumber"][0]) for query in sent) == sorted(PARTS - set(held))
    assert {query["uploadId"][0] for query in sent} == {upload}
    expect(page.locator("#upload-unfinished tr")).to_have_count(0)
    for name in (LARGE, *SMALL):
        assert hash_at_s3(lab.site, BUCKET, lab.key(name)) == hash_of(lab.folder / name)

    look_at_folder(page, lab)
    for name in (LARGE, "notes.txt"):
        path = downloaded(page, name, tmp_path)
        assert hash_of(path) == hash_of(lab.folder / name)
        path.unlink()
    refuse_marie_elsewhere(page, lab)
    refuse_rival(rival, lab)


def code_of(manager: Page) -> str:
    """A join code that the manager makes on the group's page."""
    manager.goto(f"/groups/{GROUP}/")
    manager.get_by_role("button", name="Make a join code").click()
    return manager.locator("#code").inner_text()


def sign_up(page: Page, site: Site, code: str) -> None:
    """A new account with this code, up to the verified address."""
    page.goto("/")
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("E-mail address").fill(MARIE)
    page.get_by_label("Your name").fill("Marie Curie")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Repeat password").fill(PASSWORD)
    page.get_by_label("Join code", exact=True).fill(code)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Confirm your address")).to_be_visible()
    page.goto(link_in_mail(site, MARIE, "onfirm"))
    page.get_by_role("button", name="Yes, it is mine").click()
    page.wait_for_url(f"{site.url}/")


def get_approved(page: Page, manager: Page, site: Site) -> None:
    """The manager says yes; the home page shows how the access is made, and then the group, without being loaded again."""
    now = page.locator("[aria-current=step]")
    expect(now).to_contain_text("Waiting for pierre or an administrator")
    page.evaluate("window.notReloaded = true")
    manager.goto(link_in_mail(site, MANAGER, "asks to join"))
    # A key of her own is something for AWS to make; short-lived credentials alone need nothing new there.
    manager.get_by_label("Access method").select_option("keys")
    with site.held("AWS::IAM::AccessKey"):
        manager.get_by_role("button", name="Approve").click()
        expect(now).to_contain_text("Access made on AWS", timeout=DEPLOYED)
        expect(page.get_by_role("progressbar", name="Making your access")).to_be_visible()
        expect(page.get_by_text(re.compile(r"^[1-9]\d* of \d+ resources$"))).to_be_visible(timeout=DEPLOYED)
        expect(page.get_by_text("⟳ being added")).to_be_visible()
    expect(page.get_by_role("link", name="Open Sklodowska Lab")).to_be_visible(timeout=DEPLOYED)
    expect(page.get_by_text("✓ active")).to_be_visible()
    assert page.evaluate("window.notReloaded")


def kill_in_the_middle(profile: Profile, lab: Lab) -> tuple[dict[int, int], str]:
    """Kill the browser while the large file is sent. Returns the parts that S3 holds then, and the upload's id."""
    wait_for(lambda: len(lab.parts()) >= ENOUGH_PARTS)
    profile.kill()
    # What had left the browser whole still arrives.
    time.sleep(PART_SECONDS + 1)
    lab.site.faults.clear()
    held = lab.parts()
    assert ENOUGH_PARTS <= len(held) < len(PARTS)
    assert {name for name in SMALL if not holds(lab, name)} == set()
    assert not holds(lab, LARGE)
    return held, lab.upload()


def start_again(profile: Profile, lab: Lab, percent: int) -> Page:
    """The browser once more, with what its profile kept, on the page that tells how far the upload is."""
    page = profile.start()
    page.goto("/")
    if "/login/" in page.url:
        # A browser writes cookies down half a minute late.
        sign_in(page, MARIE, PASSWORD)
    expect(page.get_by_role("heading", name="Your unfinished uploads")).to_be_visible()
    page.get_by_role("link", name="Go on").click()
    page.locator("#upload[data-ready]").wait_for()
    row = page.locator("#upload-unfinished tbody tr").filter(has_text=f"inputs/{lab.folder.name}/{LARGE}")
    expect(row).to_contain_text(f"{percent} % is there")
    expect(row.get_by_role("progressbar")).to_have_attribute("value", str(percent))
    return page


def look_at_folder(page: Page, lab: Lab) -> None:
    """Go to the folder in the file browser, and see all of it there."""
    page.get_by_role("link", name="inputs, folder").click()
    page.get_by_role("link", name=f"{lab.folder.name}, folder").click()
    expect(page.locator("#files [data-part=count]")).to_have_text(re.compile("1 folder, 2 files, 300 MB"))


def downloaded(page: Page, name: str, folder: Path) -> Path:
    """A file that the file browser's button downloads."""
    with page.expect_download() as found:
        page.get_by_role("button", name=f"Download {name}").click()
    assert found.value.suggested_filename == name
    path = folder / name
    found.value.save_as(path)
    return path


def refuse_marie_elsewhere(page: Page, lab: Lab) -> None:
    """The credentials that the upload page works with are good for the folders that people write in, and nothing else."""
    root = lab.site.root("s3")
    root.put_object(Bucket=BUCKET, Key=f"{OTHER}/inputs/secret.txt", Body=b"not hers")
    root.put_object(Bucket=BUCKET, Key=f"{GROUP}/results/job-1/summary.md", Body=b"# Done")
    s3 = client_of(page, lab.site, f"/api/uploads/{GROUP}/{ANALYSIS}/session")
    s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}allowed.txt", Body=b"hers")
    s3.get_object(Bucket=BUCKET, Key=f"{PREFIX}allowed.txt")
    refused(
        lambda: s3.put_object(Bucket=BUCKET, Key=f"{GROUP}/results/job-1/summary.md", Body=b""),
        lambda: s3.put_object(Bucket=BUCKET, Key=f"{GROUP}/elsewhere.txt", Body=b""),
        lambda: s3.put_object(Bucket=BUCKET, Key=f"{OTHER}/inputs/secret.txt", Body=b""),
        lambda: s3.create_multipart_upload(Bucket=BUCKET, Key=f"{OTHER}/inputs/more.bin"),
        lambda: s3.get_object(Bucket=BUCKET, Key=f"{OTHER}/inputs/secret.txt"),
        lambda: s3.copy_object(
            Bucket=BUCKET, Key=f"{PREFIX}copy.txt", CopySource={"Bucket": BUCKET, "Key": f"{OTHER}/inputs/secret.txt"}
        ),
        lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{OTHER}/"),
        lambda: s3.list_objects_v2(Bucket=BUCKET),
        lambda: s3.delete_object(Bucket=BUCKET, Key=lab.key("notes.txt")),
        lambda: s3.list_buckets(),
    )
    assert root.get_object(Bucket=BUCKET, Key=f"{OTHER}/inputs/secret.txt")["Body"].read() == b"not hers"


def refuse_rival(page: Page, lab: Lab) -> None:
    """Somebody of the other group gets neither the page, nor credentials, nor the files with those of their own group."""
    answer = page.goto(ADDRESS)
    assert answer is not None
    assert answer.status == 404
    page.goto(f"/groups/{OTHER}/files/{ANALYSIS}/")
    for kind in ("uploads", "files"):
        assert asked(page, f"/api/{kind}/{GROUP}/{ANALYSIS}/session")["status"] == 404
        s3 = client_of(page, lab.site, f"/api/{kind}/{OTHER}/{ANALYSIS}/session")
        link = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": lab.key("notes.txt")})
        assert page.request.get(link).status == 403
        refused(
            lambda s3=s3: s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX),  # type: ignore[misc]
            lambda s3=s3: s3.put_object(Bucket=BUCKET, Key=lab.key("notes.txt"), Body=b""),  # type: ignore[misc]
        )


def asked(page: Page, address: str) -> dict[str, Any]:
    """What the API answers to the page's own script."""
    token = page.locator("[name=csrfmiddlewaretoken]").first.get_attribute("value")
    return page.evaluate(FETCH, [address, token])  # type: ignore[no-any-return]


def client_of(page: Page, site: Site, address: str) -> Any:
    """S3 with the credentials that the page is given."""
    answer = asked(page, address)
    assert answer["status"] == 200, answer
    names = {"AccessKeyId": "access_key_id", "SecretAccessKey": "secret_access_key", "SessionToken": "session_token"}
    return site.client("s3", {name: answer["body"][own] for name, own in names.items()})


def refused(*calls: Callable[[], Any]) -> None:
    """S3 refuses each of these by its policies."""
    for call in calls:
        with pytest.raises(ClientError, match=r"AccessDenied|403|Forbidden"):
            call()


def holds(lab: Lab, name: str) -> bool:
    """Whether S3 holds a whole object for this file."""
    key = lab.key(name)
    found = lab.site.root("s3").list_objects_v2(Bucket=BUCKET, Prefix=key).get("Contents", [])
    return key in [item["Key"] for item in found]


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return when it is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
