"""What is done at the terminal, line by line, so that each command's JSON is seen. A function is a step that no command takes."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
from django.utils import timezone

from tests.control_plane.principals_on_aws import OnAws
from tests.record import product
from tests.record.running import Site, browser, model, settings
from tests.record.stories import ANALYSIS, LAB, MANAGER, MEMBER, OTHER, end_jobs, make_lab, person, put

# Commands and verbs that print no JSON.
WITHOUT_JSON = ("sweep", "worker", "audit export", "roster export")


class Words(Mapping[str, Any]):
    """What the lines of the story name: files, and things of the database as they are by then."""

    def __init__(self, folder: Path) -> None:
        self._of: dict[str, Callable[[], Any]] = {
            "folder": lambda: folder,
            "root": lambda: product.ROOT,
            "deployment": lambda: model("deployments.Deployment").objects.latest("pk").pk,
            "failed": lambda: model("deployments.Deployment").objects.filter(state="failed").latest("pk").pk,
            "waits": lambda: model("deployments.Deployment").objects.filter(state="approval").earliest("pk").pk,
            "asker": lambda: model("groups.JoinRequest").objects.filter(state="waiting").earliest("pk").pk,
            "asked": lambda: model("catalogue.AccessRequest").objects.filter(state="waiting").earliest("pk").pk,
            "code": lambda: model("groups.JoinCode").objects.filter(withdrawn_at=None).latest("pk").prefix,
            "job": lambda: model("jobs.Job").objects.latest("pk").name,
        }

    def __getitem__(self, name: str) -> Any:
        return self._of[name]()

    def __iter__(self) -> Any:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)


def deploy(site: Site) -> None:
    """Deploy what waits."""
    site.deploy()


def fail(site: Site) -> None:
    """Deploy what waits, which CloudFormation takes back."""
    site.fail()


def wait_for_approval(site: Site) -> None:
    """Two changes that a second administrator decides about."""
    with settings(REQUIRE_APPROVAL="always", LOGNAME="another-operator"):
        for slug in (LAB, OTHER):
            site.must(f"member add {slug} approved-{slug}@example.org --create")
        site.deploy()


def ask(site: Site) -> None:
    """Two people ask for groups that there are not yet, and the group asks for two analyses."""
    for number, name in enumerate(("Meitner Lab", "Curie Lab")):
        person(f"asker-{number}@example.org")
        browser(f"asker-{number}@example.org").post("/requests/ask/", {"new_group": name})
    for slug in ("asked-one", "asked-two"):
        site.must(f"analysis create {slug} --bucket cohort-{slug}")
        browser(MANAGER).post(f"/analyses/{slug}/ask/", {"group": LAB, "reason": "we need it"})
    site.must("analysis create to-retire --bucket cohort-to-retire")
    site.deploy()


def write_files(site: Site) -> None:
    """A roster with a row that is refused, and one without; and what an analysis is said to be for."""
    head, day = "email,name,group,access,manager,ends_on,action", timezone.now() + timedelta(days=90)
    good = f"new@example.org,New,{LAB},federated,no,{day:%Y-%m-%d},"
    folder = Path(product.ROOT if site.folder is None else site.folder)
    (folder / "good.csv").write_text(f"{head}\n{good}\n")
    (folder / "bad.csv").write_text(f"{head}\n{good}\nother@example.org,Other,no-such-lab,federated,no,,\n")


def make_principals(site: Site) -> None:
    """What the group's stack makes in IAM."""
    group = model("groups.Group").objects.get(slug=LAB)
    OnAws(group).deploy(group)


def end_job(site: Site) -> None:
    """The back end says that every job went well."""
    end_jobs("SUCCESS")
    put("inputs/b.csv", "3,4")


def shift_retirements(site: Site) -> None:
    """The time in which retirements can be undone is over; a worker begins them, and AWS lets go."""
    for label in ("retirement.Retirement", "retirement.AnalysisRetirement"):
        model(label).objects.update(due_at=timezone.now())
    site.sweep()
    site.deploy()
    site.sweep()


def make_demonstration_bucket(site: Site) -> None:
    """What the storage stack makes for the demonstration."""
    site.deploy()
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=model("groups.Analysis").objects.latest("pk").bucket)


def make_unmade(site: Site) -> None:
    """Two analyses whose buckets AWS did not make."""
    for slug in ("unmade-one", "unmade-two"):
        site.must(f"analysis create {slug} --bucket cohort-{slug}")
        site.deploy()
        model("groups.Analysis").objects.filter(slug=slug).update(unmade_reason="AWS says that the name is taken.")


