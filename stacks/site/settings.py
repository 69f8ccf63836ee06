"""The settings of one site on AWS, from `site.toml`: the source of its host, its backups and the account's own policies."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stacks import names

ROOT = Path(__file__).resolve().parents[2]
SITE_FILE = ROOT / "site.toml"

BACKUP_STACK = "Cohort-Backup"
HOST_STACK = "Cohort-Host"
# Everything of the host lies under this path; the groups' principals lie under /cohort/.
HOST_PATH = "/cohort-host/"
LOG_GROUP = "/cohort/host"
SETTINGS_SECRET = "cohort-host/settings"  # noqa: S105 - a name, not a secret
VAULT = "cohort"
AUTO_SCALING_GROUP = "cohort-host"

# What CloudWatch Logs can be told to keep (API reference, "PutRetentionPolicy").
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
# AWS Backup's own bounds on how a vault is locked (developer guide, "AWS Backup Vault Lock").
SHORTEST_GRACE_DAYS, LONGEST_DAYS = 3, 36500
# S3 bills an object in Glacier Instant Retrieval for at least 90 days (pricing page), so what ends sooner stays where it is.
COLDEST_MINIMUM_DAYS = 90
# Where not every account has the zones a and b: AWS gives new accounts two of the three zones of us-west-1 and three of the four of
# ap-northeast-1 ("AWS Global Infrastructure", Regions and Availability Zones), and which these are differs between accounts.
ZONES_DIFFER = ("ap-northeast-1", "us-west-1")

Size = Literal["small", "medium"]


class SiteError(ValueError):
    """The site's settings cannot be used. The message names the file, and each setting that is wrong."""


class MachineSize(BaseModel):
    """Instance type and data volume (GiB) of a size."""

    model_config = ConfigDict(frozen=True)

    instance_type: str
    data_gib: int


MACHINES: dict[Size, MachineSize] = {
    "small": MachineSize(instance_type="t4g.small", data_gib=20),
    "medium": MachineSize(instance_type="t4g.large", data_gib=100),
}


