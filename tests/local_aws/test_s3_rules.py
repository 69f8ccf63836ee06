"""S3's own rules that ministack leaves out: each as AWS's documents, or its recorded answers, have it."""

import json
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import client

BUCKET = "rules"
OBJECTS = f"arn:aws:s3:::{BUCKET}/lab/*"
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": OBJECTS}
READ_AND_WRITE = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": OBJECTS}
LIST = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:ListBucketVersions"], "Resource": f"arn:aws:s3:::{BUCKET}"}
LIST_PREFIX = LIST | {"Condition": {"StringLike": {"s3:prefix": ["lab/*"]}}}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        s3 = client(running, "s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield running


@pytest.fixture
def root(aws: EmbeddedAws) -> Any:
    return client(aws, "s3")


def holder(aws: EmbeddedAws, name: str, *statements: dict[str, Any]) -> Any:
    """S3 as a user who may do this alone."""
    iam = client(aws, "iam")
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return client(aws, "s3", key["AccessKeyId"], key["SecretAccessKey"])


def refused(call: Callable[..., Any], **request: Any) -> tuple[str, int]:
    """The code and status with which S3 refuses."""
    with pytest.raises(ClientError) as caught:
        call(Bucket=BUCKET, **request)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("key", ["../x", "lab/../../x", "lab/../../2014/x", "lab/./../.."])
def test_a_key_that_leads_above_its_bucket_is_refused(root: Any, key: str) -> None:
    """S3 user guide, "Naming Amazon S3 objects": never more relative path elements than others, "from left to right"."""
    assert refused(root.put_object, Key=key, Body=b"1") == ("400", 400)
    assert refused(root.get_object, Key=key) == ("400", 400)
    assert refused(root.delete_object, Key=key) == ("400", 400)


def test_a_key_with_dot_segments_is_a_key_of_its_own(aws: EmbeddedAws, root: Any) -> None:
    """S3 user guide, "Naming Amazon S3 objects", "Period-only path segments": S3 takes keys as they are."""
    keys = ["lab/x", "lab/./x", "lab/a/../x", "lab/../lab/x", "lab/..", "lab/.", "lab/%2e/x", "lab/a/../../x", "lab/./"]
    for key in keys:
        root.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    s3 = holder(aws, "dots", READ_AND_WRITE, LIST_PREFIX)
    for key in keys:
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == key.encode()
        assert s3.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == len(key)
        url = urlsplit(s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key}))
        connection = HTTPConnection("localhost", aws.port)
        connection.request("GET", f"{url.path}?{url.query}")
        assert connection.getresponse().read() == key.encode()
    listed = [content["Key"] for content in s3.list_objects_v2(Bucket=BUCKET, Prefix="lab/")["Contents"]]
    assert set(keys) <= set(listed)
    root.delete_object(Bucket=BUCKET, Key="lab/./x")
    root.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "lab/a/../x"}]})
    assert [content["Key"] for content in s3.list_objects_v2(Bucket=BUCKET, Prefix="lab/")["Contents"]] == [
        key for key in listed if key not in ("lab/./x", "lab/a/../x")
    ]


def test_a_missing_object_is_403_to_whoever_may_not_list(aws: EmbeddedAws) -> None:
    """S3 API reference, "HeadObject" and "GetObject", section "Permissions"."""
    s3 = holder(aws, "reader", READ)
    assert refused(s3.head_object, Key="lab/no") == ("403", 403)
    assert refused(s3.get_object, Key="lab/no") == ("AccessDenied", 403)
    with pytest.raises(ClientError, match=f'is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::{BUCKET}"'):
        s3.get_object(Bucket=BUCKET, Key="lab/no")


def test_a_missing_object_is_404_to_whoever_may_list(aws: EmbeddedAws) -> None:
    """S3 API reference, "HeadObject" and "GetObject", section "Permissions"."""
    s3 = holder(aws, "lister", READ, LIST)
    assert refused(s3.head_object, Key="lab/no") == ("404", 404)
    assert refused(s3.get_object, Key="lab/no") == ("NoSuchKey", 404)


def test_a_missing_version_is_403_to_whoever_may_not_list(aws: EmbeddedAws, root: Any) -> None:
    """S3 API reference, "GetObject", section "Permissions": the same page has versions need s3:GetObjectVersion besides."""
    version = root.put_object(Bucket=BUCKET, Key="lab/versioned", Body=b"1")["VersionId"]
    root.delete_object(Bucket=BUCKET, Key="lab/versioned", VersionId=version)
    read = READ | {"Action": ["s3:GetObject", "s3:GetObjectVersion"]}
    assert refused(holder(aws, "version-reader", read).head_object, Key="lab/versioned", VersionId=version) == ("403", 403)
    allowed = holder(aws, "version-lister", read, LIST)
    assert refused(allowed.get_object, Key="lab/versioned", VersionId=version) == ("NoSuchVersion", 404)


