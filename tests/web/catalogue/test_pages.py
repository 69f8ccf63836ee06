"""The catalogue's pages: who sees what, what they cost, and what administrators do there."""

import pytest
from django.test import Client

from control_plane.access.groups.models import Access, Analysis, Grant, Group, Membership
from control_plane.access.groups.services.platform_stack import platform_stack
from control_plane.accounts.models import User
from control_plane.deployments.models import Deployment
from control_plane.research.catalogue.entries import describe, entry_of
from control_plane.research.catalogue.models import AccessRequest, Entry
from control_plane.research.catalogue.requests import approve, request_analysis
from tests.actors import OPERATOR, actor_of, client_of
from tests.control_plane.account_pages import text_of
from tests.control_plane.between_queries import LOOKS_AGAIN, pages_while
from tests.factories import GrantFactory, GroupFactory, MembershipFactory, settle

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]

MAX_QUERIES = 12
BUCKET = "cohort-epi"


@pytest.fixture
def lab(group: Group, ada: User) -> Group:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    return group


@pytest.fixture
def crowd(lab: Group, ada: User) -> None:
    """300 analyses and 50 groups of one person's, each with requests or grants."""
    stack = platform_stack()
    rows = [
        Analysis(slug=f"a{n:03}", name=f"A{n:03}", bucket=f"cohort-a{n:03}", stack=stack, added_generation=1) for n in range(300)
    ]
    analyses = Analysis.objects.bulk_create(rows)
    Entry.objects.bulk_create(Entry(analysis=analyse, summary=f"About {analyse.slug}") for analyse in analyses)
    for number in range(49):
        group = GroupFactory.create(slug=f"lab-{number}", name=f"Lab {number}")
        Membership.objects.create(
            group=group, user=ada, access=Access.FEDERATED, username=f"m{number:04}", added_generation=1, added_by="x"
        )
        Grant.objects.create(group=group, analysis=analyses[0], level=Grant.Level.READ_WRITE, added_generation=2, added_by="x")
        AccessRequest.objects.create(group=group, analysis=analyses[1], asked_by=ada)


@pytest.mark.parametrize("path", ["/analyses/", "/analyses/?q=about", "/analyses/?page=7", "/analyses/a000/", "/analyses/a001/"])
@pytest.mark.usefixtures("crowd")
def test_a_member_s_pages_cost_the_same_whatever_there_is(ada: User, path: str, django_assert_max_num_queries) -> None:
    client = client_of(ada)
    with django_assert_max_num_queries(MAX_QUERIES):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["requests/", "requests/?show=decided", "grant/?groups={groups}", "granted/?runs={runs}"])
@pytest.mark.usefixtures("crowd")
def test_administrators_pages_too(administrator: User, path: str, django_assert_max_num_queries) -> None:
    groups = ",".join(str(pk) for pk in Group.objects.values_list("pk", flat=True))
    runs = ",".join(str(pk) for pk in Deployment.objects.values_list("pk", flat=True))
    client = client_of(administrator)
    with django_assert_max_num_queries(MAX_QUERIES):
        assert client.get(f"/analyses/{path.format(groups=groups, runs=runs)}").status_code == 200


def test_everybody_sees_all_analyses_and_only_whose_group_has_it_the_bucket(
    lab: Group, epi: Analysis, ada: User, grace: User, administrator: User
) -> None:
    describe(analysis=epi, actor=OPERATOR, summary="Traces", description="# Why\n<script>x</script>", template="window: 5\n")
    page = text_of(client_of(grace).get("/analyses/epi/"))
    assert "Traces" in page
    assert "window: 5" in page
    assert b"<script>x" not in client_of(grace).get("/analyses/epi/").content
    for user in (grace, ada):
        assert BUCKET not in text_of(client_of(user).get("/analyses/epi/"))
    GrantFactory.create(group=lab, analysis=epi)
    for user, shown in ((grace, False), (ada, True), (administrator, True)):
        answer = text_of(client_of(user).get("/analyses/epi/"))
        assert (BUCKET in answer, lab.name in answer) == (shown, user == ada)


def test_the_page_goes_from_asking_to_being_granted(lab: Group, epi: Analysis, ada: User, administrator: User) -> None:
    member, decider = client_of(ada), client_of(administrator)
    assert "Request access" in text_of(member.get("/analyses/epi/"))
    asked = member.post("/analyses/epi/ask/", {"group": lab.slug, "reason": "a paper"}, follow=True)
    assert "an administrator decides" in text_of(asked)
    assert "Requests 1 waiting" in text_of(decider.get("/analyses/"))
    assert "a paper" in text_of(decider.get("/analyses/requests/"))
    number = AccessRequest.objects.get().pk
    decided = decider.post(f"/analyses/requests/{number}/", {"decision": "approve", "level": "read-write"}, follow=True)
    assert "is being given" in text_of(decided)
    live = member.get("/analyses/epi/", headers={"HX-Request": "true"})
    assert "being added" in text_of(live)
    assert b"hx-trigger" in live.content
    settle(lab.stack)
    live = member.get("/analyses/epi/", headers={"HX-Request": "true"})
    assert "✓ active" in text_of(live)
    assert b"hx-trigger" not in live.content
    for address in ("jobs/epi/new/", "jobs/epi/", "configs/epi/", "files/epi/"):
        assert address.encode() in live.content
    again = decider.post(f"/analyses/requests/{number}/", {"decision": "decline"}, follow=True)
    assert "decided already" in text_of(again)


