from django.apps import AppConfig


class GroupsConfig(AppConfig):
    """Groups, who is in them, and what they may use."""

    name = "control_plane.groups"
    verbose_name = "Groups"

    def ready(self) -> None:
        """Take back what is cancelled, where it was asked for in a group."""
        from control_plane.deployments.signals import deployment_cancelled
        from control_plane.groups.services.withdrawal import on_cancelled

        deployment_cancelled.connect(on_cancelled, dispatch_uid="groups")
