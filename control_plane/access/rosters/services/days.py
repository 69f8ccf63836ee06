"""Dates as spreadsheets write them. An unambiguous date is parsed; one that could be two days is not."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

# Stricter than date.fromisoformat, which also takes weeks; and with slashes and points too.
_YEAR_FIRST = re.compile(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})")
_YEAR_LAST = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})")


class Order(StrEnum):
    """Order of day and month in a date whose year is last."""

    DAY_FIRST = "day/month/year"
    MONTH_FIRST = "month/day/year"
    UNKNOWN = ""


@dataclass(frozen=True)
class Days:
    """Date format of a file; `proof` is a date in it that shows the order."""

    order: Order = Order.UNKNOWN
    proof: str = ""

    @classmethod
    def of(cls, written: Iterable[str]) -> "Days":
        """Determine a file's order from its dates with a number above 12, where all of these agree."""
        proofs: dict[Order, str] = {}
        for text in written:
            if (match := _YEAR_LAST.fullmatch(text)) and match[2] != ".":
                first, second = int(match[1]), int(match[3])
                if first > 12 >= second:
                    proofs.setdefault(Order.DAY_FIRST, text)
                elif second > 12 >= first:
                    proofs.setdefault(Order.MONTH_FIRST, text)
        return cls(*next(iter(proofs.items()))) if len(proofs) == 1 else cls()

    def parse(self, text: str) -> date | None:
        """Return the date, or None where it is ambiguous. Raises ValueError if it is no date."""
        if match := _YEAR_FIRST.fullmatch(text):
            return date(int(match[1]), int(match[3]), int(match[4]))
        match = _YEAR_LAST.fullmatch(text)
        if match is None:
            raise ValueError(text)
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        # With points the order is day, month, year everywhere.
        if match[2] == "." or first > 12 or first == second or (self.order is Order.DAY_FIRST and second <= 12):
            return date(year, second, first)
        if second > 12 or self.order is Order.MONTH_FIRST:
            return date(year, first, second)
        return None

    def needs_order(self, text: str) -> bool:
        """Return whether the date is ambiguous but for the file's order."""
        match = _YEAR_LAST.fullmatch(text)
        return bool(match and match[2] != "." and int(match[1]) <= 12 and int(match[3]) <= 12 and int(match[1]) != int(match[3]))
