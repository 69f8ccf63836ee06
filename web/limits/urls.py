"""Address of the page of the account's limits, for administrators."""

from django.urls import path

from web.limits import views

app_name = "quotas"
urlpatterns = [path("quotas/", views.page, name="page")]
