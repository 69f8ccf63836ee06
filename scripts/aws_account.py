"""Questions of `make up` to AWS before it starts anything on it."""

from collections.abc import Mapping

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from stacks import names


class Failed(RuntimeError):
    """A step failed. The message says which, why, and what to do."""


def is_bootstrapped(environment: Mapping[str, str], region: str) -> bool:
    """Return whether `cdk bootstrap` was run there. Raises Failed."""
    session = boto3.Session(
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environment.get("AWS_SESSION_TOKEN"),
        profile_name=environment.get("AWS_PROFILE"),
        region_name=region,
    )
    ssm = session.client("ssm", endpoint_url=environment.get("AWS_ENDPOINT_URL"))
    try:
        ssm.get_parameter(Name=names.cdk_version_parameter())
    except ssm.exceptions.ParameterNotFound:
        return False
    except (BotoCoreError, ClientError) as error:
        raise Failed(f"AWS does not say whether CDK was bootstrapped: {error}. Nothing was changed.") from error
    return True


def own_account() -> str:
    """Return the account that this environment leads to. Raises Failed."""
    try:
        return str(boto3.client("sts").get_caller_identity()["Account"])
    except (BotoCoreError, ClientError) as error:
        raise Failed(f"AWS does not tell who we are: {error}. Nothing was changed; check AWS_PROFILE and AWS_REGION.") from error
