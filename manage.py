#!/usr/bin/env python
"""Commands of the control plane; `manage.py help` lists them."""

import os
import sys
from importlib import import_module

try:
    from django.core.management import execute_from_command_line

    from control_plane.base.config import load_environment
except ImportError:
    sys.exit("Django is not installed for this Python. Use .venv/bin/python, which `make install` prepares.")


def main() -> None:
    """Run the command that the arguments name."""
    if sys.argv[1:2] == ["doctor"]:
        # It looks before there are any settings, without which Django does not start; no other command needs what it loads.
        sys.exit(import_module("control_plane.doctor.command").main(sys.argv[2:], sys.stdout))
    # First the site's own file: the shell's DJANGO_SETTINGS_MODULE may be another project's.
    load_environment()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control_plane.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
