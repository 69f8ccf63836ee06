"""Tags of a stack in CDK."""

from collections.abc import Mapping

from aws_cdk import Stack, Tags

from stacks.tags import with_own_tags


def add_tags(stack: Stack, tags: Mapping[str, str]) -> None:
    """Tag everything in the stack that can carry tags: with Cohort's own and with these."""
    for key, value in with_own_tags(tags).items():
        Tags.of(stack).add(key, value)
