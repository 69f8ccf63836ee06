"""The end of a group with its data, and of an analysis with its bucket."""

from stacks import names
from tests.conformance import presence
from tests.conformance.asking import ends
from tests.conformance.step import Steps
from tests.conformance.steps.keys import listing
from tests.conformance.tour import ANALYSIS, ELSEWHERE, GROUP, KEYS, OTHER, THEIR_FEDERATED, Tour

STEPS = Steps("Retirement")


@STEPS.step("A group is retired: its access and its data are gone, the other group's stay")
def group(tour: Tour) -> None:
    tour.s3(THEIR_FEDERATED, OTHER)
    asked = ("retire", "ask", OTHER, "--confirm", OTHER, "--data", "delete", "--now", "--wait", "--timeout", "1200")
    done = tour.front.must(*asked)
    assert done["retirement"]["state"] == "done", done
    tour.settle()
    assert presence.left_of_group(tour.target, OTHER) == []
    admin = tour.target.client("s3")
    for bucket in (tour.bucket, tour.elsewhere):
        left = admin.list_object_versions(Bucket=bucket, Prefix=f"{OTHER}/")
        assert not left.get("Versions"), bucket
        assert not left.get("DeleteMarkers"), bucket
    assert admin.list_objects_v2(Bucket=tour.bucket, Prefix=f"{GROUP}/")["KeyCount"]
    tour.allowed(listing(tour, tour.s3(KEYS)))


@STEPS.step("The retired group's credentials reach nothing", "decisions of IAM")
def ended(tour: Tour) -> None:
    s3 = tour.s3(THEIR_FEDERATED, OTHER)
    ends(
        "the retired group's session",
        lambda: s3.list_objects_v2(Bucket=tour.bucket, Prefix=f"{OTHER}/"),
        tour.target.patience,
        tour.target.steady,
    )


@STEPS.step("An analysis that nobody has is retired, and its bucket emptied and deleted", "deletion policies")
def analysis(tour: Tour) -> None:
    tour.target.client("s3").put_object(Bucket=tour.elsewhere, Key="left/behind.txt", Body=b"x")
    asked = (
        "retire_analysis",
        "ask",
        ELSEWHERE,
        "--confirm",
        tour.elsewhere,
        "--bucket",
        "delete",
        "--now",
        "--wait",
        "--timeout",
        "1200",
    )
    done = tour.front.must(*asked)
    assert done["retirement"]["state"] == "done", done
    assert not presence.bucket_is_there(tour.target, tour.elsewhere)
    assert presence.bucket_is_there(tour.target, tour.bucket)


@STEPS.step("The last group's grant is taken back, and it reaches nothing there")
def revoked(tour: Tour) -> None:
    tour.front.must("analysis", "revoke", ANALYSIS, GROUP, "--wait")
    assert presence.stack_state(tour.target, names.group_stack(GROUP)) == "UPDATE_COMPLETE"
