from django.apps import AppConfig


class LegacyConfig(AppConfig):
    """The move from the predecessor: its profiles are imported, its live stacks adopted."""

    name = "control_plane.neurocaas_import"
    # As its tables are called.
    label = "legacy"
    verbose_name = "Move from the predecessor"
