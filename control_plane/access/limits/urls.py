"""Where administrators see the account's quotas."""

from django.urls import path

from control_plane.access.limits import views

app_name = "quotas"
urlpatterns = [path("quotas/", views.page, name="page")]
