"""Deployments' pages."""

from django.urls import path

from control_plane.deployments import views

app_name = "deployments"
urlpatterns = [
    path("", views.deployment_list, name="list"),
    path("<int:pk>/", views.deployment_detail, name="detail"),
    path("<int:pk>/live/", views.deployment_live, name="live"),
    path("<int:pk>/retry/", views.deployment_retry, name="retry"),
]
