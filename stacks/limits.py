"""AWS's limits on one group, and what its manifest uses of them: calculated from it alone, without asking AWS."""

from dataclasses import dataclass

from stacks import denials, policies
from stacks.manifest import GroupManifest
from stacks.parts import resources_of_parts

# CloudFormation user guide, "Understand CloudFormation quotas": resources that one operation on a stack and those nested in it
# may touch, and bytes of a template that lies in S3.
RESOURCES_PER_OPERATION = 2500
TEMPLATE_BYTES = 1_000_000


@dataclass(frozen=True)
class ManifestFigures:
    """One group's use of AWS, each figure with a limit of its own."""

    members: int
    key_holders: int
    stacks: int
    # Of the stack that holds most, and of all together.
    resources: int
    all_resources: int
    policies: int
    # Of the largest managed policy, and of the role's inline policies together.
    policy_characters: int
    inline_characters: int


def manifest_figures(manifest: GroupManifest) -> ManifestFigures:
    """Calculate a group's figures. Raises policies.PolicyTooLarge."""
    if manifest.retired:
        return ManifestFigures(0, 0, 0, 0, 0, 0, 0, 0)
    documents = policies.group_policies(manifest)
    parts = resources_of_parts(manifest.members)
    # The main stack: role and policies, the IAM group of key holders, and the nested stacks themselves.
    nested = sum(part > 0 for part in parts)
    main = 1 + len(documents) + parts.get(0, 0) + (1 if parts else 0) + nested
    of_nested = [many for part, many in parts.items() if part > 0]
    inline = [document for document in (denials.role_denial(manifest), policies.undo_policy(manifest)) if document]
    return ManifestFigures(
        members=len(manifest.members),
        key_holders=sum(member.access == "keys" for member in manifest.members),
        stacks=1 + nested,
        resources=max([main, *of_nested]),
        all_resources=main + sum(of_nested),
        policies=len(documents),
        policy_characters=max((policies.size(document) for document in documents), default=0),
        inline_characters=sum(policies.size(document) for document in inline),
    )
