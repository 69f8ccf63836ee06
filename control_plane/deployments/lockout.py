"""Shutting people out of AWS at once, before the deployment that makes that part of their group's stack.

What the newest wanted manifest denies is put on the principals that exist; the keys of holders who were removed are made
inactive, since CloudFormation could not remove a user who carries a policy that it does not know of. Nothing is ever lifted
here but as a deployment of a later wish goes ahead, by `make_way`.
"""

import json
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from control_plane.base import aws
from control_plane.base.config import config
from control_plane.deployments.lockout_steps import Step, carry_out, wait_until_seen
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from stacks.manifest import MAX_REVOKED, GroupManifest, denials, names, parse

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

logger = logging.getLogger("cohort.denying")

# How often somebody's next wish is taken up within one task; the sweep would take it up too.
MAX_ROUNDS = 5
# Types of resources with whose change CloudFormation may take away what was put there beside it.
CARRIERS = frozenset({"AWS::IAM::Role", "AWS::IAM::Group", "AWS::IAM::User"})

Key = tuple[str, str, str]


def deny(stack_id: int) -> None:
    """Put on AWS what the newest wanted manifest denies, and see it there. Raises NotDenied; the sweep tries again."""
    done = 0
    for _ in range(MAX_ROUNDS):
        stack = Stack.objects.get(pk=stack_id)
        if stack.generation == done or stack.is_up_to_date:
            return
        if stack.is_retired and stack.deployments.filter(state=Deployment.State.RUNNING).exists():
            # It is being removed, which a policy that the stack does not know of would hinder.
            return
        deployed, wanted = (
            StoredManifest.objects.group_at(stack, stack.deployed_generation),
            StoredManifest.objects.group_at(stack, stack.generation),
        )
        if deployed is None or wanted is None:
            # Of a group that was never deployed there is nobody to shut out.
            return
        _shut_out(stack, deployed, _with_approved_alone(stack, deployed, wanted))
        if _has_moved_on(stack, stack.generation):
            # What was put may have been written over meanwhile: by the deployment, which denies it too, or for a newer wish.
            continue
        Stack.objects.filter(pk=stack.pk).update(denied_generation=stack.generation, denied_at=timezone.now())
        # Somebody may want more at this very moment, and what was put would be behind that.
        done = stack.generation


def make_way(deployment: Deployment) -> None:
    """Just before CloudFormation changes a group: take away what was put at once for wishes that no deployment carries out.

    Who was suspended and resumed between two deployments would stay denied otherwise, as the stack's template is the same
    before and after; and a principal that goes cannot be removed with a policy on it that the stack does not know of.
    """
    stack = Stack.objects.get(pk=deployment.stack_id)
    if stack.kind != Stack.Kind.GROUP:
        return
    deployed, wanted = (
        StoredManifest.objects.group_at(stack, stack.deployed_generation),
        StoredManifest.objects.group_at(stack, deployment.generation),
    )
    if deployed is None or wanted is None:
        return
    # A stack that is removed carries nothing out of its last manifest.
    last = deployment.generation if wanted.retired else deployment.generation - 1
    skipped = StoredManifest.objects.filter(stack=stack, generation__gt=stack.deployed_generation, generation__lte=last)
    put = [
        one
        for text in skipped.values_list("text", flat=True)
        if isinstance(manifest := parse(text), GroupManifest)
        for one in denials.all_denials(manifest)
    ]
    held, kept = _by_key(denials.all_denials(deployed)), {} if wanted.retired else _by_key(denials.all_denials(wanted))
    # Where the stack's own policy changes, CloudFormation writes or removes it by its name.
    stale = {_key(one): one for one in put if held.get(_key(one)) == kept.get(_key(one)) != one}
    if not stale:
        return
    # Who goes must not get in again by what is taken away here.
    client, is_over = _client(stack), partial(_has_moved_on, stack, deployment.generation)
    carry_out(client, stack, _key_stops(client, stack, deployed, wanted), is_over)
    steps = [
        Step(
            one.kind, one.principal, partial(_put, client, kept[key], is_over) if key in kept else partial(_take_away, client, one)
        )
        for key, one in stale.items()
    ]
    carry_out(client, stack, steps, is_over)


