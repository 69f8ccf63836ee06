"""Who gets into the administration at all."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from control_plane.accounts.permissions import is_administrator


def admits(request: HttpRequest) -> bool:
    """Stands in for the admin site's own `has_permission`: administrators get in, and who is not signed in is led to do that.

    Its pages show every group and who is in which, so staff without the administrator's right get into none of them. Others who
    are signed in would be led to a sign-in as well, which tells the audit trail nothing. Raises PermissionDenied.
    """
    if request.user.is_authenticated and not is_administrator(request.user):
        raise PermissionDenied("The administration is for administrators. Nothing was changed; your groups are on your home page.")
    return request.user.is_authenticated
