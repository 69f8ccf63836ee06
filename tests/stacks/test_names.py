"""Names of AWS resources: bounded, and never the same for two slugs."""

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from stacks import bootstrap, names
from tests.stacks.builders import group_manifest
from tests.stacks.test_host_templates import host_stack
from tests.stacks.test_manifest import slugs, usernames


# A busy machine is slow at making them, which says nothing about names.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(slugs, slugs, usernames, usernames, st.integers(1, 10), st.integers(1, 10))
def test_two_slugs_never_make_one_name(one: str, other: str, ada: str, grace: str, first: int, second: int) -> None:
    assume(one != other)
    assert names.group_stack(one) != names.group_stack(other)
    assert names.role(one) != names.role(other)
    assert names.iam_group(one) != names.iam_group(other)
    assert names.iam_path(one) != names.iam_path(other)
    assert names.policy(one, first) != names.policy(other, second)
    assert names.user(one, ada) != names.user(other, grace)
    assert names.secret(one, ada) != names.secret(other, grace)


@given(slugs, usernames)
def test_every_name_fits_the_limit_of_aws(slug: str, username: str) -> None:
    assert len(names.role(slug)) <= 64
    assert len(names.user(slug, username)) <= 64
    assert len(names.iam_group(slug)) <= 128
    assert len(names.policy(slug, 10)) <= 128
    assert len(names.group_stack(slug)) <= 128
    assert len(names.secret(slug, username)) <= 512


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "a",
        "A-Lab",
        "lab_one",
        "-lab",
        "lab-",
        "lab--one",
        "lab one",
        "l\u0430b",
        "ｌａｂ",
        "lab\u200b",
        "a" * 33,
        "admin",
        "cohort",
        "xn--lab",
        "lab/..",
        "lab\n",
    ],
)
def test_a_slug_that_cannot_name_a_group_is_refused(slug: str) -> None:
    with pytest.raises(names.NameRefused):
        names.check_slug(slug)


@pytest.mark.parametrize("slug", ["ab", "example-lab", "2p-imaging", "a" * 32])
def test_an_ordinary_slug_is_taken(slug: str) -> None:
    assert names.check_slug(slug) == slug


@pytest.mark.parametrize(
    "bucket",
    [
        "ab",
        "Bucket",
        "my.bucket",
        "192.168.0.1",
        "-bucket",
        "bucket-",
        "xn--bucket",
        "a-s3alias",
        "cdk-assets",
        "b" * 64,
        "b\u00fccket",
        "bucket\n",
    ],
)
def test_a_bucket_that_s3_would_not_take_is_refused(bucket: str) -> None:
    with pytest.raises(names.NameRefused):
        names.check_bucket(bucket)


def _roles_and_groups_of_the_site() -> set[str]:
    """What the site's own stacks call their roles and IAM groups."""
    app = cdk.App(analytics_reporting=False)
    host = host_stack(app)
    backups = app.node.find_child("Cohort-Backup")
    assert isinstance(backups, cdk.Stack)
    templates = [Template.from_stack(stack).to_json() for stack in (host, backups)]
    templates.append(bootstrap.template("111122223333", "us-east-1", ("cohort-*",)))
    resources = [resource for template in templates for resource in template["Resources"].values()]
    properties = {"AWS::IAM::Role": "RoleName", "AWS::IAM::Group": "GroupName"}
    return {resource["Properties"][properties[resource["Type"]]] for resource in resources if resource["Type"] in properties}


def test_no_new_group_can_have_a_slug_whose_names_are_the_site_s_own() -> None:
    taken = _roles_and_groups_of_the_site()
    assert taken >= {"cohort-host", "cohort-web", "cohort-backup"}
    # What does not begin as every group's name does is out of their reach.
    assert [name for name in taken if not name.startswith("cohort-")] == [names.DEPLOY_ROLE]
    for name in taken - {names.DEPLOY_ROLE}:
        slug = name.removeprefix("cohort-")
        assert name in (names.role(slug), names.iam_group(slug))
        with pytest.raises(names.NameRefused):
            names.check_slug(slug)


@pytest.mark.parametrize("slug", sorted(names.SITE_SLUGS))
def test_a_group_from_before_its_slug_was_reserved_keeps_working(slug: str) -> None:
    manifest = group_manifest(slug=slug)
    assert manifest.slug == slug
    with pytest.raises(names.NameRefused, match="the site's own role"):
        names.check_slug(slug)
