"""Taking the record: which sections there are, what each needs, and the command line."""

import argparse
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from django.test.utils import setup_test_environment

from tests.record import code, commands, documents, mails, metrics, running, templates, urls
from tests.record.documents import Record

FOLDER = Path(__file__).resolve().parents[1] / "data/record"
SECTIONS = (
    "settings",
    "tasks",
    "schema",
    "api",
    "programs",
    "templates",
    "commands",
    "metrics",
    "mails",
    "webhooks",
    "actions",
    "urls",
)


def main() -> int:
    """Take the record. Returns 1 if it differs from the one that was written."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.record", description="The record of behaviour: see tests/record/__init__.py."
    )
    deed = parser.add_mutually_exclusive_group(required=True)
    deed.add_argument("--write", nargs="?", type=Path, const=FOLDER, metavar="FOLDER", help="Write it (into tests/data/record).")
    deed.add_argument("--compare", nargs="?", type=Path, const=FOLDER, metavar="FOLDER", help="Compare it with what was written.")
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="SECTION", help=f"Only {', '.join(SECTIONS)}."
    )
    options = parser.parse_args()
    running.prepare_environment()
    setup_test_environment()
    logging.disable(logging.CRITICAL)
    wanted = tuple(options.only)
    record = {path: text for path, text in take(wanted).items() if documents.section_of(path) in wanted}
    documents.check(record, wanted)
    if options.write:
        documents.write(record, options.write, wanted)
        print(f"Wrote {len(record)} files into {options.write}.")
        return 0
    different = list(documents.differences(documents.read(options.compare, wanted), record))
    print("\n".join(different) or f"{len(record)} files are as they were written.")
    return 1 if different else 0


def take(wanted: tuple[str, ...]) -> Record:
    """Take these sections, and whatever else comes of the same stories."""
    record: Record = {}
    steps: dict[str, Callable[[], Record]] = {
        "settings": code.settings,
        "tasks": code.tasks,
        "schema": code.schema,
        "api": urls.api,
        "programs": commands.programs,
        "templates": templates.templates,
    }
    for name, step in steps.items():
        if name in wanted:
            record |= _timed(name, step)
    if stories := {"commands", "metrics", "mails", "webhooks", "actions", "urls"} & set(wanted):
        record |= _take_stories(stories)
    return record


def _take_stories(wanted: set[str]) -> Record:
    """Those that need a site, each on a fresh one."""
    record: Record = {}
    actions: code.Written = {}
    pristine = running.make_pristine()
    if wanted & {"commands", "metrics", "actions"}:
        with running.fresh_site(pristine) as site:
            record |= _timed("commands", lambda: commands.commands(site)) | metrics.metrics(site)
            actions = code.written_actions()
    if wanted & {"mails", "webhooks", "actions"}:
        for story in (mails.account_story, mails.group_story):
            with running.fresh_site(pristine) as site:
                record |= _timed(story.__name__, partial(story, site))
                actions = code.joined(actions, code.written_actions())
    if "actions" in wanted:
        record |= code.actions(actions)
    if "urls" in wanted:
        with running.fresh_site(pristine) as site:
            record |= _timed("urls", lambda: urls.urls(site))
    return record


def _timed(name: str, step: Callable[[], Record]) -> Record:
    began = time.monotonic()
    record = step()
    print(f"{name}: {len(record)} files, {time.monotonic() - began:.1f} s", file=sys.stderr)
    return record
