"""Plans of deployments: changes of resources and IAM statements by the templates, of members and analyses by the manifests."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

from control_plane.base.config import config
from control_plane.deployments.models import Deployment
from stacks.manifest import GroupManifest, Member, PlatformManifest, parse

Action = Literal["add", "change", "replace", "remove"]
Permissions = Literal["none", "non-broadening", "broadening"]


@dataclass(frozen=True)
class ResourceChange:
    """A resource that is added, changed in place, replaced or removed; `properties` names what changes in it."""

    logical_id: str
    type: str
    action: Action
    properties: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class StatementChange:
    """An IAM statement, or an attached policy, that comes or goes. `widens` says whether somebody can do more afterwards.

    `sessions` names those of members, where it lets somebody do more in these alone.
    """

    change: Literal["add", "remove"]
    effect: str
    actions: str
    resource: str
    principal: str
    condition: str
    widens: bool
    sessions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PeopleChange:
    """A member (by the opaque username) or an analysis (by its bucket) whose access changes, or how long earlier versions are kept.

    `widens` also marks earlier versions that end sooner: no access, but as little to be undone.
    """

    kind: Literal["member", "analysis", "bucket", "group", "versions"]
    name: str
    change: Literal["joins", "leaves", "changes"]
    detail: str
    widens: bool


@dataclass(frozen=True)
class Plan:
    """Changes that one deployment will make.

    `permissions` is "broadening" if that cannot be told, as the broadest change is assumed; `names_resources` is false if it is
    not known which resources change.
    """

    permissions: Permissions = "none"
    resources: list[ResourceChange] = field(default_factory=list)
    statements: list[StatementChange] = field(default_factory=list)
    people: list[PeopleChange] = field(default_factory=list)
    names_resources: bool = True

    @property
    def broadens(self) -> bool:
        """True if anybody can do more on AWS afterwards."""
        return (
            self.permissions == "broadening"
            or any(statement.widens for statement in self.statements)
            or any(change.widens for change in self.people)
        )

    def for_manifests(self, held: str, wanted: str) -> Self:
        """Return the plan with the people whose access differs between two manifests; see `people_changes`. Raises ManifestError.

        A denial of sessions in the names of people who are no members afterwards lets nobody do more when it goes: a name is
        used for one membership alone, and whoever was removed is denied for as long as a session lasts.
        """
        after = parse(wanted)
        members = {member.username for member in after.members} if isinstance(after, GroupManifest) else set[str]()
        statements = [
            replace(statement, widens=False) if statement.sessions and not members.intersection(statement.sessions) else statement
            for statement in self.statements
        ]
        return replace(self, statements=statements, people=people_changes(held, wanted))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data, for the database."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read it from the database; an empty document is an empty plan."""
        return cls(
            permissions=document.get("permissions", "none"),
            resources=[ResourceChange(**change) for change in document.get("resources", [])],
            statements=[StatementChange(**change) for change in document.get("statements", [])],
            people=[PeopleChange(**change) for change in document.get("people", [])],
            names_resources=document.get("names_resources", True),
        )


def plan_from_comparison(statements: list[StatementChange], resources: list[ResourceChange] | None) -> Plan:
    """Return the plan of compared templates; `resources` is None if it is not known which resources change."""
    return Plan("non-broadening" if statements else "none", resources or [], statements, names_resources=resources is not None)


def needs_approval(deployment: Deployment, plan: Plan) -> bool:
    """Return whether a second administrator has to approve this plan first (REQUIRE_APPROVAL), and none has yet."""
    if deployment.approved_generation == deployment.generation:
        return False
    return config().require_approval == "always" or (config().require_approval == "broadening" and plan.broadens)


def people_changes(base: str, wanted: str) -> list[PeopleChange]:
    """Return the people and data whose access differs between two manifests. Raises ManifestError.

    Both are texts; `base` is empty if AWS holds none.
    """
    after = parse(wanted)
    before = parse(base) if base else None
    if isinstance(after, PlatformManifest):
        held_storage = before if isinstance(before, PlatformManifest) else None
        held = set(held_storage.buckets) if held_storage else set()
        buckets = _came_and_went("bucket", dict.fromkeys(held, "bucket"), dict.fromkeys(after.buckets, "bucket"))
        return [*_versions(held_storage, after), *buckets]
    held_group = before if isinstance(before, GroupManifest) else None
    return [
        *_suspension(held_group, after),
        *_came_and_went("member", _members(held_group), _members(after, held_group)),
        *_came_and_went("analysis", _analyses(held_group), _analyses(after)),
    ]


def ends_sooner(before: int | None, after: int | None) -> bool:
    """Return whether earlier versions that are kept so many days (None: for ever) are to be kept fewer."""
    return after is not None and (before is None or after < before)


def _versions(before: PlatformManifest | None, after: PlatformManifest) -> list[PeopleChange]:
    was, days = before.earlier_versions_days if before else None, after.earlier_versions_days
    # In new buckets, or without any, the rule ends no version that is kept now.
    if was == days or before is None or not before.buckets:
        return []
    detail = f"for {days} days" if days else "for ever"
    return [PeopleChange("versions", "Deleted files and earlier versions", "changes", detail, widens=ends_sooner(was, days))]


def _gives_more(before: str, after: str) -> bool:
    """Return whether access widens: federated to key, read to write, or a person or key let in again; a key's rotation does not."""
    was, now = before.split(", "), after.split(", ")
    is_let_in = ("suspended" in was and "suspended" not in now) or ("key before inactive" in was and "key before active" in now)
    return is_let_in or (now[0] in ("keys", "read-write") and now[0] != was[0])


def _members(manifest: GroupManifest | None, before: GroupManifest | None = None) -> dict[str, str]:
    """Return each member's access in words, beginning with its kind; `before` tells who is resumed."""
    suspended = {member.username for member in before.members if member.suspended} if before else set()
    return {
        member.username: _access(member, was_suspended=member.username in suspended)
        for member in (manifest.members if manifest else ())
    }


def _access(member: Member, *, was_suspended: bool) -> str:
    words = [f"keys, serial {member.key_serial}" if member.access == "keys" else member.access]
    if member.previous_key:
        words.append(f"key before {member.previous_key}")
    if member.suspended or was_suspended:
        words.append("suspended" if member.suspended else "resumed")
    return ", ".join(words)


def _suspension(before: GroupManifest | None, after: GroupManifest) -> list[PeopleChange]:
    was = before is not None and before.suspended
    if was == after.suspended:
        return []
    return [PeopleChange("group", after.slug, "changes", "suspended" if after.suspended else "resumed", widens=was)]


def _analyses(manifest: GroupManifest | None) -> dict[str, str]:
    return {analysis.bucket: analysis.access for analysis in manifest.analyses} if manifest else {}


def _came_and_went(
    kind: Literal["member", "analysis", "bucket"], before: dict[str, str], after: dict[str, str]
) -> list[PeopleChange]:
    joined = [PeopleChange(kind, name, "joins", after[name], widens=True) for name in sorted(after.keys() - before.keys())]
    left = [PeopleChange(kind, name, "leaves", before[name], widens=False) for name in sorted(before.keys() - after.keys())]
    changed = [
        PeopleChange(kind, name, "changes", after[name], widens=_gives_more(before[name], after[name]))
        for name in sorted(before.keys() & after.keys())
        if before[name] != after[name]
    ]
    return [*joined, *left, *changed]
