"""`manage.py retire_analysis`: end an analysis, undo that while there is time, and see how far it is."""

from typing import Any

from control_plane.access.groups.services.analyses import find_analysis
from control_plane.access.retirement.analysis_serializers import analysis_retirement_as_dict, analysis_retirement_status, progress
from control_plane.access.retirement.errors import RetirementRefused
from control_plane.access.retirement.models import AnalysisRetirement, BucketChoice
from control_plane.access.retirement.terminal import add_wait_options, exit_unless_ended, wait_for_end
from control_plane.base.terminal import VerbCommand
from control_plane.research.analyses.retiring import request_retirement, undo_retirement


class Command(VerbCommand):
    """The end of analyses from a terminal."""

    help = "Retire an analysis that no group has: its record stays, and its bucket is kept or deleted."

    def add_verbs(self) -> None:
        asked = self.verb("ask", self.ask, "Offer an analysis to nobody from now on, and retire it after RETIREMENT_DAYS.")
        asked.add_argument("slug")
        asked.add_argument("--confirm", required=True, metavar="BUCKET", help="The name of its bucket.")
        asked.add_argument("--bucket", choices=BucketChoice.values, default=BucketChoice.KEEP, help="What becomes of its bucket.")
        asked.add_argument("--now", action="store_true", help="Without the time in which it can be undone.")
        add_wait_options(asked)
        self.verb("undo", self.undo, "Offer an analysis again that waits to be retired.").add_argument("slug")
        told = self.verb("status", self.status, "Say how far an analysis's retirement is.")
        told.add_argument("slug")
        add_wait_options(told)

    def ask(self, options: dict[str, Any]) -> None:
        retirement = request_retirement(
            analysis=find_analysis(options["slug"]),
            confirmation=options["confirm"],
            bucket=BucketChoice(options["bucket"]),
            at_once=options["now"],
            actor=self.actor,
        )
        self._follow(options, retirement)

    def undo(self, options: dict[str, Any]) -> None:
        self._follow(options | {"wait": False}, undo_retirement(analysis=find_analysis(options["slug"]), actor=self.actor))

    def status(self, options: dict[str, Any]) -> None:
        analysis = find_analysis(options["slug"])
        retirement = analysis.retirements.first()
        if retirement is None:
            raise RetirementRefused(f"Nobody has asked for {analysis.name} to be retired. Nothing was changed.")
        self._follow(options, retirement)

    def _follow(self, options: dict[str, Any], retirement: AnalysisRetirement) -> None:
        """Print where it stands; with --wait, once it has ended or something is in its way."""
        retirement = wait_for_end(
            options, lambda: _fresh(retirement), lambda now: progress(now) or analysis_retirement_status(now), self.stderr.write
        )
        lines = [line for line in (analysis_retirement_status(retirement), progress(retirement)) if line]
        self.show(options, {"retirement": analysis_retirement_as_dict(retirement)}, "\n".join(lines))
        exit_unless_ended(options, retirement)


def _fresh(retirement: AnalysisRetirement) -> AnalysisRetirement:
    return AnalysisRetirement.objects.select_related("analysis__stack", "deployment__stack").get(pk=retirement.pk)
