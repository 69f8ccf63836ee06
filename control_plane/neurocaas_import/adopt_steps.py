"""Adopting, one step after another. Each looks at what is done already, so that a run that was killed goes on when run again.

At no moment has a person neither of the two accesses: the old IAM group goes last, once AWS says that ours is in force.
"""

import operator
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from django.db import transaction
from django.utils import timezone

from control_plane.access.groups.models import Access, Analysis, Grant, Group, Membership
from control_plane.access.groups.services.analyses import grant_analysis
from control_plane.access.groups.services.groups import create_group, request_group_deployment
from control_plane.access.groups.services.members import find_or_create_user
from control_plane.access.keys.adopted import adopt
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.config import config
from control_plane.base.polling import poll_until
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.requests import NothingToRetry, deploy_again, lock
from control_plane.neurocaas_import.adopt_aws import Aws, NotAdopted, absent
from control_plane.neurocaas_import.adopt_import import with_users
from control_plane.neurocaas_import.adopt_inspect import OldGroup, OldStack
from control_plane.neurocaas_import.adopt_template import is_kept, keep, without
from control_plane.neurocaas_import.models import Adoption
from stacks.manifest import names

Tell = Callable[[str], None]
POLL_SECONDS = 0.3


class Work:
    """What the steps need: AWS, who asks, whom to tell, and how long IAM is given to make a change known everywhere."""

    def __init__(self, aws: Aws, actor: Actor, tell: Tell, settle_seconds: float) -> None:
        self.aws, self.actor, self.tell, self.settle_seconds = aws, actor, tell, settle_seconds


def begin(old: OldStack, group: OldGroup, actor: Actor) -> Adoption:
    """Make our group with its analyses and the people's accounts, and note what is to be adopted: all of it or nothing."""
    with transaction.atomic():
        ours = Group.objects.filter(slug=group.slug).first()
        if ours is None:
            ours, _ = create_group(slug=group.slug, name=group.affiliate, actor=actor)
        _grant(ours, group, actor)
        people = [
            {
                "old_user": user.name,
                "unique_id": user.unique_id,
                "key": user.key_id,
                "username": Membership._meta.get_field("username").get_default(),
                "person": find_or_create_user(user.email, actor=actor).pk,
            }
            for user in group.users
        ]
        adoption = Adoption.objects.create(
            stack_name=old.name,
            stack_id=old.stack_id,
            region=old.region,
            old_group=group.name,
            group=ours,
            resources=group.resources,
            people=people,
            created_by=actor.label,
        )
        record(actor, "legacy.adopt", f"group {group.slug}", after={"stack": old.name, "old_group": group.name})
    return adoption


def go_on(work: Work, adoptions: Sequence[Adoption]) -> None:
    """Bring these adoptions of one stack to their end. Raises NotAdopted or AwsFailure; running it again goes on."""
    for step in STEPS:
        for adoption in adoptions:
            step(work, adoption)


def have_group(work: Work, adoption: Adoption) -> None:
    """Our group and its policies are there before anything of the old stack is touched."""
    bring(work, adoption.group.stack)


def release(work: Work, adoption: Adoption) -> None:
    """Take what is adopted out of the old stack without removing it, and secret keys out of its outputs."""
    described = work.aws.describe(adoption.stack_id)
    if described is None:
        return
    template = work.aws.template(adoption.stack_id)
    leaving = {name: one for name, one in adoption.resources.items() if name in template["Resources"]}
    if not leaving:
        return
    work.tell(f"{adoption.stack_name}: letting go of {len(leaving)} resources, which all stay")
    if not is_kept(template, leaving):
        note = f"kept: it moves to {names.group_stack(adoption.group.slug)}"
        work.aws.update(adoption.stack_id, template := keep(template, leaving, note), described.get("Parameters", []))
    remaining = without(template, leaving)
    if remaining is None:
        work.aws.delete(adoption.stack_id)
    else:
        work.aws.update(adoption.stack_id, remaining, described.get("Parameters", []))


