"""Addresses of the catalogue's pages."""

from django.urls import path

from web.catalogue import deciding_views, unmade_views, views

app_name = "catalogue"
urlpatterns = [
    path("analyses/", views.index, name="index"),
    path("analyses/requests/", deciding_views.requests, name="requests"),
    path("analyses/requests/<int:pk>/", deciding_views.decide, name="decide"),
    path("analyses/requests/<int:pk>/withdraw/", views.withdraw_request, name="withdraw"),
    path("analyses/grant/", deciding_views.grant, name="grant"),
    path("analyses/granted/", deciding_views.granted, name="granted"),
    # Last: no analysis may be called as one of the pages above (groups.services.analyses.RESERVED_SLUGS).
    path("analyses/<slug:slug>/", views.analysis, name="analysis"),
    path("analyses/<slug:slug>/ask/", views.ask_for, name="ask"),
    path("analyses/<slug:slug>/edit/", deciding_views.edit, name="edit"),
    path("analyses/<slug:slug>/bucket/", unmade_views.bucket, name="bucket"),
]
