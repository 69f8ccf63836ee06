"""Many people come by a file, one deployment for each group; and one person goes everywhere at once, the account last."""

import json
import re
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Page, expect

from tests.e2e.conftest import serious_findings, sign_in
from tests.e2e.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(300)]

NORTH, SOUTH = "roster-north", "roster-south"
BUCKETS = {NORTH: "cohort-roster-north", SOUTH: "cohort-roster-south"}
# Rosalind holds a key in the south and is federated in the north, Kay holds a key in the north, Fay is federated in the south.
ROSALIND, KAY, FAY = "rosalind@example.org", "kay.mcnulty@example.org", "fay.ajzenberg@example.org"
PASSWORD = "correct horse battery"
DEPLOYED = 90_000


@pytest.fixture(scope="module")
def groups(site: Site) -> dict[str, int]:
    """Two groups with an analysis each, and how many deployments each had before anybody came."""
    for slug in (NORTH, SOUTH):
        site.must("analysis", "create", slug, "--bucket", BUCKETS[slug])
        site.must("group", "create", slug, "--name", slug.replace("-", " ").title())
        site.must("analysis", "grant", slug, slug)
    site.wait_for_deployments()
    return {slug: len(deployments(site, slug)) for slug in BUCKETS}


def deployments(site: Site, slug: str) -> list[dict[str, object]]:
    return [deployment for deployment in site.must("deployment", "list") if deployment["stack"] == f"Group-{slug}"]


def roster() -> str:
    """Thirty people and one mistake, with what Excel makes of it."""
    lines = ["email;name;group;access;manager;ends_on"]
    lines += [f"roster{number}@example.org;Person {number};{NORTH if number % 2 else SOUTH};;;" for number in range(27)]
    lines += [f"{KAY};Kay;{NORTH};keys;yes;", f"{FAY};Fay;{SOUTH};;;2030-12-31"]
    lines += [f"{ROSALIND};Rosalind;Roster North;federated;;", f"{ROSALIND};Rosalind;{SOUTH};keys;;", f"nobody;Bad;{NORTH};;;"]
    return "\r\n".join(["sep=;", *lines, ";;;;;"])


def works(site: Site, credentials: dict[str, str], slug: str) -> bool:
    """Whether they write and read in this group's folder. Refusals by AWS are the only other answer."""
    s3 = site.client("s3", credentials)
    try:
        s3.put_object(Bucket=BUCKETS[slug], Key=f"{slug}/inputs/x", Body=b"x")
        s3.get_object(Bucket=BUCKETS[slug], Key=f"{slug}/inputs/x")
    except ClientError as error:
        code = error.response["Error"]["Code"]
        assert code in ("AccessDenied", "InvalidAccessKeyId", "InvalidClientTokenId", "ExpiredToken"), code
        return False
    return True


def iam_users(site: Site, slug: str) -> set[str]:
    return {user["UserName"] for user in site.root("iam").list_users(PathPrefix=f"/cohort/{slug}/")["Users"]}


def secrets(site: Site, slug: str) -> list[str]:
    found = site.root("secretsmanager").list_secrets(MaxResults=100, Filters=[{"Key": "name", "Values": [f"cohort/{slug}/"]}])
    return [secret["Name"] for secret in found["SecretList"]]


def exported(site: Site, tmp_path: Path, *what: str) -> list[str]:
    file = tmp_path / "out.csv"
    site.must("roster", "export", *what, "--output", str(file))
    return file.read_text("utf-8-sig").splitlines()[1:]


def test_a_file_of_thirty_people_is_one_deployment_for_each_group(
    administrator: Page, site: Site, groups: dict[str, int], tmp_path: Path
) -> None:
    page, file = administrator, tmp_path / "people.csv"
    file.write_text(roster(), encoding="utf-8-sig")
    page.goto("/admin/rosters/roster/")
    findings = serious_findings(page)
    page.get_by_role("link", name="Import a CSV file…").click()
    findings += serious_findings(page)
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Look at it").click()
    expect(page.locator("[data-fate=added]").first).to_contain_text("31 will be added")
    findings += serious_findings(page)
    page.locator("nav [data-fate=refused]").click()
    expect(page.locator("tr[data-fate=refused]")).to_have_count(1)
    expect(page.locator("tr[data-fate=refused]")).to_contain_text("Line 34, email: 'nobody' is not an e-mail address")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 900})
    assert {slug: len(deployments(site, slug)) for slug in BUCKETS} == groups, "a dry run starts nothing"

    page.get_by_role("button", name="Apply 31 rows").click()
    expect(page.get_by_text("Nothing was applied; correct the file")).to_be_visible()
    page.get_by_label(re.compile("Apply the good rows")).check()
    page.get_by_role("button", name="Apply 31 rows").click()
    progress = page.locator("#roster-progress")
    expect(progress).to_contain_text("nothing of it is under way any more", timeout=DEPLOYED)
    expect(progress.get_by_text("done", exact=True)).to_have_count(2)
    findings += serious_findings(page)
    assert findings == []
    assert {slug: len(deployments(site, slug)) for slug in BUCKETS} == {slug: count + 1 for slug, count in groups.items()}

    assert len(iam_users(site, NORTH)) == len(secrets(site, NORTH)) == 1
    assert len(iam_users(site, SOUTH)) == len(secrets(site, SOUTH)) == 1
    for email, mine, theirs in ((KAY, NORTH, SOUTH), (FAY, SOUTH, NORTH), ("roster1@example.org", NORTH, SOUTH)):
        credentials = site.credentials(mine, email)
        assert works(site, credentials, mine)
        assert not works(site, credentials, theirs)
    stored = site.root("secretsmanager").get_secret_value(SecretId=secrets(site, NORTH)[0])["SecretString"]
    assert json.loads(stored)["SecretAccessKey"] == site.credentials(NORTH, KAY)["SecretAccessKey"]
    assert f"{FAY},Fay,{SOUTH},federated,no,2030-12-31,add" in exported(site, tmp_path, "--group", SOUTH)
    # What came in goes out, and says nothing new when it comes in again.
    counts = site.must("roster", "check", str(tmp_path / "out.csv"))["counts"]
    assert (counts["same"], sum(counts.values())) == (len(exported(site, tmp_path, "--group", SOUTH)),) * 2


