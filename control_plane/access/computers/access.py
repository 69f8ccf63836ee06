"""Access check for credentials: a person may ask for them in their own groups only."""

from control_plane.access.groups.models import Membership
from control_plane.accounts.models import User
from control_plane.base.audit.refusals import NotYours


def own_membership(user: User, slug: str) -> Membership:
    """Return the person's membership in the group, with its stack. Raises NotYours, whether or not there is such a group."""
    membership: Membership | None = (
        Membership.objects.wanted().select_related("group__stack", "user").filter(group__slug=slug, user=user).first()
    )
    if membership is None:
        raise NotYours(f"You are not in a group called {slug!r}. No credentials were made; ask its manager to add you.")
    return membership
