"""What AWS really answered, and what our code matches on: one row for each answer that was recorded.

The answers are in `tests/data/aws-recorded.json` (see NOTICE), each under the name of the recording. A row says where it is, what
the embedded AWS is asked for the same, and which words of which files stand on it. `unproven` has what no recording covers.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from tests.local_aws import asked
from tests.local_aws import asked_s3 as s3
from tests.local_aws.asked import Asked
from tests.local_aws.matches import Match

DATA = Path(__file__).resolve().parents[1] / "data" / "aws-recorded.json"
_S3 = "tests/aws/services/s3/test_s3.py::"
_S3_API = "tests/aws/services/s3/test_s3_api.py::"
_S3_LIST = "tests/aws/services/s3/test_s3_list_operations.py::"
_CFN = "tests/aws/services/cloudformation/api/"
_ENGINE = "tests/aws/services/cloudformation/engine/"
_IAM = "tests/aws/services/iam/test_iam.py::TestIAM"
_SECRETS = "tests/aws/services/secretsmanager/test_secretsmanager.py::TestSecretsManager::"
_WRITE = f"{_S3_API}TestS3ObjectWritePrecondition::"
_OURS = "control_plane/deployments/"


class Row(NamedTuple):
    """One recorded answer: the recording and the answer's name in it, how to ask the same, and what stands on it."""

    recording: str
    answer: str
    # None where nothing makes the embedded AWS answer so, for the reason given.
    ask: Callable[[Asked], Any] | None
    # Our files, and the words in them.
    stands: Mapping[str, tuple[str, ...]]
    # Of an answer that is no refusal: what our code reads of it, lists marked by [].
    reads: tuple[str, ...] = ()
    not_asked: str = ""

    @property
    def label(self) -> str:
        """The row's name in the test's output."""
        return f"{self.recording.rsplit('::', 1)[-1]}/{self.answer}"

    @property
    def matches(self) -> set[Match]:
        """What the row proves."""
        return {Match(file, word) for file, words in self.stands.items() for word in words}


