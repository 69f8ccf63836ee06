"""What the embedded AWS's S3 is asked: as S3 was when its answer was recorded, by the names that the recording uses."""

from typing import Any

from tests.local_aws.asked import Asked
from tests.local_aws.helpers import client, crc


def no_bucket(asked: Asked) -> Any:
    return asked.s3.list_objects_v2(Bucket="this-bucket-is-not-there")


def no_bucket_policy(asked: Asked) -> Any:
    return asked.s3.get_bucket_policy(Bucket=asked.bucket())


def not_the_owner(asked: Asked) -> Any:
    return asked.s3.get_bucket_policy(Bucket=asked.bucket(), ExpectedBucketOwner="000000000002")


def no_key(asked: Asked) -> Any:
    return asked.s3.get_object(Bucket=asked.bucket(), Key="no", Range="bytes=0-10")


def head_no_bucket(asked: Asked) -> Any:
    return asked.s3.head_bucket(Bucket="this-bucket-is-not-there")


def head_no_key(asked: Asked) -> Any:
    return asked.s3.head_object(Bucket=asked.bucket(), Key="no")


def head_marker(asked: Asked) -> Any:
    return asked.s3.head_object(**_marker(asked))


def get_marker(asked: Asked) -> Any:
    return asked.s3.get_object(**_marker(asked))


def _marker(asked: Asked) -> dict[str, str]:
    bucket = asked.bucket(versioned=True)
    asked.s3.put_object(Bucket=bucket, Key="test-delete", Body=b"1")
    marker = asked.s3.delete_object(Bucket=bucket, Key="test-delete")["VersionId"]
    return {"Bucket": bucket, "Key": "test-delete", "VersionId": marker}


def bad_version(asked: Asked) -> Any:
    bucket = asked.bucket()
    asked.s3.put_object(Bucket=bucket, Key="key", Body=b"1")
    return asked.s3.get_object(Bucket=bucket, Key="key", VersionId="HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD")


def no_version(asked: Asked) -> Any:
    bucket = asked.bucket(versioned=True)
    version = asked.s3.put_object(Bucket=bucket, Key="key", Body=b"1")["VersionId"]
    asked.s3.delete_object(Bucket=bucket, Key="key", VersionId=version)
    return asked.s3.get_object(Bucket=bucket, Key="key", VersionId=version)


def bad_range(asked: Asked) -> Any:
    bucket = asked.bucket()
    asked.s3.put_object(Bucket=bucket, Key="key", Body=b"12345678")
    return asked.s3.get_object(Bucket=bucket, Key="key", Range="bytes=1024-4096")


def replace_nothing(asked: Asked) -> Any:
    return asked.s3.put_object(
        Bucket=asked.bucket(), Key="test-precondition", Body=b"1", IfMatch='"098f6bcd4621d373cade4e832627b4f6"'
    )


def replace_deleted(asked: Asked) -> Any:
    bucket = asked.bucket(versioned=True)
    etag = asked.s3.put_object(Bucket=bucket, Key="test-precondition", Body=b"1")["ETag"]
    asked.s3.delete_object(Bucket=bucket, Key="test-precondition")
    return asked.s3.put_object(Bucket=bucket, Key="test-precondition", Body=b"2", IfMatch=etag)


def replace_another(asked: Asked) -> Any:
    bucket = asked.bucket()
    asked.s3.put_object(Bucket=bucket, Key="test-precondition", Body=b"1")
    return asked.s3.put_object(Bucket=bucket, Key="test-precondition", Body=b"2", IfMatch='"098f6bcd4621d373cade4e832627b4f6"')


def make_what_is_there(asked: Asked) -> Any:
    bucket = asked.bucket()
    asked.s3.put_object(Bucket=bucket, Key="test-precondition", Body=b"1")
    return asked.s3.put_object(Bucket=bucket, Key="test-precondition", Body=b"2", IfNoneMatch="*")


def replace_changed_during(asked: Asked) -> Any:
    bucket, key = asked.bucket(), "test-precondition"
    asked.s3.put_object(Bucket=bucket, Key=key, Body=b"test")
    upload = asked.upload(bucket, key)
    changed = asked.s3.put_object(Bucket=bucket, Key=key, Body=b"test2")
    return asked.s3.complete_multipart_upload(**upload, IfMatch=changed["ETag"])


def complete_over_deleted(asked: Asked) -> Any:
    bucket, key = asked.bucket(), "test-precondition"
    etag = asked.s3.put_object(Bucket=bucket, Key=key, Body=b"test")["ETag"]
    upload = asked.upload(bucket, key)
    asked.s3.delete_object(Bucket=bucket, Key=key)
    return asked.s3.complete_multipart_upload(**upload, IfMatch=etag)


