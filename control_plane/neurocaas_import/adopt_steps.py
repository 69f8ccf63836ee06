"""Steps of an adoption. Each checks what is done already, so that a killed run is resumed by running it again.

At every moment a person has at least one of the two accesses: the old IAM group is removed last, once ours is active on AWS.
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
from control_plane.neurocaas_import.adopt_aws import Aws, NotAdopted, none_if_absent
from control_plane.neurocaas_import.adopt_import import with_users
from control_plane.neurocaas_import.adopt_inspect import OldGroup, OldStack
from control_plane.neurocaas_import.adopt_template import is_retained, retain, without_resources
from control_plane.neurocaas_import.models import Adoption
from stacks import names

ReportLine = Callable[[str], None]
POLL_SECONDS = 0.3


class Work:
    """Context of the steps: AWS clients, actor, a function that prints progress, and seconds for changes to propagate in IAM."""

    def __init__(self, aws: Aws, actor: Actor, report: ReportLine, settle_seconds: float) -> None:
        self.aws, self.actor, self.report, self.settle_seconds = aws, actor, report, settle_seconds


def begin(old: OldStack, group: OldGroup, actor: Actor) -> Adoption:
    """Create our group with its grants and the people's accounts, and record the adoption, in one transaction."""
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


def resume(work: Work, adoptions: Sequence[Adoption]) -> None:
    """Finish these adoptions of one stack. Raises NotAdopted or AwsFailure; running it again resumes them."""
    for step in STEPS:
        for adoption in adoptions:
            step(work, adoption)


def deploy_group(work: Work, adoption: Adoption) -> None:
    """Wait until our group and its policies are deployed, before anything of the old stack is changed."""
    wait_until_deployed(work, adoption.group.stack)


def release_resources(work: Work, adoption: Adoption) -> None:
    """Remove the adopted resources from the old stack but not from AWS, and secret keys from its outputs."""
    described = work.aws.describe(adoption.stack_id)
    if described is None:
        return
    template = work.aws.template(adoption.stack_id)
    leaving = {name: physical_id for name, physical_id in adoption.resources.items() if name in template["Resources"]}
    if not leaving:
        return
    work.report(f"{adoption.stack_name}: letting go of {len(leaving)} resources, which all stay")
    if not is_retained(template, leaving):
        note = f"kept: it moves to {names.group_stack(adoption.group.slug)}"
        work.aws.update(adoption.stack_id, template := retain(template, leaving, note), described.get("Parameters", []))
    remaining = without_resources(template, leaving)
    if remaining is None:
        work.aws.delete(adoption.stack_id)
    else:
        work.aws.update(adoption.stack_id, remaining, described.get("Parameters", []))


def rename_users(work: Work, adoption: Adoption) -> None:
    """Give each IAM user our name, path and boundary. Its id, keys and membership in the old group stay."""
    slug, stack = adoption.group.slug, adoption.group.stack
    for person in adoption.people:
        ours = names.user(slug, person["username"])
        now = work.aws.user_of(person["unique_id"], ours, person["old_user"])
        if now == ours:
            continue
        work.report(f"{now}: becomes {ours}")
        work.aws.iam.put_user_permissions_boundary(
            UserName=now, PermissionsBoundary=names.boundary_arn(stack.account, stack.region)
        )
        work.aws.iam.update_user(UserName=now, NewUserName=ours, NewPath=names.iam_path(slug))
        work.aws.user_of(person["unique_id"], ours)


def import_users(work: Work, adoption: Adoption) -> None:
    """Import the users into our stack, as CloudFormation calls it. Nothing changes for them."""
    stack = adoption.group.stack
    stack.refresh_from_db()
    if _are_members(adoption, stack):
        return
    held = {resource.get("PhysicalResourceId") for resource in work.aws.resources(stack.name).values()}
    wanted = {person["username"] for person in adoption.people if names.user(adoption.group.slug, person["username"]) not in held}
    if wanted:
        _wait_for_worker(stack)
        template, users = with_users(work.aws, adoption.group, wanted)
        work.report(f"{stack.name}: takes {len(users)} users in")
        work.aws.import_users(stack.name, template, users)


def add_members(work: Work, adoption: Adoption) -> None:
    """Make the people members of our group, and wait until that is deployed."""
    with transaction.atomic():
        group = adoption.group
        group.stack = lock(group.stack_id)
        there = set(Membership.objects.filter(group=group).values_list("username", flat=True))
        if new := [person for person in adoption.people if person["username"] not in there]:
            for person in new:
                _make_member(adoption, person, work.actor)
            deployment = request_group_deployment(group, f"Taking {len(new)} people over from {adoption.old_group}", work.actor)
            for person in new:
                after = {"access": Access.KEYS.value, "username": person["username"], "old_user": person["old_user"]}
                record(work.actor, "member.adopt", f"{person['old_user']} in {group.slug}", after=after, deployment=deployment.pk)
    wait_until_deployed(work, adoption.group.stack)


