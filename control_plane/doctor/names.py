"""Names that were taken once and would not be taken today. They stay; nothing has to be done about them.

It is loaded once there are the site's settings.
"""

from collections.abc import Callable, Iterator

from django.core.exceptions import ValidationError

from control_plane.access.groups.models import Analysis, Group
from control_plane.accounts import confusables
from control_plane.accounts.models import User
from control_plane.accounts.validation import validate_name, validate_person_name
from control_plane.doctor.findings import Finding, State, ok
from control_plane.doctor.surroundings import Surroundings

MAX_LISTED = 50


def names(around: Surroundings) -> Iterator[Finding]:
    """List the names of people, groups and analyses that today's rules refuse, and those that look like another."""
    count, found = 0, []
    for email, name in User.objects.exclude(name="").order_by("email").values_list("email", "name").iterator():
        count += 1
        found += [f"{email}: {why}" for why in _refusals(validate_person_name, name)]
    for model, kind in ((Group, "group"), (Analysis, "analysis")):
        first: dict[str, str] = {}
        for slug, name in model.objects.order_by("pk").values_list("slug", "name"):
            count += 1
            found += [f"{kind} {slug}: {why}" for why in _refusals(validate_name, name)]
            keys = confusables.lookalike_keys(name)
            if other := next((first[key] for key in keys if key in first), None):
                found.append(f"{kind} {slug}: its name {name!r} looks like that of {other}.")
            first |= dict.fromkeys(keys - first.keys(), slug)
    if not found:
        yield ok(f"all {count} would be taken today")
        return
    more = [f"and {len(found) - MAX_LISTED} more"] if len(found) > MAX_LISTED else []
    seen = f"{len(found)} of {count} would not be taken today, and stay valid"
    yield Finding(State.OK, seen, "\n".join([*found[:MAX_LISTED], *more]))


def _refusals(validate: Callable[[str], None], name: str) -> list[str]:
    try:
        validate(name)
    except ValidationError as error:
        return [" ".join(error.messages)]
    return []
