"""CloudFormation's DescribeAccountLimits, which ministack lacks, with the values of a fresh account."""

from typing import Any

from ministack.services.cloudformation import handlers

# CloudFormation user guide, "Understand CloudFormation quotas"; the names are those of the API reference, "AccountLimit".
LIMITS = {"ConcurrentResourcesLimit": 2500, "StackLimit": 2000, "StackOutputsLimit": 200}


def install() -> None:
    """Add the action to ministack's table."""
    handlers._ACTION_HANDLERS["DescribeAccountLimits"] = describe_account_limits


def describe_account_limits(parameters: dict[str, Any]) -> Any:
    """Answer with every limit in one page."""
    members = "".join(f"<member><Name>{name}</Name><Value>{value}</Value></member>" for name, value in LIMITS.items())
    result = f"<DescribeAccountLimitsResult><AccountLimits>{members}</AccountLimits></DescribeAccountLimitsResult>"
    return handlers._xml(200, "DescribeAccountLimitsResponse", result)