class Retention(BaseModel):
    """Retention periods, in days."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    logs: int = Field(default=90, description="Logs of the host, in CloudWatch.")
    daily: int = Field(default=35, ge=7, le=LONGEST_DAYS, description="Daily snapshots of the data volume.")
    monthly: int = Field(default=365, ge=28, le=LONGEST_DAYS, description="Monthly snapshots of the data volume.")
    vault_lock_after: int = Field(
        default=0,
        ge=0,
        le=LONGEST_DAYS,
        description="Days after which nobody, the root user included, can take the vault's lock away; 0: administrators can.",
    )
    database: int = Field(default=400, ge=2, le=LONGEST_DAYS, description="Database backups in the backup bucket.")
    database_lock: int = Field(default=30, ge=1, le=LONGEST_DAYS, description="How long no database backup can be deleted.")
    database_colder: int = Field(default=30, ge=0, le=LONGEST_DAYS, description="When they move to Glacier Instant Retrieval.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.logs not in LOG_DAYS:
            raise ValueError(f"logs = {self.logs}: CloudWatch keeps logs for one of {', '.join(map(str, LOG_DAYS))} days")
        if 0 < self.vault_lock_after < SHORTEST_GRACE_DAYS:
            raise ValueError(f"vault_lock_after is 0 (never) or at least {SHORTEST_GRACE_DAYS}")
        if self.database_lock > self.database:
            raise ValueError("database_lock cannot be longer than database: a locked backup cannot end")
        if self.database < self.database_colder + COLDEST_MINIMUM_DAYS:
            raise ValueError(
                f"database is at least database_colder + {COLDEST_MINIMUM_DAYS}: S3 bills {COLDEST_MINIMUM_DAYS} days "
                "of the colder storage in any case"
            )
        return self


class Site(BaseModel):
    """One site: its account, name and size. An unknown setting is an error, as it is mostly a misspelt one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str = Field(pattern=r"^[0-9]{12}$", description="The AWS account, 12 digits in quotation marks.")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", description="The AWS region, for example us-east-1.")
    domain: str = Field(
        max_length=253,
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$",
        description="The host name that people will use, for example cohort.example.org.",
    )
    email: str = Field(
        max_length=254,
        pattern=r"^[A-Za-z0-9.!#%&'*+/=?^_{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$",
        description="Whom alarms are sent to.",
    )
    size: Size = Field(default="small", description="The machine's size.")
    tls: Literal["certbot", "acm"] = Field(
        default="certbot", description="Certificate by certbot on the host, or by AWS on a load balancer in front of it."
    )
    certificate_arn: str = Field(
        default="",
        pattern=r"^(arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+)?$",
        description="With acm: a certificate that exists. Without, one is made, and the deployment waits for its DNS record.",
    )
    bucket_patterns: tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{2,61}\*?$")], ...] = Field(
        default=("cohort-*",), min_length=1, description="Names of the buckets that groups can ever reach; * at the end alone."
    )
    earlier_versions_days: int | None = Field(
        default=None,
        ge=1,
        le=LONGEST_DAYS,
        description="Days after which what people deleted or replaced in the analysis buckets ends for good; none: it is kept, and "
        "billed, for ever. What shortens it waits for a typed confirmation: `manage.py platform sync` on the host.",
    )
    availability_zones: tuple[str, ...] = Field(
        default=(),
        description="Zones of the host, its data volume (the first) and a load balancer (two). Without, the region's a and b; "
        f"needed in {' and '.join(ZONES_DIFFER)}, where some accounts lack one of these. Never change the first: the data volume "
        "cannot move.",
    )
    data_gib: int = Field(default=0, ge=0, le=16384, description="The data volume's size, if not the machine's own.")
    data_snapshot: str = Field(
        default="",
        pattern=r"^(snap-[0-9a-f]{8,17})?$",
        description="The snapshot that a new data volume is made from; changing it makes a new volume.",
    )
    tags: dict[str, str] = Field(default_factory=dict, description="Further tags of everything that can carry one.")
    retention: Retention = Field(default_factory=Retention)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.availability_zones and self.region in ZONES_DIFFER:
            raise ValueError(
                f"availability_zones must be named in {self.region}: which zones there are differs between accounts. "
                f"`aws ec2 describe-availability-zones --region {self.region}` lists yours. "
                f'A site that exists already keeps its own, ["{self.region}a", "{self.region}b"]'
            )
        if self.availability_zones and not _are_zones(self.availability_zones, self.region):
            raise ValueError(f"availability_zones are two different zones of {self.region}, such as {self.region}a")
        if self.certificate_arn and self.tls != "acm":
            raise ValueError("certificate_arn goes with tls = 'acm'")
        if self.certificate_arn and f":acm:{self.region}:{self.account}:" not in self.certificate_arn:
            raise ValueError(f"certificate_arn lies in another account or region than {self.account}, {self.region}")
        if 0 < self.data_gib < MACHINES[self.size].data_gib:
            raise ValueError(f"data_gib is 0 or at least {MACHINES[self.size].data_gib} with size = '{self.size}'")
        return self

    @property
    def instance_type(self) -> str:
        """The EC2 instance type."""
        return MACHINES[self.size].instance_type

    @property
    def data_volume_gib(self) -> int:
        """The data volume's size in GiB."""
        return self.data_gib or MACHINES[self.size].data_gib

    @property
    def zones(self) -> tuple[str, str]:
        """Availability zones: the first holds the host and its volume, the second is a load balancer's alone."""
        first, second = self.availability_zones or (f"{self.region}a", f"{self.region}b")
        return first, second

    @property
    def boundary_arn(self) -> str:
        """The permissions boundary of the host's own roles, which Cohort-Bootstrap makes."""
        return names.policy_arn(self.account, self.region, names.HOST_BOUNDARY_NAME)

    @property
    def state_bucket(self) -> str:
        """The bucket of published manifests."""
        return names.own_buckets(self.account, self.region)[0]

    @property
    def backup_bucket(self) -> str:
        """The bucket of database backups."""
        return names.own_buckets(self.account, self.region)[1]


def read_site(path: Path = SITE_FILE, *, size: str | None = None) -> Site:
    """Read the site that the TOML file at `path` describes; `size` overrides its own. Raises SiteError."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SiteError(f"There is no {path}. Copy site.example.toml to site.toml and fill it in.") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SiteError(f"{path} cannot be read as TOML: {error}") from error
    if size:
        settings["size"] = size
    return parse_site(settings, source=str(path))


def parse_site(settings: dict[str, Any], *, source: str = "site.toml") -> Site:
    """Return the site of these settings. Raises SiteError, which names every setting that is wrong."""
    try:
        return Site.model_validate(settings)
    except ValidationError as error:
        lines = [f"  {_setting_name(detail['loc'])}{_problem_text(detail['type'], detail['msg'])}" for detail in error.errors()]
        raise SiteError("\n".join((f"{source} cannot be used:", *lines))) from error


def _are_zones(zones: tuple[str, ...], region: str) -> bool:
    pattern = re.compile(re.escape(region) + r"([a-z]|-[a-z0-9-]+[a-z])")
    return len(zones) == len(set(zones)) == 2 and all(pattern.fullmatch(zone) for zone in zones)


def _setting_name(location: tuple[int | str, ...]) -> str:
    return f"{'.'.join(map(str, location))}: " if location else ""


def _problem_text(kind: str, message: str) -> str:
    known = {"missing": "is missing", "extra_forbidden": "there is no such setting"}
    return known.get(kind, message.removeprefix("Value error, "))
