"""Changes to a person's profile, by themself or by an administrator."""

from django.core.exceptions import ValidationError
from django.db import transaction

from control_plane.accounts.models import User, trust_address
from control_plane.accounts.services.deletion import cancel_deletion
from control_plane.accounts.validation import tidy_name, validate_person_name
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import InvalidName


def rename(*, user: User, name: str, actor: Actor) -> None:
    """Give the person another display name. Raises InvalidName."""
    name = tidy_name(name)
    try:
        validate_person_name(name)
    except ValidationError as error:
        raise InvalidName(f"{' '.join(error.messages)} Nothing was changed.") from error
    with transaction.atomic():
        person = User.objects.select_for_update().get(pk=user.pk)
        if person.name == name:
            return
        before, person.name = person.name, name
        person.save(update_fields=["name"])
        record(actor, "account.renamed", person.email, before={"name": before}, after={"name": name})


def complete_admin_edit(user: User, *, actor: Actor) -> None:
    """Mark the address of a person whom an administrator has saved as verified, and cancel a deletion if they are active."""
    trust_address(user)
    cancel_deletion(user, actor=actor)
