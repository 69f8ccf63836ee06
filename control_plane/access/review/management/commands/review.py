"""`manage.py review`: scan AWS, list effective access, decide about unmanaged resources, and sign off."""

from argparse import ArgumentParser
from typing import Any

from control_plane.access.groups.models import Group
from control_plane.access.groups.services.groups import find_group
from control_plane.access.review import listing
from control_plane.access.review.export import csv_lines
from control_plane.access.review.models import Scan, UnmanagedResource
from control_plane.access.review.scan import scan_group, scan_outside_groups
from control_plane.access.review.sign_off import NotSignable, groups_by_sign_off, sign_off
from control_plane.access.review.unmanaged_decisions import find_unmanaged, preview_take_over, remove, take_over, unknown_members
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
        _add_resource_arguments(taking)
        taking.add_argument("--name", default="", help="What a group is called that is not known here (default: its slug).")
        taking.add_argument(
            "--person", action="append", default=[], metavar="USERNAME=E-MAIL", help="Who a member is; who has none is removed."
        )
        _add_resource_arguments(self.verb("remove", self.remove, "Have such a thing removed from AWS.", deploys=True))
        self.verb("due", self.due, "List every group's last sign-off, longest overdue first.")
        signing = self.verb("sign", self.sign, "Sign what AWS was last seen to hold.")
        signing.add_argument("group", metavar="slug")
        signing.add_argument("--note", default="", help="Kept with your name.")

    def look(self, options: dict[str, Any]) -> None:
        groups = [find_group(options["group"])] if options["group"] else list(Group.objects.filter(retired_at=None))
        counted, failed = {}, {}
        for group in groups:
            try:
                scan_group(group)
                counted[group.slug] = listing.counts(group)
            except (AwsFailure, Refused) as error:
                failed[group.slug] = str(error)
        if not options["group"]:
            try:
                scan_outside_groups()
                counted[""] = {"waiting_for_a_decision": listing.unmanaged().count()}
            except AwsFailure as error:
                failed[""] = str(error)
        text = [f"{slug or 'outside every group'}: {_counts_in_words(figures)}" for slug, figures in counted.items()]
        text += [f"{slug or 'outside every group'}: not known. {error}" for slug, error in failed.items()]
        self.show(options, {"looked": counted, "failed": failed}, "\n".join(text))
        if failed:
            raise SystemExit(1)

    def list(self, options: dict[str, Any]) -> None:
        group = find_group(options["group"]) if options["group"] else None
        asked = {"by": options["by"], "search": options["search"], "only_differences": options["differences"]}
        lines, findings = listing.review_lines(group=group, **asked), listing.findings(group)
        if options["csv"]:
            self.stdout.write("".join(csv_lines(lines, findings, None if group else listing.unmanaged())), ending="")
            return
        shown = [_as_dict(row) for row in listing.review_rows(list(lines), options["by"])]
        finding_documents = [
            {
                "kind": finding.kind,
                "group": finding.scan.group.slug if finding.scan.group else None,
                "email": finding.membership.user.email if finding.membership else None,
                "principal": finding.principal,
                "detail": finding.detail,
            }
            for finding in findings
        ]
        rows = [
            [line["email"] or "?", line["group"], line["bucket"] or "-", line["rights"], ", ".join(line["marks"]) or "-"]
            for line in shown
        ]
        text = [table(rows, ["PERSON", "GROUP", "BUCKET", "MAY", "COMPARED"])]
        text += [
            f"{finding['kind']}: {finding['principal']} ({finding['group'] or 'no group'}). {finding['detail']}"
            for finding in finding_documents
        ]
        waiting = [] if group else [_resource_as_dict(resource) for resource in listing.unmanaged()]
        text += [_resource_in_words(document) for document in waiting]
        self.show(options, {"lines": shown, "findings": finding_documents, "unmanaged": waiting}, "\n".join(text))

    def unmanaged(self, options: dict[str, Any]) -> None:
        waiting = [_resource_as_dict(resource) for resource in listing.unmanaged()]
        newer = [
            {"name": stack.name, "generation": stack.generation, "on_aws": stack.newer_generation}
            for stack in listing.newer_stacks()
        ]
        text = [_resource_in_words(document) for document in waiting]
        text += [f"{stack['name']} was changed after the backup: `manage.py stack show {stack['name']}`" for stack in newer]
        self.show(options, {"unmanaged": waiting, "newer": newer}, "\n".join(text) or "Nothing waits for a decision.")

    def take_over(self, options: dict[str, Any]) -> None:
        people = dict(_parse_person(given) for given in options["person"])
        row = find_unmanaged(options["name_on_aws"], options["kind"])
        changes = preview_take_over(row)
        deployment = take_over(row, confirmation=options["confirm"], people=people, name=options["name"], actor=self.actor)
        self._decided(options, deployment, " ".join([f"{row.name} is known again, as AWS holds it.", *changes]))

    def remove(self, options: dict[str, Any]) -> None:
        row = find_unmanaged(options["name_on_aws"], options["kind"])
        self._decided(options, remove(row, confirmation=options["confirm"], actor=self.actor), f"{row.name} is being removed.")

    def _decided(self, options: dict[str, Any], deployment: Deployment | None, text: str) -> None:
        if deployment is None:
            self.show(options, {"deployment": None}, text)
        else:
            self.follow(options, deployment, {}, text)

    def due(self, options: dict[str, Any]) -> None:
        documents = [
            {"group": group.slug, "is_due": group.is_due, "signed_at": group.signed_at, "signed_by": group.signed_by}
            for group in groups_by_sign_off()
        ]
        rows = [
            [group["group"], "due" if group["is_due"] else "-", f"{group['signed_at'] or 'never':.10}", group["signed_by"] or "-"]
            for group in ({**document, "signed_at": str(document["signed_at"] or "never")} for document in documents)
        ]
        self.show(options, documents, table(rows, ["GROUP", "STATE", "SIGNED", "BY"]))

    def sign(self, options: dict[str, Any]) -> None:
        group = find_group(options["group"])
        seen = Scan.objects.filter(group=group).first()
        if seen is None or seen.finished_at is None:
            raise NotSignable(f"Nothing was signed. AWS was not checked yet; run `manage.py review look {group.slug}` first.")
        signed = sign_off(group=group, actor=self.actor, looked_at=seen.finished_at, note=options["note"])
        document = {"group": group.slug, "at": signed.at, "counts": signed.counts, "differences": signed.differences}
        self.show(options, document, f"Signed for {group.name}: {_counts_in_words(signed.counts)}")


