"""More key holders than one CloudFormation stack holds: further ones go into stacks nested in the group's."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stacks import names
from tests.conformance import presence
from tests.conformance.step import Steps
from tests.conformance.tour import GROUP, Tour

STEPS = Steps("Many key holders")
NESTED = "AWS::CloudFormation::Stack"


def people(tour: Tour) -> list[str]:
    """The key holders beside the one who is there already."""
    return [f"holder-{number}@example.org" for number in range(2, tour.target.holders + 1)]


def nested(tour: Tour) -> list[str]:
    """The stacks nested in the group's, with their states."""
    listed = presence.pages(
        tour.target, "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=names.group_stack(GROUP)
    )
    there = [
        resource for resource in listed if resource["ResourceType"] == NESTED and resource["ResourceStatus"] != "DELETE_COMPLETE"
    ]
    return [f"{resource['PhysicalResourceId']} {resource['ResourceStatus']}" for resource in there]


@STEPS.step("A group gets more key holders than one stack holds")
def added(tour: Tour) -> str:
    for email in people(tour):
        tour.front.must("member", "add", GROUP, email, "--access", "keys", "--create")
    tour.settle()
    tour.seen("all users", lambda: len(presence.users_of(tour.target, GROUP)) == tour.target.holders)
    assert len(nested(tour)) == 1
    return f"{tour.target.holders} in stacks of {tour.target.holders_per_stack}"


@STEPS.step("Everybody's key works, also of those in the nested stack")
def all_work(tour: Tour) -> None:
    # Clients may be used by many threads at once, and not be made so (boto3's guide, "Session").
    clients = {email: tour.client("s3", email) for email in people(tour)}

    def write(email: str) -> Any:
        named = {"Bucket": tour.bucket, "Key": f"{GROUP}/inputs/{email}", "Body": b"x"}
        return tour.allowed(lambda: clients[email].put_object(**named))

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(write, clients))) == tour.target.holders - 1


@STEPS.step("They go again, and the nested stack with them; the others' keys work on", "removal of nested stacks")
def removed(tour: Tour) -> None:
    for email in people(tour):
        tour.front.must("member", "remove", GROUP, email)
    tour.settle()
    tour.seen("one user alone", lambda: len(presence.users_of(tour.target, GROUP)) == 1)
    assert not (left := nested(tour)), left
