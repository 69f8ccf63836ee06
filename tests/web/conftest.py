"""The pages' tests start from the same rows as the control plane's."""

from tests.control_plane.conftest import ada, administrator, grace, group, operator
from tests.labs import aws, lab, rival, stranger

__all__ = ["ada", "administrator", "aws", "grace", "group", "lab", "operator", "rival", "stranger"]
