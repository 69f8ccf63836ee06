"""One operation of CloudFormation on one resource, as the tables of this package look at it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Operation = Literal["create", "read", "update", "delete"]
Properties = Mapping[str, Any]

# Where each type keeps its tags, save `Tags`.
TAGS = {"AWS::Backup::BackupPlan": "BackupPlanTags", "AWS::Backup::BackupVault": "BackupVaultTags"}
# What AWS adds itself is no tag that anybody asks for.
AWS_TAG_PREFIX = "aws:"


class AccountFacts:
    """Facts about an account beyond a template. This class knows none."""

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of an IAM principal by its name, or of an `elastic-ip` by its address; empty if unknown.

        Kinds of principals: `role`, `user`, `group`, `instance-profile`.
        """
        return ""

    def tags(self, arn: str) -> dict[str, str]:
        """Return the tags that a resource carries."""
        return {}

    def launch_template(self, wanted: Properties) -> Properties:
        """Return the data of the launch template that an Auto Scaling group names."""
        return {}

    def role_of_profile(self, arn: str) -> str:
        """Return the ARN of the role in an instance profile; empty if there is none."""
        return ""


@dataclass(frozen=True)
class Scope:
    """The account, region and role of a change, and the facts known there."""

    account: str
    region: str
    # The ARN of the stack's role; empty where CloudFormation acts for the caller.
    role: str = ""
    facts: AccountFacts = field(default_factory=AccountFacts)

    @property
    def partition(self) -> str:
        """ARN partition of the region."""
        return "aws-cn" if self.region.startswith("cn-") else "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def arn(self, service: str, rest: str) -> str:
        """Return the ARN of a resource in this region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{rest}"

    def of_account(self, service: str, rest: str) -> str:
        """Return the ARN of an account's resource that has no region."""
        return f"arn:{self.partition}:{service}::{self.account}:{rest}"

    def of_aws(self, service: str, rest: str) -> str:
        """Return the ARN of a resource in this region that names no account."""
        return f"arn:{self.partition}:{service}:{self.region}::{rest}"


@dataclass(frozen=True)
class Change:
    """A resource that is made, read, changed or removed. `properties` are the wanted ones, or the present ones of a removal."""

    kind: str
    operation: Operation
    scope: Scope
    properties: Properties
    before: Properties = field(default_factory=dict)
    physical_id: str = ""
    logical_id: str = ""
    stack: str = ""

    def touches(self, *names: str) -> bool:
        """Return whether any of these properties is set; of an update, whether any becomes different."""
        if self.operation == "update":
            return any(self._of(self.properties, name) != self._of(self.before, name) for name in names)
        return any(self._of(self.properties, name) for name in names)

    def added(self, name: str) -> list[Any]:
        """Return the items that a list gains."""
        if self.operation == "delete":
            return []
        held = list(self.before.get(name) or [])
        return [item for item in self.properties.get(name) or [] if item not in held]

    def removed(self, name: str) -> list[Any]:
        """Return the items that a list loses: of a removal, all."""
        if self.operation == "delete":
            return list(self.properties.get(name) or [])
        wanted = list(self.properties.get(name) or [])
        return [item for item in self.before.get(name) or [] if item not in wanted]

    @property
    def tags(self) -> dict[str, str]:
        """Tags that are wanted."""
        return _tags(self.kind, self.properties)

    @property
    def new_tags(self) -> dict[str, str]:
        """Tags that the resource gains, or that change their value."""
        held = _tags(self.kind, self.before)
        return {key: value for key, value in self.tags.items() if held.get(key) != value}

    @property
    def lost_tags(self) -> set[str]:
        """Keys of the tags that the resource loses."""
        return _tags(self.kind, self.before).keys() - self.tags.keys()

    def _of(self, properties: Properties, name: str) -> Any:
        return _tags(self.kind, properties) if name == TAGS.get(self.kind, "Tags") else properties.get(name)


def _tags(kind: str, properties: Properties) -> dict[str, str]:
    return dict(_each_tag(properties.get(TAGS.get(kind, "Tags"))))


def _each_tag(held: Any) -> Iterator[tuple[str, str]]:
    pairs = held.items() if isinstance(held, dict) else ((tag["Key"], tag.get("Value", "")) for tag in held or [])
    for key, value in pairs:
        if not str(key).startswith(AWS_TAG_PREFIX):
            yield str(key), str(value)
