"""Inspection of a stack of the predecessor: its groups and users, and the problems that prevent their adoption. Read-only."""

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
from control_plane.neurocaas_import.adopt_policies import S3Access, read_s3_access
from control_plane.neurocaas_import.adopt_template import Template, UnknownReference, references, secret_outputs, without_resources
from control_plane.neurocaas_import.models import Adoption
from stacks import names

SUFFIX = "usercentricgroup"
OUR_STACK_PREFIXES = ("Group-", "Cohort-", "CDKToolkit")
CHANGEABLE = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
)
GROUP, USER, KEY = "AWS::IAM::Group", "AWS::IAM::User", "AWS::IAM::AccessKey"
ADDITION, POLICY = "AWS::IAM::UserToGroupAddition", "AWS::IAM::Policy"


@dataclass
class OldUser:
    """An IAM user of the predecessor, with its owner's address."""

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
    """An IAM group of the predecessor. It is adopted completely or not at all."""

    logical_id: str
    name: str
    affiliate: str
    slug: str
    users: list[OldUser] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    resources: dict[str, str] = field(default_factory=dict)
    s3_access: S3Access = field(default_factory=S3Access)
    problems: list[str] = field(default_factory=list)

    @property
    def refusals(self) -> list[str]:
        """All problems that prevent the adoption."""
        return [*self.problems, *(f"{user.name}: {problem}" for user in self.users for problem in user.problems)]


@dataclass
class OldStack:
    """A stack of the predecessor in its present state."""

    name: str
    stack_id: str
    region: str
    template: Template
    parameters: list[dict[str, Any]]
    groups: list[OldGroup] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    secrets_shown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AdoptChoices:
    """The operator's options: IAM groups or affiliates (none: all), addresses by user name, slugs, and consent to lost access."""

    groups: tuple[str, ...] = ()
    people: Directory = field(default_factory=Directory)
    slugs: Mapping[str, str] = field(default_factory=dict)
    may_lose: bool = False


def inspect_stack(aws: Aws, stack_name: str, choices: AdoptChoices) -> OldStack:
    """Read the stack and check each chosen group. Raises NotAdopted if the stack as a whole cannot be adopted."""
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
        if resource["ResourceType"] == GROUP and _is_chosen(resource["PhysicalResourceId"], choices.groups):
            old.groups.append(_inspect_group(aws, old, held, logical_id, choices))
    _check_chosen(old, choices)
    _check_distinct(old.groups)
    _check_separable(old)
    if described.get("EnableTerminationProtection") and template_without_all(old) is None:
        _refuse_all(old, "the stack is protected against deletion, and would hold nothing any more; switch that off first")
    gone = {name for group in old.groups for name in group.resources}
    old.left = [(name, resource["ResourceType"]) for name, resource in held.items() if name not in gone]
    return old


def template_without_all(old: OldStack) -> Template | None:
    """Return the stack's template without the groups that can be adopted; None if no resource remains."""
    leaving = {name: physical for group in old.groups if not group.refusals for name, physical in group.resources.items()}
    return without_resources(old.template, leaving)


def _check_stack(described: dict[str, Any]) -> None:
    name, status = described["StackName"], described["StackStatus"]
    if name.startswith(OUR_STACK_PREFIXES):
        raise NotAdopted(f"{name} is no stack of the predecessor. Nothing was changed.")
    if described.get("ParentId"):
        raise NotAdopted(f"{name} is a part of another stack ({described['ParentId']}). Nothing was changed; adopt that one.")
    if status not in CHANGEABLE:
        raise NotAdopted(
            f"{name} is {status}, which CloudFormation does not change. Nothing was changed; bring it to rest first "
            "(its events in CloudFormation's console say what ails it), then run this again."
        )


def _check_chosen(old: OldStack, choices: AdoptChoices) -> None:
    known = {word for group in old.groups for word in (group.name, group.affiliate)}
    if missing := [name for name in choices.groups if name not in known]:
        raise NotAdopted(f"{old.name} holds no group {', '.join(missing)}. Nothing was changed.")


def _check_distinct(groups: list[OldGroup]) -> None:
    for group in groups:
        if [other.slug for other in groups].count(group.slug) > 1:
            group.problems.append(f"another group of the stack would have the slug {group.slug!r} too; give one by --slug")


def _check_separable(old: OldStack) -> None:
    for group in old.groups:
        if group.problems:
            continue
        try:
            without_resources(old.template, group.resources)
        except UnknownReference as error:
            group.problems.append(f"{error}; change the template by hand")


def _refuse_all(old: OldStack, problem: str) -> None:
    for group in old.groups:
        group.problems.append(problem)


def _is_chosen(name: str, chosen: tuple[str, ...]) -> bool:
    return name.endswith(SUFFIX) and (not chosen or name in chosen or name.removesuffix(SUFFIX) in chosen)


