"""Lockout: denies access on AWS at once, before the deployment that makes the denial part of the group's stack.

The denials of the newest wanted manifest are put on the principals that exist; the keys of removed holders are made inactive,
since CloudFormation could not remove a user with a policy that it does not know of. Nothing is ever lifted here but by
`clear_stale_denials`, as a later generation is deployed. `request_group_deployment` enqueues it with each change that denies
more, and `lockout_requests` again for as long as that is not deployed.
"""

import json
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from control_plane.base import aws
from control_plane.base.config import config
from control_plane.deployments.lockout_steps import LockoutStep, carry_out, wait_until_seen
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from stacks import denials, names
from stacks.manifest import MAX_REVOKED, GroupManifest, parse

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

logger = logging.getLogger("cohort.denying")

# Generations that one task denies, if newer ones are asked for meanwhile; the sweep takes up further ones.
MAX_ROUNDS = 5
# Resource types that the lockout puts denials on: CloudFormation may remove these as it changes the resource.
CARRIERS = frozenset({"AWS::IAM::Role", "AWS::IAM::Group", "AWS::IAM::User"})

Key = tuple[str, str, str]


def deny(stack_id: int) -> None:
    """Put the denials of the newest wanted manifest on AWS, and verify them. Raises LockoutIncomplete; the sweep tries again."""
    done = 0
    for _ in range(MAX_ROUNDS):
        stack = Stack.objects.get(pk=stack_id)
        if stack.generation == done or stack.is_up_to_date:
            return
        if stack.is_retired and stack.deployments.filter(state=Deployment.State.RUNNING).exists():
            # The stack is being deleted, which a policy that it does not know of would prevent.
            return
        deployed, wanted = (
            StoredManifest.objects.group_at(stack, stack.deployed_generation),
            StoredManifest.objects.group_at(stack, stack.generation),
        )
        if deployed is None or wanted is None:
            # A group that was never deployed has nobody to shut out.
            return
        _shut_out(stack, deployed, _with_approved_liftings(stack, deployed, wanted))
        if _has_moved_on(stack, stack.generation):
            # The denials may have been overwritten meanwhile: by the deployment, which denies too, or for a newer generation.
            continue
        Stack.objects.filter(pk=stack.pk).update(denied_generation=stack.generation, denied_at=timezone.now())
        # A newer generation may have been asked for meanwhile, so the loop checks again.
        done = stack.generation


