"""Definitions of the quotas: titles, AWS's names of their figures, and advice before one is exceeded.

IAM tells its own by GetAccountSummary, CloudFormation by DescribeAccountLimits (their API references).
"""

from dataclasses import dataclass

from control_plane.base.config import config

ASK_AWS = "ask AWS for a higher quota (Service Quotas in its console)"


@dataclass(frozen=True)
class Quota:
    """A quota of an account. `used` and `limit` are AWS's names of its figures; without `used`, AWS tells only the limit."""

    name: str
    title: str
    limit: str
    used: str = ""
    setting: str = ""
    advice: str = ""

    @property
    def is_regional(self) -> bool:
        """True if AWS counts it in each region separately."""
        return self.name.startswith("cloudformation")

    @property
    def override(self) -> int | None:
        """The limit from the settings, or None."""
        return getattr(config(), self.setting) if self.setting else None


USERS, GROUPS, ROLES, POLICIES, STACKS = "iam-users", "iam-groups", "iam-roles", "iam-policies", "cloudformation-stacks"
PER_PRINCIPAL, CHARACTERS = "iam-policies-per-role", "iam-policy-characters"
QUOTAS = (
    Quota(USERS, "IAM users", "UsersQuota", "Users", "quota_iam_users", "Make members federated, who need none; or"),
    Quota(GROUPS, "IAM groups", "GroupsQuota", "Groups", "quota_iam_groups", "Make a group's members federated; or"),
    Quota(ROLES, "IAM roles", "RolesQuota", "Roles", "quota_iam_roles", "Remove groups or roles that nobody uses; or"),
    Quota(POLICIES, "Managed policies", "PoliciesQuota", "Policies", "quota_iam_policies", "Revoke analyses that nobody uses; or"),
    Quota(
        STACKS,
        "CloudFormation stacks",
        "StackLimit",
        "Stacks",
        "quota_cloudformation_stacks",
        "Remove groups or stacks that nobody uses; or",
    ),
    Quota(PER_PRINCIPAL, "Managed policies of one role", "AttachedPoliciesPerRoleQuota", advice="Revoke some of its analyses; or"),
    Quota(CHARACTERS, "Characters of a managed policy", "PolicySizeQuota", advice="Revoke some of its analyses; or"),
)
BY_NAME = {quota.name: quota for quota in QUOTAS}
