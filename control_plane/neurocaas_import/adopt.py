"""`manage.py legacy adopt` and `legacy keys`: adopt the predecessor's live stacks, and manage the adopted access keys."""

from argparse import ArgumentParser, _SubParsersAction
from pathlib import Path
from typing import Any

from control_plane.access.keys.models import AdoptedKey
from control_plane.access.keys.schedule import request_adopted_key_removal
from control_plane.base.audit.actors import Actor
from control_plane.base.aws import AwsFailure, Place, translated_errors
from control_plane.base.errors import NotFound
from control_plane.base.terminal import EXIT_REFUSED, VerbCommand
from control_plane.neurocaas_import.adopt_aws import Aws, NotAdopted
from control_plane.neurocaas_import.adopt_inspect import AdoptChoices, OldStack, adopted_groups, inspect_stack, unfinished_adoptions
from control_plane.neurocaas_import.adopt_people import read_directory
from control_plane.neurocaas_import.adopt_report import as_document, as_text, keys_as_document, keys_as_text
from control_plane.neurocaas_import.adopt_steps import ReportLine, Work, begin, resume

# Time for a new group's members to propagate in IAM; AWS gives no number.
SETTLE_SECONDS = 20.0
ADOPT = (
    "Take the people of a CloudFormation stack of the predecessor over, with the access keys that they have. Prints what would be "
    "done; --apply does it, with your own AWS rights (AWS_PROFILE). A run that was interrupted goes on when it is run again."
)


def add_arguments(verbs: "_SubParsersAction[Any]") -> None:
    """Add the verbs `adopt` and `keys` to the command."""
    parser = verbs.add_parser("adopt", help="Adopt a live stack of the predecessor.", description=ADOPT)
    parser.add_argument("stack", help="The predecessor's stack, by name or ARN.")
    parser.add_argument("--group", action="append", default=[], help="Only this IAM group or affiliate; may be given again.")
    parser.add_argument("--slug", action="append", default=[], metavar="AFFILIATE=SLUG", help="The slug of our group.")
    parser.add_argument("--profile", type=Path, help="The stack's profile folder, which has people's addresses.")
    parser.add_argument("--emails", type=Path, help="A CSV file with the columns username,email for further people.")
    parser.add_argument("--region", default="", help="Where the stack is (default: COHORT_REGION).")
    parser.add_argument("--may-lose", action="store_true", help="Go on though people lose access that Cohort does not give.")
    parser.add_argument(
        "--settle", type=float, default=SETTLE_SECONDS, help=f"Seconds given to IAM before the old group goes ({SETTLE_SECONDS})."
    )
    parser.add_argument("--apply", action="store_true", help="Do it.")
    _add_json_option(parser, _adopt)
    keys = verbs.add_parser("keys", help="The keys that people brought along.", description="List old keys, or remove one.")
    keys.add_argument("what", choices=("list", "remove"))
    keys.add_argument("key", nargs="?", default="", help="The access key's id, to remove it.")
    keys.add_argument("--all", action="store_true", help="List those that are removed too.")
    _add_json_option(keys, _keys)


def adopt(stack: str, choices: AdoptChoices, work: Work) -> OldStack | None:
    """Resume unfinished adoptions, and adopt what can be adopted. Returns the stack as it was before, or None if it was adopted.

    Raises NotAdopted or AwsFailure; running it again resumes where it stopped.
    """
    with translated_errors():
        if begun := unfinished_adoptions(stack):
            work.report(f"{stack}: going on with {', '.join(adoption.old_group for adoption in begun)}")
            resume(work, begun)
        if (old := find_adoptable(work.aws, stack, choices)) is not None:
            resume(work, [begin(old, group, work.actor) for group in old.groups if not group.refusals])
    return old


def find_adoptable(aws: Aws, stack: str, choices: AdoptChoices) -> OldStack | None:
    """Return the stack to adopt, or None if everything in it is adopted. Raises NotAdopted or AwsFailure."""
    with translated_errors():
        if aws.describe(stack) is None and adopted_groups(stack):
            return None
        return inspect_stack(aws, stack, choices)


def _add_json_option(parser: ArgumentParser, run: Any) -> None:
    parser.add_argument("--json", action="store_true", help="Print JSON instead of text.")
    parser.set_defaults(run=run)


def _adopt(options: dict[str, Any]) -> None:
    command: VerbCommand = options["command"]
    choices = AdoptChoices(
        tuple(options["group"]),
        read_directory(options["profile"], options["emails"]),
        dict(_parse_slug(pair) for pair in options["slug"]),
        options["may_lose"],
    )
    try:
        site = Place.of_site()
        aws = Aws(Place(site.account, options["region"] or site.region))
        aws.check_account()
        begun = [adoption.old_group for adoption in unfinished_adoptions(options["stack"])]
        if options["apply"]:
            old = adopt(options["stack"], choices, Work(aws, command.actor, _progress_printer(command), options["settle"]))
        else:
            old = None if begun else find_adoptable(aws, options["stack"], choices)
    except AwsFailure as error:
        raise NotAdopted(f"{error} What was done stays recorded; run this again to go on.") from error
    document = as_document(options["stack"], old, begun, applied=options["apply"])
    command.show(options, document, as_text(document))
    if document["refused"]:
        raise SystemExit(EXIT_REFUSED)


def _keys(options: dict[str, Any]) -> None:
    command: VerbCommand = options["command"]
    if options["what"] == "remove":
        key = AdoptedKey.objects.select_related("membership__group__stack", "membership__user").filter(access_key_id=options["key"])
        if (adopted_key := key.first()) is None:
            raise NotFound(f"There is no old key {options['key']!r}. Nothing was changed; `manage.py legacy keys list` shows them.")
        shown = [request_adopted_key_removal(adopted_key, actor=_actor(command))]
    else:
        rows = AdoptedKey.objects.all() if options["all"] else AdoptedKey.objects.held_by_aws()
        shown = list(rows.select_related("membership__group", "membership__user"))
    document = keys_as_document(shown)
    command.show(options, document, keys_as_text(document))


def _actor(command: VerbCommand) -> Actor:
    return command.actor


def _progress_printer(command: VerbCommand) -> ReportLine:
    return lambda line: command.stderr.write(line)


def _parse_slug(given: str) -> tuple[str, str]:
    affiliate, sign, slug = given.rpartition("=")
    if not sign:
        raise NotFound(f"--slug {given!r} is not AFFILIATE=SLUG. Nothing was changed.")
    return affiliate, slug