def move(work: Work, adoption: Adoption) -> None:
    """Give each IAM user our name, path and boundary. It keeps its id, its keys and its place in the old group."""
    slug, stack = adoption.group.slug, adoption.group.stack
    for one in adoption.people:
        ours = names.user(slug, one["username"])
        now = work.aws.user_of(one["unique_id"], ours, one["old_user"])
        if now == ours:
            continue
        work.tell(f"{now}: becomes {ours}")
        work.aws.iam.put_user_permissions_boundary(
            UserName=now, PermissionsBoundary=names.boundary_arn(stack.account, stack.region)
        )
        work.aws.iam.update_user(UserName=now, NewUserName=ours, NewPath=names.iam_path(slug))
        work.aws.user_of(one["unique_id"], ours)


def take_in(work: Work, adoption: Adoption) -> None:
    """Have our stack hold the users, which CloudFormation calls an import. Nothing changes for them."""
    stack = adoption.group.stack
    stack.refresh_from_db()
    if _are_members(adoption, stack):
        return
    held = {one.get("PhysicalResourceId") for one in work.aws.resources(stack.name).values()}
    wanted = {one["username"] for one in adoption.people if names.user(adoption.group.slug, one["username"]) not in held}
    if wanted:
        _wait_for_worker(stack)
        template, users = with_users(work.aws, adoption.group, wanted)
        work.tell(f"{stack.name}: takes {len(users)} users in")
        work.aws.take_in(stack.name, template, users)


def admit(work: Work, adoption: Adoption) -> None:
    """Make them members of our group, and wait until AWS has given them what members have."""
    with transaction.atomic():
        group = adoption.group
        group.stack = lock(group.stack_id)
        there = set(Membership.objects.filter(group=group).values_list("username", flat=True))
        if new := [one for one in adoption.people if one["username"] not in there]:
            for one in new:
                _make_member(adoption, one, work.actor)
            deployment = request_group_deployment(group, f"Taking {len(new)} people over from {adoption.old_group}", work.actor)
            for one in new:
                after = {"access": Access.KEYS.value, "username": one["username"], "old_user": one["old_user"]}
                record(work.actor, "member.adopt", f"{one['old_user']} in {group.slug}", after=after, deployment=deployment.pk)
    bring(work, adoption.group.stack)


def close(work: Work, adoption: Adoption) -> None:
    """Take the users out of the old IAM group, and remove it with its policies if nobody else is in it."""
    iam, old = work.aws.iam, adoption.old_group
    users = [names.user(adoption.group.slug, one["username"]) for one in adoption.people]
    members = work.aws.members(old)
    if members is not None:
        for user in users:
            groups = absent(lambda user=user: iam.list_groups_for_user(UserName=user)["Groups"]) or []  # type: ignore[misc]
            if names.iam_group(adoption.group.slug) not in {one["GroupName"] for one in groups}:
                raise NotAdopted(f"{user} is not in our IAM group yet. The old one stays as it is; run this again.")
        # IAM answers from many places: each has to know the new group before the old one goes.
        time.sleep(work.settle_seconds)
        for user in {one["UserName"] for one in members} & set(users):
            iam.remove_user_from_group(GroupName=old, UserName=user)
        if strangers := sorted({one["UserName"] for one in members} - set(users)):
            work.tell(f"{old}: stays, since {', '.join(strangers)} is in it, whom the stack did not make")
        else:
            _remove_group(work, old)
    for user in users:
        absent(lambda user=user: iam.delete_login_profile(UserName=user))  # type: ignore[misc]
    with transaction.atomic():
        adoption.finished_at = timezone.now()
        adoption.save(update_fields=["finished_at"])
        record(work.actor, "legacy.adopted", f"group {adoption.group.slug}", after={"old_group": old, "people": len(users)})
    work.tell(f"{adoption.group.slug}: {len(users)} people are in, with their old keys beside new ones")


