from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    """What analyses there are, what each is for, and who asks to use which."""

    name = "control_plane.catalogue"
    verbose_name = "Catalogue"

    def ready(self) -> None:
        """Leave out the analyses whose making is cancelled."""
        from control_plane.catalogue.unmade import on_cancelled
        from control_plane.deployments.signals import deployment_cancelled

        deployment_cancelled.connect(on_cancelled, dispatch_uid="catalogue")
