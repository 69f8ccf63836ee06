"""Who gets into the administration at all."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest


def admits(request: HttpRequest) -> bool:
    """Stands in for the admin site's own `has_permission`: staff get in, and who is not signed in is led to do that.

    Others who are signed in would be led to a sign-in as well, which tells the audit trail nothing. Raises PermissionDenied.
    """
    user = request.user
    if user.is_authenticated and not (user.is_active and user.is_staff):
        raise PermissionDenied("The administration is for administrators. Nothing was changed; your groups are on your home page.")
    return user.is_authenticated
