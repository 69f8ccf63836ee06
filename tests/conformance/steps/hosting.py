"""The host and its backups: `cdk deploy`, as the operations' page has it. Only with --with-host."""

from tests.conformance import host, presence
from tests.conformance.step import Steps
from tests.conformance.tour import Tour

STEPS = Steps("Host and backups")


@STEPS.step("`cdk deploy Cohort-Backup` makes what is kept")
def backups(tour: Tour) -> None:
    site = host.write_site(tour.target, tour.folder, tour.domain)
    tour.journal.add("host", "what the host's stacks keep")
    for bucket in host.buckets(tour.target):
        tour.journal.add("bucket", bucket)
    for stack in host.stacks():
        tour.journal.add("stack", stack)
    tour.administrator.cdk("deploy", host.stacks()[0], "-c", f"site={site}", "--output", str(tour.folder / "assembly"))
    assert presence.stack_state(tour.target, host.stacks()[0]) == "CREATE_COMPLETE"


@STEPS.step("`cdk deploy Cohort-Host` makes a host that says it is up")
def machine(tour: Tour) -> None:
    site = tour.folder / "site.toml"
    tour.administrator.cdk("deploy", host.stacks()[1], "-c", f"site={site}", "--output", str(tour.folder / "assembly"))
    assert presence.stack_state(tour.target, host.stacks()[1]) == "CREATE_COMPLETE"


@STEPS.step("The bucket of backups refuses to lose a backup before its days are over")
def locked(tour: Tour) -> None:
    _, bucket = host.buckets(tour.target)
    lock = tour.target.client("s3").get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"]["Days"] == host.LOCK_DAYS