def _with_approved_alone(stack: Stack, deployed: GroupManifest, wanted: GroupManifest) -> GroupManifest:
    """Where lifting needs a second administrator, somebody else's suspension must not lift what is in force."""
    running = stack.deployments.filter(state=Deployment.State.RUNNING).first()
    is_approved = running is not None and running.approved_generation == running.generation
    if config().require_approval == "never" or is_approved:
        return wanted
    suspended = {one.username for one in deployed.members if one.suspended}
    members = tuple(one.model_copy(update={"suspended": one.suspended or one.username in suspended}) for one in wanted.members)
    joined = wanted.model_copy(update={"members": members, "suspended": wanted.suspended or deployed.suspended})
    # Beyond what a role holds, what is wanted now comes first.
    return joined if len(joined.shut_out) <= MAX_REVOKED else wanted


def _shut_out(stack: Stack, deployed: GroupManifest, wanted: GroupManifest) -> None:
    client = _client(stack)
    held = denials.all_denials(deployed)
    # Keys and persons first: what is left of a session is bound to the role.
    new = sorted((one for one in denials.all_denials(wanted) if one not in held), key=lambda one: one.kind == "role")
    is_over = partial(_has_moved_on, stack, stack.generation)
    steps = [Step(one.kind, one.principal, partial(_put, client, one, is_over)) for one in new]
    carry_out(client, stack, [*steps, *_key_stops(client, stack, deployed, wanted)], is_over)


def _key_stops(client: "IAMClient", stack: Stack, deployed: GroupManifest, wanted: GroupManifest) -> list[Step]:
    """Make the keys of those inactive who hold none any more. A name is never used twice, so they are not missed."""
    gone = sorted(deployed.key_holders - wanted.key_holders)
    users = [names.user(deployed.slug, username) for username in gone]
    return [Step("user", user, partial(_stop_keys_of, client, stack, user)) for user in users]


def _stop_keys_of(client: "IAMClient", stack: Stack, user: str) -> None:
    for key in client.list_access_keys(UserName=user)["AccessKeyMetadata"]:
        if key["Status"] == "Active":
            client.update_access_key(UserName=user, AccessKeyId=key["AccessKeyId"], Status="Inactive")
            logger.info("%s: the key %s of %s is inactive", stack, key["AccessKeyId"], user)


def _has_moved_on(stack: Stack, generation: int) -> bool:
    """Whether more is wanted than this generation, or another one was deployed, since the row was read. One query.

    Then somebody else may have written a denial of the same name, and what was put for this generation need never be seen.
    """
    return not Stack.objects.filter(pk=stack.pk, generation=generation, deployed_generation=stack.deployed_generation).exists()


def _put(client: "IAMClient", one: denials.Denial, is_over: Callable[[], bool]) -> None:
    """Put one denial on its principal, and read it back until it is seen, or the wish is over. Raises ClientError, or NotSeen."""
    document = json.dumps(one.document, separators=(",", ":"))
    match one.kind:
        case "role":
            client.put_role_policy(RoleName=one.principal, PolicyName=one.policy_name, PolicyDocument=document)
        case "group":
            client.put_group_policy(GroupName=one.principal, PolicyName=one.policy_name, PolicyDocument=document)
        case "user":
            client.put_user_policy(UserName=one.principal, PolicyName=one.policy_name, PolicyDocument=document)
    wait_until_seen(lambda: is_over() or _is_there(client, one), f"{one.kind} {one.principal}: the denial {one.policy_name}")
    logger.info("%s %s: denied at once (%s)", one.kind, one.principal, one.policy_name)


def _is_there(client: "IAMClient", one: denials.Denial) -> bool:
    """Whether IAM shows the denial. boto3 reads documents."""
    found: Any
    match one.kind:
        case "role":
            found = client.get_role_policy(RoleName=one.principal, PolicyName=one.policy_name)
        case "group":
            found = client.get_group_policy(GroupName=one.principal, PolicyName=one.policy_name)
        case "user":
            found = client.get_user_policy(UserName=one.principal, PolicyName=one.policy_name)
    return bool(found["PolicyDocument"] == one.document)


def _take_away(client: "IAMClient", one: denials.Denial) -> None:
    match one.kind:
        case "role":
            client.delete_role_policy(RoleName=one.principal, PolicyName=one.policy_name)
        case "group":
            client.delete_group_policy(GroupName=one.principal, PolicyName=one.policy_name)
        case "user":
            client.delete_user_policy(UserName=one.principal, PolicyName=one.policy_name)
    logger.info("%s %s: no longer denied (%s)", one.kind, one.principal, one.policy_name)


def _key(one: denials.Denial) -> Key:
    return one.kind, one.principal, one.policy_name


def _by_key(found: Iterable[denials.Denial]) -> dict[Key, denials.Denial]:
    return {_key(one): one for one in found}


def _client(stack: Stack) -> "IAMClient":
    return aws.client("iam", stack.place)
