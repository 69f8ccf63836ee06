"""`python -m tests.record`: take the record of behaviour, and write it or compare it with what was written."""

import os
import sys

# Read as the modules below are imported: the account that moto plays, and the settings.
os.environ["MOTO_ACCOUNT_ID"] = "111122223333"
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django

django.setup()

from tests.record import taking  # noqa: E402

if __name__ == "__main__":
    sys.exit(taking.main())