def clear_stale_denials(deployment: Deployment) -> None:
    """Remove denials of generations that no deployment carries out, just before CloudFormation changes a group.

    A member who was suspended and resumed between two deployments would stay denied otherwise, as the stack's template is the
    same before and after; and CloudFormation cannot remove a principal with a policy on it that the stack does not know of.
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
    # The deletion of a stack puts none of its last manifest's denials in place.
    last = deployment.generation if wanted.retired else deployment.generation - 1
    skipped = StoredManifest.objects.filter(stack=stack, generation__gt=stack.deployed_generation, generation__lte=last)
    skipped_denials = [
        denial
        for text in skipped.values_list("text", flat=True)
        if isinstance(manifest := parse(text), GroupManifest)
        for denial in denials.all_denials(manifest)
    ]
    held, kept = _by_key(denials.all_denials(deployed)), {} if wanted.retired else _by_key(denials.all_denials(wanted))
    # Where the stack's own policy changes, CloudFormation writes or removes it by its name.
    stale = {_key(denial): denial for denial in skipped_denials if held.get(_key(denial)) == kept.get(_key(denial)) != denial}
    if not stale:
        return
    # Keys first: a removed holder must not regain access as denials are removed here.
    client, is_over = _client(stack), partial(_has_moved_on, stack, deployment.generation)
    carry_out(client, stack, _key_steps(client, stack, deployed, wanted), is_over)
    steps = [
        LockoutStep(
            denial.kind,
            denial.principal,
            partial(_put, client, kept[key], is_over) if key in kept else partial(_remove, client, denial),
        )
        for key, denial in stale.items()
    ]
    carry_out(client, stack, steps, is_over)


def _with_approved_liftings(stack: Stack, deployed: GroupManifest, wanted: GroupManifest) -> GroupManifest:
    """Return the wanted manifest with the deployed suspensions kept, if lifting them needs an approval that is not given yet.

    Otherwise a new suspension of one member would lift those of others.
    """
    running = stack.deployments.filter(state=Deployment.State.RUNNING).first()
    is_approved = running is not None and running.approved_generation == running.generation
    if config().require_approval == "never" or is_approved:
        return wanted
    suspended = {member.username for member in deployed.members if member.suspended}
    members = tuple(
        member.model_copy(update={"suspended": member.suspended or member.username in suspended}) for member in wanted.members
    )
    joined = wanted.model_copy(update={"members": members, "suspended": wanted.suspended or deployed.suspended})
    # Beyond what a role holds, what is wanted now comes first.
    return joined if len(joined.shut_out) <= MAX_REVOKED else wanted


def _shut_out(stack: Stack, deployed: GroupManifest, wanted: GroupManifest) -> None:
    client = _client(stack)
    held = denials.all_denials(deployed)
    # Users and groups first: the denials on the role only concern sessions that are open.
    new = sorted((denial for denial in denials.all_denials(wanted) if denial not in held), key=lambda denial: denial.kind == "role")
    is_over = partial(_has_moved_on, stack, stack.generation)
    steps = [LockoutStep(denial.kind, denial.principal, partial(_put, client, denial, is_over)) for denial in new]
    carry_out(client, stack, [*steps, *_key_steps(client, stack, deployed, wanted)], is_over)


def _key_steps(client: "IAMClient", stack: Stack, deployed: GroupManifest, wanted: GroupManifest) -> list[LockoutStep]:
    """Return the steps that deactivate the keys of members who hold none any more. A username is never used twice."""
    gone = sorted(deployed.key_holders - wanted.key_holders)
    users = [names.user(deployed.slug, username) for username in gone]
    return [LockoutStep("user", user, partial(_deactivate_keys, client, stack, user)) for user in users]


def _deactivate_keys(client: "IAMClient", stack: Stack, user: str) -> None:
    for key in client.list_access_keys(UserName=user)["AccessKeyMetadata"]:
        if key["Status"] == "Active":
            client.update_access_key(UserName=user, AccessKeyId=key["AccessKeyId"], Status="Inactive")
            logger.info("%s: the key %s of %s is inactive", stack, key["AccessKeyId"], user)


def _has_moved_on(stack: Stack, generation: int) -> bool:
    """Return whether a newer generation is wanted, or another one was deployed, since the row was read. One query.

    Then another task may have written a denial of the same name, and the one of this generation may never be seen.
    """
    return not Stack.objects.filter(pk=stack.pk, generation=generation, deployed_generation=stack.deployed_generation).exists()


def _put(client: "IAMClient", denial: denials.Denial, is_over: Callable[[], bool]) -> None:
    """Put one denial on its principal, and read it back until it is seen, or `is_over`. Raises ClientError, or NotSeen."""
    document = json.dumps(denial.document, separators=(",", ":"))
    match denial.kind:
        case "role":
            client.put_role_policy(RoleName=denial.principal, PolicyName=denial.policy_name, PolicyDocument=document)
        case "group":
            client.put_group_policy(GroupName=denial.principal, PolicyName=denial.policy_name, PolicyDocument=document)
        case "user":
            client.put_user_policy(UserName=denial.principal, PolicyName=denial.policy_name, PolicyDocument=document)
    wait_until_seen(
        lambda: is_over() or _is_there(client, denial), f"{denial.kind} {denial.principal}: the denial {denial.policy_name}"
    )
    logger.info("%s %s: denied at once (%s)", denial.kind, denial.principal, denial.policy_name)


def _is_there(client: "IAMClient", denial: denials.Denial) -> bool:
    """Return whether IAM shows the denial. boto3 returns parsed policy documents."""
    answer: Any
    match denial.kind:
        case "role":
            answer = client.get_role_policy(RoleName=denial.principal, PolicyName=denial.policy_name)
        case "group":
            answer = client.get_group_policy(GroupName=denial.principal, PolicyName=denial.policy_name)
        case "user":
            answer = client.get_user_policy(UserName=denial.principal, PolicyName=denial.policy_name)
    return bool(answer["PolicyDocument"] == denial.document)


def _remove(client: "IAMClient", denial: denials.Denial) -> None:
    match denial.kind:
        case "role":
            client.delete_role_policy(RoleName=denial.principal, PolicyName=denial.policy_name)
        case "group":
            client.delete_group_policy(GroupName=denial.principal, PolicyName=denial.policy_name)
        case "user":
            client.delete_user_policy(UserName=denial.principal, PolicyName=denial.policy_name)
    logger.info("%s %s: no longer denied (%s)", denial.kind, denial.principal, denial.policy_name)


def _key(denial: denials.Denial) -> Key:
    return denial.kind, denial.principal, denial.policy_name


def _by_key(all_denials: Iterable[denials.Denial]) -> dict[Key, denials.Denial]:
    return {_key(denial): denial for denial in all_denials}


def _client(stack: Stack) -> "IAMClient":
    return aws.client("iam", stack.place)
