"""The access review right after a deployment, of groups without key holders, and of what is gone: IAM is late, and denies."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from moto import mock_aws

from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.services.members import remove_member
from control_plane.access.review import scan, schedule
from control_plane.access.review.models import AccessEntry, Finding, Scan
from control_plane.access.review.scan import scan_group
from control_plane.access.review.sign_off import NotSignable, sign_off
from control_plane.access.review.tasks import scan_access
from control_plane.accounts.models import User
from control_plane.base.aws import NotAllowed
from control_plane.deployments import iam_delay
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import request_repair
from stacks import names
from tests.actors import OPERATOR, client_of
from tests.control_plane.principals_on_aws import OnAws, deployed_lab, only_under_paths
from tests.factories import GroupFactory, settle

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def lab(group: Group, ada: User, grace: User, monkeypatch: pytest.MonkeyPatch) -> OnAws:
    return deployed_lab(group, ada, grace, monkeypatch)


def user_of(person: User) -> str:
    return names.user("example-lab", Membership.objects.wanted().get(user=person).username)


def kinds() -> set[str]:
    return set(Finding.objects.values_list("kind", flat=True))


def marks(**where: Any) -> set[str]:
    return {mark for line in AccessEntry.objects.filter(**where) for mark in line.marks}


def test_a_group_without_key_holders_is_answered_for(lab: OnAws, group: Group, ada: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default kind: its stack makes no IAM group, and looking for it is denied (`iam_lookups`)."""
    remove_member(group=group, user=ada, actor=OPERATOR)
    settle(group.stack)
    lab.undeploy_keys()
    only_under_paths(monkeypatch)
    scan_group(group)
    assert kinds() == set()
    assert {(line.membership.user.email, line.differs) for line in AccessEntry.objects.all() if line.membership} == {
        ("grace@example.org", False)
    }
    assert Scan.objects.get(group=group).error == ""


def test_what_is_missing_is_told_and_a_missing_right_is_not_taken_for_it(
    lab: OnAws, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.undeploy_keys()
    with monkeypatch.context() as patched:
        only_under_paths(patched)
        scan_group(group)
        assert kinds() == {"missing"}
    only_under_paths(monkeypatch, may_look=False)
    with pytest.raises(NotAllowed):
        scan_group(group)


def test_one_group_that_cannot_be_looked_at_hides_no_other(
    lab: OnAws, group: Group, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    GroupFactory.create(slug="other-lab", name="Other Lab")

    def refuse(found: Scan, one: Group) -> None:
        if one.slug == "other-lab":
            raise NotAllowed("AWS does not allow it: iam:GetRole")
        read(found, one)

    read = scan._read
    monkeypatch.setattr(scan, "_read", refuse)
    with pytest.raises(SystemExit):
        call_command("review", "look")
    told = capsys.readouterr().out
    assert "example-lab: 4 lines" in told
    assert "other-lab: not known. AWS does not allow it: iam:GetRole" in told


def test_what_differs_right_after_a_deployment_is_told_and_looked_at_again(
    lab: OnAws, group: Group, ada: User, grace: User
) -> None:
    """IAM may show what there was before (`iam_delay`): here it shows late that Ada's user is in the group."""
    just_deployed(group)
    lab.iam.remove_user_from_group(GroupName="cohort-example-lab", UserName=user_of(ada))
    scan_group(group)
    assert marks() == {"not-on-aws"}
    page = client_of(grace).get(f"{group.get_absolute_url()}review/").content.decode()
    assert "it may only be late" in page
    lab.iam.add_user_to_group(GroupName="cohort-example-lab", UserName=user_of(ada))
    schedule.start_due_scans()
    assert marks() == {"not-on-aws"}, "looked at again before IAM must show it"
    just_deployed(group, ago=iam_delay.SETTLES)
    schedule.start_due_scans()
    assert enqueued(group) == 1
    scan_group(group)
    assert marks() == set()
    assert "it may only be late" not in client_of(grace).get(f"{group.get_absolute_url()}review/").content.decode()


def test_what_differs_long_after_a_deployment_is_not_said_to_be_late(lab: OnAws, group: Group, ada: User) -> None:
    just_deployed(group, ago=iam_delay.SETTLES)
    lab.iam.remove_user_from_group(GroupName="cohort-example-lab", UserName=user_of(ada))
    scan_group(group)
    assert marks() == {"not-on-aws"}
    assert Scan.objects.get(group=group).asked_at is not None


def test_the_sweep_looks_once_iam_has_had_its_time(lab: OnAws, group: Group) -> None:
    just_deployed(group)
    assert schedule.start_due_scans() == 1, "more than what belongs to no group"
    just_deployed(group, ago=iam_delay.SETTLES)
    assert schedule.start_due_scans() == 1
    assert set(Scan.objects.values_list("group__slug", flat=True)) == {None, "example-lab"}


def test_a_scan_is_due_after_any_run_whatever_its_generation(lab: OnAws, group: Group, ada: User, administrator: User) -> None:
    """A repair deploys no new generation: what was red stayed red until somebody looked."""
    long_ago = timezone.now() - schedule.MIN_RESCAN_DELAY - iam_delay.SETTLES
    lab.iam.remove_user_from_group(GroupName="cohort-example-lab", UserName=user_of(ada))
    scan_group(group)
    Scan.objects.filter(group=group).update(asked_at=long_ago, finished_at=long_ago)
    schedule.start_due_scans()
    assert enqueued(group) == 0, "looked again, and nothing has changed"
    lab.iam.add_user_to_group(GroupName="cohort-example-lab", UserName=user_of(ada))
    repair = request_repair(group.stack, actor=OPERATOR)
    Deployment.objects.filter(pk=repair.pk).update(state="failed", finished_at=timezone.now() - iam_delay.SETTLES)
    with pytest.raises(NotSignable, match="was deployed since"):
        sign_off(group=group, actor=OPERATOR, looked_at=long_ago)
    schedule.start_due_scans()
    assert enqueued(group) == 1
    scan_group(group)
    assert marks() == set()
    Scan.objects.filter(group=group).update(asked_at=long_ago)
    schedule.start_due_scans()
    assert enqueued(group) == 1, "the same run makes it due once"


def test_what_belongs_to_no_group_is_looked_for_again_after_any_run(lab: OnAws, group: Group) -> None:
    lab.iam.create_user(UserName="stray", Path="/cohort/gone-lab/")
    long_ago = timezone.now() - schedule.MIN_RESCAN_DELAY - iam_delay.SETTLES
    scan.scan_outside_groups()
    Scan.objects.filter(group=None).update(asked_at=long_ago, finished_at=long_ago)
    assert enqueued(None) == 0
    just_deployed(group, ago=iam_delay.SETTLES)
    schedule.start_due_scans()
    assert enqueued(None) == 1
    lab.iam.delete_user(UserName="stray")
    scan.scan_outside_groups()
    Scan.objects.filter(group=None).update(asked_at=long_ago, finished_at=long_ago)
    schedule.start_due_scans()
    assert enqueued(None) == 1, "nothing was found, so that the daily look is enough"


def just_deployed(group: Group, ago: timedelta = timedelta()) -> None:
    Deployment.objects.filter(stack=group.stack).update(finished_at=timezone.now() - ago)


def enqueued(group: Group | None) -> int:
    found = DBTaskResult.objects.filter(task_path=scan_access.module_path)
    return sum(task.args_kwargs["args"] == [group and group.pk] for task in found)
