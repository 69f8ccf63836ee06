"""Addresses of the pages of deployments, stacks and previews."""

from django.urls import path

from web.deployments import preview_views, stack_views, views

app_name = "deployments"
urlpatterns = [
    path("", views.deployment_list, name="list"),
    path("retry/", views.retry_failed, name="retry_failed"),
    path("<int:pk>/", views.deployment_detail, name="detail"),
    path("<int:pk>/live/", views.deployment_live, name="live"),
    path("<int:pk>/retry/", views.deployment_retry, name="retry"),
    path("<int:pk>/cancel/", views.deployment_cancel, name="cancel"),
    path("<int:pk>/approve/", views.deployment_approve, name="approve"),
    path("<int:pk>/reject/", views.deployment_reject, name="reject"),
    path("stacks/", stack_views.stack_list, name="stacks"),
    path("stacks/<int:pk>/live/", stack_views.stack_live, name="stack_live"),
    path("stacks/<int:pk>/check/", stack_views.stack_check, name="stack_check"),
    path("stacks/<int:pk>/repair/", stack_views.stack_repair, name="stack_repair"),
    path("stacks/<int:pk>/deploy-ours/", stack_views.stack_deploy_ours, name="stack_deploy_ours"),
    path("stacks/<slug:name>/", stack_views.stack_detail, name="stack"),
    path("previews/<int:pk>/", preview_views.preview, name="preview"),
]
