"""IAM's own view of a group's principals, beside CloudFormation's drift detection.

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
from stacks import denials, names
from stacks.manifest import GroupManifest

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

# IAM answers some twenty requests a second, for everybody in the account: the SDK slows down where it says so.
USER, GROUP, ROLE, KEY = "AWS::IAM::User", "AWS::IAM::Group", "AWS::IAM::Role", "AWS::IAM::AccessKey"
MEMBERSHIP, LOGIN = "AWS::IAM::UserToGroupAddition", "AWS::IAM::LoginProfile"
INLINE = {USER: "AWS::IAM::UserPolicy", GROUP: "AWS::IAM::GroupPolicy", ROLE: "AWS::IAM::RolePolicy"}
# Policies that are put on principals before the deployment that makes them part of the stack.
LOCKOUT_POLICIES = frozenset({denials.SUSPENDED, denials.ENDED_SESSIONS})
_KINDS = {USER: "user", GROUP: "group", ROLE: "role"}
_REFUSED = ("AccessDenied", "AccessDeniedException")


def users_under(path: str, place: Place) -> set[str]:
    """Return the names of the IAM users under a path. Raises AwsFailure."""
    with aws.translated_errors():
        pages = aws.client("iam", place).get_paginator("list_users").paginate(PathPrefix=path)
        return {user["UserName"] for page in pages for user in page["Users"]}


@dataclass(frozen=True)
class DeployedAccess:
    """Access that a group's stack gives its principals: its keys, and the names of inline policies by type and principal."""

    manifest: GroupManifest
    keys: frozenset[str]
    template: dict[str, Any]
    # Whether a later generation is wanted, for which the lockout may have put denials already.
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
        """Return the names of the inline policies that a principal of this type is to have."""
        if kind == USER:
            # A user may be in a nested stack, which has a template of its own.
            all_denials = denials.all_denials(self.manifest)
            policies = {denial.policy_name for denial in all_denials if denial.kind == "user" and denial.principal == name}
        else:
            resources = self.template.get("Resources", {}).values()
            properties = [resource.get("Properties", {}) for resource in resources if resource.get("Type") == kind]
            policies = {policy["PolicyName"] for values in properties for policy in values.get("Policies", [])}
        return policies | LOCKOUT_POLICIES if self.is_behind else policies


def additions(deployed: DeployedAccess, reported: Iterable[Difference]) -> list[Difference]:
    """Return what was added to the group's role and IAM group outside Cohort, other users in that group included.

    `reported` is what CloudFormation reports: it is not reported twice, and principals that are gone are not looked up. Raises
    AwsFailure.
    """
    reported = list(reported)
    reader = _Reader(deployed)
    slug = deployed.manifest.slug
    lookups: list[tuple[str, str, Callable[[], list[Difference]]]] = [(ROLE, names.role(slug), reader.role)]
    if deployed.users:
        lookups.append((GROUP, names.iam_group(slug), reader.group))
    differences: list[Difference] = []
    with aws.translated_errors():
        for kind, name, look in lookups:
            if not any(difference.type == kind and difference.status == "deleted" for difference in reported):
                differences += _look_up(kind, name, look)
    return [difference for difference in differences if not _is_reported(difference, reported)]


def additions_to_user(deployed: DeployedAccess, user: str) -> list[Difference]:
    """Return the keys, password and policies added to one user outside Cohort, by four requests. Raises AwsFailure."""
    with aws.translated_errors():
        return _look_up(USER, user, lambda: _Reader(deployed).user(user))


