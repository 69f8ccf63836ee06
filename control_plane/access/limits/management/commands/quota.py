"""`manage.py quota ...`: show what the account uses of AWS's limits, or read it anew."""

from typing import Any

from control_plane.access.limits.aws_use import read_aws_use
from control_plane.access.limits.headroom import list_headroom
from control_plane.base.aws import Place
from control_plane.base.terminal import VerbCommand, table

COLUMNS = ["Quota", "Region", "Used on AWS", "With what is asked for", "Limit", "Percent", "State"]


class Command(VerbCommand):
    """Quotas from a terminal."""

    help = "Show what the AWS account uses of its limits."

    def add_verbs(self) -> None:
        self.verb("show", self.show_all, "Show what AWS last said, and what was asked for since.")
        self.verb("read", self.read, "Ask AWS now, then show it.")

    def show_all(self, options: dict[str, Any]) -> None:
        quotas = list_headroom()
        rows = [
            [
                quota.title,
                quota.region or "all",
                str(quota.used),
                str(quota.wanted),
                "not known" if quota.limit is None else str(quota.limit),
                "" if quota.limit is None else f"{quota.percent}%",
                quota.word,
            ]
            for quota in quotas
        ]
        text = table(rows, COLUMNS) if rows else "AWS was not asked yet: `manage.py quota read` does, as does a worker each hour."
        self.show(options, [quota.as_dict() for quota in quotas], text)

    def read(self, options: dict[str, Any]) -> None:
        read_aws_use(Place.of_site().account)
        self.show_all(options)
