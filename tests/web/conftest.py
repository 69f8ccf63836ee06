"""The pages' tests start from the same rows as the control plane's."""

from tests.control_plane.conftest import _rows_are_numbered_anew, ada, administrator, at_once, epi, grace, group, operator
from tests.labs import aws, lab, rival, stranger
from tests.web.uploader import actor, person, place, s3, uploads_aws

__all__ = [
    "_rows_are_numbered_anew",
    "actor",
    "ada",
    "administrator",
    "at_once",
    "aws",
    "epi",
    "grace",
    "group",
    "lab",
    "operator",
    "person",
    "place",
    "rival",
    "s3",
    "stranger",
    "uploads_aws",
]
