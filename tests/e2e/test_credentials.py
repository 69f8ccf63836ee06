"""A member's own computer: signed in through the page, used with AWS's command line, and shut out when it should be."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Browser, Error, Page, expect

from stacks.environment import isolated
from tests.e2e.conftest import serious_findings, sign_in
from tests.e2e.site import Finished, Site

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(300)]

PASSWORD = "correct horse battery staple"
MEMBER, HOLDER = "rosalind@example.org", "dorothy@example.org"
GROUP, OTHER, BUCKET = "franklin-lab", "hodgkin-lab", "cohort-crystals"
PAGE = f"/groups/{GROUP}/credentials/"
DEPLOYED = 60_000
NO_AWS = "NO AWS COMMAND LINE: these tests need the `aws` command. Install it (pip install awscli) and run them again."


@pytest.fixture(scope="module")
def lab(site: Site) -> Site:
    """Two groups that may use one analysis; in the first a federated member and one with a key."""
    site.must("analysis", "create", "crystals", "--bucket", BUCKET, "--name", "Crystals")
    for group, name in ((GROUP, "Franklin Lab"), (OTHER, "Hodgkin Lab")):
        site.must("group", "create", group, "--name", name)
        site.must("analysis", "grant", "crystals", group)
    for email, access in ((MEMBER, "federated"), (HOLDER, "keys")):
        site.must("member", "add", GROUP, email, "--create", "--access", access)
        give_password(site, email)
    site.wait_for_deployments()
    return site


def give_password(site: Site, email: str) -> None:
    lines = (
        "from allauth.account.models import EmailAddress",
        "from control_plane.accounts.models import User",
        f"user = User.objects.get(email='{email}')",
        f"user.set_password('{PASSWORD}')",
        "user.save()",
        "EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={'verified': True, 'primary': True})",
    )
    done = site.manage("shell", "-c", "\n".join(lines))
    assert done.status == 0, done.err


class OwnComputer:
    """A home folder with the helper in it, and nothing of this machine's AWS."""

    def __init__(self, home: Path, site: Site) -> None:
        self.home, self._site = home, site
        clean = {name: value for name, value in isolated(os.environ).items() if not name.startswith("AWS_")}
        python = home / "bin"
        python.mkdir()
        (python / "python3").symlink_to(sys.executable)
        (python / "rclone").symlink_to(Path(sys.executable).with_name("rclone"))
        self._environment = clean | {"HOME": str(home), "PATH": f"{python}:{clean['PATH']}", "BROWSER": "true", "AWS_PAGER": ""}
        self._environment.pop("XDG_CONFIG_HOME", None)

    def run(self, *command: str) -> Finished:
        done = subprocess.run(
            command, env=self._environment, cwd=self.home, capture_output=True, text=True, timeout=120, check=False
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def start(self, line: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/bin/sh", "-c", line], env=self._environment, cwd=self.home, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def aws(self, *words: str) -> Finished:
        return self.run("aws", *words, "--profile", f"cohort-{GROUP}")


@pytest.fixture(scope="module")
def computer(lab: Site, tmp_path_factory: pytest.TempPathFactory) -> OwnComputer:
    if shutil.which("aws") is None:
        pytest.skip(NO_AWS)
    return OwnComputer(tmp_path_factory.mktemp("home"), lab)


@pytest.fixture
def member(page: Page, lab: Site) -> Page:
    sign_in(page, MEMBER, PASSWORD)
    return page


@pytest.fixture
def holder(browser: Browser, lab: Site) -> Iterator[Page]:
    context = browser.new_context(base_url=lab.url, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    sign_in(opened, HOLDER, PASSWORD)
    yield opened
    context.close()


def snippet(page: Page, name: str) -> str:
    text = page.locator(f"#{name}").text_content()
    assert text
    return text


def test_a_member_signs_a_computer_in_and_uses_the_page_s_own_commands(member: Page, computer: OwnComputer) -> None:
    page = member
    page.goto(PAGE)
    assert serious_findings(page) == []
    done = computer.run("sh", "-c", snippet(page, "fetch"))
    assert done.status == 0, done.err
    (computer.home / ".aws").mkdir()
    (computer.home / ".aws/config").write_text(snippet(page, "aws-config") + "\n")
    refused = computer.aws("s3", "ls", f"s3://{BUCKET}/{GROUP}/")
    assert refused.status != 0
    assert "not signed in" in refused.err
    helper = computer.start(snippet(page, "login"))
    assert helper.stderr is not None
    code = helper.stderr.readline().split()[-1]
    address = re.search(r"(http\S+)", helper.stderr.readline())
    assert address is not None
    page.goto(address[1])
    expect(page.locator("dd", has_text=code)).to_be_visible()
    assert serious_findings(page) == []
    page.get_by_role("button", name="Yes, sign it in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The computer is signed in")
    out, err = helper.communicate(timeout=60)
    assert helper.returncode == 0, err
    assert f"[profile cohort-{GROUP}]" in out
    page.goto(PAGE)
    expect(page.get_by_role("table")).to_contain_text("(Linux)")


def test_files_go_up_and_down_and_the_other_group_s_are_out_of_reach(computer: OwnComputer, lab: Site) -> None:
    lab.root("s3").put_object(Bucket=BUCKET, Key=f"{OTHER}/inputs/secret.txt", Body=b"theirs")
    sent = computer.home / "größe 1.csv"
    sent.write_text("a,b\n1,2\n")
    up = computer.aws("s3", "cp", str(sent), f"s3://{BUCKET}/{GROUP}/inputs/")
    assert up.status == 0, up.err
    down = computer.aws("s3", "cp", f"s3://{BUCKET}/{GROUP}/inputs/größe 1.csv", "back.csv")
    assert down.status == 0, down.err
    assert (computer.home / "back.csv").read_bytes() == sent.read_bytes()
    tries = (
        ("s3", "cp", f"s3://{BUCKET}/{OTHER}/inputs/secret.txt", "stolen.txt"),
        ("s3", "cp", str(sent), f"s3://{BUCKET}/{OTHER}/inputs/"),
        ("s3", "ls", f"s3://{BUCKET}/{OTHER}/"),
        ("s3", "ls", f"s3://{BUCKET}/"),
        ("s3", "cp", str(sent), f"s3://{BUCKET}/{GROUP}/results/"),
        (
            "sts",
            "assume-role",
            "--role-arn",
            f"arn:aws:iam::111122223333:role/cohort/{OTHER}/cohort-{OTHER}",
            "--role-session-name",
            "rosalind",
        ),
    )
    for words in tries:
        done = computer.aws(*words)
        assert done.status != 0, words
        assert re.search("AccessDenied|Forbidden|403", done.err), done.err
    assert not (computer.home / "stolen.txt").exists()


@pytest.mark.parametrize("size", [1_000, 9_000_000])
def test_members_rename_and_move_their_own_files_by_the_page_s_own_commands(
    member: Page, computer: OwnComputer, lab: Site, size: int
) -> None:
    """A large one is copied in parts by AWS's command line."""
    member.goto(PAGE)
    (computer.home / "rclone.conf").write_text(snippet(member, "rclone-config") + "\n")
    s3, folder = lab.root("s3"), f"{GROUP}/inputs"
    for program in ("aws", "rclone"):
        lines = [line for line in snippet(member, program).splitlines() if " mv " in line or " moveto " in line]
        assert len(lines) == 1
        old, new = re.findall(r"\S+/(inputs/\S+)", lines[0])
        s3.put_object(Bucket=BUCKET, Key=f"{GROUP}/{old}", Body=b"x" * size, Tagging="session=5")
        done = computer.run("sh", "-c", f"RCLONE_CONFIG={computer.home}/rclone.conf {lines[0]}")
        assert done.status == 0, done.err
        held = [content["Key"] for content in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{folder}/").get("Contents", [])]
        assert (f"{GROUP}/{new}" in held, f"{GROUP}/{old}" in held) == (True, False)
        assert s3.head_object(Bucket=BUCKET, Key=f"{GROUP}/{new}")["ContentLength"] == size
        s3.delete_object(Bucket=BUCKET, Key=f"{GROUP}/{new}")


def test_a_folder_goes_up_by_rclone_and_is_moved(computer: OwnComputer, lab: Site) -> None:
    (computer.home / "trial").mkdir(exist_ok=True)
    for name in ("one.csv", "zwei ä.csv"):
        (computer.home / "trial" / name).write_text(name)
    remote = f"cohort-{GROUP}:{BUCKET}/{GROUP}/inputs"
    config = ("--config", str(computer.home / "rclone.conf"), "--retries", "1", "--low-level-retries", "1")
    for words in (
        ("copy", "trial", f"{remote}/trial/"),
        ("move", f"{remote}/trial/", f"{remote}/day/"),
        ("copy", "trial/one.csv", f"{remote}/alone/", "--no-check-dest"),
    ):
        done = computer.run("rclone", *config, *words)
        assert done.status == 0, done.err
    again = computer.run("rclone", *config, "sync", "trial", f"{remote}/day/", "--dry-run")
    assert (again.status, "Skipped" in again.err) == (0, False), "the times came along: nothing is sent twice"
    held = lab.root("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"{GROUP}/inputs/")["Contents"]
    found = sorted(item["Key"].removeprefix(f"{GROUP}/inputs/") for item in held)
    mine = [key for key in found if key.startswith(("alone/", "day/", "trial/"))]
    assert mine == ["alone/one.csv", "day/one.csv", "day/zwei ä.csv"]


def test_a_session_that_left_the_server_ends_no_version(computer: OwnComputer, lab: Site) -> None:
    key = f"{GROUP}/inputs/größe 1.csv"
    versions = lab.root("s3").list_object_versions(Bucket=BUCKET, Prefix=key).get("Versions", [])
    assert versions
    version = str(versions[0]["VersionId"])
    done = computer.aws("s3api", "delete-object", "--bucket", BUCKET, "--key", key, "--version-id", version)
    assert done.status != 0
    assert "AccessDenied" in done.err


def test_short_lived_credentials_work_at_once_and_are_gone_with_the_page(member: Page, lab: Site) -> None:
    page = member
    page.goto(PAGE)
    page.get_by_role("button", name=re.compile("Show credentials for 60 minutes")).click()
    given = dict(re.findall(r"export (\w+)='([^']+)'", snippet(page, "shell")))
    assert serious_findings(page) == []
    names = {"AccessKeyId": "AWS_ACCESS_KEY_ID", "SecretAccessKey": "AWS_SECRET_ACCESS_KEY", "SessionToken": "AWS_SESSION_TOKEN"}
    client = lab.client("s3", {name: given[variable] for name, variable in names.items()})
    client.put_object(Bucket=BUCKET, Key=f"{GROUP}/inputs/now.txt", Body=b"x")
    with pytest.raises(ClientError):
        client.get_object(Bucket=BUCKET, Key=f"{OTHER}/inputs/secret.txt")
    page.get_by_role("link", name="Use from your own computer").click()
    # Nothing was kept that the browser could show again.
    with pytest.raises(Error, match="ERR_CACHE_MISS"):
        page.go_back()


def key_on(page: Page) -> dict[str, str]:
    """What the page shows of a key."""
    lines = dict(re.findall(r"(\w+) = (\S+)", snippet(page, "profile")))
    return {"AccessKeyId": lines["aws_access_key_id"], "SecretAccessKey": lines["aws_secret_access_key"]}


def test_a_key_is_shown_once_works_and_dies_when_it_is_replaced(holder: Page, lab: Site) -> None:
    page = holder
    page.goto(PAGE)
    assert "aws_secret_access_key" not in page.content()
    page.get_by_role("button", name="Show my key once").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button").first.click()
    first = key_on(page)
    assert serious_findings(page) == []
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download").click()
    assert first["SecretAccessKey"] in waiting.value.path().read_text()
    lab.client("s3", first).put_object(Bucket=BUCKET, Key=f"{GROUP}/inputs/key.txt", Body=b"x")
    with pytest.raises(ClientError):
        lab.client("s3", first).get_object(Bucket=BUCKET, Key=f"{OTHER}/inputs/secret.txt")
    page.get_by_role("link", name="I have it").click()
    expect(page.get_by_text("Shown to you")).to_be_visible()
    expect(page.get_by_role("button", name="Show my key once")).to_have_count(0)
    page.get_by_text("Replace my key").first.click()
    page.get_by_label("The present key works beside it").select_option("0")
    page.get_by_role("button", name="Replace my key").click()
    expect(page.get_by_role("button", name="Show my key once")).to_be_visible(timeout=DEPLOYED)
    with pytest.raises(ClientError, match=r"InvalidAccessKeyId|InvalidClientTokenId|AccessDenied"):
        lab.client("s3", first).list_objects_v2(Bucket=BUCKET, Prefix=f"{GROUP}/")
    page.get_by_role("button", name="Show my key once").click()
    second = key_on(page)
    assert second["AccessKeyId"] != first["AccessKeyId"]
    lab.client("s3", second).list_objects_v2(Bucket=BUCKET, Prefix=f"{GROUP}/")


def test_signing_out_everywhere_denies_on_aws_the_session_that_was_taken_and_no_later_one(holder: Page, lab: Site) -> None:
    page = holder
    taken = session_on(page)
    assert can_list(lab, taken)
    page.goto("/accounts/sessions/")
    assert serious_findings(page) == []
    page.get_by_role("button", name="Sign out everywhere else").click()
    expect(page.get_by_text("You are signed out everywhere else")).to_be_visible()
    deadline = time.monotonic() + 60
    while can_list(lab, taken):
        assert time.monotonic() < deadline, "The session that was taken still works."
        time.sleep(0.5)
    lab.wait_for_deployments()
    # The cut-off lies five seconds ahead, and no session is opened before it.
    time.sleep(5)
    assert can_list(lab, session_on(page))
    assert not can_list(lab, taken)


def can_list(lab: Site, credentials: dict[str, str]) -> bool:
    """Whether AWS lets whoever holds these credentials list the group's folder."""
    try:
        lab.client("s3", credentials).list_objects_v2(Bucket=BUCKET, Prefix=f"{GROUP}/")
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False
    return True


def session_on(page: Page) -> dict[str, str]:
    """What the page shows of short-lived credentials."""
    page.goto(PAGE)
    page.get_by_role("button", name="Show credentials for 60 minutes").click()
    lines = dict(re.findall(r"(\w+) = (\S+)", snippet(page, "profile")))
    return key_on(page) | {"SessionToken": lines["aws_session_token"]}


def test_the_pages_fit_a_telephone(member: Page) -> None:
    page = member
    page.set_viewport_size({"width": 390, "height": 844})
    for path in (PAGE, "/identity/o/device"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert serious_findings(page) == []


def test_who_is_removed_is_shut_out_by_the_site_and_by_aws(computer: OwnComputer, lab: Site) -> None:
    kept = next((computer.home / ".config/cohort").glob("session-*"))
    old = json.loads(kept.read_text())
    lab.must("member", "remove", GROUP, MEMBER, "--wait")
    deadline = time.monotonic() + 60
    while computer.aws("s3", "ls", f"s3://{BUCKET}/{GROUP}/").status == 0:
        assert time.monotonic() < deadline, "The session that the helper kept still works."
        time.sleep(1)
    with pytest.raises(ClientError):
        lab.client("s3", old).list_objects_v2(Bucket=BUCKET, Prefix=f"{GROUP}/")
    kept.unlink()
    refused = computer.aws("s3", "ls", f"s3://{BUCKET}/{GROUP}/")
    assert refused.status != 0
    assert "You are not in a group" in refused.err
    audit = lab.manage("shell", "-c", AUDIT).out
    assert f"POST /api/credentials/{GROUP}" in audit


AUDIT = (
    "from control_plane.base.audit.models import AuditEvent\n"
    f"print(*AuditEvent.objects.filter(action='access.refused', actor='{MEMBER}').values_list('target', flat=True), sep='\\n')"
)
