"""`python -m tests.releases`: make a release's fixtures, open them, or visit a database that was opened."""

import os
import sys

# Read as the modules below are imported: the account that moto plays, and the settings.
os.environ["MOTO_ACCOUNT_ID"] = "111122223333"
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django

django.setup()

from tests.releases import program  # noqa: E402

if __name__ == "__main__":
    sys.exit(program.main())
