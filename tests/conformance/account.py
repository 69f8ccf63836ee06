"""A real account: shown and asked for first, refused where Cohort is, told what it costs, and left as it was found."""

import os
from collections.abc import Callable
from pathlib import Path

from tests.conformance import host, presence, targets
from tests.conformance.journal import Journal
from tests.conformance.report import Run
from tests.conformance.running import JOURNAL, as_line, clean_up, conduct

Ask = Callable[[str], str]
# List prices of us-east-1, November 2026.
SECRET_MONTHLY, HOURS_A_MONTH = 0.40, 730
COSTS = (
    "It costs under a dollar: some thousand requests to S3 (a few cents), and {holders} secrets in Secrets Manager for an hour "
    "(0.40 dollars a month each: about {secrets:.2f}). IAM, STS and CloudFormation are free."
)
HOST_COSTS = (
    "With the host: an instance of t4g.small with its disks and address for an hour (0.03), and a KMS key for a week (0.25)."
)
STAYS = "Nothing stays but what AWS keeps of its own: CloudTrail's events and the record of deleted stacks (90 days)."


class NotBegun(RuntimeError):
    """The person did not agree, or the account is not free. Nothing was begun; the message says why."""


def run(folder: Path, *, with_host: bool = False, domain: str = "", ask: Ask = input, say: Callable[[str], None] = print) -> Run:
    """Ask, remove what an earlier run left, run every step, and remove all that was made. Raises NotBegun."""
    environment = {name: os.environ[name] for name in os.environ if name.startswith("AWS_")}
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or targets.profile_region(environment)
    target = targets.account(environment, region)
    _agree(target, with_host=with_host, ask=ask, say=say)
    folder.mkdir(parents=True, exist_ok=True)
    _finish_earlier(target, folder, say)
    _refuse_sites(target)
    return conduct(target, folder, with_host=with_host, domain=domain, say=say)


def _agree(target: targets.Target, *, with_host: bool, ask: Ask, say: Callable[[str], None]) -> None:
    """Show the account and what a run means, and have its number typed. Raises NotBegun."""
    who = target.client("sts").get_caller_identity()["Arn"]
    say(f"Account {target.account}, region {target.region}, as {who}.")
    say(COSTS.format(holders=target.holders + 8, secrets=(target.holders + 8) * SECRET_MONTHLY / HOURS_A_MONTH))
    say(f"{HOST_COSTS}\n{STAYS}" if with_host else STAYS)
    _typed("Type the account's number to begin: ", target.account, ask)
    if with_host:
        until = host.locked_until()
        say(
            f"--with-host makes a bucket of backups that is locked for {host.LOCK_DAYS} day: what the host writes there stays "
            f"until {until.isoformat()}, whoever wants it gone. Run this again after that day, and it is removed. KMS deletes the "
            f"backups' key after {host.KEY_DAYS} days."
        )
        _typed(f"Type the end of the lock, {until.isoformat()}, to agree to that: ", until.isoformat(), ask)


def _typed(question: str, expected: str, ask: Ask) -> None:
    try:
        said = ask(question).strip()
    except EOFError:
        said = ""
    if said != expected:
        raise NotBegun(f"That is not {expected}. Nothing was begun.")


def _finish_earlier(target: targets.Target, folder: Path, say: Callable[[str], None]) -> None:
    """Remove what a run that was cut off made. Raises NotBegun while something of it cannot be removed."""
    journal = Journal(folder / JOURNAL)
    if journal.header is None:
        return
    if (journal.header.account, journal.header.region) != (target.account, target.region):
        raise NotBegun(
            f"{journal.path} tells of a run in account {journal.header.account}, {journal.header.region}, whose things are not "
            "removed yet. Run this with a profile of that account first. Nothing was begun."
        )
    say(f"A run of {journal.header.began} was cut off, or left something. It is removed first.")
    rows = clean_up(target, journal, say)
    if failed := [as_line(row) for row in rows if row.outcome == "failed"]:
        raise NotBegun("\n".join([*failed, "What is left of the earlier run has to go first. No new one was begun."]))


def _refuse_sites(target: targets.Target) -> None:
    if found := presence.by_name(target):
        listed = "\n".join(f"  {item}" for item in found)
        raise NotBegun(
            f"Account {target.account} has a site of Cohort, or CDK's bootstrap, in {target.region}:\n{listed}\n"
            "Their names are fixed, so that a second one would change them. Use an empty account. Nothing was begun."
        )
