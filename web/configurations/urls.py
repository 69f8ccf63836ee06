"""Addresses of the configurations' pages."""

from django.urls import path

from web.configurations import views

app_name = "configurations"
BASE = "groups/<slug:slug>/configs/<slug:analysis>/"
urlpatterns = [
    path(BASE, views.index, name="index"),
    path(f"{BASE}new/", views.new, name="new"),
    path(f"{BASE}of/<str:name>/", views.edit, name="edit"),
    path(f"{BASE}of/<str:name>/restore/", views.restore, name="restore"),
    path(f"{BASE}of/<str:name>/delete/", views.remove, name="delete"),
]
