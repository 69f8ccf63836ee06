"""The data folder is destroyed: a backup brings everything back, and what AWS was given after it is shown, not undone."""

import json
from typing import Any

import pytest

from tests.engine.conftest import NewControl
from tests.engine.control import Control

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


def show(control: Control, slug: str) -> dict[str, Any]:
    return json.loads(control.manage("stack", "show", f"Group-{slug}", "--json"))  # type: ignore[no-any-return]


def iam_users(control: Control, slug: str) -> set[str]:
    return {user["UserName"] for user in control.cloud.root("iam").list_users(PathPrefix=f"/cohort/{slug}/")["Users"]}


def newest_events(control: Control, *slugs: str) -> list[str]:
    client = control.cloud.root("cloudformation")
    return [client.describe_stack_events(StackName=f"Group-{slug}")["StackEvents"][0]["EventId"] for slug in slugs]


def stack(dump: dict[str, Any], slug: str) -> dict[str, Any]:
    return next(stack for stack in dump["stacks"] if stack["name"] == f"Group-{slug}")


@pytest.fixture
def restored(new_control: NewControl, tmp_path: Any) -> tuple[Control, str, str, set[str]]:
    """Two groups were backed up; one got a key holder and a federated member since; then everything was lost and restored."""
    control = new_control("sqlite", BACKUP_STORE=str(tmp_path / "backups"))
    changed, quiet = control.slug("changed"), control.slug("quiet")
    for slug in (changed, quiet):
        control.do("group", slug=slug)
        control.do("grant", analysis="ephys", slug=slug)
        control.do("add", slug=slug, email="ada@example.org", access="keys")
    worker = control.worker()
    control.settled()
    control.manage("backup", "create")
    control.do("add", slug=changed, email="bob@example.org", access="keys")
    control.settled()
    control.do("add", slug=changed, email="cleo@example.org", access="federated")
    dump = control.settled()
    after = {member["username"] for member in dump["members"] if member["email"] != "ada@example.org"}
    worker.kill()
    control.lose_disk()
    control.manage("backup", "restore", "latest")
    return control, changed, quiet, after


def test_what_aws_was_given_after_the_backup_is_shown_and_kept_until_somebody_decides(
    restored: tuple[Control, str, str, set[str]],
) -> None:
    control, changed, quiet, after = restored
    before, users = newest_events(control, changed, quiet), iam_users(control, changed)
    assert len(users) == 2
    control.worker()
    dump = control.until(
        lambda now: stack(now, changed)["drift_state"] == "drifted" and stack(now, quiet)["drift_state"] == "in-sync"
    )
    assert [member["email"] for member in dump["members"] if member["group"] == changed] == ["ada@example.org"]
    # The key holder is named as IAM has them. The federated one's manifest was lost with the folder.
    added = {resource["logical_id"] for resource in stack(dump, changed)["drift"] if resource["status"] == "added"}
    assert added == {user for user in users if any(user.endswith(name) for name in after)}
    shown = show(control, changed)
    assert shown["newer_generation"] > shown["generation"]
    # A change that is asked for now does not undo it by the way either, however many there are.
    for name in ("dora", "emil", "fred", "gwen"):
        control.do("add", slug=changed, email=f"{name}@example.org")
    dump = control.idle()
    newest = [deployment for deployment in dump["deployments"] if deployment["stack"] == f"Group-{changed}"][-1]
    assert (newest["state"], newest["failure"]) == ("failed", "permanent")
    assert "does not know" in newest["error"]
    assert newest_events(control, changed, quiet) == before
    assert iam_users(control, changed) == users
    # Whoever decides for the database has AWS hold exactly that.
    control.manage("stack", "deploy-ours", f"Group-{changed}", "--wait")
    control.settled()
    assert len(iam_users(control, changed)) == 1
    control.assert_aws_holds_what_the_database_says()
    assert show(control, changed)["newer_generation"] == 0
    control.do("add", slug=changed, email="hugo@example.org", access="keys")
    control.settled()
    control.assert_aws_holds_what_the_database_says()


def test_a_group_that_did_not_change_since_goes_on_as_before(restored: tuple[Control, str, str, set[str]]) -> None:
    control, _, quiet, _ = restored
    many = len([deployment for deployment in control.dump()["deployments"] if deployment["stack"] == f"Group-{quiet}"])
    control.worker()
    dump = control.until(lambda now: stack(now, quiet)["drift_state"] == "in-sync")
    assert len([deployment for deployment in dump["deployments"] if deployment["stack"] == f"Group-{quiet}"]) == many
    control.do("add", slug=quiet, email="ines@example.org", access="keys")
    dump = control.until(lambda now: stack(now, quiet)["generation"] == stack(now, quiet)["deployed_generation"])
    assert len(iam_users(control, quiet)) == 2
