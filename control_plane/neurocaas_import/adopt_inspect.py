"""What a stack of the predecessor holds, what of it can be adopted, and what speaks against it. Changes nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.slugs import make_slug
from control_plane.accounts.models import User
from control_plane.base.config import config
from control_plane.neurocaas_import.adopt_aws import Aws, NotAdopted
from control_plane.neurocaas_import.adopt_people import Directory
from control_plane.neurocaas_import.adopt_policies import Reach, reach_of
from control_plane.neurocaas_import.adopt_template import NotUnderstood, Template, references, secret_outputs, without
from control_plane.neurocaas_import.models import Adoption
from stacks.manifest import names

SUFFIX = "usercentricgroup"
OURS = ("Group-", "Cohort-", "CDKToolkit")
CHANGEABLE = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
)
GROUP, USER, KEY = "AWS::IAM::Group", "AWS::IAM::User", "AWS::IAM::AccessKey"
ADDITION, POLICY = "AWS::IAM::UserToGroupAddition", "AWS::IAM::Policy"


@dataclass
class OldUser:
    """One IAM user of the predecessor, and whose it is."""

    logical_id: str
    name: str
    short: str
    email: str
    unique_id: str = ""
    key_id: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class OldGroup:
    """One IAM group of the predecessor. It is adopted whole or not at all."""

    logical_id: str
    name: str
    affiliate: str
    slug: str
    users: list[OldUser] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    resources: dict[str, str] = field(default_factory=dict)
    reach: Reach = field(default_factory=Reach)
    problems: list[str] = field(default_factory=list)

    @property
    def refusals(self) -> list[str]:
        """Everything that is in the way."""
        return [*self.problems, *(f"{user.name}: {problem}" for user in self.users for problem in user.problems)]


@dataclass
class OldStack:
    """A stack of the predecessor as it is."""

    name: str
    stack_id: str
    region: str
    template: Template
    parameters: list[dict[str, Any]]
    groups: list[OldGroup] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    secrets_shown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Wishes:
    """What the operator said: the IAM groups or affiliates meant (none: all), addresses by user name, and what may be lost."""

    groups: tuple[str, ...] = ()
    people: Directory = field(default_factory=Directory)
    slugs: Mapping[str, str] = field(default_factory=dict)
    may_lose: bool = False


def look(aws: Aws, stack_name: str, wishes: Wishes) -> OldStack:
    """Read the stack and judge each group that is wished for. Raises NotAdopted where the stack as a whole cannot be adopted."""
    described = aws.describe(stack_name)
    if described is None:
        raise NotAdopted(
            f"There is no stack {stack_name!r} in {aws.place.region}. Nothing was changed; check its name and AWS_REGION."
        )
    _check_stack(described)
    old = OldStack(
        described["StackName"],
        described["StackId"],
        aws.place.region,
        aws.template(described["StackId"]),
        described.get("Parameters", []),
    )
    old.secrets_shown = secret_outputs(old.template)
    held = aws.resources(old.stack_id)
    for logical_id, resource in held.items():
        if resource["ResourceType"] == GROUP and _is_meant(resource["PhysicalResourceId"], wishes.groups):
            old.groups.append(_group(aws, old, held, logical_id, wishes))
    _check_wished(old, wishes)
    _check_distinct(old.groups)
    _check_separable(old)
    if described.get("EnableTerminationProtection") and without_all(old) is None:
        _refuse_all(old, "the stack is protected against deletion, and would hold nothing any more; switch that off first")
    gone = {name for group in old.groups for name in group.resources}
    old.left = [(name, one["ResourceType"]) for name, one in held.items() if name not in gone]
    return old


def without_all(old: OldStack) -> Template | None:
    """The stack's template once every group is adopted that can be; None if nothing remains."""
    leaving = {name: physical for group in old.groups if not group.refusals for name, physical in group.resources.items()}
    return without(old.template, leaving)


def _check_stack(described: dict[str, Any]) -> None:
    name, status = described["StackName"], described["StackStatus"]
    if name.startswith(OURS):
        raise NotAdopted(f"{name} is no stack of the predecessor. Nothing was changed.")
    if described.get("ParentId"):
        raise NotAdopted(f"{name} is a part of another stack ({described['ParentId']}). Nothing was changed; adopt that one.")
    if status not in CHANGEABLE:
        raise NotAdopted(
            f"{name} is {status}, which CloudFormation does not change. Nothing was changed; bring it to rest first "
            "(its events in CloudFormation's console say what ails it), then run this again."
        )


