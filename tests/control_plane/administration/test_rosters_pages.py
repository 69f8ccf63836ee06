"""Import and export in the administration: upload, dry run, apply, and what it started."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from control_plane.access.groups.models import Group, Membership
from control_plane.access.rosters.cleaning import remove_old_rosters
from control_plane.access.rosters.models import Roster
from control_plane.access.rosters.services import apply as applying
from control_plane.access.rosters.services.waiting import apply_waiting
from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from control_plane.base.errors import LimitReached
from control_plane.deployments.models import Deployment
from control_plane.worker import sweep
from tests.control_plane.account_pages import signed_in, text_of
from tests.factories import PASSWORD, MembershipFactory, UserFactory, settle

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]

PAGES = "/admin/rosters/roster/"
GOOD = "email,group\nada@example.org,example-lab\ngrace@example.org,example-lab\n"
MIXED = f"{GOOD}bad,example-lab\n"


@pytest.fixture
def client(administrator: User) -> Client:
    return signed_in(administrator.email)


def upload(client: Client, content: str | bytes, name: str = "people.csv"):
    data = content.encode() if isinstance(content, str) else content
    return client.post(f"{PAGES}add/", {"file": SimpleUploadedFile(name, data)})


def uploaded(client: Client, content: str = GOOD) -> Roster:
    assert upload(client, content).status_code == 302
    return Roster.objects.latest("pk")


def page(client: Client, roster: Roster, query: str = "") -> str:
    return text_of(client.get(f"{PAGES}{roster.pk}/fates/{query}"))


def apply(client: Client, roster: Roster, **form: str) -> str:
    form = {"digest": roster.digest, **form}
    return text_of(client.post(f"{PAGES}{roster.pk}/apply/", form, follow=True))


def test_it_works(client: Client, group: Group) -> None:
    settle(group.stack)
    roster = uploaded(client)
    shown = page(client, roster)
    for words in ("2 will be added", "0 refused", "ada@example.org", "a new person; federated", "Apply 2 rows"):
        assert words in shown
    assert not Membership.objects.exists(), "a dry run changes nothing"
    assert "Waits for a worker" in apply(client, roster)
    apply_waiting(roster.pk)
    apply_waiting(roster.pk)
    [deployment] = Deployment.objects.open()
    shown = page(client, roster)
    assert "2 added, 0 changed, 0 removed" in shown
    assert f"Deployment {deployment.pk}" in shown
    assert "AWS is being told" in shown
    settle(group.stack)
    assert "nothing of it is under way any more" in text_of(client.get(f"{PAGES}{roster.pk}/live/"))
    roster.refresh_from_db()
    assert (roster.state, roster.text, roster.fates) == ("applied", "", [])
    assert AuditEvent.objects.get(action="roster.apply").actor == "admin@example.org"


def test_plain_csv_of_excel_is_taken_and_the_dry_run_shows_how_it_was_understood(client: Client, group: Group) -> None:
    year = timezone.now().year + 5
    lines = (
        "sep=;",
        "email;name;group;ends_on",
        f"a@example.org;Zoë;example-lab;03/04/{year}",
        f"b@example.org;;example-lab;31/12/{year}",
    )
    assert upload(client, "\r\n".join(lines).encode("cp1252")).status_code == 302
    roster = Roster.objects.latest("pk")
    for shown in (page(client, roster), text_of(client.post(f"{PAGES}{roster.pk}/again/", follow=True))):
        assert "read as Windows-1252, as Excel’s plain CSV has them: Zoë" in shown
        assert f"Days were read as day/month/year, since 31/12/{year} can be nothing else: 03/04/{year} is 3 April {year}" in shown
        assert f"ends on {year}-04-03" in shown
    apply(client, roster)
    apply_waiting(roster.pk)
    assert User.objects.get(email="a@example.org").name == "Zoë"


def test_a_large_file_is_paged_in_few_queries(client: Client, group: Group, django_assert_max_num_queries) -> None:
    lines = "".join(f"p{number}@example.org,example-lab\n" for number in range(600))
    roster = uploaded(client, f"email,group\n{lines}bad,example-lab\n")
    with django_assert_max_num_queries(12):
        shown = page(client, roster, "?fate=added&page=12")
    assert "p599@example.org" in shown
    assert "Page 12 of 12" in shown
    assert "bad" in page(client, roster, "?fate=refused")
    assert "No row meets this fate" in page(client, roster, "?fate=removed")
    with django_assert_max_num_queries(12):
        client.get(PAGES)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        ("email\nada@example.org".encode("utf-16"), "UTF-16"),
        ("email,name\na@example.org,José".encode("mac-roman"), "make no sense"),
        (b"name\nAda\n", "column is missing"),
        (b"x" * 2_000_001, "Split it"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_on_the_form(client: Client, content: bytes, says: str) -> None:
    answer = upload(client, content)
    assert answer.status_code == 422
    assert says in text_of(answer)
    assert not Roster.objects.exists()


def test_refused_rows_stop_it_unless_the_good_ones_are_asked_for(client: Client, group: Group) -> None:
    roster = uploaded(client, MIXED)
    assert "Line 4, email" in page(client, roster, "?fate=refused")
    assert "1 rows are refused. Nothing was applied" in apply(client, roster)
    assert "Waits for a worker" in apply(client, roster, good_rows="1")
    apply_waiting(roster.pk)
    assert Membership.objects.count() == 2


def test_what_changed_since_the_dry_run_is_shown_again(client: Client, group: Group, ada: User) -> None:
    roster = uploaded(client)
    MembershipFactory.create(group=group, user=ada)
    shown = apply(client, roster)
    assert "Something has changed since the dry run. Nothing was applied" in shown
    assert "1 unchanged" in shown
    roster.refresh_from_db()
    assert "Waits for a worker" in apply(client, roster)


def test_what_changes_while_it_waits_is_shown_again(client: Client, group: Group, ada: User) -> None:
    roster = uploaded(client)
    apply(client, roster)
    MembershipFactory.create(group=group, user=ada)
    apply_waiting(roster.pk)
    assert Membership.objects.count() == 1
    shown = page(client, roster)
    assert "Something has changed" in shown
    assert "1 unchanged" in shown


def test_who_is_no_administrator_any_more_applies_nothing(client: Client, administrator: User, group: Group) -> None:
    roster = uploaded(client)
    apply(client, roster)
    User.objects.filter(pk=administrator.pk).update(is_superuser=False)
    apply_waiting(roster.pk)
    assert not Membership.objects.exists()
    assert "Only an administrator" in Roster.objects.get().note


def test_what_fails_half_way_can_be_applied_again(client: Client, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    roster = uploaded(client, f"{GOOD}alone@example.org,\n")

    def refuse(**_: object) -> None:
        raise LimitReached("Too many. Nothing was changed.")

    monkeypatch.setattr(applying, "add_members", refuse)
    apply(client, roster)
    apply_waiting(roster.pk)
    shown = page(client, roster)
    assert "Too many. Nothing was changed." in shown
    assert "Apply 2 rows" in shown
    monkeypatch.undo()
    roster.refresh_from_db()
    apply(client, roster)
    apply_waiting(roster.pk)
    assert Membership.objects.count() == 2


def test_an_error_of_our_own_is_told_and_loses_nothing(client: Client, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    roster = uploaded(client)
    monkeypatch.setattr(applying, "add_members", lambda **_: 1 / 0)
    apply(client, roster)
    apply_waiting(roster.pk)
    assert "stopped half-way" in page(client, roster)
    assert not User.objects.filter(email="ada@example.org").exists()


def test_one_whose_worker_has_gone_is_shown_again_by_the_sweep(client: Client, group: Group) -> None:
    roster = uploaded(client)
    apply(client, roster)
    sweep.sweep()
    assert Roster.objects.get().state == "waiting"
    Roster.objects.update(state="applying", touched_at=timezone.now() - timedelta(hours=1))
    sweep.sweep()
    assert "worker stopped half-way" in page(client, roster)
    assert "Apply 2 rows" in page(client, roster)


def test_one_that_is_under_way_is_not_started_again(client: Client, group: Group) -> None:
    roster = uploaded(client)
    apply(client, roster)
    assert "already" in apply(client, roster)
    assert "already" in text_of(client.post(f"{PAGES}{roster.pk}/again/", follow=True))


def test_looking_is_no_deed(client: Client, group: Group) -> None:
    roster = uploaded(client)
    for path in ("apply", "again"):
        client.get(f"{PAGES}{roster.pk}/{path}/")
    assert Roster.objects.get().state == "checked"


def test_old_files_are_forgotten(client: Client, group: Group) -> None:
    uploaded(client)
    assert remove_old_rosters() == 0
    Roster.objects.update(created_at=timezone.now() - timedelta(days=3))
    assert remove_old_rosters() == 1


def test_the_export_is_a_file(client: Client, group: Group, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, keys=True)
    answer = client.get(f"{PAGES}export/?group=example-lab")
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer.streaming
    assert answer.getvalue().decode().splitlines()[1] == "ada@example.org,,example-lab,keys,no,,add"
    assert "Nothing was exported" in text_of(client.get(f"{PAGES}export/?group=nowhere", follow=True))
    assert "Nothing was exported" in text_of(client.get(f"{PAGES}export/?person=nobody@example.org", follow=True))


def test_others_may_do_none_of_it(client: Client, group: Group) -> None:
    roster = uploaded(client)
    staff = UserFactory.create(email="staff@example.org", password=PASSWORD, is_staff=True)
    for somebody in (signed_in(staff.email), Client()):
        for path in ("add/", "export/", f"{roster.pk}/fates/", f"{roster.pk}/live/"):
            assert somebody.get(f"{PAGES}{path}").status_code in (302, 403), path
        for path in (f"{roster.pk}/apply/", f"{roster.pk}/again/"):
            assert somebody.post(f"{PAGES}{path}", {"digest": roster.digest}).status_code in (302, 403), path
        assert upload(somebody, GOOD).status_code in (302, 403)
    assert Roster.objects.get().state == "checked"
