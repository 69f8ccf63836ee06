"""Context of the checks: the site's settings, AWS with the caller's own credentials, and the network."""

import os
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from control_plane.base.config import Config
from control_plane.doctor.findings import CannotLook, NeedsStep
from stacks import names
from stacks.site.host_policies import DEFAULT_PATTERNS
from stacks.site.settings import Site

CONNECT_SECONDS, ANSWER_SECONDS, TRIES = 5, 20, 3
BOTO = BotoConfig(connect_timeout=CONNECT_SECONDS, read_timeout=ANSWER_SECONDS, retries={"total_max_attempts": TRIES})
# For calls about all regions, by partition: a region that no account can disable.
HOMES = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
DENIED = frozenset(
    ["AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "Client.UnauthorizedOperation"]
)
UNSUPPORTED = frozenset(
    ["InvalidAction", "NotImplemented", "UnknownOperation", "UnknownOperationException", "UnsupportedOperation"]
)


@dataclass(frozen=True)
class Caller:
    """Identity of the credentials."""

    account: str
    arn: str

    @property
    def is_root(self) -> bool:
        """True for the account's root user."""
        return self.arn.endswith(":root")


def resolve(host: str) -> frozenset[str]:
    """Return the host's addresses in DNS. Raises OSError."""
    return frozenset(str(address[4][0]) for address in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM))


def certificate_end(host: str) -> datetime:
    """Verify the host's certificate, and return when it expires. Raises ssl.SSLError or OSError."""
    with (
        socket.create_connection((host, 443), CONNECT_SECONDS) as connection,
        ssl.create_default_context().wrap_socket(connection, server_hostname=host) as shown,
    ):
        certificate: Any = shown.getpeercert()
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)


