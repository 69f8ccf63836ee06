"""Where administrators see the account's quotas."""

from django.urls import path

from web.limits import views

app_name = "quotas"
urlpatterns = [path("quotas/", views.page, name="page")]
