"""Limits of AWS: read, shown, and kept before anything is asked of AWS."""

import json
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from moto import mock_aws

from control_plane.access.groups.models import Access, Analysis, Grant, Group, Membership
from control_plane.access.groups.services.analyses import grant_analysis, revoke_analysis
from control_plane.access.groups.services.groups import create_group
from control_plane.access.groups.services.members import add_members, remove_members
from control_plane.access.limits import aws_use, schedule
from control_plane.access.limits.definitions import GROUPS, PER_PRINCIPAL, POLICIES, ROLES, STACKS, USERS
from control_plane.access.limits.headroom import list_headroom
from control_plane.access.limits.models import Reading, Usage
from control_plane.access.limits.own_use import count_own_use
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.aws import AwsUnreachable, Place
from control_plane.base.config import config
from control_plane.base.errors import LimitReached
from control_plane.deployments.cloudformation import client
from control_plane.deployments.models import Deployment, Stack
from control_plane.operation.health.figures import gather
from control_plane.operation.health.metrics import exposition
from tests.factories import AnalysisFactory, GroupFactory, settle

pytestmark = pytest.mark.django_db


def usage(name: str, used: int | None, limit: int | None, ours: int = 0) -> Usage:
    """As AWS told it."""
    region = config().cohort_region if name == STACKS else ""
    values = {"used": used, "limit": limit, "ours": ours, "read_at": timezone.now()}
    return Usage.objects.update_or_create(account=config().cohort_account, region=region, name=name, defaults=values)[0]


def people(many: int, name: str = "person") -> list[User]:
    return User.objects.bulk_create(User(email=f"{name}{number}@example.org") for number in range(many))


