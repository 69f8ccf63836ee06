"""The AWS that a run is against: an endpoint, an account, an administrator's credentials, and how late its IAM may be."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import boto3

from local_aws.server import EmbeddedAws, free_port
from stacks.environment import isolated
from tests.clients import make_client
from tests.e2e.site import FOREIGN

EMBEDDED_ACCOUNT, REGION = "111122223333", "us-east-1"
# Of the embedded AWS, in seconds: so late IAM's changes are seen at the most, scaled down and, with COHORT_SLOW=1, as on AWS,
# where "changes usually take seconds". What the suite waits for a right to come or to go is scaled with it.
SCALED_DELAY, REAL_DELAY = 0.6, 12.0
PATIENCE = 50.0
# Of AWS: no document gives a number; as much as Cohort itself waits (control_plane.deployments.iam_delay).
ACCOUNT_DELAY = 60.0


@dataclass(frozen=True)
class Target:
    """One AWS. `environment` makes boto3, the CDK command line and every command of ours use it as its administrator."""

    name: str
    account: str
    region: str
    environment: dict[str, str]
    conditions: str
    # How late, in seconds, a change of IAM may be seen; and how long to wait before what should be there is missed.
    delay: float
    patience: float
    # Members with a key, and how many of them one stack holds: one member more than that needs a second stack.
    holders: int
    holders_per_stack: int
    options: dict[str, str] = field(default_factory=dict)

    @property
    def endpoint(self) -> str | None:
        """Where it is, if not where the SDK finds AWS."""
        return self.environment.get("AWS_ENDPOINT_URL")

    @property
    def steady(self) -> float:
        """For how long an answer must stay the same to be taken for the last: IAM's delay; a quarter of a minute on AWS."""
        return min(self.delay, 15.0) + 0.3

    def client(self, service: str, **options: Any) -> Any:
        """A client of its administrator."""
        make: Callable[..., Any] = self.session.client
        return make(service, region_name=self.region, endpoint_url=self.endpoint, **options)

    def client_as(self, service: str, credentials: dict[str, str], **options: Any) -> Any:
        """A client with a member's credentials, as a `credential_process` gives them."""
        return make_client(
            service,
            region_name=self.region,
            endpoint_url=self.endpoint,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials.get("SessionToken"),
            **options,
        )

    @cached_property
    def session(self) -> boto3.Session:
        """boto3 as its administrator, whatever the process's own environment says. Each new one reads megabytes from the disk."""
        return session_of(self.environment, self.region)


def session_of(environment: dict[str, str], region: str) -> boto3.Session:
    """boto3 with the profile or the key that this environment names, or with what the machine itself has."""
    if profile := environment.get("AWS_PROFILE"):
        return boto3.Session(profile_name=profile, region_name=region)
    return boto3.Session(
        environment.get("AWS_ACCESS_KEY_ID"),
        environment.get("AWS_SECRET_ACCESS_KEY"),
        environment.get("AWS_SESSION_TOKEN"),
        region_name=region,
    )


def clean_environment(target: Target) -> dict[str, str]:
    """This process's environment without what would lead commands elsewhere. A real account's profile has its own file."""
    kept = {name: value for name, value in os.environ.items() if name == "AWS_CA_BUNDLE" or not name.startswith(FOREIGN)}
    return kept if target.name == "account" else isolated(kept)


@contextmanager
def embedded(folder: Path, seed: int | None, *, is_slow: bool) -> Iterator[Target]:
    """The embedded AWS with its IAM's delay on, for as long as the block takes. The seed is printed."""
    delay = REAL_DELAY if is_slow else SCALED_DELAY
    with EmbeddedAws(free_port(), folder / "aws") as aws:
        used = aws.set_iam_delay(delay, seed)
        yield Target(
            name="embedded",
            account=EMBEDDED_ACCOUNT,
            region=REGION,
            environment=_with_key(aws.endpoint, EMBEDDED_ACCOUNT, "root"),
            conditions=f"IAM’s delay up to {delay:g} s, seed {used}",
            delay=delay,
            patience=PATIENCE + 5 * delay,
            **_holders(is_slow=is_slow),
        )


def localstack(endpoint: str, account: str, *, is_slow: bool) -> Target:
    """LocalStack, which runs there."""
    return Target(
        name="localstack",
        account=account,
        region=REGION,
        environment=_with_key(endpoint, "test", "test"),
        conditions="no IAM decisions, no drift detection",
        delay=0.0,
        patience=PATIENCE,
        **_holders(is_slow=is_slow),
    )


def account(environment: dict[str, str], region: str) -> Target:
    """The account that these credentials are of. Raises what boto3 raises."""
    settings = {**environment, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    session = session_of(settings, region)
    number = session.client("sts", endpoint_url=settings.get("AWS_ENDPOINT_URL")).get_caller_identity()["Account"]
    return Target(
        name="account",
        account=number,
        region=region,
        environment=settings,
        conditions=f"{region}, AWS’s own IAM",
        delay=ACCOUNT_DELAY,
        patience=180.0,
        **_holders(is_slow=True),
    )


def profile_region(environment: dict[str, str]) -> str:
    """The region of the profile that the environment names. us-east-1 without one."""
    return boto3.Session(profile_name=environment.get("AWS_PROFILE")).region_name or REGION


class _Holders(TypedDict):
    holders: int
    holders_per_stack: int


def _holders(*, is_slow: bool) -> _Holders:
    return {"holders": 101, "holders_per_stack": 100} if is_slow else {"holders": 4, "holders_per_stack": 3}


def _with_key(endpoint: str, key: str, secret: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }
