"""`__in` lookups with integers beyond the column's range, which match no row instead of raising."""

from typing import Any

from django.db.models import IntegerField
from django.db.models.lookups import In


class BoundedIn(In):
    """`__in` over an integer column, without values outside the range of the database's type.

    Django does so for `exact`, `gt` and the others, but passes a list to the database unchanged, and SQLite's driver raises
    OverflowError. Django's own administration filters by lists from URLs and forms.
    """

    def process_rhs(self, compiler: Any, connection: Any) -> Any:
        """Drop the values out of range from the right-hand side (Django's hook)."""
        if self.rhs_is_direct_value():
            smallest, largest = connection.ops.integer_field_range(self.lhs.output_field.get_internal_type())
            self.rhs = [value for value in self.rhs if not isinstance(value, int) or smallest <= value <= largest]
        return super().process_rhs(compiler, connection)


def bound_integer_lists() -> None:
    """Register the lookup for every query of this process."""
    IntegerField.register_lookup(BoundedIn)
