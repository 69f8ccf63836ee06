"""The manifest: the one small, versioned document that passes from the control plane to CDK.

A group's manifest says who is a member and which analyses the group may use; a storage stack's says which analysis buckets
it holds. Neither holds an e-mail address or a secret. The published schema is `manifest.schema.json`.
"""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema, model_validator

from stacks import names, parts
from stacks._manifest_errors import explain, path_of
from stacks.tags import RESERVED_TAGS

VERSION: Literal[1] = 1
# Of IAM's 10,240 characters for a role's inline policies, what leaves room for the right to undo: 18 characters each of those
# who are denied by name, be it because they were removed, because they are suspended or because their sessions were ended.
MAX_REVOKED = 120
# Moments before which the sessions of some members are denied, each a statement of its own.
MAX_CUT_OFFS = 3
# What surely fits the ten managed policies of 6,144 characters that IAM attaches, however long the names are.
MAX_ANALYSES = 60
# Of one storage stack: a bucket is two resources, with its policy, and about 3,000 bytes of the template; a stack holds 500 and
# 1,000,000 (CloudFormation user guide, "Understand CloudFormation quotas"). Further buckets lie in further storage stacks.
MAX_BUCKETS = 200
# 10,000 buckets, as many as an account may have unless it asks for more (S3 user guide, "General purpose bucket quotas").
MAX_STORAGE_STACKS = 50


def _published(rule: names.NameRule) -> WithJsonSchema:
    """Return the published schema of a string that a function of `names` checks."""
    return WithJsonSchema(
        {"type": "string", "pattern": f"^{rule.pattern.pattern}$", "minLength": rule.shortest, "maxLength": rule.longest}
    )


Slug = Annotated[str, AfterValidator(names.check_known_slug), _published(names.SLUG)]
Bucket = Annotated[str, AfterValidator(names.check_bucket), _published(names.BUCKET)]
Username = Annotated[str, AfterValidator(names.check_username), _published(names.USERNAME)]
AccountId = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
Region = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]
Generation = Annotated[int, Field(ge=1, le=2**31 - 1)]
# AWS's own limits on tags: 128 characters for a key, 256 for a value.
TagKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9 _.:/=+@-]{1,128}$")]
TagValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9 _.:/=+@-]{0,256}$")]

