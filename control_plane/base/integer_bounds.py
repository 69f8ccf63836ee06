"""Lists of numbers in queries: what no column can hold is in none of its rows, and is no error of ours."""

from typing import Any

from django.db.models import IntegerField
from django.db.models.lookups import In


class BoundedIn(In):
    """`__in` over a column of whole numbers, without those that lie outside what the database's type holds.

    Django does so for `exact`, `gt` and the others; of a list it gives all to the database, and SQLite's driver raises
    OverflowError. Django's own administration filters by lists that come from addresses and forms.
    """

    def process_rhs(self, compiler: Any, connection: Any) -> Any:
        """Django's hook: what stands to the right of `IN`."""
        if self.rhs_is_direct_value():
            least, most = connection.ops.integer_field_range(self.lhs.output_field.get_internal_type())
            self.rhs = [one for one in self.rhs if not isinstance(one, int) or least <= one <= most]
        return super().process_rhs(compiler, connection)


def bound_integer_lists() -> None:
    """Have every query of this process use it."""
    IntegerField.register_lookup(BoundedIn)
