"""Text that a member copies to their own computer: an AWS profile, and commands for three programs."""

from dataclasses import dataclass

from control_plane.access.groups.models import Analysis, Grant, Group
from control_plane.access.groups.services.credentials import Credentials
from control_plane.base.config import config
from stacks import names

HELPER = "cohort_credentials.py"


@dataclass(frozen=True)
class Setup:
    """Set-up of a computer for a group: an AWS profile whose `credential_process` runs the helper."""

    group: Group
    download: str

    @property
    def profile(self) -> str:
        """Name of the AWS profile."""
        return f"cohort-{self.group.slug}"

    @property
    def region(self) -> str:
        """Region of the buckets."""
        return self.group.stack.region

    @property
    def endpoint(self) -> str:
        """Endpoint URL of S3, if not on AWS; otherwise empty."""
        return config().aws_endpoint_url

    @property
    def fetch(self) -> str:
        """Command that downloads the helper, on macOS and Linux."""
        return f'curl -fsSo "$HOME/{HELPER}" {self.download}'

    @property
    def fetch_windows(self) -> str:
        """Command that downloads the helper, in PowerShell."""
        return f'Invoke-WebRequest {self.download} -OutFile "$HOME\\{HELPER}"'

    @property
    def login(self) -> str:
        """Command that signs the computer in, on macOS and Linux."""
        return f'python3 "$HOME/{HELPER}" login {self._which}'

    @property
    def login_windows(self) -> str:
        """Command that signs the computer in, in PowerShell."""
        return f'py "$HOME\\{HELPER}" login {self._which}'

    @property
    def aws_config(self) -> str:
        """Profile for ~/.aws/config on macOS and Linux. It starts a shell itself, as not every program runs the process in one."""
        return self._aws_config(f"sh -c 'exec python3 \"$HOME/{HELPER}\" get {self._which}'")

    @property
    def aws_config_windows(self) -> str:
        """Profile for ~/.aws/config on Windows."""
        return self._aws_config(f'cmd /C py "%USERPROFILE%\\{HELPER}" get {self._which}')

    @property
    def rclone_config(self) -> str:
        """Remote for rclone that takes its credentials from the profile."""
        lines = [f"[{self.profile}]", "type = s3", f"provider = {'Other' if self.endpoint else 'AWS'}", "env_auth = true"]
        lines += [f"profile = {self.profile}", f"region = {self.region}", "no_check_bucket = true"]
        if self.endpoint:
            lines += [f"endpoint = {self.endpoint}", "force_path_style = true"]
        return "\n".join(lines)

    @property
    def cyberduck_server(self) -> str:
        """Server name for Cyberduck."""
        return self.endpoint or f"s3.{self.region}.{names.dns_suffix(self.region)}"

    @property
    def _which(self) -> str:
        return f"--site {config().site_url} --group {self.group.slug}"

    def _aws_config(self, process: str) -> str:
        lines = [f"[profile {self.profile}]", f"region = {self.region}", f"credential_process = {process}"]
        return "\n".join(lines + ([f"endpoint_url = {self.endpoint}"] if self.endpoint else []))


@dataclass(frozen=True)
class Commands:
    """Commands for one analysis."""

    setup: Setup
    analysis: Analysis
    is_writable: bool

    @classmethod
    def for_grant(cls, setup: Setup, grant: Grant) -> "Commands":
        """Return the commands that this grant allows."""
        return cls(setup, grant.analysis, grant.level == Grant.Level.READ_WRITE)

    @property
    def folder(self) -> str:
        """Folder of the group, with the bucket's name."""
        return f"{self.analysis.bucket}/{self.setup.group.slug}"

    @property
    def aws(self) -> str:
        """Commands for the AWS CLI."""
        up = [f"aws s3 cp my-file.csv s3://{self.folder}/inputs/", f"aws s3 sync my-folder s3://{self.folder}/inputs/my-folder/"]
        up.append(f"aws s3 mv s3://{self.folder}/inputs/my-file.csv s3://{self.folder}/inputs/day-1/my-file.csv")
        down = [f"aws s3 ls s3://{self.folder}/", f"aws s3 sync s3://{self.folder}/results/ results"]
        return "\n".join(f"{line} --profile {self.setup.profile}" for line in (up if self.is_writable else []) + down)

    @property
    def rclone(self) -> str:
        """Commands for rclone."""
        remote = f"{self.setup.profile}:{self.folder}"
        up = [
            f"rclone copy my-folder {remote}/inputs/my-folder/ --progress",
            f"rclone copy my-file.csv {remote}/inputs/ --no-check-dest",
            f"rclone moveto {remote}/inputs/my-file.csv {remote}/inputs/day-1/my-file.csv --no-check-dest",
        ]
        down = [f"rclone lsf {remote}/", f"rclone copy {remote}/results/ results --progress"]
        return "\n".join((up if self.is_writable else []) + down)


def as_shell(credentials: Credentials, setup: Setup) -> str:
    """Return lines for bash and zsh that set the credentials for one terminal."""
    return "\n".join(f"export {name}='{value}'" for name, value in _variables(credentials, setup))


def as_powershell(credentials: Credentials, setup: Setup) -> str:
    """Return lines for PowerShell that set the credentials for one terminal."""
    return "\n".join(f"$Env:{name} = '{value}'" for name, value in _variables(credentials, setup))


def as_profile(credentials: Credentials, setup: Setup, name: str) -> str:
    """Return a profile for ~/.aws/credentials that holds the credentials themselves."""
    lines = [f"[{name}]", f"aws_access_key_id = {credentials.access_key_id}"]
    lines.append(f"aws_secret_access_key = {credentials.secret_access_key}")
    if credentials.session_token:
        lines.append(f"aws_session_token = {credentials.session_token}")
    lines.append(f"region = {setup.region}")
    return "\n".join(lines + ([f"endpoint_url = {setup.endpoint}"] if setup.endpoint else []))


def _variables(credentials: Credentials, setup: Setup) -> list[tuple[str, str]]:
    pairs = [("AWS_ACCESS_KEY_ID", credentials.access_key_id), ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key)]
    if credentials.session_token:
        pairs.append(("AWS_SESSION_TOKEN", credentials.session_token))
    pairs.append(("AWS_DEFAULT_REGION", setup.region))
    return pairs + ([("AWS_ENDPOINT_URL", setup.endpoint)] if setup.endpoint else [])
