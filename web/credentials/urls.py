"""Addresses of the pages about a member's own computers. The device flow's addresses are allauth's, answered here first."""

from django.urls import path

from control_plane.access.computers import device
from web.credentials import imported_key_views, views

app_name = "credentials"
urlpatterns = [
    path("groups/<slug:slug>/credentials/", views.page, name="page"),
    path("groups/<slug:slug>/credentials/session/", views.session, name="session"),
    path("groups/<slug:slug>/credentials/key/", views.reveal, name="reveal"),
    path("groups/<slug:slug>/credentials/key/old/", views.old_key, name="old_key"),
    path("groups/<slug:slug>/credentials/key/brought/", imported_key_views.remove, name="brought"),
    path("groups/<slug:slug>/credentials/key/rotate/", views.rotate, name="rotate"),
    path("groups/<slug:slug>/credentials/key/rotate/<slug:username>/", views.rotate_for, name="rotate_for"),
    path("groups/<slug:slug>/credentials/computers/<int:computer>/sign-out/", views.sign_out, name="sign_out"),
    path("credentials/cohort_credentials.py", views.helper, name="helper"),
    path("identity/o/api/device/code", device.device_code, name="device_code"),
    path("identity/o/api/token", device.token, name="token"),
    path("identity/o/device", device.device, name="device"),
]
