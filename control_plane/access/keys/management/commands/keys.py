"""`manage.py keys`: list members' access keys with their age and last use, and check them with IAM."""

from typing import Any

from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services.groups import find_group
from control_plane.access.keys.checking import check_group
from control_plane.access.keys.listing import unused_keys
from control_plane.access.keys.models import KeyUse
from control_plane.access.keys.schedule import delete_ended_key_uses
from control_plane.base.aws import AwsFailure
from control_plane.base.terminal import VerbCommand, table


class Command(VerbCommand):
    """Members' access keys from a terminal. Replacing them: `member rotate`, `group rotate-keys`."""

    help = "List members' access keys, with their age and last use."

    def add_verbs(self) -> None:
        listing = self.verb("list", self.list, "List the access keys as IAM last told of them, never used ones first.")
        listing.add_argument("--group", default="", metavar="slug", help="Those of this group alone.")
        listing.add_argument("--unused-days", type=int, default=None, metavar="N", help="Those not used for N days alone.")
        check = self.verb("check", self.ask, "Ask IAM now; workers do so about daily.")
        check.add_argument("--group", default="", metavar="slug", help="About this group alone.")

    def list(self, options: dict[str, Any]) -> None:
        group = find_group(options["group"]) if options["group"] else None
        days = options["unused_days"]
        if days is not None and days < 0:
            self.refuse("--unused-days is a number of days, from 0. Nothing was listed.", options)
        if days is not None:
            keys = unused_keys(group=group, days=days)
        else:
            keys = KeyUse.objects.of_members().select_related("membership__group", "membership__user")
            keys = keys.filter(membership__group=group) if group else keys
        documents = [_as_dict(use) for use in keys]
        rows = [
            [
                document["group"],
                document["email"],
                document["access_key_id"],
                document["state"],
                _day(document["made_at"]),
                *_use(document),
            ]
            for document in documents
        ]
        self.show(options, documents, table(rows, ["GROUP", "MEMBER", "KEY", "STATE", "MADE", "LAST USED", "FOR"]))

    def ask(self, options: dict[str, Any]) -> None:
        holders = Membership.objects.wanted().filter(access=Access.KEYS)
        groups = [find_group(options["group"])] if options["group"] else Group.objects.filter(pk__in=holders.values("group"))
        delete_ended_key_uses()
        counted, failed = {}, {}
        for group in groups:
            try:
                counted[group.slug] = check_group(group)
            except AwsFailure as error:
                failed[group.slug] = str(error)
        text = [f"{slug}: {count} keys" for slug, count in counted.items()]
        text += [f"{slug}: not known. {error}" for slug, error in failed.items()]
        self.show(options, {"keys": counted, "failed": failed}, "\n".join(text) or "Nobody holds an access key.")
        if failed:
            raise SystemExit(1)


def _as_dict(use: KeyUse) -> dict[str, Any]:
    membership = use.membership
    return {
        "group": membership.group.slug,
        "email": membership.user.email,
        "username": membership.username,
        "access_key_id": use.access_key_id,
        "serial": use.serial,
        "is_present": use.serial == membership.key_serial,
        "state": "active" if use.is_active else "inactive",
        "made_at": use.made_at.isoformat(),
        "last_used_at": use.last_used_at.isoformat() if use.last_used_at else None,
        "last_service": use.last_service,
        "checked_at": use.checked_at.isoformat(),
    }


def _use(document: dict[str, Any]) -> list[str]:
    return [_day(document["last_used_at"]), document["last_service"]]


def _day(moment: str | None) -> str:
    """Return the date of an ISO timestamp, or `never`."""
    return moment.partition("T")[0] if moment else "never"
