"""The manifest that a stack stands for, read from AWS: of a stack that the database does not know, after a restore.

CloudFormation's template tells all that gives access. Who gets in without a key is in no template: the manifest that was
published names them, as long as it is of the same generation and says the same as the template.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.base.aws import Place
from control_plane.base.config import config
from control_plane.deployments import cloudformation
from stacks.manifest import (
    AnalysisGrant,
    GroupManifest,
    ManifestError,
    ManifestNotFound,
    Member,
    PlatformManifest,
    denials,
    names,
    open_store,
    parse,
)

Template = Mapping[str, Any]
# CDK names a resource by its construct's path and eight digits of a hash: a key's path ends with its serial.
_KEY = re.compile(r"(?:KeyHolders)?(?P<username>m[a-z2-7]{11})Key(?P<serial>[0-9]+)[0-9A-F]{8}")
_PART = re.compile(r"KeyHolders(?P<part>[0-9]+)NestedStack.*")
_S3_ARN = re.compile(r"arn:[^:]*:s3:::(?P<bucket>[^/*]+)/.*")


@dataclass(frozen=True)
class Held:
    """What a stack holds. Without a manifest, `problem` says why it cannot be told."""

    generation: int
    status: str
    manifest: GroupManifest | PlatformManifest | None
    problem: str = ""
    # Whether that is what was published, which names members without a key too.
    is_published: bool = False


def read_held(name: str, place: Place) -> Held:
    """Read what a stack of ours holds. Raises AwsFailure or StoreUnavailable."""
    observation = cloudformation.observe(name, place)
    if not observation.generation:
        return Held(0, observation.status, None, "The stack does not say which generation it holds, as Cohort’s stacks do.")
    if not observation.is_complete:
        told = f"CloudFormation says {observation.status}: what the stack holds cannot be told from its template."
        return Held(observation.generation, observation.status, None, told)
    template = cloudformation.template(name, place)
    known = {"generation": observation.generation, "account": place.account, "region": place.region}
    try:
        if template is None:
            raise ManifestError("The template is none that Cohort wrote.")
        if name.startswith(names.PLATFORM_STACK):
            manifest: GroupManifest | PlatformManifest = _platform(name, template, known)
        else:
            manifest = _group(name, template, known)
    except (ManifestError, LookupError, TypeError, ValueError) as error:
        return Held(observation.generation, observation.status, None, f"Its template could not be read: {error}"[:500])
    published = _published(manifest)
    return Held(observation.generation, observation.status, published or manifest, is_published=published is not None)


def _group(name: str, template: Template, known: dict[str, Any]) -> GroupManifest:
    slug = names.check_known_slug(name.removeprefix(names.group_stack("")))
    place = Place(known["account"], known["region"])
    members = _holders(slug, template, 0)
    for logical_id, stack_id in cloudformation.nested_stacks(name, place).items():
        if nested := _PART.fullmatch(logical_id):
            members += _holders(slug, cloudformation.template(stack_id, place) or {}, int(nested["part"]))
    return GroupManifest.build(
        **known,
        slug=slug,
        members=tuple(sorted(members, key=lambda member: member.username)),
        analyses=tuple(_analyses(template)),
        suspended=any(_carries(one, denials.SUSPENDED) for one in _of_type(template, "AWS::IAM::Group").values()),
    )


def _platform(name: str, template: Template, known: dict[str, Any]) -> PlatformManifest:
    buckets = list(_of_type(template, "AWS::S3::Bucket").values())
    rules = [rule for one in buckets for rule in one.get("CorsConfiguration", {}).get("CorsRules", [])]
    origins = tuple(sorted({origin for rule in rules for origin in rule["AllowedOrigins"]})) or (config().site_url.rstrip("/"),)
    held = tuple(sorted(str(one["BucketName"]) for one in buckets))
    lasting = [rule for one in buckets for rule in one.get("LifecycleConfiguration", {}).get("Rules", [])]
    # All buckets of a stack have the same rules.
    days = {int(one["NoncurrentVersionExpiration"]["NoncurrentDays"]) for one in lasting if "NoncurrentVersionExpiration" in one}
    kept = {"earlier_versions_days": max(days, default=None)}
    return PlatformManifest.build(**known, number=names.storage_number(name), buckets=held, origins=origins, **kept)


def _holders(slug: str, template: Template, part: int) -> list[Member]:
    """The members whose users this template makes."""
    keys = [
        (found["username"], int(found["serial"]), str(properties.get("Status", "Active")).lower())
        for logical_id, properties in _of_type(template, "AWS::IAM::AccessKey").items()
        if (found := _KEY.fullmatch(logical_id))
    ]
    members = []
    for user in _of_type(template, "AWS::IAM::User").values():
        username = str(user["UserName"]).removeprefix(names.user(slug, ""))
        own = sorted(((serial, state) for name, serial, state in keys if name == username), reverse=True)
        members.append(
            Member(
                username=username,
                access="keys",
                key_serial=own[0][0],
                previous_key=own[1][1] if len(own) > 1 else None,  # type: ignore[arg-type]
                part=part,
                suspended=_carries(user, denials.SUSPENDED),
            )
        )
    return members


def _analyses(template: Template) -> Iterable[AnalysisGrant]:
    """The buckets that the group's policies name, and whether it may write there."""
    read: set[str] = set()
    written: set[str] = set()
    for policy in _of_type(template, "AWS::IAM::ManagedPolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            found = {place["bucket"] for one in resources if (place := _S3_ARN.fullmatch(one))}
            read |= found
            if "s3:PutObject" in statement["Action"]:
                written |= found
    for bucket in sorted(read):
        yield AnalysisGrant(bucket=bucket, access="read-write" if bucket in written else "read-only")


def _published(manifest: GroupManifest | PlatformManifest) -> GroupManifest | PlatformManifest | None:
    """What was published of this generation, where it says the same of all that the template tells. Raises StoreUnavailable."""
    try:
        published = parse(open_store(config().manifest_store).read(manifest.store_key))
    except (ManifestNotFound, ManifestError):
        return None
    if published.generation != manifest.generation or _told(published) != _told(manifest):
        return None
    return published


def _told(manifest: GroupManifest | PlatformManifest) -> Any:
    """What a template tells of a manifest."""
    if isinstance(manifest, PlatformManifest):
        return manifest.stack_name, manifest.account, manifest.region, sorted(manifest.buckets), manifest.earlier_versions_days
    holders = [(one.username, one.key_serial, one.previous_key, one.part, one.suspended) for one in _keyed(manifest)]
    analyses = sorted((one.bucket, one.access) for one in manifest.analyses)
    return manifest.stack_name, manifest.account, manifest.region, sorted(holders, key=str), analyses


def _keyed(manifest: GroupManifest) -> list[Member]:
    return [member for member in manifest.members if member.access == "keys"]


def _of_type(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    resources = template.get("Resources", {})
    return {name: dict(one.get("Properties", {})) for name, one in resources.items() if one.get("Type") == kind}


def _carries(properties: Mapping[str, Any], policy: str) -> bool:
    return any(one["PolicyName"] == policy for one in properties.get("Policies") or ())
