"""Join codes: making, rotating, withdrawing and using them."""

from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from control_plane.access.groups.errors import AlreadyWithdrawn, CodeRefused, InvalidTerms
from control_plane.access.groups.lifecycle import is_retiring, refuse_retiring
from control_plane.access.groups.models import CODE_GROUP_LETTERS, Group, JoinCode, hash_code, make_code
from control_plane.access.groups.permissions import require_manager
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import LimitReached

DEFAULT_DAYS, MAX_DAYS = 30, 365
MAX_USES = 10_000
# Few enough for a page to show all, and for managers to review them before making another.
MAX_USABLE = 20


def make_join_code(*, group: Group, actor: Actor, days: int = DEFAULT_DAYS, most_uses: int | None = None) -> tuple[JoinCode, str]:
    """Make a code. Returns its row and the code itself, which is not stored. Raises InvalidTerms or PermissionDenied."""
    _check_terms(days, most_uses)
    with transaction.atomic():
        Group.objects.select_for_update().get(pk=group.pk)
        require_manager(actor, group)
        return _make(group, actor, days, most_uses)


def rotate_join_code(*, code: JoinCode, actor: Actor, days: int = DEFAULT_DAYS) -> tuple[JoinCode, str]:
    """Withdraw a code and make another in its place, in one step. Raises AlreadyWithdrawn, InvalidTerms or PermissionDenied."""
    _check_terms(days, code.most_uses)
    with transaction.atomic():
        withdraw_join_code(code=code, actor=actor)
        return _make(code.group, actor, days, code.most_uses)


def withdraw_join_code(*, code: JoinCode, actor: Actor) -> None:
    """End a code at once; requests made with it stay. Raises AlreadyWithdrawn or PermissionDenied."""
    with transaction.atomic():
        Group.objects.select_for_update().get(pk=code.group_id)
        require_manager(actor, code.group)
        if not JoinCode.objects.filter(pk=code.pk, withdrawn_at__isnull=True).update(withdrawn_at=timezone.now()):
            raise AlreadyWithdrawn("This join code was withdrawn already. Nothing was changed.")
        record(actor, "joincode.withdraw", f"group {code.group.slug}", prefix=code.prefix)


def find_usable_code(code: str) -> JoinCode:
    """Return the row of a code that works now. Raises CodeRefused, whatever is wrong with it."""
    row = JoinCode.objects.usable(timezone.now()).select_related("group").filter(code_hash=hash_code(code)).first()
    if row is None or is_retiring(row.group):
        raise CodeRefused
    return row


def use_code(code: JoinCode) -> None:
    """Count one use, in the caller's transaction. Raises CodeRefused if the code stopped working since it was looked up."""
    if not JoinCode.objects.usable(timezone.now()).filter(pk=code.pk).update(uses=F("uses") + 1):
        raise CodeRefused


def _make(group: Group, actor: Actor, days: int, most_uses: int | None) -> tuple[JoinCode, str]:
    refuse_retiring(group)
    now = timezone.now()
    if JoinCode.objects.usable(now).filter(group=group).count() >= MAX_USABLE:
        raise LimitReached(f"{group.name} has {MAX_USABLE} codes that work. Nothing was changed; withdraw one of them first.")
    text = make_code()
    row = JoinCode.objects.create(
        group=group,
        code_hash=hash_code(text),
        prefix=text[:CODE_GROUP_LETTERS],
        created_by=actor.label,
        expires_at=now + timedelta(days=days),
        most_uses=most_uses,
    )
    record(actor, "joincode.create", f"group {group.slug}", prefix=row.prefix, days=days, most_uses=most_uses)
    return row, text


def _check_terms(days: int, most_uses: int | None) -> None:
    if not 1 <= days <= MAX_DAYS:
        raise InvalidTerms(f"A code works for 1 to {MAX_DAYS} days. Nothing was made.")
    if most_uses is not None and not 1 <= most_uses <= MAX_USES:
        raise InvalidTerms(f"A code can be used once to {MAX_USES:,} times. Nothing was made.")
