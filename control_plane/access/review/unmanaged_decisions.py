"""Decisions about unmanaged resources, which AWS holds and the database does not know: take over, or remove.

Neither asks AWS: a stack's rows are made from what a scan read, and what is to change there is a deployment or a worker's task.
"""

import time
from collections.abc import Mapping, Sequence

from django.db import transaction
from django.utils import timezone

from control_plane.access.groups.confusables import look_alike_of
from control_plane.access.groups.lifecycle import refuse_retiring
from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.services.adopt_stack import adopt_group, adopt_storage_stack
from control_plane.access.groups.services.groups import request_group_deployment
from control_plane.access.groups.services.manifests import group_manifest
from control_plane.access.groups.services.members import find_or_create_user
from control_plane.access.groups.services.reconcile_group import apply_differences, find_differences
from control_plane.access.retirement.models import Retirement
from control_plane.access.retirement.steps import begin
from control_plane.access.review.models import UnmanagedResource
from control_plane.access.review.tasks import remove_unmanaged
from control_plane.accounts.models import User
from control_plane.accounts.permissions import require_administrator
from control_plane.accounts.validation import fold_name
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import InvalidName, NotFound, Refused
from control_plane.deployments import aws_ahead
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import lock, request_deployment
from control_plane.deployments.tasks import check_drift, deny_now
from stacks.manifest import GroupManifest, Member, PlatformManifest, parse

Kind = UnmanagedResource.Kind
NOTHING_CHANGED = "Nothing was changed"


class NotDecided(Refused):
    """The decision cannot be carried out."""


def find_unmanaged(name: str, kind: str = "") -> UnmanagedResource:
    """Return the unmanaged resource with this name. Raises NotFound, or NotDecided where several have the name."""
    named = UnmanagedResource.objects.filter(name=name)
    resources = list((named.filter(kind=kind) if kind else named)[:2])
    if not resources:
        raise NotFound(f"Nothing called {name!r} waits for a decision. {NOTHING_CHANGED}; `manage.py review unmanaged` lists it.")
    if len(resources) > 1:
        raise NotDecided(f"{name!r} is the name of several things. {NOTHING_CHANGED}; say which by its kind.")
    return resources[0]


def take_over(
    resource: UnmanagedResource, *, confirmation: str, people: Mapping[str, str], name: str = "", actor: Actor
) -> Deployment | None:
    """Make a stack's group, or its analyses, known again. AWS is left as it is but for members without an address in `people`.

    `people` are e-mail addresses by username; an account is made where there is none. Whoever has a username on AWS and none here
    is shut out at once and removed by the deployment that is returned. A group that the database knows is brought to what AWS
    holds in the same way (`reconcile_group.catch_up`); `name` is for one that it does not. Raises NotDecided and other refusals,
    PermissionDenied.
    """
    require_administrator(actor)
    with transaction.atomic():
        row = _confirmed(resource, confirmation)
        held = _manifest_of(row)
        if isinstance(held, PlatformManifest):
            check_drift.enqueue(adopt_storage_stack(held=held, status=row.status, actor=actor).pk)
            row.delete()
            return None
        group = known_group(row)
        if group is not None:
            deployment = _catch_up(group, row, held, people, actor)
        else:
            known = _people(held.members, people, actor)
            group = adopt_group(held=held, status=row.status, name=name, people=known, actor=actor)
            left_out = [member.username for member in held.members if member.username not in known]
            deployment = _remove_left_out(group, left_out, actor) if left_out else None
        check_drift.enqueue(group.stack_id)
        row.delete()
    return deployment


def remove(resource: UnmanagedResource, *, confirmation: str, actor: Actor) -> Deployment | None:
    """Request the removal from AWS: a group's stack is retired and its data stays; anything else is left to a worker's task.

    Returns the deployment that removes a stack. Raises NotDecided and other refusals, PermissionDenied.
    """
    require_administrator(actor)
    with transaction.atomic():
        row = _confirmed(resource, confirmation)
        if known_group(row) is not None:
            raise NotDecided(
                f"The database knows this group. {NOTHING_CHANGED}; take over what AWS holds, or have AWS hold what the database "
                "says (“Deploy what the database says”, on the stack’s page), and retire the group then if it is to end."
            )
        if row.kind == Kind.STACK:
            return _retire(row, actor)
        row.state, row.decided_by, row.error = UnmanagedResource.State.REMOVING, actor.label, ""
        row.save(update_fields=["state", "decided_by", "error"])
        record(actor, "unmanaged.remove", row.name, kind=row.kind, path=row.path)
        remove_unmanaged.enqueue(row.pk)
    return None


def unknown_members(row: UnmanagedResource) -> list[Member]:
    """Return the members that a group's stack gives access to and the database does not know."""
    held = parse(row.manifest) if row.manifest else None
    if not isinstance(held, GroupManifest):
        return []
    known = set(Membership.objects.filter(group__slug=row.slug).values_list("username", flat=True))
    return [member for member in held.members if member.username not in known]


def known_group(row: UnmanagedResource) -> Group | None:
    """Return the group whose stack was changed after the backup; None where the database does not know it."""
    if row.kind != Kind.STACK:
        return None
    return Group.objects.select_related("stack").filter(stack__name=row.name).first()


def preview_take_over(row: UnmanagedResource) -> list[str]:
    """Describe, in sentences, what taking over changes in a group that the database knows; empty for any other."""
    group, held = known_group(row), parse(row.manifest) if row.manifest else None
    if group is None or not isinstance(held, GroupManifest):
        return []
    return find_differences(group, held, names_everybody=row.names_everybody).sentences