def no_upload(asked: Asked) -> Any:
    upload = asked.upload(asked.bucket(), "test-list-parts")
    asked.s3.complete_multipart_upload(**upload)
    del upload["MultipartUpload"]
    return asked.s3.list_parts(**upload)


def not_empty(asked: Asked) -> Any:
    bucket = asked.bucket()
    asked.s3.put_object(Bucket=bucket, Key="key", Body=b"1")
    return asked.s3.delete_bucket(Bucket=bucket)


def not_empty_of_versions(asked: Asked) -> Any:
    return asked.s3.delete_bucket(Bucket=_marker(asked)["Bucket"])


def wrong_checksum(asked: Asked) -> Any:
    return asked.s3.put_object(Bucket=asked.bucket(), Key="key", Body=b"1", ChecksumCRC32="AAAAAA==")


def no_checksum_at_all(asked: Asked) -> Any:
    return asked.s3.put_object(Bucket=asked.bucket(), Key="key", Body=b"1", ContentMD5="__invalid__")


def small_parts(asked: Asked) -> Any:
    upload = asked.upload(asked.bucket(), "key")
    place = {name: upload[name] for name in ("Bucket", "Key", "UploadId")}
    second = asked.s3.upload_part(**place, PartNumber=2, Body=b"last")
    upload["MultipartUpload"]["Parts"].append({"PartNumber": 2, "ETag": second["ETag"]})
    return asked.s3.complete_multipart_upload(**upload)


def head(asked: Asked) -> Any:
    bucket, body = asked.bucket(), b"one part"
    checksums = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
    place = {"Bucket": bucket, "Key": "key"}
    place["UploadId"] = asked.s3.create_multipart_upload(**place, **checksums)["UploadId"]
    part = asked.s3.upload_part(**place, PartNumber=1, Body=body, ChecksumCRC32=crc(body))
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumCRC32": crc(body)}]}
    asked.s3.complete_multipart_upload(**place, MultipartUpload=parts, ChecksumType="FULL_OBJECT", ChecksumCRC32=crc(body))
    return asked.s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")


def put_versioned(asked: Asked) -> Any:
    return asked.s3.put_object(Bucket=asked.bucket(versioned=True), Key="key", Body=b"1")


def list_versions(asked: Asked) -> Any:
    marker = _marker(asked)
    return asked.s3.list_object_versions(Bucket=marker["Bucket"], Prefix="test-delete")


def delete_together(asked: Asked) -> Any:
    bucket = asked.bucket(versioned=True)
    asked.s3.put_object(Bucket=bucket, Key="test-delete", Body=b"1")
    return asked.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "test-delete"}, {"Key": "wrongkey"}]})


def delete_locked(asked: Asked) -> Any:
    bucket = asked.name()
    asked.s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    version = asked.s3.put_object(Bucket=bucket, Key="test-delete-locked", Body=b"1", ObjectLockLegalHoldStatus="ON")["VersionId"]
    locked = {"Key": "test-delete-locked", "VersionId": version}
    return asked.s3.delete_objects(Bucket=bucket, Delete={"Objects": [locked]})


def list_folders(asked: Asked) -> Any:
    bucket = asked.bucket()
    for key in ("test/bar/1", "test/foo/1"):
        asked.s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    return asked.s3.list_objects_v2(Bucket=bucket, Prefix="test/", Delimiter="/", MaxKeys=1)


def list_uploads(asked: Asked) -> Any:
    bucket = asked.bucket()
    asked.upload(bucket, "test-list-parts")
    return asked.s3.list_multipart_uploads(Bucket=bucket)


def list_parts(asked: Asked) -> Any:
    upload = asked.upload(asked.bucket(), "test-list-part-pagination")
    del upload["MultipartUpload"]
    asked.s3.upload_part(**upload, PartNumber=2, Body=b"second")
    return asked.s3.list_parts(**upload, MaxParts=1)


def complete(asked: Asked) -> Any:
    return asked.s3.complete_multipart_upload(**asked.upload(asked.bucket(), "test-list-parts"))


def wrong_signature(asked: Asked) -> Any:
    user = asked.name()
    asked.iam.create_user(UserName=user)
    key = asked.iam.create_access_key(UserName=user)["AccessKey"]
    return client(asked.aws, "s3", key["AccessKeyId"], "not-the-secret").list_objects_v2(Bucket=asked.bucket())
