"""`manage.py legacy adopt` and `legacy keys`: the predecessor's live stacks into ours, and the keys that came along."""

from argparse import ArgumentParser, _SubParsersAction
from pathlib import Path
from typing import Any

from control_plane.access.keys.models import AdoptedKey
from control_plane.access.keys.schedule import request_removal
from control_plane.base.audit.actors import Actor
from control_plane.base.aws import AwsFailure, Place, translated_errors
from control_plane.base.errors import NotFound
from control_plane.base.terminal import EXIT_REFUSED, VerbCommand
from control_plane.neurocaas_import.adopt_aws import Aws, NotAdopted
from control_plane.neurocaas_import.adopt_inspect import OldStack, Wishes, adopted_groups, look, unfinished
from control_plane.neurocaas_import.adopt_people import read_directory
from control_plane.neurocaas_import.adopt_report import as_document, as_text, keys_as_document, keys_as_text
from control_plane.neurocaas_import.adopt_steps import Tell, Work, begin, go_on

# How long every part of IAM may take to know a new group's members; AWS gives no number.
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
    _finish(parser, _adopt)
    keys = verbs.add_parser("keys", help="The keys that people brought along.", description="List old keys, or remove one.")
    keys.add_argument("what", choices=("list", "remove"))
    keys.add_argument("key", nargs="?", default="", help="The access key's id, to remove it.")
    keys.add_argument("--all", action="store_true", help="List those that are removed too.")
    _finish(keys, _keys)


def adopt(stack: str, wishes: Wishes, work: Work) -> OldStack | None:
    """Adopt what can be adopted. Returns the stack as it was before, if there was anything to look at.

    Raises NotAdopted or AwsFailure; running it again goes on where it stopped.
    """
    with translated_errors():
        if begun := unfinished(stack):
            work.tell(f"{stack}: going on with {', '.join(one.old_group for one in begun)}")
            go_on(work, begun)
        if (old := find(work.aws, stack, wishes)) is not None:
            go_on(work, [begin(old, group, work.actor) for group in old.groups if not group.refusals])
    return old


def find(aws: Aws, stack: str, wishes: Wishes) -> OldStack | None:
    """What there is to adopt, or None where all that was there is adopted. Raises NotAdopted or AwsFailure."""
    with translated_errors():
        if aws.describe(stack) is None and adopted_groups(stack):
            return None
        return look(aws, stack, wishes)


def _finish(parser: ArgumentParser, run: Any) -> None:
    parser.add_argument("--json", action="store_true", help="Print JSON instead of text.")
    parser.set_defaults(run=run)


def _adopt(options: dict[str, Any]) -> None:
    command: VerbCommand = options["command"]
    wishes = Wishes(
        tuple(options["group"]),
        read_directory(options["profile"], options["emails"]),
        dict(_pair(one) for one in options["slug"]),
        options["may_lose"],
    )
    try:
        site = Place.of_site()
        aws = Aws(Place(site.account, options["region"] or site.region))
        aws.check_account()
        begun = [one.old_group for one in unfinished(options["stack"])]
        if options["apply"]:
            old = adopt(options["stack"], wishes, Work(aws, command.actor, _teller(command), options["settle"]))
        else:
            old = None if begun else find(aws, options["stack"], wishes)
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
        if (found := key.first()) is None:
            raise NotFound(f"There is no old key {options['key']!r}. Nothing was changed; `manage.py legacy keys list` shows them.")
        shown = [request_removal(found, actor=_actor(command))]
    else:
        rows = AdoptedKey.objects.all() if options["all"] else AdoptedKey.objects.there()
        shown = list(rows.select_related("membership__group", "membership__user"))
    document = keys_as_document(shown)
    command.show(options, document, keys_as_text(document))


def _actor(command: VerbCommand) -> Actor:
    return command.actor


def _teller(command: VerbCommand) -> Tell:
    return lambda line: command.stderr.write(line)


def _pair(given: str) -> tuple[str, str]:
    affiliate, sign, slug = given.rpartition("=")
    if not sign:
        raise NotFound(f"--slug {given!r} is not AFFILIATE=SLUG. Nothing was changed.")
    return affiliate, slug
