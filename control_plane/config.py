"""Every setting in one place: its type, its default and what it is for. Read from the environment, then `$VAR_DIR/env`."""

import base64
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from dotenv import load_dotenv
from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from control_plane.email_url import LOOPBACK, parse_email_url

ROOT = Path(__file__).resolve().parent.parent


class Config(BaseSettings):
    """The settings of one installation. A name in the environment is the field's own in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    var_dir: Path = Field(default=ROOT / "var", description="Folder of all state on this machine.")
    secret_key: str = Field(min_length=32, description="Django's signing key.")
    debug: bool = Field(default=False, description="Django's debug pages; never on a site that others reach.")
    site_url: str = Field(default="http://localhost:8000", description="Where people reach the site: scheme, host and port.")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("localhost", "127.0.0.1"), description="Host names that the site answers to, separated by spaces."
    )
    secure_cookies: bool = Field(default=True, description="Cookies and redirects for HTTPS only; off on a bare localhost.")
    database_url: str = Field(default="", description="Database; without one, SQLite under VAR_DIR.")
    cohort_account: str = Field(pattern=r"^[0-9]{12}$", description="The AWS account that new groups are made in.")
    cohort_region: str = Field(
        validation_alias=AliasChoices("COHORT_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
        default="us-east-1",
        description="The AWS region that new groups are made in.",
    )
    cohort_manifest_store: str = Field(default="", description="Folder or s3://bucket/prefix of published manifests.")
    cohort_cdk: str = Field(default=str(ROOT / "node_modules/.bin/cdk"), description="The CDK command line.")
    cohort_deploy_seconds: int = Field(default=1800, ge=10, description="The longest that one `cdk deploy` may take.")
    cohort_deployer: Literal["resident", "cli"] = Field(
        default="resident", description="How stacks are deployed: by CDK's engine kept loaded, or by the plain `cdk deploy`."
    )
    cohort_parallel: int = Field(default=4, ge=1, le=32, description="Groups that one worker deploys at the same time.")
    cohort_synth_seconds: int = Field(default=120, ge=5, description="The longest that one synthesis may take.")
    cohort_change_set_seconds: int = Field(default=300, ge=5, description="The longest that making a change set may take.")
    cohort_settle_seconds: float = Field(
        default=1.0, ge=0, description="Between the beginnings of two runs for one group, so that further changes join the second."
    )
    cohort_retry_seconds: float = Field(
        default=10.0, ge=0, description="Wait before the second try; doubled before each further one."
    )
    cohort_sweep_seconds: float = Field(default=60.0, gt=0, description="How often a worker looks for what was forgotten.")
    cohort_drift_check: bool = Field(default=True, description="Whether every stack's drift is checked each night.")
    require_approval: Literal["never", "broadening", "always"] = Field(
        default="never", description="Which changes wait until a second administrator approves them."
    )
    cohort_lease_seconds: int = Field(default=60, ge=2, description="How long a worker's claim holds without a heartbeat.")
    aws_endpoint_url: str = Field(default="", description="Where AWS is, if not where the SDK finds it.")
    email_url: SecretStr = Field(
        default=SecretStr("console:"),
        description="Where e-mail goes: smtp://user:password@host:587, smtps://..., file:///folder or console:.",
    )
    default_from_email: str = Field(
        default="Cohort <cohort@localhost>", pattern=r"^[^\r\n]*@[^\r\n@]+$", description="Whom Cohort's e-mails are from."
    )
    notify_completion: bool = Field(
        default=True,
        description="Whether those who asked for something are told when it is done or cancelled; failures always are.",
    )
    webhook_url: str = Field(default="", description="Where each deployment's end is posted, as JSON that is signed.")
    webhook_secret: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="Key of the signature: whsec_ and 24 to 64 random bytes in base64; needed with WEBHOOK_URL.",
    )
    metrics_token: SecretStr | None = Field(
        default=None, min_length=16, description="What a scraper of /metrics shows as `Authorization: Bearer ...`."
    )

    @property
    def manifest_store(self) -> str:
        """The manifest store's location."""
        return self.cohort_manifest_store or str(self.var_dir / "manifests")

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_words(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("email_url")
    @classmethod
    def _readable(cls, value: SecretStr) -> SecretStr:
        parse_email_url(value.get_secret_value())
        return value

    @field_validator("webhook_secret", "metrics_token", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return value or None

    @field_validator("webhook_url")
    @classmethod
    def _private_on_the_way(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and not (parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))):
            raise ValueError("it must be an https:// address (http:// only to this machine itself)")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _strong_enough(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and info.data.get("webhook_url"):
            raise ValueError("WEBHOOK_URL needs it; make one with: echo whsec_$(openssl rand -base64 32)")
        if value is not None:
            try:
                length = len(base64.b64decode(value.get_secret_value().removeprefix("whsec_"), validate=True))
            except ValueError:
                length = 0
            if not 24 <= length <= 64:
                raise ValueError("make one with: echo whsec_$(openssl rand -base64 32)")
        return value


def load_environment() -> None:
    """Fill what the environment does not set from `$VAR_DIR/env`, for this process and its children."""
    load_dotenv(Path(os.environ.get("VAR_DIR", ROOT / "var")) / "env")


@lru_cache(maxsize=1)
def config() -> Config:
    """The settings. Ends the program with the name of each bad one."""
    load_environment()
    try:
        return Config()
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, problem['loc'])).upper()}: {problem['msg']}" for problem in error.errors()]
        sys.exit(
            "Cohort cannot start, because of these settings:\n" + "\n".join(lines) + "\n"
            "Set them in the environment or in $VAR_DIR/env. `make up` writes that file for this machine."
        )