@pytest.fixture
def settings_say(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Have a setting say something else."""

    def say(name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        config.cache_clear()

    yield say
    monkeypatch.undo()
    config.cache_clear()


def test_a_group_too_many_is_refused_with_what_to_do_and_nothing_is_made(operator: Actor) -> None:
    usage(ROLES, used=1000, limit=1000)
    with pytest.raises(LimitReached, match=r"1,001 IAM roles, and its limit is 1,000. Nothing was changed.*Service Quotas"):
        create_group(slug="one-more", actor=operator)
    assert not Group.objects.exists()
    assert not Deployment.objects.exists()
    assert not Stack.objects.filter(name="Group-one-more").exists()


def test_a_stack_too_many_is_refused(operator: Actor) -> None:
    usage(STACKS, used=1999, limit=2000)
    GroupFactory.create(slug="the-last")
    with pytest.raises(LimitReached, match="2,001 CloudFormation stacks"):
        create_group(slug="one-more", actor=operator)


def test_what_is_asked_for_and_not_deployed_counts_in_every_group(group: Group, operator: Actor) -> None:
    usage(USERS, used=4990, limit=5000)
    other = GroupFactory.create(slug="other-lab")
    add_members(group=other, users=people(6, "first"), access=Access.KEYS, actor=operator)
    before = group.stack.generation
    with pytest.raises(LimitReached, match=r"5,001 IAM users.*federated"):
        add_members(group=group, users=people(5), access=Access.KEYS, actor=operator)
    assert not Membership.objects.filter(group=group).exists()
    group.stack.refresh_from_db()
    assert group.stack.generation == before
    add_members(group=group, users=people(4, "third"), access=Access.KEYS, actor=operator)


def test_federated_members_and_removals_are_never_refused(group: Group, operator: Actor) -> None:
    holders = people(3)
    add_members(group=group, users=holders, access=Access.KEYS, actor=operator)
    usage(USERS, used=6000, limit=5000)
    add_members(group=group, users=people(3, "federated"), access=Access.FEDERATED, actor=operator)
    remove_members(group=group, users=holders[:1], actor=operator)


def test_who_is_to_be_removed_counts_until_aws_has_let_go(group: Group, operator: Actor) -> None:
    holders = people(2)
    add_members(group=group, users=holders, access=Access.KEYS, actor=operator)
    settle(group.stack)
    usage(USERS, used=2, limit=2, ours=2)
    remove_members(group=group, users=holders[:1], actor=operator)
    with pytest.raises(LimitReached, match="3 IAM users"):
        add_members(group=group, users=people(1, "new"), access=Access.KEYS, actor=operator)
    settle(group.stack)
    add_members(group=group, users=people(1, "later"), access=Access.KEYS, actor=operator)


def test_the_first_key_holder_of_a_group_takes_an_iam_group(group: Group, operator: Actor) -> None:
    usage(GROUPS, used=300, limit=300)
    with pytest.raises(LimitReached, match="301 IAM groups"):
        add_members(group=group, users=people(1), access=Access.KEYS, actor=operator)


def analyses(many: int, operator: Actor) -> list[Analysis]:
    bucket = f"cohort-{'long-' * 6}"
    return [AnalysisFactory.create(slug=f"analysis-{number}", bucket=f"{bucket}{number}") for number in range(many)]


def test_an_analysis_too_many_is_refused(group: Group, operator: Actor) -> None:
    usage(POLICIES, used=1500, limit=1500)
    (analysis,) = analyses(1, operator)
    with pytest.raises(LimitReached, match=r"1,501 managed policies"):
        grant_analysis(analysis=analysis, group=group, level=Grant.Level.READ_ONLY, actor=operator)
    assert not Grant.objects.exists()


def test_a_role_of_fewer_policies_than_usual_is_respected(group: Group, operator: Actor) -> None:
    usage(PER_PRINCIPAL, used=None, limit=1)
    granted = analyses(20, operator)
    refusal, done = "", 0
    while not refusal:
        try:
            grant_analysis(analysis=granted[done], group=group, level=Grant.Level.READ_WRITE, actor=operator)
            done += 1
        except LimitReached as error:
            refusal = str(error)
    assert "Example Lab would need 2 where AWS allows 1 (managed policies of one role)" in refusal
    assert Grant.objects.count() == done > 5
    revoke_analysis(analysis=granted[0], group=group, actor=operator)


@pytest.mark.parametrize("limit", [None, 5000])
def test_a_limit_that_is_not_known_refuses_nothing(limit: int | None, group: Group, operator: Actor) -> None:
    if limit is None:
        usage(USERS, used=10**6, limit=None)
    add_members(group=group, users=people(1), access=Access.KEYS, actor=operator)


def test_the_settings_know_better(group: Group, operator: Actor, settings_say: Any) -> None:
    usage(USERS, used=10, limit=None)
    settings_say("QUOTA_IAM_USERS", "10")
    with pytest.raises(LimitReached, match="11 IAM users, and its limit is 10"):
        add_members(group=group, users=people(1), access=Access.KEYS, actor=operator)
    settings_say("QUOTA_IAM_USERS", "11")
    add_members(group=group, users=people(1, "again"), access=Access.KEYS, actor=operator)


def test_ours_is_what_the_rows_say(group: Group, operator: Actor) -> None:
    account, region = config().cohort_account, config().cohort_region
    add_members(group=group, users=people(101), access=Access.KEYS, actor=operator)
    assert count_own_use(account, region, on_aws=True) == dict.fromkeys((USERS, GROUPS, ROLES, POLICIES, STACKS), 0)
    assert count_own_use(account, region) == {USERS: 101, GROUPS: 1, ROLES: 1, POLICIES: 0, STACKS: 2}
    settle(group.stack)
    assert count_own_use(account, region, on_aws=True) == count_own_use(account, region)
    assert count_own_use(account, "eu-west-1")[STACKS] == 1
    assert count_own_use("999999999999", region)[ROLES] == 0


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        client.cache_clear()
        yield
    client.cache_clear()


def test_aws_is_asked_and_what_it_says_is_kept(aws: None, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_use, "_cloudformation", lambda region: {"Stacks": 7, "StackLimit": 2000})
    aws_use.read_aws_use(config().cohort_account)
    kept = {row.name: (row.region, row.used, row.limit) for row in Usage.objects.all()}
    assert kept[USERS] == ("", 0, 5000)
    assert kept[STACKS] == (config().cohort_region, 7, 2000)
    assert kept[PER_PRINCIPAL][1] is None
    assert Reading.objects.get().read_at is not None
    found = {path.name: path for path in list_headroom()}
    assert (found[ROLES].used, found[ROLES].wanted) == (0, 1)
    assert PER_PRINCIPAL not in found


def test_an_aws_that_does_not_answer_is_on_record_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    usage(USERS, used=10, limit=20)

    def silent(place: Place) -> dict[str, int]:
        raise AwsUnreachable("no network")

    monkeypatch.setattr(aws_use, "_iam", silent)
    with pytest.raises(aws_use.AwsUseNotRead, match="no network"):
        aws_use.read_aws_use(config().cohort_account)
    assert Reading.objects.get().error == "no network"
    assert Usage.objects.get().used == 10


def test_it_is_asked_once_an_hour_however_many_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("control_plane.access.limits.tasks.read_limits", None)
    monkeypatch.setattr(schedule, "read_limits", type("Task", (), {"enqueue": staticmethod(asked.append)}))
    for _ in range(3):
        schedule.read_limits_when_due()
    assert len(asked) == 1
    Reading.objects.update(asked_at=timezone.now() - timedelta(hours=2))
    for _ in range(3):
        schedule.read_limits_when_due()
    assert len(asked) == 2


def test_the_page_shows_words_numbers_and_groups(
    client: Client, administrator: User, group: Group, operator: Actor, django_assert_max_num_queries: Any
) -> None:
    add_members(group=group, users=people(2), access=Access.KEYS, actor=operator)
    usage(USERS, used=4299, limit=5000)
    usage(ROLES, used=5, limit=1000)
    for number in range(30):
        GroupFactory.create(slug=f"further-{number}")
    usage(STACKS, used=2000, limit=2000)
    usage(POLICIES, used=3, limit=None)
    client.force_login(administrator)
    with django_assert_max_num_queries(14):
        page = client.get("/quotas/").content.decode()
    assert "nearly used up: 4,301 of 5,000 (86 %)" in page
    assert "✗ used up" in page
    assert "limit not known" in page
    assert "Example Lab" in page
    assert "2 of 600" in page


def test_nobody_else_sees_it(client: Client, ada: User) -> None:
    assert client.get("/quotas/").status_code == 302
    client.force_login(ada)
    assert client.get("/quotas/").status_code == 403


def test_health_warns_and_metrics_tell(client: Client, administrator: User) -> None:
    usage(USERS, used=4100, limit=5000)
    usage(ROLES, used=1, limit=1000)
    assert [path.name for path in gather().scarce] == [USERS]
    text = exposition().decode()
    account = config().cohort_account
    assert f'cohort_quota_used{{account="{account}",quota="iam-users",region=""}} 4100.0' in text
    assert f'cohort_quota_limit{{account="{account}",quota="iam-users",region=""}} 5000.0' in text
    client.force_login(administrator)
    assert "IAM users are nearly used up" in client.get("/health/").content.decode()


def test_the_command_shows_them() -> None:
    out = StringIO()
    call_command("quota", "show", stdout=out)
    assert "not asked yet" in out.getvalue()
    usage(USERS, used=4100, limit=5000)
    out = StringIO()
    call_command("quota", "show", "--json", stdout=out)
    (shown,) = json.loads(out.getvalue())
    assert (shown["name"], shown["used"], shown["limit"], shown["percent"], shown["state"]) == (USERS, 4100, 5000, 82, "close")


def test_nobody_s_part_changes_when_others_come_and_go(group: Group, operator: Actor, settings_say: Any) -> None:
    settings_say("COHORT_HOLDERS_PER_STACK", "2")
    add_members(group=group, users=people(5), access=Access.KEYS, actor=operator)
    before = parts(group)
    assert sorted(before.values()) == [0, 0, 1, 1, 2]
    leaver = Membership.objects.get(username=next(name for name, part in before.items() if part == 0))
    remove_members(group=group, users=[leaver.user], actor=operator)
    assert parts(group) == {name: part for name, part in before.items() if name != leaver.username}
    add_members(group=group, users=people(2, "new"), access=Access.KEYS, actor=operator)
    after = parts(group)
    assert {name: part for name, part in after.items() if name in before} == {
        name: part for name, part in before.items() if name != leaver.username
    }
    assert sorted(part for name, part in after.items() if name not in before) == [0, 2]


def parts(group: Group) -> dict[str, int]:
    """The part of each key holder in what was asked for last."""
    text = group.stack.manifests.order_by("-generation").values_list("text", flat=True)[0]
    return {member["username"]: member["part"] for member in json.loads(text)["members"]}
