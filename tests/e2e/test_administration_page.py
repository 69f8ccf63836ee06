"""An administrator gives and takes access on the web, and sees it happen without a reload."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import serious_findings, sign_in
from tests.e2e.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(300)]

EMMY = "emmy@example.org"
PEOPLE = "/admin/accounts/user/"
DEPLOYED = 60_000


@pytest.fixture(scope="module")
def emmy(site: Site) -> str:
    """A person who is in one group, to begin with."""
    site.must("group", "create", "galois-lab", "--name", "Galois Lab")
    site.must("group", "create", "hopper-lab", "--name", "Hopper Lab")
    site.must("member", "add", "hopper-lab", EMMY, "--create")
    site.must("member", "remove", "hopper-lab", EMMY, "--wait")
    site.wait_for_deployments()
    return EMMY


def cell(page: Page, column: str) -> Locator:
    return page.locator("tr", has=page.get_by_role("link", name=EMMY)).locator(f"[data-column={column}]")


def choose(page: Page, action: str) -> None:
    """Select Emmy and an action, and press go."""
    page.goto(f"{PEOPLE}?q=emmy")
    page.locator("tr", has=page.get_by_role("link", name=EMMY)).locator("input[name=_selected_action]").check()
    page.locator("select[name=action]").select_option(label=action)
    page.locator("#changelist-form").get_by_role("button", name=re.compile("Run|Go", re.IGNORECASE)).click()


def test_access_is_given_and_taken_while_the_columns_follow_without_a_reload(administrator: Page, emmy: str, site: Site) -> None:
    page = administrator
    choose(page, "Add to group…")
    expect(page.get_by_text(emmy)).to_be_visible()
    expect(page.locator("#group-options option[value=galois-lab]")).to_be_attached()
    page.get_by_label("Existing group").fill("Galois Lab")
    page.get_by_role("radio", name=re.compile("Access key")).check()
    with site.held():
        page.get_by_role("button", name="Add to group").click()
        expect(page.get_by_text("Giving emmy@example.org access to Galois Lab has started")).to_be_visible()
        page.goto(f"{PEOPLE}?q=emmy")
        page.evaluate("window.notReloaded = true")
        expect(cell(page, "has_access")).to_contain_text("no")
        expect(cell(page, "under_way")).to_contain_text("Giving access to Galois Lab")
    expect(cell(page, "has_access")).to_contain_text("yes", timeout=DEPLOYED)
    expect(cell(page, "in_groups")).to_contain_text("galois-lab")
    expect(cell(page, "under_way")).to_contain_text("nothing")
    assert page.evaluate("window.notReloaded")
    assert len(site.root("iam").list_users(PathPrefix="/cohort/galois-lab/")["Users"]) == 1


def test_a_deployment_is_watched_resource_by_resource_without_a_reload(administrator: Page, emmy: str, site: Site) -> None:
    page = administrator
    choose(page, "Remove from group…")
    with site.held():
        page.get_by_role("button", name="Remove from group").click()
        page.get_by_role("link", name=re.compile("Watch deployment")).click()
        page.evaluate("window.notReloaded = true")
        expect(page.get_by_role("heading", level=1)).to_have_text("Taking emmy@example.org’s access to Galois Lab away")
        user = page.locator("li.resource", has_text="IAM User")
        expect(user).to_contain_text(re.compile("removed: (waiting|under way)"), timeout=DEPLOYED)
    expect(page.get_by_role("log")).to_contain_text("DELETE_COMPLETE  AWS::IAM::User", timeout=DEPLOYED)
    expect(page.locator("#status")).to_have_attribute("data-state", "succeeded", timeout=DEPLOYED)
    expect(user).to_contain_text("removed: done")
    expect(page.get_by_role("log")).to_contain_text("Group-galois-lab is UPDATE_COMPLETE")
    assert page.evaluate("window.notReloaded")
    page.goto(f"{PEOPLE}?q=emmy")
    expect(cell(page, "has_access")).to_contain_text("no")
    assert site.root("iam").list_users(PathPrefix="/cohort/galois-lab/")["Users"] == []


def test_a_preview_says_what_would_change_and_changes_nothing(administrator: Page, emmy: str, site: Site) -> None:
    page, before = administrator, len(site.must("deployment", "list"))
    choose(page, "Add to group…")
    page.get_by_label("Existing group").fill("hopper-lab")
    page.get_by_role("radio", name=re.compile("Access key")).check()
    page.get_by_role("button", name="Preview").click()
    preview = page.locator("#preview")
    expect(preview).to_contain_text("This is what it would do", timeout=DEPLOYED)
    expect(preview).to_contain_text("emmy@example.org gets access")
    expect(preview).to_contain_text("Lets somebody do more on AWS than now")
    expect(preview).to_contain_text("SecretsManager Secret added")
    assert len(site.must("deployment", "list")) == before
    assert serious_findings(page) == []


def test_a_new_group_can_be_made_on_the_way(administrator: Page, emmy: str, site: Site) -> None:
    page = administrator
    choose(page, "Add to group…")
    page.get_by_label("New group’s slug").fill("bell-lab")
    page.get_by_label("New group’s name").fill("Bell Lab")
    page.get_by_role("button", name="Add to group").click()
    expect(page.get_by_text("access to Bell Lab has started")).to_be_visible()
    page.goto(f"{PEOPLE}?q=emmy")
    expect(cell(page, "in_groups")).to_contain_text("bell-lab", timeout=DEPLOYED)
    assert site.root("iam").get_role(RoleName="cohort-bell-lab")["Role"]["Path"] == "/cohort/bell-lab/"


@pytest.mark.parametrize(
    ("slug", "says"),
    [
        ("hopper-lab", "There is a group 'hopper-lab' already"),
        ("Bad Slug", "small letters"),
        ("", "Choose either an existing group"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_starts_nothing(
    administrator: Page, emmy: str, site: Site, slug: str, says: str
) -> None:
    page, before = administrator, len(site.must("deployment", "list"))
    choose(page, "Add to group…")
    page.get_by_label("New group’s slug").fill(slug)
    page.get_by_role("button", name="Add to group").click()
    expect(page.get_by_role("alert")).to_contain_text(says)
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
    assert len(site.must("deployment", "list")) == before


def test_who_may_not_administer_sees_their_own_groups_and_nothing_else(page: Page, site: Site, emmy: str) -> None:
    site.must("group", "create", "germain-lab", "--name", "Germain Lab")
    site.must("member", "add", "germain-lab", "lise.meitner@example.org", "--create", "--wait")
    password = "correct horse battery"
    setting = f"user = User.objects.get(email='lise.meitner@example.org'); user.set_password('{password}'); user.save()"
    site.manage("shell", "-c", f"from control_plane.accounts.models import User; {setting}")
    sign_in(page, "lise.meitner@example.org", password)
    expect(page.get_by_role("link", name="Germain Lab", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Deployments")).to_have_count(0)
    for path, status in (("/groups/germain-lab/", 200), ("/groups/hopper-lab/", 404), ("/deployments/", 403), (PEOPLE, 403)):
        answer = page.request.get(path)
        assert answer.status == status or "/accounts/login" in answer.url, (path, answer.status, answer.url)
    forged = page.request.post("/deployments/1/retry/")
    assert forged.status == 403


def test_every_page_is_usable_by_keyboard_and_screen_reader(administrator: Page, emmy: str) -> None:
    page, findings = administrator, []
    newest = "/deployments/1/"
    for path in (
        "/",
        "/groups/hopper-lab/",
        "/deployments/",
        "/deployments/stacks/",
        "/deployments/stacks/Cohort-Storage/",
        "/deployments/retry/",
        "/health/",
        "/admin/audit/auditevent/",
        newest,
        PEOPLE,
        f"{PEOPLE}add-to-group/?id=1",
        "/admin/groups/group/",
    ):
        page.goto(path)
        findings += serious_findings(page)
    page.context.clear_cookies()
    page.goto("/")
    findings += serious_findings(page)
    assert findings == []


def test_no_page_is_wider_than_a_telephone(administrator: Page, emmy: str) -> None:
    page = administrator
    page.set_viewport_size({"width": 390, "height": 844})
    paths = ("/", "/groups/hopper-lab/", "/deployments/", "/deployments/1/", "/deployments/stacks/", "/health/")
    for path in (*paths, "/deployments/stacks/Group-hopper-lab/", f"{PEOPLE}add-to-group/?id=1"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_an_analysis_whose_name_is_taken_meanwhile_stops_no_other_and_is_renamed(administrator: Page, site: Site) -> None:
    page, taken = administrator, "cohort-e2e-taken"
    somebody = site.root("s3", "444455556666")
    with site.worker_paused():
        new_analysis(page, "taken", taken)
        expect(page.get_by_text(f"Making the bucket {taken} of the analysis taken has started")).to_be_visible()
        somebody.create_bucket(Bucket=taken)
    site.must("analysis", "create", "untroubled", "--bucket", "cohort-e2e-untroubled")
    site.wait_for_deployments()
    page.goto("/analyses/taken/")
    expect(page.get_by_role("alert")).to_contain_text(f"AWS could not make the bucket {taken}", timeout=DEPLOYED)
    assert serious_findings(page) == []
    site.wait_for_deployments()
    site.root("s3").head_bucket(Bucket="cohort-e2e-untroubled")
    page.get_by_role("link", name="Try again, rename the bucket or remove the analysis").click()
    assert serious_findings(page) == []
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert").first).to_contain_text(f"The bucket name '{taken}' is taken")
    page.get_by_label("New bucket").fill("cohort-e2e-renamed")
    page.get_by_role("button", name="Rename bucket").click()
    expect(page.get_by_text("AWS is asked to make the bucket")).to_be_visible()
    site.wait_for_deployments()
    site.root("s3").head_bucket(Bucket="cohort-e2e-renamed")
    new_analysis(page, "again", taken)
    expect(page.get_by_text(f"The bucket name '{taken}' is taken")).to_be_visible()


def new_analysis(page: Page, slug: str, bucket: str) -> None:
    """Fill the form that makes one, and send it."""
    page.goto("/admin/groups/analysis/add/")
    page.get_by_label("Slug").fill(slug)
    page.get_by_label("Bucket").fill(bucket)
    page.get_by_role("button", name="Make the analysis").click()