@pytest.mark.parametrize("form", [{"decision": "approve", "level": "everything"}, {"decision": "maybe"}, {}])
def test_a_decision_that_is_none_changes_nothing(
    lab: Group, epi: Analysis, ada: User, administrator: User, form: dict[str, str]
) -> None:
    wanted = request_analysis(group=lab, analysis=epi, reason="", actor=actor_of(ada))
    client_of(administrator).post(f"/analyses/requests/{wanted.pk}/", form)
    wanted.refresh_from_db()
    assert wanted.state == AccessRequest.State.WAITING


@pytest.mark.parametrize("path", ["requests/", "grant/", "granted/", "epi/edit/"])
@pytest.mark.usefixtures("lab", "epi")
def test_members_do_not_get_at_administrators_pages(ada: User, path: str) -> None:
    assert client_of(ada).get(f"/analyses/{path}").status_code == 403
    assert Client().get(f"/analyses/{path}").status_code == 302


def test_nobody_asks_or_withdraws_for_others(lab: Group, epi: Analysis, ada: User, grace: User) -> None:
    assert client_of(grace).post("/analyses/epi/ask/", {"group": lab.slug}).status_code == 404
    wanted = request_analysis(group=lab, analysis=epi, reason="", actor=actor_of(ada))
    stranger = client_of(grace)
    assert stranger.post(f"/analyses/requests/{wanted.pk}/withdraw/").status_code == 404
    assert stranger.post(f"/analyses/requests/{wanted.pk}/", {"decision": "approve"}).status_code == 403
    assert not Grant.objects.exists()
    assert client_of(ada).post(f"/analyses/requests/{wanted.pk}/withdraw/").status_code == 302


def test_an_administrator_edits_and_errors_stand_beside_their_field(epi: Analysis, administrator: User) -> None:
    client = client_of(administrator)
    form = {"summary": "Traces", "template": "a: 1\nb: [2", "schema": "", "description": ""}
    answer = client.post("/analyses/epi/edit/", form)
    assert answer.status_code == 422
    assert "Line 2" in str(answer.context["form"].errors["template"])
    assert not Entry.objects.exists()
    assert client.post("/analyses/epi/edit/", {**form, "template": "  a: 1\n  b: 2"}).status_code == 302
    assert entry_of(epi).template == "  a: 1\n  b: 2\n"


def test_granting_several_shows_first_what_would_change(lab: Group, epi: Analysis, administrator: User) -> None:
    client = client_of(administrator)
    form = {"groups": str(lab.pk), "which": "default", "level": "read-write"}
    shown = client.post("/analyses/grant/", form)
    assert "What would change" in text_of(shown)
    assert not Grant.objects.exists()
    done = text_of(client.post("/analyses/grant/", {**form, "confirm": "1"}, follow=True))
    assert "1 of 1 groups change" in done
    assert "0 of 1 deployments have ended" in done
    assert Grant.objects.wanted().count() == 1
    again = text_of(client.post("/analyses/grant/", {**form, "confirm": "1"}, follow=True))
    assert "all of the groups had it already" in again


@pytest.mark.parametrize("numbers", ["x", "-1", "9" * 40, "²", ",,,", "1,1"])
@pytest.mark.parametrize("page", ["grant/?groups=", "granted/?runs="])
def test_numbers_of_nothing_are_no_error(administrator: User, page: str, numbers: str) -> None:
    assert client_of(administrator).get(f"/analyses/{page}{numbers}").status_code == 200


@pytest.mark.parametrize("step", ["granted", "deployed"])
def test_what_happens_in_the_middle_of_an_analysis_page_is_shown_or_followed(
    lab: Group, epi: Analysis, ada: User, administrator: User, step: str
) -> None:
    """Whoever follows the page sees the grant in the end, whenever it was made."""
    wanted = request_analysis(group=lab, analysis=epi, reason="", actor=actor_of(ada))

    def granted() -> None:
        approve(wanted, level=Grant.Level.READ_WRITE, actor=actor_of(administrator))

    def deployed() -> None:
        settle(lab.stack)

    if step == "deployed":
        granted()
    pages = pages_while(client_of(ada), "/analyses/epi/", deployed if step == "deployed" else granted)
    assert len(pages) > 3
    for page in pages:
        assert "✓ active" in page or LOOKS_AGAIN in page
        assert "Request access" not in page
