from django.apps import AppConfig


class UploadPagesConfig(AppConfig):
    """App of the pages' views of uploads; the label `uploads` is that of `control_plane.research.uploads`."""

    name = "web.uploads"
    label = "upload_pages"
