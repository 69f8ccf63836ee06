from django.apps import AppConfig


class AccountPagesConfig(AppConfig):
    """The pages of a person's own account."""

    name = "web.accounts"
    # `accounts` is the label of the app that has the tables.
    label = "account_pages"
