"""The place that a page is about, and what the file browser on it has to know."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.urls import reverse

from control_plane.accounts.models import User
from control_plane.audit.refusals import NotYours
from control_plane.content_policy import allow_folder
from control_plane.groups.errors import NotGranted, NotMember, Suspended
from control_plane.jobs.protocol import HIDDEN_FILE, HIDDEN_PART
from control_plane.storage.objects import CLEANABLE_FOLDERS, MOST_KEYS
from control_plane.storage.places import Place, find_place
from web.files.archive import MOST_FILES, MOST_SINGLE


def requested_place(request: HttpRequest, slug: str, analysis: str) -> Place:
    """The place of this group and analysis for who asks. Raises NotYours, PermissionDenied (suspended), or NoCredentials."""
    if not isinstance(request.user, User):
        raise NotYours
    try:
        return find_place(group_slug=slug, analysis_slug=analysis, user=request.user)
    except (NotMember, NotGranted) as error:
        raise NotYours(str(error)) from error
    except Suspended as error:
        raise PermissionDenied(str(error)) from error


def browser(
    request: HttpRequest, place: Place, *, root: str = "", name: str = "", is_writable: bool | None = None
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
        "most_keys": MOST_KEYS,
        "most_single": MOST_SINGLE,
        "most_files": MOST_FILES,
    }
