"""The addresses of the configurations' pages."""

from django.urls import URLPattern

app_name = "configurations"
urlpatterns: list[URLPattern] = []