def close_old_group(work: Work, adoption: Adoption) -> None:
    """Remove the users from the old IAM group, and delete it with its policies if nobody else is in it."""
    iam, old = work.aws.iam, adoption.old_group
    users = [names.user(adoption.group.slug, person["username"]) for person in adoption.people]
    members = work.aws.members(old)
    if members is not None:
        for user in users:
            groups = none_if_absent(lambda user=user: iam.list_groups_for_user(UserName=user)["Groups"]) or []  # type: ignore[misc]
            if names.iam_group(adoption.group.slug) not in {listed_group["GroupName"] for listed_group in groups}:
                raise NotAdopted(f"{user} is not in our IAM group yet. The old one stays as it is; run this again.")
        # IAM is eventually consistent: the new group has to be known everywhere before the old one goes.
        time.sleep(work.settle_seconds)
        for user in {member["UserName"] for member in members} & set(users):
            iam.remove_user_from_group(GroupName=old, UserName=user)
        if strangers := sorted({member["UserName"] for member in members} - set(users)):
            work.report(f"{old}: stays, since {', '.join(strangers)} is in it, whom the stack did not make")
        else:
            _remove_group(work, old)
    for user in users:
        none_if_absent(lambda user=user: iam.delete_login_profile(UserName=user))  # type: ignore[misc]
    with transaction.atomic():
        adoption.finished_at = timezone.now()
        adoption.save(update_fields=["finished_at"])
        record(work.actor, "legacy.adopted", f"group {adoption.group.slug}", after={"old_group": old, "people": len(users)})
    work.report(f"{adoption.group.slug}: {len(users)} people are in, with their old keys beside new ones")


# All adoptions of a stack complete each step before the next begins.
STEPS: tuple[Callable[[Work, Adoption], None], ...] = (
    deploy_group,
    release_resources,
    rename_users,
    import_users,
    add_members,
    close_old_group,
)


def wait_until_deployed(work: Work, stack: Stack) -> None:
    """Wait until our stack is up to date on AWS; redeploy it if an earlier deployment failed. Raises NotAdopted."""
    deadline = time.monotonic() + config().cohort_deploy_seconds
    stack.refresh_from_db()
    last = stack.deployments.order_by("-pk").first()
    if not stack.is_up_to_date and last is not None and not Deployment.objects.open().filter(stack=stack).exists():
        # A worker was faster, and the deployment is on its way.
        with suppress(NothingToRetry):
            last = deploy_again(last, actor=work.actor)
    newest, is_announced = last.pk if last else 0, False
    while not stack.is_up_to_date:
        now = stack.deployments.order_by("-pk").first()
        if now is None or (not now.is_open and now.pk >= newest and not now.superseded_by_id):
            stack.refresh_from_db()
            if stack.is_up_to_date:
                return
            reason = f"{now.error} {now.advice}" if now else "Nothing was asked for."
            raise NotAdopted(f"{stack.name} was not deployed: {reason} People's keys work as before; then run this again.")
        if time.monotonic() > deadline:
            raise NotAdopted(f"{stack.name} is not deployed yet ({now.state}). People's keys work as before; run this again later.")
        if now.state == Deployment.State.APPROVAL and not is_announced:
            is_announced = True
            work.report(f"{stack.name}: waits for a second administrator (manage.py deployment approve {now.pk})")
        time.sleep(POLL_SECONDS)
        stack.refresh_from_db()


def _grant(ours: Group, group: OldGroup, actor: Actor) -> None:
    held = {grant.analysis.bucket: grant.level for grant in ours.grants.wanted().select_related("analysis")}
    for analysis in Analysis.objects.filter(bucket__in=group.s3_access.buckets).order_by("slug"):
        level = Grant.Level.READ_WRITE if group.s3_access.buckets[analysis.bucket] else Grant.Level.READ_ONLY
        if held.get(analysis.bucket) not in (level, Grant.Level.READ_WRITE):
            grant_analysis(analysis=analysis, group=ours, level=level, actor=actor)


def _make_member(adoption: Adoption, person: dict[str, str], actor: Actor) -> None:
    group = adoption.group
    membership = Membership.objects.create(
        group=group,
        user_id=person["person"],
        username=person["username"],
        access=Access.KEYS,
        added_generation=group.stack.generation + 1,
        added_by=actor.label,
    )
    if person["key"]:
        adopt(membership=membership, access_key_id=person["key"], old_user=person["old_user"])


def _are_members(adoption: Adoption, stack: Stack) -> bool:
    """Check whether the people are deployed as members already."""
    rows = Membership.objects.filter(username__in=[person["username"] for person in adoption.people])
    return rows.filter(added_generation__lte=stack.deployed_generation).count() == len(adoption.people)


def _wait_for_worker(stack: Stack) -> None:
    """Wait until no deployment of the stack runs: CloudFormation does one operation on a stack at a time. Raises NotAdopted."""
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
