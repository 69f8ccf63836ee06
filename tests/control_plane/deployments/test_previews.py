"""A preview changes nothing, refuses what would be refused, and is shown to whoever asked alone."""

import pytest
from django.test import Client

from control_plane.access.groups.errors import AlreadyMember
from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services.groups import create_group
from control_plane.access.groups.services.members import add_member
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.models import Change, Deployment, Preview, Stack, StoredManifest
from control_plane.deployments.previews import request_preview
from stacks.manifest import GroupManifest, parse
from tests.factories import MembershipFactory, UserFactory, plan_for, settle

pytestmark = pytest.mark.django_db
TOUCHED = (Group, Membership, Deployment, Change, StoredManifest, Stack, AuditEvent)


def counts() -> list[int]:
    return [model.objects.count() for model in TOUCHED]


@pytest.fixture
def admin_client(administrator: User) -> Client:
    client = Client()
    client.force_login(administrator)
    return client


def ask(client: Client, user: User, **fields: str) -> str:
    data = {"group": "example-lab", "access": "keys", "preview": "1", **fields}
    return client.post(f"/admin/accounts/user/add-to-group/?id={user.pk}", data).content.decode()


def test_a_preview_leaves_nothing_behind_but_itself(group: Group, ada: User, operator: Actor) -> None:
    settle(group.stack)
    before = counts()
    preview = request_preview(lambda: add_member(group=group, user=ada, access=Access.KEYS, actor=operator), actor=operator)
    assert counts() == before
    assert Stack.objects.get().generation == 1
    assert preview.title == "Giving ada@example.org access to Example Lab"
    wanted, held = parse(preview.manifest), parse(preview.base)
    assert isinstance(wanted, GroupManifest)
    assert isinstance(held, GroupManifest)
    assert (len(wanted.members), len(held.members)) == (1, 0)


def test_a_group_that_is_not_there_yet_has_no_base(operator: Actor) -> None:
    preview = request_preview(lambda: create_group(slug="new-lab", actor=operator)[1], actor=operator)
    assert (preview.stack_name, preview.base) == ("Group-new-lab", "")
    assert not Group.objects.exists()


def test_what_would_be_refused_is_refused(group: Group, ada: User, operator: Actor) -> None:
    MembershipFactory.create(group=group, user=ada, keys=True)
    with pytest.raises(AlreadyMember):
        request_preview(lambda: add_member(group=group, user=ada, access=Access.KEYS, actor=operator), actor=operator)
    assert not Preview.objects.exists()


def test_the_page_previews_with_the_form_still_filled_in(admin_client: Client, group: Group, ada: User) -> None:
    before = counts()
    page = ask(admin_client, ada)
    preview = Preview.objects.get()
    assert counts() == before
    assert f'hx-get="/deployments/previews/{preview.pk}/"' in page
    assert 'value="example-lab"' in page
    assert "Giving ada@example.org access to Example Lab" in page


def test_the_page_says_who_joins_though_nobody_joined(admin_client: Client, group: Group, ada: User) -> None:
    ask(admin_client, ada)
    preview = Preview.objects.get()
    manifest = parse(preview.manifest)
    assert isinstance(manifest, GroupManifest)
    address = f"/deployments/previews/{preview.pk}/"
    assert "Being worked out" in admin_client.get(address).content.decode()
    Preview.objects.update(state=Preview.State.DONE, plan=plan_for(manifest.members[0].username))
    page = admin_client.get(address).content.decode()
    assert "<strong>ada@example.org</strong> gets access" in page
    assert "lets somebody do more" in page
    assert "hx-get" not in page


def test_a_preview_that_failed_says_why(admin_client: Client, group: Group, ada: User) -> None:
    ask(admin_client, ada)
    Preview.objects.update(state=Preview.State.FAILED, error="AWS does not answer.")
    page = admin_client.get(f"/deployments/previews/{Preview.objects.get().pk}/").content.decode()
    assert "AWS does not answer." in page
    assert "Nothing was changed" in page


def test_a_refusal_shows_on_the_page(admin_client: Client, group: Group, ada: User, operator: Actor) -> None:
    add_member(group=group, user=ada, access=Access.KEYS, actor=operator)
    assert "already in Example Lab" in ask(admin_client, ada)
    assert "There is no group" in ask(admin_client, ada, group="nowhere")
    assert not Preview.objects.exists()


def test_a_preview_is_for_whoever_asked(admin_client: Client, group: Group, ada: User) -> None:
    ask(admin_client, ada)
    address = f"/deployments/previews/{Preview.objects.get().pk}/"
    other, member = Client(), Client()
    other.force_login(UserFactory.create(email="second@example.org", password="a long enough password", administrator=True))
    member.force_login(ada)
    assert other.get(address).status_code == 404
    assert member.get(address).status_code == 403