# All adoptions of a stack pass each step before the next begins.
STEPS: tuple[Callable[[Work, Adoption], None], ...] = (have_group, release, move, take_in, admit, close)


def bring(work: Work, stack: Stack) -> None:
    """Wait until AWS holds what is wanted of our stack, asking again where an earlier try failed. Raises NotAdopted."""
    deadline = time.monotonic() + config().cohort_deploy_seconds
    stack.refresh_from_db()
    last = stack.deployments.order_by("-pk").first()
    if not stack.is_up_to_date and last is not None and not Deployment.objects.open().filter(stack=stack).exists():
        # Where a worker is faster, what we want is on its way.
        with suppress(NothingToRetry):
            last = deploy_again(last, actor=work.actor)
    told, asked = last.pk if last else 0, False
    while not stack.is_up_to_date:
        now = stack.deployments.order_by("-pk").first()
        if now is None or (not now.is_open and now.pk >= told and not now.superseded_by_id):
            stack.refresh_from_db()
            if stack.is_up_to_date:
                return
            said = f"{now.error} {now.advice}" if now else "Nothing was asked for."
            raise NotAdopted(f"{stack.name} was not deployed: {said} People's keys work as before; then run this again.")
        if time.monotonic() > deadline:
            raise NotAdopted(f"{stack.name} is not deployed yet ({now.state}). People's keys work as before; run this again later.")
        if now.state == Deployment.State.APPROVAL and not asked:
            asked = True
            work.tell(f"{stack.name}: waits for a second administrator (manage.py deployment approve {now.pk})")
        time.sleep(POLL_SECONDS)
        stack.refresh_from_db()


def _grant(ours: Group, group: OldGroup, actor: Actor) -> None:
    held = {grant.analysis.bucket: grant.level for grant in ours.grants.wanted().select_related("analysis")}
    for analysis in Analysis.objects.filter(bucket__in=group.reach.buckets).order_by("slug"):
        level = Grant.Level.READ_WRITE if group.reach.buckets[analysis.bucket] else Grant.Level.READ_ONLY
        if held.get(analysis.bucket) not in (level, Grant.Level.READ_WRITE):
            grant_analysis(analysis=analysis, group=ours, level=level, actor=actor)


def _make_member(adoption: Adoption, one: dict[str, str], actor: Actor) -> None:
    group = adoption.group
    membership = Membership.objects.create(
        group=group,
        user_id=one["person"],
        username=one["username"],
        access=Access.KEYS,
        added_generation=group.stack.generation + 1,
        added_by=actor.label,
    )
    if one["key"]:
        adopt(membership=membership, access_key_id=one["key"], old_user=one["old_user"])


def _are_members(adoption: Adoption, stack: Stack) -> bool:
    """Whether AWS holds them as members already."""
    rows = Membership.objects.filter(username__in=[one["username"] for one in adoption.people])
    return rows.filter(added_generation__lte=stack.deployed_generation).count() == len(adoption.people)


def _wait_for_worker(stack: Stack) -> None:
    """CloudFormation does one thing with a stack at a time."""
    running = Deployment.objects.filter(stack=stack, state=Deployment.State.RUNNING)
    if poll_until(running.exists, operator.not_, seconds=config().cohort_deploy_seconds, every=POLL_SECONDS):
        raise NotAdopted(f"{stack.name} is being deployed. People's keys work as before; run this again later.")


def _remove_group(work: Work, old: str) -> None:
    iam = work.aws.iam
    for policy in iam.list_group_policies(GroupName=old)["PolicyNames"]:
        iam.delete_group_policy(GroupName=old, PolicyName=policy)
    for attached in iam.list_attached_group_policies(GroupName=old)["AttachedPolicies"]:
        iam.detach_group_policy(GroupName=old, PolicyArn=attached["PolicyArn"])
    iam.delete_group(GroupName=old)
