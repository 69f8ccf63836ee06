"""Settings of the file browser, for its script."""

from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.urls import reverse

from control_plane.base.content_policy import allow_folder
from control_plane.research.files.archive import MAX_SINGLE_FILES
from control_plane.research.files.hidden import HIDDEN_FILE, HIDDEN_PART
from control_plane.research.files.single import MAX_FIRST_BYTES
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.objects import CLEANABLE_FOLDERS, MAX_KEYS


def browser_settings(
    request: HttpRequest, folder: GroupFolder, *, root: str = "", name: str = "", is_writable: bool | None = None
) -> dict[str, object]:
    """Return the settings of the file browser, which shows what lies below `root` in the group's folder. No secrets.

    Also lets the page's content policy connect to that folder, and to nothing else.
    """
    allow_folder(request, folder.address, folder.other_addresses, folder.prefix)
    addresses = {
        what: reverse(f"api-1:files-{what}", args=(folder.group.slug, folder.analysis.slug))
        for what in ("session", "delete", "restore")
    }
    return {
        **addresses,
        "one": reverse("files:one", args=(folder.group.slug, folder.analysis.slug)),
        "token": get_token(request),
        "bucket": folder.bucket,
        "prefix": folder.prefix + root,
        "root": root,
        "name": name or folder.group.slug,
        "writable": folder.is_writable if is_writable is None else is_writable,
        "cleanable": CLEANABLE_FOLDERS,
        "hidden": {"names": [HIDDEN_FILE], "within": [HIDDEN_PART]},
        "most_keys": MAX_KEYS,
        "most_single": MAX_SINGLE_FILES,
        "most_first_bytes": MAX_FIRST_BYTES,
    }
