"""Django's settings for tests: the product's own, on an environment that nothing else uses."""

from control_plane.settings import *  # noqa: F403
from tests import environment  # noqa: F401  (first: it sets what the settings read)

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
