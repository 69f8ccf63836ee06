"""`manage.py platform`: have the storage stacks agree with the settings, and every stack with a new release."""

import sys
from typing import Any

from control_plane.access.groups.services.earlier_versions import Proposal, proposal
from control_plane.access.groups.services.platform_stack import sync_platform
from control_plane.access.groups.services.renewal import renew_all
from control_plane.base.sizes import format_size
from control_plane.deployments.terminal import DeployingCommand
from control_plane.research.storage.earlier_versions import ExpiringVersions, count_expiring, sync_confirmed


class Command(DeployingCommand):
    """The platform from a terminal."""

    help = "Deploy what all groups share: the analysis buckets."

    def add_verbs(self) -> None:
        synced = self.verb("sync", self.sync, "Deploy the platform if the settings or the analyses changed.", deploys=True)
        ways = synced.add_mutually_exclusive_group()
        ways.add_argument(
            "--confirm",
            metavar="TEXT",
            help='Where EARLIER_VERSIONS_DAYS ends earlier versions sooner than now: "end after N days", instead of typing it.',
        )
        ways.add_argument(
            "--keep-earlier-versions",
            action="store_true",
            help="Deploy the rest, and keep earlier versions as long as before where that would have to be confirmed.",
        )
        self.verb("renew", self.renew, "After an upgrade: deploy every stack as the new release makes it.", deploys=True)

    def sync(self, options: dict[str, Any]) -> None:
        wanted, document = proposal(), dict[str, Any]()
        if wanted is None or options["keep_earlier_versions"]:
            deployments = sync_platform(actor=self.actor)
        else:
            found = count_expiring(wanted.buckets, wanted.days, place=wanted.place, tell=self.stderr.write)
            self.stderr.write("\n".join(report(wanted, found)))
            deployments = sync_confirmed(wanted=wanted, counted=found, typed=self._typed(wanted, options), actor=self.actor)
            document = {"earlier_versions": _as_dict(wanted, found)}
        lines = ["The platform is being deployed." if deployments else "The platform is as it should be."]
        if wanted and options["keep_earlier_versions"]:
            lines.append(
                f"Earlier versions are kept as before: EARLIER_VERSIONS_DAYS={wanted.days} would end them sooner, which "
                "`manage.py platform sync` counts first and has you confirm."
            )
        self.follow_all(options, deployments, {"stacks": [one.stack.name for one in deployments]} | document, "\n".join(lines))

    def renew(self, options: dict[str, Any]) -> None:
        deployments = renew_all(actor=self.actor)
        text = f"Stacks that are being deployed as this release makes them: {len(deployments)}."
        self.follow_all(options, deployments, {"stacks": [one.stack.name for one in deployments]}, text)

    def _typed(self, wanted: Proposal, options: dict[str, Any]) -> str:
        """What confirms it: given with the command, or typed at a terminal."""
        if options["confirm"] is not None:
            return str(options["confirm"])
        if not sys.stdin.isatty():
            return ""
        self.stderr.write(f"Type “{wanted.confirmation}” to deploy this, or anything else to leave all as it is: ", ending="")
        self.stderr.flush()
        return sys.stdin.readline()


def report(wanted: Proposal, found: ExpiringVersions) -> list[str]:
    """What the setting will end, in words."""
    many = len(wanted.buckets)
    more = "more than " if found.is_more else ""
    lines = [
        f"EARLIER_VERSIONS_DAYS={wanted.days}: what people delete or replace ends for good {wanted.days} days after that, in "
        f"{many} bucket{'s' if many != 1 else ''}. Nobody can bring it back then.",
        f"S3 keeps there now: {more}{found.objects:,} earlier versions and deleted files, {more}{format_size(found.bytes)}.",
    ]
    if found.oldest is not None:
        lines += [
            f"The oldest was deleted or replaced on {found.oldest:%Y-%m-%d}.",
            f"{more}{found.due_objects:,} of them ({format_size(found.due_bytes)}) are over their days already: S3 ends these "
            "within a day or two. Each of the others follows when its days are over.",
        ]
    return lines


def _as_dict(wanted: Proposal, found: ExpiringVersions) -> dict[str, Any]:
    return {
        "days": wanted.days,
        "buckets": list(wanted.buckets),
        "objects": found.objects,
        "bytes": found.bytes,
        "oldest": found.oldest,
        "due_objects": found.due_objects,
        "due_bytes": found.due_bytes,
        "is_more": found.is_more,
    }
