"""`python -m tests.engine.tuned_worker control_plane.worker.loop.GRACE_SECONDS=2 ...`: a worker with other constants."""

import sys
from importlib import import_module

import django

django.setup()

from django.core.management import call_command  # noqa: E402


def tune(setting: str) -> None:
    """Set a module's constant; the value is read as the constant's own type."""
    where, _, value = setting.partition("=")
    module, _, name = where.rpartition(".")
    owner = import_module(module)
    setattr(owner, name, type(getattr(owner, name))(value))


def main() -> None:
    """Set the constants, and work."""
    for setting in sys.argv[1:]:
        tune(setting)
    call_command("worker")


if __name__ == "__main__":
    main()
