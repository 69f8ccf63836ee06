"""Command line of the doctor. Nothing here or below changes anything, on AWS or on this machine."""

import argparse
import os
from collections.abc import Sequence
from typing import Protocol

import django
from pydantic import ValidationError

from control_plane.base.config import Config, load_environment
from control_plane.doctor import report
from control_plane.doctor.check_context import CheckContext
from control_plane.doctor.checks import STEPS, run_checks
from stacks.site.settings import SITE_FILE, SiteError, read_site

DESCRIPTION = "Say whether the account and the site are ready for a step of docs/operations.md, and what to do. Changes nothing."


class Out(Protocol):
    """Output of the report."""

    def write(self, text: str, /) -> object:
        """Write some text."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--step", type=int, choices=tuple(STEPS), help="Look only at what this step needs before it begins.")
    parser.add_argument("--json", action="store_true", help="Print JSON instead of text.")


def main(argv: Sequence[str], out: Out) -> int:
    """Run the checks, report, and return the exit status."""
    parser = argparse.ArgumentParser(prog="manage.py doctor", description=DESCRIPTION)
    add_arguments(parser)
    options = parser.parse_args(argv)
    return run(step=options.step, as_json=options.json, out=out)


def run(*, step: int | None, as_json: bool, out: Out, context: CheckContext | None = None) -> int:
    """Run the checks and write their findings. Returns the exit status."""
    results = list(run_checks(context or build_context(), step))
    text = report.as_json(results, step) if as_json else report.as_text(results, step)
    out.write(f"{text}\n")
    return report.status(results, step)


def build_context() -> CheckContext:
    """Return the context of the checks: site.toml, and Django's settings if there are any."""
    load_environment()
    context = CheckContext()
    if SITE_FILE.exists():
        try:
            context.site = read_site()
        except SiteError as error:
            context.site_error = str(error)
    try:
        context.settings = Config()
    except ValidationError as error:
        # Before there is a host nothing is set. Invalid settings are named, without their values.
        wrong = [
            f"{str(problem['loc'][0]).upper()}: {problem['msg']}" for problem in error.errors() if problem["type"] != "missing"
        ]
        context.settings_error = f"settings that cannot be used: {'; '.join(wrong)}" if wrong else ""
        return context
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control_plane.settings")
    django.setup()
    return context
