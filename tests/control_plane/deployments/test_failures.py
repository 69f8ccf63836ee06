"""What each failure means: tried again by itself, repaired, or shown to somebody with what to do."""

import botocore.session
import pytest
from botocore.model import StringShape

from control_plane.deployments.failures import FailedResource, classify_text, problem_from_resource, problem_from_state
from control_plane.deployments.models import Failure

R, P, M = Failure.RETRYABLE, Failure.PERMANENT, Failure.REPAIRABLE
BACK = "UPDATE_ROLLBACK_COMPLETE"


@pytest.mark.parametrize(
    ("status", "reason", "kind", "advice"),
    [
        (BACK, "Rate exceeded (Service: Iam, Status Code: 400)", R, "tried again by itself"),
        (BACK, "Service: Iam, Status Code: 503, Request ID: 1", R, "tried again by itself"),
        (BACK, "Internal Failure", R, "tried again by itself"),
        (BACK, "Please try again later", R, "tried again by itself"),
        (BACK, "Resource of type 'AWS::IAM::User' with identifier 'x' already exists.", P, "Find out whose it is"),
        (BACK, "Cannot exceed quota for PoliciesPerRole: 10", P, "limit of the AWS account"),
        (BACK, "LimitExceeded: too many users", P, "limit of the AWS account"),
        (BACK, "User: arn:x is not authorized to perform: iam:CreateUser", P, "lacks this right"),
        (BACK, "User: arn:x is not authorized to perform: cloudformation:CreateChangeSet on y", P, "the role that deploys"),
        (BACK, "MalformedPolicyDocument: syntax errors in policy", P, "defect of the stacks"),
        (BACK, "Cannot delete entity, must detach all policies first. DeleteConflict", P, "still uses it"),
        (BACK, "Something nobody has seen yet", P, "Correct the cause"),
        (BACK, "The role with name cohort-x was not found", M, "the next try puts it back"),
        (BACK, "NoSuchEntity", M, "the next try puts it back"),
        # AWS does not know the path of a user who is gone, and so refuses whoever may act under paths alone.
        (BACK, "not authorized to perform: iam:CreateAccessKey on resource: user cohort-x-m because no", M, "next try puts back"),
        (
            "ROLLBACK_COMPLETE",
            "not authorized to perform: iam:CreateUser on resource: user cohort-x because no",
            P,
            "lacks this right",
        ),
        # Nothing was there before, so nothing can have been removed.
        ("ROLLBACK_COMPLETE", "The policy arn:x does not exist", P, "Correct the cause"),
        ("UPDATE_ROLLBACK_FAILED", "Something nobody has seen yet", M, "has it go on with that"),
    ],
)
def test_a_resource_s_reason_says_what_follows(status, reason, kind, advice):
    problem = problem_from_resource(FailedResource("User2", "AWS::IAM::User", reason), status)
    assert problem.kind == kind
    assert advice in problem.advice
    assert problem.error == f"CloudFormation could not make AWS::IAM::User “User2”: {reason}"
    assert problem.revert_drift == (kind == M)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("connect ECONNREFUSED 127.0.0.1:4566", R),
        ("read ECONNRESET", R),
        ("getaddrinfo EAI_AGAIN cloudformation.us-east-1.amazonaws.com", R),
        ("getaddrinfo ENOTFOUND sts.us-east-1.amazonaws.com", R),
        ("NetworkingError: Network is unreachable", R),
        ("connect ENETUNREACH 10.0.0.1:443", R),
        ("Client network socket disconnected before secure TLS connection was established", R),
        ("socket hang up", R),
        ("Stack:arn is in UPDATE_IN_PROGRESS state and can not be updated.", R),
        ("ENOSPC: no space left on device", R),
        ("database or disk is full", R),
        ("TimeoutError", R),
        ("This stack uses assets, so the toolkit stack must be deployed", P),
        ("", P),
        ("User cohort-network-lab-maaaaaaaaaaa is not allowed", P),
        # Not the network's ENOTFOUND.
        ("ResourceNotFoundException: Secrets Manager can't find the specified secret.", P),
        ("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32]", P),
    ],
)
def test_a_message_of_the_network_or_of_aws_tells_whether_it_passes(text, kind):
    assert classify_text(text) == kind


HANDLER_CODES = {
    "NetworkFailure": R,
    "ResourceConflict": R,
    "ServiceInternalError": R,
    "Throttling": R,
    "NotStabilized": R,
    "InternalFailure": R,
    "HandlerInternalFailure": R,
    "AccessDenied": P,
    "AlreadyExists": P,
    "InvalidCredentials": P,
    "InvalidTypeConfiguration": P,
    "NonCompliant": P,
    "NotUpdatable": P,
    "ServiceLimitExceeded": P,
    "UnsupportedTarget": P,
    # The message decides, and this one says nothing of passing.
    "GeneralServiceException": P,
    "InvalidRequest": P,
    "Unknown": P,
}


@pytest.mark.parametrize(("code", "kind"), HANDLER_CODES.items())
def test_each_handler_error_code_is_tried_again_or_waits_for_somebody(code, kind):
    """CloudFormation CLI user guide, "Resource type handler error codes"; the codes are those of the SDK's own model."""
    reason = f'Resource handler returned message: "Exceeded attempts to wait" (RequestToken: 1f3, HandlerErrorCode: {code})'
    assert problem_from_resource(FailedResource("User2", "AWS::IAM::User", reason), BACK).kind == kind


def test_every_handler_error_code_of_the_sdk_is_decided():
    codes = botocore.session.get_session().get_service_model("cloudformation").shape_for("HandlerErrorCode")
    assert isinstance(codes, StringShape)
    # A resource that is gone is put back, which has tests of its own.
    assert set(codes.enum) - {"NotFound"} == set(HANDLER_CODES)


def test_a_name_in_a_lasting_failure_s_message_makes_nothing_pass():
    reason = "identifier 'cohort-timeout-lab-maaaaaaaaaaa' already exists. (RequestToken: 1, HandlerErrorCode: AlreadyExists)"
    assert classify_text(reason) == P


def test_a_general_failure_whose_message_says_that_it_passes_is_tried_again():
    reason = "Rate exceeded (Service: Iam, Status Code: 400) (RequestToken: 1, HandlerErrorCode: GeneralServiceException)"
    assert classify_text(reason) == R


@pytest.mark.parametrize(
    "text",
    [
        "ConcurrentModification: The request was rejected because multiple requests to change this object were submitted",
        "EntityTemporarilyUnmodifiable: The name that was just deleted cannot be used yet",
        "A conflicting conditional operation is currently in progress against this resource.",
    ],
)
def test_what_somebody_else_is_changing_at_this_moment_is_tried_again(text):
    assert classify_text(text) == R


def test_what_aws_holds_is_said():
    assert "AWS holds nothing" in problem_from_state("", 0, 1).advice
    assert "holds what it held before" in problem_from_state("UPDATE_ROLLBACK_COMPLETE", 1, 2).advice
    assert "The stack is now UPDATE_COMPLETE." in problem_from_state("UPDATE_COMPLETE", 3, 2).advice
    assert "tried again by itself" in problem_from_state("UPDATE_COMPLETE", 1, 2).advice


@pytest.mark.parametrize(("status", "kind"), [("UPDATE_COMPLETE", R), ("", P), ("ROLLBACK_COMPLETE", M), ("UPDATE_FAILED", M)])
def test_a_state_with_a_known_way_out_is_repaired(status, kind):
    problem = problem_from_state(status, 1, 2)
    assert problem.kind == kind
    assert "has generation 1 instead of 2" in problem.error