_ORIGIN = re.compile(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")


class ManifestError(ValueError):
    """A manifest that does not fit the schema. The message names every bad field and says what it should be."""


class ManifestTooNew(ManifestError):
    """A manifest of a newer release: it holds something that this one cannot read, and that may grant or deny access."""


def _check_origin(origin: str) -> str:
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("must be scheme, host and port alone, such as https://cohort.example.org, and never '*'")
    return origin


Origin = Annotated[str, AfterValidator(_check_origin)]


class _Part(BaseModel):
    """A part of a manifest: immutable, without unknown fields, without silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Member(_Part):
    """A person in a group, known to AWS by an opaque name.

    `key_serial` grows by one with each rotation of the key; `previous_key` is the state of the key before, as long as AWS is to
    hold it beside the new one. `part` is the nested stack that holds it all, or 0. `suspended` denies everything until it is
    lifted, and takes nothing away. `sessions_not_before` (unix seconds) ends the member's sessions opened before it; without one,
    nothing is written of it.
    """

    username: Username
    access: Literal["federated", "keys"]
    key_serial: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1
    previous_key: Literal["active", "inactive"] | None = None
    part: Annotated[int, Field(ge=0, lt=parts.MAX_PARTS)] = 0
    suspended: bool = False
    sessions_not_before: Annotated[int, Field(ge=0, le=2**33)] | None = Field(default=None, exclude_if=lambda value: value is None)

    @model_validator(mode="after")
    def _has_what_it_keeps(self) -> Self:
        if self.previous_key and (self.access != "keys" or self.key_serial == 1):
            raise ValueError("previous_key: there is none without a key that was rotated")
        if self.part and self.access != "keys":
            raise ValueError("part: only who holds a key lies in a part of the stack")
        return self


class AnalysisGrant(_Part):
    """An analysis bucket that the group may use, within the group's own prefix."""

    bucket: Bucket
    access: Literal["read-write", "read-only"]


class Manifest(_Part):
    """Common fields of both kinds of manifest: version, generation, account, region and tags.

    `ignorable` names fields that neither grant nor deny (`members.<name>` for one of a member), so that a release that does not
    know them leaves them out. It refuses any other field that it does not know.
    """

    version: Literal[1] = VERSION
    generation: Generation
    account: AccountId
    region: Region
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=40)] = {}
    ignorable: Annotated[tuple[str, ...], Field(max_length=40, strict=False)] = Field(
        default=(), exclude_if=lambda names: not names
    )

    @model_validator(mode="after")
    def _keep_own_tags(self) -> Self:
        if taken := sorted(RESERVED_TAGS & self.tags.keys()):
            raise ValueError(f"the tags {', '.join(taken)} are set by Cohort itself")
        if kept := sorted(key for key in self.tags if key.lower().startswith("aws:")):
            raise ValueError(f"the tags {', '.join(kept)} begin with 'aws:', which AWS keeps for itself")
        return self

    @classmethod
    def build(cls, **fields: Any) -> Self:
        """Build a manifest of these fields. Raises ManifestError, where the constructor would raise pydantic's own error."""
        try:
            return cls(**fields)
        except ValidationError as error:
            raise ManifestError(explain(error)) from error

    def to_json(self) -> str:
        """Return the canonical text: sorted keys, two spaces, a newline at the end. Equal manifests give equal text."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"


class GroupManifest(Manifest):
    """The desired state of one group.

    `revoked` names federated members who were removed less than a session's length ago, whose sessions must end at once;
    `sessions_not_before` (unix seconds) ends every session opened before it, where naming them all would be too many.
    `suspended` denies everything to everybody in the group. A group that is `retired` has no stack: it is removed from AWS.
    """

    kind: Literal["group"] = "group"
    slug: Slug
    members: Annotated[tuple[Member, ...], Field(max_length=5000, strict=False)] = ()
    analyses: Annotated[tuple[AnalysisGrant, ...], Field(max_length=MAX_ANALYSES, strict=False)] = ()
    revoked: Annotated[tuple[Username, ...], Field(max_length=MAX_REVOKED, strict=False)] = ()
    sessions_not_before: Annotated[int, Field(ge=0, le=2**33)] | None = None
    suspended: bool = False
    retired: bool = False

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        usernames = [member.username for member in self.members]
        _check_distinct("members.username", usernames)
        _check_distinct("analyses.bucket", [grant.bucket for grant in self.analyses])
        _check_distinct("revoked", list(self.revoked))
        holders = sum(member.access == "keys" for member in self.members)
        if holders > parts.MAX_KEY_HOLDERS:
            raise ValueError(
                f"members: {holders} members hold keys, and CloudFormation takes {parts.MAX_KEY_HOLDERS} in one group; "
                "make some federated, or split the group"
            )
        if (resources := max(parts.resources_of_parts(self.members).values(), default=0)) > parts.MAX_HOLDERS_RESOURCES:
            raise ValueError(
                f"members: keys would be {resources} resources of one stack, which has room for {parts.MAX_HOLDERS_RESOURCES}; "
                "end the overlap of keys that are being replaced first, or make some members federated"
            )
        if both := sorted(set(usernames) & set(self.revoked)):
            raise ValueError(f"{', '.join(both)} cannot be a member and revoked at once")
        if (many := len(self.shut_out) + len(self._cut_off())) > MAX_REVOKED:
            raise ValueError(f"members: {many} people would be shut out by name, and a role holds {MAX_REVOKED}; suspend the group")
        if self.retired and (self.members or self.analyses):
            raise ValueError("a retired group has neither members nor analyses")
        return self

    @property
    def key_holders(self) -> set[str]:
        """Usernames of the members who hold access keys."""
        return {member.username for member in self.members if member.access == "keys"}

    @property
    def shut_out(self) -> list[str]:
        """Usernames denied everything by name: those of the removed and the suspended, sorted."""
        return sorted({*self.revoked, *(member.username for member in self.members if member.suspended)})

    @property
    def cut_offs(self) -> list[tuple[str, list[str]]]:
        """Moments, as IAM compares them, before which these usernames' sessions are denied: at most MAX_CUT_OFFS, oldest first.

        Beyond that the oldest share the last of theirs, so that a role holds them: their later sessions end once more.
        """
        by_time: dict[int, list[str]] = {}
        for username, moment in self._cut_off().items():
            by_time.setdefault(moment, []).append(username)
        moments = sorted(by_time)
        shared = moments[: len(moments) - MAX_CUT_OFFS + 1] if len(moments) > MAX_CUT_OFFS else moments[:1]
        groups = [shared, *([moment] for moment in moments[len(shared) :])] if moments else []
        return [(_iso(group[-1]), sorted(name for moment in group for name in by_time[moment])) for group in groups]

    def _cut_off(self) -> dict[str, int]:
        """Return the members' cut-offs (unix seconds) by username. The suspended, who are denied everything anyway, have none."""
        return {
            member.username: member.sessions_not_before
            for member in self.members
            if member.sessions_not_before is not None and not member.suspended
        }

    @property
    def stack_name(self) -> str:
        """The CloudFormation stack that this manifest describes."""
        return names.group_stack(self.slug)

    @property
    def store_key(self) -> str:
        """Key of the manifest in the store."""
        return f"groups/{self.slug}.json"

    @property
    def sessions_not_before_iso(self) -> str | None:
        """`sessions_not_before` as IAM compares it, or None."""
        return None if self.sessions_not_before is None else _iso(self.sessions_not_before)


