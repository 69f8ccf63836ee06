"""What IAM itself says about a group's principals, beside what CloudFormation believes of them.

CloudFormation compares what the template names. It does not see keys, passwords for the console and policies that somebody gave to
a user, nor users that somebody put into the group. Boundaries, group memberships and what the template attaches it does see. SSH
keys, signing certificates and service-specific credentials are not asked about: the boundary allows nothing of the services that
take them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane.base import aws
from control_plane.base.aws import Place
from control_plane.deployments.differences import Difference, unread
from stacks.manifest import GroupManifest, denials, names

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

# IAM answers some twenty requests a second, for everybody in the account: the SDK slows down where it says so.
USER, GROUP, ROLE, KEY = "AWS::IAM::User", "AWS::IAM::Group", "AWS::IAM::Role", "AWS::IAM::AccessKey"
MEMBERSHIP, LOGIN = "AWS::IAM::UserToGroupAddition", "AWS::IAM::LoginProfile"
INLINE = {USER: "AWS::IAM::UserPolicy", GROUP: "AWS::IAM::GroupPolicy", ROLE: "AWS::IAM::RolePolicy"}
# Policies that are put on principals before the deployment that makes them part of the stack.
AT_ONCE = frozenset({denials.SUSPENDED, denials.ENDED_SESSIONS})
_KINDS = {USER: "user", GROUP: "group", ROLE: "role"}
_REFUSED = ("AccessDenied", "AccessDeniedException")


def users_under(path: str, place: Place) -> set[str]:
    """The names of the IAM users under a path. Raises AwsFailure."""
    with aws.explained():
        pages = aws.client("iam", place).get_paginator("list_users").paginate(PathPrefix=path)
        return {user["UserName"] for page in pages for user in page["Users"]}


@dataclass(frozen=True)
class Deployed:
    """What a group's stack gives its principals: its keys, and the names of inline policies by type and principal."""

    manifest: GroupManifest
    keys: frozenset[str]
    template: dict[str, Any]
    # Whether something is on its way, for which people are shut out already.
    is_behind: bool = False

    @property
    def place(self) -> Place:
        """The account and region of the group's stack."""
        return Place(self.manifest.account, self.manifest.region)

    @property
    def users(self) -> set[str]:
        """The IAM users of the members who hold keys."""
        return {names.user(self.manifest.slug, username) for username in self.manifest.key_holders}

    def inline(self, kind: str, name: str) -> set[str]:
        """The inline policies that a principal of this type is to carry."""
        if kind == USER:
            # A user may be in a nested stack, whose template is another.
            denied = denials.all_denials(self.manifest)
            found = {one.policy_name for one in denied if one.kind == "user" and one.principal == name}
        else:
            resources = self.template.get("Resources", {}).values()
            properties = [one.get("Properties", {}) for one in resources if one.get("Type") == kind]
            found = {policy["PolicyName"] for one in properties for policy in one.get("Policies", [])}
        return found | AT_ONCE if self.is_behind else found


def additions(deployed: Deployed, told: Iterable[Difference]) -> list[Difference]:
    """What somebody gave the group's role and IAM group, and who else is in that group. Raises AwsFailure.

    `told` is what CloudFormation reports, which is not told twice; what is gone by its word is not looked for.
    """
    told = list(told)
    reader = _Reader(deployed)
    slug = deployed.manifest.slug
    looks: list[tuple[str, str, Callable[[], list[Difference]]]] = [(ROLE, names.role(slug), reader.role)]
    if deployed.users:
        looks.append((GROUP, names.iam_group(slug), reader.group))
    found: list[Difference] = []
    with aws.explained():
        for kind, name, look in looks:
            if not any(one.type == kind and one.status == "deleted" for one in told):
                found += _looked_at(kind, name, look)
    return [one for one in found if not _is_told(one, told)]


def additions_to(deployed: Deployed, user: str) -> list[Difference]:
    """What somebody gave one user of the group: keys, a password, policies. Four questions. Raises AwsFailure."""
    with aws.explained():
        return _looked_at(USER, user, lambda: _Reader(deployed).user(user))


