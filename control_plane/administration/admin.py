"""What Django's administration shows: imported by its autodiscovery."""

from django.contrib import admin
from django.contrib.auth.models import Group as AuthGroup

from control_plane.administration import analyses, audit, groups, people  # noqa: F401

# Django's own groups are permission sets; beside research groups they would only confuse.
admin.site.unregister(AuthGroup)
