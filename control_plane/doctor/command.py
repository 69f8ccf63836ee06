"""The command line of the doctor. Nothing here or below changes anything, on AWS or on this machine."""

import argparse
import os
from collections.abc import Sequence
from typing import Protocol

import django
from pydantic import ValidationError

from control_plane.base.config import Config, load_environment
from control_plane.doctor import report
from control_plane.doctor.checks import STEPS, look
from control_plane.doctor.surroundings import Surroundings
from stacks.site import SITE_FILE, SiteError, read_site

DESCRIPTION = "Say whether the account and the site are ready for a step of docs/operations.md, and what to do. Changes nothing."


class Out(Protocol):
    """Where the report goes."""

    def write(self, text: str, /) -> object:
        """Take some text."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--step", type=int, choices=tuple(STEPS), help="Look only at what this step needs before it begins.")
    parser.add_argument("--json", action="store_true", help="Print JSON instead of text.")


def main(argv: Sequence[str], out: Out) -> int:
    """Look, report, and return the exit status."""
    parser = argparse.ArgumentParser(prog="manage.py doctor", description=DESCRIPTION)
    add_arguments(parser)
    options = parser.parse_args(argv)
    return run(step=options.step, as_json=options.json, out=out)


def run(*, step: int | None, as_json: bool, out: Out, around: Surroundings | None = None) -> int:
    """Make the checks and write what they found. Returns the exit status."""
    lines = list(look(around or surroundings(), step))
    text = report.as_json(lines, step) if as_json else report.as_text(lines, step)
    out.write(f"{text}\n")
    return report.status(lines, step)


def surroundings() -> Surroundings:
    """What there is to look with here: site.toml, and Django's settings where there are any."""
    load_environment()
    around = Surroundings()
    if SITE_FILE.exists():
        try:
            around.site = read_site()
        except SiteError as error:
            around.site_error = str(error)
    try:
        around.settings = Config()
    except ValidationError as error:
        # Before there is a host nothing is set. What is set and wrong is named, and never its value.
        wrong = [f"{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors() if one["type"] != "missing"]
        around.settings_error = f"settings that cannot be used: {'; '.join(wrong)}" if wrong else ""
        return around
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control_plane.settings")
    django.setup()
    return around