def _check_wished(old: OldStack, wishes: Wishes) -> None:
    found = {word for group in old.groups for word in (group.name, group.affiliate)}
    if missing := [one for one in wishes.groups if one not in found]:
        raise NotAdopted(f"{old.name} holds no group {', '.join(missing)}. Nothing was changed.")


def _check_distinct(groups: list[OldGroup]) -> None:
    for group in groups:
        if [one.slug for one in groups].count(group.slug) > 1:
            group.problems.append(f"another group of the stack would have the slug {group.slug!r} too; give one by --slug")


def _check_separable(old: OldStack) -> None:
    for group in old.groups:
        if group.problems:
            continue
        try:
            without(old.template, group.resources)
        except NotUnderstood as error:
            group.problems.append(f"{error}; change the template by hand")


def _refuse_all(old: OldStack, problem: str) -> None:
    for group in old.groups:
        group.problems.append(problem)


def _is_meant(name: str, wished: tuple[str, ...]) -> bool:
    return name.endswith(SUFFIX) and (not wished or name in wished or name.removesuffix(SUFFIX) in wished)


def _group(aws: Aws, old: OldStack, held: dict[str, dict[str, Any]], logical_id: str, wishes: Wishes) -> OldGroup:
    name = held[logical_id]["PhysicalResourceId"]
    affiliate = name.removesuffix(SUFFIX)
    slug = wishes.slugs.get(affiliate) or wishes.slugs.get(name) or make_slug(affiliate)
    group = OldGroup(logical_id, name, affiliate, slug)
    members = aws.members(name)
    if members is None:
        group.problems.append("its IAM group is not there any more; whoever removed it cut its people off already")
        return group
    users = {one["PhysicalResourceId"]: key for key, one in held.items() if one["ResourceType"] == USER}
    for member in sorted(members, key=lambda one: str(one["UserName"])):
        if member["UserName"] in users:
            group.users.append(_user(aws, old, held, users[member["UserName"]], member, group, wishes))
        else:
            group.strangers.append(member["UserName"])
    _check_group(group)
    group.resources = _resources(old.template, held, group)
    group.reach = reach_of(aws, name, group.slug)
    if group.reach.losses and not wishes.may_lose:
        group.problems.append(
            "people would no longer reach "
            + "; ".join(group.reach.losses)
            + " (grant what they need as analyses first, or say --may-lose)"
        )
    return group


def _check_group(group: OldGroup) -> None:
    if not group.users:
        group.problems.append("none of the stack's users is in it")
    holders = Membership.objects.wanted().filter(group__slug=group.slug, access=Access.KEYS)
    room = config().cohort_holders_per_stack - holders.count()
    if len(group.users) > room:
        group.problems.append(f"its {len(group.users)} users do not fit one stack, which has room for {room} more; split the group")
    try:
        names.check_slug(group.slug)
    except names.NameRefused as error:
        group.problems.append(f"{error} Give it another by --slug {group.affiliate}=...")
    addresses = [user.email for user in group.users if user.email]
    if doubled := sorted({one for one in addresses if addresses.count(one) > 1}):
        group.problems.append(f"{', '.join(doubled)} would be two members; one person has one key")
    if Group.objects.filter(slug=group.slug, retired_at__isnull=False).exists():
        group.problems.append(f"the group {group.slug!r} was retired; give another by --slug")
    inside = Membership.objects.not_ended().filter(group__slug=group.slug, user__email__in=addresses)
    for email in inside.values_list("user__email", flat=True):
        group.problems.append(
            f"{email} is in {group.slug} already, with an access of Cohort's own; take them out first "
            f"(manage.py member remove {group.slug} {email} --wait), so that the key they have can be taken over"
        )


