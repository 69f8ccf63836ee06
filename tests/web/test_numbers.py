"""Numbers that clients send: each has bounds, and one beyond them is refused in words or is nobody's, never an error of ours."""

from collections.abc import Iterator
from typing import Any

import pytest
from django import forms
from django.apps import apps
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from control_plane.access.groups.models import Group
from control_plane.accounts.models import User
from control_plane.api import api
from control_plane.deployments.models import Deployment
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.uploads.models import Upload
from tests.factories import DeploymentFactory
from tests.web.uploader import Person

HUGE = (2**63, 2**64, 10**30, -(2**63) - 1, int("9" * 4000))
UPLOADS = "/api/uploads/example-lab/ephys"
FILE = {"path": "a.txt", "size": 5, "modified": 1_700_000_000_000}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def numbers_in(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every number in what one operation of the API takes, with its bounds."""
    if isinstance(schema, dict):
        if schema.get("type") in ("integer", "number"):
            yield path, schema
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[-1]
            yield from numbers_in(api.get_openapi_schema()["components"]["schemas"][name], f"{path}/{name}")
        for key, value in schema.items():
            yield from numbers_in(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for value in schema:
            yield from numbers_in(value, path)


def test_every_number_that_the_api_takes_has_bounds() -> None:
    found = [
        (path, number)
        for address, operations in api.get_openapi_schema()["paths"].items()
        for method, operation in operations.items()
        for path, number in numbers_in([operation.get("requestBody", {}), operation.get("parameters", [])], f"{method} {address}")
    ]
    assert len(found) >= 4
    assert [path for path, number in found if "minimum" not in number or "maximum" not in number] == []


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize(
    ("call", "body", "named"),
    [
        ("start", lambda number: {"folder": "inputs", "files": [FILE | {"modified": number}]}, "files.0.modified"),
        ("start", lambda number: {"folder": "inputs", "files": [FILE, FILE | {"path": "b", "size": number}]}, "files.1.size"),
        ("finish", lambda number: {"files": [{"id": number, "checksum": "", "etag": ""}]}, "files.0.id"),
        ("remove", lambda number: {"ids": [1, number]}, "ids.1"),
    ],
)
def test_a_number_beyond_its_bounds_is_refused_in_words(person: Person, call: str, body: Any, named: str, number: int) -> None:
    answer = signed_in(person.place.membership.user).post(f"{UPLOADS}/{call}", body(number), "application/json")
    assert answer.status_code == 400
    detail = answer.json()["detail"]
    assert "Nothing was changed" in detail
    assert named in detail
    assert str(number) not in detail
    assert not Upload.objects.exists()


@pytest.mark.parametrize("modified", [-8_640_000_000_000_000, -1, 0, 8_640_000_000_000_000])
def test_every_time_that_a_browser_can_tell_is_taken(person: Person, modified: int) -> None:
    body = {"folder": "inputs", "files": [FILE | {"modified": modified}]}
    answer = signed_in(person.place.membership.user).post(f"{UPLOADS}/start", body, "application/json")
    assert answer.json()[0]["status"] == "send"


def test_a_size_that_no_object_of_s3_has_is_refused_for_its_file_alone(person: Person) -> None:
    body = {"folder": "inputs", "files": [FILE | {"size": 2**53 - 1}, FILE | {"path": "b.txt"}]}
    answer = signed_in(person.place.membership.user).post(f"{UPLOADS}/start", body, "application/json")
    assert [item["status"] for item in answer.json()] == ["refused", "send"]


def all_forms(base: type[forms.BaseForm] = forms.BaseForm) -> Iterator[type[forms.BaseForm]]:
    for form in base.__subclasses__():
        if form.__module__.startswith(("control_plane.", "web.")):
            yield form
        yield from all_forms(form)


def test_every_number_of_a_form_has_bounds() -> None:
    get_resolver().url_patterns  # noqa: B018 - loads every module that has forms
    fields = {
        (form.__qualname__, name): field
        for form in all_forms()
        for name, field in getattr(form, "base_fields", {}).items()
        if isinstance(field, forms.IntegerField)
    }
    assert ("CodeForm", "days") in fields
    assert [where for where, field in fields.items() if field.min_value is None or field.max_value is None] == []


def numbered(resolver: URLResolver | None = None, before: str = "") -> Iterator[str]:
    """Every address with a number in it, as a pattern."""
    for pattern in (resolver or get_resolver()).url_patterns:
        address = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from numbered(pattern, address)
        elif isinstance(pattern, URLPattern) and "<int:" in address:
            yield address


def address_with(pattern: str, number: str) -> str:
    """A pattern's address, with this for every number, and what exists for its words."""
    words = {"slug": "example-lab", "group": "example-lab", "analysis": "ephys"}
    parts = []
    for part in pattern.lstrip("^").split("/"):
        _, _, name = part.strip("<>").partition(":")
        parts.append(number if part.startswith("<int:") else words.get(name, "x") if part.startswith("<") else part)
    return f"/{'/'.join(parts)}"


@pytest.mark.parametrize("number", [str(2**63), str(10**30), "9" * 4400])
def test_a_number_in_an_address_that_nothing_has_is_not_found(
    place: GroupFolder, administrator: User, ada: User, number: str
) -> None:
    addresses = [address_with(pattern, number) for pattern in numbered()]
    assert len(addresses) > 30
    for client in (signed_in(administrator), signed_in(ada)):
        for address in addresses:
            for answer in (client.get(address), client.post(address, {})):
                assert answer.status_code in (302, 403, 404, 405), address


LISTS = (
    *("/deployments/", "/deployments/stacks/", "/analyses/", "/review/", "/quotas/", "/requests/", "/groups/example-lab/"),
    *(f"/groups/example-lab/{rest}" for rest in ("files/ephys/unfinished/", "jobs/ephys/", "keys/", "review/")),
)
QUERIES = [
    *((address, "page") for address in LISTS),
    ("/analyses/granted/", "runs"),
    *((f"/admin/accounts/user/{what}/", "id") for what in ("leave", "add-to-group", "remove-from-group", "suspend")),
    *((f"/admin/{model}/", key) for model in ("accounts/user", "groups/group") for key in ("p", "id__in", "id__exact")),
]


@pytest.mark.parametrize("number", ["-1", str(2**63), str(10**30), "9" * 4400, "1e400", "٣"])
def test_a_number_in_a_query_or_a_form_that_nothing_has_changes_nothing(
    place: GroupFolder, administrator: User, ada: User, number: str
) -> None:
    run = DeploymentFactory.create(stack=place.group.stack)
    queries = [*QUERIES, (f"/deployments/{run.pk}/live/", "after")]
    posts: list[tuple[str, dict[str, Any]]] = [
        (f"/deployments/{run.pk}/approve/", {"generation": number}),
        ("/groups/example-lab/codes/", {"days": number, "most_uses": number}),
        ("/analyses/grant/", {"groups": number}),
    ]
    # Django's own lists of what is ticked: what is no number at all is not theirs to say.
    if len(number) < 100 and number.lstrip("-").isdigit():
        posts.append(("/admin/accounts/user/", {"action": "remove_everywhere", "_selected_action": [number]}))
        posts.append(("/admin/groups/group/", {"action": "suspend_groups", "_selected_action": [number]}))
    for client in (signed_in(administrator), signed_in(ada)):
        for address, name in queries:
            assert client.get(address, {name: number}).status_code < 500, (address, name)
        for address, form in posts:
            assert client.post(address, form).status_code < 500, address
    run.refresh_from_db()
    assert run.state == Deployment.State.QUEUED


def test_a_list_of_numbers_finds_those_that_exist_and_none_that_no_column_holds(group: Group) -> None:
    for model in apps.get_models():
        if model._meta.label in ("groups.Group", "uploads.Upload"):
            assert list(model._default_manager.filter(pk__in=[2**63, -(10**30)])) == []
    assert list(Group.objects.filter(pk__in=[group.pk, 2**63])) == [group]
    assert list(Group.objects.exclude(pk__in=[group.pk, 2**63])) == []
