"""`manage.py review`: who can reach what, as AWS holds it; looking now; and signing."""

from argparse import ArgumentParser
from typing import Any

from control_plane.access.groups.models import Group
from control_plane.access.groups.services.groups import find_group
from control_plane.access.review import listing
from control_plane.access.review.deciding import find_unmanaged, members, outlook, remove, take_over
from control_plane.access.review.export import csv_lines
from control_plane.access.review.models import Look, UnmanagedResource
from control_plane.access.review.scan import look, look_outside
from control_plane.access.review.sign_off import NotSignable, sign_off, states
from control_plane.base.aws import AwsFailure
from control_plane.base.errors import InvalidName, Refused
from control_plane.base.terminal import table
from control_plane.deployments.models import Deployment
from control_plane.deployments.terminal import DeployingCommand


class Command(DeployingCommand):
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
        self.verb("unmanaged", self.unmanaged, "List what AWS holds under our names and the database does not know.")
        taking = self.verb("take-over", self.take_over, "Make the group or analyses of such a stack known again.", deploys=True)
        _which(taking)
        taking.add_argument("--name", default="", help="What a group is called that is not known here (default: its slug).")
        taking.add_argument(
            "--person", action="append", default=[], metavar="USERNAME=E-MAIL", help="Who a member is; who has none is removed."
        )
        _which(self.verb("remove", self.remove, "Have such a thing removed from AWS.", deploys=True))
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
            except (AwsFailure, Refused) as error:
                failed[group.slug] = str(error)
        if not options["group"]:
            try:
                look_outside()
                told[""] = {"waiting_for_a_decision": listing.unmanaged().count()}
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
            self.stdout.write("".join(csv_lines(lines, findings, None if group else listing.unmanaged())), ending="")
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
        waiting = [] if group else [_waiting(one) for one in listing.unmanaged()]
        text += [_waiting_text(one) for one in waiting]
        self.show(options, {"lines": shown, "findings": strange, "unmanaged": waiting}, "\n".join(text))

    def unmanaged(self, options: dict[str, Any]) -> None:
        waiting = [_waiting(one) for one in listing.unmanaged()]
        newer = [{"name": one.name, "generation": one.generation, "on_aws": one.newer_generation} for one in listing.newer_stacks()]
        text = [_waiting_text(one) for one in waiting]
        text += [f"{one['name']} was changed after the backup: `manage.py stack show {one['name']}`" for one in newer]
        self.show(options, {"unmanaged": waiting, "newer": newer}, "\n".join(text) or "Nothing waits for a decision.")

    def take_over(self, options: dict[str, Any]) -> None:
        people = dict(_person(one) for one in options["person"])
        row = find_unmanaged(options["name_on_aws"], options["kind"])
        told = outlook(row)
        deployment = take_over(row, confirmation=options["confirm"], people=people, name=options["name"], actor=self.actor)
        self._decided(options, deployment, " ".join([f"{row.name} is known again, as AWS holds it.", *told]))

    def remove(self, options: dict[str, Any]) -> None:
        row = find_unmanaged(options["name_on_aws"], options["kind"])
        self._decided(options, remove(row, confirmation=options["confirm"], actor=self.actor), f"{row.name} is being removed.")

    def _decided(self, options: dict[str, Any], deployment: Deployment | None, text: str) -> None:
        if deployment is None:
            self.show(options, {"deployment": None}, text)
        else:
            self.follow(options, deployment, {}, text)

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


def _which(parser: ArgumentParser) -> None:
    parser.add_argument("name_on_aws", metavar="name", help="As `review unmanaged` lists it.")
    parser.add_argument("--kind", default="", choices=UnmanagedResource.Kind.values, help="Which one, where several have the name.")
    parser.add_argument("--confirm", default="", metavar="name", help="The same name again.")


def _person(given: str) -> tuple[str, str]:
    username, sign, address = given.partition("=")
    if not sign:
        raise InvalidName(f"--person {given!r} is not USERNAME=E-MAIL. Nothing was changed.")
    return username, address


def _waiting(one: UnmanagedResource) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "name": one.name,
        "region": one.region,
        "path": one.path,
        "state": one.state,
        "made_at": one.made_at,
        "found_at": one.found_at,
        "reach": one.reach,
        "users": one.users,
        "changes_here": outlook(one),
        "members": [{"username": member.username, "access": member.access} for member in members(one)],
        "problem": one.problem,
        "error": one.error,
    }


def _waiting_text(one: dict[str, Any]) -> str:
    reach = ", ".join(f"{place['bucket']} ({place['rights']})" for place in one["reach"]) or "no files"
    keys = sum(user["keys"] for user in one["users"])
    told = f"{one['kind']} {one['name']} {UnmanagedResource.State(one['state']).label}: reaches {reach}; {keys} keys work"
    return " ".join(part for part in (f"{told}.", *one["changes_here"], one["problem"], one["error"]) if part)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items())
