"""Group's folder in an analysis's bucket, as one member may use it now."""

from dataclasses import dataclass

from control_plane.access.groups.errors import NoCredentials, NotGranted, NotMember
from control_plane.access.groups.models import AccessState, Analysis, Grant, Group, Membership
from control_plane.access.groups.permissions import refuse_ended, refuse_suspended
from control_plane.accounts.models import User
from control_plane.base.config import config
from control_plane.research.storage.addresses import bucket_address, other_addresses
from stacks import names


@dataclass(frozen=True)
class GroupFolder:
    """Access of a member to `s3://<bucket>/<group>/`. `grant` and `membership` are wanted and in force."""

    group: Group
    analysis: Analysis
    membership: Membership
    grant: Grant

    @property
    def bucket(self) -> str:
        """Bucket of the analysis."""
        return self.analysis.bucket

    @property
    def prefix(self) -> str:
        """Prefix of all keys of the group."""
        return f"{self.group.slug}/"

    @property
    def region(self) -> str:
        """Region of the bucket."""
        return self.group.stack.region

    @property
    def is_writable(self) -> bool:
        """True if the group may add and remove files."""
        return self.grant.level == Grant.Level.READ_WRITE

    @property
    def arn(self) -> str:
        """ARN of the bucket."""
        return f"arn:{names.partition(self.region)}:s3:::{self.bucket}"

    @property
    def address(self) -> str:
        """URL of the bucket for browsers."""
        return bucket_address(self.bucket, self.region, _endpoint())

    @property
    def other_addresses(self) -> list[str]:
        """Other URLs of the bucket, which browsers may use beside the first; none where a setting switches them off."""
        return other_addresses(self.bucket, self.region, _endpoint()) if config().s3_other_names else []


def _endpoint() -> str:
    return config().s3_browser_url or config().aws_endpoint_url


def find_group_folder(*, group_slug: str, analysis_slug: str, user: User) -> GroupFolder:
    """Return the folder of this group and analysis for a member. Two queries.

    Raises NotMember if the person is not in the group, or there is no such group (the same, so that nobody learns which
    groups there are); Suspended at once; NotGranted if the group does not have the analysis; NoCredentials while AWS does not
    hold the membership or the grant yet.
    """
    membership = (
        Membership.objects.wanted().select_related("group__stack", "user").filter(group__slug=group_slug, user=user).first()
    )
    if membership is None or not user.is_active:
        raise NotMember(f"You are not in a group called {group_slug!r}. Nothing was changed; ask its manager to add you.")
    refuse_suspended(membership)
    refuse_ended(membership)
    grant = Grant.objects.wanted().select_related("analysis").filter(group=membership.group, analysis__slug=analysis_slug).first()
    if grant is None:
        raise NotGranted(f"{membership.group.name} may not use an analysis {analysis_slug!r}. Ask an administrator to grant it.")
    grant.group = membership.group
    if grant.analysis.unmade_reason:
        raise NoCredentials(f"AWS could not make the bucket of {grant.analysis.name} yet. Ask an administrator of this site.")
    if AccessState.ADDING in (membership.access_state, grant.access_state):
        raise NoCredentials("Your access is still being made on AWS. Nothing was changed; try again in a minute.")
    return GroupFolder(membership.group, grant.analysis, membership, grant)
