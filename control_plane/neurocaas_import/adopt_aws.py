"""AWS calls of an adoption, with the credentials of whoever runs the command, never with the worker's."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from control_plane.base.aws import Place, client, translated_errors
from control_plane.base.config import config
from control_plane.base.errors import Refused
from control_plane.base.polling import poll_until
from stacks import names

POLL_SECONDS = 0.5
# CloudFormation accepts a longer template only from S3 (its API reference, "CreateChangeSet").
MAX_INLINE_BYTES = 51_200
Found = TypeVar("Found")
NOTHING_TO_CHANGE = "No updates are to be performed"
# Time for a new name to propagate in IAM (its user guide, "Troubleshooting": eventual consistency).
CONSISTENT_SECONDS = 60.0
CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")


class NotAdopted(Refused):
    """The adoption stopped. Its progress is recorded; running it again resumes it."""


@dataclass
class Aws:
    """AWS clients of a region."""

    place: Place

    def __post_init__(self) -> None:
        self.cloudformation: Any = client("cloudformation", self.place)
        self.iam: Any = client("iam", self.place)

    def check_account(self) -> None:
        """Refuse an identity of another account. Raises NotAdopted or AwsFailure."""
        with translated_errors():
            account = client("sts", self.place).get_caller_identity()["Account"]
        if account != self.place.account:
            raise NotAdopted(
                f"Your AWS identity belongs to the account {account}, and this site to {self.place.account}. "
                "Nothing was changed; set AWS_PROFILE to the right one."
            )

    def describe(self, stack: str) -> dict[str, Any] | None:
        """Return the description of a stack by name or ARN, or None if it does not exist any more."""
        try:
            described: dict[str, Any] = self.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if described["StackStatus"] == "DELETE_COMPLETE" else described

    def template(self, stack: str) -> dict[str, Any]:
        """Return the stack's template with its transforms applied. Raises NotAdopted."""
        return _parse_template(self.cloudformation.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"])

    def resources(self, stack: str) -> dict[str, dict[str, Any]]:
        """Return the stack's resources by logical id."""
        pages = self.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        summaries = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return {
            resource["LogicalResourceId"]: resource for resource in summaries if resource["ResourceStatus"] != "DELETE_COMPLETE"
        }

    def update(self, stack: str, template: dict[str, Any], parameters: list[dict[str, Any]]) -> None:
        """Update the stack to this template with its present parameters, and wait. Raises NotAdopted."""
        try:
            self.cloudformation.update_stack(
                StackName=stack,
                **self._body(stack, template),
                Parameters=[{"ParameterKey": parameter["ParameterKey"], "UsePreviousValue": True} for parameter in parameters],
                Capabilities=list(CAPABILITIES),
            )
        except ClientError as error:
            if NOTHING_TO_CHANGE not in str(error):
                raise
        self.wait(stack, ("UPDATE_COMPLETE", "CREATE_COMPLETE", "IMPORT_COMPLETE"))

    def delete(self, stack_id: str) -> None:
        """Delete the stack and wait. Raises NotAdopted."""
        self.cloudformation.delete_stack(StackName=stack_id)
        self.wait(stack_id, ("DELETE_COMPLETE",))

    def import_users(self, stack: str, template: dict[str, Any], users: dict[str, str]) -> None:
        """Import these IAM users (names by logical ids) into the stack, and wait. Raises NotAdopted."""
        name = f"cohort-adopt-{int(time.time())}"
        described = self.describe(stack) or {}
        made = self.cloudformation.create_change_set(
            StackName=stack,
            ChangeSetName=name,
            ChangeSetType="IMPORT",
            **self._body(stack, template),
            Parameters=[
                {"ParameterKey": parameter["ParameterKey"], "UsePreviousValue": True}
                for parameter in described.get("Parameters", [])
            ],
            Capabilities=["CAPABILITY_NAMED_IAM"],
            ResourcesToImport=[
                {"ResourceType": "AWS::IAM::User", "LogicalResourceId": logical_id, "ResourceIdentifier": {"UserName": user}}
                for logical_id, user in users.items()
            ],
        )
        at = {"StackName": stack, "ChangeSetName": made["Id"]}
        now = poll_until(
            lambda: self.cloudformation.describe_change_set(**at),
            lambda now: now["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"),
            seconds=math.inf,
            every=POLL_SECONDS,
        )
        if now["Status"] != "CREATE_COMPLETE":
            self.cloudformation.delete_change_set(**at)
            raise NotAdopted(f"CloudFormation does not take the users into {stack}: {now.get('StatusReason')}")
        self.cloudformation.execute_change_set(**at)
        self.wait(stack, ("IMPORT_COMPLETE",))

    def wait(self, stack: str, wanted: tuple[str, ...]) -> None:
        """Wait until the stack's operation has ended. Raises NotAdopted if it ended in none of the wanted states."""

        def look() -> str:
            try:
                status: str = self.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
            except ClientError as error:
                if "does not exist" not in str(error):
                    raise
                return "DELETE_COMPLETE"
            return status

        def has_ended(status: str) -> bool:
            return status in wanted or not status.endswith("_IN_PROGRESS")

        status = poll_until(look, has_ended, seconds=config().cohort_deploy_seconds, every=POLL_SECONDS)
        if status not in wanted:
            failed = "" if status == "DELETE_COMPLETE" else self._failure_reason(stack)
            raise NotAdopted(f"CloudFormation left {stack} in the state {status}{failed}. People's keys work as before.")

    def user_of(self, unique_id: str, *candidates: str) -> str:
        """Return which of these names the user with this unique id has now. Raises NotAdopted if none."""

        def look() -> str:
            users = ((name, self.user(name)) for name in candidates)
            return next((name for name, user in users if user and user["UserId"] == unique_id), "")

        name = poll_until(look, bool, seconds=CONSISTENT_SECONDS, every=POLL_SECONDS)
        if not name:
            raise NotAdopted(f"The IAM user {unique_id} is neither called {' nor '.join(candidates)} any more: was it removed?")
        return name

    def user(self, name: str) -> dict[str, Any] | None:
        """Return an IAM user, or None."""
        return none_if_absent(lambda: self.iam.get_user(UserName=name)["User"])

    def members(self, group: str) -> list[dict[str, Any]] | None:
        """Return the users in an IAM group, or None if there is no such group."""
        return none_if_absent(
            lambda: [user for page in self.iam.get_paginator("get_group").paginate(GroupName=group) for user in page["Users"]]
        )

    def _body(self, stack: str, template: dict[str, Any]) -> dict[str, str]:
        text = json.dumps(template, separators=(",", ":"))
        if len(text.encode()) <= MAX_INLINE_BYTES:
            return {"TemplateBody": text}
        # CDK's own bucket exists wherever groups are deployed, and its objects are not removed by mistake.
        bucket = names.cdk_assets(self.place.account, self.place.region)
        key = f"cohort-adopt/{stack.rsplit('/', maxsplit=1)[-1]}.json"
        s3 = client("s3", self.place)
        s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
        return {"TemplateURL": f"https://{bucket}.s3.{self.place.region}.{names.dns_suffix(self.place.region)}/{key}"}

    def _failure_reason(self, stack: str) -> str:
        for event in self.cloudformation.describe_stack_events(StackName=stack)["StackEvents"]:
            reason = event.get("ResourceStatusReason", "")
            if event.get("ResourceStatus", "").endswith("_FAILED") and "cancelled" not in reason.lower():
                return f" because of {event['LogicalResourceId']}: {reason}"
        return ""


def none_if_absent(look: Callable[[], Found]) -> Found | None:
    """Return the result of the call, or None if IAM answers NoSuchEntity."""
    try:
        return look()
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            return None
        raise


def _parse_template(body: Any) -> dict[str, Any]:
    if isinstance(body, dict):
        return body
    try:
        parsed = json.loads(body)
    except RecursionError as error:
        raise NotAdopted("The stack's template is nested too deeply to be one. Nothing was changed.") from error
    except ValueError as error:
        raise NotAdopted(
            "The stack's template is YAML, which this command does not read. Nothing was changed; update the stack once with the "
            "same template as JSON, as the predecessor's own tools deploy it."
        ) from error
    if not isinstance(parsed, dict):
        raise NotAdopted("The stack's template is no template. Nothing was changed.")
    return parsed
