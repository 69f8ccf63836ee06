"""`manage.py review`: who can reach what, as AWS holds it; looking now; and signing."""

from typing import Any

from control_plane.deployments.cloudformation import AwsFailure
from control_plane.groups.errors import GroupsError
from control_plane.groups.models import Group
from control_plane.groups.services.groups import find_group
from control_plane.review import listing
from control_plane.review.export import csv_lines
from control_plane.review.looking import look, look_outside
from control_plane.review.models import Look
from control_plane.review.signing import NotSignable, sign_off, states
from control_plane.terminal import VerbCommand, table


class Command(VerbCommand):
    """The access review from a terminal."""

    help = "Look at what AWS holds, list who can reach what, and sign it."

    def add_verbs(self) -> None:
        looking = self.verb("look", self.look, "Ask AWS now; workers do so daily and after deployments.")
        looking.add_argument("group", nargs="?", default="", metavar="slug", help="This group alone.")
        showing = self.verb("list", self.list, "List who can reach what.")
        showing.add_argument("--group", default="", metavar="slug", help="In this group alone.")
        showing.add_argument("--by", default="person", choices=list(listing.ORDERS), help="What the lines stand together by.")
        showing.add_argument("--search", default="", help="Words of a person, group or bucket.")
        showing.add_argument("--differences", action="store_true", help="What differs from the database alone.")
        showing.add_argument("--csv", action="store_true", help="As CSV.")
        self.verb("due", self.due, "List every group's last sign-off, longest overdue first.")
        signing = self.verb("sign", self.sign, "Sign what AWS was last seen to hold.")
        signing.add_argument("group", metavar="slug")
        signing.add_argument("--note", default="", help="Kept with your name.")

    def look(self, options: dict[str, Any]) -> None:
        groups = [find_group(options["group"])] if options["group"] else list(Group.objects.filter(retired_at=None))
        told, failed = {}, {}
        for group in groups:
            try:
                look(group)
                told[group.slug] = listing.counts(group)
            except (AwsFailure, GroupsError) as error:
                failed[group.slug] = str(error)
        if not options["group"]:
            try:
                told[""] = {"findings": look_outside().findings.count()}
            except AwsFailure as error:
                failed[""] = str(error)
        text = [f"{slug or 'outside every group'}: {_counted(counts)}" for slug, counts in told.items()]
        text += [f"{slug or 'outside every group'}: not known. {error}" for slug, error in failed.items()]
        self.show(options, {"looked": told, "failed": failed}, "\n".join(text))
        if failed:
            raise SystemExit(1)

    def list(self, options: dict[str, Any]) -> None:
        group = find_group(options["group"]) if options["group"] else None
        asked = {"by": options["by"], "search": options["search"], "only_differences": options["differences"]}
        lines, findings = listing.lines(group=group, **asked), listing.findings(group)
        if options["csv"]:
            self.stdout.write("".join(csv_lines(lines, findings)), ending="")
            return
        shown = [_as_dict(one) for one in listing.shown(list(lines), options["by"])]
        strange = [
            {
                "kind": one.kind,
                "group": one.look.group.slug if one.look.group else None,
                "email": one.membership.user.email if one.membership else None,
                "principal": one.principal,
                "detail": one.detail,
            }
            for one in findings
        ]
        rows = [
            [one["email"] or "?", one["group"], one["bucket"] or "-", one["rights"], ", ".join(one["marks"]) or "-"]
            for one in shown
        ]
        text = [table(rows, ["PERSON", "GROUP", "BUCKET", "MAY", "COMPARED"])]
        text += [f"{one['kind']}: {one['principal']} ({one['group'] or 'no group'}). {one['detail']}" for one in strange]
        self.show(options, {"lines": shown, "findings": strange}, "\n".join(text))

    def due(self, options: dict[str, Any]) -> None:
        found = [
            {"group": one.slug, "is_due": one.is_due, "signed_at": one.signed_at, "signed_by": one.signed_by} for one in states()
        ]
        rows = [
            [one["group"], "due" if one["is_due"] else "-", f"{one['signed_at'] or 'never':.10}", one["signed_by"] or "-"]
            for one in ({**two, "signed_at": str(two["signed_at"] or "never")} for two in found)
        ]
        self.show(options, found, table(rows, ["GROUP", "STATE", "SIGNED", "BY"]))

    def sign(self, options: dict[str, Any]) -> None:
        group = find_group(options["group"])
        seen = Look.objects.filter(group=group).first()
        if seen is None or seen.finished_at is None:
            raise NotSignable(f"Nothing was signed. AWS was not looked at yet; run `manage.py review look {group.slug}` first.")
        signed = sign_off(group=group, actor=self.actor, looked_at=seen.finished_at, note=options["note"])
        document = {"group": group.slug, "at": signed.at, "counts": signed.counts, "differences": signed.differences}
        self.show(options, document, f"Signed for {group.name}: {_counted(signed.counts)}")


def _as_dict(one: listing.Shown) -> dict[str, Any]:
    line = one.line
    return {
        "email": line.membership.user.email if line.membership else None,
        "group": line.group.slug,
        "principal": line.principal,
        "bucket": line.bucket,
        "prefix": line.prefix,
        "rights": line.rights,
        "write_to": line.write_to,
        "since": one.since,
        "granted_by": one.granted_by,
        "last_used_at": one.last_used_at,
        "marks": line.marks,
        "differs": line.differs,
    }


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items())
