"""Addresses for load balancers, Prometheus and administrators."""

from django.urls import path

from web.health import views

app_name = "health"
urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", views.prometheus, name="metrics"),
    path("health/", views.page, name="page"),
    path("health/messages/<int:notice_id>/again/", views.send_again, name="send_again"),
    path("health/live/", views.live, name="live"),
]