def take_back(deployed: Deployed, recorded: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Delete what our own rights can of the additions that a check recorded, unless they are ours by now.

    Yields a line on each for the log; what fails is one too. Raises AwsFailure.
    """
    iam = aws.iam(deployed.place)
    kinds = {INLINE[kind]: kind for kind in INLINE}
    for one in recorded:
        kind, name = one["type"], one["logical_id"]
        if one["status"] != "added" or not (kind == KEY or kind in kinds):
            continue
        for what in (told["path"] for told in one["properties"]):
            if what in (deployed.keys if kind == KEY else deployed.inline(kinds[kind], name)):
                continue
            with aws.explained():
                yield _delete(iam, kind, name, what)


def _delete(iam: "IAMClient", kind: str, name: str, what: str) -> str:
    calls: dict[str, Callable[[], object]] = {
        KEY: lambda: iam.delete_access_key(UserName=name, AccessKeyId=what),
        INLINE[USER]: lambda: iam.delete_user_policy(UserName=name, PolicyName=what),
        INLINE[GROUP]: lambda: iam.delete_group_policy(GroupName=name, PolicyName=what),
        INLINE[ROLE]: lambda: iam.delete_role_policy(RoleName=name, PolicyName=what),
    }
    thing = "the access key" if kind == KEY else "the inline policy"
    try:
        calls[kind]()
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if code == "NoSuchEntity":
            return f"{thing} {what} of {name} is gone already"
        if code in _REFUSED:
            return f"{thing} {what} of {name} could not be deleted; delete it in IAM: {error}"
        raise
    return f"deleted {thing} {what} of {name}, which was added outside Cohort"


class _Reader:
    """Asks IAM about one group's principals. Raises ClientError."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed
        self._iam: IAMClient = aws.iam(deployed.place)

    def role(self) -> list[Difference]:
        name = names.role(self._deployed.manifest.slug)
        inline = self._listed("list_role_policies", "PolicyNames", RoleName=name)
        attached = self._listed("list_attached_role_policies", "AttachedPolicies", RoleName=name)
        return [*self._inline(ROLE, name, inline), *self._attached(ROLE, name, attached)]

    def group(self) -> list[Difference]:
        name = names.iam_group(self._deployed.manifest.slug)
        inline = self._listed("list_group_policies", "PolicyNames", GroupName=name)
        attached = self._listed("list_attached_group_policies", "AttachedPolicies", GroupName=name)
        members = sorted({one["UserName"] for one in self._listed("get_group", "Users", GroupName=name)} - self._deployed.users)
        note = f"is in the IAM group {name}, which gives it the group’s access. Remove it from that group in IAM."
        found = [Difference("resource", one, MEMBERSHIP, "added", [_property(name)], f"The user {one} {note}") for one in members]
        return [*self._inline(GROUP, name, inline), *self._attached(GROUP, name, attached), *found]

    def user(self, name: str) -> list[Difference]:
        keys = self._listed("list_access_keys", "AccessKeyMetadata", UserName=name)
        inline = self._listed("list_user_policies", "PolicyNames", UserName=name)
        attached = self._listed("list_attached_user_policies", "AttachedPolicies", UserName=name)
        return [
            *(self._key(name, key) for key in keys if key["AccessKeyId"] not in self._deployed.keys),
            *self._inline(USER, name, inline),
            *self._attached(USER, name, attached),
            *self._login(name),
        ]

    def _key(self, user: str, key: dict[str, Any]) -> Difference:
        works = "works" if key["Status"] == "Active" else "is inactive"
        note = (
            f"{user} has an access key {key['AccessKeyId']} that Cohort did not make, of {key['CreateDate']:%Y-%m-%d}; it {works}. "
            "Repair deletes it."
        )
        return Difference("resource", user, KEY, "added", [_property(key["AccessKeyId"], key["Status"])], note)

    def _login(self, user: str) -> list[Difference]:
        try:
            made = self._iam.get_login_profile(UserName=user)["LoginProfile"]["CreateDate"]
        except self._iam.exceptions.NoSuchEntityException:
            return []
        note = (
            f"{user} has a password for AWS’s console, of {made:%Y-%m-%d}, and can do there what the group may. Cohort has no "
            "right to remove it: in IAM, open the user, “Security credentials”, “Manage console access”, and disable it."
        )
        return [Difference("resource", user, LOGIN, "added", [], note)]

    def _inline(self, kind: str, name: str, there: Iterable[str]) -> list[Difference]:
        others = sorted(set(there) - self._deployed.inline(kind, name))
        return [
            Difference(
                "resource",
                name,
                INLINE[kind],
                "added",
                [_property(one)],
                f"The {_KINDS[kind]} {name} has an inline policy “{one}” that Cohort did not put there. Repair deletes it.",
            )
            for one in others
        ]

    def _attached(self, kind: str, name: str, there: Iterable[dict[str, Any]]) -> list[Difference]:
        # The stack's own lie under the group's path; what else is attached from there, CloudFormation sees. Users have none.
        ours = "" if kind == USER else f":policy{names.iam_path(self._deployed.manifest.slug)}"
        others = sorted(one["PolicyArn"] for one in there if not (ours and ours in one["PolicyArn"]))
        return [
            Difference(
                "resource",
                name,
                kind,
                "changed",
                [_property("ManagedPolicyArns", arn)],
                f"The {_KINDS[kind]} {name} has the policy {arn} attached, which Cohort did not attach. Detach it in IAM, under "
                "“Permissions”.",
            )
            for arn in others
        ]

    def _listed(self, call: str, key: str, **named: str) -> list[Any]:
        return [one for page in self._iam.get_paginator(call).paginate(**named) for one in page[key]]  # type: ignore[call-overload]


def _looked_at(kind: str, name: str, look: Callable[[], list[Difference]]) -> list[Difference]:
    try:
        return look()
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if code == "NoSuchEntity":
            # CloudFormation tells that it is gone.
            return []
        if code in _REFUSED:
            # Our rights name paths: so IAM answers of what we may not read, and of what is not there.
            return [unread(name, kind, str(error))]
        raise


def _is_told(difference: Difference, told: Iterable[Difference]) -> bool:
    """Whether CloudFormation reports this addition too: of the same type of principal, by its name or ARN."""
    kind = {value: key for key, value in INLINE.items()}.get(difference.type, difference.type)
    ours = [one["path"] if difference.type in INLINE.values() else one["actual"] for one in difference.properties]
    theirs = [prop["actual"] for one in told if one.type == kind and one.status == "changed" for prop in one.properties]
    return bool(ours) and all(any(own in their for their in theirs) for own in ours)


def _property(path: str, actual: str = "") -> dict[str, str]:
    return {"path": path, "expected": "", "actual": actual}
