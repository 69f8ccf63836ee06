"""Headroom of the account's quotas: what AWS said last, and what was requested since."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from control_plane.access.limits.definitions import BY_NAME, Quota
from control_plane.access.limits.models import Usage
from control_plane.access.limits.own_use import count_own_use

# From this share on people are warned.
WARN_PERCENT = 80
State = Literal["unknown", "ample", "close", "full"]
STATE_WORDS: dict[State, str] = {"unknown": "limit not known", "ample": "OK", "close": "nearly used up", "full": "used up"}


@dataclass(frozen=True)
class Headroom:
    """Headroom of a quota: `used` of `limit` on AWS when it was read, and `wanted` with all that is requested by now."""

    account: str
    region: str
    name: str
    title: str
    used: int
    wanted: int
    limit: int | None
    read_at: datetime

    @property
    def percent(self) -> int:
        """The share of the limit that is wanted, in percent; 0 where the limit is not known."""
        return 0 if self.limit is None else 100 if self.limit == 0 else 100 * self.wanted // self.limit

    @property
    def state(self) -> State:
        """The state of the headroom."""
        if self.limit is None:
            return "unknown"
        return "full" if self.wanted >= self.limit else "close" if self.percent >= WARN_PERCENT else "ample"

    @property
    def word(self) -> str:
        """The state in words."""
        return STATE_WORDS[self.state]

    @property
    def free(self) -> int | None:
        """The number of further ones that fit; None where the limit is not known."""
        return None if self.limit is None else max(0, self.limit - self.wanted)

    def as_dict(self) -> dict[str, Any]:
        """Return the headroom as JSON, for commands."""
        return asdict(self) | {"percent": self.percent, "state": self.state}


def list_headroom() -> list[Headroom]:
    """Return the headroom of every quota whose use AWS told. One query, and three for each region, of which there are few."""
    rows = [row for row in Usage.objects.filter(used__isnull=False) if row.name in BY_NAME]
    counted: dict[tuple[str, str], dict[str, int]] = {}
    # Global quotas are counted with any region, and come last in this order.
    for account, region in sorted({(row.account, row.region) for row in rows}, reverse=True):
        elsewhere = next((use for (other, _), use in counted.items() if other == account), None) if not region else None
        counted[account, region] = elsewhere or count_own_use(account, region)
    return [headroom_of(row, counted[row.account, row.region][row.name]) for row in rows]


def headroom_of(row: Usage, ours_now: int) -> Headroom:
    """Return a quota's headroom, given how much of it is ours with all that is requested."""
    quota = BY_NAME[row.name]
    used = row.used or 0
    # The use by others stays as AWS last told; the rows know ours better.
    foreign = max(0, used - row.ours)
    return Headroom(
        row.account, row.region, row.name, quota.title, used, foreign + ours_now, effective_limit(quota, row.limit), row.read_at
    )


def effective_limit(quota: Quota, aws_limit: int | None) -> int | None:
    """Return the limit from the settings, else from AWS."""
    return aws_limit if quota.override is None else quota.override


def nearly_used_up(quotas: list[Headroom]) -> list[Headroom]:
    """Return the quotas that are nearly or fully used up, the fullest first."""
    return sorted((quota for quota in quotas if quota.state in ("close", "full")), key=lambda quota: -quota.percent)