class PlatformManifest(Manifest):
    """The desired state of one storage stack, which all groups share: analysis buckets, and the web origins that may use them.

    `number` is 1 for the first storage stack. A further one holds the buckets for which those before it had no room.
    `earlier_versions_days` is how long what was deleted or replaced in the buckets is kept; without it, for ever, and nothing is
    written of it.
    """

    kind: Literal["platform"] = "platform"
    number: Annotated[int, Field(ge=1, le=MAX_STORAGE_STACKS)] = 1
    buckets: Annotated[tuple[Bucket, ...], Field(max_length=MAX_BUCKETS, strict=False)] = ()
    origins: Annotated[tuple[Origin, ...], Field(min_length=1, max_length=20, strict=False)]
    earlier_versions_days: Annotated[int, Field(ge=1, le=36500)] | None = Field(default=None, exclude_if=lambda days: days is None)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _check_distinct("buckets", list(self.buckets))
        _check_distinct("origins", list(self.origins))
        return self

    @property
    def stack_name(self) -> str:
        """The CloudFormation stack that this manifest describes."""
        return names.storage_stack(self.number)

    @property
    def store_key(self) -> str:
        """Key of the manifest in the store."""
        return platform_key(self.number)


AnyManifest = Annotated[GroupManifest | PlatformManifest, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[GroupManifest | PlatformManifest] = TypeAdapter(AnyManifest)


def parse(text: str | bytes) -> GroupManifest | PlatformManifest:
    """Read a manifest from its JSON text. Raises ManifestError naming the field; ManifestTooNew for what a newer release wrote."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ManifestError(f"The manifest is not JSON: {error}.") from error
    except RecursionError as error:
        raise ManifestError("The manifest is nested too deeply to be one.") from error
    _check_version(document)
    try:
        return _ADAPTER.validate_python(_without_ignorable(document))
    except ValidationError as error:
        if unknown := [path_of(problem["loc"]) for problem in error.errors() if problem["type"] == "extra_forbidden"]:
            raise ManifestTooNew(
                f"{explain(error)} This release does not know {', '.join(unknown)}, which may grant or deny access, so it reads "
                "nothing of the manifest. Update this release if a newer one wrote it."
            ) from error
        raise ManifestError(explain(error)) from error


def platform_key(number: int) -> str:
    """Return the key of a storage stack's manifest in the store; the first one keeps the key of sites with one alone."""
    return "platform.json" if number == 1 else f"storage/{number}.json"


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of both kinds of manifest, as published in `manifest.schema.json`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Cohort manifest", **_ADAPTER.json_schema()}


def _check_version(document: object) -> None:
    if not isinstance(document, dict):
        raise ManifestError("The manifest must be a JSON object.")
    version = document.get("version")
    if version != VERSION or isinstance(version, bool):
        raise ManifestTooNew(
            f"The manifest's version is {version!r}; this release reads version {VERSION}. Update whichever of the control plane "
            "and this checkout is older."
        )


def _without_ignorable(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out the fields that the writer says neither grant nor deny, and that this release does not know."""
    listed = document.get("ignorable")
    ignorable = {name for name in listed if isinstance(name, str)} if isinstance(listed, list) else set()
    if not ignorable:
        return document
    known = GroupManifest.model_fields.keys() | PlatformManifest.model_fields.keys()
    kept = {name: value for name, value in document.items() if name in known or name not in ignorable}
    for field, part in (("members", Member), ("analyses", AnalysisGrant)):
        if isinstance(rows := kept.get(field), list):
            kept[field] = [_known_or_not_listed(row, part, field, ignorable) for row in rows]
    return kept


def _known_or_not_listed(row: Any, part: type[_Part], field: str, ignorable: set[str]) -> Any:
    if not isinstance(row, dict):
        return row
    return {name: value for name, value in row.items() if name in part.model_fields or f"{field}.{name}" not in ignorable}


def _iso(moment: int) -> str:
    """Return unix seconds as IAM compares them."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_distinct(field: str, values: list[str]) -> None:
    if doubled := sorted({value for value in values if values.count(value) > 1}) if len(set(values)) != len(values) else []:
        raise ValueError(f"{field}: {', '.join(doubled)} stands there more than once")
