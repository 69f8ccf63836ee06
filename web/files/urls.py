"""Addresses of the file browser."""

from django.urls import path

from web.files import views

app_name = "files"
urlpatterns = [
    path("groups/<slug:slug>/files/<slug:analysis>/", views.page, name="page"),
    path("groups/<slug:slug>/files/<slug:analysis>/one/", views.download_one, name="one"),
    path("groups/<slug:slug>/files/<slug:analysis>/zip/", views.download_zip, name="zip"),
]
