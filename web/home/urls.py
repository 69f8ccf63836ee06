"""A person's own pages."""

from django.urls import path

from web.home import views

urlpatterns = [
    path("", views.home, name="home"),
    path("groups/<slug:slug>/", views.group, name="group"),
]
