"""What somebody with credentials of their own would try on AWS to get at another group's files."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from tests.e2e.site import Site
from tests.e2e.two_labs import SHARED_BUCKET, Keys, Lab

Call = Callable[[], Any]
DENIED = ("AccessDenied", "AccessDeniedException", "InvalidAccessKeyId", "InvalidClientTokenId", "UnauthorizedOperation", "403")
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}]}


def refusal(call: Call) -> str | None:
    """None if AWS denied the call; else what it said instead."""
    try:
        answer = call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return None if code in DENIED else f"{code}: {error}"
    if errors := answer.get("Errors"):
        # DeleteObjects answers for each key.
        return None if {error["Code"] for error in errors} <= set(DENIED) and not answer.get("Deleted") else str(errors)
    return f"let through: {answer.get('ResponseMetadata', {}).get('HTTPStatusCode')}"


def let_through(site: Site, keys: Keys, mine: Lab, theirs: Lab) -> list[tuple[str, str, str]]:
    """What AWS did not deny: with which credentials, which action, and what it said."""
    found = []
    for purpose, credentials in keys.items():
        for name, call in actions(site, credentials, mine, theirs):
            if (said := refusal(call)) is not None:
                found.append((purpose, name, said))
    return found


def actions(site: Site, credentials: dict[str, str], mine: Lab, theirs: Lab) -> Iterator[tuple[str, Call]]:
    """Each thing to try, by name."""
    s3 = site.client("s3", credentials)
    for bucket in (SHARED_BUCKET, theirs.bucket):
        yield from _named(bucket, _reading(s3, bucket, theirs))
        yield from _named(bucket, _writing(s3, bucket, mine, theirs))
    yield from _named(SHARED_BUCKET, _upload(s3, mine, theirs))
    for bucket in (SHARED_BUCKET, mine.bucket, theirs.bucket):
        yield from _named(bucket, _bucket(s3, bucket))
    yield (
        "ListBucket of one's own bucket, the other group's folder",
        lambda: s3.list_objects_v2(Bucket=mine.bucket, Prefix=f"{theirs.slug}/"),
    )
    put = {"Bucket": mine.bucket, "Key": f"{theirs.slug}/inputs/trespass", "Body": b""}
    yield "PutObject into one's own bucket, the other group's folder", lambda: s3.put_object(**put)
    yield "ListBuckets", s3.list_buckets
    yield from _elsewhere(site, credentials, theirs)


def _named(bucket: str, calls: Iterator[tuple[str, Call]]) -> Iterator[tuple[str, Call]]:
    yield from ((f"{name} on {bucket}", call) for name, call in calls)


def _reading(s3: Any, bucket: str, theirs: Lab) -> Iterator[tuple[str, Call]]:
    at = {"Bucket": bucket, "Key": theirs.secret}
    yield "ListBucket", lambda: s3.list_objects_v2(Bucket=bucket, Prefix=f"{theirs.slug}/")
    yield "ListBucket of everything", lambda: s3.list_objects_v2(Bucket=bucket)
    yield "ListBucket by half a name", lambda: s3.list_objects_v2(Bucket=bucket, Prefix=theirs.slug[:3], Delimiter="/")
    yield "ListBucketVersions", lambda: s3.list_object_versions(Bucket=bucket, Prefix=f"{theirs.slug}/")
    yield "ListBucketMultipartUploads", lambda: s3.list_multipart_uploads(Bucket=bucket, Prefix=f"{theirs.slug}/")
    yield "GetObject", lambda: s3.get_object(**at)
    yield "GetObject of a name that is not there", lambda: s3.get_object(Bucket=bucket, Key=f"{theirs.slug}/inputs/nothing")
    yield "HeadObject", lambda: s3.head_object(**at)
    yield "GetObjectVersion", lambda: s3.get_object(**at, VersionId=theirs.version)
    yield "GetObjectTagging", lambda: s3.get_object_tagging(**at)
    yield "GetObjectAcl", lambda: s3.get_object_acl(**at)


def _writing(s3: Any, bucket: str, mine: Lab, theirs: Lab) -> Iterator[tuple[str, Call]]:
    at, fresh = {"Bucket": bucket, "Key": theirs.secret}, {"Bucket": bucket, "Key": f"{theirs.slug}/inputs/trespass"}
    yield "PutObject over it", lambda: s3.put_object(**at, Body=b"")
    yield "PutObject beside it", lambda: s3.put_object(**fresh, Body=b"")
    yield "DeleteObject", lambda: s3.delete_object(**at)
    yield "DeleteObjectVersion", lambda: s3.delete_object(**at, VersionId=theirs.version)
    yield "DeleteObject of a delete marker", lambda: s3.delete_object(Bucket=bucket, Key=theirs.gone, VersionId=theirs.marker)
    yield "DeleteObjects", lambda: s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": theirs.secret}]})
    yield "CreateMultipartUpload", lambda: s3.create_multipart_upload(**fresh)
    source = {"Bucket": bucket, "Key": theirs.secret}
    loot = {"Bucket": SHARED_BUCKET, "Key": f"{mine.slug}/inputs/loot"}
    yield "CopyObject to oneself", lambda: s3.copy_object(**loot, CopySource=source)
    yield "CopyObject of a version", lambda: s3.copy_object(**loot, CopySource={**source, "VersionId": theirs.version})
    yield "CopyObject from oneself", lambda: s3.copy_object(**fresh, CopySource={"Bucket": SHARED_BUCKET, "Key": mine.secret})
    yield "PutObjectAcl", lambda: s3.put_object_acl(**at, ACL="public-read")
    yield "PutObjectTagging", lambda: s3.put_object_tagging(**at, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})


def _upload(s3: Any, mine: Lab, theirs: Lab) -> Iterator[tuple[str, Call]]:
    at = {"Bucket": SHARED_BUCKET, "Key": theirs.upload_key, "UploadId": theirs.upload_id}
    own = {"Bucket": SHARED_BUCKET, "Key": mine.secret}
    parts = {"Parts": [{"PartNumber": 1, "ETag": "x"}]}
    yield "UploadPart", lambda: s3.upload_part(**at, PartNumber=2, Body=b"x")
    yield "UploadPartCopy", lambda: s3.upload_part_copy(**at, PartNumber=2, CopySource=own)
    yield "ListMultipartUploadParts", lambda: s3.list_parts(**at)
    yield "CompleteMultipartUpload", lambda: s3.complete_multipart_upload(**at, MultipartUpload=parts)
    yield "AbortMultipartUpload", lambda: s3.abort_multipart_upload(**at)


def _bucket(s3: Any, bucket: str) -> Iterator[tuple[str, Call]]:
    at: dict[str, Any] = {"Bucket": bucket}
    rule = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    cors = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
    yield "GetBucketPolicy", lambda: s3.get_bucket_policy(**at)
    yield "PutBucketPolicy", lambda: s3.put_bucket_policy(**at, Policy=json.dumps(EVERYTHING))
    yield "DeleteBucketPolicy", lambda: s3.delete_bucket_policy(**at)
    yield "PutBucketAcl", lambda: s3.put_bucket_acl(**at, ACL="public-read")
    yield "PutBucketCORS", lambda: s3.put_bucket_cors(**at, CORSConfiguration=cors)
    yield "PutBucketVersioning", lambda: s3.put_bucket_versioning(**at, VersioningConfiguration={"Status": "Suspended"})
    yield "PutLifecycle", lambda: s3.put_bucket_lifecycle_configuration(**at, LifecycleConfiguration={"Rules": [rule]})
    yield "DeletePublicAccessBlock", lambda: s3.delete_public_access_block(**at)
    yield "DeleteBucket", lambda: s3.delete_bucket(**at)


def _elsewhere(site: Site, credentials: dict[str, str], theirs: Lab) -> Iterator[tuple[str, Call]]:
    names = ("sts", "secretsmanager", "iam", "cloudformation")
    sts, secrets, iam, cloudformation = (site.client(name, credentials) for name in names)
    account, slug = site.env_file["COHORT_ACCOUNT"], theirs.slug
    user, role, secret = f"cohort-{slug}-{theirs.username}", f"cohort-{slug}", f"cohort/{slug}/{theirs.username}"
    arn, all_of_it = f"arn:aws:iam::{account}:role/cohort/{slug}/{role}", "arn:aws:iam::aws:policy/AdministratorAccess"
    yield "AssumeRole", lambda: sts.assume_role(RoleArn=arn, RoleSessionName="trespass")
    yield "AssumeRole in a member's name", lambda: sts.assume_role(RoleArn=arn, RoleSessionName=theirs.username)
    yield "GetSecretValue", lambda: secrets.get_secret_value(SecretId=secret)
    yield "ListSecrets", secrets.list_secrets
    yield "PutSecretValue", lambda: secrets.put_secret_value(SecretId=secret, SecretString="{}")
    yield "CreateAccessKey", lambda: iam.create_access_key(UserName=user)
    yield "ListAccessKeys", lambda: iam.list_access_keys(UserName=user)
    yield "GetRole", lambda: iam.get_role(RoleName=role)
    yield "AttachRolePolicy", lambda: iam.attach_role_policy(RoleName=role, PolicyArn=all_of_it)
    yield "UpdateAssumeRolePolicy", lambda: iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(EVERYTHING))
    yield "DescribeStacks", lambda: cloudformation.describe_stacks(StackName=theirs.stack_name)
    yield "GetTemplate", lambda: cloudformation.get_template(StackName=theirs.stack_name)
    yield "DeleteStack", lambda: cloudformation.delete_stack(StackName=theirs.stack_name)