def fetch(url: str) -> tuple[int, bytes]:
    """Return a page's status and body; any status is an answer. Raises OSError."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 (https, of the site's own domain)
            return answer.status, answer.read(100_000)
    except urllib.error.HTTPError as error:
        return error.code, error.read(100_000)


@dataclass
class CheckContext:
    """Context of the checks. `site` is site.toml's; `settings` exist on the host, and wherever a control plane runs."""

    site: Site | None = None
    site_error: str = ""
    settings: Config | None = None
    settings_error: str = ""
    session: Any = field(default_factory=boto3.Session)
    resolve: Callable[[str], frozenset[str]] = resolve
    certificate_end: Callable[[str], datetime] = certificate_end
    fetch: Callable[[str], tuple[int, bytes]] = fetch
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    # How far this machine's clock is ahead of AWS's, in seconds; None before AWS answered.
    clock_ahead: float | None = None
    _caller: Caller | CannotLook | None = None
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    @property
    def endpoint(self) -> str | None:
        """AWS_ENDPOINT_URL, or None."""
        return os.environ.get("AWS_ENDPOINT_URL") or None

    @property
    def region(self) -> str:
        """The site's region. Raises NeedsStep if none is known yet."""
        if known := self.site.region if self.site else self.settings.cohort_region if self.settings else self.session.region_name:
            return str(known)
        raise NeedsStep(1, "no region is known", "Set AWS_REGION, or `region` in site.toml.")

    @property
    def account(self) -> str:
        """The site's account, or else the caller's. Raises CannotLook."""
        if self.site:
            return self.site.account
        if self.settings:
            return self.settings.cohort_account
        try:
            return self.caller().account
        except CannotLook as error:
            raise CannotLook(str(error), "See “Credentials”.") from error

    @property
    def patterns(self) -> tuple[str, ...]:
        """Name patterns of the buckets that groups can reach, for the deployment of Cohort-Bootstrap."""
        return self.site.bucket_patterns if self.site else self.settings.bucket_patterns if self.settings else DEFAULT_PATTERNS

    @property
    def domain(self) -> str:
        """The site's host name. Raises NeedsStep."""
        if self.site:
            return self.site.domain
        if self.settings and (host := urlsplit(self.settings.site_url).hostname):
            return host
        if self.site_error:
            raise CannotLook("site.toml cannot be used", "See “Settings of the site”.")
        raise NeedsStep(1, "no site.toml says the domain")

    @property
    def origin(self) -> str:
        """The web origin of the site's pages. Raises NeedsStep."""
        if self.settings and not self.site:
            return self.settings.site_url.rstrip("/")
        return f"https://{self.domain}"

    def require_site(self) -> Site:
        """Return site.toml's settings. Raises NeedsStep, or CannotLook on the host, which has no such file."""
        if self.site:
            return self.site
        if self.site_error:
            raise CannotLook("site.toml cannot be used", "See “Settings of the site”.")
        if self.settings:
            raise CannotLook("there is no site.toml here", "Run it in the checkout that you deploy from.")
        raise NeedsStep(1, "there is no site.toml")

    def require_settings(self) -> Config:
        """Return the control plane's settings. Raises NeedsStep if there are none, as before there is a host."""
        if self.settings:
            return self.settings
        raise NeedsStep(5, "is looked at on the host", "On the host: sudo cohort doctor")

    def caller(self) -> Caller:
        """Return the identity of the credentials; AWS is asked once. Raises CannotLook."""
        if self._caller is None:
            self._caller = self._ask_caller()
        if isinstance(self._caller, CannotLook):
            raise self._caller
        return self._caller

    def aws(self, service: str, region: str | None = None) -> Any:
        """Return a client, by default for the site's region. Raises CannotLook without credentials, or with another account's."""
        try:
            caller = self.caller()
        except CannotLook as error:
            raise CannotLook(str(error), "See “Credentials”.") from error
        if caller.account != self.account:
            raise CannotLook(f"the credentials are of another account than {self.account}", "See “Credentials”.")
        return self.client(service, region or self.region)

    def client(self, service: str, region: str) -> Any:
        """Return a client, which is made once for each service and region."""
        key = service, region
        if key not in self._clients:
            self._clients[key] = self.session.client(service, region_name=region, endpoint_url=self.endpoint, config=BOTO)
        return self._clients[key]

    def home(self) -> str:
        """Return the region of this partition that no account can disable."""
        try:
            return HOMES[names.partition(self.region)]
        except NeedsStep:
            return HOMES["aws"]

    def _ask_caller(self) -> Caller | CannotLook:
        try:
            answer = self.client("sts", self.home()).get_caller_identity()
        except NoCredentialsError:
            return CannotLook(
                "there are no credentials", "Set AWS_PROFILE (aws configure sso, or aws configure), then run it again."
            )
        except ClientError as error:
            self._note_clock(error.response)
            return CannotLook(
                f"AWS does not take these credentials: {error_code(error)}", "Sign in again, or set another AWS_PROFILE."
            )
        except BotoCoreError as error:
            return CannotLook(describe_failure(error), "Check the network, AWS_PROFILE and AWS_REGION, then run it again.")
        self._note_clock(answer)
        return Caller(str(answer["Account"]), str(answer["Arn"]))

    def _note_clock(self, answer: Any) -> None:
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date:
            self.clock_ahead = (self.now() - parsedate_to_datetime(date)).total_seconds()


def error_code(error: ClientError) -> str:
    """Return AWS's error code."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def is_absent(error: ClientError) -> bool:
    """Check whether the error says that the resource does not exist."""
    message = str(error.response.get("Error", {}).get("Message", ""))
    return error_code(error) in ("NoSuchEntity", "ParameterNotFound", "ResourceNotFoundException") or "does not exist" in message


def describe_failure(error: Exception) -> str:
    """Return in a few words why the call failed. Shows codes and names of operations only, so no secret."""
    if isinstance(error, ClientError):
        code, asked = error_code(error), error.operation_name
        if code in DENIED:
            return f"these credentials may not call {asked}"
        if code in UNSUPPORTED or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 501:
            return f"this AWS does not know {asked}"
        return f"{asked} was refused: {code}"
    return f"AWS did not answer: {' '.join(str(error).split())}"