S3_ROWS = (
    Row(f"{_S3}TestS3::test_get_object_no_such_bucket", "expected_error", s3.no_bucket, {
        f"{_OURS}leftovers.py": ("NoSuchBucket",),
        "control_plane/access/retirement/s3.py": ("NoSuchBucket",),
        "control_plane/access/review/iam_snapshot.py": ("NoSuchBucket",),
        "control_plane/research/storage/earlier_versions.py": ("NoSuchBucket",),
    }),
    Row(f"{_S3}TestS3::test_get_bucket_policy", "get-bucket-policy-no-such-bucket-policy", s3.no_bucket_policy, {
        f"{_OURS}leftovers.py": ("NoSuchBucketPolicy",),
        "control_plane/access/review/iam_snapshot.py": ("NoSuchBucketPolicy",),
    }),
    Row(f"{_S3}TestS3::test_get_bucket_policy", "get-bucket-policy-with-expected-bucket-owner-error", s3.not_the_owner, {
        "control_plane/base/aws.py": ("AccessDenied",),
        f"{_OURS}failures.py": ("access ?denied",),
        f"{_OURS}iam_delay.py": ("AccessDenied",),
        f"{_OURS}leftovers.py": ("AccessDenied",),
        "control_plane/operation/backups/store.py": ("AccessDenied",),
        "control_plane/research/storage/objects.py": ("AccessDenied", "403"),
        "control_plane/research/storage/presence.py": ("403",),
        "assets/example_analysis/backend.py": ("AccessDenied",),
        "web/files/static/files/listing_status.js": ("AccessDenied", "403"),
        "web/uploads/static/uploads/queue.js": ("AccessDenied", "403"),
        "control_plane/research/storage/static/storage/s3.js": ("AccessDenied", "403"),
    }),
    Row(f"{_S3}TestS3::test_range_key_not_exists", "exc", s3.no_key, {
        "control_plane/operation/backups/store.py": ("NoSuchKey",),
        "control_plane/access/retirement/s3.py": ("NoSuchKey",),
        "stacks/store.py": ("NoSuchKey",),
        "assets/example_analysis/backend.py": ("NoSuchKey",),
    }),
    Row(f"{_S3}TestS3::test_create_bucket_head_bucket", "head_bucket_not_exist", s3.head_no_bucket, {
        "control_plane/access/groups/services/bucket_names.py": ("404",),
        f"{_OURS}leftovers.py": ("404",),
        "control_plane/access/retirement/s3.py": ("404",),
        "control_plane/access/review/iam_snapshot.py": ("404",),
    }),
    Row(f"{_S3}TestS3::test_head_object_fields", "head-object-404", s3.head_no_key, {
        "control_plane/research/storage/presence.py": ("404",),
        "control_plane/operation/backups/store.py": ("404",),
        "assets/example_analysis/backend.py": ("404",),
        "control_plane/research/storage/static/storage/s3.js": ("404",),
    }),
    Row(f"{_S3}TestS3ObjectLockRetention::test_object_lock_delete_markers", "head-object-locked-delete-marker", s3.head_marker, {
        "control_plane/research/storage/objects.py": ("405",),
    }),
    Row(f"{_S3_API}TestS3ObjectCRUD::test_delete_object_versioned", "get-delete-marker", s3.get_marker, {
        "control_plane/research/configurations/services.py": ("405",),
    }),
    Row(f"{_S3_API}TestS3ObjectCRUD::test_get_object_with_version_unversioned_bucket", "get-obj-with-version", s3.bad_version, {
        "control_plane/research/configurations/services.py": ("400",),
        "control_plane/research/storage/objects.py": ("400",),
    }),
    Row(f"{_S3_API}TestS3ObjectCRUD::test_delete_object_versioned", "get-deleted-object-with-version", s3.no_version, {
        "control_plane/research/storage/presence.py": ("404",),
    }),
    Row(f"{_S3}TestS3::test_invalid_range_error", "exc", s3.bad_range, {"control_plane/research/jobs/status.py": ("416",)}),
    Row(f"{_WRITE}test_put_object_if_match", "put-obj-if-match-key-not-exists", s3.replace_nothing, {
        "control_plane/research/configurations/services.py": ("404",),
        "web/uploads/static/uploads/sending.js": ("NoSuchKey",),
    }),
    Row(f"{_WRITE}test_put_object_if_match_versioned_bucket", "put-obj-after-del-exc", s3.replace_deleted, {
        "control_plane/research/configurations/services.py": ("404",),
        "web/uploads/static/uploads/sending.js": ("NoSuchKey",),
    }),
    Row(f"{_WRITE}test_put_object_if_match", "put-obj-if-match-wrong-etag", s3.replace_another, {
        "control_plane/research/storage/objects.py": ("412",),
        "control_plane/research/configurations/services.py": ("412",),
        "web/uploads/static/uploads/sending.js": ("412",),
    }),
    Row(f"{_WRITE}test_put_object_if_none_match", "put-obj-if-none-match", s3.make_what_is_there, {
        "control_plane/operation/backups/store.py": ("PreconditionFailed",),
        "control_plane/research/jobs/submitting.py": ("412",),
        "control_plane/research/configurations/services.py": ("412",),
        "web/uploads/static/uploads/sending.js": ("412",),
    }),
    Row(f"{_WRITE}test_multipart_if_match_with_put", "complete-multipart-if-match-put-during", s3.replace_changed_during, {
        "control_plane/base/aws.py": ("ConditionalRequestConflict",),
        "control_plane/operation/backups/store.py": ("ConditionalRequestConflict",),
        "control_plane/research/configurations/services.py": ("409",),
        "web/uploads/static/uploads/retry.js": ("ConditionalRequestConflict",),
    }),
    Row(f"{_WRITE}test_multipart_if_match_with_delete", "complete-multipart-after-del", s3.complete_over_deleted, {
        "web/uploads/static/uploads/sending.js": ("NoSuchKey",),
    }),
    Row(f"{_S3}TestS3::test_multipart_and_list_parts", "list-part-after-complete-exc", s3.no_upload, {
        "control_plane/access/retirement/s3.py": ("NoSuchUpload",),
        "control_plane/research/uploads/complete.py": ("NoSuchUpload",),
        "web/uploads/static/uploads/sending.js": ("NoSuchUpload",),
        "web/uploads/static/uploads/unfinished.js": ("404",),
    }),
    Row(f"{_S3_API}TestS3BucketCRUD::test_delete_bucket_with_objects", "delete-with-obj", s3.not_empty, {
        "control_plane/access/retirement/s3.py": ("BucketNotEmpty",),
        f"{_OURS}failures.py": ("is not empty",),
    }),
    Row(f"{_S3_API}TestS3BucketCRUD::test_delete_versioned_bucket_with_objects", "delete-with-obj-and-delete-marker",
        s3.not_empty_of_versions, {"control_plane/access/retirement/s3.py": ("BucketNotEmpty",)}),
    Row(f"{_S3}TestS3PutObjectChecksum::test_put_object_checksum[CRC32]", "put-wrong-checksum-value", s3.wrong_checksum, {
        "web/uploads/static/uploads/sending.js": ("BadDigest",),
    }),
    Row(f"{_S3}TestS3::test_s3_invalid_content_md5", "md5-error-0", s3.no_checksum_at_all, {
        "web/uploads/static/uploads/sending.js": ("InvalidDigest",),
    }),
    Row(f"{_S3}TestS3::test_multipart_complete_multipart_too_small", "complete-exc-too-small", s3.small_parts, {
        "web/uploads/static/uploads/sending.js": ("EntityTooSmall",),
    }),
)  # fmt: skip

