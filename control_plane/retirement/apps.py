from django.apps import AppConfig


class RetirementConfig(AppConfig):
    """The end of a group: asked for, undone while there is time, carried out on AWS, and kept as a record."""

    name = "control_plane.retirement"
