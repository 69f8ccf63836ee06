"""The pages' tests start from the same rows as the control plane's."""

from tests.control_plane.conftest import ada, administrator, grace, group, operator

__all__ = ["ada", "administrator", "grace", "group", "operator"]