def delete_additions(deployed: DeployedAccess, recorded: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Delete the additions that a check recorded, as far as our own rights go, unless they are deployed by now.

    Yields a line on each for the log; what fails is one too. Raises AwsFailure.
    """
    iam = aws.iam(deployed.place)
    kinds = {INLINE[kind]: kind for kind in INLINE}
    for difference in recorded:
        kind, name = difference["type"], difference["logical_id"]
        if difference["status"] != "added" or not (kind == KEY or kind in kinds):
            continue
        for identifier in (changed["path"] for changed in difference["properties"]):
            if identifier in (deployed.keys if kind == KEY else deployed.inline(kinds[kind], name)):
                continue
            with aws.translated_errors():
                yield _delete(iam, kind, name, identifier)


def _delete(iam: "IAMClient", kind: str, name: str, identifier: str) -> str:
    calls: dict[str, Callable[[], object]] = {
        KEY: lambda: iam.delete_access_key(UserName=name, AccessKeyId=identifier),
        INLINE[USER]: lambda: iam.delete_user_policy(UserName=name, PolicyName=identifier),
        INLINE[GROUP]: lambda: iam.delete_group_policy(GroupName=name, PolicyName=identifier),
        INLINE[ROLE]: lambda: iam.delete_role_policy(RoleName=name, PolicyName=identifier),
    }
    noun = "the access key" if kind == KEY else "the inline policy"
    try:
        calls[kind]()
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if code == "NoSuchEntity":
            return f"{noun} {identifier} of {name} is gone already"
        if code in _REFUSED:
            return f"{noun} {identifier} of {name} could not be deleted; delete it in IAM: {error}"
        raise
    return f"deleted {noun} {identifier} of {name}, which was added outside Cohort"


class _Reader:
    """Reader of one group's principals in IAM. Methods raise ClientError."""

    def __init__(self, deployed: DeployedAccess) -> None:
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
        members = sorted({user["UserName"] for user in self._listed("get_group", "Users", GroupName=name)} - self._deployed.users)
        note = f"is in the IAM group {name}, which gives it the group’s access. Remove it from that group in IAM."
        memberships = [
            Difference("resource", user, MEMBERSHIP, "added", [_property(name)], f"The user {user} {note}") for user in members
        ]
        return [*self._inline(GROUP, name, inline), *self._attached(GROUP, name, attached), *memberships]

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

    def _inline(self, kind: str, name: str, existing: Iterable[str]) -> list[Difference]:
        others = sorted(set(existing) - self._deployed.inline(kind, name))
        return [
            Difference(
                "resource",
                name,
                INLINE[kind],
                "added",
                [_property(policy)],
                f"The {_KINDS[kind]} {name} has an inline policy “{policy}” that Cohort did not put there. Repair deletes it.",
            )
            for policy in others
        ]

    def _attached(self, kind: str, name: str, existing: Iterable[dict[str, Any]]) -> list[Difference]:
        # The stack's own policies lie under the group's path; others attached from there, CloudFormation sees. Users have none.
        ours = "" if kind == USER else f":policy{names.iam_path(self._deployed.manifest.slug)}"
        others = sorted(policy["PolicyArn"] for policy in existing if not (ours and ours in policy["PolicyArn"]))
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

    def _listed(self, call: str, key: str, **arguments: str) -> list[Any]:
        return [item for page in self._iam.get_paginator(call).paginate(**arguments) for item in page[key]]  # type: ignore[call-overload]


def _look_up(kind: str, name: str, look: Callable[[], list[Difference]]) -> list[Difference]:
    try:
        return look()
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if code == "NoSuchEntity":
            # CloudFormation reports that it is gone.
            return []
        if code in _REFUSED:
            # Our rights name paths: IAM answers so both without the right and if the principal does not exist.
            return [unread(name, kind, str(error))]
        raise


def _is_reported(difference: Difference, reported: Iterable[Difference]) -> bool:
    """Return whether CloudFormation reports this addition too: of the same type of principal, by its name or ARN."""
    kind = {value: key for key, value in INLINE.items()}.get(difference.type, difference.type)
    ours = [changed["path"] if difference.type in INLINE.values() else changed["actual"] for changed in difference.properties]
    theirs = [
        changed["actual"] for other in reported if other.type == kind and other.status == "changed" for changed in other.properties
    ]
    return bool(ours) and all(any(own in their for their in theirs) for own in ours)


def _property(path: str, actual: str = "") -> dict[str, str]:
    return {"path": path, "expected": "", "actual": actual}
