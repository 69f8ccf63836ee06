"""`manage.py quota ...`: what the account uses of AWS's limits."""

from typing import Any

from control_plane.access.limits.aws_use import read
from control_plane.access.limits.headroom import standings
from control_plane.base.aws import Place
from control_plane.base.terminal import VerbCommand, table

HEAD = ["Quota", "Region", "Used on AWS", "With what is asked for", "Limit", "Percent", "State"]


class Command(VerbCommand):
    """Quotas from a terminal."""

    help = "Show what the AWS account uses of its limits."

    def add_verbs(self) -> None:
        self.verb("show", self.show_all, "Show what AWS last said, and what was asked for since.")
        self.verb("read", self.read, "Ask AWS now, then show it.")

    def show_all(self, options: dict[str, Any]) -> None:
        found = standings()
        rows = [
            [
                one.title,
                one.region or "all",
                str(one.used),
                str(one.wanted),
                "not known" if one.limit is None else str(one.limit),
                "" if one.limit is None else f"{one.percent}%",
                one.word,
            ]
            for one in found
        ]
        text = table(rows, HEAD) if rows else "AWS was not asked yet: `manage.py quota read` does, as does a worker each hour."
        self.show(options, [one.as_dict() for one in found], text)

    def read(self, options: dict[str, Any]) -> None:
        read(Place.of_site().account)
        self.show_all(options)
