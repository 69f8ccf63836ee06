"""`manage.py retire`: retire a group, undo that while there is time, and show its status."""

import sys
from typing import Any

from control_plane.access.groups.services.groups import find_group
from control_plane.access.retirement.errors import RetirementRefused
from control_plane.access.retirement.models import DataChoice, Retirement, Survey
from control_plane.access.retirement.requests import request_retirement, request_survey, undo_retirement
from control_plane.access.retirement.serializers import (
    place_in_words,
    preview,
    retirement_as_dict,
    retirement_status,
    survey_as_dict,
)
from control_plane.access.retirement.terminal import add_wait_options, exit_unless_ended, wait_for_end
from control_plane.base.polling import poll_until
from control_plane.base.terminal import EXIT_STILL_WAITING, VerbCommand, table
from control_plane.deployments.terminal import POLL_SECONDS

COUNT_SECONDS = 60


class Command(VerbCommand):
    """Retirement of groups from a terminal."""

    help = "Retire a group: its access goes, its record stays, and its data is kept, archived or deleted."

    def add_verbs(self) -> None:
        looked = self.verb("preview", self.preview, "Say what would go and what would stay. A worker counts what is on AWS.")
        looked.add_argument("slug")
        looked.add_argument("--timeout", type=float, default=COUNT_SECONDS, help="Longest wait for the worker, in seconds.")
        asked = self.verb("ask", self.ask, "Suspend a group now, and retire it after RETIREMENT_DAYS.")
        asked.add_argument("slug")
        asked.add_argument("--confirm", required=True, metavar="SLUG", help="The group's slug once more.")
        asked.add_argument("--data", choices=DataChoice.values, default=DataChoice.KEEP, help="What becomes of its objects in S3.")
        asked.add_argument("--now", action="store_true", help="Without the time in which it can be undone.")
        add_wait_options(asked)
        self.verb("undo", self.undo, "Give a group its access back that waits to be retired.").add_argument("slug")
        status = self.verb("status", self.status, "Say how far a group's retirement is.")
        status.add_argument("slug")
        add_wait_options(status)
        listed = self.verb("list", self.list, "List the retirements, newest first.")
        listed.add_argument("--limit", type=int, default=100, help="How many at most (default 100).")

    def preview(self, options: dict[str, Any]) -> None:
        group = find_group(options["slug"])
        asked = request_survey(group, actor=self.actor)
        survey = poll_until(
            lambda: Survey.objects.get(pk=asked.pk),
            lambda now: now.state != Survey.State.WAITING,
            seconds=options["timeout"],
            every=POLL_SECONDS,
        )
        shown = preview(group, survey)
        lines = [f"If {group.name} ({group.slug}) is retired, this ends:", *(f"  {end}" for end in shown.ends)]
        if survey.state == Survey.State.DONE:
            lines += ["AWS removes:", *(f"  {line}" for line in shown.resources or ["nothing"])]
            lines += [f"This stays in S3, unless --data says otherwise, under {group.slug}/ in:"]
            lines += [f"  {line}" for line in shown.buckets or ["no bucket"]]
        else:
            lines.append(survey.error or "What is on AWS is not counted yet: is a worker running? Ask again in a while.")
        self.show(options, survey_as_dict(group, survey), "\n".join(lines))
        if survey.state != Survey.State.DONE:
            sys.exit(EXIT_STILL_WAITING)

    def ask(self, options: dict[str, Any]) -> None:
        retirement = request_retirement(
            group=find_group(options["slug"]),
            confirmation=options["confirm"],
            data=DataChoice(options["data"]),
            at_once=options["now"],
            actor=self.actor,
        )
        self._follow(options, retirement)

    def undo(self, options: dict[str, Any]) -> None:
        self._follow(options | {"wait": False}, undo_retirement(group=find_group(options["slug"]), actor=self.actor))

    def status(self, options: dict[str, Any]) -> None:
        group = find_group(options["slug"])
        retirement = group.retirements.first()
        if retirement is None:
            raise RetirementRefused(f"Nobody has asked for {group.name} to be retired. Nothing was changed.")
        self._follow(options, retirement)

    def list(self, options: dict[str, Any]) -> None:
        queryset = Retirement.objects.select_related("group", "deployment__stack").prefetch_related("places", "deployment__changes")
        retirements = list(queryset[: max(0, options["limit"])])
        rows = [
            [retirement.group.slug, retirement.state, retirement.data, f"{retirement.due_at:%Y-%m-%d %H:%M}", retirement.asked_by]
            for retirement in retirements
        ]
        documents = [retirement_as_dict(retirement) for retirement in retirements]
        self.show(options, documents, table(rows, ["GROUP", "STATE", "DATA", "DUE (UTC)", "ASKED BY"]))

    def _follow(self, options: dict[str, Any], retirement: Retirement) -> None:
        """Print the retirement's status; with --wait, once it has ended or is stuck."""
        retirement = wait_for_end(options, lambda: _fresh(retirement), _progress, self.stderr.write)
        lines = [retirement_status(retirement), *(f"  {place_in_words(retirement, place)}" for place in retirement.places.all())]
        self.show(options, {"retirement": retirement_as_dict(retirement)}, "\n".join(lines))
        exit_unless_ended(options, retirement)


def _fresh(retirement: Retirement) -> Retirement:
    return Retirement.objects.select_related("group__stack", "deployment__stack").get(pk=retirement.pk)


def _progress(retirement: Retirement) -> str:
    places = [place_in_words(retirement, place) for place in retirement.places.all() if not place.is_done]
    if retirement.state == Retirement.State.DATA and places:
        return places[0]
    deployment = retirement.deployment
    if retirement.state == Retirement.State.REMOVING and deployment is not None:
        return f"{deployment.percent:3d}%  {deployment.doing or deployment.get_state_display()}"
    return retirement_status(retirement)
