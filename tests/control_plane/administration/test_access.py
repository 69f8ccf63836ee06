"""The administration is for administrators: nobody else learns from its addresses which groups there are, or who is in them."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.urls import URLPattern, URLResolver

from control_plane.access.groups.models import Group
from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from tests.actors import client_of
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db
# Open to everybody: they hold nothing.
OPEN = {"/admin/login/", "/admin/logout/"}


def addresses(patterns: list[URLPattern | URLResolver], prefix: str = "/admin/") -> Iterator[str]:
    """Every address of the administration, with 1 wherever it names an object."""
    for pattern in patterns:
        text = prefix + _filled(pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, text)
        else:
            yield text


def _filled(pattern: URLPattern | URLResolver) -> str:
    route = str(pattern.pattern)
    if "(?P<" in route:
        return "accounts/" if "app_label" in route else "nothing"
    for word in ("<path:object_id>", "<int:object_id>", "<int:pk>", "<id>", "<path:content_type_id>", "<int:content_type_id>"):
        route = route.replace(word, "1")
    return route.replace("<path:object_id>", "1")


def test_staff_without_the_administrators_right_are_refused_at_every_address_of_the_administration(group: Group, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada)
    staff = UserFactory.create(email="staff@example.org", is_staff=True)
    client, asked = client_of(staff), set(addresses(admin.site.get_urls())) - OPEN
    assert len(asked) > 60
    assert "/admin/groups/group/options/" in asked
    query: dict[str, str | int] = {"group": "", "id": ada.pk}
    answers = {address: client.get(address, query) for address in asked}
    assert {address: answer.status_code for address, answer in answers.items() if answer.status_code != 403} == {}
    assert not [address for address, answer in answers.items() if group.name in answer.content.decode()]
    assert AuditEvent.objects.filter(action="access.refused", actor_user=staff).exists()


@pytest.mark.parametrize("fields", [{}, {"is_superuser": True}, {"is_staff": True, "is_superuser": True, "is_active": False}])
def test_nobody_else_gets_in_either(fields: dict[str, Any]) -> None:
    client = client_of(UserFactory.create(email="somebody@example.org", **fields))
    assert client.get("/admin/groups/group/options/").status_code in (302, 403)


def test_an_administrator_gets_in(administrator: User, group: Group) -> None:
    client = client_of(administrator)
    assert client.get("/admin/").status_code == 200
    assert group.slug in client.get("/admin/groups/group/options/", {"group": "example"}).content.decode()