CLOUDFORMATION_ROWS = (
    Row(f"{_CFN}test_stacks.py::test_non_existing_stack_message", "Error", asked.no_stack, {
        f"{_OURS}cloudformation.py": ("does not exist",),
        f"{_OURS}failures.py": ("does not exist",),
        "control_plane/neurocaas_import/adopt_aws.py": ("does not exist",),
        "stacks/bootstrap.py": ("does not exist",),
    }),
    Row(f"{_CFN}test_stacks.py::test_describe_stack_events_errors", "describe_stack_events_stack_not_found", asked.no_events, {
        f"{_OURS}cloudformation.py": ("does not exist",),
    }),
    Row(f"{_CFN}test_stacks.py::TestStacksApi::test_stack_lifecycle", "describe_deleted_by_name_exc", asked.deleted_stack, {
        f"{_OURS}cloudformation.py": ("does not exist",),
        "control_plane/neurocaas_import/adopt_aws.py": ("does not exist",),
    }),
    Row(f"{_CFN}test_stacks.py::TestStacksApi::test_update_stack_with_same_template_withoutchange", "no_change_exception",
        asked.no_change, {
            "stacks/bootstrap.py": ("No updates are to be performed",),
            "control_plane/neurocaas_import/adopt_aws.py": ("No updates are to be performed",),
            f"{_OURS}cloudformation.py": ("ValidationError",),
            f"{_OURS}engine/repair.py": ("ValidationError",),
        }),
    Row(f"{_CFN}test_changesets.py::test_changeset_for_deleted_stack", "ErrorForInProgress", asked.change_while_deleting, {
        f"{_OURS}engine/repair.py": ("ValidationError", "IN_PROGRESS"),
        f"{_OURS}failures.py": ("is in [A-Z_]+_IN_PROGRESS state",),
    }),
    Row(f"{_CFN}test_changesets.py::test_describe_changeset_after_delete", "describe-deleted-cs", asked.no_change_set, {
        f"{_OURS}engine/validations.py": ("ChangeSetNotFound",),
    }),
    Row(f"{_CFN}test_stacks.py::TestStacksApi::test_stack_lifecycle", "creation", asked.created_stack, {
        f"{_OURS}failures.py": ("CREATE_COMPLETE",),
        "control_plane/neurocaas_import/adopt_aws.py": ("CREATE_COMPLETE",),
        "stacks/bootstrap.py": ("CREATE_COMPLETE",),
        "control_plane/doctor/stacks.py": ("CREATE_COMPLETE",),
    }, ("StackId", "StackName", "StackStatus=", "Parameters[].ParameterKey", "EnableTerminationProtection")),
    Row(f"{_CFN}test_stacks.py::TestStacksApi::test_stack_lifecycle", "update", asked.updated_stack, {
        f"{_OURS}failures.py": ("UPDATE_COMPLETE",),
        "control_plane/neurocaas_import/adopt_aws.py": ("UPDATE_COMPLETE",),
        "stacks/bootstrap.py": ("UPDATE_COMPLETE",),
        "control_plane/doctor/stacks.py": ("UPDATE_COMPLETE",),
    }, ("StackId", "StackStatus=")),
    Row(f"{_CFN}test_stacks.py::TestStacksApi::test_stack_lifecycle", "deleted", asked.deleted_stack_by_id, {
        f"{_OURS}cloudformation.py": ("DELETE_COMPLETE",),
        f"{_OURS}drift.py": ("DELETE_COMPLETE",),
        f"{_OURS}leftovers.py": ("DELETE_COMPLETE",),
        f"{_OURS}engine/stack_deletion.py": ("DELETE_COMPLETE",),
        f"{_OURS}engine/repair.py": ("DELETE_COMPLETE",),
        "control_plane/neurocaas_import/adopt_aws.py": ("DELETE_COMPLETE",),
        "control_plane/access/limits/aws_use.py": ("DELETE_COMPLETE",),
        "control_plane/access/review/unmanaged.py": ("DELETE_COMPLETE",),
        "control_plane/doctor/limits.py": ("DELETE_COMPLETE",),
        "control_plane/doctor/reach.py": ("DELETE_COMPLETE",),
        "control_plane/doctor/stacks.py": ("DELETE_COMPLETE",),
    }, ("StackId", "StackStatus=")),
    Row(f"{_CFN}test_changesets.py::test_name_conflicts", "new_stack_desc", asked.stack_in_review, {
        f"{_OURS}cloudformation.py": ("REVIEW_IN_PROGRESS", "_IN_PROGRESS"),
        f"{_OURS}engine/repair.py": ("REVIEW_IN_PROGRESS",),
        f"{_OURS}failures.py": ("REVIEW_IN_PROGRESS",),
        "control_plane/neurocaas_import/adopt_aws.py": ("_IN_PROGRESS",),
    }, ("Stacks[].StackStatus=", "Stacks[].StackId")),
    Row(f"{_CFN}test_changesets.py::test_empty_changeset", "describe_first_cs", asked.change_set, {
        "control_plane/neurocaas_import/adopt_aws.py": ("CREATE_COMPLETE",),
    }, ("ChangeSetId", "Status=", "StackName")),
    Row(f"{_CFN}test_changesets.py::test_empty_changeset", "describe_nochange", asked.unchanged_change_set, {}, (
        "ChangeSetId", "Status=", "StatusReason=")),
    Row(f"{_CFN}test_stacks.py::test_blocked_stack_deletion", "stack_post_fail_delete", asked.held_stack, {
        f"{_OURS}failures.py": ("DELETE_FAILED",),
        f"{_OURS}leftovers.py": ("DELETE_FAILED",),
        f"{_OURS}engine/stack_deletion.py": ("DELETE_FAILED",),
        f"{_OURS}engine/repair.py": ("DELETE_FAILED", "_FAILED"),
        f"{_OURS}cloudformation.py": ("_FAILED",),
        "control_plane/neurocaas_import/adopt_aws.py": ("_FAILED",),
        "stacks/bootstrap.py": ("_FAILED",),
    }, ("Stacks[].StackStatus=", "Stacks[].StackId")),
    Row(f"{_CFN}test_stacks.py::test_blocked_stack_deletion", "stack_events", asked.refused_stack_events, {
        f"{_OURS}failures.py": ("CREATE_FAILED",),
        f"{_OURS}engine/repair.py": ("CREATE_FAILED",),
        "stacks/bootstrap.py": ("CREATE_FAILED",),
    }, ("StackEvents[].EventId", "StackEvents[].StackId", "StackEvents[].StackName", "StackEvents[].LogicalResourceId",
        "StackEvents[].PhysicalResourceId", "StackEvents[].ResourceType", "StackEvents[].ResourceStatus",
        "StackEvents[].ResourceStatusReason", "StackEvents[].Timestamp")),
    Row(f"{_CFN}test_stacks.py::test_blocked_stack_deletion", "stack_post_create", None, {
        f"{_OURS}failures.py": ("ROLLBACK_FAILED",),
        f"{_OURS}engine/repair.py": ("ROLLBACK_FAILED",),
        "stacks/bootstrap.py": ("ROLLBACK_FAILED",),
    }, ("Stacks[].StackStatus=",), "It needs a resource that can neither be made nor be removed"),
    Row(f"{_ENGINE}test_deletion_policy.py::test_deletion_policy_with_retain", "per-resource-events",
        asked.kept_resource, {f"{_OURS}leftovers.py": ("DELETE_SKIPPED",)},
        ("MyParameter[].LogicalResourceId", "MyParameter[].PhysicalResourceId", "MyParameter[].ResourceType=",
         "MyParameter[].ResourceStatus=", "MyParameter[].Timestamp")),
    Row(f"{_CFN}test_drift_detection.py::test_drift_detection_on_lambda", "drift_detection", asked.drifted, {
        f"{_OURS}drift_detection.py": ("MODIFIED",),
    }, ("StackResourceDrift.LogicalResourceId", "StackResourceDrift.PhysicalResourceId", "StackResourceDrift.ResourceType",
        "StackResourceDrift.StackResourceDriftStatus=", "StackResourceDrift.PropertyDifferences[].PropertyPath",
        "StackResourceDrift.PropertyDifferences[].ExpectedValue", "StackResourceDrift.PropertyDifferences[].ActualValue",
        "StackResourceDrift.PropertyDifferences[].DifferenceType=")),
)  # fmt: skip

