"""How close the account is to each of its quotas: what AWS said last, and what was asked for since."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from control_plane.access.limits.definitions import BY_NAME, Quota
from control_plane.access.limits.models import Usage
from control_plane.access.limits.own_use import ours

# From here on people are warned.
WARN_PERCENT = 80
State = Literal["unknown", "ample", "close", "full"]
WORDS: dict[State, str] = {"unknown": "limit not known", "ample": "ample", "close": "nearly used up", "full": "used up"}


@dataclass(frozen=True)
class Standing:
    """One quota: `used` of `limit` on AWS when it was read, and `wanted` with all that is asked for by now."""

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
        """How much of the limit is wanted; 0 where it is not known."""
        return 0 if self.limit is None else 100 if self.limit == 0 else 100 * self.wanted // self.limit

    @property
    def state(self) -> State:
        """How that is."""
        if self.limit is None:
            return "unknown"
        return "full" if self.wanted >= self.limit else "close" if self.percent >= WARN_PERCENT else "ample"

    @property
    def word(self) -> str:
        """The state for people."""
        return WORDS[self.state]

    @property
    def free(self) -> int | None:
        """How many more there is room for."""
        return None if self.limit is None else max(0, self.limit - self.wanted)

    def as_dict(self) -> dict[str, Any]:
        """For commands."""
        return asdict(self) | {"percent": self.percent, "state": self.state}


def standings() -> list[Standing]:
    """Every quota that AWS told the use of. Three queries for each region, of which there are few, and one more."""
    rows = [row for row in Usage.objects.filter(used__isnull=False) if row.name in BY_NAME]
    counted: dict[tuple[str, str], dict[str, int]] = {}
    # What counts in all regions is told with any of them, and those come last.
    for account, region in sorted({(row.account, row.region) for row in rows}, reverse=True):
        elsewhere = next((found for (other, _), found in counted.items() if other == account), None) if not region else None
        counted[account, region] = elsewhere or ours(account, region)
    return [standing(row, counted[row.account, row.region][row.name]) for row in rows]


def standing(row: Usage, ours_now: int) -> Standing:
    """One quota, given how much of it is ours with all that is asked for."""
    quota = BY_NAME[row.name]
    used = row.used or 0
    # What is not ours stays as AWS last told; of what is, the rows know better.
    foreign = max(0, used - row.ours)
    return Standing(
        row.account, row.region, row.name, quota.title, used, foreign + ours_now, limit_of(quota, row.limit), row.read_at
    )


def limit_of(quota: Quota, told: int | None) -> int | None:
    """The limit: what the settings say, or else AWS."""
    return told if quota.override is None else quota.override


def warnings(found: list[Standing]) -> list[Standing]:
    """Those of which there is little left, the fullest first."""
    return sorted((one for one in found if one.state in ("close", "full")), key=lambda one: -one.percent)
