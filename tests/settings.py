"""Django's settings for tests: the product's own, on an environment that nothing else uses."""

from tests import environment

environment.prepare()

from control_plane.settings import *  # noqa: E402, F403

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # A file, as it is in use: SQLite's databases in memory answer threads that come at once with errors instead of waiting.
    DATABASES["default"]["TEST"] = {"NAME": str(environment.var() / "tests.sqlite3")}  # noqa: F405

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
