"""A group stays within AWS's limits however many key holders it has, and nobody's resources move when others come or go."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks import limits, parts, policies
from stacks.group.group_stack import GroupStack
from stacks.manifest import AnalysisGrant, GroupManifest, Member
from tests.stacks.builders import group_manifest

# IAM user guide, "IAM and STS quotas": inline policies of a role, together.
INLINE_CHARACTERS = 10_240
# CloudFormation user guide, "Understand CloudFormation quotas".
OUTPUTS, PARAMETERS = 200, 200


def username(number: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return "m" + "".join(letters[number >> shift & 31] for shift in range(0, 55, 5))


def holders(many: int, **fields: Any) -> tuple[Member, ...]:
    """Key holders, each placed as they would be if they came one after another."""
    placed = parts.assign_parts([username(number) for number in range(many)], {})
    return tuple(
        Member.model_validate({"username": name, "access": "keys", "part": part, **fields}) for name, part in placed.items()
    )


def templates(manifest: GroupManifest, folder: Path) -> dict[str, Any]:
    """The stack's templates by their files' names: its own and those of nested stacks."""
    app = cdk.App(analytics_reporting=False, outdir=str(folder))
    GroupStack(app, manifest)
    app.synth()
    return {path.name: json.loads(path.read_bytes()) for path in folder.glob("*.template.json")}


def resources(manifest: GroupManifest, folder: Path) -> dict[str, Any]:
    """Every resource by its stack and name, save the nested stacks themselves."""
    return {
        f"{file}/{name}": one
        for file, template in templates(manifest, folder).items()
        for name, one in template["Resources"].items()
        if one["Type"] != "AWS::CloudFormation::Stack"
    }


@pytest.mark.parametrize(("many", "nested"), [(0, 0), (1, 0), (100, 0), (101, 1), (450, 4)])
def test_further_hundreds_of_key_holders_lie_in_nested_stacks(many: int, nested: int, tmp_path: Path) -> None:
    made = templates(group_manifest(members=holders(many)), tmp_path)
    assert len(made) == 1 + nested
    users = [
        resource
        for template in made.values()
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::IAM::User"
    ]
    assert len(users) == len({user["Properties"]["UserName"] for user in users}) == many
    main = made.pop("Group-example-lab.template.json")
    own = [resource for resource in main["Resources"].values() if resource["Type"] == "AWS::IAM::User"]
    assert len(own) == min(many, parts.HOLDERS_PER_PART)
    for template in made.values():
        # A nested stack depends on the group that its users are put into.
        ((parameter, _),) = [(name, one) for name, one in template["Parameters"].items() if "Group" in name]
        assert all(
            resource["Properties"]["Groups"] == [{"Ref": parameter}]
            for resource in template["Resources"].values()
            if resource["Type"] == "AWS::IAM::User"
        )


def test_the_figures_are_those_of_the_templates(tmp_path: Path) -> None:
    manifest = group_manifest(members=holders(230, key_serial=2, previous_key="active"), revoked=("m" + "z" * 11,))
    made = templates(manifest, tmp_path)
    found = limits.manifest_figures(manifest)
    counted = [len(template["Resources"]) for template in made.values()]
    assert (found.stacks, found.resources, found.all_resources) == (len(made), max(counted), sum(counted))
    (role,) = (
        resource["Properties"]
        for resource in made["Group-example-lab.template.json"]["Resources"].values()
        if "Role" in resource["Type"]
    )
    assert found.inline_characters == sum(policies.size(policy["PolicyDocument"]) for policy in role["Policies"])
    assert (found.members, found.key_holders, found.policies) == (230, 230, 1)


def test_the_largest_group_there_can_be_fits_every_limit(tmp_path: Path) -> None:
    bucket = "cohort-" + "x" * 53
    manifest = group_manifest(
        slug="s" * 32,
        members=holders(parts.MAX_KEY_HOLDERS, key_serial=2, previous_key="active"),
        analyses=tuple(AnalysisGrant(bucket=f"{bucket}-{number:02d}", access="read-write") for number in range(60)),
        revoked=tuple(username(2**40 + number) for number in range(120)),
        sessions_not_before=1_700_000_000,
    )
    made = templates(manifest, tmp_path)
    assert max(len(template["Resources"]) for template in made.values()) <= parts.RESOURCES_PER_STACK
    # All of it may have to go in one operation.
    assert sum(len(template["Resources"]) for template in made.values()) <= limits.RESOURCES_PER_OPERATION
    for path in tmp_path.glob("*.template.json"):
        template = json.loads(path.read_bytes())
        assert path.stat().st_size <= limits.TEMPLATE_BYTES
        assert len(template.get("Outputs", {})) <= OUTPUTS
        assert len(template["Parameters"]) <= PARAMETERS
    found = limits.manifest_figures(manifest)
    assert found.policies <= policies.POLICIES_PER_PRINCIPAL
    assert found.policy_characters <= policies.POLICY_CHARACTERS
    assert found.inline_characters <= INLINE_CHARACTERS


def test_one_who_comes_and_one_who_goes_move_nobody(tmp_path: Path) -> None:
    before = group_manifest(members=holders(230))
    held = {member.username: member.part for member in before.members}
    gone = username(7)
    names = [name for name in held if name != gone] + [username(1000)]
    after = group_manifest(
        members=tuple(Member(username=name, access="keys", part=part) for name, part in parts.assign_parts(names, held).items())
    )
    old, new = resources(before, tmp_path / "before"), resources(after, tmp_path / "after")
    assert {name for name in old.keys() & new.keys() if old[name] != new[name]} == set()
    assert all(gone in name for name in old.keys() - new.keys())
    assert all(username(1000) in name for name in new.keys() - old.keys())
    # The first place that is free, in the group's own stack.
    assert parts.assign_parts(names, held)[username(1000)] == 0


def test_a_group_whose_key_holders_are_all_in_a_nested_stack_keeps_its_iam_group(tmp_path: Path) -> None:
    made = templates(group_manifest(members=(Member(username=username(1), access="keys", part=3),)), tmp_path)
    kinds = [resource["Type"] for resource in made["Group-example-lab.template.json"]["Resources"].values()]
    assert "AWS::IAM::Group" in kinds
    assert "AWS::IAM::User" not in kinds


moves = st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=60)


@given(moves)
def test_whatever_comes_and_goes_nobody_moves_and_no_part_is_overfull(changes: list[tuple[bool, int]]) -> None:
    held: dict[str, int] = {}
    for comes, number in changes:
        names = [name for name in held if name != username(number)] + ([username(number)] if comes else [])
        placed = parts.assign_parts(names, held, per_part=9)
        assert all(placed[name] == held[name] for name in placed.keys() & held.keys())
        assert set(placed) == set(names)
        held = placed
        assert all(list(held.values()).count(part) <= 9 for part in set(held.values()))
