from django.apps import AppConfig


class LegacyConfig(AppConfig):
    """The app of the move from the predecessor: import of its profiles, adoption of its live stacks."""

    name = "control_plane.neurocaas_import"
    # The prefix of its tables.
    label = "legacy"
    verbose_name = "Move from the predecessor"