OTHER_ROWS = (
    Row(f"{_IAM}ServiceSpecificCredentials::test_create_service_specific_credential_invalid_user", "invalid-user-name-exception",
        asked.no_user, {
            f"{_OURS}iam_delay.py": ("NoSuchEntity",),
            f"{_OURS}leftovers.py": ("NoSuchEntity",),
            f"{_OURS}iam_users.py": ("NoSuchEntity", "NoSuchEntityException"),
            "control_plane/access/review/unmanaged_removal.py": ("NoSuchEntityException",),
            f"{_OURS}failures.py": ("cannot be found",),
            "control_plane/neurocaas_import/adopt_aws.py": ("NoSuchEntity",),
            "control_plane/doctor/bootstrap.py": ("NoSuchEntity",),
            "control_plane/doctor/cdk.py": ("NoSuchEntity",),
            "control_plane/doctor/rights.py": ("NoSuchEntity",),
            "control_plane/doctor/check_context.py": ("NoSuchEntity",),
        }),
    Row(f"{_IAM}Integrations::test_delete_non_existent_policy_returns_no_such_entity", "delete-non-existent-policy-exc",
        asked.no_policy, {f"{_OURS}failures.py": ("was not found",), "stacks/site/policy_holders.py": ("NoSuchEntityException",)}),
    Row(f"{_IAM}Integrations::test_role_attach_policy", "valid_arn_not_existent", asked.attach_no_policy, {
        f"{_OURS}failures.py": ("does not exist",),
    }),
    Row(f"{_IAM}ServiceSpecificCredentials::test_delete_user_after_service_credential_created", "delete-user-existing-credential",
        None, {f"{_OURS}failures.py": ("must (remove|delete|detach)",)}, (),
        "The embedded AWS has no service-specific credentials"),
    Row(f"{_IAM}Extensions::test_create_role_with_malformed_assume_role_policy_document", "invalid-json", asked.bad_policy, {
        f"{_OURS}failures.py": ("contains invalid json",),
    }),
    Row(f"{_SECRETS}test_secret_not_found", "get_secret_value_not_found_ex", asked.no_secret, {
        f"{_OURS}leftovers.py": ("ResourceNotFoundException",),
        "control_plane/access/review/unmanaged_removal.py": ("ResourceNotFoundException",),
        "control_plane/doctor/reach.py": ("ResourceNotFoundException",),
        "control_plane/doctor/check_context.py": ("ResourceNotFoundException",),
        f"{_OURS}failures.py": ("can't find",),
    }),
    Row(f"{_CFN}test_changesets.py::TestUpdates::test_deleting_resource", "get-parameter-error", asked.no_parameter, {
        "scripts/aws_account.py": ("ParameterNotFound",),
        "control_plane/doctor/check_context.py": ("ParameterNotFound",),
    }),
    Row(f"{_S3}TestS3PresignedUrl::test_put_url_metadata_with_sig_s3v4[False]", "no-meta-headers",
        s3.wrong_signature, {
            "control_plane/base/aws.py": ("SignatureDoesNotMatch",),
            "web/uploads/static/uploads/queue.js": ("SignatureDoesNotMatch",),
        }),
    Row(f"{_S3_API}TestS3BucketObjectTagging::test_create_bucket_with_tags_exc", "tags-key-aws-duplicated-key", None, {
        f"{_OURS}failures.py": (
            "internal ?(failure|error|server)", "please try again(?! with\\b)"),
        "control_plane/base/aws.py": ("500", "InternalError"),
        "web/files/static/files/pages.js": ("500",),
        "web/uploads/static/uploads/retry.js": ("500",),
    }, (), "A fault of AWS's own, which the embedded AWS has not"),
    Row(f"{_SECRETS}test_secret_exists_snapshots", "ex_log", asked.secret_taken, {f"{_OURS}failures.py": ("already ?exists",)}),
    Row(f"{_SECRETS}test_exp_raised_on_creation_of_secret_scheduled_for_deletion", "invalid_req_ex", asked.secret_waits, {
        f"{_OURS}failures.py": ("scheduled for deletion",),
    }),
)  # fmt: skip

