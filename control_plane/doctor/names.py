"""Check of stored names that today's rules would refuse. They stay valid; no action is required.

Imported when the site's settings are loaded.
"""

from collections.abc import Callable, Iterator

from django.core.exceptions import ValidationError

from control_plane.access.groups.models import Analysis, Group
from control_plane.accounts import confusables
from control_plane.accounts.models import User
from control_plane.accounts.validation import validate_name, validate_person_name
from control_plane.doctor.check_context import CheckContext
from control_plane.doctor.findings import Finding, State, ok

MAX_LISTED = 50


def list_refused_names(context: CheckContext) -> Iterator[Finding]:
    """List the names of people, groups and analyses that today's rules refuse, and those that look like another."""
    count, refused = 0, []
    for email, name in User.objects.exclude(name="").order_by("email").values_list("email", "name").iterator():
        count += 1
        refused += [f"{email}: {why}" for why in _refusals(validate_person_name, name)]
    for model, kind in ((Group, "group"), (Analysis, "analysis")):
        first: dict[str, str] = {}
        for slug, name in model.objects.order_by("pk").values_list("slug", "name"):
            count += 1
            refused += [f"{kind} {slug}: {why}" for why in _refusals(validate_name, name)]
            keys = confusables.lookalike_keys(name)
            if other := next((first[key] for key in keys if key in first), None):
                refused.append(f"{kind} {slug}: its name {name!r} looks like that of {other}.")
            first |= dict.fromkeys(keys - first.keys(), slug)
    if not refused:
        yield ok(f"all {count} would be taken today")
        return
    more = [f"and {len(refused) - MAX_LISTED} more"] if len(refused) > MAX_LISTED else []
    seen = f"{len(refused)} of {count} would not be taken today, and stay valid"
    yield Finding(State.OK, seen, "\n".join([*refused[:MAX_LISTED], *more]))


def _refusals(validate: Callable[[str], None], name: str) -> list[str]:
    try:
        validate(name)
    except ValidationError as error:
        return [" ".join(error.messages)]
    return []
