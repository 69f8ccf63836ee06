from django.apps import AppConfig


class FilesConfig(AppConfig):
    """What lies in a group's folder: browse, preview, download, delete and undo."""

    name = "web.files"