# What our code reads of answers that are no refusals, beside what stands above.
SHAPE_ROWS = (
    Row(f"{_S3}TestS3MultipartUploadChecksum::test_complete_multipart_parts_checksum_full_object[CRC32]",
        "head-object-with-checksum", s3.head, {}, ("ContentLength", "ETag", "LastModified", "ChecksumCRC32", "ChecksumType=")),
    Row(f"{_S3_API}TestS3ObjectCRUD::test_delete_object_versioned", "put-object", s3.put_versioned, {}, ("ETag", "VersionId")),
    Row(f"{_S3_API}TestS3ObjectCRUD::test_delete_object_versioned", "list-object-versions", s3.list_versions, {}, (
        "IsTruncated", "Versions[].Key", "Versions[].VersionId", "Versions[].IsLatest", "Versions[].Size",
        "Versions[].LastModified", "DeleteMarkers[].Key", "DeleteMarkers[].VersionId")),
    Row(f"{_S3_API}TestS3ObjectCRUD::test_delete_objects_versioned", "delete-objects-no-version-id", s3.delete_together, {}, (
        "Deleted[].Key", "Deleted[].DeleteMarkerVersionId")),
    Row(f"{_S3}TestS3ObjectLockLegalHold::test_delete_locked_object", "delete-objects-locked", s3.delete_locked, {
        "control_plane/research/storage/objects.py": ("AccessDenied",),
    }, ("Errors[].Code=", "Errors[].Key", "Errors[].Message=")),
    Row(f"{_S3_LIST}TestS3ListObjectsV2::test_list_objects_v2_with_prefix_and_delimiter", "list-objects-v2-1-with-max-keys",
        s3.list_folders, {}, ("CommonPrefixes[].Prefix", "IsTruncated", "NextContinuationToken")),
    Row(f"{_S3}TestS3::test_multipart_and_list_parts", "list-all-uploads", s3.list_uploads, {}, (
        "Uploads[].Key", "Uploads[].UploadId", "IsTruncated")),
    Row(f"{_S3_LIST}TestS3ListParts::test_list_parts_pagination", "list-parts-1", s3.list_parts, {}, (
        "Parts[].PartNumber", "Parts[].ETag", "Parts[].Size", "IsTruncated", "NextPartNumberMarker")),
    Row(f"{_S3}TestS3::test_multipart_and_list_parts", "complete-multipart", s3.complete, {}, ("ETag",)),
    Row(f"{_IAM}PolicyEncoding::test_put_user_policy_encoding", "get-policy-response", asked.user_policy, {}, (
        "PolicyName", "PolicyDocument.Statement")),
    Row("tests/aws/services/sts/test_sts.py::TestSTSIntegrations::test_assume_role", "assume-role", asked.assume, {}, (
        "Credentials.AccessKeyId", "Credentials.SecretAccessKey", "Credentials.SessionToken", "Credentials.Expiration")),
    Row(f"{_SECRETS}test_force_delete_deleted_secret", "describe_secret_response", asked.deleted_secret, {}, (
        "Name", "DeletedDate")),
)  # fmt: skip