def test_a_right_to_list_under_a_prefix_counts_for_a_missing_object_where_that_is_set(aws: EmbeddedAws) -> None:
    """Undecided by S3's API reference: both answers can be had, and the stricter is given where nothing is said."""
    s3 = holder(aws, "prefix-lister", READ, LIST_PREFIX)
    assert refused(s3.head_object, Key="lab/no") == ("403", 403)
    aws.set_missing(404)
    assert refused(s3.head_object, Key="lab/no") == ("404", 404)
    aws.set_missing(403)
    assert refused(s3.head_object, Key="lab/no") == ("403", 403)


def test_a_put_with_tags_needs_the_right_to_tag(aws: EmbeddedAws, root: Any) -> None:
    """S3 API reference, "PutObject" and "CreateMultipartUpload", section "Permissions"."""
    s3 = holder(aws, "writer", READ_AND_WRITE)
    assert refused(s3.put_object, Key="lab/tagged", Tagging="a=1") == ("AccessDenied", 403)
    assert refused(s3.create_multipart_upload, Key="lab/tagged", Tagging="a=1") == ("AccessDenied", 403)
    s3.put_object(Bucket=BUCKET, Key="lab/plain")
    tagger = holder(aws, "tagger", READ_AND_WRITE, READ | {"Action": "s3:PutObjectTagging"})
    tagger.put_object(Bucket=BUCKET, Key="lab/tagged", Tagging="a=1")
    assert root.get_object_tagging(Bucket=BUCKET, Key="lab/tagged")["TagSet"] == [{"Key": "a", "Value": "1"}]


def test_an_object_sent_in_parts_gets_the_tags_that_its_upload_began_with(root: Any) -> None:
    """S3 API reference, "CreateMultipartUpload", header x-amz-tagging."""
    upload = root.create_multipart_upload(Bucket=BUCKET, Key="lab/parts", Tagging="a=1&b=2")
    named = {"Bucket": BUCKET, "Key": "lab/parts", "UploadId": upload["UploadId"]}
    part = root.upload_part(**named, PartNumber=1, Body=b"part")["ETag"]
    root.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
    tags = root.get_object_tagging(Bucket=BUCKET, Key="lab/parts")["TagSet"]
    assert tags == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]


def test_copying_an_object_with_tags_needs_the_right_to_read_and_to_set_them(aws: EmbeddedAws, root: Any) -> None:
    """AWS knowledge centre, "s3-troubleshoot-copy-between-buckets": of objects that have tags."""
    root.put_object(Bucket=BUCKET, Key="lab/with", Tagging="a=1")
    root.put_object(Bucket=BUCKET, Key="lab/without")
    reading = READ | {"Action": "s3:GetObjectTagging"}
    plain, reader = holder(aws, "copier", READ_AND_WRITE), holder(aws, "tag-reader", READ_AND_WRITE, reading)
    plain.copy_object(Bucket=BUCKET, Key="lab/copy", CopySource=f"{BUCKET}/lab/without")
    for s3 in (plain, reader):
        assert refused(s3.copy_object, Key="lab/copy", CopySource=f"{BUCKET}/lab/with") == ("AccessDenied", 403)
    plain.copy_object(Bucket=BUCKET, Key="lab/copy", CopySource=f"{BUCKET}/lab/with", TaggingDirective="REPLACE")
    full = holder(aws, "tag-copier", READ_AND_WRITE, reading, READ | {"Action": "s3:PutObjectTagging"})
    full.copy_object(Bucket=BUCKET, Key="lab/copy", CopySource=f"{BUCKET}/lab/with")
    assert root.get_object_tagging(Bucket=BUCKET, Key="lab/copy")["TagSet"] == [{"Key": "a", "Value": "1"}]


def test_policies_can_name_the_tags_that_a_request_sets(aws: EmbeddedAws) -> None:
    """S3 user guide, "Tagging and access control policies": s3:RequestObjectTagKeys, of PutObject and of PutObjectTagging."""
    tagging = READ | {"Action": ["s3:PutObject", "s3:PutObjectTagging"]}
    never = tagging | {"Effect": "Deny", "Condition": {"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": ["never"]}}}
    s3 = holder(aws, "named-tagger", tagging, never)
    s3.put_object(Bucket=BUCKET, Key="lab/named", Tagging="a=1")
    s3.put_object_tagging(Bucket=BUCKET, Key="lab/named", Tagging={"TagSet": [{"Key": "a", "Value": "2"}]})
    assert refused(s3.put_object, Key="lab/named", Tagging="a=1&never=1") == ("AccessDenied", 403)
    tags = {"TagSet": [{"Key": "never", "Value": "1"}]}
    assert refused(s3.put_object_tagging, Key="lab/named", Tagging=tags) == ("AccessDenied", 403)


