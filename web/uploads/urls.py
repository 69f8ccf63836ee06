"""Addresses of parts of pages about uploads."""

from django.urls import path

from web.uploads import views

app_name = "uploads"
urlpatterns = [
    path("uploads/", views.mine, name="mine"),
    path("groups/<slug:group>/files/<slug:analysis>/unfinished/", views.unfinished, name="unfinished"),
]
