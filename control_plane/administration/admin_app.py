"""Django's administration as an app, with the site of ours."""

from django.contrib.admin.apps import AdminConfig


class SiteConfig(AdminConfig):
    """Stands in for `django.contrib.admin` in INSTALLED_APPS."""

    default_site = "control_plane.administration.site.AdministrationSite"
