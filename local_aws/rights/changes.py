"""One thing that CloudFormation does to one resource, as the tables of this package look at it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Operation = Literal["create", "read", "update", "delete"]
Properties = Mapping[str, Any]

# Where each type keeps its tags, save `Tags`.
TAGS = {"AWS::Backup::BackupPlan": "BackupPlanTags", "AWS::Backup::BackupVault": "BackupVaultTags"}
# What AWS adds itself is no tag that anybody asks for.
OF_AWS = "aws:"


class Known:
    """What is known of an account beyond a template. This one knows nothing."""

    def arn(self, kind: str, name: str) -> str:
        """The ARN of an IAM principal (`role`, `user`, `group`, `instance-profile`) by its name, or of an `elastic-ip` by its
        address; empty if unknown."""
        return ""

    def tags(self, arn: str) -> dict[str, str]:
        """The tags that a resource carries."""
        return {}

    def launch_template(self, wanted: Properties) -> Properties:
        """The data of the launch template that a group of machines names."""
        return {}

    def role_of_profile(self, arn: str) -> str:
        """The ARN of the role in an instance profile; empty if there is none."""
        return ""


@dataclass(frozen=True)
class Place:
    """Where it happens, for whom, and what is known there."""

    account: str
    region: str
    # The ARN of the stack's role; empty where CloudFormation acts for the caller.
    role: str = ""
    known: Known = field(default_factory=Known)

    @property
    def partition(self) -> str:
        """The part of AWS that the region is in."""
        return "aws-cn" if self.region.startswith("cn-") else "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def arn(self, service: str, rest: str) -> str:
        """Of something in this region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{rest}"

    def of_account(self, service: str, rest: str) -> str:
        """Of something that no region has."""
        return f"arn:{self.partition}:{service}::{self.account}:{rest}"

    def of_aws(self, service: str, rest: str) -> str:
        """Of something in this region whose ARN names no account."""
        return f"arn:{self.partition}:{service}:{self.region}::{rest}"


@dataclass(frozen=True)
class Change:
    """A resource that is made, read, changed or removed. `properties` are as wanted, or as they are where nothing is wanted."""

    kind: str
    operation: Operation
    place: Place
    properties: Properties
    before: Properties = field(default_factory=dict)
    physical_id: str = ""
    logical_id: str = ""
    stack: str = ""

    def touches(self, *names: str) -> bool:
        """Whether any of these properties is set; of an update, whether any becomes different."""
        if self.operation == "update":
            return any(self._of(self.properties, name) != self._of(self.before, name) for name in names)
        return any(self._of(self.properties, name) for name in names)

    def added(self, name: str) -> list[Any]:
        """What a list gets in addition."""
        if self.operation == "delete":
            return []
        held = list(self.before.get(name) or [])
        return [one for one in self.properties.get(name) or [] if one not in held]

    def removed(self, name: str) -> list[Any]:
        """What goes from a list: of a removal, all of it."""
        if self.operation == "delete":
            return list(self.properties.get(name) or [])
        wanted = list(self.properties.get(name) or [])
        return [one for one in self.before.get(name) or [] if one not in wanted]

    @property
    def tags(self) -> dict[str, str]:
        """The tags that are asked for."""
        return _tags(self.kind, self.properties)

    @property
    def new_tags(self) -> dict[str, str]:
        """The tags that the resource gets in addition, or with another value."""
        held = _tags(self.kind, self.before)
        return {key: value for key, value in self.tags.items() if held.get(key) != value}

    @property
    def lost_tags(self) -> set[str]:
        """The keys of the tags that it loses."""
        return _tags(self.kind, self.before).keys() - self.tags.keys()

    def _of(self, properties: Properties, name: str) -> Any:
        return _tags(self.kind, properties) if name == TAGS.get(self.kind, "Tags") else properties.get(name)


def _tags(kind: str, properties: Properties) -> dict[str, str]:
    return dict(_each_tag(properties.get(TAGS.get(kind, "Tags"))))


def _each_tag(held: Any) -> Iterator[tuple[str, str]]:
    pairs = held.items() if isinstance(held, dict) else ((one["Key"], one.get("Value", "")) for one in held or [])
    for key, value in pairs:
        if not str(key).startswith(OF_AWS):
            yield str(key), str(value)
