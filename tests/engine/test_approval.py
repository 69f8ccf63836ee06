"""Where a second administrator has to approve what gives somebody more, AWS stays as it is until one does."""

import pytest

from tests.engine.conftest import NewControl
from tests.engine.control import Control

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


def newest(control: Control) -> dict[str, object]:
    return control.dump()["deployments"][-1]  # type: ignore[no-any-return]


def test_access_is_given_once_somebody_else_has_approved_and_taken_without_asking(new_control: NewControl) -> None:
    control = new_control("sqlite", REQUIRE_APPROVAL="broadening")
    slug = control.slug("lab")
    control.worker()
    control.do("group", slug=slug)
    control.until(lambda dump: dump["deployments"][-1]["state"] == "approval")
    stacks = control.cloud.root("cloudformation").describe_stacks()["Stacks"]
    assert [
        stack["StackName"]
        for stack in stacks
        if stack["StackName"] == f"Group-{slug}" and stack["StackStatus"] != "REVIEW_IN_PROGRESS"
    ] == []
    assert "another administrator has to decide" in control.do("approve_own", deployment=newest(control)["id"])["refused"]
    control.do("approve", deployment=newest(control)["id"])
    control.settled()

    control.do("add", slug=slug, email="ada@example.org", access="keys")
    control.do("add", slug=slug, email="grace@example.org", access="federated")
    control.until(lambda dump: dump["deployments"][-1]["state"] == "approval")
    assert control.cloud.root("iam").list_users(PathPrefix=f"/cohort/{slug}/")["Users"] == []
    control.do("approve", deployment=newest(control)["id"])
    control.settled()
    control.assert_aws_holds_what_the_database_says()

    # The second is denied beside the first: a list that grows, which looks like one denial removed and one added.
    for email in ("grace@example.org", "ada@example.org"):
        control.do("remove", slug=slug, email=email)
        control.settled()
        assert newest(control)["state"] == "succeeded"
    control.assert_aws_holds_what_the_database_says()
