"""DescribeInstanceTypeOfferings, which ministack lacks: every zone of the region has the types that Cohort's hosts are of.

EC2 API reference, "DescribeInstanceTypeOfferings".
"""

from typing import Any

from ministack.core.responses import get_region
from ministack.services import ec2

TYPES = ("t4g.large", "t4g.small")
# Those that ministack's DescribeAvailabilityZones tells of.
ZONES = "abc"


def install() -> None:
    """Add the action to ministack's table."""
    ec2._ACTION_MAP["DescribeInstanceTypeOfferings"] = describe_instance_type_offerings


def describe_instance_type_offerings(parameters: dict[str, Any]) -> Any:
    """Answer by zone, and otherwise for the region as a whole; filters other than type and location are ignored."""
    filters = ec2._parse_filters(parameters)
    by_zone = ec2._p(parameters, "LocationType") == "availability-zone"
    places = [f"{get_region()}{letter}" for letter in ZONES] if by_zone else [get_region()]
    items = "".join(
        f"<item><instanceType>{kind}</instanceType><locationType>{'availability-zone' if by_zone else 'region'}</locationType>"
        f"<location>{place}</location></item>"
        for kind in TYPES
        for place in places
        if kind in filters.get("instance-type", TYPES) and place in filters.get("location", places)
    )
    return ec2._xml(200, "DescribeInstanceTypeOfferingsResponse", f"<instanceTypeOfferingSet>{items}</instanceTypeOfferingSet>")
