"""From each page there is a way on: the site's navigation, and the links between a group's pages."""

import pytest
from django.templatetags.static import static
from django.test import Client

from control_plane.access.groups.models import Group
from control_plane.access.groups.services.joining import decline
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from tests.actors import client_of
from tests.factories import AnalysisFactory, GrantFactory, JoinRequestFactory, MembershipFactory, settle

pytestmark = pytest.mark.django_db
REQUESTS = '<a class="nav-link" href="/requests/">Requests</a>'
OWN_COMPUTER = "/groups/example-lab/credentials/"
FILES = "/groups/example-lab/files/spectra/"


@pytest.fixture
def member(group: Group, ada: User) -> Client:
    """A browser of a plain member's, whose group may use an analysis."""
    analysis = AnalysisFactory.create(slug="spectra", bucket="cohort-spectra", name="Spectra")
    GrantFactory.create(group=group, analysis=analysis)
    return client_of(MembershipFactory.create(group=group, user=ada, deployed=True).user)


def test_a_manager_finds_the_requests_and_a_member_is_not_led_there(group: Group, grace: User, member: Client) -> None:
    assert (
        REQUESTS
        in client_of(MembershipFactory.create(group=group, user=grace, manager=True, deployed=True).user).get("/").content.decode()
    )
    assert REQUESTS not in member.get("/").content.decode()


def test_an_administrator_in_no_group_comes_to_the_administration_first(administrator: User) -> None:
    page = client_of(administrator).get("/").content.decode()
    assert REQUESTS in page
    assert page.index("Administration") < page.index("Your groups")
    assert '<details class="action">' in page


@pytest.mark.parametrize(
    ("page", "leads_to"),
    [
        ("/", FILES),
        ("/", OWN_COMPUTER),
        ("/groups/example-lab/", FILES),
        ("/groups/example-lab/", OWN_COMPUTER),
        (FILES, f"{OWN_COMPUTER}?analysis=spectra"),
        (FILES, "/groups/example-lab/"),
        (OWN_COMPUTER, FILES),
        (OWN_COMPUTER, "/groups/example-lab/"),
    ],
)
def test_a_members_pages_lead_to_each_other(member: Client, page: str, leads_to: str) -> None:
    assert f'href="{leads_to}"' in member.get(page).content.decode()


def test_while_aws_makes_the_access_nothing_leads_where_nothing_is_yet(group: Group, ada: User, operator: Actor) -> None:
    client = client_of(MembershipFactory.create(group=group, user=ada, deployed=True).user)
    assert OWN_COMPUTER in client.get("/").content.decode()
    group.memberships.update(added_generation=group.stack.generation + 1)
    assert OWN_COMPUTER not in client.get("/").content.decode()


def test_who_was_declined_can_ask_again_at_once(group: Group, ada: User, operator: Actor) -> None:
    settle(group.stack)
    decline(JoinRequestFactory.create(user=ada, group=group), actor=operator)
    page = client_of(ada).get("/").content.decode()
    assert "Declined" in page
    assert "Access made on AWS" not in page
    assert "Ask your group’s manager for a join code" in page
    assert '<details class="action" open>' in page


def test_a_browser_finds_the_icon_by_itself_and_on_the_administration_s_pages(administrator: User) -> None:
    for browser in (Client(), client_of(administrator)):
        answer = browser.get("/favicon.ico")
        assert answer.status_code == 302
        assert answer["Location"] == static("cohort/icon.svg")
    assert f'href="{static("cohort/icon.svg")}"' in client_of(administrator).get("/admin/").content.decode()
