"""Every address, its name and methods, and what each role is answered there: the table of rights of `tests.e2e.tries`, as it is.

Each try is made by everybody for another group's things, and by everybody for their own group's. Nothing of it stays: each request
is rolled back. What a request removed in S3 is put there again.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from django.db import transaction
from django.http import HttpResponse
from django.utils.module_loading import import_string

from tests.e2e.tries import LISTS, NOBODYS, OPEN, PARAMETER, TRIES, Page, Try, administration, pages
from tests.e2e.two_labs import SHARED_BUCKET, Lab
from tests.e2e.two_labs_rows import ADMINISTRATOR, MANAGER, email
from tests.record import product
from tests.record.documents import Record
from tests.record.normalise import normalise
from tests.record.running import Site
from tests.record.stories import compact
from tests.world import ALONE, EVERYBODY, INACTIVE, SIGNED_OUT, STAFF, World, ask, make_world

# Who asks where roles in a group make no difference.
WITHOUT_GROUP = (ADMINISTRATOR, ALONE, INACTIVE, SIGNED_OUT)
ADMINISTERING = (ADMINISTRATOR, MANAGER, STAFF, SIGNED_OUT)
METHODS = ("GET", "POST")
# Docstrings, and names that are made of where a module lies.
FROM_THE_CODE = frozenset({"description", "operationId", "summary"})
PARAMETER_VALUES = {"provider_id": "institution"}


def urls(site: Site) -> Record:
    """Ask everything, and write down what was answered, by address."""
    world = make_world()
    # Within one transaction a request costs half: none of them is written to the disk.
    with transaction.atomic():
        text = addresses(world)
        transaction.set_rollback(True)
    return {"urls.txt": text}


def api() -> Record:
    """What the API takes and answers, as it says itself. The sentences and names that it has from the code are left out."""
    document = json.loads(json.dumps(import_string(product.API).get_openapi_schema()))
    return {"api.txt": f"{compact(_without(FROM_THE_CODE, document))}\n"}


def addresses(world: World, wanted: Iterable[str] | None = None) -> str:
    """The text of `urls.txt`; of these names alone, if some are wanted."""
    mine, theirs = world.labs.values()
    tries: dict[str, list[Try]] = defaultdict(list)
    for path in TRIES:
        tries[path.name].append(path)
    administered = administration(theirs)
    blocks = []
    for page in sorted(set(pages()), key=lambda each: (each.route, each.name)):
        if wanted is not None and page.name not in wanted:
            continue
        if page.name in tries:
            lines = _of_groups(world, tries[page.name], mine, theirs)
        elif page.route.startswith("admin/"):
            lines = _asked(world, ADMINISTERING, METHODS, administered[page.name], mine)
        else:
            lines = _asked(world, WITHOUT_GROUP, METHODS, f"/{_filled(page)}", mine)
        blocks.append("\n".join([f"/{page.route}  [{page.name}]  {_whose(page)}", *lines]))
    return "\n\n".join(blocks) + "\n"


def _without(names: frozenset[str], document: Any) -> Any:
    """A document without these keys, but where they are the names of something."""
    if isinstance(document, list):
        return [_without(names, each) for each in document]
    if not isinstance(document, dict):
        return document
    return {key: _without(names, value) for key, value in document.items() if key not in names or not isinstance(value, str)}


def _of_groups(world: World, tries: list[Try], mine: Lab, theirs: Lab) -> Iterator[str]:
    yield f"    methods: {_allowed(world, tries[0].address(mine, mine), mine)}"
    done = set()
    for whose, lab in (("own", mine), ("another's", theirs)):
        for message in tries:
            for method in message.methods:
                address = message.address(mine, lab)
                if (key := (whose, method, address, str(message.form), str(message.body))) not in done:
                    done.add(key)
                    answers = {role: _answer(world, role, method, address, mine, message, lab) for role in EVERYBODY}
                    yield f"    {whose} {method} {normalise(address)}: {_told(answers)}"


def _asked(world: World, roles: tuple[str, ...], methods: tuple[str, ...], address: str, mine: Lab) -> Iterator[str]:
    yield f"    methods: {_allowed(world, address, mine)}"
    for method in methods:
        answers = {role: _answer(world, role, method, address, mine) for role in roles}
        yield f"    {method} {normalise(address)}: {_told(answers)}"


def _answer(world: World, role: str, method: str, address: str, mine: Lab, one: Try | None = None, lab: Lab | None = None) -> str:
    """What this role is answered: the status, and where it is led."""
    given: dict[str, Any] = {}
    if one is not None and lab is not None:
        bearer = mine.tokens.get(email(role, mine.slug), "") if one.bearer else ""
        given = {"form": one.form, "body": one.body(mine, lab) if one.body else None, "bearer": bearer}
    answer = _undone(world, role, method, address, mine, **given)
    if lab is not None and method != "GET" and answer.status_code < 400:
        _fill(lab)
    location = urlsplit(answer.get("location", "")).path
    return f"{answer.status_code}{f' to {normalise(location)}' if location else ''}"


def _allowed(world: World, address: str, mine: Lab) -> str:
    """The methods that the view names; a view that names none takes any."""
    answer = _undone(world, ADMINISTRATOR, "OPTIONS", address, mine)
    return str(answer.get("Allow", "")) or "any"


def _undone(world: World, role: str, method: str, address: str, mine: Lab, **given: Any) -> HttpResponse:
    """Ask, and roll back what came of it."""
    with transaction.atomic():
        answer: HttpResponse = ask(world.clients[role, mine.slug], method, address, **given)
        transaction.set_rollback(True)
    return answer


def _fill(lab: Lab) -> None:
    """Have the group's objects be there, whatever was removed before."""
    s3 = _s3()
    for bucket in (lab.bucket, SHARED_BUCKET):
        for key in (lab.secret, lab.configuration):
            s3.put_object(Bucket=bucket, Key=key, Body=b"of: it")


@cache
def _s3() -> Any:
    return boto3.client("s3", region_name="us-east-1")


def _told(answers: dict[str, str]) -> str:
    """The roles by what they are answered."""
    roles: dict[str, list[str]] = defaultdict(list)
    for role, answer in answers.items():
        roles[answer].append(role)
    return "; ".join(f"{answer} {' '.join(who)}" for answer, who in sorted(roles.items()))


def _whose(page: Page) -> str:
    """Why the address names nobody's things, as the table of rights says; empty where it names a group's."""
    for table in (NOBODYS, OPEN):
        for reason, names in table.items():
            if page.name in names:
                return f"({reason})"
    return "(one's own)" if page.name in LISTS else ""


def _filled(page: Page) -> str:
    filled = PARAMETER.sub(lambda match: PARAMETER_VALUES.get(match[1] or match[2], "x"), page.route)
    return filled.replace("^", "").replace("$", "").replace("?", "")
