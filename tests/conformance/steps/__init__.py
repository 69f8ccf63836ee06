"""The steps of a run by subject, in the order in which they are run."""

from collections.abc import Iterator

from tests.conformance.step import Step
from tests.conformance.steps import access, bootstrap, drift, groups, hosting, keys, lockout, many, retirement, undo, uploads

ORDER = (bootstrap, groups, access, uploads, undo, keys, lockout, many, drift, retirement)


def all_steps(*, with_host: bool = False) -> Iterator[Step]:
    """Every step that a run takes; the host's only where that is wanted."""
    for module in (*ORDER, *((hosting,) if with_host else ())):
        yield from module.STEPS.all
