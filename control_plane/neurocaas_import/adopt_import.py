"""Template of the import of IAM users into our stack: its present resources, and the users as it will render them."""

import json
from collections.abc import Collection
from typing import Any

from control_plane.access.groups.models import Group
from control_plane.access.groups.services.manifests import group_manifest
from control_plane.deployments.deployers.synthesis import Synthesiser, SynthesisFailed
from control_plane.deployments.models import StoredManifest
from control_plane.neurocaas_import.adopt_aws import Aws, NotAdopted
from control_plane.neurocaas_import.adopt_template import RETAIN_POLICIES
from stacks import names
from stacks.manifest import GroupManifest, Member, parse

USER = "AWS::IAM::User"
# Properties that the following deployment adds: an import describes the present state.
ADDED_LATER = ("Groups", "Tags", "Policies")


def with_users(aws: Aws, group: Group, usernames: Collection[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the template, and the users' names by the stack's logical ids. Raises NotAdopted."""
    stack = group.stack
    body = aws.cloudformation.get_template(StackName=stack.name, TemplateStage="Original")["TemplateBody"]
    template: dict[str, Any] = json.loads(body) if isinstance(body, str) else body
    rendered = _render(group, usernames)
    users = {}
    for logical_id, resource in rendered["Resources"].items():
        name = resource.get("Properties", {}).get("UserName")
        if resource["Type"] == USER and name in {names.user(group.slug, username) for username in usernames}:
            properties = {key: value for key, value in resource["Properties"].items() if key not in ADDED_LATER}
            template["Resources"][logical_id] = {"Type": USER, **RETAIN_POLICIES, "Properties": properties}
            users[logical_id] = name
    if len(users) != len(usernames):
        raise NotAdopted(f"{stack.name} would not hold all of these users itself. Nothing was changed by this step.")
    return template, users


def _render(group: Group, usernames: Collection[str]) -> dict[str, Any]:
    """Return the group's template as it will be with these members. Raises NotAdopted."""
    stack = group.stack
    manifest = _deployed_manifest(group)
    joined = [member for member in manifest.members if member.username not in usernames]
    joined += [Member(username=username, access="keys") for username in sorted(usernames)]
    wanted = manifest.model_copy(update={"members": tuple(sorted(joined, key=lambda member: member.username))})
    synthesiser = Synthesiser()
    try:
        with synthesiser.assembly({stack.name: wanted.to_json()}) as assembly:
            if problem := assembly.problems.get(stack.name):
                raise SynthesisFailed(problem)
            text = (assembly.folder / f"{stack.name}.template.json").read_text()
    except SynthesisFailed as error:
        raise NotAdopted(f"{error} People's keys work as before; run this again.") from error
    finally:
        synthesiser.end()
    document: dict[str, Any] = json.loads(text)
    return document


def _deployed_manifest(group: Group) -> GroupManifest:
    stored = StoredManifest.objects.filter(stack=group.stack, generation=group.stack.deployed_generation).first()
    manifest = parse(stored.text) if stored else None
    return manifest if isinstance(manifest, GroupManifest) else group_manifest(group, max(1, group.stack.generation))
