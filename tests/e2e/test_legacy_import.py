"""The predecessor's sample profiles, taken in on a whole site: who was in a group gets into that one, and into no other."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.site import Site
from tests.e2e.test_main_job import refused

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SAMPLES = Path(__file__).parents[1] / "data/legacy-profiles"
BUCKET, DOMAIN = "cohort-e2e-import", "import.example.org"
LAB, NORTH, FAYS, CARCEA = "imported-examplelab", "imported-northlab", "imported", "imported-carcea-lab"
ARGUMENTS = ("--pipeline", "epi-ncap-web=importing", "--pipeline", "dlc-ncap-web=importing", "--access", "keys")


@dataclass
class Imported:
    """The site, what was to be read, and the reports of the dry run and of the import."""

    site: Site
    folder: Path
    dry: Any
    report: Any
    roles_before: set[str]


@pytest.fixture(scope="module")
def imported(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    folder = tmp_path_factory.mktemp("legacy") / "profiles"
    shutil.copytree(SAMPLES, folder)
    # Other names than those of the other tests on this site.
    for path in folder.rglob("*.json"):
        text = path.read_text().replace("example.org", DOMAIN)
        path.write_text(text.replace('"AffiliateName": "', '"AffiliateName": "Imported '))
    (folder / "torn").mkdir()
    (folder / "torn/user_config_template.json").write_bytes(b'{"UXData": {"Affiliates": [\xff')
    site.must("analysis", "create", "importing", "--bucket", BUCKET)
    site.wait_for_deployments()
    dry = site.must("legacy", "import", str(folder), *ARGUMENTS)
    slugs = {group["slug"] for group in site.must("group", "list")}
    assert not slugs & {LAB, NORTH, FAYS, CARCEA}
    roles = _names(site.root("iam").list_roles()["Roles"], "RoleName")
    report = site.must("legacy", "import", str(folder), *ARGUMENTS, "--apply")
    site.wait_for_deployments()
    return Imported(site, folder, dry, report, roles)


def _names(found: list[dict[str, Any]], key: str) -> set[str]:
    return {str(item[key]) for item in found}


def test_the_dry_run_foretold_the_import(imported: Imported) -> None:
    assert (imported.dry["applied"], imported.report["applied"]) == (False, True)
    assert imported.dry["profiles"] == imported.report["profiles"]
    assert imported.report["totals"]["person"] == {"taken": 4, "mended": 4}
    torn = next(profile for profile in imported.report["profiles"] if profile["name"] == "torn")
    assert torn["fate"] == "refused"


def test_each_group_is_deployed_once_with_its_people_and_no_more(imported: Imported) -> None:
    site = imported.site
    deployed = {f"group {slug}" for slug in (LAB, NORTH, "imported-southlab", FAYS, CARCEA)}
    assert set(imported.report["deployments"]) == deployed
    states = {deployment["id"]: deployment["state"] for deployment in site.must("deployment", "list")}
    assert {states[number] for number in imported.report["deployments"].values()} == {"succeeded"}
    members = {member["email"]: member["username"] for member in site.must("group", "show", LAB)["members"]}
    assert set(members) == {f"ada@{DOMAIN}", f"ben@{DOMAIN}"}
    iam = site.root("iam")
    assert {f"cohort-{LAB}", f"cohort-{CARCEA}"} <= _names(iam.list_roles()["Roles"], "RoleName") - imported.roles_before
    held = _names(iam.list_users(PathPrefix=f"/cohort/{LAB}/")["Users"], "UserName")
    assert held == {f"cohort-{LAB}-{username}" for username in members.values()}
    secret = site.root("secretsmanager").get_secret_value(SecretId=f"cohort/{LAB}/{members[f'ada@{DOMAIN}']}")
    assert json.loads(secret["SecretString"])["AccessKeyId"] == site.credentials(LAB, f"ada@{DOMAIN}")["AccessKeyId"]


def test_credentials_work_in_the_own_group_and_in_no_other(imported: Imported) -> None:
    site = imported.site
    for slug, email, other in ((LAB, f"ada@{DOMAIN}", FAYS), (FAYS, f"fay_t@{DOMAIN}", NORTH), (NORTH, f"cho@{DOMAIN}", LAB)):
        s3 = site.client("s3", site.credentials(slug, email))
        s3.put_object(Bucket=BUCKET, Key=f"{slug}/inputs/trace", Body=b"trace")
        assert site.root("s3").get_object(Bucket=BUCKET, Key=f"{slug}/inputs/trace")["Body"].read() == b"trace"
        assert refused(s3.put_object, Bucket=BUCKET, Key=f"{other}/inputs/trace", Body=b"")
        assert refused(s3.list_objects_v2, Bucket=BUCKET, Prefix=f"{other}/")
    # What the group had is not here: it has nothing.
    gus = site.client("s3", site.credentials(CARCEA, f"gus@{DOMAIN}"))
    assert refused(gus.put_object, Bucket=BUCKET, Key=f"{CARCEA}/inputs/trace", Body=b"")
    assert site.manage("member", "credentials", NORTH, f"ada@{DOMAIN}").status != 0


def test_the_data_of_before_is_copied_by_the_command_in_the_report(imported: Imported) -> None:
    lab = next(profile for profile in imported.report["profiles"] if profile["name"] == "lab-one")["affiliates"][0]
    assert lab["copies"][0] == f"aws s3 sync 's3://epi-ncap-web/Imported examplelab/' s3://{BUCKET}/{LAB}/"


def test_a_second_time_changes_nothing(imported: Imported) -> None:
    site = imported.site

    def state() -> list[Any]:
        users = _names(site.root("iam").list_users(PathPrefix="/cohort/")["Users"], "UserName")
        mine = [stack for stack in site.must("stack", "list") if "imported-" in stack["name"]]
        return [sorted(users), [(stack["name"], stack["generation"]) for stack in mine], len(site.must("deployment", "list"))]

    before = state()
    again = site.must("legacy", "import", str(imported.folder), *ARGUMENTS, "--apply")
    assert again["deployments"] == {}
    assert set(again["totals"]["person"]) == {"there already"}
    assert set(again["totals"]["group"]) == {"there already", "refused"}
    assert state() == before
