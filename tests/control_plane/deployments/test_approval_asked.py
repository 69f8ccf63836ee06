"""REQUIRE_APPROVAL: a run that would do what needs a second administrator stops before it does, and shows its plan."""

import pytest

from control_plane.access.groups.models import Access
from control_plane.access.groups.services.members import add_member, remove_members
from control_plane.base.audit.actors import Actor
from control_plane.deployments.approvals import approve
from control_plane.deployments.models import Deployment
from control_plane.deployments.plans import Plan
from tests.actors import OPERATOR
from tests.control_plane.fakes import FakeAws, configure, holding, reconcile_all, run_one
from tests.factories import UserFactory, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def second():
    user = UserFactory.create(email="second@example.org", password="a long enough password", administrator=True)
    return Actor(label=user.email, channel="web", user=user)


@pytest.fixture
def aws(monkeypatch):
    return FakeAws().install(monkeypatch)


@pytest.fixture
def broadening(monkeypatch):
    configure(monkeypatch, "plans", require_approval="broadening")


def joins(group, user):
    return add_member(group=group, user=user, access=Access.FEDERATED, actor=OPERATOR)


@pytest.mark.usefixtures("broadening")
def test_it_works(group, ada, second, aws):
    settle(group.stack)
    aws.stacks["Group-example-lab"] = holding(1)
    deployment = joins(group, ada)
    assert reconcile_all(aws) == 1
    deployment.refresh_from_db()
    assert (deployment.state, deployment.attempts, deployment.worker) == ("approval", 0, "")
    assert [(person["change"], person["widens"]) for person in deployment.plan["people"]] == [("joins", True)]
    assert deployment.stack.lease_owner == ""
    assert aws.deployed == []
    approve(deployment, actor=second)
    assert reconcile_all(aws) == 1
    deployment.refresh_from_db()
    assert (deployment.state, deployment.approved_by) == ("succeeded", "second@example.org")


@pytest.mark.usefixtures("broadening")
def test_what_gives_nobody_more_goes_on_by_itself(group, ada, aws):
    joins(group, ada)
    settle(group.stack)
    aws.stacks["Group-example-lab"] = holding(2)
    remove_members(group=group, users=[ada], actor=OPERATOR)
    assert run_one(aws).state == "succeeded"


@pytest.mark.usefixtures("broadening")
def test_a_deployer_that_cannot_tell_what_changes_is_taken_to_change_the_most(group, aws):
    aws.plan = None
    assert run_one(aws).state == "approval"


def test_always_means_a_change_of_nothing_too(group, aws, monkeypatch):
    configure(monkeypatch, "plans", require_approval="always")
    aws.plan = Plan()
    assert run_one(aws).state == "approval"
    assert aws.deployed == []


def test_never_asks_nobody(group, ada, aws):
    joins(group, ada)
    aws.plan = Plan(permissions="broadening")
    assert run_one(aws).state == "succeeded"


@pytest.mark.usefixtures("broadening")
def test_an_approval_does_not_hold_for_what_was_asked_for_after_it(group, ada, second, aws):
    aws.plan = Plan(permissions="broadening")
    approve(run_one(aws), actor=second)
    joins(group, ada)
    assert run_one(aws).state == "approval"
    assert aws.deployed == []


@pytest.mark.usefixtures("broadening")
def test_a_plan_that_is_out_of_date_when_it_is_made_is_not_put_before_anybody(group, ada, aws):
    aws.plan = Plan(permissions="broadening")
    aws.while_preparing = lambda *_: joins(group, ada)
    run_one(aws)
    first, second = Deployment.objects.order_by("pk")
    assert (first.state, second.state, second.attempts) == ("superseded", "queued", 0)
    aws.while_preparing = lambda *_: None
    assert run_one(aws).state == "approval"
    assert Deployment.objects.get(state="approval").generation == 2
