"""Addresses of the jobs' pages."""

from django.urls import path

from web.jobs import sharing, submit_views, views

app_name = "jobs"
BASE = "groups/<slug:slug>/jobs/<slug:analysis>/"
urlpatterns = [
    path(BASE, views.index, name="index"),
    path(f"{BASE}new/", submit_views.new, name="new"),
    path(f"{BASE}submit/", submit_views.send, name="submit"),
    path(f"{BASE}<int:timestamp>/", views.job, name="job"),
    path(f"{BASE}<int:timestamp>/log/", views.log, name="log"),
    path(f"{BASE}<int:timestamp>/again/", submit_views.again, name="again"),
    path(f"{BASE}<int:timestamp>/share/", sharing.share, name="share"),
    path("jobs/shared/<str:signed>/", sharing.shared, name="shared"),
]
