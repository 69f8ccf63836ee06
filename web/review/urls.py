"""Addresses of the review of everybody's access, for administrators. A group's own is under its page (see `web.groups`)."""

from django.urls import path

from web.review import views

app_name = "review"
urlpatterns = [
    path("review/", views.page, name="page"),
    path("review/csv/", views.as_csv, name="csv"),
    path("review/sign-offs/", views.signed, name="signed"),
    path("review/look/", views.look, name="look"),
    path("review/people/<int:pk>/remove/", views.remove, name="remove"),
    path("review/unmanaged/<int:pk>/", views.unmanaged, name="unmanaged"),
    path("review/unmanaged/<int:pk>/take-over/", views.take_over_unmanaged, name="take_over"),
    path("review/unmanaged/<int:pk>/remove/", views.remove_unmanaged, name="remove_unmanaged"),
]