def _as_dict(row: listing.ReviewRow) -> dict[str, Any]:
    line = row.line
    return {
        "email": line.membership.user.email if line.membership else None,
        "group": line.group.slug,
        "principal": line.principal,
        "bucket": line.bucket,
        "prefix": line.prefix,
        "rights": line.rights,
        "write_to": line.write_to,
        "since": row.since,
        "granted_by": row.granted_by,
        "last_used_at": row.last_used_at,
        "marks": line.marks,
        "differs": line.differs,
    }


def _add_resource_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name_on_aws", metavar="name", help="As `review unmanaged` lists it.")
    parser.add_argument("--kind", default="", choices=UnmanagedResource.Kind.values, help="Which one, where several have the name.")
    parser.add_argument("--confirm", default="", metavar="name", help="The same name again.")


def _parse_person(given: str) -> tuple[str, str]:
    username, sign, address = given.partition("=")
    if not sign:
        raise InvalidName(f"--person {given!r} is not USERNAME=E-MAIL. Nothing was changed.")
    return username, address


def _resource_as_dict(resource: UnmanagedResource) -> dict[str, Any]:
    return {
        "kind": resource.kind,
        "name": resource.name,
        "region": resource.region,
        "path": resource.path,
        "state": resource.state,
        "made_at": resource.made_at,
        "found_at": resource.found_at,
        "reach": resource.reach,
        "users": resource.users,
        "changes_here": preview_take_over(resource),
        "members": [{"username": member.username, "access": member.access} for member in unknown_members(resource)],
        "problem": resource.problem,
        "error": resource.error,
    }


def _resource_in_words(document: dict[str, Any]) -> str:
    reach = ", ".join(f"{place['bucket']} ({place['rights']})" for place in document["reach"]) or "no files"
    keys = sum(user["keys"] for user in document["users"])
    state = UnmanagedResource.State(document["state"]).label
    summary = f"{document['kind']} {document['name']} {state}: reaches {reach}; {keys} keys work"
    return " ".join(part for part in (f"{summary}.", *document["changes_here"], document["problem"], document["error"]) if part)


def _counts_in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items())