ROWS = (*S3_ROWS, *CLOUDFORMATION_ROWS, *OTHER_ROWS, *SHAPE_ROWS)


@cache
def _data() -> dict[str, Any]:
    return json.loads(DATA.read_text())  # type: ignore[no-any-return]


def messages() -> list[str]:
    """The messages of all refusals that were recorded, also of those that no row asks for."""
    return list(_data()["messages"])


def answer_of(row: Row) -> Any:
    """What AWS answered."""
    return _data()["recordings"][row.recording][row.answer]


def told(error: ClientError) -> dict[str, Any]:
    """What our code reads of a refusal."""
    answer = error.response
    return {
        "Code": answer["Error"].get("Code"),
        "Message": answer["Error"].get("Message"),
        "HTTPStatusCode": answer["ResponseMetadata"]["HTTPStatusCode"],
    }


def pattern(message: str) -> re.Pattern[str]:
    """The recorded message with whatever stands for its names and its account."""
    parts = re.split(r"(<[^>]+>|1{12})", message)
    return re.compile("".join(".+" if part.startswith(("<", "1" * 12)) else re.escape(part) for part in parts))


def shape(answer: Any, path: str) -> set[str]:
    """What lies at a path: the kinds of values, or with `=` at its end the values themselves. Nothing where it is not there."""
    places = [answer]
    for name in path.rstrip("=").split("."):
        found = [place.get(name.rstrip("[]")) for place in places if isinstance(place, dict)]
        places = [item for value in found for item in (value if name.endswith("[]") and isinstance(value, list) else [value])]
    there = [place for place in places if place is not None]
    return {str(item) for item in there} if path.endswith("=") else {_kind(item) for item in there}


def _kind(value: Any) -> str:
    # Times are recorded as words.
    return "text" if isinstance(value, str) or hasattr(value, "isoformat") else type(value).__name__
