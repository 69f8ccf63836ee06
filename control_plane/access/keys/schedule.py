"""Schedule of key checks, and requests to remove an adopted key, which workers carry out."""

from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from control_plane.access.groups.errors import NoOldKey
from control_plane.access.groups.models import Access, AccessState, Group, Membership
from control_plane.access.groups.permissions import may_decide
from control_plane.access.keys.models import AdoptedKey, KeyCheck, KeyUse
from control_plane.access.keys.tasks import check_group_keys, remove_old_keys
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.claims import claim_or_create

CHECK_AGE = timedelta(hours=20)
# Groups that one sweep starts a check of; a group may have hundreds of keys, and each takes two requests.
MAX_GROUPS_PER_SWEEP = 20
# A failed check is repeated sooner.
FAILED_AGE = timedelta(hours=1)


def start_due_checks() -> int:
    """Enqueue checks of the groups whose last one is a day old. Returns how many groups."""
    delete_ended_key_uses()
    now = timezone.now()
    holders = Membership.objects.wanted().filter(access=Access.KEYS)
    due = KeyCheck.objects.filter(Q(asked_at__lt=now - CHECK_AGE) | (Q(asked_at__lt=now - FAILED_AGE) & ~Q(error="")))
    groups = Group.objects.filter(pk__in=holders.values("group"))
    groups = groups.filter(Q(key_check__isnull=True) | Q(key_check__in=due))
    started = 0
    for pk in groups.order_by("key_check__asked_at", "pk").values_list("pk", flat=True)[:MAX_GROUPS_PER_SWEEP]:
        with transaction.atomic():
            if claim_or_create(due, "asked_at", lookup={"group_id": pk}, until=now, error=""):
                check_group_keys.enqueue(pk)
                started += 1
    return started


def delete_ended_key_uses() -> None:
    """Delete the key uses of memberships that have ended: AWS holds none of their keys."""
    KeyUse.objects.filter(membership__removed_generation__lte=F("membership__group__stack__deployed_generation")).delete()


def adopted_keys(membership: Membership) -> QuerySet[AdoptedKey]:
    """Return a member's adopted keys that AWS still holds."""
    return AdoptedKey.objects.held_by_aws().filter(membership=membership)


def request_adopted_key_removal(key: AdoptedKey, *, actor: Actor) -> AdoptedKey:
    """Have a worker remove an adopted key. The member, the group's managers and administrators may.

    Raises NoOldKey if it is gone already or there is no key of Cohort's own beside it yet, or PermissionDenied.
    """
    membership = key.membership
    if not (may_decide(actor, membership.group) or (actor.user is not None and actor.user.pk == membership.user_id)):
        raise PermissionDenied("Only the member, the group's managers and administrators may remove a key. Nothing was changed.")
    with transaction.atomic():
        key = AdoptedKey.objects.select_for_update().get(pk=key.pk)
        if key.state == AdoptedKey.State.REMOVED:
            raise NoOldKey(f"The old key {key.access_key_id} is gone already. Nothing was changed.")
        if membership.access_state == AccessState.ADDING:
            raise NoOldKey(
                f"{membership.user.email} has no new key yet, so the old one stays. Nothing was changed; wait until it is there."
            )
        if key.state == AdoptedKey.State.IN_USE:
            key.state = AdoptedKey.State.REMOVING
            key.save(update_fields=["state"])
            before = {"access_key_id": key.access_key_id, "old_user": key.old_user}
            record(actor, "legacy.remove_key", f"{membership.user.email} in {membership.group.slug}", before=before)
        transaction.on_commit(remove_old_keys.enqueue)
    return key
