from django.apps import AppConfig


class UploadPagesConfig(AppConfig):
    """What the pages show of uploads; the uploads themselves are those of `control_plane.research.uploads`, which has the label."""

    name = "web.uploads"
    label = "upload_pages"
