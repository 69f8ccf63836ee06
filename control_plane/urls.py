"""URLs of the site."""

from django.contrib import admin
from django.urls import include, path

from control_plane.api import api
from control_plane.base.documentation import documentation
from control_plane.base.favicon import favicon
from control_plane.base.integer_bounds import bound_integer_lists

bound_integer_lists()

urlpatterns = [
    path("", include("web.groups.urls")),
    path("accounts/", include("web.accounts.urls")),
    path("accounts/", include("allauth.urls")),
    path("", include("web.credentials.urls")),
    path("", include("allauth.idp.urls")),
    path("admin/", admin.site.urls),
    path("api/", api.urls),
    path("docs/", documentation, name="documentation"),
    path("docs/<path:document>", documentation, name="documentation"),
    path("favicon.ico", favicon, name="favicon"),
    path("deployments/", include("web.deployments.urls")),
    path("", include("web.catalogue.urls")),
    path("", include("web.health.urls")),
    path("", include("web.limits.urls")),
    path("", include("web.review.urls")),
    path("", include("web.configurations.urls")),
    path("", include("web.files.urls")),
    path("", include("web.jobs.urls")),
    path("", include("web.uploads.urls")),
]
