"""All settings, with type, default and description. Read from `$VAR_DIR/env` of `make up`, else from the environment."""

import base64
import os
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from control_plane.base.email_url import LOOPBACK, parse_email_url
from stacks import environment, names
from stacks.env_file import EnvFileError

ROOT = Path(__file__).resolve().parents[2]
MAX_DAYS = 36500

Address = TypeVar("Address", str, SecretStr)


class Config(BaseSettings):
    """Settings of one installation. The environment variable is the field's name in capitals.

    What is secret, or may hold a password or a token, is a SecretStr: it is printed nowhere, and no process that a worker starts
    gets it.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    var_dir: Path = Field(default=ROOT / "var", description="Folder of all state on this machine.")
    secret_key: SecretStr = Field(min_length=32, description="Django's signing key.")
    debug: bool = Field(default=False, description="Django's debug pages; never on a site that others reach.")
    site_url: str = Field(default="http://localhost:8000", description="Where people reach the site: scheme, host and port.")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("localhost", "127.0.0.1"), description="Host names that the site answers to, separated by spaces."
    )
    secure_cookies: bool = Field(default=True, description="Cookies and redirects for HTTPS only; off on a bare localhost.")
    database_url: SecretStr = Field(default=SecretStr(""), description="Database; without one, SQLite under VAR_DIR.")
    cohort_account: str = Field(pattern=r"^[0-9]{12}$", description="The AWS account that new groups are made in.")
    cohort_region: str = Field(
        validation_alias=AliasChoices("COHORT_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
        default="us-east-1",
        description="The AWS region that new groups are made in.",
    )
    bucket_patterns: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("cohort-*",),
        description="Names of the buckets that groups can ever reach, as Cohort-Bootstrap was deployed with; separated by spaces.",
    )
    earlier_versions_days: int | None = Field(
        default=None,
        ge=1,
        le=MAX_DAYS,
        description="Days after which what people deleted or replaced in the analysis buckets ends for good; none: never. What "
        "shortens it waits for a typed confirmation: `manage.py platform sync`.",
    )
    cohort_manifest_store: str = Field(default="", description="Folder or s3://bucket/prefix of published manifests.")
    cohort_cdk: str = Field(default=str(ROOT / "node_modules/.bin/cdk"), description="The CDK command line.")
    cohort_deploy_seconds: int = Field(default=1800, ge=10, description="The longest that one `cdk deploy` may take.")
    cohort_deployer: Literal["resident", "cli"] = Field(
        default="resident", description="How stacks are deployed: by CDK's engine kept loaded, or by the plain `cdk deploy`."
    )
    cohort_parallel: int = Field(default=4, ge=1, le=32, description="Groups that one worker deploys at the same time.")
    cohort_synth_seconds: int = Field(default=120, ge=5, description="The longest that one synthesis may take.")
    cohort_change_set_seconds: int = Field(
        default=900,
        ge=5,
        description="The longest that making a change set may take; of a group with nested stacks AWS may take minutes.",
    )
    cohort_settle_seconds: float = Field(
        default=1.0, ge=0, description="Between the beginnings of two runs for one group, so that further changes join the second."
    )
    cohort_retry_seconds: float = Field(
        default=10.0, ge=0, description="Wait before the second try; doubled before each further one."
    )
    cohort_sweep_seconds: float = Field(default=60.0, gt=0, description="How often a worker looks for what was forgotten.")
    cohort_drift_check: bool = Field(default=True, description="Whether every stack's drift is checked each night.")
    cohort_iam_checks: bool = Field(
        default=True, description="Whether workers ask IAM by themselves who can reach what, and how keys are used, about daily."
    )
    job_silent_hours: float = Field(
        default=24.0,
        gt=0,
        description="After how many hours without a word from its back end a job is shown as one nothing is heard of.",
    )
    job_look_seconds: float = Field(
        default=30.0, ge=0, description="How often, at most, workers look in S3 how a job is while no page is open."
    )
    require_approval: Literal["never", "broadening", "always"] = Field(
        default="never", description="Which changes wait until a second administrator approves them."
    )
    cohort_holders_per_stack: int = Field(
        default=100,
        ge=1,
        le=100,
        description="Key holders in one CloudFormation stack; further ones go into stacks nested in it. Nobody moves later.",
    )
    quota_iam_users: int | None = Field(
        default=None, ge=0, description="IAM users that the account may hold, if AWS tells otherwise."
    )
    quota_iam_groups: int | None = Field(default=None, ge=0, description="And IAM groups.")
    quota_iam_roles: int | None = Field(default=None, ge=0, description="And IAM roles.")
    quota_iam_policies: int | None = Field(default=None, ge=0, description="And managed policies of its own.")
    quota_cloudformation_stacks: int | None = Field(
        default=None, ge=0, description="CloudFormation stacks that a region of the account may hold, if AWS tells otherwise."
    )
    quota_read_seconds: float = Field(
        default=3600, gt=0, description="How often a worker reads what the account uses of its quotas."
    )
    cohort_lease_seconds: int = Field(default=60, ge=2, description="How long a worker's claim holds without a heartbeat.")
    aws_endpoint_url: str = Field(default="", description="Where AWS is, if not where the SDK finds it.")
    s3_browser_url: str = Field(
        default="", description="Where browsers reach S3, if not at AWS's own addresses or AWS_ENDPOINT_URL: scheme, host and port."
    )
    s3_other_names: bool = Field(
        default=True,
        description="Whether browsers may send files to S3 under its other names too, which lets more of them go side by side.",
    )
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
    webhook_url: SecretStr = Field(
        default=SecretStr(""), description="Where each deployment's end is posted, as JSON that is signed."
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="Key of the signature: whsec_ and 24 to 64 random bytes in base64; needed with WEBHOOK_URL.",
    )
    auto_approve_domains: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Domains whose people need no approval once they give a join code: `example.org`, or `.edu` for all below it.",
    )
    computer_days: int = Field(
        default=30, ge=1, le=365, description="How long a computer stays signed in for the helper that fetches credentials."
    )
    metrics_token: SecretStr | None = Field(
        default=None, min_length=16, description="What a scraper of /metrics shows as `Authorization: Bearer ...`."
    )
    sign_up: Literal["open", "closed"] = Field(
        default="open", description="Whether people may make an account themselves; what it reaches is still decided for each."
    )
    require_mfa: Literal["nobody", "staff"] = Field(
        default="nobody", description="Who must have a second factor; `staff` is meant for every site that others reach."
    )
    trusted_proxies: int = Field(
        default=0,
        ge=0,
        description="How many proxies of your own stand before the site, so that X-Forwarded-For tells who comes.",
    )
    google_client_id: str = Field(default="", description="Signing in with Google: the client's identifier; none, no button.")
    google_client_secret: SecretStr = Field(default=SecretStr(""), validate_default=True, description="And its secret.")
    github_client_id: str = Field(default="", description="Signing in with GitHub: the client's identifier; none, no button.")
    github_client_secret: SecretStr = Field(default=SecretStr(""), validate_default=True, description="And its secret.")
    orcid_client_id: str = Field(default="", description="Signing in with ORCID: the client's identifier; none, no button.")
    orcid_client_secret: SecretStr = Field(default=SecretStr(""), validate_default=True, description="And its secret.")
    oidc_name: str = Field(default="", max_length=40, description="The institution's name on its button.")
    oidc_server_url: str = Field(
        default="",
        description="Signing in at the institution: its OpenID Connect server, without /.well-known/...; none, no button.",
    )
    oidc_client_id: str = Field(default="", description="Cohort's identifier at that server.")
    oidc_client_secret: SecretStr = Field(default=SecretStr(""), validate_default=True, description="And its secret.")
    oidc_email_domains: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Domains, separated by spaces, whose verified addresses that server may vouch for to open an existing account.",
    )

    backup_store: str = Field(
        default="",
        pattern=r"^(s3://[a-z0-9][a-z0-9.-]+(/.*)?|[^:]*)$",
        description="Folder or s3://bucket/prefix of the database's backups; without one, `backups` under VAR_DIR.",
    )
    backup_keep_hourly: int = Field(
        default=48, ge=1, description="Scheduled backups in a folder: of how many hours the last one is kept."
    )
    backup_keep_daily: int = Field(default=35, ge=0, description="And of how many days.")
    backup_keep_monthly: int = Field(default=13, ge=0, description="And of how many months.")
    backup_keep_manual_days: int = Field(
        default=0, ge=0, description="Backups in a folder made by hand: days that they are kept; 0: until somebody removes them."
    )
    certificate_file: str = Field(
        default="", description="The certificate that the site shows, in PEM, for the metric of its days left; none, no metric."
    )
    health_url: str = Field(
        default="",
        pattern=r"^(https?://.+)?$",
        description="Where `manage.py metrics push` asks whether the site is up; without one, SITE_URL's /readyz.",
    )
    reminder_days: int = Field(
        default=14, ge=1, le=90, description="How long before a membership ends its member and managers are reminded."
    )
    key_inactive_days: int = Field(
        default=7, ge=1, le=90, description="How long a key that was replaced stays inactive, so that it can be brought back."
    )
    key_unused_days: int = Field(default=90, ge=1, description="After how many days without use a key is listed as unused.")
    retirement_days: int = Field(
        default=7,
        ge=1,
        le=365,
        description="How long a group that is to be retired is only suspended, or an analysis not offered: time to undo it.",
    )
    review_days: int = Field(
        default=90, ge=1, description="How often a group's manager is asked to confirm who can reach what in it."
    )
    cleanup_notice_days: int = Field(default=90, ge=1, description="How long messages that were sent or given up are kept.")
    cleanup_task_days: int = Field(default=30, ge=1, description="How long ended background tasks are kept.")
    cleanup_log_days: int = Field(default=365, ge=1, description="How long the log lines of ended deployments are kept.")
    cleanup_upload_days: int = Field(default=90, ge=1, description="How long the record of an ended upload is kept.")
    cleanup_sign_up_days: int = Field(
        default=14, ge=1, description="After how many days a sign-up whose address was never verified is removed."
    )

    @property
    def backups(self) -> str:
        """Location of the backups."""
        return self.backup_store or str(self.var_dir / "backups")

    @property
    def manifest_store(self) -> str:
        """Location of the manifest store."""
        return self.cohort_manifest_store or str(self.var_dir / "manifests")

    @field_validator("allowed_hosts", "auto_approve_domains", "bucket_patterns", "oidc_email_domains", mode="before")
    @classmethod
    def _split_words(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("auto_approve_domains", "oidc_email_domains")
    @classmethod
    def _check_domains(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [domain for domain in value if not re.fullmatch(r"\.?[a-z0-9-]+(\.[a-z0-9-]+)*", domain.lower())]:
            raise ValueError(f"{wrong[0]!r} is no domain such as example.org or .edu")
        return tuple(domain.lower() for domain in value)

    @field_validator("bucket_patterns")
    @classmethod
    def _check_bucket_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return names.check_bucket_patterns(value)

    @field_validator("email_url")
    @classmethod
    def _check_email_url(cls, value: SecretStr) -> SecretStr:
        parse_email_url(value.get_secret_value())
        return value

    @field_validator("webhook_secret", "metrics_token", "earlier_versions_days", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return value or None

    @field_validator("webhook_url", "oidc_server_url")
    @classmethod
    def _check_https(cls, value: Address) -> Address:
        url = value.get_secret_value() if isinstance(value, SecretStr) else value
        parts = urlsplit(url)
        if url and not (parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))):
            raise ValueError("it must be an https:// address (http:// only to this machine itself)")
        return value

    @field_validator("google_client_secret", "github_client_secret", "orcid_client_secret", "oidc_client_secret")
    @classmethod
    def _check_client_pair(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        name = str(info.field_name).removesuffix("_client_secret")
        wanted = [f"{name}_client_id"] + (["oidc_name", "oidc_server_url"] if name == "oidc" else [])
        given = [bool(info.data.get(field)) for field in wanted] + [bool(value.get_secret_value())]
        if any(given) and not all(given):
            together = ", ".join(field.upper() for field in [*wanted, f"{name}_client_secret"])
            raise ValueError(f"set all of these, or none: {together}")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _check_webhook_secret(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
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
    """Load the settings of `$VAR_DIR/env` into this process and its children. Ends the program if that file cannot be read."""
    try:
        environment.load(Path(os.environ.get("VAR_DIR", ROOT / "var")))
    except (EnvFileError, OSError) as error:
        sys.exit(f"Cohort cannot start, because of its file of settings:\n  {error}\nNothing was changed.")


def secret_names() -> frozenset[str]:
    """Return the environment variables that may hold a secret: those of every SecretStr, and what makes the first administrator."""
    fields = (
        name.upper() for name, field in Config.model_fields.items() if SecretStr in (field.annotation, *get_args(field.annotation))
    )
    return frozenset({*fields, "ADMIN_PASSWORD"})


def describe_problems(error: ValidationError) -> str:
    """Return one line for each invalid setting, with its name and the error, without its value."""
    return "\n".join(f"  {'.'.join(map(str, problem['loc'])).upper()}: {problem['msg']}" for problem in error.errors())


@lru_cache(maxsize=1)
def config() -> Config:
    """Return the settings. Ends the program with the name of each invalid one."""
    load_environment()
    try:
        return Config()
    except ValidationError as error:
        sys.exit(
            f"Cohort cannot start, because of these settings:\n{describe_problems(error)}\n"
            "Set them in the environment or in $VAR_DIR/env. `make up` writes that file for this machine."
        )
