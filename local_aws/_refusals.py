"""CloudFormation's messages about missing rights of the principal it acts for, in the words that its events have on AWS.

From events as people have reported them: aws/aws-cdk issues 8571 and 27067 (IAM; an older handler), aws-solutions-library-samples/
data-lakes-on-aws issue 275 (a nested stack), aws-amplify/amplify-cli issue 10116 (EC2), vsnyc in aws-quickstart/quickstart-mongodb
issue 54 (a nested stack's template), aws-solutions/innovation-sandbox-on-aws issue 31 (KMS).
"""

from ministack.core.responses import new_uuid

from local_aws._acting_principal import Denied
from local_aws.rights.actions import WRITTEN
from local_aws.rights.permission_check import PermissionCheck

STACK = "AWS::CloudFormation::Stack"
# As the SDK that the handlers are written with names the services.
NAMES = {
    "acm": "Acm",
    "autoscaling": "AutoScaling",
    "backup": "Backup",
    "cloudwatch": "CloudWatch",
    "ec2": "Ec2",
    "elasticloadbalancing": "ElasticLoadBalancingV2",
    "iam": "Iam",
    "kms": "Kms",
    "logs": "CloudWatchLogs",
    "s3": "S3",
    "secretsmanager": "SecretsManager",
    "sns": "Sns",
}
# Services with AWS's JSON protocol answer a refusal with 400.
BY_JSON = frozenset({"acm", "kms", "logs", "secretsmanager"})
# IAM's calls that say where the principal is to lie, or name a role by its ARN; all others name it by its name alone.
BY_ARN = frozenset(
    {"CreateGroup", "CreateInstanceProfile", "CreatePolicy", "CreateRole", "CreateServiceLinkedRole", "CreateUser", "PassRole"}
)
TEMPLATE_REFUSED = (
    "S3 error: Access Denied\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"
)


class Refused(ValueError):
    """The principal CloudFormation acts for lacks the right. The message is what the resource's event says."""


def resource_refusal(kind: str, denied: Denied) -> Refused:
    """Return the refusal of making, changing or removing a resource of this type."""
    service = denied.check.action.partition(":")[0]
    if kind == STACK:
        return Refused(TEMPLATE_REFUSED if service == "s3" else f"API: cloudFormation {denial_sentence(denied)}")
    if kind in WRITTEN:
        return Refused(f"API: {denied.check.action} {denial_sentence(denied)}")
    text = denial_sentence(denied)
    if service == "ec2":
        text = f"You are not authorized to perform this operation. {text}. Encoded authorization failure message: {new_uuid()}"
    return handler_refusal(text, service, 400 if service in BY_JSON else 403, "AccessDenied")


def handler_refusal(text: str, service: str, status: int, code: str) -> Refused:
    """Return the error that a type's handler reports after a service's answer."""
    text = f"{text} (Service: {NAMES.get(service, service.title())}, Status Code: {status}, Request ID: {new_uuid()})"
    return Refused(
        f'Resource handler returned message: "{text} (SDK Attempt Count: 1)" (RequestToken: {new_uuid()}, HandlerErrorCode: {code})'
    )


def denial_sentence(denied: Denied) -> str:
    """Return the sentence with which every service refuses."""
    check = denied.check
    return f"User: {denied.principal} is not authorized to perform: {check.action} on resource: {_named(check)} {denied.why}"


def _named(check: PermissionCheck) -> str:
    """Return the resource as each service names it: IAM by kind and name, where the request holds the name alone; S3 quoted."""
    service, _, verb = check.action.partition(":")
    if service == "s3":
        return f'"{check.resource}"'
    if service != "iam" or verb in BY_ARN:
        return check.resource
    kind, _, rest = check.resource.split(":", 5)[5].partition("/")
    if kind == "policy":
        return f"policy {check.resource}"
    return f"{kind.replace('-', ' ')} {rest.rpartition('/')[2]}"
