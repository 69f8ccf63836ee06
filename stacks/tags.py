"""Tags of everything that Cohort makes on AWS: by them a bill is split, and the account's policies tell what is Cohort's."""

from collections.abc import Mapping

from stacks import names

GROUP_TAG = "group"
OWN_TAGS = {"project": names.PROJECT, "managed-by": "cohort"}
RESERVED_TAGS = frozenset({GROUP_TAG, *OWN_TAGS})


def with_own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return these tags and Cohort's own, which they cannot replace."""
    return {**tags, **OWN_TAGS}
