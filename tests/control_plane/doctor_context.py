"""What the doctor's tests share: an AWS that answers what the test says, in the shapes that botocore knows, and nothing else."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.exceptions import ParamValidationError
from botocore.validate import validate_parameters

from control_plane.doctor import checks
from control_plane.doctor.check_context import CheckContext
from control_plane.doctor.findings import Finding
from stacks.site.settings import Site
from tests.stacks.builders import ACCOUNT, REGION, site

ENGINEER = f"arn:aws:iam::{ACCOUNT}:user/engineer"
Answer = Mapping[str, Any] | str | Callable[[dict[str, Any]], Any]
IDENTITY: dict[str, dict[str, Any]] = {"GetCallerIdentity": {"Account": ACCOUNT, "Arn": ENGINEER, "UserId": "AIDAENGINEER"}}
ABSENT = "ValidationError: Stack with id x does not exist"


class Session:
    """As boto3's, with these answers by the operations' names: an answer, a `Code: message` of a refusal, or a function."""

    def __init__(self, answers: Mapping[str, Answer], region: str | None = REGION) -> None:
        self.region_name = region
        self.answers = dict(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def client(self, service: Any, **options: Any) -> Any:
        options |= {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "endpoint_url": None}
        client = boto3.client(service, **options)

        def answer(operation: str, parameters: dict[str, Any]) -> Any:
            self.asked.append((operation, parameters))
            said = self.answers.get(operation, f"AccessDenied: {operation} is not to be called")
            said = said(parameters) if callable(said) else said
            if isinstance(said, str):
                code, _, message = said.partition(": ")
                raise client.exceptions.from_code(code)({"Error": {"Code": code, "Message": message}}, operation)
            shape = client.meta.service_model.operation_model(operation).output_shape
            # IAM's documents come decoded, which is botocore's doing and not the shape's.
            plain = {key: value for key, value in said.items() if key not in ("PolicyVersion", "ResponseMetadata")}
            if "PolicyDocument" in plain:
                plain["PolicyDocument"] = json.dumps(plain["PolicyDocument"])
            try:
                validate_parameters(plain, shape)
            except ParamValidationError as error:
                raise AssertionError(f"AWS never answers so: {error}") from error
            return dict(said)

        client._make_api_call = answer
        return client


def context(answers: Mapping[str, Answer] | None = None, *, own: Site | None = None, **fields: Any) -> CheckContext:
    """Surroundings with the site of the tests (or none, by `site=None`), on an AWS that gives these answers."""
    given = {"site": own or site(), "session": Session({**IDENTITY, **(answers or {})}), **fields}
    return CheckContext(**given)


def one(name: str, place: CheckContext) -> Finding:
    """The one finding of a check."""
    (found,) = findings(name, place)
    return found


def findings(name: str, place: CheckContext) -> list[Finding]:
    """What one check finds."""
    only = next(check for check in checks.CHECKS if check.name == name)
    return [line.finding for line in checks.run_checks(place, checks=[only])]


def all_of(name: str, place: CheckContext) -> list[tuple[str, str]]:
    """State and words of each finding of a check."""
    return [(str(each.state), each.seen) for each in findings(name, place)]


def stack(status: str = "CREATE_COMPLETE", **outputs: str) -> dict[str, Any]:
    """An answer of DescribeStacks."""
    told = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
    return {"Stacks": [{"StackName": "x", "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": status, "Outputs": told}]}


def stacks(**known: dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
    """DescribeStacks of an account that has these stacks, by their names with `_` for `-`."""
    by_name = {name.replace("_", "-"): answer for name, answer in known.items()}
    return lambda asked: by_name.get(asked["StackName"], ABSENT)
