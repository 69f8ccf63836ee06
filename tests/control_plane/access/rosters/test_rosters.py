"""Rosters against the database: each row's fate, applying what was shown, and exporting it again."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services.members import add_members
from control_plane.access.rosters.services import apply as applying
from control_plane.access.rosters.services.apply import ChangedMeanwhile, HasRefusedRows, NothingToApply, Outcome, apply_reading
from control_plane.access.rosters.services.export import export
from control_plane.access.rosters.services.plan import RosterPlan, make_plan
from control_plane.access.rosters.services.read import Reading, read_roster_text
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.base.errors import LimitReached
from control_plane.deployments.models import Deployment
from tests.actors import OPERATOR
from tests.factories import GroupFactory, MembershipFactory, UserFactory, settle

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]

HEAD = "email,name,group,access,manager,ends_on,action\n"
DAY = (timezone.now() + timedelta(days=90)).date()


@pytest.fixture
def other(db: None) -> Group:
    return GroupFactory.create(slug="other-lab", name="Other Lab")


def roster(*lines: str) -> Reading:
    return read_roster_text(HEAD + "\n".join(lines))


def fates(plan: RosterPlan) -> list[str]:
    return [verdict.fate.value for verdict in plan.verdicts]


def do(reading: Reading, **more: Any) -> list[Outcome]:
    return apply_reading(reading, digest=make_plan(reading).digest, actor=OPERATOR, **more)


def member(email: str, group: Group) -> Membership:
    found: Membership = Membership.objects.wanted().get(user__email=email, group=group)
    return found


def test_it_works(group: Group, other: Group, ada: User, grace: User) -> None:
    MembershipFactory.create(group=group, user=grace, deployed=True)
    settle(other.stack)
    reading = roster(
        f"ada@example.org,Ada Lovelace,example-lab,keys,yes,{DAY},",
        "new@example.org,New One,Example Lab,,,,add",
        "new@example.org,New One,other-lab,,,,",
        "grace@example.org,,example-lab,,,,remove",
        "alone@example.org,Alone,,,,,",
    )
    plan = make_plan(reading)
    assert fates(plan) == ["added", "added", "added", "removed", "added"]
    assert plan.is_clean
    before = Deployment.objects.count()
    told: list[Outcome] = []
    outcomes = do(reading, on_outcome=told.append)
    assert told == outcomes
    assert [(outcome.group, outcome.added, outcome.changed, outcome.removed) for outcome in outcomes] == [
        ("", 1, 0, 0),
        ("example-lab", 2, 0, 1),
        ("other-lab", 1, 0, 0),
    ]
    assert Deployment.objects.count() == before + 2, "one for each group"
    here = member("ada@example.org", group)
    assert (here.access, here.is_manager, here.ends_at) == (
        "keys",
        True,
        datetime(DAY.year, DAY.month, DAY.day, 23, 59, 59, tzinfo=UTC),
    )
    assert User.objects.get(email="ada@example.org").name == "Ada Lovelace"
    assert User.objects.get(email="new@example.org").memberships.count() == 2
    assert not User.objects.get(email="alone@example.org").memberships.exists()
    assert not Membership.objects.wanted().filter(user=grace).exists()
    assert AuditEvent.objects.filter(action="roster.apply").count() == 2
    assert set(fates(make_plan(reading))) == {"same"}, "doing it twice changes nothing"


def test_five_hundred_people_are_one_deployment_and_looked_at_in_few_queries(group: Group, django_assert_max_num_queries) -> None:
    settle(group.stack)
    reading = roster(*(f"person{number}@example.org,Person {number},example-lab,,,," for number in range(500)))
    with django_assert_max_num_queries(8):
        plan = make_plan(reading)
    before = Deployment.objects.count()
    asked: list[str] = []

    def count(execute, sql, *rest):
        asked.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        [outcome] = apply_reading(reading, digest=plan.digest, actor=OPERATOR)
    assert (outcome.added, outcome.error) == (500, "")
    assert Deployment.objects.count() == before + 1
    assert len(asked) < 500 * 28, len(asked)
    with django_assert_max_num_queries(8):
        assert make_plan(reading).counts["same"] == 500
    with django_assert_max_num_queries(8):
        assert len(list(export(actor=OPERATOR, group=group))) == 501


@pytest.mark.parametrize(
    ("lines", "refused", "says"),
    [
        (["ada@example.org,,nowhere,,,,"], [0], "There is no group 'nowhere'"),
        (["ada@example.org,,,,,,remove"], [0], "Say from which group"),
        (["nobody@example.org,,example-lab,,,,remove"], [0], "Nobody is known"),
        (["gone@example.org,,example-lab,,,,"], [0], "not active"),
        (["ada@example.org,,,keys,,,"], [0], "needs a group"),
        (["grace@example.org,,example-lab,keys,,,"], [0], "a roster does not change"),
        (["ada@example.org,,example-lab,,,2020-01-01,"], [0], "has passed"),
        (["ada@example.org,,example-lab,,,2999-01-01,"], [0], "more than ten years"),
        (["ada@example.org,,example-lab,,,,", "ada@example.org,,Example Lab,keys,,,"], [0, 1], "Line 3 says something else"),
        (["ada@example.org,,example-lab,,,,", "ADA@example.org,,example-lab,,,,"], [1], "Line 2 says the same"),
        (["ada@example.org,A,example-lab,,,,", "ada@example.org,B,,,,,"], [0, 1], "different names"),
        (["ada@example.org,,example-lab,,,,", "ada@example.org,,example-lab,,,,remove"], [0, 1], "something else"),
    ],
)
def test_what_is_refused_and_why(group: Group, ada: User, grace: User, lines: list[str], refused: list[int], says: str) -> None:
    MembershipFactory.create(group=group, user=grace)
    UserFactory.create(email="gone@example.org", is_active=False)
    plan = make_plan(roster(*lines, "good@example.org,,example-lab,,,,"))
    assert [number for number, fate in enumerate(fates(plan)) if fate == "refused"] == refused
    assert says in plan.verdicts[refused[0]].what
    assert fates(plan)[-1] == "added", "a bad row does not stop the good ones"


def test_refused_rows_stop_it_unless_the_good_ones_are_asked_for(group: Group) -> None:
    reading = roster("good@example.org,,example-lab,,,,", "bad,,example-lab,,,,")
    with pytest.raises(HasRefusedRows):
        do(reading)
    assert not User.objects.filter(email="good@example.org").exists()
    assert [outcome.added for outcome in do(reading, good_rows=True)] == [1]
    with pytest.raises(NothingToApply):
        do(reading, good_rows=True)


def test_an_ignored_column_has_to_be_accepted_as_well(group: Group) -> None:
    with pytest.raises(HasRefusedRows, match="columns"):
        do(read_roster_text("email,group,ends_no\ngood@example.org,example-lab,2026-12-31\n"))


@pytest.mark.parametrize(
    ("line", "fate", "check"),
    [
        ("ada@example.org,,example-lab,,yes,,", "changed", lambda one: one.is_manager),
        ("ada@example.org,,example-lab,,no,,", "same", lambda one: not one.is_manager),
        (f"ada@example.org,,example-lab,,,{DAY},", "changed", lambda one: one.ends_at.date() == DAY and one.reminded_at is None),
        ("ada@example.org,,example-lab,,,never,", "changed", lambda one: one.ends_at is None),
        ("ada@example.org,,example-lab,,,,", "same", lambda one: one.ends_at is not None),
        ("ada@example.org,Ada L,example-lab,,,,", "changed", lambda one: one.user.name == "Ada L"),
    ],
)
def test_what_is_there_already_is_changed_without_a_deployment(group: Group, ada: User, line: str, fate: str, check) -> None:
    MembershipFactory.create(group=group, user=ada, keys=True)
    soon = timezone.now() + timedelta(days=3)
    Membership.objects.update(ends_at=soon, reminded_at=timezone.now())
    settle(group.stack)
    reading = roster(line)
    assert fates(make_plan(reading)) == [fate]
    if fate == "changed":
        assert [outcome.deployment for outcome in do(reading)] == [None]
    assert check(member("ada@example.org", group))
    assert not Deployment.objects.open().exists()


def test_a_retired_group_takes_nobody(group: Group) -> None:
    Group.objects.update(retired_at=timezone.now())
    assert "retired" in make_plan(roster("good@example.org,,example-lab,,,,")).verdicts[0].what


def test_a_group_that_is_to_go_takes_nobody_and_lets_people_go(group: Group, ada: User) -> None:
    from control_plane.access.retirement.models import Retirement

    MembershipFactory.create(group=group, user=ada, keys=True)
    Retirement.objects.open(group=group, state=Retirement.State.WAITING, due_at=timezone.now() + timedelta(days=7))
    plan = make_plan(roster("good@example.org,,example-lab,,,,", "ada@example.org,,example-lab,,,,remove"))
    assert fates(plan) == ["refused", "removed"]
    assert "being retired" in plan.verdicts[0].what


def test_what_changed_since_the_dry_run_is_not_applied(group: Group, ada: User) -> None:
    reading = roster("ada@example.org,,example-lab,,,,", "new@example.org,,example-lab,,,,")
    digest = make_plan(reading).digest
    MembershipFactory.create(group=group, user=ada, keys=True)
    with pytest.raises(ChangedMeanwhile) as refusal:
        apply_reading(reading, digest=digest, actor=OPERATOR)
    assert fates(refusal.value.plan) == ["same", "added"]
    assert not User.objects.filter(email="new@example.org").exists()


def test_a_group_that_changes_while_another_is_applied_is_left_as_it_is(group: Group, other: Group, ada: User) -> None:
    reading = roster("new@example.org,,example-lab,,,,", "ada@example.org,,other-lab,,,,", "new@example.org,,other-lab,,,,")

    def meanwhile(outcome: Outcome) -> None:
        if outcome.group == "example-lab":
            MembershipFactory.create(group=other, user=ada, keys=True)

    first, second = do(reading, on_outcome=meanwhile)
    assert (first.error, second.added) == ("", 0)
    assert "changed since the dry run" in second.error
    assert not Membership.objects.filter(user__email="new@example.org", group=other).exists()


def test_a_group_that_cannot_be_changed_stops_no_other_and_leaves_nobody_half_made(
    group: Group, other: Group, monkeypatch: pytest.MonkeyPatch
) -> None:

    def refusing(**given: Any) -> Deployment:
        if given["group"] == group:
            raise LimitReached("Too many. Nothing was changed.")
        return add_members(**given)

    monkeypatch.setattr(applying, "add_members", refusing)
    first, second = do(roster("one@example.org,,example-lab,,,,", "two@example.org,,other-lab,,,,"))
    assert (first.error, second.added) == ("Too many. Nothing was changed.", 1)
    assert not User.objects.filter(email="one@example.org").exists()


def test_only_administrators_import_and_export(group: Group, ada: User) -> None:
    actor = Actor("ada@example.org", "web", ada)
    reading = roster("new@example.org,,example-lab,,,,")
    with pytest.raises(PermissionDenied):
        apply_reading(reading, digest=make_plan(reading).digest, actor=actor)
    with pytest.raises(PermissionDenied):
        export(actor=actor)


class TestExport:
    def test_what_is_exported_is_so_already(self, group: Group, other: Group, ada: User, grace: User) -> None:
        User.objects.filter(pk=ada.pk).update(name="=HYPERLINK(1)")
        ada.refresh_from_db()
        UserFactory.create(email="+plus@example.org", name="'=quoted")
        add_members(group=group, users=[ada, grace], access=Access.KEYS, actor=OPERATOR, as_managers=True)
        MembershipFactory.create(group=other, user=ada)
        Membership.objects.filter(group=other).update(ends_at=timezone.now() - timedelta(minutes=1))
        text = "".join(export(actor=OPERATOR))
        assert "'=HYPERLINK" in text
        assert "'+plus@example.org,''=quoted" in text
        plan = make_plan(read_roster_text(text.removeprefix("\ufeff")))
        assert fates(plan) == ["same"] * 4
        assert AuditEvent.objects.filter(action="roster.export", target="everybody").exists()

    def test_one_group_or_one_person(self, group: Group, other: Group, ada: User, grace: User) -> None:
        add_members(group=group, users=[ada, grace], access=Access.KEYS, actor=OPERATOR)
        add_members(group=other, users=[ada], access=Access.KEYS, actor=OPERATOR)
        assert len(list(export(actor=OPERATOR, group=group))) == 3
        assert len(list(export(actor=OPERATOR, person=ada))) == 3
        assert len(list(export(actor=OPERATOR, group=other, person=grace))) == 1

    def test_it_is_streamed_in_few_queries(self, group: Group, django_assert_max_num_queries) -> None:
        people = User.objects.bulk_create(User(email=f"p{number}@example.org") for number in range(2500))
        Membership.objects.bulk_create(
            Membership(group=group, user=person, access=Access.KEYS, added_generation=1) for person in people[:1500]
        )
        with django_assert_max_num_queries(10):
            assert sum(1 for _ in export(actor=OPERATOR)) == 2501


class TestCommand:
    def run(self, *arguments: str) -> Any:
        out = StringIO()
        call_command("roster", *arguments, "--json", stdout=out, stderr=StringIO())
        return json.loads(out.getvalue())

    def test_it_works(self, group: Group, tmp_path: Path) -> None:
        file = tmp_path / "people.csv"
        file.write_text(HEAD + "ada@example.org,Ada,example-lab,keys,,,\nbad,,example-lab,,,,\n")
        seen = self.run("check", str(file))
        assert seen["counts"] == {"added": 1, "changed": 0, "removed": 0, "same": 0, "refused": 1}
        assert seen["rows"][1]["problems"][0]["column"] == "email"
        assert not User.objects.exists()
        with pytest.raises(CommandError, match="1 rows are refused"):
            self.run("apply", str(file))
        with pytest.raises(CommandError, match="Something has changed"):
            self.run("apply", str(file), "--digest", "0" * 64, "--good-rows")
        done = self.run("apply", str(file), "--digest", seen["digest"], "--good-rows")
        assert [(item["group"], item["added"]) for item in done["groups"]] == [("example-lab", 1)]
        assert len(done["deployments"]) == 1
        out = tmp_path / "out.csv"
        assert self.run("export", "--group", "example-lab", "--output", str(out))["rows"] == 1
        assert out.stat().st_mode & 0o777 == 0o600
        assert self.run("check", str(out))["counts"]["same"] == 1

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"name\nAda\n"])
    def test_a_file_that_cannot_be_read_is_refused(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "people.csv"
        file.write_bytes(content)
        with pytest.raises(CommandError):
            self.run("check", str(file))
        with pytest.raises(CommandError, match="could not be read"):
            self.run("apply", str(tmp_path / "missing.csv"))


CELL = st.text(max_size=12) | st.sampled_from(
    ["ada@example.org", "new@example.org", "example-lab", "Example Lab", "other-lab", "keys", "yes", "never", str(DAY), "remove"]
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CELL, min_size=7, max_size=7).map(lambda cells: ",".join(cells)), max_size=8))
def test_no_text_raises_and_planning_changes_nothing(group: Group, ada: User, lines: list[str]) -> None:
    plan = make_plan(roster(*lines))
    assert plan.digest == make_plan(roster(*lines)).digest
    assert User.objects.count() == 1
