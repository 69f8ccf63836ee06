"""`manage.py doctor`: quotas, zones, the machine's type, the snapshot of a restore, and stacks left half done."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control_plane.doctor.findings import State
from tests.control_plane.doctor_context import ABSENT, Answer, all_of, context, findings, one, stack, stacks
from tests.stacks.builders import site

EARLY = datetime(2026, 1, 1, tzinfo=UTC)
SUMMARY = dict.fromkeys(("Roles", "Policies", "Groups", "Users"), 3)
SUMMARY |= {"RolesQuota": 1000, "PoliciesQuota": 1500, "GroupsQuota": 300, "UsersQuota": 5000}


def room(stacks_used: int = 4, **summary: int) -> dict[str, Answer]:
    return {
        "GetAccountSummary": {"SummaryMap": SUMMARY | summary},
        "DescribeAccountLimits": {"AccountLimits": [{"Name": "StackLimit", "Value": 2000}]},
        "ListStacks": {"StackSummaries": [summarised(f"s{number}") for number in range(stacks_used)]},
    }


def summarised(name: str, status: str = "CREATE_COMPLETE", **more: Any) -> dict[str, Any]:
    return {"StackName": name, "CreationTime": EARLY, "StackStatus": status, **more}


def test_room_in_the_account_is_told_with_its_figures() -> None:
    found = one("quotas", context(room()))
    assert found.state is State.OK
    assert "IAM roles 3 of 1000" in found.seen
    assert "CloudFormation stacks 4 of 2000" in found.seen


@pytest.mark.parametrize(
    ("answers", "seen"),
    [
        (room(Roles=995), "IAM roles: 995 of 1000"),
        (room(Policies=1350), "IAM policies: 1350 of 1500"),
        (room(stacks_used=1990), "CloudFormation stacks: 1990 of 2000"),
    ],
)
def test_a_quota_that_is_nearly_full_is_to_be_raised(answers: dict[str, Answer], seen: str) -> None:
    found = one("quotas", context(answers))
    assert (found.state, found.seen) == (State.TO_DO, seen)
    assert "Service Quotas" in found.advice


def network(held: int, quota: Any, known: Any) -> dict[str, Answer]:
    return {
        "DescribeAddresses": {"Addresses": [{"PublicIp": f"192.0.2.{number}"} for number in range(held)]},
        "DescribeVpcs": {"Vpcs": [{"VpcId": f"vpc-{number}"} for number in range(held)]},
        "GetServiceQuota": quota,
        "DescribeStacks": known,
    }


QUOTA = {"Quota": {"Value": 5.0}}


def test_a_region_without_room_for_an_address_or_a_network_is_said() -> None:
    assert [state for state, _ in all_of("addresses", context(network(4, QUOTA, stacks())))] == ["ok", "ok"]
    assert [state for state, _ in all_of("addresses", context(network(5, QUOTA, stacks())))] == ["to do", "to do"]


def test_a_full_region_that_holds_the_site_already_needs_no_more() -> None:
    place = context(network(5, QUOTA, stacks(Cohort_Backup=stack(), Cohort_Host=stack())))
    assert [state for state, _ in all_of("addresses", place)] == ["ok", "ok"]


def test_quotas_that_aws_does_not_tell_are_not_taken_for_room() -> None:
    found = findings("addresses", context(network(5, "AccessDeniedException: no", stacks())))
    assert [row.state for row in found] == [State.UNKNOWN, State.UNKNOWN]
    assert "5 are in use" in found[0].seen


def region(zones: str = "abc", offered: str = "abc", state: str = "available") -> dict[str, Answer]:
    return {
        "DescribeAvailabilityZones": {
            "AvailabilityZones": [
                {"ZoneName": f"us-east-1{letter}", "State": state, "ZoneType": "availability-zone"} for letter in zones
            ]
        },
        "DescribeInstanceTypeOfferings": {
            "InstanceTypeOfferings": [{"InstanceType": "t4g.small", "Location": f"us-east-1{letter}"} for letter in offered]
        },
    }


def test_zones_that_are_there_and_have_the_machine_are_ready() -> None:
    assert one("zones", context(region())).seen == "us-east-1a; t4g.small is offered in us-east-1a"


def test_a_zone_that_the_account_does_not_have_is_told_with_those_that_it_has() -> None:
    found = one("zones", context(region(zones="bc")))
    assert (found.state, found.seen) == (State.TO_DO, "us-east-1a not in this account, which has us-east-1b, us-east-1c")
    assert "availability_zones" in found.advice
    assert one("zones", context(region(state="impaired"))).state is State.TO_DO


def test_the_second_zone_counts_where_there_is_a_load_balancer() -> None:
    assert one("zones", context(region(zones="ac"))).state is State.OK
    assert one("zones", context(region(zones="ac"), own=site(tls="acm"))).state is State.TO_DO


def test_a_zone_without_the_machine_is_told_with_those_that_have_it() -> None:
    found = one("zones", context(region(offered="bc")))
    assert found.state is State.TO_DO
    assert "in us-east-1a, but in us-east-1b, us-east-1c" in found.seen


def snapshot(**fields: Any) -> dict[str, Answer]:
    tags = [{"Key": "project", "Value": "cohort"}]
    return {"DescribeSnapshots": {"Snapshots": [{"State": "completed", "VolumeSize": 20, "Tags": tags} | fields]}}


RESTORED = site(data_snapshot="snap-0123456789abcdef0")


@pytest.mark.parametrize(
    ("answers", "state", "word"),
    [
        (snapshot(), State.OK, "completed"),
        (snapshot(Tags=[]), State.TO_DO, "no tag project = cohort"),
        (snapshot(State="pending"), State.TO_DO, "pending"),
        (snapshot(VolumeSize=100), State.TO_DO, "100 GiB"),
        ({"DescribeSnapshots": "InvalidSnapshot.NotFound: no"}, State.TO_DO, "not in us-east-1"),
    ],
)
def test_a_snapshot_has_to_be_one_that_cloudformation_may_restore(answers: dict[str, Answer], state: State, word: str) -> None:
    found = one("snapshot", context(answers, own=RESTORED))
    assert found.state is state
    assert word in found.seen


def listed(*more: dict[str, Any], host: Any = ABSENT) -> dict[str, Answer]:
    theirs = summarised("theirs", "CREATE_FAILED")
    return {
        "ListStacks": {"StackSummaries": [summarised("Group-a"), summarised("Cohort-Storage"), theirs, *more]},
        "DescribeStacks": host,
    }


def test_stacks_that_were_left_half_done_are_named() -> None:
    assert one("group-stacks", context(listed())).seen == "2 are whole"
    found = one("group-stacks", context(listed(summarised("Group-b", "UPDATE_ROLLBACK_FAILED"))))
    assert (found.state, found.seen) == (State.TO_DO, "Group-b (UPDATE_ROLLBACK_FAILED)")
    assert one("group-stacks", context({"ListStacks": {"StackSummaries": []}})).step == 5


def test_stacks_that_an_older_release_deployed_last_are_counted() -> None:
    host = stack("UPDATE_COMPLETE")
    host["Stacks"][0] |= {"CreationTime": EARLY, "LastUpdatedTime": EARLY + timedelta(days=2)}
    since = summarised("Group-b", LastUpdatedTime=EARLY + timedelta(days=3))
    found = one("group-stacks", context(listed(since, host=host)))
    assert found.state is State.OK
    assert "3 are whole; 2 last deployed before the host's present version" in found.seen
    assert "platform renew" in found.seen


@pytest.mark.parametrize(
    ("described", "state"),
    [
        (stacks(Cohort_Host=stack("UPDATE_COMPLETE")), State.OK),
        (stacks(Cohort_Host=stack("UPDATE_IN_PROGRESS")), State.TO_DO),
        (stacks(Cohort_Host=stack("ROLLBACK_FAILED")), State.TO_DO),
        (stacks(), State.NOT_YET),
        ("AccessDenied: no", State.UNKNOWN),
    ],
)
def test_the_host_s_stack_is_looked_at(described: Any, state: State) -> None:
    assert one("host-stack", context({"DescribeStacks": described})).state is state
