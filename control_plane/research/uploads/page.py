"""Settings of the upload page: what its script has to know, put into the page."""

from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.sessions import WRITABLE_FOLDERS
from control_plane.research.uploads.parts import MIN_PART_BYTES


def page_settings(folder: GroupFolder) -> dict[str, object]:
    """Return what the upload page's script needs to know of the rules that uploads are begun by, and where else the bucket is."""
    return {
        "folders": WRITABLE_FOLDERS,
        "largest_single_bytes": MIN_PART_BYTES,
        "other_addresses": folder.other_addresses,
    }
