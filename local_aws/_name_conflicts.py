"""Name conflicts: refused as on AWS, for types that ministack makes over an existing one.

A resource that a stack left behind (DeletionPolicy Retain) blocks the next one. ministack itself refuses for buckets, and
`_secrets`, `_resources` and `_host_resources` for secrets, principals and vaults.
"""

from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch_logs, kms, s3
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]


def register() -> None:
    """Have these types' handlers refuse a name that is taken."""
    handlers = provisioners._RESOURCE_HANDLERS
    for kind, refuse in REFUSALS.items():
        handlers[kind]["create"] = _refusing(handlers[kind]["create"], refuse)


def _refusing(create: Callable[..., Any], refuse: Callable[[Properties], None]) -> Callable[..., Any]:
    def create_unless_taken(logical_id: str, properties: Properties, stack_name: str) -> Any:
        refuse(properties)
        return create(logical_id, properties, stack_name)

    return create_unless_taken


def _bucket_policy(properties: Properties) -> None:
    """Refuse a second policy of a bucket (the words are from aws-samples/aws-cdk-examples issue 1022)."""
    if (bucket := properties.get("Bucket")) in s3._bucket_policies:
        raise ValueError(f"The bucket policy already exists on bucket {bucket}. (HandlerErrorCode: AlreadyExists)")


def _alias(properties: Properties) -> None:
    """Refuse an alias that exists (KMS API reference, "CreateAlias")."""
    arn = kms._alias_arn(properties.get("AliasName", ""))
    if arn in kms._aliases:
        raise ValueError(f"An alias with the name {arn} already exists (AlreadyExistsException)")


def _log_group(properties: Properties) -> None:
    """Refuse a log group that exists (CloudWatch Logs API reference, "CreateLogGroup")."""
    if (name := properties.get("LogGroupName")) in cloudwatch_logs._log_groups:
        raise ValueError(
            f"Resource of type 'AWS::Logs::LogGroup' with identifier '{name}' already exists. (HandlerErrorCode: AlreadyExists)"
        )


REFUSALS: dict[str, Callable[[Properties], None]] = {
    "AWS::S3::BucketPolicy": _bucket_policy,
    "AWS::KMS::Alias": _alias,
    "AWS::Logs::LogGroup": _log_group,
}
