"""Addresses of the account's own pages, besides allauth's."""

from django.urls import path
from django.views.generic import RedirectView

from web.accounts import passkey_views, views

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="profile")),
    path("profile/", views.profile_page, name="profile"),
    path("delete/", views.delete, name="account_delete"),
    path("deleted/", views.deleted, name="account_deleted"),
    path("email/change/<str:token>/", views.change_address, name="account_change_address"),
    path("mail/", views.asked_mail_state, name="account_mail"),
    path("mail/again/", views.send_mail_again, name="account_mail_again"),
    path("2fa/webauthn/keys/<int:pk>/edit/", passkey_views.edit, name="mfa_edit_webauthn"),
    path("2fa/webauthn/keys/<int:pk>/remove/", passkey_views.remove, name="mfa_remove_webauthn"),
    path("sessions/", views.sessions_page, name="account_sessions"),
    path("sessions/<int:session_id>/end/", views.end_session, name="account_end_session"),
    path("computers/<int:computer_id>/end/", views.end_computer, name="account_end_computer"),
]
