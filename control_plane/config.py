"""Every setting in one place: its type, its default and what it is for. Read from the environment, then `$VAR_DIR/env`."""

import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from dotenv import load_dotenv
from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

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
    cohort_lease_seconds: int = Field(default=60, ge=5, description="How long a worker's claim holds without a heartbeat.")
    aws_endpoint_url: str = Field(default="", description="Where AWS is, if not where the SDK finds it.")

    @property
    def manifest_store(self) -> str:
        """The manifest store's location."""
        return self.cohort_manifest_store or str(self.var_dir / "manifests")

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_words(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value


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