Step = str | Callable[[Site], None]
STORY: tuple[Step, ...] = (
    make_lab,
    write_files,
    # People and groups.
    "administrator ensure first-administrator@example.org",
    "administrator ensure first-administrator@example.org",
    "group create third-lab --name 'Third Lab'",
    "group create third-lab",
    deploy,
    "group list",
    f"group show {LAB}",
    f"group keys {LAB} allow",
    f"group suspend {LAB}",
    f"group resume {LAB}",
    deploy,
    f"member add {LAB} made@example.org --create --access keys",
    f"member add {LAB} made@example.org",
    f"member manager {LAB} {MEMBER}",
    f"member manager {LAB} {MEMBER} --remove",
    f"member until {LAB} {MEMBER} 2035-01-01",
    f"member until {LAB} {MEMBER} never",
    f"member access {LAB} {MEMBER} keys",
    deploy,
    f"member rotate {LAB} {MEMBER}",
    deploy,
    f"member old-key {LAB} {MEMBER} stop",
    f"member old-key {LAB} {MEMBER} remove",
    f"member suspend {LAB} {MEMBER}",
    f"member resume {LAB} {MEMBER}",
    f"member credentials {LAB} {MANAGER}",
    f"member move {LAB} made@example.org {OTHER}",
    deploy,
    f"member remove {OTHER} made@example.org",
    f"group rotate-keys {LAB}",
    deploy,
    f"group remove-old-keys {LAB}",
    deploy,
    "person foresee made@example.org",
    "person deactivate made@example.org",
    "person activate made@example.org",
    "person remove made@example.org --delete",
    f"joincode create {LAB} --days 10",
    f"joincode list {LAB}",
    f"joincode rotate {LAB} {{code}}",
    f"joincode withdraw {LAB} {{code}}",
    ask,
    "request list --all",
    "request approve {asker} --slug meitner-lab --access keys",
    "request decline {asker} --note no",
    # Analyses and the catalogue.
    "analysis create other --bucket cohort-other --name Other",
    "analysis list",
    deploy,
    f"analysis grant other {OTHER} --read-only",
    f"analysis revoke other {OTHER}",
    "catalogue list",
    f"catalogue show {ANALYSIS}",
    f"catalogue describe {ANALYSIS} --summary 'What it is for.' --custom",
    f"catalogue grant --default --to {LAB} {OTHER}",
    f"analysis revoke to-retire {LAB}",
    f"analysis revoke to-retire {OTHER}",
    "catalogue requests",
    "catalogue approve {asked} --note yes",
    "catalogue decline {asked} --note no",
    deploy,
    make_unmade,
    "catalogue try-again unmade-one",
    "catalogue rename-bucket unmade-two cohort-unmade-renamed",
    "catalogue remove unmade-two --confirm unmade-two",
    # Deployments and stacks.
    deploy,
    f"member add {OTHER} failing@example.org --create",
    fail,
    "deployment list",
    f"deployment list --group {LAB} --state succeeded",
    "deployment show {failed}",
    "deployment log {failed}",
    "deployment retry {failed}",
    "deployment cancel {deployment}",
    "deployment retry {deployment}",
    deploy,
    wait_for_approval,
    "deployment approve {waits}",
    "deployment reject {waits} --reason no",
    "deployment show 999",
    deploy,
    "stack list",
    f"stack show Group-{LAB}",
    f"stack check Group-{LAB}",
    "stack drift",
    f"stack repair Group-{LAB}",
    f"stack deploy-ours Group-{LAB}",
    deploy,
    "platform sync",
    "platform renew",
    deploy,
    # Jobs.
    f"job submit {LAB} {ANALYSIS} inputs/a.csv --config configs/first.yaml --as {MEMBER}",
    f"job list {LAB}",
    end_job,
    "job show {job}",
    "job follow {job} --timeout 1",
    "job log {job} inputs/a.csv",
    # Keys, limits, the review, rosters.
    make_principals,
    "keys check",
    "keys list",
    "quota read",
    "quota show",
    f"review look {LAB}",
    "review look",
    "review list",
    f"review list --group {LAB} --by bucket",
    "review list --csv",
    "review due",
    f"review sign {LAB} --note seen",
    "roster check {folder}/bad.csv",
    "roster apply {folder}/good.csv",
    "roster apply {folder}/bad.csv",
    f"roster export --group {LAB}",
    # Ends.
    "retire preview third-lab --timeout 0",
    "retire ask third-lab --confirm third-lab",
    "retire status third-lab",
    "retire undo third-lab",
    "retire ask third-lab --confirm third-lab --now",
    "retire_analysis ask to-retire --confirm cohort-to-retire",
    "retire_analysis status to-retire",
    "retire_analysis undo to-retire",
    "retire_analysis ask to-retire --confirm cohort-to-retire --now",
    shift_retirements,
    "retire list",
    "retire status third-lab",
    "retire_analysis status to-retire",
    # The predecessor.
    "legacy import {root}/tests/data/legacy-profiles/lab-one",
    "legacy import {root}/tests/data/legacy-profiles/lab-one --apply --create-analyses",
    "legacy keys list",
    "legacy adopt no-such-stack",
    # The site itself.
    "demo ensure",
    make_demonstration_bucket,
    "demo ensure",
    "demo samples",
    "backup create",
    "backup list",
    "backup verify",
    "backup restore latest --to {folder}/restored.sqlite3",
    "metrics push",
    "notify test member@example.org",
    "cleanup",
    "doctor",
    "audit export --format jsonl",
    "audit export --format csv",
    "sweep",
)
