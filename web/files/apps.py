from django.apps import AppConfig


class FilesConfig(AppConfig):
    """App of the file browser: browse, preview, download, delete and undo in a group's folder."""

    name = "web.files"
