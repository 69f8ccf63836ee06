"""Deployed manifest of a stack, read from AWS: for a stack that the database does not know, after a restore.

CloudFormation's template has everything that gives access. Members without a key are in no template: the published manifest
names them, as long as it has the same generation and agrees with the template.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.base.aws import Place
from control_plane.base.config import config
from control_plane.deployments import cloudformation
from stacks import denials, names
from stacks.manifest import AnalysisGrant, GroupManifest, ManifestError, Member, PlatformManifest, parse
from stacks.store import ManifestNotFound, open_store

Template = Mapping[str, Any]
# CDK names a resource by its construct's path and eight digits of a hash: a key's path ends with its serial.
_KEY = re.compile(r"(?:KeyHolders)?(?P<username>m[a-z2-7]{11})Key(?P<serial>[0-9]+)[0-9A-F]{8}")
_PART = re.compile(r"KeyHolders(?P<part>[0-9]+)NestedStack.*")
_S3_ARN = re.compile(r"arn:[^:]*:s3:::(?P<bucket>[^/*]+)/.*")


@dataclass(frozen=True)
class DeployedManifest:
    """Generation, status and manifest of a deployed stack. Without a manifest, `problem` says why."""

    generation: int
    status: str
    manifest: GroupManifest | PlatformManifest | None
    problem: str = ""
    # Whether it is the published manifest, which names members without a key too.
    is_published: bool = False


def read_deployed_manifest(name: str, place: Place) -> DeployedManifest:
    """Read the manifest that one of our stacks holds. Raises AwsFailure or StoreUnavailable."""
    observation = cloudformation.observe(name, place)
    if not observation.generation:
        return DeployedManifest(
            0, observation.status, None, "The stack does not say which generation it holds, as Cohort’s stacks do."
        )
    if not observation.is_complete:
        problem = f"CloudFormation says {observation.status}: what the stack holds cannot be told from its template."
        return DeployedManifest(observation.generation, observation.status, None, problem)
    template = cloudformation.template(name, place)
    known = {"generation": observation.generation, "account": place.account, "region": place.region}
    try:
        if template is None:
            raise ManifestError("The template is none that Cohort wrote.")
        if name.startswith(names.PLATFORM_STACK):
            manifest: GroupManifest | PlatformManifest = _platform_manifest(name, template, known)
        else:
            manifest = _group_manifest(name, template, known)
    except (ManifestError, LookupError, TypeError, ValueError) as error:
        return DeployedManifest(observation.generation, observation.status, None, f"Its template could not be read: {error}"[:500])
    published = _matching_published(manifest)
    return DeployedManifest(observation.generation, observation.status, published or manifest, is_published=published is not None)


def _group_manifest(name: str, template: Template, known: dict[str, Any]) -> GroupManifest:
    slug = names.check_known_slug(name.removeprefix(names.group_stack("")))
    place = Place(known["account"], known["region"])
    members = _key_holders(slug, template, 0)
    for logical_id, stack_id in cloudformation.nested_stacks(name, place).items():
        if nested := _PART.fullmatch(logical_id):
            members += _key_holders(slug, cloudformation.template(stack_id, place) or {}, int(nested["part"]))
    return GroupManifest.build(
        **known,
        slug=slug,
        members=tuple(sorted(members, key=lambda member: member.username)),
        analyses=tuple(_analyses(template)),
        suspended=any(_carries(group, denials.SUSPENDED) for group in _of_type(template, "AWS::IAM::Group").values()),
    )


def _platform_manifest(name: str, template: Template, known: dict[str, Any]) -> PlatformManifest:
    buckets = list(_of_type(template, "AWS::S3::Bucket").values())
    rules = [rule for bucket in buckets for rule in bucket.get("CorsConfiguration", {}).get("CorsRules", [])]
    origins = tuple(sorted({origin for rule in rules for origin in rule["AllowedOrigins"]})) or (config().site_url.rstrip("/"),)
    held = tuple(sorted(str(bucket["BucketName"]) for bucket in buckets))
    lasting = [rule for bucket in buckets for rule in bucket.get("LifecycleConfiguration", {}).get("Rules", [])]
    # All buckets of a stack have the same rules.
    days = {int(rule["NoncurrentVersionExpiration"]["NoncurrentDays"]) for rule in lasting if "NoncurrentVersionExpiration" in rule}
    kept = {"earlier_versions_days": max(days, default=None)}
    return PlatformManifest.build(**known, number=names.storage_number(name), buckets=held, origins=origins, **kept)


def _key_holders(slug: str, template: Template, part: int) -> list[Member]:
    """Return the members whose IAM users this template makes."""
    keys = [
        (match["username"], int(match["serial"]), str(properties.get("Status", "Active")).lower())
        for logical_id, properties in _of_type(template, "AWS::IAM::AccessKey").items()
        if (match := _KEY.fullmatch(logical_id))
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
    """Return the buckets that the group's policies name, and whether it may write there."""
    read: set[str] = set()
    written: set[str] = set()
    for policy in _of_type(template, "AWS::IAM::ManagedPolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            buckets = {arn["bucket"] for resource in resources if (arn := _S3_ARN.fullmatch(resource))}
            read |= buckets
            if "s3:PutObject" in statement["Action"]:
                written |= buckets
    for bucket in sorted(read):
        yield AnalysisGrant(bucket=bucket, access="read-write" if bucket in written else "read-only")


def _matching_published(manifest: GroupManifest | PlatformManifest) -> GroupManifest | PlatformManifest | None:
    """Return the published manifest of this generation if it agrees with the template, else None. Raises StoreUnavailable."""
    try:
        published = parse(open_store(config().manifest_store).read(manifest.store_key))
    except (ManifestNotFound, ManifestError):
        return None
    if published.generation != manifest.generation or _template_facts(published) != _template_facts(manifest):
        return None
    return published


def _template_facts(manifest: GroupManifest | PlatformManifest) -> Any:
    """Return the parts of a manifest that a template shows, to compare two manifests by."""
    if isinstance(manifest, PlatformManifest):
        return manifest.stack_name, manifest.account, manifest.region, sorted(manifest.buckets), manifest.earlier_versions_days
    members = _members_with_keys(manifest)
    holders = [(member.username, member.key_serial, member.previous_key, member.part, member.suspended) for member in members]
    analyses = sorted((grant.bucket, grant.access) for grant in manifest.analyses)
    return manifest.stack_name, manifest.account, manifest.region, sorted(holders, key=str), analyses


def _members_with_keys(manifest: GroupManifest) -> list[Member]:
    return [member for member in manifest.members if member.access == "keys"]


def _of_type(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    resources = template.get("Resources", {})
    return {name: dict(resource.get("Properties", {})) for name, resource in resources.items() if resource.get("Type") == kind}


def _carries(properties: Mapping[str, Any], policy: str) -> bool:
    return any(inline["PolicyName"] == policy for inline in properties.get("Policies") or ())