def test_one_person_goes_everywhere_at_once_and_the_account_last(
    administrator: Page, site: Site, groups: dict[str, int], tmp_path: Path
) -> None:
    page, browser = administrator, administrator.context.browser
    assert browser is not None
    session, key, kay = site.credentials(NORTH, ROSALIND), site.credentials(SOUTH, ROSALIND), site.credentials(NORTH, KAY)
    assert works(site, session, NORTH)
    assert not works(site, session, SOUTH)
    assert works(site, key, SOUTH)
    assert not works(site, key, NORTH)
    site.set_password(ROSALIND, PASSWORD)
    theirs = browser.new_context(base_url=site.url).new_page()
    sign_in(theirs, ROSALIND, PASSWORD)
    expect(theirs.get_by_role("link", name="Roster North", exact=True)).to_be_visible()
    before = {slug: len(deployments(site, slug)) for slug in BUCKETS}

    with site.worker_paused():
        page.goto(f"/admin/accounts/user/?q={ROSALIND}")
        page.locator("input[name=_selected_action]").check()
        page.locator("select[name=action]").select_option(label="Deactivate or delete…")
        page.locator("#changelist-form").get_by_role("button", name=re.compile("Run|Go", re.IGNORECASE)).click()
        expect(page.get_by_role("row", name=re.compile(ROSALIND))).to_contain_text(f"{NORTH} (federated), {SOUTH} (keys)")
        assert serious_findings(page) == []
        page.get_by_role("radio", name=re.compile("Delete")).check()
        page.get_by_role("button", name=f"Remove {ROSALIND}").click()
        expect(page.get_by_text(f"Type “{ROSALIND}” to confirm")).to_be_visible()
        page.get_by_label("To confirm").fill(ROSALIND)
        page.get_by_role("button", name=f"Remove {ROSALIND}").click()
        expect(page.get_by_text(f"{ROSALIND} cannot sign in any more")).to_be_visible()
        # AWS has not been told: the account is there still, however often it is swept, and opens nothing on the site.
        assert site.manage("sweep").status == 0
        assert site.must("person", "foresee", ROSALIND)["people"][0]["groups"] == []
        theirs.goto("/")
        expect(theirs.get_by_label("Password")).to_be_visible()
        assert site.manage("member", "credentials", SOUTH, ROSALIND).status != 0
    site.wait_for_deployments()

    assert {slug: len(deployments(site, slug)) for slug in BUCKETS} == {slug: count + 1 for slug, count in before.items()}
    assert not works(site, key, SOUTH)
    assert not works(site, session, NORTH)
    assert iam_users(site, SOUTH) == set()
    assert secrets(site, SOUTH) == []
    assert works(site, kay, NORTH), "nobody else is touched"
    assert works(site, site.credentials(SOUTH, FAY), SOUTH)
    assert site.manage("sweep").status == 0
    assert "Nobody is known" in site.manage("person", "foresee", ROSALIND).err
    assert not any(ROSALIND in line for line in exported(site, tmp_path))
    theirs.context.close()


def test_who_is_deactivated_comes_back_without_access(site: Site, groups: dict[str, int]) -> None:
    key = site.credentials(NORTH, KAY)
    done = site.must("person", "deactivate", KAY, "roster3@example.org", "--wait")
    assert [(deployment["stack"], deployment["state"]) for deployment in done["deployments"]] == [(f"Group-{NORTH}", "succeeded")]
    assert not works(site, key, NORTH)
    assert iam_users(site, NORTH) == set()
    assert site.manage("sweep").status == 0
    assert site.must("person", "activate", KAY) == {"activated": [KAY]}
    assert site.must("person", "foresee", KAY)["people"][0]["groups"] == []
    assert site.manage("member", "credentials", NORTH, KAY).status != 0
