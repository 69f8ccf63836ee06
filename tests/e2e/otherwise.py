"""Runs a command of `manage.py` with settings that the site's own file has otherwise.

A site of `make up` takes its settings from `$VAR_DIR/env`, whatever a shell has set. Here they are changed after the file was read:
for days on which it is wrong, and for an operator with rights of their own.
`python -m tests.e2e.otherwise NAME=value ... -- <command>` runs it.
"""

import os
import sys


def main(words: list[str]) -> None:
    """Run the command after `--` with the settings before it."""
    from django.core.management import execute_from_command_line

    from control_plane.base import config

    end = words.index("--")
    config.load_environment()
    os.environ.update(dict(word.split("=", 1) for word in words[:end]))
    # Whoever reads the settings takes the file in again.
    config.load_environment = lambda: None
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control_plane.settings")
    execute_from_command_line(["manage.py", *words[end + 1 :]])


if __name__ == "__main__":
    main(sys.argv[1:])