def _inspect_group(aws: Aws, old: OldStack, held: dict[str, dict[str, Any]], logical_id: str, choices: AdoptChoices) -> OldGroup:
    name = held[logical_id]["PhysicalResourceId"]
    affiliate = name.removesuffix(SUFFIX)
    slug = choices.slugs.get(affiliate) or choices.slugs.get(name) or make_slug(affiliate)
    group = OldGroup(logical_id, name, affiliate, slug)
    members = aws.members(name)
    if members is None:
        group.problems.append("its IAM group is not there any more; whoever removed it cut its people off already")
        return group
    users = {resource["PhysicalResourceId"]: key for key, resource in held.items() if resource["ResourceType"] == USER}
    for member in sorted(members, key=lambda member: str(member["UserName"])):
        if member["UserName"] in users:
            group.users.append(_inspect_user(aws, old, held, users[member["UserName"]], member, group, choices))
        else:
            group.strangers.append(member["UserName"])
    _check_group(group)
    group.resources = _own_resources(old.template, held, group)
    group.s3_access = read_s3_access(aws, name, group.slug)
    if group.s3_access.losses and not choices.may_lose:
        group.problems.append(
            "people would no longer reach "
            + "; ".join(group.s3_access.losses)
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
    if doubled := sorted({address for address in addresses if addresses.count(address) > 1}):
        group.problems.append(f"{', '.join(doubled)} would be two members; one person has one key")
    if Group.objects.filter(slug=group.slug, retired_at__isnull=False).exists():
        group.problems.append(f"the group {group.slug!r} was retired; give another by --slug")
    inside = Membership.objects.not_ended().filter(group__slug=group.slug, user__email__in=addresses)
    for email in inside.values_list("user__email", flat=True):
        group.problems.append(
            f"{email} is in {group.slug} already, with an access of Cohort's own; take them out first "
            f"(manage.py member remove {group.slug} {email} --wait), so that the key they have can be taken over"
        )


def _inspect_user(
    aws: Aws,
    old: OldStack,
    held: dict[str, dict[str, Any]],
    logical_id: str,
    member: dict[str, Any],
    group: OldGroup,
    choices: AdoptChoices,
) -> OldUser:
    name = member["UserName"]
    short = re.sub(r"[a-z]{2}(-[a-z]+)+-[0-9]$", "", name)
    user = OldUser(logical_id, name, short, choices.people.find(group.affiliate, short), member["UserId"])
    if not user.email:
        user.problems.append(f"nobody's address is known; give it by --profile or --emails (columns username,email: {short},...)")
    elif not User.objects.filter(email=user.email, is_active=True).exists() and User.objects.filter(email=user.email).exists():
        user.problems.append(f"the account of {user.email} is not active; activate it first")
    _check_keys(aws, old, held, user)
    _check_extras(aws, user, group)
    return user


def _check_keys(aws: Aws, old: OldStack, held: dict[str, dict[str, Any]], user: OldUser) -> None:
    keys = aws.iam.list_access_keys(UserName=user.name)["AccessKeyMetadata"]
    ours = {resource["PhysicalResourceId"] for resource in held.values() if resource["ResourceType"] == KEY}
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
        for name, resource in held.items()
        if resource["ResourceType"] == KEY
        and user.logical_id in references(old.template["Resources"].get(name, {}))
        and resource["PhysicalResourceId"] != user.key_id
    ]
    if lost and len(keys) == 1:
        user.notes.append(f"the stack's key {', '.join(lost)} is not there any more")


def _check_extras(aws: Aws, user: OldUser, group: OldGroup) -> None:
    """Refuse attachments outside the stack, which CloudFormation could not remove with the user later."""
    by_name = {"UserName": user.name}
    others = [other["GroupName"] for other in aws.iam.list_groups_for_user(**by_name)["Groups"] if other["GroupName"] != group.name]
    extras = {
        "is in the groups": others,
        "has policies of its own,": aws.iam.list_user_policies(**by_name)["PolicyNames"],
        "has policies attached,": [
            policy["PolicyName"] for policy in aws.iam.list_attached_user_policies(**by_name)["AttachedPolicies"]
        ],
        "has second factors,": [device["SerialNumber"] for device in aws.iam.list_mfa_devices(**by_name)["MFADevices"]],
    }
    for what, extra_names in extras.items():
        if extra_names:
            user.problems.append(f"it {what} {', '.join(extra_names)}; take them away first if nobody needs them")


def _own_resources(template: Template, held: Mapping[str, Mapping[str, Any]], group: OldGroup) -> dict[str, str]:
    """Return the stack's resources that belong to the group alone: physical ids by logical ids."""
    mine = {group.logical_id, *(user.logical_id for user in group.users)}
    words = {group.name, *(user.name for user in group.users)}
    for logical_id, resource in held.items():
        kind, properties = resource["ResourceType"], template["Resources"].get(logical_id, {}).get("Properties", {})
        named = {
            KEY: [properties.get("UserName")],
            ADDITION: [properties.get("GroupName")],
            POLICY: [*properties.get("Groups", []), *properties.get("Users", []), *properties.get("Roles", [])],
        }.get(kind, [])
        if named and all(_refers_to_any(part, mine, words) for part in named):
            mine.add(logical_id)
    return {name: held[name]["PhysicalResourceId"] for name in held if name in mine}


def _refers_to_any(part: Any, logical_ids: set[str], words: set[str]) -> bool:
    return part in words if isinstance(part, str) else bool(references(part)) and references(part) <= logical_ids


def unfinished_adoptions(stack_name: str) -> list[Adoption]:
    """Return the adoptions of this stack, by its name or ARN, that were begun and not finished."""
    adoptions = Adoption.objects.filter(finished_at__isnull=True).select_related("group__stack")
    return [adoption for adoption in adoptions if stack_name in (adoption.stack_name, adoption.stack_id)]


def adopted_groups(stack: str) -> list[str]:
    """Return the IAM groups of this stack, by its name or ARN, that are adopted."""
    adoptions = Adoption.objects.filter(Q(stack_name=stack) | Q(stack_id=stack), finished_at__isnull=False)
    return list(adoptions.values_list("old_group", flat=True))