def _confirmed(resource: UnmanagedResource, confirmation: str) -> UnmanagedResource:
    """Lock the row and return it. Raises NotDecided unless it still waits for a decision and its name was typed."""
    row = UnmanagedResource.objects.select_for_update().filter(pk=resource.pk).first()
    if row is None or row.state != UnmanagedResource.State.WAITING:
        raise NotDecided(f"{resource.name} does not wait for a decision any more. {NOTHING_CHANGED}.")
    if confirmation.strip() != row.name:
        raise NotDecided(
            f"{confirmation.strip()!r} is not its name. {NOTHING_CHANGED}; type {row.name} to confirm that you mean this one."
        )
    return row


def _manifest_of(row: UnmanagedResource) -> GroupManifest | PlatformManifest:
    if not row.manifest:
        reason = row.problem or ("It was not read yet." if row.kind == Kind.STACK else "Only a stack can be taken over.")
        raise NotDecided(f"{row.name} cannot be taken over. {reason} {NOTHING_CHANGED}.")
    return parse(row.manifest)


def _catch_up(
    group: Group, row: UnmanagedResource, held: GroupManifest, people: Mapping[str, str], actor: Actor
) -> Deployment | None:
    """Bring a known group's rows to what AWS holds. A deployment follows where they want something else."""
    stack = group.stack = lock(group.stack_id)
    refuse_retiring(group)
    if stack.newer_generation != held.generation:
        now = f"generation {stack.newer_generation}" if stack.newer_generation else "nothing that the database does not know"
        raise NotDecided(
            f"Generation {held.generation} of {row.name} was read, and by now AWS holds {now}. {NOTHING_CHANGED}; check again "
            "(`manage.py review look`)."
        )
    if running := Deployment.objects.filter(stack=stack, state=Deployment.State.RUNNING).first():
        raise NotDecided(f"Deployment {running.pk} of {group.name} is under way. {NOTHING_CHANGED}; try again once it has ended.")
    changes = find_differences(group, held, names_everybody=row.names_everybody)
    known = _people(changes.unknown, people, actor)
    aws_ahead.accept(stack, held, row.status)
    apply_differences(group, changes, held, known, actor)
    left_out = [*(member.username for member in changes.unknown if member.username not in known), *changes.removed_here]
    if left_out:
        return _remove_left_out(group, left_out, actor)
    if changes.has_wishes or changes.unknown_buckets:
        return request_group_deployment(group, f"Bringing {group.name} to what is wanted here after a restore", actor)
    return None


def _people(unknown: Sequence[Member], people: Mapping[str, str], actor: Actor) -> dict[str, User]:
    given = {username: address.strip().lower() for username, address in people.items() if address.strip()}
    if strange := sorted(given.keys() - {member.username for member in unknown}):
        raise NotDecided(f"{', '.join(strange)}: the stack has no such member whom nobody here knows. {NOTHING_CHANGED}.")
    if len(set(given.values())) < len(given):
        raise InvalidName(f"The same address stands at two members. {NOTHING_CHANGED}; a person is in a group once.")
    return {username: find_or_create_user(address, actor=actor) for username, address in given.items()}


def _remove_left_out(group: Group, left_out: list[str], actor: Actor) -> Deployment:
    """Remove members who have no account here: their keys are denied at once, and all open sessions end."""
    deny_now.enqueue(group.stack_id)
    moment = int(time.time())
    deployment = request_deployment(
        group.stack,
        make_manifest=lambda generation: group_manifest(group, generation).model_copy(update={"sessions_not_before": moment}),
        summary=f"Taking the access of {len(left_out)} members of {group.name} away, whom nobody here knows",
        actor=actor,
    )
    record(actor, "member.leave_out", f"group {group.slug}", before={"usernames": left_out}, deployment=deployment.pk)
    return deployment


def _retire(row: UnmanagedResource, actor: Actor) -> Deployment | None:
    """Make the group known without members or analyses, and retire it at once. Its slug stays taken, as its data stays."""
    if not row.slug:
        raise NotDecided(
            f"{row.name} holds analysis buckets and gives nobody access. {NOTHING_CHANGED}; take it over and retire its analyses."
        )
    held = _manifest_or_empty(row)
    empty = held.model_copy(update={"members": (), "analyses": (), "suspended": False})
    group = adopt_group(held=empty, status=row.status, name=_free_name(row.slug), people={}, actor=actor)
    # Store what it really holds: the lockout reads it, and denies every key there before the deployment.
    group.stack.manifests.filter(generation=held.generation).update(text=held.to_json())
    counts = {
        "members": len(held.members),
        "keys": len(held.key_holders),
        "analyses": len(held.analyses),
        "join_codes": 0,
        "requests": 0,
    }
    now = timezone.now()
    retirement = Retirement.objects.open(group=group, asked_by=actor.label, asked_at=now, due_at=now, counts=counts)
    begin(retirement, group)
    deny_now.enqueue(group.stack_id)
    usernames_held = [member.username for member in held.members]
    record(actor, "unmanaged.remove", row.name, kind=row.kind, retirement=retirement.pk, usernames=usernames_held)
    row.delete()
    return retirement.deployment


def _manifest_or_empty(row: UnmanagedResource) -> GroupManifest:
    """Return the stack's manifest, or an empty one where it could not be read."""
    held = parse(row.manifest) if row.manifest else None
    if isinstance(held, GroupManifest):
        return held
    return GroupManifest.build(generation=max(1, row.generation), account=row.place.account, region=row.place.region, slug=row.slug)


def _free_name(slug: str) -> str:
    """Return a free name for a group of which only the record stays."""
    is_taken = Group.objects.filter(folded_name=fold_name(slug)).exists() or look_alike_of(slug, Group.objects.all())
    return f"{slug} (removed)" if is_taken else slug
