"""`manage.py legacy import`: imports the predecessor's profiles, after a dry run that shows the fate of each entry.

The exit status is 0 if something of the profiles is imported or exists, 2 if nothing is, or if an option is invalid.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from control_plane.access.groups.models import Access, Analysis
from control_plane.accounts.validation import fold_name
from control_plane.base.terminal import EXIT_REFUSED
from control_plane.neurocaas_import.addresses import AddressBook, read_address_book
from control_plane.neurocaas_import.applying import apply_plan
from control_plane.neurocaas_import.entries import ImportRefused, shown
from control_plane.neurocaas_import.planning import make_plan
from control_plane.neurocaas_import.reading import read_profiles
from control_plane.neurocaas_import.reporting import as_dict, as_text, check_report_path, write_report
from control_plane.neurocaas_import.targets import ImportChoices
from stacks import names

DESCRIPTION = "Take the predecessor's profiles in: who is in which group, and what each group uses. A dry run, but for --apply."


def add_arguments(subparsers: Any) -> None:
    """Add the verb `import`."""
    parser: ArgumentParser = subparsers.add_parser("import", help=DESCRIPTION, description=DESCRIPTION)
    parser.add_argument(
        "folders", nargs="+", metavar="folder", help="With a user_config_template.json, or with folders that have one."
    )
    parser.add_argument("--apply", action="store_true", help="Do it. Otherwise nothing is changed.")
    parser.add_argument("--access", choices=Access.values, default=Access.FEDERATED.value, help="How people get in (federated).")
    parser.add_argument("--emails", metavar="file.csv", help="Addresses of users who have none: username,email[,affiliate].")
    parser.add_argument(
        "--group", action="append", default=[], metavar="NAME=slug", help="The slug for this AffiliateName. May be repeated."
    )
    parser.add_argument(
        "--pipeline",
        action="append",
        default=[],
        metavar="NAME=slug",
        help="The analysis that this pipeline is now. May be repeated.",
    )
    parser.add_argument("--create-analyses", action="store_true", help="Make analyses, and buckets, that there are not yet.")
    parser.add_argument("--report", metavar="file.csv|.json", help="Write the report to this file, too.")
    parser.add_argument("--json", action="store_true", help="Print JSON instead of text.")
    parser.set_defaults(run=import_profiles)


def import_profiles(options: dict[str, Any]) -> None:
    """Read, plan, apply if asked to, and report."""
    command = options["command"]
    if options["report"]:
        check_report_path(options["report"])
    choices = ImportChoices(
        groups=_groups(options["group"]),
        pipelines=_pipelines(options["pipeline"]),
        book=read_address_book(options["emails"]) if options["emails"] else AddressBook(),
        creates_analyses=options["create_analyses"],
    )
    plan = make_plan(read_profiles(options["folders"]), choices)
    done = None
    if options["apply"]:
        done = apply_plan(plan, access=Access(options["access"]), actor=command.actor, report=command.stderr.write)
    command.show(options, as_dict(plan, done), as_text(plan, done))
    if options["report"]:
        write_report(options["report"], plan, done)
    if all(planned.profile.entry.is_refused for planned in plan.profiles):
        sys.exit(EXIT_REFUSED)


def _groups(choices: Sequence[str]) -> dict[str, str]:
    pairs = _pairs(choices, "--group")
    for slug in pairs.values():
        try:
            names.check_slug(slug)
        except names.NameRefused as error:
            raise ImportRefused(f"{error} Nothing was changed.") from error
    return {fold_name(name): slug for name, slug in pairs.items()}


def _pipelines(choices: Sequence[str]) -> dict[str, str]:
    pairs = _pairs(choices, "--pipeline")
    known = set(Analysis.objects.values_list("slug", flat=True))
    for slug in pairs.values():
        if slug not in known:
            raise ImportRefused(
                f"There is no analysis {shown(slug)}. Nothing was changed; `manage.py analysis list` shows those there are."
            )
    return {name.strip().lower(): slug for name, slug in pairs.items()}


def _pairs(choices: Sequence[str], option: str) -> dict[str, str]:
    pairs = {}
    for choice in choices:
        name, sign, slug = choice.rpartition("=")
        if not sign or not name or not slug:
            raise ImportRefused(
                f"{shown(choice)} is no NAME=slug. Nothing was changed; give {option} the old name, = and the new slug."
            )
        pairs[name] = slug.strip()
    return pairs
