"""What our code matches on and no recording covers: it stands on AWS's documents, or on nothing yet.

A real account may answer otherwise. Whoever records one of these moves it to `recorded`.
"""

from collections.abc import Mapping

from tests.local_aws.matches import Match

_ENGINE = "control_plane/deployments/"
UNPROVEN: Mapping[str, tuple[str, ...]] = {
    # CloudWatch Logs' API reference, "CreateLogStream".
    "assets/install/aws.py": ("ResourceAlreadyExistsException",),
    # Credentials: each service's API reference, "Common errors"; EC2's has AuthFailure, S3's InvalidAccessKeyId.
    "control_plane/base/aws.py": (
        *("AuthFailure", "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId"),
        *("UnrecognizedClientException", "429"),
        # Too much at a time, or a fault of AWS's own: nobody records these at will.
        *("BandwidthLimitExceeded", "InternalFailure", "InternalServerError", "PriorRequestNotComplete", "RequestLimitExceeded"),
        *("RequestTimeout", "RequestTimeoutException", "ServiceUnavailable", "ServiceUnavailableException", "SlowDown"),
        *("ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException"),
        # Somebody else at work on the same.
        *("ConcurrentModification", "ConcurrentModificationException", "EntityTemporarilyUnmodifiable", "OperationAborted"),
        "OperationInProgressException",
    ),
    # What CloudFormation says of resources that it stopped over another's failure; the recordings leave reasons out.
    f"{_ENGINE}cloudformation.py": ("cancelled",),
    # Enumerations in CloudFormation's API reference.
    f"{_ENGINE}drift_detection.py": ("DELETED", "DETECTION_FAILED", "DETECTION_IN_PROGRESS", "UNKNOWN"),
    f"{_ENGINE}engine/repair.py": ("ROLLBACK_COMPLETE", "UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_IN_PROGRESS"),
    f"{_ENGINE}engine/run.py": ("_COMPLETE",),
    # CloudFormation user guide, "Validate stack deployments"; the words of CDK's own message are the last.
    f"{_ENGINE}engine/validations.py": ("DescribeEvents", "VALIDATION_ERROR", "change set"),
    f"{_ENGINE}failures.py": (
        "IMPORT_COMPLETE",
        # As codes in CloudFormation's own reasons.
        "InternalFailure",
        "Throttling",
        # CloudFormation CLI user guide, "Resource type handler error codes": the recordings leave reasons out.
        *("HandlerErrorCode: (\\w+)", "AccessDenied", "AlreadyExists", "HandlerInternalFailure", "InvalidCredentials"),
        *("InvalidTypeConfiguration", "NetworkFailure", "NonCompliant", "NotStabilized", "NotUpdatable", "ResourceConflict"),
        *("ServiceInternalError", "ServiceLimitExceeded", "UnsupportedTarget"),
        *("ROLLBACK_COMPLETE", "UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED"),
        # Words of the codes above, as messages have them.
        *("rate exceeded", "throttl", "slow ?down", "service ?unavailable", "timed? ?out", "timeout", "operation ?aborted"),
        *("concurrent ?modification", "temporarily ?unmodifiable", "conflicting conditional (operation|action)"),
        *("delete ?conflict", "no ?such ?entity", "notfound", "limit ?exceeded", "quota", "cannot exceed"),
        "not authorized to perform: iam:\\w+ on resource: (user|group|role) cohort-",
        "not authorized to perform: (sts:AssumeRole|cloudformation:CreateChangeSet)",
        *("already ?owned", "name .*(taken|in use|not available)", "not authorized", "unauthorized"),
        *("malformed ?policy", "invalid (policy|principal)", "syntax errors in policy"),
        # What Node and the operating system say, and no service of AWS's.
        *("\\be(net|host)unreach\\b", "\\beai_again\\b", "\\beconnre(set|fused)\\b", "\\benotfound\\b", "socket hang up"),
        *("connection (reset|refused|aborted)", "network(ing)? ?(error|failure|socket|is (down|unreachable))", "no space left"),
        "(http|status)( ?code)?[ :]*50[0234]",
        # A full disk, as Node and SQLite say it.
        *("ENOSPC", "database or disk is full"),
    ),
    # The doctor says "could not look" of these: refusals, and calls that an AWS of this machine lacks.
    "control_plane/doctor/check_context.py": (
        *("501", "AccessDenied", "AccessDeniedException", "AuthorizationError", "Client.UnauthorizedOperation", "InvalidAction"),
        *("NotImplemented", "UnauthorizedOperation", "UnknownOperation", "UnknownOperationException", "UnsupportedOperation"),
    ),
    # IAM API reference, "SimulatePrincipalPolicy"; S3's, "GetBucketCors"; CloudFormation's, "Stack".
    "control_plane/doctor/identity.py": ("InvalidParameterValue",),
    "control_plane/doctor/reach.py": ("NoSuchCORSConfiguration",),
    "control_plane/doctor/stacks.py": ("IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"),
    # IAM's and Secrets Manager's refusals of who may not: no recording has a call without the right.
    f"{_ENGINE}iam_delay.py": ("AccessDeniedException", "InvalidAccessKeyId", "InvalidClientTokenId"),
    f"{_ENGINE}leftovers.py": ("AccessDeniedException",),
    f"{_ENGINE}iam_users.py": ("AccessDenied", "AccessDeniedException"),
    # S3 API reference, "HeadBucket": of a bucket of another account or region.
    "control_plane/access/groups/services/bucket_names.py": ("200", "301", "400", "403"),
    "control_plane/neurocaas_import/adopt_aws.py": ("CREATE_IN_PROGRESS", "IMPORT_COMPLETE", "cancelled"),
    "stacks/bootstrap.py": ("ROLLBACK_COMPLETE",),
    # S3 API reference, "Error responses".
    "web/uploads/static/uploads/queue.js": ("InvalidAccessKeyId", "InvalidToken"),
    "web/uploads/static/uploads/retry.js": ("429", "502", "503", "504"),
    "control_plane/research/storage/static/storage/s3.js": (
        *("200", "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "RequestTimeTooSkewed", "TokenRefreshRequired"),
    ),
    "web/uploads/static/uploads/sending.js": ("IncompleteBody",),
}
# What the site itself answers to its own pages: no answer of AWS's.
OURS: Mapping[str, tuple[str, ...]] = {
    "web/files/static/files/deleting.js": ("500",),
    "web/files/static/files/source.js": ("404",),
    "control_plane/research/storage/static/storage/site.js": ("400", "401", "403", "413", "422"),
    "web/uploads/static/uploads/api.js": ("500",),
    "web/uploads/static/uploads/queue.js": ("401",),
    # Made by s3.js of a refusal that may be IAM's delay.
    "web/uploads/static/uploads/retry.js": ("BeingMadeReady",),
}


def listed(table: Mapping[str, tuple[str, ...]]) -> set[Match]:
    """The table's matches."""
    return {Match(file, word) for file, words in table.items() for word in words}