def _user(
    aws: Aws,
    old: OldStack,
    held: dict[str, dict[str, Any]],
    logical_id: str,
    member: dict[str, Any],
    group: OldGroup,
    wishes: Wishes,
) -> OldUser:
    name = member["UserName"]
    short = re.sub(r"[a-z]{2}(-[a-z]+)+-[0-9]$", "", name)
    user = OldUser(logical_id, name, short, wishes.people.find(group.affiliate, short), member["UserId"])
    if not user.email:
        user.problems.append(f"nobody's address is known; give it by --profile or --emails (columns username,email: {short},...)")
    elif not User.objects.filter(email=user.email, is_active=True).exists() and User.objects.filter(email=user.email).exists():
        user.problems.append(f"the account of {user.email} is not active; activate it first")
    _check_keys(aws, old, held, user)
    _check_extras(aws, user, group)
    return user


def _check_keys(aws: Aws, old: OldStack, held: dict[str, dict[str, Any]], user: OldUser) -> None:
    keys = aws.iam.list_access_keys(UserName=user.name)["AccessKeyMetadata"]
    ours = {one["PhysicalResourceId"] for one in held.values() if one["ResourceType"] == KEY}
    if len(keys) > 1:
        user.problems.append(
            "it has two keys already, and IAM allows no third; have the person say which one they use, and remove the other"
        )
    elif not keys:
        user.notes.append("has no key; gets a new one")
    else:
        user.key_id = keys[0]["AccessKeyId"]
        if user.key_id not in ours:
            user.notes.append("its key is not the stack's; it is taken over all the same")
        if keys[0]["Status"] != "Active":
            user.notes.append("its key is switched off, and stays so")
    lost = [
        name
        for name, one in held.items()
        if one["ResourceType"] == KEY
        and user.logical_id in references(old.template["Resources"].get(name, {}))
        and one["PhysicalResourceId"] != user.key_id
    ]
    if lost and len(keys) == 1:
        user.notes.append(f"the stack's key {', '.join(lost)} is not there any more")


def _check_extras(aws: Aws, user: OldUser, group: OldGroup) -> None:
    """What CloudFormation would not know of, and so could not remove with the user one day."""
    at = {"UserName": user.name}
    others = [one["GroupName"] for one in aws.iam.list_groups_for_user(**at)["Groups"] if one["GroupName"] != group.name]
    extras = {
        "is in the groups": others,
        "has policies of its own,": aws.iam.list_user_policies(**at)["PolicyNames"],
        "has policies attached,": [one["PolicyName"] for one in aws.iam.list_attached_user_policies(**at)["AttachedPolicies"]],
        "has second factors,": [one["SerialNumber"] for one in aws.iam.list_mfa_devices(**at)["MFADevices"]],
    }
    for what, found in extras.items():
        if found:
            user.problems.append(f"it {what} {', '.join(found)}; take them away first if nobody needs them")


def _resources(template: Template, held: Mapping[str, Mapping[str, Any]], group: OldGroup) -> dict[str, str]:
    """What of the stack belongs to the group alone."""
    mine = {group.logical_id, *(user.logical_id for user in group.users)}
    words = {group.name, *(user.name for user in group.users)}
    for logical_id, one in held.items():
        kind, properties = one["ResourceType"], template["Resources"].get(logical_id, {}).get("Properties", {})
        named = {
            KEY: [properties.get("UserName")],
            ADDITION: [properties.get("GroupName")],
            POLICY: [*properties.get("Groups", []), *properties.get("Users", []), *properties.get("Roles", [])],
        }.get(kind, [])
        if named and all(_names(part, mine, words) for part in named):
            mine.add(logical_id)
    return {name: held[name]["PhysicalResourceId"] for name in held if name in mine}


def _names(part: Any, logical_ids: set[str], words: set[str]) -> bool:
    return part in words if isinstance(part, str) else bool(references(part)) and references(part) <= logical_ids


def unfinished(stack_name: str) -> list[Adoption]:
    """Adoptions of this stack that were begun and not ended."""
    found = Adoption.objects.filter(finished_at__isnull=True).select_related("group__stack")
    return [one for one in found if stack_name in (one.stack_name, one.stack_id)]


def adopted_groups(stack: str) -> list[str]:
    """The IAM groups of this stack, by its name or ARN, that are adopted."""
    found = Adoption.objects.filter(Q(stack_name=stack) | Q(stack_id=stack), finished_at__isnull=False)
    return list(found.values_list("old_group", flat=True))
