"""Removal policies of resources that outlive their stack, or their place in it: those that hold data, and those that guard it.

A resource whose creation (or whose stack's update) is rolled back is removed with it. If it were kept, it would hold its name, and
each further attempt would end with "already exists" (CloudFormation template reference, "DeletionPolicy attribute").
"""

from aws_cdk import CfnResource, RemovalPolicy
from aws_cdk import aws_s3 as s3
from constructs import IConstruct

# DeletionPolicy: RetainExceptOnCreate; UpdateReplacePolicy: Retain.
RETAIN = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE


def retain(construct: IConstruct) -> None:
    """Retain this resource, except where the operation that made it is rolled back."""
    resource = _resource(construct)
    resource.apply_removal_policy(RETAIN)
    # Another deletion policy alone is no update of a stack that exists (user guide, "No updates to perform"); with this it is one.
    resource.add_metadata("kept", "except on create")


def retain_always(construct: IConstruct) -> None:
    """Retain this resource even where the operation that made it is rolled back: a resource without a name blocks nothing.

    CloudFormation's role may remove no key and no volume (`stacks.site.execution`), so that no template can.
    """
    _resource(construct).apply_removal_policy(RemovalPolicy.RETAIN)


def retain_bucket(bucket: s3.Bucket) -> None:
    """Retain a bucket, and its policy as long as the bucket: without the policy it would answer over plain HTTP."""
    retain(bucket)
    if bucket.policy is None:
        raise ValueError(f"{bucket.node.path} has no policy to keep: enforce_ssl makes one.")
    retain(bucket.policy)


def _resource(construct: IConstruct) -> CfnResource:
    resource = construct if isinstance(construct, CfnResource) else construct.node.default_child
    if not isinstance(resource, CfnResource):
        raise TypeError(f"{construct.node.path} is no resource of CloudFormation's own.")
    return resource