@pytest.mark.parametrize("key", ["/lab/x", "//lab/x", "lab//../x", "/"])
def test_a_key_with_a_leading_slash_is_another_key(aws: EmbeddedAws, root: Any, key: str) -> None:
    """S3 user guide, "Naming Amazon S3 objects"; recorded: test_object_with_slashes_in_key."""
    root.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    assert key in [content["Key"] for content in root.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert root.get_object(Bucket=BUCKET, Key=key)["Body"].read() == key.encode()


def test_a_policy_about_a_prefix_does_not_cover_that_prefix_after_a_slash(aws: EmbeddedAws) -> None:
    """S3 user guide, "Naming Amazon S3 objects": the ARN of an object has its key as it is."""
    s3 = holder(aws, "slashes", READ_AND_WRITE)
    assert refused(s3.put_object, Key="/lab/x") == ("AccessDenied", 403)
    assert refused(s3.put_object, Key="/", Body=b"x") == ("AccessDenied", 403)
    s3.put_object(Bucket=BUCKET, Key="lab//x")
    assert refused(s3.copy_object, Key="lab/y", CopySource=f"{BUCKET}//lab/x") == ("AccessDenied", 403)


def upload_of(s3: Any, key: str) -> dict[str, Any]:
    """An upload with its one part sent, as what completes it takes it."""
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    etag = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    return {"Key": key, "UploadId": upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}}


def test_completing_an_upload_whose_key_changed_meanwhile_conflicts_until_it_is_begun_anew(root: Any) -> None:
    """S3 user guide, "Conditional write behavior"; recorded: test_multipart_if_none_match_with_delete."""
    root.put_object(Bucket=BUCKET, Key="lab/gone")
    upload = upload_of(root, "lab/gone")
    assert refused(root.complete_multipart_upload, **upload, IfNoneMatch="*") == ("PreconditionFailed", 412)
    root.delete_object(Bucket=BUCKET, Key="lab/gone")
    with pytest.raises(ClientError) as caught:
        root.complete_multipart_upload(Bucket=BUCKET, **upload, IfNoneMatch="*")
    error: Any = caught.value.response["Error"]
    assert {name: error[name] for name in ("Code", "Condition", "Key", "Message")} == {
        "Code": "ConditionalRequestConflict",
        "Condition": "If-None-Match",
        "Key": "lab/gone",
        "Message": "The conditional request cannot succeed due to a conflicting operation against this resource.",
    }
    root.complete_multipart_upload(Bucket=BUCKET, **upload_of(root, "lab/gone"), IfNoneMatch="*")


def test_completing_over_an_object_written_anew_meanwhile_conflicts_though_its_content_is_the_same(root: Any) -> None:
    """Recorded: test_multipart_if_match_with_put_identical, test_multipart_if_match_with_delete."""
    etag = root.put_object(Bucket=BUCKET, Key="lab/same", Body=b"test")["ETag"]
    upload = upload_of(root, "lab/same")
    root.put_object(Bucket=BUCKET, Key="lab/same", Body=b"test")
    assert refused(root.complete_multipart_upload, **upload, IfMatch=etag) == ("ConditionalRequestConflict", 409)
    root.delete_object(Bucket=BUCKET, Key="lab/same")
    assert refused(root.complete_multipart_upload, **upload, IfMatch=etag) == ("NoSuchKey", 404)


def test_a_conditional_put_conflicts_with_a_deletion_while_its_bytes_come(root: Any) -> None:
    """S3 API reference, "PutObject", header If-None-Match: "On a 409 failure, retry the upload"."""
    root.put_object(Bucket=BUCKET, Key="lab/slow")
    address = root.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "lab/slow", "IfNoneMatch": "*"})
    parts = urlsplit(address)

    def begin() -> HTTPConnection:
        connection = HTTPConnection(parts.netloc, timeout=30)
        connection.putrequest("PUT", f"{parts.path}?{parts.query}")
        connection.putheader("Content-Length", "8")
        connection.putheader("If-None-Match", "*")
        connection.endheaders(b"half")
        return connection

    first = begin()
    root.list_buckets()
    root.delete_object(Bucket=BUCKET, Key="lab/slow")
    first.send(b"half")
    answer = first.getresponse()
    assert (answer.status, b"ConditionalRequestConflict" in answer.read()) == (409, True)
    again = begin()
    again.send(b"half")
    assert again.getresponse().status == 200
