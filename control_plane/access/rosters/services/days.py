"""Days as spreadsheets write them. What can be told is read; what could be two days is not."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

# Python takes other ways of writing a date for ISO's as well, such as weeks. Year first is the same with slashes.
_YEAR_FIRST = re.compile(r"([0-9]{4})([-/.])([0-9]{1,2})\2([0-9]{1,2})")
_YEAR_LAST = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})")


class Order(StrEnum):
    """Which of a day's first two numbers the day is."""

    DAY_FIRST = "day/month/year"
    MONTH_FIRST = "month/day/year"
    UNTOLD = ""


@dataclass(frozen=True)
class Days:
    """How a file writes its days; `proof` is one of its own that shows it."""

    order: Order = Order.UNTOLD
    proof: str = ""

    @classmethod
    def of(cls, written: Iterable[str]) -> "Days":
        """Work out a file's order from all its days: from those with a number that no month has, where they agree."""
        proofs: dict[Order, str] = {}
        for text in written:
            if (match := _YEAR_LAST.fullmatch(text)) and match[2] != ".":
                first, second = int(match[1]), int(match[3])
                if first > 12 >= second:
                    proofs.setdefault(Order.DAY_FIRST, text)
                elif second > 12 >= first:
                    proofs.setdefault(Order.MONTH_FIRST, text)
        return cls(*next(iter(proofs.items()))) if len(proofs) == 1 else cls()

    def read(self, text: str) -> date | None:
        """Return the day, or None where it cannot be told. Raises ValueError for what is none."""
        if match := _YEAR_FIRST.fullmatch(text):
            return date(int(match[1]), int(match[3]), int(match[4]))
        match = _YEAR_LAST.fullmatch(text)
        if match is None:
            raise ValueError(text)
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        # Points stand between day, month and year, in this order, wherever people write them.
        if match[2] == "." or first > 12 or first == second or (self.order is Order.DAY_FIRST and second <= 12):
            return date(year, second, first)
        if second > 12 or self.order is Order.MONTH_FIRST:
            return date(year, first, second)
        return None

    def needs_order(self, text: str) -> bool:
        """Whether the file's order alone tells which day this is."""
        match = _YEAR_LAST.fullmatch(text)
        return bool(match and match[2] != "." and int(match[1]) <= 12 and int(match[3]) <= 12 and int(match[1]) != int(match[3]))
