"""Settings of the file browser: what its script has to know, put into the page."""

from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.urls import reverse

from control_plane.base.content_policy import allow_folder
from control_plane.research.files.archive import MAX_SINGLE
from control_plane.research.files.hidden import HIDDEN_FILE, HIDDEN_PART
from control_plane.research.files.single import MAX_FIRST_BYTES
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.objects import CLEANABLE_FOLDERS, MAX_KEYS


def browser(
    request: HttpRequest, place: GroupFolder, *, root: str = "", name: str = "", is_writable: bool | None = None
) -> dict[str, object]:
    """What the browser's script needs to know; no secret is in it. It shows what lies below `root` in the group's folder.

    The page's policy lets the script go there, and nowhere else.
    """
    allow_folder(request, place.address, place.prefix)
    addresses = {
        what: reverse(f"api-1:files-{what}", args=(place.group.slug, place.analysis.slug))
        for what in ("session", "delete", "restore")
    }
    return {
        **addresses,
        "one": reverse("files:one", args=(place.group.slug, place.analysis.slug)),
        "token": get_token(request),
        "bucket": place.bucket,
        "prefix": place.prefix + root,
        "root": root,
        "name": name or place.group.slug,
        "writable": place.is_writable if is_writable is None else is_writable,
        "cleanable": CLEANABLE_FOLDERS,
        "hidden": {"names": [HIDDEN_FILE], "within": [HIDDEN_PART]},
        "most_keys": MAX_KEYS,
        "most_single": MAX_SINGLE,
        "most_first_bytes": MAX_FIRST_BYTES,
    }
